#include "base/topic.h"
#include "proto/mqtt/field.h"
#include "proto/mqtt/packet.h"

enum { CLEAN = 0x02, WILL = 0x04, WILL_QOS_SHIFT = 3, WILL_RETAIN = 0x20, PASSWORD = 0x40, USER = 0x80 };
enum { NO_LOCAL = 0x04, AS_PUBLISHED = 0x08, HANDLING_SHIFT = 4 };

/* A body while it is read. */
struct body {
    struct pixi_cur in;
    enum pixi_role from;
    unsigned version;
    uint8_t flags; /* of the fixed header */
};

static bool is_done(const struct body *b)
{
    return b->in.p == b->in.end;
}

/* A block of properties, where the version has them. */
static int read_props(struct body *b, enum pixi_mqtt_where where, struct pixi_mqtt_props *out)
{
    return b->version == PIXI_MQTT_V5 ? pixi_mqtt_props_decode(&b->in, where, b->from, out) : PIXI_OK;
}

static int read_id(struct body *b, uint16_t *out)
{
    int rc = pixi_mqtt_u16_decode(&b->in, out);

    return rc == PIXI_OK && *out == 0 ? PIXI_E_MQTT_PACKET_ID : rc;
}

static int read_topic(struct body *b, struct pixi_cur *out)
{
    int rc = pixi_mqtt_str_decode(&b->in, out);

    return rc == PIXI_OK && pixi_topic_check(*out) != PIXI_OK ? PIXI_E_MQTT_TOPIC : rc;
}

static int read_reason(struct body *b, enum pixi_mqtt_where type, uint8_t *out)
{
    int rc = pixi_mqtt_u8_decode(&b->in, out);

    return rc != PIXI_OK ? rc : pixi_mqtt_reason_check(*out, type, b->from);
}

/* ---- CONNECT, CONNACK ---- */

static int read_version(struct body *b)
{
    struct pixi_cur name;
    uint8_t level;
    int rc;

    if ((rc = pixi_mqtt_bin_decode(&b->in, &name)) != PIXI_OK)
        return rc;
    if (!pixi_cur_equals(name, pixi_cur_str("MQTT")))
        return PIXI_E_MQTT_NAME;
    if ((rc = pixi_mqtt_u8_decode(&b->in, &level)) != PIXI_OK)
        return rc;
    b->version = level;
    return level == PIXI_MQTT_V3 || level == PIXI_MQTT_V5 ? PIXI_OK : PIXI_E_MQTT_VERSION;
}

static int check_connect_flags(unsigned flags, unsigned version)
{
    unsigned will_qos = flags >> WILL_QOS_SHIFT & 3;

    if (flags & 1)
        return PIXI_E_MQTT_RESERVED;
    if (will_qos == 3 || (!(flags & WILL) && (will_qos || flags & WILL_RETAIN)))
        return PIXI_E_MQTT_WILL;
    if (version == PIXI_MQTT_V3 && flags & PASSWORD && !(flags & USER))
        return PIXI_E_MQTT_PASSWORD;
    return PIXI_OK;
}

static int read_will(struct body *b, unsigned flags, struct pixi_mqtt_will *out)
{
    int rc;

    if (!(flags & WILL))
        return PIXI_OK;
    if ((rc = read_props(b, PIXI_MQTT_WILL, &out->props)) != PIXI_OK ||
        (rc = read_topic(b, &out->topic)) != PIXI_OK)
        return rc;
    out->qos = flags >> WILL_QOS_SHIFT & 3;
    out->is_retain = flags & WILL_RETAIN;
    return pixi_mqtt_bin_decode(&b->in, &out->payload);
}

static int read_connect_payload(struct body *b, unsigned flags, struct pixi_mqtt_connect *c)
{
    int rc;

    if ((rc = pixi_mqtt_str_decode(&b->in, &c->client_id)) != PIXI_OK)
        return rc;
    /* [MQTT-3.1.3-8] of 3.1.1: there the server cannot tell a client which identifier it chose */
    if (b->version == PIXI_MQTT_V3 && c->client_id.p == c->client_id.end && !c->is_clean)
        return PIXI_E_MQTT_CLIENT_ID;
    if ((rc = read_will(b, flags, &c->will)) != PIXI_OK)
        return rc;
    if (flags & USER && (rc = pixi_mqtt_str_decode(&b->in, &c->user)) != PIXI_OK)
        return rc;
    return flags & PASSWORD ? pixi_mqtt_bin_decode(&b->in, &c->password) : PIXI_OK;
}

static int read_connect(struct body *b, struct pixi_mqtt_packet *p)
{
    struct pixi_mqtt_connect *c = &p->connect;
    uint8_t flags;
    int rc;

    if ((rc = read_version(b)) != PIXI_OK || (rc = pixi_mqtt_u8_decode(&b->in, &flags)) != PIXI_OK ||
        (rc = check_connect_flags(flags, b->version)) != PIXI_OK ||
        (rc = pixi_mqtt_u16_decode(&b->in, &c->keep_alive_s)) != PIXI_OK ||
        (rc = read_props(b, PIXI_MQTT_CONNECT, &p->props)) != PIXI_OK)
        return rc;
    c->version = b->version == PIXI_MQTT_V3 ? PIXI_MQTT_V3 : PIXI_MQTT_V5;
    c->is_clean = flags & CLEAN;
    return read_connect_payload(b, flags, c);
}

