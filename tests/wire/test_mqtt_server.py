"""The server's MQTT on the wire: connecting, sessions, QoS, retained, wills, limits, refusals. docs/mqtt.md."""

import contextlib
import json
import os
import signal
import socket
import struct

import pytest
from mqtt import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    Peer,
    connect_packet,
    packet,
    props,
    publish_packet,
    string,
)
from raw import TEXT

WAYS = [("tcp", 5), ("tcp", 4), ("ws", 5), ("ws", 4)]


@pytest.mark.parametrize("way,version", WAYS)
def test_a_message_of_each_qos_and_back(broker, peer, way, version):
    s = broker()
    a, b = peer(s, way, version), peer(s)
    assert a.subscribe(("a/#", 2), ("b/+", 1), ("c", 0)) == [2, 1, 0]
    for qos in (0, 1, 2):
        assert b.put("a/x", f"p{qos}", qos=qos) == 0
        p = a.take(qos)
        assert (p.topic, p.payload, p.dup, p.retain) == ("a/x", f"p{qos}".encode(), False, False)
        assert a.put("b/x", "", qos=qos) == 0
        assert a.take(min(qos, 1)).payload == b""
        assert b.put("c", "x", qos=qos) == 0
        assert a.take(0).topic == "c"
    a.ping()
    assert a.unsubscribe("a/#", "nothing") == ([0, 0x11] if version == 5 else [])
    b.put("a/x")
    assert a.is_quiet()
    a.disconnect()
    assert a.ends() in (None, 1000)


def stream(s, version):
    """What one client says in its life, in one piece."""
    return (
        connect_packet("cut", password=s.key, version=version)
        + packet(SUBSCRIBE, 2, b"\0\1" + (props({}) if version == 5 else b"") + string("a/#") + b"\2")
        + publish_packet("a/1", "x" * 300, 2, id=7, version=version)
        + packet(PUBREL, 2, b"\0\7")
        + packet(PINGREQ, 0, b"")
    )


@pytest.mark.parametrize("version", [4, 5])
def test_packets_span_and_share_frames(broker, version):
    s = broker()
    whole = stream(s, version)
    cuts = [[i] for i in range(1, len(whole), 1 if len(whole) < 500 else 3)] + [range(1, len(whole))]
    for cut in cuts:
        with Peer(s, "ws", version) as p:
            at = [0, *cut, len(whole)]
            for start, end in zip(at, at[1:], strict=False):
                p.send(whole[start:end])
            got = sorted(p.recv().kind for _ in range(6))
            assert got == [CONNACK, PUBLISH, PUBREC, PUBCOMP, SUBACK, PINGRESP], cut
            p.send(packet(DISCONNECT, 0, b""))
            assert p.ends() == 1000


def test_a_message_in_several_frames_and_a_text_frame(broker):
    s = broker()
    with Peer(s, "ws") as p:
        data = connect_packet(password=s.key)
        p.send(data[:5], is_final=False)
        p.send(data[5:9], opcode=0, is_final=False)
        p.send(data[9:], opcode=0)
        assert p.expect(CONNACK).reason == 0
        p.send(b"hello", opcode=TEXT)
        assert p.ends() == 1003


def bad(version):
    """name -> (bytes after CONNECT, reason of the DISCONNECT)."""
    empty = props({}) if version == 5 else b""
    return {
        "type 0": (b"\0\0", 0x81),
        "flags": (b"\xc1\0", 0x81),
        "second CONNECT": (connect_packet(password="x", version=version), 0x82),
        "QoS 3": (packet(PUBLISH, 6, string("a") + b"\0\1" + empty), 0x81),
        "identifier 0": (packet(PUBLISH, 2, string("a") + b"\0\0" + empty), 0x82),
        "wildcard in a topic": (packet(PUBLISH, 0, string("a/#") + empty), 0x90),
        "no filter": (packet(SUBSCRIBE, 2, b"\0\1" + empty), 0x82),
        "bad filter": (packet(SUBSCRIBE, 2, b"\0\1" + empty + string("a#") + b"\0"), 0x8F),
        "short": (packet(PUBLISH, 0, b"\0\5ab"), 0x81),
        "not UTF-8": (packet(PUBLISH, 0, b"\0\1\xff" + empty), 0x81),
        "a server's packet": (packet(CONNACK, 0, b"\0\0" + empty), 0x82),
        "length in five bytes": (b"\x30\x80\x80\x80\x80\x01", 0x81),
        "too large": (b"\x30\xff\xff\xff\x7f", 0x95),
    }


