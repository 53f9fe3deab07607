"""Against Python's websockets: as the client of its servers, and as the server of its clients."""

import asyncio
import contextlib
import json
import os
import threading

import pytest
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 2**20)


class TheirServer:
    """A websockets server in a thread; what it does is the path's business."""

    def __init__(self, **options):
        self.options = {"max_size": None, **options}
        self.seen = []  # of each connection, when it is over: (close code, reason)
        self.agreed = []  # the extensions of each
        self.sent = 0  # messages that came back
        self.news = threading.Condition()

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(self._start())
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        return self

    async def _start(self):
        return await websockets.serve(self._serve, "127.0.0.1", 0, **self.options)

    def __exit__(self, *_):
        async def stop():
            self.server.close()
            await self.server.wait_closed()

        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)

    def url(self, path="/echo"):
        return f"ws://127.0.0.1:{self.port}{path}"

    async def _serve(self, ws):
        self.agreed.append([type(extension).__name__ for extension in ws.extensions])
        with contextlib.suppress(websockets.ConnectionClosed):
            await getattr(self, ws.path.split("/")[1])(ws)
        with self.news:
            self.seen.append((ws.close_code, ws.close_reason))
            self.news.notify_all()

    def wait_for(self, condition):
        with self.news:
            assert self.news.wait_for(condition, 20)

    def wait_seen(self):
        self.wait_for(lambda: self.seen)
        return self.seen[-1]

    def count(self):
        with self.news:
            self.sent += 1
            self.news.notify_all()

    async def echo(self, ws):
        async for message in ws:
            await ws.send(message)
            self.count()

    async def binary(self, ws):
        await ws.send(bytes(range(256)))
        await ws.wait_closed()

    async def fragments(self, ws):
        """Each message comes back in three pieces, cut anywhere."""
        async for message in ws:
            third = len(message) // 3
            await ws.send([message[:third], message[third : 2 * third], message[2 * third :]])
            self.count()

    async def ping(self, ws):
        """Says "pong" for each pong that fits its ping."""
        for payload in (b"", b"x", bytes(125)):
            await asyncio.wait_for(await ws.ping(payload), 20)
            await ws.send(f"pong {len(payload)}")

    async def close(self, ws):
        await ws.close(int(ws.path.split("/")[2]), "as you like")


@pytest.fixture
def connect(spawn, tmp_path):
    """connect(url, *options) -> pixi-ws-client connect."""

    def connect(url, *options, env=None):
        return spawn(["pixi-ws-client", "connect", url, "--no-key", *options], cwd=tmp_path, env=env)

    return connect


def end(proc, server):
    """Their echo stops as soon as our close comes, so this is said when all has come back."""
    proc.close_input()
    assert proc.wait() == 0 and proc.err == "", proc
    assert server.wait_seen() == (1000, "")
    server.seen.clear()


COMPRESSED = {"PIXI_WS_COMPRESSION": "true"}


@pytest.mark.parametrize("path", ["/echo", "/fragments"])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_their_server_returns_our_lines(connect, path, is_compressed):
    """With windows of 4,096 bytes, as that server wants them by default, or as it is."""
    lines = ["hello", "", "wörld 🦆", "x" * 125, "y" * 126, "ü" * 300_000, "z" * 2**20, "end"]
    with TheirServer(compression="deflate") as server:
        proc = connect(server.url(path), env=COMPRESSED if is_compressed else None)
        proc.write("\n".join(lines) + "\n")
        proc.wait_line("^end$")
        assert proc.out == "\n".join(lines) + "\n"
        end(proc, server)
        assert server.agreed == [["PerMessageDeflate"] if is_compressed else []]


@pytest.mark.parametrize("path", ["/echo", "/fragments"])
def test_their_server_returns_our_bytes(connect, path):
    """Printed as they are; a break is a frame's end here and not sent."""
    with TheirServer() as server:
        proc = connect(server.url(path), "--binary")
        data = bytes(i for i in range(128) if i != 10) * 5000
        proc.write(b"\n" + data + b"\nend\n")
        server.wait_for(lambda: server.sent == 3)
        end(proc, server)
        assert proc.out == data.decode() + "end"


def test_their_binary_messages_are_shown_as_base64(connect):
    with TheirServer() as server:
        proc = connect(server.url("/binary"))
        proc.wait_line("^binary 256 bytes: AAECAwQF")
        end(proc, server)


def test_their_pings_are_answered(connect):
    with TheirServer() as server:
        proc = connect(server.url("/ping"))
        assert proc.wait() == 0, proc  # its input stays open: the server closes with 1000
        assert proc.out == "pong 0\npong 1\npong 125\n"


def test_their_close_codes(connect):
    with TheirServer() as server:
        for code, ends_with in ((1000, 0), (1001, 11), (1008, 11), (1009, 9), (1011, 11), (3000, 8), (4999, 11)):
            proc = connect(server.url(f"/close/{code}"))
            assert proc.wait() == ends_with, proc
            assert code == 1000 or f"{code}: as you like" in proc.err
            assert server.wait_seen()[0] == code
            server.seen.clear()


def test_their_subprotocols_and_extensions(connect, run, tmp_path):
    """Their server would deflate; unless the settings say so we offer nothing, so it does not."""
    with TheirServer(subprotocols=["superchat"], compression="deflate") as server:
        for options in (["--protocol", "chat,superchat"], []):
            proc = connect(server.url(), *options)
            proc.write("a" * 1000 + "\n")
            proc.wait_line("^a{1000}$")
            end(proc, server)
        assert server.agreed == [[], []]
        done = run(["pixi-ws-client", "--url", server.url(), "send", "a", "1"], cwd=tmp_path)
        assert done.returncode == 7 and "not pixi.v1" in done.stderr, done


