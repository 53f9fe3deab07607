/* desc.h -- the description of an image, config/geom_os_image.yaml: what goes in, as whom it runs, what comes out.
 *
 * docs/image.md explains every member. Paths of sources count from the description's folder. */
#ifndef PIXI_IMAGE_DESC_H
#define PIXI_IMAGE_DESC_H

#include "base/conf.h"
#include "image/yaml.h"

#define PIXI_IMAGE_DESCRIPTION "config/geom_os_image.yaml"

/* Every pointer is borrowed from conf and valid until pixi_image_desc_clear. NULL: not given. */
struct pixi_image_file {
    const char *source, *content, *link; /* one of them, or is_directory */
    bool is_directory;
    const char *destination; /* "/etc/motd" */
    const char *mode;        /* "0755"; NULL: by what it is */
    const char *owner;       /* "pixi" or "pixi:adm" */
    bool everybody_gets_it;  /* a secret in it is meant to be there */
};

struct pixi_image_package {
    const char *name;
    struct pixi_conf_strings files; /* none: all but documentation */
};

struct pixi_image_user {
    const char *name, *home, *shell;
    uint64_t uid;
};

struct pixi_image_service {
    const char *name, *user;
    struct pixi_conf_strings command;
};

enum pixi_image_output {
    PIXI_IMAGE_ROOTFS,
    PIXI_IMAGE_OCI,
    PIXI_IMAGE_INITRAMFS,
    PIXI_IMAGE_SBOM,
    PIXI_IMAGE_MANIFEST,
    PIXI_IMAGE_OUTPUTS
};
extern const char *const pixi_image_output_names[PIXI_IMAGE_OUTPUTS + 1]; /* "rootfs", ...; ends with NULL */

struct pixi_image_desc {
    /* the members as they were given */
    const char *name, *version;
    unsigned architecture;
    const char *base; /* "none", "tar:FILE", "oci:FOLDER" */
    struct {
        const char *package;
        struct pixi_conf_strings modules;
        const char *command_line;
    } kernel;
    struct pixi_conf_objects packages, files, users, services;
    struct {
        const char *user, *stop_signal;
        struct pixi_conf_strings command, health;
        struct pixi_conf_strings labels;
    } container;
    struct pixi_conf_strings outputs;
    struct {
        const char *settings; /* PIXI_YAML_CUT: inline */
        const char *file, *destination;
        struct pixi_conf_strings scripts, scripts_if_built;
        struct {
            const char *path;
            struct pixi_conf_strings from;
            const char *bake_in;
            bool everybody_gets_it;
        } api_key;
        struct pixi_conf_strings run_at_boot;
    } ws;

    /* worked out by load */
    unsigned output_set;      /* bit (1 << enum pixi_image_output) */
    struct pixi_buf settings; /* what goes to ws.destination; empty: nothing */
    struct pixi_buf key;      /* the key that is baked in; empty: none. Never print it */
    struct pixi_yaml whole, part;
    const char *path; /* of the description, as given; borrowed */

    struct pixi_conf conf;
};

/* What a checker tells of settings that are right. */
struct pixi_image_settings_facts {
    bool has_key_source;     /* api_key_file or api_key_env is in it */
    char api_key_file[1024]; /* "": none */
};

/* A checker of settings, for src/image knows nothing of them: the rules of the client. The text is JSON and is called name
 * in messages; a key or a password in it is refused.   PIXI_OK | PIXI_E_SETTINGS (lines were added) | PIXI_E_NOMEM */
typedef int pixi_image_settings_check(const char *name, struct pixi_cur text,
                                      struct pixi_image_settings_facts *out, struct pixi_buf *mistakes);

/* pixi_image_desc_load -- read and check the description, the settings in it, and nothing else that it names but the file
 * of settings and the key to bake in. On any answer pixi_image_desc_clear is due.
 *
 *   mistakes  a line each, all of them in one run, at their places in the YAML: file:line:column
 *
 *   PIXI_OK | PIXI_E_SETTINGS | PIXI_E_NOMEM */
int pixi_image_desc_load(struct pixi_image_desc *d, const char *path, pixi_image_settings_check *check,
                         struct pixi_buf *mistakes);
void pixi_image_desc_clear(struct pixi_image_desc *d);

/* pixi_image_desc_mistake -- one line about element i of a list, or about a member, "found X, expected Y", at its place in
 * the YAML. */
void pixi_image_desc_mistake(struct pixi_image_desc *d, const char *path, struct pixi_buf *mistakes,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));
void pixi_image_desc_mistake_at(struct pixi_image_desc *d, const char *path, size_t i,
                                struct pixi_buf *mistakes, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* pixi_image_desc_path -- a source as it is to be opened; NULL: out of memory. Owned by the description. */
const char *pixi_image_desc_path(struct pixi_image_desc *d, const char *source);

static inline bool pixi_image_desc_makes(const struct pixi_image_desc *d, enum pixi_image_output output)
{
    return d->output_set >> output & 1;
}

static inline const struct pixi_image_file *pixi_image_desc_file(const struct pixi_image_desc *d, size_t i)
{
    return (const struct pixi_image_file *)d->files.at + i;
}

static inline const struct pixi_image_package *pixi_image_desc_package(const struct pixi_image_desc *d,
                                                                       size_t i)
{
    return (const struct pixi_image_package *)d->packages.at + i;
}

static inline const struct pixi_image_user *pixi_image_desc_user(const struct pixi_image_desc *d, size_t i)
{
    return (const struct pixi_image_user *)d->users.at + i;
}

static inline const struct pixi_image_service *pixi_image_desc_service(const struct pixi_image_desc *d,
                                                                       size_t i)
{
    return (const struct pixi_image_service *)d->services.at + i;
}

/* The table: what schema and docs are held to; its struct is struct pixi_image_desc. */
extern const struct pixi_conf_table pixi_image_table;

#endif
