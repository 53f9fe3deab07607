"""What suites of others ask of every MQTT server, where the other tests do not: both versions, as a client sees it."""

import pytest
from mqtt import DISCONNECT, PUBACK, PUBLISH, PUBREC, Peer, connect_packet
from raw import Gone

STAYS = {"session_expiry": 1000}


@pytest.fixture
def pair(broker, peer):
    s = broker()
    return s, peer(s), peer(s)


def test_empty_identifiers(broker, peer):
    s = broker()
    for clean in (True, False):
        a = peer(s, id="", clean=clean)
        assert a.connack.props["assigned_id"] and not a.connack.present
    peer(s, version=4, id="")
    with Peer(s, version=4) as p:
        assert p.connect("", clean=False).reason == 2


def test_another_protocol(broker):
    s = broker()
    with Peer(s) as p:
        p.send(connect_packet(password=s.key).replace(b"MQTT", b"MQTX"))
        with pytest.raises(Gone):
            while True:
                p.recv()


@pytest.mark.parametrize("version", [4, 5])
def test_offline_and_retained(broker, peer, version):
    """QoS 1 and 2 wait, in their order; retained messages keep their QoS and what they say besides."""
    s = broker()
    said = {"properties": STAYS} if version == 5 else {}
    a, b = peer(s, version=version, id="a", clean=False, **said), peer(s)
    a.subscribe(("t/+", 2))
    a.disconnect()
    a.ends()
    user = {"user": [("a", "2"), ("c", "3")]}
    for qos in (0, 1, 2):
        b.put(f"t/{qos}", f"{qos}", qos=qos, retain=True, properties=user)
    a = peer(s, version=version, id="a", clean=False, **said)
    assert sorted(a.take().qos for _ in range(2)) == [1, 2]
    assert a.is_quiet()
    c = peer(s)
    c.subscribe(("t/+", 2))
    got = sorted((c.take() for _ in range(3)), key=lambda p: p.topic)
    assert [(p.topic, p.qos, p.retain, p.props) for p in got] == [(f"t/{q}", q, True, user) for q in (0, 1, 2)]


def test_what_a_will_says(pair, peer):
    s, _, b = pair
    b.subscribe(("w", 2))
    said = {"will_delay": 0, "user": [("a", "2")], "content_type": "text/plain"}
    a = peer(s, will=("w", "gone", 2, 0, said), keep_alive=1)
    p = b.take(2)  # a says nothing any more
    del said["will_delay"]
    assert (p.payload, p.props) == (b"gone", said)
    assert a.expect(DISCONNECT).reason == 0x8D


def test_a_request_and_its_answer_on_one_topic(pair):
    """By No Local each hears only the other."""
    _, a, b = pair
    a.subscribe(("t", 2 | 4))
    b.subscribe(("t", 2 | 4))
    a.put("t", "asked", properties={"response_topic": "t", "correlation": b"334"})
    asked = b.take(1)
    assert asked.props == {"response_topic": "t", "correlation": b"334"}
    b.put(asked.props["response_topic"], "answered", properties=asked.props)
    assert a.take(1).payload == b"answered"
    assert a.is_quiet() and b.is_quiet()


def test_alias_0_is_none(pair):
    _, a, _ = pair
    a.publish("t", properties={"alias": 0})
    assert a.expect(DISCONNECT).reason in (0x82, 0x94)


def test_one_alias_for_one_topic(broker, peer):
    s = broker()
    a = peer(s, properties={"alias_max": 1})
    a.subscribe(("t/#", 0))
    for topic in ("t/1", "t/1", "t/2", "t/1"):
        a.put(topic)
    got = [a.take(0) for _ in range(4)]
    assert [(p.topic, p.props.get("alias")) for p in got] == [("t/1", 1), ("", 1), ("t/2", None), ("", 1)]


def test_the_window_of_the_client(broker, peer):
    s = broker()
    a, b = peer(s, properties={"receive_max": 2}), peer(s)
    a.subscribe(("t", 2))
    for qos in (1, 2, 1):
        b.put("t", qos=qos)
    first, second = a.expect(PUBLISH), a.expect(PUBLISH)
    assert a.is_quiet()
    a.ack(PUBACK, first.id)
    assert a.take(1).id not in (first.id, second.id)
    a.ack(PUBREC, second.id, 0x80)


def test_the_expiry_that_the_disconnect_says(broker, peer):
    s = broker()
    a = peer(s, id="a", properties={"session_expiry": 1})
    a.disconnect(0, STAYS)
    a.ends()
    a = peer(s, id="a", clean=False, properties=STAYS)
    assert a.connack.present
    a.disconnect(0, {"session_expiry": 0})
    a.ends()
    assert not peer(s, id="a", clean=False).connack.present
