"""pixi.v1 from outside: every method, every error, batches, requests, history, idempotency."""

import contextlib
import itertools
import json
import os
import signal
import time
import uuid

import pytest

from rpc import Closed, Error, Rpc

PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
NOBODY = "0000000000000000"


@pytest.fixture
def link(hub):
    with Rpc(hub()) as link:
        yield link


@pytest.fixture
def pair(hub):
    """Two links of one server."""
    s = hub()
    with Rpc(s) as one, Rpc(s) as other:
        yield one, other


def raw(method, params="{}", call_id="1"):
    return f'{{"jsonrpc":"2.0","id":{call_id},"method":"{method}","params":{params}}}'


PARSE, REQUEST, METHOD, PARAMS = -32700, -32600, -32601, -32602
FORBIDDEN, LIMIT, NO_RESPONDER, TIMEOUT = -32001, -32003, -32004, -32005
STORAGE, TOPIC, HISTORY, REUSED = -32006, -32007, -32008, -32009
PUT_OFF = -32014


@pytest.mark.parametrize(
    "text, code, call_id",
    [
        ("", PARSE, None),
        ("{", PARSE, None),
        (PING + "x", PARSE, None),
        ('{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\\x"}}', PARSE, None),
        ("[" + PING + ",", PARSE, None),
        ("1", REQUEST, None),
        ('"ping"', REQUEST, None),
        ("[]", REQUEST, None),
        ("{}", REQUEST, None),
        ('{"jsonrpc":"1.0","id":1,"method":"ping"}', REQUEST, 1),
        ('{"jsonrpc":"2.0","id":1}', REQUEST, 1),
        ('{"jsonrpc":"2.0","id":1,"method":7}', REQUEST, 1),
        ('{"jsonrpc":"2.0","id":{},"method":"ping"}', REQUEST, None),
        ('{"jsonrpc":"2.0","id":true,"method":"ping"}', REQUEST, None),
        ('{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', REQUEST, 1),
        (raw("ping", "[]"), REQUEST, 1),
        (raw("ping", call_id='"' + "x" * 63 + '"'), REQUEST, None),
        (raw("ping", call_id="1" * 65), REQUEST, None),
        (raw("nothing"), METHOD, 1),
        (raw("PING"), METHOD, 1),
        (raw("p\\u0069ng"), METHOD, 1),
        (raw("message", '{"filter":"a","topic":"a","payload":1}'), METHOD, 1),
        (raw("publish"), PARAMS, 1),
    ],
)
def test_what_is_no_call(link, text, code, call_id):
    answer = link.exchange(text)
    assert (answer["error"]["code"], answer["id"], answer["jsonrpc"]) == (code, call_id, "2.0"), answer
    assert link.call("ping")["time_ms"] > 10**12  # the link goes on


def test_ids_up_to_64_bytes_come_back_as_written(link):
    for call_id in ('"' + "x" * 62 + '"', "1" * 64, '"\\u0041\\""', "-1.50e3", '""', '"1"'):
        link.send(raw("ping", call_id=call_id))
        assert f'"id":{call_id},' in link.recv()


def test_an_id_that_is_under_way_is_taken(pair):
    asker, responder = pair
    responder.subscribe("request/slow")
    slow = asker.ask("request", topic="request/slow", payload=1)
    got = asker.exchange(raw("ping", call_id=str(slow)))
    assert got["error"]["code"] == REQUEST and "under way" in got["error"]["message"] and got["id"] == slow
    assert "result" in asker.exchange(raw("ping", call_id=f'"{slow}"'))  # a string is another id
    responder.call("reply", request=responder.note()["request"], payload=2)
    assert asker.answer(slow) == {"payload": 2}
    assert "result" in asker.exchange(raw("ping", call_id=str(slow)))  # free again


