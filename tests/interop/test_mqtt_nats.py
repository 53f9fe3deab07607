"""Our client against nats-server, over WebSocket: MQTT 3.1.1 with QoS 0 and 1."""

import pytest


@pytest.mark.parametrize("qos", [0, 1])
def test_sent_and_heard(nats, mqtt, messages, qos):
    client = mqtt(nats())
    as_told = {"mqtt__version": 4, "mqtt__qos": qos}
    heard = client.listen("-n", "3", "a/#", **as_told)
    client.ok("send", "a/1", '{"x": 1}', **as_told)
    client.ok("send", "a", "not JSON", **as_told)
    client.ok("send", "a/2/3", "-", input="[2]\n", **as_told)
    assert heard.wait() == 0, str(heard)
    assert [(m["topic"], m.get("payload"), m.get("payload_text")) for m in messages(heard)] == [
        ("a/1", {"x": 1}, None),
        ("a", None, "not JSON"),
        ("a/2/3", [2], None),
    ]


def test_retained(nats, mqtt, messages):
    client = mqtt(nats())
    client.ok("send", "--retain", "scene/a", "1", mqtt__version=4)
    heard = client.spawn("listen", "-n", "1", "scene/#", mqtt__version=4)
    assert heard.wait() == 0
    assert [(m["topic"], m["payload"], m["retained"]) for m in messages(heard)] == [("scene/a", 1, True)]


def test_a_session_outlives_the_program(nats, mqtt, messages):
    client = mqtt(nats())
    who = {"client_id": "tram7", "mqtt__version": 4}
    client.listen("a", **who).stop()
    client.ok("send", "a", "-", input="1\n2\n", mqtt__version=4)
    heard = client.spawn("listen", "-n", "2", "a", **who)
    assert heard.wait() == 0 and [m["payload"] for m in messages(heard)] == [1, 2]


def test_what_it_does_not_speak(nats, mqtt):
    client = mqtt(nats())
    done = client.run("send", "a", "1")
    assert done.returncode == 7 and "unsupported protocol version (0x84)" in done.stderr, done
    assert "--mqtt-version" in done.stderr
