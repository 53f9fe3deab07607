#include "geom-image/trial.h"

#include "base/member.h"
#include "net/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BOOT_MS = 90000, STEP_MS = 30000, VERIFY_MS = 90000, ARGS_MAX = 64 };

/* --- QEMU ----------------------------------------------------------------------------------------------------- */

static const char *file_of(const struct trial *t, const char *suffix)
{
    static char paths[4][WORLD_PATH + 32];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s.%s", t->stem, suffix);
    return access(path, R_OK) == 0 ? path : NULL;
}

static const char *initramfs_of(const struct trial *t)
{
    const char *zst = file_of(t, "initramfs.cpio.zst");

    return zst ? zst : file_of(t, "initramfs.cpio.gz");
}

/* The name of fw_cfg that the image takes its key from; empty: it takes none. */
static struct pixi_cur fw_cfg_of(const struct trial *t)
{
    const struct pixi_conf_strings *from = &t->desc->ws.api_key.from;
    static const char prefix[] = "fw_cfg:";

    for (size_t i = 0; i < from->count; i++)
        if (pixi_cur_left(&from->at[i]) > sizeof prefix - 1 &&
            memcmp(from->at[i].p, prefix, sizeof prefix - 1) == 0)
            return (struct pixi_cur){from->at[i].p + sizeof prefix - 1, from->at[i].end};
    return (struct pixi_cur){0};
}

/* A value of one of QEMU's options: its commas are doubled. */
static void put_value(struct pixi_buf *b, const char *text)
{
    for (; *text; text++)
        pixi_buf_put(b, *text == ',' ? ",," : text, *text == ',' ? 2 : 1);
}

/* QEMU's user network, in which the machine finds this one at the settings' address. */
static void put_network(const struct trial *t, struct pixi_buf *b)
{
    const char *host = t->world.url.host, *dot = strrchr(host, '.');
    int net = (int)(dot - host), last = atoi(dot + 1);

    pixi_buf_putf(b, "user,id=n0,net=%.*s.0/24,host=%s,dns=%.*s.%d,dhcpstart=%.*s.%d", net, host, host, net,
                  host, last == 3 ? 4 : 3, net, host, last >= 15 && last < 40 ? 40 : 15);
}

/* Plain emulation, which is everywhere the same, and nothing in it that the image does not need. */
static bool start_qemu(struct trial *t, int report_fd)
{
    struct pixi_buf texts[5];
    struct pixi_cur key_name = fw_cfg_of(t);
    bool is_started;

    for (size_t i = 0; i < 5; i++)
        texts[i] = pixi_buf_init(2 * WORLD_PATH + 256);
    put_network(t, &texts[0]);
    pixi_buf_putf(&texts[1], "socket,id=report,fd=%d", report_fd);
    pixi_buf_putf(&texts[2], "name=%.*s,file=", (int)pixi_cur_left(&key_name), (const char *)key_name.p);
    put_value(&texts[2], world_path(&t->world, "key"));
    pixi_buf_put_str(&texts[3], "name=opt/pixi/verify,string=");
    put_value(&texts[3], t->world.topic);
    /* the timer's own test fails where this machine is too busy for it, and the clock with it */
    pixi_buf_putf(&texts[4], "%s no_timer_check", t->desc->kernel.command_line);
    for (size_t i = 0; i < 5; i++)
        pixi_buf_put(&texts[i], "", 1);
    {
        const char *const argv[] = {"qemu-system-x86_64",
                                    "-accel",
                                    "tcg",
                                    "-M",
                                    "q35",
                                    "-m",
                                    "256",
                                    "-smp",
                                    "1",
                                    "-nodefaults",
                                    "-no-user-config",
                                    "-display",
                                    "none",
                                    "-no-reboot",
                                    "-kernel",
                                    file_of(t, "vmlinuz"),
                                    "-initrd",
                                    initramfs_of(t),
                                    "-append",
                                    (const char *)texts[4].bytes,
                                    "-serial",
                                    "stdio",
                                    "-netdev",
                                    (const char *)texts[0].bytes,
                                    "-device",
                                    "virtio-net-pci,netdev=n0,romfile=",
                                    "-device",
                                    "virtio-serial-pci",
                                    "-chardev",
                                    (const char *)texts[1].bytes,
                                    "-device",
                                    "virtserialport,chardev=report,name=report",
                                    "-fw_cfg",
                                    (const char *)texts[3].bytes,
                                    pixi_cur_left(&key_name) ? "-fw_cfg" : NULL,
                                    (const char *)texts[2].bytes,
                                    NULL};

        t->started_ms = pixi_clock_mono_ms();
        is_started =
            proc_start(&t->world.pump, &t->subject,
                       &(struct proc_how){
                           .argv = argv, .log = world_path(&t->world, t->talker_log), .kept_fd = report_fd});
    }
    for (size_t i = 0; i < 5; i++)
        pixi_buf_clear(&texts[i]);
    return is_started;
}