@pytest.mark.parametrize(
    "method, params, names",
    [
        ("ping", {"x": 1}, "x"),
        ("info", {"topic": "a"}, "topic"),
        ("publish", {"payload": 1}, "topic"),
        ("publish", {"topic": "a"}, "payload"),
        ("publish", {"topic": 1, "payload": 1}, "topic"),
        ("publish", {"topic": "a", "payload": 1, "payload_base64": ""}, "payload"),
        ("publish", {"topic": "a", "payload_base64": "a"}, "payload_base64"),
        ("publish", {"topic": "a", "payload_base64": "YQ"}, "payload_base64"),
        ("publish", {"topic": "a", "payload": 1, "retain": 1}, "retain"),
        ("publish", {"topic": "a", "payload": 1, "expiry_s": -1}, "expiry_s"),
        ("publish", {"topic": "a", "payload": 1, "expiry_s": 2**32}, "expiry_s"),
        ("publish", {"topic": "a", "payload": 1, "headers": {}}, "headers"),
        ("publish", {"topic": "a", "payload": 1, "headers": [["a"]]}, "headers"),
        ("publish", {"topic": "a", "payload": 1, "headers": [["a", 1]]}, "headers"),
        ("publish", {"topic": "a", "payload": 1, "headers": [["a", "b", "c"]]}, "headers"),
        ("publish", {"topic": "a", "payload": 1, "key": {}}, "key"),
        ("publish", {"topic": "a", "payload": 1, "filter": "a"}, "filter"),
        ("subscribe", {}, "filter"),
        ("subscribe", {"filter": "a", "since": 1}, "since"),
        ("subscribe", {"filter": "a", "since": {"epoch": "0" * 16}}, "since"),
        ("subscribe", {"filter": "a", "since": {"epoch": "X" * 16, "offset": 1}}, "since"),
        ("subscribe", {"filter": "a", "since": [{"epoch": "0" * 16, "offset": 1}] * 17}, "since"),
        ("subscribe", {"filter": "a", "retained": "yes"}, "retained"),
        ("subscribe", {"filter": "a", "batch_ms": 10001}, "batch_ms"),
        ("subscribe", {"filter": "a", "batch_ms": -1}, "batch_ms"),
        ("subscribe", {"filter": "a", "batch_ms": 5, "latest": 1}, "latest"),
        ("subscribe", {"filter": "a", "latest": True}, "batch_ms"),
        ("subscribe", {"filter": "a", "batch_ms": 0}, None),
        ("subscribe", {"filter": "$share/g/a", "since": []}, None),
        ("subscribe", {"filter": "$share/g/a", "since": {"epoch": "0" * 16, "offset": 1}}, "since"),
        ("unsubscribe", {}, "filter"),
        ("request", {"topic": "request/a"}, "payload"),
        ("request", {"topic": "request/a", "payload": 1, "timeout_ms": 3600001}, "timeout_ms"),
        ("request", {"topic": "request/a", "payload": 1, "retain": True}, "retain"),
        ("reply", {"payload": 1}, "request"),
        ("reply", {"request": "1", "payload": 1}, "request"),
        ("reply", {"request": NOBODY}, "payload"),
        ("reply", {"request": NOBODY, "error": {}}, "error"),
        ("reply", {"request": NOBODY, "error": {"code": 1, "message": "a"}, "payload": 1}, "error"),
        ("reply", {"request": NOBODY, "error": {"code": 1, "message": "a", "more": 1}}, "error"),
        ("history", {"filter": "a", "limit": 0}, "limit"),
        ("history", {"filter": "a", "limit": 1001}, "limit"),
        ("history", {"filter": "$share/g/a"}, ""),
    ],
)
def test_parameters(link, method, params, names):
    if names is None:
        link.call(method, **params)
        return
    error = link.error(method, **params)
    assert error.code == PARAMS and names in error.message, error


def test_a_parameter_that_comes_twice(link):
    text = raw("publish", '{"topic":"a","topic":"b","payload":1}')
    assert link.code(text) == PARAMS
    assert link.call("history", filter="#")["messages"] == []


