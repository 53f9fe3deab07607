#include "pixi-ws-client/progress.h"

#include "base/wrap.h"
#include "pixi-ws-client/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST_MS = 1000, LOOK_MS = 250, TEXT_MAX = 320 };

/* A terminal has one last line, and so has this program. "": none is shown. */
static char shown[TEXT_MAX];

static bool is_wanted(const struct app *app)
{
    const char *term = getenv("TERM");

    return !app->is_json && isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

void progress_hide(void)
{
    if (!*shown)
        return;
    fflush(stdout);
    fputs("\r\033[K", stderr);
    fflush(stderr);
    *shown = 0;
}

void progress_show(const struct app *app, const char *what, uint64_t waited_ms, uint64_t total_ms)
{
    char text[TEXT_MAX], rest[64];
    size_t len;

    if (waited_ms < FIRST_MS || !is_wanted(app))
        return;
    snprintf(rest, sizeof rest, " … %llu s of %.3g", (unsigned long long)(waited_ms / 1000),
             (double)total_ms / 1000);
    len = strlen(what);
    while (pixi_wrap_columns(what, len) + pixi_wrap_columns(rest, strlen(rest)) >= CLI_COLUMNS)
        len--; /* a line that is too wide could not be erased */
    snprintf(text, sizeof text, "%.*s%s", (int)len, what, rest);
    if (strcmp(text, shown) == 0)
        return;
    fflush(stdout);
    fprintf(stderr, "\r\033[K%s", text);
    fflush(stderr);
    memcpy(shown, text, sizeof shown);
}

static const struct pixi_url *url_of(const struct progress *p)
{
    return &p->settings->endpoints[p->endpoint ? *p->endpoint : 0];
}

static void say_dial(const struct progress *p, char out[TEXT_MAX])
{
    const struct pixi_dial *d = p->dial;
    const struct pixi_url *u = url_of(p);
    char address[PIXI_ADDR_TEXT];

    if (d->state == PIXI_DIAL_TUNNEL) {
        snprintf(out, TEXT_MAX, "asking the proxy for a way to %s", u->authority);
    } else if (d->state == PIXI_DIAL_TCP && d->at < d->addrs.count) {
        pixi_addr_text(&d->addrs.at[d->at], address);
        snprintf(out, TEXT_MAX, "connecting to %s", address);
    } else {
        snprintf(out, TEXT_MAX, "looking up %s", d->to.proxy ? d->to.proxy->host : u->host);
    }
}

/* What is waited for: a number for each stage, 0 for nothing. */
static int look(struct progress *p, char out[TEXT_MAX], uint64_t *total_ms)
{
    const struct pixi_url *u = url_of(p);
    const char *what;

    if (p->dial->state != PIXI_DIAL_IDLE) {
        say_dial(p, out);
        *total_ms = p->settings->timeouts.connect_ms;
        return 1;
    }
    switch (p->link->state) {
    case PIXI_LINK_CLOSED: return 0;
    case PIXI_LINK_SECURING:
        snprintf(out, TEXT_MAX, "waiting for TLS with %s", u->authority);
        *total_ms = p->settings->timeouts.tls_ms;
        break;
    case PIXI_LINK_HANDSHAKE:
        snprintf(out, TEXT_MAX, "waiting for %s to answer the upgrade", u->authority);
        *total_ms = p->settings->timeouts.upgrade_ms;
        break;
    case PIXI_LINK_OPEN:
        what = p->on_open ? p->on_open(p, total_ms) : NULL;
        if (!what)
            return 0;
        snprintf(out, TEXT_MAX, "%s", what);
        break;
    default:
        snprintf(out, TEXT_MAX, "waiting for %s to close", u->authority);
        *total_ms = p->settings->timeouts.close_ms;
    }
    return 2 + (int)p->link->state;
}

static void on_tick(struct pixi_timer *t)
{
    struct progress *p = (struct progress *)((char *)t - offsetof(struct progress, tick));
    char what[TEXT_MAX];
    uint64_t total_ms = 0;
    int stage = look(p, what, &total_ms);

    if (stage != p->stage) {
        progress_hide();
        p->stage = stage;
        p->since_ms = p->loop->now_ms;
    } else if (stage) {
        progress_show(p->app, what, p->loop->now_ms - p->since_ms, total_ms);
    }
    pixi_loop_set_timer(p->loop, &p->tick, LOOK_MS);
}

void progress_start(struct progress *p)
{
    p->tick = (struct pixi_timer){.on_due = on_tick};
    p->since_ms = p->loop->now_ms;
    p->stage = 1;
    if (is_wanted(p->app))
        pixi_loop_set_timer(p->loop, &p->tick, LOOK_MS);
}

void progress_stop(struct progress *p)
{
    progress_hide();
    if (p->loop)
        pixi_loop_cancel_timer(p->loop, &p->tick);
}
