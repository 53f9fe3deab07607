/* rate.c -- what a key may publish in a second, all its connections together, whatever they speak. */
#include "server/conn.h"

static uint64_t either(uint64_t own, uint64_t general)
{
    return own ? own : general;
}

bool pixi_conn_take_rate(struct pixi_conn *c, const struct pixi_msg *msg, struct pixi_now now,
                         uint64_t *wait_ms, enum pixi_refused *which)
{
    struct pixi_server *s = c->server;
    uint64_t per_s = either(c->key->publishes_per_s, s->settings->limits.publishes_per_s);
    uint64_t bytes_per_s = either(c->key->publish_bytes_per_s, s->settings->limits.publish_bytes_per_s);
    uint64_t size = pixi_msg_size(msg);
    uint64_t wait = pixi_rate_wait(&c->usage->publishes, per_s, 1, now.mono_ms);
    uint64_t wait_bytes = pixi_rate_wait(&c->usage->bytes, bytes_per_s, size, now.mono_ms);

    if (!wait && !wait_bytes) {
        pixi_rate_take(&c->usage->publishes, per_s, 1, now.mono_ms);
        pixi_rate_take(&c->usage->bytes, bytes_per_s, size, now.mono_ms);
        return true;
    }
    *which = wait ? PIXI_REFUSED_PUBLISHES_PER_S : PIXI_REFUSED_PUBLISH_BYTES_PER_S;
    *wait_ms = wait > wait_bytes ? wait : wait_bytes;
    s->counters.refused[*which]++;
    return false;
}
