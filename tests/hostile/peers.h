/* peers.h -- what a kind of hostile peer is, and how its words are made. peers.c runs them. */
#ifndef PIXI_TEST_PEERS_H
#define PIXI_TEST_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIXI, MQTT, DOORS };             /* the port: WebSocket; MQTT over TCP */
enum { HOLDS, REPEATS, SHUTS, RESETS }; /* what follows when all is said */
enum { DEAF, LISTENS };

/* Bytes to say, made once. */
struct words {
    uint8_t *bytes;
    size_t len, room;
};

struct kind {
    const char *name;
    unsigned door;
    unsigned count;              /* connections at a time */
    void (*make)(struct kind *); /* fills first and again */
    int then;
    int hears;
    unsigned pace_ms;  /* 0: as fast as it goes; else one byte each so often */
    unsigned pause_ms; /* before it comes back */
    struct words first, again;
    unsigned long made, said;
};

/* mqtt_kinds.c */
extern struct kind mqtt_kinds[];
extern const unsigned mqtt_kind_count;

extern const char *key; /* the hostile ones' */

void put(struct words *w, const void *bytes, size_t len);
void put_text(struct words *w, const char *text);
/* A frame's header, masked by zeros so that the payload is what it is. first: FIN, reserved bits, opcode. */
void put_head(struct words *w, unsigned first, uint64_t len);
/* The upgrade, with the key and more fields. */
void put_request(struct words *w, const char *more);

#endif
