"""What a person at a terminal sees: progress, 80 columns, colours; and that a pipe sees none of it."""

import contextlib
import os
import queue
import re
import signal
import socket
import subprocess
import termios
import threading
import time

import pytest

import peer
from rpc import Rpc


@contextlib.contextmanager
def deaf():
    """A port that takes no connection and refuses none: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            s = stack.enter_context(socket.socket())
            s.setblocking(False)
            s.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def at(url, key="", **variables):
    return {"PIXI_WS_URL": url, "PIXI_WS_API_KEY": key, **{f"PIXI_WS_{k}": str(v) for k, v in variables.items()}}


def is_erased(t, line):
    """It stood there, and stands there no more."""
    return line in t.said and not any(line in left for left in t.lines())


COMMANDS = (["send", "a", "1"], ["request", "a"], ["listen", "#"], ["connect"], ["verify"])


# --- progress, and Ctrl-C in the middle of it ----------------------------------------------------------------------


def interrupted(t, args):
    """Ctrl-C is typed; it ends soon and cleanly."""
    t.write("\x03")
    code = t.end()
    assert code == (0 if args == ["listen", "#"] else 130), t.said
    assert not any(" s of " in line for line in t.lines()), t.said
    assert "fix:" not in t.said


@pytest.mark.parametrize("args", COMMANDS, ids=lambda a: a[0])
def test_connecting(terminal, args):
    with deaf() as port:
        t = terminal(["pixi-ws-client", *args], **at(f"ws://127.0.0.1:{port}/", TIMEOUTS_CONNECT_MS=60000))
        if args == ["verify"]:
            t.wait(r"tcp: the port answers\? … 1 s of 60")
        else:
            t.wait(rf"connecting to 127\.0\.0\.1:{port} … 1 s of 60")
            t.wait(rf"\r\x1b\[Kconnecting to 127\.0\.0\.1:{port} … 2 s of 60")
        interrupted(t, args)


@pytest.mark.parametrize("args", COMMANDS, ids=lambda a: a[0])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_waiting_for_tls_or_the_upgrade(terminal, args, scheme):
    with peer.Peer(peer.hold) as other:
        url = other.url.replace("ws:", f"{scheme}:")
        waits = {"TIMEOUTS_UPGRADE_MS": 50000, "TIMEOUTS_TLS_MS": 50000}
        t = terminal(["pixi-ws-client", *args], **at(url, **waits))
        if args == ["verify"]:
            t.wait(r"(tls: .*|upgrade: .*)\? … 1 s of 50")
        else:
            t.wait(r"waiting for (TLS with \S+|\S+ to answer the upgrade) … 1 s of 50")
        interrupted(t, args)


def test_asking_a_proxy(terminal):
    with peer.Peer(peer.hold) as other:
        proxy = f"http://127.0.0.1:{other.port}"
        env = at("ws://pixi.example/", TIMEOUTS_CONNECT_MS=40000, PROXY_URL=proxy)
        for args in COMMANDS[:4]:
            t = terminal(["pixi-ws-client", *args], **env)
            t.wait(r"asking the proxy for a way to pixi\.example … 1 s of 40")
            interrupted(t, args)


@pytest.mark.parametrize("args", [["send", "a", "1"], ["request", "a"]], ids=lambda a: a[0])
def test_waiting_for_the_answer(terminal, args):
    with peer.Peer(lambda p, s: (peer.upgrade(p, s), peer.hold(p, s))) as other:
        t = terminal(["pixi-ws-client", *args, "--timeout", "30"], **at(other.url, TIMEOUTS_CLOSE_MS=30000))
        t.wait(r"waiting for the answer … 1 s of 30")
        t.write("\x03")
        t.wait(r"waiting for 127\.0\.0\.1:\d+ to close … 1 s of 30")
        interrupted(t, args)  # the second time it does not wait


def test_the_line_makes_room(terminal, hub):
    """For a failure, and for a message."""
    enough = threading.Event()
    with peer.Peer(lambda p, s: (p.head(s), enough.wait(20))) as other:
        t = terminal(["pixi-ws-client", "send", "a", "1"], **at(other.url, TIMEOUTS_UPGRADE_MS=60000))
        t.wait("to answer the upgrade … 1 s of 60")
        enough.set()
        assert t.end() == 7
        assert is_erased(t, "to answer the upgrade")
        assert t.lines()[0].startswith("pixi-ws-client: upgrade: 127.0.0.1:"), t.said
    s = hub()
    with Rpc(s) as slow:
        slow.subscribe("request/slow")
        t = terminal(["pixi-ws-client", "request", "request/slow"], **at(s.url, s.key))
        request = slow.note()["request"]
        t.wait("waiting for the answer … 1 s of 30")
        slow.call("reply", request=request, payload={"late": True})
        assert t.end() == 0
        assert t.lines()[0] == '{"late": true}', t.said


def test_nothing_of_it_in_a_pipe(run, terminal, tmp_path):
    with peer.Peer(peer.hold) as other:
        env = at(other.url, TIMEOUTS_UPGRADE_MS=1300)
        for args in (["send", "a", "1"], ["verify", "--quick"]):
            done = run(["pixi-ws-client", *args], env=env, cwd=tmp_path)
            assert done.returncode == 10 and " s of " not in done.stdout + done.stderr and "\x1b" not in done.stderr
        t = terminal(["pixi-ws-client", "--json", "send", "a", "1"], **env)
        assert t.end() == 10 and " s of " not in t.said
        t = terminal(["pixi-ws-client", "send", "a", "1"], **env, TERM="dumb")
        assert t.end() == 10 and " s of " not in t.said


# --- signals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_before_there_is_a_link(spawn, tmp_path, sig):
    """Without a terminal, while connecting, in TLS and in the upgrade: the code is 128 and the signal's number."""
    with deaf() as port, peer.Peer(peer.hold) as other:
        for url in (f"ws://127.0.0.1:{port}/", other.url, other.url.replace("ws:", "wss:")):
            waits = {f"TIMEOUTS_{w}_MS": 600000 for w in ("CONNECT", "TLS", "UPGRADE")}
            procs = [spawn(["pixi-ws-client", *args], env=at(url, **waits), cwd=tmp_path) for args in COMMANDS]
            for proc in procs:
                ignored_yet(proc.pid, sig)
                os.kill(proc.pid, sig)
            for args, proc in zip(COMMANDS, procs):
                code = proc.wait()
                assert code == (0 if args[0] == "listen" else 128 + sig), (args, code, proc)
                assert "fix:" not in proc.err


