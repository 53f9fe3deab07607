"""Rules of MQTT that concern sessions, one by one: docs/mqtt5.md says which is held by which test."""

import signal

import pytest
from mqtt import (
    CONNACK,
    DISCONNECT,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Peer,
    connect_packet,
    packet,
    props,
    publish_packet,
    string,
)

STAYS = {"session_expiry": 1000}


def test_wills_and_retain(broker, peer):
    s = broker()
    b = peer(s)
    b.subscribe(("w/#", 1))
    users = [("b", "1"), ("a", "2"), ("b", "3")]
    peer(s, will=("w/kept", "x", 1, 1, {"user": users})).sock.close()
    assert b.take(1).props["user"] == users
    a = peer(s, id="a", properties=STAYS, will=("w/not", "x", 1, 0, {}))
    a.sock.close()
    b.take(1)
    a = peer(s, id="a", clean=False, properties=STAYS)  # without one
    a.sock.close()
    assert b.is_quiet()
    c = peer(s)
    c.subscribe(("w/#", 1))
    p = c.take(1)
    assert (p.topic, p.retain, p.props["user"]) == ("w/kept", True, users)
    assert c.is_quiet()


@pytest.mark.parametrize("size", [1, 23, 128])
def test_client_identifiers(broker, peer, size):
    s = broker()
    name = ("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" * 3)[:size]
    for version in (4, 5):
        peer(s, version=version, id=name).ping()
    made = {peer(s).connack.props["assigned_id"] for _ in range(3)}
    assert len(made) == 3
    assert peer(s, version=4).connack.reason == 0


def test_nothing_after_a_refused_connect_is_done(broker, peer):
    s = broker()
    a = peer(s)
    a.subscribe("t")
    for password in ("pk_nobody", None):
        with Peer(s) as p:
            p.send(connect_packet("x", password=password) + publish_packet("t", "x", 1, id=1))
            assert p.expect(CONNACK).reason in (0x86, 0x87)
            p.ends()
    assert a.is_quiet()


def test_no_words_where_they_are_not_wanted(broker, peer):
    s = broker(keys={"narrow": ("a", "a")})
    for wanted in (1, 0):
        a = peer(s, key=s.keys["narrow"], properties={"problem_info": wanted})
        a.publish("b", qos=1, id=1)
        assert ("reason_string" in a.expect(PUBACK).props) == bool(wanted)
        a.publish("b", qos=2, id=1)
        assert ("reason_string" in a.expect(PUBREC).props) == bool(wanted)


def test_words_that_would_not_fit_are_left_out(broker, peer):
    s = broker(keys={"narrow": ("a", "a")})
    a = peer(s, key=s.keys["narrow"], properties={"max_packet": 8})
    assert not a.connack.props
    a.publish("b", qos=1, id=1)
    p = a.expect(PUBACK)
    assert (p.reason, p.props) == (0x87, {})
    a.publish("b", qos=2, id=1)
    assert a.expect(PUBREC).props == {}
    assert a.subscribe("a", "b") == [0, 0x87]
    a.send(packet(SUBSCRIBE, 2, b"\0\0" + props({}) + string("a") + b"\0"))
    p = a.expect(DISCONNECT)
    assert (p.reason, p.props) == (0x82, {})
    with Peer(s) as p:
        p.send(connect_packet("x", password="pk_nobody", properties={"max_packet": 8}))
        told = p.expect(CONNACK)
        assert (told.reason, told.props) == (0x86, {})


def test_dup_is_each_senders_own(broker, peer):
    s = broker()
    a, b = peer(s), peer(s)
    b.subscribe(("t", 2))
    for qos in (1, 2):
        a.put("t", str(qos), qos=qos, id=5, dup=True)
        assert not b.take(qos).dup


def test_what_is_not_to_be_retained_is_not(broker, peer):
    s = broker()
    a = peer(s)
    a.put("r", "kept", retain=True)
    a.put("r", "passing")
    b = peer(s)
    b.subscribe("r")
    assert b.take(0).payload == b"kept"
    assert b.is_quiet()


def test_aliases_end_with_the_connection(broker, peer):
    s = broker()
    a = peer(s, id="a", properties=STAYS)
    a.put("t", properties={"alias": 1})
    a = peer(s, id="a", clean=False, properties=STAYS)
    a.publish("", properties={"alias": 1})
    assert a.expect(DISCONNECT).reason in (0x82, 0x94)


def test_what_was_begun_is_completed_after_unsubscribe(broker, peer):
    s = broker()
    a, b = peer(s, id="a", properties=STAYS), peer(s)
    a.subscribe(("t", 2))
    b.put("t", "1", qos=2)
    b.put("t", "2", qos=1)
    first, second = a.expect(PUBLISH), a.expect(PUBLISH)
    assert a.unsubscribe("t") == [0]
    b.put("t", "3")
    a.sock.close()
    a = peer(s, id="a", clean=False, properties=STAYS)
    again = [a.expect(PUBLISH), a.expect(PUBLISH)]
    assert [(p.id, p.dup) for p in again] == [(first.id, True), (second.id, True)]
    a.ack(PUBREC, first.id)
    a.expect(PUBREL)
    a.ack(PUBCOMP, first.id)
    a.ack(PUBACK, second.id)
    assert a.is_quiet()


