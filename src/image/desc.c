#include "image/desc.h"

#include "base/file.h"
#include "image/pretty.h"

#include <stdarg.h>
#include <stdio.h>

enum { KEY_MAX = 4096 };

/* What load works with. Mistakes of conf are at places of the JSON; they are moved to the YAML's at the end. */
struct load {
    struct pixi_image_desc *d;
    pixi_image_settings_check *check;
    struct pixi_buf raw;       /* mistakes about whole */
    struct pixi_buf *mistakes; /* of the caller */
};

const char *pixi_image_desc_path(struct pixi_image_desc *d, const char *source)
{
    struct pixi_buf b = pixi_buf_init(8192);
    const char *out;

    if (*source == '/')
        return source;
    pixi_buf_put(&b, d->path, pixi_file_dir(d->path));
    pixi_buf_put_str(&b, source);
    out = b.err == PIXI_OK ? pixi_arena_text(&d->conf.arena, pixi_buf_cur(&b)) : NULL;
    pixi_buf_clear(&b);
    return out;
}

static void tell(struct pixi_image_desc *d, const char *path, size_t i, struct pixi_buf *mistakes,
                 const char *text)
{
    struct pixi_buf raw = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);

    if (i == SIZE_MAX)
        pixi_conf_mistake(&d->conf, path, &raw, "%s", text);
    else
        pixi_conf_mistake_at(&d->conf, path, i, &raw, "%s", text);
    pixi_yaml_place(&d->whole, d->path, pixi_buf_cur(&raw), mistakes);
    pixi_buf_clear(&raw);
}

void pixi_image_desc_mistake(struct pixi_image_desc *d, const char *path, struct pixi_buf *mistakes,
                             const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tell(d, path, SIZE_MAX, mistakes, text);
}

void pixi_image_desc_mistake_at(struct pixi_image_desc *d, const char *path, size_t i,
                                struct pixi_buf *mistakes, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tell(d, path, i, mistakes, text);
}

static void check_needed(struct load *l)
{
    static const char *const needed[] = {"name", "version"};

    for (size_t i = 0; i < 2; i++)
        if (!pixi_conf_is_named(&l->d->conf, needed[i]))
            pixi_conf_mistake(&l->d->conf, needed[i], &l->raw, "found none, expected it in %s", l->d->path);
}

static void check_files(struct load *l)
{
    for (size_t i = 0; i < l->d->files.count; i++) {
        const struct pixi_image_file *f = pixi_image_desc_file(l->d, i);
        int count = (f->source != NULL) + (f->content != NULL) + (f->link != NULL) + f->is_directory;

        if (count != 1)
            pixi_conf_mistake_at(
                &l->d->conf, "files", i, &l->raw,
                "found %s of source, content, link and \"directory: true\", expected one of them",
                count ? "several" : "none");
        if (f->link && f->mode)
            pixi_conf_mistake_at(&l->d->conf, "files", i, &l->raw, "found a mode, expected none of a link");
    }
}

static const struct pixi_image_user *find_user(const struct pixi_image_desc *d, const char *name)
{
    for (size_t i = 0; i < d->users.count; i++)
        if (strcmp(pixi_image_desc_user(d, i)->name, name) == 0)
            return pixi_image_desc_user(d, i);
    return NULL;
}

static void check_users(struct load *l)
{
    struct pixi_image_desc *d = l->d;

    for (size_t i = 0; i < d->users.count; i++)
        for (size_t j = 0; j < i; j++)
            if (pixi_image_desc_user(d, i)->uid == pixi_image_desc_user(d, j)->uid)
                pixi_conf_mistake_at(&d->conf, "users", i, &l->raw,
                                     "found the uid of users[%zu], expected another", j);
    for (size_t i = 0; i < d->services.count; i++) {
        const char *name = pixi_image_desc_service(d, i)->user;

        if (strcmp(name, "root") != 0 && !find_user(d, name))
            pixi_conf_mistake_at(&d->conf, "services", i, &l->raw,
                                 "found user \"%s\", expected root or one of users", name);
    }
    if (strcmp(d->container.user, "root") != 0 && !find_user(d, d->container.user))
        pixi_conf_mistake(&d->conf, "container.user", &l->raw, "found \"%s\", expected root or one of users",
                          d->container.user);
    if (d->ws.run_at_boot.count && !find_user(d, "pixi"))
        pixi_conf_mistake(&d->conf, "websocket_settings.run_at_boot", &l->raw,
                          "found no user \"pixi\" in users, expected one: what runs at boot runs as pixi");
}