/* --- what it reports ------------------------------------------------------------------------------------------ */

static enum wait_end hear(struct trial *t, const char *report, unsigned nth, unsigned most_ms,
                          struct pixi_cur *line)
{
    char needle[64];

    snprintf(needle, sizeof needle, "{\"report\":\"%s\"", report);
    return wait_line(&t->world.pump, &t->report, &t->subject, needle, nth, most_ms, line);
}

static int64_t exit_of(struct pixi_cur line)
{
    int64_t code;

    return pixi_member_int(line, "exit", &code) ? code : -1;
}

/* When it was, in ms after QEMU's start. */
static uint64_t since_start(const struct trial *t, struct pixi_cur line)
{
    size_t uptime_ms = trial_milli(line, "uptime_s");

    return uptime_ms == SIZE_MAX ? 0 : t->kernel_ms + uptime_ms;
}

static const char past_daemon[] = "a program inside did not find the daemon, and went to the server itself";

static bool has_daemon(const struct trial *t)
{
    return trial_runs_at_boot(t, "daemon");
}

/* Why there is no service whose link could be tried; NULL: there is one. */
static const char *lacks_service(const struct trial *t)
{
    return has_daemon(t) || trial_runs_at_boot(t, "listen") ? NULL
                                                            : "run_at_boot has neither daemon nor listen";
}

static enum verdict check_files(struct trial *t)
{
    if (!file_of(t, "vmlinuz") || !initramfs_of(t))
        return trial_failed(t, "found no %s.vmlinuz with its .initramfs.cpio.zst", t->stem);
    return trial_ok(t, "kernel and initramfs are there");
}

static enum verdict check_boot(struct trial *t)
{
    struct pixi_cur line;
    char address[64];
    int fds[2];
    enum wait_end end;
    uint64_t now;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0 ||
        !feed_open(&t->world.pump, &t->report, fds[0], world_path(&t->world, "report.jsonl")) ||
        !start_qemu(t, fds[1]))
        return trial_failed(t, "QEMU was not started: %s", strerror(errno));
    close(fds[1]);
    /* the first line that is told as it happens gives the kernel's start */
    end = hear(t, "key", 1, BOOT_MS, &line);
    if (end != WAIT_DONE)
        return trial_waited(t, end, "the machine's first report");
    now = pixi_clock_mono_ms() - t->started_ms;
    t->kernel_ms = now > trial_milli(line, "uptime_s") ? now - trial_milli(line, "uptime_s") : 0;
    if (!feed_line(&t->report, "{\"report\":\"network\"", 1, &line) ||
        !pixi_member_string(line, "address", address, sizeof address))
        return trial_failed(t, "it is up, and has no network: see its last words");
    t->network_ms = since_start(t, line);
    return trial_ok(t, "up, with address %s", address);
}

static enum verdict check_key(struct trial *t)
{
    struct pixi_cur line, name = fw_cfg_of(t);
    enum wait_end end = hear(t, "key", 1, STEP_MS, &line);

