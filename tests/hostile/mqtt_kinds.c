/* mqtt_kinds.c -- hostile peers that speak MQTT 5, over TCP and WebSocket. Words made once cannot hold what a server
 * assigns: they choose their identifiers, and never answer. */
#include "hostile/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT = 0x10, PUBLISH = 0x30, SUBSCRIBE = 0x82, PINGREQ = 0xc0, QOS_1 = 1 << 1, QOS_2 = 2 << 1 };
enum { CLEAN = 0x02, WILL = 0x04, PASSWORD = 0x40 };
enum { LARGEST = 268435455 }; /* a Remaining Length, bytes */

/* --- packets -------------------------------------------------------------------------------------------------- */

static void put_number(struct words *w, unsigned bytes, unsigned n)
{
    while (bytes--)
        put(w, (uint8_t[]){(uint8_t)(n >> 8 * bytes)}, 1);
}

static void put_varint(struct words *w, size_t n)
{
    do {
        put_number(w, 1, (n & 127) | (n > 127 ? 128 : 0));
        n >>= 7;
    } while (n);
}

static void put_string(struct words *w, const char *text)
{
    put_number(w, 2, (unsigned)strlen(text));
    put_text(w, text);
}

/* Takes body. */
static void put_packet(struct words *w, unsigned first, struct words *body)
{
    put_number(w, 1, first);
    put_varint(w, body->len);
    put(w, body->bytes, body->len);
    free(body->bytes);
    *body = (struct words){0};
}

/* id "": the server makes one up. With a will: `hostile/will`. */
static void put_connect(struct words *w, const char *id, unsigned flags)
{
    struct words body = {0};

    put_string(&body, "MQTT");
    put_number(&body, 1, 5);
    put_number(&body, 1, flags | CLEAN | PASSWORD);
    put_number(&body, 2, 0); /* keep alive */
    put_varint(&body, 0);    /* properties */
    put_string(&body, id);
    if (flags & WILL) {
        put_varint(&body, 0);
        put_string(&body, "hostile/will");
        put_string(&body, "gone without a word");
    }
    put_string(&body, key);
    put_packet(w, CONNECT, &body);
}

static void put_subscribe(struct words *w, unsigned id, const char *filter, unsigned qos)
{
    struct words body = {0};

    put_number(&body, 2, id);
    put_varint(&body, 0);
    put_string(&body, filter);
    put_number(&body, 1, qos);
    put_packet(w, SUBSCRIBE, &body);
}

/* id: 0 with QoS 0. alias 0: none. */
static void put_publish(struct words *w, unsigned qos_bits, unsigned id, const char *topic, unsigned alias)
{
    struct words body = {0};

    put_string(&body, topic);
    if (id)
        put_number(&body, 2, id);
    put_varint(&body, alias ? 3 : 0);
    if (alias) {
        put_number(&body, 1, 0x23);
        put_number(&body, 2, alias);
    }
    put_text(&body, "all the time, all the time");
    put_packet(w, PUBLISH | qos_bits, &body);
}

/* --- kinds ---------------------------------------------------------------------------------------------------- */

static void half_connect(struct kind *k)
{
    put_connect(&k->first, "", 0);
    k->first.len /= 2;
}

static void slow_publish(struct kind *k)
{
    put_connect(&k->first, "", 0);
    put_number(&k->first, 1, PUBLISH);
    put_varint(&k->first, 60000);
    put_text(&k->again, "\x01");
}

static void subscriber(struct kind *k)
{
    put_connect(&k->first, "", 0);
    put_subscribe(&k->first, 1, "hostile/#", 2);
    put_subscribe(&k->first, 2, "event/#", 2);
}

/* More of QoS 2 than the server's Receive Maximum, and no PUBREL. */
static void never_releases(struct kind *k)
{
    put_connect(&k->first, "", 0);
    for (unsigned id = 1; id <= 2000; id++)
        put_publish(&k->again, QOS_2, id, "hostile/never", 0);
}

static void subscriptions(struct kind *k)
{
    char filter[60];

    put_connect(&k->first, "", 0);
    for (unsigned i = 1; i <= 3000; i++) {
        snprintf(filter, sizeof filter, "hostile/%u/+/a/#", i);
        put_subscribe(&k->again, i, filter, 1);
    }
}

static void many_filters(struct kind *k)
{
    struct words body = {0};
    char filter[60];

    put_connect(&k->first, "", 0);
    put_number(&body, 2, 1);
    put_varint(&body, 0);
    for (unsigned i = 0; body.len < 60000; i++) {
        snprintf(filter, sizeof filter, "hostile/%u/+", i);
        put_string(&body, filter);
        put_number(&body, 1, 0);
    }
    put_packet(&k->again, SUBSCRIBE, &body);
}

