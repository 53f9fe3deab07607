#include "verify/mqtt.h"

enum { BODY_MAX = 65536, PACKET_MAX = 1 << 18 };

void pixi_vmqtt_put(struct pixi_buf *out, uint8_t first, struct pixi_cur body)
{
    size_t left = pixi_cur_left(&body);

    pixi_buf_put(out, &first, 1);
    do { /* §1.5.5 */
        uint8_t byte = (uint8_t)(left & 127);

        left >>= 7;
        byte |= left ? 128 : 0;
        pixi_buf_put(out, &byte, 1);
    } while (left);
    pixi_buf_put_cur(out, body);
}

void pixi_vmqtt_put_u16(struct pixi_buf *out, unsigned n)
{
    const uint8_t bytes[] = {(uint8_t)(n >> 8), (uint8_t)n};

    pixi_buf_put(out, bytes, 2);
}

static void put_u8(struct pixi_buf *out, unsigned n)
{
    uint8_t byte = (uint8_t)n;

    pixi_buf_put(out, &byte, 1);
}

static void put_u32(struct pixi_buf *out, uint32_t n)
{
    pixi_vmqtt_put_u16(out, n >> 16);
    pixi_vmqtt_put_u16(out, n & 0xffff);
}

void pixi_vmqtt_put_text(struct pixi_buf *out, struct pixi_cur text)
{
    pixi_vmqtt_put_u16(out, (unsigned)pixi_cur_left(&text));
    pixi_buf_put_cur(out, text);
}

static void put_connect_properties(struct pixi_buf *body, const struct pixi_vmqtt_connect *c)
{
    unsigned len = (c->keeps_session ? 5u : 0u) + (c->receive_max ? 3u : 0u) + (c->packet_max ? 5u : 0u);

    put_u8(body, len);
    if (c->keeps_session) {
        put_u8(body, 0x11); /* Session Expiry Interval, §3.1.2.11.2 */
        put_u32(body, 60);
    }
    if (c->receive_max) {
        put_u8(body, 0x21); /* Receive Maximum, §3.1.2.11.3 */
        pixi_vmqtt_put_u16(body, c->receive_max);
    }
    if (c->packet_max) {
        put_u8(body, 0x27); /* Maximum Packet Size, §3.1.2.11.4 */
        put_u32(body, c->packet_max);
    }
}

static void put_will(struct pixi_buf *body, const struct pixi_vmqtt_connect *c, unsigned level)
{
    if (level == 5)
        put_u8(body, 0);
    pixi_vmqtt_put_text(body, pixi_cur_str(c->will_topic));
    pixi_vmqtt_put_text(body, pixi_cur_str(c->will_payload));
}

void pixi_vmqtt_put_connect(const struct pixi_verify *v, struct pixi_buf *out,
                            const struct pixi_vmqtt_connect *c)
{
    struct pixi_buf body = pixi_buf_init(BODY_MAX);
    unsigned level = c->level ? c->level : v->mqtt.level;
    char id[24] = "verify", wrong[65];
    const char *key = c->key == PIXI_VMQTT_NO_KEY ? NULL : v->s.api_key;

    pixi_check_random(8, id + 6);
    pixi_check_random(32, wrong);
    if (c->key == PIXI_VMQTT_WRONG_KEY)
        key = wrong;
    pixi_vmqtt_put_text(&body, pixi_cur_str("MQTT")); /* §3.1.2 */
    put_u8(&body, level);
    put_u8(&body, (key ? 0xc0u : 0u) | (c->will_topic ? 0x04u : 0u) | (c->keeps_session ? 0u : 0x02u));
    pixi_vmqtt_put_u16(&body, c->keepalive_s);
    if (level >= 5)
        put_connect_properties(&body, c);
    pixi_vmqtt_put_text(&body, pixi_cur_str(c->client_id ? c->client_id : id)); /* §3.1.3 */
    if (c->will_topic)
        put_will(&body, c, level);
    if (key) {
        pixi_vmqtt_put_text(&body, pixi_cur_str("pixi"));
        pixi_vmqtt_put_text(&body, pixi_cur_str(key));
    }
    pixi_vmqtt_put(out, PIXI_VMQTT_CONNECT << 4, pixi_buf_cur(&body));
    pixi_buf_clear(&body);
}

void pixi_vmqtt_put_publish(const struct pixi_vmqtt *m, struct pixi_buf *out,
                            const struct pixi_vmqtt_message *msg)
{
    struct pixi_buf body = pixi_buf_init(BODY_MAX);
    unsigned flags =
        (msg->is_dup ? 8u : 0u) | (unsigned)msg->qos << 1 | (msg->is_retained ? 1u : 0u); /* §3.3.1 */

    pixi_vmqtt_put_text(&body, pixi_cur_str(msg->topic));
    if (msg->qos)
        pixi_vmqtt_put_u16(&body, msg->id);
    if (m->level == 5)
        put_u8(&body, 0);
    pixi_buf_put_cur(&body, msg->payload);
    pixi_vmqtt_put(out, (uint8_t)(PIXI_VMQTT_PUBLISH << 4 | flags), pixi_buf_cur(&body));
    pixi_buf_clear(&body);
}

void pixi_vmqtt_put_subscribe(const struct pixi_vmqtt *m, struct pixi_buf *out, const char *filter,
                              uint8_t qos)
{
    struct pixi_buf body = pixi_buf_init(BODY_MAX);

    pixi_vmqtt_put_u16(&body, m->last_id);
    if (m->level == 5)
        put_u8(&body, 0);
    pixi_vmqtt_put_text(&body, pixi_cur_str(filter));
    put_u8(&body, qos);
    pixi_vmqtt_put(out, PIXI_VMQTT_SUBSCRIBE << 4 | 2, pixi_buf_cur(&body)); /* §3.8.1 */
    pixi_buf_clear(&body);
}

