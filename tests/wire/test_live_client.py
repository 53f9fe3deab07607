"""The live tests of docs/rfc6455.md that bind the client: scripted servers against pixi-ws-client. TLS has its own
file."""

import base64
import collections
import errno
import json
import os
import pty
import re
import statistics
import subprocess
import termios
import threading
import time

import pytest

import raw
from raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

live = pytest.mark.live
API_KEY = "pk_live-client-tests-0123456789"


@pytest.fixture
def listener():
    with raw.Listener() as it:
        yield it


@pytest.fixture
def connect(client, listener):
    """connect(*args, more=b"", **settings) -> (Proc of `connect --no-key`, Wire of its connection); more: frames right
    behind the 101."""

    def connect(*args, more=b"", **members):
        proc = client("connect", "--no-key", "--wait", "0.001", *args, listener.url, **members)
        return proc, listener.welcome(more=more)

    return connect


def fails(proc, code, layer):
    """It ends with this exit code, and says where, why, and what to do."""
    assert proc.wait() == code, str(proc)
    said = re.search(r"^pixi-ws-client: (\S+): (\S.*)\n  fix: (\S.*)$", proc.err, re.M)
    assert said and said[1] == layer, str(proc)
    return said[2]


# --- URLs


@live("client-url")
@pytest.mark.parametrize(
    "rest, target",
    [
        ("", "/"),
        ("/", "/"),
        ("?a=b", "/?a=b"),
        ("/a/b?c=d&e", "/a/b?c=d&e"),
        ("/a%23b?c=%23", "/a%23b?c=%23"),
        ("/caf%C3%A9", "/caf%C3%A9"),
        ("/a?/b?c", "/a?/b?c"),
        ("/a;b=1,2/$-_.~!*'()@:", "/a;b=1,2/$-_.~!*'()@:"),
    ],
)
def test_the_target_is_path_and_query(client, listener, rest, target):
    proc = client("connect", "--no-key", f"ws://127.0.0.1:{listener.port}{rest}")
    assert listener.welcome().request.line == f"GET {target} HTTP/1.1"
    proc.close_input()


@live("client-url")
@pytest.mark.parametrize("scheme", ["ws", "WS", "Ws"])
def test_the_scheme_in_any_case(client, listener, scheme):
    client("connect", "--no-key", f"{scheme}://LOCALHOST:{listener.port}/")
    assert listener.welcome().request.get("host") == f"localhost:{listener.port}"


@live("client-url")
@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1:{port}/#top",
        "ws://127.0.0.1:{port}#",
        "http://127.0.0.1:{port}/",
        "ftp://127.0.0.1:{port}/",
        "127.0.0.1:{port}",
        "//127.0.0.1:{port}/",
        "ws:127.0.0.1:{port}/",
        "ws://",
        "ws:///a",
        "ws://:{port}/",
        "ws://127.0.0.1:0/",
        "ws://127.0.0.1:65536/",
        "ws://127.0.0.1:{port}x/",
        "ws://127.0.0.1:/",
        "ws://127.0.0.1:-1/",
        "ws://user:secret@127.0.0.1:{port}/",
        "ws://[127.0.0.1]:{port}/",
        "ws://[::1:{port}/",
        "ws://::1:{port}/",
        "ws://127.1:{port}/",
        "ws://0x7f000001:{port}/",
        "ws://a b/",
        "ws://127.0.0.1:{port}/a b",
        "ws://127.0.0.1:{port}/caf\u00e9",
        "ws://m\u00fcnchen.example:{port}/",
        "ws://127.0.0.1:{port}/%2",
        "ws://127.0.0.1:{port}/a\r\nHost: b",
        "ws://127.0.0.1:{port}/?api_key=x",
        "",
    ],
)
def test_invalid_urls_are_refused_before_connecting(client, listener, url):
    proc = client("connect", "--no-key", url.format(port=listener.port))
    assert proc.wait() in (2, 3), str(proc)
    assert "url" in proc.err.lower() and "secret" not in proc.err
    assert listener.is_quiet(0)


@live("client-url", "client-host")
def test_the_default_port(client):
    """80; and Host does not name it."""
    deadline = time.monotonic() + raw.TIMEOUT_S
    while True:
        try:
            listener = raw.Listener(port=80)
            break
        except PermissionError:
            pytest.skip("port 80 may not be taken here")
        except OSError as e:
            assert e.errno == errno.EADDRINUSE and time.monotonic() < deadline, e
            time.sleep(0.05)  # another run of this test has it
    with listener:
        for url in ("ws://127.0.0.1", "ws://127.0.0.1:80/"):
            proc = client("connect", "--no-key", url)
            assert listener.welcome().request.get("host") == "127.0.0.1"
            proc.kill()


