/* head.h -- the head of an HTTP/1.1 message, both roles. RFC 9112, read strictly: what two readers could understand in
 * two ways is refused. No I/O, no allocation. */
#ifndef PIXI_PROTO_HTTP_HEAD_H
#define PIXI_PROTO_HTTP_HEAD_H

#include "base/buf.h"
#include "base/cur.h"

enum { PIXI_HTTP_FIELDS = 64 }; /* header fields a head can hold at most */

struct pixi_http_field {
    struct pixi_cur name, value; /* borrowed; value without the white space around it */
};

struct pixi_http_head {
    struct pixi_cur method, target; /* of a request; borrowed */
    struct pixi_cur reason;         /* of a response; borrowed, may be empty */
    unsigned status;                /* of a response: 100 .. 599 */
    size_t field_count;
    struct pixi_http_field fields[PIXI_HTTP_FIELDS];
};

struct pixi_http_limits {
    size_t head_bytes;  /* of the whole head, its empty line included */
    size_t field_count; /* at most PIXI_HTTP_FIELDS */
};

/* pixi_http_request_decode, pixi_http_response_decode -- read one head.      RFC 9112 §2 to §5
 *
 *   in   received bytes; moved past the empty line on PIXI_OK, untouched otherwise
 *   out  its slices borrow from in's bytes. Written also on errors, then without meaning
 *
 *   PIXI_OK              the bytes after the head are the caller's
 *   PIXI_MORE            call again with the same bytes plus at least one more
 *   PIXI_E_HTTP_LINE     bare CR or LF, NUL, or another control character (§2.2, RFC 9110 §5.5)
 *   PIXI_E_HTTP_START    request line or status line not of its form (§3, §4)
 *   PIXI_E_HTTP_VERSION  a version other than HTTP/1.1
 *   PIXI_E_HTTP_FIELD    name not a token, white space before the colon, no colon, folded line (§5.1, §5.2)
 *   PIXI_E_HTTP_SIZE     no end within head_bytes
 *   PIXI_E_HTTP_COUNT    more than field_count fields
 *
 * An error is final: more bytes never change it. */
int pixi_http_request_decode(struct pixi_cur *in, const struct pixi_http_limits *limits,
                             struct pixi_http_head *out);
int pixi_http_response_decode(struct pixi_cur *in, const struct pixi_http_limits *limits,
                              struct pixi_http_head *out);

/* pixi_http_request_check -- what a server may rely on afterwards: one Host, no body and nothing that could frame one.
 *   PIXI_OK | PIXI_E_HTTP_HOST (RFC 9112 §3.2) | PIXI_E_HTTP_BODY (§6) */
int pixi_http_request_check(const struct pixi_http_head *h);

/* pixi_http_has_body -- is there a body, or a framing that could hide one: Transfer-Encoding at all, Content-Length other
 * than one "0"? */
bool pixi_http_has_body(const struct pixi_http_head *h);

/* pixi_http_path -- the target's path, without query: of "/a?b" and of "http://h/a?b" it is "/a". */
struct pixi_cur pixi_http_path(const struct pixi_http_head *h);

/* pixi_http_find -- the value of the only field of that name (any case). false when there is none or more than one;
 * count (may be NULL) tells how many. */
bool pixi_http_find(const struct pixi_http_head *h, const char *name, struct pixi_cur *value, size_t *count);

/* A walk over the elements of a list-valued field, over all its lines. RFC 9110 §5.6.1. */
struct pixi_http_list {
    const struct pixi_http_head *head; /* borrowed */
    const char *name;                  /* borrowed */
    size_t field;
    struct pixi_cur rest;
    bool is_inside;
};

struct pixi_http_list pixi_http_list(const struct pixi_http_head *h, const char *name);

/* pixi_http_list_next -- the next element, trimmed; may be empty ("a,,b"); a comma in a quoted string does not end it.
 * false when there is none left. */
bool pixi_http_list_next(struct pixi_http_list *l, struct pixi_cur *element);

/* pixi_http_list_has -- is there an element equal to token, in any case? */
bool pixi_http_list_has(const struct pixi_http_head *h, const char *name, const char *token);

bool pixi_http_is_token(struct pixi_cur c);                 /* RFC 9110 §5.6.2, at least one character */
bool pixi_http_equals(struct pixi_cur c, const char *text); /* in any case (ASCII) */

/* pixi_http_put_field -- "name: value\r\n". A control character in value, which could start another field, fails the
 * buffer with PIXI_E_HTTP_FIELD. */
void pixi_http_put_field(struct pixi_buf *b, const char *name, struct pixi_cur value);

/* pixi_http_reason -- "Not Found" for 404. Static. */
const char *pixi_http_reason(unsigned status);

#endif
