/* An endpoint that sends back what it gets: the servers that one tries WebSocket clients with. */
#include "verify/checks.h"

enum { ECHO_MS = 1000 };

static bool comes_back(struct pixi_peer *p, uint8_t opcode, struct pixi_cur bytes, struct pixi_event *e,
                       int *rc)
{
    uint64_t deadline = pixi_wires_deadline(ECHO_MS);

    pixi_peer_send(p, &(struct pixi_vframe_form){.opcode = opcode}, bytes);
    /* some greet first */
    do {
        *rc = pixi_peer_next(p, deadline, e);
        if (*rc == PIXI_OK && e->opcode == opcode && pixi_cur_equals(e->bytes, bytes))
            return true;
    } while (*rc == PIXI_OK && e->opcode != PIXI_VFRAME_CLOSE);
    return false;
}

void pixi_check_echo_text(struct pixi_verify *v)
{
    struct pixi_peer p;
    struct pixi_event e;
    int rc;

    if (pixi_check_has(v, PIXI_FACT_PIXI)) {
        pixi_check_skip(v, "this endpoint speaks pixi.v1");
        return;
    }
    if (!pixi_check_open(v, &p))
        return;
    if (comes_back(&p, PIXI_VFRAME_TEXT, pixi_cur_str("verify: grün ✓ 🦆"), &e, &rc)) {
        v->facts |= PIXI_FACT_ECHOES | PIXI_FACT_ANSWERS;
        pixi_check_pass(v, "the same text");
    } else if (rc == PIXI_OK || rc == PIXI_E_TIMEOUT || rc == PIXI_E_WS_NO_CLOSE || rc == PIXI_E_RESET) {
        pixi_check_skip(v, "this endpoint does not echo messages");
    } else {
        pixi_blame_next(v, rc, "the echo");
    }
    pixi_peer_close(&p);
}

void pixi_check_echo_binary(struct pixi_verify *v)
{
    struct pixi_peer p;
    struct pixi_event e;
    uint8_t bytes[1024];
    int rc;

    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    if (!pixi_check_open(v, &p))
        return;
    if (comes_back(&p, PIXI_VFRAME_BINARY, pixi_cur_init(bytes, sizeof bytes), &e, &rc)) {
        pixi_check_pass(v, "the same 1,024 bytes");
    } else if (rc == PIXI_OK) {
        pixi_blame_close(v, &e, "the echo of a binary message");
    } else {
        pixi_blame_next(v, rc, "the echo of a binary message");
    }
    pixi_peer_close(&p);
}