@live("client-host")
def test_host_names_any_other_port(client, listener):
    client("connect", "--no-key", f"ws://127.0.0.1:{listener.port}/")
    assert listener.welcome().request.get("host") == f"127.0.0.1:{listener.port}"


@live("client-host")
def test_host_has_ipv6_in_brackets(client):
    with raw.Listener("::1") as listener:
        client("connect", "--no-key", f"ws://[::1]:{listener.port}/")
        assert listener.welcome().request.get("host") == f"[::1]:{listener.port}"


# --- opening handshake


@live("client-handshake")
def test_the_request_byte_for_byte(client, listener):
    client("connect", "--no-key", listener.url)
    request = listener.welcome().request
    assert re.fullmatch(
        rb"GET /api/v1 HTTP/1\.1\r\n"
        rb"Host: 127\.0\.0\.1:%d\r\n"
        rb"Upgrade: websocket\r\n"
        rb"Connection: Upgrade\r\n"
        rb"Sec-WebSocket-Version: 13\r\n"
        rb"Sec-WebSocket-Key: [A-Za-z0-9+/]{22}==\r\n\r\n" % listener.port,
        request.raw,
    ), request.raw


@live("client-nonce-fresh")
def test_each_connection_has_a_key_of_its_own(client, listener):
    """Many connections of one process, and of several."""
    keys = []
    for i in range(4):
        proc = client("--url", listener.url, "listen", "--retry", "#", reconnect__initial_ms=1, reconnect__max_ms=1)
        for _ in range(30):
            with listener.accept() as wire:
                keys.append(wire.head().get("sec-websocket-key"))
        proc.kill()
    assert all(len(base64.b64decode(key, validate=True)) == 16 for key in keys)
    assert len(set(keys)) == len(keys)
    for i in range(16):
        assert len({base64.b64decode(key)[i] for key in keys}) > 40, f"byte {i} hardly varies"


@live("client-one-connecting")
@pytest.mark.parametrize("args", [["connect", "--no-key"], ["listen", "--retry", "#"], ["send", "a", "1"]])
def test_no_second_connection_while_one_is_being_opened(client, listener, args):
    client("--url", listener.url, *args)
    wire = listener.accept()
    wire.head()
    assert listener.is_quiet(2 * raw.QUIET_S)


@live("client-connect-refused")
@pytest.mark.parametrize("args", [["connect", "--no-key"], ["listen", "#"], ["send", "a", "1"]])
def test_a_port_that_nobody_listens_on(client, free_port, args):
    port = free_port()
    cause = fails(client("--url", f"ws://127.0.0.1:{port}/", *args), 5, "tcp")
    assert "127.0.0.1" in cause and str(port) in cause and os.strerror(errno.ECONNREFUSED) in cause


@live("client-proxy")
@pytest.mark.parametrize("args", [["connect"], ["listen", "#"], ["send", "a", "1"]], ids=lambda a: a[0])
@pytest.mark.parametrize("host", ["pixi.invalid", "[2001:db8::1]"])
def test_the_proxy_is_asked_first_and_the_handshake_goes_inside(client, listener, args, host):
    """The name is the proxy's to look up, and the key is not the proxy's to see."""
    members = {"proxy__url": f"http://127.0.0.1:{listener.port}", "api_key": API_KEY, "allow_plaintext": True}
    client("--url", f"ws://{host}:8768/api/v1", *args, **members)
    wire, asked = listener.accept(), f"{host}:8768"
    head = wire.head()
    assert head.line == f"CONNECT {asked} HTTP/1.1" and head.get("host") == asked
    assert head.get("authorization") is None and API_KEY.encode() not in head.raw
    assert wire.is_quiet()
    wire.send(b"HTTP/1.1 200 OK\r\nVia: 1.1 proxy\r\n\r\n")
    inside = wire.welcome(protocol="pixi.v1")
    assert inside.line == "GET /api/v1 HTTP/1.1" and inside.get("host") == asked
    assert inside.get("authorization") == f"Bearer {API_KEY}"