/* A variable byte integer in its shortest form, of at most four bytes.   MQTT 5 §1.5.5, [MQTT-1.5.5-1] */
static int read_varint(struct pixi_cur *c, uint64_t *out)
{
    uint64_t n = 0;

    for (unsigned shift = 0; shift <= 21; shift += 7) {
        if (pixi_cur_left(c) < 1)
            return PIXI_MORE;
        n |= (uint64_t)(*c->p & 127) << shift;
        if (*c->p++ >= 128)
            continue;
        if (shift && c->p[-1] == 0)
            return PIXI_E_LIMIT;
        *out = n;
        return PIXI_OK;
    }
    return PIXI_E_LIMIT;
}

int pixi_vmqtt_cut(struct pixi_cur *in, struct pixi_vmqtt_packet *out)
{
    struct pixi_cur c = *in;
    struct pixi_vmqtt_packet p = {0};
    uint64_t len;
    int rc;

    if (pixi_cur_left(&c) < 1)
        return PIXI_MORE;
    p.type = *c.p >> 4;
    p.flags = *c.p++ & 15;
    rc = read_varint(&c, &len);
    if (rc)
        return rc;
    if (len > PACKET_MAX)
        return PIXI_E_LIMIT;
    if (!pixi_cur_cut(&c, len, &p.body))
        return PIXI_MORE;
    *in = c;
    *out = p;
    return PIXI_OK;
}

/* --- properties ------------------------------------------------------------------------------------------------- */

/* How each property's value is written.                              MQTT 5 §2.2.2.2 */
enum kind { NONE, BYTE, TWO, FOUR, VARINT, TEXT, PAIR };
static const uint8_t kinds[] = {
    [0x01] = BYTE, [0x02] = FOUR, [0x03] = TEXT, [0x08] = TEXT, [0x09] = TEXT, [0x0b] = VARINT, [0x11] = FOUR,
    [0x12] = TEXT, [0x13] = TWO,  [0x15] = TEXT, [0x16] = TEXT, [0x17] = BYTE, [0x18] = FOUR,   [0x19] = BYTE,
    [0x1a] = TEXT, [0x1c] = TEXT, [0x1f] = TEXT, [0x21] = TWO,  [0x22] = TWO,  [0x23] = TWO,    [0x24] = BYTE,
    [0x25] = BYTE, [0x26] = PAIR, [0x27] = FOUR, [0x28] = BYTE, [0x29] = BYTE, [0x2a] = BYTE,
};

static bool cut_text(struct pixi_cur *c, struct pixi_cur *out)
{
    uint64_t len;

    return pixi_cur_uint(c, 2, &len) && pixi_cur_cut(c, len, out);
}

bool pixi_vmqtt_cut_property(struct pixi_cur *c, uint64_t *id, uint64_t *number, struct pixi_cur *text)
{
    struct pixi_cur second;

    *number = 0;
    *text = pixi_cur_str("");
    if (read_varint(c, id) != PIXI_OK || *id >= sizeof kinds)
        return false;
    switch (kinds[*id]) {
    case BYTE: return pixi_cur_uint(c, 1, number);
    case TWO: return pixi_cur_uint(c, 2, number);
    case FOUR: return pixi_cur_uint(c, 4, number);
    case VARINT: return read_varint(c, number) == PIXI_OK;
    case TEXT: return cut_text(c, text);
    case PAIR: return cut_text(c, text) && cut_text(c, &second);
    default: return false;
    }
}

bool pixi_vmqtt_cut_properties(struct pixi_cur *body, struct pixi_cur *out)
{
    struct pixi_cur c;
    uint64_t len, id, number;
    struct pixi_cur text;

    if (read_varint(body, &len) != PIXI_OK || !pixi_cur_cut(body, len, out))
        return false;
    for (c = *out; pixi_cur_left(&c);)
        if (!pixi_vmqtt_cut_property(&c, &id, &number, &text))
            return false;
    return true;
}

/* How many bytes stand before the reason code. */
static size_t before_reason(uint8_t type)
{
    switch (type) {
    case PIXI_VMQTT_CONNACK: return 1;
    case PIXI_VMQTT_DISCONNECT:
    case PIXI_VMQTT_AUTH: return 0;
    default: return 2; /* a packet identifier */
    }
}

bool pixi_vmqtt_reason(unsigned level, const struct pixi_vmqtt_packet *p, uint8_t *code,
                       struct pixi_cur *text)
{
    struct pixi_cur c = p->body, skipped, properties, value;
    uint64_t n = 0, id, number;

    *code = 0;
    *text = pixi_cur_str("");
    if (!pixi_cur_cut(&c, before_reason(p->type), &skipped))
        return false;
    if (!pixi_cur_left(&c)) /* §3.4.2.1: none is Success; but a CONNACK has one */
        return p->type != PIXI_VMQTT_CONNACK;
    if ((level < 5 && p->type != PIXI_VMQTT_CONNACK) || !pixi_cur_uint(&c, 1, &n))
        return false;
    *code = (uint8_t)n;
    if (level < 5 || !pixi_cur_left(&c))
        return level < 5 ? !pixi_cur_left(&c) : p->type != PIXI_VMQTT_CONNACK;
    if (!pixi_vmqtt_cut_properties(&c, &properties) || pixi_cur_left(&c))
        return false;
    while (pixi_cur_left(&properties) && pixi_vmqtt_cut_property(&properties, &id, &number, &value))
        if (id == 0x1f)
            *text = value;
    return true;
}
