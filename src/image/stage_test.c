#include "image/stage.h"
#include "invariants.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* How many renames go well before one fails; negative: all. It stands in for libc's. */
static int renames_left = -1;

int rename(const char *from, const char *to)
{
    if (renames_left == 0) {
        renames_left--;
        errno = EIO;
        return -1;
    }
    renames_left -= renames_left > 0;
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static char dir[64], out[128];

static int begin(void **state)
{
    (void)state;
    renames_left = -1;
    snprintf(dir, sizeof dir, "/tmp/stage_test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(out, sizeof out, "%s/a/b", dir);
    return 0;
}

static int end(void **state)
{
    char command[160];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void expect(const char *name, const char *text)
{
    char path[512], got[64] = "";
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", out, name);
    f = fopen(path, "r");
    assert_true(!f == !text);
    if (!f)
        return;
    assert_true(fgets(got, sizeof got, f) != NULL);
    assert_string_equal(got, text);
    fclose(f);
}

static size_t count_names(void)
{
    DIR *d = opendir(out);
    size_t count = 0;

    while (readdir(d))
        count++;
    closedir(d);
    return count - 2;
}

/* Two files and a folder with one, all with this text. */
static int stage_all(const char *text)
{
    struct pixi_stage s;
    char path[PIXI_STAGE_PATH], inner[PIXI_STAGE_PATH + 8];
    int rc = pixi_stage_open(&s, out, ".partial");

    assert_int_equal(rc, PIXI_OK);
    assert_true(pixi_stage_path(&s, "one", path));
    put(path, text);
    assert_true(pixi_stage_path(&s, "folder", path));
    mkdir(path, 0755);
    snprintf(inner, sizeof inner, "%s/in", path);
    put(inner, text);
    assert_true(pixi_stage_path(&s, "two", path));
    put(path, text);
    rc = pixi_stage_publish(&s);
    pixi_stage_close(&s);
    return rc;
}

static void expect_all(const char *text)
{
    expect("one", text);
    expect("folder/in", text);
    expect("two", text);
    assert_int_equal(count_names(), text ? 3 : 0);
}

static void test_new_and_replaced(void **state)
{
    (void)state;
    assert_int_equal(stage_all("first"), PIXI_OK);
    expect_all("first");
    assert_int_equal(stage_all("second"), PIXI_OK);
    expect_all("second");
}

/* Whichever rename fails, all of what was there is there. */
static void test_all_or_nothing(void **state)
{
    int failed = 0;

    (void)state;
    for (int n = 0; n < 3;
         n++) { /* nothing was there: a rename each that finds nothing, and one that moves */
        renames_left = 2 * n + 1;
        assert_int_equal(stage_all("first"), PIXI_E_SYS);
        expect_all(NULL);
    }
    renames_left = -1;
    assert_int_equal(stage_all("first"), PIXI_OK);
    for (int n = 0; n < 6; n++) {
        renames_left = n;
        failed += stage_all("second") == PIXI_E_SYS;
        expect_all("first");
    }
    assert_int_equal(failed, 6);
    renames_left = -1;
    assert_int_equal(stage_all("second"), PIXI_OK);
    expect_all("second");
}

static void test_nothing_published(void **state)
{
    struct pixi_stage s, other;
    char path[PIXI_STAGE_PATH];

    (void)state;
    assert_int_equal(pixi_stage_open(&s, out, ".partial"), PIXI_OK);
    assert_true(pixi_stage_path(&s, "one", path));
    put(path, "half");
    assert_int_equal(pixi_stage_open(&other, out, ".partial"), PIXI_E_SYS);
    assert_int_equal(errno, EWOULDBLOCK);
    pixi_stage_close(&other);
    assert_int_equal(access(path, F_OK), 0);
    pixi_stage_close(&s);
    assert_int_equal(count_names(), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_new_and_replaced), T(test_all_or_nothing),
                                       T(test_nothing_published)};

    return cmocka_run_group_tests_name("image/stage", tests, NULL, NULL);
}
