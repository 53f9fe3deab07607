#include "proto/rpc/params.h"
#include "base/base64.h"
#include "base/utf8.h"

#define IN(m)  (1u << PIXI_RPC_##m)
#define HAS(x) PIXI_RPC_HAS_##x

/* One row a method: what it takes and what it must have. */
static const struct {
    const char *name;
    unsigned takes, needs;
} methods[PIXI_RPC_METHODS] = {
    [PIXI_RPC_PUBLISH] = {"publish",
                          HAS(TOPIC) | HAS(PAYLOAD) | HAS(RETAIN) | HAS(EXPIRY) | HAS(HEADERS) | HAS(KEY),
                          HAS(TOPIC) | HAS(PAYLOAD)},
    [PIXI_RPC_SUBSCRIBE] = {"subscribe", HAS(FILTER) | HAS(SINCE) | HAS(RETAINED) | HAS(BATCH) | HAS(LATEST),
                            HAS(FILTER)},
    [PIXI_RPC_UNSUBSCRIBE] = {"unsubscribe", HAS(FILTER), HAS(FILTER)},
    [PIXI_RPC_REQUEST] = {"request", HAS(TOPIC) | HAS(PAYLOAD) | HAS(HEADERS) | HAS(TIMEOUT),
                          HAS(TOPIC) | HAS(PAYLOAD)},
    [PIXI_RPC_REPLY] = {"reply", HAS(REQUEST) | HAS(PAYLOAD) | HAS(HEADERS) | HAS(ERROR), HAS(REQUEST)},
    [PIXI_RPC_HISTORY] = {"history", HAS(FILTER) | HAS(SINCE) | HAS(LIMIT), HAS(FILTER)},
    [PIXI_RPC_PING] = {"ping", 0, 0},
    [PIXI_RPC_INFO] = {"info", 0, 0},
    [PIXI_RPC_MESSAGE] = {"message",
                          HAS(FILTER) | HAS(TOPIC) | HAS(PAYLOAD) | HAS(EPOCH) | HAS(OFFSET) | HAS(TIME) |
                              HAS(RETAINED) | HAS(HEADERS) | HAS(REQUEST),
                          HAS(FILTER) | HAS(TOPIC) | HAS(PAYLOAD)},
    [PIXI_RPC_SYNCED] = {"synced", HAS(FILTER), HAS(FILTER)},
    [PIXI_RPC_UNSUBSCRIBED] = {"unsubscribed", HAS(FILTER) | HAS(ERROR), HAS(FILTER)},
    [PIXI_RPC_GOING_AWAY] = {"going_away", HAS(RECONNECT), 0},
    [PIXI_RPC_STATUS] = {"status", 0, 0},
    [PIXI_RPC_REJECTED] = {"rejected", 0, 0},
    [PIXI_RPC_STORED] = {"stored", HAS(ID) | HAS(EPOCH) | HAS(OFFSET), HAS(ID)},
    [PIXI_RPC_GAP] = {"gap", HAS(FILTER), HAS(FILTER)},
};

/* What the daemon's socket takes as well. */
static const unsigned local_takes[PIXI_RPC_METHODS] = {
    [PIXI_RPC_PUBLISH] = HAS(PRIORITY),
    [PIXI_RPC_REJECTED] = HAS(LIMIT),
};

/* What is being read. The text was checked to be JSON, so the reader itself does not fail. */
struct at {
    struct pixi_json json;
    struct pixi_json_token token;
    struct pixi_rpc_params *out;
};

typedef const char *read_value(struct at *a); /* NULL, or what was expected */

static uint8_t *writable(const uint8_t *p)
{
    return (uint8_t *)(uintptr_t)p; /* pixi_rpc_params_read's text may be changed */
}

static bool take_string(struct at *a, struct pixi_cur *out)
{
    size_t len = pixi_cur_left(&a->token.text);

    if (a->token.type != PIXI_JSON_STRING)
        return false;
    *out = a->token.text;
    if (a->token.is_escaped) {
        if (pixi_json_decode(a->token.text, writable(a->token.text.p), &len) != PIXI_OK)
            return false;
        out->end = out->p + len;
    }
    return true;
}

static const char *read_topic(struct at *a)
{
    return take_string(a, &a->out->topic) ? NULL : "a string";
}