    if (end != WAIT_DONE)
        return trial_waited(t, end, "its report of the key");
    if (!pixi_cur_left(&name))
        return trial_failed(
            t, "websocket_settings.api_key.from has no fw_cfg:NAME, and that is how a key gets in here");
    if (exit_of(line) != 0)
        return trial_failed(t, "given by fw_cfg %.*s, and not found inside", (int)pixi_cur_left(&name),
                            (const char *)name.p);
    return trial_ok(t, "by fw_cfg, to %s", t->desc->ws.api_key.path);
}

static enum verdict check_settings(struct trial *t)
{
    struct pixi_cur line;
    enum wait_end end = hear(t, "settings", 1, STEP_MS, &line);
    char wanted[65], found[65] = "none";

    if (end != WAIT_DONE)
        return trial_waited(t, end, "its report of the settings");
    trial_settings_sha256(t, wanted);
    if (!pixi_member_string(line, "sha256", found, sizeof found) || strcmp(found, wanted) != 0)
        return trial_failed(t, "%s is not what the description says: SHA-256 %.10s..., expected %.10s...",
                            t->desc->ws.destination, found, wanted);
    return trial_ok(t, "as described, SHA-256 %.12s...", wanted);
}

static enum verdict check_launcher(struct trial *t)
{
    struct pixi_cur line;
    enum wait_end end = hear(t, "launcher", 1, STEP_MS, &line);
    char version[64];

    if (end != WAIT_DONE)
        return trial_waited(t, end, "pixi-ws-client.sh --version");
    if (exit_of(line) != 0 || !pixi_member_string(line, "version", version, sizeof version))
        return trial_failed(t, "pixi-ws-client.sh --version ended with exit code %lld",
                            (long long)exit_of(line));
    return trial_ok(t, "pixi-ws-client.sh runs: %s", version);
}

static enum verdict check_verify(struct trial *t)
{
    struct pixi_cur line, report;
    enum pixi_json_type type;
    enum wait_end end = hear(t, "verify", 1, VERIFY_MS, &line);
    int64_t attempt;

    if (end != WAIT_DONE)
        return trial_waited(t, end, "pixi-ws-client verify inside");
    t->verified_ms = since_start(t, line);
    pixi_member_get(line, "verify", &type, &report);
    return trial_take_verify(t, report, exit_of(line),
                             pixi_member_int(line, "attempt", &attempt) ? attempt : 1);
}

/* Whether what a program inside reports went by the daemon, where one runs. */
static bool went_right(const struct trial *t, struct pixi_cur line)
{
    char by[16];

    return !has_daemon(t) || (pixi_member_string(line, "by", by, sizeof by) && strcmp(by, "daemon") == 0);
}

/* The nth message that the machine has sent itself. */
static enum verdict take_sent(struct trial *t, unsigned nth)
{
    struct pixi_cur line;
    enum wait_end end = hear(t, "sent", nth, STEP_MS, &line);

    if (end != WAIT_DONE)
        return trial_waited(t, end, "pixi-ws-client send inside");
    if (exit_of(line) != 0)
        return trial_failed(t, "pixi-ws-client send ended with exit code %lld inside",
                            (long long)exit_of(line));
    return went_right(t, line) ? VERDICT_OK : trial_failed(t, "%s", past_daemon);
}

static enum verdict check_out(struct trial *t)
{
    enum wait_end end;

    if (take_sent(t, 1) != VERDICT_OK)
        return VERDICT_FAILED;
    end = world_hears(&t->world, "{\"from\":\"inside\"}", 1, STEP_MS);
    if (end != WAIT_DONE)
        return trial_waited(t, end, "the message from inside to arrive outside");
    return trial_ok(t, "a message from inside arrived outside%s", has_daemon(t) ? ", by the daemon" : "");
}

/* The nth message from outside, heard inside. */
static enum verdict send_in(struct trial *t, unsigned n)
{
    char payload[64];
    const char *fault;
    enum wait_end end;

    snprintf(payload, sizeof payload, "{\"from\":\"outside\",\"number\":%u}", n);
    fault = world_send(&t->world, payload);
    if (fault)
        return trial_failed(t, "%s", fault);
    end = wait_line(&t->world.pump, &t->report, &t->subject, payload, 1, STEP_MS, NULL);
    return end == WAIT_DONE ? VERDICT_OK : trial_waited(t, end, "the message from outside to arrive inside");
}

