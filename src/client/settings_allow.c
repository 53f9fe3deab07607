#include "client/settings_allow.h"

#include "base/topic.h"

enum { FILTERS_MAX = 64 };

static bool check_allowed(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    (void)fault;
    return pixi_filter_check(value) == PIXI_OK && pixi_cur_equals(pixi_filter_inner(value), value);
}

#define ALLOWED(name)                                                                                        \
    {                                                                                                        \
        .path = #name, .kind = PIXI_CONF_STRINGS, .offset = offsetof(struct pixi_settings_allow, name),      \
        .max = FILTERS_MAX, .initial = "[]", .check = check_allowed,                                         \
        .expected = "a topic filter such as event/# (MQTT 5 §4.7), without $share/"                         \
    }
#define ALLOW_ID(name)                                                                                       \
    {                                                                                                        \
        .path = #name, .kind = PIXI_CONF_UINT, .offset = offsetof(struct pixi_settings_allow, name),         \
        .max = UINT32_MAX, .initial = "4294967295"                                                           \
    }

static const struct pixi_conf_row allow_rows[] = {
    ALLOW_ID(uid),
    ALLOW_ID(gid),
    ALLOWED(publish),
    ALLOWED(subscribe),
    {.path = "outbox_bytes",
     .kind = PIXI_CONF_UINT,
     .offset = offsetof(struct pixi_settings_allow, outbox_bytes),
     .max = 1ull << 40,
     .initial = "0",
     .unit = "bytes"},
};

const struct pixi_conf_table pixi_settings_allow_table = {
    .rows = allow_rows,
    .count = sizeof allow_rows / sizeof *allow_rows,
    .size = sizeof(struct pixi_settings_allow),
};
