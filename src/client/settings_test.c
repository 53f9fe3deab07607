#include "client/settings.h"
#include "invariants.h"

#include <sys/stat.h>

static char dir[64], settings_path[128], key_path[128];
static struct pixi_settings s;
static struct pixi_buf mistakes;

static const char key[] = "pk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* Reads these settings, written to a file of this mode. */
static int load(const char *text, mode_t mode)
{
    write_file(settings_path, text, mode);
    return pixi_settings_load(&s, settings_path, &mistakes);
}

/* want: the line behind "FOLDER/settings.json:"; %s in it stands for the folder, as often as it comes. */
static void assert_line(const char *want)
{
    char text[1024], *out = text;

    out += sprintf(out, "%s:", settings_path);
    for (; *want; want++)
        if (want[0] == '%' && want[1] == 's') {
            out += sprintf(out, "%s", dir);
            want++;
        } else {
            *out++ = *want;
        }
    *out++ = '\n';
    if (mistakes.len != (size_t)(out - text) || memcmp(mistakes.bytes, text, mistakes.len) != 0)
        fail_msg("got:  %.*s want: %.*s", (int)mistakes.len, (const char *)mistakes.bytes, (int)(out - text),
                 text);
    assert_null(memmem(mistakes.bytes, mistakes.len, key + 3, 10));
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(load("{\"url\": \"ws://h/\"}", 0644), PIXI_OK);
    assert_int_equal(mistakes.len, 0);
    assert_int_equal(s.endpoint_count, 1);
    assert_string_equal(s.endpoints[0].host, "h");
    assert_null(s.key);
    assert_null(s.key_from);
    assert_int_equal(s.dialect, PIXI_SETTINGS_PIXI_V1);
    assert_false(s.allow_plaintext);
    assert_int_equal(s.timeouts.connect_ms, 5000);
    assert_int_equal(s.timeouts.upgrade_ms, 5000);
    assert_int_equal(s.timeouts.request_ms, 30000);
    assert_int_equal(s.timeouts.close_ms, 3000);
    assert_int_equal(s.keepalive.interval_ms, 30000);
    assert_int_equal(s.keepalive.timeout_ms, 10000);
    assert_int_equal(s.reconnect.initial_ms, 500);
    assert_int_equal(s.reconnect.max_ms, 30000);
    assert_false(s.compression);
    assert_int_equal(s.limits.message_bytes, 1 << 20);
    assert_int_equal(s.limits.queue_bytes, 16 << 20);
}

static void test_urls_keep_their_order(void **state)
{
    (void)state;
    assert_int_equal(load("{\"urls\": [\"ws://b/\", \"wss://a:1/x\"]}", 0644), PIXI_OK);
    assert_int_equal(s.endpoint_count, 2);
    assert_string_equal(s.endpoints[0].host, "b");
    assert_string_equal(s.endpoints[1].authority, "a:1");
}

static void test_key_from_its_file(void **state)
{
    char text[128];

    (void)state;
    snprintf(text, sizeof text, "%s\n", key);
    write_file(key_path, text, 0600);
    assert_int_equal(load("{\"url\": \"ws://h/\", \"api_key_file\": \"api_key\"}", 0644), PIXI_OK);
    assert_string_equal(s.key, key);
    assert_string_equal(s.key_from, key_path);
}

static void test_key_in_the_settings(void **state)
{
    char text[256];

    (void)state;
    snprintf(text, sizeof text, "{\"url\": \"ws://h/\", \"api_key\": \"%s\"}", key);
    assert_int_equal(load(text, 0600), PIXI_OK);
    assert_string_equal(s.key, key);
    assert_string_equal(s.key_from, "api_key");
}

static void test_key_in_open_settings(void **state)
{
    char text[256];

    (void)state;
    snprintf(text, sizeof text, "{\"url\": \"ws://h/\",\n\"api_key\": \"%s\"}", key);
    assert_int_equal(load(text, 0640), PIXI_E_SETTINGS);
    assert_line(
        "2:12: api_key: %s/settings.json is readable by others (mode 0640); chmod 600 %s/settings.json");
}

