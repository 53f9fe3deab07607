#include "proto/rpc/put.h"
#include "base/base64.h"
#include "base/utf8.h"

static const struct {
    int err, code;
} codes[] = {
    {PIXI_E_RPC_PARSE, -32700},  {PIXI_E_RPC_REQUEST, -32600}, {PIXI_E_RPC_METHOD, -32601},
    {PIXI_E_RPC_PARAMS, -32602}, {PIXI_E_SYS, -32603},         {PIXI_E_FORBIDDEN, -32001},
    {PIXI_E_WS_TOO_BIG, -32002}, {PIXI_E_RATE, -32003},        {PIXI_E_NO_RESPONDER, -32004},
    {PIXI_E_TIMEOUT, -32005},    {PIXI_E_STORAGE, -32006},     {PIXI_E_TOPIC, -32007},
    {PIXI_E_FILTER, -32007},     {PIXI_E_HISTORY, -32008},     {PIXI_E_KEY_REUSED, -32009},
    {PIXI_E_LIMIT, -32003},      {PIXI_E_OUTBOX, -32010},      {PIXI_E_EXPIRED, -32011},
    {PIXI_E_DROPPED, -32012},    {PIXI_E_IN_DOUBT, -32013},    {PIXI_E_AFTER, -32014},
};

int pixi_rpc_code(int err)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].err == err)
            return codes[i].code;
    return -32603;
}

int pixi_rpc_err(int64_t code)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].code == code)
            return codes[i].err;
    return PIXI_E_RPC_ERROR;
}

static void begin(struct pixi_buf *b, struct pixi_json_out *w)
{
    *w = pixi_json_out_init(b);
    pixi_json_open_object(w);
    pixi_json_name(w, "jsonrpc");
    pixi_json_text(w, "2.0");
}

void pixi_rpc_begin_call(struct pixi_buf *b, struct pixi_json_out *w, const char *method)
{
    begin(b, w);
    pixi_json_name(w, "method");
    pixi_json_text(w, method);
    pixi_json_name(w, "params");
    pixi_json_open_object(w);
}

void pixi_rpc_end_call(struct pixi_json_out *w, uint64_t id)
{
    pixi_json_close_object(w);
    if (id) {
        pixi_json_name(w, "id");
        pixi_json_number(w, id);
    }
    pixi_json_close_object(w);
}

static void put_id(struct pixi_json_out *w, struct pixi_cur id)
{
    pixi_json_name(w, "id");
    if (id.p)
        pixi_json_raw(w, id);
    else
        pixi_json_null(w);
}

void pixi_rpc_begin_answer(struct pixi_buf *b, struct pixi_json_out *w, struct pixi_cur id,
                           const char *member)
{
    begin(b, w);
    put_id(w, id);
    pixi_json_name(w, member);
}

void pixi_rpc_end_answer(struct pixi_json_out *w)
{
    pixi_json_close_object(w);
}

void pixi_rpc_put_error_value(struct pixi_json_out *w, int err, const char *detail, uint64_t retry_after_ms)
{
    char message[256];
    const char *parts[] = {pixi_err_text(err), detail ? ": " : "", detail ? detail : ""};
    size_t len = 0;

    for (size_t i = 0; i < 3; i++)
        for (const char *p = parts[i]; *p && len < sizeof message; p++)
            message[len++] = *p;
    len = pixi_utf8_trim((const uint8_t *)message, len);
    pixi_json_open_object(w);
    pixi_json_name(w, "code");
    pixi_json_signed(w, pixi_rpc_code(err));
    pixi_json_name(w, "message");
    pixi_json_string(w, pixi_cur_init(message, len));
    if (retry_after_ms) {
        pixi_json_name(w, "data");
        pixi_json_open_object(w);
        pixi_json_name(w, "retry_after_ms");
        pixi_json_number(w, retry_after_ms);
        pixi_json_close_object(w);
    }
    pixi_json_close_object(w);
}

