/* json.h -- a strict JSON pull reader that allocates nothing, and a writer. RFC 8259.
 *
 *     struct pixi_json r;
 *     struct pixi_json_token t;
 *     pixi_json_init(&r, bytes, len, 64);
 *     while ((rc = pixi_json_next(&r, &t)) == PIXI_OK && t.type != PIXI_JSON_DONE) ...
 *
 * The text must be whole: it is read where it lies, and every token borrows from it. */
#ifndef PIXI_BASE_JSON_H
#define PIXI_BASE_JSON_H

#include "base/buf.h"
#include "base/cur.h"

enum { PIXI_JSON_DEPTH_MAX = 128 }; /* objects and arrays one inside the other */

enum pixi_json_type {
    PIXI_JSON_DONE, /* the value is complete and only white space followed it */
    PIXI_JSON_OBJECT,
    PIXI_JSON_OBJECT_END,
    PIXI_JSON_ARRAY,
    PIXI_JSON_ARRAY_END,
    PIXI_JSON_NAME, /* a member's name; its value is the next token */
    PIXI_JSON_STRING,
    PIXI_JSON_NUMBER,
    PIXI_JSON_TRUE,
    PIXI_JSON_FALSE,
    PIXI_JSON_NULL,
};

struct pixi_json_token {
    enum pixi_json_type type;
    unsigned depth; /* of the container it stands in: 0 for the outermost value; an END has its opener's */
    size_t offset;  /* bytes, from the start of the text to the token's first byte (a quote, for strings) */
    struct pixi_cur text; /* borrowed, as written; of strings and names what stands between the quotes */
    bool is_escaped;      /* strings and names: text holds at least one backslash */
};

struct pixi_json {
    const uint8_t *start, *p, *end; /* borrowed */
    uint64_t objects[2];            /* bit d set: the container at depth d is an object */
    unsigned depth, depth_max;
    uint8_t state; /* what may come next; private to json.c */
    int err;       /* the final error, PIXI_OK while there is none */
    size_t err_offset;
};

/* pixi_json_init -- start reading len bytes. depth_max 1 .. PIXI_JSON_DEPTH_MAX. */
void pixi_json_init(struct pixi_json *r, const void *bytes, size_t len, unsigned depth_max);

/* pixi_json_next -- the next token.                                 RFC 8259 §2
 *
 *   PIXI_OK               out is set; PIXI_JSON_DONE ends, and is given again if asked again
 *   PIXI_E_JSON_SYNTAX    another character was due (§2); also a byte order mark (§8.1)
 *   PIXI_E_JSON_SHORT     the text ends where more is due: empty text and a final "-", "1." or "1e" too
 *   PIXI_E_JSON_STRING    control character, unknown escape, bad \u (§7)
 *   PIXI_E_JSON_NUMBER    leading zero, '+', lone '-', "1.", ".5", "1e" before another byte (§6)
 *   PIXI_E_JSON_UTF8      bytes that are not UTF-8 inside a string (§8.1)
 *   PIXI_E_JSON_DEPTH     deeper than depth_max (§9)
 *   PIXI_E_JSON_TRAILING  something after the outermost value (§2)
 *
 * An error is final; r->err_offset then is the index of the offending byte (the text's length for SHORT).
 * A lone escaped surrogate is grammatical and passes; pixi_json_decode refuses it. Duplicate names pass. */
int pixi_json_next(struct pixi_json *r, struct pixi_json_token *out);

/* pixi_json_skip -- read to the end of the value that starts with `first`, just given by pixi_json_next.
 * raw (may be NULL) borrows the value's exact source bytes. A value of one token is itself.
 *   PIXI_OK | pixi_json_next's errors */
int pixi_json_skip(struct pixi_json *r, const struct pixi_json_token *first, struct pixi_cur *raw);

/* pixi_json_check -- PIXI_OK when the text is exactly one valid value, else the error; at (may be NULL): where. */
int pixi_json_check(const void *bytes, size_t len, unsigned depth_max, size_t *at);

/* pixi_json_is -- does a string or name token, unescaped, equal this text? No other token does. */
bool pixi_json_is(const struct pixi_json_token *t, const char *text);

/* pixi_json_decode -- the unescaped bytes of a string's text (between its quotes), as UTF-8.
 *
 *   out   at least as many bytes as text has: unescaping never grows; may be text's own bytes;
 *         spoilt on error
 *   len   bytes written, on PIXI_OK; U+0000 is a byte like another
 *
 *   PIXI_OK | PIXI_E_JSON_SURROGATE (§8.2) */
int pixi_json_decode(struct pixi_cur text, uint8_t *out, size_t *len);

/* pixi_json_uint -- a NUMBER that is a whole number 0 .. max ("1e3" and "1.0" are refused: they are not how one
 * writes a count). Any other token is out of range too.   PIXI_OK | PIXI_E_JSON_RANGE */
int pixi_json_uint(const struct pixi_json_token *t, uint64_t max, uint64_t *out);

/* Line and column (1-based; the column counts bytes) of an offset, for messages to people. */
struct pixi_json_at {
    size_t line, column;
};
struct pixi_json_at pixi_json_locate(const void *bytes, size_t len, size_t offset);

/* The writer: separators and nesting are its business. Errors stick in the buffer (buf.h); closing what is not
 * open, or a value where a name is due, is the caller's fault (assert). */
struct pixi_json_out {
    struct pixi_buf *buf;           /* borrowed */
    uint64_t objects[2], filled[2]; /* bits, as in the reader */
    unsigned depth;
    bool is_named; /* a name was written, its value is due */
};

static inline struct pixi_json_out pixi_json_out_init(struct pixi_buf *buf)
{
    return (struct pixi_json_out){.buf = buf};
}

void pixi_json_open_object(struct pixi_json_out *w);
void pixi_json_close_object(struct pixi_json_out *w);
void pixi_json_open_array(struct pixi_json_out *w);
void pixi_json_close_array(struct pixi_json_out *w);
void pixi_json_name(struct pixi_json_out *w, const char *name);
/* text: valid UTF-8 (assert); control characters, '"' and '\' are escaped, nothing else */
void pixi_json_string(struct pixi_json_out *w, struct pixi_cur text);
void pixi_json_text(struct pixi_json_out *w, const char *text);
void pixi_json_number(struct pixi_json_out *w, uint64_t v);
void pixi_json_signed(struct pixi_json_out *w, int64_t v);
/* milliseconds and the like: fixed point with three decimals */
void pixi_json_milli(struct pixi_json_out *w, uint64_t thousandths);
void pixi_json_bool(struct pixi_json_out *w, bool v);
void pixi_json_null(struct pixi_json_out *w);
/* bytes that are one valid JSON value already */
void pixi_json_raw(struct pixi_json_out *w, struct pixi_cur value);

#endif
