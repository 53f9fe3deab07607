/* varint.h -- the variable byte integer. MQTT 5 §1.5.5, MQTT 3.1.1 §2.2.3. */
#ifndef PIXI_PROTO_MQTT_VARINT_H
#define PIXI_PROTO_MQTT_VARINT_H

#include "base/buf.h"

enum { PIXI_MQTT_VARINT_MAX = 268435455, PIXI_MQTT_VARINT_SIZE_MAX = 4 }; /* the largest value; bytes */

/* pixi_mqtt_varint_decode -- read one.                              MQTT 5 §1.5.5
 *
 *   PIXI_OK               1 .. 4 bytes consumed; out is 0 .. PIXI_MQTT_VARINT_MAX
 *   PIXI_MORE             the last byte present has its continuation bit set, or there is none
 *   PIXI_E_MQTT_VARINT    a fifth byte wanted, or a shorter form exists [MQTT-1.5.5-1]    reason 0x81 */
int pixi_mqtt_varint_decode(struct pixi_cur *in, uint32_t *out);

/* pixi_mqtt_varint_size -- how many bytes v takes, 1 .. 4. v is at most PIXI_MQTT_VARINT_MAX. */
size_t pixi_mqtt_varint_size(uint32_t v);

/* pixi_mqtt_varint_put -- write v in its shortest form. v is at most PIXI_MQTT_VARINT_MAX. */
void pixi_mqtt_varint_put(struct pixi_buf *b, uint32_t v);

#endif
