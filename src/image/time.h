/* time.h -- when an image was made. Not now: the same sources give the same image. */
#ifndef PIXI_IMAGE_TIME_H
#define PIXI_IMAGE_TIME_H

#include <stdint.h>

enum { PIXI_IMAGE_TIME_TEXT = 24 };

/* pixi_image_time_text -- "2026-11-29T12:00:00Z".   RFC 3339 */
void pixi_image_time_text(uint64_t time, char out[PIXI_IMAGE_TIME_TEXT]);

#endif