static bool order(struct trial *t, const char *line)
{
    return write(t->report.fd, line, strlen(line)) == (ssize_t)strlen(line);
}

/* The number of the service's process; 0: none runs. */
static enum wait_end ask_pid(struct trial *t, unsigned nth, unsigned *pid)
{
    struct pixi_cur line;
    enum wait_end end = WAIT_ENDED;

    if (nth == 1 || order(t, "service\n"))
        end = hear(t, "service", nth, STEP_MS, &line);
    *pid = end == WAIT_DONE ? (unsigned)(trial_milli(line, "pid") / 1000) : 0;
    return end;
}

static enum verdict check_in(struct trial *t)
{
    struct pixi_cur line;
    enum wait_end end;

    if (lacks_service(t))
        return trial_skipped(t, "%s", lacks_service(t));
    end = hear(t, "link", 1, STEP_MS, &line);
    if (end != WAIT_DONE)
        return trial_waited(t, end, "pixi-ws-client listen inside to subscribe");
    if (!went_right(t, line))
        return trial_failed(t, "%s", past_daemon);
    t->link_ms = since_start(t, line);
    end = ask_pid(t, 1, &t->service_pid);
    if (end != WAIT_DONE)
        return trial_waited(t, end, "the service's number");
    if (send_in(t, 1) != VERDICT_OK)
        return VERDICT_FAILED;
    return trial_ok(t, "a message from outside arrived inside%s", has_daemon(t) ? ", by the daemon" : "");
}

static const char sent_meanwhile[] = "{\"from\":\"inside\",\"server\":\"down\"}";

/* What the daemon was given while there was no server. That it came once is looked at after the restart. */
static enum verdict check_outbox(struct trial *t)
{
    enum wait_end end;
    const char *fault;

    if (!has_daemon(t))
        return trial_skipped(t, "run_at_boot has no daemon");
    world_stop_server(&t->world);
    if (!order(t, "send\n"))
        return trial_failed(t, "it no longer takes orders");
    if (take_sent(t, 2) != VERDICT_OK)
        return VERDICT_FAILED;
    fault = world_start_server(&t->world);
    if (fault)
        return trial_failed(t, "%s", fault);
    end = world_hears(&t->world, sent_meanwhile, 1, STEP_MS);
    if (end != WAIT_DONE)
        return trial_waited(t, end, "what was sent while the server was down");
    return trial_ok(t, "sent while the server was down, arrived after");
}

/* A daemon has been through it already, and gets from the server what came meanwhile: it subscribes without a word. */
static enum verdict restart(struct trial *t)
{
    enum wait_end end;

    if (has_daemon(t))
        return VERDICT_OK;
    if (!trial_restart(t))
        return VERDICT_FAILED;
    end = hear(t, "again", 1, STEP_MS, NULL);
    return end == WAIT_DONE
               ? VERDICT_OK
               : trial_waited(t, end, "the service to subscribe again after the server's restart");
}

/* What the outbox had: another copy would have come before the message that was sent after it. */
static enum verdict came_once(struct trial *t)
{
    struct pixi_cur line;
    enum wait_end end = world_hears(&t->world, "{\"from\":\"outside\",\"number\":2}", 1, STEP_MS);

    if (end != WAIT_DONE)
        return trial_waited(t, end, "the message from outside to arrive outside, too");
    return feed_line(&t->world.listener.out, sent_meanwhile, 2, &line)
               ? trial_failed(t, "what was sent while the server was down arrived twice")
               : VERDICT_OK;
}

static enum verdict check_restart(struct trial *t)
{
    enum wait_end end;
    unsigned pid;

