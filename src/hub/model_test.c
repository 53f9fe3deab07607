/* The hub on every back end of the store against a plain reading of PROTOCOL "Messages, positions, recovery": random
 * publishes, subscriptions, slow readers, leaving and coming back. Per subscription nothing twice, nothing missed,
  * in order. */
#include "hub/hub.h"
#include "base/topic.h"
#include "hub/later_test.h"
#include "invariants.h"
#include "store/backend_test.h"

enum { PEERS = 6, SUBS = 8, SENT_MAX = 4096, GROUPS = 64, NAME = 24, SEEDS = 12 };

struct sent {
    char topic[NAME];
    uint64_t offset, expires_ms; /* offset 0: not stored */
    bool is_retained, is_empty;
};

/* What one subscription, or all members of a shared one, must see. */
struct stream {
    char filter[NAME];
    unsigned members;
    uint64_t start, cursor; /* last stored offset seen, or where it began */
    uint64_t snapshot;      /* highest snapshot offset seen */
    bool wants_snapshot, is_recovered, is_synced, is_shared;
    bool has_seen[SENT_MAX]; /* snapshot, by index of sent */
    unsigned unstored;       /* of the message that is being delivered */
};

struct fake {
    struct pixi_hub_peer peer; /* first */
    bool is_here, is_lost, is_woken;
    unsigned room;
    struct stream *subs[SUBS];
    uint64_t left_at; /* head when it left: a position to come back with */
};

static struct {
    unsigned seed, random;
    const struct backend *backend;
    struct later_store store;
    struct pixi_hub hub;
    struct pixi_now now;
    struct fake fakes[PEERS];
    struct sent sent[SENT_MAX];
    unsigned publish_count, sent_count;
    const char *policies[2];
    bool is_small;
    struct stream *groups[GROUPS];
    const struct pixi_msg *encoded;
    struct pixi_cur encoded_filter;
    unsigned encoded_flags;
} w;

static struct {
    unsigned lost, snapshots, recovered, published;
} seen; /* with all seeds */

static unsigned random_below(unsigned n)
{
    w.random = w.random * 1664525u + 1013904223u;
    return (w.random >> 8) % n;
}

/* §4.7 once more, level by level from the front, so that nothing of the hub is believed here. */
static bool naive_matches(const char *f, const char *t)
{
    if (strncmp(f, "$share/", 7) == 0)
        f = strchr(f + 7, '/') + 1;
    for (;;) {
        size_t fl = strcspn(f, "/"), tl = strcspn(t, "/");

        if (fl == 1 && *f == '#')
            return true;
        if (!(fl == 1 && *f == '+') && (fl != tl || memcmp(f, t, fl) != 0))
            return false;
        if (!t[tl])
            return !f[fl] || strcmp(f + fl, "/#") == 0;
        if (!f[fl])
            return false;
        f += fl + 1;
        t += tl + 1;
    }
}

static bool is_due(const struct sent *m, const char *filter)
{
    return m->offset && !(m->expires_ms && m->expires_ms <= w.now.wall_ms) && naive_matches(filter, m->topic);
}

static struct sent *sent_at(uint64_t offset)
{
    for (unsigned i = w.sent_count; i-- > 0;)
        if (w.sent[i].offset == offset)
            return &w.sent[i];
    fail_msg("seed %u: offset %llu was never stored", w.seed, (unsigned long long)offset);
    return NULL;
}

static void nothing_missed(const struct stream *s, uint64_t upto)
{
    for (unsigned i = 0; i < w.sent_count; i++)
        if (w.sent[i].offset > s->cursor && w.sent[i].offset < upto && is_due(&w.sent[i], s->filter))
            fail_msg("seed %u: '%s' missed '%s', offset %llu (at %llu, from %llu)", w.seed, s->filter,
                     w.sent[i].topic, (unsigned long long)w.sent[i].offset, (unsigned long long)s->cursor,
                     (unsigned long long)s->start);
}

static void encode(void *ctx, const struct pixi_msg *msg, struct pixi_cur filter, unsigned flags)
{
    (void)ctx;
    w.encoded = msg;
    w.encoded_filter = filter;
    w.encoded_flags = flags;
}

