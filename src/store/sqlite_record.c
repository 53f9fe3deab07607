/* sqlite_record.c -- messages as they lie in rows, and which of them sessions want. */
#include "store/sqlite_log.h"

#include "sqlite/pack.h"

enum { WAS_WANTED = 1 << 6 }; /* beside PIXI_MSG_KEPT */

/* Places of numbers and parts in a record: as files have them. */
enum { OFFSET, TIME_MS, EXPIRES_MS, FLAGS, ORIGIN };
enum { TOPIC, HEADERS, PAYLOAD };

void pixi_log_pack(struct pixi_buf *row, const struct pixi_msg *msg, bool was_wanted)
{
    struct pixi_packed record = {
        .number = {[OFFSET] = msg->pos.offset,
                   [TIME_MS] = msg->time_ms,
                   [EXPIRES_MS] = msg->expires_ms,
                   [FLAGS] = (msg->flags & PIXI_MSG_KEPT) | (was_wanted ? (unsigned)WAS_WANTED : 0),
                   [ORIGIN] = msg->origin},
        .part = {[TOPIC] = msg->topic, [HEADERS] = msg->headers, [PAYLOAD] = msg->payload}};

    pixi_pack_put(row, &record);
}

bool pixi_log_unpack(struct pixi_cur *row, struct pixi_msg *msg, bool *was_wanted)
{
    struct pixi_packed record;

    if (!pixi_pack_next(row, &record))
        return false;
    *was_wanted = record.number[FLAGS] & WAS_WANTED;
    *msg = (struct pixi_msg){.pos.offset = record.number[OFFSET],
                             .time_ms = record.number[TIME_MS],
                             .expires_ms = record.number[EXPIRES_MS],
                             .flags = (unsigned)record.number[FLAGS] & PIXI_MSG_KEPT,
                             .origin = record.number[ORIGIN],
                             .topic = record.part[TOPIC],
                             .headers = record.part[HEADERS],
                             .payload = record.part[PAYLOAD]};
    return msg->topic.p != msg->topic.end;
}

/* --- what is wanted ------------------------------------------------------------------------------------------ */

enum { COUNT, BYTES, LAST, BODY_LEN };

/* Each offset is how far it is from the one before it: seven bits a byte, the lowest first. */
void pixi_log_pins_add(struct pixi_buf *offsets, uint64_t *before, uint64_t offset)
{
    uint64_t step = offset - *before;
    uint8_t byte;

    *before = offset;
    do {
        byte = (uint8_t)((step & 127) | (step > 127 ? 128 : 0));
        pixi_buf_put(offsets, &byte, 1);
        step >>= 7;
    } while (step);
}

void pixi_log_pins_pack(struct pixi_buf *row, const struct pixi_log_pins *pins, struct pixi_cur offsets)
{
    struct pixi_packed record = {
        .number =
            {[COUNT] = pins->count, [BYTES] = pins->bytes, [LAST] = pins->last, [BODY_LEN] = pins->body_len},
        .part = {offsets}};

    pixi_pack_put(row, &record);
}

void pixi_log_pins_next(struct pixi_log_pins *pins)
{
    uint64_t step = 0;
    uint8_t byte;

    if (pins->rest.p == pins->rest.end) {
        pins->next = 0;
        return;
    }
    for (unsigned shift = 0; pins->rest.p != pins->rest.end && shift < 64; shift += 7) {
        byte = *pins->rest.p++;
        step |= (uint64_t)(byte & 127) << shift;
        if (!(byte & 128))
            break;
    }
    pins->next += step;
}

bool pixi_log_pins_begin(struct pixi_log_pins *pins, uint64_t first, struct pixi_cur row)
{
    struct pixi_packed record;

    *pins = (struct pixi_log_pins){0};
    if (!pixi_pack_next(&row, &record) || row.p != row.end)
        return false;
    *pins = (struct pixi_log_pins){.count = record.number[COUNT],
                                   .bytes = record.number[BYTES],
                                   .last = record.number[LAST],
                                   .body_len = record.number[BODY_LEN],
                                   .rest = record.part[0],
                                   .next = first};
    pixi_log_pins_next(pins);
    return pins->next != 0;
}

/* --- a segment ----------------------------------------------------------------------------------------------- */

bool pixi_log_walk_begin(struct pixi_log_walk *w, int64_t id, uint64_t last, struct pixi_cur body,
                         struct pixi_cur pins)
{
    *w = (struct pixi_log_walk){.rest = body, .low = pixi_log_offset(id), .last = last};
    return w->low && w->low <= last && (pins.p == pins.end || pixi_log_pins_begin(&w->pins, w->low, pins));
}

int pixi_log_walk_row(struct pixi_log_walk *w, sqlite3_stmt *s)
{
    return pixi_log_walk_begin(w, sqlite3_column_int64(s, 0), (uint64_t)sqlite3_column_int64(s, 1),
                               pixi_db_column(s, 2), pixi_db_column(s, 3))
               ? SQLITE_OK
               : SQLITE_CORRUPT;
}

int pixi_log_walk_next(struct pixi_log_walk *w)
{
    const uint8_t *began = w->rest.p;
    uint64_t offset;

    if (!pixi_log_unpack(&w->rest, &w->msg, &w->was_wanted))
        return w->rest.p == w->rest.end && w->low == w->last + 1 && !w->pins.next ? SQLITE_DONE
                                                                                  : SQLITE_CORRUPT;
    offset = w->msg.pos.offset;
    if (offset < w->low || offset > w->last || (w->pins.next && w->pins.next < offset))
        return SQLITE_CORRUPT;
    w->record = (struct pixi_cur){began, w->rest.p};
    w->low = offset + 1;
    w->is_wanted = w->pins.next == offset;
    if (w->is_wanted)
        pixi_log_pins_next(&w->pins);
    return SQLITE_ROW;
}
