/* message.h -- a message that is made once and sent by many links: its frame, and the same compressed, which is made when the
 * first link wants it so.
 *
 *     b = pixi_link_message_begin(&m);
 *     ... put the payload into b ...
 *     pixi_link_message_end(&m, PIXI_LINK_FRAMES, PIXI_WS_TEXT);
 *     for each link: pixi_link_send_message(link, &m); */
#ifndef PIXI_LINK_MESSAGE_H
#define PIXI_LINK_MESSAGE_H

#include "link/packer.h"
#include "net/out.h"

enum pixi_link_form { PIXI_LINK_FRAMES, PIXI_LINK_BYTES, PIXI_LINK_LINES }; /* of messages on a link */

/* Bytes that are sent as they are. */
struct pixi_link_body {
    struct pixi_buf bytes;
    size_t at;                  /* where they begin in it: before them is room for the longest header */
    struct pixi_shared *shared; /* the same, once a large one has had a taker */
};

struct pixi_link_message {
    struct pixi_link_body plain, packed;
    enum pixi_ws_opcode type;
    enum pixi_link_packing { PIXI_LINK_NOT_TRIED, PIXI_LINK_SMALLER, PIXI_LINK_NOT_SMALLER } packing;
};

/* pixi_link_message_init -- frames of up to max bytes. Allocates nothing. */
void pixi_link_message_init(struct pixi_link_message *m, size_t max);
void pixi_link_message_clear(struct pixi_link_message *m);

/* pixi_link_message_forget -- the last one is of no use any more: only queues hold on to its bytes. */
void pixi_link_message_forget(struct pixi_link_message *m);

/* pixi_link_message_begin -- forget the last one. The buffer that its payload is added to: errors stick in it, and then
 * pixi_link_send_message answers with them. */
struct pixi_buf *pixi_link_message_begin(struct pixi_link_message *m);

/* pixi_link_message_end -- the payload is whole. form: of all links that it is for, not PIXI_LINK_LINES. */
void pixi_link_message_end(struct pixi_link_message *m, enum pixi_link_form form, enum pixi_ws_opcode type);

/* pixi_link_message_payload -- borrowed until the next begin; empty after an error. */
struct pixi_cur pixi_link_message_payload(const struct pixi_link_message *m);

/* pixi_link_message_pack -- what a link that agreed on compression sends of it: one of m's bodies. */
struct pixi_link_body *pixi_link_message_pack(struct pixi_link_message *m, struct pixi_packer *p);

/* pixi_link_body_share -- the body as one that queues refer to; NULL where it is to be copied: it is small, or there is no
 * memory. */
struct pixi_shared *pixi_link_body_share(struct pixi_link_body *b);

#endif
