#include "image/desc.h"

#include <ctype.h>
#include <stdio.h>

enum { PATH_LEN_MAX = 1023, LIST_MAX = 256 };

const char *const pixi_image_output_names[PIXI_IMAGE_OUTPUTS + 1] = {"rootfs", "oci",      "initramfs",
                                                                     "sbom",   "manifest", NULL};

static bool is_of(struct pixi_cur c, const char *more)
{
    while (c.p != c.end && (isalnum(*c.p) || (*c.p && strchr(more, *c.p))))
        c.p++;
    return c.p == c.end;
}

static bool starts(struct pixi_cur c, const char *with)
{
    size_t len = strlen(with);

    return pixi_cur_left(&c) >= len && memcmp(c.p, with, len) == 0;
}

static struct pixi_cur after(struct pixi_cur c, size_t len)
{
    return (struct pixi_cur){c.p + len, c.end};
}

static bool check_name(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    (void)fault;
    for (const uint8_t *p = v.p; p != v.end; p++)
        if (isupper(*p))
            return false;
    return isalnum(*v.p) && is_of(v, "-");
}

static bool check_version(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    (void)fault;
    return isalnum(*v.p) && is_of(v, "._+~-");
}

/* A user's name, as useradd wants it. */
static bool check_user(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    return check_name(v, fault) && islower(*v.p);
}

static bool is_printable(struct pixi_cur c)
{
    while (c.p != c.end && *c.p >= ' ' && *c.p != 0x7f)
        c.p++;
    return c.p == c.end;
}

/* "/a/b": no empty part, none that is . or .. */
static bool check_place(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    const uint8_t *end;
    size_t len;

    if (*v.p != '/' || v.end[-1] == '/' || !is_printable(v))
        return false;
    while (v.p != v.end) {
        v.p++;
        end = memchr(v.p, '/', pixi_cur_left(&v));
        end = end ? end : v.end;
        len = (size_t)(end - v.p);
        if (len == 2 && memcmp(v.p, "..", 2) == 0)
            fault->found = "a path with \"..\" in it, which may lead out of the image";
        if (len == 0 || len > 255 || (len == 1 && *v.p == '.') || fault->found)
            return false;
        v.p = end;
    }
    return true;
}

static bool check_mode(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    (void)fault;
    for (const uint8_t *p = v.p; p != v.end; p++)
        if (*p < '0' || *p > '7')
            return false;
    if (*v.p >= '2')
        fault->found = "a mode with set-user-id or set-group-id";
    return *v.p < '2';
}

static bool check_owner(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    const uint8_t *colon = memchr(v.p, ':', pixi_cur_left(&v));
    struct pixi_cur user = {v.p, colon ? colon : v.end}, group = {colon ? colon + 1 : v.p, v.end};

    return pixi_cur_left(&user) && pixi_cur_left(&group) && check_user(user, fault) &&
           check_user(group, fault);
}

static bool check_link(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    if (*v.p == '/')
        fault->found = "an absolute link, which leads out of the image wherever that is unpacked";
    return *v.p != '/' && is_printable(v);
}

static bool check_base(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    (void)fault;
    return pixi_cur_equals(v, pixi_cur_str("none")) ||
           ((starts(v, "tar:") || starts(v, "oci:")) && pixi_cur_left(&v) > 4);
}

static bool check_module(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    (void)fault;
    return is_of(v, "_-");
}

/* Every program of the machine can read it, and logs keep it. */
static bool check_command_line(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    static const char *const words[] = {"pk_", "api_key=", "apikey=", "password=", "token=", "secret="};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (memmem(v.p, pixi_cur_left(&v), words[i], strlen(words[i])))
            fault->found = "what looks like a secret, and every program of the machine can read this";
    return !fault->found && is_printable(v);
}

static bool check_output(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    (void)fault;
    for (size_t i = 0; i < PIXI_IMAGE_OUTPUTS; i++)
        if (pixi_cur_equals(v, pixi_cur_str(pixi_image_output_names[i])))
            return true;
    return false;
}

static bool check_key_source(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    if (starts(v, "file:"))
        return pixi_cur_left(&v) > 5 && check_place(after(v, 5), fault) && is_of(after(v, 5), "/._-");
    if (starts(v, "credential:"))
        return pixi_cur_left(&v) > 11 && is_of(after(v, 11), "._-");
    if (starts(v, "fw_cfg:"))
        return pixi_cur_left(&v) > 7 && *(v.p + 7) != '/' && is_of(after(v, 7), "/._-") &&
               !memmem(v.p, pixi_cur_left(&v), "..", 2);
    if (starts(v, "kernel_command_line") || starts(v, "cmdline"))
        fault->found = "the kernel command line, which every program of the machine can read";
    else if (starts(v, "baked_in") || starts(v, "image"))
        fault->found = "a key in the image, which has members of its own: bake_in and everybody_gets_it";
    else
        fault->found = pixi_cur_left(&v) > 40 ? "something else" : NULL; /* a key, perhaps */
    return false;
}

