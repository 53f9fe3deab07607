/* pixiws/pixiws.h -- all of libpixiws: a link between this program and a Pixi server. Start at pixiws/client.h. */
#ifndef PIXIWS_PIXIWS_H
#define PIXIWS_PIXIWS_H

#include <pixiws/client.h>
#include <pixiws/error.h>
#include <pixiws/loop.h>
#include <pixiws/message.h>
#include <pixiws/version.h>

#endif
