"""Topic aliases of the server's MQTT, both ways. MQTT 5 §3.3.2.3.4"""

from mqtt import DISCONNECT


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