static bool check_boot(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    (void)fault;
    return pixi_cur_equals(v, pixi_cur_str("daemon")) || pixi_cur_equals(v, pixi_cur_str("listen")) ||
           pixi_cur_equals(v, pixi_cur_str("verify"));
}

static bool check_label(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    const uint8_t *equals = memchr(v.p, '=', pixi_cur_left(&v));

    (void)fault;
    return equals && equals != v.p && is_printable(v);
}

static bool check_signal(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    (void)fault;
    return starts(v, "SIG") && pixi_cur_left(&v) > 3 && is_of(v, "");
}

static bool check_inline(struct pixi_cur v, struct pixi_conf_fault *fault)
{
    (void)fault;
    return pixi_cur_equals(v, pixi_cur_str(PIXI_YAML_CUT));
}

static const char place[] = "an absolute path in the image such as /etc/motd, without . and ..";
static const char user_name[] = "a user's name: a lower-case letter, then such letters, digits and -";
static const char *const architectures[] = {"amd64", NULL};

#define ROW(type, name, ...)                                                                                 \
    {                                                                                                        \
        .path = #name, .offset = offsetof(struct type, name), __VA_ARGS__                                    \
    }
#define TEXT(lo, hi)  .kind = PIXI_CONF_STRING, .min = (lo), .max = (hi)
#define TEXTS(lo, hi) .kind = PIXI_CONF_STRINGS, .min = (lo), .max = (hi)
#define TABLE(name, list, type)                                                                              \
    static const struct pixi_conf_table name = {                                                             \
        .rows = list, .count = sizeof list / sizeof *list, .size = sizeof(struct type)}

static const struct pixi_conf_row file_rows[] = {
    ROW(pixi_image_file, source, TEXT(1, PATH_LEN_MAX), .expected = "the path of a file to copy"),
    ROW(pixi_image_file, content, TEXT(0, PIXI_YAML_FILE_MAX), .expected = "the file's text"),
    ROW(pixi_image_file, link, TEXT(1, PATH_LEN_MAX), .expected = "what a relative link leads to",
        .check = check_link),
    {.path = "directory", .offset = offsetof(struct pixi_image_file, is_directory), .kind = PIXI_CONF_BOOL},
    ROW(pixi_image_file, destination, TEXT(2, PATH_LEN_MAX), .flags = PIXI_CONF_REQUIRED | PIXI_CONF_UNIQUE,
        .expected = place, .check = check_place),
    ROW(pixi_image_file, mode, TEXT(4, 4), .expected = "four octal digits such as 0755", .check = check_mode),
    ROW(pixi_image_file, owner, TEXT(1, 65), .initial = "\"root\"",
        .expected = "USER or USER:GROUP, of the users of the image", .check = check_owner),
    ROW(pixi_image_file, everybody_gets_it, .kind = PIXI_CONF_BOOL),
};
TABLE(file_table, file_rows, pixi_image_file);

static const struct pixi_conf_row package_rows[] = {
    ROW(pixi_image_package, name, TEXT(2, 128), .flags = PIXI_CONF_REQUIRED | PIXI_CONF_UNIQUE,
        .expected = "the name of a Debian package that is installed here", .check = check_version),
    ROW(pixi_image_package, files, TEXTS(0, LIST_MAX), .initial = "[]",
        .expected = "the absolute path of a file of the package", .check = check_place),
};
TABLE(package_table, package_rows, pixi_image_package);

static const struct pixi_conf_row user_rows[] = {
    ROW(pixi_image_user, name, TEXT(1, 32), .flags = PIXI_CONF_REQUIRED | PIXI_CONF_UNIQUE,
        .expected = user_name, .check = check_user),
    ROW(pixi_image_user, uid, .flags = PIXI_CONF_REQUIRED, .kind = PIXI_CONF_UINT, .min = 1, .max = 65533,
        .expected = "a whole number, 1 .. 65533"),
    ROW(pixi_image_user, home, TEXT(2, PATH_LEN_MAX), .initial = "\"/nonexistent\"", .expected = place,
        .check = check_place),
    ROW(pixi_image_user, shell, TEXT(2, PATH_LEN_MAX), .initial = "\"/usr/sbin/nologin\"", .expected = place,
        .check = check_place),
};
TABLE(user_table, user_rows, pixi_image_user);

