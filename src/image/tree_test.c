#include "image/tree.h"
#include "invariants.h"

#include <errno.h>
#include <sys/stat.h>

static struct pixi_image_tree tree;
static struct pixi_buf mistakes;

static int begin(void **state)
{
    (void)state;
    mistakes = pixi_buf_init(1 << 16);
    return pixi_image_tree_init(&tree, "/tmp");
}

static int end(void **state)
{
    (void)state;
    pixi_image_tree_clear(&tree);
    pixi_buf_clear(&mistakes);
    return 0;
}

static int add_file(const char *path, const char *text, const char *origin)
{
    return pixi_image_tree_add(
        &tree, &(struct pixi_image_new){.path = path, .content = pixi_cur_str(text), .origin = origin},
        &mistakes);
}

static int add_dir(const char *path, unsigned mode, const char *origin)
{
    return pixi_image_tree_add(
        &tree, &(struct pixi_image_new){.path = path, .kind = PIXI_IMAGE_DIR, .mode = mode, .origin = origin},
        &mistakes);
}

static int add_link(const char *path, const char *target, const char *origin)
{
    return pixi_image_tree_add(
        &tree,
        &(struct pixi_image_new){.path = path, .kind = PIXI_IMAGE_LINK, .target = target, .origin = origin},
        &mistakes);
}

/* Every path is sorted after the one before, and its folder is a folder that is there. */
static void check_shape(void)
{
    char folder[PIXI_IMAGE_PATH_MAX + 1];
    const struct pixi_image_node *n;

    for (size_t i = 0; i < tree.count; i++) {
        assert_true(i == 0 || strcmp(tree.nodes[i - 1]->path, tree.nodes[i]->path) < 0);
        snprintf(folder, sizeof folder, "%s", tree.nodes[i]->path);
        *strrchr(folder, '/') = 0;
        if (!*folder)
            continue;
        n = pixi_image_tree_find(&tree, folder);
        assert_non_null(n);
        assert_string_equal(n->path, folder);
        assert_int_equal(n->kind, PIXI_IMAGE_DIR);
        assert_true(n->where <= tree.nodes[i]->where);
    }
}

static void expect_mistake(const char *text)
{
    pixi_buf_put(&mistakes, "", 1);
    if (!strstr((const char *)mistakes.bytes, text))
        fail_msg("no \"%s\" in \"%s\"", text, (const char *)mistakes.bytes);
    pixi_buf_reset(&mistakes);
}

static void expect_contents(const char *path, const char *text)
{
    struct pixi_buf b = pixi_buf_init(1 << 16);
    const struct pixi_image_node *n = pixi_image_tree_follow(&tree, path);

    assert_non_null(n);
    assert_int_equal(pixi_image_tree_contents(&tree, n, &b), PIXI_OK);
    assert_true(pixi_cur_equals(pixi_buf_cur(&b), pixi_cur_str(text)));
    pixi_buf_clear(&b);
}

/* Whatever is added, in whatever order: the shape holds, and every file has its own contents. */
static void test_any_order(void **state)
{
    unsigned seed = 7;
    char path[64];

    (void)state;
    for (int i = 0; i < 400; i++) {
        seed = seed * 1103515245 + 12345;
        snprintf(path, sizeof path, "/%c/%c-%u/f%d", 'a' + seed % 5, 'a' + (seed >> 8) % 5, (seed >> 16) % 3,
                 i);
        assert_int_equal(add_file(path, path, "a test"), PIXI_OK);
        check_shape();
    }
    for (size_t i = 0; i < tree.count; i++)
        if (tree.nodes[i]->kind == PIXI_IMAGE_FILE)
            expect_contents(tree.nodes[i]->path, tree.nodes[i]->path);
}