    if (lacks_service(t))
        return trial_skipped(t, "%s", lacks_service(t));
    if (restart(t) != VERDICT_OK || send_in(t, 2) != VERDICT_OK)
        return VERDICT_FAILED;
    if (has_daemon(t) && came_once(t) != VERDICT_OK)
        return VERDICT_FAILED;
    end = ask_pid(t, 2, &pid);
    if (end != WAIT_DONE)
        return trial_waited(t, end, "the service's number");
    if (pid != t->service_pid)
        return trial_failed(t, "the service did not outlive the server's restart: it was started anew");
    return trial_ok(t, "the service went on after the server's restart");
}

static enum verdict check_poweroff(struct trial *t)
{
    struct pixi_cur line;
    enum wait_end end;

    if (!order(t, "poweroff\n"))
        return trial_failed(t, "it no longer takes orders");
    end = wait_exit(&t->world.pump, &t->subject, STEP_MS);
    if (end != WAIT_DONE)
        return trial_waited(t, end, "the machine to go off");
    if (!feed_line(&t->report, "{\"report\":\"stopped\"", 1, &line) ||
        feed_line(&t->subject.out, "Kernel panic", 1, &line))
        return trial_failed(t, "it went down, and not in order");
    if (trial_milli(line, "failed") != 0)
        return trial_failed(t, "a service did not end in order at SIGTERM");
    if (t->subject.code != 0)
        return trial_failed(t, "QEMU ended with exit code %d", t->subject.code);
    return trial_ok(t, "its services ended in order, and it went off");
}

static const char look[] =
    "see how far it came, below; kernel.modules should have virtio_pci, virtio_net and virtio_console";
static const char logs[] = "see listener.log, sender.log and server.log beside that console.log";
static const struct trial_check checks[] = {
    {"files", check_files, "build it first: make image, or geom-image build; --output says where it is"},
    {"boot", check_boot, look},
    {"key", check_key,
     "add \"fw_cfg:opt/pixi/api_key\" to websocket_settings.api_key.from, and qemu_fw_cfg to kernel.modules"},
    {"settings", check_settings, "the image is of another description: build it again (geom-image build)"},
    {"verify", check_verify, "correct websocket_settings by what these lines say, and build again"},
    {"launcher", check_launcher, "put bin/pixi-ws-client.sh into websocket_settings.scripts"},
    {"inside-out", check_out, logs},
    {"outside-in", check_in, logs},
    {"outbox", check_outbox, logs},
    {"restart", check_restart, logs},
    {"poweroff", check_poweroff, look},
};

/* --- all of it ------------------------------------------------------------------------------------------------ */

static bool has_qemu(void)
{
    const char *path = getenv("PATH");
    char program[WORLD_PATH];
    size_t len;

    for (; path && *path; path += len + (path[len] == ':')) {
        len = strcspn(path, ":");
        snprintf(program, sizeof program, "%.*s/qemu-system-x86_64", (int)len, path);
        if (access(program, X_OK) == 0)
            return true;
    }
    return false;
}

static const char *why_not(struct trial *t)
{
    if (!pixi_image_desc_makes(t->desc, PIXI_IMAGE_INITRAMFS))
        return "outputs has no initramfs";
    if (strncmp(t->world.url.host, "127.", 4) == 0)
        return "the settings lead to 127.0.0.1, which in a machine is the machine";
    t->is_incomplete = !has_qemu();
    return t->is_incomplete ? "no qemu-system-x86_64 here; tools/install-deps image installs it" : NULL;
}

static void tell_times(const struct trial *t)
{
    if (!t->verified_ms || t->is_json)
        return;
    printf("        after QEMU's start: kernel %.1f s, network %.1f s, ", (double)t->kernel_ms / 1000,
           (double)t->network_ms / 1000);
    if (t->link_ms)
        printf("link %.1f s, ", (double)t->link_ms / 1000);
    printf("verified %.1f s\n", (double)t->verified_ms / 1000);
}

void trial_machine(struct trial *t)
{
    t->talker = &t->subject;
    t->talker_log = "console.log";
    trial_run(t, "machine", checks, sizeof checks / sizeof *checks, why_not(t));
    tell_times(t);
    proc_clear(&t->world.pump, &t->subject);
    feed_close(&t->world.pump, &t->report);
}
