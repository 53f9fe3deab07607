#include "client/client.h"
#include "base/utf8.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { NAME_MAX_LEN = 128 };

/* --- making one ------------------------------------------------------------------------------------------------ */

static void on_wake(struct pixi_watch *w, uint32_t events)
{
    uint64_t count;

    (void)events;
    if (read(w->fd, &count, sizeof count) < 0)
        return; /* read already */
}

static bool open_engine(struct pixi_client *c)
{
    c->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->wake.fd < 0)
        return false;
    if (pixi_loop_init(&c->loop) != PIXI_OK) {
        close(c->wake.fd);
        return false;
    }
    c->wake.on_ready = on_wake;
    if (pixi_loop_watch(&c->loop, &c->wake, EPOLLIN) == PIXI_OK)
        return true;
    pixi_loop_clear(&c->loop);
    close(c->wake.fd);
    return false;
}

/* RFC 9562 §5.4 */
static bool make_producer(char out[37])
{
    uint8_t b[16];

    if (RAND_bytes(b, sizeof b) != 1)
        return false;
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    return true;
}

static void init_locks(struct pixi_client *c)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->moved, &attr);
    pthread_condattr_destroy(&attr);
}

/* Everything but the settings. NULL: out of memory or descriptors. */
static struct pixi_client *create(const char *name, struct pixi_error *e)
{
    struct pixi_client *c = calloc(1, sizeof *c);

    if (!c || !(c->name = strdup(name)) || !make_producer(c->producer) || !open_engine(c)) {
        if (c)
            free(c->name);
        free(c);
        pixi_client_say(e, PIXI_RC_INTERNAL, PIXI_E_NOMEM, "internal",
                        "free memory or descriptors on this machine", "a client cannot be made");
        return NULL;
    }
    init_locks(c);
    c->outer_fd = c->ready_fd = c->told_deadline_ms = -1;
    c->events_end = &c->events;
    c->ops_end = &c->ops;
    pixi_client_ok(&c->first_failed);
    pixi_settings_init(&c->settings);
    return c;
}

static void destroy(struct pixi_client *c)
{
    pixi_loop_unwatch(&c->loop, &c->wake);
    close(c->wake.fd);
    pixi_loop_clear(&c->loop);
    pixi_settings_clear(&c->settings);
    pthread_cond_destroy(&c->moved);
    pthread_mutex_destroy(&c->lock);
    free(c->name);
    free(c);
}

/* Takes what reading the settings answered. */
static struct pixi_client *finish(struct pixi_client *c, int rc, struct pixi_buf *mistakes,
                                  struct pixi_error *e)
{
    if (rc != PIXI_OK) {
        pixi_client_mistakes(e, rc, mistakes);
        destroy(c);
        c = NULL;
    } else {
        pixi_uplink_init(&c->uplink, &c->loop, &c->settings, &pixi_client_uplink_handlers, c,
                         PIXI_RETRY_LOST);
        c->is_resolved = true;
        pixi_client_ok(e);
    }
    pixi_buf_clear(mistakes);
    return c;
}

struct pixi_client *pixi_client_new_from_file(const char *path, struct pixi_error *e)
{
    struct pixi_buf mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    struct pixi_client *c = create(path ? path : PIXI_SETTINGS_FILE, e);

    return c ? finish(c, pixi_settings_load(&c->settings, path, &mistakes), &mistakes, e) : NULL;
}

struct pixi_client *pixi_client_new_from_text(const char *json, size_t len, struct pixi_error *e)
{
    struct pixi_buf mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    struct pixi_client *c = create("settings", e);

    return c ? finish(c, pixi_settings_load_text(&c->settings, pixi_cur_init(json, len), &mistakes),
                      &mistakes, e)
             : NULL;
}

struct pixi_client *pixi_client_new(const char *name, const char *url, const char *api_key,
                                    struct pixi_error *e)
{
    struct pixi_buf mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    struct pixi_client *c;
    size_t len = strlen(name);
    int rc;

    if (!len || len > NAME_MAX_LEN || !pixi_utf8_is_valid((const uint8_t *)name, len)) {
        pixi_client_say(e, PIXI_RC_USAGE, 0, "usage", "call the client what your program is called",
                        "a name is 1 .. %d bytes of UTF-8", NAME_MAX_LEN);
        return NULL;
    }
    c = create(name, e);
    if (!c)
        return NULL;
    rc = pixi_settings_override(&c->settings, "url", url, "url", &mistakes);
    if (api_key && rc != PIXI_E_NOMEM) {
        int key_rc = pixi_settings_override(&c->settings, "api_key", api_key, "api_key", &mistakes);

        rc = rc == PIXI_OK ? key_rc : rc;
    }
    if (rc == PIXI_OK)
        rc = pixi_settings_resolve(&c->settings, &mistakes);
    return finish(c, rc, &mistakes, e);
}

