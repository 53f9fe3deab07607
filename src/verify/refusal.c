/* An answer to the opening handshake that is not 101: what it is, and what to do about it. */
#include "verify/check.h"
#include "base/member.h"

#include <stdio.h>

/* ---- answers that are no HTTP at all ---- */

static const struct stranger {
    const char *bytes;
    size_t len;
    const char *what, *fix;
} strangers[] = {
    {"\x15\x03", 2, "a TLS server is there, it answered with a TLS alert",
     "write wss:// in \"url\", or the port of the server's ws:// listener"},
    {"SSH-", 4, "an SSH server is there", "correct the port in \"url\": this one is SSH's"},
    {"GET ", 4, "something sends our own request back",
     "correct the port in \"url\": this one is an echo service's"},
    {"PRI * HTTP/2", 12, "an HTTP/2 client is there", "correct the port in \"url\""},
    {"HTTP/2", 6, "the server answers in HTTP/2",
     "let the server or proxy speak HTTP/1.1 here: RFC 6455 needs it"},
    {"220 ", 4, "a mail or FTP server is there", "correct the port in \"url\""},
    {"-ERR", 4, "a Redis or POP3 server is there", "correct the port in \"url\""},
    {"+OK", 3, "a Redis or POP3 server is there", "correct the port in \"url\""},
    {"RFB ", 4, "a VNC server is there", "correct the port in \"url\""},
};

static const struct stranger
    http2 = {NULL, 0, "an HTTP/2 server is there, it answered with HTTP/2 settings",
             "let the server also speak HTTP/1.1 on this port, or correct the port in \"url\""},
    unknown = {NULL, 0, "the answer is not HTTP",
               "see which program listens on this port, and correct host or port in \"url\""};

static const struct stranger *recognise(struct pixi_cur c)
{
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        if (pixi_cur_left(&c) >= strangers[i].len && memcmp(c.p, strangers[i].bytes, strangers[i].len) == 0)
            return &strangers[i];
    /* a frame of type 4 on stream 0, whatever its length (RFC 9113 §4.1) */
    if (pixi_cur_left(&c) >= 9 && c.p[0] == 0 && c.p[3] == 4 && memcmp(c.p + 5, "\0\0\0", 4) == 0)
        return &http2;
    return &unknown;
}

void pixi_blame_stranger(struct pixi_verify *v, struct pixi_cur came)
{
    const struct stranger *s = recognise(came);
    char shown[PIXI_SHOWN];

    pixi_check_fail(v, PIXI_EXIT_UPGRADE, "RFC 9112 §4", "%s; it starts with %.48s", s->what,
                    pixi_check_show(v, came, shown));
    pixi_check_fix(v, "%s", s->fix);
}

/* ---- answers other than 101 ---- */

static const struct status {
    unsigned status;
    int exit_code;
    const char *layer, *what, *fix;
} statuses[] = {
    {200, PIXI_EXIT_UPGRADE, "upgrade", "an ordinary web page, not a WebSocket endpoint",
     "correct the path or the port in \"url\"; a Pixi server's path is /api/v1"},
    {400, PIXI_EXIT_UPGRADE, "upgrade", "the server could not use this request",
     "correct the path and port in \"url\"; behind a proxy, let it pass the Upgrade and Connection fields "
     "on"},
    {403, PIXI_EXIT_KEY, "key", "this API key or this origin is not allowed here",
     "allow the key on the server, or put one that is allowed into the settings"},
    {404, PIXI_EXIT_UPGRADE, "upgrade", "nothing is at this path",
     "correct the path in \"url\"; a Pixi server's is /api/v1"},
    {405, PIXI_EXIT_UPGRADE, "upgrade", "the server takes no GET here",
     "correct the path in \"url\"; a Pixi server's is /api/v1"},
    {407, PIXI_EXIT_UPGRADE, "upgrade", "a proxy wants to know who asks",
     "give the proxy's credentials in the proxy's settings, or go around it"},
    {408, PIXI_EXIT_TIMEOUT, "upgrade", "the server found the request too slow",
     "look for a proxy or network that delays the request"},
    {426, PIXI_EXIT_UPGRADE, "upgrade", "the server wants another protocol or WebSocket version",
     "let the server support WebSocket version 13 (RFC 6455); a proxy in front must pass the Upgrade field "
     "on"},
    {429, PIXI_EXIT_UPGRADE, "upgrade", "too many connections or requests",
     "wait, then try again; raise the server's limit if this is usual"},
    {431, PIXI_EXIT_UPGRADE, "upgrade", "the request's head is too large for the server",
     "shorten the path in \"url\" or the API key"},
    {502, PIXI_EXIT_UPGRADE, "upgrade", "a proxy could not reach the server behind it",
     "start the server behind the proxy, or correct the proxy's target"},
    {503, PIXI_EXIT_UPGRADE, "upgrade", "the server is not ready, or full",
     "wait, then try again; see the server's log if it stays so"},
    {504, PIXI_EXIT_UPGRADE, "upgrade", "the server behind a proxy did not answer",
     "start the server behind the proxy, or correct the proxy's target"},
};