def test_topics_and_filters(hub):
    s = hub(keys={"narrow": ("event/mine/#", "event/mine/+/x")})
    with Rpc(s) as link:
        for topic in ("", "a/+", "#", "a\0b", "x" * 65536):
            assert link.error("publish", topic=topic, payload=1).code == TOPIC
            assert link.error("request", topic=topic, payload=1).code == TOPIC
        for topic_filter in ("", "#/a", "a+", "a#", "a\0", "$share/g", "$share//a", "$share/g+/a"):
            assert link.error("subscribe", filter=topic_filter).code == TOPIC
            assert link.error("unsubscribe", filter=topic_filter).code == TOPIC
            assert link.error("history", filter=topic_filter).code == TOPIC
        for topic_filter in ("x" * 1025, "/".join("a" * 65)):
            assert link.error("subscribe", filter=topic_filter).code == LIMIT
        for topic in ("$SYS", "$x/y", "$share/g/a"):
            assert link.error("publish", topic=topic, payload=1).code == FORBIDDEN
            assert link.error("request", topic=topic, payload=1).code == FORBIDDEN
        assert link.error("subscribe", filter="$SYS/#").code == FORBIDDEN  # '#' never covers '$'
    with Rpc(s, key=s.keys["narrow"]) as link:
        link.publish("event/mine/a", 1)
        assert link.error("publish", topic="event/other", payload=1).code == FORBIDDEN
        assert link.error("request", topic="request/a", payload=1).code == FORBIDDEN
        for topic_filter in ("event/mine/a/x", "event/mine/+/x", "$share/g/event/mine/+/x"):
            link.subscribe(topic_filter)
        for topic_filter in ("#", "event/mine/#", "event/mine/+/+", "$share/g/#", "event/mine/a"):
            assert link.error("subscribe", filter=topic_filter).code == FORBIDDEN
            if not topic_filter.startswith("$"):
                assert link.error("history", filter=topic_filter).code == FORBIDDEN
        assert link.call("history", filter="event/mine/+/x")["messages"] == []


def test_info(link):
    info = link.call("info")
    assert info["name"] == "pixi-ws-server" and info["dialects"] == ["pixi.v1", "mqtt"]
    assert info["limits"]["batch"] == 1000 and info["limits"]["id_bytes"] == 64
    assert {"history", "idempotency", "recovery", "requests", "retained"} <= set(info["features"])


def test_notifications_are_not_answered(link):
    link.subscribe("#")
    link.send('{"jsonrpc":"2.0","method":"publish","params":{"topic":"a","payload":1}}')
    link.send('{"jsonrpc":"2.0","method":"publish","params":{"topic":"a/+","payload":1}}')
    link.send('{"jsonrpc":"2.0","method":"nothing"}')
    link.send('{"jsonrpc":"2.0","method":"request","params":{"topic":"request/a","payload":1}}')
    link.send('{"jsonrpc":"2.0","id":77,"result":1}')
    link.send('{"jsonrpc":"2.0","id":78,"error":{"code":1,"message":"x"}}')
    got = link.note()
    assert got["topic"] == "a" and got["offset"] == 1  # the policy keeps it
    link.call("ping")
    assert link.notes() == [] and not link._answers


def test_a_binary_message_ends_the_link(link):
    link.send(b"{}")
    assert link.closed().code == 1003


def test_bad_utf8_and_too_much(hub):
    s = hub(limits__message_bytes=2000)
    with Rpc(s) as link:
        link.send(raw("publish", json.dumps({"topic": "a", "payload": "x" * 3000})))
        assert link.closed().code == 1009


# --- batches


def batch(count, form=PING):
    return "[" + ",".join(form.replace('"id":1', f'"id":{i}') for i in range(1, count + 1)) + "]"


def test_a_batch_of_1000_and_one_of_1001(link):
    assert [a["id"] for a in link.exchange(batch(1))] == [1]
    assert [a["id"] for a in link.exchange(batch(1000))] == list(range(1, 1001))
    assert link.code(batch(1001)) == REQUEST
    text = raw("publish", '{"topic":"event/a","payload":1}')
    link.exchange(batch(1000, text))
    link.code(batch(1001, text))
    assert link.call("history", filter="#", limit=1000)["more"] is False  # of the refused one nothing was done


def test_a_batch_in_which_some_are_wrong(link):
    ok, gone = raw("ping"), '{"jsonrpc":"2.0","method":"ping"}'
    calls = [ok, gone, "7", raw("nothing", call_id='"a"'), "{}", raw("ping", call_id="2")]
    got = link.exchange("[" + ",".join(calls) + "]")
    assert [(a["id"], a.get("error", {}).get("code")) for a in got] == [
        (1, None),
        (None, REQUEST),
        ("a", METHOD),
        (None, REQUEST),
        (2, None),
    ]
    assert [(a["id"], "error" in a) for a in link.exchange(f"[{ok},{ok}]")] == [(1, False), (1, False)]
    link.send(f"[{gone},{gone}]")  # nothing but notifications: no answer, not even an empty one
    assert "result" in link.exchange(ok)


