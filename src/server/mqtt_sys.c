/* mqtt_sys.c -- $SYS: the server's own counters as topics, for keys that may subscribe to them. */
#include "server/mqtt.h"

#include <stdio.h>

enum { INTERVAL_MS = 10000 };

struct counts {
    uint64_t uptime_s, connected, sessions, subscriptions, messages_in, messages_out, publishes, dropped,
        retained, stored;
};

static struct counts count(const struct pixi_server *s)
{
    struct pixi_sqlite_store_stats store = pixi_server_store_stats(&s->store);
    struct counts n = {
        .uptime_s = (pixi_clock_wall_ms() - s->started_ms) / 1000,
        .connected = s->ranks[PIXI_CONN_MEMBER],
        .sessions = s->mqtt.session_count,
        .subscriptions = s->hub.subs.count,
        .messages_in = s->counters.messages_in,
        .messages_out = s->counters.messages_out,
        .publishes = s->counters.publishes,
        .retained = store.retained,
        .stored = store.messages,
    };

    for (size_t i = 0; i < PIXI_MQTT_DROPPED_COUNT; i++)
        n.dropped += s->counters.mqtt_dropped[i];
    return n;
}

static void tell(struct pixi_server *s, const char *topic, const char *text)
{
    struct pixi_msg msg = {.topic = pixi_cur_str(topic), .payload = pixi_cur_str(text)};

    pixi_hub_announce(&s->hub, &msg);
}

static void tell_all(struct pixi_server *s)
{
    struct counts n = count(s);
    const struct {
        const char *topic;
        uint64_t value;
    } rows[] = {
        {"$SYS/broker/uptime", n.uptime_s},
        {"$SYS/broker/clients/connected", n.connected},
        {"$SYS/broker/sessions/count", n.sessions},
        {"$SYS/broker/subscriptions/count", n.subscriptions},
        {"$SYS/broker/messages/received", n.messages_in},
        {"$SYS/broker/messages/sent", n.messages_out},
        {"$SYS/broker/publish/messages/received", n.publishes},
        {"$SYS/broker/publish/messages/dropped", n.dropped},
        {"$SYS/broker/retained messages/count", n.retained},
        {"$SYS/broker/store/messages/count", n.stored},
    };
    char text[32];

    tell(s, "$SYS/broker/version", "pixi-ws-server " PIXI_VERSION);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)rows[i].value);
        tell(s, rows[i].topic, text);
    }
}

static void on_due(struct pixi_timer *t)
{
    struct pixi_server *s = (struct pixi_server *)((char *)t - offsetof(struct pixi_server, mqtt.sys));

    tell_all(s);
    pixi_loop_set_timer(s->loop, t, INTERVAL_MS);
}

void pixi_mqtt_sys_tell(struct pixi_server *s)
{
    pixi_loop_set_timer(s->loop, &s->mqtt.sys, 0);
}

void pixi_mqtt_sys_start(struct pixi_server *s)
{
    s->mqtt.sys.on_due = on_due;
    pixi_loop_set_timer(s->loop, &s->mqtt.sys, INTERVAL_MS);
}
