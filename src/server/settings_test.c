#include "server/settings.h"
#include "invariants.h"

static char dir[64], path[128];
static struct pixi_server_settings s;
static struct pixi_buf mistakes;

static int load(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return pixi_server_settings_load(&s, path, &mistakes);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(pixi_server_settings_load(&s, NULL, &mistakes), PIXI_OK);
    assert_int_equal(s.listen.count, 1);
    assert_string_equal((const char *)s.listen.at[0].p, "127.0.0.1:8768");
    assert_false(s.insecure);
    assert_string_equal(s.keys_path, "pixi_ws_server.keys");
    assert_int_equal(s.origins.count, 0);
    assert_int_equal(s.history.count, 1);
    assert_string_equal(pixi_server_settings_history(&s, 0)->filter, "#");
    assert_int_equal(pixi_server_settings_history(&s, 0)->max_messages, 10000);
    assert_int_equal(pixi_server_settings_history(&s, 0)->max_bytes, 16 << 20);
    assert_int_equal(pixi_server_settings_history(&s, 0)->max_age_s, 3600);
    assert_int_equal(s.limits.connections, 10000);
    assert_int_equal(s.limits.connections_per_address, 1000);
    assert_int_equal(s.limits.head_bytes, 8192);
    assert_int_equal(s.limits.head_fields, 64);
    assert_int_equal(s.limits.handshake_ms, 5000);
    assert_int_equal(s.limits.message_bytes, 1 << 20);
    assert_int_equal(s.limits.queue_bytes, 8 << 20);
    assert_int_equal(s.limits.subscriptions, 1000);
    assert_int_equal(s.limits.requests, 1000);
    assert_int_equal(s.limits.retained_count, 100000);
    assert_int_equal(s.limits.retained_bytes, 256 << 20);
    assert_int_equal(s.keepalive.interval_ms, 30000);
    assert_int_equal(s.keepalive.timeout_ms, 10000);
    assert_false(s.compression.enabled);
    assert_int_equal(s.compression.min_bytes, 512);
    assert_int_equal(s.compression.level, 3);
    assert_int_equal(s.drain_ms, 5000);
    assert_int_equal(s.workers, 1);
}

static void test_history_and_origins(void **state)
{
    (void)state;
    assert_int_equal(
        load("{\"history\": [{\"filter\": \"a/#\", \"max_age_s\": 5}, {\"filter\": \"b\"}],\n"
             " \"origins\": [\"*\", \"https://example.org\", \"http://[::1]:8080\", \"app://x\"]}"),
        PIXI_OK);
    assert_int_equal(s.history.count, 2);
    assert_int_equal(pixi_server_settings_history(&s, 0)->max_age_s, 5);
    assert_int_equal(pixi_server_settings_history(&s, 1)->max_age_s, 3600);
    assert_string_equal(pixi_server_settings_history(&s, 1)->filter, "b");
    assert_int_equal(s.origins.count, 4);
}

/* Where the keys are: beside the file, or where the flag or the environment says. */
static void test_keys_path(void **state)
{
    char want[256];

    (void)state;
    assert_int_equal(load("{\"keys_file\": \"my.keys\"}"), PIXI_OK);
    snprintf(want, sizeof want, "%s/my.keys", dir);
    assert_string_equal(s.keys_path, want);
    pixi_server_settings_clear(&s);
    pixi_server_settings_init(&s);
    assert_int_equal(load("{}"), PIXI_OK);
    snprintf(want, sizeof want, "%s/pixi_ws_server.keys", dir);
    assert_string_equal(s.keys_path, want);
    pixi_server_settings_clear(&s);
    pixi_server_settings_init(&s);
    assert_int_equal(pixi_server_settings_override(&s, "keys_file", "here.keys", "--keys", &mistakes),
                     PIXI_OK);
    assert_int_equal(load("{\"keys_file\": \"my.keys\"}"), PIXI_OK);
    assert_string_equal(s.keys_path, "here.keys");
}

static void test_insecure_allows_every_address(void **state)
{
    (void)state;
    assert_int_equal(load("{\"listen\": [\"0.0.0.0:0\", \"[::]:0\"], \"insecure\": true}"), PIXI_OK);
    assert_int_equal(s.listen.count, 2);
}

