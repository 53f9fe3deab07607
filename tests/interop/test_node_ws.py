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

    def connect(url, *options):
        return spawn(["pixi-ws-client", "connect", url, "--no-key", *options], cwd=tmp_path)

    return connect


@pytest.mark.parametrize("path", ["/echo", "/fragments"])
def test_their_server_returns_our_lines(their_server, connect, path):
    """What came before our close is answered before its own, and heard."""
    server = their_server(perMessageDeflate=True)
    text = "\n".join(["hello", "", "wörld 🦆", "x" * 125, "y" * 126, "ü" * 300_000, "z" * 2**20]) + "\n"
    proc = connect(server.url(path))
    proc.write(text)
    proc.close_input()
    assert proc.wait() == 0 and proc.err == "" and proc.out == text, proc.err
    server.wait_line("^closed 1000 $")


@pytest.mark.parametrize("path", ["/echo", "/fragments"])
def test_their_server_returns_our_bytes(their_server, connect, path):
    server = their_server()
    data = bytes(i for i in range(128) if i != 10) * 5000
    proc = connect(server.url(path), "--binary")
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
    done = run(["pixi-ws-client", "--json", "verify", their_server().url()], cwd=tmp_path)
    report = json.loads(done.stdout)
    checks = {c["id"]: c for c in report["checks"]}
    assert done.returncode == 0 and report["verdict"] == "verified", report
    assert "echo (says pixi.v1)" in checks["upgrade"]["measured"]
    for name in ("echo-text", "echo-binary", "ping", "close", "fragments", "ping-between", "reconnect", "unmasked"):
        assert checks[name]["verdict"] == "ok", checks[name]
    for name in ("key", "info", "request", "publish", "resume", "ping-call"):
        assert checks[name]["verdict"] == "skipped" and checks[name]["reason"], checks[name]


@pytest.mark.parametrize("call", ["sizes", "fragments", "closes", "protocols", "many"])
def test_their_clients_and_our_echo(echo, run, node, call):
    s = echo()
    done = run([*node, "call", call, f"ws://{s.host}:{s.port}/"], env=NODE)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_their_clients_and_our_hub(hub, run, node):
    s = hub()
    done = run([*node, "call", "hub", s.url, s.key], env=NODE)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
