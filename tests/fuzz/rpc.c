/* rpc.c -- JSON-RPC's envelope, and the parameters of every method. Input: one text frame. */
#include "fuzz/fuzz.h"

#include "base/utf8.h"
#include "proto/rpc/put.h"

static bool is_json(struct pixi_cur c)
{
    return pixi_json_check(c.p, pixi_cur_left(&c), PIXI_RPC_DEPTH, NULL) == PIXI_OK;
}

static void check_headers(struct pixi_cur headers)
{
    struct pixi_cur name, value;

    while (pixi_rpc_headers_next(&headers, &name, &value))
        fuzz_must(pixi_utf8_is_valid(name.p, pixi_cur_left(&name)) &&
                      pixi_utf8_is_valid(value.p, pixi_cur_left(&value)),
                  "headers are UTF-8");
    fuzz_must(headers.p == headers.end, "headers are whole");
}

/* A message with what was read says the same. */
static void check_round_trip(const struct pixi_rpc_params *p)
{
    struct pixi_buf b = pixi_buf_init(1 << 24);
    struct pixi_json_out w;
    struct pixi_rpc_reader r;
    struct pixi_rpc_msg msg;
    struct pixi_rpc_params again;

    pixi_rpc_begin_call(&b, &w, pixi_rpc_method_name(PIXI_RPC_PUBLISH));
    pixi_json_name(&w, "topic");
    pixi_json_string(&w, p->topic);
    pixi_rpc_put_payload(&w, p->payload, p->is_json);
    pixi_rpc_put_headers(&w, p->headers);
    pixi_rpc_end_call(&w, 7);
    fuzz_must(b.err == PIXI_OK && pixi_rpc_open(&r, b.bytes, b.len) == PIXI_OK, "what is written is a frame");
    fuzz_must(pixi_rpc_next(&r, &msg) == PIXI_OK && msg.kind == PIXI_RPC_CALL, "with a call");
    fuzz_must(pixi_rpc_params_read(PIXI_RPC_PUBLISH, msg.params, &again) == PIXI_OK, "which can be read");
    fuzz_same("with the same topic", p->topic, again.topic);
    fuzz_same("with the same payload", p->payload, again.payload);
    fuzz_same("with the same headers", p->headers, again.headers);
    pixi_buf_clear(&b);
}

static void check_params(int rc, enum pixi_rpc_method m, const struct pixi_rpc_params *p)
{
    if (rc != PIXI_OK) {
        fuzz_must(rc == PIXI_E_RPC_PARAMS, "parameters have one error");
        fuzz_must(p->detail[0] && memchr(p->detail, 0, sizeof p->detail), "which says what is wrong");
        fuzz_must(pixi_utf8_is_valid((const uint8_t *)p->detail, strlen(p->detail)), "in UTF-8");
        return;
    }
    fuzz_must(p->since_count <= PIXI_RPC_SINCE_MAX, "positions are not too many");
    if (p->is_json && p->payload.p)
        fuzz_must(is_json(p->payload), "a payload is JSON");
    check_headers(p->headers);
    if (m == PIXI_RPC_PUBLISH && p->seen & PIXI_RPC_HAS_PAYLOAD && p->seen & PIXI_RPC_HAS_TOPIC)
        check_round_trip(p);
}

typedef int read_params(enum pixi_rpc_method m, struct pixi_cur text, struct pixi_rpc_params *out);

/* In a copy: strings are unescaped where they lie. */
static void read_copy(read_params *read, enum pixi_rpc_method m, struct pixi_cur text)
{
    uint8_t *copy = text.p ? fuzz_copy(text.p, pixi_cur_left(&text)) : NULL;
    struct pixi_rpc_params p;
    int rc = read(m, pixi_cur_init(copy, copy ? pixi_cur_left(&text) : 0), &p);

    check_params(rc, m, &p);
    free(copy);
}

static int read_result(enum pixi_rpc_method m, struct pixi_cur text, struct pixi_rpc_params *out)
{
    (void)m;
    return pixi_rpc_result_read(text, out);
}

static void check_msg(const struct pixi_rpc_msg *msg, struct pixi_cur whole)
{
    enum pixi_rpc_method m;
    const struct pixi_cur parts[] = {msg->id, msg->method, msg->params, msg->value};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        fuzz_must(fuzz_is_inside(parts[i], whole), "parts lie in the frame");
    fuzz_must(!msg->id.p || (is_json(msg->id) && pixi_cur_left(&msg->id) <= PIXI_RPC_ID_MAX),
              "an id is JSON");
    fuzz_must(!msg->params.p || is_json(msg->params), "parameters are JSON");
    if (msg->kind == PIXI_RPC_RESULT)
        read_copy(read_result, PIXI_RPC_METHODS, msg->value);
    if ((msg->kind != PIXI_RPC_CALL && msg->kind != PIXI_RPC_NOTIFICATION) ||
        pixi_rpc_method(msg->method, &m) != PIXI_OK)
        return;
    fuzz_same("a method has its name", msg->method, pixi_cur_str(pixi_rpc_method_name(m)));
    read_copy(pixi_rpc_params_read, m, msg->params);
    read_copy(pixi_rpc_local_read, m, msg->params);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct pixi_cur in = pixi_cur_init(bytes, len);
    struct pixi_rpc_reader r;
    struct pixi_rpc_msg msg;
    size_t count = 0;
    int rc = pixi_rpc_open(&r, bytes, len);

    fuzz_must(rc == PIXI_E_RPC_PARSE || is_json(in), "what is opened is JSON");
    if (rc != PIXI_OK)
        return 0;
    while ((rc = pixi_rpc_next(&r, &msg)) != PIXI_MORE) {
        fuzz_must(++count <= PIXI_RPC_BATCH_MAX, "a batch is not too large");
        fuzz_must(rc == PIXI_OK || rc == PIXI_E_RPC_REQUEST, "an object has one error");
        if (rc == PIXI_OK)
            check_msg(&msg, in);
    }
    fuzz_must(count > 0 && (r.is_batch || count == 1), "there is an object");
    pixi_rpc_is_json(in);
    return 0;
}