static bool is_member(const char *member)
{
    for (size_t i = 0; i < pixi_settings_table.count; i++)
        if (strcmp(pixi_settings_table.rows[i].path, member) == 0)
            return true;
    return false;
}

int pixi_client_set(struct pixi_client *c, const char *member, const char *value, struct pixi_error *e)
{
    struct pixi_buf mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    int rc;

    if (!is_member(member))
        return pixi_client_say(e, PIXI_RC_USAGE, 0, "settings", "docs/settings.md names every member",
                               "the settings have no member %s", member);
    pixi_client_enter(c);
    if (c->state != PIXI_CLIENT_NEW) {
        rc = pixi_client_say(e, PIXI_RC_USAGE, 0, "settings", "set it before pixi_client_connect",
                             "%s can no longer be changed", member);
    } else {
        rc = pixi_settings_override(&c->settings, member, value, "pixi_client_set", &mistakes);
        c->is_resolved = false;
        rc = rc == PIXI_OK ? pixi_client_ok(e) : pixi_client_mistakes(e, rc, &mistakes);
    }
    pixi_client_leave(c);
    pixi_buf_clear(&mistakes);
    return rc;
}

void pixi_client_set_callbacks(struct pixi_client *c, const struct pixi_callbacks *callbacks, void *ctx)
{
    pixi_client_enter(c);
    c->callbacks = *callbacks;
    c->ctx = ctx;
    pixi_client_leave(c);
}

void pixi_client_free(struct pixi_client *c)
{
    struct pixi_client_event *event;
    struct pixi_client_op *op;

    if (!c)
        return;
    pixi_uplink_clear(&c->uplink);
    while ((event = c->events)) {
        c->events = event->next;
        pixi_client_free_event(event);
    }
    while ((op = c->ops)) {
        c->ops = op->next;
        pixi_client_free_op(op);
    }
    if (c->outer_fd >= 0) {
        close(c->outer_fd);
        close(c->ready_fd);
    }
    destroy(c);
}

const char *pixi_client_name(const struct pixi_client *c)
{
    return c->name;
}

/* --- the connection -------------------------------------------------------------------------------------------- */

enum pixi_client_state pixi_client_state(struct pixi_client *c)
{
    enum pixi_client_state state;

    pixi_client_enter(c);
    state = c->state;
    pixi_client_leave(c);
    return state;
}

static int resolve(struct pixi_client *c, struct pixi_error *e)
{
    struct pixi_buf mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    int rc = c->is_resolved ? PIXI_OK : pixi_settings_resolve(&c->settings, &mistakes);

    if (rc != PIXI_OK)
        pixi_client_mistakes(e, rc, &mistakes);
    else
        c->is_resolved = true;
    pixi_buf_clear(&mistakes);
    return rc == PIXI_OK ? PIXI_RC_OK : rc == PIXI_E_NOMEM ? PIXI_RC_INTERNAL : PIXI_RC_SETTINGS;
}

static int subscribe_all(struct pixi_client *c, struct pixi_error *e)
{
    const struct pixi_conf_strings *set = &c->settings.subscriptions;
    const struct pixi_uplink_how how = {.wants_retained = true};

    for (size_t i = 0; i < set->count && !c->has_subscribed; i++) {
        const char *filter = (const char *)set->at[i].p;

        if (!pixi_uplink_find(&c->uplink, filter) &&
            pixi_uplink_subscribe(&c->uplink, filter, &how) != PIXI_OK)
            return pixi_client_no_memory(e);
    }
    c->has_subscribed = true;
    return PIXI_RC_OK;
}

static bool is_under_way(const struct pixi_client *c)
{
    return c->state == PIXI_CLIENT_CONNECTING || c->state == PIXI_CLIENT_OPEN || c->state == PIXI_CLIENT_LOST;
}

/* With the lock. */
static int start(struct pixi_client *c, unsigned flags, struct pixi_error *e)
{
    struct pixi_failure f;
    int rc;

    if (is_under_way(c))
        return pixi_client_ok(e);
    while (c->state == PIXI_CLIENT_CLOSING)
        pixi_client_wait(c, UINT64_MAX);
    if ((rc = resolve(c, e)) != PIXI_RC_OK || (rc = subscribe_all(c, e)) != PIXI_RC_OK)
        return rc;
    c->uplink.flags = PIXI_RETRY_LOST | (flags & PIXI_START_RETRY ? PIXI_RETRY_FIRST : 0);
    if (pixi_uplink_start(&c->uplink, &f) != PIXI_OK)
        return pixi_client_fail(e, &f);
    c->state = PIXI_CLIENT_CONNECTING;
    c->was_open = c->is_end_told = false;
    pixi_client_ok(&c->last_loss);
    pixi_client_kick(c);
    return pixi_client_ok(e);
}