static void take_snapshot(struct stream *s, const struct pixi_msg *msg)
{
    if (!s->wants_snapshot || s->is_recovered || s->is_synced || msg->pos.offset > s->start ||
        msg->pos.offset <= s->snapshot || s->cursor != s->start)
        fail_msg("seed %u: '%s' got an unexpected snapshot message", w.seed, s->filter);
    s->snapshot = msg->pos.offset;
    s->has_seen[sent_at(msg->pos.offset) - w.sent] = true;
}

static void take_stored(struct stream *s, const struct pixi_msg *msg)
{
    if (msg->pos.offset <= s->cursor)
        fail_msg("seed %u: '%s' got offset %llu twice", w.seed, s->filter,
                 (unsigned long long)msg->pos.offset);
    if (!s->is_recovered && !s->is_synced && !s->is_shared)
        fail_msg("seed %u: '%s' got a live message before synced", w.seed, s->filter);
    nothing_missed(s, msg->pos.offset);
    s->cursor = msg->pos.offset;
}

static int deliver(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    struct fake *f = (struct fake *)peer;
    struct stream *s = sub->user;
    const struct pixi_msg *msg = w.encoded;
    const struct sent *was;
    unsigned index;

    (void)ctx;
    assert_true(pixi_cur_equals(w.encoded_filter, sub->filter));
    if (!msg->pos.offset) {
        s->unstored++;
        return PIXI_OK;
    }
    if (!f->room)
        return PIXI_E_QUEUE;
    f->room--;
    was = sent_at(msg->pos.offset);
    index = (unsigned)(was - w.sent);
    assert_int_equal(pixi_cur_left(&msg->topic), strlen(was->topic));
    assert_memory_equal(msg->topic.p, was->topic, strlen(was->topic));
    assert_true(naive_matches(s->filter, was->topic));
    if (!was->is_empty)
        assert_memory_equal(msg->payload.p, &index, sizeof index);
    if (w.encoded_flags & PIXI_HUB_RETAINED)
        take_snapshot(s, msg);
    else
        take_stored(s, msg);
    return PIXI_OK;
}

/* The last retained message of a topic among the first `count`; -1: none. */
static int retained_of(const char *topic, uint64_t upto)
{
    int found = -1;

    for (unsigned i = 0; i < w.sent_count; i++)
        if (w.sent[i].is_retained && w.sent[i].offset <= upto && strcmp(w.sent[i].topic, topic) == 0)
            found = w.sent[i].is_empty ? -1 : (int)i;
    return found;
}

/* The snapshot is what was retained when the subscription began, but for what changed meanwhile. */
static void check_snapshot(const struct stream *s)
{
    int then, now;

    for (unsigned i = 0; i < w.sent_count; i++) {
        if (!w.sent[i].is_retained || w.sent[i].offset > s->start)
            continue;
        then = retained_of(w.sent[i].topic, s->start);
        now = retained_of(w.sent[i].topic, UINT64_MAX);
        if (s->has_seen[i] && then != (int)i)
            fail_msg("seed %u: '%s' snapshot had an old '%s'", w.seed, s->filter, w.sent[i].topic);
        if (then == (int)i && now == then && is_due(&w.sent[i], s->filter) && !s->has_seen[i])
            fail_msg("seed %u: '%s' snapshot had no '%s'", w.seed, s->filter, w.sent[i].topic);
    }
}

static void synced(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    struct stream *s = sub->user;

    (void)ctx;
    (void)peer;
    assert_false(s->is_synced && !s->is_shared);
    s->is_synced = true;
    if (s->wants_snapshot && !s->is_recovered) {
        check_snapshot(s);
        seen.snapshots++;
    }
    if (s->is_recovered)
        nothing_missed(s, s->start);
}

static void free_unused(struct stream *s)
{
    if (s->members)
        return;
    for (unsigned i = 0; i < GROUPS; i++)
        if (w.groups[i] == s)
            w.groups[i] = NULL;
    free(s);
}

static void release(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    struct fake *f = (struct fake *)peer;
    struct stream *s = sub->user;

    (void)ctx;
    for (unsigned i = 0; i < SUBS; i++)
        if (f->subs[i] == s)
            f->subs[i] = NULL;
    s->members--;
    free_unused(s);
}

static void lost(void *ctx, struct pixi_hub_peer *peer, int err)
{
    (void)ctx;
    assert_int_equal(err, PIXI_E_HISTORY);
    assert_true(w.is_small);
    assert_false(((struct fake *)peer)->is_lost);
    ((struct fake *)peer)->is_lost = true;
    seen.lost++;
}

