/* extension.h -- one element of Sec-WebSocket-Extensions: its name, then its parameters. RFC 6455 §9.1.
 *
 *     extension-token *( ";" token [ "=" ( token | quoted-string ) ] )
 *
 *     rc = pixi_ws_extension_name(&element, &name);
 *     while (rc == PIXI_OK && (rc = pixi_ws_extension_next(&element, &parameter)) == PIXI_OK)
 *         ...
 *     rc is PIXI_MORE: that was all of it */
#ifndef PIXI_PROTO_WS_EXTENSION_H
#define PIXI_PROTO_WS_EXTENSION_H

#include "base/cur.h"
#include "base/err.h"

/* Borrows from the element. */
struct pixi_ws_parameter {
    struct pixi_cur name;
    struct pixi_cur value; /* without its quotes, its backslashes still in it; p == NULL: none was given */
};

/* pixi_ws_extension_name -- the name that the element begins with; element is moved past it.
 *   PIXI_OK | PIXI_E_WS_EXTENSION (no token; element is where it was) */
int pixi_ws_extension_name(struct pixi_cur *element, struct pixi_cur *name);

/* pixi_ws_extension_next -- the next parameter; element is moved past it.
 *   PIXI_OK | PIXI_MORE (there is none left) | PIXI_E_WS_EXTENSION (not of its form; element is where it was) */
int pixi_ws_extension_next(struct pixi_cur *element, struct pixi_ws_parameter *out);

#endif
