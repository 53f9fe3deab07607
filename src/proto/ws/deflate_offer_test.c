#include "proto/ws/deflate_offer.h"
#include "invariants.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* "s c 10 15": the flags that are set, then the windows. */
static void same(const char *text, const struct pixi_ws_deflate *d, const char *want)
{
    char got[64];

    snprintf(got, sizeof got, "%s %s %u %u", d->server_no_context_takeover ? "s" : "-",
             d->client_no_context_takeover ? "c" : "-", d->server_max_window_bits, d->client_max_window_bits);
    if (strcmp(got, want) != 0)
        fail_msg("%s: %s, wanted %s", text, got, want);
}

static int read_guarded(const char *text, enum pixi_role from, struct pixi_ws_deflate *out)
{
    struct inv_guard g = inv_guard(text, strlen(text));
    int rc = pixi_ws_deflate_read(pixi_cur_init(g.bytes, strlen(text)), from, out);

    inv_guard_free(&g);
    return rc;
}

static void readings(void **state)
{
    enum { OFFER = 1, ANSWER = 2, BOTH = 3 };
    static const struct {
        const char *text;
        int where, err;
        const char *want;
    } cases[] = {
        {"", BOTH, PIXI_OK, "- - 0 0"},
        {"; server_no_context_takeover", BOTH, PIXI_OK, "s - 0 0"},
        {";client_no_context_takeover ;\tserver_no_context_takeover", BOTH, PIXI_OK, "s c 0 0"},
        {"; server_max_window_bits=8; client_max_window_bits=15", BOTH, PIXI_OK, "- - 8 15"},
        {"; server_max_window_bits=\"10\"", BOTH, PIXI_OK, "- - 10 0"},
        {"; server_max_window_bits=\"1\\0\"", BOTH, PIXI_OK, "- - 10 0"},
        {"; client_max_window_bits", OFFER, PIXI_OK, "- - 0 16"},
        {"; client_max_window_bits", ANSWER, PIXI_E_WS_DEFLATE_VALUE, NULL},
        {"; server_max_window_bits", BOTH, PIXI_E_WS_DEFLATE_VALUE, NULL},
        {"; server_max_window_bits=7", BOTH, PIXI_E_WS_DEFLATE_VALUE, NULL},
        {"; server_max_window_bits=16", BOTH, PIXI_E_WS_DEFLATE_VALUE, NULL},
        {"; server_max_window_bits=08", BOTH, PIXI_E_WS_DEFLATE_VALUE, NULL},
        {"; server_max_window_bits=010", BOTH, PIXI_E_WS_DEFLATE_VALUE, NULL},
        {"; server_max_window_bits=+9", BOTH, PIXI_E_WS_DEFLATE_VALUE, NULL},
        {"; server_max_window_bits=4294967304", BOTH, PIXI_E_WS_DEFLATE_VALUE, NULL},
        {"; client_max_window_bits=1e1", BOTH, PIXI_E_WS_DEFLATE_VALUE, NULL},
        {"; server_no_context_takeover=1", BOTH, PIXI_E_WS_DEFLATE_VALUE, NULL},
        {"; client_no_context_takeover=\"true\"", BOTH, PIXI_E_WS_DEFLATE_VALUE, NULL},
        {"; server_no_context_takeover; server_no_context_takeover", BOTH, PIXI_E_WS_DEFLATE_TWICE, NULL},
        {"; client_max_window_bits; client_max_window_bits=9", BOTH, -1, NULL},
        {"; server_max_window_bits=9; server_max_window_bits=9", BOTH, PIXI_E_WS_DEFLATE_TWICE, NULL},
        {"; window", BOTH, PIXI_E_WS_DEFLATE_NAME, NULL},
        {"; Server_No_Context_Takeover", BOTH, PIXI_E_WS_DEFLATE_NAME, NULL},
        {"; server_no_context_takeover;", BOTH, PIXI_E_WS_EXTENSION, NULL},
        {" server_no_context_takeover", BOTH, PIXI_E_WS_EXTENSION, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int where = OFFER; where <= ANSWER; where++) {
            struct pixi_ws_deflate d = {.server_max_window_bits = 77};
            int want = cases[i].err != -1 ? cases[i].err
                       : where == OFFER   ? PIXI_E_WS_DEFLATE_TWICE
                                          : PIXI_E_WS_DEFLATE_VALUE;

            if (!(cases[i].where & where))
                continue;
            assert_int_equal(read_guarded(cases[i].text, where == OFFER ? PIXI_CLIENT : PIXI_SERVER, &d),
                             want);
            if (cases[i].want)
                same(cases[i].text, &d, cases[i].want);
            else
                assert_int_equal(d.server_max_window_bits, 77); /* an error leaves it alone */
        }
}

/* Every offer and answer that there is: what is written reads as it was. */
static void round_trip(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);

    (void)state;
    for (unsigned i = 0; i < 4 * 16 * 16 * 2; i++) {
        enum pixi_role from = i & 1 ? PIXI_CLIENT : PIXI_SERVER;
        struct pixi_ws_deflate d = {.server_no_context_takeover = i >> 1 & 1,
                                    .client_no_context_takeover = i >> 2 & 1,
                                    .server_max_window_bits = i >> 3 & 15,
                                    .client_max_window_bits = (uint8_t)(i >> 7 & 15)};
        struct pixi_ws_deflate got = {0};
        struct pixi_cur c;

        if (d.server_max_window_bits && d.server_max_window_bits < PIXI_WS_BITS_MIN)
            d.server_max_window_bits = 0;
        if (d.client_max_window_bits && d.client_max_window_bits < PIXI_WS_BITS_MIN)
            d.client_max_window_bits = from == PIXI_CLIENT ? PIXI_WS_BITS_ANY : 0;
        pixi_buf_reset(&b);
        pixi_ws_deflate_put(&b, &d);
        assert_int_equal(b.err, PIXI_OK);
        c = pixi_buf_cur(&b);
        c.p += strlen(PIXI_WS_DEFLATE);
        assert_int_equal(pixi_ws_deflate_read(c, from, &got), PIXI_OK);
        assert_memory_equal(&got, &d, sizeof d);
    }
    pixi_buf_clear(&b);
}