static void wake(void *ctx, struct pixi_hub_peer *peer)
{
    (void)ctx;
    ((struct fake *)peer)->is_woken = true;
}

static void published(void *ctx, struct pixi_hub_peer *peer, void *token, int err, struct pixi_position pos)
{
    (void)ctx;
    (void)peer;
    assert_ptr_equal(token, &w);
    assert_int_equal(err, PIXI_OK);
    assert_true(pos.offset != 0);
    seen.published++;
}

static const struct pixi_hub_calls gateway_calls = {
    .encode = encode,
    .deliver = deliver,
    .synced = synced,
    .release = release,
    .lost = lost,
    .wake = wake,
    .published = published,
};

static struct pixi_hub_gateway gateways[2] = {{.call = &gateway_calls}, {.call = &gateway_calls}};

static void before_commit(void *ctx, const struct pixi_commit *commit)
{
    struct sent *m = &w.sent[w.sent_count++];
    struct pixi_cur topic = commit->msg->topic;
    bool is_stored = commit->msg->flags & PIXI_MSG_RETAIN;

    (void)ctx;
    assert_int_equal(commit->err, PIXI_OK);
    *m = (struct sent){.offset = commit->msg->pos.offset, .expires_ms = commit->msg->expires_ms};
    memcpy(m->topic, topic.p, pixi_cur_left(&topic));
    m->is_retained = commit->msg->flags & PIXI_MSG_RETAIN;
    m->is_empty = commit->msg->payload.p == commit->msg->payload.end;
    for (unsigned i = 0; i < 2; i++)
        is_stored = is_stored || naive_matches(w.policies[i], m->topic);
    assert_int_equal(is_stored, m->offset != 0);
    for (unsigned i = 0; i < PEERS; i++)
        for (unsigned k = 0; k < SUBS; k++)
            if (w.fakes[i].subs[k])
                w.fakes[i].subs[k]->unstored = 0;
}

static void after_commit(void *ctx, const struct pixi_commit *commit)
{
    const struct sent *m = &w.sent[w.sent_count - 1];
    const struct stream *s;

    (void)ctx;
    (void)commit;
    for (unsigned i = 0; i < PEERS; i++) {
        for (unsigned k = 0; k < SUBS; k++) {
            s = w.fakes[i].subs[k];
            if (s && !w.fakes[i].is_lost && s->unstored != (!m->offset && naive_matches(s->filter, m->topic)))
                fail_msg("seed %u: '%s' got '%s' %u times", w.seed, s->filter, m->topic, s->unstored);
        }
    }
}

static void random_name(char *name, bool is_filter)
{
    static const char *const levels[] = {"a", "b", "c", "+", "#"};
    unsigned count = 1 + random_below(3), k;

    *name = 0;
    if (is_filter && random_below(6) == 0)
        strcpy(name, random_below(2) ? "$share/g/" : "$share/h/");
    for (unsigned i = 0; i < count; i++) {
        k = random_below(is_filter ? (i + 1 == count ? 5 : 4) : 3);
        strcat(name, levels[k]);
        strcat(name, i + 1 < count ? "/" : "");
    }
}

static void publish(struct fake *f)
{
    char topic[NAME];
    unsigned payload = w.publish_count++, fate = random_below(8);
    struct pixi_msg msg = {0};

    random_name(topic, false);
    msg.topic = pixi_cur_str(topic);
    if (fate < 3)
        msg.flags = PIXI_MSG_RETAIN;
    if (fate != 0)
        msg.payload = pixi_cur_init(&payload, sizeof payload);
    if (fate == 2)
        msg.expires_ms = w.now.wall_ms + 1 + random_below(50);
    assert_int_equal(pixi_hub_publish(&w.hub, &f->peer, &msg, random_below(2) ? &w : NULL, w.now), PIXI_OK);
}

static struct stream *stream_for(const char *filter)
{
    struct stream *s;

    for (unsigned i = 0; i < GROUPS; i++)
        if (w.groups[i] && strcmp(w.groups[i]->filter, filter) == 0)
            return w.groups[i];
    s = calloc(1, sizeof *s);
    assert_non_null(s);
    strcpy(s->filter, filter);
    s->is_shared = strncmp(filter, "$share/", 7) == 0;
    for (unsigned i = 0; s->is_shared && i < GROUPS; i++) {
        if (!w.groups[i]) {
            w.groups[i] = s;
            break;
        }
    }
    return s;
}

