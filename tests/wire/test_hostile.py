"""Peers that refuse, babble, stall or vanish, at every stage: who meets one says so or gives it up in time, releases
what it held, and nobody else notices."""

import json
import os
import time

import pytest

import raw
from raw import BINARY, PING, PONG, TEXT

API_KEY = "pk_hostile-tests-0123456789"
COMMANDS = [["connect"], ["listen", "#"], ["send", "a", "1"]]
SHORT = {"timeouts__upgrade_ms": 400, "timeouts__close_ms": 400, "timeouts__request_ms": 20000}
SHORT |= {"keepalive__interval_ms": 200, "keepalive__timeout_ms": 200}
QUICK = {"reconnect__initial_ms": 1, "reconnect__max_ms": 1}

each_command = pytest.mark.parametrize("args", COMMANDS, ids=lambda a: a[0])


@pytest.fixture
def listener():
    with raw.Listener() as it:
        yield it


def failure_of(proc):
    """What a program with --json said about its failure; it names layer, cause and fix."""
    code = proc.wait()
    said = [json.loads(line) for line in proc.err.splitlines() if line.startswith("{")]
    assert len(said) == 1, str(proc)
    assert all(said[0][member] for member in ("layer", "cause", "fix", "error")), str(proc)
    assert said[0]["exit"] == code, str(proc)
    return code, said[0]["layer"]


# --- servers that do not upgrade

GARBAGE = {
    "zeros": b"\0" * 64,
    "noise": bytes((i * 97 + 13) % 256 for i in range(4096)),
    "tls-alert": bytes.fromhex("15030100020228"),
    "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "html": b"<html><body>It works!</body></html>\n",
    "http-0.9": b"HTTP/0.9 200 OK\r\n\r\n",
    "http-2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64",
    "frames": raw.frame(TEXT, "hello") * 3,
    "line-feeds": b"\n" * 100,
    "no-accept": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "100-continue": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@each_command
@pytest.mark.parametrize("status, code", [(301, 7), (401, 8), (403, 8), (503, 7)])
@pytest.mark.parametrize("then", ["closes", "stalls"])
def test_servers_that_refuse(client, listener, args, status, code, then):
    proc = client("--json", "--url", listener.url, *args, api_key=API_KEY)
    wire = listener.accept()
    wire.head()
    wire.send(raw.refusal(status, "Location: ws://127.0.0.1:1/", "Retry-After: 3600", body=b"x" * 100))
    if then == "closes":
        wire.shut()
    assert failure_of(proc) == (code, "key" if code == 8 else "upgrade")
    assert API_KEY not in proc.err + proc.out


@each_command
@pytest.mark.parametrize("name", GARBAGE)
def test_servers_that_speak_something_else(client, listener, args, name):
    proc = client("--json", "--url", listener.url, *args, api_key=API_KEY)
    wire = listener.accept()
    wire.send(GARBAGE[name])  # some speak first
    assert failure_of(proc) == (7, "upgrade")


HALVES = {
    "nothing": b"",
    "a-byte": b"H",
    "half-a-line": b"HTTP/1.1 101 Swit",
    "half-a-head": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnec",
    "half-an-end": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r",
}
WAYS = ["shut", "reset", "silence"]


@each_command
@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("way", WAYS)
def test_servers_that_vanish_before_the_upgrade(client, listener, args, half, way):
    proc = client("--json", "--url", listener.url, *args, **SHORT)
    wire = listener.accept()
    wire.head()
    wire.send(HALVES[half])
    if way != "silence":
        getattr(wire, way)()
    assert failure_of(proc) == ((10, "upgrade") if way == "silence" else (7, "upgrade"))


@each_command
def test_a_server_that_is_gone_before_it_hears_anything(client, listener, args):
    proc = client("--json", "--url", listener.url, *args)
    listener.accept().reset()
    assert failure_of(proc) in [(7, "upgrade"), (5, "tcp")]  # as the reset comes before or after it knows of success


# --- servers that vanish once it is open

STAGES = {
    "upgraded": b"",
    "half-a-head": b"\x81",
    "half-a-long-head": b"\x81\x7e\x01",
    "half-a-frame": b"\x81\x05he",
    "half-a-message": raw.frame(TEXT, "he", is_final=False),
    "half-a-character": raw.frame(TEXT, b"\xe2\x82", is_final=False),
    "half-a-ping": b"\x89\x05pi",
    "half-a-close": b"\x88\x02\x03",
}


def vanish(wire, way):
    """shut: FIN, and what comes still is read; silence: nothing is read any more."""
    if way != "silence":
        getattr(wire, way)()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("way", WAYS)
def test_connect_says_that_its_server_vanished(client, listener, stage, way):
    proc = client("--json", "connect", listener.url, **SHORT)
    wire = listener.welcome(more=raw.frame(TEXT, "good") + STAGES[stage])
    proc.wait_line("^good$", stream="out")
    vanish(wire, way)
    assert failure_of(proc) == (11, "connection")
    assert proc.out == "good\n"


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("way", WAYS)
def test_listen_comes_back_after_its_server_vanished(client, listener, stage, way):
    proc = client("--url", listener.url, "listen", "#", **SHORT, **QUICK)
    wire = listener.welcome(protocol="pixi.v1")
    assert json.loads(wire.next().payload)["method"] == "subscribe"
    wire.send(STAGES[stage])
    vanish(wire, way)
    again = listener.welcome(protocol="pixi.v1")
    assert json.loads(again.next().payload)["method"] == "subscribe"
    proc.wait_line("pixi-ws-client: connection: .*trying again")


def answer(wire, result):
    """Answers the next call; its parameters. Pings are answered, too."""
    while (got := wire.next()).opcode == PING:
        wire.put(PONG, got.payload)
    call = json.loads(got.payload)
    wire.put(TEXT, json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}))
    return call["params"]