@live("client-proxy")
@pytest.mark.parametrize("args", [["connect", "--no-key"], ["listen", "#"], ["send", "a", "1"]], ids=lambda a: a[0])
@pytest.mark.parametrize(
    "answer",
    [
        raw.refusal(403),
        raw.refusal(407, 'Proxy-Authenticate: Basic realm="x"'),
        raw.refusal(502),
        raw.refusal(301, "Location: http://127.0.0.1:1/"),
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200",
        b"",
    ],
)
def test_a_proxy_that_refuses_is_an_error(client, listener, args, answer):
    members = {"proxy__url": f"http://127.0.0.1:{listener.port}"}
    proc = client("--url", "ws://pixi.invalid/", *args, **members)
    wire = listener.accept()
    assert wire.head().line == "CONNECT pixi.invalid:80 HTTP/1.1"
    wire.send(answer)
    wire.shut()
    assert b"GET" not in wire.raw_rest()
    assert "pixi.invalid" in fails(proc, 5, "proxy")


@live("client-proxy")
def test_a_proxy_that_is_not_there(client, free_port):
    proc = client("connect", "--no-key", "ws://pixi.invalid/", proxy__url=f"http://127.0.0.1:{free_port()}")
    assert os.strerror(errno.ECONNREFUSED) in fails(proc, 5, "proxy")


@live("client-proxy")
def test_this_machine_is_reached_without_the_environments_proxy(client, listener):
    proxy = f"http://127.0.0.1:{listener.port}"
    with raw.Listener() as server:
        client("connect", "--no-key", server.url, env={"HTTP_PROXY": proxy, "ALL_PROXY": proxy})
        server.welcome()
    assert listener.is_quiet(0)
    client("connect", "--no-key", "ws://pixi.invalid/", env={"ALL_PROXY": proxy})
    assert listener.accept().head().line == "CONNECT pixi.invalid:80 HTTP/1.1"


@live("client-subprotocol")
def test_subprotocols_are_offered(client, listener):
    client("connect", "--no-key", "--protocol", "chat, pixi.v1", listener.url)
    wire = listener.accept()
    assert wire.head().get("sec-websocket-protocol") == "chat, pixi.v1"
    client("--url", listener.url, "listen", "#", dialect="pixi.v1")
    assert listener.accept().head().get("sec-websocket-protocol") == "pixi.v1"


@live("client-subprotocol")
def test_a_server_without_the_dialect(client, listener):
    """The upgrade alone does not say that it speaks JSON-RPC."""
    proc = client("--url", listener.url, "send", "a", "1")
    wire = listener.accept()
    wire.welcome()
    assert "pixi.v1" in fails(proc, 7, "upgrade")


@live("client-key-header")
@pytest.mark.parametrize("args", [["connect"], ["listen", "#"], ["send", "a", "1"], ["request", "a", "1"]])
def test_the_key_is_in_a_header_field(client, listener, args):
    client("--url", listener.url, *args, api_key=API_KEY)
    head = listener.accept().head()
    assert head.get("authorization") == f"Bearer {API_KEY}"
    assert head.raw.count(API_KEY.encode()) == 1 and API_KEY not in head.target


@live("client-plaintext-key")
def test_the_key_does_not_leave_this_machine_in_clear(client, listener):
    """0.0.0.0 reaches this machine, but is not known as its own address."""
    url = f"ws://0.0.0.0:{listener.port}/"
    for args in (["connect"], ["send", "a", "1"], ["listen", "--retry", "#"]):
        cause = fails(client("--url", url, *args, api_key=API_KEY), 3, "settings")
        assert "in clear" in cause and API_KEY not in cause
    assert listener.is_quiet(0)
    client("connect", "--no-key", url, api_key=API_KEY)
    assert listener.accept().head().get("authorization") is None
    client("--url", url, "connect", api_key=API_KEY, allow_plaintext=True)
    assert listener.accept().head().get("authorization") == f"Bearer {API_KEY}"


@live("client-waits")
def test_nothing_is_sent_before_the_101_is_complete(client, listener):
    proc = client("connect", "--no-key", listener.url)
    proc.write("early\n")
    wire = listener.accept()
    head = wire.head()
    assert wire.is_quiet()
    answer = raw.response(head)
    wire.send(answer[:-1])
    assert wire.is_quiet()
    wire.send(answer[-1:])
    wire.expect(TEXT, "early")


