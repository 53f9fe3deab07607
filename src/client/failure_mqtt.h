/* failure_mqtt.h -- what MQTT says went wrong, said so that a person can act. */
#ifndef PIXI_CLIENT_FAILURE_MQTT_H
#define PIXI_CLIENT_FAILURE_MQTT_H

#include "client/failure.h"

/* pixi_failure_mqtt -- the server has ended the connection with this reason code.
 *   err   PIXI_E_MQTT_REFUSED (CONNACK) or PIXI_E_MQTT_DISCONNECTED
 *   text  its Reason String; may be empty */
struct pixi_failure pixi_failure_mqtt(int err, const struct pixi_failure_at *at, unsigned reason,
                                      struct pixi_cur text);

/* pixi_failure_mqtt_broken -- it broke a rule in the packet that began at this byte. */
struct pixi_failure pixi_failure_mqtt_broken(const struct pixi_failure_at *at, int err, uint64_t offset);

/* pixi_failure_mqtt_silent -- PIXI_E_TIMEOUT: no CONNACK came; PIXI_E_MQTT_KEEP_ALIVE: no PINGRESP. */
struct pixi_failure pixi_failure_mqtt_silent(const struct pixi_failure_at *at, int err);

/* pixi_failure_behind -- there was no room for what came: another connection brings it again. */
struct pixi_failure pixi_failure_behind(void);

#endif