STORED = {"epoch": "0123456789abcdef", "offset": 1}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("way", WAYS)
def test_send_sends_again_after_its_server_vanished(client, listener, stage, way):
    """With the same key, so that a server which had stored it stores it once."""
    proc = client("--url", listener.url, "send", "a", "1", **SHORT, **QUICK)
    wire = listener.welcome(protocol="pixi.v1")
    first = json.loads(wire.next().payload)["params"]
    wire.send(STAGES[stage])
    vanish(wire, way)
    again = listener.welcome(protocol="pixi.v1")
    assert answer(again, STORED) == first and first["key"]["seq"] == 1
    while (got := again.next()).opcode == PING:
        again.put(PONG, got.payload)
    assert got.code == 1000
    again.put_close(1000)
    again.shut()
    assert proc.wait() == 0, str(proc)


@pytest.mark.parametrize("way, want", [("shut", 11), ("reset", 11), ("silence", 10)])
def test_connect_and_a_server_that_vanishes_after_the_close_frame(client, listener, way, want):
    proc = client("--json", "connect", "--wait", "0.001", listener.url, **SHORT)
    wire = listener.welcome()
    proc.close_input()
    wire.expect_close(1000)
    vanish(wire, way)
    assert failure_of(proc)[0] == want


@pytest.mark.parametrize("way", WAYS)
def test_what_is_stored_is_sent_well_however_the_connection_ends(client, listener, way):
    proc = client("--url", listener.url, "send", "a", "1", **SHORT)
    wire = listener.welcome(protocol="pixi.v1")
    answer(wire, STORED)
    wire.expect_close(1000)
    vanish(wire, way)
    assert proc.wait() == 0, str(proc)


def test_a_server_that_never_answers_a_call(client, listener):
    proc = client("--json", "--url", listener.url, "send", "--timeout", "0.3", "a", "1", **SHORT)
    wire = listener.welcome(protocol="pixi.v1")
    wire.next()
    assert failure_of(proc) == (10, "request")


@pytest.mark.parametrize("args", COMMANDS[1:], ids=lambda a: a[0])
def test_a_server_that_speaks_no_json_rpc(client, listener, args):
    for text in ("", "hello", "[", '{"a":1}', "[]", '{"jsonrpc":"1.0"}', "[" * 1000, '"\\ud800"', "null"):
        proc = client("--json", "--url", listener.url, *args, **SHORT)
        wire = listener.welcome(protocol="pixi.v1")
        wire.put(TEXT, text)
        assert (text, *failure_of(proc)) == (text, 9, "protocol")


# --- clients without a whole request


@pytest.fixture
def others(echo):
    """others(**settings) -> a server, for which other clients must go on as before; and it must release all it held."""
    running = []

    def others(**members):
        server = echo(**members)
        other = raw.join(server.port)
        ask(other, "before")
        running.append((server, other, descriptors(server)))
        return server

    yield others
    for server, other, before in running:
        ask(other, "after")
        raw.wait_for(lambda: descriptors(server) <= before, "the server keeps descriptors open")
        ask(raw.join(server.port), "another")
        other.sock.close()
        assert server.proc.returncode is None