static int read_connack_reason(struct body *b, uint8_t *out)
{
    int rc;

    if (b->version == PIXI_MQTT_V5)
        return read_reason(b, PIXI_MQTT_CONNACK, out);
    if ((rc = pixi_mqtt_u8_decode(&b->in, out)) != PIXI_OK)
        return rc;
    if (*out > 5)
        return PIXI_E_MQTT_REASON;
    *out = (uint8_t)pixi_mqtt_reason_of(*out);
    return PIXI_OK;
}

static int read_connack(struct body *b, struct pixi_mqtt_packet *p)
{
    uint8_t flags;
    int rc;

    if ((rc = pixi_mqtt_u8_decode(&b->in, &flags)) != PIXI_OK)
        return rc;
    if (flags & ~1u)
        return PIXI_E_MQTT_RESERVED;
    if (pixi_cur_left(&b->in) == 1 && *b->in.p == 1)
        b->version = PIXI_MQTT_V3; /* a server of 3.1.1 says in its own words that it does not know 5.0 */
    if ((rc = read_connack_reason(b, &p->reason)) != PIXI_OK)
        return rc;
    if (flags && p->reason)
        return PIXI_E_MQTT_SESSION;
    p->is_session_present = flags;
    return read_props(b, PIXI_MQTT_CONNACK, &p->props);
}

/* ---- PUBLISH and its acknowledgements ---- */

static int read_publish(struct body *b, struct pixi_mqtt_packet *p)
{
    struct pixi_mqtt_publish *m = &p->publish;
    bool is_empty;
    int rc;

    m->is_retain = b->flags & 1;
    m->qos = b->flags >> 1 & 3;
    m->is_dup = b->flags & 8;
    if ((rc = pixi_mqtt_str_decode(&b->in, &m->topic)) != PIXI_OK)
        return rc;
    is_empty = m->topic.p == m->topic.end && b->version == PIXI_MQTT_V5;
    if (!is_empty && pixi_topic_check(m->topic) != PIXI_OK)
        return PIXI_E_MQTT_TOPIC;
    if (m->qos && (rc = read_id(b, &p->id)) != PIXI_OK)
        return rc;
    if ((rc = read_props(b, PIXI_MQTT_PUBLISH, &p->props)) != PIXI_OK)
        return rc;
    if (is_empty && !pixi_mqtt_prop_has(&p->props, PIXI_MQTT_PROP_TOPIC_ALIAS))
        return PIXI_E_MQTT_NO_TOPIC;
    pixi_cur_cut(&b->in, pixi_cur_left(&b->in), &m->payload);
    return PIXI_OK;
}

/* What may be left out when it is 0 and nothing follows: §3.4.2, §3.14.2. */
static int read_outcome(struct body *b, struct pixi_mqtt_packet *p)
{
    int rc;

    if (is_done(b) || b->version == PIXI_MQTT_V3)
        return PIXI_OK;
    if ((rc = read_reason(b, p->type, &p->reason)) != PIXI_OK || is_done(b))
        return rc;
    return read_props(b, p->type, &p->props);
}

static int read_ack(struct body *b, struct pixi_mqtt_packet *p)
{
    int rc = read_id(b, &p->id);

    return rc != PIXI_OK ? rc : read_outcome(b, p);
}

/* ---- SUBSCRIBE, UNSUBSCRIBE and their acknowledgements ---- */

static int check_options(const struct body *b, struct pixi_cur filter, unsigned options)
{
    bool is_shared = pixi_filter_inner(filter).p != filter.p;

    if (options & (b->version == PIXI_MQTT_V5 ? 0xc0 : 0xfc))
        return PIXI_E_MQTT_RESERVED;
    if ((options & 3) == 3 || options >> HANDLING_SHIFT == 3)
        return PIXI_E_MQTT_OPTION;
    return options & NO_LOCAL && is_shared ? PIXI_E_MQTT_NO_LOCAL : PIXI_OK;
}

static int check_filter(struct body *b, enum pixi_mqtt_where type)
{
    struct pixi_cur filter;
    uint8_t options;
    int rc;

    if ((rc = pixi_mqtt_str_decode(&b->in, &filter)) != PIXI_OK)
        return rc;
    if (pixi_filter_check(filter) != PIXI_OK)
        return PIXI_E_MQTT_FILTER;
    if (type == PIXI_MQTT_UNSUBSCRIBE)
        return PIXI_OK;
    rc = pixi_mqtt_u8_decode(&b->in, &options);
    return rc != PIXI_OK ? rc : check_options(b, filter, options);
}

static int read_filters(struct body *b, struct pixi_mqtt_packet *p)
{
    int rc;

    if ((rc = read_id(b, &p->id)) != PIXI_OK || (rc = read_props(b, p->type, &p->props)) != PIXI_OK)
        return rc;
    p->list = b->in;
    if (is_done(b))
        return PIXI_E_MQTT_EMPTY;
    while (!is_done(b))
        if ((rc = check_filter(b, p->type)) != PIXI_OK)
            return rc;
    return PIXI_OK;
}

