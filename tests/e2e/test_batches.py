"""Subscriptions with batch_ms and latest: what comes together, what is left out, and what still holds."""

import json
import os
import signal

import pytest
from rpc import Rpc

LONG = 10_000  # ms: what comes meanwhile waits for what sends it early


@pytest.fixture
def pair(hub):
    s = hub()
    with Rpc(s) as publisher, Rpc(s) as reader:
        yield publisher, reader


def publish_all(link, topic_payloads, **params):
    """As one batch of calls, so that the server takes them in one turn; their positions."""
    calls = [
        {"jsonrpc": "2.0", "id": i, "method": "publish", "params": {"topic": t, "payload": p, **params}}
        for i, (t, p) in enumerate(topic_payloads)
    ]
    answers = {a["id"]: a["result"] for a in link.exchange(calls)}
    return [answers[i] for i in range(len(calls))]


def messages(batch):
    return [note["params"] for note in batch if note["method"] == "message"]


def next_batch(link):
    batch = json.loads(link.recv())
    assert isinstance(batch, list) and len(batch) <= 1000, batch
    return batch


def test_the_first_comes_at_once_and_what_follows_together(pair):
    publisher, reader = pair
    reader.call("subscribe", filter="event/#", batch_ms=300)
    first = next_batch(reader)  # `synced` stands in a batch as well
    assert [note["method"] for note in first] == ["synced"] and first[0]["params"] == {"filter": "event/#"}
    at = [publisher.publish("event/a", i) for i in range(20)]
    batch = next_batch(reader)
    got = messages(batch)
    while len(got) < 20:
        got += messages(next_batch(reader))
    assert len(batch) > 1
    assert [m["payload"] for m in got] == list(range(20)) and [m["offset"] for m in got] == [p["offset"] for p in at]
    assert all(m["filter"] == "event/#" and m["topic"] == "event/a" for m in got)


def test_more_than_a_batch_holds_leaves_early(pair):
    publisher, reader = pair
    reader.subscribe("event/#", batch_ms=LONG)
    publish_all(publisher, [("event/a", i) for i in range(1000)])
    publish_all(publisher, [("event/a", i) for i in range(1000, 2000)])
    publisher.publish("event/b", "x" * 70_000)  # it takes along what waits
    sizes, got = [], []
    while len(got) < 2000:
        batch = json.dumps(next_batch(reader), separators=(",", ":"))
        sizes.append(len(batch))
        got += messages(json.loads(batch))
    assert [m["payload"] for m in got] == list(range(2000)) and max(sizes) <= 65536
    alone = json.loads(reader.recv())
    assert alone["method"] == "message" and alone["params"]["topic"] == "event/b"


def test_of_several_to_a_topic_the_newest_in_its_place(pair):
    publisher, reader = pair
    reader.subscribe("event/#", batch_ms=LONG, latest=True)
    sent = [(f"event/{i % 3}", i) for i in range(10)] + [("event/0", 10)]
    at = publish_all(publisher, sent)
    publisher.publish("event/x", "x" * 70_000)
    batch = next_batch(reader)
    assert [(m["topic"], m["payload"]) for m in messages(batch)] == [("event/1", 7), ("event/2", 8), ("event/0", 10)]
    assert [m["offset"] for m in messages(batch)] == [at[7]["offset"], at[8]["offset"], at[10]["offset"]]


def test_what_has_no_position_is_batched_too(hub):
    s = hub(history=[])
    with Rpc(s) as publisher, Rpc(s) as reader:
        reader.subscribe("event/#", batch_ms=LONG, latest=True)
        for i in range(3):
            publisher.send({"jsonrpc": "2.0", "method": "publish", "params": {"topic": "event/a", "payload": i}})
        publisher.publish("event/x", "x" * 70_000)
        (only,) = messages(next_batch(reader))
        assert only["payload"] == 2 and "offset" not in only


def test_topics_that_need_escapes_and_topics_that_begin_alike(pair):
    publisher, reader = pair
    reader.subscribe("#", batch_ms=LONG, latest=True)
    topics = ['a"b', 'a\\"b', "a", "a/b", "ä", "a\tb", 'a","payload":1,"x":"']
    publish_all(publisher, [(t, 0) for t in topics] + [(t, 1) for t in topics])
    publisher.publish("x", "x" * 70_000)
    assert [(m["topic"], m["payload"]) for m in messages(next_batch(reader))] == [(t, 1) for t in topics]


def test_a_snapshot_comes_in_batches_before_synced(hub):
    s = hub(limits__connections=10)
    with Rpc(s) as publisher, Rpc(s) as reader:
        for start in range(0, 3000, 1000):
            publish_all(publisher, [(f"scene/objects/{i}", i) for i in range(start, start + 1000)], retain=True)
        reader.call("subscribe", filter="scene/#", batch_ms=20, latest=True)
        got = []
        while not got or got[-1]["method"] != "synced":
            got += next_batch(reader)
        assert sorted(m["payload"] for m in messages(got)) == list(range(3000))
        assert all(m["retained"] for m in messages(got))
        assert publisher.publish("scene/objects/7", "new", retain=True)
        assert messages(next_batch(reader))[0]["payload"] == "new"


