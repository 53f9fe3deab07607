"""MQTT over restarts of a server with its store on disk: sessions, what waits for them, wills, retained messages."""

import signal

import pytest
from mqtt import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Peer


SIGNALS = pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
STAYS = {"session_expiry": 1000}


@SIGNALS
def test_a_session_goes_on(again, peer, sig):
    s = again()
    a = peer(s, id="a", properties=STAYS)
    a.subscribe(("t/#", 2), properties={"subscription_id": 9})
    a.subscribe(("gone", 1), ("later", 1))
    a.unsubscribe("gone")
    b = peer(s, id="b", properties=STAYS)
    a.disconnect()
    a.ends()
    for i in range(4):
        assert b.put(f"t/{i}", str(i), qos=1 + i % 2) == 0
    s = again(sig)
    b = peer(s, id="b", clean=False, properties=STAYS)
    assert b.connack.present
    b.put("gone", "x")
    b.put("later", "y")
    b.put("t/4", "4")
    a = peer(s, id="a", clean=False, properties=STAYS)
    assert a.connack.present
    got = sorted((a.take() for _ in range(6)), key=lambda p: p.payload)
    assert [p.payload for p in got] == [b"0", b"1", b"2", b"3", b"4", b"y"]
    assert [p.props.get("subscription_id") for p in got] == [9, 9, 9, 9, 9, None]
    assert a.is_quiet()


@SIGNALS
def test_qos_2_towards_the_client(again, peer, sig):
    s = again()
    a, b = peer(s, id="a", properties=STAYS), peer(s)
    a.subscribe(("t", 2))
    b.put("t", "1", qos=2)
    b.put("t", "2", qos=2)
    first, second = a.expect(PUBLISH), a.expect(PUBLISH)
    a.ack(PUBREC, first.id)
    assert a.expect(PUBREL).id == first.id  # so it is on disk that it came
    s = again(sig)
    a = peer(s, id="a", clean=False, properties=STAYS)
    p, q = a.recv(), a.recv()
    assert (p.kind, p.id) == (PUBREL, first.id)
    assert (q.kind, q.id, q.dup, q.payload) == (PUBLISH, second.id, True, b"2")
    a.ack(PUBCOMP, first.id)
    a.ack(PUBREC, second.id)
    assert a.expect(PUBREL).id == second.id
    a.ack(PUBCOMP, second.id)
    a.ping()
    assert a.is_quiet()


@SIGNALS
def test_qos_2_from_the_client(again, peer, sig):
    s = again()
    a = peer(s, id="a", properties=STAYS)
    a.publish("t", "1", qos=2, id=7)
    assert a.expect(PUBREC).id == 7
    a.put("t", "2", qos=2, id=8)
    s = again(sig)
    b = peer(s)
    b.subscribe(("t", 2))
    a = peer(s, id="a", clean=False, properties=STAYS)
    a.publish("t", "1", qos=2, id=7, dup=True)
    assert a.expect(PUBREC).id == 7
    a.ack(PUBREL, 7)
    assert a.expect(PUBCOMP).reason == 0
    assert a.put("t", "3", qos=2, id=7) == 0
    assert a.put("t", "4", qos=2, id=8) == 0
    assert [b.take(2).payload for _ in range(2)] == [b"3", b"4"]
    assert b.is_quiet()


@SIGNALS
def test_wills_wait_for_the_restart(again, peer, sig):
    s = again()
    peer(s, id="a", properties=STAYS, will=("w/a", "a", 1, 1, {"will_delay": 1}))
    peer(s, id="b", will=("w/b", "b", 1, 1, {}))
    c = peer(s, id="c", properties=STAYS, will=("w/c", "c", 1, 1, {}))
    c.disconnect()
    c.ends()
    b = peer(s, id="d", properties=STAYS, will=("w/d", "d", 1, 1, {"will_delay": 100}))
    assert b.is_quiet()  # nothing was sent before the end
    s = again(sig)
    watch = peer(s)
    watch.subscribe(("w/#", 1))
    assert sorted(watch.take(1).topic for _ in range(2)) == ["w/a", "w/b"]
    assert watch.is_quiet()


def test_a_session_expires_while_the_server_is_away(again, peer):
    s = again()
    a = peer(s, id="a", properties={"session_expiry": 1})
    a.disconnect()
    a.ends()
    b = peer(s, id="b")
    b.disconnect()
    b.ends()
    assert peer(s).is_quiet(1.1)
    s = again(signal.SIGKILL)
    assert not peer(s, id="a", clean=False).connack.present
    assert not peer(s, id="b", clean=False).connack.present


def test_a_key_goes_while_the_server_is_away(again, peer, run, tmp_path):
    s = again(keys={"gone": ("#", "#")})
    key = s.keys["gone"]
    a = peer(s, id="a", key=key, properties=STAYS, will=("w", "x", 0, 1, {}))
    a.subscribe(("t", 1))
    file = tmp_path / "server.keys"
    assert run(["pixi-ws-server", "key", "revoke", "gone", "--keys", file]).returncode == 0
    s = again(signal.SIGKILL)
    b = peer(s)
    b.subscribe("w")
    assert b.is_quiet()
    with Peer(s) as p:
        assert p.connect("a", key=key).reason == 0x86


def test_retained_and_expiry(again, peer):
    s = again()
    a = peer(s)
    a.put("r/1", "x", retain=True, properties={"user": [("a", "b")], "content_type": "text/plain"})
    a.put("r/2", "x", retain=True, properties={"expiry": 1})
    assert a.is_quiet(1.1)
    s = again(signal.SIGKILL)
    b = peer(s)
    b.subscribe(("r/#", 1))
    p = b.take(1)
    assert (p.topic, p.retain, p.props) == ("r/1", True, {"user": [("a", "b")], "content_type": "text/plain"})
    assert b.is_quiet()


def test_a_disk_that_is_slow_holds_acknowledgements_in_order(again, peer):
    """Many publishes at once: they are answered in the order of coming, refused ones among them."""
    s = again(keys={"narrow": ("t", "#")})
    a = peer(s, key=s.keys["narrow"])
    for i in range(1, 61):
        a.publish("t" if i % 3 else "u", "x", qos=1 + i % 2, id=i)
    got = [a.recv() for _ in range(60)]
    assert [p.id for p in got if p.kind == PUBACK] == list(range(2, 61, 2))
    assert [p.id for p in got if p.kind == PUBREC] == list(range(1, 61, 2))
    assert all((p.reason == 0x87) == (p.id % 3 == 0) for p in got)
    b = peer(s, version=4, id="old")
    for i in range(1, 1001):  # more than may be under way: it is read as the disk takes them
        b.publish("t", "x", qos=1, id=i)
    assert [b.expect(PUBACK).id for _ in range(1000)] == list(range(1, 1001))