@pytest.mark.parametrize("way,version", WAYS)
def test_what_breaks_the_rules_is_told_and_ends(broker, peer, way, version):
    s = broker()
    for i, (name, (data, reason)) in enumerate(bad(version).items(), 1):
        p = peer(s, way, version)
        p.send(data)
        if version == 5:
            told = p.expect(DISCONNECT)
            assert (name, told.reason) in ((name, reason), (name, 0x81)), name
            assert told.props["reason_string"]
        assert p.ends() == ({"too large": 1009}.get(name, 1002) if way == "ws" else None), name
        p.sock.close()  # the server lingers until then
        s.proc.wait_line(r"info: .* at byte \d+ \(MQTT 5", stream="err", nth=i)


@pytest.mark.parametrize("way", ["tcp", "ws"])
def test_before_connect(broker, way):
    s = broker(limits__handshake_ms=300)
    code = {"tcp": None, "ws": 1002}[way]
    for data in (packet(PINGREQ, 0, b""), b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\x7f"):
        with Peer(s, way) as p:
            p.send(data)
            assert p.ends() in (code, 1009 if way == "ws" else None)
    with Peer(s, way) as p:
        assert p.ends() == (3008 if way == "ws" else None)
    s.proc.wait_line("no CONNECT within 300 ms", stream="err")
    for level, answer in ((3, 0x01), (6, 0x84)):
        with Peer(s, way, 5 if level == 6 else 4) as p:
            p.send(connect_packet(password=s.key, level=level, version=p.version))
            assert p.expect(CONNACK).reason == answer
            assert p.ends() == code


def test_keys(broker):
    s = broker()
    for way, version in WAYS:
        for key, reasons in ((None, (0x87, 5)), ("pk_nobody", (0x86, 4))):
            with Peer(s, way, version) as p:
                p.send(connect_packet(password=key, version=version))
                told = p.expect(CONNACK)
                assert told.reason == reasons[version == 4]
                assert ("reason_string" in told.props) == (version == 5)
                assert p.ends() == (3000 if way == "ws" else None)
    assert "pk_" not in s.proc.err


def test_enhanced_authentication_is_refused(broker):
    s = broker()
    with Peer(s) as p:
        assert p.connect(properties={"auth_method": "SCRAM-SHA-1"}).reason == 0x8C
        assert p.ends() is None
    with Peer(s) as p:
        p.connect()
        p.send(packet(15, 0, b"\x18" + props({"auth_method": "x"})))
        assert p.expect(DISCONNECT).reason == 0x82


def test_what_a_connack_grants(broker):
    s = broker(limits__session_expiry_s=100, limits__inflight=7, limits__topic_aliases=3)
    with Peer(s) as p:
        a = p.connect(keep_alive=500, properties={"session_expiry": 1000})
        assert a.props["session_expiry"] == 100
        assert a.props["receive_max"] == 7
        assert a.props["alias_max"] == 3
        assert a.props["server_keep_alive"] == 60
        assert a.props["max_packet"] == 1048576
        assert a.props["assigned_id"]
    with Peer(s) as p:
        a = p.connect("mine", keep_alive=5, properties={"session_expiry": 5})
        assert not {"session_expiry", "assigned_id", "server_keep_alive"} & set(a.props)
    with Peer(s) as p:
        assert p.connect("x" * 129).reason == 0x85


def test_permissions(broker, peer):
    s = broker(keys={"narrow": ("a/#", "a/#")})
    key = s.keys["narrow"]
    p = peer(s, key=key)
    assert p.subscribe("a/b", "b", "#", "$share/g/b", "$SYS/x", "$share/g/a") == [0, 0x87, 0x87, 0x87, 0x87, 0]
    assert p.put("b") == 0x87
    assert p.put("b", qos=2) == 0x87
    assert p.put("$a") == 0x87
    assert p.put("a/c") == 0
    p.publish("b")  # nobody can be told
    p.ping()
    q = peer(s, version=4, key=key)
    assert q.subscribe("a/b", "b") == [0, 0x80]
    for qos in (0, 1, 2):
        assert q.put("$a/b", qos=qos) == 0  # nobody's to publish to
    assert q.is_quiet()
    q.publish("b", qos=1, id=1)
    q.ends()
    with Peer(s) as p:
        assert p.connect(key=key, will=("b", "", 0, 0, {})).reason == 0x87


def test_session_comes_back(broker, peer):
    s = broker()
    a = peer(s, id="a", properties={"session_expiry": 100})
    assert not a.connack.present
    assert a.subscribe(("t/#", 2)) == [2]
    a.disconnect()
    a.ends()
    b = peer(s)
    for i in range(5):
        b.put("t/1", str(i), qos=1 + i % 2)
    b.put("t/1", "zero", qos=0)
    a = peer(s, id="a", clean=False, properties={"session_expiry": 100})
    assert a.connack.present
    got = [a.take() for _ in range(5)]
    assert [p.payload for p in got] == [str(i).encode() for i in range(5)]
    assert [p.qos for p in got] == [1, 2, 1, 2, 1]
    assert a.is_quiet()  # QoS 0 was for those who were there
    a.disconnect()
    a.ends()
    a = peer(s, id="a", clean=True)
    assert not a.connack.present
    b.put("t/1")
    assert a.is_quiet()


def test_what_was_not_acknowledged_is_sent_again(broker, peer):
    s = broker()
    a = peer(s, id="a", properties={"session_expiry": 100})
    a.subscribe(("t", 2))
    b = peer(s)
    for qos in (1, 2, 2):
        b.put("t", f"q{qos}", qos=qos)
    first = [a.expect(PUBLISH) for _ in range(3)]
    a.ack(PUBREC, first[2].id)
    assert a.expect(PUBREL).id == first[2].id
    a.sock.close()
    b.put("t", "new")
    a = peer(s, id="a", clean=False, properties={"session_expiry": 100})
    again = [a.recv() for _ in range(4)]
    assert [p.kind for p in again] == [PUBLISH, PUBLISH, PUBREL, PUBLISH]
    assert [p.id for p in again[:3]] == [p.id for p in first]
    assert [p.dup for p in again] == [True, True, False, False]
    assert [again[0].payload, again[1].payload, again[3].payload] == [b"q1", b"q2", b"new"]
    a.ack(PUBACK, again[0].id)
    a.ack(PUBREC, again[1].id)
    assert a.expect(PUBREL).id == again[1].id
    a.ack(PUBCOMP, again[1].id)
    a.ack(PUBCOMP, again[2].id)
    a.ack(PUBACK, again[3].id)
    a.disconnect()
    a.ends()
    a = peer(s, id="a", clean=False)
    assert a.connack.present
    assert a.is_quiet()


def test_flow_control_towards_the_client(broker, peer):
    s = broker()
    a = peer(s, properties={"receive_max": 2})
    a.subscribe(("t", 1))
    b = peer(s)
    for i in range(6):
        b.put("t", str(i))
    b.put("t", "zero", qos=0)
    first, second, zero = a.expect(PUBLISH), a.expect(PUBLISH), a.expect(PUBLISH)
    assert (first.payload, second.payload, zero.payload) == (b"0", b"1", b"zero")
    assert a.is_quiet()
    a.ack(PUBACK, second.id)
    third = a.expect(PUBLISH)
    assert third.payload == b"2"
    for p in (first, third):
        a.ack(PUBACK, p.id)
    assert [a.take(1).payload for _ in range(3)] == [b"3", b"4", b"5"]


def test_flow_control_towards_the_server(broker, peer):
    s = broker(limits__inflight=3)
    a = peer(s)
    for i in range(1, 4):
        a.publish("t", qos=2, id=i)
        a.expect(PUBREC)
    a.publish("t", qos=2, id=4)
    assert a.expect(DISCONNECT).reason == 0x93


def test_qos_2_repeated_is_one_message(broker, peer):
    s = broker()
    a, b = peer(s, id="a", properties={"session_expiry": 9}), peer(s)
    b.subscribe(("t", 2))
    a.publish("t", "once", qos=2, id=5)
    assert a.expect(PUBREC).id == 5
    a.publish("t", "once", qos=2, id=5, dup=True)
    assert a.expect(PUBREC).reason == 0
    a.sock.close()
    a = peer(s, id="a", clean=False, properties={"session_expiry": 9})
    a.publish("t", "once", qos=2, id=5, dup=True)
    assert a.expect(PUBREC).id == 5
    a.ack(PUBREL, 5)
    assert a.expect(PUBCOMP).reason == 0
    a.ack(PUBREL, 5)
    assert a.expect(PUBCOMP).reason == 0x92
    assert b.take(2).payload == b"once"
    assert b.is_quiet()


def test_take_over(broker, peer):
    s = broker(keys={"other": ("#", "#")})
    a = peer(s, "ws", id="same", properties={"session_expiry": 9})
    a.subscribe(("t", 1))
    peer(s, id="same", key=s.keys["other"])  # another key's: another session
    a.ping()
    b = peer(s, id="same", clean=False, properties={"session_expiry": 9})
    assert b.connack.present
    assert a.expect(DISCONNECT).reason == 0x8E
    assert a.ends() == 1000
    c = peer(s, id="same", clean=True, version=4)
    assert not c.connack.present
    assert c.is_quiet()


def test_retained(broker, peer):
    s = broker()
    a = peer(s)
    for qos in (0, 1, 2):
        a.put(f"r/{qos}", f"v{qos}", qos=qos, retain=True)
    b = peer(s)
    b.subscribe(("r/#", 2))
    got = sorted((b.take() for _ in range(3)), key=lambda p: p.topic)
    assert [(p.topic, p.payload, p.qos, p.retain) for p in got] == [
        (f"r/{q}", f"v{q}".encode(), q, True) for q in (0, 1, 2)
    ]
    a.put("r/1", "live", retain=True)
    assert not b.take(1).retain
    b.subscribe(("r/#", 2 | 1 << 4))  # handling 1: it stood already
    assert b.is_quiet()
    b.subscribe(("r/1", 0 | 2 << 4))  # 2: never
    assert b.is_quiet()
    b.subscribe(("r/2", 1 | 1 << 4 | 8))  # new; retain as published
    assert (b.take(1).retain, b.is_quiet()) == (True, True)
    a.put("r/2", "more", retain=True)
    assert b.take(1).retain
    a.put("r/2", "", retain=True)
    assert b.take(1).retain and b.is_quiet()
    c = peer(s)
    c.subscribe("r/2", "$share/g/r/#")
    assert c.is_quiet()


def test_subscribing_again_loses_nothing(broker, peer):
    s = broker()
    a = peer(s, id="a", properties={"receive_max": 1, "session_expiry": 9})
    a.subscribe(("t", 1))
    b = peer(s)
    for i in range(4):
        b.put("t", str(i))
    first = a.expect(PUBLISH)
    a.send(packet(SUBSCRIBE, 2, b"\0\2" + props({}) + string("t") + b"\1"))
    a.expect(9)
    a.ack(PUBACK, first.id)
    assert [a.take(1).payload for _ in range(3)] == [b"1", b"2", b"3"]


def test_no_local_and_subscription_identifiers(broker, peer):
    s = broker()
    a, b = peer(s), peer(s)
    a.subscribe(("t", 1 | 4), properties={"subscription_id": 7})
    a.subscribe(("t/#", 0), properties={"subscription_id": 300000})
    a.put("t", "own")
    assert a.take(0).props["subscription_id"] == 300000
    assert a.is_quiet()
    b.put("t", "other")
    assert sorted(a.take(1).props["subscription_id"]) == [7, 300000]
    assert a.is_quiet()
    a.send(packet(SUBSCRIBE, 2, b"\0\1" + props({}) + string("$share/g/t") + b"\x04"))
    assert a.expect(DISCONNECT).reason == 0x82


def test_properties_go_through(broker, peer):
    s = broker()
    a, b, old = peer(s), peer(s), peer(s, version=4)
    b.subscribe("t")
    old.subscribe("t")
    sent = {
        "payload_format": 1,
        "content_type": "text/plain",
        "response_topic": "answers/7",
        "correlation": b"\0\xff",
        "user": [("a", "1"), (":odd", "2"), ("a", "3"), ("", "")],
    }
    a.put("t", "grün", properties=sent)
    assert b.take().props == sent
    assert old.take().payload == "grün".encode()
    assert a.put("t", b"\xff", properties={"payload_format": 1}) == 0x99


def test_expiry_counts_down(broker, peer):
    s = broker()
    a = peer(s)
    a.put("t", "x", retain=True, properties={"expiry": 100})
    a.put("u", "x", retain=True, properties={"expiry": 1})
    b = peer(s)
    b.subscribe("t")
    left = b.take().props["expiry"]
    assert 1 <= left <= 100
    c = peer(s, id="c", properties={"session_expiry": 100})
    c.subscribe(("v", 1))
    c.sock.close()
    a.put("v", "gone", properties={"expiry": 1})
    a.put("v", "stays", properties={"expiry": 100})
    assert a.is_quiet(1.2)
    b.subscribe("u")
    assert b.is_quiet()
    c = peer(s, id="c", clean=False, properties={"session_expiry": 100})
    assert c.take(1).payload == b"stays"


def test_maximum_packet_size(broker, peer):
    s = broker(limits__message_bytes=2048)
    a, b = peer(s), peer(s, properties={"max_packet": 100})
    b.subscribe(("t", 1))
    a.put("t", "x" * 200)
    a.put("t", "y" * 200, qos=0)
    a.put("t", "small")
    assert b.take(1).payload == b"small"
    a.publish("t", "x" * 3000, qos=1, id=1)
    assert a.expect(DISCONNECT).reason == 0x95


def test_shared_subscriptions(broker, peer):
    s = broker()
    a, b, c = peer(s), peer(s), peer(s)
    for p in (a, b):
        assert p.subscribe(("$share/g/t/#", 1)) == [1]
    for i in range(10):
        c.put("t/1", str(i))
    got = [a.take(1).payload for _ in range(5)] + [b.take(1).payload for _ in range(5)]
    assert sorted(got) == [str(i).encode() for i in range(10)]
    a.disconnect()
    a.ends()
    c.put("t/1", "left")
    assert b.take(1).payload == b"left"


def test_wills(broker, peer):
    s = broker()
    b = peer(s)
    b.subscribe(("w/#", 2))
    peer(s, will=("w/1", "gone", 1, 0, {"content_type": "x"})).sock.close()
    p = b.take(1)
    assert (p.payload, p.props) == (b"gone", {"content_type": "x"})
    a = peer(s, version=4, will=("w/2", "gone", 2, 1, {}))
    a.disconnect()
    a.ends()
    a = peer(s, will=("w/3", "asked", 0, 0, {}))
    a.disconnect(4)
    assert b.take(0).payload == b"asked"
    a = peer(s, version=4, keep_alive=1, will=("w/4", "silent", 0, 0, {}))
    assert b.take(0).payload == b"silent"
    a.ends()


def test_wills_with_a_delay(broker, peer):
    s = broker()
    b = peer(s)
    b.subscribe(("w/#", 1))
    will = ("w/1", "later", 1, 0, {"will_delay": 1})
    a = peer(s, id="a", properties={"session_expiry": 100}, will=will)
    a.sock.close()
    a = peer(s, id="a", clean=False, properties={"session_expiry": 100}, will=will)
    assert b.is_quiet(1.3)  # it came back in time
    a.sock.close()
    assert b.take(1).payload == b"later"
    a = peer(s, id="b", will=("w/2", "at the session's end", 1, 0, {"will_delay": 100}))
    a.sock.close()
    assert b.take(1).topic == "w/2"
    peer(s, id="c", properties={"session_expiry": 100}, will=("w/3", "x", 1, 0, {"will_delay": 100})).sock.close()
    peer(s, id="c", clean=True)
    assert b.take(1).topic == "w/3"


def test_keep_alive(broker, peer):
    s = broker()
    a = peer(s, keep_alive=1)
    for _ in range(4):
        assert a.is_quiet(0.5)
        a.ping()
    told = a.expect(DISCONNECT)
    assert told.reason == 0x8D
    assert peer(s, "ws", 4, keep_alive=1).ends() == 3008


def test_sessions_expire(broker, peer):
    s = broker()
    for expiry, is_present in ((1, False), (100, True)):
        a = peer(s, id=f"e{expiry}", properties={"session_expiry": expiry})
        a.sock.close()
        assert peer(s).is_quiet(1.3)
        assert peer(s, id=f"e{expiry}", clean=False).connack.present == is_present
    a = peer(s, id="d", properties={"session_expiry": 100})
    a.disconnect(0, {"session_expiry": 0})
    a.ends()
    assert not peer(s, id="d", clean=False).connack.present
    a = peer(s, id="f")
    a.disconnect(0, {"session_expiry": 5})
    assert a.expect(DISCONNECT).reason == 0x82


def test_a_session_over_its_limit_ends_whole(broker, peer):
    s = broker(limits__session_messages=8)
    a = peer(s, id="a", properties={"session_expiry": 100})
    a.subscribe(("t", 1))
    a.sock.close()
    b = peer(s)
    for i in range(20):
        b.put("t", str(i))
    assert not peer(s, id="a", clean=False).connack.present


def test_more_sessions_than_may_be(broker, peer):
    s = broker(limits__sessions=2)
    peer(s, id="a")
    peer(s, id="b")
    with Peer(s) as p:
        assert p.connect("c").reason == 0x97
    peer(s, id="a")


def test_the_key_goes(broker, peer, run, tmp_path):
    s = broker(keys={"gone": ("#", "#")})
    a = peer(s, "ws", id="a", key=s.keys["gone"], properties={"session_expiry": 9}, will=("w", "x", 0, 0, {}))
    b = peer(s, id="b", key=s.keys["gone"], properties={"session_expiry": 9}, will=("w", "x", 0, 0, {"will_delay": 9}))
    b.sock.close()
    c = peer(s)
    c.subscribe("w")
    assert run(["pixi-ws-server", "key", "revoke", "gone", "--keys", tmp_path / "server.keys"]).returncode == 0
    os.kill(s.proc.pid, signal.SIGHUP)
    assert a.expect(DISCONNECT).reason == 0x87
    assert a.ends() == 3000
    assert c.is_quiet()


def test_the_server_stops(broker, peer):
    s = broker()
    a, b = peer(s, "ws"), peer(s, version=4)
    os.kill(s.proc.pid, signal.SIGTERM)
    assert a.expect(DISCONNECT).reason == 0x8B
    assert a.ends() == 1012
    b.ends()
    assert s.proc.wait() == 0


def test_sys(broker, run, tmp_path, peer):
    s = broker(keys={"operator": ("a", "$SYS/#")})
    a = peer(s, key=s.keys["operator"])
    a.subscribe("$SYS/#")
    got = {}
    while "$SYS/broker/sessions/count" not in got:
        p = a.take(0)
        got[p.topic] = p.payload.decode()
    assert got["$SYS/broker/version"].startswith("pixi-ws-server ")
    assert got["$SYS/broker/sessions/count"] == "1"


def test_a_slow_reader_loses_no_qos_1(broker, peer):
    s = broker(limits__queue_bytes=1 << 20, limits__inflight=100)
    a, b = peer(s), peer(s)
    a.subscribe(("t", 1))
    for i in range(300):
        b.put("t", struct.pack("!I", i) + bytes(40000))
    assert [struct.unpack("!I", a.take(1).payload[:4])[0] for _ in range(300)] == list(range(300))


def test_limits_of_strangers(broker, peer):
    s = broker(limits__handshakes=2)
    waiting = [Peer(s) for _ in range(2)]
    with Peer(s) as p:
        p.ends()
    s.proc.wait_line("too many connections that have not asked", stream="err")
    assert waiting[0].connect().reason == 0
    peer(s)
    for p in waiting:
        p.sock.close()


def test_rates(broker, peer):
    s = broker(limits__publishes_per_s=3)
    a = peer(s)
    assert sorted(a.put("t", id=i) for i in range(1, 6)) == [0, 0, 0, 0x97, 0x97]


def test_metrics(broker, peer):
    import urllib.request

    s = broker(metrics__listen=["127.0.0.1:0"])
    port = s.proc.wait_line(r"^listening on 127\.0\.0\.1:(\d+) for metrics$", stream="out")[1]
    a = peer(s, id="a", properties={"session_expiry": 9})
    a.subscribe(("t", 1))
    a.put("t")
    a.take(1)
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    for line in (
        "pixi_mqtt_connections 1",
        "pixi_mqtt_sessions 1",
        'pixi_mqtt_packets_received_total{type="PUBLISH"} 1',
        'pixi_mqtt_packets_sent_total{type="PUBACK"} 1',
        "pixi_store_session_messages 1",
        "pixi_subscriptions 1",
    ):
        assert f"\n{line}\n" in page, line


def test_many_connects_leave_nothing(broker):
    s = broker()
    for i in range(100):
        with Peer(s, "ws" if i % 2 else "tcp", 5 if i % 3 else 4) as p:
            p.connect(f"c{i}" if i % 5 else "", will=("w", "x" * i, i % 3, 0, {}))
            if i % 4:
                p.subscribe(("a/#", 2), ("w", 1))
                p.publish("a/1", "x", qos=i % 3, id=1)
    with Peer(s) as p:
        p.connect()
        p.ping()


def test_connect_bytes_are_read_as_they_come(broker):
    s = broker()
    data = connect_packet("x", password=s.key, will=("w", "payload", 1, 0, {"will_delay": 3}))
    assert data[0] == CONNECT << 4
    with Peer(s) as p:
        for byte in data:
            p.send(bytes([byte]))
        assert p.expect(CONNACK).reason == 0


def test_who_reads_no_answers_is_closed(broker):
    """What it is owed is small; the server does not keep it for ever."""
    s = broker(limits__queue_bytes=2048, limits__message_bytes=1024)
    with Peer(s) as p:
        p.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        p.connect()
        pings = packet(PINGREQ, 0, b"") * 20000
        with contextlib.suppress(OSError):  # the server may pass over what comes after
            while "reads too slowly" not in s.proc.err:
                p.send(pings)
    s.proc.wait_line("reads too slowly", stream="err")


def test_a_key_that_may_less_than_before(broker, peer, tmp_path):
    s = broker(keys={"narrow": ("#", "#")})
    file = tmp_path / "server.keys"
    a = peer(s, key=s.keys["narrow"], id="a", properties={"session_expiry": 100}, will=("w", "x", 0, 0, {}))
    a.subscribe(("t", 1), ("u", 1))
    b = peer(s)
    b.subscribe("w")
    keys = json.loads(file.read_text())
    for entry in keys["keys"]:
        if entry["name"] == "narrow":
            entry["publish"], entry["subscribe"] = ["u"], ["u"]
    file.write_text(json.dumps(keys))
    os.kill(s.proc.pid, signal.SIGHUP)
    s.proc.wait_line("SIGHUP: .*keys", stream="err")
    for topic in ("t", "u"):
        b.put(topic, topic)
    assert a.take(1).topic == "u"
    assert a.put("t") == 0x87
    a.sock.close()
    assert b.is_quiet()  # the will is judged by what the key may now
