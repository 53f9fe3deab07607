#include "verify/deflate.h"
#include "invariants.h"

static void answers(void **state)
{
    static const struct {
        const char *value, *second;
        int want;
    } rows[] = {
        {NULL, NULL, PIXI_MORE},
        {"", NULL, PIXI_MORE},
        {"permessage-deflate; server_no_context_takeover", NULL, PIXI_OK},
        {" , permessage-deflate ;client_no_context_takeover; server_no_context_takeover , ", NULL, PIXI_OK},
        {"permessage-deflate; server_no_context_takeover; server_max_window_bits=8", NULL, PIXI_OK},
        {"permessage-deflate; server_no_context_takeover; server_max_window_bits=\"15\"", NULL, PIXI_OK},
        {"permessage-deflate", NULL, PIXI_E_WS_DEFLATE_CONTEXT},
        {"permessage-deflate; client_no_context_takeover", NULL, PIXI_E_WS_DEFLATE_CONTEXT},
        {"permessage-deflate; server_no_context_takeover; client_max_window_bits=15", NULL,
         PIXI_E_WS_DEFLATE_ASKED},
        {"permessage-deflate; server_no_context_takeover; server_max_window_bits", NULL,
         PIXI_E_WS_DEFLATE_VALUE},
        {"permessage-deflate; server_no_context_takeover; server_max_window_bits=16", NULL,
         PIXI_E_WS_DEFLATE_VALUE},
        {"permessage-deflate; server_no_context_takeover; server_max_window_bits=08", NULL,
         PIXI_E_WS_DEFLATE_VALUE},
        {"permessage-deflate; server_no_context_takeover=1", NULL, PIXI_E_WS_DEFLATE_VALUE},
        {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", NULL,
         PIXI_E_WS_DEFLATE_TWICE},
        {"permessage-deflate; server_no_context_takeover; x", NULL, PIXI_E_WS_DEFLATE_NAME},
        {"permessage-deflate; server_no_context_takeover;", NULL, PIXI_E_WS_EXTENSION},
        {"permessage-deflate; server_max_window_bits=", NULL, PIXI_E_WS_EXTENSION},
        {"x-webkit-deflate-frame", NULL, PIXI_E_WS_EXTENSION},
        {"permessage-deflate; server_no_context_takeover, x", NULL, PIXI_E_WS_EXTENSION},
        {"permessage-deflate; server_no_context_takeover", "x", PIXI_E_WS_EXTENSION},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pixi_vhttp_head h = {.count = 0};

        if (rows[i].value)
            h.fields[h.count++] = (struct pixi_vhttp_field){pixi_cur_str("sec-websocket-extensions"),
                                                            pixi_cur_str(rows[i].value)};
        if (rows[i].second)
            h.fields[h.count++] = (struct pixi_vhttp_field){pixi_cur_str("Sec-WebSocket-Extensions"),
                                                            pixi_cur_str(rows[i].second)};
        if (pixi_vdeflate_read_answer(&h) != rows[i].want)
            fail_msg("%s: %s", rows[i].value, pixi_err_name(pixi_vdeflate_read_answer(&h)));
    }
}

static void unpacks(const char *bytes, size_t len, int want, const char *text)
{
    struct pixi_buf b = pixi_buf_init(1000);
    struct inv_guard g = inv_guard(bytes, len);

    assert_int_equal(pixi_vdeflate_unpack(pixi_cur_init(g.bytes, len), &b), want);
    if (text)
        assert_true(pixi_cur_equals(pixi_buf_cur(&b), pixi_cur_str(text)));
    inv_guard_free(&g);
    pixi_buf_clear(&b);
}

static void examples(void **state)
{
    (void)state;
    unpacks("\xf2\x48\xcd\xc9\xc9\x07\x00", 7, PIXI_OK, "Hello");
    unpacks("\x00\x05\x00\xfa\xffHello\x00", 11, PIXI_OK, "Hello");
    unpacks("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, PIXI_OK, "Hello");
    unpacks("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13, PIXI_OK, "Hello");
    unpacks("\x00", 1, PIXI_OK, "");
    unpacks("", 0, PIXI_E_WS_DEFLATE_DATA, NULL);
    unpacks("\xff", 1, PIXI_E_WS_DEFLATE_DATA, NULL);
    unpacks("\xf2\x48\xcd\xc9", 4, PIXI_E_WS_DEFLATE_DATA, NULL);
    unpacks("\xf2\x00\x11\x00\x00", 5, PIXI_E_WS_DEFLATE_DATA, NULL); /* a context that was taken over */
}

static void round_trip(void **state)
{
    struct pixi_buf text = pixi_buf_init(100000), packed = pixi_buf_init(200000);

    (void)state;
    for (size_t len = 0; len < 20000; len = len * 3 + 1) {
        struct pixi_buf again = pixi_buf_init(len + 1), small = pixi_buf_init(len ? len - 1 : 0);

        pixi_buf_reset(&text);
        pixi_buf_reset(&packed);
        for (size_t i = 0; i < len; i++)
            pixi_buf_put(&text, &(uint8_t){(uint8_t)(i * i >> 3)}, 1);
        assert_int_equal(pixi_vdeflate_pack(pixi_buf_cur(&text), &packed), PIXI_OK);
        assert_int_equal(pixi_vdeflate_unpack(pixi_buf_cur(&packed), &again), PIXI_OK);
        assert_true(pixi_cur_equals(pixi_buf_cur(&again), pixi_buf_cur(&text)));
        if (len > 1)
            assert_int_equal(pixi_vdeflate_unpack(pixi_buf_cur(&packed), &small), PIXI_E_WS_TOO_BIG);
        pixi_buf_clear(&again);
        pixi_buf_clear(&small);
    }
    pixi_buf_clear(&text);
    pixi_buf_clear(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers), cmocka_unit_test(examples),
                                       cmocka_unit_test(round_trip)};

    return cmocka_run_group_tests_name("verify/deflate", tests, NULL, NULL);
}
