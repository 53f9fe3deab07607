#include "image/guest.h"

#include "base/file.h"
#include "image/guest_scripts.h"
#include "image/users.h"

#include <stdio.h>

enum { TEXT_MAX = 1 << 20 };

struct guest {
    struct pixi_image_desc *d;
    struct pixi_image_tree *t;
    struct pixi_buf *mistakes;
    struct pixi_buf text; /* of the file under way */
    int rc;               /* the first failure; nothing is added after it */
};

static const char origin[] = "what every image with a kernel or a container.command gets";

/* What the scripts and the launcher call, and what a person at the console misses first. */
static const char *const applets[] = {
    "sh",     "[",       "awk",      "basename", "cat",      "chmod",    "chown",  "cp",       "cut",
    "date",   "dd",      "df",       "dirname",  "dmesg",    "du",       "echo",   "env",      "expr",
    "false",  "find",    "free",     "grep",     "head",     "hostname", "id",     "ifconfig", "insmod",
    "ip",     "kill",    "killall",  "less",     "ln",       "ls",       "lsmod",  "mkdir",    "mkfifo",
    "mount",  "mv",      "nc",       "netstat",  "nslookup", "pidof",    "ping",   "poweroff", "printf",
    "ps",     "pwd",     "readlink", "reboot",   "rm",       "rmdir",    "sed",    "setpriv",  "sha256sum",
    "sleep",  "sort",    "stat",     "stty",     "su",       "sync",     "tail",   "tar",      "tee",
    "test",   "timeout", "top",      "touch",    "tr",       "true",     "udhcpc", "umount",   "uname",
    "uptime", "usleep",  "vi",       "wc",       "wget",     "which",    "xargs",
};

/* For a machine only: what init runs. The others serve a container, too. */
static const char *const of_container[] = {"entry", "key"};

static void add(struct guest *g, struct pixi_image_new n)
{
    n.origin = origin;
    if (g->rc == PIXI_OK)
        g->rc = pixi_image_tree_add(g->t, &n, g->mistakes);
}

static void add_file(struct guest *g, const char *path, struct pixi_cur content, unsigned mode)
{
    add(g, (struct pixi_image_new){.path = path, .content = content, .mode = mode});
}

static void add_link(struct guest *g, const char *path, const char *target, enum pixi_image_where where)
{
    add(g, (struct pixi_image_new){.path = path,
                                   .kind = PIXI_IMAGE_LINK,
                                   .target = target,
                                   .where = where,
                                   .if_there = PIXI_IMAGE_UNLESS_THERE});
}

static void begin(struct guest *g)
{
    pixi_buf_reset(&g->text);
}

static void end(struct guest *g, const char *path)
{
    if (g->rc == PIXI_OK)
        g->rc = g->text.err;
    add_file(g, path, pixi_buf_cur(&g->text), 0644);
}

/* A word for the shell, whatever is in it. */
static void put_word(struct pixi_buf *b, struct pixi_cur word)
{
    pixi_buf_put_str(b, "'");
    for (; word.p != word.end; word.p++)
        if (*word.p == '\'')
            pixi_buf_put_str(b, "'\\''");
        else
            pixi_buf_put(b, word.p, 1);
    pixi_buf_put_str(b, "'");
}

static void put_variable(struct guest *g, const char *name, const char *value)
{
    pixi_buf_putf(&g->text, "%s=", name);
    put_word(&g->text, pixi_cur_str(value));
    pixi_buf_put_str(&g->text, "\n");
}

static bool has(const struct pixi_conf_strings *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (pixi_cur_equals(list->at[i], pixi_cur_str(text)))
            return true;
    return false;
}

static const char *program_user(const struct pixi_image_desc *d)
{
    uint32_t uid;

    return pixi_image_uid(d, "pixi", &uid) ? "pixi" : "root";
}

/* Without settings nothing here wants a key. */
static bool wants_key(const struct pixi_image_desc *d)
{
    return d->settings.len && !d->ws.api_key.bake_in && d->ws.api_key.from.count;
}

/* The folder that the key is put into, where that is for nothing else: in a container whoever runs the programs writes to
 * it, so it is open as /tmp is; a machine closes it when it starts. Empty: it is somebody else's folder. */
static void key_folder(const struct guest *g, char path[PIXI_IMAGE_PATH_MAX + 1])
{
    size_t len = pixi_file_dir(g->d->ws.api_key.path);
    const struct pixi_image_node *n;

    snprintf(path, PIXI_IMAGE_PATH_MAX + 1, "%.*s", (int)(len ? len - 1 : 0), g->d->ws.api_key.path);
    n = *path ? pixi_image_tree_find(g->t, path) : NULL;
    if (!wants_key(g->d) ||
        (n && (n->layer != PIXI_IMAGE_OF_BASE || n->mode != 01777 || strstr(path, "/tmp"))))
        *path = 0;
}