int pixi_client_start(struct pixi_client *c, unsigned flags, struct pixi_error *e)
{
    int rc;

    pixi_client_enter(c);
    rc = start(c, flags, e);
    pixi_client_leave(c);
    return rc;
}

static int connect_timed_out(struct pixi_client *c, struct pixi_error *e)
{
    pixi_client_say(e, PIXI_RC_TIMEOUT, PIXI_E_TIMEOUT, "connection",
                    "check that the server runs and can be reached, or wait longer",
                    "not connected in time%s%s", c->last_loss.rc ? ": " : "", c->last_loss.cause);
    if (c->uplink.flags & PIXI_RETRY_FIRST || c->state != PIXI_CLIENT_CONNECTING)
        return PIXI_RC_TIMEOUT; /* it goes on */
    pixi_uplink_close(&c->uplink);
    while (c->state != PIXI_CLIENT_CLOSED)
        pixi_client_wait(c, UINT64_MAX);
    return PIXI_RC_TIMEOUT;
}

int pixi_client_connect(struct pixi_client *c, int timeout_ms, struct pixi_error *e)
{
    uint64_t until = pixi_client_until(c, timeout_ms, UINT64_MAX); /* each step has its time-out */
    bool has_time = true;
    int rc;

    pixi_client_enter(c);
    rc = start(c, 0, e);
    while (rc == PIXI_RC_OK && (c->state == PIXI_CLIENT_CONNECTING || c->state == PIXI_CLIENT_LOST) &&
           has_time)
        has_time = pixi_client_wait(c, until);
    if (rc == PIXI_RC_OK && c->state == PIXI_CLIENT_CLOSED)
        rc = pixi_client_not_open(c, e);
    else if (rc == PIXI_RC_OK && c->state != PIXI_CLIENT_OPEN)
        rc = connect_timed_out(c, e);
    pixi_client_leave(c);
    return rc;
}

static int check_close(uint16_t code, const char *reason, struct pixi_error *e)
{
    bool is_code = code == 0 || code == PIXI_WS_CLOSE_DONE || code == PIXI_WS_CLOSE_GOING ||
                   (code >= 3000 && code <= 4999);
    size_t len = reason ? strlen(reason) : 0;

    if (is_code && len <= PIXI_WS_REASON_MAX && pixi_utf8_is_valid((const uint8_t *)reason, len))
        return PIXI_RC_OK;
    return pixi_client_say(e, PIXI_RC_USAGE, PIXI_E_WS_CLOSE_CODE, "close",
                           "a code is 1000, 1001 or 3000 .. 4999; a reason at most 123 bytes of UTF-8",
                           "code %u with this reason may not be sent (RFC 6455 §7.4)", code);
}

static int closed(const struct pixi_client *c, struct pixi_error *e)
{
    pixi_client_copy_error(e, &c->end);
    if (c->end.rc != PIXI_RC_OK || c->end.close_code || !c->was_open)
        return c->end.rc;
    return pixi_client_say(e, PIXI_RC_PROTOCOL, PIXI_E_WS_NO_CLOSE, "close", "see the server's log",
                           "the peer ended the connection without saying close");
}

int pixi_client_close(struct pixi_client *c, uint16_t code, const char *reason, int timeout_ms,
                      struct pixi_error *e)
{
    uint64_t until;
    bool has_time = timeout_ms != 0;
    int rc = check_close(code, reason, e);

    if (rc != PIXI_RC_OK)
        return rc;
    pixi_client_enter(c);
    until = pixi_client_until(c, timeout_ms, c->settings.timeouts.request_ms);
    while (c->ops && c->state == PIXI_CLIENT_OPEN && has_time)
        has_time = pixi_client_wait(c, until);
    if (!is_under_way(c)) {
        rc = pixi_client_say(e, PIXI_RC_CLOSED, PIXI_E_WS_CLOSED, "close", "nothing: it is closed", "%s",
                             c->state == PIXI_CLIENT_NEW ? "it was never open" : "it was closed already");
        pixi_client_leave(c);
        return rc;
    }
    c->state = PIXI_CLIENT_CLOSING;
    pixi_uplink_close_with(&c->uplink, code ? code : PIXI_WS_CLOSE_DONE, reason);
    pixi_client_kick(c);
    until = pixi_client_until(c, timeout_ms, UINT64_MAX); /* timeouts.close_ms ends it */
    while (c->state == PIXI_CLIENT_CLOSING && has_time) {
        has_time = pixi_client_wait(c, until);
        if (!has_time && timeout_ms > 0)
            pixi_uplink_give_up(&c->uplink);
        has_time |= timeout_ms > 0;
    }
    rc = c->state == PIXI_CLIENT_CLOSED ? closed(c, e) : pixi_client_ok(e);
    pixi_client_leave(c);
    return rc;
}
