/* link_state.h -- what the files of src/link share. Private to it. */
#ifndef PIXI_LINK_LINK_STATE_H
#define PIXI_LINK_LINK_STATE_H

#include "link/link.h"

enum {
    PIXI_LINK_PACKED_RX = 2048
}; /* bytes that a link on which compression was agreed on reads in a turn, at most */

/* link.c: the first reason that is set is the one told; pixi_link_finish ends the TCP connection. */
void pixi_link_set_end(struct pixi_link *k, int err, uint16_t code, struct pixi_cur reason, bool is_ours);
void pixi_link_set_error(struct pixi_link *k, int err, bool is_ours);
void pixi_link_finish(struct pixi_link *k);
/* All is said; the peer gets close_ms to end the connection. */
void pixi_link_linger(struct pixi_link *k);
void pixi_link_put_close(struct pixi_link *k, uint16_t code, struct pixi_cur reason);

/* link_read.c, link_open.c: bytes that came; they may be changed. */
void pixi_link_read_frames(struct pixi_link *k, uint8_t *bytes, size_t len);
void pixi_link_read_lines(struct pixi_link *k, uint8_t *bytes, size_t len);
void pixi_link_read_handshake(struct pixi_link *k, uint8_t *bytes, size_t len);

#endif
