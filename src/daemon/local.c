/* local.c -- the socket that programs come to, and their connections: lines in, lines out. */
#include "daemon/state.h"

#include "base/log.h"
#include "base/topic.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define OF(member, ptr) ((struct pixi_daemon_conn *)((char *)(ptr)-offsetof(struct pixi_daemon_conn, member)))

static size_t line_max(const struct pixi_daemon *d)
{
    return d->settings->limits.message_bytes + PIXI_DAEMON_ENVELOPE;
}

/* --- who comes ------------------------------------------------------------------------------------------------ */

/* Whom a program runs as. */
struct who {
    struct ucred cred;
    gid_t *groups; /* owned */
    size_t count;
};

/* Its groups beside the main one; as many as there are. */
static int read_groups(int fd, struct who *w)
{
#ifdef SO_PEERGROUPS
    socklen_t len = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE)
        return PIXI_OK; /* it has none, or this system does not tell */
    w->groups = malloc(len);
    if (!w->groups)
        return PIXI_E_NOMEM;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, w->groups, &len) == 0)
        w->count = len / sizeof *w->groups;
#endif
    return PIXI_OK;
}

static bool is_in_group(gid_t gid, const struct who *w)
{
    if (w->cred.gid == gid)
        return true;
    for (size_t i = 0; i < w->count; i++)
        if (w->groups[i] == gid)
            return true;
    return false;
}

static bool is_meant(const struct pixi_settings_allow *entry, const struct who *w)
{
    return (entry->uid == PIXI_SETTINGS_ANYBODY || entry->uid == w->cred.uid) &&
           (entry->gid == PIXI_SETTINGS_ANYBODY || is_in_group((gid_t)entry->gid, w));
}

/* The first entry that fits decides.   PIXI_OK | PIXI_E_FORBIDDEN: there are entries, and none fits | PIXI_E_NOMEM */
static int find_allow(struct pixi_daemon *d, struct pixi_daemon_conn *c)
{
    const struct pixi_conf_objects *list = &d->settings->daemon.allow;
    const struct pixi_settings_allow *entries = list->at;
    struct who w = {.cred = {.uid = c->uid, .gid = c->gid}};
    int rc;

    c->allow = NULL;
    if (list->count == 0)
        return PIXI_OK;
    rc = read_groups(c->tcp.watch.fd, &w);
    for (size_t i = 0; rc == PIXI_OK && !c->allow && i < list->count; i++)
        if (is_meant(&entries[i], &w))
            c->allow = &entries[i];
    free(w.groups);
    return rc == PIXI_OK && !c->allow ? PIXI_E_FORBIDDEN : rc;
}

static struct pixi_list *bucket(const struct pixi_daemon *d, uint64_t number)
{
    return (struct pixi_list *)(uintptr_t)&d->buckets[number % PIXI_DAEMON_BUCKETS];
}

struct pixi_daemon_conn *pixi_daemon_find_conn(const struct pixi_daemon *d, uint64_t number)
{
    struct pixi_list *at = bucket(d, number);

    for (struct pixi_list *l = at->next; number && l != at; l = l->next) {
        struct pixi_daemon_conn *c = PIXI_LIST_ITEM(l, struct pixi_daemon_conn, in_bucket);

        if (c->number == number)
            return c->is_closing ? NULL : c;
    }
    return NULL;
}

/* --- lines ------------------------------------------------------------------------------------------------------ */

bool pixi_daemon_has_room(const struct pixi_daemon_conn *c, size_t len)
{
    size_t waiting = pixi_tcp_waiting(&c->tcp);

    return waiting == 0 || waiting + len <= c->daemon->settings->daemon.queue_bytes;
}

void pixi_daemon_say(struct pixi_daemon_conn *c)
{
    struct pixi_buf *b = &c->daemon->line;

    if (c->is_closing)
        return;
    pixi_buf_put(b, "\n", 1);
    if (b->err != PIXI_OK || pixi_tcp_send(&c->tcp, b->bytes, b->len) != PIXI_OK)
        pixi_loop_defer(c->daemon->loop, &c->doom); /* no memory: what it would miss cannot be told */
    else if (!pixi_daemon_has_room(c, 0))
        c->tcp.wants_drained = true;
}