static void test_key_from_a_named_variable(void **state)
{
    (void)state;
    setenv("SETTINGS_TEST_KEY", key, 1);
    assert_int_equal(load("{\"url\": \"ws://h/\", \"api_key_env\": \"SETTINGS_TEST_KEY\"}", 0644), PIXI_OK);
    assert_string_equal(s.key, key);
    assert_string_equal(s.key_from, "environment: SETTINGS_TEST_KEY");
    unsetenv("SETTINGS_TEST_KEY");
}

/* The environment's key replaces whatever source the file names, which then is not even opened. */
static void test_environment_beats_every_source(void **state)
{
    static const char *const texts[] = {
        "{\"url\": \"ws://h/\", \"api_key_file\": \"not there\"}",
        "{\"url\": \"ws://h/\", \"api_key_env\": \"NOT_THERE\"}",
        "{\"url\": \"ws://h/\", \"api_key\": \"another_key_of_16+\"}",
    };

    (void)state;
    setenv("PIXI_WS_API_KEY", key, 1);
    for (size_t i = 0; i < 3; i++) {
        pixi_settings_clear(&s);
        pixi_settings_init(&s);
        assert_int_equal(load(texts[i], 0600), PIXI_OK);
        assert_string_equal(s.key, key);
        assert_string_equal(s.key_from, "environment: PIXI_WS_API_KEY");
    }
}

static void test_two_keys_in_the_environment(void **state)
{
    (void)state;
    setenv("PIXI_WS_API_KEY", key, 1);
    setenv("PIXI_WS_API_KEY_FILE", key_path, 1);
    assert_int_equal(load("{\"url\": \"ws://h/\"}", 0600), PIXI_E_SETTINGS);
    assert_true(mistakes.len > 0);
    assert_non_null(memmem(mistakes.bytes, mistakes.len, "environment: PIXI_WS_API_KEY)", 29));
    assert_non_null(memmem(mistakes.bytes, mistakes.len, "environment: PIXI_WS_API_KEY_FILE: ", 35));
}

static void test_flag_beats_urls(void **state)
{
    (void)state;
    setenv("PIXI_WS_URL", "ws://env/", 1);
    assert_int_equal(pixi_settings_override(&s, "url", "ws://flag/", "--url", &mistakes), PIXI_OK);
    assert_int_equal(load("{\"urls\": [\"ws://a/\", \"ws://b/\"]}", 0644), PIXI_OK);
    assert_int_equal(s.endpoint_count, 1);
    assert_string_equal(s.endpoints[0].host, "flag");
    assert_int_equal(s.urls.count, 0);
}

/* Whether the key goes to a URL of the command line; NULL: it does, else for whom it is. */
static const char *kept_for(const char *settings, const char *url)
{
    pixi_settings_clear(&s);
    pixi_settings_init(&s);
    pixi_buf_reset(&mistakes);
    assert_int_equal(pixi_settings_override(&s, "url", url, "--url", &mistakes), PIXI_OK);
    assert_int_equal(load(settings, 0600), PIXI_OK);
    assert_int_equal(s.endpoint_count, 1);
    assert_string_equal(s.url, url);
    assert_true(!s.key == !!s.key_kept_for && !s.key == !s.key_from);
    return s.key_kept_for;
}

