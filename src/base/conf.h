/* conf.h -- settings files, read by a table: JSON, the environment and flags into a struct.
 *
 * A row names a member by its path ("timeouts.connect_ms"), says what it may be and where in the struct it goes.
 * The order of calls is init, override (flags), env, read (the file): a value is stored when what it comes from
 * ranks at least as high as what is there, so that flags beat the environment and the environment beats the file,
 * while everything is checked. Every mistake is one line in the caller's buffer, all of them in one run:
 *
 *     config/websocket_settings.json:4:13: timeouts.connect_ms: found "fast", expected a whole number of ...
 *
 * Strings are owned by the conf's arena, which is overwritten when it is cleared. No line holds a secret's value. */
#ifndef PIXI_BASE_CONF_H
#define PIXI_BASE_CONF_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"

enum {
    PIXI_CONF_FILE_MAX = 1 << 20,     /* bytes of a file, unless its table says otherwise */
    PIXI_CONF_ROWS_MAX = 64,          /* rows of a table */
    PIXI_CONF_MISTAKES_MAX = 1 << 16, /* bytes: what a buffer for mistakes wants as its ceiling */
};

enum pixi_conf_kind {
    PIXI_CONF_STRING,  /* const char *; NULL while unset */
    PIXI_CONF_UINT,    /* uint64_t */
    PIXI_CONF_BOOL,    /* bool */
    PIXI_CONF_ENUM,    /* unsigned: the index in choices */
    PIXI_CONF_STRINGS, /* struct pixi_conf_strings */
    PIXI_CONF_OBJECTS, /* struct pixi_conf_objects */
};

/* where: line and column of each element, or NULL when they did not come from a file */
struct pixi_conf_strings {
    struct pixi_cur *at; /* a NUL follows each */
    struct pixi_json_at *where;
    size_t count;
};

struct pixi_conf_objects {
    void *at; /* array of the row's items struct */
    struct pixi_json_at *where;
    size_t count;
};

/* What a check objects to. NULL stands for the value itself, and for what the row expects. Static phrases. */
struct pixi_conf_fault {
    const char *found, *expected;
};

/* A rule on a string, or on each string of a list: true when value is right. A NUL follows value. */
typedef bool pixi_conf_check(struct pixi_cur value, struct pixi_conf_fault *fault);

enum {
    PIXI_CONF_SECRET = 1,    /* the value is never written into a message, and masked when shown */
    PIXI_CONF_REQUIRED = 2,  /* of an object in a list: it must be there */
    PIXI_CONF_NO_ENV = 4,    /* no environment variable */
    PIXI_CONF_UNIQUE = 8,    /* of an object in a list: a string that no other object of the list has */
    PIXI_CONF_AT_START = 32, /* for who reads again: what is new in it holds from the next start */
    PIXI_CONF_USERINFO = 16, /* a URL with a password, perhaps: not in messages, shown without it */
};

struct pixi_conf_row {
    const char *path; /* "url", "timeouts.connect_ms" */
    enum pixi_conf_kind kind;
    unsigned flags;
    size_t offset;              /* of the value, in the table's struct */
    uint64_t min, max;          /* UINT: of the value; STRING: of its bytes; lists: of the count */
    const char *initial;        /* the default as JSON text; NULL: unset, 0, false, the first choice */
    const char *unit;           /* UINT: "milliseconds"; NULL: a plain number */
    const char *expected;       /* STRING, STRINGS (one of them): in words. Else made from the row, if NULL */
    const char *const *choices; /* ENUM: ends with NULL */
    pixi_conf_check *check;     /* STRING, STRINGS: may be NULL */
    const struct pixi_conf_table *items; /* OBJECTS */
};

struct pixi_conf_table {
    const struct pixi_conf_row *rows;
    size_t count, size;     /* of the rows; of the struct, in bytes */
    const char *env_prefix; /* "PIXI_WS_": timeouts.connect_ms is PIXI_WS_TIMEOUTS_CONNECT_MS; NULL: none */
    size_t file_max;        /* bytes of a file; 0: PIXI_CONF_FILE_MAX */
};

/* What a value came from, lowest rank first. */
enum pixi_conf_rank { PIXI_CONF_DEFAULT, PIXI_CONF_FILE, PIXI_CONF_ENV, PIXI_CONF_FLAG };

struct pixi_conf_from {
    enum pixi_conf_rank rank;
    struct pixi_json_at at; /* FILE: of the value */
    const char *name;       /* ENV, FLAG: the variable, the flag; else NULL */
    bool is_wrong;          /* a value was given somewhere and refused */
};

struct pixi_conf {
    const struct pixi_conf_table *table; /* borrowed, for ever */
    void *target;                        /* borrowed: the struct that the rows' offsets are in */
    struct pixi_arena arena;
    const char *file; /* the path as given to read, NULL before; owned by the arena */
    unsigned mode;    /* permission bits of that file */
    bool is_broken;   /* the file could not be read to its end: what is missing in it means nothing */
    int err;          /* PIXI_OK or PIXI_E_NOMEM */
    size_t mistakes;  /* how many were found so far */
    struct pixi_conf_from from[PIXI_CONF_ROWS_MAX]; /* a row each */
};