static int check_code(const struct body *b, enum pixi_mqtt_where type, unsigned code)
{
    if (b->version == PIXI_MQTT_V5)
        return pixi_mqtt_reason_check(code, type, b->from);
    return code <= 2 || code == PIXI_MQTT_R_UNSPECIFIED ? PIXI_OK : PIXI_E_MQTT_REASON;
}

static int read_codes(struct body *b, struct pixi_mqtt_packet *p)
{
    int rc;

    if ((rc = read_id(b, &p->id)) != PIXI_OK || (rc = read_props(b, p->type, &p->props)) != PIXI_OK)
        return rc;
    p->list = b->in;
    if (b->version == PIXI_MQTT_V3 && p->type == PIXI_MQTT_UNSUBACK)
        return PIXI_OK; /* has no payload there */
    if (is_done(b))
        return PIXI_E_MQTT_EMPTY;
    for (; !is_done(b); b->in.p++)
        if ((rc = check_code(b, p->type, *b->in.p)) != PIXI_OK)
            return rc;
    return PIXI_OK;
}

/* ---- the rest ---- */

static int read_nothing(struct body *b, struct pixi_mqtt_packet *p)
{
    (void)b;
    (void)p;
    return PIXI_OK;
}

static int read_auth(struct body *b, struct pixi_mqtt_packet *p)
{
    int rc;

    /* §3.15.2.1 lets an AUTH be empty, §3.15.2.2.2 makes one without a method an error: so none can be */
    if (is_done(b))
        return PIXI_E_MQTT_AUTH;
    if ((rc = read_reason(b, p->type, &p->reason)) != PIXI_OK ||
        (rc = read_props(b, p->type, &p->props)) != PIXI_OK)
        return rc;
    return pixi_mqtt_prop_has(&p->props, PIXI_MQTT_PROP_AUTH_METHOD) ? PIXI_OK : PIXI_E_MQTT_AUTH;
}

static int (*const readers[16])(struct body *, struct pixi_mqtt_packet *) = {
    [PIXI_MQTT_CONNECT] = read_connect,  [PIXI_MQTT_CONNACK] = read_connack,
    [PIXI_MQTT_PUBLISH] = read_publish,  [PIXI_MQTT_PUBACK] = read_ack,
    [PIXI_MQTT_PUBREC] = read_ack,       [PIXI_MQTT_PUBREL] = read_ack,
    [PIXI_MQTT_PUBCOMP] = read_ack,      [PIXI_MQTT_SUBSCRIBE] = read_filters,
    [PIXI_MQTT_SUBACK] = read_codes,     [PIXI_MQTT_UNSUBSCRIBE] = read_filters,
    [PIXI_MQTT_UNSUBACK] = read_codes,   [PIXI_MQTT_PINGREQ] = read_nothing,
    [PIXI_MQTT_PINGRESP] = read_nothing, [PIXI_MQTT_DISCONNECT] = read_outcome,
    [PIXI_MQTT_AUTH] = read_auth,
};

int pixi_mqtt_packet_decode(const struct pixi_mqtt_head *head, struct pixi_cur body, enum pixi_role from,
                            unsigned version, struct pixi_mqtt_packet *out)
{
    struct body b = {.in = body, .from = from, .version = version, .flags = head->flags};
    struct pixi_mqtt_packet p = {.type = head->type};
    int rc = readers[head->type](&b, &p);

    if (rc != PIXI_OK)
        return rc;
    if (!is_done(&b))
        return PIXI_E_MQTT_TRAILING;
    *out = p;
    return PIXI_OK;
}

unsigned pixi_mqtt_connect_version(struct pixi_cur body)
{
    struct pixi_cur name;
    uint8_t level;

    if (pixi_mqtt_bin_decode(&body, &name) != PIXI_OK)
        return 0;
    if (pixi_cur_equals(name, pixi_cur_str("MQIsdp")))
        return PIXI_MQTT_V3;
    if (!pixi_cur_equals(name, pixi_cur_str("MQTT")) || pixi_mqtt_u8_decode(&body, &level) != PIXI_OK)
        return 0;
    return level <= PIXI_MQTT_V3 ? PIXI_MQTT_V3 : PIXI_MQTT_V5;
}

bool pixi_mqtt_filter_next(struct pixi_cur *list, enum pixi_mqtt_where type, struct pixi_mqtt_filter *out)
{
    struct pixi_mqtt_filter f = {0};
    uint8_t options = 0;

    if (list->p == list->end || pixi_mqtt_bin_decode(list, &f.filter) != PIXI_OK)
        return false;
    if (type == PIXI_MQTT_SUBSCRIBE && pixi_mqtt_u8_decode(list, &options) != PIXI_OK)
        return false;
    f.qos = options & 3;
    f.is_no_local = options & NO_LOCAL;
    f.is_retain_as_published = options & AS_PUBLISHED;
    f.retain_handling = options >> HANDLING_SHIFT & 3;
    *out = f;
    return true;
}
