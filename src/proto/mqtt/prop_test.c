#include "proto/mqtt/prop.h"
#include "invariants.h"

/* MQTT 5 Table 2-4, read a second time, with the sections that name a sender. W: will; C: client; S: server. */
static const struct {
    unsigned id;
    const char *value; /* one that is allowed, in hex */
    const char *client, *server;
} table[] = {
    {0x01, "01", "W3", "3"},       {0x02, "00000001", "W3", "3"},
    {0x03, "000161", "W3", "3"},   {0x08, "000161", "W3", "3"},
    {0x09, "000161", "W3", "3"},   {0x0b, "01", "8", "3"},
    {0x11, "00000001", "1E", "2"}, {0x12, "000161", "", "2"},
    {0x13, "0001", "", "2"},       {0x15, "000161", "1F", "2F"},
    {0x17, "01", "1", ""},         {0x18, "00000001", "W", ""},
    {0x19, "01", "1", ""},         {0x1a, "000161", "", "2"},
    {0x1c, "000161", "", "2E"},    {0x1f, "000161", "4567EF", "245679BEF"},
    {0x21, "0001", "1", "2"},      {0x22, "0001", "1", "2"},
    {0x23, "0001", "3", "3"},      {0x24, "01", "", "2"},
    {0x25, "01", "", "2"},         {0x26, "0001610001 62", "W13456789ABEF", "23456789ABEF"},
    {0x27, "00000001", "1", "2"},  {0x28, "01", "", "2"},
    {0x29, "01", "", "2"},         {0x2a, "01", "", "2"},
};

enum { COUNT = sizeof table / sizeof table[0] };

static void put_hex(struct pixi_buf *b, const char *hex)
{
    for (; *hex; hex += 2) {
        uint8_t byte;

        hex += *hex == ' ';
        byte = (uint8_t)strtoul((char[]){hex[0], hex[1], 0}, NULL, 16);
        pixi_buf_put(b, &byte, 1);
    }
}

static int decode(const struct pixi_buf *block, enum pixi_mqtt_where where, enum pixi_role from,
                  struct pixi_mqtt_props *out)
{
    struct pixi_buf b = pixi_buf_init(1000);
    struct inv_guard g;
    struct pixi_cur c;
    uint8_t len = (uint8_t)block->len;
    int rc;

    pixi_buf_put(&b, &len, 1);
    pixi_buf_put_cur(&b, pixi_buf_cur(block));
    g = inv_guard(b.bytes, b.len);
    c = pixi_cur_init(g.bytes, b.len);
    rc = pixi_mqtt_props_decode(&c, where, from, out);
    assert_ptr_equal(c.p, rc == PIXI_OK ? c.end : g.bytes);
    out->block = (struct pixi_cur){0};
    inv_guard_free(&g);
    pixi_buf_clear(&b);
    return rc;
}

/* Every identifier in every packet from both sides: allowed exactly where the table says. */
static void every_place(void **state)
{
    static const char places[] = "W123456789AB  EF";
    static const unsigned types[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15};
    struct pixi_buf b = pixi_buf_init(100);
    struct pixi_mqtt_props props;

    (void)state;
    for (unsigned i = 0; i < COUNT; i++)
        for (unsigned t = 0; t < sizeof types / sizeof types[0]; t++)
            for (enum pixi_role from = PIXI_CLIENT; from <= PIXI_SERVER; from++) {
                const char *in = from == PIXI_CLIENT ? table[i].client : table[i].server;
                uint8_t id = (uint8_t)table[i].id;
                int want = strchr(in, places[types[t]]) ? PIXI_OK : PIXI_E_MQTT_PROP_PLACE, rc;

                /* who never sends the packet at all is told at its header */
                if (id == 0x26 && strchr(from == PIXI_CLIENT ? "29B" : "W18A", places[types[t]]))
                    continue;
                pixi_buf_reset(&b);
                pixi_buf_put(&b, &id, 1);
                put_hex(&b, table[i].value);
                rc = decode(&b, types[t], from, &props);
                if (rc != want)
                    fail_msg("property %#x in %u from %d: %s", id, types[t], from, pixi_err_name(rc));
                if (rc == PIXI_OK)
                    assert_true(props.seen == UINT64_C(1) << id);
            }
    pixi_buf_clear(&b);
}