/* Which of the peer's places has the filter, else a free one; SUBS: none. */
static unsigned place_for(const struct fake *f, const char *filter)
{
    unsigned place = SUBS;

    for (unsigned i = 0; i < SUBS; i++) {
        if (f->subs[i] && strcmp(f->subs[i]->filter, filter) == 0)
            return i;
        if (!f->subs[i])
            place = i;
    }
    return place;
}

static bool is_whole(const char *filter)
{
    for (unsigned i = 0; i < 2; i++)
        if (pixi_filter_covers(pixi_cur_str(w.policies[i]), pixi_cur_str(filter)))
            return true;
    return false;
}

static void pump(struct fake *f)
{
    f->is_woken = false;
    while (pixi_hub_pump(&w.hub, &f->peer, w.now) == PIXI_MORE)
        ;
}

static void subscribe(struct fake *f, const char *filter)
{
    struct pixi_position head = w.store.store.call->head(&w.store.store);
    struct pixi_position since[2] = {{99, 1}, {head.epoch, f->left_at}};
    struct pixi_hub_subscribe how = {.flags = random_below(3) ? PIXI_HUB_SNAPSHOT : 0};
    struct pixi_hub_subscribed out;
    struct stream *s = stream_for(filter);
    unsigned place = place_for(f, filter);

    if (place == SUBS || (s->is_shared && f->subs[place] == s)) {
        free_unused(s);
        return;
    }
    if (!s->is_shared && random_below(2)) {
        how.since = since;
        how.since_count = 1 + random_below(2);
    }
    how.user = s;
    s->members++;
    assert_int_equal(pixi_hub_subscribe(&w.hub, &f->peer, pixi_cur_str(filter), &how, &out), PIXI_OK);
    f->subs[place] = s;
    if (s->members > 1) {
        pump(f);
        return;
    }
    s->start = s->cursor = out.pos.offset;
    s->is_recovered = out.is_recovered;
    s->wants_snapshot = how.flags && !s->is_shared;
    assert_int_equal(out.pos.offset, out.is_recovered ? f->left_at : head.offset);
    if (!w.is_small)
        assert_int_equal(out.is_recovered, how.since_count == 2 && is_whole(filter));
    seen.recovered += out.is_recovered;
    pump(f);
}

static void leave(struct fake *f)
{
    if (!f->is_here)
        return;
    pixi_hub_leave(&w.hub, &f->peer);
    f->is_here = false;
    f->left_at = w.store.store.call->head(&w.store.store).offset;
    for (unsigned i = 0; i < SUBS; i++)
        assert_null(f->subs[i]);
}

static void join(struct fake *f)
{
    static const struct pixi_cur all = {(const uint8_t *)"#", (const uint8_t *)"#" + 1};
    static const struct pixi_permit permit = {
        .publish = &all, .publish_count = 1, .subscribe = &all, .subscribe_count = 1};

    f->is_here = true;
    f->is_lost = false;
    f->room = 20;
    f->peer = (struct pixi_hub_peer){.gateway = &gateways[random_below(2)], .permit = &permit};
    pixi_hub_join(&w.hub, &f->peer);
}

static void act(struct fake *f)
{
    unsigned what = random_below(100);
    char filter[NAME];

    random_name(filter, true);
    if (!f->is_here) {
        if (what < 30)
            join(f);
    } else if (what < 60) {
        publish(f);
    } else if (what < 72) {
        subscribe(f, filter);
    } else if (what < 76) {
        assert_int_equal(pixi_hub_unsubscribe(&w.hub, &f->peer, pixi_cur_str(filter)), PIXI_OK);
    } else if (what < 94) {
        f->room = random_below(w.is_small ? 60 : 12);
        pump(f);
    } else if (what < 96) {
        leave(f);
    } else {
        w.now.wall_ms += random_below(20);
    }
}

static void turn_loop(void)
{
    for (unsigned n = random_below(4); n && w.store.is_later; n--)
        if (random_below(2))
            later_run_append(&w.store);
        else
            later_run_read(&w.store);
    if (random_below(2))
        w.backend->turn();
    for (unsigned i = 0; i < PEERS; i++) {
        if (w.fakes[i].is_lost)
            leave(&w.fakes[i]);
        else if (w.fakes[i].is_here && w.fakes[i].is_woken)
            pump(&w.fakes[i]);
    }
}

