#include "image/assemble.h"

#include "base/file.h"
#include "image/guest.h"
#include "image/libraries.h"
#include "image/secret.h"
#include "image/unpack.h"
#include "image/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONTROL_MAX = 1 << 20 };

struct work {
    const struct pixi_image_parts *p;
    struct pixi_image_desc *d;
    struct pixi_image_tree *t;
    struct pixi_buf *mistakes;
    int rc; /* the worst so far; PIXI_E_SETTINGS lets the rest be looked at */
};

static bool goes_on(const struct work *w)
{
    return w->rc == PIXI_OK || w->rc == PIXI_E_SETTINGS;
}

static void note(struct work *w, int rc)
{
    if (rc != PIXI_OK && goes_on(w))
        w->rc = rc;
}

/* The base. */

static int read_base(struct work *w, struct pixi_buf *why)
{
    const char *kind = w->d->base, *place = pixi_image_desc_path(w->d, kind + 4);
    int rc;

    if (!place)
        return PIXI_E_NOMEM;
    if (strncmp(kind, "tar:", 4) == 0)
        return pixi_unpack(w->t, place, PIXI_UNPACK_ROOT, why);
    rc = pixi_oci_open(w->p->base, place, why);
    return rc == PIXI_OK ? pixi_unpack_oci(w->t, w->p->base, why) : rc;
}

static void add_base(struct work *w)
{
    struct pixi_buf why = pixi_buf_init(1 << 16);

    if (strcmp(w->d->base, "none") != 0) {
        note(w, read_base(w, &why));
        if (why.len)
            pixi_image_desc_mistake(w->d, "base", w->mistakes, "%.*s", (int)why.len, why.bytes);
    }
    if (w->rc == PIXI_OK)
        note(w, pixi_installed_read(w->t, w->p->packages));
    pixi_buf_clear(&why);
    pixi_image_tree_end_base(w->t);
}

/* The folders that every system has, as Debian 12 has them. */

static const struct {
    const char *path, *target;
    unsigned mode;
} usual[] = {
    {"/usr/bin", NULL, 0755},   {"/usr/sbin", NULL, 0755},  {"/usr/lib", NULL, 0755},
    {"/usr/lib64", NULL, 0755}, {"/bin", "usr/bin", 0},     {"/sbin", "usr/sbin", 0},
    {"/lib", "usr/lib", 0},     {"/lib64", "usr/lib64", 0}, {"/dev", NULL, 0755},
    {"/etc", NULL, 0755},       {"/proc", NULL, 0755},      {"/root", NULL, 0700},
    {"/run", NULL, 0755},       {"/sys", NULL, 0755},       {"/tmp", NULL, 01777},
    {"/var", NULL, 0755},       {"/var/tmp", NULL, 01777},
};

static void add_usual(struct work *w)
{
    for (size_t i = 0; goes_on(w) && i < sizeof usual / sizeof *usual; i++)
        note(w, pixi_image_tree_add(
                    w->t,
                    &(struct pixi_image_new){.path = usual[i].path,
                                             .kind = usual[i].target ? PIXI_IMAGE_LINK : PIXI_IMAGE_DIR,
                                             .target = usual[i].target,
                                             .mode = usual[i].mode,
                                             .origin = "the usual folders",
                                             .if_there = PIXI_IMAGE_UNLESS_THERE},
                    w->mistakes));
}

/* What the description names. Mistakes of the tree begin with the origin; they are told at its place instead. */

static void tell_at(struct work *w, const char *list, size_t i, const char *origin, struct pixi_buf *raw)
{
    size_t skip = strlen(origin) + 2;

    if (raw->len > skip)
        pixi_image_desc_mistake_at(w->d, list, i, w->mistakes, "%.*s", (int)(raw->len - skip - 1),
                                   raw->bytes + skip);
}

/* False: told, and the image must not be made. */
static bool check_secret(struct work *w, const char *list, size_t i, const char *path)
{
    const struct pixi_image_node *n = pixi_image_tree_find(w->t, path);
    struct pixi_buf b = pixi_buf_init(PIXI_SECRET_FILE_MAX);
    const char *found = NULL;

    if (n && n->kind == PIXI_IMAGE_FILE && pixi_image_tree_contents(w->t, n, &b) == PIXI_OK)
        found = pixi_secret_find(pixi_buf_cur(&b));
    pixi_file_wipe(&b);
    if (found)
        pixi_image_desc_mistake_at(
            w->d, list, i, w->mistakes,
            "found %s in %s: a secret about to be baked in, expected none; give it at run "
            "time, or say \"everybody_gets_it: true\" beside it in files",
            found, path);
    return !found;
}

