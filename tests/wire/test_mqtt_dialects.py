"""One message, both dialects: what MQTT publishes pixi.v1 receives and the reverse, requests and replies too."""

import base64
import itertools
import json
import re

import pytest
from mqtt import DISCONNECT, PUBACK, connect_packet
from raw import TEXT, join


class Rpc:
    """A client of pixi.v1: answers by id, notifications in order."""

    def __init__(self, hub, key=None):
        self.wire = join(hub.port, f"Authorization: Bearer {key or hub.key}")
        self.notes, self.ids = [], itertools.count(1)

    def start(self, method, **params):
        call = next(self.ids)
        self.wire.put(TEXT, json.dumps({"jsonrpc": "2.0", "id": call, "method": method, "params": params}).encode())
        return call

    def read(self):
        frame = self.wire.next()
        assert frame.opcode == TEXT, frame
        return json.loads(frame.payload)

    def answer(self, call):
        while (m := self.read()).get("id") != call:
            self.notes.append(m)
        return m

    def call(self, method, **params):
        m = self.answer(self.start(method, **params))
        assert "result" in m, m
        return m["result"]

    def note(self, method):
        """The parameters of the next notification of this method."""
        while True:
            m = self.notes.pop(0) if self.notes else self.read()
            if m.get("method") == method:
                return m["params"]

    def subscribe(self, filter):
        self.call("subscribe", filter=filter)
        self.note("synced")


@pytest.fixture
def both(broker, peer):
    """(server, client of pixi.v1, client of MQTT 5)"""
    s = broker()
    rpc = Rpc(s)
    with rpc.wire:
        yield s, rpc, peer(s)


HEADERS = [
    ["a", "1"],
    [":content-type", "text/plain"],
    [":payload-format", "utf-8"],
    [":response-topic", "answers/1"],
    [":correlation-data", base64.b64encode(b"\0\xff").decode()],
    ["::odd", "2"],
    ["a", "3"],
]
PROPS = {
    "content_type": "text/plain",
    "payload_format": 1,
    "response_topic": "answers/1",
    "correlation": b"\0\xff",
    "user": [("a", "1"), (":odd", "2"), ("a", "3")],
}


def test_from_mqtt(both):
    _, rpc, mqtt = both
    rpc.subscribe("t/#")
    mqtt.put("t/json", '{"a": 1.50}', properties={**PROPS, "expiry": 100})
    m = rpc.note("message")
    assert (m["topic"], m["payload"]) == ("t/json", {"a": 1.5})
    assert sorted(m["headers"]) == sorted(HEADERS)
    assert [h for h in m["headers"] if h[0] == "a"] == [["a", "1"], ["a", "3"]]
    mqtt.put("t/bytes", b"\xff\0", qos=2)
    assert rpc.note("message")["payload_base64"] == base64.b64encode(b"\xff\0").decode()
    mqtt.put("t/kept", "7", retain=True)
    rpc.note("message")
    rpc.call("subscribe", filter="t/kept")
    assert (rpc.note("message")["retained"], rpc.note("synced")) == (True, {"filter": "t/kept"})


def test_to_mqtt(both, peer):
    s, rpc, mqtt = both
    old = peer(s, version=4)
    mqtt.subscribe(("t/#", 2))
    old.subscribe(("t/#", 1))
    rpc.call("publish", topic="t/1", payload={"x": 1}, headers=HEADERS, expiry_s=100)
    p = mqtt.take(2)
    assert (p.payload, p.props) == (b'{"x": 1}', {**PROPS, "expiry": 100})
    assert old.take(1).payload == b'{"x": 1}'
    rpc.wire.put(TEXT, b'{"jsonrpc":"2.0","method":"publish","params":{"topic":"t/2","payload":2}}')
    assert mqtt.take(0).payload == b"2"
    rpc.call("publish", topic="t/3", payload_base64="AP8=", retain=True)
    assert mqtt.take(2).payload == b"\0\xff"
    late = peer(s)
    late.subscribe("t/3")
    assert late.take(0).retain
    rpc.call("publish", topic="t/3", payload_base64="", retain=True)
    assert mqtt.take(2).payload == b""


def test_overlapping_subscriptions(both):
    """pixi.v1 gets one copy for each, MQTT one for all."""
    _, rpc, mqtt = both
    for f in ("t/#", "t/1"):
        rpc.subscribe(f)
        mqtt.subscribe(f)
    rpc.call("publish", topic="t/1", payload=1)
    assert sorted(rpc.note("message")["filter"] for _ in range(2)) == ["t/#", "t/1"]
    assert mqtt.take().payload == b"1"
    assert mqtt.is_quiet()


def test_headers_that_are_no_properties(both):
    _, rpc, mqtt = both
    mqtt.subscribe("t")
    headers = [
        [":response-topic", "a/#"],
        [":correlation-data", "no base64"],
        [":content-type", "a"],
        [":content-type", "twice"],
        ["nul", "\0"],
        ["fine", "1"],
    ]
    rpc.call("publish", topic="t", payload=1, headers=headers)
    assert mqtt.take(0).props == {"content_type": "a", "user": [("fine", "1")]}


