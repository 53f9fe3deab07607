#include "image/archive.h"
#include "image/unpack.h"
#include "invariants.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct pixi_image_tree tree, back;
static char dir[64], path[128], other[128];

static int begin(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/archive_test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a", dir);
    snprintf(other, sizeof other, "%s/b", dir);
    assert_int_equal(pixi_image_tree_init(&tree, dir), PIXI_OK);
    assert_int_equal(pixi_image_tree_init(&back, dir), PIXI_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    pixi_image_tree_clear(&tree);
    pixi_image_tree_clear(&back);
    unlink(path);
    unlink(other);
    return rmdir(dir);
}

static void add(struct pixi_image_new n)
{
    struct pixi_buf mistakes = pixi_buf_init(4096);

    n.origin = "a test";
    assert_int_equal(pixi_image_tree_add(&tree, &n, &mistakes), PIXI_OK);
    pixi_buf_clear(&mistakes);
}

static void fill(void)
{
    static char large[200001], deep[300] = "/deep";

    memset(large, 'x', sizeof large);
    memset(deep + 5, '/', 280);
    for (size_t i = 5; i < 280; i++)
        if (i % 20)
            deep[i] = 'd';
    deep[280] = 'e';
    deep[281] = 0;
    add((struct pixi_image_new){.path = "/empty", .mode = 0600, .uid = 990, .gid = 5});
    add((struct pixi_image_new){
        .path = "/large", .content = pixi_cur_init(large, sizeof large), .mode = 01755});
    add((struct pixi_image_new){.path = "/none", .mode = PIXI_IMAGE_EXACTLY});
    add((struct pixi_image_new){.path = "/d", .kind = PIXI_IMAGE_DIR, .mode = 01777, .uid = 4000000});
    add((struct pixi_image_new){.path = "/d/link", .kind = PIXI_IMAGE_LINK, .target = "../large"});
    add((struct pixi_image_new){.path = "/größe und so", .content = pixi_cur_str("ü")});
    add((struct pixi_image_new){.path = deep, .content = pixi_cur_str("deep")});
}

static void expect_equal(const struct pixi_image_tree *a, const struct pixi_image_tree *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct pixi_image_node *x = a->nodes[i], *y = b->nodes[i];

        assert_string_equal(x->path, y->path);
        assert_int_equal(x->kind, y->kind);
        assert_int_equal(x->mode, y->mode);
        assert_int_equal(x->uid, y->uid);
        assert_int_equal(x->gid, y->gid);
        assert_int_equal(x->size, y->size);
        assert_memory_equal(x->sha256, y->sha256, sizeof x->sha256);
        assert_true(!x->target == !y->target);
        if (x->target)
            assert_string_equal(x->target, y->target);
    }
}

static const struct pixi_image_archive ways[] = {
    {.format = PIXI_IMAGE_TAR, .time = 1767225600},
    {.format = PIXI_IMAGE_TAR, .packing = PIXI_IMAGE_GZIP, .time = 1},
    {.format = PIXI_IMAGE_CPIO, .packing = PIXI_IMAGE_GZIP, .time = UINT32_MAX},
    {.format = PIXI_IMAGE_CPIO, .packing = PIXI_IMAGE_ZSTD, .time = UINT32_MAX},
    {.format = PIXI_IMAGE_CPIO, .time = 0},
};

static void read_back(void)
{
    struct pixi_buf why = pixi_buf_init(4096);
    int rc = pixi_unpack(&back, path, PIXI_UNPACK_ROOT, &why);

    if (rc != PIXI_OK)
        fail_msg("%d: %.*s", rc, (int)why.len, (const char *)why.bytes);
    pixi_buf_clear(&why);
}

static void test_round_trip(void **state)
{
    struct pixi_image_written written;

    fill();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        assert_int_equal(pixi_image_archive_write(&tree, &ways[i], path, &written), PIXI_OK);
        read_back();
        expect_equal(&tree, &back);
        unlink(path);
        pixi_image_tree_clear(&back);
        assert_int_equal(pixi_image_tree_init(&back, dir), PIXI_OK);
    }
    (void)state;
}

static void expect_same_bytes(void)
{
    static uint8_t a[1 << 20], b[1 << 20];
    int x = open(path, O_RDONLY), y = open(other, O_RDONLY);
    ssize_t len = read(x, a, sizeof a);

    assert_true(len > 0 && len < (ssize_t)sizeof a);
    assert_int_equal(read(y, b, sizeof b), len);
    assert_memory_equal(a, b, (size_t)len);
    close(x);
    close(y);
}

static void test_same_tree_same_bytes(void **state)
{
    struct pixi_image_written first, second;

    (void)state;
    fill();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        assert_int_equal(pixi_image_archive_write(&tree, &ways[i], path, &first), PIXI_OK);
        assert_int_equal(pixi_image_archive_write(&tree, &ways[i], other, &second), PIXI_OK);
        assert_memory_equal(&first, &second, sizeof first);
        expect_same_bytes();
        assert_int_equal(memcmp(first.plain, first.packed, sizeof first.plain) == 0,
                         ways[i].packing != PIXI_IMAGE_GZIP);
        unlink(path);
        unlink(other);
    }
}

