/* reload.c -- the server goes on with what was read again. */
#include "base/log.h"
#include "server/mqtt.h"

#include <stdlib.h>

/* The new set's entries by hash: every connection looks for its own. */
struct index {
    const struct pixi_key **at; /* owned */
    size_t count;
};

static int by_hash(const void *a, const void *b)
{
    const struct pixi_key *const *ka = a, *const *kb = b;

    return memcmp((*ka)->hash, (*kb)->hash, PIXI_KEYS_HASH);
}

static bool index_keys(struct index *x, const struct pixi_keys *keys)
{
    x->count = pixi_keys_count(keys);
    x->at = calloc(x->count + 1, sizeof *x->at);
    if (!x->at)
        return false;
    for (size_t i = 0; i < x->count; i++)
        x->at[i] = pixi_keys_at(keys, i);
    qsort(x->at, x->count, sizeof *x->at, by_hash);
    return true;
}

static const struct pixi_key *find(const struct index *x, const struct pixi_key *was)
{
    const struct pixi_key **found = bsearch(&was, x->at, x->count, sizeof *x->at, by_hash);

    return found ? *found : NULL;
}

/* key NULL: it may do nothing any more, and is told why. */
static void move(struct pixi_conn *c, const struct pixi_key *key)
{
    bool is_told = !key && c->link.state == PIXI_LINK_OPEN;

    if (is_told) { /* first: what it loses is then not told one by one */
        pixi_log(PIXI_LOG_INFO, "%s: the API key %s is gone: closing with 3000", c->from, c->key->name);
        c->server->counters.refused[PIXI_REFUSED_REVOKED]++;
        if (c->mqtt)
            pixi_mqtt_disconnect(c, PIXI_MQTT_R_NOT_AUTHORIZED, PIXI_WS_CLOSE_UNAUTHORIZED,
                                 "the API key was revoked");
        else
            pixi_link_close(&c->link, PIXI_WS_CLOSE_UNAUTHORIZED, "the API key was revoked");
    }
    pixi_conn_take_key(c, key);
    if (c->peer.hub)
        pixi_hub_set_permit(&c->server->hub, &c->peer, &c->permit);
}

static const struct pixi_key *find_hash(void *ctx, const uint8_t *hash)
{
    struct pixi_key was = {0};

    memcpy(was.hash, hash, sizeof was.hash);
    return find(ctx, &was);
}

/* What a key has used stays used. */
static struct pixi_usage *carry_usage(const struct pixi_server *s, const struct pixi_keys *keys,
                                      const struct index *x)
{
    struct pixi_usage *usage = calloc(pixi_keys_count(keys) + 1, sizeof *usage);

    for (size_t i = 0; usage && i < pixi_keys_count(s->keys); i++) {
        const struct pixi_key *now = find(x, pixi_keys_at(s->keys, i));

        if (now)
            usage[now - pixi_keys_at(keys, 0)] = s->usage[i];
    }
    return usage;
}

int pixi_server_set_keys(struct pixi_server *s, const struct pixi_keys *keys)
{
    struct pixi_usage *usage = NULL;
    struct index x;

    if (index_keys(&x, keys))
        usage = carry_usage(s, keys, &x);
    if (!usage) {
        free(x.at);
        return PIXI_E_NOMEM;
    }
    free(s->usage);
    s->usage = usage;
    s->keys = keys;
    for (struct pixi_list *l = s->conns.next; l != &s->conns; l = l->next) {
        struct pixi_conn *c = PIXI_LIST_ITEM(l, struct pixi_conn, in_server);

        if (c->key)
            move(c, find(&x, c->key));
    }
    pixi_mqtt_sessions_rekey(s, find_hash, &x);
    free(x.at);
    return PIXI_OK;
}

void pixi_server_set_settings(struct pixi_server *s, const struct pixi_server_settings *settings)
{
    s->settings = settings;
    pixi_server_take_limits(s);
    s->hub.limits.subs_per_peer = settings->limits.subscriptions;
    s->hub.limits.requests_per_peer = settings->limits.requests;
    pixi_server_set_sweep(s);
}

bool pixi_server_has_tls(const struct pixi_server *s)
{
    return s->tls != NULL;
}

void pixi_server_count_reload(struct pixi_server *s, enum pixi_reloaded what, int rc)
{
    s->counters.reloads[what][rc == PIXI_OK]++;
}

int pixi_server_reload_tls(struct pixi_server *s, struct pixi_buf *problem)
{
    struct pixi_tls_options options = {.role = PIXI_SERVER,
                                       .ca_file = s->settings->tls_files.client_ca_file,
                                       .cert_file = s->settings->tls_files.cert_file,
                                       .key_file = s->settings->tls_files.key_file,
                                       .min_version = (enum pixi_tls_version)s->settings->tls.min_version};
    struct pixi_tls_context *fresh;
    int rc = pixi_tls_context_new(&options, &fresh, problem);

    if (rc != PIXI_OK)
        return rc;
    pixi_tls_context_free(s->tls);
    s->tls = fresh;
    return PIXI_OK;
}
