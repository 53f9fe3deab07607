#include "proto/rpc/envelope.h"

enum { JSONRPC = 1, METHOD = 2, PARAMS = 4, ID = 8, RESULT = 16, ERROR = 32 };

static int count_elements(const uint8_t *bytes, size_t len, bool *is_array, size_t *count)
{
    struct pixi_json j;
    struct pixi_json_token t;
    int rc;

    pixi_json_init(&j, bytes, len, PIXI_RPC_DEPTH);
    *count = 0;
    if ((rc = pixi_json_next(&j, &t)) != PIXI_OK)
        return rc;
    *is_array = t.type == PIXI_JSON_ARRAY;
    if (!*is_array && t.type != PIXI_JSON_OBJECT)
        *count = PIXI_RPC_BATCH_MAX + 1; /* no request at all */
    while ((rc = pixi_json_next(&j, &t)) == PIXI_OK && t.type != PIXI_JSON_DONE)
        *count +=
            *is_array && t.depth == 1 && t.type != PIXI_JSON_OBJECT_END && t.type != PIXI_JSON_ARRAY_END;
    return rc;
}

int pixi_rpc_open(struct pixi_rpc_reader *r, const uint8_t *bytes, size_t len)
{
    struct pixi_json_token t;
    bool is_array = false;
    size_t count;

    if (count_elements(bytes, len, &is_array, &count) != PIXI_OK)
        return PIXI_E_RPC_PARSE;
    if (count > PIXI_RPC_BATCH_MAX || (is_array && count == 0))
        return PIXI_E_RPC_REQUEST;
    *r = (struct pixi_rpc_reader){.is_batch = is_array};
    pixi_json_init(&r->json, bytes, len, PIXI_RPC_DEPTH);
    if (is_array)
        pixi_json_next(&r->json, &t);
    return PIXI_OK;
}

static unsigned which(const struct pixi_json_token *name)
{
    static const struct {
        const char *name;
        unsigned bit;
    } members[] = {{"jsonrpc", JSONRPC}, {"method", METHOD}, {"params", PARAMS},
                   {"id", ID},           {"result", RESULT}, {"error", ERROR}};

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (pixi_json_is(name, members[i].name))
            return members[i].bit;
    return 0;
}

/* Is the member's value of the right type? Keeps it. */
static bool keep(unsigned member, const struct pixi_json_token *t, struct pixi_cur raw,
                 struct pixi_rpc_msg *m)
{
    switch (member) {
    case JSONRPC: return t->type == PIXI_JSON_STRING && pixi_json_is(t, "2.0");
    case METHOD: m->method = t->text; return t->type == PIXI_JSON_STRING;
    case PARAMS: m->params = raw; return t->type == PIXI_JSON_OBJECT;
    case ID:
        if (pixi_cur_left(&raw) > PIXI_RPC_ID_MAX)
            return false;
        if (t->type != PIXI_JSON_STRING && t->type != PIXI_JSON_NUMBER && t->type != PIXI_JSON_NULL)
            return false;
        m->id = raw;
        return true;
    case RESULT: m->value = raw; return true;
    case ERROR: m->value = raw; return t->type == PIXI_JSON_OBJECT;
    default: return true;
    }
}

static bool is_null(struct pixi_cur raw)
{
    return pixi_cur_equals(raw, pixi_cur_str("null"));
}

/* Which members make what: JSON-RPC 2.0 §4, §4.1, §5. */
static int classify(unsigned seen, struct pixi_rpc_msg *m)
{
    if (!(seen & JSONRPC))
        return PIXI_E_RPC_REQUEST;
    seen &= ~(unsigned)(JSONRPC | PARAMS);
    if (seen == (METHOD | ID) && !is_null(m->id))
        m->kind = PIXI_RPC_CALL;
    else if (seen == METHOD)
        m->kind = PIXI_RPC_NOTIFICATION;
    else if (seen == (RESULT | ID) && !is_null(m->id))
        m->kind = PIXI_RPC_RESULT;
    else if (seen == (ERROR | ID))
        m->kind = PIXI_RPC_ERROR;
    else
        return PIXI_E_RPC_REQUEST;
    return PIXI_OK;
}

static int read_object(struct pixi_json *j, struct pixi_rpc_msg *m)
{
    struct pixi_json_token t;
    struct pixi_cur raw;
    unsigned seen = 0, member;
    bool is_good = true;

    while (pixi_json_next(j, &t) == PIXI_OK && t.type == PIXI_JSON_NAME) {
        member = which(&t);
        if (pixi_json_next(j, &t) != PIXI_OK || pixi_json_skip(j, &t, &raw) != PIXI_OK)
            return PIXI_E_RPC_REQUEST;
        if ((seen & member) || !keep(member, &t, raw, m))
            is_good = false;
        seen |= member;
    }
    if (!is_good)
        return PIXI_E_RPC_REQUEST;
    return classify(seen, m);
}

int pixi_rpc_next(struct pixi_rpc_reader *r, struct pixi_rpc_msg *out)
{
    struct pixi_json_token t;

    *out = (struct pixi_rpc_msg){0};
    if (pixi_json_next(&r->json, &t) != PIXI_OK || t.type == PIXI_JSON_DONE || t.type == PIXI_JSON_ARRAY_END)
        return PIXI_MORE;
    r->count++;
    if (t.type == PIXI_JSON_OBJECT)
        return read_object(&r->json, out);
    pixi_json_skip(&r->json, &t, NULL);
    return PIXI_E_RPC_REQUEST;
}