static void test_a_key_goes_only_to_whom_it_is_for(void **state)
{
    static const char one[] = "{\"url\": \"wss://h:1/a\", \"api_key_file\": \"api_key\"}";
    static const char two[] =
        "{\"urls\": [\"ws://127.0.0.1:8/\", \"ws://b/\"], \"api_key_file\": \"api_key\"}";

    (void)state;
    write_file(key_path, key, 0600);
    assert_null(kept_for(one, "wss://h:1/a"));
    assert_null(kept_for(one, "wss://h:1/b?c"));
    assert_string_equal(kept_for(one, "wss://h:2/a"), "h:1");
    assert_string_equal(kept_for(one, "wss://g:1/a"), "h:1");
    assert_string_equal(kept_for(one, "ws://h:1/a"), "h:1");
    assert_null(kept_for(two, "ws://b:80/"));
    assert_null(kept_for(two, "ws://localhost:8/"));
    assert_null(kept_for(two, "ws://[::1]:8/"));
    assert_string_equal(kept_for(two, "ws://localhost:9/"), "127.0.0.1:8");
    assert_null(kept_for("{\"api_key_file\": \"api_key\"}", "wss://anybody/"));
    setenv("PIXI_WS_URL", "ws://env/", 1); /* replaces the file's, key and all */
    assert_null(kept_for(one, "ws://env/x"));
    assert_string_equal(kept_for(one, "wss://h:1/a"), "env");
}

static void test_a_key_that_goes_elsewhere_is_not_read(void **state)
{
    (void)state;
    assert_string_equal(kept_for("{\"url\": \"ws://h/\", \"api_key_file\": \"nowhere\"}", "ws://other/"),
                        "h");
    pixi_settings_clear(&s);
    pixi_settings_init(&s);
    s.wants_no_key = true;
    assert_int_equal(load("{\"url\": \"ws://h/\", \"api_key_file\": \"nowhere\"}", 0600), PIXI_OK);
    assert_null(s.key);
    assert_null(s.key_kept_for);
}

/* As often as it is worked out, and whatever was given before. */
static void test_given_again(void **state)
{
    (void)state;
    write_file(key_path, key, 0600);
    assert_int_equal(load("{\"url\": \"wss://h/\", \"api_key_file\": \"api_key\"}", 0600), PIXI_OK);
    assert_non_null(s.key);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pixi_settings_override(&s, "url", "wss://other/", "--url", &mistakes), PIXI_OK);
        assert_int_equal(pixi_settings_resolve(&s, &mistakes), PIXI_OK);
        assert_string_equal(s.endpoints[0].host, "other");
        assert_string_equal(s.key_kept_for, "h");
        assert_null(s.key);
        assert_int_equal(pixi_settings_override(&s, "url", "wss://h/x", "--url", &mistakes), PIXI_OK);
        assert_int_equal(pixi_settings_resolve(&s, &mistakes), PIXI_OK);
        assert_int_equal(pixi_settings_resolve(&s, &mistakes), PIXI_OK);
        assert_string_equal(s.url, "wss://h/x");
        assert_null(s.key_kept_for);
        assert_string_equal(s.key, key);
    }
}

static void test_a_key_in_the_environment(void **state)
{
    static const char file[] = "{\"url\": \"ws://h/\", \"api_key_file\": \"nowhere\"}";

    (void)state;
    setenv("PIXI_WS_API_KEY", key, 1);
    assert_null(kept_for(file, "wss://other/")); /* given for this command */
    setenv("PIXI_WS_URL", "wss://env/", 1);      /* but this says whom it is for */
    assert_string_equal(kept_for(file, "wss://other/"), "env");
    assert_null(kept_for(file, "wss://env/"));
}

static void test_empty_variable_counts_as_unset(void **state)
{
    (void)state;
    setenv("PIXI_WS_URL", "", 1);
    setenv("PIXI_WS_API_KEY", "", 1);
    assert_int_equal(load("{\"url\": \"ws://file/\"}", 0644), PIXI_OK);
    assert_string_equal(s.endpoints[0].host, "file");
    assert_null(s.key);
}

static void test_no_file(void **state)
{
    (void)state;
    assert_int_equal(pixi_settings_override(&s, "url", "ws://h/", "--url", &mistakes), PIXI_OK);
    assert_int_equal(pixi_settings_load(&s, NULL, &mistakes), PIXI_OK);
    assert_int_equal(s.endpoint_count, 1);
}

