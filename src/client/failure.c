#include "client/failure.h"
#include "base/json.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdarg.h>

/* Bytes of the character at text, 0 when it is none. */
static size_t char_len(const char *text)
{
    for (size_t len = 1; len <= 4 && text[len - 1]; len++)
        if (pixi_utf8_is_valid((const uint8_t *)text, len))
            return len;
    return 0;
}

/* C0, DEL, and C1 (which UTF-8 writes as C2 80 .. C2 9F). */
static bool is_control(const char *text)
{
    uint8_t first = (uint8_t)text[0], second = (uint8_t)text[1];

    return first < 0x20 || first == 0x7f || (first == 0xc2 && second < 0xa0);
}

void pixi_failure_escape(const char *text, char *out, size_t size)
{
    char *end = out + size - 1;

    while (*text) {
        size_t len = char_len(text);
        bool is_shown = len && !is_control(text);

        if ((size_t)(end - out) < (is_shown ? len : 4))
            break;
        if (is_shown)
            memcpy(out, text, len);
        else
            snprintf(out, 5, "\\x%02x", (uint8_t)text[len > 1 ? len - 1 : 0]);
        out += is_shown ? len : 4;
        text += len ? len : 1;
    }
    *out = 0;
}

void pixi_failure_say(char out[PIXI_FAILURE_TEXT], const char *format, ...)
{
    char raw[PIXI_FAILURE_TEXT];
    va_list args;

    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    pixi_failure_escape(raw, out, PIXI_FAILURE_TEXT);
}

static struct pixi_failure proxy_failure(int err, const struct pixi_failure_at *at, const char *text)
{
    struct pixi_failure f = {.err = err, .exit_code = PIXI_EXIT_CONNECT, .layer = "proxy"};

    pixi_failure_say(f.cause, "no way to %s port %u: %s", at->host, at->port, text);
    if (err == PIXI_E_PROXY_USER) {
        f.is_final = true;
        pixi_failure_say(
            f.fix, "put the proxy's user name into proxy.username and its password into proxy.password_file");
    } else if (strstr(text, " cannot be ")) {
        pixi_failure_say(f.fix,
                         "start the proxy, or correct proxy.url (else HTTPS_PROXY, HTTP_PROXY or ALL_PROXY)");
    } else {
        pixi_failure_say(
            f.fix,
            "see whether the proxy may connect there; what needs no proxy belongs into proxy.no_proxy");
    }
    return f;
}

