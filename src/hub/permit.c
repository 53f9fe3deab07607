#include "hub/permit.h"

#include "base/topic.h"

bool pixi_permit_publish(const struct pixi_permit *permit, struct pixi_cur topic)
{
    if (*topic.p == '$')
        return false;
    for (size_t i = 0; i < permit->publish_count; i++)
        if (pixi_filter_matches(permit->publish[i], topic))
            return true;
    return false;
}

bool pixi_permit_subscribe(const struct pixi_permit *permit, struct pixi_cur filter)
{
    for (size_t i = 0; i < permit->subscribe_count; i++)
        if (pixi_filter_covers(permit->subscribe[i], filter))
            return true;
    return false;
}