def test_a_request_may_not_stand_in_a_batch(pair):
    asker, responder = pair
    responder.subscribe("request/#")
    request = raw("request", '{"topic":"request/a","payload":1}')
    got = asker.exchange(f"[{request},{raw('ping', call_id='2')}]")
    assert got[0]["error"]["code"] == REQUEST and "batch" in got[0]["error"]["message"]
    assert "result" in got[1]
    responder.call("ping")
    assert responder.notes() == []


def test_calls_of_a_batch_start_in_order(link):
    link.subscribe("#")
    calls = [raw("publish", json.dumps({"topic": "event/a", "payload": i}), str(i + 1)) for i in range(100)]
    answers = link.exchange("[" + ",".join(calls) + "]")
    assert [a["result"]["offset"] for a in answers] == list(range(1, 101))
    assert [link.note()["payload"] for _ in calls] == list(range(100))


# --- requests


def test_reply_only_once_and_only_by_the_one_who_was_asked(hub):
    s = hub()
    with Rpc(s) as asker, Rpc(s) as responder, Rpc(s) as stranger:
        responder.subscribe("request/x")
        call = asker.ask("request", topic="request/x", payload=1, headers=[["a", "b"]])
        got = responder.note()
        assert got["headers"] == [["a", "b"]] and got["filter"] == "request/x" and "epoch" not in got
        assert stranger.error("reply", request=got["request"], payload=2).code == PARAMS
        assert asker.error("reply", request=got["request"], payload=2).code == PARAMS
        assert responder.call("reply", request=got["request"], payload=3, headers=[["c", "d"]]) == {}
        assert asker.answer(call) == {"payload": 3, "headers": [["c", "d"]]}
        assert responder.error("reply", request=got["request"], payload=4).code == PARAMS
        assert responder.error("reply", request=NOBODY, payload=4).code == PARAMS
        call = asker.ask("request", topic="request/x", payload=1)
        error = {"code": 42, "message": "no", "data": {"deep": [1]}}
        responder.call("reply", request=responder.note()["request"], error=error)
        with pytest.raises(Error) as caught:
            asker.answer(call)
        assert (caught.value.code, caught.value.message, caught.value.data) == (42, "no", {"deep": [1]})


def test_nobody_to_ask(pair):
    asker, other = pair
    assert asker.error("request", topic="request/x", payload=1).code == NO_RESPONDER
    other.subscribe("#")
    other.subscribe("+/x")
    assert asker.error("request", topic="request/x", payload=1).code == NO_RESPONDER
    asker.subscribe("event/x")
    assert asker.error("request", topic="event/x", payload=1).code == NO_RESPONDER
    other.call("ping")
    assert other.notes() == []


def test_responders_take_turns_and_the_asker_is_last(hub):
    s = hub()
    with Rpc(s) as asker, Rpc(s) as one, Rpc(s) as two:
        asker.subscribe("request/#")
        itself = asker.ask("request", topic="request/x", payload=0)
        asker.call("reply", request=asker.note()["request"], payload=0)
        assert asker.answer(itself) == {"payload": 0}
        one.subscribe("request/#")
        two.subscribe("request/+")
        for i in range(20):
            asker.ask("request", topic="request/x", payload=i)
        took = [sorted(link.note()["payload"] for _ in range(10)) for link in (one, two)]
        assert sorted(sum(took, [])) == list(range(20))
        asker.call("ping")
        assert asker.notes() == []


def test_a_request_times_out(pair):
    asker, responder = pair
    responder.subscribe("request/x")
    calls = [asker.ask("request", topic="request/x", payload=1, timeout_ms=ms) for ms in (150, 50, 0)]
    for call in reversed(calls):
        with pytest.raises(Error) as caught:
            asker.answer(call)
        assert caught.value.code == TIMEOUT
    late = responder.note()["request"]
    assert responder.error("reply", request=late, payload=1).code == PARAMS


