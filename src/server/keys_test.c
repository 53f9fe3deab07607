#include "server/keys.h"
#include "invariants.h"

#include <sys/stat.h>
#include <sys/wait.h>

static char dir[64], path[128];
static struct pixi_buf mistakes;

static void write_file(const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int add(const char *name, const char *publish, const char *subscribe, char key[PIXI_KEYS_TEXT])
{
    struct pixi_cur out[1], in[1];
    struct pixi_key_new new = {.name = name, .publish = out, .subscribe = in, .now_s = 1795383000};

    if (publish)
        out[new.publish_count++] = pixi_cur_str(publish);
    if (subscribe)
        in[new.subscribe_count++] = pixi_cur_str(subscribe);
    return pixi_keys_add(path, &new, key, &mistakes);
}

static void assert_mistake(const char *want)
{
    if (mistakes.len != strlen(want) || memcmp(mistakes.bytes, want, mistakes.len) != 0)
        fail_msg("got:  %.*s want: %s", (int)mistakes.len, (const char *)mistakes.bytes, want);
    pixi_buf_reset(&mistakes);
}

static void test_rates_are_kept(void **state)
{
    char key[PIXI_KEYS_TEXT];
    struct pixi_key_new new = {.name = "fast",
                               .now_s = 1795383000,
                               .publishes_per_s = PIXI_KEYS_PUBLISHES_MAX,
                               .publish_bytes_per_s = PIXI_KEYS_BYTES_MAX};
    struct pixi_keys k;

    (void)state;
    assert_int_equal(add("plain", "#", "#", key), PIXI_OK);
    assert_int_equal(pixi_keys_add(path, &new, key, &mistakes), PIXI_OK);
    assert_int_equal(add("last", "#", "#", key), PIXI_OK); /* writes the others again */
    assert_int_equal(pixi_keys_load(&k, path, PIXI_KEYS_MUST_EXIST, &mistakes), PIXI_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pixi_keys_at(&k, i)->publishes_per_s, i == 1 ? PIXI_KEYS_PUBLISHES_MAX : 0);
        assert_int_equal(pixi_keys_at(&k, i)->publish_bytes_per_s, i == 1 ? PIXI_KEYS_BYTES_MAX : 0);
    }
    pixi_keys_clear(&k);
}

static const char *name_of(const struct pixi_keys *k, const char *key)
{
    const struct pixi_key *found = pixi_keys_lookup(k, pixi_cur_str(key));

    return found ? found->name : NULL;
}

static bool file_has(const char *text)
{
    char all[1 << 16];
    FILE *f = fopen(path, "r");
    size_t len;

    assert_non_null(f);
    len = fread(all, 1, sizeof all, f);
    fclose(f);
    return memmem(all, len, text, strlen(text));
}

static void test_added_is_found(void **state)
{
    char one[PIXI_KEYS_TEXT], two[PIXI_KEYS_TEXT];
    struct pixi_keys k;
    struct stat st;

    (void)state;
    assert_int_equal(add("tram-7", "event/#", "#", one), PIXI_OK);
    assert_int_equal(add("page", NULL, "scene/+", two), PIXI_OK);
    assert_int_equal(strlen(one), PIXI_KEYS_TEXT - 1);
    assert_memory_equal(one, "pk_", 3);
    assert_string_not_equal(one, two);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_false(file_has(one)); /* only its hash is kept */
    assert_false(file_has(one + 3));

    assert_int_equal(pixi_keys_load(&k, path, PIXI_KEYS_MUST_EXIST, &mistakes), PIXI_OK);
    assert_int_equal(pixi_keys_count(&k), 2);
    assert_string_equal(name_of(&k, one), "tram-7");
    assert_string_equal(name_of(&k, two), "page");
    assert_null(name_of(&k, "pk_something_else_of_the_right_length_0123456"));
    assert_null(pixi_keys_lookup(&k, (struct pixi_cur){0}));
    one[10] ^= 1;
    assert_null(name_of(&k, one));
    assert_int_equal(pixi_keys_at(&k, 0)->publish.count, 1);
    assert_true(pixi_cur_equals(pixi_keys_at(&k, 0)->publish.at[0], pixi_cur_str("event/#")));
    assert_int_equal(pixi_keys_at(&k, 1)->publish.count, 0);
    assert_string_equal(pixi_keys_at(&k, 0)->created, "2026-11-22T21:30:00Z");
    pixi_keys_clear(&k);
}

/* "abc" and its SHA-256 as FIPS 180-2 gives it. */
static void test_hash_is_sha256(void **state)
{
    struct pixi_keys k;

    (void)state;
    write_file("{\"keys\": [{\"name\": \"abc\", \"created\": \"2026-01-02T03:04:05Z\", \"sha256\": "
               "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}]}",
               0600);
    assert_int_equal(pixi_keys_load(&k, path, PIXI_KEYS_MUST_EXIST, &mistakes), PIXI_OK);
    assert_string_equal(name_of(&k, "abc"), "abc");
    pixi_keys_clear(&k);
}

