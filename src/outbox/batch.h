/* batch.h -- how messages lie on disk: many in one row, a batch, which is not written again; and beside it a small row, its
 * part, with what has become of them. Private to the files of the disk.
 *
 * A batch holds messages of one priority that came in one group, in their order; its id is that of the first. Either all of
 * them got their seqs as they came, then the seqs are in it, or none did: then they get them together, as it is read. */
#ifndef PIXI_OUTBOX_BATCH_H
#define PIXI_OUTBOX_BATCH_H

#include "outbox/msg.h"

#include "base/buf.h"

#include <sqlite3.h>

struct pixi_outbox_disk;

enum {
    PIXI_OUTBOX_BATCH = 256,            /* messages in one, at most */
    PIXI_OUTBOX_BATCH_BYTES = 32 << 10, /* of it; a larger message has one of its own */
    PIXI_OUTBOX_PARTS = 512,            /* that are remembered */
    PIXI_OUTBOX_BITS = PIXI_OUTBOX_BATCH / 8,
};

/* What has become of the messages of a batch. Without a row: nothing. */
struct pixi_outbox_part {
    uint64_t batch; /* the id of it; 0: of none */
    unsigned count, gone_count;
    uint64_t first_seq;  /* of the first that was there when it was read to be sent; 0: it was not read */
    uint64_t late_ms;    /* then: those accepted before are PIXI_OUTBOX_LATE */
    uint64_t expires_ms; /* when the first of those that wait does; 0: none does, or it was read */
    uint8_t gone[PIXI_OUTBOX_BITS];
    uint8_t skipped[PIXI_OUTBOX_BITS]; /* gone before it was read: they got no seq */
    bool is_changed, has_row;
};

/* The batch that a priority's messages of this group are put in. */
struct pixi_outbox_building {
    uint64_t id; /* 0: there is none */
    unsigned count;
    bool has_seqs;
    uint64_t expires_ms;
    struct pixi_buf body;
};

/* --- part.c: SQLITE_OK, or what failed ------------------------------------------------------------------------ */

/* pixi_outbox_part_get -- borrowed until the next call of any function here; NULL: there is no such batch. */
int pixi_outbox_part_get(struct pixi_outbox_disk *d, uint64_t batch, struct pixi_outbox_part **out);
/* pixi_outbox_part_make -- of a batch that is being written. */
int pixi_outbox_part_make(struct pixi_outbox_disk *d, const struct pixi_outbox_building *b);
/* pixi_outbox_part_change -- it is written before the group's commit; its batch is deleted when none is left in it. */
void pixi_outbox_part_change(struct pixi_outbox_disk *d, struct pixi_outbox_part *part);
int pixi_outbox_part_write_all(struct pixi_outbox_disk *d);
/* pixi_outbox_part_forget -- what is on disk is something else now. */
void pixi_outbox_part_forget(struct pixi_outbox_disk *d);
/* pixi_outbox_part_decode -- a row's body; false: it is damaged. batch and count are the caller's. */
bool pixi_outbox_part_decode(struct pixi_cur body, uint64_t batch, struct pixi_outbox_part *part);

static inline bool pixi_outbox_has_bit(const uint8_t *bits, unsigned place)
{
    return bits[place / 8] >> place % 8 & 1;
}

/* --- batch.c: SQLITE_OK, or what failed ----------------------------------------------------------------------- */

/* pixi_outbox_batch_add -- m, which has its id, and its seq if it is to have one, gets its batch and place. */
int pixi_outbox_batch_add(struct pixi_outbox_disk *d, struct pixi_outbox_msg *m);
/* pixi_outbox_batch_flush -- what was added is written: of a priority, of all. */
int pixi_outbox_batch_flush(struct pixi_outbox_disk *d, unsigned priority);
int pixi_outbox_batch_flush_all(struct pixi_outbox_disk *d);
/* pixi_outbox_batch_forget -- what was added and not written. */
void pixi_outbox_batch_forget(struct pixi_outbox_disk *d);

/* pixi_outbox_batch_next -- the next one of a priority behind `after`, which is an id, or the lane; 0: there is none. */
int pixi_outbox_batch_next(struct pixi_outbox_disk *d, unsigned priority, uint64_t after, uint64_t *id);

/* One that is being read. */
struct pixi_outbox_reader {
    sqlite3_stmt *s;
    struct pixi_outbox_part part; /* as it was when the reading began */
    bool has_seqs;
    struct pixi_cur rest;
    unsigned place; /* how many were read */
    uint64_t last_id, next_seq;
};

/* pixi_outbox_batch_open -- reader is valid in any case; pixi_outbox_batch_close before another is opened. SQLITE_CORRUPT:
 * also when there is none. */
int pixi_outbox_batch_open(struct pixi_outbox_disk *d, uint64_t id, struct pixi_outbox_reader *reader);
/* pixi_outbox_batch_read -- the next message that has not gone. What m points to is borrowed until the batch is closed.
 * SQLITE_ROW | SQLITE_DONE | SQLITE_CORRUPT: from reader->rest on it is not as it was written */
int pixi_outbox_batch_read(struct pixi_outbox_reader *reader, struct pixi_outbox_msg *m);
void pixi_outbox_batch_close(struct pixi_outbox_reader *reader);

#endif
