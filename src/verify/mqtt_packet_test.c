/* Packets as the verifier reads and writes them: prefixes, the guard page, what was put is cut again. */
#include "invariants.h"
#include "verify/mqtt.h"

static int cut(struct pixi_cur *in, void *ctx)
{
    struct pixi_vmqtt_packet p;

    (void)ctx;
    return pixi_vmqtt_cut(in, &p);
}

static void heads(void **state)
{
    static const struct {
        const char *name, *bytes;
        size_t len;
        int want;
    } rows[] = {
        {"PINGRESP", "\xd0\x00", 2, PIXI_OK},
        {"CONNACK", "\x20\x03\x00\x00\x00", 5, PIXI_OK},
        {"a length of five bytes", "\x30\xff\xff\xff\xff\x01", 6, PIXI_E_LIMIT},
        {"a length that is longer than need be", "\x30\x80\x00", 3, PIXI_E_LIMIT},
        {"over our own limit", "\x30\xff\xff\xff\x7f", 5, PIXI_E_LIMIT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        inv_prefix(rows[i].name, cut, NULL, rows[i].bytes, rows[i].len, rows[i].want);
}

/* Every length that takes another byte. */
static void round_trip(void **state)
{
    static const size_t lens[] = {0, 1, 127, 128, 16383, 16384, 65535};
    static uint8_t body[65535];

    (void)state;
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct pixi_buf b = pixi_buf_init(1 << 17);
        struct pixi_vmqtt_packet p;
        struct pixi_cur c;

        memset(body, (int)i, lens[i]);
        pixi_vmqtt_put(&b, 0x3d, pixi_cur_init(body, lens[i]));
        c = pixi_buf_cur(&b);
        assert_int_equal(pixi_vmqtt_cut(&c, &p), PIXI_OK);
        assert_int_equal(pixi_cur_left(&c), 0);
        assert_int_equal(p.type, PIXI_VMQTT_PUBLISH);
        assert_int_equal(p.flags, 13);
        assert_true(pixi_cur_equals(p.body, pixi_cur_init(body, lens[i])));
        pixi_buf_clear(&b);
    }
}

/* The answer's shape, at both levels: its reason, or -1 where it is malformed; the reason string. */
static void reasons(void **state)
{
    static const struct {
        const char *name;
        unsigned level;
        uint8_t type;
        const char *body;
        size_t len;
        int want;
        const char *text;
    } rows[] = {
        {"CONNACK", 5, PIXI_VMQTT_CONNACK, "\x01\x00\x00", 3, 0, ""},
        {"CONNACK of 3.1.1", 4, PIXI_VMQTT_CONNACK, "\x00\x05", 2, 5, ""},
        {"CONNACK of 3.1.1 with properties", 4, PIXI_VMQTT_CONNACK, "\x00\x05\x00", 3, -1, ""},
        {"CONNACK without properties", 5, PIXI_VMQTT_CONNACK, "\x00\x05", 2, -1, ""},
        {"CONNACK without reason", 5, PIXI_VMQTT_CONNACK, "\x00", 1, -1, ""},
        {"CONNACK with two", 5, PIXI_VMQTT_CONNACK, "\x00\x87\x08\x24\x01\x1f\x00\x03\x62\x61\x64", 11, 0x87,
         "bad"},
        {"a property that does not exist", 5, PIXI_VMQTT_CONNACK, "\x00\x00\x02\x04\x00", 5, -1, ""},
        {"a length of properties that is longer than need be", 5, PIXI_VMQTT_CONNACK, "\x00\x00\x80\x00", 4,
         -1, ""},
        {"properties beyond the packet", 5, PIXI_VMQTT_CONNACK, "\x00\x00\x03\x24\x01", 5, -1, ""},
        {"bytes behind the properties", 5, PIXI_VMQTT_CONNACK, "\x00\x00\x00\x00", 4, -1, ""},
        {"PUBACK", 5, PIXI_VMQTT_PUBACK, "\x00\x07", 2, 0, ""},
        {"PUBACK with a reason", 5, PIXI_VMQTT_PUBACK, "\x00\x07\x97", 3, 0x97, ""},
        {"PUBACK with a user property", 5, PIXI_VMQTT_PUBACK, "\x00\x07\x10\x07\x26\x00\x01\x61\x00\x01\x62",
         11, 0x10, ""},
        {"PUBACK of 3.1.1 with a reason", 4, PIXI_VMQTT_PUBACK, "\x00\x07\x00", 3, -1, ""},
        {"PUBACK of one byte", 5, PIXI_VMQTT_PUBACK, "\x00", 1, -1, ""},
        {"DISCONNECT", 5, PIXI_VMQTT_DISCONNECT, "", 0, 0, ""},
        {"DISCONNECT with a reason", 5, PIXI_VMQTT_DISCONNECT, "\x8e", 1, 0x8e, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct inv_guard g = inv_guard(rows[i].body, rows[i].len);
        struct pixi_vmqtt_packet p = {.type = rows[i].type, .body = pixi_cur_init(g.bytes, rows[i].len)};
        struct pixi_cur text;
        uint8_t code;
        bool is_well = pixi_vmqtt_reason(rows[i].level, &p, &code, &text);

        if (is_well != (rows[i].want >= 0) || (is_well && code != rows[i].want))
            fail_msg("%s: %d, 0x%02x", rows[i].name, is_well, code);
        if (is_well)
            assert_true(pixi_cur_equals(text, pixi_cur_str(rows[i].text)));
        inv_guard_free(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(heads), cmocka_unit_test(round_trip),
                                       cmocka_unit_test(reasons)};

    return cmocka_run_group_tests_name("verify/mqtt_packet", tests, NULL, NULL);
}
