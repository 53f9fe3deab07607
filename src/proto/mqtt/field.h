/* field.h -- what packets and properties are made of: integers, strings, binary data. MQTT 5 §1.5. */
#ifndef PIXI_PROTO_MQTT_FIELD_H
#define PIXI_PROTO_MQTT_FIELD_H

#include "base/buf.h"

enum { PIXI_MQTT_FIELD_MAX = 65535 }; /* bytes of a string or binary data */

/* Each decoder reads from a container that is there as a whole: what runs past its end is wrong, and not "more".
 *
 *   in   moved past the field on PIXI_OK, untouched otherwise
 *   out  written on PIXI_OK; slices borrow from in
 *
 *   PIXI_E_MQTT_SHORT   the container ends first                                         reason 0x81
 *   PIXI_E_MQTT_UTF8    str: not UTF-8, or U+0000 in it [MQTT-1.5.4-1], [MQTT-1.5.4-2]   reason 0x81 */
int pixi_mqtt_u8_decode(struct pixi_cur *in, uint8_t *out);
int pixi_mqtt_u16_decode(struct pixi_cur *in, uint16_t *out);
int pixi_mqtt_bin_decode(struct pixi_cur *in, struct pixi_cur *out); /* §1.5.6 */
int pixi_mqtt_str_decode(struct pixi_cur *in, struct pixi_cur *out); /* §1.5.4 */

/* pixi_mqtt_str_check -- may these bytes stand in a string? PIXI_OK or PIXI_E_MQTT_UTF8. */
int pixi_mqtt_str_check(struct pixi_cur text);

/* Writers; errors stick in the buffer. bin: a field over PIXI_MQTT_FIELD_MAX is PIXI_E_LIMIT. */
void pixi_mqtt_uint_put(struct pixi_buf *b, size_t width, uint32_t v); /* big-endian, 1 .. 4 bytes */
void pixi_mqtt_bin_put(struct pixi_buf *b, struct pixi_cur bytes);

#endif
