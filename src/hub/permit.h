/* permit.h -- what an API key may publish and subscribe to. */
#ifndef PIXI_HUB_PERMIT_H
#define PIXI_HUB_PERMIT_H

#include "base/cur.h"

/* Borrowed as a whole for as long as a peer has it: pixi_hub_set_permit before it goes. */
struct pixi_permit {
    struct pixi_cur name;           /* the API key's; empty for strangers */
    const struct pixi_cur *publish; /* filters, checked (pixi_filter_check), no `$share` */
    size_t publish_count;
    const struct pixi_cur *subscribe; /* likewise; `$SYS/#` is a grant of its own: '#' never covers '$...' */
    size_t subscribe_count;
};

/* pixi_permit_publish -- may it publish to this topic? Checked (pixi_topic_check). Never to '$...'. */
bool pixi_permit_publish(const struct pixi_permit *permit, struct pixi_cur topic);

/* pixi_permit_subscribe -- may it have this subscription? Checked (pixi_filter_check). True when one of its
 * filters covers all that this one can match; `$share/G/F` is asked as F. */
bool pixi_permit_subscribe(const struct pixi_permit *permit, struct pixi_cur filter);

#endif
