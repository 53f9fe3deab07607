#include "geom-image/spread.h"
#include "geom-image/trial.h"

#include "base/file.h"
#include "base/member.h"
#include "image/unpack.h"
#include "image/users.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { WORDS_MAX = 128, TEXT_MAX = 65536, STEP_MS = 30000 };

/* What the image says about how it is to be run. */
struct box {
    char root[WORLD_PATH + 16];
    char text[TEXT_MAX]; /* what the words are in */
    size_t used;
    const char *entry[WORDS_MAX], *command[WORDS_MAX], *health[WORDS_MAX],
        *environment[WORDS_MAX]; /* each to NULL */
    char user[64], stop_signal[32];
    uint32_t uid;
    struct proc listener; /* a program beside the daemon */
};

static struct box box;

/* --- the image's configuration -------------------------------------------------------------------------------- */

static bool keep_word(const struct pixi_json_token *token, const char **out)
{
    size_t len;

    if (token->type != PIXI_JSON_STRING || pixi_cur_left(&token->text) + 1 > TEXT_MAX - box.used ||
        pixi_json_decode(token->text, (uint8_t *)box.text + box.used, &len) != PIXI_OK)
        return false;
    *out = box.text + box.used;
    box.text[box.used + len] = 0;
    box.used += len + 1;
    return true;
}

/* A list of strings, to NULL; none where there is no such member. */
static void read_words(struct pixi_cur object, const char *name, const char **out)
{
    enum pixi_json_type type;
    struct pixi_cur list;
    struct pixi_json r;
    struct pixi_json_token token;
    size_t count = 0;

    out[0] = NULL;
    if (!pixi_member_get(object, name, &type, &list) || type != PIXI_JSON_ARRAY)
        return;
    pixi_json_init(&r, list.p, pixi_cur_left(&list), 2);
    pixi_json_next(&r, &token);
    while (count < WORDS_MAX - 1 && pixi_json_next(&r, &token) == PIXI_OK && keep_word(&token, &out[count]))
        out[++count] = NULL;
}

static bool read_configuration(struct trial *t, struct pixi_cur text)
{
    struct pixi_cur config, health;
    enum pixi_json_type type;

    if (!pixi_member_get(text, "config", &type, &config) ||
        !pixi_member_string(config, "User", box.user, sizeof box.user) ||
        !pixi_image_uid(t->desc, box.user, &box.uid))
        return false;
    read_words(config, "Entrypoint", box.entry);
    read_words(config, "Cmd", box.command);
    read_words(config, "Env", box.environment);
    if (pixi_member_get(config, "Healthcheck", &type, &health))
        read_words(health, "Test", box.health);
    if (!pixi_member_string(config, "StopSignal", box.stop_signal, sizeof box.stop_signal))
        snprintf(box.stop_signal, sizeof box.stop_signal, "SIGTERM");
    return box.command[0] != NULL;
}

/* --- running in it -------------------------------------------------------------------------------------------- */

static bool start(struct trial *t, struct proc *proc, const char *const *command, const char *log,
                  const char *err_log)
{
    const char *const *entry = box.entry;
    const char *argv[2 * WORDS_MAX];
    size_t count = 0;

    while (*entry)
        argv[count++] = *entry++;
    while (*command)
        argv[count++] = *command++;
    argv[count] = NULL;
    return proc_start(&t->world.pump, proc,
                      &(struct proc_how){.argv = argv,
                                         .environment = box.environment,
                                         .log = world_path(&t->world, log),
                                         .err_log = err_log ? world_path(&t->world, err_log) : NULL,
                                         .root = box.root,
                                         .uid = box.uid});
}

/* A command of its own, as `docker run IMAGE COMMAND` does it. The caller clears proc. */
static enum wait_end run(struct trial *t, struct proc *proc, const char *const *command)
{
    return start(t, proc, command, "container-run.log", "container-run-err.log")
               ? wait_exit(&t->world.pump, proc, STEP_MS)
               : WAIT_ENDED;
}

