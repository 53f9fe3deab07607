#include "proto/mqtt/reader.h"

enum { HEAD, BODY, GIVEN, CLOSED, FAILED }; /* GIVEN: the last packet lies in rest */

void pixi_mqtt_reader_init(struct pixi_mqtt_reader *r, enum pixi_role from, unsigned version,
                           uint32_t packet_max)
{
    *r = (struct pixi_mqtt_reader){.from = from, .version = (uint8_t)version, .packet_max = packet_max};
}

bool pixi_mqtt_reader_is_idle(const struct pixi_mqtt_reader *r)
{
    return r->state == CLOSED || r->state == GIVEN || (r->state == HEAD && r->head_len == 0);
}

static int fail(struct pixi_mqtt_reader *r, int err)
{
    r->state = FAILED;
    r->fault = (struct pixi_fault){err, r->start};
    return err;
}

/* Adds bytes to a header cut short, one at a time: it ends with the one that completes it. */
static int read_cut_head(struct pixi_mqtt_reader *r, struct pixi_cur *in)
{
    struct pixi_cur c;
    int rc;

    while (in->p != in->end) {
        r->bytes[r->head_len++] = *in->p++;
        c = pixi_cur_init(r->bytes, r->head_len);
        if ((rc = pixi_mqtt_head_decode(&c, r->from, r->version, &r->head)) != PIXI_MORE)
            return rc;
    }
    return PIXI_MORE;
}

static int read_head(struct pixi_mqtt_reader *r, struct pixi_cur *in)
{
    int rc;

    if (r->head_len > 0)
        return read_cut_head(r, in);
    rc = pixi_mqtt_head_decode(in, r->from, r->version, &r->head);
    return rc == PIXI_MORE ? read_cut_head(r, in) : rc;
}

/* The rules between packets. */
static int check_order(const struct pixi_mqtt_reader *r)
{
    enum pixi_mqtt_where first = r->from == PIXI_CLIENT ? PIXI_MQTT_CONNECT : PIXI_MQTT_CONNACK;

    if (r->head.type == PIXI_MQTT_AUTH)
        return r->may_auth ? PIXI_OK : PIXI_E_MQTT_AUTH;
    if (r->head.type == first)
        return r->was_first ? PIXI_E_MQTT_AGAIN : PIXI_OK;
    return r->was_first ? PIXI_OK : PIXI_E_MQTT_FIRST;
}

static int step_head(struct pixi_mqtt_reader *r, struct pixi_cur *in)
{
    const uint8_t *before = in->p;
    uint64_t head_len;
    int rc;

    r->start = r->offset - r->head_len;
    rc = read_head(r, in);
    r->offset += (uint64_t)(in->p - before);
    if (rc == PIXI_MORE)
        return PIXI_MORE;
    head_len = r->offset - r->start;
    r->head_len = 0;
    if (rc != PIXI_OK || (rc = check_order(r)) != PIXI_OK)
        return fail(r, rc);
    if (head_len + r->head.len > r->packet_max)
        return fail(r, PIXI_E_MQTT_TOO_BIG);
    r->state = BODY;
    return PIXI_OK;
}

/* Cuts the body from in, or gathers it in rest.   PIXI_OK | PIXI_MORE | rest's error */
static int take_body(struct pixi_mqtt_reader *r, struct pixi_cur *in, struct pixi_buf *rest,
                     struct pixi_cur *out)
{
    size_t want = r->head.len - rest->len, len = pixi_cur_left(in);
    struct pixi_cur piece;

    if (len > want)
        len = want;
    r->offset += len;
    pixi_cur_cut(in, len, &piece);
    if (rest->len == 0 && len == want) {
        *out = piece;
        r->state = HEAD;
        return PIXI_OK;
    }
    pixi_buf_put_cur(rest, piece);
    if (rest->err)
        return rest->err;
    *out = pixi_buf_cur(rest);
    r->state = len == want ? GIVEN : BODY;
    return len == want ? PIXI_OK : PIXI_MORE;
}

/* What a packet changes about those that may follow. */
static void note_packet(struct pixi_mqtt_reader *r, const struct pixi_mqtt_packet *p)
{
    if (p->type == PIXI_MQTT_CONNECT)
        r->may_auth = pixi_mqtt_prop_has(&p->props, PIXI_MQTT_PROP_AUTH_METHOD);
    if (p->type == PIXI_MQTT_CONNECT || p->type == PIXI_MQTT_CONNACK)
        r->was_first = true;
    if (p->type == PIXI_MQTT_DISCONNECT)
        r->state = CLOSED;
}

static int step_body(struct pixi_mqtt_reader *r, struct pixi_cur *in, struct pixi_buf *rest,
                     struct pixi_mqtt_packet *out)
{
    struct pixi_cur body;
    int rc = take_body(r, in, rest, &body);

    if (rc == PIXI_MORE)
        return PIXI_MORE;
    if (rc != PIXI_OK)
        return fail(r, rc);
    if (r->head.type == PIXI_MQTT_CONNECT)
        r->version = (uint8_t)pixi_mqtt_connect_version(body); /* to answer in, also when it cannot be read */
    if ((rc = pixi_mqtt_packet_decode(&r->head, body, r->from, r->version, out)) != PIXI_OK)
        return fail(r, rc);
    note_packet(r, out);
    return PIXI_OK;
}

int pixi_mqtt_reader_next(struct pixi_mqtt_reader *r, struct pixi_cur *in, struct pixi_buf *rest,
                          struct pixi_mqtt_packet *out)
{
    int rc;

    if (r->state == FAILED)
        return r->fault.err;
    if (r->state == GIVEN) {
        pixi_buf_reset(rest);
        r->state = HEAD;
    }
    if (r->state == CLOSED)
        in->p = in->end;
    if (in->p == in->end)
        return PIXI_MORE;
    if (r->state == HEAD && (rc = step_head(r, in)) != PIXI_OK)
        return rc;
    return step_body(r, in, rest, out);
}