def test_an_asker_or_responder_that_goes(hub):
    s = hub()
    with Rpc(s) as asker, Rpc(s) as responder, Rpc(s) as other:
        responder.subscribe("request/x")
        asker.ask("request", topic="request/x", payload=1)
        orphan = responder.note()["request"]
        asker.close()
        other.call("ping")
        assert responder.error("reply", request=orphan, payload=1).code == PARAMS
        call = other.ask("request", topic="request/x", payload=1, timeout_ms=300)
        responder.note()
        responder.abort()
        with pytest.raises(Error) as caught:
            other.answer(call)  # nobody can answer any more; time tells
        assert caught.value.code == TIMEOUT


def test_too_many_requests(hub):
    s = hub(limits__requests=3, limits__subscriptions=2)
    with Rpc(s) as asker, Rpc(s) as responder:
        responder.subscribe("request/x")
        calls = [asker.ask("request", topic="request/x", payload=i) for i in range(3)]
        error = asker.error("request", topic="request/x", payload=4)
        assert error.code == LIMIT and error.data["retry_after_ms"] > 0
        responder.call("reply", request=responder.note()["request"], payload=1)
        asker.answer(calls[0])
        asker.ask("request", topic="request/x", payload=5)
        for _ in range(3):
            responder.note()
        responder.subscribe("request/y")
        assert responder.error("subscribe", filter="request/z").code == LIMIT
        responder.subscribe("request/y")  # again replaces
        responder.call("unsubscribe", filter="request/y")
        responder.subscribe("request/z")


# --- subscriptions and positions


def test_unsubscribe(link):
    assert link.call("unsubscribe", filter="never/subscribed") == {}
    link.subscribe("event/a")
    link.publish("event/a", 1)
    link.note()
    assert link.call("unsubscribe", filter="event/a") == {}
    link.publish("event/a", 2)
    assert link.notes() == []


def test_the_answer_comes_before_messages_and_synced_after_the_retained(link):
    for i in range(3):
        link.publish(f"scene/{i}", i, retain=True)
    link.send(raw("subscribe", '{"filter":"scene/#"}', "99"))
    assert json.loads(link.recv())["id"] == 99
    kinds = [json.loads(link.recv()) for _ in range(4)]
    assert [m["method"] for m in kinds] == ["message"] * 3 + ["synced"]
    assert [m["params"]["payload"] for m in kinds[:3]] == [0, 1, 2] and kinds[0]["params"]["retained"] is True


def test_since(hub):
    s = hub(history=[{"filter": "event/#", "max_messages": 50}])
    with Rpc(s) as link:
        at = [link.publish("event/a", i) for i in range(30)]
        done = link.call("subscribe", filter="event/#", since=at[9])
        assert done == {**at[9], "recovered": True}
        assert [link.note()["payload"] for _ in range(20)] == list(range(10, 30))
        link.note("synced")
        old = {"epoch": "0123456789abcdef", "offset": 25}
        done = link.call("subscribe", filter="event/#", since=[old, at[19], at[9]])  # the best that is known
        assert done == {**at[19], "recovered": True}
        assert [link.note()["payload"] for _ in range(10)] == list(range(20, 30))
        beyond = {**at[29], "offset": at[29]["offset"] + 1}
        for since in (old, [], beyond, [old, beyond]):
            done = link.call("subscribe", filter="event/#", since=since)
            assert done == {**at[29], "recovered": False}
        for topic_filter in ("#", "+/a", "other"):  # the policy does not cover all of these
            assert link.call("subscribe", filter=topic_filter, since=at[9])["recovered"] is False
        assert link.call("subscribe", filter="event/+", since=at[29])["recovered"] is True
        for i in range(30, 80):
            at.append(link.publish("event/a", i))
        assert link.call("subscribe", filter="event/#", since=at[28])["recovered"] is False  # trimmed
        assert link.call("subscribe", filter="event/#", since=at[29])["recovered"] is True


def test_share_gives_each_message_to_one(hub):
    s = hub()
    with Rpc(s) as publisher, contextlib.ExitStack() as stack:
        members = [stack.enter_context(Rpc(s)) for _ in range(3)]
        for member in members:
            member.subscribe("$share/g/event/#")
        for i in range(30):
            publisher.publish("event/a", i)
        got = [[m.note()["payload"] for _ in range(10)] for m in members]
        assert sorted(itertools.chain(*got)) == list(range(30))
        assert all(g == sorted(g) for g in got)
        for member in members:
            member.call("ping")
            assert member.notes() == []