static enum verdict run_ok(struct trial *t, struct proc *proc, const char *const *command)
{
    enum wait_end end = run(t, proc, command);

    if (end != WAIT_DONE)
        return trial_waited(t, end, command[0]);
    return proc->code == 0 ? VERDICT_OK
                           : trial_failed(t, "%s ended with exit code %d", command[0], proc->code);
}

/* The key's place among the files that are mounted; NULL: the image looks at none. */
static const char *key_place(const struct trial *t)
{
    const struct pixi_conf_strings *from = &t->desc->ws.api_key.from;
    static char path[WORLD_PATH];

    for (size_t i = 0; i < from->count; i++)
        if (pixi_cur_left(&from->at[i]) > 5 && memcmp(from->at[i].p, "file:", 5) == 0) {
            snprintf(path, sizeof path, "%.*s", (int)(from->at[i].end - from->at[i].p) - 5,
                     (const char *)from->at[i].p + 5);
            return path;
        }
    return NULL;
}

static bool make_folders(char *path, size_t from)
{
    for (char *slash = strchr(path + from, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return false;
        *slash = '/';
    }
    return true;
}

/* As a secret that is mounted: readable by the container's user alone. */
static bool put_key(const struct trial *t)
{
    struct pixi_buf key = pixi_buf_init(4096);
    char path[2 * WORLD_PATH + 16];
    bool is_put;

    snprintf(path, sizeof path, "%s%s", box.root, key_place(t));
    is_put = pixi_file_read(world_path(&t->world, "key"), &key, NULL) == PIXI_OK &&
             make_folders(path, strlen(box.root) + 1) &&
             pixi_file_write(path, pixi_buf_cur(&key), PIXI_FILE_REPLACE) == PIXI_OK &&
             chown(path, box.uid, box.uid) == 0;
    pixi_file_wipe(&key);
    return is_put;
}

/* What a container's /dev has at the least. */
static void make_devices(void)
{
    char path[WORLD_PATH + 64];

    snprintf(path, sizeof path, "%s/dev/null", box.root);
    mknod(path, S_IFCHR, makedev(1, 3));
    chmod(path, 0666);
}

static const char by_daemon[] = "by the daemon at ";
static const char past_daemon[] = "a program inside did not find the daemon, and went to the server itself";

/* --- checks --------------------------------------------------------------------------------------------------- */

static enum verdict check_layout(struct trial *t)
{
    struct pixi_oci oci;
    struct pixi_image_tree tree;
    char folder[WORLD_PATH + 8];
    size_t layers, count = 0;
    int rc;

    snprintf(folder, sizeof folder, "%s.oci", t->stem);
    rc = pixi_oci_open(&oci, folder, &t->details);
    layers = oci.count;
    if (rc == PIXI_OK)
        rc = pixi_image_tree_init(&tree, t->world.dir);
    if (rc == PIXI_OK) {
        rc = pixi_unpack_oci(&tree, &oci, &t->details);
        count = tree.count;
        if (rc == PIXI_OK &&
            (!spread_tree(&tree, box.root) || !read_configuration(t, pixi_buf_cur(&oci.config))))
            rc = PIXI_E_SYS;
        pixi_image_tree_clear(&tree);
    }
    pixi_oci_clear(&oci);
    pixi_buf_put_str(&t->details, "\n");
    if (rc != PIXI_OK)
        return trial_failed(t, "%s cannot be unpacked: %s", folder,
                            rc == PIXI_E_SYS ? strerror(errno) : "see below");
    make_devices();
    return trial_ok(t, "%zu layers, %zu files and folders, user %s", layers, count, box.user);
}

static enum verdict check_settings(struct trial *t)
{
    char path[2 * WORLD_PATH + 16], wanted[PIXI_SHA256_HEX];
    struct pixi_buf text = pixi_buf_init(PIXI_CONF_FILE_MAX);
    bool is_same;

    snprintf(path, sizeof path, "%s%s", box.root, t->desc->ws.destination);
    is_same = pixi_file_read(path, &text, NULL) == PIXI_OK && text.len == t->desc->settings.len &&
              memcmp(text.bytes, t->desc->settings.bytes, text.len) == 0;
    pixi_buf_clear(&text);
    trial_settings_sha256(t, wanted);
    if (!is_same)
        return trial_failed(t, "%s is not what the description says", t->desc->ws.destination);
    return trial_ok(t, "as described, SHA-256 %.12s...", wanted);
}

static enum verdict check_key(struct trial *t)
{
    if (!put_key(t))
        return trial_failed(t, "the key could not be put to %s: %s", key_place(t), strerror(errno));
    return trial_ok(t, "mounted at %s", key_place(t));
}

static enum verdict check_launcher(struct trial *t)
{
    static const char *const command[] = {"pixi-ws-client.sh", "--version", NULL};
    struct proc proc;
    struct pixi_cur line = {0};
    enum verdict v = run_ok(t, &proc, command);

    if (v == VERDICT_OK && feed_line(&proc.out, "pixi-ws-client", 1, &line))
        trial_ok(t, "pixi-ws-client.sh runs: %.*s", (int)pixi_cur_left(&line), (const char *)line.p);
    proc_clear(&t->world.pump, &proc);
    return v;
}

static enum verdict check_verify(struct trial *t)
{
    static const char *const command[] = {"pixi-ws-client.sh", "--json", "verify", NULL};
    struct proc proc;
    enum wait_end end = run(t, &proc, command);
    enum verdict v = end == WAIT_DONE ? trial_take_verify(t, pixi_buf_cur(&proc.out.text), proc.code, 1)
                                      : trial_waited(t, end, "pixi-ws-client verify");

    proc_clear(&t->world.pump, &proc);
    return v;
}

static bool has_word(const char *word)
{
    for (const char *const *w = box.command; *w; w++)
        if (strcmp(*w, word) == 0)
            return true;
    return false;
}

static bool has_daemon(void)
{
    return has_word("daemon");
}

/* Why there is no link of the command's that could be tried; NULL: there is one. */
static const char *lacks_link(void)
{
    return has_daemon() || has_word("listen") ? NULL : "the container's command is neither daemon nor listen";
}

/* Beside a daemon, a program that listens by it, as `docker exec` starts one. */
static enum verdict start_listener(struct trial *t)
{
    const char *const command[] = {"pixi-ws-client.sh", "--verbose", "listen", t->world.topic, NULL};
    struct pixi_cur line;
    enum wait_end end;

    if (!start(t, &box.listener, command, "container-listen.log", NULL))
        return trial_failed(t, "%s was not started", command[0]);
    end = wait_line(&t->world.pump, &box.listener.out, &box.listener, "listening to", 1, STEP_MS, NULL);
    if (end != WAIT_DONE)
        return trial_waited(t, end, "pixi-ws-client listen inside to subscribe");
    return feed_line(&box.listener.out, by_daemon, 1, &line) ? VERDICT_OK
                                                             : trial_failed(t, "%s", past_daemon);
}

static enum verdict check_command(struct trial *t)
{
    enum wait_end end;

    if (lacks_link())
        return trial_skipped(t, "%s", lacks_link());
    if (!start(t, &t->subject, box.command, "container.log", NULL))
        return trial_failed(t, "%s was not started", box.command[0]);
    end = wait_line(&t->world.pump, &t->subject.out, &t->subject,
                    has_daemon() ? "listening on" : "listening to", 1, STEP_MS, NULL);
    if (end != WAIT_DONE)
        return trial_waited(t, end, has_daemon() ? "its socket" : "its subscription");
    if (has_daemon() && start_listener(t) != VERDICT_OK)
        return VERDICT_FAILED;
    return trial_ok(t, "%s runs, as user %s", box.command[0], box.user);
}

/* A message from inside, by the daemon where that is the command. */
static enum verdict send_out(struct trial *t, const char *payload, const char *option)
{
    const char *const command[] = {
        "pixi-ws-client.sh", "--verbose", "send", t->world.topic, payload, option, NULL};
    struct pixi_cur line;
    struct proc proc;
    enum wait_end end;
    enum verdict v;

    if (!start(t, &proc, command, "container-send.log", NULL))
        return trial_failed(t, "%s was not started", command[0]);
    end = wait_exit(&t->world.pump, &proc, STEP_MS);
    if (end != WAIT_DONE)
        v = trial_waited(t, end, "pixi-ws-client send inside");
    else if (proc.code != 0)
        v = trial_failed(t, "pixi-ws-client send ended with exit code %d inside", proc.code);
    else if (has_daemon() && !feed_line(&proc.out, by_daemon, 1, &line))
        v = trial_failed(t, "%s", past_daemon);
    else
        v = VERDICT_OK;
    proc_clear(&t->world.pump, &proc);
    return v;
}

static enum verdict check_out(struct trial *t)
{
    static const char payload[] = "{\"from\":\"container\"}";
    enum wait_end end;

    if (send_out(t, payload, NULL) != VERDICT_OK)
        return VERDICT_FAILED;
    end = world_hears(&t->world, payload, 1, STEP_MS);
    if (end != WAIT_DONE)
        return trial_waited(t, end, "the message from inside to arrive outside");
    return trial_ok(t, "a message from inside arrived outside%s", has_daemon() ? ", by the daemon" : "");
}

static enum verdict check_health(struct trial *t)
{
    struct proc proc;
    enum verdict v;

    if (!box.health[0] || strcmp(box.health[0], "CMD") != 0 || !box.health[1])
        return trial_skipped(t, "container.health is not given");
    v = run_ok(t, &proc, box.health + 1);
    if (v == VERDICT_OK)
        trial_ok(t, "its health check passes");
    proc_clear(&t->world.pump, &proc);
    return v;
}

static enum verdict send_in(struct trial *t, unsigned n)
{
    struct proc *hearer = has_daemon() ? &box.listener : &t->subject;
    char payload[64];
    const char *fault;
    enum wait_end end;

    snprintf(payload, sizeof payload, "{\"to\":\"container\",\"number\":%u}", n);
    fault = world_send(&t->world, payload);
    if (fault)
        return trial_failed(t, "%s", fault);
    end = wait_line(&t->world.pump, &hearer->out, hearer, payload, 1, STEP_MS, NULL);
    return end == WAIT_DONE ? VERDICT_OK : trial_waited(t, end, "the message from outside to arrive inside");
}

static enum verdict check_in(struct trial *t)
{
    if (lacks_link())
        return trial_skipped(t, "%s", lacks_link());
    if (send_in(t, 1) != VERDICT_OK)
        return VERDICT_FAILED;
    return trial_ok(t, "a message from outside arrived inside%s", has_daemon() ? ", by the daemon" : "");
}

static enum verdict check_outbox(struct trial *t)
{
    static const char payload[] = "{\"from\":\"container\",\"server\":\"down\"}";
    const char *fault;
    enum wait_end end;

    if (!has_daemon())
        return trial_skipped(t, "the container's command is not daemon");
    world_stop_server(&t->world);
    /* retained, so that it does not matter who is back first: the listener outside or the daemon */
    if (send_out(t, payload, "--retain") != VERDICT_OK)
        return VERDICT_FAILED;
    fault = world_start_server(&t->world);
    if (fault)
        return trial_failed(t, "%s", fault);
    end = world_hears(&t->world, payload, 1, STEP_MS);
    if (end != WAIT_DONE)
        return trial_waited(t, end, "what was sent while the server was down");
    return trial_ok(t, "sent while the server was down, arrived after");
}

/* A daemon has been through it already, and subscribes again without a word. */
static enum verdict restart(struct trial *t)
{
    enum wait_end end;

    if (has_daemon())
        return VERDICT_OK;
    if (!trial_restart(t))
        return VERDICT_FAILED;
    end = wait_line(&t->world.pump, &t->subject.out, &t->subject, " again: ", 1, STEP_MS, NULL);
    return end == WAIT_DONE ? VERDICT_OK
                            : trial_waited(t, end, "it to subscribe again after the server's restart");
}

static enum verdict check_restart(struct trial *t)
{
    if (lacks_link())
        return trial_skipped(t, "%s", lacks_link());
    if (restart(t) != VERDICT_OK)
        return VERDICT_FAILED;
    return send_in(t, 2) == VERDICT_OK ? trial_ok(t, "it went on after the server's restart")
                                       : VERDICT_FAILED;
}

static int stop_signal(void)
{
    static const char *const names[] = {"SIGTERM", "SIGINT",  "SIGQUIT", "SIGHUP",
                                        "SIGUSR1", "SIGUSR2", "SIGKILL"};
    static const int numbers[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGKILL};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], box.stop_signal) == 0)
            return numbers[i];
    return SIGTERM;
}

