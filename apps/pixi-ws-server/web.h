/* web.h -- the page that tools/embed-web found in web/dist when this program was built; perhaps none. */
#ifndef PIXI_WS_SERVER_WEB_H
#define PIXI_WS_SERVER_WEB_H

#include "server/page.h"

extern const struct pixi_page_source web_files[];
extern const size_t web_file_count;

#endif