enum secrets { SECRETS_REFUSED, SECRETS_MEANT };

static void add_new(struct work *w, const char *list, size_t i, struct pixi_image_new *n,
                    enum secrets secrets)
{
    struct pixi_buf raw = pixi_buf_init(1 << 16);
    char origin[64];
    int rc;

    snprintf(origin, sizeof origin, "%s[%zu]", list, i);
    n->origin = origin;
    rc = pixi_image_tree_add(w->t, n, &raw);
    tell_at(w, list, i, origin, &raw);
    note(w, rc);
    if (rc == PIXI_OK && secrets == SECRETS_REFUSED && !check_secret(w, list, i, n->path))
        note(w, PIXI_E_SETTINGS);
    pixi_buf_clear(&raw);
}

static void add_file(struct work *w, size_t i)
{
    const struct pixi_image_file *f = pixi_image_desc_file(w->d, i);
    struct pixi_image_new n = {.path = f->destination, .target = f->link};

    n.kind = f->link ? PIXI_IMAGE_LINK : f->is_directory ? PIXI_IMAGE_DIR : PIXI_IMAGE_FILE;
    if (f->source && !(n.source = pixi_image_desc_path(w->d, f->source)))
        note(w, PIXI_E_NOMEM);
    if (f->content)
        n.content = pixi_cur_str(f->content);
    if (f->mode)
        n.mode = (unsigned)strtoul(f->mode, NULL, 8) | PIXI_IMAGE_EXACTLY;
    if (!pixi_image_owner(w->d, f->owner, &n.uid, &n.gid)) {
        pixi_image_desc_mistake_at(w->d, "files", i, w->mistakes,
                                   "found owner \"%s\", expected root or users of the image", f->owner);
        note(w, PIXI_E_SETTINGS);
    } else if (goes_on(w)) {
        add_new(w, "files", i, &n, f->everybody_gets_it ? SECRETS_MEANT : SECRETS_REFUSED);
    }
}

enum missing { MISSING_REFUSED, MISSING_LEFT_OUT };

static void add_scripts(struct work *w, const char *list, const struct pixi_conf_strings *scripts,
                        enum missing missing)
{
    char path[PIXI_IMAGE_PATH_MAX + 1];
    const char *source;

    for (size_t i = 0; goes_on(w) && i < scripts->count; i++) {
        source = pixi_image_desc_path(w->d, (const char *)scripts->at[i].p);
        if (!source) {
            note(w, PIXI_E_NOMEM);
            return;
        }
        if (missing == MISSING_LEFT_OUT && access(source, F_OK) != 0)
            continue;
        snprintf(path, sizeof path, "/usr/bin/%s", source + pixi_file_dir(source));
        add_new(w, list, i, &(struct pixi_image_new){.path = path, .source = source, .mode = 0755},
                SECRETS_REFUSED);
    }
}

static void add_text(struct work *w, const char *path, unsigned mode, const char *user,
                     const struct pixi_buf *text, const char *origin)
{
    struct pixi_image_new n = {.path = path, .mode = mode, .content = pixi_buf_cur(text), .origin = origin};

    if (user)
        pixi_image_owner(w->d, user, &n.uid, &n.gid);
    if (text->len && goes_on(w))
        note(w, pixi_image_tree_add(w->t, &n, w->mistakes));
}

static const char *key_owner(const struct work *w)
{
    uint32_t uid;

    return pixi_image_uid(w->d, "pixi", &uid) ? "pixi" : w->d->container.user;
}

static void add_described(struct work *w)
{
    struct pixi_image_desc *d = w->d;

    note(w, pixi_image_users_add(d, w->t, w->mistakes));
    if (goes_on(w))
        note(w, pixi_packages_add(w->p->here, d, w->t, w->mistakes));
    for (size_t i = 0; goes_on(w) && i < d->files.count; i++)
        add_file(w, i);
    add_scripts(w, "websocket_settings.scripts", &d->ws.scripts, MISSING_REFUSED);
    add_scripts(w, "websocket_settings.scripts_if_built", &d->ws.scripts_if_built, MISSING_LEFT_OUT);
    add_text(w, d->ws.destination, 0644, NULL, &d->settings, "websocket_settings");
    add_text(w, d->ws.api_key.path, 0400, key_owner(w), &d->key, "websocket_settings.api_key.bake_in");
    if (goes_on(w) && w->p->kernel)
        note(w, pixi_image_kernel_add(w->p->kernel, d, w->t, w->mistakes));
}