static const char *read_filter(struct at *a)
{
    return take_string(a, &a->out->filter) ? NULL : "a string";
}

static const char *read_payload(struct at *a)
{
    pixi_json_skip(&a->json, &a->token, &a->out->payload);
    a->out->is_json = true;
    return NULL;
}

static const char *read_payload_base64(struct at *a)
{
    struct pixi_cur text;
    size_t len;

    if (!take_string(a, &text) ||
        pixi_base64_decode(PIXI_BASE64_STD, text, writable(text.p), &len) != PIXI_OK)
        return "a string of base64";
    a->out->payload = pixi_cur_init(text.p, len);
    return NULL;
}

static bool take_bool(struct at *a, bool *out)
{
    *out = a->token.type == PIXI_JSON_TRUE;
    return a->token.type == PIXI_JSON_TRUE || a->token.type == PIXI_JSON_FALSE;
}

static const char *read_retain(struct at *a)
{
    return take_bool(a, &a->out->retain) ? NULL : "true or false";
}

static const char *read_retained(struct at *a)
{
    return take_bool(a, &a->out->retained) ? NULL : "true or false";
}

static const char *read_latest(struct at *a)
{
    return take_bool(a, &a->out->latest) ? NULL : "true or false";
}

static const char *read_recovered(struct at *a)
{
    return take_bool(a, &a->out->recovered) ? NULL : "true or false";
}

static const char *read_more(struct at *a)
{
    return take_bool(a, &a->out->more) ? NULL : "true or false";
}

static bool take_uint(struct at *a, uint64_t max, uint64_t *out)
{
    return a->token.type == PIXI_JSON_NUMBER && pixi_json_uint(&a->token, max, out) == PIXI_OK;
}

static const char *read_expiry(struct at *a)
{
    return take_uint(a, UINT32_MAX, &a->out->expiry_s) ? NULL : "whole seconds, 0 .. 4294967295";
}

static const char *read_timeout(struct at *a)
{
    return take_uint(a, 3600000, &a->out->timeout_ms) ? NULL : "whole milliseconds, 0 .. 3600000";
}

static const char *read_batch(struct at *a)
{
    return take_uint(a, PIXI_RPC_BATCH_MS_MAX, &a->out->batch_ms) ? NULL : "whole milliseconds, 0 .. 10000";
}

static const char *read_limit(struct at *a)
{
    return take_uint(a, 1000, &a->out->limit) && a->out->limit > 0 ? NULL : "a whole number, 1 .. 1000";
}

static const char *read_priority(struct at *a)
{
    return take_uint(a, 9, &a->out->priority) ? NULL : "a whole number, 0 .. 9";
}

static const char *read_id(struct at *a)
{
    return take_uint(a, INT64_MAX, &a->out->id) ? NULL : "a whole number";
}

static const char *read_time(struct at *a)
{
    return take_uint(a, INT64_MAX, &a->out->time_ms) ? NULL : "milliseconds since 1970";
}

static const char *read_reconnect(struct at *a)
{
    return take_uint(a, INT64_MAX, &a->out->reconnect_ms) ? NULL : "whole milliseconds";
}

/* Numbers that name things travel as strings: JavaScript's numbers end at 2^53. */
static bool take_hex(struct pixi_cur text, size_t digits, uint64_t *out)
{
    uint64_t v = 0;

    if (pixi_cur_left(&text) != digits)
        return false;
    for (; text.p != text.end; text.p++) {
        if (*text.p >= '0' && *text.p <= '9')
            v = v << 4 | (uint64_t)(*text.p - '0');
        else if (*text.p >= 'a' && *text.p <= 'f')
            v = v << 4 | (uint64_t)(*text.p - 'a' + 10);
        else
            return false;
    }
    *out = v;
    return true;
}

static const char *read_request(struct at *a)
{
    struct pixi_cur text;

    return take_string(a, &text) && take_hex(text, 16, &a->out->request) ? NULL
                                                                         : "the request's id, a string";
}

static const char *read_epoch(struct at *a)
{
    struct pixi_cur text;

    return take_string(a, &text) && take_hex(text, 16, &a->out->position.epoch)
               ? NULL
               : "16 hexadecimal digits, a string";
}