/* By the system's words for it, which stand in text for each address. */
static const char *fix_for(const char *text)
{
    static const struct {
        int sys_errno;
        const char *fix;
    } rows[] = {
        {ECONNREFUSED, "start the server (pixi-ws-server), or correct the port in \"url\""},
        {ENETUNREACH, "check that this machine has a network, and a route to the host"},
        {EHOSTUNREACH, "check that this machine has a network, and a route to the host"},
        {EMFILE, "let this program open more files (ulimit -n), or close some"},
        {EACCES, "let this machine's firewall or sandbox allow the connection"},
        {EPERM, "let this machine's firewall or sandbox allow the connection"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strstr(text, strerror(rows[i].sys_errno)))
            return rows[i].fix;
    return "check that the server runs and that no firewall stands between";
}

void pixi_failure_key_fix(char out[PIXI_FAILURE_TEXT], const struct pixi_failure_at *at)
{
    if (at->key_from)
        pixi_failure_say(out,
                         "replace the key in %s by a valid one; the server's operator makes one with "
                         "`pixi-ws-server key add`",
                         at->key_from);
    else if (at->key_kept_for)
        pixi_failure_say(
            out,
            "the settings' key is for %s and was not sent here: if it is for this server too, put this URL "
            "into the settings, or name the key's file in PIXI_WS_API_KEY_FILE",
            at->key_kept_for);
    else
        pixi_failure_say(out, "put a valid key where the settings take it from");
}

struct pixi_failure pixi_failure_dial(int err, const struct pixi_failure_at *at, const char *text)
{
    struct pixi_failure f = {.err = err, .exit_code = PIXI_EXIT_CONNECT, .layer = "tcp"};

    if (err == PIXI_E_PROXY || err == PIXI_E_PROXY_USER)
        return proxy_failure(err, at, text);
    if (err == PIXI_E_NAME) {
        f.exit_code = PIXI_EXIT_NAME;
        f.layer = "name";
        pixi_failure_say(f.cause, "the name cannot be looked up: %s", text);
        if (strstr(text, "no name server"))
            pixi_failure_say(f.fix, "check this machine's network, and the name servers in /etc/resolv.conf");
        else if (strstr(text, "the name server"))
            pixi_failure_say(f.fix, "try again later, or ask another name server (/etc/resolv.conf)");
        else
            pixi_failure_say(f.fix, "correct the host in \"url\" (%s), or make it known: DNS, /etc/hosts",
                             at->host);
        return f;
    }
    pixi_failure_say(f.cause, "no connection to %s port %u: %s", at->host, at->port, text);
    pixi_failure_say(f.fix, "%s", fix_for(text));
    return f;
}

struct status_row {
    unsigned status;
    int exit_code;
    const char *layer;
    bool is_final;
    const char *fix;
};

static const struct status_row statuses[] = {
    {301, PIXI_EXIT_UPGRADE, "upgrade", true,
     "put the new address into \"url\"; redirects are not followed, so that the key goes nowhere unasked"},
    {302, PIXI_EXIT_UPGRADE, "upgrade", true,
     "put the new address into \"url\"; redirects are not followed, so that the key goes nowhere unasked"},
    {307, PIXI_EXIT_UPGRADE, "upgrade", true,
     "put the new address into \"url\"; redirects are not followed, so that the key goes nowhere unasked"},
    {308, PIXI_EXIT_UPGRADE, "upgrade", true,
     "put the new address into \"url\"; redirects are not followed, so that the key goes nowhere unasked"},
    {400, PIXI_EXIT_UPGRADE, "upgrade", true,
     "check the path in \"url\"; a proxy in front must pass the Upgrade and Connection fields on"},
    {401, PIXI_EXIT_KEY, "key", true,
     "put a valid key where the settings take it from; the server's operator makes one with `pixi-ws-server "
     "key add`"},
    {403, PIXI_EXIT_KEY, "key", true, "ask the server's operator to allow this key or origin"},
    {404, PIXI_EXIT_UPGRADE, "upgrade", true, "correct the path in \"url\"; a Pixi server's is /api/v1"},
    {405, PIXI_EXIT_UPGRADE, "upgrade", true, "correct \"url\": this address takes no WebSocket"},
    {407, PIXI_EXIT_UPGRADE, "upgrade", true,
     "give the proxy's user and password under \"proxy\" in the settings"},
    {408, PIXI_EXIT_TIMEOUT, "upgrade", false, "look for a proxy or network that delays the request"},
    {426, PIXI_EXIT_UPGRADE, "upgrade", true,
     "the server wants another protocol version: check that \"url\" is a WebSocket address"},
    {429, PIXI_EXIT_UPGRADE, "upgrade", false, "wait, then try again"},
    {431, PIXI_EXIT_UPGRADE, "upgrade", true, "shorten the path in \"url\", or the API key"},
    {500, PIXI_EXIT_UPGRADE, "upgrade", false, "see the server's log for its error"},
    {502, PIXI_EXIT_UPGRADE, "upgrade", false,
     "start the server behind the proxy that answered, or correct where that points"},
    {503, PIXI_EXIT_UPGRADE, "upgrade", false, "wait, then try again; the server is full or restarting"},
    {504, PIXI_EXIT_UPGRADE, "upgrade", false,
     "start the server behind the proxy that answered, or correct where that points"},
    {0, PIXI_EXIT_UPGRADE, "upgrade", false, "check that \"url\" is the address of a WebSocket server"},
};

static const struct status_row *status_row(unsigned status)
{
    const struct status_row *r = statuses;

    while (r->status && r->status != status)
        r++;
    return r;
}

/* The `detail` of a problem document (RFC 9457), "" if there is none. */
static void read_detail(struct pixi_cur body, char out[256])
{
    struct pixi_json j;
    struct pixi_json_token t;
    size_t len = 0;

    out[0] = 0;
    pixi_json_init(&j, body.p, pixi_cur_left(&body), 8);
    while (pixi_json_next(&j, &t) == PIXI_OK && t.type != PIXI_JSON_DONE) {
        if (t.type != PIXI_JSON_NAME || !pixi_json_is(&t, "detail"))
            continue;
        if (pixi_json_next(&j, &t) == PIXI_OK && t.type == PIXI_JSON_STRING && pixi_cur_left(&t.text) < 256)
            if (pixi_json_decode(t.text, (uint8_t *)out, &len) == PIXI_OK)
                out[len] = 0;
        return;
    }
}

static uint32_t retry_after(const struct pixi_http_head *head)
{
    struct pixi_cur value;
    uint64_t seconds = 0;

    if (!pixi_http_find(head, "retry-after", &value, NULL))
        return 0;
    for (; value.p != value.end && *value.p >= '0' && *value.p <= '9' && seconds < 86400; value.p++)
        seconds = seconds * 10 + (uint64_t)(*value.p - '0');
    return value.p == value.end && seconds < 86400 ? (uint32_t)seconds * 1000 : 0;
}

struct pixi_failure pixi_failure_refused(const struct pixi_failure_at *at, const struct pixi_http_head *head,
                                         struct pixi_cur body)
{
    const struct status_row *row = status_row(head->status);
    struct pixi_failure f = {.err = PIXI_E_WS_STATUS,
                             .exit_code = row->exit_code,
                             .layer = row->layer,
                             .is_final = row->is_final,
                             .retry_after_ms = retry_after(head)};
    struct pixi_cur location = {NULL, NULL};
    const char *reason = pixi_http_reason(head->status);
    char detail[256];

    if (strcmp(reason, "Unknown") == 0)
        reason = "";
    read_detail(body, detail);
    if (head->status / 100 == 3 && pixi_http_find(head, "location", &location, NULL))
        pixi_failure_say(f.cause, "the server at %s:%u answered %u and points to %.*s", at->host, at->port,
                         head->status, (int)pixi_cur_left(&location), (const char *)location.p);
    else
        pixi_failure_say(f.cause, "the server at %s:%u answered %u%s%s%s%s", at->host, at->port, head->status,
                         *reason ? " " : "", reason, *detail ? ": " : "", detail);
    if (head->status == 401 && (at->key_from || at->key_kept_for))
        pixi_failure_key_fix(f.fix, at);
    else
        pixi_failure_say(f.fix, "%s", row->fix);
    return f;
}

struct end_row {
    int err;
    int exit_code;
    const char *layer;
    bool is_final;
    const char *cause, *fix;
};

static const struct end_row during_tls[] = {
    {PIXI_E_TIMEOUT, PIXI_EXIT_TIMEOUT, "tls", false,
     "took the connection but did not answer the TLS handshake in time",
     "check that a TLS server listens there; a plain ws:// port may wait for ever"},
    {PIXI_E_WS_NO_CLOSE, PIXI_EXIT_TLS, "tls", false, "closed the connection during the TLS handshake",
     "check that a TLS server listens there; a plain ws:// port closes when it hears wss://"},
    {PIXI_E_RESET, PIXI_EXIT_TLS, "tls", false, "cut the connection during the TLS handshake",
     "check that a TLS server listens there"},
    {0, PIXI_EXIT_TLS, "tls", true, "TLS failed", "see the message"},
};

static const struct end_row during_upgrade[] = {
    {PIXI_E_TIMEOUT, PIXI_EXIT_TIMEOUT, "upgrade", false,
     "took the connection but did not answer the upgrade in time",
     "check that a WebSocket server listens there; a TLS port answers nothing to ws://"},
    {PIXI_E_WS_NO_CLOSE, PIXI_EXIT_UPGRADE, "upgrade", false,
     "closed the connection without an answer to the upgrade",
     "check that a WebSocket server listens there; a TLS port closes when it hears ws://"},
    {PIXI_E_RESET, PIXI_EXIT_UPGRADE, "upgrade", false, "cut the connection during the upgrade",
     "check that a WebSocket server listens there"},
    /* TLS 1.3: what the server thinks of this side's certificate comes after the handshake */
    {PIXI_E_TLS, PIXI_EXIT_TLS, "tls", true, "TLS failed", "see the message"},
    {PIXI_E_WS_PROTOCOL, PIXI_EXIT_UPGRADE, "upgrade", true, "selected a subprotocol that was not offered",
     "let the server select one that is offered, or none; `connect --protocol NAMES` offers others"},
    {0, PIXI_EXIT_UPGRADE, "upgrade", true, "gave an answer that is no WebSocket upgrade",
     "check that \"url\" is the address of a WebSocket server; something else speaks on that port"},
};

static const struct end_row when_open[] = {
    {PIXI_E_WS_PROTOCOL, PIXI_EXIT_UPGRADE, "upgrade", true, "speaks WebSocket, but not pixi.v1",
     "point \"url\" to a Pixi server; `connect` and `verify` work with any WebSocket server"},
    {PIXI_E_RESET, PIXI_EXIT_CLOSED, "connection", false, "connection lost (1006)",
     "check the server's log and the network between; trying again may help"},
    {PIXI_E_WS_NO_CLOSE, PIXI_EXIT_CLOSED, "connection", false,
     "the server went away without a close frame (1006)",
     "check the server's log: it, or a proxy between, ended the connection"},
    {PIXI_E_WS_PONG, PIXI_EXIT_CLOSED, "connection", false, "the server answers no pings any more",
     "check the network between; the server may be gone or frozen"},
    {PIXI_E_TIMEOUT, PIXI_EXIT_TIMEOUT, "close", false, "the server did not answer the close in time",
     "nothing is lost: everything before the close was answered"},
    {PIXI_E_QUEUE, PIXI_EXIT_CLOSED, "connection", false, "the server does not read what it is sent",
     "check the server's load"},
    {PIXI_E_NOMEM, PIXI_EXIT_INTERNAL, "internal", true, "out of memory", "free memory on this machine"},
    {PIXI_E_TLS, PIXI_EXIT_TLS, "tls", false, "TLS failed", "see the message"},
    {PIXI_E_WS_TOO_BIG, PIXI_EXIT_PROTOCOL, "limits", true, "the server sends too much at once",
     "raise limits.message_bytes in the settings, or let the server send less at a time"},
    {0, PIXI_EXIT_PROTOCOL, "protocol", true, "the server broke the protocol",
     "tell the server's maintainer; `pixi-ws-client verify` shows which rules it breaks"},
};

static const struct end_row *find_row(const struct end_row *r, int err)
{
    while (r->err && r->err != err)
        r++;
    return r;
}

struct code_row {
    uint16_t code;
    int exit_code;
    const char *layer;
    bool is_final;
    const char *fix;
};

/* After 1000 a client stays away, after 3000 and 3003 it would only hear the same again, and after 1002, 1003, 1007 and
 * 1009 what it sent must not be sent again unchanged. */
static const struct code_row codes[] = {
    {1000, PIXI_EXIT_CLOSED, "close", true,
     "nothing, if that was meant; else see the server's log for why it was done with this connection"},
    {1001, PIXI_EXIT_CLOSED, "close", false, "the server is going away: try again later"},
    {1002, PIXI_EXIT_PROTOCOL, "protocol", false, "the server objects to what was sent: see its log"},
    {1003, PIXI_EXIT_PROTOCOL, "protocol", false,
     "send what the server takes: pixi.v1 is spoken in text messages"},
    {1007, PIXI_EXIT_PROTOCOL, "protocol", false,
     "send text as UTF-8; see the server's log for what it objects to"},
    {1008, PIXI_EXIT_CLOSED, "close", false, "see the server's log for the rule that was broken"},
    {1009, PIXI_EXIT_PROTOCOL, "protocol", false,
     "send smaller messages, or raise limits.message_bytes of the server"},
    {1011, PIXI_EXIT_CLOSED, "close", false, "see the server's log for its error, then try again"},
    {1012, PIXI_EXIT_CLOSED, "close", false, "the server restarts: try again in a moment"},
    {1013, PIXI_EXIT_CLOSED, "close", false,
     "the server asks to come back later: it is full, or this reader too slow"},
    {3000, PIXI_EXIT_KEY, "key", true, "put a valid key where the settings take it from"},
    {3003, PIXI_EXIT_KEY, "key", true, "ask the server's operator what this key may do"},
    {3008, PIXI_EXIT_CLOSED, "close", false,
     "see the server's log for what it waited for, and the network between"},
    {0, PIXI_EXIT_CLOSED, "close", false, "see the server's log"},
};

static void fill_closed(struct pixi_failure *f, const struct pixi_failure_at *at,
                        const struct pixi_link_end *end)
{
    const struct code_row *row = codes;

    while (row->code && row->code != end->code)
        row++;
    f->err = PIXI_E_WS_CLOSED;
    f->exit_code = row->exit_code;
    f->layer = row->layer;
    f->is_final = row->is_final;
    f->close_code = end->code;
    pixi_failure_escape(end->reason, f->reason, sizeof f->reason);
    pixi_failure_say(f->cause, "closed by the server with %u%s%s", end->code, *end->reason ? ": " : "",
                     end->reason);
    if (end->code == PIXI_WS_CLOSE_UNAUTHORIZED && at->key_from)
        pixi_failure_key_fix(f->fix, at);
    else
        pixi_failure_say(f->fix, "%s", row->fix);
}

static const struct end_row bad_deflate = {
    0,
    PIXI_EXIT_UPGRADE,
    "upgrade",
    true,
    "agreed on a compression that was not offered so",
    "leave \"compression\" out of the settings, and tell the server's maintainer"};

static bool is_deflate(int err)
{
    return err <= PIXI_E_WS_DEFLATE_NAME && err >= PIXI_E_WS_DEFLATE_CONTEXT;
}

static const struct end_row *row_of(const struct pixi_link_end *end, const struct pixi_link *k)
{
    if (is_deflate(end->err))
        return &bad_deflate;
    return find_row(k->was_open ? when_open : k->is_to_secure ? during_tls : during_upgrade, end->err);
}

struct pixi_failure pixi_failure_end(const struct pixi_failure_at *at, const struct pixi_link_end *end,
                                     const struct pixi_link *k)
{
    const struct end_row *row = row_of(end, k);
    struct pixi_failure f = {.err = end->err, .exit_code = row->exit_code, .layer = row->layer};

    f.is_final = row->is_final;
    if (end->err == PIXI_OK) {
        fill_closed(&f, at, end);
        return f;
    }
    if (end->err == PIXI_E_WS_PROTOCOL && k->was_open && at->protocol)
        pixi_failure_say(f.cause, "%s:%u: speaks WebSocket, but not %s", at->host, at->port, at->protocol);
    else if (end->err == PIXI_E_RESET && end->sys_errno)
        pixi_failure_say(f.cause, "%s:%u: %s: %s", at->host, at->port, row->cause, strerror(end->sys_errno));
    else if (end->err == PIXI_E_TLS)
        pixi_failure_say(f.cause, "%s:%u: %s", at->host, at->port, end->problem);
    else if (row->err && end->err != PIXI_E_WS_TOO_BIG)
        pixi_failure_say(f.cause, "%s:%u: %s", at->host, at->port, row->cause);
    else if (k->was_open)
        pixi_failure_say(f.cause, "%s:%u: %s: %s at byte %llu (%s)", at->host, at->port, row->cause,
                         pixi_err_text(end->err), (unsigned long long)k->reader.fault.offset,
                         pixi_err_clause(end->err));
    else
        pixi_failure_say(f.cause, "%s:%u: %s: %s (%s)", at->host, at->port, row->cause,
                         pixi_err_text(end->err), pixi_err_clause(end->err));
    pixi_failure_say(f.fix, "%s", end->err == PIXI_E_TLS && end->fix ? end->fix : row->fix);
    if (end->err == PIXI_E_WS_PROTOCOL && k->was_open && at->protocol)
        pixi_failure_say(
            f.fix,
            "point \"url\" to a server that speaks it, with its path: /api/v1 for a Pixi server, /mqtt "
            "for many brokers");
    return f;
}

static const struct end_row calls[] = {
    {PIXI_E_NO_RESPONDER, PIXI_EXIT_NO_RESPONDER, "request", true, "nobody answers requests on this topic",
     "start the program that answers it: a subscription whose first level is \"request\""},
    {PIXI_E_TIMEOUT, PIXI_EXIT_TIMEOUT, "request", false, "no answer in time",
     "check the program that should answer, or wait longer (--timeout)"},
    {PIXI_E_FORBIDDEN, PIXI_EXIT_KEY, "key", true, "the API key does not allow this",
     "use a key with that permission: `pixi-ws-server key list` shows what each may do"},
    {PIXI_E_TOPIC, PIXI_EXIT_USAGE, "usage", true, "bad topic or filter",
     "a topic has no '+' or '#'; in a filter '+' stands for a whole level and '#' for the rest"},
    {PIXI_E_STORAGE, PIXI_EXIT_CHECK, "limits", false, "the server's storage is full",
     "let the server's operator free its disk, or raise its limits; or remove retained messages"},
    {PIXI_E_LIMIT, PIXI_EXIT_CHECK, "limits", false, "over a limit of the server",
     "ask for less at a time, or let the server's operator raise the limit"},
    {PIXI_E_RATE, PIXI_EXIT_CHECK, "limits", false, "over a limit of the server",
     "ask for less at a time, or let the server's operator raise the limit"},
    {PIXI_E_WS_TOO_BIG, PIXI_EXIT_CHECK, "limits", true, "message over the limit",
     "send a smaller message, or raise limits.message_bytes of the server"},
    {PIXI_E_HISTORY, PIXI_EXIT_CHECK, "request", true, "the server no longer has that history",
     "start from what it has"},
    {PIXI_E_QUEUE, PIXI_EXIT_CHECK, "limits", false, "the send queue is full",
     "send more slowly, or raise limits.queue_bytes in the settings"},
    {PIXI_E_MQTT_VERSION, PIXI_EXIT_USAGE, "usage", true, "MQTT 3.1.1 has no requests",
     "speak MQTT 5 (--mqtt-version 5), or pixi.v1"},
    {PIXI_E_MQTT_QOS, PIXI_EXIT_USAGE, "usage", true, "the server does not take this QoS",
     "set mqtt.qos (--qos) to less"},
    {PIXI_E_MQTT_RETAIN, PIXI_EXIT_USAGE, "usage", true, "the server keeps no retained messages",
     "send it without --retain, or use a server that keeps them"},
    {PIXI_E_MQTT_IN_DOUBT, PIXI_EXIT_CHECK, "connection", true,
     "in doubt: the server has forgotten the session, perhaps it has the message, perhaps not",
     "see whether it arrived; with mqtt.qos 1 it would have been sent again"},
    {PIXI_E_OUTBOX, PIXI_EXIT_OUTBOX, "outbox", false, "the daemon's outbox is full",
     "see with `pixi-ws-client status` why it does not empty, or raise outbox.bytes"},
    {0, PIXI_EXIT_CHECK, "request", true, "the server answered with an error",
     "ask whoever runs what answered: the server, or for a request its responder"},
};

struct pixi_failure pixi_failure_call(int err, const char *what, struct pixi_cur detail)
{
    const struct end_row *row = find_row(calls, err);
    struct pixi_failure f = {
        .err = err, .exit_code = row->exit_code, .layer = row->layer, .is_final = row->is_final};
    int len = (int)pixi_cur_left(&detail);

    if (len)
        pixi_failure_say(f.cause, "%s: %.*s", what, len, (const char *)detail.p);
    else
        pixi_failure_say(f.cause, "%s: %s", what, row->cause);
    pixi_failure_say(f.fix, "%s", row->fix);
    return f;
}

struct pixi_failure pixi_failure_no_answer(const char *what, const char *detail)
{
    struct pixi_failure f = {
        .err = PIXI_E_RPC_PARAMS, .exit_code = PIXI_EXIT_PROTOCOL, .layer = "protocol", .is_final = true};

    pixi_failure_say(f.cause, "%s: the server's answer is no answer: %s", what, detail);
    pixi_failure_say(f.fix,
                     "tell the server's maintainer; `pixi-ws-client verify` shows which rules it breaks");
    return f;
}

struct pixi_failure pixi_failure_daemon(const char *path, int sys_errno)
{
    struct pixi_failure f = {.err = PIXI_E_CONNECT, .exit_code = PIXI_EXIT_CONNECT, .layer = "daemon"};

    pixi_failure_say(f.cause, "no daemon at %s: %s", path, strerror(sys_errno));
    pixi_failure_say(f.fix, "%s",
                     sys_errno == EACCES
                         ? "become a member of the socket's group, then log in again"
                         : "start it: pixi-ws-client daemon, or systemctl start pixi-ws-client-daemon");
    return f;
}

struct pixi_failure pixi_failure_local(int err, const char *what)
{
    struct pixi_failure f = {
        .err = err, .exit_code = PIXI_EXIT_INTERNAL, .layer = "internal", .is_final = true};

    pixi_failure_say(f.cause, "%s: %s", what, err == PIXI_E_SYS ? strerror(errno) : pixi_err_text(err));
    pixi_failure_say(f.fix, "%s",
                     err == PIXI_E_SYS && errno == EMFILE ? fix_for(strerror(errno))
                                                          : "free memory on this machine, then try again");
    return f;
}