def test_since_goes_on_after_what_latest_left_out(hub):
    s = hub()
    with Rpc(s) as publisher:
        with Rpc(s) as reader:
            reader.subscribe("event/#", batch_ms=LONG, latest=True)
            at = publish_all(publisher, [("event/a", i) for i in range(100)] + [("event/b", 1)])
            publisher.publish("event/x", "x" * 70_000)
            highest = max(m["offset"] for m in messages(next_batch(reader)))
            assert highest == at[-1]["offset"]
            publisher.publish("event/c", "never read")
            reader.abort()
        with Rpc(s) as reader:
            done = reader.call("subscribe", filter="event/#", since={**at[-1], "offset": highest}, batch_ms=5)
            assert done["recovered"] is True
            reader.note("synced")
            assert [reader.note()["topic"] for _ in range(2)] == ["event/x", "event/c"]


def test_unsubscribing_and_subscribing_anew_send_what_waits(pair):
    publisher, reader = pair
    reader.subscribe("event/#", batch_ms=LONG)
    publisher.publish("event/a", 1)
    assert reader.call("unsubscribe", filter="event/#") == {}
    assert reader.note()["payload"] == 1  # before the answer
    publisher.publish("event/a", 2)
    reader.subscribe("event/#", batch_ms=LONG)
    publisher.publish("event/a", 3)
    reader.call("subscribe", filter="event/#")
    assert reader.note()["payload"] == 3
    publisher.publish("event/a", 4)
    assert reader.note()["payload"] == 4


def test_a_key_that_may_less_gets_what_waits_first(hub, tmp_path):
    s = hub(keys={"viewer": ("event/#", "#")})
    file = tmp_path / "server.keys"
    with Rpc(s) as publisher, Rpc(s, key=s.keys["viewer"]) as reader:
        reader.subscribe("event/#", batch_ms=LONG)
        publisher.publish("event/a", 1)
        entries = json.loads(file.read_text())["keys"]
        for entry in entries:
            entry["subscribe"] = ["scene/#"]
        file.write_text(json.dumps({"keys": entries}))
        os.kill(s.proc.pid, signal.SIGHUP)
        assert reader.note("unsubscribed")["error"]["code"] == -32001
        assert reader.notes() == ["message"] and reader.batches == [1, 1]  # before; `synced` was the first


def test_a_reader_that_goes_while_something_waits(hub):
    s = hub()
    with Rpc(s) as publisher:
        for latest in (False, True):
            with Rpc(s) as reader:
                reader.subscribe("event/#", batch_ms=LONG, latest=latest)
                publisher.publish("event/a", 1)
                reader.abort()
            publisher.publish("event/a", 2)
    assert s.proc.stop() == 0


def test_requests_do_not_wait(pair):
    asker, responder = pair
    responder.subscribe("request/#", batch_ms=LONG)
    call = asker.ask("request", topic="request/a", payload=1)
    request = responder.note()
    responder.call("reply", request=request["request"], payload=2)
    assert asker.answer(call)["payload"] == 2


def test_a_slow_reader_catches_up_from_the_store(hub):
    s = hub(limits__queue_bytes=2**21, limits__message_bytes=2**20)
    with Rpc(s) as publisher, Rpc(s) as slow, Rpc(s) as newest:
        slow.subscribe("event/#", batch_ms=5)
        newest.subscribe("event/#", batch_ms=5, latest=True)
        for link in (slow, newest):
            link.ws.transport.pause_reading()
        for i in range(1000):
            publisher.publish(f"event/{i % 10}", [i, "x" * 20_000])
        for link in (slow, newest):
            link.ws.transport.resume_reading()
        assert [slow.note()["payload"][0] for _ in range(1000)] == list(range(1000))
        got = [newest.note()["payload"][0]]
        while got[-1] < 999:
            got.append(newest.note()["payload"][0])
        assert got == sorted(got) and set(range(990, 1000)) <= set(got)


def test_listen_reads_batches(hub, client):
    s = hub()
    c = client(s)
    proc = c.listen("event/#", "-n", "500", "--batch-ms", "50")
    with Rpc(s) as publisher:
        publish_all(publisher, [("event/a", i) for i in range(500)])
    assert proc.wait() == 0
    assert [json.loads(line)["payload"] for line in proc.out.splitlines()] == list(range(500))
    newest = c.listen("event/#", "--batch-ms", "50", "--latest")
    with Rpc(s) as publisher:
        publish_all(publisher, [("event/a", i) for i in range(500)])
    newest.wait_line('"payload":499', stream="out")
    assert len(newest.out.splitlines()) < 500
    done = c.run("listen", "event/#", "--latest")
    assert done.returncode == 2 and "--latest goes with --batch-ms" in done.stderr
    done = c.run("listen", "event/#", "--batch-ms", "10001")
    assert done.returncode == 2 and "at most 10000" in done.stderr
