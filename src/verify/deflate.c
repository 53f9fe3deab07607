#include "verify/deflate.h"

#include <stdlib.h>
#include <zlib.h>

enum { PIECE = 4096, WINDOW = 15, TAIL = 4 };

static const uint8_t tail[TAIL] = {0, 0, 0xff, 0xff}; /* what is left out at the end of a message: §7.2.1 */

/* --- the answer ---------------------------------------------------------------------------------------------------- */

static struct pixi_cur trim(struct pixi_cur c)
{
    while (c.p < c.end && (*c.p == ' ' || *c.p == '\t'))
        c.p++;
    while (c.end > c.p && (c.end[-1] == ' ' || c.end[-1] == '\t'))
        c.end--;
    return c;
}

/* What stands before the next of this character, outside of quotes; rest is moved behind it. false: nothing is left. */
static bool cut(struct pixi_cur *rest, char at, struct pixi_cur *part)
{
    bool is_quoted = false;
    const uint8_t *p = rest->p;

    if (!rest->p)
        return false;
    for (; p < rest->end && (*p != (uint8_t)at || is_quoted); p++)
        is_quoted ^= *p == '"';
    *part = trim((struct pixi_cur){rest->p, p});
    *rest = p < rest->end ? (struct pixi_cur){p + 1, rest->end} : (struct pixi_cur){NULL, NULL};
    return true;
}

static struct pixi_cur unquote(struct pixi_cur c)
{
    if (pixi_cur_left(&c) >= 2 && *c.p == '"' && c.end[-1] == '"')
        return (struct pixi_cur){c.p + 1, c.end - 1};
    return c;
}

static bool is_text(struct pixi_cur c, const char *text)
{
    return pixi_cur_equals(c, pixi_cur_str(text));
}

static bool is_window(struct pixi_cur value)
{
    static const char *const all[] = {"8", "9", "10", "11", "12", "13", "14", "15"};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (is_text(value, all[i]))
            return true;
    return false;
}

/* One parameter; seen: a bit for each of those that came before. */
static int read_parameter(struct pixi_cur c, unsigned *seen)
{
    static const char *const names[] = {"server_no_context_takeover", "client_no_context_takeover",
                                        "server_max_window_bits", "client_max_window_bits"};
    struct pixi_cur name, value = {NULL, NULL};
    unsigned i = 0;

    if (!cut(&c, '=', &name) || pixi_cur_left(&name) == 0 || (c.p && c.p == c.end))
        return PIXI_E_WS_EXTENSION;
    if (c.p)
        value = unquote(trim(c));
    while (i < 4 && !is_text(name, names[i]))
        i++;
    if (i == 4)
        return PIXI_E_WS_DEFLATE_NAME;
    if (*seen & 1u << i)
        return PIXI_E_WS_DEFLATE_TWICE;
    *seen |= 1u << i;
    if (i < 2 ? value.p != NULL : !is_window(value))
        return PIXI_E_WS_DEFLATE_VALUE;
    return i == 3 ? PIXI_E_WS_DEFLATE_ASKED : PIXI_OK;
}

static int read_element(struct pixi_cur c)
{
    struct pixi_cur part;
    unsigned seen = 0;
    int rc = PIXI_OK;

    if (!cut(&c, ';', &part) || !is_text(part, "permessage-deflate"))
        return PIXI_E_WS_EXTENSION;
    while (rc == PIXI_OK && cut(&c, ';', &part))
        rc = read_parameter(part, &seen);
    return rc == PIXI_OK && !(seen & 1) ? PIXI_E_WS_DEFLATE_CONTEXT : rc;
}

int pixi_vdeflate_read_answer(const struct pixi_vhttp_head *h)
{
    struct pixi_cur list, element, only = {NULL, NULL};

    for (size_t nth = 0; pixi_vhttp_get(h, "Sec-WebSocket-Extensions", nth, &list); nth++)
        while (cut(&list, ',', &element)) {
            if (pixi_cur_left(&element) == 0)
                continue;
            if (only.p)
                return PIXI_E_WS_EXTENSION;
            only = element;
        }
    return only.p ? read_element(only) : PIXI_MORE;
}

/* --- messages ------------------------------------------------------------------------------------------------------- */

static void lend(z_stream *z, struct pixi_cur in)
{
    z->next_in = (Bytef *)(uintptr_t)in.p;
    z->avail_in = (uInt)pixi_cur_left(&in);
}

int pixi_vdeflate_pack(struct pixi_cur message, struct pixi_buf *b)
{
    uLong most = compressBound((uLong)pixi_cur_left(&message)) + 16;
    uint8_t *room = pixi_buf_reserve(b, most);
    z_stream z = {.next_out = room, .avail_out = (uInt)most};

    if (!room || deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, -WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return PIXI_E_NOMEM;
    lend(&z, message);
    deflate(&z, Z_SYNC_FLUSH);
    b->len += z.total_out - TAIL;
    deflateEnd(&z);
    return PIXI_OK;
}

/* All of in, as far as out has room. */
static int inflate_all(z_stream *z, struct pixi_cur in, struct pixi_buf *b)
{
    uint8_t piece[PIECE];
    int rc;

    lend(z, in);
    do {
        z->next_out = piece;
        z->avail_out = sizeof piece;
        rc = inflate(z, Z_SYNC_FLUSH);
        pixi_buf_put(b, piece, sizeof piece - z->avail_out);
        if (b->err)
            return b->err == PIXI_E_LIMIT ? PIXI_E_WS_TOO_BIG : b->err;
        if (rc == Z_STREAM_END)
            inflateReset(z); /* a last block, and perhaps others behind it: §7.2.3.4 */
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            return rc == Z_MEM_ERROR ? PIXI_E_NOMEM : PIXI_E_WS_DEFLATE_DATA;
    } while (z->avail_in || z->avail_out == 0);
    return PIXI_OK;
}

int pixi_vdeflate_unpack(struct pixi_cur packed, struct pixi_buf *b)
{
    z_stream z = {.avail_in = 0};
    int rc;

    if (inflateInit2(&z, -WINDOW) != Z_OK)
        return PIXI_E_NOMEM;
    rc = inflate_all(&z, packed, b);
    if (rc == PIXI_OK)
        rc = inflate_all(&z, pixi_cur_init(tail, TAIL), b);
    if (rc == PIXI_OK && (z.data_type & 0xbf) != 0x80) /* not between two blocks, at a byte's edge */
        rc = PIXI_E_WS_DEFLATE_DATA;
    inflateEnd(&z);
    return rc;
}