static const char *read_offset(struct at *a)
{
    return take_uint(a, INT64_MAX, &a->out->position.offset) ? NULL : "a whole number";
}

static const char *read_error(struct at *a)
{
    if (a->token.type != PIXI_JSON_OBJECT)
        return "an object";
    pixi_json_skip(&a->json, &a->token, &a->out->error);
    return NULL;
}

static const char *read_messages(struct at *a)
{
    if (a->token.type != PIXI_JSON_ARRAY)
        return "an array";
    pixi_json_skip(&a->json, &a->token, &a->out->messages);
    return NULL;
}

static bool next_string(struct at *a, struct pixi_cur *out)
{
    return pixi_json_next(&a->json, &a->token) == PIXI_OK && take_string(a, out);
}

static uint8_t *put_u16(uint8_t *p, struct pixi_cur text)
{
    size_t len = pixi_cur_left(&text);

    p[0] = (uint8_t)(len >> 8);
    p[1] = (uint8_t)len;
    memmove(p + 2, text.p, len);
    return p + 2 + len;
}

/* [["name", "value"], ...] becomes the neutral form where it lies: a string takes two quotes and at least one bracket
 * or comma before it, its length two bytes, so writing never overtakes reading. */
static const char *read_headers(struct at *a)
{
    static const char expected[] = "[[name, value], ...], strings of at most 65535 bytes";
    uint8_t *start = writable(a->token.text.p), *out = start;
    struct pixi_cur name, value;

    if (a->token.type != PIXI_JSON_ARRAY)
        return expected;
    while (pixi_json_next(&a->json, &a->token) == PIXI_OK && a->token.type == PIXI_JSON_ARRAY) {
        if (!next_string(a, &name) || pixi_cur_left(&name) > UINT16_MAX)
            return expected;
        out = put_u16(out, name);
        if (!next_string(a, &value) || pixi_cur_left(&value) > UINT16_MAX)
            return expected;
        out = put_u16(out, value);
        if (pixi_json_next(&a->json, &a->token) != PIXI_OK || a->token.type != PIXI_JSON_ARRAY_END)
            return expected;
    }
    if (a->token.type != PIXI_JSON_ARRAY_END)
        return expected;
    a->out->headers = pixi_cur_init(start, (size_t)(out - start));
    return NULL;
}

static bool take_uuid(struct pixi_cur text, uint8_t out[16])
{
    static const uint8_t parts[] = {8, 4, 4, 4, 12};
    uint8_t *p = out;

    for (size_t i = 0; i < sizeof parts; i++) {
        struct pixi_cur part, byte;
        uint64_t v;

        if (!pixi_cur_cut(&text, parts[i], &part))
            return false;
        while (pixi_cur_cut(&part, 2, &byte)) {
            if (!take_hex(byte, 2, &v))
                return false;
            *p++ = (uint8_t)v;
        }
        if (i + 1 < sizeof parts && (text.p == text.end || *text.p++ != '-'))
            return false;
    }
    return text.p == text.end;
}

static const char *read_key(struct at *a)
{
    static const char expected[] =
        "{producer: a UUID in lower case, seq: 1 or more, low: 1 .. seq, after?: 1 .. seq - 1}";
    unsigned seen = 0;
    struct pixi_cur text;

    if (a->token.type != PIXI_JSON_OBJECT)
        return expected;
    while (pixi_json_next(&a->json, &a->token) == PIXI_OK && a->token.type == PIXI_JSON_NAME) {
        struct pixi_json_token name = a->token;

        pixi_json_next(&a->json, &a->token);
        if (!(seen & 1) && pixi_json_is(&name, "producer") && take_string(a, &text) &&
            take_uuid(text, a->out->producer))
            seen |= 1;
        else if (!(seen & 2) && pixi_json_is(&name, "seq") && take_uint(a, INT64_MAX, &a->out->seq))
            seen |= 2;
        else if (!(seen & 4) && pixi_json_is(&name, "low") && take_uint(a, INT64_MAX, &a->out->low))
            seen |= 4;
        else if (!(seen & 8) && pixi_json_is(&name, "after") && take_uint(a, INT64_MAX, &a->out->after) &&
                 a->out->after)
            seen |= 8;
        else
            return expected;
    }
    return (seen & 7) == 7 && a->out->low > 0 && a->out->low <= a->out->seq && a->out->after < a->out->seq
               ? NULL
               : expected;
}

