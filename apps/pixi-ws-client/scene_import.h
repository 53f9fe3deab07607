/* scene_import.h -- reading a file of places, one feature or row at a time, into objects. */
#ifndef PIXI_WS_CLIENT_SCENE_IMPORT_H
#define PIXI_WS_CLIENT_SCENE_IMPORT_H

#include "base/buf.h"
#include "base/json.h"
#include "scene/object.h"

enum { IMPORT_COLUMNS_MAX = 256, IMPORT_COUNT_MISTAKES = 20, IMPORT_DATA_MAX = 8192 /* bytes */ };

/* Mercator on a sphere, true to scale at the centre's latitude: docs/commands.md. */
struct projection {
    bool is_set;
    double lon, lat, units; /* the centre in degrees; units for a metre there */
};

struct import {
    const char *name;     /* of the file, for messages */
    struct pixi_cur text; /* all of it */
    char prefix[64];      /* of ids */
    struct projection projection;
    /* One object. Its id is good; the object is checked by who takes it. Borrowed for the call. */
    void (*emit)(struct import *, const char *id, struct pixi_cur object);
    void *ctx; /* of emit */
    struct pixi_buf object, mistakes;
    unsigned mistake_count;
    size_t offset;            /* where what is read now begins */
    uint64_t count, features; /* objects; features or rows, those that were left out too */
    uint64_t empty, holes;    /* features without a geometry; rings that are not drawn */
    /* the format's */
    struct pixi_json json;
    struct pixi_cur rest;
    uint8_t roles[IMPORT_COLUMNS_MAX];
    struct pixi_cur names[IMPORT_COLUMNS_MAX];
    size_t column_count;
    uint8_t separator;
    bool is_begun, is_over;
};

/* import_mistake -- a line about the place `at` in the text: "file:12:3: ". Its words follow, then a line break. */
struct pixi_buf *import_mistake(struct import *im, const uint8_t *at);

/* import_take -- check im->object, and emit it under the prefix and this. part 0: none, else it is the part's number. */
void import_take(struct import *im, struct pixi_cur id, unsigned part);

/* import_place -- degrees to units. False after a mistake at `at`. */
bool import_place(struct import *im, double lon, double lat, const uint8_t *at, double *x, double *y);

/* One feature or row. False: that was all, or there were mistakes enough. */
bool import_geojson(struct import *im);
bool import_csv(struct import *im);

#endif