static void test_no_file_and_no_url(void **state)
{
    static const char want[] =
        "settings: url: found none, expected \"url\" in config/websocket_settings.json "
        "(pixi-ws-client config init writes one), --url or PIXI_WS_URL\n";

    (void)state;
    assert_int_equal(pixi_settings_load(&s, NULL, &mistakes), PIXI_E_SETTINGS);
    assert_int_equal(mistakes.len, sizeof want - 1);
    assert_memory_equal(mistakes.bytes, want, mistakes.len);
}

static void test_settings_variable_names_the_file(void **state)
{
    (void)state;
    write_file(settings_path, "{\"url\": \"ws://named/\"}", 0644);
    setenv("PIXI_WS_SETTINGS", settings_path, 1);
    assert_int_equal(pixi_settings_load(&s, NULL, &mistakes), PIXI_OK);
    assert_string_equal(s.endpoints[0].host, "named");
}

/* One mistake each: the settings, the key file and its mode (0: none), the line. */
static const struct {
    const char *text, *key_text;
    mode_t mode;
    const char *line;
} wrong[] = {
    {"{\"url\": \"ws://h/\",\n \"urls\": [\"ws://h/\"]}", NULL, 0,
     "2:10: urls: found beside url (%s/settings.json:1:9), expected only one of them"},
    {"{\"url\": \"ws://h/\",\n \"api_key_env\": \"A\",\n \"api_key_file\": \"b\"}", NULL, 0,
     "3:18: api_key_env: found beside api_key_file"},
    {"{\"url\": \"ws://h/\",\n\"api_key_file\": \"api_key\"}", NULL, 0,
     "2:17: api_key_file: found no file at %s/api_key, expected a file with the API key (pixi-ws-client "
     "config init "
     "writes one)"},
    {"{\"url\": \"ws://h/\",\n\"api_key_file\": \"api_key\"}", "0123456789abcdef", 0644,
     "2:17: api_key_file: %s/api_key is readable by others (mode 0644); chmod 600 %s/api_key"},
    {"{\"url\": \"ws://h/\",\n\"api_key_file\": \"api_key\"}", "0123456789abcdef", 0620,
     "2:17: api_key_file: %s/api_key is writable by others (mode 0620); chmod 600 %s/api_key"},
    {"{\"url\": \"ws://h/\",\n\"api_key_file\": \"api_key\"}", "", 0600,
     "2:17: api_key_file: found nothing in %s/api_key, expected an API key: 16 .. 512 visible ASCII "
     "characters, no "
     "spaces"},
    {"{\"url\": \"ws://h/\",\n\"api_key_file\": \"api_key\"}", "0123456789abcde\n", 0600,
     "2:17: api_key_file: found a key that is too short in %s/api_key, expected an API key: 16 .. 512 "
     "visible ASCII "
     "characters, no spaces"},
    {"{\"url\": \"ws://h/\",\n\"api_key_file\": \"api_key\"}", "0123456789 abcdefg\n", 0600,
     "2:17: api_key_file: found a key with a space, a line break or something that is not ASCII in it in "
     "%s/api_key, "
     "expected an API key: 16 .. 512 visible ASCII characters, no spaces"},
    {"{\"url\": \"ws://h/\",\n\"api_key_file\": \".\"}", NULL, 0,
     "2:17: api_key_file: found a folder at %s/., expected a file with the API key (pixi-ws-client config "
     "init writes "
     "one)"},
    {"{\"url\": \"ws://h/\", \"api_key_env\": \"NOT_THERE\"}", NULL, 0,
     "1:35: api_key_env: found no environment variable NOT_THERE, expected the API key in it"},
    {"{\"url\": \"ws://h/\", \"api_key_env\": \"pk-0123456789abcdef\"}", NULL, 0,
     "1:35: api_key_env: found something else, expected the name of an environment variable: letters, digits "
     "and _"},
    {"{\"url\": \"http://h/\"}", NULL, 0,
     "1:9: url: found an http:// or https:// URL, expected ws:// or wss://"},
    {"{\"urls\": [\"ws://h/\", \"ws://a:b@h/\"]}", NULL, 0,
     "1:22: urls[1]: found a URL with a user name or password, expected none in it: a key goes into "
     "api_key_file"},
    {"{}", NULL, 0,
     "url: found none, expected \"url\" in config/websocket_settings.json (pixi-ws-client config init writes "
     "one), --url or PIXI_WS_URL"},
    {"{\"url\": \"ws://h/\", \"reconnect\": {\"max_ms\": 499}}", NULL, 0,
     "1:44: reconnect.max_ms: found less than reconnect.initial_ms, expected 500 at least"},
    {"{\"url\": \"ws://h/\", \"limits\": {\"queue_bytes\": 4096}}", NULL, 0,
     "1:46: limits.queue_bytes: found less than limits.message_bytes, expected 1048576 at least"},
    {"{\"url\": \"ws://h/\", \"dialect\": \"mqtt5\"}", NULL, 0,
     "1:31: dialect: found \"mqtt5\", expected \"pixi.v1\" or \"mqtt\""},
    {"{\"url\": \"ws://h/\", \"subscriptions\": [\"a/#/b\"]}", NULL, 0,
     "1:38: subscriptions[0]: found \"a/#/b\", expected a topic filter such as event/# (MQTT 5 §4.7)"},
    {"{\"url\": \"ws://h/\", \"tls\": {\"server_name\": \"a b\"}}", NULL, 0,
     "1:43: tls.server_name: found \"a b\", expected the name that the server's certificate is for"},
};

