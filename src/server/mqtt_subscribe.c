/* mqtt_subscribe.c -- SUBSCRIBE and UNSUBSCRIBE. MQTT 5 §3.8 .. §3.11. */
#include "base/topic.h"
#include "server/mqtt.h"

#include <stdlib.h>

bool pixi_mqtt_is_shared(struct pixi_cur filter)
{
    return pixi_filter_inner(filter).p != filter.p;
}

static struct pixi_hub_sub *find_sub(const struct pixi_mqtt_session *o, uint32_t no)
{
    struct pixi_hub_sub *sub = pixi_hub_next_sub(&o->peer, NULL);

    while (sub && ((const struct pixi_mqtt_sub *)sub->user)->no != no)
        sub = pixi_hub_next_sub(&o->peer, sub);
    return sub;
}

static unsigned flags_of(const struct pixi_mqtt_filter *f)
{
    static const unsigned snapshots[] = {PIXI_HUB_SNAPSHOT, PIXI_HUB_SNAPSHOT_IF_NEW, 0};

    return snapshots[f->retain_handling] | PIXI_HUB_CARRIES | PIXI_HUB_SKIPS_GAPS;
}

/* The number of a subscription that stands already: its record is written over. 0: none. */
static uint32_t number_of(const struct pixi_mqtt_session *o, struct pixi_cur filter)
{
    for (struct pixi_hub_sub *sub = pixi_hub_next_sub(&o->peer, NULL); sub;
         sub = pixi_hub_next_sub(&o->peer, sub))
        if (pixi_cur_equals(sub->filter, filter))
            return ((const struct pixi_mqtt_sub *)sub->user)->no;
    return 0;
}

/* The reason code of one filter. */
static uint8_t subscribe(struct pixi_conn *c, const struct pixi_mqtt_filter *f, uint32_t id)
{
    struct pixi_mqtt_session *o = c->mqtt->session;
    struct pixi_mqtt_sub *options = malloc(sizeof *options);
    uint32_t was = pixi_mqtt_is_saved(o) ? number_of(o, f->filter) : 0;
    struct pixi_hub_subscribe how = {.flags = flags_of(f), .user = options, .qos = f->qos};
    struct pixi_hub_subscribed done;
    int rc;

    if (!options)
        return PIXI_MQTT_R_UNSPECIFIED;
    *options = (struct pixi_mqtt_sub){.id = id,
                                      .no = was ? was : ++o->last_sub_no,
                                      .qos = f->qos,
                                      .is_no_local = f->is_no_local,
                                      .is_retain_as_published = f->is_retain_as_published,
                                      .is_shared = pixi_mqtt_is_shared(f->filter)};
    rc = pixi_hub_subscribe(&c->server->hub, &o->peer, f->filter, &how, &done);
    if (rc == PIXI_OK) {
        if (pixi_mqtt_is_saved(o))
            pixi_mqtt_save_sub(o, find_sub(o, options->no));
        if (f->filter.p != f->filter.end && *pixi_filter_inner(f->filter).p == '$')
            pixi_mqtt_sys_tell(c->server);
        return f->qos;
    }
    free(options);
    if (rc == PIXI_E_LIMIT)
        c->server->counters.refused[PIXI_REFUSED_SUBSCRIPTIONS]++;
    return (uint8_t)pixi_mqtt_reason_of_hub(rc);
}

static void answer(struct pixi_conn *c, enum pixi_mqtt_where type, uint16_t id, struct pixi_buf *codes)
{
    struct pixi_mqtt_packet p = {.type = type, .id = id, .list = pixi_buf_cur(codes)};

    if (codes->err)
        pixi_mqtt_fail(c, codes->err);
    else
        pixi_mqtt_send_saved(c->mqtt->session, &p);
    pixi_loop_give_back(c->server->loop, codes);
}

void pixi_mqtt_on_subscribe(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    struct pixi_buf codes = pixi_loop_borrow(c->server->loop, PIXI_SERVER_FILTERS_MAX);
    uint32_t id = pixi_mqtt_prop_num(&p->props, PIXI_MQTT_PROP_SUBSCRIPTION_ID, 0);
    struct pixi_cur list = p->list;
    struct pixi_mqtt_filter f;
    uint8_t code;

    while (pixi_mqtt_filter_next(&list, PIXI_MQTT_SUBSCRIBE, &f)) {
        code = subscribe(c, &f, id);
        pixi_buf_put(&codes, &code, 1);
    }
    answer(c, PIXI_MQTT_SUBACK, p->id, &codes);
    pixi_loop_defer(c->server->loop, &c->pump);
}

static uint8_t unsubscribe(struct pixi_conn *c, struct pixi_cur filter)
{
    struct pixi_mqtt_session *o = c->mqtt->session;
    size_t before = o->peer.sub_count;
    uint32_t no = pixi_mqtt_is_saved(o) ? number_of(o, filter) : 0;
    int rc = pixi_hub_unsubscribe(&c->server->hub, &o->peer, filter);

    if (rc != PIXI_OK)
        return (uint8_t)pixi_mqtt_reason_of_hub(rc);
    if (no)
        pixi_mqtt_forget_sub(o, no);
    return o->peer.sub_count < before ? PIXI_MQTT_R_SUCCESS : PIXI_MQTT_R_NO_SUBSCRIPTION;
}

void pixi_mqtt_on_unsubscribe(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    struct pixi_buf codes = pixi_loop_borrow(c->server->loop, PIXI_SERVER_FILTERS_MAX);
    struct pixi_cur list = p->list;
    struct pixi_mqtt_filter f;
    uint8_t code;

    while (pixi_mqtt_filter_next(&list, PIXI_MQTT_UNSUBSCRIBE, &f)) {
        code = unsubscribe(c, f.filter);
        pixi_buf_put(&codes, &code, 1);
    }
    answer(c, PIXI_MQTT_UNSUBACK, p->id, &codes);
}