static void take_outputs(struct load *l)
{
    struct pixi_image_desc *d = l->d;

    for (size_t i = 0; i < d->outputs.count; i++)
        for (unsigned o = 0; o < PIXI_IMAGE_OUTPUTS; o++)
            if (pixi_cur_equals(d->outputs.at[i], pixi_cur_str(pixi_image_output_names[o]))) {
                if (d->output_set >> o & 1)
                    pixi_conf_mistake_at(&d->conf, "outputs", i, &l->raw,
                                         "found a second time, expected once");
                d->output_set |= 1u << o;
            }
    if (!d->kernel.package && !pixi_conf_is_set(&d->conf, "outputs"))
        d->output_set &= ~(1u << PIXI_IMAGE_INITRAMFS);
    if (pixi_image_desc_makes(d, PIXI_IMAGE_INITRAMFS) && !d->kernel.package)
        pixi_conf_mistake(&d->conf, "outputs", &l->raw,
                          "found initramfs without kernel.package, expected both");
}

/* A key in the image is an exception that says so. */
static void take_key(struct load *l)
{
    struct pixi_image_desc *d = l->d;
    const char *path = d->ws.api_key.bake_in ? pixi_image_desc_path(d, d->ws.api_key.bake_in) : NULL;
    unsigned mode = 0;
    int rc;

    if (!path)
        return;
    if (!d->ws.api_key.everybody_gets_it)
        pixi_conf_mistake(
            &d->conf, "websocket_settings.api_key.bake_in", &l->raw,
            "found a secret about to be baked in, expected \"everybody_gets_it: true\" beside it "
            "(everybody who has the image has the key), or a key given at run time (from)");
    if (pixi_conf_is_set(&d->conf, "websocket_settings.api_key.from"))
        pixi_conf_mistake(&d->conf, "websocket_settings.api_key.bake_in", &l->raw,
                          "found beside websocket_settings.api_key.from, expected only one of them");
    rc = pixi_file_read(path, &d->key, &mode);
    while (d->key.len && (d->key.bytes[d->key.len - 1] == '\n' || d->key.bytes[d->key.len - 1] == '\r'))
        d->key.len--;
    if (rc != PIXI_OK || d->key.len < 16 || d->key.len > 512)
        pixi_conf_mistake(&d->conf, "websocket_settings.api_key.bake_in", &l->raw,
                          "found %s at %s, expected a file with an API key",
                          rc != PIXI_OK ? pixi_file_found(rc) : "no API key", path);
}

/* The settings' text, from wherever it is; mistakes in it are told at once, at their places. False: there is none. */
static bool read_settings(struct load *l, struct pixi_buf *text, struct pixi_image_settings_facts *facts)
{
    struct pixi_image_desc *d = l->d;
    struct pixi_buf raw = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    const char *path = d->ws.file ? pixi_image_desc_path(d, d->ws.file) : d->path;
    int rc = PIXI_OK;

    if (d->ws.file)
        rc = pixi_file_read(path, text, NULL);
    else
        pixi_pretty(pixi_buf_cur(&d->part.json), NULL, NULL, text);
    if (rc != PIXI_OK) {
        pixi_conf_mistake(&d->conf, "websocket_settings.file", &l->raw,
                          "found %s at %s, expected settings of pixi-ws-client", pixi_file_found(rc), path);
        return false;
    }
    rc = l->check(path, d->ws.file ? pixi_buf_cur(text) : pixi_buf_cur(&d->part.json), facts, &raw);
    if (d->ws.file)
        pixi_buf_put_cur(l->mistakes, pixi_buf_cur(&raw));
    else
        pixi_yaml_place(&d->part, d->path, pixi_buf_cur(&raw), l->mistakes);
    pixi_buf_clear(&raw);
    d->conf.mistakes += rc != PIXI_OK;
    return rc == PIXI_OK;
}

