/* The API key: the right one is let in, none and a wrong one are not. */
#include "verify/checks.h"
#include "verify/session.h"

void pixi_check_key(struct pixi_verify *v)
{
    struct pixi_session s;
    struct pixi_answer a = {0};

    if (!pixi_session_open(v, &s))
        return;
    /* a server may upgrade first and refuse by a close frame: only an answered call proves it */
    if (pixi_session_answer(v, &s, pixi_session_send(&s, "ping", "{}"), "ping", &a) &&
        (!a.is_error || a.code != -32001)) {
        v->facts |= PIXI_FACT_ADMITTED;
        pixi_check_pass(v, "accepted, from %s", pixi_check_key_origin(v));
    } else if (a.is_error) {
        pixi_session_blame(v, &a, "ping");
    }
    pixi_session_close(&s);
}

static void judge_refusal(struct pixi_verify *v, const struct pixi_peer *p, const char *which)
{
    struct pixi_cur challenge;

    if (p->head.status != 401) {
        pixi_check_fail(v, PIXI_EXIT_KEY, "RFC 9110 §15.5.2",
                        "a connection with %s was refused with %u, not with 401", which, p->head.status);
        pixi_check_fix(
            v, "let the server answer 401 with WWW-Authenticate: Bearer, so that clients know what to do");
    } else if (!pixi_vhttp_get(&p->head, "WWW-Authenticate", 0, &challenge)) {
        pixi_check_fail(v, PIXI_EXIT_KEY, "RFC 9110 §11.6.1",
                        "a connection with %s was refused with 401, but without "
                        "WWW-Authenticate",
                        which);
        pixi_check_fix(v, "let the server add WWW-Authenticate: Bearer to its 401");
    } else if (pixi_cur_left(&challenge) < 6 ||
               !pixi_vhttp_is((struct pixi_cur){challenge.p, challenge.p + 6}, "Bearer")) {
        char shown[PIXI_SHOWN];

        pixi_check_fail(v, PIXI_EXIT_KEY, "RFC 6750 §3",
                        "a connection with %s was refused with 401 and WWW-Authenticate: %s", which,
                        pixi_check_show(v, challenge, shown));
        pixi_check_fix(v, "let the server say WWW-Authenticate: Bearer: keys are sent as bearer tokens");
    } else {
        pixi_check_pass(v, "401, WWW-Authenticate: Bearer");
    }
}

static void try_key(struct pixi_verify *v, const char *key, const char *which, const char *open_cause)
{
    const struct pixi_peer_offer offer = {.authority = v->url.authority,
                                          .target = v->url.target,
                                          .subprotocol = "pixi.v1",
                                          .api_key = key,
                                          .connect_ms = v->s.connect_ms,
                                          .upgrade_ms = v->s.upgrade_ms};
    struct pixi_peer p;
    int rc = pixi_peer_open(&p, &v->wires, &offer);

    if (rc == PIXI_OK) {
        pixi_check_fail(v, PIXI_EXIT_KEY, "", "%s", open_cause);
        pixi_check_fix(
            v, "give the server its keys (pixi-ws-server --keys FILE) and let it refuse everyone else: as it "
               "is, anybody who reaches it can use it");
    } else if (rc == PIXI_E_WS_STATUS) {
        judge_refusal(v, &p, which);
    } else {
        pixi_blame_open(v, &p, rc);
    }
    pixi_peer_close(&p);
}

void pixi_check_key_missing(struct pixi_verify *v)
{
    try_key(v, NULL, "no key", "the server accepts connections without a key");
}

void pixi_check_key_wrong(struct pixi_verify *v)
{
    char key[65]; /* as long as 256 bits in hex: no server has it */

    pixi_check_random(32, key);
    try_key(v, key, "a wrong key", "the server accepts connections with a key that nobody gave out");
}
