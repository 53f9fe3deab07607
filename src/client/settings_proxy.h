/* settings_proxy.h -- by which proxy each endpoint is reached, if by any. Part of pixi_settings_load. */
#ifndef PIXI_CLIENT_SETTINGS_PROXY_H
#define PIXI_CLIENT_SETTINGS_PROXY_H

#include "client/settings.h"

/* pixi_settings_choose_proxies -- fills s->proxies from "proxy", else from HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, after
 * the endpoints are known. A line for each mistake. */
void pixi_settings_choose_proxies(struct pixi_settings *s, struct pixi_buf *mistakes);

/* pixi_settings_is_private -- does what is sent to endpoint i in clear stay on this machine? */
bool pixi_settings_is_private(const struct pixi_settings *s, size_t i);

#endif