static void test_revoked_is_gone(void **state)
{
    char one[PIXI_KEYS_TEXT], two[PIXI_KEYS_TEXT];
    struct pixi_keys k;

    (void)state;
    assert_int_equal(add("one", "a", NULL, one), PIXI_OK);
    assert_int_equal(add("two", "b", NULL, two), PIXI_OK);
    assert_int_equal(pixi_keys_revoke(path, "one", &mistakes), PIXI_OK);
    assert_int_equal(pixi_keys_load(&k, path, PIXI_KEYS_MUST_EXIST, &mistakes), PIXI_OK);
    assert_null(name_of(&k, one));
    assert_string_equal(name_of(&k, two), "two");
    pixi_keys_clear(&k);
    assert_int_equal(pixi_keys_revoke(path, "one", &mistakes), PIXI_E_SETTINGS);
    assert_non_null(
        memmem(mistakes.bytes, mistakes.len, "NAME: found \"one\", expected the name of a key in", 47));
    assert_int_equal(pixi_keys_revoke(path, "two", &mistakes), PIXI_OK);
    assert_int_equal(pixi_keys_load(&k, path, PIXI_KEYS_MUST_EXIST, &mistakes), PIXI_OK);
    assert_int_equal(pixi_keys_count(&k), 0);
    pixi_keys_clear(&k);
}

static void test_bad_additions(void **state)
{
    static const char publish[] =
        ", expected a topic filter such as event/# (MQTT 5 §4.7) that does not start with $\n";
    static const char subscribe[] =
        ", expected a topic filter such as event/# (MQTT 5 §4.7), without $share/\n";
    char key[PIXI_KEYS_TEXT], want[512];

    (void)state;
    assert_int_equal(add("a", "a", "b", key), PIXI_OK);
    assert_int_equal(add("a", NULL, NULL, key), PIXI_E_SETTINGS);
    snprintf(want, sizeof want, "NAME: found \"a\", which has a key in %s, expected a new name\n", path);
    assert_mistake(want);
    assert_int_equal(add("a b", "x#", "$share/g/x", key), PIXI_E_SETTINGS);
    snprintf(want, sizeof want,
             "NAME: found \"a b\", expected 1 .. 64 letters, digits, \".\", \"_\" or \"-\"\n"
             "--publish: found \"x#\"%s--subscribe: found \"$share/g/x\"%s",
             publish, subscribe);
    assert_mistake(want);
    assert_int_equal(add("b", "$SYS/x", "$SYS/#", key), PIXI_E_SETTINGS);
    snprintf(want, sizeof want, "--publish: found \"$SYS/x\"%s", publish);
    assert_mistake(want);
    assert_int_equal(add("", NULL, NULL, key), PIXI_E_SETTINGS);
    pixi_buf_reset(&mistakes);
}

static void test_missing_file(void **state)
{
    struct pixi_keys k;
    char want[256];

    (void)state;
    assert_int_equal(pixi_keys_load(&k, path, PIXI_KEYS_MAY_BE_MISSING, &mistakes), PIXI_OK);
    assert_int_equal(pixi_keys_count(&k), 0);
    assert_null(name_of(&k, "x"));
    pixi_keys_clear(&k);
    assert_int_equal(pixi_keys_load(&k, path, PIXI_KEYS_MUST_EXIST, &mistakes), PIXI_E_SETTINGS);
    snprintf(want, sizeof want, "%s: found no file, expected a file with JSON, at most 16777216 bytes\n",
             path);
    assert_mistake(want);
    pixi_keys_clear(&k);
}

#define HASH "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\""
#define DATE "\"created\": \"2026-01-02T03:04:05Z\""