def test_what_no_policy_keeps_has_no_position(hub):
    s = hub(history=[{"filter": "event/#"}])
    with Rpc(s) as link:
        link.subscribe("#")
        assert link.publish("other", 1)["offset"] == 1  # promised to whoever asks
        assert "offset" not in link.note()
        link.publish("event/a", 2)
        assert link.note()["offset"] == 2
        link.publish("other", 3, retain=True)
        assert link.note()["offset"] == 3
        assert [m["payload"] for m in link.call("history", filter="#")["messages"]] == [2, 3]


# --- history


def test_history(hub):
    s = hub(history=[{"filter": "#", "max_messages": 1500}])
    with Rpc(s) as link:
        calls = [raw("publish", json.dumps({"topic": f"event/{i % 2}", "payload": i}), str(i)) for i in range(1, 1001)]
        at = [a["result"] for a in link.exchange("[" + ",".join(calls) + "]")]
        page = link.call("history", filter="#")
        assert [m["payload"] for m in page["messages"]] == list(range(1, 101)) and page["more"] is True
        assert page["messages"][0]["topic"] == "event/1" and "filter" not in page["messages"][0]
        assert link.call("history", filter="#", limit=1000)["more"] is False
        assert [m["payload"] for m in link.call("history", filter="event/0", limit=2)["messages"]] == [2, 4]
        page = link.call("history", filter="event/1", since=at[-3], limit=1)
        assert [m["payload"] for m in page["messages"]] == [999] and page["more"] is False
        assert link.call("history", filter="#", since=at[-1]) == {"messages": [], "more": False}
        assert link.call("history", filter="nothing/#") == {"messages": [], "more": False}
        beyond = {**at[-1], "offset": at[-1]["offset"] + 1}
        for since in (beyond, {"epoch": "0" * 16, "offset": 1}):
            assert link.error("history", filter="#", since=since).code == HISTORY
        link.exchange("[" + ",".join(calls) + "]")  # 500 of the first are trimmed
        assert link.error("history", filter="#", since=at[498]).code == HISTORY
        assert [m["payload"] for m in link.call("history", filter="#", since=at[499], limit=1)["messages"]] == [501]
        assert link.call("history", filter="#", limit=1)["messages"][0]["payload"] == 501


def test_history_of_large_messages_comes_in_pages(hub):
    """An answer is at most a quarter of the queue: `more` says so, and `since` goes on."""
    s = hub()
    with Rpc(s) as link:
        for i in range(6):
            link.publish("event/a", [i, "x" * 900_000])
        got, since = [], {}
        while True:
            page = link.call("history", filter="#", limit=1000, **since)
            got += [m["payload"][0] for m in page["messages"]]
            if not page["more"]:
                break
            assert len(page["messages"]) == 2
            since = {"since": {k: page["messages"][-1][k] for k in ("epoch", "offset")}}
        assert got == list(range(6))


def test_storage_full(hub):
    s = hub(history=[{"filter": "#", "max_bytes": 1000}], limits__retained_count=2)
    with Rpc(s) as link:
        link.publish("event/a", "x" * 900)
        assert link.error("publish", topic="event/a", payload="x" * 1100).code == STORAGE
        for i in range(2):
            link.publish(f"scene/{i}", i, retain=True)
        assert link.error("publish", topic="scene/2", payload=2, retain=True).code == STORAGE
        link.publish("scene/1", "again", retain=True)
        link.call("publish", topic="scene/0", payload_base64="", retain=True)
        link.publish("scene/2", 2, retain=True)


# --- idempotency


