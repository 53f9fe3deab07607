"""The live tests of docs/rfc6455.md that bind the server: scripted clients against pixi-ws-server. TLS has its own
file."""

import base64
import json
import signal
import socket
import time

import pytest

import raw
from raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

live = pytest.mark.live
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 200000]
GOOD = 4 << 20  # bytes, more than the system's socket buffers take at once


# --- opening handshake


@live("server-handshake")
def test_the_101_byte_for_byte(echo):
    wire = raw.dial(echo().port)
    wire.send(raw.request())
    assert wire.head().raw == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + raw.ACCEPT.encode() + b"\r\n\r\n"
    )
    wire.put(TEXT, "hello")
    wire.expect(TEXT, "hello")


@live("server-handshake")
def test_the_accept_value_fits_each_key(echo):
    port = echo().port
    for key in ("AAAAAAAAAAAAAAAAAAAAAA==", "/////////////////////w==", "x3JJHMbDL1EzLkh9GBhXDw=="):
        assert raw.dial(port).hello(key=key).get("sec-websocket-accept") == raw.accept_of(key)


@live("server-early-frames")
@pytest.mark.parametrize("cut", [0, 1, 7])
def test_frames_right_behind_the_request(echo, cut):
    """cut: how many bytes of the second frame come later."""
    wire = raw.dial(echo().port)
    data = raw.request() + wire.frame(TEXT, "first") + wire.frame(TEXT, "second") + wire.frame(PING, "p")
    wire.send(data[: len(data) - cut])
    assert wire.head().status == 101
    wire.expect(TEXT, "first")
    wire.send(data[len(data) - cut :])
    wire.expect(TEXT, "second")
    wire.expect(PONG, "p")


STATUS = {"WS_METHOD": 405, "WS_UPGRADE": 426, "WS_VERSION": 426, "HTTP_SIZE": 431, "HTTP_COUNT": 431}
STATUS["HTTP_VERSION"] = 505


def answer_of(port, data, is_dripped):
    """The head of the answer, and what came behind it."""
    with raw.dial(port) as wire:
        try:
            wire.drip(data) if is_dripped else wire.send(data)
        except OSError:
            pass  # it has heard enough
        head = wire.head()
        if head.status == 101:
            wire.shut()
        return head, wire.raw_rest()


@live("server-refuses")
@pytest.mark.parametrize("is_dripped", [False, True], ids=["at-once", "byte-by-byte"])
def test_each_request_of_the_vectors(echo, is_dripped):
    port = echo(limits__handshake_ms=10000).port
    wrong = []
    for vector in raw.vectors("handshake_request", sender="client"):
        if vector.verdict == "MORE":
            continue  # test_half_a_request
        status = 101 if vector.verdict == "OK" else STATUS.get(vector.verdict, 400)
        head, rest = answer_of(port, vector.data, is_dripped)
        is_problem = status == 101 or json.loads(rest)["status"] == status
        if head.status != status or not is_problem or (status == 101 and len(head.all("sec-websocket-accept")) != 1):
            wrong.append(f"{vector.id}: {vector.verdict} was answered with {head.raw}{rest}")
    assert not wrong, "\n".join(wrong)


@live("server-refuses")
def test_half_a_request(echo):
    """Each request cut short: 408, as nothing is wrong with it but its end."""
    port = echo(limits__handshake_ms=200).port
    wires = {}
    for vector in raw.vectors("handshake_request", sender="client"):
        if vector.verdict == "MORE":
            wires[vector.id] = raw.dial(port)
            wires[vector.id].send(vector.data)
    assert len(wires) >= 10
    for name, wire in wires.items():
        head = wire.head()
        assert (name, head.status) == (name, 408)
        assert json.loads(wire.raw_rest())["status"] == 408


@live("server-version")
@pytest.mark.parametrize("version", ["8", "0", "12", "14", "13, 8", "8, 13", ""])
def test_a_version_it_does_not_speak(echo, version):
    wire = raw.dial(echo().port)
    wire.send(raw.request(version=version))
    head = wire.head()
    assert (head.status, head.get("sec-websocket-version")) == (426, "13")
    wire.raw_rest()


