#include "image/guest.h"
#include "invariants.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SETTINGS "websocket_settings:\n  settings: {url: 'ws://10.0.2.2:8768/'}\n"
#define MACHINE                                                                                              \
    "name: x\nversion: '1'\nkernel: {package: kernel}\nusers: [{name: pixi, uid: 990}]\n" SETTINGS           \
    "  run_at_boot: [daemon, listen]\n"

static struct pixi_image_desc desc;
static struct pixi_image_tree tree;
static struct pixi_buf mistakes;

static int check_settings(const char *name, struct pixi_cur text, struct pixi_image_settings_facts *out,
                          struct pixi_buf *lines)
{
    (void)name, (void)text, (void)lines;
    *out = (struct pixi_image_settings_facts){0};
    return PIXI_OK;
}

static int begin(void **state)
{
    (void)state;
    mistakes = pixi_buf_init(1 << 16);
    desc = (struct pixi_image_desc){0};
    return pixi_image_tree_init(&tree, "/tmp");
}

static int end(void **state)
{
    (void)state;
    pixi_image_desc_clear(&desc);
    pixi_image_tree_clear(&tree);
    pixi_buf_clear(&mistakes);
    return 0;
}

static void describe(const char *yaml)
{
    static char path[64]; /* borrowed by the description */
    int fd;

    snprintf(path, sizeof path, "/tmp/guest_test_XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, yaml, strlen(yaml)) == (ssize_t)strlen(yaml));
    close(fd);
    if (pixi_image_desc_load(&desc, path, check_settings, &mistakes) != PIXI_OK)
        fail_msg("%.*s", (int)mistakes.len, (const char *)mistakes.bytes);
    unlink(path);
}

static void put(const char *path)
{
    assert_int_equal(
        pixi_image_tree_add(&tree, &(struct pixi_image_new){.path = path, .mode = 0755, .origin = "a test"},
                            &mistakes),
        PIXI_OK);
}

static void put_programs(void)
{
    put("/bin/busybox");
    put("/usr/bin/pixi-ws-client");
}

static int add_guest(void)
{
    return pixi_image_guest_add(&desc, &tree, &mistakes);
}

static const char *text_of(const char *path)
{
    static char text[65536];
    struct pixi_buf b = pixi_buf_init(sizeof text - 1);
    const struct pixi_image_node *n = pixi_image_tree_find(&tree, path);

    assert_non_null(n);
    assert_int_equal(pixi_image_tree_contents(&tree, n, &b), PIXI_OK);
    snprintf(text, sizeof text, "%.*s", (int)b.len, b.len ? (const char *)b.bytes : "");
    pixi_buf_clear(&b);
    return text;
}

static bool is_told(const char *text)
{
    return mistakes.len && memmem(mistakes.bytes, mistakes.len, text, strlen(text));
}

static void nothing_asked_for_adds_nothing(void **state)
{
    (void)state;
    describe("name: x\nversion: '1'\n");
    assert_int_equal(add_guest(), PIXI_OK);
    assert_int_equal(tree.count, 0);
}

static void a_machine_has_init_and_its_services(void **state)
{
    const struct pixi_image_node *n;

    (void)state;
    describe(MACHINE "services: [{name: clock, command: [it's, 'a b'], user: pixi}]\n");
    put_programs();
    assert_int_equal(add_guest(), PIXI_OK);
    n = pixi_image_tree_find(&tree, "/init");
    assert_non_null(n);
    assert_string_equal(n->target, "bin/busybox");
    assert_int_equal(n->where, PIXI_IMAGE_INITRAMFS_ONLY);
    assert_string_equal(text_of("/etc/inittab"), "::sysinit:/usr/lib/pixi/boot\n"
                                                 "::respawn:/usr/lib/pixi/service clock\n"
                                                 "::respawn:/usr/lib/pixi/service daemon\n"
                                                 "::respawn:/usr/lib/pixi/service listen\n"
                                                 "::respawn:/usr/lib/pixi/logs\n"
                                                 "::once:/usr/lib/pixi/report\n"
                                                 "::shutdown:/usr/lib/pixi/stop\n"
                                                 "::ctrlaltdel:/bin/busybox reboot\n");
    assert_string_equal(text_of("/etc/pixi/services/clock"),
                        "SERVICE_USER='pixi'\nset -- 'it'\\''s' 'a b'\n");
    assert_string_equal(text_of("/etc/pixi/services/daemon"),
                        "SERVICE_USER='pixi'\nset -- 'pixi-ws-client' 'daemon'\n");
    assert_string_equal(text_of("/etc/pixi/services/listen"),
                        "SERVICE_USER='pixi'\nset -- 'pixi-ws-client' 'listen' '--retry'\n");
    n = pixi_image_tree_find(&tree, "/usr/lib/pixi/boot");
    assert_true(n && n->mode == 0755);
    n = pixi_image_tree_find(&tree, "/run/pixi-ws");
    assert_true(n && n->kind == PIXI_IMAGE_DIR && n->mode == 0755 && n->uid == 990 && n->gid == 990);
    n = pixi_image_tree_find(&tree, "/var/lib/pixi-ws-client");
    assert_true(n && n->kind == PIXI_IMAGE_DIR && n->mode == 0700 && n->uid == 990);
    n = pixi_image_tree_find(&tree, "/run/pixi");
    assert_true(n && n->kind == PIXI_IMAGE_DIR && n->mode == 01777);
    assert_non_null(strstr(text_of("/etc/pixi/guest.conf"), "PIXI_KEY_FOLDER='/run/pixi'\n"));
    assert_non_null(strstr(text_of("/etc/pixi/guest.conf"),
                           "PIXI_KEY_FROM='file:/run/secrets/pixi_api_key credential:pixi_api_key "
                           "fw_cfg:opt/pixi/api_key'\n"));
}

static void a_container_has_no_init(void **state)
{
    (void)state;
    describe("name: x\nversion: '1'\ncontainer: {command: [sleep]}\n");
    put("/bin/sh");
    assert_int_equal(add_guest(), PIXI_OK);
    assert_non_null(pixi_image_tree_find(&tree, PIXI_IMAGE_ENTRY));
    assert_non_null(pixi_image_tree_find(&tree, "/usr/lib/pixi/key"));
    assert_null(pixi_image_tree_find(&tree, "/usr/lib/pixi/boot"));
    assert_null(pixi_image_tree_find(&tree, "/etc/inittab"));
    assert_null(pixi_image_tree_find(&tree, "/bin/ls"));
}

static void what_the_base_has_stays_but_its_services(void **state)
{
    (void)state;
    describe(MACHINE);
    put("/bin/ls");
    put("/etc/pixi/services/old");
    tree.nodes[0]->layer = PIXI_IMAGE_OF_BASE;
    for (size_t i = 0; i < tree.count; i++)
        tree.nodes[i]->layer = PIXI_IMAGE_OF_BASE;
    pixi_image_tree_end_base(&tree);
    put_programs();
    assert_int_equal(add_guest(), PIXI_OK);
    assert_int_equal(pixi_image_tree_find(&tree, "/bin/ls")->kind, PIXI_IMAGE_FILE);
    assert_null(pixi_image_tree_find(&tree, "/etc/pixi/services/old"));
    assert_non_null(pixi_image_tree_find(&tree, "/etc/pixi/services/listen"));
}

static void what_is_missing_is_told_at_its_place(void **state)
{
    (void)state;
    describe(MACHINE);
    assert_int_equal(add_guest(), PIXI_E_SETTINGS);
    assert_true(is_told(":3:") && is_told("found no /bin/busybox in the image"));
    assert_true(is_told(":7:") && is_told("found no /usr/bin/pixi-ws-client in the image"));
}

static void a_folder_that_others_use_is_not_taken(void **state)
{
    (void)state;
    describe(MACHINE "  api_key: {path: /run/key}\n");
    assert_int_equal(pixi_image_tree_add(
                         &tree,
                         &(struct pixi_image_new){.path = "/run", .kind = PIXI_IMAGE_DIR, .origin = "a test"},
                         &mistakes),
                     PIXI_OK);
    put_programs();
    assert_int_equal(add_guest(), PIXI_OK);
    assert_non_null(strstr(text_of("/etc/pixi/guest.conf"), "PIXI_KEY_FOLDER=''\n"));
    assert_int_equal(pixi_image_tree_find(&tree, "/run")->mode, 0755);
}

static void a_second_service_of_that_name_is_refused(void **state)
{
    (void)state;
    describe(MACHINE "services: [{name: listen, command: [a]}, {name: daemon, command: [a]}]\n");
    put_programs();
    assert_int_equal(add_guest(), PIXI_E_SETTINGS);
    assert_true(is_told("services[0]: found the name \"listen\""));
    assert_true(is_told("services[1]: found the name \"daemon\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_asked_for_adds_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_machine_has_init_and_its_services, begin, end),
        cmocka_unit_test_setup_teardown(a_container_has_no_init, begin, end),
        cmocka_unit_test_setup_teardown(what_the_base_has_stays_but_its_services, begin, end),
        cmocka_unit_test_setup_teardown(what_is_missing_is_told_at_its_place, begin, end),
        cmocka_unit_test_setup_teardown(a_folder_that_others_use_is_not_taken, begin, end),
        cmocka_unit_test_setup_teardown(a_second_service_of_that_name_is_refused, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