def test_a_request_of_pixi_v1_answered_in_mqtt(both):
    _, rpc, mqtt = both
    mqtt.subscribe(("request/add", 1))
    call = rpc.start("request", topic="request/add", payload=[1, 2], headers=[["a", "b"]])
    p = mqtt.take(0)
    topic = p.props["response_topic"]
    assert re.fullmatch(r"\$pixi/reply/[0-9a-f]{32}", topic)
    assert (p.payload, p.props["user"]) == (b"[1, 2]", [("a", "b")])
    assert mqtt.put(topic, "3", properties={"user": [("c", "d")]}) == 0
    assert rpc.answer(call)["result"] == {"payload": 3, "headers": [["c", "d"]]}
    assert mqtt.put(topic, "4") == 0x87  # good for one
    assert mqtt.put("$pixi/reply/" + "0" * 32, "4") == 0x87


def test_only_who_was_asked_may_answer(both, peer):
    s, rpc, mqtt = both
    mqtt.subscribe("request/add")
    call = rpc.start("request", topic="request/add", payload=1, timeout_ms=1000)
    topic = mqtt.take(0).props["response_topic"]
    assert peer(s).put(topic, "3") == 0x87
    assert rpc.answer(call)["error"]["code"] == -32005
    assert mqtt.put(topic, "3") == 0x10  # too late


def test_a_client_of_3_1_1_is_not_asked(broker, peer):
    s = broker()
    rpc = Rpc(s)
    peer(s, version=4).subscribe("request/#")
    call = rpc.start("request", topic="request/add", payload=1)
    assert rpc.answer(call)["error"]["code"] == -32004


def test_a_request_of_mqtt_answered_in_pixi_v1(both):
    _, rpc, mqtt = both
    mqtt.subscribe(("answers/me", 1))
    rpc.subscribe("request/add")
    asked = {"response_topic": "answers/me", "correlation": b"\x07\xff"}
    assert mqtt.put("request/add", "[1,2]", properties=asked) == 0
    m = rpc.note("message")
    assert m["payload"] == [1, 2]
    rpc.call("reply", request=m["request"], payload=3, headers=[["a", "b"]])
    p = mqtt.take()
    assert (p.topic, p.payload) == ("answers/me", b"3")
    assert p.props == {"correlation": b"\x07\xff", "user": [("a", "b")]}
    mqtt.publish("request/add", "0", properties=asked)
    rpc.call("reply", request=rpc.note("message")["request"], error={"code": 5, "message": "no"})
    p = mqtt.take()
    assert json.loads(p.payload) == {"code": 5, "message": "no"}
    assert p.props["user"] == [("pixi-error", "true")]


def test_a_request_between_clients_of_mqtt(both, peer):
    s, _, mqtt = both
    other = peer(s)
    other.subscribe("request/add")
    mqtt.subscribe(("answers/me", 1))
    asked = {"response_topic": "answers/me", "correlation": b"1"}
    assert mqtt.put("request/add", "x", properties=asked) == 0
    p = other.take(0)
    assert p.props == asked
    other.put(p.props["response_topic"], "y", properties={"correlation": p.props["correlation"]})
    p = mqtt.take(1)
    assert (p.payload, p.props) == (b"y", {"correlation": b"1"})


def test_nobody_answers(both):
    _, _, mqtt = both
    assert mqtt.put("request/add", "x", properties={"response_topic": "a"}) == 0x10
    assert mqtt.put("request/add", "x", qos=2, id=2, properties={"response_topic": "a"}) == 0x10


def test_the_response_topic_is_checked(broker, peer):
    s = broker(keys={"narrow": ("request/#", "a")})
    mqtt, rpc = peer(s, key=s.keys["narrow"]), Rpc(s)
    rpc.subscribe("request/#")
    assert mqtt.put("request/add", "x", properties={"response_topic": "a"}) == 0x87
    mqtt.publish("request/add", "x", properties={"response_topic": "a/#"})
    assert mqtt.expect(DISCONNECT).reason in (0x81, 0x90)


def test_the_asker_goes(both, peer):
    s, rpc, _ = both
    mqtt = peer(s, id="asker", properties={"session_expiry": 100})
    mqtt.subscribe(("answers/me", 1))
    rpc.subscribe("request/add")
    mqtt.publish("request/add", "1", qos=1, id=1, properties={"response_topic": "answers/me"})
    assert mqtt.expect(PUBACK).reason == 0
    request = rpc.note("message")["request"]
    mqtt.disconnect()
    mqtt.ends()
    assert "error" in rpc.answer(rpc.start("reply", request=request, payload=1))


def test_sessions_keep_what_no_policy_does(broker, peer):
    s = broker(history=[])
    rpc, mqtt = Rpc(s), peer(s, id="a", properties={"session_expiry": 100})
    mqtt.subscribe(("t", 1))
    mqtt.disconnect()
    mqtt.ends()
    rpc.call("publish", topic="t", payload=1)
    rpc.wire.put(TEXT, b'{"jsonrpc":"2.0","method":"publish","params":{"topic":"t","payload":2}}')
    rpc.call("publish", topic="t", payload=3)
    mqtt = peer(s, id="a", clean=False)
    assert [mqtt.take(1).payload for _ in range(2)] == [b"1", b"3"]
    assert rpc.call("info")["dialects"] == ["pixi.v1", "mqtt"]


def test_the_key_with_the_request(broker, peer):
    """Over a WebSocket the key may come in the request: then the CONNECT needs none, and may have no other."""
    s = broker(keys={"other": ("#", "#")})
    for key, reason in ((None, 0), (s.key, 0), (s.keys["other"], 0x86)):
        wire = join(s.port, s.bearer, "Sec-WebSocket-Protocol: mqtt")
        wire.put(2, connect_packet(password=key))
        frame = wire.next()
        assert frame.payload[0] == 0x20 and frame.payload[3] == reason
        wire.sock.close()