static void add_settings(struct guest *g)
{
    const struct pixi_image_desc *d = g->d;
    const struct pixi_conf_strings *from = &d->ws.api_key.from;
    char folder[PIXI_IMAGE_PATH_MAX + 1];

    key_folder(g, folder);
    begin(g);
    pixi_buf_put_str(&g->text, "# What the scripts in /usr/lib/pixi go by, from the image's description.\n");
    put_variable(g, "PIXI_IMAGE_NAME", d->name);
    put_variable(g, "PIXI_SETTINGS", d->ws.destination);
    put_variable(g, "PIXI_KEY_PATH", d->ws.api_key.path);
    put_variable(g, "PIXI_KEY_FOLDER", folder);
    put_variable(g, "PIXI_USER", program_user(d));
    put_variable(g, "PIXI_CONTAINER_USER", d->container.user);
    put_variable(g, "PIXI_VERIFY", has(&d->ws.run_at_boot, "verify") ? "yes" : "no");
    pixi_buf_put_str(&g->text, "PIXI_KEY_FROM='");
    for (size_t i = 0; wants_key(d) && i < from->count; i++) {
        pixi_buf_put_str(&g->text, i ? " " : "");
        pixi_buf_put_cur(&g->text, from->at[i]);
    }
    pixi_buf_put_str(&g->text, "'\n");
    end(g, "/etc/pixi/guest.conf");
    if (*folder)
        add(g, (struct pixi_image_new){.path = folder, .kind = PIXI_IMAGE_DIR, .mode = 01777});
}

static bool is_of_container(const char *name)
{
    for (size_t i = 0; i < sizeof of_container / sizeof *of_container; i++)
        if (strcmp(name, of_container[i]) == 0)
            return true;
    return false;
}

static void add_scripts(struct guest *g)
{
    char path[64];

    for (size_t i = 0; i < pixi_image_script_count; i++) {
        const struct pixi_image_script *s = &pixi_image_scripts[i];

        if (!g->d->kernel.package && !is_of_container(s->name))
            continue;
        snprintf(path, sizeof path, "/usr/lib/pixi/%s", s->name);
        add_file(g, path, pixi_cur_init(s->text, s->len), 0755);
    }
}

/* busybox by the names of what it does, where the base has no such program. */
static void add_applets(struct guest *g)
{
    char path[64];

    for (size_t i = 0; i < sizeof applets / sizeof *applets; i++) {
        snprintf(path, sizeof path, "/bin/%s", applets[i]);
        add_link(g, path, "busybox", PIXI_IMAGE_EVERYWHERE);
    }
}

/* Services of a former image that is the base: what this one has is told anew. */
static void drop_services(struct guest *g)
{
    static const char folder[] = "/etc/pixi/services/";
    size_t i = 0;

    while (i < g->t->count)
        if (g->t->nodes[i]->layer == PIXI_IMAGE_OF_BASE &&
            strncmp(g->t->nodes[i]->path, folder, sizeof folder - 1) == 0)
            pixi_image_tree_remove(g->t, g->t->nodes[i]->path, PIXI_IMAGE_WITH_TOP);
        else
            i++;
}

static void add_service(struct guest *g, const char *name, const char *user, const struct pixi_cur *command,
                        size_t count, struct pixi_buf *inittab)
{
    char path[PIXI_IMAGE_PATH_MAX + 1];

    begin(g);
    put_variable(g, "SERVICE_USER", user);
    pixi_buf_put_str(&g->text, "set --");
    for (size_t i = 0; i < count; i++) {
        pixi_buf_put_str(&g->text, " ");
        put_word(&g->text, command[i]);
    }
    pixi_buf_put_str(&g->text, "\n");
    snprintf(path, sizeof path, "/etc/pixi/services/%s", name);
    end(g, path);
    pixi_buf_putf(inittab, "::respawn:/usr/lib/pixi/service %s\n", name);
}

/* What run_at_boot may have as services, by the same names. */
static const struct boot_service {
    const char *name, *words[4]; /* to NULL */
} boot_services[] = {
    {"daemon", {"pixi-ws-client", "daemon"}},
    {"listen", {"pixi-ws-client", "listen", "--retry"}},
};
enum { BOOT_SERVICES = sizeof boot_services / sizeof *boot_services };

static bool is_at_boot(const struct guest *g, const char *name)
{
    for (size_t i = 0; i < BOOT_SERVICES; i++)
        if (strcmp(name, boot_services[i].name) == 0)
            return has(&g->d->ws.run_at_boot, name);
    return false;
}

static void add_boot_service(struct guest *g, const struct boot_service *s, struct pixi_buf *inittab)
{
    struct pixi_cur words[4];
    size_t count = 0;

    for (; s->words[count]; count++)
        words[count] = pixi_cur_str(s->words[count]);
    add_service(g, s->name, program_user(g->d), words, count, inittab);
}

