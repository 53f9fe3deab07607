"""Topic aliases of the server's MQTT, both ways. MQTT 5 §3.3.2.3.4"""

import itertools

from mqtt import DISCONNECT, PUBLISH, publish_packet

LARGEST_ID = 268435455


def said(p):
    return p.topic, p.props.get("alias"), len(p.payload)


def test_both_ways(broker, peer):
    s = broker(limits__topic_aliases=2)
    a, b = peer(s), peer(s, properties={"alias_max": 1})
    b.subscribe(("t/#", 1))
    a.put("t/1", "1", properties={"alias": 2})
    a.put("", "2", properties={"alias": 2})
    a.put("t/2", "3", properties={"alias": 2})
    a.put("", "4", properties={"alias": 2})
    got = [b.take(1) for _ in range(4)]
    assert [p.topic for p in got] == ["t/1", "", "t/2", "t/2"]
    assert [p.props.get("alias") for p in got] == [1, 1, None, None]
    a.publish("", properties={"alias": 1})
    assert a.expect(DISCONNECT).reason in (0x82, 0x94)
    c = peer(s)
    c.publish("t", properties={"alias": 3})
    assert c.expect(DISCONNECT).reason == 0x94


def test_an_alias_is_told_before_it_is_used(broker, peer):
    """Its packet may be too large for the client, with the alias or without."""
    s = broker()
    a, b = peer(s), peer(s, properties={"alias_max": 9, "max_packet": 100})
    b.subscribe("t/#")
    for size in (200, 92, 5, 6):  # what comes is these and 8 bytes, 11 with an alias
        a.put("t/1", "x" * size, qos=0)
    assert [said(b.take(0)) for _ in range(3)] == [("t/1", None, 92), ("t/1", 1, 5), ("", 1, 6)]


def test_an_alias_that_the_queue_had_no_room_for(broker, peer):
    s = broker(limits__message_bytes=65536, limits__queue_bytes=65536, limits__subscriptions=2000)
    a, b = peer(s), peer(s, properties={"alias_max": 9})
    topic = "a/b/c/d/e/f/g/h/i/j/k"
    filters = ["/".join(levels) for levels in itertools.product(*((x, "+") for x in topic.split("/")))][:1700]
    b.subscribe(*filters, properties={"subscription_id": LARGEST_ID})
    for size in (65508, 5, 6):  # the first is 65536 bytes as it comes, and 8.5 KB larger by the identifiers
        a.put(topic, "x" * size, qos=0)
    assert [said(b.take(0)) for _ in range(2)] == [(topic, 1, 5), ("", 1, 6)]


def test_what_waits_for_the_disk_says_its_topic(again, peer):
    """What comes after it may overtake it: an alias is told by the one that leaves first."""
    s = again()
    a, b = peer(s, id="a", properties={"session_expiry": 1000, "alias_max": 9}), peer(s)
    a.subscribe(("t/+", 2))
    for i in range(1, 10):
        b.send(publish_packet(f"t/{i}", "2", qos=2, id=i) + publish_packet(f"t/{i}", "0") + publish_packet(f"t/{i}", "0"))
    got, known = [a.expect(PUBLISH) for _ in range(27)], {}
    for p in got:
        if p.topic and "alias" in p.props:
            known[p.props["alias"]] = p.topic
        p.topic = p.topic or known[p.props["alias"]]
        assert p.qos == 0 or "alias" not in p.props
    assert sorted(p.topic for p in got) == sorted(f"t/{i}" for i in range(1, 10) for _ in range(3))
    assert len(known) == 9
