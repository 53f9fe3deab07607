/* list_test.h -- for tests: the disk beside a list in memory, which says what it should have. A seed says what is done. */
#ifndef PIXI_OUTBOX_LIST_TEST_H
#define PIXI_OUTBOX_LIST_TEST_H

#include "outbox/disk.h"
#include "sqlite/fault_test.h"

#include "invariants.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    WAITING_MAX = 3000,
    LEFT = 64,
    OWNERS = 3,
    BYTES_MAX = 50000,
    NUMBERS = 1 << 16,
};

/* A message as it should be. */
struct known {
    struct pixi_outbox_left left;
    uint64_t seq, accepted_ms, expires_ms;
    unsigned flags;
    size_t len; /* of its payload */
    bool has_headers;
};

struct list {
    struct known at[WAITING_MAX];
    size_t count;
    uint64_t next_number, next_seq;
};

static struct pixi_outbox_disk *d;
static struct list is, was; /* was: as the last commit left it */
static struct pixi_buf problem;
static char folder[64], path[80];
static uint64_t now_ms, seed, state_of_seed;
static uint8_t bytes[BYTES_MAX];
static bool may_return[NUMBERS]; /* of those that went, by number */
static bool is_linked = true;    /* may messages get seqs as they come? */

static inline unsigned below(unsigned n)
{
    state_of_seed = state_of_seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned)(state_of_seed >> 33) % n;
}