void pixi_rpc_put_error(struct pixi_buf *b, struct pixi_cur id, int err, const char *detail,
                        uint64_t retry_after_ms)
{
    struct pixi_json_out w;

    pixi_rpc_begin_answer(b, &w, id, "error");
    pixi_rpc_put_error_value(&w, err, detail, retry_after_ms);
    pixi_rpc_end_answer(&w);
}

static bool is_blank(uint8_t ch)
{
    return ch == ' ' || ch == '\t';
}

bool pixi_rpc_is_json(struct pixi_cur payload)
{
    size_t len = pixi_cur_left(&payload);

    if (len == 0 || memchr(payload.p, '\n', len) || memchr(payload.p, '\r', len))
        return false;
    if (is_blank(payload.p[0]) || is_blank(payload.end[-1]))
        return false;
    return pixi_json_check(payload.p, len, PIXI_RPC_PAYLOAD_DEPTH, NULL) == PIXI_OK;
}

void pixi_rpc_put_payload(struct pixi_json_out *w, struct pixi_cur payload, bool is_json)
{
    size_t len = pixi_cur_left(&payload);
    uint8_t *room;

    pixi_json_name(w, is_json ? "payload" : "payload_base64");
    if (is_json) {
        pixi_json_raw(w, payload);
        return;
    }
    pixi_json_raw(w, pixi_cur_str("\"\""));
    /* the closing quote moves behind what is put between */
    room = pixi_buf_reserve(w->buf, pixi_base64_size(len) + 1);
    if (!room)
        return;
    w->buf->len--;
    pixi_base64_put(w->buf, PIXI_BASE64_STD, payload.p, len);
    pixi_buf_put(w->buf, "\"", 1);
}

void pixi_rpc_put_headers(struct pixi_json_out *w, struct pixi_cur headers)
{
    struct pixi_cur name, value;

    if (headers.p == headers.end)
        return;
    pixi_json_name(w, "headers");
    pixi_json_open_array(w);
    while (pixi_rpc_headers_next(&headers, &name, &value)) {
        pixi_json_open_array(w);
        pixi_json_string(w, name);
        pixi_json_string(w, value);
        pixi_json_close_array(w);
    }
    pixi_json_close_array(w);
}

void pixi_rpc_put_hex(struct pixi_json_out *w, const char *name, uint64_t v)
{
    char text[16];

    for (int i = 15; i >= 0; i--, v >>= 4)
        text[i] = "0123456789abcdef"[v & 15];
    pixi_json_name(w, name);
    pixi_json_string(w, pixi_cur_init(text, sizeof text));
}

void pixi_rpc_put_position(struct pixi_json_out *w, struct pixi_rpc_position p)
{
    pixi_rpc_put_hex(w, "epoch", p.epoch);
    pixi_json_name(w, "offset");
    pixi_json_number(w, p.offset);
}

void pixi_rpc_put_since(struct pixi_json_out *w, const struct pixi_rpc_position *positions, size_t count)
{
    if (!count)
        return;
    pixi_json_name(w, "since");
    pixi_json_open_array(w);
    for (size_t i = 0; i < count; i++) {
        pixi_json_open_object(w);
        pixi_rpc_put_position(w, positions[i]);
        pixi_json_close_object(w);
    }
    pixi_json_close_array(w);
}

void pixi_rpc_put_key(struct pixi_json_out *w, const char *producer, uint64_t seq, uint64_t low,
                      uint64_t after)
{
    pixi_json_name(w, "key");
    pixi_json_open_object(w);
    pixi_json_name(w, "producer");
    pixi_json_text(w, producer);
    pixi_json_name(w, "seq");
    pixi_json_number(w, seq);
    pixi_json_name(w, "low");
    pixi_json_number(w, low);
    if (after) {
        pixi_json_name(w, "after");
        pixi_json_number(w, after);
    }
    pixi_json_close_object(w);
}
