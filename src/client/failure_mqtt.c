#include "client/failure_mqtt.h"
#include "proto/mqtt/reason.h"

/* By reason; the last is for all others. */
static const struct row {
    uint8_t reason;
    int exit_code;
    const char *layer;
    bool is_final;
    const char *fix; /* NULL: the key's */
} rows[] = {
    {PIXI_MQTT_R_BAD_USER, PIXI_EXIT_KEY, "key", true, NULL},
    {PIXI_MQTT_R_NOT_AUTHORIZED, PIXI_EXIT_KEY, "key", true, NULL},
    {PIXI_MQTT_R_BANNED, PIXI_EXIT_KEY, "key", true, "ask the server's operator why this client is banned"},
    {PIXI_MQTT_R_BAD_AUTH_METHOD, PIXI_EXIT_KEY, "key", true,
     "let the server take a user name and a password"},
    {PIXI_MQTT_R_VERSION, PIXI_EXIT_UPGRADE, "upgrade", true,
     "speak the other version of MQTT: mqtt.version 4 or 5 in the settings (--mqtt-version)"},
    {PIXI_MQTT_R_CLIENT_ID, PIXI_EXIT_SETTINGS, "settings", true,
     "set another client_id: letters and digits, at most 23 for old servers"},
    {PIXI_MQTT_R_MALFORMED, PIXI_EXIT_PROTOCOL, "protocol", true,
     "the server objects to what was sent: see its log"},
    {PIXI_MQTT_R_PROTOCOL, PIXI_EXIT_PROTOCOL, "protocol", true,
     "the server objects to what was sent: see its log"},
    {PIXI_MQTT_R_TOPIC, PIXI_EXIT_PROTOCOL, "protocol", true,
     "use a topic that this server takes: see its log"},
    {PIXI_MQTT_R_FILTER, PIXI_EXIT_PROTOCOL, "protocol", true,
     "use a filter that this server takes: see its log"},
    {PIXI_MQTT_R_TOO_LARGE, PIXI_EXIT_PROTOCOL, "limits", false,
     "send smaller messages, or raise the server's maximum packet size"},
    {PIXI_MQTT_R_NO_RETAIN, PIXI_EXIT_PROTOCOL, "protocol", true,
     "send without --retain, and no retained will"},
    {PIXI_MQTT_R_NO_QOS, PIXI_EXIT_PROTOCOL, "protocol", true,
     "set mqtt.qos (--qos) and mqtt.will_qos to less"},
    {PIXI_MQTT_R_TAKEN_OVER, PIXI_EXIT_CLOSED, "close", true,
     "another program has connected with the same client_id: give each its own"},
    {PIXI_MQTT_R_USE_ANOTHER, PIXI_EXIT_CLOSED, "close", true, "point \"url\" to the server that it names"},
    {PIXI_MQTT_R_MOVED, PIXI_EXIT_CLOSED, "close", true, "point \"url\" to the server that it names"},
    {PIXI_MQTT_R_UNAVAILABLE, PIXI_EXIT_CLOSED, "close", false, "try again later"},
    {PIXI_MQTT_R_BUSY, PIXI_EXIT_CLOSED, "close", false, "try again later"},
    {PIXI_MQTT_R_SHUTTING_DOWN, PIXI_EXIT_CLOSED, "close", false,
     "the server shuts down: try again in a moment"},
    {PIXI_MQTT_R_KEEP_ALIVE, PIXI_EXIT_CLOSED, "close", false,
     "check the network between: the server heard nothing for too long"},
    {PIXI_MQTT_R_QUOTA, PIXI_EXIT_CLOSED, "limits", false,
     "send or ask for less, or let the server's operator raise its limits"},
    {PIXI_MQTT_R_RATE, PIXI_EXIT_CLOSED, "limits", false,
     "send more slowly, or let the server's operator raise its limits"},
    {0, PIXI_EXIT_CLOSED, "close", false, "see the server's log"},
};

static const struct row *find(unsigned reason)
{
    const struct row *r = rows;

    while (r->reason && r->reason != reason)
        r++;
    return r;
}

struct pixi_failure pixi_failure_mqtt(int err, const struct pixi_failure_at *at, unsigned reason,
                                      struct pixi_cur text)
{
    const struct row *row = find(reason);
    struct pixi_failure f = {
        .err = err, .exit_code = row->exit_code, .layer = row->layer, .is_final = row->is_final};
    const char *what = err == PIXI_E_MQTT_REFUSED ? "refused CONNECT" : "sent DISCONNECT";
    int len = (int)pixi_cur_left(&text);

    pixi_failure_say(f.cause, "the server at %s:%u %s: %s (0x%02x)%s%.*s", at->host, at->port, what,
                     pixi_mqtt_reason_text(reason), reason, len ? ": " : "", len,
                     len ? (const char *)text.p : "");
    if (row->fix)
        pixi_failure_say(f.fix, "%s", row->fix);
    else
        pixi_failure_key_fix(f.fix, at);
    return f;
}

struct pixi_failure pixi_failure_mqtt_broken(const struct pixi_failure_at *at, int err, uint64_t offset)
{
    struct pixi_failure f = {
        .err = err, .exit_code = PIXI_EXIT_PROTOCOL, .layer = "protocol", .is_final = true};

    if (err == PIXI_E_NOMEM || err == PIXI_E_LIMIT)
        return pixi_failure_local(err, "MQTT");
    pixi_failure_say(f.cause, "%s:%u: the server broke the protocol: %s in the packet at byte %llu (%s)",
                     at->host, at->port, pixi_err_text(err), (unsigned long long)offset,
                     pixi_err_clause(err));
    pixi_failure_say(f.fix, "tell the server's maintainer; `pixi-ws-client explain` knows the rule");
    if (err == PIXI_E_MQTT_TOO_BIG) {
        f.layer = "limits";
        pixi_failure_say(f.fix,
                         "raise limits.message_bytes in the settings, or let the server send less at a time");
    }
    return f;
}

struct pixi_failure pixi_failure_mqtt_silent(const struct pixi_failure_at *at, int err)
{
    struct pixi_failure f = {.err = err, .exit_code = PIXI_EXIT_TIMEOUT, .layer = "upgrade"};

    if (err == PIXI_E_TIMEOUT) {
        pixi_failure_say(f.cause, "%s:%u: upgraded to mqtt but did not answer CONNECT in time", at->host,
                         at->port);
        pixi_failure_say(f.fix, "check the server's load, and that MQTT is really spoken there");
        return f;
    }
    f.exit_code = PIXI_EXIT_CLOSED;
    f.layer = "connection";
    pixi_failure_say(f.cause, "%s:%u: the server answers no PINGREQ any more", at->host, at->port);
    pixi_failure_say(f.fix, "check the network between; the server may be gone or frozen");
    return f;
}

struct pixi_failure pixi_failure_behind(void)
{
    struct pixi_failure f = {.err = PIXI_E_LIMIT, .exit_code = PIXI_EXIT_CLOSED, .layer = "limits"};

    pixi_failure_say(f.cause, "more came than there was room for: it is asked for again");
    pixi_failure_say(f.fix, "take messages faster, or raise limits.queue_bytes in the settings");
    return f;
}