static enum verdict check_stop(struct trial *t)
{
    enum wait_end end;

    if (lacks_link())
        return trial_skipped(t, "%s", lacks_link());
    proc_clear(&t->world.pump, &box.listener);
    kill(t->subject.pid, stop_signal());
    end = wait_exit(&t->world.pump, &t->subject, STEP_MS);
    if (end != WAIT_DONE)
        return trial_waited(t, end, "its end");
    return t->subject.code == 0
               ? trial_ok(t, "%s ended it in order", box.stop_signal)
               : trial_failed(t, "it ended with exit code %d at %s", t->subject.code, box.stop_signal);
}

static const char logs[] = "see container-run-err.log, listener.log and server.log in the folder of logs";
static const struct trial_check checks[] = {
    {"layout", check_layout, "build it again: geom-image build"},
    {"settings", check_settings, "the image is of another description: build it again (geom-image build)"},
    {"key", check_key, NULL},
    {"launcher", check_launcher, "put bin/pixi-ws-client.sh into websocket_settings.scripts"},
    {"verify", check_verify, "correct websocket_settings by what these lines say, and build again"},
    {"command", check_command, logs},
    {"inside-out", check_out, logs},
    {"health", check_health, logs},
    {"outside-in", check_in, logs},
    {"outbox", check_outbox, logs},
    {"restart", check_restart, logs},
    {"stop", check_stop, logs},
};

/* --- all of it ------------------------------------------------------------------------------------------------ */

static const char *why_not(const struct trial *t)
{
    if (!pixi_image_desc_makes(t->desc, PIXI_IMAGE_OCI))
        return "outputs has no oci";
    if (!t->desc->container.command.count)
        return "container.command is not given";
    if (!key_place(t))
        return "websocket_settings.api_key.from has no file:/PATH, and that is how a key gets in here";
    if (!t->is_root)
        return "only root can become the container's user";
    return t->world.has_own_network ? NULL : "this machine has no address for it: it forbids namespaces";
}

void trial_container(struct trial *t)
{
    box = (struct box){.listener = {.pid_fd = -1, .out = {.fd = -1, .log_fd = -1}}};
    snprintf(box.root, sizeof box.root, "%s/root", t->world.dir);
    spread_remove(box.root);
    t->talker = &t->subject;
    t->talker_log = "container.log";
    trial_run(t, "container", checks, sizeof checks / sizeof *checks, why_not(t));
    proc_clear(&t->world.pump, &box.listener);
    proc_clear(&t->world.pump, &t->subject);
    spread_remove(box.root);
}