static const struct {
    const char *text;
    mode_t mode;
    const char *line;
} wrong[] = {
    {"{\"keys\": []}", 0640, "1:10: keys: %s is readable by others (mode 0640); chmod 600 %s"},
    {"{\"keys\": [{\"name\": \"a\", \"sha256\": " HASH ", " DATE "},\n{\"name\": \"a\", \"sha256\": " HASH
     ", " DATE "}]}",
     0600, "2:1: keys[1].name: found \"a\" a second time, expected once (first in keys[0])"},
    {"{\"keys\": [{\"name\": \"a\", " DATE "}]}", 0600,
     "1:11: keys[0].sha256: found none, expected 64 hexadecimal digits in lower case"},
    /* somebody put the key itself there: it is not repeated */
    {"{\"keys\": [{\"name\": \"a\", \"sha256\": \"secret_secret_secret\", " DATE "}]}", 0600,
     "1:35: keys[0].sha256: found something else, expected 64 hexadecimal digits in lower case"},
    {"{\"keys\": [{\"name\": \"a\", \"sha256\": " HASH ", \"created\": \"yesterday\"}]}", 0600,
     "1:114: keys[0].created: found \"yesterday\", expected a time such as 2026-11-22T21:30:00Z"},
    {"{\"keys\": [{\"name\": \"a\", \"sha256\": " HASH ", " DATE ", \"publish\": [\"ok\", \"no#\"]}]}", 0600,
     "1:156: keys[0].publish[1]: found \"no#\", expected a topic filter such as event/# (MQTT 5 §4.7) that "
     "does not "
     "start with $"},
    {"{\"keys\": [{\"name\": \"a\", \"sha256\": " HASH ", " DATE ", \"publishes_per_s\": -1}]}", 0600,
     "1:157: keys[0].publishes_per_s: found -1, expected a whole number of messages, 0 .. 1000000000"},
    {"{\"keys\": [{\"name\": \"a\", \"sha256\": " HASH ", " DATE ", \"publishes\": []}]}", 0600,
     "1:138: keys[0].publishes: found an unknown member; did you mean \"keys[0].publish\"?"},
    {"{\"keys\": [", 0600, "1:11: found the end of the file, expected a value, or \"]\""},
};

static void test_each_mistake(void **state)
{
    struct pixi_keys k;
    char want[1024], line[512];

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_file(wrong[i].text, wrong[i].mode);
        assert_int_equal(pixi_keys_load(&k, path, PIXI_KEYS_MUST_EXIST, &mistakes), PIXI_E_SETTINGS);
        pixi_keys_clear(&k);
        strcpy(line, wrong[i].line);
        if (i == 0)
            snprintf(line, sizeof line, "1:10: keys: %s is readable by others (mode 0640); chmod 600 %s",
                     path, path);
        snprintf(want, sizeof want, "%s:%s\n", path, line);
        assert_mistake(want);
    }
}

/* A broken file is never written over. */
static void test_broken_file_is_kept(void **state)
{
    char key[PIXI_KEYS_TEXT];

    (void)state;
    write_file("{\"keys\": [oh", 0600);
    assert_int_equal(add("a", NULL, NULL, key), PIXI_E_SETTINGS);
    assert_int_equal(pixi_keys_revoke(path, "a", &mistakes), PIXI_E_SETTINGS);
    assert_true(file_has("[oh"));
    pixi_buf_reset(&mistakes);
}

/* Many at a time: the lock lets none be lost. */
static void test_concurrent_additions(void **state)
{
    enum { COUNT = 12 };
    char name[16], key[PIXI_KEYS_TEXT];
    struct pixi_keys k;
    int status;

    (void)state;
    for (int i = 0; i < COUNT; i++)
        if (fork() == 0) {
            snprintf(name, sizeof name, "key-%d", i);
            _exit(add(name, NULL, "#", key) == PIXI_OK ? 0 : 1);
        }
    for (int i = 0; i < COUNT; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(pixi_keys_load(&k, path, PIXI_KEYS_MUST_EXIST, &mistakes), PIXI_OK);
    assert_int_equal(pixi_keys_count(&k), COUNT);
    pixi_keys_clear(&k);
}

static void test_many_keys(void **state)
{
    FILE *f = fopen(path, "w");
    struct pixi_keys k;

    (void)state;
    assert_non_null(f);
    fputs("{\"keys\": [", f);
    for (int i = 0; i < 2000; i++)
        fprintf(
            f, "%s\n{\"name\": \"key-%d\", \"sha256\": " HASH ", " DATE ", \"subscribe\": [\"#\", \"a/%d\"]}",
            i ? "," : "", i, i);
    fputs("]}", f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(pixi_keys_load(&k, path, PIXI_KEYS_MUST_EXIST, &mistakes), PIXI_OK);
    assert_int_equal(pixi_keys_count(&k), 2000);
    assert_string_equal(pixi_keys_at(&k, 1999)->name, "key-1999");
    pixi_keys_clear(&k);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/pixi_keys_XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/server.keys", dir);
    mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pixi_buf_clear(&mistakes);
    unlink(path);
    return rmdir(dir); /* fails when a temporary file was left behind */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_added_is_found),      TEST(test_hash_is_sha256),       TEST(test_revoked_is_gone),
        TEST(test_bad_additions),       TEST(test_missing_file),         TEST(test_each_mistake),
        TEST(test_broken_file_is_kept), TEST(test_concurrent_additions), TEST(test_many_keys),
        TEST(test_rates_are_kept),
    };

    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
