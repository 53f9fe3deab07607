#include "base/file.h"
#include "invariants.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* How many calls of each go well before one fails; negative: all. These stand in for libc's. */
static int writes_left = -1, syncs_left = -1;
static size_t write_max = SIZE_MAX;

static bool is_due(int *left)
{
    if (*left < 0)
        return false;
    return (*left)-- == 0;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    if (is_due(&writes_left)) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, len < write_max ? len : write_max);
}

int fsync(int fd)
{
    if (is_due(&syncs_left)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static char dir[64], path[128], other[128];

static int set_up(void **state)
{
    (void)state;
    writes_left = syncs_left = -1;
    write_max = SIZE_MAX;
    strcpy(dir, "/tmp/pixi_file_XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/a", dir);
    snprintf(other, sizeof other, "%s/b", dir);
    return 0;
}

static size_t count_files(void)
{
    DIR *d = opendir(dir);
    size_t count = 0;

    assert_non_null(d);
    while (readdir(d))
        count++;
    closedir(d);
    return count - 2;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void assert_holds(const char *want)
{
    struct pixi_buf b = pixi_buf_init(4096);

    assert_int_equal(pixi_file_read(path, &b, NULL), PIXI_OK);
    assert_int_equal(b.len, strlen(want));
    assert_memory_equal(b.len ? b.bytes : (const uint8_t *)"", want, b.len);
    pixi_file_wipe(&b);
}

static int put(const char *text, enum pixi_file_over over)
{
    return pixi_file_write(path, pixi_cur_str(text), over);
}

static void test_written_is_read(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(put("first", PIXI_FILE_NEW), PIXI_OK);
    assert_holds("first");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(put("", PIXI_FILE_REPLACE), PIXI_OK);
    assert_holds("");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(count_files(), 1);
}

static void test_new_never_replaces(void **state)
{
    (void)state;
    assert_int_equal(put("mine", PIXI_FILE_NEW), PIXI_OK);
    assert_int_equal(put("yours", PIXI_FILE_NEW), PIXI_E_SYS);
    assert_int_equal(errno, EEXIST);
    assert_holds("mine");
    assert_int_equal(count_files(), 1);
}

static void test_link_is_followed(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(pixi_file_write(other, pixi_cur_str("x"), PIXI_FILE_NEW), PIXI_OK);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(put("y", PIXI_FILE_REPLACE), PIXI_OK);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_holds("y");
}

static void test_owner_is_kept(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(put("x", PIXI_FILE_NEW), PIXI_OK);
    if (chown(path, 12345, 12345) != 0) /* not root: then it is ours before and after */
        return;
    assert_int_equal(put("y", PIXI_FILE_REPLACE), PIXI_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 12345);
}

/* The nth write and the nth fsync fail: the old content stays, whole, and no temporary file. */
static void test_failures_leave_the_old_file(void **state)
{
    static const char old[] = "old content", new[] = "new content, and longer";

    (void)state;
    assert_int_equal(put(old, PIXI_FILE_NEW), PIXI_OK);
    write_max = 5;
    for (int n = 0; n < 5; n++) {
        writes_left = n;
        assert_int_equal(put(new, PIXI_FILE_REPLACE), PIXI_E_SYS);
        assert_int_equal(errno, ENOSPC);
        assert_holds(old);
        assert_int_equal(count_files(), 1);
    }
    writes_left = -1;
    syncs_left = 0;
    assert_int_equal(put(new, PIXI_FILE_REPLACE), PIXI_E_SYS);
    assert_int_equal(errno, EIO);
    assert_holds(old);
    syncs_left = 1; /* the folder's: the file is new, but that is not promised */
    assert_int_equal(put(new, PIXI_FILE_REPLACE), PIXI_E_SYS);
    assert_holds(new);
    assert_int_equal(count_files(), 1);
}

static void assert_found(const char *at, size_t max, const char *want)
{
    struct pixi_buf b = pixi_buf_init(max);
    int rc = pixi_file_read(at, &b, NULL);

    assert_true(rc < 0);
    assert_string_equal(pixi_file_found(rc), want);
    assert_int_equal(b.len, 0);
    pixi_buf_clear(&b);
}

static void test_what_is_no_file_is_told(void **state)
{
    (void)state;
    assert_found(path, 100, "no file");
    assert_found("/dev/null/x", 100, "no file");
    assert_found(dir, 100, "a folder");
    assert_found("/dev/null", 100, "something that is not a regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_found(path, 100, "something that is not a regular file"); /* and does not wait for a writer */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(put("12345", PIXI_FILE_NEW), PIXI_OK);
    assert_found(path, 5, "a file that is too large");
    assert_found("/proc/self/status", 1 << 16, "a file that changed while it was read");
}

static void test_mode_is_told(void **state)
{
    struct pixi_buf b = pixi_buf_init(100);
    unsigned mode = 0;

    (void)state;
    assert_int_equal(put("x", PIXI_FILE_NEW), PIXI_OK);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(pixi_file_read(path, &b, &mode), PIXI_OK);
    assert_int_equal(mode, 0640);
    assert_true(pixi_file_is_open_to_others(mode));
    assert_false(pixi_file_is_open_to_others(0700));
    pixi_buf_clear(&b);
}

static void test_dir_of_a_path(void **state)
{
    (void)state;
    assert_int_equal(pixi_file_dir("a"), 0);
    assert_int_equal(pixi_file_dir("/a"), 1);
    assert_int_equal(pixi_file_dir("b/c/a"), 4);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_written_is_read),
        TEST(test_new_never_replaces),
        TEST(test_link_is_followed),
        TEST(test_owner_is_kept),
        TEST(test_failures_leave_the_old_file),
        TEST(test_what_is_no_file_is_told),
        TEST(test_mode_is_told),
        TEST(test_dir_of_a_path),
    };

    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