static void test_hash(void **state)
{
    char hex[PIXI_SHA256_HEX];

    (void)state;
    assert_int_equal(add_file("/a", "abc", "a test"), PIXI_OK); /* FIPS 180-4's example */
    pixi_image_hex(pixi_image_tree_find(&tree, "/a")->sha256, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_taken_by_both(void **state)
{
    (void)state;
    pixi_image_tree_end_base(&tree);
    assert_int_equal(add_file("/etc/motd", "a", "files[0]"), PIXI_OK);
    assert_int_equal(add_file("/etc/motd", "b", "files[3]"), PIXI_E_SETTINGS);
    expect_mistake(
        "files[3]: /etc/motd: found this destination a second time, first from files[0], expected it once");
    expect_contents("/etc/motd", "a");
    assert_int_equal(add_dir("/etc/motd", 0, "files[4]"), PIXI_E_SETTINGS);
    expect_mistake("files[4]: /etc/motd: found a file there already, from files[0]");
    assert_int_equal(add_file("/etc", "b", "files[5]"), PIXI_E_SETTINGS);
    expect_mistake("files[5]: /etc: found a folder there already, from files[0]");
    assert_int_equal(add_file("/etc/motd/x", "b", "files[6]"), PIXI_E_SETTINGS);
    expect_mistake("found that /etc/motd is a file, not a folder (from files[0])");
    check_shape();
}

static void test_unless_there(void **state)
{
    (void)state;
    pixi_image_tree_end_base(&tree);
    assert_int_equal(add_file("/lib/x.so", "a", "files[0]"), PIXI_OK);
    assert_int_equal(pixi_image_tree_add(&tree,
                                         &(struct pixi_image_new){.path = "/lib/x.so",
                                                                  .content = pixi_cur_str("b"),
                                                                  .origin = "libraries",
                                                                  .if_there = PIXI_IMAGE_UNLESS_THERE},
                                         &mistakes),
                     PIXI_OK);
    expect_contents("/lib/x.so", "a");
}

/* A folder that came by itself may be described later, once. */
static void test_implied_folder(void **state)
{
    (void)state;
    pixi_image_tree_end_base(&tree);
    assert_int_equal(add_file("/home/pixi/x", "", "files[0]"), PIXI_OK);
    assert_int_equal(pixi_image_tree_find(&tree, "/home/pixi")->layer, PIXI_IMAGE_IMPLIED);
    assert_int_equal(add_dir("/home/pixi", 0700, "files[1]"), PIXI_OK);
    assert_int_equal(pixi_image_tree_find(&tree, "/home/pixi")->mode, 0700);
    assert_int_equal(add_dir("/home/pixi", 0711, "files[2]"), PIXI_E_SETTINGS);
    expect_mistake("first from files[1]");
}

static void test_links_inside(void **state)
{
    (void)state;
    pixi_image_tree_end_base(&tree);
    assert_int_equal(add_link("/bin", "usr/bin", "the layout"), PIXI_OK);
    assert_int_equal(add_file("/bin/sh", "sh", "files[0]"), PIXI_OK);
    assert_string_equal(pixi_image_tree_find(&tree, "/bin/sh")->path, "/usr/bin/sh");
    assert_int_equal(add_file("/usr/bin/sh", "other", "files[1]"), PIXI_E_SETTINGS);
    expect_mistake("first from files[0]");
    assert_int_equal(add_link("/usr/local/bin/sh", "../../bin/sh", "files[2]"), PIXI_OK);
    expect_contents("/usr/local/bin/sh", "sh");
    assert_string_equal(pixi_image_tree_find(&tree, "/usr/local/bin/sh")->target, "../../bin/sh");
    assert_int_equal(add_dir("/bin", 0, "files[3]"), PIXI_E_SETTINGS);
    expect_mistake("found a link to usr/bin there already, from the layout");
    check_shape();
}

static const struct {
    const char *path, *target, *mistake;
} escapes[] = {
    {"/a/../../b", NULL, "found a path with . or .. in it"},
    {"/a/./b", NULL, "found a path with . or .. in it"},
    {"/..", NULL, "found a path with . or .. in it"},
    {"relative", NULL, "expected an absolute path"},
    {"/", NULL, "found no place in the image"},
    {"", NULL, "found no place in the image"},
    {"/l", "/etc", "leads out of the root"},
    {"/l", "..", "leads out of the root"},
    {"/a/l", "../../etc", "leads out of the root"},
    {"/a/l", "b/../../../etc", "leads out of the root"},
    {"/l", "", "found a link to nothing"},
};

static void test_escapes(void **state)
{
    int rc;

    (void)state;
    pixi_image_tree_end_base(&tree);
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        rc = escapes[i].target ? add_link(escapes[i].path, escapes[i].target, "a test")
                               : add_file(escapes[i].path, "", "a test");
        assert_int_equal(rc, PIXI_E_SETTINGS);
        expect_mistake(escapes[i].mistake);
        assert_int_equal(tree.count, 0);
    }
}

/* A base may have links that lead anywhere: through them, nothing gets out. */
static void test_links_of_a_base(void **state)
{
    (void)state;
    assert_int_equal(add_link("/absolute", "/etc", "the base"), PIXI_OK);
    assert_int_equal(add_link("/out", "../../etc", "the base"), PIXI_OK);
    assert_int_equal(add_link("/loop", "loop", "the base"), PIXI_OK);
    pixi_image_tree_end_base(&tree);
    assert_int_equal(add_file("/absolute/x", "x", "files[0]"), PIXI_OK);
    assert_string_equal(pixi_image_tree_find(&tree, "/absolute/x")->path, "/etc/x");
    assert_int_equal(add_file("/out/x", "x", "files[1]"), PIXI_E_SETTINGS);
    expect_mistake("found that /out leads out of the root (from the base)");
    assert_int_equal(add_file("/loop/x", "x", "files[2]"), PIXI_E_SETTINGS);
    expect_mistake("found that /loop leads through too many links (from the base)");
    check_shape();
}

static void test_over_a_base(void **state)
{
    (void)state;
    assert_int_equal(add_file("/etc/same", "same", "the base"), PIXI_OK);
    assert_int_equal(add_file("/etc/changed", "old", "the base"), PIXI_OK);
    assert_int_equal(add_link("/etc/link", "same", "the base"), PIXI_OK);
    pixi_image_tree_end_base(&tree);
    assert_int_equal(add_file("/etc/same", "same", "files[0]"), PIXI_OK);
    assert_int_equal(add_file("/etc/changed", "new", "files[1]"), PIXI_OK);
    assert_int_equal(add_file("/etc/link", "own", "files[2]"), PIXI_OK);
    assert_int_equal(pixi_image_tree_find(&tree, "/etc/same")->layer, PIXI_IMAGE_OF_BASE);
    assert_int_equal(pixi_image_tree_find(&tree, "/etc/changed")->layer, PIXI_IMAGE_OWN);
    assert_int_equal(pixi_image_tree_find(&tree, "/etc")->layer, PIXI_IMAGE_OF_BASE);
    expect_contents("/etc/changed", "new");
    expect_contents("/etc/link", "own");
    expect_contents("/etc/same", "same");
}

static void test_remove(void **state)
{
    (void)state;
    add_file("/a/b", "", "a test");
    add_file("/a-b", "", "a test");
    add_file("/a/c/d", "", "a test");
    pixi_image_tree_remove(&tree, "/a/c", PIXI_IMAGE_WITH_TOP);
    assert_null(pixi_image_tree_find(&tree, "/a/c"));
    pixi_image_tree_remove(&tree, "/a", PIXI_IMAGE_BELOW);
    assert_null(pixi_image_tree_find(&tree, "/a/b"));
    assert_non_null(pixi_image_tree_find(&tree, "/a"));
    assert_non_null(pixi_image_tree_find(&tree, "/a-b"));
    check_shape();
}

/* What was taken away hides the base's; what comes back as it was, does not. */
static void test_taken_away(void **state)
{
    const char *path;

    (void)state;
    add_file("/etc/same", "same", "the base");
    add_file("/etc/other", "old", "the base");
    add_file("/etc/gone", "", "the base");
    pixi_image_tree_end_base(&tree);
    pixi_image_tree_remove(&tree, "/etc", PIXI_IMAGE_BELOW);
    assert_int_equal(tree.count, 1);
    assert_int_equal(add_file("/etc/same", "same", "files[0]"), PIXI_OK);
    assert_int_equal(add_file("/etc/other", "new", "files[1]"), PIXI_OK);
    assert_int_equal(pixi_image_tree_find(&tree, "/etc/same")->layer, PIXI_IMAGE_OF_BASE);
    assert_int_equal(pixi_image_tree_find(&tree, "/etc/other")->layer, PIXI_IMAGE_OWN);
    assert_int_equal(pixi_image_tree_removed(&tree), 3);
    for (size_t i = 0; i < 3; i++) {
        bool is_hidden = pixi_image_tree_is_hidden(&tree, i, &path);

        assert_int_equal(is_hidden, strcmp(path, "/etc/gone") == 0);
    }
}

/* A folder of something that is wanted everywhere is wanted everywhere. */
static void test_where(void **state)
{
    struct pixi_image_new n = {
        .path = "/lib/modules/x", .where = PIXI_IMAGE_INITRAMFS_ONLY, .origin = "a test"};

    (void)state;
    assert_int_equal(pixi_image_tree_add(&tree, &n, &mistakes), PIXI_OK);
    assert_int_equal(pixi_image_tree_find(&tree, "/lib")->where, PIXI_IMAGE_INITRAMFS_ONLY);
    assert_int_equal(add_file("/lib/y", "", "a test"), PIXI_OK);
    assert_int_equal(pixi_image_tree_find(&tree, "/lib")->where, PIXI_IMAGE_EVERYWHERE);
    assert_int_equal(pixi_image_tree_find(&tree, "/lib/modules")->where, PIXI_IMAGE_INITRAMFS_ONLY);
    check_shape();
}

static void test_sources(void **state)
{
    struct pixi_image_new n = {.path = "/x", .origin = "a test", .source = "/proc/self/exe"};

    (void)state;
    assert_int_equal(pixi_image_tree_add(&tree, &n, &mistakes), PIXI_OK);
    assert_int_equal(pixi_image_tree_find(&tree, "/x")->mode, 0755);
    assert_true(pixi_image_tree_find(&tree, "/x")->size > 1000);
    n.path = "/y";
    n.source = "/tmp";
    assert_int_equal(pixi_image_tree_add(&tree, &n, &mistakes), PIXI_E_SETTINGS);
    expect_mistake("a test: /y: found a folder at /tmp, expected a regular file");
    n.source = "/dev/null";
    assert_int_equal(pixi_image_tree_add(&tree, &n, &mistakes), PIXI_E_SETTINGS);
    expect_mistake("found a device, socket or pipe at /dev/null");
    n.source = "/tmp/there is no such file";
    assert_int_equal(pixi_image_tree_add(&tree, &n, &mistakes), PIXI_E_SETTINGS);
    expect_mistake("found no file at /tmp/there is no such file");
    assert_null(pixi_image_tree_find(&tree, "/y"));
}

static ssize_t fail_to_read(void *context, void *out, size_t len)
{
    (void)context, (void)out, (void)len;
    errno = EIO;
    return -1;
}

static void test_unreadable(void **state)
{
    struct pixi_image_new n = {.path = "/a/x", .origin = "a test", .read = fail_to_read};

    (void)state;
    assert_int_equal(pixi_image_tree_add(&tree, &n, &mistakes), PIXI_E_SYS);
    assert_int_equal(errno, EIO);
    assert_int_equal(tree.count, 0);
}

static void test_long_paths(void **state)
{
    char path[2048];

    (void)state;
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[300] = 0;
    assert_int_equal(add_file(path, "", "a test"), PIXI_E_SETTINGS);
    for (size_t i = 0; i < sizeof path; i += 100)
        path[i] = '/';
    path[300] = 'a';
    path[PIXI_IMAGE_PATH_MAX] = 0;
    assert_int_equal(add_file(path, "", "a test"), PIXI_OK);
    check_shape();
    path[PIXI_IMAGE_PATH_MAX] = 'a';
    path[PIXI_IMAGE_PATH_MAX + 1] = 0;
    assert_int_equal(add_file(path, "", "a test"), PIXI_E_SETTINGS);
    expect_mistake("is longer than a path may be");
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_any_order),      T(test_hash),         T(test_taken_by_both), T(test_unless_there),
        T(test_implied_folder), T(test_links_inside), T(test_escapes),       T(test_links_of_a_base),
        T(test_over_a_base),    T(test_remove),       T(test_taken_away),    T(test_where),
        T(test_sources),        T(test_unreadable),   T(test_long_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
