/* mqtt_load.c -- sessions read back from their records (mqtt_save.c) when the server starts. */
#include "server/mqtt.h"

#include <stdlib.h>

enum { LOADS_WAIT_MS = 50 };

struct loaded {
    struct loaded *next;
    size_t key_len, value_len;
    uint8_t bytes[]; /* key, value */
};

struct load {
    struct pixi_server *s;
    struct loaded *first;
    bool is_over;
    int err;
};

static void on_listed(void *ctx, int err, const struct pixi_record *record)
{
    struct load *load = ctx;
    struct loaded *l;
    size_t key_len, value_len;

    if (!record) {
        load->is_over = true;
        load->err = load->err ? load->err : err;
        return;
    }
    key_len = pixi_cur_left(&record->key);
    value_len = pixi_cur_left(&record->value);
    l = malloc(sizeof *l + key_len + value_len);
    if (!l) {
        load->err = PIXI_E_NOMEM;
        return;
    }
    l->key_len = key_len;
    l->value_len = value_len;
    memcpy(l->bytes, record->key.p, key_len);
    memcpy(l->bytes + key_len, record->value.p, value_len);
    l->next = load->first;
    load->first = l;
}

struct name {
    uint8_t hash[PIXI_MQTT_RECORD_HASH];
    struct pixi_cur id;
    char kind;
    uint64_t no;
};

static bool hex(struct pixi_cur *c, size_t digits, uint64_t *out)
{
    struct pixi_cur part;

    if (!pixi_cur_cut(c, digits, &part))
        return false;
    for (*out = 0; part.p != part.end; part.p++) {
        const char *at = memchr("0123456789abcdef", *part.p, 16);

        if (!at)
            return false;
        *out = *out << 4 | (uint64_t)(at - "0123456789abcdef");
    }
    return true;
}

static bool read_name(struct pixi_cur key, struct name *n)
{
    struct pixi_cur skip;
    uint64_t byte;
    const uint8_t *end;

    if (!pixi_cur_cut(&key, strlen(PIXI_MQTT_RECORDS), &skip))
        return false;
    for (size_t i = 0; i < sizeof n->hash; i++) {
        if (!hex(&key, 2, &byte))
            return false;
        n->hash[i] = (uint8_t)byte;
    }
    if (!pixi_cur_cut(&key, 1, &skip) || !(end = memchr(key.p, 0, pixi_cur_left(&key))))
        return false;
    n->id = (struct pixi_cur){key.p, end};
    key.p = end + 1;
    if (!pixi_cur_cut(&key, 1, &skip))
        return false;
    n->kind = (char)*skip.p;
    n->no = 0;
    return n->kind != 's' || hex(&key, 8, &n->no);
}

static bool take_uint(struct pixi_cur *c, size_t width, uint64_t *out)
{
    struct pixi_cur bytes;

    if (!pixi_cur_cut(c, width, &bytes))
        return false;
    for (*out = 0; bytes.p != bytes.end; bytes.p++)
        *out = *out << 8 | *bytes.p;
    return true;
}

static bool take_sized(struct pixi_cur *c, struct pixi_cur *out)
{
    uint64_t len;

    return take_uint(c, 4, &len) && pixi_cur_cut(c, (size_t)len, out);
}

/* The whole hash is the key's; a record's name has its first half. */
static const struct pixi_key *find_key(const struct pixi_server *s, const uint8_t *half)
{
    for (size_t i = 0; i < pixi_keys_count(s->keys); i++)
        if (memcmp(pixi_keys_at(s->keys, i)->hash, half, PIXI_MQTT_RECORD_HASH) == 0)
            return pixi_keys_at(s->keys, i);
    return NULL;
}

/* NULL: out of memory, or the key has gone: then the records go, too. */
static struct pixi_mqtt_session *session_for(struct load *load, const struct name *n)
{
    const struct pixi_key *key = find_key(load->s, n->hash);
    struct pixi_mqtt_session *o = key ? pixi_mqtt_session_find(load->s, key->hash, n->id) : NULL;

    if (o || !key)
        return o;
    o = pixi_mqtt_session_new(load->s, key->hash, key, n->id);
    if (o)
        o->has_records = true;
    else
        load->err = PIXI_E_NOMEM;
    return o;
}

static bool take_core(struct pixi_mqtt_session *o, struct pixi_cur value)
{
    struct pixi_store *store = o->server->hub.store;
    uint64_t version, expiry, last_no, epoch, count;
    struct pixi_cur positions;

    if (!take_uint(&value, 1, &version) || version != PIXI_MQTT_RECORD_VERSION ||
        !take_uint(&value, 8, &o->origin) || !take_uint(&value, 4, &expiry) ||
        !take_uint(&value, 8, &o->expires_ms) || !take_uint(&value, 4, &last_no) ||
        !take_uint(&value, 8, &epoch) || !take_uint(&value, 8, &o->loaded_head) ||
        !take_uint(&value, 4, &count) || !pixi_cur_cut(&value, (size_t)count * 12, &positions) ||
        pixi_session_take(&o->s, &value) != PIXI_OK)
        return false;
    o->expiry_s = (uint32_t)expiry;
    o->last_sub_no = (uint32_t)last_no;
    o->is_loaded = epoch == store->call->head(store).epoch;
    pixi_buf_put_cur(&o->held, positions);
    return o->is_loaded;
}