def test_a_message_sent_again_is_stored_once(hub):
    s = hub(keys={"other": ("#", "#")})
    key = {"producer": str(uuid.uuid4()), "seq": 5, "low": 3}
    with Rpc(s) as link, Rpc(s) as second, Rpc(s, key=s.keys["other"]) as other:
        link.subscribe("#")
        first = link.publish("event/a", 1, key=key)
        assert link.publish("event/a", 1, key=key) == first
        assert second.publish("event/a", 1, key=key) == first  # the key's name counts, not the link
        assert other.publish("event/a", 1, key=key)["offset"] == 2  # a name of its own
        for change in ({"payload": 2}, {"topic": "event/b"}, {"retain": True}, {"headers": [["a", "b"]]}):
            call = {"topic": "event/a", "payload": 1, "key": key, **change}
            assert link.error("publish", **call).code == REUSED
        for seq in (4, 3, 6):
            link.publish("event/a", seq, key={**key, "seq": seq})
        link.publish("event/a", 7, key={**key, "seq": 7, "low": 6})
        assert link.error("publish", topic="event/a", payload=1, key=key).code == PARAMS  # 5 is below 6 now
        assert link.publish("event/a", 6, key={**key, "seq": 6, "low": 6})["offset"] == 5
        upper = {"producer": "1B671A64-40D5-491E-99B0-DA01FF1F3341"}
        for bad in ({"seq": 0}, {"low": 0}, {"low": 9}, {"producer": "x"}, upper, {"x": 1}):
            assert link.error("publish", topic="event/a", payload=1, key={**key, **bad}).code == PARAMS
        history = link.call("history", filter="#")["messages"]
        assert [m["payload"] for m in history] == [1, 1, 4, 3, 6, 7]
        assert [link.note()["payload"] for _ in history] == [1, 1, 4, 3, 6, 7]
        link.call("ping")
        assert link.notes() == []


@pytest.mark.parametrize("kept", ["memory", "disk"])
def test_what_follows_a_message_that_was_put_off_is_put_off_too(hub, tmp_path, kept):
    more = ("--data", tmp_path / "data") if kept == "disk" else ()
    s = hub(*more, history=[{"filter": "#", "max_messages": 100}], limits__retained_count=1)
    producer = str(uuid.uuid4())

    def message(seq):
        key = {"producer": producer, "seq": seq, "low": 1, **({"after": seq - 1} if seq > 1 else {})}
        return {"topic": f"event/{seq}", "payload": seq, "key": key, "retain": seq == 2}

    with Rpc(s) as link:
        link.publish("scene/0", 0, retain=True)
        link.call("publish", **message(1))
        calls = [link.ask("publish", **message(seq)) for seq in (2, 3, 4)]
        assert [link.failure(call).code for call in calls] == [STORAGE, PUT_OFF, PUT_OFF]
        link.call("publish", topic="scene/0", payload_base64="", retain=True)  # now there is room
        assert link.error("publish", **message(3)).code == PUT_OFF  # not before the one before it
        calls = [link.ask("publish", **message(seq)) for seq in (2, 3, 4)]
        offsets = [link.answer(call)["offset"] for call in calls]
        assert offsets == sorted(offsets)
        assert link.call("publish", **message(3))["offset"] == offsets[1]


# --- slow readers


def test_a_reader_that_is_too_slow_is_told_to_come_later(hub):
    """It stops reading while history moves past it; the others notice nothing."""
    s = hub(history=[{"filter": "#", "max_messages": 100}], limits__queue_bytes=2**21, limits__message_bytes=2**20)
    with Rpc(s) as publisher, Rpc(s) as good, Rpc(s) as slow:
        good.subscribe("event/#")
        slow.subscribe("event/#")
        slow.ws.transport.pause_reading()
        for i in range(300):
            publisher.publish("event/a", [i, "x" * 50_000])
            assert good.note()["payload"][0] == i
        slow.ws.transport.resume_reading()
        with pytest.raises(Closed) as caught:
            for i in itertools.count():
                assert slow.note()["payload"][0] == i  # what comes, comes in order
        assert caught.value.code == 1013


def test_a_reader_that_is_slow_for_a_while_misses_nothing(hub):
    s = hub(limits__queue_bytes=2**21, limits__message_bytes=2**20)
    with Rpc(s) as publisher, Rpc(s) as slow:
        slow.subscribe("event/#")
        slow.ws.transport.pause_reading()
        for i in range(200):
            publisher.publish("event/a", [i, "x" * 50_000])
        slow.ws.transport.resume_reading()
        assert [slow.note()["payload"][0] for _ in range(200)] == list(range(200))


def test_a_frozen_server_answers_when_it_goes_on(hub):
    s = hub()
    with Rpc(s) as link:
        os.kill(s.proc.pid, signal.SIGSTOP)
        call = link.ask("ping")
        os.kill(s.proc.pid, signal.SIGCONT)
        assert abs(link.answer(call)["time_ms"] / 1000 - time.time()) < 60
