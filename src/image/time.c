#include "image/time.h"

#include <stdio.h>
#include <time.h>

void pixi_image_time_text(uint64_t time, char out[PIXI_IMAGE_TIME_TEXT])
{
    time_t t = (time_t)time;
    struct tm tm;

    if (!gmtime_r(&t, &tm) || strftime(out, PIXI_IMAGE_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(out, PIXI_IMAGE_TIME_TEXT, "1970-01-01T00:00:00Z");
}