static uint64_t position_of(const struct pixi_mqtt_session *o, uint64_t no)
{
    struct pixi_cur c = pixi_buf_cur(&o->held);
    uint64_t n, position;

    while (take_uint(&c, 4, &n) && take_uint(&c, 8, &position))
        if (n == no)
            return position;
    return o->loaded_head;
}

static bool take_sub(struct pixi_mqtt_session *o, uint64_t no, struct pixi_cur value)
{
    struct pixi_mqtt_sub *options = calloc(1, sizeof *options);
    uint64_t version, start, id, qos, is_no_local, is_as_published;
    struct pixi_hub_subscribe how = {.flags = PIXI_HUB_IS_OWED | PIXI_HUB_SKIPS_GAPS, .user = options};
    struct pixi_hub_subscribed done;
    struct pixi_cur filter;

    if (!options || !take_uint(&value, 1, &version) || version != PIXI_MQTT_RECORD_VERSION ||
        !take_uint(&value, 8, &start) || !take_uint(&value, 4, &id) || !take_uint(&value, 1, &qos) ||
        qos > 2 || !take_uint(&value, 1, &is_no_local) || !take_uint(&value, 1, &is_as_published) ||
        !take_sized(&value, &filter)) {
        free(options);
        return false;
    }
    *options = (struct pixi_mqtt_sub){(uint32_t)id, (uint32_t)no,    (uint8_t)qos,
                                      is_no_local,  is_as_published, pixi_mqtt_is_shared(filter)};
    how.qos = options->qos;
    how.after = start;
    how.owed_after = position_of(o, no);
    if (how.owed_after < start)
        how.owed_after = start;
    if (pixi_hub_subscribe(&o->server->hub, &o->peer, filter, &how, &done) == PIXI_OK)
        return true;
    free(options);
    return false;
}

static bool take_will(struct pixi_mqtt_session *o, struct pixi_cur value)
{
    uint64_t version, delay, expiry, has_expiry, is_retain, qos;
    struct pixi_mqtt_last_will w = {0};

    if (!take_uint(&value, 1, &version) || version != PIXI_MQTT_RECORD_VERSION ||
        !take_uint(&value, 8, &o->origin) || !take_uint(&value, 4, &delay) ||
        !take_uint(&value, 4, &expiry) || !take_uint(&value, 1, &has_expiry) ||
        !take_uint(&value, 1, &is_retain) || !take_uint(&value, 1, &qos) || !take_sized(&value, &w.topic) ||
        !take_sized(&value, &w.headers) || !take_sized(&value, &w.payload))
        return false;
    w.delay_s = (uint32_t)delay;
    w.expiry_s = (uint32_t)expiry;
    w.has_expiry = has_expiry;
    w.is_retain = is_retain;
    w.qos = (uint8_t)qos;
    o->will = pixi_mqtt_will_copy(&w);
    return o->will;
}

static void ignore(void *ctx, int err, const struct pixi_record *record)
{
    (void)ctx;
    (void)err;
    (void)record;
}

/* Records of one kind: cores first, then what hangs on them. What is not understood goes. */
static void take_kind(struct load *load, char kind)
{
    struct pixi_store *store = load->s->hub.store;

    for (struct loaded *l = load->first; l; l = l->next) {
        struct pixi_cur key = pixi_cur_init(l->bytes, l->key_len),
                        value = pixi_cur_init(l->bytes + l->key_len, l->value_len);
        struct pixi_mqtt_session *o;
        struct name n;
        bool is_good = read_name(key, &n);

        if (is_good && n.kind != kind)
            continue;
        o = is_good ? session_for(load, &n) : NULL;
        if (load->err)
            return;
        is_good = o && (kind == 'c'   ? take_core(o, value)
                        : kind == 'w' ? take_will(o, value)
                                      : o->is_loaded && take_sub(o, n.no, value));
        if (!is_good)
            store->call->put(store, &(struct pixi_record){key, pixi_cur_init(NULL, 0), PIXI_RECORD_ANY},
                             (struct pixi_record_answer){ignore, NULL});
    }
}

static void settle(struct pixi_server *s)
{
    struct pixi_list *l, *next;

    for (l = s->mqtt.sessions.next; l != &s->mqtt.sessions; l = next) {
        struct pixi_mqtt_session *o = PIXI_LIST_ITEM(l, struct pixi_mqtt_session, in_server);

        next = l->next;
        pixi_buf_reset(&o->held);
        if (!o->is_loaded)
            o->expiry_s = 0; /* a will without a session, or nothing */
        if (!o->is_loaded && !o->will)
            pixi_mqtt_session_end(o, PIXI_MQTT_WITHOUT_WILL);
        else
            pixi_mqtt_session_wait(o);
    }
}

int pixi_mqtt_load(struct pixi_server *s)
{
    struct pixi_store *store = s->hub.store;
    struct load load = {.s = s};

    if (!store->is_durable)
        return PIXI_OK;
    store->call->list(store, pixi_cur_str(PIXI_MQTT_RECORDS), (struct pixi_record_answer){on_listed, &load});
    while (!load.is_over)
        pixi_loop_turn(s->loop, LOADS_WAIT_MS);
    if (load.err == PIXI_OK)
        take_kind(&load, 'c');
    if (load.err == PIXI_OK)
        take_kind(&load, 'w');
    if (load.err == PIXI_OK)
        take_kind(&load, 's');
    while (load.first) {
        struct loaded *l = load.first;

        load.first = l->next;
        free(l);
    }
    if (load.err == PIXI_OK)
        settle(s);
    return load.err;
}