@live("client-early-frames")
def test_frames_right_behind_the_101(client, listener):
    more = raw.frame(TEXT, "first") + raw.frame(PING, "p") + raw.frame(TEXT, "second")
    proc = client("connect", "--no-key", listener.url)
    wire = listener.welcome(more=more[:-3])
    proc.wait_line("^first$", stream="out")
    wire.expect(PONG, "p")
    wire.send(more[-3:])
    proc.wait_line("^second$", stream="out")


@live("client-early-frames")
def test_a_close_frame_right_behind_the_101(connect):
    proc, wire = connect(more=raw.frame(TEXT, "only") + raw.frame(CLOSE, raw.close_payload(4002, "at once")))
    wire.expect_close(4002)
    wire.sock.close()
    assert "4002" in fails(proc, 11, "close")
    assert proc.out == "only\n"


REFUSALS = [
    (301, 7, "upgrade"),
    (307, 7, "upgrade"),
    (400, 7, "upgrade"),
    (401, 8, "key"),
    (403, 8, "key"),
    (404, 7, "upgrade"),
    (418, 7, "upgrade"),
    (426, 7, "upgrade"),
    (500, 7, "upgrade"),
    (503, 7, "upgrade"),
    (200, 7, "upgrade"),
]


@live("client-refused")
@pytest.mark.parametrize("args", [["connect"], ["listen", "#"], ["send", "a", "1"]], ids=lambda a: a[0])
@pytest.mark.parametrize("status, code, layer", REFUSALS)
def test_refusals(client, listener, args, status, code, layer):
    proc = client("--url", listener.url, *args, api_key=API_KEY)
    wire = listener.accept()
    wire.head()
    wire.send(raw.refusal(status, body=json.dumps({"detail": "so \u00bb\u001b[31m\u00ab it is"}).encode()))
    assert wire.raw_rest() == b""
    cause = fails(proc, code, layer)
    assert str(status) in cause and "so \u00bb" in cause
    assert "\x1b" not in proc.err and API_KEY not in proc.err
    assert listener.is_quiet(0)


@live("client-refused")
@pytest.mark.parametrize("is_dripped", [False, True], ids=["at-once", "byte-by-byte"])
def test_each_response_of_the_vectors(client, listener, is_dripped):
    for vector in raw.vectors("handshake_response", sender="server"):
        if vector.verdict in ("OK", "MORE", "HTTP_SIZE"):  # our client takes heads of 16384 bytes
            continue
        proc = client("connect", "--no-key", "--protocol", "pixi.v1", listener.url)
        wire = listener.accept()
        key = wire.head().get("sec-websocket-key")
        data = vector.data.replace(raw.ACCEPT.encode(), raw.accept_of(key).encode())
        try:
            wire.drip(data) if is_dripped else wire.send(data)
        except OSError:
            pass  # it has heard enough
        is_key = vector.verdict == "WS_STATUS" and vector.data[9:12] in (b"401", b"403")
        fails(proc, *((8, "key") if is_key else (7, "upgrade")))
        assert wire.raw_rest() == b"", vector.id


@live("client-refused")
def test_a_response_without_end(client, listener):
    proc = client("connect", "--no-key", listener.url)
    wire = listener.accept()
    wire.head()
    with pytest.raises(OSError):
        wire.send(b"HTTP/1.1 101 Yes\r\n")
        for _ in range(100000):
            wire.send(b"X-Pad: " + b"x" * 1000 + b"\r\n")
    fails(proc, 7, "upgrade")


@live("client-redirect")
@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("args", [["connect"], ["listen", "--retry", "#"], ["send", "a", "1"]], ids=lambda a: a[0])
def test_redirects_are_reported_and_not_followed(client, listener, status, args):
    with raw.Listener() as other:
        proc = client("--url", listener.url, *args, api_key=API_KEY)
        wire = listener.accept()
        wire.head()
        wire.send(raw.refusal(status, f"Location: {other.url}"))
        assert other.url in fails(proc, 7, "upgrade")
        assert other.is_quiet(0) and listener.is_quiet(0)


