/* settings_table.h -- what the table of the settings shares with who reads them. Private to src/client. */
#ifndef PIXI_CLIENT_SETTINGS_TABLE_H
#define PIXI_CLIENT_SETTINGS_TABLE_H

#include "client/settings.h"

#define PIXI_SETTINGS_KEY_EXPECTED "an API key: 16 .. 512 visible ASCII characters, no spaces"

/* A member of tls.pin_sha256 as bytes; false: it is none. */
bool pixi_settings_read_pin(struct pixi_cur text, uint8_t out[PIXI_TLS_PIN]);

#endif
