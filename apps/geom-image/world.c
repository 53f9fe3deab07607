#include "geom-image/world.h"

#include "base/file.h"
#include "geom-image/network.h"
#include "net/loop.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { START_MS = 20000, SEND_MS = 20000, SUBSCRIBE_MS = 20000 };

const char *world_path(const struct world *w, const char *name)
{
    static char paths[16][WORLD_PATH + 64];
    static unsigned next;
    char *path = paths[next++ % 16];

    snprintf(path, sizeof paths[0], "%s/%s", w->dir, name);
    return path;
}

/* --- folder and network --------------------------------------------------------------------------------------- */

/* The programs are those beside this one. */
static bool find_programs(struct world *w)
{
    ssize_t n = readlink("/proc/self/exe", w->bin, sizeof w->bin - 1);
    char *slash;

    if (n <= 0)
        return false;
    w->bin[n] = 0;
    slash = strrchr(w->bin, '/');
    *slash = 0;
    return true;
}

/* Files of the run before; folders stay (the container's own clears its own). */
static void empty_folder(const char *path)
{
    DIR *d = opendir(path);
    const struct dirent *entry;

    while (d && (entry = readdir(d)))
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(d), entry->d_name, 0);
    if (d)
        closedir(d);
}

static bool take_folder(struct world *w, const char *dir)
{
    char *real;

    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return false;
    real = realpath(dir, NULL);
    if (!real)
        return false;
    snprintf(w->dir, sizeof w->dir, "%s", real);
    free(real);
    w->lock_fd = open(world_path(w, ".lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (w->lock_fd < 0)
        return false;
    if (flock(w->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        errno = EBUSY;
        return false;
    }
    empty_folder(w->dir);
    return true;
}

/* A topic that the filter matches: its wildcards get words. */
static void take_topic(struct world *w, struct pixi_cur filter)
{
    struct pixi_buf b = pixi_buf_init(WORLD_TOPIC - 1);

    for (; filter.p != filter.end; filter.p++)
        if (*filter.p == '+')
            pixi_buf_put_str(&b, "geom-image");
        else if (*filter.p == '#')
            pixi_buf_put_str(&b, "geom-image/verify");
        else
            pixi_buf_put(&b, filter.p, 1);
    if (b.err != PIXI_OK || b.len == 0) {
        pixi_buf_reset(&b);
        pixi_buf_put_str(&b, "event/geom-image/verify");
    }
    snprintf(w->topic, sizeof w->topic, "%.*s", (int)b.len, (const char *)b.bytes);
    pixi_buf_clear(&b);
}

static bool take_network(struct world *w)
{
    switch (network_enter()) {
    case NETWORK_OWN: w->has_own_network = true; return network_add_address(w->url.host);
    case NETWORK_SHARED: return true;
    default: return false;
    }
}

bool world_open(struct world *w, const char *dir, const struct pixi_url *url, struct pixi_cur filter)
{
    *w = (struct world){.lock_fd = -1, .url = *url};
    w->server.pid_fd = w->listener.pid_fd = -1;
    w->server.out.fd = w->listener.out.fd = w->server.out.log_fd = w->listener.out.log_fd = -1;
    take_topic(w, filter);
    if (!take_folder(w, dir)) {
        if (errno == EBUSY)
            fprintf(stderr,
                    "geom-image: %s: another geom-image verify works there; wait until it has ended\n", dir);
        else
            fprintf(stderr, "geom-image: %s: %s\n", dir, strerror(errno));
        return false;
    }
    if (!find_programs(w) || !take_network(w)) {
        fprintf(stderr, "geom-image: a network of its own could not be made: %s\n", strerror(errno));
        return false;
    }
    return true;
}

/* --- server --------------------------------------------------------------------------------------------------- */

static const char *write_file(const struct world *w, const char *name, struct pixi_buf *text)
{
    int rc = text->err == PIXI_OK
                 ? pixi_file_write(world_path(w, name), pixi_buf_cur(text), PIXI_FILE_REPLACE)
                 : text->err;

    pixi_buf_clear(text);
    return rc == PIXI_OK ? NULL : "its files could not be written";
}

static const char *write_settings(const struct world *w)
{
    struct pixi_buf text = pixi_buf_init(65536);
    const char *fault;

    pixi_buf_putf(&text, "{\"listen\": [\"127.0.0.1:%u\"", w->url.port);
    if (w->has_own_network && strcmp(w->url.host, "127.0.0.1") != 0)
        pixi_buf_putf(&text, ", \"%s:%u\"", w->url.host, w->url.port);
    pixi_buf_putf(&text,
                  "], \"insecure\": %s, \"keys_file\": \"server.keys\",\n"
                  " \"limits\": {\"handshake_ms\": 30000},\n" /* an emulated machine on a busy one is slow */
                  " \"history\": [{\"filter\": \"#\", \"max_messages\": 10000}]}\n",
                  w->has_own_network ? "true" : "false");
    fault = write_file(w, "server.json", &text);
    if (fault)
        return fault;
    text = pixi_buf_init(65536);
    pixi_buf_putf(&text, "{\"url\": \"ws://127.0.0.1:%u%s\", \"api_key_file\": \"key\"}\n", w->url.port,
                  w->url.target);
    return write_file(w, "client.json", &text);
}

static const char *make_key(struct world *w)
{
    char program[WORLD_PATH + 32];
    const char *const argv[] = {
        program,       "key", "add",    "geom-image-verify",          "--publish", "#",
        "--subscribe", "#",   "--keys", world_path(w, "server.keys"), NULL};
    struct proc proc;
    enum wait_end end;
    bool is_made;

    snprintf(program, sizeof program, "%s/pixi-ws-server", w->bin);
    is_made = proc_start(
        &w->pump, &proc,
        &(struct proc_how){.argv = argv, .log = world_path(w, "key"), .err_log = world_path(w, "key.log")});
    end = is_made ? wait_exit(&w->pump, &proc, START_MS) : WAIT_ENDED;
    is_made = is_made && end == WAIT_DONE && proc.code == 0;
    if (proc.out.text.len)
        explicit_bzero(proc.out.text.bytes, proc.out.text.len);
    proc_clear(&w->pump, &proc);
    return is_made ? NULL : "no key could be made: see key.log; pixi-ws-server belongs beside geom-image";
}

const char *world_start_server(struct world *w)
{
    char program[WORLD_PATH + 32], ready[64];
    const char *const argv[] = {program, "--config", world_path(w, "server.json"), NULL};
    const char *fault = w->server_starts ? NULL : write_settings(w);

    if (!fault && !w->server_starts)
        fault = make_key(w);
    if (fault)
        return fault;
    w->server_starts++;
    snprintf(program, sizeof program, "%s/pixi-ws-server", w->bin);
    snprintf(ready, sizeof ready, "listening on 127.0.0.1:%u", w->url.port);
    if (!proc_start(&w->pump, &w->server,
                    &(struct proc_how){.argv = argv, .log = world_path(w, "server.log")}))
        return "pixi-ws-server was not started";
    switch (wait_line(&w->pump, &w->server.out, &w->server, ready, 1, START_MS, NULL)) {
    case WAIT_DONE: return NULL;
    case WAIT_ENDED:
        return w->has_own_network
                   ? "pixi-ws-server ended: see server.log"
                   : "pixi-ws-server could not listen at the settings' port on 127.0.0.1: see "
                     "server.log. End what has that port, or run this as root, which gives it a "
                     "network of its own";
    default: return "pixi-ws-server did not get ready: see server.log";
    }
}

void world_stop_server(struct world *w)
{
    proc_clear(&w->pump, &w->server);
}

/* --- listener and sender -------------------------------------------------------------------------------------- */

const char *world_start_listener(struct world *w)
{
    char program[WORLD_PATH + 32];
    const char *const argv[] = {program,  "--settings", world_path(w, "client.json"),
                                "listen", w->topic,     NULL};

    snprintf(program, sizeof program, "%s/pixi-ws-client", w->bin);
    if (!proc_start(&w->pump, &w->listener,
                    &(struct proc_how){.argv = argv, .log = world_path(w, "listener.log")}) ||
        wait_line(&w->pump, &w->listener.out, &w->listener, "listening to", 1, SUBSCRIBE_MS, NULL) !=
            WAIT_DONE)
        return "a listener outside of the image did not get through to the server: see listener.log";
    return NULL;
}

const char *world_send(struct world *w, const char *payload)
{
    char program[WORLD_PATH + 32];
    const char *const argv[] = {program, "--settings", world_path(w, "client.json"), "send", w->topic,
                                payload, NULL};
    struct proc proc;
    bool is_sent;

    snprintf(program, sizeof program, "%s/pixi-ws-client", w->bin);
    is_sent =
        proc_start(&w->pump, &proc, &(struct proc_how){.argv = argv, .log = world_path(w, "sender.log")}) &&
        wait_exit(&w->pump, &proc, SEND_MS) == WAIT_DONE && proc.code == 0;
    proc_clear(&w->pump, &proc);
    return is_sent ? NULL : "the message from outside was not sent: see sender.log";
}

enum wait_end world_hears(struct world *w, const char *payload, unsigned nth, unsigned most_ms)
{
    char needle[256];

    snprintf(needle, sizeof needle, "\"payload\":%s,", payload);
    return wait_line(&w->pump, &w->listener.out, &w->listener, needle, nth, most_ms, NULL);
}

void world_close(struct world *w)
{
    proc_clear(&w->pump, &w->listener);
    proc_clear(&w->pump, &w->server);
    if (w->lock_fd < 0)
        return;
    unlink(world_path(w, "key"));
    unlink(world_path(w, "server.keys"));
    close(w->lock_fd);
    w->lock_fd = -1;
}