@live("client-backoff")
def test_it_waits_longer_and_longer_by_chance(client, listener):
    """Twelve clients, each connection of theirs dropped: when do they come again?"""
    first_ms, most_ms, rounds = 200, 800, 7
    names = [f"/{i}" for i in range(12)]
    arrived = collections.defaultdict(list)
    lock, done = threading.Lock(), threading.Event()

    def serve():
        while not done.is_set():
            with listener.accept() as wire:
                now, target = time.monotonic(), wire.head().target
            with lock:
                arrived[target].append(now)
                if len(arrived) == len(names) and min(map(len, arrived.values())) >= rounds:
                    done.set()

    thread = threading.Thread(target=serve)
    thread.start()
    times = {"reconnect__initial_ms": first_ms, "reconnect__max_ms": most_ms}
    procs = [client("--url", listener.url.replace("/api/v1", n), "listen", "--retry", "#", **times) for n in names]
    assert done.wait(60)
    thread.join()
    gaps = [[1000 * (b - a) for a, b in zip(t, t[1:])][: rounds - 1] for t in arrived.values()]
    told = [[1000 * float(s) for s in re.findall(r"trying again in ([\d.]+) s", p.err)] for p in procs]
    first = [g[0] for g in gaps]
    assert max(t[0] for t in told) <= first_ms and max(t[1] for t in told) <= 2 * first_ms
    assert max(max(t) for t in told) <= most_ms
    # with chance, all twelve in the last quarter: once in 16 million runs
    assert min(t[0] for t in told) < first_ms and min(min(t[3:]) for t in told) < most_ms - 100, "no chance in it"
    late = [g for line in gaps for g in line[3:]]
    assert statistics.mean(late) > 1.5 * statistics.mean(first), (first, late)
    for waits, announced in zip((g for _, g in sorted(zip(arrived, gaps), key=lambda x: int(x[0][1:]))), told):
        assert all(gap > say - 100 for gap, say in zip(waits, announced)), (waits, announced)


# --- frames


@live("client-masks", "sender-frames")
def test_every_frame_is_masked(connect):
    """raw.Wire refuses a frame without a mask: text, ping, pong, close, and binary."""
    proc, wire = connect(keepalive__interval_ms=100)
    wire.put(PONG, wire.expect(PING).payload)
    wire.put(PING, "p")
    proc.write("text\n")
    got = {wire.next().body, wire.next().body}
    while len(got - {(PING, b"")}) < 2:
        got.add(wire.next().body)
    assert got - {(PING, b"")} == {(TEXT, b"text"), (PONG, b"p")}
    proc.close_input()
    while (f := wire.next()).opcode == PING:
        pass
    assert f.code == 1000
    proc, wire = connect("--binary")
    proc.write(b"\xff\x00\n")
    wire.expect(BINARY, b"\xff\x00")


