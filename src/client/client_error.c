#include "client/client.h"

#include <stdarg.h>
#include <stdio.h>

struct rc_row {
    int rc;
    const char *name, *text;
};

static const struct rc_row rows[] = {
    {PIXI_RC_OK, "OK", "done"},
    {PIXI_RC_FAILED, "FAILED", "the server answered with an error"},
    {PIXI_RC_USAGE, "USAGE", "the call is wrong"},
    {PIXI_RC_SETTINGS, "SETTINGS", "the settings are wrong"},
    {PIXI_RC_NAME, "NAME", "the name cannot be looked up"},
    {PIXI_RC_CONNECT, "CONNECT", "no connection"},
    {PIXI_RC_TLS, "TLS", "TLS failed"},
    {PIXI_RC_UPGRADE, "UPGRADE", "the upgrade was refused"},
    {PIXI_RC_KEY, "KEY", "the API key does not allow this"},
    {PIXI_RC_PROTOCOL, "PROTOCOL", "the protocol was broken"},
    {PIXI_RC_TIMEOUT, "TIMEOUT", "time is up"},
    {PIXI_RC_CLOSED, "CLOSED", "closed"},
    {PIXI_RC_NO_RESPONDER, "NO_RESPONDER", "nobody answers requests on this topic"},
    {PIXI_RC_FULL, "FULL", "no room in the queue"},
    {PIXI_RC_INTERNAL, "INTERNAL", "out of memory or descriptors"},
    {PIXI_RC_LOST, "LOST", "connection lost, connecting again"},
    {PIXI_RC_TOO_LARGE, "TOO_LARGE", "the message is too large"},
};

static const struct rc_row *find(int rc)
{
    static const struct rc_row unknown = {0, "UNKNOWN", "unknown to this version"};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].rc == rc)
            return &rows[i];
    return &unknown;
}

const char *pixi_rc_name(int rc)
{
    return find(rc)->name;
}

const char *pixi_rc_text(int rc)
{
    return find(rc)->text;
}

const char *pixi_version(void)
{
    return PIXI_VERSION;
}

int pixi_version_number(void)
{
    return PIXIWS_VERSION_MAJOR * 10000 + PIXIWS_VERSION_MINOR * 100 + PIXIWS_VERSION_PATCH;
}

int pixi_client_ok(struct pixi_error *e)
{
    if (e)
        *e = (struct pixi_error){.name = "OK", .layer = "", .clause = ""};
    return PIXI_RC_OK;
}

int pixi_client_say(struct pixi_error *e, int rc, int code, const char *layer, const char *fix,
                    const char *cause, ...)
{
    char raw[sizeof((struct pixi_error *)0)->cause];
    va_list args;

    if (!e)
        return rc;
    *e = (struct pixi_error){.rc = rc,
                             .code = code,
                             .name = pixi_err_name(code),
                             .layer = layer,
                             .clause = "",
                             .is_final = rc == PIXI_RC_USAGE || rc == PIXI_RC_SETTINGS};
    va_start(args, cause);
    vsnprintf(raw, sizeof raw, cause, args);
    va_end(args);
    pixi_failure_escape(raw, e->cause, sizeof e->cause);
    pixi_failure_escape(fix, e->fix, sizeof e->fix);
    return rc;
}

/* Exit codes are families already; what programs tell apart beside them has a number of its own. */
static int family(const struct pixi_failure *f)
{
    if (f->err == PIXI_E_WS_TOO_BIG || f->close_code == PIXI_WS_CLOSE_TOO_BIG)
        return PIXI_RC_TOO_LARGE;
    if (f->err == PIXI_E_QUEUE && f->exit_code != PIXI_EXIT_CLOSED)
        return PIXI_RC_FULL;
    return f->exit_code;
}

int pixi_client_fail(struct pixi_error *e, const struct pixi_failure *f)
{
    int rc = family(f);

    if (!e)
        return rc;
    *e = (struct pixi_error){.rc = rc,
                             .code = f->err,
                             .name = pixi_err_name(f->err),
                             .layer = f->layer ? f->layer : "",
                             .clause = pixi_err_clause(f->err),
                             .is_final = f->is_final,
                             .close_code = f->close_code,
                             .retry_after_ms = f->retry_after_ms};
    snprintf(e->reason, sizeof e->reason, "%s", f->reason);
    snprintf(e->cause, sizeof e->cause, "%s", f->cause);
    snprintf(e->fix, sizeof e->fix, "%s", f->fix);
    return rc;
}

int pixi_client_copy_error(struct pixi_error *e, const struct pixi_error *from)
{
    if (e)
        *e = *from;
    return from->rc;
}

int pixi_client_no_memory(struct pixi_error *e)
{
    return pixi_client_say(e, PIXI_RC_INTERNAL, PIXI_E_NOMEM, "internal", "free memory on this machine",
                           "out of memory");
}

int pixi_client_mistakes(struct pixi_error *e, int err, const struct pixi_buf *mistakes)
{
    size_t len = mistakes->len;
    const char *lines = (const char *)mistakes->bytes;

    if (err == PIXI_E_NOMEM)
        return pixi_client_no_memory(e);
    pixi_client_say(e, PIXI_RC_SETTINGS, err, "settings",
                    "correct the settings: docs/settings.md explains every member", "the settings are wrong");
    if (!e || !len)
        return PIXI_RC_SETTINGS;
    /* whole lines, as many as fit, without the last line's break */
    if (len > sizeof e->cause)
        for (len = sizeof e->cause; len > 0 && lines[len - 1] != '\n'; len--)
            ;
    len -= len > 0;
    memcpy(e->cause, lines, len);
    e->cause[len] = 0;
    return PIXI_RC_SETTINGS;
}
