#include "proto/mqtt/packet.h"
#include "invariants.h"

#define COUNT(a)       (sizeof(a) / sizeof *(a))
#define BYTES(literal) pixi_cur_init("" literal, sizeof(literal) - 1)

/* ---- what is read: every field ---- */

static struct pixi_mqtt_packet read_packet(struct pixi_cur wire, enum pixi_role from, unsigned version)
{
    struct pixi_mqtt_head head;
    struct pixi_mqtt_packet p;

    assert_int_equal(pixi_mqtt_head_decode(&wire, from, version, &head), PIXI_OK);
    assert_int_equal(head.len, pixi_cur_left(&wire));
    assert_int_equal(pixi_mqtt_packet_decode(&head, wire, from, version, &p), PIXI_OK);
    return p;
}

static void is(struct pixi_cur got, const char *want)
{
    assert_true(got.p && pixi_cur_equals(got, pixi_cur_str(want)));
}

static void fields_of_connect(void **state)
{
    struct pixi_mqtt_packet p = read_packet(BYTES("\x10\x2c\0\4MQTT\5\xf6\1\2\5\x11\0\0\0\x0a"
                                                  "\0\2id\5\x18\0\0\0\1\0\3w/t\0\4gone\0\1u\0\2pw"),
                                            PIXI_CLIENT, 0);
    const struct pixi_mqtt_connect *c = &p.connect;

    (void)state;
    assert_int_equal(p.type, PIXI_MQTT_CONNECT);
    assert_int_equal(c->version, PIXI_MQTT_V5);
    assert_true(c->is_clean);
    assert_int_equal(c->keep_alive_s, 258);
    assert_int_equal(pixi_mqtt_prop_num(&p.props, PIXI_MQTT_PROP_SESSION_EXPIRY, 0), 10);
    is(c->client_id, "id");
    is(c->will.topic, "w/t");
    is(c->will.payload, "gone");
    assert_int_equal(c->will.qos, 2);
    assert_true(c->will.is_retain);
    assert_int_equal(pixi_mqtt_prop_num(&c->will.props, PIXI_MQTT_PROP_WILL_DELAY, 0), 1);
    is(c->user, "u");
    is(c->password, "pw");
    p = read_packet(BYTES("\x10\x0d\0\4MQTT\4\0\0\0\0\1x"), PIXI_CLIENT, 0);
    assert_false(p.connect.is_clean);
    assert_null(p.connect.will.topic.p);
    assert_null(p.connect.user.p);
    assert_null(p.connect.password.p);
}

static void fields_of_publish(void **state)
{
    struct pixi_mqtt_packet p =
        read_packet(BYTES("\x3d\x0f\0\3a/b\1\2\2\1\1hello"), PIXI_SERVER, PIXI_MQTT_V5);

    (void)state;
    is(p.publish.topic, "a/b");
    is(p.publish.payload, "hello");
    assert_int_equal(p.publish.qos, 2);
    assert_int_equal(p.id, 258);
    assert_true(p.publish.is_dup);
    assert_true(p.publish.is_retain);
    assert_int_equal(pixi_mqtt_prop_num(&p.props, PIXI_MQTT_PROP_PAYLOAD_FORMAT, 0), 1);
    p = read_packet(BYTES("\x30\3\0\1t"), PIXI_CLIENT, PIXI_MQTT_V3);
    assert_int_equal(p.id, 0);
    assert_int_equal(pixi_cur_left(&p.publish.payload), 0);
    assert_false(p.publish.is_dup);
    assert_false(p.publish.is_retain);
}

static void fields_of_the_others(void **state)
{
    struct pixi_mqtt_packet p = read_packet(BYTES("\x20\3\1\0\0"), PIXI_SERVER, PIXI_MQTT_V5);
    struct pixi_mqtt_filter f;
    struct pixi_cur list;

    (void)state;
    assert_true(p.is_session_present);
    p = read_packet(BYTES("\x20\2\0\5"), PIXI_SERVER, PIXI_MQTT_V3);
    assert_int_equal(p.reason, PIXI_MQTT_R_NOT_AUTHORIZED); /* return code 5 */
    p = read_packet(BYTES("\x62\3\1\2\x92"), PIXI_CLIENT, PIXI_MQTT_V5);
    assert_int_equal(p.id, 258);
    assert_int_equal(p.reason, PIXI_MQTT_R_ID_NOT_FOUND);
    p = read_packet(BYTES("\x82\x0b\0\7\0\0\1a\x2e\0\1b\1"), PIXI_CLIENT, PIXI_MQTT_V5);
    list = p.list;
    assert_true(pixi_mqtt_filter_next(&list, p.type, &f));
    is(f.filter, "a");
    assert_int_equal(f.qos, 2);
    assert_int_equal(f.retain_handling, 2);
    assert_true(f.is_no_local && f.is_retain_as_published);
    assert_true(pixi_mqtt_filter_next(&list, p.type, &f));
    is(f.filter, "b");
    assert_int_equal(f.qos, 1);
    assert_false(f.is_no_local || f.is_retain_as_published || f.retain_handling);
    assert_false(pixi_mqtt_filter_next(&list, p.type, &f));
    p = read_packet(BYTES("\x90\4\0\7\0\x80"), PIXI_SERVER, PIXI_MQTT_V5);
    is(p.list, "\x80");
    p = read_packet(BYTES("\xe0\1\x04"), PIXI_CLIENT, PIXI_MQTT_V5);
    assert_int_equal(p.reason, PIXI_MQTT_R_WITH_WILL);
}