/* Each byte in a frame of its own. */
static void byte_a_frame(struct kind *k)
{
    struct words said = {0};

    put_request(&k->first, "Sec-WebSocket-Protocol: mqtt\r\n");
    put_connect(&said, "", 0);
    for (size_t i = 0; i < said.len; i++) {
        put_head(&k->first, 0x82, 1);
        put(&k->first, said.bytes + i, 1);
    }
    said.len = 0;
    for (unsigned i = 0; i < 100; i++)
        put_publish(&said, 0, 0, "hostile/split", 0);
    for (size_t i = 0; i < said.len; i++) {
        put_head(&k->again, 0x82, 1);
        put(&k->again, said.bytes + i, 1);
    }
    free(said.bytes);
}

static void oversize(struct kind *k)
{
    put_connect(&k->first, "", 0);
    put_number(&k->first, 1, PUBLISH);
    put_varint(&k->first, LARGEST);
    put_string(&k->again, "hostile/large");
}

static void oversize_connect(struct kind *k)
{
    put_number(&k->first, 1, CONNECT);
    put_varint(&k->first, LARGEST);
    put_string(&k->again, "MQTT");
}

static void reserved_bits(struct kind *k)
{
    put_connect(&k->first, "", 0);
    put_number(&k->first, 2, (PINGREQ | 0xfu) << 8);
}

static void pings(struct kind *k)
{
    put_connect(&k->first, "", 0);
    for (int i = 0; i < 10000; i++)
        put_number(&k->again, 2, PINGREQ << 8);
}

static void same_session(struct kind *k)
{
    put_connect(&k->first, "there-is-only-one", 0);
}

static void wills(struct kind *k)
{
    put_connect(&k->first, "", WILL);
}

static void publishes(struct kind *k)
{
    put_connect(&k->first, "", 0);
    for (int i = 0; i < 500; i++)
        put_publish(&k->again, 0, 0, "hostile/flood", 0);
}

static void publishes_1(struct kind *k)
{
    put_connect(&k->first, "", 0);
    for (unsigned i = 1; i <= 500; i++)
        put_publish(&k->again, QOS_1, i, "hostile/flood", 0);
}

/* Each alias another topic, again and again. */
static void aliases(struct kind *k)
{
    char topic[60];

    put_connect(&k->first, "", 0);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(topic, sizeof topic, "hostile/alias/%u", i);
        put_publish(&k->again, 0, 0, topic, i % 32 + 1);
    }
}

static void wrong_key(struct kind *k)
{
    const char *right = key;

    key = "pk_this-one-was-never-given-out";
    put_connect(&k->first, "", 0);
    key = right;
}

struct kind mqtt_kinds[] = {
    /* name, door, count, make, then, hears, pace, pause */
    {"mqtt-half-connect", MQTT, 20, half_connect, HOLDS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-half-closed", MQTT, 10, half_connect, SHUTS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-byte-a-second", MQTT, 20, slow_publish, REPEATS, LISTENS, 1000, 100, {0}, {0}, 0, 0},
    {"mqtt-never-acks", MQTT, 10, subscriber, HOLDS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-never-read", MQTT, 10, subscriber, HOLDS, DEAF, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-never-releases", MQTT, 3, never_releases, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-subscriptions", MQTT, 3, subscriptions, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-many-filters", MQTT, 2, many_filters, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-byte-a-frame", PIXI, 3, byte_a_frame, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-oversize", MQTT, 5, oversize, REPEATS, LISTENS, 0, 10, {0}, {0}, 0, 0},
    {"mqtt-oversize-connect", MQTT, 5, oversize_connect, REPEATS, LISTENS, 0, 10, {0}, {0}, 0, 0},
    {"mqtt-reserved-bits", MQTT, 5, reserved_bits, HOLDS, LISTENS, 0, 10, {0}, {0}, 0, 0},
    {"mqtt-pings", MQTT, 3, pings, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-pings-deaf", MQTT, 3, pings, REPEATS, DEAF, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-same-session", MQTT, 5, same_session, HOLDS, LISTENS, 0, 10, {0}, {0}, 0, 0},
    {"mqtt-wills", MQTT, 5, wills, RESETS, DEAF, 0, 10, {0}, {0}, 0, 0},
    {"mqtt-publishes", MQTT, 3, publishes, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-publishes-1", MQTT, 2, publishes_1, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-publishes-1-deaf", MQTT, 2, publishes_1, REPEATS, DEAF, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-aliases", MQTT, 3, aliases, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"mqtt-wrong-keys", MQTT, 5, wrong_key, HOLDS, LISTENS, 0, 10, {0}, {0}, 0, 0},
};

const unsigned mqtt_kind_count = sizeof mqtt_kinds / sizeof mqtt_kinds[0];
