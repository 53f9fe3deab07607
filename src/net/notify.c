#include "net/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static int send_text(const struct pixi_notify *n, const char *text, int flags)
{
    ssize_t sent;

    do
        sent = sendto(n->fd, text, strlen(text), MSG_NOSIGNAL | flags, (const struct sockaddr *)&n->to,
                      n->to_len);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? PIXI_E_SYS : PIXI_OK;
}

/* One that is lost does no harm: the next comes before the manager's time is over. */
static void on_beat(struct pixi_timer *t)
{
    struct pixi_notify *n = (struct pixi_notify *)((char *)t - offsetof(struct pixi_notify, watchdog));

    send_text(n, "WATCHDOG=1", MSG_DONTWAIT);
    pixi_loop_set_timer(n->loop, t, n->beat_ms);
}

/* A whole decimal number, or 0. */
static uint64_t number_in(const char *name)
{
    const char *text = getenv(name);
    char *end;
    unsigned long long value;

    if (!text || *text < '0' || *text > '9')
        return 0;
    errno = 0;
    value = strtoull(text, &end, 10);
    return *end || errno ? 0 : value;
}

/* Half of the watchdog's time, for this process. */
static uint64_t beat_ms(void)
{
    uint64_t usec = number_in("WATCHDOG_USEC"), pid = number_in("WATCHDOG_PID");

    if (usec == 0 || (getenv("WATCHDOG_PID") && pid != (uint64_t)getpid()))
        return 0;
    return usec / 2000 > 0 ? usec / 2000 : 1;
}

static int read_name(struct pixi_notify *n, const char *name)
{
    size_t len = strlen(name);

    if ((*name != '/' && *name != '@') || len < 2 || len >= sizeof n->to.sun_path)
        return PIXI_E_SETTINGS;
    n->to = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(n->to.sun_path, name, len);
    if (*name == '@')
        n->to.sun_path[0] = '\0';
    n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return PIXI_OK;
}

int pixi_notify_open(struct pixi_notify *n, struct pixi_loop *l)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct timeval patience = {.tv_sec = 1};

    *n = (struct pixi_notify){.fd = -1, .watchdog = {.on_due = on_beat}};
    if (!name || !*name)
        return PIXI_OK;
    if (read_name(n, name) != PIXI_OK)
        return PIXI_E_SETTINGS;
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (n->fd < 0)
        return PIXI_E_SYS;
    setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    n->loop = l;
    n->beat_ms = beat_ms();
    if (n->beat_ms)
        pixi_loop_set_timer(l, &n->watchdog, n->beat_ms);
    return PIXI_OK;
}

int pixi_notify_tell(struct pixi_notify *n, const char *format, ...)
{
    char text[PIXI_NOTIFY_TEXT];
    va_list args;

    if (!n->loop)
        return PIXI_OK;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return send_text(n, text, 0);
}

void pixi_notify_close(struct pixi_notify *n)
{
    if (!n->loop)
        return;
    pixi_loop_cancel_timer(n->loop, &n->watchdog);
    close(n->fd);
    *n = (struct pixi_notify){.fd = -1};
}