def ignored_yet(pid, sig):
    """Waits until the program has taken the signal into its own hands: blocked or caught, by /proc."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            text = status.read()
        masks = [int(m, 16) for m in re.findall(r"^Sig(?:Blk|Cgt):\s*(\w+)$", text, re.M)]
        if any(mask >> (sig - 1) & 1 for mask in masks):
            return
    raise AssertionError(f"signal {sig} still ends it")


# --- 80 columns, colours -------------------------------------------------------------------------------------------


def columns(line):
    return len(line.replace("\r", ""))


def test_80_columns(terminal, client, hub, free_port, root):
    s = hub()
    env = at(s.url, s.key, PROXY_NO_PROXY="", TLS_CA_FILE="/etc/ssl/certs/ca-certificates.crt")
    shows = [
        ["pixi-ws-client", "--help"],
        *(["pixi-ws-client", name, "--help"] for name in ("verify", "send", "listen", "connect", "config", "explain")),
        ["pixi-ws-server", "--help"],
        ["pixi-ws-server", "key", "--help"],
        ["pixi-ws-server", "config", "show"],
        ["pixi-ws-client", "verify"],
        ["pixi-ws-client", "verify", f"ws://127.0.0.1:{free_port()}/"],
        ["pixi-ws-client", "verify", "--list"],
        ["pixi-ws-client", "config", "show"],
        ["pixi-ws-client", "explain"],
        ["pixi-ws-client", "send", "a/#", "1"],
        ["pixi-ws-client", "--url", s.url + "/" + 60 * "x", "send", "a", "1"],
        ["pixi-ws-client", "--settings", str(root / "no/such/folder/of/settings/anywhere/at/all.json"), "listen"],
    ]
    for args in shows:
        t = terminal(args, **env)
        t.end()
        wide = [line for line in t.lines() if columns(line) > 80 and " " in line.strip()]
        assert not wide and len(t.lines()) > 1, (args, wide)


def test_a_pipe_gets_whole_lines(run, tmp_path, free_port):
    """Folding is for people."""
    env = at(f"ws://127.0.0.1:{free_port()}/", TLS_CA_FILE="/etc/ssl/certs/ca-certificates.crt")
    done = run(["pixi-ws-client", "config", "show"], env=env, cwd=tmp_path)
    rows = [line for line in done.stdout.splitlines() if line and not line.startswith("API key")]
    assert all(re.match(r"[a-z$][\w$.]* +\S", row) for row in rows) and max(map(len, rows)) > 80


def test_colours(terminal, hub):
    s = hub()
    for more, is_coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)):
        for args in (["verify", "--quick"], ["explain", "7"]):
            t = terminal(["pixi-ws-client", *args], **at(s.url, s.key), **more)
            assert t.end() == 0
            assert bool(re.search(r"\x1b\[[0-9;]*m", t.said)) == is_coloured, (args, more, t.said)


def test_a_failure_names_its_page(terminal, client, free_port, run):
    """On a terminal; and the page is there."""
    env = at(f"ws://127.0.0.1:{free_port()}/")
    t = terminal(["pixi-ws-client", "send", "a", "1"], **env)
    assert t.end() == 5
    page = re.search(r"^  see: pixi-ws-client explain (\S+)\r$", t.said, re.M)[1]
    assert run(["pixi-ws-client", "explain", page]).stdout.startswith("Nobody takes the connection")
    with peer.Peer(peer.says(peer.close_frame(1013), first=peer.upgrade, then=peer.hold)) as other:
        t = terminal(["pixi-ws-client", "request", "a"], **at(other.url, TIMEOUTS_CLOSE_MS=100))
        assert t.end() == 11 and "see: pixi-ws-client explain 1013" in t.said


# --- connect: lines are edited -------------------------------------------------------------------------------------

LEFT, UP, ESC, CTRL_C, CTRL_D = "\x1b[D", "\x1b[A", "\x1b", "\x03", "\x04"


class Chat:
    """A peer that keeps what it hears, and says what the test wants said."""

    def __init__(self):
        self.heard, self.sock, self.ready = queue.Queue(), None, threading.Event()

    def __call__(self, p, sock):
        peer.upgrade(p, sock)
        self.sock = sock
        self.ready.set()
        while head := self._exactly(2):
            length = head[1] & 127
            mask, payload = self._exactly(4), self._exactly(length)
            text = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
            if head[0] & 15 == 8:
                sock.sendall(bytes([0x88, length]) + text)
                return
            self.heard.put(text.decode())

    def _exactly(self, count):
        got = b""
        while len(got) < count:
            more = self.sock.recv(count - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def say(self, text):
        self.sock.sendall(bytes([0x81, len(text.encode())]) + text.encode())

    def hear(self):
        return self.heard.get(timeout=20)


@pytest.fixture
def chat(terminal):
    """chat(columns) -> (Terminal, Chat): connected, the prompt is there."""
    with contextlib.ExitStack() as stack:

        def chat(columns=80):
            talk = Chat()
            other = stack.enter_context(peer.Peer(talk))
            t = terminal(["pixi-ws-client", "connect", "--protocol", "pixi.v1"], columns, **at(other.url))
            t.wait(r"Ctrl-D ends\r\n> ")
            assert talk.ready.wait(20)
            return t, talk

        yield chat


def test_lines_are_edited(chat):
    t, other = chat()
    t.write("heo" + LEFT + "ll" + "\r")
    assert other.hear() == "hello"  # inserted before the last letter
    t.write("zwölf €\x7f\x7f🚋\r")
    assert other.hear() == "zwölf🚋"
    t.write(UP + UP + "!\r")
    assert other.hear() == "hello!"
    t.write("\r")
    assert other.hear() == ""
    t.write(CTRL_D)
    assert t.end() == 0, t.said


def test_what_comes_stands_above_the_line(chat):
    t, other = chat()
    t.write("abc")
    t.wait("> abc$")
    before = len(t.said)
    other.say("news")
    t.wait(r"\r\x1b\[Jnews\r\n[^a-z]*> abc", before)
    t.write("d\r")
    assert other.hear() == "abcd"
    t.write(ESC)  # the beginning of a key: what comes is shown all the same
    other.say("more news")
    t.wait(r"more news\r\n")
    t.write("f" + "x\r")  # ESC f is a key: a word forward
    assert other.hear() == "x"


def test_a_line_of_several_rows_makes_room(chat):
    t, other = chat(columns=20)
    t.write("x" * 45)
    t.wait("x{2}[^x]*x{2}[^x]*$")
    while len(re.findall("x", t.said)) < 45:
        t.wait("x", len(t.said))
    before = len(t.said)
    other.say("news")
    t.wait(r"\x1b\[2A\r\x1b\[Jnews\r\n", before)
    t.write("y\r")
    assert other.hear() == "x" * 45 + "y"


def test_many_lines_at_once(chat):
    """As pasted: none is lost, the order stays."""
    t, other = chat()
    lines = [f"line {i}" for i in range(200)]
    for start in range(0, 200, 20):
        t.write("".join(line + "\r" for line in lines[start : start + 20]))
        assert [other.hear() for _ in range(20)] == lines[start : start + 20]
        t.wait(re.escape(lines[start + 19]))


@pytest.mark.parametrize("how", ["ctrl-c", "ctrl-d", "sigterm", "closed"])
def test_the_terminal_is_left_as_it_was(chat, terminal, how):
    t, other = chat()
    was = termios.tcgetattr(t.fd)  # while a line is edited
    assert not was[3] & termios.ICANON
    t.write("half a li")
    t.wait("half a li")
    if how == "ctrl-c":
        t.write(CTRL_C)
    elif how == "ctrl-d":
        t.write("\x15" + CTRL_D)
    elif how == "sigterm":
        os.kill(t.proc.pid, signal.SIGTERM)
    else:
        other.sock.sendall(peer.close_frame(1000, b"enough"))
    code = t.proc.wait(20)
    assert code == {"ctrl-c": 130, "ctrl-d": 0, "sigterm": 143, "closed": 0}[how]
    now = termios.tcgetattr(t.fd)
    assert now[3] & termios.ICANON and now[3] & termios.ECHO
    t.end()
    assert ("closed by the server with 1000: enough" in t.said) == (how == "closed")


def test_the_history_stays_in_memory(chat, env, tmp_path):
    t, other = chat()
    t.write('{"key": "pk_something"}\r')
    other.hear()
    t.write(CTRL_D)
    assert t.end() == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"pk_some" in path.read_bytes()]


def test_only_the_client_has_libedit(command):
    for program, has in (("pixi-ws-client", True), ("pixi-ws-server", False)):
        told = subprocess.run(["ldd", *command([program])], capture_output=True, text=True, check=True).stdout
        assert ("libedit" in told) == has