@live("sender-frames")
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1 << 20])
@pytest.mark.parametrize("args, opcode", [([], TEXT), (["--binary"], BINARY)], ids=["text", "binary"])
def test_every_size_class_in_its_shortest_form(connect, size, args, opcode):
    proc, wire = connect(*args)
    payload = (b"0123456789abcdefghijklmnopqrstuvwxyz" * (size // 36 + 1))[:size]
    proc.write(payload + b"\nnext\n")
    wire.expect(opcode, payload)
    wire.expect(opcode, "next")


@live("client-mask-fresh")
def test_mask_keys_cannot_be_foretold(connect):
    keys = []
    for _ in range(3):
        proc, wire = connect()
        proc.write("x\n" * 100)
        keys += [wire.next().mask for _ in range(100)]
    numbers = [int.from_bytes(key, "big") for key in keys]
    assert len(set(numbers)) >= len(numbers) - 1  # two alike: once in 100,000 runs
    for i in range(4):
        assert len({key[i] for key in keys}) > 130, f"byte {i} hardly varies"
    for step in (lambda a, b: (b - a) % 2**32, lambda a, b: a ^ b):
        steps = collections.Counter(step(a, b) for a, b in zip(numbers, numbers[1:]))
        assert steps.most_common(1)[0][1] <= 2, "keys follow a pattern"
    starts = [numbers[0], numbers[100], numbers[200]]
    assert len(set(starts)) == 3, "connections begin with the same key"


@live("client-closes-masked")
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_a_masked_frame(connect, opcode):
    proc, wire = connect()
    wire.send(raw.frame(opcode, mask=raw.MASK))
    wire.expect_fail(1002)
    wire.sock.close()
    assert "mask" in fails(proc, 9, "protocol")


@live("client-names-fault")
@pytest.mark.parametrize(
    "data, words",
    [
        (b"\xc1\x00", ["reserved bit", "RFC 6455 §5.2"]),
        (b"\x83\x00", ["reserved opcode", "RFC 6455 §5.2"]),
        (b"\x89\x7e\x00\x7e", ["control frame", "RFC 6455 §5.5"]),
        (b"\x80\x00", ["continuation", "RFC 6455 §5.4"]),
        (b"\x81\x01\xff", ["UTF-8", "RFC 6455 §8.1"]),
        (b"\x88\x02\x03\xed", ["close code", "RFC 6455 §7.4"]),
        (b"\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x00", ["limit", "RFC 6455 §10.4"]),
    ],
)
def test_a_protocol_error_is_named(connect, data, words):
    proc, wire = connect()
    wire.send(raw.frame(TEXT, "good") + data)
    assert wire.next().opcode == CLOSE
    wire.expect_end()
    wire.sock.close()
    cause = fails(proc, 9, "limits" if "limit" in words else "protocol")
    assert all(w in cause for w in words), cause
    assert re.search("at byte [678]", cause), cause


@live("fail-1003")
def test_the_pixi_dialect_takes_no_binary_messages(client, listener):
    proc = client("--url", listener.url, "listen", "#")
    wire = listener.welcome(protocol="pixi.v1")
    assert json.loads(wire.next().payload)["method"] == "subscribe"
    wire.put(BINARY, "{}")
    wire.expect_fail(1003)
    wire.sock.close()
    assert "not accepted" in fails(proc, 9, "protocol")


@live("fail-1007")
def test_bad_utf8_is_told_before_the_message_is_complete(connect):
    proc, wire = connect()
    wire.send(raw.head_of(TEXT, 100000) + b"good \xc0")
    wire.expect_fail(1007)


@live("fail-1009")
def test_too_big_is_told_at_the_header(connect):
    proc, wire = connect(limits__message_bytes=4096)
    wire.put(TEXT, "x" * 4096)
    proc.wait_line("^x{4096}$", stream="out")
    before = raw.memory_kib(proc.pid)
    wire.send(raw.head_of(BINARY, 1 << 40))
    wire.expect_close(1009)
    assert raw.memory_kib(proc.pid) - before < 4096
    wire.expect_end()
    proc, wire = connect(limits__message_bytes=4096)
    wire.put(BINARY, b"x" * 4096, is_final=False)
    wire.send(raw.head_of(CONTINUATION, 1))
    wire.expect_fail(1009)


@live("fail-stops")
def test_nothing_is_read_after_a_fault(connect):
    proc, wire = connect()
    wire.send(raw.frame(PING, "before") + b"\xff\x00" + raw.frame(PING, "after") + raw.frame(TEXT, "after"))
    wire.expect(PONG, "before")
    wire.expect_close(1002)
    wire.put(PING, "later")
    wire.expect_end()
    wire.sock.close()
    assert proc.wait() == 9 and proc.out == ""


@live("fragments")
def test_messages_in_fragments(connect):
    proc, wire = connect()
    text = "a€𝄞" * 100
    for step in (1, 7, 5000):
        payload = text.encode()
        pieces = [payload[i : i + step] for i in range(0, len(payload), step)]
        data = b"".join(raw.frame(CONTINUATION if i else TEXT, p, False) for i, p in enumerate(pieces))
        wire.send(data + raw.frame(CONTINUATION, b""))
    proc.wait_line(f"^{text}$", stream="out", nth=3)
    assert proc.out == f"{text}\n" * 3


@live("ping-inside")
def test_a_ping_between_fragments(connect):
    proc, wire = connect()
    wire.put(TEXT, "a", is_final=False)
    for i in range(3):
        wire.put(PING, str(i))
        wire.expect(PONG, str(i))
        wire.put(CONTINUATION, "b", is_final=False)
    wire.put(CONTINUATION, "c")
    proc.wait_line("^abbbc$", stream="out")


@live("ping-pong")
def test_pings(connect):
    proc, wire = connect()
    for payload in (b"", b"\0", b"\xff" * 125):
        wire.put(PING, payload)
        wire.expect(PONG, payload)


@live("pong-unasked")
def test_pongs_that_nobody_asked_for(connect):
    proc, wire = connect()
    for payload in (b"", b"unasked", b"x" * 125):
        wire.put(PONG, payload)
    assert wire.is_quiet()
    wire.put(TEXT, "and on")
    proc.wait_line("^and on$", stream="out")


@live("ping-flood")
def test_thousands_of_pings_are_answered(connect):
    proc, wire = connect()
    before = raw.memory_kib(proc.pid)
    wire.send(b"".join(raw.frame(PING, str(i)) for i in range(5000)))
    got = [int(wire.next().payload)]
    while got[-1] != 4999:
        got.append(int(wire.next().payload))
    assert got == sorted(set(got))
    assert raw.memory_kib(proc.pid) - before < 32768


@live("keepalive")
def test_an_idle_server_is_pinged_and_then_given_up(connect):
    proc, wire = connect(keepalive__interval_ms=100, keepalive__timeout_ms=300)
    for _ in range(3):
        wire.put(PONG, wire.expect(PING).payload)
    wire.expect(PING)
    asked = time.monotonic()
    wire.expect_end()
    assert time.monotonic() - asked > 0.25
    assert "pings" in fails(proc, 11, "connection")


@live("client-stays")
@pytest.mark.parametrize("args", [["connect", "--no-key"], ["listen", "#"]], ids=lambda a: a[0])
def test_an_idle_client_stays(client, listener, args):
    """A live server that has nothing to say: ten pings long, and never a close frame."""
    client("--url", listener.url, *args, keepalive__interval_ms=60, keepalive__timeout_ms=10000)
    wire = listener.welcome(protocol="pixi.v1")
    if args[0] == "listen":
        call = json.loads(wire.next().payload)
        result = {"epoch": "0123456789abcdef", "offset": 0, "recovered": False}
        wire.put(TEXT, json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}))
    for _ in range(10):
        wire.put(PONG, wire.expect(PING).payload)