/* Whoever does not read the answers asks nothing more. */
void pixi_daemon_consider_reading(struct pixi_daemon_conn *c)
{
    bool is_busy = c->call_count >= c->daemon->settings->daemon.calls || !pixi_daemon_has_room(c, 0);

    if (c->is_closing || is_busy == c->tcp.is_paused)
        return;
    if (is_busy)
        pixi_tcp_pause(&c->tcp);
    else
        pixi_tcp_resume(&c->tcp);
}

static void refuse_line(struct pixi_daemon_conn *c, int err, const char *detail)
{
    struct pixi_cur none = {NULL, NULL};

    pixi_buf_reset(&c->daemon->line);
    pixi_rpc_put_error(&c->daemon->line, none, err, detail, 0);
    pixi_daemon_say(c);
}

static void take_line(struct pixi_daemon_conn *c, uint8_t *line, size_t len)
{
    if (len && line[len - 1] == '\r')
        len--;
    if (len)
        pixi_daemon_dispatch(c, line, len);
}

/* Keeps what comes without its end. */
static void keep(struct pixi_daemon_conn *c, const uint8_t *bytes, size_t len)
{
    if (!c->partial.max)
        c->partial = pixi_loop_borrow(c->daemon->loop, line_max(c->daemon));
    pixi_buf_put(&c->partial, bytes, len);
    if (c->partial.err == PIXI_OK)
        return;
    refuse_line(c, PIXI_E_WS_TOO_BIG, "a line is over limits.message_bytes");
    pixi_daemon_close_conn(c);
}

static void on_bytes(struct pixi_tcp *t, uint8_t *bytes, size_t len)
{
    struct pixi_daemon_conn *c = OF(tcp, t);
    uint8_t *end = bytes + len, *newline;

    while (bytes != end && !c->is_closing && (newline = memchr(bytes, '\n', (size_t)(end - bytes)))) {
        if (c->partial.len) {
            struct pixi_buf whole;

            keep(c, bytes, (size_t)(newline - bytes));
            whole = c->partial;
            c->partial = pixi_buf_init(0);
            if (!c->is_closing)
                take_line(c, whole.bytes, whole.len);
            pixi_loop_give_back(c->daemon->loop, &whole);
        } else {
            take_line(c, bytes, (size_t)(newline - bytes));
        }
        bytes = newline + 1;
    }
    if (bytes != end && !c->is_closing)
        keep(c, bytes, (size_t)(end - bytes));
    pixi_daemon_consider_reading(c);
}

bool pixi_daemon_is_done(const struct pixi_daemon_conn *c)
{
    return c->tcp.is_ended && c->call_count == 0 && c->sub_count == 0;
}

/* A program that has said all may still want its answers. */
static void on_end(struct pixi_tcp *t, int err)
{
    struct pixi_daemon_conn *c = OF(tcp, t);

    if (err != PIXI_OK || pixi_daemon_is_done(c))
        pixi_daemon_close_conn(c);
}

static void on_drained(struct pixi_tcp *t)
{
    struct pixi_daemon_conn *c = OF(tcp, t);

    pixi_daemon_consider_reading(c);
    if (c->is_behind)
        pixi_daemon_catch_up(c);
}

static void on_connect(struct pixi_tcp *t, int err)
{
    (void)t;
    (void)err; /* who comes is connected */
}

static const struct pixi_tcp_handlers tcp_handlers = {
    .on_connect = on_connect, .on_bytes = on_bytes, .on_end = on_end, .on_drained = on_drained};

/* --- coming and going --------------------------------------------------------------------------------------------- */

static void free_conn(struct pixi_task *task)
{
    struct pixi_daemon_conn *c = OF(last, task);

    if (c->tcp.flush.is_queued || c->doom.is_queued) {
        pixi_loop_defer(c->daemon->loop, &c->last); /* it runs, finds it closed, then this comes again */
        return;
    }
    pixi_list_remove(&c->in_bucket);
    free(c);
}