@live("server-key")
def test_keys(hub):
    server = hub()
    for field in ("Authorization: Bearer not-this-0123456789", "Authorization: Basic YTpi", "X-API-Key: x", "X-No: x"):
        wire = raw.dial(server.port)
        wire.send(raw.request(field))
        head = wire.head()
        assert head.status == 401, field
        assert head.get("www-authenticate").startswith("Bearer "), field
        assert server.key not in wire.raw_rest().decode()
    raw.join(server.port, server.bearer).put_close(1000)
    raw.join(server.port, f"X-API-Key: {server.key}").put_close(1000)


@live("server-origin")
def test_origins(hub):
    server = hub(origins=["https://app.example", "http://localhost:8080"])
    app = "https://app.example"
    for origin in ("https://evil.example", f"{app}.evil", "http://app.example", "null", f"{app}:1", f"{app}/"):
        wire = raw.dial(server.port)
        wire.send(raw.request(server.bearer, f"Origin: {origin}"))
        assert (origin, wire.head().status) == (origin, 403)
        wire.raw_rest()
    raw.join(server.port, server.bearer)
    for origin in ("https://app.example", "http://localhost:8080"):
        raw.join(server.port, server.bearer, f"Origin: {origin}")


@live("server-origin")
def test_a_browser_with_a_bad_key_is_told_by_a_close_frame(hub):
    """A script cannot read an HTTP refusal."""
    server = hub(origins=["https://app.example"])
    wire = raw.join(server.port, "Origin: https://app.example")
    wire.expect_close(3000)
    wire.put_close(3000)
    wire.expect_end()


@live("server-resource")
@pytest.mark.parametrize("target", ["/", "/api", "/api/v2", "/api/v1/", "/API/V1", "/api/v1%20", "/?/api/v1"])
def test_an_unknown_path(hub, target):
    server = hub()
    wire = raw.dial(server.port)
    wire.send(raw.request(server.bearer, target=target))
    assert wire.head().status == 404
    wire.raw_rest()
    raw.join(server.port, server.bearer, target="/api/v1?a=b")
    raw.join(server.port, server.bearer, target="http://127.0.0.1/api/v1")


def offer(*protocols):
    return f"Sec-WebSocket-Protocol: {', '.join(protocols)}"


@live("server-subprotocol")
@pytest.mark.parametrize(
    "offered, chosen",
    [
        ([], None),
        (["pixi.v1"], "pixi.v1"),
        (["mqtt", "pixi.v1"], "mqtt"),
        (["pixi.v1", "mqtt"], "pixi.v1"),
        (["mqtt"], "mqtt"),
        (["pixi.v1", "x"], "pixi.v1"),
        (["pixi.v2", "pixi.v10", "pixi.v1"], "pixi.v1"),
    ],
)
def test_the_subprotocol_is_one_of_those_offered(hub, offered, chosen):
    server = hub()
    for fields in ([offer(*offered)] if offered else [], [offer(p) for p in offered]):
        assert raw.dial(server.port).hello(server.bearer, *fields).get("sec-websocket-protocol") == chosen


@live("server-subprotocol")
@pytest.mark.parametrize("offered", [["mqttv5"], ["pixi.v2", "x"], ["PIXI.V1"], ["pixi.v"], ["pixi.v11"]])
def test_unknown_subprotocols_only(hub, offered):
    server = hub()
    wire = raw.dial(server.port)
    wire.send(raw.request(server.bearer, offer(*offered)))
    head = wire.head()
    assert (head.status, head.get("sec-websocket-protocol")) == (400, None)
    wire.raw_rest()