static void check_key_path(struct load *l, const struct pixi_image_settings_facts *facts)
{
    struct pixi_image_desc *d = l->d;

    if (*facts->api_key_file && strcmp(facts->api_key_file, d->ws.api_key.path) != 0)
        pixi_conf_mistake(
            &d->conf, d->ws.file ? "websocket_settings.file" : "websocket_settings.settings", &l->raw,
            "found api_key_file \"%s\", expected \"%s\" as in websocket_settings.api_key.path, or "
            "no api_key_file, for it is added",
            facts->api_key_file, d->ws.api_key.path);
}

static void take_settings(struct load *l)
{
    struct pixi_image_desc *d = l->d;
    struct pixi_image_settings_facts facts = {0};
    struct pixi_buf text = pixi_buf_init(PIXI_CONF_FILE_MAX);
    bool is_inline = d->ws.settings != NULL, has_key = d->ws.api_key.from.count || d->ws.api_key.bake_in;

    if (is_inline && d->ws.file)
        pixi_conf_mistake(&d->conf, "websocket_settings.file", &l->raw,
                          "found beside websocket_settings.settings, expected only one of them");
    else if (!is_inline && !d->ws.file && d->ws.run_at_boot.count)
        pixi_conf_mistake(&d->conf, "websocket_settings.run_at_boot", &l->raw,
                          "found without settings, expected websocket_settings.settings or .file");
    else if ((is_inline || d->ws.file) && read_settings(l, &text, &facts)) {
        check_key_path(l, &facts);
        if (facts.has_key_source || !has_key)
            pixi_buf_put_cur(&d->settings, pixi_buf_cur(&text));
        else
            pixi_pretty(pixi_buf_cur(&text), "api_key_file", d->ws.api_key.path, &d->settings);
    }
    pixi_file_wipe(&text);
}

/* The members one by one are right or told; now how they relate. */
static void check_all(struct load *l)
{
    check_needed(l);
    check_files(l);
    check_users(l);
    take_outputs(l);
    take_key(l);
    take_settings(l);
}

static void read_description(struct load *l)
{
    struct pixi_image_desc *d = l->d;
    struct pixi_buf text = pixi_buf_init(PIXI_YAML_FILE_MAX + 1);
    int rc = pixi_file_read(d->path, &text, NULL);

    if (rc != PIXI_OK) {
        pixi_buf_putf(l->mistakes,
                      "%s: found %s, expected the description of an image (YAML, at most 1 MiB)\n", d->path,
                      pixi_file_found(rc));
        d->conf.mistakes++;
    } else {
        rc = pixi_yaml_read(d->path, pixi_buf_cur(&text), "websocket_settings.settings", &d->whole, &d->part,
                            l->mistakes);
        d->conf.mistakes += rc == PIXI_E_SETTINGS;
        d->conf.err = rc == PIXI_E_NOMEM ? rc : d->conf.err;
    }
    pixi_file_wipe(&text);
    if (rc != PIXI_OK)
        return;
    pixi_conf_read_bytes(&d->conf, d->path, pixi_buf_cur(&d->whole.json), &l->raw);
    if (!d->conf.is_broken)
        check_all(l);
}

int pixi_image_desc_load(struct pixi_image_desc *d, const char *path, pixi_image_settings_check *check,
                         struct pixi_buf *mistakes)
{
    struct load l = {d, check, pixi_buf_init(PIXI_CONF_MISTAKES_MAX), mistakes};

    *d = (struct pixi_image_desc){.settings = pixi_buf_init(PIXI_CONF_FILE_MAX),
                                  .key = pixi_buf_init(KEY_MAX),
                                  .whole = pixi_yaml_init(),
                                  .part = pixi_yaml_init(),
                                  .path = path};
    pixi_conf_init(&d->conf, &pixi_image_table, d);
    read_description(&l);
    pixi_yaml_place(&d->whole, d->path, pixi_buf_cur(&l.raw), mistakes);
    pixi_buf_clear(&l.raw);
    if (d->conf.err != PIXI_OK)
        return d->conf.err;
    return d->conf.mistakes ? PIXI_E_SETTINGS : PIXI_OK;
}

void pixi_image_desc_clear(struct pixi_image_desc *d)
{
    pixi_conf_clear(&d->conf);
    pixi_file_wipe(&d->settings);
    pixi_file_wipe(&d->key);
    pixi_yaml_clear(&d->whole);
    pixi_yaml_clear(&d->part);
}
