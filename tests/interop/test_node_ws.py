"""Against node's ws: as the client of its server, and as the server of its clients (ws_peer.js)."""

import json
import shutil

import pytest


@pytest.fixture
def node(root):
    program = shutil.which("node") or shutil.which("nodejs")
    assert program, "node is missing: tools/install-deps test"
    return [program, root / "tests/interop/ws_peer.js"]


NODE = {"NODE_PATH": "/usr/share/nodejs"}


@pytest.fixture
def their_server(spawn, node):
    """their_server(**options) -> its process, with .url(path)."""

    def their_server(**options):
        proc = spawn([*node, "serve", json.dumps(options)], env=NODE)
        port = proc.wait_line(r"^port (\d+)$")[1]
        proc.url = lambda path="/echo": f"ws://127.0.0.1:{port}{path}"
        return proc

    return their_server


@pytest.fixture
def connect(spawn, tmp_path):
    """connect(url, *options) -> pixi-ws-client connect."""

    def connect(url, *options, env=None):
        return spawn(["pixi-ws-client", "connect", url, "--no-key", *options], cwd=tmp_path, env=env)

    return connect


COMPRESSED = {"PIXI_WS_COMPRESSION": "true"}
# What their server asks for when it agrees: windows so short that our long messages go as they are, or nothing special.
DEFLATE = [
    None,
    True,
    {"threshold": 0, "serverMaxWindowBits": 9, "clientMaxWindowBits": 9},
    {"threshold": 0, "clientNoContextTakeover": True, "serverNoContextTakeover": True, "serverMaxWindowBits": 15},
]


@pytest.mark.parametrize("path", ["/echo", "/fragments"])
@pytest.mark.parametrize("deflate", DEFLATE)
def test_their_server_returns_our_lines(their_server, connect, path, deflate):
    """What came before our close is answered before its own, and heard; compressed or not."""
    server = their_server(perMessageDeflate=deflate or True)
    text = "\n".join(["hello", "", "wörld 🦆", "x" * 125, "y" * 126, "ü" * 300_000, "z" * 2**20]) + "\n"
    proc = connect(server.url(path), env=COMPRESSED if deflate else None)
    proc.write(text)
    proc.close_input()
    assert proc.wait() == 0 and proc.err == "" and proc.out == text, proc.err
    assert ("agreed on permessage-deflate" in server.out) == bool(deflate)
    server.wait_line("^closed 1000 $")


@pytest.mark.parametrize("path", ["/echo", "/fragments"])
@pytest.mark.parametrize("deflate", [False, True])
def test_their_server_returns_our_bytes(their_server, connect, path, deflate):
    server = their_server(perMessageDeflate=deflate)
    data = bytes(i for i in range(128) if i != 10) * 5000
    proc = connect(server.url(path), "--binary", env=COMPRESSED)
    proc.write(b"\n" + data + b"\nend\n")
    proc.close_input()
    assert proc.wait() == 0 and proc.out == data.decode() + "end"


def test_their_binary_messages_are_shown_as_base64(their_server, connect):
    proc = connect(their_server().url("/binary"))
    proc.wait_line("^binary 256 bytes: AAECAwQF")
    proc.close_input()
    assert proc.wait() == 0


def test_their_pings_are_answered(their_server, connect):
    proc = connect(their_server().url("/ping"))
    assert proc.wait() == 0 and proc.out == "pong 0\npong 1\npong 125\n", proc


def test_their_close_codes(their_server, connect):
    server = their_server()
    for code, ends_with in ((1000, 0), (1001, 11), (1008, 11), (1009, 9), (1011, 11), (3000, 8), (4999, 11)):
        proc = connect(server.url(f"/close/{code}"))
        assert proc.wait() == ends_with, proc
        assert code == 1000 or f"{code}: as you like" in proc.err
        server.wait_line(f"^closed {code} ")


def test_verify_against_their_echo_server(their_server, run, tmp_path):
    """Their server selects whatever is offered first: that it is no Pixi server is found out all the same."""
    server = their_server(perMessageDeflate=True)
    done = run(["pixi-ws-client", "--json", "verify", server.url()], cwd=tmp_path)
    report = json.loads(done.stdout)
    checks = {c["id"]: c for c in report["checks"]}
    assert all(c["verdict"] == "ok" for name, c in checks.items() if name.startswith("deflate")), report
    assert done.returncode == 0 and report["verdict"] == "verified", report
    assert "echo (says pixi.v1)" in checks["upgrade"]["measured"]
    for name in ("echo-text", "echo-binary", "ping", "close", "fragments", "ping-between", "reconnect", "unmasked"):
        assert checks[name]["verdict"] == "ok", checks[name]
    for name in ("key", "info", "request", "publish", "resume", "ping-call"):
        assert checks[name]["verdict"] == "skipped" and checks[name]["reason"], checks[name]


AGREED = {**NODE, "EXTENSIONS": "permessage-deflate"}


@pytest.mark.parametrize("call", ["sizes", "fragments", "closes", "protocols", "many"])
@pytest.mark.parametrize("min_bytes", [None, 1, 512])
def test_their_clients_and_our_echo(echo, run, node, call, min_bytes):
    s = echo(compression__enabled=min_bytes is not None, compression__min_bytes=min_bytes or 512)
    done = run([*node, "call", call, f"ws://{s.host}:{s.port}/"], env=AGREED if min_bytes else NODE)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.parametrize("is_compressed", [False, True])
def test_their_clients_and_our_hub(hub, run, node, is_compressed):
    s = hub(compression__enabled=is_compressed)
    done = run([*node, "call", "hub", s.url, s.key], env=AGREED if is_compressed else NODE)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
