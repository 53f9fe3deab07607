/* gateway_test.h -- for tests: a hub on a memory store, and peers whose gateway writes down what happens as text.
 * Include invariants.h and store/memory.h before it: only a test itself may. */
#ifndef PIXI_HUB_GATEWAY_TEST_H
#define PIXI_HUB_GATEWAY_TEST_H

#include "hub/hub.h"
#include "hub/later_test.h"

struct fake_peer {
    struct pixi_hub_peer peer; /* first */
    char name;
    unsigned room; /* messages and requests it still takes */
};

static struct {
    struct pixi_memory *memory;
    struct later_store store;
    struct pixi_hub hub;
    struct pixi_hub_gateway gateway;
    struct pixi_now now;
    char log[8192]; /* what happened, one event after the other, each ending in "; " */
    size_t log_len;
    struct pixi_msg encoded;
    unsigned encode_count, encoded_flags;
    uint64_t last_request;
} fake;

static inline void __attribute__((format(printf, 1, 2))) fake_note(const char *format, ...)
{
    size_t room = sizeof fake.log - fake.log_len;
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(fake.log + fake.log_len, room, format, args);
    va_end(args);
    assert_true(len >= 0 && (size_t)len < room);
    fake.log_len += (size_t)len;
}

#define FAKE_CUR(c) (int)pixi_cur_left(&(c)), (const char *)(c).p

static inline void fake_encode(void *ctx, const struct pixi_msg *msg, struct pixi_cur filter, unsigned flags)
{
    (void)ctx;
    (void)filter;
    fake.encoded = *msg;
    fake.encoded_flags = flags;
    fake.encode_count++;
}

static inline int fake_deliver(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    struct fake_peer *p = (struct fake_peer *)peer;

    (void)ctx;
    if (!p->room)
        return PIXI_E_QUEUE;
    p->room--;
    fake_note("%c %.*s %s%.*s=%.*s", p->name, FAKE_CUR(sub->filter),
              fake.encoded_flags & PIXI_HUB_RETAINED ? "kept " : "", FAKE_CUR(fake.encoded.topic),
              FAKE_CUR(fake.encoded.payload));
    if (fake.encoded.pos.offset)
        fake_note("@%d", (int)fake.encoded.pos.offset);
    fake_note("; ");
    return PIXI_OK;
}

static inline void fake_synced(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    (void)ctx;
    fake_note("%c %.*s synced; ", ((struct fake_peer *)peer)->name, FAKE_CUR(sub->filter));
}

static inline void fake_unsubscribed(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub,
                                     int err)
{
    (void)ctx;
    fake_note("%c %.*s ended %s; ", ((struct fake_peer *)peer)->name, FAKE_CUR(sub->filter),
              pixi_err_name(err));
}

static inline void fake_lost(void *ctx, struct pixi_hub_peer *peer, int err)
{
    (void)ctx;
    fake_note("%c lost %s; ", ((struct fake_peer *)peer)->name, pixi_err_name(err));
}

static inline void fake_wake(void *ctx, struct pixi_hub_peer *peer)
{
    (void)ctx;
    fake_note("%c woken; ", ((struct fake_peer *)peer)->name);
}

static inline int fake_request(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub,
                               const struct pixi_msg *msg, uint64_t request)
{
    struct fake_peer *p = (struct fake_peer *)peer;

    (void)ctx;
    if (!p->room)
        return PIXI_E_QUEUE;
    fake_note("%c %.*s asked %.*s=%.*s; ", p->name, FAKE_CUR(sub->filter), FAKE_CUR(msg->topic),
              FAKE_CUR(msg->payload));
    fake.last_request = request;
    return PIXI_OK;
}

static inline void fake_reply(void *ctx, struct pixi_hub_peer *peer, void *token, int err,
                              const struct pixi_msg *msg)
{
    struct pixi_cur text = msg ? msg->payload : pixi_cur_str("");

    (void)ctx;
    fake_note("%c %s answered %s %.*s; ", ((struct fake_peer *)peer)->name, (const char *)token,
              pixi_err_name(err), FAKE_CUR(text));
}