# --- closing


@live("close-echo", "close-client-waits")
@pytest.mark.parametrize("code", [1000, 1001, 1002, 1011, 3000, 4000, 4999])
def test_a_close_frame_is_answered_by_its_code_and_tcp_left_to_the_server(connect, code):
    proc, wire = connect(timeouts__close_ms=60000)
    wire.put_close(code, "because")
    wire.expect_close(code)
    assert wire.is_quiet(), "the client must not close TCP first"
    wire.shut()
    wire.expect_end()
    assert proc.wait() == {1000: 0, 1002: 9, 3000: 8}.get(code, 11), str(proc)


@live("close-start", "close-client-waits", "ping-after-close")
def test_the_end_of_input_closes(connect):
    proc, wire = connect(timeouts__close_ms=60000)
    proc.write("last words")
    proc.close_input()
    wire.expect(TEXT, "last words")
    wire.expect_close(1000, "")
    wire.put(TEXT, "heard until the close frame")
    wire.send(raw.frame(CLOSE, raw.close_payload(1000)) + raw.frame(PING, "after") + raw.frame(TEXT, "after"))
    assert wire.is_quiet()
    wire.shut()
    wire.expect_end()
    assert proc.wait() == 0 and proc.out == "heard until the close frame\n" and proc.err == ""


@live("close-client-timeout")
def test_a_server_that_never_closes_tcp(connect):
    proc, wire = connect(timeouts__close_ms=300)
    proc.close_input()
    wire.expect_close(1000)
    wire.put_close(1000)
    started = time.monotonic()
    wire.expect_end()
    assert time.monotonic() - started > 0.25
    assert proc.wait() == 0


@live("close-client-timeout")
def test_a_server_that_never_answers_the_close_frame(connect):
    proc, wire = connect(timeouts__close_ms=300)
    proc.close_input()
    wire.expect_close(1000)
    started = time.monotonic()
    wire.expect_end()
    assert time.monotonic() - started > 0.25
    fails(proc, 10, "close")


@live("close-both")
def test_both_close_at_the_same_time(connect):
    """The server's own close frame, sent before the client's was read: nobody answers, both end well."""
    proc, wire = connect()
    proc.close_input()
    while wire.is_quiet(0.01):
        pass  # the client's close frame is there, and not read
    wire.put_close(1001, "going")
    wire.shut()
    wire.expect_close(1000)
    wire.expect_end()
    assert proc.wait() == 0 and proc.err == ""


@live("close-echo-empty")
def test_an_empty_close_frame(connect):
    proc, wire = connect()
    wire.put_close()
    got = wire.next()
    assert got.opcode == CLOSE and got.code in (None, 1000), got
    wire.shut()
    wire.expect_end()
    assert "1005" in fails(proc, 11, "close")