/* One {epoch, offset}, of which the opening was read. */
static bool take_position(struct at *a, struct pixi_rpc_position *out)
{
    unsigned seen = 0;
    struct pixi_cur text;

    if (a->token.type != PIXI_JSON_OBJECT)
        return false;
    while (pixi_json_next(&a->json, &a->token) == PIXI_OK && a->token.type == PIXI_JSON_NAME) {
        struct pixi_json_token name = a->token;

        pixi_json_next(&a->json, &a->token);
        if (!(seen & 1) && pixi_json_is(&name, "epoch") && take_string(a, &text) &&
            take_hex(text, 16, &out->epoch))
            seen |= 1;
        else if (!(seen & 2) && pixi_json_is(&name, "offset") && take_uint(a, INT64_MAX, &out->offset))
            seen |= 2;
        else
            return false;
    }
    return seen == 3;
}

static const char *read_since(struct at *a)
{
    static const char expected[] = "{epoch, offset}, or a list of at most 16 of them";
    struct pixi_rpc_params *out = a->out;

    out->since_count = 0;
    if (a->token.type != PIXI_JSON_ARRAY)
        return take_position(a, &out->since[out->since_count++]) ? NULL : expected;
    while (pixi_json_next(&a->json, &a->token) == PIXI_OK && a->token.type != PIXI_JSON_ARRAY_END) {
        if (out->since_count == PIXI_RPC_SINCE_MAX || !take_position(a, &out->since[out->since_count]))
            return expected;
        out->since_count++;
    }
    return NULL;
}

static const struct {
    const char *name;
    unsigned has;
    read_value *read;
} members[] = {
    {"topic", HAS(TOPIC), read_topic},
    {"filter", HAS(FILTER), read_filter},
    {"payload", HAS(PAYLOAD), read_payload},
    {"payload_base64", HAS(PAYLOAD), read_payload_base64},
    {"retain", HAS(RETAIN), read_retain},
    {"expiry_s", HAS(EXPIRY), read_expiry},
    {"headers", HAS(HEADERS), read_headers},
    {"key", HAS(KEY), read_key},
    {"since", HAS(SINCE), read_since},
    {"retained", HAS(RETAINED), read_retained},
    {"timeout_ms", HAS(TIMEOUT), read_timeout},
    {"request", HAS(REQUEST), read_request},
    {"error", HAS(ERROR), read_error},
    {"limit", HAS(LIMIT), read_limit},
    {"epoch", HAS(EPOCH), read_epoch},
    {"offset", HAS(OFFSET), read_offset},
    {"time_ms", HAS(TIME), read_time},
    {"reconnect_in_ms", HAS(RECONNECT), read_reconnect},
    {"recovered", HAS(RECOVERED), read_recovered},
    {"more", HAS(MORE), read_more},
    {"messages", HAS(MESSAGES), read_messages},
    {"batch_ms", HAS(BATCH), read_batch},
    {"latest", HAS(LATEST), read_latest},
    {"priority", HAS(PRIORITY), read_priority},
    {"id", HAS(ID), read_id},
    {"queued", HAS(ID), read_id},
};

enum { MEMBERS = sizeof members / sizeof members[0] };

int pixi_rpc_method(struct pixi_cur name, enum pixi_rpc_method *out)
{
    for (int i = 0; i < PIXI_RPC_METHODS; i++)
        if (pixi_cur_equals(name, pixi_cur_str(methods[i].name))) {
            *out = (enum pixi_rpc_method)i;
            return PIXI_OK;
        }
    return PIXI_E_RPC_METHOD;
}

const char *pixi_rpc_method_name(enum pixi_rpc_method m)
{
    return methods[m].name;
}

