#include "proto/mqtt/reason.h"
#include "invariants.h"

static void every_broken_rule_has_an_answer(void **state)
{
    (void)state;
    for (int err = PIXI_E_MQTT_TYPE; err >= PIXI_E_MQTT_RECEIVE_MAX; err--) {
        enum pixi_mqtt_reason reason = pixi_mqtt_reason_for(err);

        /* these two are a server's word to us, and nothing that we answer */
        if (err == PIXI_E_MQTT_REFUSED || err == PIXI_E_MQTT_DISCONNECTED)
            continue;
        assert_true(strncmp(pixi_err_name(err), "MQTT_", 5) == 0);
        assert_int_not_equal(reason, PIXI_MQTT_R_UNSPECIFIED);
        assert_true(pixi_mqtt_reason_check(reason, PIXI_MQTT_CONNACK, PIXI_SERVER) == PIXI_OK ||
                    pixi_mqtt_reason_check(reason, PIXI_MQTT_DISCONNECT, PIXI_SERVER) == PIXI_OK);
    }
    assert_int_equal(pixi_mqtt_reason_for(PIXI_OK), PIXI_MQTT_R_SUCCESS);
    assert_int_equal(pixi_mqtt_reason_for(PIXI_E_NOMEM), PIXI_MQTT_R_UNSPECIFIED);
    assert_int_equal(pixi_mqtt_reason_for(PIXI_E_MQTT_QOS), 0x81);
    assert_int_equal(pixi_mqtt_reason_for(PIXI_E_MQTT_AGAIN), 0x82);
    assert_int_equal(pixi_mqtt_reason_for(PIXI_E_STORAGE), 0x97);
}

static void every_code_has_a_text(void **state)
{
    unsigned known = 0;

    (void)state;
    for (unsigned reason = 0; reason < 300; reason++) {
        bool has_text = strcmp(pixi_mqtt_reason_text(reason), "unknown reason") != 0, has_place = false;

        for (unsigned type = 1; type < 16; type++)
            has_place |= pixi_mqtt_reason_check(reason, type, PIXI_CLIENT) == PIXI_OK ||
                         pixi_mqtt_reason_check(reason, type, PIXI_SERVER) == PIXI_OK;
        assert_int_equal(has_text, has_place);
        known += has_text;
    }
    assert_int_equal(known, 43); /* Table 2-6 */
}

static void return_codes(void **state)
{
    static const uint8_t reasons[] = {0x00, 0x84, 0x85, 0x88, 0x86, 0x87}; /* Table 3.1 of 3.1.1 */

    (void)state;
    for (unsigned code = 0; code < 6; code++) {
        assert_int_equal(pixi_mqtt_reason_of(code), reasons[code]);
        assert_int_equal(pixi_mqtt_return_code(reasons[code]), code);
    }
    assert_int_equal(pixi_mqtt_return_code(PIXI_MQTT_R_BUSY), 3);
    assert_int_equal(pixi_mqtt_return_code(PIXI_MQTT_R_BANNED), 5);
    assert_int_equal(pixi_mqtt_return_code(PIXI_MQTT_R_MALFORMED), -1);
    assert_int_equal(pixi_mqtt_return_code(PIXI_MQTT_R_TOO_LARGE), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_broken_rule_has_an_answer),
        cmocka_unit_test(every_code_has_a_text),
        cmocka_unit_test(return_codes),
    };

    return cmocka_run_group_tests_name("proto/mqtt/reason", tests, NULL, NULL);
}