@live("close-code-reported")
@pytest.mark.parametrize(
    "code, reason, exit_code, layer",
    [(4321, "", 11, "close"), (4321, "because ü", 11, "close"), (1012, "restarting", 11, "close"),
     (1013, "", 11, "close"), (3000, "who?", 8, "key"), (3003, "no", 8, "key"), (1009, "", 9, "protocol"),
     (1011, "x" * 123, 11, "close"), (None, "", 11, "close")],
)  # fmt: skip
def test_code_and_reason_are_reported(connect, code, reason, exit_code, layer):
    """Those of the first close frame; 1005 where it had none."""
    proc, wire = connect()
    wire.send(raw.frame(CLOSE, raw.close_payload(code, reason)) + raw.frame(CLOSE, raw.close_payload(1008, "second")))
    wire.expect_close(code)
    wire.shut()
    wire.expect_end()
    cause = fails(proc, exit_code, layer)
    assert cause.endswith(f"{code or 1005}: {reason}" if reason else f"{code or 1005}"), cause


@live("close-code-reported")
def test_code_and_reason_are_reported_to_programs(client, listener):
    proc = client("--json", "connect", "--no-key", listener.url)
    wire = listener.welcome()
    wire.put_close(4001, 'a "reason"')
    wire.shut()
    assert proc.wait() == 11
    said = json.loads(proc.err)
    assert said["exit"] == 11 and said["layer"] == "close" and '4001: a "reason"' in said["cause"]


CONTROLS = "a\x1b[2Jb\rc\nd\x01e\x7ff\u009b31mg\u0085h\u00fci"
ESCAPED = "a\\x1b[2Jb\\x0dc\\x0ad\\x01e\\x7ff\\x9b31mg\\x85h\u00fci"


@live("client-reason-escaped")
@pytest.mark.parametrize("code", [4001, 1011, 3000])
def test_a_reason_with_control_characters(connect, code):
    proc, wire = connect()
    wire.put_close(code, CONTROLS)
    wire.shut()
    assert proc.wait() in (8, 11)
    assert f"{code}: {ESCAPED}\n" in proc.err, ascii(proc.err)


@live("client-reason-escaped")
def test_a_reason_with_control_characters_on_a_terminal(listener, command, env, settings):
    """After a good end only a terminal is told the reason."""
    ours, theirs = pty.openpty()
    attributes = termios.tcgetattr(theirs)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    args = command(["pixi-ws-client", "--settings", settings(), "connect", "--no-key", listener.url])
    proc = subprocess.Popen(args, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=theirs)
    try:
        os.close(theirs)
        wire = listener.welcome()
        wire.put_close(1000, CONTROLS)
        wire.expect_close(1000)
        wire.shut()
        said = b""
        while True:
            try:
                more = os.read(ours, 4096)
            except OSError:  # EIO: the other side is closed
                break
            if not more:
                break
            said += more
        assert proc.wait(raw.TIMEOUT_S) == 0
    finally:
        proc.kill()
        proc.wait()
        proc.stdin.close()
        os.close(ours)
    assert f"1000: {ESCAPED}" in " ".join(said.decode().split()), ascii(said)  # its lines are folded


@live("close-no-data-after")
def test_nothing_but_the_answer_after_a_close_frame(connect):
    """Lines that wait on standard input when the close frame comes stay where they are."""
    proc, wire = connect(timeouts__close_ms=60000)
    proc.write("before\n")
    wire.expect(TEXT, "before")
    wire.put_close(1000)
    wire.expect_close(1000)
    proc.write("after\n" * 100)
    proc.close_input()
    assert wire.is_quiet()
    wire.shut()
    wire.expect_end()
    assert proc.wait() == 0


@live("close-clean")
def test_data_under_way_while_closing(connect):
    """Bytes that come after a fault or a close frame are read and dropped: a reset would take the answer away."""
    for start, code in ((b"\xff\xff", 1002), (raw.frame(CLOSE, raw.close_payload(4001)), 4001)):
        proc, wire = connect()
        wire.send(start + raw.frame(BINARY, b"x" * (4 << 20)))
        wire.expect_close(code)
        wire.send(raw.frame(BINARY, b"x" * (4 << 20)))
        wire.shut()
        wire.expect_end()
        assert proc.wait() == (9 if code == 1002 else 11)


@live("lost-1006")
@pytest.mark.parametrize("how", ["shut", "reset"])
@pytest.mark.parametrize("start", [b"", b"\x81", b"\x81\x05he", b"\x01\x02he"])
def test_a_connection_cut_without_a_close_frame(connect, how, start):
    proc, wire = connect()
    wire.put(TEXT, "good")
    proc.wait_line("^good$", stream="out")
    wire.send(start)
    getattr(wire, how)()
    assert "1006" in fails(proc, 11, "connection")
    assert proc.out == "good\n"
