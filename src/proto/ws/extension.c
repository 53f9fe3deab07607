#include "proto/ws/extension.h"
#include "proto/http/head.h"

static struct pixi_cur skip_space(struct pixi_cur c)
{
    while (c.p != c.end && (*c.p == ' ' || *c.p == '\t'))
        c.p++;
    return c;
}

static bool cut_token(struct pixi_cur *c, struct pixi_cur *token)
{
    struct pixi_cur t = *c = skip_space(*c);

    for (t.end = t.p; t.end != c->end; t.end++)
        if (!pixi_http_is_token((struct pixi_cur){t.end, t.end + 1}))
            break;
    c->p = t.end;
    *c = skip_space(*c);
    *token = t;
    return t.p != t.end;
}

/* A quoted parameter must be a token once its quotes and backslashes are gone (§9.1). */
static bool cut_value(struct pixi_cur *c, struct pixi_cur *value)
{
    const uint8_t *p;

    *c = skip_space(*c);
    if (c->p == c->end || *c->p != '"')
        return cut_token(c, value);
    for (p = c->p + 1; p != c->end && *p != '"'; p++) {
        if (*p == '\\' && ++p == c->end)
            return false;
        if (!pixi_http_is_token((struct pixi_cur){p, p + 1}))
            return false;
    }
    if (p == c->end || p == c->p + 1)
        return false;
    *value = (struct pixi_cur){c->p + 1, p};
    c->p = p + 1;
    *c = skip_space(*c);
    return true;
}

int pixi_ws_extension_name(struct pixi_cur *element, struct pixi_cur *name)
{
    struct pixi_cur c = *element;

    if (!cut_token(&c, name))
        return PIXI_E_WS_EXTENSION;
    *element = c;
    return PIXI_OK;
}

int pixi_ws_extension_next(struct pixi_cur *element, struct pixi_ws_parameter *out)
{
    struct pixi_ws_parameter parameter = {.value = {NULL, NULL}};
    struct pixi_cur c = *element;

    if (c.p == c.end)
        return PIXI_MORE;
    if (*c.p++ != ';' || !cut_token(&c, &parameter.name))
        return PIXI_E_WS_EXTENSION;
    if (c.p != c.end && *c.p == '=') {
        c.p++;
        if (!cut_value(&c, &parameter.value))
            return PIXI_E_WS_EXTENSION;
    }
    *element = c;
    *out = parameter;
    return PIXI_OK;
}
