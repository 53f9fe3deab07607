/* checks.h -- the functions of the table of checks, by file. */
#ifndef PIXI_VERIFY_CHECKS_H
#define PIXI_VERIFY_CHECKS_H

#include "verify/check.h"

/* check_connect.c: from the settings to a WebSocket connection */
void pixi_check_settings(struct pixi_verify *v);
void pixi_check_name(struct pixi_verify *v);
void pixi_check_plaintext(struct pixi_verify *v);
void pixi_check_tcp(struct pixi_verify *v);
void pixi_check_proxy(struct pixi_verify *v);
void pixi_check_upgrade(struct pixi_verify *v);

/* check_tls.c */
void pixi_check_tls(struct pixi_verify *v);
void pixi_check_tls_resume(struct pixi_verify *v);

/* check_key.c */
void pixi_check_key(struct pixi_verify *v);
void pixi_check_key_missing(struct pixi_verify *v);
void pixi_check_key_wrong(struct pixi_verify *v);

/* check_call.c: calls and requests of pixi.v1 */
void pixi_check_info(struct pixi_verify *v);
void pixi_check_ping_call(struct pixi_verify *v);
void pixi_check_request(struct pixi_verify *v);
void pixi_check_request_nobody(struct pixi_verify *v);

/* check_publish.c: publish and subscribe of pixi.v1 */
void pixi_check_publish(struct pixi_verify *v);
void pixi_check_publish_binary(struct pixi_verify *v);
void pixi_check_unsubscribe(struct pixi_verify *v);

/* check_echo.c: an endpoint that sends back what it gets */
void pixi_check_echo_text(struct pixi_verify *v);
void pixi_check_echo_binary(struct pixi_verify *v);

/* check_frame.c: what every WebSocket endpoint has to do with correct frames */
void pixi_check_ping(struct pixi_verify *v);
void pixi_check_close(struct pixi_verify *v);
void pixi_check_fragments(struct pixi_verify *v);
void pixi_check_ping_between(struct pixi_verify *v);

/* check_broken.c: what it has to refuse; which frame is sent is told by the row's id */
void pixi_check_broken(struct pixi_verify *v);

/* check_deflate.c: compression, on a connection that offers it */
void pixi_check_deflate(struct pixi_verify *v);
void pixi_check_deflate_offer(struct pixi_verify *v);
void pixi_check_deflate_text(struct pixi_verify *v);
void pixi_check_deflate_pieces(struct pixi_verify *v);
/* false: the failure is told. The connection is closed by pixi_peer_close. */
bool pixi_check_open_deflated(struct pixi_verify *v, struct pixi_peer *p);

/* check_resume.c: after the connection was lost */
void pixi_check_reconnect(struct pixi_verify *v);
void pixi_check_resume(struct pixi_verify *v);
void pixi_check_resume_cut(struct pixi_verify *v);
void pixi_check_resume_beyond(struct pixi_verify *v);

/* check_mqtt.c: who is let in */
void pixi_check_mqtt(struct pixi_verify *v);
void pixi_check_mqtt_old(struct pixi_verify *v);
void pixi_check_mqtt_version(struct pixi_verify *v);
void pixi_check_mqtt_no_key(struct pixi_verify *v);
void pixi_check_mqtt_wrong_key(struct pixi_verify *v);

/* check_mqtt_flow.c: messages, and what is kept for whom */
void pixi_check_mqtt_ping(struct pixi_verify *v);
void pixi_check_mqtt_qos_0(struct pixi_verify *v);
void pixi_check_mqtt_qos_1(struct pixi_verify *v);
void pixi_check_mqtt_qos_2(struct pixi_verify *v);
void pixi_check_mqtt_once(struct pixi_verify *v);
void pixi_check_mqtt_retained(struct pixi_verify *v);
void pixi_check_mqtt_will(struct pixi_verify *v);
void pixi_check_mqtt_resume(struct pixi_verify *v);
void pixi_check_mqtt_takeover(struct pixi_verify *v);
void pixi_check_mqtt_max(struct pixi_verify *v);
void pixi_check_mqtt_window(struct pixi_verify *v);
void pixi_check_mqtt_silent(struct pixi_verify *v);

/* check_mqtt_broken.c: packets in any frames; what has to be refused is told by the row's id */
void pixi_check_mqtt_split(struct pixi_verify *v);
void pixi_check_mqtt_joined(struct pixi_verify *v);
void pixi_check_mqtt_broken(struct pixi_verify *v);

#endif
