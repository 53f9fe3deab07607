/* From what a connection did to a failure: exit code, clause, cause, fix. */
#include "verify/check.h"

#include <stdio.h>

/* A 101 that breaks a rule. */
static const struct rule {
    int err;
    const char *field, *cause, *fix; /* field: the one whose value is shown */
} rules[] = {
    {PIXI_E_HTTP_VERSION, "Upgrade", "the server upgraded in HTTP/1.0",
     "let the server or the proxy in front of it answer in HTTP/1.1"},
    {PIXI_E_WS_UPGRADE, "Upgrade", "the 101 lacks \"Upgrade: websocket\" or \"Connection: Upgrade\"",
     "let the server send both fields; a proxy in front must pass them on"},
    {PIXI_E_WS_ACCEPT, "Sec-WebSocket-Accept", "Sec-WebSocket-Accept does not fit the key we sent",
     "let the server compute it from our Sec-WebSocket-Key (RFC 6455 §4.2.2); a cache or proxy may have "
     "answered "
     "in its place"},
    {PIXI_E_WS_PROTOCOL, "Sec-WebSocket-Protocol", "the server selected a subprotocol that was not offered",
     "let the server select one of the offered subprotocols, or none"},
    {PIXI_E_WS_EXTENSION, "Sec-WebSocket-Extensions",
     "the server agreed on an extension that was not offered",
     "let the server use extensions only where the client offers them"},
};

static void blame_rule(struct pixi_verify *v, const struct pixi_peer *p, const struct rule *rule)
{
    struct pixi_cur value = pixi_cur_str("not there");
    char shown[PIXI_SHOWN];

    (void)pixi_vhttp_get(&p->head, rule->field, 0, &value);
    pixi_check_fail(v, PIXI_EXIT_UPGRADE, pixi_err_clause(rule->err), "%s (%s: %s)", rule->cause, rule->field,
                    pixi_check_show(v, value, shown));
    pixi_check_fix(v, "%s", rule->fix);
}

static void blame_answer(struct pixi_verify *v, const struct pixi_peer *p, int rc)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].err == rc) {
            blame_rule(v, p, &rules[i]);
            return;
        }
    }
    pixi_check_fail(v, PIXI_EXIT_UPGRADE, pixi_err_clause(rc), "the head of the answer is malformed: %s",
                    pixi_err_text(rc));
    pixi_check_fix(v, "let the server send a well-formed HTTP/1.1 head; see which program listens on port %u",
                   v->url.port);
}

/* The connection was open, the head never whole. */
static void blame_silence(struct pixi_verify *v, const struct pixi_peer *p, int rc)
{
    size_t len = p->wire.in.len;
    char came[64] = "nothing";

    if (len)
        snprintf(came, sizeof came, "only %zu bytes of an unfinished answer", len);
    if (rc == PIXI_E_TIMEOUT) {
        pixi_check_fail(v, PIXI_EXIT_TIMEOUT, "", "%s came within %u ms of the request", came,
                        v->s.upgrade_ms);
        pixi_check_fix(
            v,
            "see that a WebSocket server, not another program, listens on port %u and is not stuck; "
            "raise timeouts.upgrade_ms in %s if it is only slow",
            v->url.port, pixi_check_settings_name(v));
        return;
    }
    pixi_check_fail(v, PIXI_EXIT_UPGRADE, "", "the server %s the connection; %s came before",
                    rc == PIXI_E_RESET ? "reset" : "closed", came);
    pixi_check_fix(
        v, "see the server's log for why it hung up; a ws:// URL to a TLS port does this too: then write "
           "wss:// in \"url\"");
}

void pixi_blame_proxy(struct pixi_verify *v)
{
    char shown[PIXI_SHOWN];

    v->r->layer = "proxy";
    pixi_check_fail(v, PIXI_EXIT_CONNECT, "", "%s",
                    pixi_check_show(v, pixi_cur_str(v->wires.dial.text), shown));
    if (v->wires.dial_err == PIXI_E_PROXY_USER)
        pixi_check_fix(v,
                       "put the proxy's user name and password into proxy.username and proxy.password_file");
    else
        pixi_check_fix(v, "see the proxy's log, and whether it may connect to %s port %u", v->url.host,
                       v->url.port);
}

static void blame_connect(struct pixi_verify *v)
{
    if (v->wires.proxy) {
        pixi_blame_proxy(v);
        return;
    }
    v->r->layer = "tcp";
    pixi_check_fail(v, PIXI_EXIT_CONNECT, "", "no connection: %s", v->wires.dial.text);
    pixi_check_fix(v, "keep the server running, and see its log for a limit on connections");
}

static const struct tls_row {
    int err, exit_code;
    const char *cause, *fix;
} tls_rows[] = {
    {PIXI_E_TIMEOUT, PIXI_EXIT_TIMEOUT, "the TLS handshake was not answered in time",
     "see that a TLS server listens on this port; one that speaks ws:// may wait for ever"},
    {PIXI_E_WS_NO_CLOSE, PIXI_EXIT_TLS, "the server closed the connection during the TLS handshake",
     "see that a TLS server listens on this port; one that speaks ws:// closes when it hears wss://"},
    {PIXI_E_RESET, PIXI_EXIT_TLS, "the server reset the connection during the TLS handshake",
     "see that a TLS server listens on this port, and its log"},
};