/* Joins up to three texts into detail, cut to fit at a character. */
static int refuse(struct pixi_rpc_params *out, const char *before, struct pixi_cur name, const char *after)
{
    struct pixi_cur parts[] = {pixi_cur_str(before), name, pixi_cur_str(after)};
    size_t len = 0;

    for (size_t i = 0; i < 3; i++)
        for (; parts[i].p != parts[i].end && len < sizeof out->detail - 1; parts[i].p++)
            out->detail[len++] = (char)*parts[i].p;
    out->detail[pixi_utf8_trim((const uint8_t *)out->detail, len)] = 0;
    return PIXI_E_RPC_PARAMS;
}

static size_t find_member(const struct pixi_json_token *name)
{
    size_t i = 0;

    while (i < MEMBERS && !pixi_json_is(name, members[i].name))
        i++;
    return i;
}

enum strictness { ONLY_THESE, ANY };

static int read_member(struct at *a, unsigned takes, enum strictness strictness)
{
    struct pixi_json_token name = a->token;
    size_t i = find_member(&name);
    const char *expected;

    pixi_json_next(&a->json, &a->token);
    if (i == MEMBERS || !(members[i].has & takes)) {
        if (strictness == ONLY_THESE)
            return refuse(a->out, "unknown parameter \"", name.text, "\"");
        pixi_json_skip(&a->json, &a->token, NULL);
        return PIXI_OK;
    }
    if (a->out->seen & members[i].has)
        return refuse(a->out, "more than one of parameter \"", name.text, "\" and its like");
    a->out->seen |= members[i].has;
    expected = members[i].read(a);
    if (!expected)
        return PIXI_OK;
    refuse(a->out, "parameter \"", name.text, "\": expected ");
    return refuse(a->out, a->out->detail, pixi_cur_str(expected), "");
}

static int read_members(struct pixi_cur text, unsigned takes, enum strictness strictness,
                        struct pixi_rpc_params *out)
{
    struct at a = {.out = out};
    int rc = PIXI_OK;

    *out = (struct pixi_rpc_params){.retained = true, .timeout_ms = 30000, .limit = 100, .priority = 4};
    if (!text.p)
        return PIXI_OK;
    pixi_json_init(&a.json, text.p, pixi_cur_left(&text), PIXI_JSON_DEPTH_MAX);
    if (pixi_json_next(&a.json, &a.token) != PIXI_OK || a.token.type != PIXI_JSON_OBJECT)
        return refuse(out, "expected an object", pixi_cur_init(NULL, 0), "");
    while (rc == PIXI_OK && pixi_json_next(&a.json, &a.token) == PIXI_OK && a.token.type == PIXI_JSON_NAME)
        rc = read_member(&a, takes, strictness);
    return rc;
}

static int read_params(enum pixi_rpc_method m, struct pixi_cur text, unsigned takes,
                       struct pixi_rpc_params *out)
{
    int rc = read_members(text, takes, ONLY_THESE, out);
    unsigned missing;

    if (rc != PIXI_OK)
        return rc;
    missing = methods[m].needs & ~out->seen;
    if (m == PIXI_RPC_REPLY && !(out->seen & (HAS(PAYLOAD) | HAS(ERROR))))
        missing = HAS(PAYLOAD);
    for (size_t i = 0; i < MEMBERS; i++)
        if (members[i].has & missing)
            return refuse(out, "parameter \"", pixi_cur_str(members[i].name), "\" is missing");
    return PIXI_OK;
}

int pixi_rpc_params_read(enum pixi_rpc_method m, struct pixi_cur text, struct pixi_rpc_params *out)
{
    return read_params(m, text, methods[m].takes, out);
}

int pixi_rpc_local_read(enum pixi_rpc_method m, struct pixi_cur text, struct pixi_rpc_params *out)
{
    return read_params(m, text, methods[m].takes | local_takes[m], out);
}

int pixi_rpc_result_read(struct pixi_cur text, struct pixi_rpc_params *out)
{
    return read_members(text, UINT32_MAX, ANY, out);
}

bool pixi_rpc_headers_next(struct pixi_cur *rest, struct pixi_cur *name, struct pixi_cur *value)
{
    struct pixi_cur c = *rest;
    uint64_t len;

    if (!pixi_cur_uint(&c, 2, &len) || !pixi_cur_cut(&c, (size_t)len, name))
        return false;
    if (!pixi_cur_uint(&c, 2, &len) || !pixi_cur_cut(&c, (size_t)len, value))
        return false;
    *rest = c;
    return true;
}
