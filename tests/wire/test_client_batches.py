"""Batches of notifications from a scripted server, read by pixi-ws-client."""

import json

import pytest

import raw
from raw import TEXT

EPOCH = "0123456789abcdef"


@pytest.fixture
def listener():
    with raw.Listener() as it:
        yield it


def message(offset, payload, topic="a"):
    params = {"filter": "#", "topic": topic, "payload": payload, "epoch": EPOCH, "offset": offset, "time_ms": 1}
    return {"jsonrpc": "2.0", "method": "message", "params": params}


def welcome(listener, proc):
    """The wire, and the parameters of the subscription, which is answered."""
    wire = listener.welcome(protocol="pixi.v1")
    call = json.loads(wire.next().payload)
    assert call["method"] == "subscribe", proc
    result = {"epoch": EPOCH, "offset": 0, "recovered": False}
    answer = {"jsonrpc": "2.0", "id": call["id"], "result": result}
    return wire, call["params"], answer


def put(wire, value):
    wire.put(TEXT, json.dumps(value, separators=(",", ":")))


SYNCED = {"jsonrpc": "2.0", "method": "synced", "params": {"filter": "#"}}


def test_what_is_asked_for_is_asked_for_again(client, listener):
    proc = client("--url", listener.url, "listen", "#", "--batch-ms", "40", "--latest", reconnect={"initial_ms": 1})
    wire, params, answer = welcome(listener, proc)
    assert params == {"filter": "#", "batch_ms": 40, "latest": True}
    put(wire, [answer, SYNCED, message(5, "a"), message(9, "b")])  # an answer may stand in one, too
    proc.wait_line('"payload":"b"', stream="out")
    wire.reset()
    wire, params, _ = welcome(listener, proc)
    assert params["since"] == [{"epoch": EPOCH, "offset": 9}] and params["batch_ms"] == 40 and params["latest"] is True


def test_a_batch_is_read_in_order_and_nothing_twice(client, listener):
    proc = client("--url", listener.url, "listen", "#", "--count", "1000")
    wire, params, answer = welcome(listener, proc)
    assert params == {"filter": "#"}
    put(wire, answer)
    put(wire, [SYNCED, *(message(i, i) for i in range(1, 600))])
    put(wire, [message(599, "again"), *(message(i, i) for i in range(600, 1001))])
    assert proc.wait() == 0
    assert [json.loads(line)["payload"] for line in proc.out.splitlines()] == list(range(1, 1001))


def test_a_batch_may_be_larger_than_a_message(client, listener):
    proc = client("--url", listener.url, "listen", "#", "-n", "100", limits={"message_bytes": 1024})
    wire, _, answer = welcome(listener, proc)
    put(wire, [answer, SYNCED])
    batch = [message(i, "x" * 515) for i in range(1, 101)]
    assert 60_000 < len(json.dumps(batch, separators=(",", ":"))) <= 65536
    put(wire, batch)
    assert proc.wait() == 0 and len(proc.out.splitlines()) == 100


@pytest.mark.parametrize("batch", [[], [1] * 1001])
def test_what_is_no_batch_ends_the_link(client, listener, batch):
    proc = client("--url", listener.url, "listen", "#")
    wire, _, answer = welcome(listener, proc)
    put(wire, answer)
    put(wire, batch)
    assert wire.next().code in (1002, 1008, 1011)
    wire.sock.close()
    assert proc.wait() == 9 and "fix: " in proc.err