def ask(wire, text):
    """An echo, pings answered meanwhile."""
    wire.put(TEXT, text)
    while (got := wire.next()).body != (TEXT, text.encode()):
        assert got.opcode == PING, got
        wire.put(PONG, got.payload)


def descriptors(server):
    return len(os.listdir(f"/proc/{server.proc.pid}/fd"))


@pytest.mark.parametrize("name", [n for n in GARBAGE if n not in ("http-0.9", "no-accept", "100-continue")])
def test_clients_that_speak_something_else(others, name):
    server = others(limits__handshake_ms=400)
    with raw.dial(server.port) as wire:
        wire.send(GARBAGE[name])
        assert wire.head().status == 400
        assert json.loads(wire.raw_rest())["status"] == 400


def test_a_head_without_end(others):
    server = others()
    with raw.dial(server.port) as wire:
        wire.send(b"GET / HTTP/1.1\r\n" + b"X-Pad: xxxxxxxx\r\n" * 2000)
        assert wire.head().status == 431
        with pytest.raises(OSError):
            for _ in range(64 << 4):  # 64 MiB; 16 MiB are passed over, then the connection is cut
                wire.send(b"x" * (1 << 16))


HALF_REQUESTS = {
    "nothing": b"",
    "a-byte": b"G",
    "half-a-line": b"GET /api",
    "half-a-head": raw.request()[:60],
    "half-an-end": raw.request()[:-1],
}


@pytest.mark.parametrize("half", HALF_REQUESTS)
@pytest.mark.parametrize("way", WAYS)
def test_clients_that_vanish_before_the_upgrade(others, half, way):
    server = others(limits__handshake_ms=300)
    with raw.dial(server.port) as wire:
        wire.send(HALF_REQUESTS[half])
        if way == "reset":
            wire.reset()
            return
        started = time.monotonic()
        vanish(wire, way)
        if way == "silence":
            assert wire.head().status == 408
            assert json.loads(wire.raw_rest())["status"] == 408
            assert time.monotonic() - started > 0.25
        else:
            wire.raw_rest()


def test_a_request_that_trickles(others):
    """The time is for the whole request, not for each byte of it."""
    server = others(limits__handshake_ms=400)
    with raw.dial(server.port) as wire:
        started = time.monotonic()
        for byte in raw.request("X-Pad: " + "x" * 2000)[:-4]:
            wire.send(bytes([byte]))
            if not wire.is_quiet(0.02):
                break
        assert wire.head().status == 408
        assert 0.35 < time.monotonic() - started < 10
        wire.raw_rest()


def test_many_that_say_nothing(others):
    server = others(limits__handshake_ms=500)
    wires = [raw.dial(server.port) for _ in range(200)]
    for wire in wires:
        assert wire.head().status == 408
        wire.sock.close()


# --- clients that are too slow over a message


SLOW = {
    "half-a-frame": b"\x81\x85\x37\xfa\x21\x3d\x7f",
    "half-a-head": b"\x81",
    "half-a-ping": b"\x89\x85\x37\xfa\x21\x3d\x7f",
    "half-a-message": raw.frame(TEXT, "he", is_final=False, mask=raw.MASK),
    "half-a-large-message": raw.head_of(BINARY, 1 << 20, mask=raw.MASK) + b"x" * 300000,
}


@pytest.mark.parametrize("stage", SLOW)
def test_messages_that_stop(others, stage):
    """A whole message before does not help."""
    server = others(limits__message_ms=300)
    with raw.join(server.port) as wire:
        ask(wire, "good")
        wire.send(SLOW[stage])
        wire.expect_close(3008, "a message took too long to come")
        server.proc.wait_line("a message took too long to come; closing with 3008")


@pytest.mark.parametrize("piece", ["byte", "empty frame", "frame and ping"])
def test_messages_that_trickle(others, piece):
    """The time is for the whole message, whatever comes meanwhile."""
    server = others(limits__message_ms=300)
    data = raw.frame(TEXT, "x" * 100000, mask=raw.MASK)
    parts = {
        "byte": [data[i : i + 1] for i in range(len(data))],
        "empty frame": [raw.frame(TEXT, "", is_final=False, mask=raw.MASK)] + 100000 * [raw.frame(0, "", is_final=False, mask=raw.MASK)],
        "frame and ping": [raw.frame(TEXT, "", is_final=False, mask=raw.MASK)] + 100000 * [raw.frame(PING, "", mask=raw.MASK)],
    }[piece]
    with raw.join(server.port) as wire:
        for part in parts:
            wire.send(part)
            if not wire.is_quiet(0.005) and (got := wire.next()).opcode != PONG:
                break
        assert got.code == 3008


