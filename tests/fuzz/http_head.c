/* http_head.c -- heads of HTTP and the handshake of WebSocket, both roles. Input: role and limits, head. */
#include "fuzz/fuzz.h"

#include "base/role.h"
#include "proto/ws/handshake.h"

struct how {
    enum pixi_role from;
    struct pixi_http_limits limits;
    struct pixi_http_head head;
};

static int decode(struct pixi_cur *in, void *ctx)
{
    struct how *how = ctx;

    return how->from == PIXI_CLIENT ? pixi_http_request_decode(in, &how->limits, &how->head)
                                    : pixi_http_response_decode(in, &how->limits, &how->head);
}

/* What a head that was accepted promises. */
static void check_fields(const struct how *how, struct pixi_cur whole)
{
    const struct pixi_http_head *h = &how->head;

    fuzz_must(h->field_count <= how->limits.field_count, "no more fields than allowed");
    for (size_t i = 0; i < h->field_count; i++) {
        struct pixi_http_list list;
        struct pixi_cur element, value = h->fields[i].value;
        char name[64];

        fuzz_must(pixi_http_is_token(h->fields[i].name), "names are tokens");
        fuzz_must(fuzz_is_inside(value, whole), "values lie in the head");
        for (const uint8_t *p = value.p; p != value.end; p++)
            fuzz_must((*p >= ' ' && *p != 0x7f) || *p == '\t', "no control characters in values");
        snprintf(name, sizeof name, "%.*s", (int)pixi_cur_left(&h->fields[i].name), h->fields[i].name.p);
        list = pixi_http_list(h, name);
        while (pixi_http_list_next(&list, &element))
            fuzz_must(fuzz_is_inside(element, whole), "elements lie in the head");
    }
}

/* The answer to a handshake is one for the client that sent it, with the subprotocol it offered. */
static void check_answer(const struct pixi_ws_request *r)
{
    struct pixi_http_limits limits = {8192, PIXI_HTTP_FIELDS};
    struct pixi_buf b = pixi_buf_init(1 << 16), offered = pixi_buf_init(1 << 16);
    struct pixi_cur chosen = r->protocol_count ? r->protocols[r->protocol_count - 1] : (struct pixi_cur){0},
                    c;
    struct pixi_ws_deflate deflate = pixi_ws_deflate_answer(&r->deflate);
    struct pixi_ws_answer got;
    struct pixi_http_head head;
    struct pixi_ws_hello hello = {
        .host = "h", .path = "/", .deflate = r->offers_deflate ? &r->deflate : NULL};
    char key[PIXI_WS_KEY_LEN + 1] = {0};

    fuzz_must(pixi_cur_left(&r->key) == PIXI_WS_KEY_LEN, "a key has 24 characters");
    memcpy(key, r->key.p, PIXI_WS_KEY_LEN);
    for (size_t i = 0; i < r->protocol_count; i++) {
        pixi_buf_put_str(&offered, i ? ", " : "");
        pixi_buf_put_cur(&offered, r->protocols[i]);
    }
    pixi_buf_put(&offered, "", 1);
    hello.key = key;
    hello.protocols = r->protocol_count ? (const char *)offered.bytes : NULL;
    pixi_ws_response_put(&b, r, chosen, r->offers_deflate ? &deflate : NULL);
    c = pixi_buf_cur(&b);
    if (b.len <= limits.head_bytes) {
        fuzz_must(pixi_http_response_decode(&c, &limits, &head) == PIXI_OK && c.p == c.end,
                  "the answer is a head");
        fuzz_must(pixi_ws_response_check(&head, &hello, &got) == PIXI_OK, "the client takes the answer");
        fuzz_must(pixi_cur_equals(got.protocol, chosen), "and the subprotocol that was chosen");
        fuzz_must(got.has_deflate == r->offers_deflate, "and the extension");
    }
    pixi_buf_clear(&b);
    pixi_buf_clear(&offered);
}

static void check_head(const struct how *how)
{
    static const struct pixi_ws_deflate offer = {true, true, 0, PIXI_WS_BITS_ANY};
    struct pixi_ws_hello hello = {
        .host = "h", .path = "/", .key = "dGhlIHNhbXBsZSBub25jZQ==", .protocols = "pixi.v1"};
    struct pixi_ws_request request;
    struct pixi_ws_answer answer;

    if (how->from == PIXI_SERVER) {
        fuzz_must(how->head.status >= 100 && how->head.status <= 599, "a status is 100 .. 599");
        for (int i = 0; i < 2; i++, hello.deflate = &offer)
            if (pixi_ws_response_check(&how->head, &hello, &answer) == PIXI_OK) {
                fuzz_must(how->head.status == 101, "a handshake is answered by 101");
                fuzz_must(!answer.has_deflate || i, "what was not offered is not taken");
                fuzz_must(!answer.has_deflate || answer.deflate.server_no_context_takeover,
                          "no context is taken over");
            }
        return;
    }
    pixi_http_path(&how->head);
    if (pixi_ws_request_check(&how->head, &request) != PIXI_OK)
        return;
    fuzz_must(!pixi_http_has_body(&how->head), "a handshake has no body");
    check_answer(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct how how;
    struct pixi_cur in = pixi_cur_init(bytes, len), c;
    uint8_t choices[1];

    fuzz_choices(&in, choices, sizeof choices);
    how.from = choices[0] & 1 ? PIXI_SERVER : PIXI_CLIENT;
    how.limits = choices[0] & 2 ? (struct pixi_http_limits){200, 4}
                                : (struct pixi_http_limits){8192, PIXI_HTTP_FIELDS};
    fuzz_prefixes(decode, &how, in);
    c = in;
    if (decode(&c, &how) == PIXI_OK) {
        fuzz_must((size_t)(c.p - in.p) <= how.limits.head_bytes, "no head is over the limit");
        check_fields(&how, in);
        check_head(&how);
    }
    return 0;
}