static void test_flags_replace_listen(void **state)
{
    (void)state;
    assert_int_equal(pixi_server_settings_override(&s, "listen", "127.0.0.1:0", "--listen", &mistakes),
                     PIXI_OK);
    assert_int_equal(pixi_server_settings_override(&s, "listen", "[::1]:0", "--listen", &mistakes), PIXI_OK);
    assert_int_equal(load("{\"listen\": [\"localhost:1\", \":2\", \"127.0.0.1:3\"]}"), PIXI_OK);
    assert_int_equal(s.listen.count, 2);
    assert_string_equal((const char *)s.listen.at[1].p, "[::1]:0");
}

static const struct {
    const char *text, *line;
} wrong[] = {
    {"{\"listen\": [\"127.0.0.1:1\",\n \"0.0.0.0:2\"]}",
     "2:2: listen[1]: found \"0.0.0.0:2\", which other machines reach without TLS, expected a loopback "
     "address, tls.listen, or "
     "\"insecure\": true (--insecure)"},
    {"{\"listen\": [\"127.0.0.1\"]}",
     "1:13: listen[0]: found \"127.0.0.1\", expected ADDRESS:PORT such as 127.0.0.1:8768 or [::1]:8768"},
    {"{\"listen\": [\"example.org:80\"]}",
     "1:13: listen[0]: found \"example.org:80\", expected ADDRESS:PORT such as 127.0.0.1:8768 or [::1]:8768"},
    {"{\"listen\": []}", "1:12: listen: found 0 elements, expected 1 .. 16"},
    {"{\"workers\": 2}", "1:13: workers: found 2, expected 1: more workers are not built yet"},
    {"{\"origins\": [\"https://example.org/\"]}",
     "1:14: origins[0]: found \"https://example.org/\", expected an origin such as https://example.org or "
     "http://localhost:8080, in lower case, or \"*\""},
    {"{\"history\": [{\"max_age_s\": 5}]}", "1:14: history[0].filter: found none, expected a topic filter "
                                            "such as event/# (MQTT 5 §4.7), without $share/"},
    {"{\"history\": [{\"filter\": \"$share/g/a\"}]}",
     "1:25: history[0].filter: found \"$share/g/a\", expected a topic filter such as event/# (MQTT 5 §4.7), "
     "without "
     "$share/"},
    {"{\"history\": [{\"filter\": \"a\"},\n{\"filter\": \"a\"}]}",
     "2:1: history[1].filter: found \"a\" a second time, expected once (first in history[0])"},
    {"{\"history\": [{\"filter\": \"a\", \"max_age\": 1}]}",
     "1:30: history[0].max_age: found an unknown member; did you mean \"history[0].max_age_s\"?"},
    {"{\"limits\": {\"queue_bytes\": 1024}}",
     "1:28: limits.queue_bytes: found less than limits.message_bytes, expected 1048576 at least"},
    {"{\"limits\": {\"connections\": 0}}",
     "1:28: limits.connections: found 0, expected a whole number of connections, 1 .. 1000000"},
    {"{\"keys_file\": \"\"}",
     "1:15: keys_file: found an empty string, expected the path of the file with the API keys"},
};

static void test_each_mistake(void **state)
{
    char want[1024];

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        pixi_server_settings_clear(&s);
        pixi_server_settings_init(&s);
        pixi_buf_reset(&mistakes);
        assert_int_equal(load(wrong[i].text), PIXI_E_SETTINGS);
        snprintf(want, sizeof want, "%s:%s\n", path, wrong[i].line);
        if (mistakes.len != strlen(want) || memcmp(mistakes.bytes, want, mistakes.len) != 0)
            fail_msg("got:  %.*s want: %s", (int)mistakes.len, (const char *)mistakes.bytes, want);
    }
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/pixi_server_settings_XXXXXX");
    if (!mkdtemp(dir) || chdir(dir) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/server.json", dir);
    mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    pixi_server_settings_init(&s);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pixi_server_settings_clear(&s);
    pixi_buf_clear(&mistakes);
    unlink(path);
    return chdir("/") == 0 ? rmdir(dir) : -1;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_history_and_origins),
        TEST(test_keys_path),
        TEST(test_insecure_allows_every_address),
        TEST(test_flags_replace_listen),
        TEST(test_each_mistake),
    };

    return cmocka_run_group_tests_name("server settings", tests, NULL, NULL);
}