/* ---- what is written, byte by byte, where the versions differ ---- */

static void written(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        unsigned version;
        struct pixi_mqtt_packet p;
    } cases[] = {
#define ROW(literal, version, ...)                                                                           \
    {                                                                                                        \
        literal, sizeof(literal) - 1, version,                                                               \
        {                                                                                                    \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }
        ROW("\x40\2\1\2", 5, .type = PIXI_MQTT_PUBACK, .id = 258),
        ROW("\x40\3\1\2\x97", 5, .type = PIXI_MQTT_PUBACK, .id = 258, .reason = 0x97),
        ROW("\x40\2\1\2", 4, .type = PIXI_MQTT_PUBACK, .id = 258, .reason = 0x97),
        ROW("\x62\2\0\1", 5, .type = PIXI_MQTT_PUBREL, .id = 1),
        ROW("\x20\3\0\x87\0", 5, .type = PIXI_MQTT_CONNACK, .reason = 0x87),
        ROW("\x20\2\0\5", 4, .type = PIXI_MQTT_CONNACK, .reason = 0x87),
        ROW("\x20\2\0\3", 4, .type = PIXI_MQTT_CONNACK, .reason = 0x89),
        ROW("", 4, .type = PIXI_MQTT_CONNACK, .reason = 0x81),
        ROW("\x20\2\1\0", 4, .type = PIXI_MQTT_CONNACK, .is_session_present = true),
        ROW("\xe0\0", 4, .type = PIXI_MQTT_DISCONNECT),
        ROW("\xe0\0", 5, .type = PIXI_MQTT_DISCONNECT),
        ROW("\xe0\1\x8e", 5, .type = PIXI_MQTT_DISCONNECT, .reason = 0x8e),
        ROW("", 4, .type = PIXI_MQTT_DISCONNECT, .reason = 0x8e),
        ROW("", 4, .type = PIXI_MQTT_AUTH, .reason = 0x18),
        ROW("\x90\6\0\1\0\1\2\x87", 5, .type = PIXI_MQTT_SUBACK, .id = 1, .list = {0}),
        ROW("\x90\6\0\1\1\2\x80\x80", 4, .type = PIXI_MQTT_SUBACK, .id = 1, .list = {0}),
        ROW("\xb0\2\0\1", 4, .type = PIXI_MQTT_UNSUBACK, .id = 1, .list = {0}),
        ROW("\xc0\0", 4, .type = PIXI_MQTT_PINGREQ),
        ROW("\xd0\0", 5, .type = PIXI_MQTT_PINGRESP),
#undef ROW
    };
    struct pixi_buf b = pixi_buf_init(1000);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pixi_mqtt_packet p = cases[i].p;

        if (p.type == PIXI_MQTT_SUBACK || p.type == PIXI_MQTT_UNSUBACK)
            p.list = cases[i].version == 5 ? BYTES("\1\2\x87") : BYTES("\1\2\x80\x87");
        pixi_buf_reset(&b);
        pixi_mqtt_packet_encode(&b, cases[i].version, &p);
        if (!pixi_cur_equals(pixi_buf_cur(&b), pixi_cur_init(cases[i].bytes, cases[i].len)))
            fail_msg("row %zu", i);
    }
    pixi_buf_clear(&b);
}

/* The head for one receiver and the end for all are the packet. */
static void publish_in_two_parts(void **state)
{
    struct pixi_buf own = pixi_buf_init(100), rest = pixi_buf_init(100), b = pixi_buf_init(1000);
    struct pixi_mqtt_packet p = {
        .type = PIXI_MQTT_PUBLISH, .id = 9, .publish = {.topic = pixi_cur_str("a/b"), .qos = 1}};
    size_t props_len;

    (void)state;
    pixi_mqtt_prop_put_num(&own, PIXI_MQTT_PROP_SUBSCRIPTION_ID, 300);
    pixi_mqtt_prop_put_num(&rest, PIXI_MQTT_PROP_MESSAGE_EXPIRY, 60);
    props_len = rest.len;
    pixi_buf_put_str(&rest, "payload");
    for (unsigned version = 4; version <= 5; version++) {
        struct pixi_mqtt_packet back;
        size_t from = version == 5 ? 0 : props_len;

        pixi_buf_reset(&b);
        p.props.block = version == 5 ? pixi_buf_cur(&own) : (struct pixi_cur){0};
        pixi_mqtt_publish_head(&b, version, &p, props_len - from, rest.len - from);
        pixi_buf_put(&b, rest.bytes + from, rest.len - from);
        assert_int_equal(b.err, PIXI_OK);
        back = read_packet(pixi_buf_cur(&b), PIXI_SERVER, version);
        is(back.publish.topic, "a/b");
        is(back.publish.payload, "payload");
        assert_int_equal(back.id, 9);
        assert_int_equal(pixi_mqtt_prop_num(&back.props, PIXI_MQTT_PROP_SUBSCRIPTION_ID, 0),
                         version == 5 ? 300 : 0);
        assert_int_equal(pixi_mqtt_prop_num(&back.props, PIXI_MQTT_PROP_MESSAGE_EXPIRY, 0),
                         version == 5 ? 60 : 0);
    }
    pixi_buf_clear(&own);
    pixi_buf_clear(&rest);
    pixi_buf_clear(&b);
}

