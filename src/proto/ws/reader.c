#include "proto/ws/reader.h"
#include "proto/ws/close.h"
#include "proto/ws/deflate.h"

enum { HEAD, PAYLOAD, CLOSED, FAILED };

void pixi_ws_reader_init(struct pixi_ws_reader *r, enum pixi_role from, enum pixi_ws_packing may,
                         uint64_t message_max)
{
    *r = (struct pixi_ws_reader){.from = from, .may = (uint8_t)may, .message_max = message_max};
}

bool pixi_ws_reader_is_idle(const struct pixi_ws_reader *r)
{
    return r->state == CLOSED || (r->state == HEAD && r->head_len == 0 && r->message_opcode == 0);
}

static int fail(struct pixi_ws_reader *r, int err, uint64_t offset)
{
    r->state = FAILED;
    r->fault = (struct pixi_fault){err, offset};
    return err;
}

static bool is_control(const struct pixi_ws_frame *f)
{
    return f->opcode >= PIXI_WS_CLOSE;
}

/* Adds bytes to a header cut short, one at a time: it ends with the one that completes it. */
static int read_cut_head(struct pixi_ws_reader *r, uint8_t **in, uint8_t *end)
{
    while (*in != end) {
        struct pixi_cur c;
        int rc;

        r->head[r->head_len++] = *(*in)++;
        c = pixi_cur_init(r->head, r->head_len);
        if ((rc = pixi_ws_frame_decode(&c, r->from, r->may, &r->frame)) != PIXI_MORE)
            return rc;
    }
    return PIXI_MORE;
}

static int read_head(struct pixi_ws_reader *r, uint8_t **in, uint8_t *end)
{
    struct pixi_cur c = pixi_cur_init(*in, (size_t)(end - *in));
    int rc;

    if (r->head_len > 0)
        return read_cut_head(r, in, end);
    rc = pixi_ws_frame_decode(&c, r->from, r->may, &r->frame);
    if (rc == PIXI_OK)
        *in = end - pixi_cur_left(&c);
    return rc == PIXI_MORE ? read_cut_head(r, in, end) : rc;
}

/* The rules between frames: RFC 6455 §5.4, and the limit on a message. */
static int begin_frame(struct pixi_ws_reader *r)
{
    const struct pixi_ws_frame *f = &r->frame;
    uint64_t most = r->message_max;

    r->left = f->payload_len;
    r->control_len = 0;
    if (is_control(f))
        return PIXI_OK;
    if ((f->opcode == PIXI_WS_CONTINUATION) != (r->message_opcode != 0))
        return PIXI_E_WS_FRAGMENT;
    if (f->opcode != PIXI_WS_CONTINUATION) {
        r->message_opcode = f->opcode;
        r->message_len = 0;
        r->is_started = false;
        r->is_compressed = f->is_compressed;
        r->utf8 = (struct pixi_utf8){0};
    }
    if (r->is_compressed)
        most = pixi_ws_deflate_bound(most);
    if (f->payload_len > most - r->message_len)
        return PIXI_E_WS_TOO_BIG;
    r->message_len += f->payload_len;
    return PIXI_OK;
}

static int end_control(struct pixi_ws_reader *r, struct pixi_ws_event *out)
{
    int rc = PIXI_OK;

    *out = (struct pixi_ws_event){.bytes = r->control, .len = r->control_len};
    r->state = HEAD;
    if (r->frame.opcode == PIXI_WS_CLOSE) {
        out->type = PIXI_WS_EVENT_CLOSE;
        rc = pixi_ws_close_decode(pixi_cur_init(r->control, r->control_len), &out->code, &out->reason);
        r->state = CLOSED;
    } else {
        out->type = r->frame.opcode == PIXI_WS_PING ? PIXI_WS_EVENT_PING : PIXI_WS_EVENT_PONG;
    }
    return rc;
}

/* Takes what there is of the frame's payload, at most up to its end, and unmasks it. */
static struct pixi_cur take(struct pixi_ws_reader *r, uint8_t **in, uint8_t *end)
{
    size_t len = (size_t)(end - *in);
    uint8_t *bytes = *in;