def test_verify_against_their_echo_server(run, tmp_path):
    with TheirServer(compression="deflate") as server:
        done = run(["pixi-ws-client", "--json", "verify", server.url()], cwd=tmp_path)
    check_echo_report(done)
    compression = [c for c in json.loads(done.stdout)["checks"] if c["id"].startswith("deflate")]
    assert len(compression) == 9 and all(c["verdict"] == "ok" for c in compression), compression


def check_echo_report(done):
    report = json.loads(done.stdout)
    checks = {c["id"]: c for c in report["checks"]}
    assert done.returncode == 0 and report["verdict"] == "verified", report
    for name in ("upgrade", "echo-text", "echo-binary", "ping", "close", "fragments", "ping-between", "reconnect"):
        assert checks[name]["verdict"] == "ok", checks[name]
    for name in ("key", "info", "request", "publish", "resume", "ping-call"):
        assert checks[name]["verdict"] == "skipped" and checks[name]["reason"], checks[name]
    assert checks["unmasked"]["verdict"] == checks["opcode"]["verdict"] == checks["text-utf8"]["verdict"] == "ok"


# --- their client


def talk(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def plain(server, path="/", **options):
    url = f"ws://{server.host}:{server.port}{path}"
    return websockets.connect(url, max_size=None, **{"compression": None, "ping_interval": None, **options})


@pytest.mark.parametrize("min_bytes", [None, 1, 512])
def test_their_client_gets_its_messages_back(echo, min_bytes):
    s = echo(compression__enabled=min_bytes is not None, compression__min_bytes=min_bytes or 512)

    async def go():
        async with plain(s, compression="deflate") as ws:
            assert len(ws.extensions) == (min_bytes is not None)
            for size in SIZES:
                for message in ("ü" * (size // 2) + "x" * (size % 2), os.urandom(size)):
                    await ws.send(message)
                    assert await ws.recv() == message
            for parts in (["a", "", "b" * 70000, "ü"], [b"", b"\xff" * 126, b""], ["x"] * 1000):
                await ws.send(iter(parts))
                assert await ws.recv() == parts[0][:0].join(parts)
            for payload in (b"", b"x" * 125):
                await asyncio.wait_for(await ws.ping(payload), 20)

    talk(go())


def test_their_client_sends_faster_than_it_reads(echo):
    """Messages in flight on both ways at once, larger than all buffers."""
    s = echo()
    message = "m" * 2**20

    async def go():
        async with plain(s, max_queue=None) as ws:
            for _ in range(24):
                await ws.send(message)
            for _ in range(24):
                assert await ws.recv() == message

    talk(go())


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 3000, 4999])
def test_their_client_closes(echo, code):
    s = echo()

    async def go():
        async with plain(s) as ws:
            await ws.close(code, "über")
            assert ws.close_code == code

    talk(go())


def test_their_client_is_closed(hub):
    s = hub()

    async def go():
        fields = {"Authorization": f"Bearer {s.key}"}
        async with plain(s, "/api/v1", extra_headers=fields) as ws:
            await ws.send(b"binary")
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1003 and ws.close_reason
        async with plain(s, "/api/v1", extra_headers=fields) as ws:
            await ws.send("x" * (2**20 + 1))
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1009

    talk(go())


def test_what_their_client_offers(hub, echo):
    """permessage-deflate is declined as long as the settings do not want it, a subprotocol chosen."""
    s, e = hub(), echo()

    async def go():
        fields = {"Authorization": f"Bearer {s.key}"}
        for protocols, chosen in ((["pixi.v1"], "pixi.v1"), (["other", "pixi.v1"], "pixi.v1"), (None, None)):
            options = {"extra_headers": fields, "subprotocols": protocols, "compression": "deflate"}
            async with plain(s, "/api/v1", **options) as ws:
                assert ws.extensions == [] and ws.subprotocol == chosen
                await ws.send('{"jsonrpc":"2.0","id":1,"method":"ping"}')
                assert json.loads(await ws.recv())["result"]["time_ms"]
        async with plain(e, "/any/path", subprotocols=["b", "a"], compression="deflate") as ws:
            assert ws.extensions == [] and ws.subprotocol == "b"
            await ws.send("x" * 1000)
            assert await ws.recv() == "x" * 1000

    talk(go())


@pytest.mark.parametrize("bits", [9, 11, 12, 15])
def test_windows_that_their_client_wants(echo, bits):
    """What it inflates by a short window is what was sent, however long it is."""
    s = echo(compression__enabled=True)
    noise = os.urandom(3000).hex()

    async def go():
        factory = ClientPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=bits)
        async with plain(s, extensions=[factory]) as ws:
            assert ws.extensions[0].remote_max_window_bits == bits
            for size in (511, 513, 2048, 2049, 4096, 4097, 100_000):
                message = (noise[: size // 3] * 4)[:size].ljust(size, "y")
                await ws.send(message)
                assert await ws.recv() == message

    talk(go())


@pytest.mark.parametrize("is_compressed", [False, True])
def test_fifty_of_their_clients(echo, is_compressed):
    s = echo(compression__enabled=is_compressed, compression__min_bytes=1)

    async def one(number):
        async with plain(s, compression="deflate") as ws:
            for i in range(20):
                await ws.send(f"{number} {i}")
            for i in range(20):
                assert await ws.recv() == f"{number} {i}"

    async def go():
        await asyncio.gather(*(one(number) for number in range(50)))

    talk(go())


def test_a_pipe_hears_the_answer(run, tmp_path):
    """Their server stops answering at our close, which is therefore said only when they have fallen silent."""
    with TheirServer() as server:
        done = run(["pixi-ws-client", "connect", "--no-key", server.url()], input="hello\nworld\n", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "hello\nworld\n")
