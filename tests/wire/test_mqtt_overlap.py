"""One copy of a message for all subscriptions of a client that match, with the largest QoS and all their identifiers: MQTT 5
§3.3.4, docs/mqtt.md."""

import signal

import pytest
from mqtt import PUBACK, PUBLISH, PUBREC

STAYS = {"session_expiry": 1000}


def overlap(p, *filters):
    """Each filter with its options; its identifier is its place, from 1."""
    for i, (name, options) in enumerate(filters, 1):
        assert p.subscribe((name, options), id=i, properties={"subscription_id": i}) == [options & 3]


def ids(p):
    value = p.props.get("subscription_id", [])
    return sorted(value if isinstance(value, list) else [value])


@pytest.mark.parametrize("version", [4, 5])
def test_one_copy(broker, peer, version):
    s = broker()
    a, b = peer(s, version=version), peer(s)
    a.subscribe(("t/#", 0), ("t/+", 2), ("t/1", 1))
    for qos in (0, 1, 2):
        b.put("t/1", f"{qos}", qos=qos)
        assert a.take(qos).payload == f"{qos}".encode()
    b.put("t/1/2", qos=2)
    assert a.take(0).topic == "t/1/2"
    assert a.is_quiet()


def test_all_identifiers(broker, peer):
    s = broker()
    a, b, c = peer(s), peer(s), peer(s)
    overlap(a, ("t/#", 0), ("t/+", 1), ("t/1", 0), ("u", 2))
    overlap(c, ("+/1", 0), ("t/1", 0))
    for qos in (0, 1):
        b.put("t/1", qos=qos)
        assert ids(a.take(qos)) == [1, 2, 3]
        assert ids(c.take(0)) == [1, 2]
    b.put("t/2")
    assert ids(a.take(1)) == [1, 2]
    a.unsubscribe("t/+")
    b.put("t/1")
    assert ids(a.take(0)) == [1, 3]
    assert ids(c.take(0)) == [1, 2]
    assert a.is_quiet() and c.is_quiet()


def test_the_same_identifier_twice(broker, peer):
    s = broker()
    a, b = peer(s), peer(s)
    a.subscribe(("t/#", 0), ("t/+", 0), properties={"subscription_id": 5})
    b.put("t/1")
    assert ids(a.take()) == [5, 5]


def test_no_local_and_retain_as_published(broker, peer):
    """Who does not want its own gets none for that one; RETAIN stays where one wants it."""
    s = broker()
    a, b = peer(s), peer(s)
    overlap(a, ("t/#", 0), ("t/+", 2 | 4), ("t/1", 1 | 8))
    a.put("t/1", "own", qos=2)
    assert ids(a.take(1)) == [1, 3]
    a.put("t/2", "own", qos=2)
    assert ids(a.take(0)) == [1]
    b.put("t/1", "other", qos=2, retain=True)
    p = a.take(2)
    assert (ids(p), p.retain) == ([1, 2, 3], True)
    b.put("t/2", "other", retain=True)
    p = a.take(1)
    assert (ids(p), p.retain) == ([1, 2], False)
    a.unsubscribe("t/#", "t/1")
    a.put("t/1", "own", qos=2)
    assert a.is_quiet()


def test_retained_come_for_each_subscription(broker, peer):
    s = broker()
    a, b = peer(s), peer(s)
    b.put("t/1", "kept", retain=True)
    overlap(a, ("t/#", 1), ("t/1", 1))
    got = [a.take(1), a.take(1)]
    assert [(ids(p), p.retain) for p in got] == [([1], True), ([2], True)]
    assert a.is_quiet()


def test_shared_ones_stay_apart(broker, peer):
    s = broker()
    a, b = peer(s), peer(s)
    overlap(a, ("t/#", 1), ("$share/g/t/#", 1), ("t/1", 1), ("$share/h/t/1", 1))
    b.put("t/1")
    assert sorted(ids(a.take(1)) for _ in range(3)) == [[1, 3], [2], [4]]
    assert a.is_quiet()


@pytest.mark.parametrize("restart", [None, signal.SIGTERM, signal.SIGKILL])
def test_queued_and_sent_again(broker, peer, again, restart):
    """What waits for a session comes once, with the identifiers of those that stood when it was published."""
    s = again() if restart else broker()
    a, b = peer(s, id="a", properties=STAYS), peer(s)
    overlap(a, ("t/#", 1), ("t/+", 2), ("u/#", 0), ("#", 1))
    b.put("t/1", "begun", qos=2)
    assert ids(a.expect(PUBLISH)) == [1, 2, 4]
    a.sock.close()
    for topic in ("t/1", "u", "t/1/2", "t/1", "v"):
        b.put(topic, topic, qos=2)
    if restart:
        s = again(restart)
    a = peer(s, id="a", clean=False, properties=STAYS)
    assert a.connack.present
    p = a.expect(PUBLISH)
    assert (p.dup, p.payload, ids(p), p.qos) == (True, b"begun", [1, 2, 4], 2)
    a.ack(PUBREC, p.id, 0x80)
    a.subscribe(("+/1", 1), id=9, properties={"subscription_id": 9})  # too late for those
    got = [a.take() for _ in range(5)]
    want = [("t/1", 2, [1, 2, 4]), ("u", 1, [3, 4]), ("t/1/2", 1, [1, 4]), ("t/1", 2, [1, 2, 4]), ("v", 1, [4])]
    assert sorted((p.topic, p.qos, ids(p)) for p in got) == sorted(want)  # order holds for each QoS
    peer(s).put("t/1")
    assert ids(a.take(1)) == [1, 2, 4, 9]
    assert a.is_quiet()


def test_unsubscribed_while_it_waits(broker, peer):
    """Another subscription still wants it."""
    s = broker()
    a, b = peer(s, id="a", properties=STAYS | {"receive_max": 1}), peer(s)
    overlap(a, ("t/#", 1), ("t/+", 1))
    for payload in "123":
        b.put("t/1", payload)
    first = a.expect(PUBLISH)
    a.unsubscribe("t/#")
    a.ack(PUBACK, first.id)
    got = [a.take(1), a.take(1)]
    assert [(p.payload, ids(p)) for p in got] == [(b"2", [2]), (b"3", [2])]
    a.unsubscribe("t/+")
    assert a.is_quiet()