@live("server-subprotocol")
def test_a_key_among_the_subprotocols_is_never_selected(hub):
    server = hub()
    name = "pixi.key." + base64.urlsafe_b64encode(server.key.encode()).decode().rstrip("=")
    for fields, chosen in (([offer(name, "pixi.v1")], "pixi.v1"), ([offer(name)], None)):
        assert raw.dial(server.port).hello(*fields).get("sec-websocket-protocol") == chosen


@live("server-extensions")
@pytest.mark.parametrize(
    "offered",
    ["permessage-deflate; client_max_window_bits", "x-unknown", "x-deflate-frame, permessage-deflate", 'a; b="c"'],
)
def test_no_extension_is_accepted(echo, hub, offered):
    open_to_all, server = echo(), hub()
    field = f"Sec-WebSocket-Extensions: {offered}"
    assert raw.dial(open_to_all.port).hello(field).get("sec-websocket-extensions") is None
    assert raw.dial(server.port).hello(server.bearer, field).get("sec-websocket-extensions") is None


@live("server-tls")
def test_tls_on_the_plain_port(echo):
    """A ClientHello is not HTTP: refused and closed."""
    wire = raw.dial(echo().port)
    wire.send(bytes.fromhex("160301006d010000690303") + b"\x01" * 98)
    assert wire.head().status == 400
    wire.raw_rest()


# --- frames