def test_many_messages_are_not_one(others):
    """A connection that is never idle, each message whole in time, goes on."""
    server = others(limits__message_ms=300)
    with raw.join(server.port) as wire:
        until = time.monotonic() + 1
        rest = b""
        while time.monotonic() < until:  # the start of the next message always comes with the end of the last
            frame = raw.frame(TEXT, "hello", mask=raw.MASK)
            wire.send(rest + frame[:5])
            rest = frame[5:]
            wire.is_quiet(0.02)
        wire.send(rest)
        wire.put(TEXT, "last")
        while (got := wire.next()).payload != b"last":
            assert got.payload == b"hello", got


# --- clients that vanish once it is open

MASKED = {
    "upgraded": b"",
    "half-a-head": b"\x81",
    "half-a-mask": b"\x81\x85\x37\xfa",
    "half-a-frame": b"\x81\x85\x37\xfa\x21\x3d\x7f",
    "half-a-message": raw.frame(TEXT, "he", is_final=False, mask=raw.MASK),
    "half-a-large-message": raw.head_of(BINARY, 1 << 20, mask=raw.MASK) + b"x" * 300000,
    "half-a-ping": b"\x89\x85\x37\xfa\x21\x3d\x7f",
    "half-a-close": b"\x88\x82\x37\xfa\x21\x3d\x7f",
}
ALIVE = {"keepalive__interval_ms": 200, "keepalive__timeout_ms": 200}


@pytest.mark.parametrize("stage", MASKED)
@pytest.mark.parametrize("way", WAYS)
def test_clients_that_vanish_once_it_is_open(echo, stage, way):
    server = echo(**ALIVE)
    before = descriptors(server)
    wire = raw.join(server.port)
    ask(wire, "good")
    wire.send(MASKED[stage])
    vanish(wire, way)
    raw.wait_for(lambda: descriptors(server) <= before, "the connection is still held")
    if way == "silence":
        server.proc.wait_line("no answer to a ping")
    ask(raw.join(server.port), "another")


@pytest.mark.parametrize("way", WAYS)
def test_clients_that_vanish_after_the_close_frame(others, way):
    """Silence: the server gives them close_ms, then it lets go."""
    server = others()
    with raw.join(server.port) as wire:
        wire.put_close(1000)
        wire.expect_close(1000)
        if way != "silence":
            vanish(wire, way)
            return
        before = descriptors(server)
        raw.wait_for(lambda: descriptors(server) < before, "the connection is still held")


def test_a_client_that_never_reads(echo):
    """Its window is full, so that not even a ping reaches it."""
    server = echo(**ALIVE, limits__queue_bytes=1 << 30)
    before = descriptors(server)
    wire = raw.join(server.port)
    wire.sock.settimeout(0.5)
    with pytest.raises(OSError):
        for _ in range(500):
            wire.put(BINARY, b"x" * 1000000)
    raw.wait_for(lambda: descriptors(server) <= before, "the connection is still held")


def test_subscribers_that_vanish_while_messages_come(hub):
    """The one that stays gets every message, in order."""
    server = hub()

    def subscriber():
        wire = raw.join(server.port, server.bearer)
        wire.put(TEXT, json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": {"filter": "#"}}))
        assert "result" in json.loads(wire.next().payload)
        assert json.loads(wire.next().payload)["method"] == "synced"
        return wire

    before = descriptors(server)
    stays, vanishing = subscriber(), [subscriber() for _ in range(30)]
    publisher = raw.join(server.port, server.bearer)
    for i in range(300):
        call = {"jsonrpc": "2.0", "method": "publish", "params": {"topic": "a", "payload": "x" * 2000 + str(i)}}
        publisher.put(TEXT, json.dumps(call))
        if i % 10 == 5:
            vanish(vanishing.pop(), WAYS[i // 10 % 2])
    for i in range(300):
        assert json.loads(stays.next().payload)["params"]["payload"] == "x" * 2000 + str(i)
    stays.sock.close()
    publisher.sock.close()
    raw.wait_for(lambda: descriptors(server) <= before, "connections are still held")