void pixi_blame_tls(struct pixi_verify *v)
{
    const struct pixi_wires *ws = &v->wires;
    char shown[PIXI_SHOWN];

    v->r->layer = "tls";
    for (size_t i = 0; i < sizeof tls_rows / sizeof *tls_rows; i++) {
        if (tls_rows[i].err != ws->secure_err)
            continue;
        pixi_check_fail(v, tls_rows[i].exit_code, "", "%s", tls_rows[i].cause);
        pixi_check_fix(v, "%s", tls_rows[i].fix);
        return;
    }
    pixi_check_fail(v, PIXI_EXIT_TLS, "", "%s", pixi_check_show(v, pixi_cur_str(ws->tls_problem), shown));
    pixi_check_fix(v, "%s", ws->tls_fix);
}

void pixi_blame_open(struct pixi_verify *v, struct pixi_peer *p, int rc)
{
    v->r->layer = "upgrade";
    switch (rc) {
    case PIXI_E_CONNECT: blame_connect(v); break;
    case PIXI_E_TLS: pixi_blame_tls(v); break;
    case PIXI_E_WS_STATUS: pixi_blame_status(v, p); break;
    case PIXI_E_HTTP_START: pixi_blame_stranger(v, pixi_buf_cur(&p->wire.in)); break;
    case PIXI_E_TIMEOUT:
    case PIXI_E_RESET:
    case PIXI_E_WS_NO_CLOSE: blame_silence(v, p, rc); break;
    default: blame_answer(v, p, rc);
    }
}

void pixi_blame_next(struct pixi_verify *v, int rc, const char *awaited)
{
    if (rc == PIXI_E_TIMEOUT) {
        pixi_check_fail(v, PIXI_EXIT_TIMEOUT, "", "%s did not come in time", awaited);
        pixi_check_fix(
            v, "see whether the server is overloaded or stuck; raise the timeouts in %s if it is only slow",
            pixi_check_settings_name(v));
    } else if (rc == PIXI_E_TLS) {
        pixi_blame_tls(v);
    } else if (rc == PIXI_E_WS_NO_CLOSE || rc == PIXI_E_RESET) {
        pixi_check_fail(v, PIXI_EXIT_CLOSED, "RFC 6455 §7.1.5",
                        "the server %s the connection without a close frame; %s was awaited",
                        rc == PIXI_E_RESET ? "reset" : "ended", awaited);
        pixi_check_fix(v, "see the server's log for a crash or an error at this time");
    } else {
        pixi_check_fail(v, PIXI_EXIT_PROTOCOL, pixi_err_clause(rc),
                        "the server sent what RFC 6455 forbids: %s", pixi_err_text(rc));
        pixi_check_fix(v, "correct the server's WebSocket code as %s says", pixi_err_clause(rc));
    }
}

static const struct close_code {
    uint16_t code;
    int exit_code;
    const char *layer, *name, *fix; /* layer NULL: the row's own */
} close_codes[] = {
    {1001, PIXI_EXIT_CLOSED, NULL, "going away", "start the server again and verify once more"},
    {1002, PIXI_EXIT_CLOSED, NULL, "protocol error",
     "the server took a correct frame for a wrong one: correct its WebSocket code"},
    {1007, PIXI_EXIT_CLOSED, NULL, "bad UTF-8",
     "the server took correct UTF-8 for wrong: correct its UTF-8 check"},
    {1008, PIXI_EXIT_CLOSED, NULL, "policy", "see the server's log for the policy that was broken"},
    {1009, PIXI_EXIT_CLOSED, NULL, "too big",
     "raise the server's message limit: this check sends less than 2 kB"},
    {1011, PIXI_EXIT_CLOSED, NULL, "internal error", "see the server's log for the error"},
    {1012, PIXI_EXIT_CLOSED, NULL, "restarting", "wait until the server is up, then verify again"},
    {1013, PIXI_EXIT_CLOSED, NULL, "try later", "wait until the server has less to do, then verify again"},
    {3000, PIXI_EXIT_KEY, "key", "unauthorized", "put an API key that this server knows into the settings"},
    {3003, PIXI_EXIT_KEY, "key", "forbidden",
     "give the key publish and subscribe on event/verify/# and request/verify/#"},
};

void pixi_blame_close(struct pixi_verify *v, const struct pixi_event *e, const char *awaited)
{
    static const struct close_code other = {0, PIXI_EXIT_CLOSED, NULL, "closed",
                                            "see the server's log for why it closed the connection"};
    const struct close_code *c = &other;
    char shown[PIXI_SHOWN];

    for (size_t i = 0; i < sizeof close_codes / sizeof *close_codes; i++)
        if (close_codes[i].code == e->code)
            c = &close_codes[i];
    if (c->layer)
        v->r->layer = c->layer;
    pixi_check_show(v, e->bytes, shown);
    pixi_check_fail(v, c->exit_code, "", "the server closed with %u (%s)%s%s while %s was awaited", e->code,
                    c->name, shown[0] ? ": " : "", shown, awaited);
    pixi_check_fix(v, "%s", c->fix);
}
