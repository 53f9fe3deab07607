/* settings_allow.h -- daemon.allow: who of this machine may do what. Private to src/client. */
#ifndef PIXI_CLIENT_SETTINGS_ALLOW_H
#define PIXI_CLIENT_SETTINGS_ALLOW_H

#include "client/settings.h"

/* Of the objects in the list. */
extern const struct pixi_conf_table pixi_settings_allow_table;

#endif
