/* MQTT: who is let in, and what a session is. */
#include "verify/checks.h"
#include "verify/mqtt.h"

#include <stdio.h>

static const struct pixi_vmqtt_connect plain;

/* --- does this endpoint speak MQTT? ------------------------------------------------------------------------------ */

static bool is_unauthorized(const struct pixi_vmqtt *m)
{
    return m->peer.head.status == 401 || m->peer.head.status == 403;
}

/* Has it agreed to? Told, as a skip, where it has not. */
static bool has_mqtt(struct pixi_verify *v, struct pixi_vmqtt *m, int rc)
{
    struct pixi_cur selected;

    if (rc == PIXI_E_WS_STATUS && !is_unauthorized(m)) {
        pixi_check_skip(v, "this endpoint does not offer the subprotocol mqtt (%u)", m->peer.head.status);
        return false;
    }
    if (rc) {
        pixi_blame_open(v, &m->peer, rc);
        return false;
    }
    if (!pixi_vhttp_get(&m->peer.head, "Sec-WebSocket-Protocol", 0, &selected)) {
        pixi_check_skip(v, "this endpoint does not offer the subprotocol mqtt");
        return false;
    }
    return true;
}

/* Sends CONNECT, and waits. An echo is none of ours: PIXI_VMQTT_SILENT, and told. */
static enum pixi_vmqtt_came ask(struct pixi_verify *v, struct pixi_vmqtt *m,
                                const struct pixi_vmqtt_connect *c, struct pixi_vmqtt_packet *out)
{
    struct pixi_buf b = pixi_buf_init(1 << 16);

    pixi_vmqtt_put_connect(v, &b, c);
    pixi_vmqtt_send(m, pixi_buf_cur(&b));
    pixi_buf_clear(&b);
    return pixi_vmqtt_next(m, pixi_wires_deadline(v->s.request_ms), out);
}

/* The first CONNECT of this level. PIXI_MORE: another level is worth a try. */
static int try_level(struct pixi_verify *v, unsigned level)
{
    struct pixi_vmqtt m;
    struct pixi_vmqtt_packet p;
    struct pixi_cur text;
    enum pixi_vmqtt_came came;
    uint8_t code = 0;
    int rc;

    v->mqtt.level = level;
    v->mqtt.max_qos = 2;
    rc = pixi_vmqtt_upgrade(v, &m, &plain);
    if (rc == PIXI_E_WS_STATUS && is_unauthorized(&m) && v->s.api_key && !v->mqtt.wants_header) {
        pixi_vmqtt_close(&m);
        v->mqtt.wants_header = true; /* it wants to know at the upgrade */
        rc = pixi_vmqtt_upgrade(v, &m, &plain);
    }
    if (!has_mqtt(v, &m, rc)) {
        pixi_vmqtt_close(&m);
        return PIXI_E_RPC_ERROR;
    }
    came = ask(v, &m, &plain, &p);
    rc = PIXI_E_RPC_ERROR;
    if (came != PIXI_VMQTT_CAME) {
        pixi_vmqtt_blame(v, &m, came, "the CONNACK");
        rc = level == 5 && came != PIXI_VMQTT_SILENT ? PIXI_MORE : rc;
    } else if (p.type == PIXI_VMQTT_CONNECT) {
        pixi_check_skip(v, "this endpoint sends back what it gets: an echo, no MQTT");
    } else if (p.type == PIXI_VMQTT_CONNACK && level == 5 && pixi_cur_left(&p.body) == 2) {
        rc = PIXI_MORE; /* a CONNACK of 3.1.1 */
    } else if (p.type != PIXI_VMQTT_CONNACK || !pixi_vmqtt_reason(level, &p, &code, &text)) {
        pixi_check_fail(v, PIXI_EXIT_PROTOCOL, "MQTT-3.2.0-1", "the answer to CONNECT is no CONNACK");
        pixi_check_fix(v, "let the server answer CONNECT with a CONNACK first");
    } else if (code) {
        pixi_vmqtt_blame_reason(v, "CONNECT", code, text);
        rc = level == 5 && code == 0x84 ? PIXI_MORE : rc;
    } else {
        rc = PIXI_OK;
    }
    pixi_vmqtt_close(&m);
    return rc;
}

void pixi_check_mqtt(struct pixi_verify *v)
{
    int rc = try_level(v, 5);

    if (rc == PIXI_OK)
        v->facts |= PIXI_FACT_MQTT_5;
    else if (rc == PIXI_MORE)
        rc = try_level(v, 4);
    if (rc)
        return;
    v->facts |= PIXI_FACT_MQTT;
    pixi_check_pass(v, "MQTT %s, %s", v->mqtt.level == 5 ? "5.0" : "3.1.1 only",
                    !v->s.api_key          ? "no API key"
                    : v->mqtt.wants_header ? "API key in the upgrade"
                                           : "API key in CONNECT");
}

