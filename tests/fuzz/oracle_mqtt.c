/* oracle_mqtt.c -- two readings of MQTT, src/proto's and src/verify's, agree on the same bytes: where a packet ends, its
 * properties, its reason. Input: role and version, a byte that is passed over, stream.
 *
 * src/verify reads what a server sends; rules on what may stand where are proto's alone. */
#include "fuzz/fuzz.h"

#include "proto/mqtt/packet.h"
#include "verify/mqtt.h"

enum { VERIFY_MAX = 1 << 18 };

struct how {
    enum pixi_role from;
    unsigned version;
};

static bool has_reason(unsigned type)
{
    return type == PIXI_MQTT_CONNACK || (type >= PIXI_MQTT_PUBACK && type <= PIXI_MQTT_PUBCOMP) ||
           type == PIXI_MQTT_DISCONNECT || type == PIXI_MQTT_AUTH;
}

static void compare_props(struct pixi_cur block)
{
    struct pixi_cur v = block, text;
    struct pixi_mqtt_prop p;
    uint64_t id, number;

    while (pixi_mqtt_prop_next(&block, &p)) {
        fuzz_must(pixi_vmqtt_cut_property(&v, &id, &number, &text), "what is a property");
        fuzz_must(id == p.id && number == p.num, "the same property");
        fuzz_must(block.p == v.p, "the same length");
        if (p.type == PIXI_MQTT_STR || p.type == PIXI_MQTT_BIN || p.type == PIXI_MQTT_PAIR)
            fuzz_same("the same text", p.type == PIXI_MQTT_PAIR ? p.name : p.val, text);
    }
    fuzz_must(v.p == v.end, "the same block");
}

/* A block at the front of any bytes: well formed for both or for neither. */
static void compare_blocks(struct pixi_cur in, enum pixi_role from, unsigned where)
{
    struct pixi_cur p = in, v = in, block;
    struct pixi_mqtt_props props;
    int rc = pixi_mqtt_props_decode(&p, where, from, &props);
    bool is_well = pixi_vmqtt_cut_properties(&v, &block);

    if (rc == PIXI_OK) {
        fuzz_must(is_well && p.p == v.p, "a block is a block");
        compare_props(props.block);
    }
    fuzz_must(!is_well || (rc != PIXI_E_MQTT_SHORT && rc != PIXI_E_MQTT_VARINT && rc != PIXI_E_MQTT_PROP_ID),
              "what is no block is none");
}

static void compare_reason(const struct how *how, const struct pixi_mqtt_packet *p,
                           const struct pixi_vmqtt_packet *v)
{
    struct pixi_cur text, want = pixi_mqtt_prop_val(&p->props, PIXI_MQTT_PROP_REASON_STRING);
    uint8_t code;

    if (how->version < 5 && p->type == PIXI_MQTT_CONNACK)
        return; /* told as the reason of 5.0 by one, as the return code by the other */
    fuzz_must(pixi_vmqtt_reason(how->version, v, &code, &text), "a reason can be read");
    fuzz_must(code == p->reason, "the same reason");
    fuzz_same("the same reason string", want, text);
}

static void compare_body(const struct how *how, const struct pixi_mqtt_head *head,
                         const struct pixi_vmqtt_packet *v)
{
    struct pixi_mqtt_packet p;
    bool is_old; /* a CONNACK of 3.1.1 as the answer to a CONNECT of 5.0 */

    if (pixi_mqtt_packet_decode(head, v->body, how->from, how->version, &p) != PIXI_OK)
        return;
    is_old = p.type == PIXI_MQTT_CONNACK && pixi_cur_left(&v->body) == 2;
    if (has_reason(p.type) && !is_old)
        compare_reason(how, &p, v);
    if (p.type == PIXI_MQTT_PUBLISH && p.publish.qos)
        fuzz_must(pixi_vmqtt_id_of(v) == p.id, "the same packet identifier");
    compare_props(p.props.block);
}

/* One packet; false when there is no more. */
static bool compare(const struct how *how, struct pixi_cur *in)
{
    struct pixi_cur p = *in, v = *in;
    struct pixi_mqtt_head head;
    struct pixi_vmqtt_packet vp;
    int rc = pixi_mqtt_head_decode(&p, how->from, how->version, &head), vrc = pixi_vmqtt_cut(&v, &vp);

    if (rc != PIXI_OK && rc != PIXI_MORE && rc != PIXI_E_MQTT_VARINT)
        return false; /* a rule that verify leaves to its checks */
    if (rc == PIXI_E_MQTT_VARINT || (rc == PIXI_OK && head.len > VERIFY_MAX)) {
        fuzz_must(vrc == PIXI_E_LIMIT, "a length that is none");
        return false;
    }
    if (rc == PIXI_OK && pixi_cur_left(&p) < head.len)
        rc = PIXI_MORE;
    fuzz_must(rc == vrc, "the same verdict");
    if (rc != PIXI_OK)
        return false;
    fuzz_must(head.type == vp.type && head.flags == vp.flags, "the same packet");
    fuzz_must(head.len == pixi_cur_left(&vp.body) && p.p == vp.body.p, "the same body");
    compare_body(how, &head, &vp);
    *in = v;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct pixi_cur in = pixi_cur_init(bytes, len), c;
    uint8_t choices[2];
    struct how how;

    fuzz_choices(&in, choices, sizeof choices);
    how = (struct how){choices[0] & 1 ? PIXI_SERVER : PIXI_CLIENT, choices[0] & 2 ? 5 : 4};
    for (c = in; compare(&how, &c);)
        ;
    compare_blocks(in, how.from, choices[1] & 15);
    return 0;
}