static const struct status other_status = {
    0, PIXI_EXIT_UPGRADE, "upgrade", "no upgrade",
    "see the server's log for why it answered this, and correct \"url\" if it is the wrong place"};

static const struct status *find_status(unsigned status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status)
            return &statuses[i];
    return &other_status;
}

static void blame_redirect(struct pixi_verify *v, const struct pixi_peer *p)
{
    struct pixi_cur to;
    char shown[PIXI_SHOWN];

    if (!pixi_vhttp_get(&p->head, "Location", 0, &to))
        to = pixi_cur_str("nowhere (no Location field)");
    pixi_check_fail(v, PIXI_EXIT_UPGRADE, "RFC 6455 §4.1",
                    "%u: the server points to %s; this was not followed, and no key was sent there",
                    p->head.status, pixi_check_show(v, to, shown));
    pixi_check_fix(
        v,
        "if that is the right place, write it into \"url\", with ws:// for http:// and wss:// for https://");
}

static void blame_key(struct pixi_verify *v)
{
    v->r->layer = "key";
    if (v->s.api_key) {
        pixi_check_fail(v, PIXI_EXIT_KEY, "", "401: the server does not accept the API key from %s",
                        pixi_check_key_origin(v));
        pixi_check_fix(v, "put a key that this server knows into %s", pixi_check_key_origin(v));
        return;
    }
    if (v->s.key_kept_for) {
        pixi_check_fail(
            v, PIXI_EXIT_KEY, "",
            "401: the server wants an API key, and that in the settings is for %s: it was not sent here",
            v->s.key_kept_for);
        pixi_check_fix(v,
                       "if it is for this server too, put this URL into %s, or name the key's file in "
                       "PIXI_WS_API_KEY_FILE",
                       pixi_check_settings_name(v));
        return;
    }
    pixi_check_fail(v, PIXI_EXIT_KEY, "", "401: the server wants an API key, and the settings have none");
    pixi_check_fix(v, "write a key of this server into a file and name it by \"api_key_file\" in %s",
                   pixi_check_settings_name(v));
}

/* What the refusal says of itself: the problem's detail, or nothing. RFC 9457 */
static const char *said(const struct pixi_verify *v, const struct pixi_peer *p, char out[PIXI_SHOWN])
{
    struct pixi_cur value, body = pixi_buf_cur(&p->answer);
    char shown[PIXI_SHOWN], detail[PIXI_SHOWN];
    const uint8_t *end = body.p ? memmem(body.p, pixi_cur_left(&body), "\r\n\r\n", 4) : NULL;

    out[0] = 0;
    body.p = end ? end + 4 : body.end;
    if (pixi_vhttp_get(&p->head, "Retry-After", 0, &value))
        snprintf(out, PIXI_SHOWN, "; Retry-After: %.40s", pixi_check_show(v, value, shown));
    else if (pixi_member_string(body, "detail", detail, sizeof detail) ||
             pixi_member_string(body, "title", detail, sizeof detail))
        snprintf(out, PIXI_SHOWN, "; it says: %.200s", pixi_check_show(v, pixi_cur_str(detail), shown));
    return out;
}

void pixi_blame_status(struct pixi_verify *v, const struct pixi_peer *p)
{
    const struct status *s = find_status(p->head.status);
    char more[PIXI_SHOWN];

    if (p->head.status >= 300 && p->head.status < 400) {
        blame_redirect(v, p);
        return;
    }
    if (p->head.status == 401) {
        blame_key(v);
        return;
    }
    v->r->layer = s->layer;
    pixi_check_fail(v, s->exit_code, "", "%u: %s%s", p->head.status, s->what, said(v, p, more));
    pixi_check_fix(v, "%s", s->fix);
}