void pixi_check_mqtt_old(struct pixi_verify *v)
{
    static const struct pixi_vmqtt_connect old = {.level = 4};
    struct pixi_vmqtt m;

    if (pixi_vmqtt_open(v, &m, &old)) {
        pixi_vmqtt_close(&m);
        pixi_check_pass(v, "accepted");
    } else if (m.reason == 1) {
        pixi_check_skip(v, "this server speaks MQTT 5.0 only");
    }
}

/* --- who is not let in ------------------------------------------------------------------------------------------- */

/* Whether with a CONNACK or by closing, it has to end. *code: of the CONNACK; 0: none came. false: told. */
static bool is_refused(struct pixi_verify *v, const struct pixi_vmqtt_connect *c, uint8_t *code)
{
    struct pixi_vmqtt m;
    struct pixi_vmqtt_packet p;
    struct pixi_cur text;
    enum pixi_vmqtt_came came;
    int rc = pixi_vmqtt_upgrade(v, &m, c);
    bool is_well = true;

    *code = 0;
    if (rc == PIXI_E_WS_STATUS && is_unauthorized(&m)) {
        pixi_vmqtt_close(&m);
        return true;
    }
    if (rc) {
        pixi_blame_open(v, &m.peer, rc);
        pixi_vmqtt_close(&m);
        return false;
    }
    came = ask(v, &m, c, &p);
    if (came == PIXI_VMQTT_SILENT || came == PIXI_VMQTT_BROKEN) {
        pixi_vmqtt_blame(v, &m, came, "a refusal");
        is_well = false;
    } else if (came == PIXI_VMQTT_CAME) {
        is_well = p.type == PIXI_VMQTT_CONNACK &&
                  pixi_vmqtt_reason(pixi_cur_left(&p.body) == 2 ? 4 : 5, &p, code, &text);
        if (is_well && *code) {
            is_well = pixi_vmqtt_has_ended(&m, v->s.close_ms);
            if (!is_well) {
                pixi_check_fail(v, PIXI_EXIT_TIMEOUT, "MQTT-3.2.2-7",
                                "the server refused CONNECT with 0x%02X, and left the connection open",
                                *code);
                pixi_check_fix(v, "let the server close the connection after a CONNACK that refuses");
            }
        } else {
            pixi_check_fail(v, PIXI_EXIT_KEY, "", "the server lets it in");
        }
    }
    pixi_vmqtt_close(&m);
    return is_well && (came != PIXI_VMQTT_CAME || *code);
}

static void try_key(struct pixi_verify *v, const struct pixi_vmqtt_connect *c, const char *which)
{
    uint8_t code;

    if (!is_refused(v, c, &code)) {
        if (v->r->exit_code != PIXI_EXIT_KEY)
            return;
        pixi_check_fail(v, PIXI_EXIT_KEY, "MQTT 5 §3.1.4", "the server accepts CONNECT with %s", which);
        pixi_check_fix(v, "let the server check the password of CONNECT as it does API keys");
    } else if (code && code != 0x86 && code != 0x87 && code != 4 && code != 5) {
        pixi_check_fail(v, PIXI_EXIT_KEY, "MQTT 5 §3.2.2.2",
                        "CONNECT with %s was refused with 0x%02X, not with 0x86 or 0x87", which, code);
        pixi_check_fix(v, "let the server say that it is the key, so that clients know what to do");
    } else if (code) {
        pixi_check_pass(v, "CONNACK 0x%02X", code);
    } else {
        pixi_check_pass(v, "refused without a CONNACK");
    }
}

void pixi_check_mqtt_no_key(struct pixi_verify *v)
{
    try_key(v, &(struct pixi_vmqtt_connect){.key = PIXI_VMQTT_NO_KEY}, "no key");
}

void pixi_check_mqtt_wrong_key(struct pixi_verify *v)
{
    try_key(v, &(struct pixi_vmqtt_connect){.key = PIXI_VMQTT_WRONG_KEY}, "a wrong key");
}

/*                                                                    MQTT 5 §3.1.2.2 */
void pixi_check_mqtt_version(struct pixi_verify *v)
{
    uint8_t code;

    if (!is_refused(v, &(struct pixi_vmqtt_connect){.level = 6}, &code)) {
        if (v->r->exit_code != PIXI_EXIT_KEY)
            return;
        pixi_check_fail(v, PIXI_EXIT_PROTOCOL, "MQTT-3.1.2-2", "the server accepts protocol version 6");
    } else if (code && code != 0x84 && code != 1) {
        pixi_check_fail(v, PIXI_EXIT_PROTOCOL, "MQTT-3.1.2-2",
                        "version 6 was refused with 0x%02X, not with 0x84", code);
    } else {
        if (code)
            pixi_check_pass(v, "CONNACK 0x%02X", code);
        else
            pixi_check_pass(v, "closed without a CONNACK");
        return;
    }
    pixi_check_fix(v, "let the server refuse versions that it does not know with 0x84 (or, for 3.1.1, 0x01)");
}
