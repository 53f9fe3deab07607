"""verify's MQTT checks against a server that breaks one rule each: those checks fail, and no other."""

import pytest

import mqtt_peer
from test_verify_broken_peers import KEY, verify  # noqa: F401

MALFORMED = {
    "mqtt-first", "mqtt-twice", "mqtt-text", "mqtt-type", "mqtt-length", "mqtt-flags", "mqtt-qos-3", "mqtt-wildcard",
    "mqtt-utf8", "mqtt-nul", "mqtt-short", "mqtt-id-0", "mqtt-no-filter", "mqtt-options", "mqtt-pubrel", "mqtt-property",
    "mqtt-alias-0", "mqtt-no-topic",
}  # fmt: skip
ONLY_5 = {"mqtt-311", "mqtt-max", "mqtt-window", "mqtt-property", "mqtt-alias-0", "mqtt-no-topic"}

# The rule that the server breaks: the checks that fail, the exit code of the first, a word of its cause or fix.
BREAKS = {
    "mqtt/refused": ({"mqtt"}, 1, "0x97, quota exceeded"),
    "mqtt/silent": ({"mqtt"}, 10, "did not come"),
    "mqtt/other": ({"mqtt"}, 9, "no CONNACK"),
    "mqtt/text": ({"mqtt"}, 9, "a text message"),
    "mqtt-311/malformed": ({"mqtt-311"}, 9, "malformed CONNACK"),
    "mqtt-version": ({"mqtt-version"}, 9, "version 6"),
    "mqtt-version/code": ({"mqtt-version"}, 9, "0x83"),
    "mqtt-key-none": ({"mqtt-key-none"}, 8, "with no key"),
    "mqtt-key-wrong": ({"mqtt-key-wrong"}, 8, "with a wrong key"),
    "mqtt-key/code": ({"mqtt-key-none", "mqtt-key-wrong"}, 8, "0x83"),
    "mqtt-key/open": ({"mqtt-key-none", "mqtt-key-wrong"}, 10, "left the connection open"),
    "mqtt-ping": ({"mqtt-ping", "mqtt-qos-0"}, 10, "PINGRESP"),
    "mqtt-qos-0/changed": ({"mqtt-qos-0"}, 1, "awaited"),
    "mqtt-qos-0/refused": ({"mqtt-qos-0"}, 1, "0x80"),
    "mqtt-qos-0/malformed": ({"mqtt-qos-0", "mqtt-joined"}, 9, "malformed PUBLISH"),
    "mqtt-qos-1/unacknowledged": ({"mqtt-qos-1", "mqtt-retained", "mqtt-resume", "mqtt-window"}, 10, "PUBACK"),
    "mqtt-qos-1/refused": ({"mqtt-qos-1", "mqtt-retained", "mqtt-resume", "mqtt-window"}, 1, "0x97"),
    "mqtt-qos-1/lost": ({"mqtt-qos-1"}, 1, "awaited"),
    "mqtt-qos-1/lower": ({"mqtt-qos-1", "mqtt-resume", "mqtt-window"}, 1, "came with QoS 0"),
    "mqtt-qos-1/twice": ({"mqtt-qos-1", "mqtt-window"}, 1, "awaited"),
    "mqtt-qos-2/lower": ({"mqtt-qos-2"}, 1, "came with QoS 1"),
    "mqtt-qos-2/unreleased": ({"mqtt-qos-2"}, 10, "PUBREL"),
    "mqtt-once": ({"mqtt-once"}, 1, "twice"),
    "mqtt-retained/lost": ({"mqtt-retained"}, 10, "did not come"),
    "mqtt-retained/flag": ({"mqtt-retained"}, 1, "without RETAIN"),
    "mqtt-retained/removed": ({"mqtt-retained"}, 1, "empty one had removed"),
    "mqtt-will": ({"mqtt-will"}, 10, "did not come"),
    "mqtt-will/disconnect": ({"mqtt-will"}, 1, "awaited"),
    "mqtt-resume": ({"mqtt-resume"}, 1, "Session Present"),
    "mqtt-resume/lost": ({"mqtt-resume"}, 10, "did not come"),
    "mqtt-takeover": ({"mqtt-takeover"}, 10, "left connected"),
    "mqtt-max": ({"mqtt-max"}, 1, "Maximum Packet Size"),
    "mqtt-window": ({"mqtt-window"}, 1, "second message"),
    "mqtt-split": ({"mqtt-split"}, 10, "wherever those begin"),
    "mqtt-joined": ({"mqtt-joined"}, 10, "wherever those begin"),
    "mqtt-silent": ({"mqtt-silent"}, 10, "Keep Alive"),
    "mqtt-refusal": (MALFORMED, 9, "no error"),
    **{rule: ({rule}, 9, "went on") for rule in sorted(MALFORMED)},
}


def mqtt_of(report, verdict):
    return {c["id"] for c in report["checks"] if c["verdict"] == verdict and c["id"].startswith("mqtt")}


@pytest.mark.parametrize("rule", BREAKS)
def test_one_broken_rule_fails_its_checks(verify, rule):  # noqa: F811
    failed, exit_code, word = BREAKS[rule]
    with mqtt_peer.MqttServer(rule, KEY) as peer:
        report = verify(peer.url, KEY, timeouts={"request_ms": 400, "close_ms": 400})
    assert mqtt_of(report, "failed") == failed, [c for c in report["checks"] if c["verdict"] == "failed"]
    first = next(c for c in report["checks"] if c["id"] in failed)
    assert first["exit"] == exit_code and word in first["cause"] + " " + first["fix"], first
    if not failed & {"mqtt", "mqtt-qos-0"}:  # what others need
        assert mqtt_of(report, "skipped") <= {"mqtt-silent"}


@pytest.mark.parametrize("how", [{}, {"drip": True}])
def test_a_good_server_passes(verify, how):  # noqa: F811
    with mqtt_peer.MqttServer(key=KEY, **how) as peer:
        report = verify(peer.url, KEY)
    assert report["exit"] == 0, [c for c in report["checks"] if c["verdict"] == "failed"]
    assert not mqtt_of(report, "skipped")


def test_a_server_of_3_1_1_is_checked_as_such(verify):  # noqa: F811
    with mqtt_peer.MqttServer(key=KEY, old=True) as peer:
        report = verify(peer.url, KEY)
    assert report["exit"] == 0, [c for c in report["checks"] if c["verdict"] == "failed"]
    assert mqtt_of(report, "skipped") == ONLY_5


def test_one_of_5_only_skips_the_older_version(verify):  # noqa: F811
    with mqtt_peer.MqttServer("mqtt-311", key=KEY) as peer:
        report = verify(peer.url, KEY)
    assert report["exit"] == 0
    assert mqtt_of(report, "skipped") == {"mqtt-311"}


def test_without_a_key_the_key_checks_are_skipped(verify):  # noqa: F811
    with mqtt_peer.MqttServer() as peer:
        report = verify(peer.url)
    assert report["exit"] == 0
    assert mqtt_of(report, "skipped") == {"mqtt-key-none", "mqtt-key-wrong"}


def test_every_check_has_a_server_that_fails_it(verify):  # noqa: F811
    with mqtt_peer.MqttServer(key=KEY) as peer:
        rows = {c["id"] for c in verify(peer.url, KEY)["checks"] if c["id"].startswith("mqtt")}
    assert rows - set().union(*(failed for failed, *_ in BREAKS.values())) == set()