/* pixi_conf_init -- every default into target; the members that no row names are not touched.
 * The defaults must be right (assert). */
void pixi_conf_init(struct pixi_conf *c, const struct pixi_conf_table *table, void *target);

/* pixi_conf_clear -- overwrites and releases every string and list; target's pointers into them are no longer valid. */
void pixi_conf_clear(struct pixi_conf *c);

/* pixi_conf_override -- a flag's value. The name of the flag is borrowed for as long as c lives.
 * For a list of strings each call adds one; the first replaces what was there.
 *
 *   PIXI_OK | PIXI_E_SETTINGS (one line was added to mistakes) | PIXI_E_NOMEM */
int pixi_conf_override(struct pixi_conf *c, const char *path, const char *text, const char *flag,
                       struct pixi_buf *mistakes);

/* pixi_conf_env -- the table's environment variables; empty counts as unset.
 *   PIXI_OK | PIXI_E_SETTINGS (lines were added) | PIXI_E_NOMEM */
int pixi_conf_env(struct pixi_conf *c, struct pixi_buf *mistakes);

/* pixi_conf_read -- the file, once.                                 RFC 8259
 *   PIXI_OK | PIXI_E_SETTINGS (lines were added) | PIXI_E_NOMEM
 * After PIXI_E_SETTINGS what was right in the file is stored all the same, for `config show`. */
int pixi_conf_read(struct pixi_conf *c, const char *path, struct pixi_buf *mistakes);

/* pixi_conf_read_bytes -- the same from memory; messages give it this name, and its mode is nobody's business. */
int pixi_conf_read_bytes(struct pixi_conf *c, const char *name, struct pixi_cur bytes,
                         struct pixi_buf *mistakes);

/* pixi_conf_from -- where a member's value came from. Borrows from c. */
const struct pixi_conf_from *pixi_conf_from(const struct pixi_conf *c, const char *path);

static inline bool pixi_conf_is_set(const struct pixi_conf *c, const char *path)
{
    return pixi_conf_from(c, path)->rank != PIXI_CONF_DEFAULT;
}

/* pixi_conf_is_named -- is there a value for it anywhere, right or wrong? */
static inline bool pixi_conf_is_named(const struct pixi_conf *c, const char *path)
{
    return pixi_conf_is_set(c, path) || pixi_conf_from(c, path)->is_wrong;
}

/* pixi_conf_is_same -- do two readings by one table have the same value in this row? */
bool pixi_conf_is_same(const struct pixi_conf *a, const struct pixi_conf *b, size_t row);

/* pixi_conf_unset -- back to nothing: NULL, 0, no elements; it counts as a default. */
void pixi_conf_unset(struct pixi_conf *c, const char *path);

/* pixi_conf_mistake -- one line about a member: where its value came from, its path, then the formatted text. */
void pixi_conf_mistake(struct pixi_conf *c, const char *path, struct pixi_buf *mistakes, const char *format,
                       ...) __attribute__((format(printf, 4, 5)));

/* pixi_conf_mistake_at -- the same about element i of a list: "listen[1]", at its own place. */
void pixi_conf_mistake_at(struct pixi_conf *c, const char *path, size_t i, struct pixi_buf *mistakes,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));

/* pixi_conf_put_where -- "config/x.json:4:13", "environment: PIXI_WS_URL", "--url" or "default", to the end of b. */
void pixi_conf_put_where(const struct pixi_conf *c, const char *path, struct pixi_buf *b);

/* pixi_conf_show -- every member, its value, and where it came from, as lines in columns. Secrets are masked. */
void pixi_conf_show(const struct pixi_conf *c, struct pixi_buf *b);

/* pixi_conf_show_json -- the same as one object: {"url": {"value": ..., "from": "config/x.json:2:10"}, ...}. */
void pixi_conf_show_json(const struct pixi_conf *c, struct pixi_json_out *w);

/* pixi_conf_put_mask -- "pk_…(46 characters": what may be shown of a secret, to the end of b; the caller says where it
 * is from, and closes the bracket. */
void pixi_conf_put_mask(const char *secret, struct pixi_buf *b);

/* pixi_conf_put_quoted -- text in double quotes as a message may show it: one line, not too long, no key. */
void pixi_conf_put_quoted(struct pixi_cur text, struct pixi_buf *b);

/* pixi_conf_path -- a path as it is to be opened: one that the file names counts from the file's folder, one from
 * elsewhere from the working directory. NULL stays NULL; also NULL when out of memory (c->err). Owned by the arena. */
const char *pixi_conf_path(struct pixi_conf *c, const char *member, const char *path);

/* pixi_conf_find_file -- which file to read: path if there is one, else the one that environment variable env names, else
 * name below the working directory, else "/" name. root_name is "/" and name. NULL: none of them is there. */
const char *pixi_conf_find_file(const char *path, const char *env, const char *name, const char *root_name);

#endif