static void drain_all(void)
{
    bool is_busy = true;

    while (is_busy) {
        is_busy = later_run_append(&w.store) || later_run_read(&w.store);
        for (unsigned i = 0; i < PEERS; i++) {
            if (w.fakes[i].is_lost)
                leave(&w.fakes[i]);
            if (!w.fakes[i].is_here)
                continue;
            w.fakes[i].room = 1000000;
            pump(&w.fakes[i]);
            is_busy = is_busy || w.fakes[i].is_lost;
        }
        is_busy = w.backend->turn() || is_busy || !pixi_list_is_empty(&w.store.reads);
    }
    for (unsigned i = 0; i < PEERS; i++) {
        for (unsigned k = 0; k < SUBS; k++) {
            if (!w.fakes[i].subs[k])
                continue;
            assert_true(w.fakes[i].subs[k]->is_synced);
            nothing_missed(w.fakes[i].subs[k], UINT64_MAX);
        }
    }
}

static void run(const struct backend *backend, unsigned seed, bool is_small, bool is_later)
{
    static const uint8_t hash_key[16] = {0};
    struct pixi_policy policies[2];
    struct backend_config config = {.policies = policies, .policy_count = 2, .epoch = 7};
    struct pixi_store *store;

    memset(&w, 0, sizeof w);
    w.backend = backend;
    w.seed = w.random = seed;
    w.is_small = is_small;
    gateways[0].encoded = gateways[1].encoded = 0; /* another hub */
    w.policies[0] = "a/#";
    w.policies[1] = "+/b/#";
    w.now = (struct pixi_now){1000000, 1};
    for (unsigned i = 0; i < 2; i++)
        policies[i] = (struct pixi_policy){.filter = pixi_cur_str(w.policies[i]),
                                           .max_messages = is_small ? 40 : SENT_MAX,
                                           .max_bytes = is_small ? 400 : 1 << 20};
    assert_int_equal(backend->open(&config, &store), PIXI_OK);
    later_init(&w.store, store);
    w.store.is_later = is_later;
    w.store.before = before_commit;
    w.store.after = after_commit;
    pixi_hub_init(&w.hub, &w.store.store, &pixi_hub_limits_default, hash_key);
    for (unsigned i = 0; i < 1500; i++) {
        act(&w.fakes[random_below(PEERS)]);
        turn_loop();
    }
    drain_all();
    for (unsigned i = 0; i < PEERS; i++)
        leave(&w.fakes[i]);
    while (later_run_append(&w.store))
        ;
    backend_settle(backend);
    pixi_hub_clear(&w.hub);
    backend->close();
}

static void run_seeds(const struct backend *backend, bool is_small, bool is_later)
{
    memset(&seen, 0, sizeof seen);
    for (unsigned seed = 1; seed <= SEEDS; seed++)
        run(backend, seed, is_small, is_later);
    print_message("seeds 1-%d: %u snapshots, %u recovered, %u answered, %u lost\n", SEEDS, seen.snapshots,
                  seen.recovered, seen.published, seen.lost);
    assert_true(seen.snapshots > 100 && seen.recovered > 50 && seen.published > 1000);
    assert_true((seen.lost > 0) == is_small);
}

static void everything_kept(void **state)
{
    (void)state;
    run_seeds(&backends[BACKEND_MEMORY], false, false);
}

static void everything_kept_store_answers_later(void **state)
{
    (void)state;
    run_seeds(&backends[BACKEND_MEMORY], false, true);
}

static void everything_kept_on_disk(void **state)
{
    (void)state;
    run_seeds(&backends[BACKEND_SQLITE], false, false);
}

static void history_too_small(void **state)
{
    (void)state;
    run_seeds(&backends[BACKEND_MEMORY], true, false);
}

static void history_too_small_store_answers_later(void **state)
{
    (void)state;
    run_seeds(&backends[BACKEND_MEMORY], true, true);
}

static void history_too_small_on_disk(void **state)
{
    (void)state;
    run_seeds(&backends[BACKEND_SQLITE], true, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_kept),
        cmocka_unit_test(everything_kept_store_answers_later),
        cmocka_unit_test(everything_kept_on_disk),
        cmocka_unit_test(history_too_small),
        cmocka_unit_test(history_too_small_store_answers_later),
        cmocka_unit_test(history_too_small_on_disk),
    };

    return cmocka_run_group_tests_name("hub/model", tests, NULL, NULL);
}