static void too_long_to_say(void **state)
{
    struct pixi_buf b = pixi_buf_init(1 << 20);
    char *text = calloc(1, 65537);
    struct pixi_mqtt_packet p = {.type = PIXI_MQTT_PUBLISH, .publish = {.topic = {0}}};

    (void)state;
    memset(text, 'x', 65536);
    p.publish.topic = pixi_cur_init(text, 65536);
    pixi_mqtt_packet_encode(&b, 5, &p);
    assert_int_equal(b.err, PIXI_E_LIMIT);
    pixi_buf_reset(&b);
    p.publish.topic = pixi_cur_str("t");
    pixi_mqtt_publish_head(&b, 5, &p, 0, 268435455 - 3);
    assert_int_equal(b.err, PIXI_E_LIMIT);
    assert_int_equal(b.len, 0);
    pixi_buf_reset(&b);
    pixi_mqtt_publish_head(&b, 5, &p, 0, 268435455 - 4);
    assert_int_equal(b.err, PIXI_OK);
    assert_memory_equal(b.bytes, "\x30\xff\xff\xff\x7f\0\1t\0", 9);
    free(text);
    pixi_buf_clear(&b);
}

/* ---- heads ---- */

struct peer {
    enum pixi_role from;
    unsigned version;
};

static int decode_head(struct pixi_cur *in, void *ctx)
{
    const struct peer *peer = ctx;
    struct pixi_mqtt_head head;

    return pixi_mqtt_head_decode(in, peer->from, peer->version, &head);
}

/* Every first byte, from both sides, in both versions. */
static void every_first_byte(void **state)
{
    static const char *const senders[] = {/* 3.1.1, 5.0; c: client, s: server, b: both, -: nobody */
                                          "-csbbbbbcscscsc-", "-csbbbbbcscscsbb"};
    static const uint8_t flags[] = {0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0};

    (void)state;
    for (unsigned byte = 0; byte < 256; byte++)
        for (unsigned k = 0; k < 4; k++) {
            struct peer peer = {k & 1 ? PIXI_CLIENT : PIXI_SERVER, k & 2 ? 5 : 4};
            char who = senders[peer.version - 4][byte >> 4];
            uint8_t bytes[] = {(uint8_t)byte, 0};
            unsigned qos = byte >> 1 & 3;
            int want = PIXI_OK;

            if (who == '-')
                want = PIXI_E_MQTT_TYPE;
            else if (who != 'b' && who != (peer.from == PIXI_CLIENT ? 'c' : 's'))
                want = PIXI_E_MQTT_DIRECTION;
            else if (byte >> 4 == PIXI_MQTT_PUBLISH)
                want = qos == 3 ? PIXI_E_MQTT_QOS : byte & 8 && !qos ? PIXI_E_MQTT_DUP : PIXI_OK;
            else if ((byte & 15) != flags[byte >> 4])
                want = PIXI_E_MQTT_FLAGS;
            inv_prefix("head", decode_head, &peer, bytes, sizeof bytes, want);
        }
}

static void version_to_answer_in(void **state)
{
    (void)state;
    assert_int_equal(pixi_mqtt_connect_version(BYTES("\0\4MQTT\4")), 4);
    assert_int_equal(pixi_mqtt_connect_version(BYTES("\0\4MQTT\5")), 5);
    assert_int_equal(pixi_mqtt_connect_version(BYTES("\0\4MQTT\3")), 4);
    assert_int_equal(pixi_mqtt_connect_version(BYTES("\0\4MQTT\6")), 5);
    assert_int_equal(pixi_mqtt_connect_version(BYTES("\0\6MQIsdp\3")), 4);
    assert_int_equal(pixi_mqtt_connect_version(BYTES("\0\4MQTT")), 0);
    assert_int_equal(pixi_mqtt_connect_version(BYTES("\0\4HTTP\5")), 0);
    assert_int_equal(pixi_mqtt_connect_version(BYTES("\0")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_connect),    cmocka_unit_test(fields_of_publish),
        cmocka_unit_test(fields_of_the_others), cmocka_unit_test(written),
        cmocka_unit_test(publish_in_two_parts), cmocka_unit_test(too_long_to_say),
        cmocka_unit_test(every_first_byte),     cmocka_unit_test(version_to_answer_in),
    };

    return cmocka_run_group_tests_name("proto/mqtt/packet", tests, NULL, NULL);
}
