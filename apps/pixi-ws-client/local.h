/* local.h -- one call to the daemon of this machine, waited for. */
#ifndef PIXI_WS_CLIENT_LOCAL_H
#define PIXI_WS_CLIENT_LOCAL_H

#include "base/buf.h"

/* local_open -- connected, or -1 (errno says why). */
int local_open(const char *path);

/* local_call -- {"method": method, "params": params (NULL: none)}, and its answer as it came, without the line break.
 *   PIXI_OK | PIXI_E_WS_CLOSED (it hung up) | PIXI_E_TIMEOUT | PIXI_E_NOMEM */
int local_call(int fd, const char *method, const char *params, struct pixi_buf *answer);

#endif