/* A layer has what is its own, and hides what it took away. */
static void test_layer(void **state)
{
    struct pixi_image_archive how = {.from = PIXI_IMAGE_IMPLIED};
    struct pixi_image_written written;
    struct pixi_buf why = pixi_buf_init(4096);

    (void)state;
    add((struct pixi_image_new){.path = "/etc/gone"});
    add((struct pixi_image_new){.path = "/etc/stays"});
    add((struct pixi_image_new){.path = "/var/all/of/it"});
    assert_int_equal(pixi_image_archive_write(&tree, &ways[0], path, &written), PIXI_OK);
    read_back();
    pixi_image_tree_end_base(&tree);
    pixi_image_tree_remove(&tree, "/etc/gone", PIXI_IMAGE_WITH_TOP);
    pixi_image_tree_remove(&tree, "/var/all", PIXI_IMAGE_WITH_TOP);
    add((struct pixi_image_new){.path = "/etc/new", .content = pixi_cur_str("new")});
    assert_int_equal(pixi_image_archive_write(&tree, &how, other, &written), PIXI_OK);
    assert_int_equal(pixi_unpack(&back, other, PIXI_UNPACK_LAYER, &why), PIXI_OK);
    expect_equal(&tree, &back);
    pixi_image_tree_clear(&back);
    assert_int_equal(pixi_image_tree_init(&back, dir), PIXI_OK);
    assert_int_equal(pixi_unpack(&back, other, PIXI_UNPACK_ROOT, &why), PIXI_OK);
    assert_null(pixi_image_tree_find(&back, "/etc/stays"));
    assert_non_null(pixi_image_tree_find(&back, "/etc/.wh.gone"));
    assert_non_null(pixi_image_tree_find(&back, "/var/.wh.all"));
    pixi_buf_clear(&why);
}

static void test_where(void **state)
{
    struct pixi_image_archive how = ways[0];
    struct pixi_image_written written;

    (void)state;
    add((struct pixi_image_new){.path = "/lib/module", .where = PIXI_IMAGE_INITRAMFS_ONLY});
    add((struct pixi_image_new){.path = "/bin/program"});
    assert_int_equal(pixi_image_archive_write(&tree, &how, path, &written), PIXI_OK);
    read_back();
    assert_null(pixi_image_tree_find(&back, "/lib"));
    assert_non_null(pixi_image_tree_find(&back, "/bin/program"));
    how.where = PIXI_IMAGE_INITRAMFS_ONLY;
    assert_int_equal(pixi_image_archive_write(&tree, &how, other, &written), PIXI_OK);
    rename(other, path);
    read_back();
    assert_non_null(pixi_image_tree_find(&back, "/lib/module"));
}

/* However many bytes can be written, fewer than all of them are an error of the system, and not a short archive. */
static void test_full_disk(void **state)
{
    struct rlimit kept, limit;
    struct pixi_image_written written;

    (void)state;
    fill();
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &kept);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        assert_int_equal(pixi_image_archive_write(&tree, &ways[i], path, &written), PIXI_OK);
        unlink(path);
        for (uint64_t left = 0; left < written.size; left += 1 + written.size / 7) {
            limit = (struct rlimit){left, kept.rlim_max};
            setrlimit(RLIMIT_FSIZE, &limit);
            assert_int_equal(
                pixi_image_archive_write(&tree, &ways[i], path, &(struct pixi_image_written){.size = 0}),
                PIXI_E_SYS);
            assert_int_equal(errno, EFBIG);
            setrlimit(RLIMIT_FSIZE, &kept);
            unlink(path);
        }
    }
}

static void test_cut_short(void **state)
{
    struct pixi_image_written written;
    struct pixi_buf why = pixi_buf_init(1 << 16);
    int rc;

    (void)state;
    fill();
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pixi_image_archive_write(&tree, &ways[i], path, &written), PIXI_OK);
        for (uint64_t len = written.size / 2; len > 100; len = len / 2 + 7) {
            assert_int_equal(truncate(path, (off_t)len), 0);
            pixi_buf_reset(&why);
            pixi_image_tree_clear(&back);
            assert_int_equal(pixi_image_tree_init(&back, dir), PIXI_OK);
            rc = pixi_unpack(&back, path, PIXI_UNPACK_ROOT, &why);
            assert_true(rc == PIXI_E_SETTINGS && why.len > 0);
        }
        unlink(path);
    }
    pixi_buf_clear(&why);
}

/* One byte wrong, anywhere: it is refused, or what is read is a tree like any other. */
static void test_damaged(void **state)
{
    struct pixi_image_written written;
    struct pixi_buf why = pixi_buf_init(1 << 16);
    unsigned seed = 11;
    uint8_t byte;
    int rc, fd;

    (void)state;
    fill();
    assert_int_equal(pixi_image_archive_write(&tree, &ways[0], path, &written), PIXI_OK);
    fd = open(path, O_RDWR);
    for (int i = 0; i < 1500; i++) {
        seed = seed * 1103515245 + 12345;
        /* most of it is one large file: half of the damage goes to the heads before and after that */
        off_t at = (off_t)((seed >> 8) % (i % 2 ? written.size : 4096));

        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= (uint8_t)(1u << (seed >> 4) % 8);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        pixi_buf_reset(&why);
        pixi_image_tree_clear(&back);
        assert_int_equal(pixi_image_tree_init(&back, dir), PIXI_OK);
        rc = pixi_unpack(&back, path, i % 3 ? PIXI_UNPACK_ROOT : PIXI_UNPACK_LAYER, &why);
        assert_true(rc == PIXI_OK || (rc == PIXI_E_SETTINGS && why.len > 0));
        for (size_t k = 0; k < back.count; k++)
            assert_true(*back.nodes[k]->path == '/' && !strstr(back.nodes[k]->path, "/../"));
        byte ^= (uint8_t)(1u << (seed >> 4) % 8);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    pixi_buf_clear(&why);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_round_trip), T(test_same_tree_same_bytes),
        T(test_layer),      T(test_where),
        T(test_full_disk),  T(test_cut_short),
        T(test_damaged),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests_name("image/archive", tests, NULL, NULL);
}
