"""permessage-deflate between our client, our server and Python's websockets: what goes compressed, and what it gains."""

import json
import os
import signal

import pytest
from metrics import samples
from rpc import Rpc

ON = {"compression__enabled": True, "metrics__listen": ["127.0.0.1:0"]}
LONG = "tram " * 1000


def gain(server, direction):
    """(messages, compressed, before, after) of what was received, or sent."""
    now = samples(server)
    names = ("messages", "compressed", "before_bytes", "after_bytes")
    return tuple(now[f'pixi_compression_{name}_total{{direction="{direction}"}}'] for name in names)


def since(before, now):
    return [n - was for was, n in zip(before, now, strict=True)]


def count(server, name):
    return samples(server)[f"pixi_compression_{name}"]


def extensions(rpc):
    return [type(extension).__name__ for extension in rpc.ws.extensions]


def test_nothing_is_agreed_on_by_default(hub, client):
    s = hub(metrics__listen=["127.0.0.1:0"])
    with Rpc(s, compression="deflate") as rpc:
        rpc.subscribe("#")
        assert extensions(rpc) == []
        client(s, COMPRESSION="true").ok("send", "a", json.dumps(LONG))
        assert rpc.note()["payload"] == LONG
    assert gain(s, "sent") == gain(s, "received") == (0, 0, 0, 0)
    assert count(s, "connections") == count(s, "memory_bytes") == count(s, "runs_total") == 0


def test_a_message_for_many_is_compressed_once(hub, client):
    """Some of them take it so, one does not; what is short goes as it is."""
    s = hub(**ON)
    listeners = [Rpc(s, compression="deflate") for _ in range(5)]
    plain = Rpc(s)
    for rpc in [*listeners, plain]:
        rpc.subscribe("#")
    assert count(s, "connections") == 5
    before, heard, runs = gain(s, "sent"), gain(s, "received"), count(s, "runs_total")
    client(s, COMPRESSION="true").ok("send", "a", json.dumps(LONG))
    for rpc in [*listeners, plain]:
        assert rpc.note()["payload"] == LONG
    plain.publish("a", "short")
    for rpc in listeners:
        assert rpc.note()["payload"] == "short"
    sent, received = since(before, gain(s, "sent")), since(heard, gain(s, "received"))
    assert count(s, "runs_total") == runs + 1
    assert sent[1] == 5 and sent[2] > 25_000 and sent[3] < sent[2] / 10
    assert received[1] == 1 and received[3] < received[2] - 4000
    assert count(s, "memory_bytes") < 250_000
    for rpc in [*listeners, plain]:
        rpc.close()
    assert count(s, "connections") == 0


def test_both_ways_between_our_own(hub, client):
    s = hub(**ON)
    pixi = client(s, COMPRESSION="true")
    listener = pixi.listen("event/#")
    pixi.ok("send", "event/a", json.dumps(LONG))
    listener.wait_line('"event/a".*tram tram')
    assert count(s, "connections") == 1
    assert gain(s, "received")[1] == gain(s, "sent")[1] == 1


def test_in_batches_and_in_mqtt(hub, client):
    s = hub(**ON)
    with Rpc(s, compression="deflate") as rpc:
        rpc.subscribe("#", batch_ms=20)
        for number in range(50):
            rpc.publish("a", {"number": number, "text": "the same"})
        assert [rpc.note()["payload"]["number"] for _ in range(50)] == list(range(50))
    pixi = client(s, COMPRESSION="true", DIALECT="mqtt")
    listener = pixi.listen("event/#")
    before = gain(s, "sent")[1]
    pixi.ok("send", "event/a", json.dumps(LONG))
    listener.wait_line('"event/a".*tram tram')
    assert gain(s, "sent")[1] == before + 1


def test_over_tls(tls_hub, secure, pki):
    """Records of TLS are larger than what a link that compresses reads at a time: nothing stays behind."""
    s = tls_hub(pki.server, **ON)
    pixi = secure(s.tls_url, s.key, ca=pki.ca)
    pixi.env["PIXI_WS_COMPRESSION"] = "true"
    listener = pixi.listen("event/#")
    before = gain(s, "received")
    for size in (1000, 20_000, 100_000):
        noise = os.urandom(size // 4).hex()  # half of what is sent is left
        pixi.ok("send", "event/a", json.dumps(noise))
        listener.wait_line(f'{noise[-100:]}"')
    assert since(before, gain(s, "received"))[1] == 3
    assert gain(s, "sent")[1] == 3


def test_a_bomb_is_too_big(hub):
    """A hundred megabytes in a hundred kilobytes: refused at the megabyte that a message may have."""
    s = hub(**ON)
    with Rpc(s, compression="deflate") as rpc:
        rpc.send(" " * 100_000_000)
        end = rpc.closed()
    assert (end.code, end.reason) == (1009, "message over the limit")
    now = samples(s)
    assert now['pixi_refused_total{reason="message_bytes"}'] == 1
    assert now["pixi_compression_memory_bytes"] < 250_000


def test_a_reload_is_for_new_connections(hub, settings):
    s = hub(**ON)
    with Rpc(s, compression="deflate") as rpc:
        rpc.subscribe("#")
        settings("server", metrics__listen=["127.0.0.1:0"], compression__enabled=False)
        os.kill(s.proc.pid, signal.SIGHUP)
        s.proc.wait_line("holds 1 key", stream="err")
        with Rpc(s, compression="deflate") as other:
            assert extensions(rpc) == ["PerMessageDeflate"] and extensions(other) == []
            other.publish("a", LONG)
        before = gain(s, "sent")[1]
        rpc.publish("a", LONG)
        assert rpc.note()["payload"] == rpc.note()["payload"] == LONG
        assert gain(s, "sent")[1] >= before


@pytest.mark.parametrize("level, min_bytes", [(1, 1), (9, 100)])
def test_level_and_least_size(hub, level, min_bytes):
    s = hub(compression__level=level, compression__min_bytes=min_bytes, **ON)
    with Rpc(s, compression="deflate") as rpc:
        rpc.subscribe("#")
        before = gain(s, "sent")
        rpc.publish("a", "x" * 200)
        assert rpc.note()["payload"] == "x" * 200
        assert gain(s, "sent")[1] > before[1]