@live("server-echo", "sender-frames", "server-no-mask")
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_every_size_class_comes_back(echo, opcode):
    """raw.Wire refuses a masked frame, a reserved bit, and a length in a longer form than it needs."""
    wire = raw.join(echo().port)
    for size in SIZES:
        payload = (b"0123456789abcdefghijklmnopqrstuvwxyz" * (size // 36 + 1))[:size]
        wire.put(opcode, payload)
        wire.expect(opcode, payload)
    for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x80\x7f\x00"):
        wire.send(raw.frame(opcode, "masks differ", mask=mask))
        wire.expect(opcode, "masks differ")


@live("server-no-mask", "sender-frames")
def test_control_frames_of_the_server_are_not_masked(echo):
    wire = raw.join(echo(keepalive__interval_ms=50).port)
    wire.expect(PING)
    wire.put(PONG)
    wire.put(PING, b"x" * 125)
    while (got := wire.next()).opcode == PING:
        wire.put(PONG, got.payload)
    assert got.body == (PONG, b"x" * 125)
    wire.put_close(1000, "done")
    while (got := wire.next()).opcode == PING:
        pass
    assert got.code == 1000
    wire.expect_end()


@live("sender-frames", "server-no-mask")
def test_frames_of_the_hub(hub):
    """What the hub encodes itself: answers and notifications, at the edges of the length forms."""
    server = hub()
    wire = raw.join(server.port, server.bearer)
    seen = set()
    for size in range(1, 63):
        seen |= call(wire, 1, "publish", call_id="x" * size, topic="b", payload=1)
    call(wire, 2, "subscribe", filter="#")
    for size in range(65300, 65450):
        seen |= call(wire, 2, "publish", topic="a", payload="x" * size)
    assert {125, 126, 127, 65535, 65536} <= seen, str(sorted(seen))


def call(wire, count, method, call_id=1, **params):
    """A JSON-RPC call; the lengths of the `count` texts that answer it."""
    wire.put(TEXT, json.dumps({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}))
    got = [wire.next() for _ in range(count)]
    assert all(f.opcode == TEXT and f.is_final for f in got), got
    assert [True for f in got if "result" in json.loads(f.payload)] == [True], got
    return {len(f.payload) for f in got}


@live("server-closes-unmasked")
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_an_unmasked_frame(echo, opcode):
    wire = raw.join(echo().port)
    wire.send(raw.frame(opcode))
    wire.expect_fail(1002)


@live("server-logs-fault")
def test_a_fault_is_one_line_of_the_log(echo):
    server = echo()
    wire = raw.join(server.port)
    host, port = wire.sock.getsockname()
    wire.put(TEXT, "good")
    wire.expect(TEXT, "good")
    wire.put(TEXT, "bad", rsv=4)
    wire.expect_fail(1002)
    wire.sock.close()
    server.proc.wait_line(rf"{host}:{port}: reserved bit set without an extension at byte 10 \(RFC 6455 §5\.2\)")
    assert server.proc.stop() == 0
    assert len([line for line in server.proc.err.splitlines() if f"{host}:{port}" in line]) == 1


@live("fail-1003")
def test_the_hub_takes_no_binary_messages(hub):
    server = hub()
    for payload in (b"", b"{}", b"\xff" * 300):
        wire = raw.join(server.port, server.bearer)
        wire.put(BINARY, payload)
        wire.expect_fail(1003)


@live("fail-1007")
@pytest.mark.parametrize("start", [b"", b"good so far ", "ü".encode()])
def test_bad_utf8_is_told_before_the_message_is_complete(echo, start):
    wire = raw.join(echo().port)
    wire.send(raw.head_of(TEXT, 100000, mask=raw.MASK) + raw.masked(start + b"\xc0", raw.MASK))
    wire.expect_fail(1007)


@live("fail-1007")
def test_bad_utf8_in_a_fragment(echo):
    wire = raw.join(echo().port)
    wire.put(TEXT, b"\xf0\x9f", is_final=False)
    wire.put(PING, b"still fine")
    wire.expect(PONG, b"still fine")
    wire.put(CONTINUATION, b"\x98\x20", is_final=False)
    wire.expect_fail(1007)


@live("fail-1009")
@pytest.mark.parametrize("size", [4097, 65536, 1 << 32, (1 << 63) - 1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_too_big_is_told_at_the_header(echo, opcode, size):
    server = echo(limits__message_bytes=4096)
    wire = raw.join(server.port)
    wire.put(opcode, b"x" * 4096)
    wire.expect(opcode, b"x" * 4096)
    before = raw.memory_kib(server.proc.pid)
    wire.send(raw.head_of(opcode, size, mask=raw.MASK))
    wire.expect_fail(1009)
    assert raw.memory_kib(server.proc.pid) - before < 4096


@live("fail-1009")
def test_a_sum_of_fragments_that_is_too_big(echo):
    wire = raw.join(echo(limits__message_bytes=4096).port)
    wire.put(TEXT, b"x" * 4000, is_final=False)
    wire.put(CONTINUATION, b"x" * 96, is_final=False)
    wire.put(CONTINUATION, b"", is_final=False)
    assert wire.is_quiet()
    wire.send(raw.head_of(CONTINUATION, 1, mask=raw.MASK))
    wire.expect_fail(1009)


@live("fail-1009")
def test_the_largest_message_of_the_echo(echo):
    wire = raw.join(echo().port)
    wire.send(raw.head_of(BINARY, (64 << 20) + 1, mask=raw.MASK))
    wire.expect_fail(1009)


@live("fail-stops")
@pytest.mark.parametrize("fault", [raw.frame(TEXT, "unmasked"), b"\xc1\x80", b"\x83\x80", b"\x80\x80"])
def test_nothing_is_read_after_a_fault(echo, fault):
    wire = raw.join(echo().port)
    wire.send(wire.frame(PING, "before") + fault + wire.frame(PING, "after") + wire.frame(TEXT, "after"))
    wire.expect(PONG, "before")
    wire.expect_close(1002)
    wire.put(PING, "later")
    wire.expect_end()


@live("fragments")
def test_messages_in_fragments(echo):
    wire = raw.join(echo().port)
    for opcode, payload in ((TEXT, "a€𝄞" * 100), (BINARY, bytes(range(256)))):
        payload = payload.encode() if opcode == TEXT else payload
        for step in (1, 7, len(payload)):
            pieces = [payload[i : i + step] for i in range(0, len(payload), step)]
            data = b"".join(wire.frame(CONTINUATION if i else opcode, p, False) for i, p in enumerate(pieces))
            wire.send(data + wire.frame(CONTINUATION, b"", True))
            wire.expect(opcode, payload)


@live("ping-inside")
def test_a_ping_between_fragments(echo):
    wire = raw.join(echo().port)
    wire.put(TEXT, "a", is_final=False)
    for i in range(3):
        wire.put(PING, str(i))
        wire.expect(PONG, str(i))
        wire.put(CONTINUATION, "b", is_final=False)
    wire.put(CONTINUATION, "c")
    wire.expect(TEXT, "abbbc")


@live("ping-pong")
def test_pings(echo):
    wire = raw.join(echo().port)
    for payload in (b"", b"\0", b"\xff" * 125):
        wire.put(PING, payload)
        wire.expect(PONG, payload)


@live("pong-unasked")
def test_pongs_that_nobody_asked_for(echo):
    wire = raw.join(echo().port)
    for payload in (b"", b"unasked", b"x" * 125):
        wire.put(PONG, payload)
    assert wire.is_quiet()
    wire.put(TEXT, "and on")
    wire.expect(TEXT, "and on")


@live("ping-flood")
def test_thousands_of_pings_are_answered(echo):
    server = echo()
    wire = raw.join(server.port)
    before = raw.memory_kib(server.proc.pid)
    wire.send(b"".join(wire.frame(PING, str(i)) for i in range(5000)))
    wire.put(TEXT, "done")
    got = []
    while (f := wire.next()).opcode == PONG:
        got.append(int(f.payload))
    assert f.body == (TEXT, b"done")
    assert got[-1] == 4999 and got == sorted(set(got))
    assert raw.memory_kib(server.proc.pid) - before < 32768


@live("ping-flood")
def test_who_never_reads_its_pongs_is_cut_off(echo):
    """More than queue_bytes of pongs are not kept; others notice nothing."""
    server = echo(limits__message_bytes=4096, limits__queue_bytes=65536)
    other = raw.join(server.port)
    wire = raw.Wire(socket.socket(), is_client=True)
    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wire.sock.connect(("127.0.0.1", server.port))
    wire.hello()
    before = raw.memory_kib(server.proc.pid)
    pings = wire.frame(PING, b"x" * 125) * 1000
    with pytest.raises(ConnectionError):
        for _ in range(500):
            wire.send(pings)
    other.put(TEXT, "still here")
    other.expect(TEXT, "still here")
    server.proc.wait_line("send queue is full")
    assert raw.memory_kib(server.proc.pid) - before < 32768


@live("keepalive")
def test_an_idle_client_is_pinged_and_then_given_up(echo):
    server = echo(keepalive__interval_ms=100, keepalive__timeout_ms=300)
    wire = raw.join(server.port)
    for _ in range(3):
        wire.put(PONG, wire.expect(PING).payload)
    wire.put(TEXT, "awake")
    wire.expect(TEXT, "awake")
    wire.expect(PING)
    asked = time.monotonic()
    wire.expect_end()
    assert time.monotonic() - asked > 0.25
    server.proc.wait_line(r"no answer to a ping .*\(RFC 6455 §5\.5\.2\)")


# --- closing


@live("close-echo", "close-server-first")
@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1011, 1014, 3000, 3999, 4000, 4999])
def test_a_close_frame_is_answered_by_its_code_then_tcp_is_closed(echo, code):
    wire = raw.join(echo().port)
    wire.put_close(code, "because")
    started = time.monotonic()
    wire.expect_close(code)
    wire.expect_end()  # while our end is still open
    assert time.monotonic() - started < 2.5, "it waited for its time-out"


@live("close-echo")
def test_a_close_frame_inside_a_message(echo):
    wire = raw.join(echo().port)
    wire.put(TEXT, "unfinished", is_final=False)
    wire.put_close(1001)
    wire.expect_fail(1001)


@live("close-echo-empty")
def test_an_empty_close_frame(echo):
    wire = raw.join(echo().port)
    wire.put_close()
    got = wire.next()
    assert got.opcode == CLOSE and got.code in (None, 1000), got
    wire.expect_end()


@live("ping-after-close", "close-no-data-after")
def test_nothing_but_the_answer_after_a_close_frame(echo):
    wire = raw.join(echo().port)
    wire.send(
        wire.frame(TEXT, "before")
        + wire.frame(CLOSE, raw.close_payload(1000))
        + wire.frame(PING, "after")
        + wire.frame(TEXT, "after")
        + wire.frame(CLOSE, raw.close_payload(1001))
    )
    wire.expect(TEXT, "before")
    wire.expect_close(1000)
    wire.put(PING, "later")
    wire.expect_end()


@live("close-no-data-after")
def test_queued_messages_then_the_answer_then_nothing(echo):
    """Messages waiting to leave when the close frame comes: whole ones go out before the answer, none after it."""
    wire = raw.join(echo().port)
    payload = b"x" * 100000
    close = wire.frame(CLOSE, raw.close_payload(1000))
    wire.send(wire.frame(BINARY, payload) * 100 + close + wire.frame(TEXT, "after"))
    got = wire.rest()
    assert got[-1].opcode == CLOSE and got[-1].code == 1000
    assert all(f.body == (BINARY, payload) for f in got[:-1])


@live("close-no-data-after", "close-both")
def test_after_the_servers_own_close_frame(echo):
    """Nothing is echoed any more, and a client that closed at the same time gets no second answer."""
    server = echo()
    wire = raw.join(server.port)
    server.proc._popen.send_signal(signal.SIGTERM)
    wire.expect_close(1012)
    wire.put(TEXT, "too late")
    wire.put(PING, "too late")
    wire.put_close(1000)
    wire.expect_end()
    wire.sock.close()
    assert server.proc.wait() == 0


@live("close-clean")
def test_data_under_way_while_closing(echo):
    """Bytes that come after a fault or a close frame are read and dropped: a reset would take the answer away."""
    port, wire = echo().port, raw.Wire(socket.socket(), is_client=True)
    for start, code in ((b"\xff\xff", 1002), (wire.frame(CLOSE, raw.close_payload(4001)), 4001)):
        wire = raw.join(port)
        wire.send(start + wire.frame(BINARY, b"x" * GOOD))
        wire.expect_close(code)
        wire.send(wire.frame(BINARY, b"x" * GOOD))
        wire.expect_end()


@live("server-stops", "close-start")
def test_stopping_closes_every_client_first(echo, hub):
    plain, server = echo(), hub()
    wires = [raw.join(plain.port) for _ in range(20)]
    plain.proc._popen.send_signal(signal.SIGTERM)
    for wire in wires:
        wire.expect_close(1012, "restarting")
        wire.put_close(1012)
        wire.expect_end()
        wire.sock.close()
    assert plain.proc.wait() == 0

    wires = [raw.join(server.port, server.bearer) for _ in range(20)]
    server.proc._popen.send_signal(signal.SIGTERM)
    for wire in wires:
        said = json.loads(wire.next().payload)
        assert said["method"] == "going_away" and said["params"]["reconnect_in_ms"] >= 0
        wire.expect_close(1012, "restarting")
        wire.put_close(1012)
        wire.expect_end()
        wire.sock.close()
    assert server.proc.wait() == 0


@live("server-stops")
def test_stopping_does_not_wait_for_ever(echo):
    server = echo(drain_ms=300)
    wire = raw.join(server.port)
    assert server.proc.stop() == 0
    wire.expect_close(1012)


@live("lost-1006")
@pytest.mark.parametrize("how", ["shut", "reset"])
def test_a_client_that_is_lost(echo, how):
    server = echo()
    other = raw.join(server.port)
    wire = raw.join(server.port)
    host, port = wire.sock.getsockname()
    wire.put(TEXT, "a")
    wire.expect(TEXT, "a")
    getattr(wire, how)()
    if how == "shut":
        wire.expect_end()
        server.proc.wait_line(rf"{host}:{port}: connection ended without a close frame .*§7\.1\.5")
    other.put(TEXT, "b")
    other.expect(TEXT, "b")