static void every_identifier(void **state)
{
    struct pixi_buf b = pixi_buf_init(100);
    struct pixi_mqtt_props props;

    (void)state;
    for (unsigned id = 0; id < 128; id++) {
        bool is_known = id == 0x16;
        uint8_t byte = (uint8_t)id;

        for (unsigned i = 0; i < COUNT; i++)
            is_known |= table[i].id == id;
        assert_int_equal(pixi_mqtt_prop_name(id) != NULL, is_known);
        pixi_buf_reset(&b);
        pixi_buf_put(&b, &byte, 1);
        assert_int_equal(decode(&b, PIXI_MQTT_PINGREQ, PIXI_CLIENT, &props) == PIXI_E_MQTT_PROP_ID,
                         !is_known);
    }
    pixi_buf_clear(&b);
}

static void written_and_found(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000), wire = pixi_buf_init(1000);
    struct pixi_mqtt_props props;
    struct pixi_mqtt_prop p;
    struct pixi_cur c, rest;
    unsigned users = 0;
    uint8_t len;

    (void)state;
    pixi_mqtt_prop_put_num(&b, PIXI_MQTT_PROP_PAYLOAD_FORMAT, 1);
    pixi_mqtt_prop_put_user(&b, pixi_cur_str("one"), pixi_cur_str("1"));
    pixi_mqtt_prop_put_num(&b, PIXI_MQTT_PROP_MESSAGE_EXPIRY, 0x01020304);
    pixi_mqtt_prop_put_num(&b, PIXI_MQTT_PROP_TOPIC_ALIAS, 0x0506);
    pixi_mqtt_prop_put_num(&b, PIXI_MQTT_PROP_SUBSCRIPTION_ID, 268435455);
    pixi_mqtt_prop_put_val(&b, PIXI_MQTT_PROP_CORRELATION_DATA, pixi_cur_init("\0\xff", 2));
    pixi_mqtt_prop_put_user(&b, pixi_cur_str("one"), pixi_cur_str("2"));
    len = (uint8_t)b.len;
    pixi_buf_put(&wire, &len, 1);
    pixi_buf_put_cur(&wire, pixi_buf_cur(&b));
    c = pixi_buf_cur(&wire);
    assert_int_equal(pixi_mqtt_props_decode(&c, PIXI_MQTT_PUBLISH, PIXI_SERVER, &props), PIXI_OK);
    assert_true(pixi_cur_equals(props.block, pixi_buf_cur(&b)));
    assert_int_equal(pixi_mqtt_prop_num(&props, PIXI_MQTT_PROP_PAYLOAD_FORMAT, 7), 1);
    assert_int_equal(pixi_mqtt_prop_num(&props, PIXI_MQTT_PROP_MESSAGE_EXPIRY, 7), 0x01020304);
    assert_int_equal(pixi_mqtt_prop_num(&props, PIXI_MQTT_PROP_TOPIC_ALIAS, 7), 0x0506);
    assert_int_equal(pixi_mqtt_prop_num(&props, PIXI_MQTT_PROP_SUBSCRIPTION_ID, 7), 268435455);
    assert_int_equal(pixi_mqtt_prop_num(&props, PIXI_MQTT_PROP_SESSION_EXPIRY, 7), 7);
    assert_true(pixi_cur_equals(pixi_mqtt_prop_val(&props, PIXI_MQTT_PROP_CORRELATION_DATA),
                                pixi_cur_init("\0\xff", 2)));
    assert_null(pixi_mqtt_prop_val(&props, PIXI_MQTT_PROP_RESPONSE_TOPIC).p);
    for (rest = props.block; pixi_mqtt_prop_next(&rest, &p);)
        if (p.id == PIXI_MQTT_PROP_USER) {
            assert_true(pixi_cur_equals(p.name, pixi_cur_str("one")));
            assert_int_equal(*p.val.p, users++ ? '2' : '1');
        }
    assert_int_equal(users, 2);
    pixi_buf_clear(&b);
    pixi_buf_clear(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_place),
        cmocka_unit_test(every_identifier),
        cmocka_unit_test(written_and_found),
    };

    return cmocka_run_group_tests_name("proto/mqtt/prop", tests, NULL, NULL);
}