/* What programs want at run time besides libraries. OpenSSL looks for authorities in /usr/lib/ssl, Debian has them elsewhere;
 * names are resolved by /etc/hosts and then by servers. */
static const struct {
    const char *path, *target, *content, *if_there;
} at_run_time[] = {
    {"/usr/lib/ssl/cert.pem", "../../../etc/ssl/certs/ca-certificates.crt", NULL,
     "/etc/ssl/certs/ca-certificates.crt"},
    {"/etc/hosts", NULL, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n", NULL},
    {"/etc/nsswitch.conf", NULL, "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n", NULL},
};

static void add_at_run_time(struct work *w)
{
    for (size_t i = 0; goes_on(w) && i < sizeof at_run_time / sizeof *at_run_time; i++) {
        struct pixi_image_new n = {.path = at_run_time[i].path,
                                   .target = at_run_time[i].target,
                                   .kind = at_run_time[i].target ? PIXI_IMAGE_LINK : PIXI_IMAGE_FILE,
                                   .origin = "what programs want at run time",
                                   .if_there = PIXI_IMAGE_UNLESS_THERE};

        if (at_run_time[i].content)
            n.content = pixi_cur_str(at_run_time[i].content);
        if (!at_run_time[i].if_there || pixi_image_tree_follow(w->t, at_run_time[i].if_there))
            note(w, pixi_image_tree_add(w->t, &n, w->mistakes));
    }
}

/* The kernel's package is not installed here; its control file says what it is. Its modules came from its folder. */
static int own_modules(struct work *w)
{
    struct pixi_buf text = pixi_buf_init(CONTROL_MAX);
    char path[2048];
    const struct pixi_package *k;
    struct pixi_packages one;
    size_t len;
    int rc;

    pixi_packages_init(&one, "");
    snprintf(path, sizeof path, "%s/control", w->p->kernel->folder);
    rc = pixi_file_read(path, &text, NULL);
    if (rc != PIXI_OK)
        pixi_image_desc_mistake(w->d, "kernel.package", w->mistakes,
                                "found %s at %s, expected the package's control file", pixi_file_found(rc),
                                path);
    else
        rc = pixi_packages_put(w->p->here, pixi_buf_cur(&text));
    if (rc == PIXI_OK)
        rc = pixi_packages_put(&one, pixi_buf_cur(&text));
    k = rc == PIXI_OK && pixi_packages_count(&one)
            ? pixi_packages_find(w->p->here, pixi_packages_at(&one, 0)->name)
            : NULL;
    len = strlen(w->p->kernel->folder);
    for (size_t i = 0; k && i < w->t->count; i++)
        if (w->t->nodes[i]->source && strncmp(w->t->nodes[i]->source, w->p->kernel->folder, len) == 0)
            w->t->nodes[i]->package = k->name;
    pixi_packages_clear(&one);
    pixi_buf_clear(&text);
    return rc;
}

static void record_packages(struct work *w)
{
    int rc = pixi_packages_own(w->p->here, w->t);

    if (rc == PIXI_E_SYS)
        pixi_buf_putf(w->mistakes, "%s: reading dpkg's lists failed: %s\n", w->p->here->folder,
                      strerror(errno));
    note(w, rc);
    if (w->rc == PIXI_OK && w->p->kernel)
        note(w, own_modules(w));
    if (w->rc == PIXI_OK)
        note(w, pixi_installed_write(w->t, w->p->here, w->p->packages, w->mistakes));
}

int pixi_image_assemble(const struct pixi_image_parts *p, struct pixi_buf *mistakes)
{
    struct work w = {.p = p, .d = p->desc, .t = p->tree, .mistakes = mistakes};

    add_base(&w);
    if (w.rc != PIXI_OK)
        return w.rc;
    add_usual(&w);
    add_described(&w);
    if (goes_on(&w))
        note(&w, pixi_image_guest_add(w.d, w.t, mistakes));
    add_at_run_time(&w);
    if (w.rc == PIXI_OK)
        note(&w, pixi_image_libraries_add(w.t, mistakes));
    if (w.rc == PIXI_OK)
        record_packages(&w);
    return w.rc;
}