static void test_each_mistake(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        pixi_settings_clear(&s);
        pixi_settings_init(&s);
        pixi_buf_reset(&mistakes);
        unlink(key_path);
        if (wrong[i].key_text)
            write_file(key_path, wrong[i].key_text, wrong[i].mode);
        assert_int_equal(load(wrong[i].text, 0600), PIXI_E_SETTINGS);
        assert_null(s.key);
        if (i == 1) /* both places are named */
            assert_non_null(memmem(mistakes.bytes, mistakes.len, "api_key_file", 12));
        else if (*wrong[i].line == 'u')
            assert_non_null(memmem(mistakes.bytes, mistakes.len, wrong[i].line, strlen(wrong[i].line)));
        else
            assert_line(wrong[i].line);
    }
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/pixi_settings_XXXXXX");
    if (!mkdtemp(dir) || chdir(dir) != 0)
        return -1;
    snprintf(settings_path, sizeof settings_path, "%s/settings.json", dir);
    snprintf(key_path, sizeof key_path, "%s/api_key", dir);
    mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    unsetenv("PIXI_WS_URL");
    unsetenv("PIXI_WS_API_KEY");
    unsetenv("PIXI_WS_API_KEY_FILE");
    unsetenv("PIXI_WS_SETTINGS");
    pixi_settings_init(&s);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pixi_settings_clear(&s);
    pixi_buf_clear(&mistakes);
    unlink(settings_path);
    unlink(key_path);
    return chdir("/") == 0 ? rmdir(dir) : -1;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_urls_keep_their_order),
        TEST(test_key_from_its_file),
        TEST(test_a_key_goes_only_to_whom_it_is_for),
        TEST(test_a_key_that_goes_elsewhere_is_not_read),
        TEST(test_given_again),
        TEST(test_a_key_in_the_environment),
        TEST(test_key_in_the_settings),
        TEST(test_key_in_open_settings),
        TEST(test_key_from_a_named_variable),
        TEST(test_environment_beats_every_source),
        TEST(test_two_keys_in_the_environment),
        TEST(test_flag_beats_urls),
        TEST(test_empty_variable_counts_as_unset),
        TEST(test_no_file),
        TEST(test_no_file_and_no_url),
        TEST(test_settings_variable_names_the_file),
        TEST(test_each_mistake),
    };

    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