static inline void fake_published(void *ctx, struct pixi_hub_peer *peer, void *token, int err,
                                  struct pixi_position pos)
{
    (void)ctx;
    fake_note("%c %s stored %s", ((struct fake_peer *)peer)->name, (const char *)token, pixi_err_name(err));
    if (pos.offset)
        fake_note(" @%d", (int)pos.offset);
    fake_note("; ");
}

static const struct pixi_hub_calls fake_calls = {
    .encode = fake_encode,
    .deliver = fake_deliver,
    .synced = fake_synced,
    .unsubscribed = fake_unsubscribed,
    .lost = fake_lost,
    .wake = fake_wake,
    .request = fake_request,
    .reply = fake_reply,
    .published = fake_published,
};

static const struct pixi_cur fake_all_filters[] = {{(const uint8_t *)"#", (const uint8_t *)"#" + 1}};
static const struct pixi_permit fake_all = {
    .publish = fake_all_filters, .publish_count = 1, .subscribe = fake_all_filters, .subscribe_count = 1};

/* A hub whose history has everything under `filter`, at most so many messages. */
static inline int fake_begin(const char *filter, uint64_t max_messages, const struct pixi_hub_limits *limits)
{
    struct pixi_memory_config config = pixi_memory_config_default;
    struct pixi_policy policy = {pixi_cur_str(filter), max_messages, 1 << 16, 0};
    int rc;

    memset(&fake, 0, sizeof fake);
    config.policies = &policy;
    config.policy_count = 1;
    config.epoch = 7;
    rc = pixi_memory_new(&config, &fake.memory);
    if (rc)
        return rc;
    later_init(&fake.store, pixi_memory_store(fake.memory));
    pixi_hub_init(&fake.hub, &fake.store.store, limits ? limits : &pixi_hub_limits_default, config.hash_key);
    fake.gateway.call = &fake_calls;
    fake.now = (struct pixi_now){1000, 1000};
    return PIXI_OK;
}

static inline void fake_end(void)
{
    pixi_hub_clear(&fake.hub);
    pixi_memory_free(fake.memory);
}

static inline void fake_join(struct fake_peer *p, char name)
{
    *p = (struct fake_peer){
        .peer = {.gateway = &fake.gateway, .permit = &fake_all}, .name = name, .room = 1000};
    pixi_hub_join(&fake.hub, &p->peer);
}

static inline void fake_leave(struct fake_peer *p)
{
    pixi_hub_leave(&fake.hub, &p->peer);
}

/* Subscribes, with a snapshot, and pumps. */
static inline int fake_subscribe(struct fake_peer *p, const char *filter)
{
    struct pixi_hub_subscribe how = {.flags = PIXI_HUB_SNAPSHOT};
    struct pixi_hub_subscribed out;
    int rc = pixi_hub_subscribe(&fake.hub, &p->peer, pixi_cur_str(filter), &how, &out);

    if (rc == PIXI_OK)
        pixi_hub_pump(&fake.hub, &p->peer, fake.now);
    return rc;
}

static inline int fake_publish(struct fake_peer *p, const char *topic, const char *payload, unsigned flags,
                               const char *token)
{
    struct pixi_msg msg = {.topic = pixi_cur_str(topic), .payload = pixi_cur_str(payload), .flags = flags};

    return pixi_hub_publish(&fake.hub, &p->peer, &msg, (void *)(uintptr_t)token, fake.now);
}

/* What happened since the last time is this, and nothing else. */
static inline void fake_saw(const char *want)
{
    if (strcmp(fake.log, want) != 0)
        fail_msg("\n  want: %s\n  got:  %s", want, fake.log);
    fake.log_len = 0;
    fake.log[0] = 0;
}

#endif