void pixi_daemon_close_conn(struct pixi_daemon_conn *c)
{
    struct pixi_daemon *d = c->daemon;

    if (c->is_closing)
        return;
    c->is_closing = true;
    for (struct pixi_list *l = c->calls.next; l != &c->calls; l = l->next)
        PIXI_LIST_ITEM(l, struct pixi_daemon_call, in_conn)->conn = NULL;
    pixi_daemon_drop_subs(c);
    pixi_loop_give_back(d->loop, &c->partial);
    pixi_tcp_close(&c->tcp);
    pixi_list_remove(&c->in_daemon);
    d->conn_count--;
    pixi_log(PIXI_LOG_DEBUG, "program %llu (pid %d) has gone", (unsigned long long)c->number, (int)c->pid);
    pixi_loop_defer(d->loop, &c->last);
}

static void run_doom(struct pixi_task *task)
{
    pixi_daemon_close_conn(OF(doom, task));
}

static void turn_away(struct pixi_daemon *d, int fd, int err, const char *why)
{
    struct pixi_buf b = pixi_buf_init(1024);
    struct pixi_cur none = {NULL, NULL};

    d->counters.refused_connections++;
    pixi_rpc_put_error(&b, none, err, why, 0);
    pixi_buf_put(&b, "\n", 1);
    if (b.err == PIXI_OK && send(fd, b.bytes, b.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        pixi_log(PIXI_LOG_DEBUG, "a program that was turned away did not hear it");
    pixi_buf_clear(&b);
    close(fd);
}

static void on_full(struct pixi_listener *s, int fd, const struct pixi_addr *from)
{
    struct pixi_daemon *d = s->watch.owner;

    (void)from;
    pixi_log(PIXI_LOG_WARNING,
             "no descriptors are left: a program was turned away; raise the limit of open files");
    turn_away(d, fd, PIXI_E_LIMIT, "the daemon has no descriptors left");
}

static const char no_memory[] = "the daemon has no memory left";

/* NULL: out of memory. */
static struct pixi_daemon_conn *make_conn(struct pixi_daemon *d, const struct ucred *cred)
{
    struct pixi_daemon_conn *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->daemon = d;
    c->uid = cred->uid;
    c->gid = cred->gid;
    c->pid = cred->pid;
    c->last.run = free_conn;
    c->doom.run = run_doom;
    pixi_list_init(&c->calls);
    pixi_list_init(&c->subs);
    return c;
}

/* It stays, if daemon.allow lets it. */
static void let_in(struct pixi_daemon *d, struct pixi_daemon_conn *c)
{
    int rc;

    c->number = ++d->last_number;
    pixi_list_add_last(bucket(d, c->number), &c->in_bucket);
    pixi_list_add_last(&d->conns, &c->in_daemon);
    d->conn_count++;
    d->counters.connections++;
    pixi_log(PIXI_LOG_DEBUG, "program %llu: pid %d, uid %d", (unsigned long long)c->number, (int)c->pid,
             (int)c->uid);
    rc = find_allow(d, c);
    if (rc == PIXI_OK)
        return;
    d->counters.refused_connections++;
    if (rc == PIXI_E_FORBIDDEN)
        pixi_log(PIXI_LOG_WARNING, "uid %d, gid %d: daemon.allow names neither: refused", (int)c->uid,
                 (int)c->gid);
    refuse_line(c, rc, rc == PIXI_E_FORBIDDEN ? "daemon.allow has no entry for this user" : no_memory);
    pixi_daemon_close_conn(c);
}

static void on_accept(struct pixi_listener *s, int fd, const struct pixi_addr *from)
{
    struct pixi_daemon *d = s->watch.owner;
    struct pixi_daemon_conn *c;
    struct ucred cred = {0};
    socklen_t len = sizeof cred;

    (void)from;
    if (d->conn_count >= d->settings->daemon.connections)
        turn_away(d, fd, PIXI_E_LIMIT, "too many programs: daemon.connections");
    else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
        turn_away(d, fd, PIXI_E_SYS, strerror(errno));
    else if (!(c = make_conn(d, &cred)))
        turn_away(d, fd, PIXI_E_NOMEM, no_memory);
    else if (pixi_tcp_open(&c->tcp, d->loop, &tcp_handlers, fd) != PIXI_OK)
        free(c);
    else
        let_in(d, c);
}

void pixi_daemon_allow_anew(struct pixi_daemon *d)
{
    struct pixi_list *next;

    for (struct pixi_list *l = d->conns.next; l != &d->conns; l = next) {
        struct pixi_daemon_conn *c = PIXI_LIST_ITEM(l, struct pixi_daemon_conn, in_daemon);

        next = l->next;
        if (find_allow(d, c) == PIXI_OK)
            pixi_daemon_allow_subs(c);
        else
            pixi_daemon_close_conn(c);
    }
}

/* --- the socket ----------------------------------------------------------------------------------------------------- */

static int tell(struct pixi_buf *problem, int rc, const char *path, const char *what, const char *fix)
{
    pixi_buf_putf(problem, "daemon.socket: %s: %s\n  fix: %s", path, what, fix);
    return rc;
}

/* One daemon to a socket. What one that was killed left behind goes. */
static int clear_way(struct pixi_daemon *d, struct pixi_buf *problem)
{
    char lock[sizeof d->socket_path + 8];
    struct stat st;

    snprintf(lock, sizeof lock, "%s.lock", d->socket_path);
    d->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d->lock_fd < 0)
        return tell(problem, PIXI_E_SETTINGS, lock, strerror(errno),
                    "name a folder that is there and that this user may write to");
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return tell(problem, PIXI_E_SETTINGS, d->socket_path, "another daemon listens there",
                    "stop that one, or name another socket");
    if (lstat(d->socket_path, &st) != 0)
        return PIXI_OK;
    if (!S_ISSOCK(st.st_mode))
        return tell(problem, PIXI_E_SETTINGS, d->socket_path, "found something that is no socket",
                    "move it away, or name another path");
    if (unlink(d->socket_path) != 0)
        return tell(problem, PIXI_E_SETTINGS, d->socket_path, strerror(errno), "remove it");
    return PIXI_OK;
}

/* The group may come in, where there is such a group and we may say so. */
static void open_to_group(struct pixi_daemon *d)
{
    struct group *g = d->settings->daemon.group ? getgrnam(d->settings->daemon.group) : NULL;

    if (g && chown(d->socket_path, (uid_t)-1, g->gr_gid) != 0)
        pixi_log(PIXI_LOG_WARNING, "%s: cannot be given to group %s: %s", d->socket_path,
                 d->settings->daemon.group, strerror(errno));
    if (chmod(d->socket_path, 0660) != 0)
        pixi_log(PIXI_LOG_WARNING, "%s: mode 0660: %s", d->socket_path, strerror(errno));
}

int pixi_daemon_listen(struct pixi_daemon *d, int fd, struct pixi_buf *problem)
{
    struct pixi_addr at = {.len = sizeof(struct sockaddr_un)};
    struct sockaddr_un *un = (struct sockaddr_un *)&at.sa;
    mode_t mask;
    int rc;

    d->lock_fd = -1;
    d->listener = (struct pixi_listener){.on_accept = on_accept, .on_full = on_full};
    un->sun_family = AF_UNIX;
    snprintf(un->sun_path, sizeof un->sun_path, "%s", d->settings->daemon.socket);
    snprintf(d->socket_path, sizeof d->socket_path, "%s", d->settings->daemon.socket);
    if (fd >= 0) {
        d->is_activated = true;
        rc = pixi_listener_take(&d->listener, d->loop, fd);
    } else {
        if ((rc = clear_way(d, problem)) != PIXI_OK)
            return rc;
        mask = umask(0117); /* never open to more than the group, not even for a moment */
        rc = pixi_listener_open(&d->listener, d->loop, &at);
        umask(mask);
    }
    if (rc != PIXI_OK)
        return tell(problem, PIXI_E_SYS, d->socket_path, strerror(errno),
                    "name a folder that is there and that this user may write to");
    d->is_listening = true;
    d->listener.watch.owner = d;
    if (!d->is_activated)
        open_to_group(d);
    return PIXI_OK;
}

void pixi_daemon_unlisten(struct pixi_daemon *d)
{
    if (d->is_listening) {
        pixi_listener_close(&d->listener);
        if (!d->is_activated)
            unlink(d->socket_path);
    }
    d->is_listening = false;
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    d->lock_fd = -1;
}