def test_a_session_does_not_expire_while_its_client_is_there(broker, peer):
    s = broker()
    a = peer(s, id="a", properties={"session_expiry": 1})
    assert a.is_quiet(1.5)
    a.ping()
    a.sock.close()
    assert peer(s, id="a", clean=False).connack.present


def test_what_was_sent_does_not_expire(broker, peer):
    s = broker()
    a, b = peer(s, id="a", properties=STAYS), peer(s)
    a.subscribe(("t", 2))
    b.put("t", "x", qos=2, properties={"expiry": 1})
    first = a.expect(PUBLISH)
    a.sock.close()
    assert b.is_quiet(1.3)
    a = peer(s, id="a", clean=False, properties=STAYS)
    p = a.expect(PUBLISH)
    assert (p.id, p.dup, p.payload) == (first.id, True, b"x")
    a.ack(PUBREC, p.id)
    a.expect(PUBREL)
    a.ack(PUBCOMP, p.id)


def test_an_identifier_is_free_after_a_refusal(broker, peer):
    s = broker(keys={"narrow": ("a", "a")})
    a = peer(s, key=s.keys["narrow"])
    assert a.put("b", qos=2, id=9) == 0x87
    assert a.put("a", qos=2, id=9) == 0
    assert a.put("a", qos=1, id=9) == 0


def test_filters_are_compared_as_they_are(broker, peer):
    s = broker()
    a, b = peer(s), peer(s)
    a.subscribe("t/A", "t/\u00e9", "/t")
    for topic in ("t/a", "t/e\u0301", "t"):
        b.put(topic)
    assert a.is_quiet()
    b.put("t/\u00e9")
    assert a.take().topic == "t/\u00e9"
    body = b"\0\1" + props({}) + string("t/a") + string("t/A")
    a.send(packet(UNSUBSCRIBE, 2, body))
    assert a.expect(11).codes == [0x11, 0]


@pytest.mark.parametrize("is_durable", (False, True))
def test_qos_1_of_a_shared_subscription_goes_on_to_another_client(broker, peer, tmp_path, is_durable):
    """What a client did not acknowledge before its session ended: once each, and nothing that was acknowledged."""
    s = broker(*(("--data", tmp_path / "data") if is_durable else ()))
    a, b, c = peer(s), peer(s), peer(s)
    for member in (a, b):
        member.subscribe(("$share/g/t/#", 1))
    for i in range(8):
        c.put("t/1", str(i))
    given = [a.expect(PUBLISH) for _ in range(4)]
    for _ in range(4):
        b.take(1)
    a.ack(PUBACK, given[1].id)
    a.ping()
    assert b.is_quiet(0.1)
    a.sock.close()
    assert [b.take(1).payload for _ in range(3)] == [given[i].payload for i in (0, 2, 3)]
    c.put("t/1", "new")
    assert b.take(1).payload == b"new" and b.is_quiet()


def test_qos_1_of_a_shared_subscription_goes_on_after_a_crash(again, peer):
    """The session ends while its client is away and the server was killed in between: nothing is lost."""
    s = again()
    a, b, c = peer(s, id="a", properties={"session_expiry": 2}), peer(s, id="b", properties=STAYS), peer(s)
    for member in (a, b):
        member.subscribe(("$share/g/t", 1))
    for i in range(6):
        c.put("t", str(i))
    given = {a.expect(PUBLISH).payload for _ in range(3)}
    had = {b.take(1).payload for _ in range(3)}
    s = again(signal.SIGKILL)
    b, c = peer(s, id="b", clean=False, properties=STAYS), peer(s)
    while not given <= had:
        had.add(b.take(1).payload)
    c.put("t", "new")
    while b.take(1).payload != b"new":
        pass


def test_qos_2_of_a_shared_subscription_stays_with_its_client(broker, peer):
    s = broker()
    a = peer(s, id="a", properties=STAYS)
    a.subscribe(("$share/g/t", 2))
    b, c = peer(s), peer(s)
    c.put("t", "begun", qos=2)
    first = a.expect(PUBLISH)
    b.subscribe(("$share/g/t", 1))
    a.sock.close()
    assert b.is_quiet()
    a = peer(s, id="a", clean=False, properties=STAYS)
    assert a.expect(PUBLISH).id == first.id
    a.disconnect(0, {"session_expiry": 0})
    a.ends()
    assert b.is_quiet()  # its session ended: nobody else gets it
    c.put("t", "refused", qos=2)
    p = b.expect(PUBLISH)
    assert p.qos == 1  # as granted
    d = peer(s)
    d.subscribe(("$share/g/t", 2))
    b.ack(PUBACK, p.id, 0x80)
    assert d.is_quiet() and b.is_quiet()
