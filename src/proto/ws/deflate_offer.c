#include "proto/ws/deflate_offer.h"
#include "proto/ws/extension.h"

#define AT(member) offsetof(struct pixi_ws_deflate, member)

/* In the order in which they are written. */
static const struct parameter {
    const char *name;
    size_t offset;
    bool is_window; /* its member is a number of bits; else a flag */
    bool may_be_any;
} table[] = {
    {"server_no_context_takeover", AT(server_no_context_takeover), false, false},
    {"client_no_context_takeover", AT(client_no_context_takeover), false, false},
    {"server_max_window_bits", AT(server_max_window_bits), true, false},
    {"client_max_window_bits", AT(client_max_window_bits), true, true},
};

enum { PARAMETERS = sizeof table / sizeof table[0] };

/* 8 .. 15 in decimal without leading zeros; 0 when it is something else. Backslashes are a quoted string's. */
static uint8_t read_bits(struct pixi_cur value)
{
    unsigned bits = 0, digits = 0;

    for (; value.p != value.end; value.p++) {
        if (*value.p == '\\')
            continue;
        if (*value.p < '0' || *value.p > '9' || ++digits > 2 || (digits == 2 && bits == 0))
            return 0;
        bits = bits * 10 + (unsigned)(*value.p - '0');
    }
    return bits >= PIXI_WS_BITS_MIN && bits <= PIXI_WS_BITS_MAX ? (uint8_t)bits : 0;
}

/* What its member becomes; 0 when the value is ruled out. */
static uint8_t read_value(const struct parameter *p, struct pixi_cur value, enum pixi_role from)
{
    if (!p->is_window)
        return value.p == NULL;
    if (value.p)
        return read_bits(value);
    return p->may_be_any && from == PIXI_CLIENT ? PIXI_WS_BITS_ANY : 0;
}

static uint8_t get(const struct pixi_ws_deflate *d, const struct parameter *p)
{
    const uint8_t *member = (const uint8_t *)d + p->offset;

    return *member;
}

static void set(struct pixi_ws_deflate *d, const struct parameter *p, uint8_t value)
{
    if (p->is_window)
        memcpy((uint8_t *)d + p->offset, &value, 1);
    else
        memcpy((uint8_t *)d + p->offset, &(bool){value}, sizeof(bool));
}

static int take(struct pixi_ws_deflate *d, const struct pixi_ws_parameter *found, enum pixi_role from)
{
    const struct parameter *p = table;
    uint8_t value;

    while (p != table + PARAMETERS && !pixi_cur_equals(found->name, pixi_cur_str(p->name)))
        p++;
    if (p == table + PARAMETERS)
        return PIXI_E_WS_DEFLATE_NAME;
    if (get(d, p))
        return PIXI_E_WS_DEFLATE_TWICE;
    value = read_value(p, found->value, from);
    if (!value)
        return PIXI_E_WS_DEFLATE_VALUE;
    set(d, p, value);
    return PIXI_OK;
}

int pixi_ws_deflate_read(struct pixi_cur parameters, enum pixi_role from, struct pixi_ws_deflate *out)
{
    struct pixi_ws_deflate d = {0};
    struct pixi_ws_parameter p;
    int rc;

    while ((rc = pixi_ws_extension_next(&parameters, &p)) == PIXI_OK)
        if ((rc = take(&d, &p, from)) != PIXI_OK)
            return rc;
    if (rc != PIXI_MORE)
        return rc;
    *out = d;
    return PIXI_OK;
}

struct pixi_ws_deflate pixi_ws_deflate_answer(const struct pixi_ws_deflate *offer)
{
    /* client_max_window_bits is left out: what inflates has the largest window anyway */
    return (struct pixi_ws_deflate){.server_no_context_takeover = true,
                                    .client_no_context_takeover = true,
                                    .server_max_window_bits = offer->server_max_window_bits};
}

int pixi_ws_deflate_check(const struct pixi_ws_deflate *offer, const struct pixi_ws_deflate *answer)
{
    uint8_t server_bits = answer->server_max_window_bits ? answer->server_max_window_bits : PIXI_WS_BITS_MAX;

    if (offer->server_no_context_takeover && !answer->server_no_context_takeover)
        return PIXI_E_WS_DEFLATE_CONTEXT;
    if (answer->client_max_window_bits && !offer->client_max_window_bits)
        return PIXI_E_WS_DEFLATE_ASKED;
    if (answer->client_max_window_bits > offer->client_max_window_bits ||
        (offer->server_max_window_bits && server_bits > offer->server_max_window_bits))
        return PIXI_E_WS_DEFLATE_VALUE;
    return PIXI_OK;
}

void pixi_ws_deflate_put(struct pixi_buf *b, const struct pixi_ws_deflate *d)
{
    pixi_buf_put_str(b, PIXI_WS_DEFLATE);
    for (const struct parameter *p = table; p != table + PARAMETERS; p++) {
        uint8_t value = get(d, p);

        if (!value)
            continue;
        pixi_buf_put_str(b, "; ");
        pixi_buf_put_str(b, p->name);
        if (p->is_window && value != PIXI_WS_BITS_ANY) {
            pixi_buf_put_str(b, "=");
            pixi_buf_put_uint(b, value);
        }
    }
}
