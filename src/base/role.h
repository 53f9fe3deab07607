/* role.h -- which end of a connection a thing is, or speaks for. */
#ifndef PIXI_BASE_ROLE_H
#define PIXI_BASE_ROLE_H

enum pixi_role { PIXI_CLIENT, PIXI_SERVER };

#endif