    if (len > r->left)
        len = (size_t)r->left;
    if (r->from == PIXI_CLIENT)
        pixi_ws_mask(bytes, len, r->frame.mask, r->frame.payload_len - r->left);
    r->left -= len;
    *in += len;
    return pixi_cur_init(bytes, len);
}

static int read_control(struct pixi_ws_reader *r, uint8_t **in, uint8_t *end, struct pixi_ws_event *out)
{
    struct pixi_cur piece = take(r, in, end);
    size_t len = pixi_cur_left(&piece);

    if (len)
        memcpy(r->control + r->control_len, piece.p, len);
    r->control_len = (uint8_t)(r->control_len + len);
    return r->left > 0 ? PIXI_MORE : end_control(r, out);
}

static int read_data(struct pixi_ws_reader *r, uint8_t **in, uint8_t *end, struct pixi_ws_event *out,
                     size_t *bad)
{
    uint8_t *bytes = *in;
    struct pixi_cur piece = take(r, in, end);
    size_t len = pixi_cur_left(&piece);
    bool is_last = r->left == 0 && r->frame.is_final;

    if (r->message_opcode == PIXI_WS_TEXT && !r->is_compressed) {
        if (pixi_utf8_feed(&r->utf8, bytes, len, bad) != PIXI_OK)
            return PIXI_E_WS_UTF8;
        *bad = len;
        if (is_last && !pixi_utf8_is_whole(&r->utf8))
            return PIXI_E_WS_UTF8;
    }
    *out = (struct pixi_ws_event){.type = PIXI_WS_EVENT_DATA,
                                  .message = r->message_opcode,
                                  .is_first = !r->is_started,
                                  .is_last = is_last,
                                  .is_compressed = r->is_compressed,
                                  .bytes = bytes,
                                  .len = len};
    if (r->left == 0)
        r->state = HEAD;
    if (is_last)
        r->message_opcode = 0;
    if (!is_last && len == 0)
        return PIXI_MORE;
    r->is_started = true;
    return PIXI_OK;
}

static int step_head(struct pixi_ws_reader *r, uint8_t **in, uint8_t *end)
{
    uint64_t at = r->offset - r->head_len; /* an error in a header is told at its first byte */
    uint8_t *start = *in;
    int rc = read_head(r, in, end);

    r->offset += (uint64_t)(*in - start);
    if (rc == PIXI_MORE)
        return PIXI_MORE;
    r->head_len = 0;
    if (rc == PIXI_OK)
        rc = begin_frame(r);
    if (rc != PIXI_OK)
        return fail(r, rc, at);
    r->state = PAYLOAD;
    return PIXI_OK;
}

static int step_payload(struct pixi_ws_reader *r, uint8_t **in, uint8_t *end, struct pixi_ws_event *out)
{
    uint8_t *start = *in;
    /* a control payload is judged as a whole, so an error in one is told at its first byte */
    uint64_t at = r->offset - r->control_len;
    size_t bad = 0;
    int rc = is_control(&r->frame) ? read_control(r, in, end, out) : read_data(r, in, end, out, &bad);

    r->offset += (uint64_t)(*in - start);
    return rc < 0 ? fail(r, rc, at + bad) : rc;
}

int pixi_ws_reader_next(struct pixi_ws_reader *r, uint8_t **in, uint8_t *end, struct pixi_ws_event *out)
{
    int rc;

    for (;;) {
        if (r->state == FAILED)
            return r->fault.err;
        if (r->state == CLOSED)
            *in = end;
        if (r->state == HEAD && *in != end && (rc = step_head(r, in, end)) != PIXI_OK)
            return rc;
        /* a payload of no bytes ends where its header does */
        if (r->state != PAYLOAD || (*in == end && r->left > 0))
            return PIXI_MORE;
        if ((rc = step_payload(r, in, end, out)) != PIXI_MORE)
            return rc;
    }
}
