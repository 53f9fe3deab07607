#include "net/notify.h"
#include "invariants.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

static struct pixi_loop loop;
static struct pixi_notify notify;
static int manager = -1;
static char folder[] = "/tmp/pixi-notify-XXXXXX", path[sizeof folder + 8];

static int set_up(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    notify = (struct pixi_notify){0};
    return pixi_loop_init(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    pixi_notify_close(&notify);
    pixi_loop_clear(&loop);
    if (manager >= 0)
        close(manager);
    manager = -1;
    return 0;
}

static int group_set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/s", folder);
    return 0;
}

static int group_tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* The other end. abstract: the kernel chooses a free name. Sets NOTIFY_SOCKET. */
static void listen_at(const char *at)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    socklen_t len = sizeof sa.sun_family;
    char name[sizeof sa.sun_path + 1] = "@";

    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (at) {
        unlink(at);
        strcpy(sa.sun_path, at);
        len = sizeof sa;
    }
    assert_int_equal(bind(manager, (struct sockaddr *)&sa, len), 0);
    len = sizeof sa;
    assert_int_equal(getsockname(manager, (struct sockaddr *)&sa, &len), 0);
    if (at)
        strcpy(name, at);
    else
        memcpy(name + 1, sa.sun_path + 1, len - offsetof(struct sockaddr_un, sun_path) - 1);
    setenv("NOTIFY_SOCKET", name, 1);
}

static const char *heard(void)
{
    static char text[2 * PIXI_NOTIFY_TEXT];
    ssize_t n = recv(manager, text, sizeof text - 1, MSG_DONTWAIT);

    text[n > 0 ? n : 0] = '\0';
    return n < 0 ? "nothing" : text;
}

static void nobody_asked(void **state)
{
    (void)state;
    assert_int_equal(pixi_notify_tell(&notify, "READY=1"), PIXI_OK);
    assert_int_equal(pixi_notify_open(&notify, &loop), PIXI_OK);
    assert_int_equal(pixi_notify_tell(&notify, "READY=1"), PIXI_OK);
    setenv("NOTIFY_SOCKET", "", 1);
    assert_int_equal(pixi_notify_open(&notify, &loop), PIXI_OK);
    assert_int_equal(pixi_notify_tell(&notify, "READY=1"), PIXI_OK);
}

static void by_a_path_and_by_an_abstract_name(void **state)
{
    const char *const at[] = {path, NULL};

    (void)state;
    for (int i = 0; i < 2; i++) {
        listen_at(at[i]);
        assert_int_equal(pixi_notify_open(&notify, &loop), PIXI_OK);
        assert_string_equal(heard(), "nothing");
        assert_int_equal(pixi_notify_tell(&notify, "READY=1\nSTATUS=%d", 7), PIXI_OK);
        assert_string_equal(heard(), "READY=1\nSTATUS=7");
        pixi_notify_close(&notify);
        assert_int_equal(pixi_notify_tell(&notify, "READY=1"), PIXI_OK);
        assert_string_equal(heard(), "nothing");
        close(manager);
    }
    manager = -1;
}

static void what_is_too_long_is_cut(void **state)
{
    char text[2 * PIXI_NOTIFY_TEXT];

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    listen_at(path);
    assert_int_equal(pixi_notify_open(&notify, &loop), PIXI_OK);
    assert_int_equal(pixi_notify_tell(&notify, "%s", text), PIXI_OK);
    assert_int_equal(strlen(heard()), PIXI_NOTIFY_TEXT - 1);
}

static void names_that_are_none(void **state)
{
    char longest[sizeof notify.to.sun_path + 1];

    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    for (const char *const *name = (const char *const[]){"x", "/", "@", "vsock:2:1", longest, NULL}; *name;
         name++) {
        setenv("NOTIFY_SOCKET", *name, 1);
        setenv("WATCHDOG_USEC", "1000", 1);
        assert_int_equal(pixi_notify_open(&notify, &loop), PIXI_E_SETTINGS);
        assert_false(pixi_timer_is_set(&notify.watchdog));
        assert_int_equal(pixi_notify_tell(&notify, "READY=1"), PIXI_OK);
    }
    longest[sizeof longest - 2] = '\0'; /* one byte less fits, but nobody is there */
    setenv("NOTIFY_SOCKET", longest, 1);
    assert_int_equal(pixi_notify_open(&notify, &loop), PIXI_OK);
    assert_int_equal(pixi_notify_tell(&notify, "READY=1"), PIXI_E_SYS);
    assert_int_equal(errno, ENOENT);
}

static void the_beat_is_half_of_the_watchdogs_time(void **state)
{
    static const struct {
        const char *usec, *pid; /* NULL: not set; "own": this process */
        uint64_t beat_ms;
    } rows[] = {
        {"10000000", NULL, 5000}, {"10000000", "own", 5000}, {"3000", "own", 1},  {"1", "own", 1},
        {"10000000", "1", 0},     {"10000000", "own ", 0},   {"10000000", "", 0}, {"0", "own", 0},
        {"", "own", 0},           {"-1", "own", 0},          {"1e3", "own", 0},   {NULL, "own", 0},
    };

    (void)state;
    listen_at(path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char pid[32];

        snprintf(pid, sizeof pid, "%d%s", getpid(),
                 rows[i].pid && rows[i].pid[0] == 'o' ? rows[i].pid + 3 : "");
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        if (rows[i].usec)
            setenv("WATCHDOG_USEC", rows[i].usec, 1);
        if (rows[i].pid)
            setenv("WATCHDOG_PID", rows[i].pid[0] == 'o' ? pid : rows[i].pid, 1);
        assert_int_equal(pixi_notify_open(&notify, &loop), PIXI_OK);
        assert_int_equal(notify.beat_ms, rows[i].beat_ms);
        assert_int_equal(pixi_timer_is_set(&notify.watchdog), rows[i].beat_ms > 0);
        pixi_notify_close(&notify);
        assert_false(pixi_timer_is_set(&notify.watchdog));
    }
}

static void the_beat_goes_on(void **state)
{
    (void)state;
    listen_at(path);
    setenv("WATCHDOG_USEC", "2000", 1);
    assert_int_equal(pixi_notify_open(&notify, &loop), PIXI_OK);
    for (int i = 0; i < 5; i++) {
        const char *said;

        while (strcmp(said = heard(), "nothing") == 0)
            assert_int_equal(pixi_loop_turn(&loop, -1), PIXI_OK);
        assert_string_equal(said, "WATCHDOG=1");
    }
}

/* A manager that does not listen: the loop does not wait for it. */
static void the_beat_waits_for_nobody(void **state)
{
    (void)state;
    listen_at(path);
    setenv("WATCHDOG_USEC", "2000", 1);
    assert_int_equal(pixi_notify_open(&notify, &loop), PIXI_OK);
    while (sendto(notify.fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&notify.to, notify.to_len) == 1)
        ;
    assert_int_equal(errno, EAGAIN);
    for (int i = 0; i < 5; i++)
        assert_int_equal(pixi_loop_turn(&loop, -1), PIXI_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(by_a_path_and_by_an_abstract_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_too_long_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_that_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_beat_is_half_of_the_watchdogs_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_beat_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_beat_waits_for_nobody, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