static const struct pixi_conf_row service_rows[] = {
    ROW(pixi_image_service, name, TEXT(1, 64), .flags = PIXI_CONF_REQUIRED | PIXI_CONF_UNIQUE,
        .expected = "lower-case letters, digits and -", .check = check_name),
    ROW(pixi_image_service, command, TEXTS(1, 64), .flags = PIXI_CONF_REQUIRED,
        .expected = "a word of the command"),
    ROW(pixi_image_service, user, TEXT(1, 32), .initial = "\"root\"", .expected = user_name,
        .check = check_user),
};
TABLE(service_table, service_rows, pixi_image_service);

#define D(name, ...)         ROW(pixi_image_desc, name, __VA_ARGS__)
#define LIST(list, table_of) .kind = PIXI_CONF_OBJECTS, .max = (list), .initial = "[]", .items = &table_of
#define WS(member, ...)                                                                                      \
    {                                                                                                        \
        .path = "websocket_settings." #member, .offset = offsetof(struct pixi_image_desc, ws.member),        \
        __VA_ARGS__                                                                                          \
    }

/* In the order of the schema and of docs/image.md. */
static const struct pixi_conf_row rows[] = {
    D(name, TEXT(1, 64), .expected = "lower-case letters, digits and -", .check = check_name),
    D(version, TEXT(1, 64), .expected = "a version such as \"1.0\": letters, digits, . _ + ~ -",
      .check = check_version),
    D(architecture, .kind = PIXI_CONF_ENUM, .initial = "\"amd64\"", .choices = architectures),
    D(base, TEXT(1, PATH_LEN_MAX), .initial = "\"none\"", .expected = "none, tar:FILE or oci:FOLDER",
      .check = check_base),
    D(kernel.package, TEXT(2, 128), .expected = "the name of a Debian kernel package",
      .check = check_version),
    D(kernel.modules, TEXTS(0, LIST_MAX), .initial = "[]", .expected = "a module's name such as virtio_net",
      .check = check_module),
    D(kernel.command_line, TEXT(0, 1024), .initial = "\"console=ttyS0 panic=-1 quiet\"",
      .expected = "one line of kernel parameters", .check = check_command_line),
    D(packages, LIST(LIST_MAX, package_table)),
    D(files, LIST(4096, file_table)),
    D(users, LIST(LIST_MAX, user_table)),
    D(services, LIST(LIST_MAX, service_table)),
    D(container.user, TEXT(1, 32), .initial = "\"root\"", .expected = user_name, .check = check_user),
    D(container.command, TEXTS(0, 64), .initial = "[]", .expected = "a word of the command"),
    D(container.health, TEXTS(0, 64), .initial = "[]", .expected = "a word of the command"),
    D(container.stop_signal, TEXT(4, 16), .initial = "\"SIGTERM\"", .expected = "a signal such as SIGTERM",
      .check = check_signal),
    D(container.labels, TEXTS(0, 64), .initial = "[]", .expected = "NAME=VALUE", .check = check_label),
    D(outputs, TEXTS(1, PIXI_IMAGE_OUTPUTS),
      .initial = "[\"rootfs\", \"oci\", \"initramfs\", \"sbom\", \"manifest\"]",
      .expected = "rootfs, oci, initramfs, sbom or manifest", .check = check_output),
    WS(settings, TEXT(0, PIXI_YAML_FILE_MAX), .expected = "the members of websocket_settings.json",
       .check = check_inline),
    WS(file, TEXT(1, PATH_LEN_MAX), .expected = "the path of a websocket_settings.json"),
    WS(destination, TEXT(2, PATH_LEN_MAX), .initial = "\"/config/websocket_settings.json\"",
       .expected = place, .check = check_place),
    WS(scripts, TEXTS(0, 64), .initial = "[]", .expected = "the path of a program or script"),
    WS(scripts_if_built, TEXTS(0, 64), .initial = "[]", .expected = "the path of a program or script"),
    WS(api_key.path, TEXT(2, PATH_LEN_MAX), .initial = "\"/run/pixi/api_key\"", .expected = place,
       .check = check_place),
    WS(api_key.from, TEXTS(0, 8),
       .initial = "[\"file:/run/secrets/pixi_api_key\", \"credential:pixi_api_key\", "
                  "\"fw_cfg:opt/pixi/api_key\"]",
       .expected = "file:/PATH, credential:NAME or fw_cfg:NAME", .check = check_key_source),
    WS(api_key.bake_in, TEXT(1, PATH_LEN_MAX), .expected = "the path of a file with the key"),
    WS(api_key.everybody_gets_it, .kind = PIXI_CONF_BOOL),
    WS(run_at_boot, TEXTS(0, 3), .initial = "[]", .expected = "daemon, listen or verify",
       .check = check_boot),
};

const struct pixi_conf_table pixi_image_table = {.rows = rows,
                                                 .count = sizeof rows / sizeof *rows,
                                                 .size = sizeof(struct pixi_image_desc),
                                                 .file_max = 2 * PIXI_YAML_FILE_MAX};
