#include "proto/mqtt/varint.h"
#include "invariants.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static int decode(struct pixi_cur *in, void *ctx)
{
    return pixi_mqtt_varint_decode(in, ctx);
}

static void forms(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int err;
        uint32_t value;
    } cases[] = {
        {"\0", 1, PIXI_OK, 0},
        {"\x7f", 1, PIXI_OK, 127},
        {"\x80\x01", 2, PIXI_OK, 128},
        {"\xff\x7f", 2, PIXI_OK, 16383},
        {"\x80\x80\x01", 3, PIXI_OK, 16384},
        {"\xff\xff\x7f", 3, PIXI_OK, 2097151},
        {"\x80\x80\x80\x01", 4, PIXI_OK, 2097152},
        {"\xff\xff\xff\x7f", 4, PIXI_OK, 268435455},
        {"\x80\0", 2, PIXI_E_MQTT_VARINT, 0},
        {"\xff\0", 2, PIXI_E_MQTT_VARINT, 0},
        {"\x80\x80\x80\0", 4, PIXI_E_MQTT_VARINT, 0},
        {"\xff\xff\xff\xff\x01", 5, PIXI_E_MQTT_VARINT, 0},
    };
    uint32_t v;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pixi_buf b = pixi_buf_init(100);

        v = 77;
        inv_prefix("varint", decode, &v, cases[i].bytes, cases[i].len, cases[i].err);
        struct pixi_cur c = pixi_cur_init(cases[i].bytes, cases[i].len);
        if (decode(&c, &v) == PIXI_OK) {
            assert_int_equal(v, cases[i].value);
            pixi_mqtt_varint_put(&b, v);
            assert_int_equal(b.len, cases[i].len);
            assert_int_equal(pixi_mqtt_varint_size(v), cases[i].len);
            assert_memory_equal(b.bytes, cases[i].bytes, cases[i].len);
        } else {
            assert_int_equal(v, 77); /* written on PIXI_OK only */
        }
        pixi_buf_clear(&b);
    }
}

static void round_trips(void **state)
{
    struct pixi_buf b = pixi_buf_init(100);
    uint32_t back;

    (void)state;
    for (uint32_t v = 0; v <= PIXI_MQTT_VARINT_MAX; v += 1 + v / 61) {
        struct pixi_cur c;

        pixi_buf_reset(&b);
        pixi_mqtt_varint_put(&b, v);
        c = pixi_buf_cur(&b);
        assert_int_equal(pixi_mqtt_varint_decode(&c, &back), PIXI_OK);
        assert_int_equal(back, v);
        assert_ptr_equal(c.p, c.end);
    }
    pixi_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(forms), cmocka_unit_test(round_trips)};

    return cmocka_run_group_tests_name("proto/mqtt/varint", tests, NULL, NULL);
}
