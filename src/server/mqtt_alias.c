/* mqtt_alias.c -- topic aliases of one connection, both ways. MQTT 5 §3.3.2.3.4 */
#include "server/mqtt.h"

#include <stdlib.h>

/* --- those that come ------------------------------------------------------------------------------------------ */

int pixi_mqtt_alias_take(struct pixi_mqtt *m, uint32_t no, struct pixi_cur *topic)
{
    uint32_t most = m->alias_in_max;
    size_t len = pixi_cur_left(topic);
    struct pixi_cur *a;
    uint8_t *bytes;

    if (no > most)
        return PIXI_E_MQTT_ALIAS;
    if (!m->alias_in && !(m->alias_in = calloc(most + 1, sizeof *m->alias_in)))
        return PIXI_E_NOMEM;
    a = &m->alias_in[no];
    if (!len) {
        *topic = *a;
        return a->p ? PIXI_OK : PIXI_E_MQTT_NO_TOPIC;
    }
    bytes = malloc(len);
    if (!bytes)
        return PIXI_E_NOMEM;
    memcpy(bytes, topic->p, len);
    free((void *)(uintptr_t)a->p);
    *a = pixi_cur_init(bytes, len);
    return PIXI_OK;
}

/* --- those that are given ------------------------------------------------------------------------------------- */

struct alias {
    struct pixi_table_link by_topic;
    uint16_t no;
    size_t len;
    uint8_t topic[];
};

uint16_t pixi_mqtt_alias_of(const struct pixi_mqtt *m, struct pixi_cur topic, uint64_t hash)
{
    struct pixi_table_link *l = pixi_table_first(&m->alias_out, hash);

    for (; l; l = pixi_table_next(l)) {
        struct alias *a = PIXI_LIST_ITEM(l, struct alias, by_topic);

        if (pixi_cur_equals(pixi_cur_init(a->topic, a->len), topic))
            return a->no;
    }
    return 0;
}

uint16_t pixi_mqtt_alias_next(const struct pixi_mqtt *m)
{
    return m->alias_out.count < m->alias_out_max ? (uint16_t)(m->alias_out.count + 1) : 0;
}

void pixi_mqtt_alias_give(struct pixi_mqtt *m, struct pixi_cur topic, uint64_t hash)
{
    size_t len = pixi_cur_left(&topic);
    struct alias *a = malloc(sizeof *a + len);

    if (!a || pixi_table_reserve(&m->alias_out) != PIXI_OK) {
        free(a);
        return;
    }
    a->no = pixi_mqtt_alias_next(m);
    a->len = len;
    memcpy(a->topic, topic.p, len);
    pixi_table_add(&m->alias_out, &a->by_topic, hash);
}

void pixi_mqtt_alias_clear(struct pixi_mqtt *m)
{
    for (size_t i = 0; i < m->alias_out.size; i++)
        while (m->alias_out.bucket[i]) {
            struct pixi_table_link *l = m->alias_out.bucket[i];

            pixi_table_remove(&m->alias_out, l);
            free(PIXI_LIST_ITEM(l, struct alias, by_topic));
        }
    pixi_table_clear(&m->alias_out);
    for (size_t i = 0; m->alias_in && i <= m->alias_in_max; i++)
        free((void *)(uintptr_t)m->alias_in[i].p);
    free(m->alias_in);
    m->alias_in = NULL;
}