static void add_services(struct guest *g, struct pixi_buf *inittab)
{
    drop_services(g);
    for (size_t i = 0; i < g->d->services.count; i++) {
        const struct pixi_image_service *s = pixi_image_desc_service(g->d, i);

        if (is_at_boot(g, s->name)) {
            pixi_image_desc_mistake_at(g->d, "services", i, g->mistakes,
                                       "found the name \"%s\", expected another: it is the service of "
                                       "websocket_settings.run_at_boot",
                                       s->name);
            g->rc = g->rc == PIXI_OK ? PIXI_E_SETTINGS : g->rc;
        } else {
            add_service(g, s->name, s->user, s->command.at, s->command.count, inittab);
        }
    }
    for (size_t i = 0; i < BOOT_SERVICES; i++)
        if (has(&g->d->ws.run_at_boot, boot_services[i].name))
            add_boot_service(g, &boot_services[i], inittab);
}

/* Where the settings have its socket and its outbox, unless they say otherwise. */
static void add_daemon_folders(struct guest *g)
{
    static const struct {
        const char *path;
        unsigned mode;
    } folders[] = {{"/run/pixi-ws", 0755}, {"/var/lib/pixi-ws-client", 0700}};
    uint32_t uid = 0;

    pixi_image_uid(g->d, program_user(g->d), &uid);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        add(g, (struct pixi_image_new){.path = folders[i].path,
                                       .kind = PIXI_IMAGE_DIR,
                                       .mode = folders[i].mode,
                                       .uid = uid,
                                       .gid = uid});
}

/* busybox init: boot ends before the others begin. */
static void add_init(struct guest *g)
{
    struct pixi_buf inittab = pixi_buf_init(TEXT_MAX);

    pixi_buf_put_str(&inittab, "::sysinit:/usr/lib/pixi/boot\n");
    add_services(g, &inittab);
    pixi_buf_put_str(&inittab, "::respawn:/usr/lib/pixi/logs\n"
                               "::once:/usr/lib/pixi/report\n"
                               "::shutdown:/usr/lib/pixi/stop\n"
                               "::ctrlaltdel:/bin/busybox reboot\n");
    if (g->rc == PIXI_OK)
        g->rc = inittab.err;
    add_file(g, "/etc/inittab", pixi_buf_cur(&inittab), 0644);
    pixi_buf_clear(&inittab);
    add_link(g, "/init", "bin/busybox", PIXI_IMAGE_INITRAMFS_ONLY);
}

static bool is_in(const struct pixi_image_tree *t, const char *name)
{
    static const char *const folders[] = {"/bin", "/usr/bin", "/usr/local/bin"};
    char path[64];

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s/%s", folders[i], name);
        if (pixi_image_tree_follow(t, path))
            return true;
    }
    return false;
}

static void check(struct guest *g)
{
    const struct pixi_image_desc *d = g->d;

    if (!is_in(g->t, "busybox") && (d->kernel.package || !is_in(g->t, "sh"))) {
        pixi_image_desc_mistake(g->d, d->kernel.package ? "kernel.package" : "container.command", g->mistakes,
                                "found no /bin/busybox in the image, which starts it, expected the package "
                                "busybox-static in packages");
        g->rc = PIXI_E_SETTINGS;
    }
    if (d->ws.run_at_boot.count && !is_in(g->t, "pixi-ws-client")) {
        pixi_image_desc_mistake(g->d, "websocket_settings.run_at_boot", g->mistakes,
                                "found no /usr/bin/pixi-ws-client in the image, expected it in files");
        g->rc = PIXI_E_SETTINGS;
    }
    if (has(&d->ws.run_at_boot, "verify") && !is_in(g->t, "pixi-ws-client.sh")) {
        pixi_image_desc_mistake(g->d, "websocket_settings.run_at_boot", g->mistakes,
                                "found verify without pixi-ws-client.sh, which it calls, expected that in "
                                "websocket_settings.scripts");
        g->rc = PIXI_E_SETTINGS;
    }
}

int pixi_image_guest_add(struct pixi_image_desc *d, struct pixi_image_tree *t, struct pixi_buf *mistakes)
{
    struct guest g = {d, t, mistakes, pixi_buf_init(TEXT_MAX), PIXI_OK};

    if (!d->kernel.package && !d->container.command.count)
        return PIXI_OK;
    check(&g);
    add_scripts(&g);
    add_settings(&g);
    if (is_in(t, "busybox"))
        add_applets(&g);
    if (has(&d->ws.run_at_boot, "daemon"))
        add_daemon_folders(&g);
    if (d->kernel.package)
        add_init(&g);
    pixi_buf_clear(&g.text);
    return g.rc;
}