#define EXPECT(what)                                                                                         \
    do                                                                                                       \
        if (!(what))                                                                                         \
            fail_msg("%s:%d: seed %llu: %s", __FILE__, __LINE__, (unsigned long long)seed, #what);           \
    while (0)

static inline uint64_t unassigned(void)
{
    uint64_t count = 0;

    for (size_t i = 0; i < is.count; i++)
        count += !is.at[i].seq;
    return count;
}

static inline uint64_t cost_of_all(void)
{
    uint64_t cost = 0;

    for (size_t i = 0; i < is.count; i++)
        cost += is.at[i].left.cost;
    return cost;
}

/* NULL: it is not there. */
static inline struct known *find(uint64_t id)
{
    for (size_t i = 0; i < is.count; i++)
        if (is.at[i].left.id == id)
            return &is.at[i];
    return NULL;
}

static inline void forget(struct known *k)
{
    size_t i = (size_t)(k - is.at);

    may_return[k->left.id % PIXI_OUTBOX_LANE] |= !k->seq;
    memmove(k, k + 1, (is.count - i - 1) * sizeof *k);
    is.count--;
}

/* What the payload of a message with this number is. */
static inline struct pixi_cur payload_of(uint64_t id, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(id * 31 + i * i);
    return pixi_cur_init(bytes, len);
}

static inline void same(const struct pixi_outbox_msg *m, const struct known *k)
{
    EXPECT(k && m->id == k->left.id && m->seq == k->seq && m->flags == k->flags);
    EXPECT(m->accepted_ms == k->accepted_ms && m->expires_ms == k->expires_ms);
    EXPECT(m->owner == k->left.owner && m->from == k->left.from);
    EXPECT(pixi_cur_equals(m->payload, payload_of(m->id % PIXI_OUTBOX_LANE, k->len)));
    EXPECT(pixi_outbox_cost(m) == k->left.cost);
}

/* --- what is done ---------------------------------------------------------------------------------------------------- */

static inline size_t some_len(void)
{
    unsigned kind = below(40);

    return kind == 0 ? below(BYTES_MAX) : kind < 4 ? below(6000) : below(300);
}

/* The one that should make room next for a message of this priority; NULL: none may. */
static inline struct known *victim(unsigned priority)
{
    struct known *best = NULL;

    for (size_t i = 0; i < is.count; i++) {
        struct known *k = &is.at[i];
        unsigned p = pixi_outbox_priority(k->left.id);
        uint64_t number = k->left.id % PIXI_OUTBOX_LANE;

        if (k->seq || (d->when_full == PIXI_OUTBOX_DROP_LOWEST && p > priority))
            continue;
        if (!best || (d->when_full == PIXI_OUTBOX_DROP_LOWEST && p < pixi_outbox_priority(best->left.id)) ||
            ((d->when_full == PIXI_OUTBOX_DROP_OLDEST || p == pixi_outbox_priority(best->left.id)) &&
             number < best->left.id % PIXI_OUTBOX_LANE))
            best = k;
    }
    return best;
}

static inline void expect_left(const struct pixi_outbox_left *left, const struct known *k)
{
    EXPECT(k && left->id == k->left.id && left->cost == k->left.cost && left->owner == k->left.owner &&
           left->from == k->left.from);
}

static inline void check_room(const struct pixi_outbox_msg *m, const struct pixi_outbox_left *left,
                              size_t count, bool is_refused)
{
    uint64_t all = cost_of_all(), cost = pixi_outbox_cost(m);
    unsigned priority = pixi_outbox_priority(m->id);

    for (size_t i = 0; i < count; i++) {
        struct known *k = victim(priority);

        EXPECT(all + cost > d->limit_bytes);
        expect_left(&left[i], k);
        all -= k->left.cost;
        forget(k);
    }
    EXPECT(is_refused == (all + cost > d->limit_bytes));
    if (is_refused)
        EXPECT(count == LEFT || d->when_full == PIXI_OUTBOX_REFUSE || !victim(priority));
}

static inline int put(void)
{
    size_t len = some_len(), count = 0;
    struct pixi_outbox_msg *m = pixi_outbox_msg_new(pixi_cur_str("topic"), pixi_cur_str(below(2) ? "" : "{}"),
                                                    payload_of(d->row.next_number, len));
    bool wants_seq = is_linked && !unassigned() && below(2), is_refused = false;
    struct pixi_outbox_left left[LEFT];
    int rc;

    EXPECT(m && is.count < WAITING_MAX);
    m->id = pixi_outbox_lane(below(3) ? 4 : below(10));
    m->flags = below(4);
    m->accepted_ms = now_ms;
    m->expires_ms = below(5) ? 0 : now_ms + 1 + below(20000);
    m->owner = below(OWNERS);
    m->from = below(100);
    rc = pixi_outbox_disk_put(d, m, wants_seq, left, LEFT, &count, &is_refused);
    if (rc == SQLITE_OK)
        check_room(m, left, count, is_refused);
    if (rc == SQLITE_OK && !is_refused) {
        EXPECT(m->id % PIXI_OUTBOX_LANE == is.next_number++);
        EXPECT(m->seq == (wants_seq ? is.next_seq++ : 0));
        is.at[is.count++] = (struct known){.left = pixi_outbox_left_of(m),
                                           .seq = m->seq,
                                           .flags = m->flags,
                                           .accepted_ms = m->accepted_ms,
                                           .expires_ms = m->expires_ms,
                                           .len = len,
                                           .has_headers = pixi_cur_left(&m->headers) > 0};
    }
    free(m);
    return rc;
}

/* The one of those without a seq that goes first. */
static inline struct known *first_to_go(void)
{
    struct known *best = NULL;

    for (size_t i = 0; i < is.count; i++)
        if (!is.at[i].seq && (!best || is.at[i].left.id < best->left.id))
            best = &is.at[i];
    return best;
}

static inline int load(void)
{
    size_t want = 1 + below(below(4) ? 50 : 1000), got = 0;
    uint64_t room = below(4) ? 1 << 20 : 1 + below(100000), taken = 0, lost, waiting = unassigned();
    uint64_t late_ms = below(2) ? now_ms - below(20000) : 0;
    struct pixi_outbox_msg *list = NULL, *next;
    int rc = pixi_outbox_disk_load(d, want, room, late_ms, &list, &lost);

    for (struct pixi_outbox_msg *m = list; m; m = next) {
        next = m->next;
        if (rc == SQLITE_OK) {
            struct known *k = first_to_go();

            EXPECT(k);
            k->seq = is.next_seq++;
            k->flags |= k->accepted_ms < late_ms ? PIXI_OUTBOX_LATE : 0;
            same(m, k);
            k->left = pixi_outbox_left_of(m);
            taken += k->left.cost;
            got++;
        }
        free(m);
    }
    if (rc == SQLITE_OK)
        EXPECT(lost == 0 && (got == waiting || got >= want || taken >= room) &&
               got < want + PIXI_OUTBOX_BATCH);
    return rc;
}

/* NULL: none has a seq. */
static inline struct known *any_assigned(void)
{
    size_t from = is.count ? below((unsigned)is.count) : 0;

    for (size_t i = 0; i < is.count; i++)
        if (is.at[(from + i) % is.count].seq)
            return &is.at[(from + i) % is.count];
    return NULL;
}

static inline int take_away(void)
{
    struct known *k;
    int rc = SQLITE_OK;

    for (unsigned n = 1 + below(below(3) ? 5 : 300); n && rc == SQLITE_OK && (k = any_assigned()); n--) {
        rc = pixi_outbox_disk_remove(d, &k->left);
        if (rc == SQLITE_OK && !below(10))
            rc = pixi_outbox_disk_remove(d, &k->left); /* harmless */
        if (rc == SQLITE_OK && k->seq > d->row.stored_seq)
            d->row.stored_seq = k->seq;
        if (rc == SQLITE_OK)
            forget(k);
    }
    return rc;
}

static inline int reject(void)
{
    struct known *k = any_assigned();
    struct pixi_outbox_msg *m;
    int rc;

    if (!k)
        return SQLITE_OK;
    m = pixi_outbox_msg_new(pixi_cur_str("topic"), pixi_cur_str(k->has_headers ? "{}" : ""),
                            payload_of(k->left.id % PIXI_OUTBOX_LANE, k->len));
    EXPECT(m && pixi_outbox_cost(m) == k->left.cost);
    m->id = k->left.id;
    m->batch = k->left.batch;
    m->place = k->left.place;
    m->owner = k->left.owner;
    rc = pixi_outbox_disk_reject(d, m, PIXI_E_FORBIDDEN, "");
    free(m);
    if (rc == SQLITE_OK) {
        may_return[k->left.id % PIXI_OUTBOX_LANE] = true;
        forget(k);
    }
    return rc;
}

static inline int sweep(void)
{
    uint64_t old_ms = below(3) ? 0 : now_ms - below(60000), oldest_ms, oldest = 0;
    struct pixi_outbox_left left[LEFT];
    size_t count = 0;
    int rc = pixi_outbox_disk_sweep(d, now_ms, old_ms, left, LEFT, &count, &oldest_ms);

    for (size_t i = 0; i < count && rc == SQLITE_OK; i++) {
        struct known *k = find(left[i].id);

        expect_left(&left[i], k);
        EXPECT(!k->seq && ((k->expires_ms && k->expires_ms <= now_ms) || k->accepted_ms < old_ms));
        forget(k);
    }
    if (rc != SQLITE_OK || count == LEFT)
        return rc;
    for (size_t i = 0; i < is.count; i++) {
        const struct known *k = &is.at[i];

        if (k->seq)
            continue;
        EXPECT((!k->expires_ms || k->expires_ms > now_ms) && k->accepted_ms >= old_ms);
        oldest = !oldest || k->accepted_ms < oldest ? k->accepted_ms : oldest;
    }
    EXPECT(oldest == oldest_ms);
    return rc;
}

static inline int do_one(void)
{
    unsigned kind = below(100);

    if (kind < 4)
        return load();
    if (kind < 10)
        return take_away();
    if (kind < 11)
        return sweep();
    if (kind < 12)
        return reject();
    for (unsigned n = below(8) ? 0 : below(100); n && is.count < WAITING_MAX - 200; n--) {
        int rc = put();

        if (rc != SQLITE_OK)
            return rc;
    }
    return is.count < WAITING_MAX - 200 ? put() : take_away();
}

static inline void check_row(void)
{
    const struct pixi_outbox_row *r = &d->row;

    EXPECT(r->count == is.count && r->bytes == cost_of_all() && r->unassigned == unassigned());
    EXPECT(r->next_number == is.next_number && r->next_seq == is.next_seq);
}

/* As the worker does it. */
static inline int group(unsigned jobs)
{
    int rc = pixi_db_exec(&d->db, "BEGIN IMMEDIATE");

    while (jobs-- && rc == SQLITE_OK)
        rc = do_one();
    if (rc == SQLITE_OK)
        rc = pixi_outbox_disk_finish(d);
    if (rc == SQLITE_OK)
        rc = pixi_db_exec(&d->db, "COMMIT");
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(d->db.handle))
        pixi_db_exec(&d->db, "ROLLBACK");
    pixi_outbox_disk_ended(d, rc);
    EXPECT(rc == SQLITE_OK || (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_FULL);
    if (rc == SQLITE_OK)
        was = is;
    else
        is = was;
    check_row();
    return rc;
}
/* --- starts ---------------------------------------------------------------------------------------------------------- */

static inline void start(bool is_known_torn)
{
    static const struct pixi_outbox_disk nothing;
    struct pixi_db_options o = {
        .path = path, .vfs = "fault", .now_ms = now_ms, .check_ms = below(2), .is_known_torn = is_known_torn};
    enum pixi_outbox_full when_full = d->when_full;
    uint64_t limit_bytes = d->limit_bytes;

    *d = nothing;
    if (pixi_outbox_disk_open(d, &o, &problem) != PIXI_OK)
        fail_msg("seed %llu: %.*s", (unsigned long long)seed, (int)problem.len, (const char *)problem.bytes);
    d->when_full = when_full;
    d->limit_bytes = limit_bytes;
}

static inline void begin(uint64_t with)
{
    seed = state_of_seed = with;
    fault_begin();
    now_ms = UINT64_C(1700000000000);
    snprintf(folder, sizeof folder, "/tmp/pixi-disk-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/outbox.db", folder);
    problem = pixi_buf_init(4096);
    d = calloc(1, sizeof *d);
    assert_non_null(d);
    d->when_full = (enum pixi_outbox_full)below(3);
    d->limit_bytes = below(2) ? 1 << 30 : 20000 + below(300000);
    memset(may_return, 0, sizeof may_return);
    is = was = (struct list){.next_number = 1, .next_seq = 1};
    start(false);
}

static inline void end(void)
{
    char command[96];

    pixi_outbox_disk_close(d);
    free(d);
    pixi_buf_clear(&problem);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

#endif