static void what_is_written(void **state)
{
    struct pixi_ws_deflate d = {true, true, 9, PIXI_WS_BITS_ANY};
    struct pixi_buf b = pixi_buf_init(1000);

    (void)state;
    pixi_ws_deflate_put(&b, &d);
    assert_true(pixi_cur_equals(
        pixi_buf_cur(&b),
        pixi_cur_str("permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                     "server_max_window_bits=9; client_max_window_bits")));
    pixi_buf_clear(&b);
}

/* Our answer is right for every offer, and a client that made the offer takes it. */
static void every_offer_is_answered(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4 * 9 * 10; i++) {
        unsigned server = i / 4 % 9, client = i / 36;
        struct pixi_ws_deflate offer = {.server_no_context_takeover = i & 1,
                                        .client_no_context_takeover = i & 2};
        struct pixi_ws_deflate answer;

        offer.server_max_window_bits = (uint8_t)(server ? server + 7 : 0);
        offer.client_max_window_bits = (uint8_t)(client ? client + 7 : 0);
        answer = pixi_ws_deflate_answer(&offer);
        assert_true(answer.server_no_context_takeover && answer.client_no_context_takeover);
        assert_int_equal(pixi_ws_deflate_check(&offer, &answer), PIXI_OK);
    }
}

static void answers_that_do_not_fit(void **state)
{
    static const struct {
        struct pixi_ws_deflate offer, answer;
        int err;
    } cases[] = {
        {{true, false, 0, 0}, {false, false, 0, 0}, PIXI_E_WS_DEFLATE_CONTEXT},
        {{true, false, 0, 0}, {true, true, 8, 0}, PIXI_OK}, /* asked or not, a server may say these */
        {{false, true, 0, 0}, {false, false, 0, 0}, PIXI_OK},
        {{false, false, 0, 0}, {false, false, 0, 15}, PIXI_E_WS_DEFLATE_ASKED},
        {{false, false, 0, 16}, {false, false, 0, 8}, PIXI_OK},
        {{false, false, 0, 16}, {false, false, 0, 0}, PIXI_OK},
        {{false, false, 0, 10}, {false, false, 0, 10}, PIXI_OK},
        {{false, false, 0, 10}, {false, false, 0, 11}, PIXI_E_WS_DEFLATE_VALUE},
        {{false, false, 10, 0}, {false, false, 10, 0}, PIXI_OK},
        {{false, false, 10, 0}, {false, false, 9, 0}, PIXI_OK},
        {{false, false, 10, 0}, {false, false, 11, 0}, PIXI_E_WS_DEFLATE_VALUE},
        {{false, false, 10, 0}, {false, false, 0, 0}, PIXI_E_WS_DEFLATE_VALUE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(pixi_ws_deflate_check(&cases[i].offer, &cases[i].answer), cases[i].err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readings),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(what_is_written),
        cmocka_unit_test(every_offer_is_answered),
        cmocka_unit_test(answers_that_do_not_fit),
    };

    return cmocka_run_group_tests_name("proto/ws/deflate_offer", tests, NULL, NULL);
}
