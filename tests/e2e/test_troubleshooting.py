"""Each row of docs/troubleshooting.md, provoked: exit code, layer, cause and fix are those that the table claims.

A row and its scenario have one id. A scenario gives what was printed, by commands that fail in the same way each time;
text and --json are both held to the row. In the table `…` stands for what differs from run to run.
"""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import sqlite3
import ssl
import subprocess
from pathlib import Path

import pytest

import peer
import world
from rpc import Rpc

PAGE = Path(__file__).resolve().parents[2] / "docs/troubleshooting.md"
SCENARIOS = {}


class Row:
    def __init__(self, cells):
        self.happened, self.seen, self.exit, self.layer, self.fix = cells
        if self.seen:
            self.seen = re.fullmatch(r"(`+) ?(.*?) ?\1", self.seen)[2]


def read_table():
    """Rows by id; a `|` inside a cell is written `\\|`."""
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if line.startswith("| `") and len(cells) == 6:
            name = cells[0].strip("`")
            assert name not in rows, f"{name} stands there twice"
            rows[name] = Row(cells[1:])
    return rows


TABLE = read_table() if PAGE.exists() else {}


class Told:
    """What a person was told: the first line, behind the program's name, and the fix."""

    def __init__(self, exit, seen, fix, layer=None, cause=None):
        self.exit, self.seen, self.fix, self.layer, self.cause = exit, seen, fix, layer, cause

    def __repr__(self):
        return f"| `{self.seen}` | {self.exit} | {self.layer} | {self.fix} |"


def from_text(done, program):
    """Of two lines "PROGRAM: LAYER: CAUSE", "  fix: FIX"; what is wrong with settings has its own first lines."""
    lines = done.stderr.splitlines()
    fix = next((i for i, line in enumerate(lines) if line.startswith("  fix: ")), None)
    assert fix, done
    own = [line for line in lines[:fix] if line.startswith(f"{program}: ")]
    seen = (own[-1] if own else lines[0]).removeprefix(f"{program}: ")
    return Told(done.returncode, seen, lines[fix].removeprefix("  fix: "))


def from_json(done):
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["exit"] == done.returncode and told["error"], done
    return Told(done.returncode, None, told["fix"], told["layer"], told["cause"])


def from_report(done):
    """verify's first failed check."""
    row = next(c for c in json.loads(done.stdout)["checks"] if c["verdict"] == "failed")
    return Told(done.returncode, None, row["fix"], row["layer"], row["cause"])


def pattern(cell):
    return re.compile(".*".join(map(re.escape, cell.split("…"))))


def agrees(row, told):
    """Is what was told what the row claims?"""
    assert str(told.exit) == row.exit, (row.exit, told)
    if told.seen is not None:
        assert pattern(row.seen).fullmatch(told.seen), (row.seen, told.seen)
        assert told.layer or row.layer in ("settings", "scene") or told.seen.startswith(f"{row.layer}: ")
    if told.layer is not None:
        assert told.layer == row.layer, (row.layer, told)
    if told.cause is not None:
        assert pattern(row.seen).fullmatch(told.cause) or pattern(row.seen).fullmatch(f"{told.layer}: {told.cause}"), (
            row.seen,
            told.cause,
        )
    assert pattern(row.fix).fullmatch(told.fix), (row.fix, told.fix)


def scenario(name):
    def register(function):
        assert name not in SCENARIOS, name
        SCENARIOS[name] = function
        return function

    return register


class Stage:
    """What scenarios play with: the fixtures, and ways to run a command that fails."""

    def __init__(self, request):
        self.request = request

    def __getattr__(self, name):
        return self.request.getfixturevalue(name)

    def twice(self, pixi, *args, **more):
        """The client's command, as text and with --json."""
        return [from_text(pixi.run(*args, **more), "pixi-ws-client"), from_json(pixi.run("--json", *args, **more))]

    def verify(self, pixi, *args, **more):
        """verify, in JSON and in text: the text holds the same words."""
        told = from_report(pixi.run("--json", "verify", "--quick", *args, **more))
        text = pixi.run("verify", "--quick", *args, **more)
        words = " ".join(text.stdout.split())
        fix = " ".join(told.fix.split())
        assert text.returncode == told.exit and f"layer: {told.layer} " in words and f"fix: {fix}" in words, text
        return [told]

    def bare(self, key="", **variables):
        """A client that nobody has told where to go."""
        pixi = self.client(None, url="ws://h/", key=key, **variables)
        del pixi.env["PIXI_WS_URL"]
        return pixi

    def with_peer(self, talk, *args, tls=False, verify=False, **variables):
        """A command against a peer that talks so."""
        with peer.Peer(talk) as p:
            url = p.url.replace("ws:", "wss:") if tls else p.url
            pixi = self.client(p, url=url, TIMEOUTS_CLOSE_MS=100, **variables)
            return self.verify(pixi) if verify else self.twice(pixi, *(args or ("send", "a", "1")))

    def with_file(self, text, *args, mode=0o600, env=None):
        """A command with this settings file in the working directory."""
        file = self.tmp_path / "settings.json"
        file.write_text(text if isinstance(text, str) else json.dumps(text))
        file.chmod(mode)
        pixi = self.bare(SETTINGS="settings.json")
        return self.twice(pixi, *(args or ("send", "a", "1")), env=env)

    def serve(self, *args, config=None, env=None):
        """pixi-ws-server, which does not start."""
        more = ["--config", self.settings("server", **config)] if config is not None else []
        done = self.run(["pixi-ws-server", *args, *more], cwd=self.tmp_path, env=env)
        assert done.stdout == "", done
        return [from_text(done, "pixi-ws-server")]

    def elsewhere(self, what, url, *args, **variables):
        """On a machine made for the purpose: world.py."""
        if subprocess.run(["/usr/bin/python3", world.__file__, "{}", "true"], capture_output=True).returncode:
            pytest.skip("no namespaces may be made here")
        env = {f"PIXI_WS_{name}": str(value) for name, value in variables.items()}
        program = [self.bin_dir / "pixi-ws-client", "--url", url]
        told = []
        for flags, read in (([], lambda done: from_text(done, "pixi-ws-client")), (["--json"], from_json)):
            line = ["/usr/bin/python3", world.__file__, json.dumps(what), *program, *flags, *(args or ("send", "a", "1"))]
            told.append(read(self.run(line, cwd=self.tmp_path, env=env)))
        return told

    def made_keys(self):
        """A file of keys, as good as any."""
        file = self.tmp_path / "some.keys"
        file.write_text("{}")
        file.chmod(0o600)
        return file

    def dead_url(self, scheme="ws"):
        return f"{scheme}://127.0.0.1:{self.free_port()}/api/v1"

    def usage(self, *args):
        """Wrong command lines: text only, the help that follows is the fix."""
        done = self.run(["pixi-ws-client", *args], cwd=self.tmp_path, env={"PIXI_WS_URL": "ws://127.0.0.1:1/"})
        lines = done.stderr.splitlines()
        first, _, fix = lines[0].removeprefix("pixi-ws-client").removeprefix(":").strip().partition("; ")
        return [Told(done.returncode, first, fix or lines[1], "usage")]


# --- usage -----------------------------------------------------------------------------------------------------------


@scenario("usage-command")
def _(s):
    return s.usage("sned", "a", "1")


@scenario("usage-option")
def _(s):
    return s.usage("send", "--retian", "a", "1")


@scenario("usage-arguments")
def _(s):
    return s.usage("send")


@scenario("usage-wildcard")
def _(s):
    return s.twice(s.client(None, key="", url="ws://127.0.0.1:1/"), "send", "event/#", "1")  # nobody is asked


@scenario("usage-scene")
def _(s):
    return s.twice(s.client(s.hub()), "scene", "put", "a", '{"x": 0, "y": 0, "tint":"red"}')


@scenario("usage-scene-move")
def _(s):
    return s.twice(s.client(s.hub()), "scene", "move", "tram-7", "1", "1")


# --- settings: the client's --------------------------------------------------------------------------------------------


@scenario("settings-no-url")
def _(s):
    return s.with_file({})


@scenario("settings-no-file")
def _(s):
    return s.twice(s.bare(), "--settings", "nowhere.json", "send", "a", "1")


@scenario("settings-syntax")
def _(s):
    return s.with_file('{\n  "url": "ws://h/"\n  "timeouts": {}\n}')


@scenario("settings-unknown-member")
def _(s):
    return s.with_file({"url": "ws://h/", "keepalife": {}})


@scenario("settings-wrong-value")
def _(s):
    return s.with_file({"url": "ws://h/", "timeouts": {"connect_ms": "fast"}})


@scenario("settings-variable")
def _(s):
    return s.with_file({"url": "ws://h/"}, env={"PIXI_WS_ALLOW_PLAINTEXT": "yes"})


@scenario("settings-option")
def _(s):
    return s.twice(s.client(None, key="", url="ws://127.0.0.1:1/"), "--url", "http://127.0.0.1:1/", "send", "a", "1")


@scenario("settings-http-url")
def _(s):
    return s.with_file({"url": "http://127.0.0.1:8768/api/v1"})


@scenario("settings-key-in-url")
def _(s):
    return s.with_file({"url": "ws://127.0.0.1:8768/api/v1?api_key=hunter2"})


@scenario("settings-two-keys")
def _(s):
    return s.with_file({"url": "ws://h/", "api_key_file": "a", "api_key_env": "B"})


@scenario("settings-no-key-file")
def _(s):
    return s.with_file({"url": "ws://127.0.0.1:8768/api/v1", "api_key_file": "api_key"})


@scenario("settings-open-key-file")
def _(s):
    (s.tmp_path / "api_key").write_text("pk_" + "x" * 43)
    (s.tmp_path / "api_key").chmod(0o644)
    return s.with_file({"url": "ws://127.0.0.1:8768/api/v1", "api_key_file": "api_key"})


@scenario("settings-short-key")
def _(s):
    (s.tmp_path / "api_key").write_text("secret")
    (s.tmp_path / "api_key").chmod(0o600)
    return s.with_file({"url": "ws://127.0.0.1:8768/api/v1", "api_key_file": "api_key"})


@scenario("settings-plaintext")
def _(s):
    return s.twice(s.client(None, url="ws://192.0.2.1/api/v1", key="pk_" + "x" * 43), "send", "a", "1")


@scenario("settings-ca-file")
def _(s):
    return s.with_file({"url": "wss://127.0.0.1:1/", "tls": {"ca_file": "/nowhere/ca.pem"}})


@scenario("settings-own-key-open")
def _(s):
    key = s.tmp_path / "own.key"
    key.write_bytes(s.pki.client.key.read_bytes())
    key.chmod(0o644)
    tls = {"cert_file": str(s.pki.client.pem), "key_file": "own.key"}
    return s.with_file({"url": "wss://127.0.0.1:1/", "tls": tls})


@scenario("settings-init-there")
def _(s):
    (s.tmp_path / "config").mkdir()
    (s.tmp_path / "config/websocket_settings.json").write_text("{}")
    return s.twice(s.bare(), "config", "init")


# --- settings: the server's --------------------------------------------------------------------------------------------


@scenario("server-unknown-member")
def _(s):
    return s.serve(config={"listn": ["127.0.0.1:0"]})


@scenario("server-address")
def _(s):
    return s.serve("--listen", "127.1:8768")


@scenario("server-port")
def _(s):
    return s.serve("--listen", "127.0.0.1:99999")


@scenario("server-insecure")
def _(s):
    return s.serve("--listen", "0.0.0.0:0")


@scenario("server-keys-broken")
def _(s):
    (s.tmp_path / "server.keys").write_text("{")
    (s.tmp_path / "server.keys").chmod(0o600)
    return s.serve("--keys", "server.keys", "--listen", "127.0.0.1:0")


@scenario("server-keys-open")
def _(s):
    (s.tmp_path / "server.keys").write_text('{"keys": []}')
    (s.tmp_path / "server.keys").chmod(0o666)
    return s.serve("--keys", "server.keys", "--listen", "127.0.0.1:0")


@scenario("server-no-certificate")
def _(s):
    tls = {"tls__listen": ["127.0.0.1:0"], "tls__cert_file": "/nowhere/server.pem", "tls__key_file": "/nowhere/server.key"}
    return s.serve("--listen", "127.0.0.1:0", config=tls)


@scenario("server-other-key")
def _(s):
    tls = {"tls__cert_file": str(s.pki.server.pem), "tls__key_file": str(s.pki.client.key)}
    return s.serve("--listen", "127.0.0.1:0", config={"tls__listen": ["127.0.0.1:0"], **tls})


@scenario("server-page")
def _(s):
    return s.serve("--listen", "127.0.0.1:0", "--page", "nowhere", config={})


def no_data(s, folder):
    """The server with its messages in this folder, which it does not like."""
    return s.serve("--listen", "127.0.0.1:0", "--keys", s.made_keys(), "--data", folder)


@scenario("server-data-in-use")
def _(s):
    s.hub(data=str(s.tmp_path / "data"))
    return no_data(s, s.tmp_path / "data")


@scenario("server-data-open")
def _(s):
    (s.tmp_path / "data").mkdir()
    (s.tmp_path / "data").chmod(0o777)
    return no_data(s, s.tmp_path / "data")


@scenario("server-data-nowhere")
def _(s):
    return no_data(s, "/nowhere/data")


def left_data(s, sql):
    """A server has left its messages, and somebody has changed the file."""
    s.hub(data=str(s.tmp_path / "data")).proc.stop()
    with contextlib.closing(sqlite3.connect(s.tmp_path / "data/hub.db")) as file:
        file.execute(sql)
    return no_data(s, s.tmp_path / "data")


@scenario("server-data-newer")
def _(s):
    return left_data(s, "PRAGMA user_version = 3")


@scenario("server-data-foreign")
def _(s):
    return left_data(s, "PRAGMA application_id = 5")


@scenario("server-port-taken")
def _(s):
    return s.serve("--echo", "--listen", f"127.0.0.1:{s.echo().port}")


@scenario("server-not-its-address")
def _(s):
    return s.serve("--echo", "--insecure", "--listen", "192.0.2.1:0")


# --- names -------------------------------------------------------------------------------------------------------------


@scenario("name-unknown")
def _(s):
    return s.elsewhere({"names": {}}, "ws://pixi.test/")


@scenario("name-no-address")
def _(s):
    return s.elsewhere({"names": {"pixi.test": []}}, "ws://pixi.test/")


@scenario("name-no-server")
def _(s):
    return s.elsewhere({"names": None}, "ws://pixi.test/", TIMEOUTS_CONNECT_MS=10000)


@scenario("name-server-fails")
def _(s):
    return s.elsewhere({"names": {"pixi.test": 2}}, "ws://pixi.test/", TIMEOUTS_CONNECT_MS=10000)


# --- TCP ---------------------------------------------------------------------------------------------------------------


@scenario("tcp-refused")
def _(s):
    return s.twice(s.client(None, url=s.dead_url(), key=""), "send", "a", "1")


@scenario("tcp-refused-verify")
def _(s):
    return s.verify(s.client(None, url=s.dead_url(), key=""))


@scenario("tcp-silent")
def _(s):
    kept = []
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    world.make_deaf(f"127.0.0.1:{port}", kept)
    try:
        pixi = s.client(None, url=f"ws://127.0.0.1:{port}/", key="", TIMEOUTS_CONNECT_MS=300)
        return s.twice(pixi, "send", "a", "1")
    finally:
        for sock in kept:
            sock.close()


@scenario("tcp-no-network")
def _(s):
    return s.elsewhere({}, "ws://192.0.2.1/")


@scenario("tcp-every-address")
def _(s):
    names = {"pixi.test": ["::1", "127.0.0.1", "2001:db8::1"]}
    told = s.elsewhere({"names": names}, "ws://pixi.test:8768/")
    for one in told:
        for said in ("[::1]:8768: C", "127.0.0.1:8768: C", "[2001:db8::1]:8768: Network is unreachable"):
            assert said in (one.seen or one.cause)
    return told


# --- proxies -----------------------------------------------------------------------------------------------------------


def by_proxy(s, talk=None, scheme="http", **variables):
    """A command for a server behind a proxy that talks so; none: nobody is there."""
    variables = {"TIMEOUTS_CONNECT_MS": 500, **variables}
    url = "wss://pixi.example/api/v1"
    if not talk:
        return s.twice(s.client(None, url=url, key="", PROXY_URL=s.dead_url(scheme)[:-7], **variables), "send", "a", "1")
    with peer.Peer(talk) as p:
        pixi = s.client(p, url=url, PROXY_URL=f"{scheme}://127.0.0.1:{p.port}", **variables)
        return s.twice(pixi, "send", "a", "1")


def proxy_says(line):
    return peer.says(f"HTTP/1.1 {line}\r\n\r\n".encode(), first=peer.read_head)


@scenario("proxy-refused")
def _(s):
    return by_proxy(s)


@scenario("proxy-mute")
def _(s):
    return by_proxy(s, peer.hold)


@scenario("proxy-forbids")
def _(s):
    return by_proxy(s, proxy_says("403 Filtered"))


@scenario("proxy-cannot")
def _(s):
    return by_proxy(s, proxy_says("502 Bad Gateway"))


@scenario("proxy-password")
def _(s):
    return by_proxy(s, proxy_says('407 Who\r\nProxy-Authenticate: Basic realm="x"'))


@scenario("proxy-socks-refused")
def _(s):
    def talk(p, sock):
        sock.recv(16)
        sock.sendall(b"\x05\x00")
        sock.recv(300)
        sock.sendall(b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")
        peer.hold(p, sock)

    return by_proxy(s, talk, scheme="socks5h")


@scenario("proxy-no-password-for-socks")
def _(s):
    def talk(p, sock):
        sock.recv(16)
        sock.sendall(b"\x05\xff")
        peer.hold(p, sock)

    return by_proxy(s, talk, scheme="socks5h")


# --- TLS ---------------------------------------------------------------------------------------------------------------


def refused(s, cert, ca="ca", client_ca=None, own=None, **tls):
    """A hub with this certificate, and what send and connect say of it."""
    hub = s.tls_hub(getattr(s.pki, cert), ca=client_ca)
    pixi = s.secure(hub.tls_url, hub.key, ca=getattr(s.pki, ca) if ca else None, cert=own, **tls)
    return s.twice(pixi, "send", "a", "1") + s.twice(pixi, "connect") + [without_place(t) for t in s.verify(pixi)]


def without_place(told):
    """verify does not repeat the address that it has shown already."""
    told.cause = f"127.0.0.1:0: {told.cause}"
    return told


@scenario("tls-expired")
def _(s):
    return refused(s, "expired")


@scenario("tls-not-yet-valid")
def _(s):
    return refused(s, "early")


@scenario("tls-self-signed")
def _(s):
    return refused(s, "itself")


@scenario("tls-unknown-issuer")
def _(s):
    return refused(s, "stranger")


@scenario("tls-expired-issuer")
def _(s):
    return refused(s, "of_late")


@scenario("tls-other-name")
def _(s):
    return refused(s, "elsewhere")


@scenario("tls-pin")
def _(s):
    return refused(s, "server", pin_sha256=["A" * 43 + "="])


@scenario("tls-certificate-wanted")
def _(s):
    return refused(s, "server", client_ca=s.pki.ca)


@scenario("tls-certificate-unknown")
def _(s):
    return refused(s, "server", client_ca=s.pki.ca, own=s.pki.stranger)


@scenario("tls-certificate-expired")
def _(s):
    return refused(s, "server", client_ca=s.pki.ca, own=s.pki.expired)


@scenario("tls-too-old")
def _(s):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(s.pki.server.pem, s.pki.server.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def talk(p, sock):
        with contextlib.suppress(ssl.SSLError):
            context.wrap_socket(sock, server_side=True)

    return s.with_peer(talk, tls=True, TLS_CA_FILE=s.pki.ca.pem, TLS_MIN_VERSION="1.3")


@scenario("tls-not-tls")
def _(s):
    return s.with_peer(peer.says(b"HTTP/1.1 400 Bad Request\r\n\r\n", then=peer.hold), tls=True)


@scenario("tls-refused")
def _(s):
    return s.with_peer(peer.says(b"\x15\x03\x03\x00\x02\x02\x28", then=peer.hold), tls=True)


@scenario("tls-silent")
def _(s):
    return s.with_peer(peer.hold, tls=True, TIMEOUTS_TLS_MS=200)


@scenario("tls-hung-up")
def _(s):
    def talk(p, sock):
        sock.recv(65536)

    return s.with_peer(talk, tls=True)


@scenario("tls-key-log")
def _(s):
    pixi = s.client(None, url=s.dead_url("wss"), key="")
    return s.twice(pixi, "connect", "--key-log", "nowhere/keys.log")


# --- the upgrade ---------------------------------------------------------------------------------------------------------


def answer(status, *fields):
    lines = "".join(f"{field}\r\n" for field in fields)
    return peer.says(f"HTTP/1.1 {status}\r\n{lines}Content-Length: 0\r\n\r\n".encode(), first=peer.read_head)


@scenario("upgrade-path")
def _(s):
    hub = s.hub()
    return s.twice(s.client(hub, url=hub.url + "/else"), "send", "a", "1")


@scenario("upgrade-page")
def _(s):
    return s.with_peer(answer("200 OK"))


@scenario("upgrade-page-verify")
def _(s):
    return s.with_peer(answer("200 OK"), verify=True)


@scenario("upgrade-moved")
def _(s):
    return s.with_peer(answer("301 Moved", "Location: wss://pixi.example/api/v1"))


@scenario("upgrade-bad-request")
def _(s):
    return s.with_peer(answer("400 Bad Request"))


@scenario("upgrade-version")
def _(s):
    return s.with_peer(answer("426 Upgrade Required", "Sec-WebSocket-Version: 8"))


@scenario("upgrade-too-many")
def _(s):
    return s.with_peer(answer("429 Too Many Requests", "Retry-After: 5"))


@scenario("upgrade-gateway")
def _(s):
    return s.with_peer(answer("502 Bad Gateway"))


@scenario("upgrade-busy")
def _(s):
    return s.with_peer(answer("503 Service Unavailable"))


@scenario("upgrade-not-http")
def _(s):
    return s.with_peer(peer.says(b"SSH-2.0-OpenSSH_9.2\r\n", then=peer.hold))


@scenario("upgrade-not-http-verify")
def _(s):
    return s.with_peer(peer.says(b"SSH-2.0-OpenSSH_9.2\r\n", then=peer.hold), verify=True)


@scenario("upgrade-accept")
def _(s):
    head = "101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: " + "A" * 27 + "="
    return s.with_peer(answer(*head))


@scenario("upgrade-hung-up")
def _(s):
    return s.with_peer(peer.says(b"", first=peer.read_head))


@scenario("upgrade-tls-port")
def _(s):
    hub = s.tls_hub(s.pki.server)
    pixi = s.client(hub, url=hub.tls_url.replace("wss:", "ws:"))
    return [t for t in s.verify(pixi)]


@scenario("upgrade-silent")
def _(s):
    return s.with_peer(peer.hold, TIMEOUTS_UPGRADE_MS=200)


@scenario("upgrade-not-pixi")
def _(s):
    echo = s.echo()

    def talk(p, sock):
        with socket.create_connection((echo.host, echo.port)) as other:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += sock.recv(1)
            other.sendall(re.sub(rb"Sec-WebSocket-Protocol: [^\r]*\r\n", b"", head, flags=re.I))
            sock.sendall(other.recv(4096))
            peer.hold(p, sock)

    return s.with_peer(talk)


@scenario("upgrade-subprotocol")
def _(s):
    return s.with_peer(peer.says(b"", first=peer.upgrade, then=peer.hold), "connect")


# --- keys --------------------------------------------------------------------------------------------------------------


@scenario("key-missing")
def _(s):
    return s.twice(s.client(s.hub(), key=""), "send", "a", "1")


@scenario("key-wrong")
def _(s):
    return s.twice(s.client(s.hub(), key="pk_" + "x" * 43), "send", "a", "1")


@scenario("key-wrong-verify")
def _(s):
    return s.verify(s.client(s.hub(), key="pk_" + "x" * 43))


@scenario("key-of-another")
def _(s):
    hub = s.hub()
    return s.with_file({"url": "wss://pixi.example/api/v1", "api_key_file": "api_key"}, "connect", hub.url)


@scenario("key-forbidden")
def _(s):
    return s.with_peer(answer("403 Forbidden"))


@scenario("key-publish")
def _(s):
    hub = s.hub(keys={"reader": ("nothing", "#")})
    return s.twice(s.client(hub, key=hub.keys["reader"]), "send", "event/a", "1")


@scenario("key-subscribe")
def _(s):
    hub = s.hub(keys={"writer": ("#", "nothing")})
    return s.twice(s.client(hub, key=hub.keys["writer"]), "listen", "event/#")


@scenario("key-publish-verify")
def _(s):
    hub = s.hub(keys={"reader": ("nothing", "#")})
    return s.verify(s.client(hub, key=hub.keys["reader"]))


@scenario("key-revoked")
def _(s):
    hub = s.hub(keys={"gone": ("#", "#")})
    listener = s.client(hub, key=hub.keys["gone"]).listen("#")
    done = s.run(["pixi-ws-server", "key", "revoke", "gone", "--keys", s.tmp_path / "server.keys"])
    assert done.returncode == 0
    os.kill(hub.proc.pid, signal.SIGHUP)
    return [of_process(listener)]


def of_process(proc):
    return from_text(subprocess.CompletedProcess(proc.args, proc.wait(), proc.out, proc.err), "pixi-ws-client")


# --- the protocol --------------------------------------------------------------------------------------------------------


def after_upgrade(s, data, *args):
    return s.with_peer(peer.says(data, first=peer.upgrade, then=peer.hold), *args)


@scenario("protocol-frame")
def _(s):
    return after_upgrade(s, b"\xc1\x00")


@scenario("protocol-utf8")
def _(s):
    return after_upgrade(s, b"\x81\x02\xc3\x28")


@scenario("protocol-json")
def _(s):
    return after_upgrade(s, b"\x81\x05hello")


@scenario("protocol-binary")
def _(s):
    return after_upgrade(s, b"\x82\x02{}")


# --- MQTT ------------------------------------------------------------------------------------------------------------


def mqtt(s, *packets, args=("send", "a", "1"), then=None, **variables):
    """A server that says these packets, one after the other, each when it has heard one."""

    def talk(p, sock):
        peer.upgrade(p, sock, b"mqtt")
        for packet in packets:
            peer.message(sock)
            sock.sendall(b"\x82" + bytes([len(packet)]) + packet)
        peer.hold(p, sock)

    return s.with_peer(talk, *args, DIALECT="mqtt", **variables)


CONNACK = b"\x20\x03\0\0\0"


@scenario("mqtt-not-there")
def _(s):
    return s.with_peer(peer.says(b"", peer.hold, lambda p, sock: peer.upgrade(p, sock, None)), DIALECT="mqtt")


@scenario("mqtt-silent")
def _(s):
    return mqtt(s, TIMEOUTS_UPGRADE_MS=50)


@scenario("mqtt-version")
def _(s):
    return mqtt(s, b"\x20\x02\0\x01")


@scenario("mqtt-key")
def _(s):
    return mqtt(s, b"\x20\x03\0\x87\0", API_KEY="pk_some-key-of-somebody")


@scenario("mqtt-client-id")
def _(s):
    return mqtt(s, b"\x20\x03\0\x85\0")


@scenario("mqtt-taken-over")
def _(s):
    return mqtt(s, CONNACK, b"\xe0\x01\x8e", args=("listen", "a"))


@scenario("mqtt-malformed")
def _(s):
    return mqtt(s, CONNACK, b"\xe0\x01\x81")


@scenario("mqtt-broken")
def _(s):
    return mqtt(s, CONNACK, b"\x36\0")


@scenario("mqtt-not-allowed")
def _(s):
    return mqtt(s, CONNACK, b"\x40\x03\0\x01\x87")


@scenario("mqtt-no-requests")
def _(s):
    return mqtt(s, b"\x20\x02\0\0", args=("request", "request/a"), MQTT_VERSION=4)


@scenario("mqtt-qos")
def _(s):
    return mqtt(s, b"\x20\x05\0\0\x02\x24\x01", MQTT_QOS=2)


@scenario("mqtt-retain")
def _(s):
    return mqtt(s, b"\x20\x05\0\0\x02\x25\0", args=("send", "--retain", "a", "1"))


# --- closing codes ---------------------------------------------------------------------------------------------------


def closed(s, code, reason=b""):
    """The server closes with this code while an answer is awaited."""
    return after_upgrade(s, peer.close_frame(code, reason), "request", "request/a")


@scenario("protocol-objection")
def _(s):
    return closed(s, 1002, b"bad frame")


@scenario("protocol-unsupported")
def _(s):
    return closed(s, 1003)


@scenario("protocol-not-utf8")
def _(s):
    return closed(s, 1007)


# --- requests ------------------------------------------------------------------------------------------------------------


@scenario("request-nobody")
def _(s):
    return s.twice(s.client(s.hub()), "request", "request/nobody")


@scenario("request-late")
def _(s):
    hub = s.hub()
    with Rpc(hub) as silent:
        silent.subscribe("request/silent")
        return s.twice(s.client(hub), "request", "request/silent", "--timeout", "0.2")


@scenario("send-late")
def _(s):
    talk = peer.says(b"", first=peer.upgrade, then=peer.hold)
    return s.with_peer(talk, "send", "a", "1", "--timeout", "0.2")


# --- limits ----------------------------------------------------------------------------------------------------------------


@scenario("limits-message-here")
def _(s):
    return s.twice(s.client(s.hub(), LIMITS_MESSAGE_BYTES=1024, LIMITS_QUEUE_BYTES=1024), "send", "a", "x" * 5000)


@scenario("limits-line")
def _(s):
    pixi = s.client(s.hub(), LIMITS_MESSAGE_BYTES=1024, LIMITS_QUEUE_BYTES=1024)
    return s.twice(pixi, "send", "a", "-", input="x" * 5000 + "\n")


@scenario("limits-message-there")
def _(s):
    return s.twice(s.client(s.hub(limits__message_bytes=1024)), "send", "a", "x" * 20_000)


@scenario("limits-message-back")
def _(s):
    return after_upgrade(s, b"\x81\x7f" + (1 << 40).to_bytes(8, "big"))


@scenario("limits-connections")
def _(s):
    hub = s.hub(limits__connections=1)
    with Rpc(hub):
        return s.twice(s.client(hub), "send", "a", "1")


@scenario("limits-subscriptions")
def _(s):
    """It goes on with those that stand."""
    listener = s.client(s.hub(limits__subscriptions=1)).spawn("listen", "a", "b")
    listener.wait_line("b: no longer listened to", stream="err")
    assert listener.stop() == 0
    lines = listener.err.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("  fix: "))
    return [Told(0, lines[at - 1].removeprefix("pixi-ws-client: "), lines[at].removeprefix("  fix: "))]


@scenario("limits-storage")
def _(s):
    pixi = s.client(s.hub(limits__retained_count=1))
    pixi.ok("send", "--retain", "a", "1")
    return s.twice(pixi, "send", "--retain", "b", "1")


# --- the end of a connection ---------------------------------------------------------------------------------------------


@scenario("closed-done")
def _(s):
    return closed(s, 1000)


@scenario("closed-going-away")
def _(s):
    return closed(s, 1001)


@scenario("closed-policy")
def _(s):
    return closed(s, 1008)


@scenario("closed-too-big")
def _(s):
    return closed(s, 1009)


@scenario("closed-internal")
def _(s):
    return closed(s, 1011)


@scenario("closed-restart")
def _(s):
    return closed(s, 1012)


@scenario("closed-later")
def _(s):
    return closed(s, 1013)


@scenario("closed-unauthorized")
def _(s):
    return closed(s, 3000)


@scenario("closed-forbidden")
def _(s):
    return closed(s, 3003)


@scenario("closed-timeout")
def _(s):
    return closed(s, 3008)


@scenario("closed-other")
def _(s):
    return closed(s, 4001, b"bye")


@scenario("lost-without-close")
def _(s):
    def talk(p, sock):
        peer.upgrade(p, sock)
        peer.message(sock)

    return s.with_peer(talk, "request", "request/a")


@scenario("lost-reset")
def _(s):
    def talk(p, sock):
        peer.upgrade(p, sock)
        peer.message(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    return s.with_peer(talk, "request", "request/a")


@scenario("lost-silent")
def _(s):
    talk = peer.says(b"", first=peer.upgrade, then=peer.hold)
    return s.with_peer(talk, "request", "request/a", KEEPALIVE_INTERVAL_MS=50, KEEPALIVE_TIMEOUT_MS=50)


@scenario("close-late")
def _(s):
    talk = peer.says(b"", first=peer.upgrade, then=peer.hold)
    return s.with_peer(talk, "connect", "--protocol", "pixi.v1", "--wait", "0.01")


# --- disk, this machine ------------------------------------------------------------------------------------------------------


def full(s, pixi, *args):
    """Standard output is a disk with no space left."""
    told = []
    for flags, read in (([], lambda done: from_text(done, "pixi-ws-client")), (["--json"], from_json)):
        with open("/dev/full", "w") as out:
            done = subprocess.run(
                s.command(["pixi-ws-client", *flags, *args]),
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True, timeout=60,
                env={**s.env, **pixi.env}, cwd=s.tmp_path,
            )  # fmt: skip
        told.append(read(done))
    return told


@scenario("disk-full")
def _(s):
    return full(s, s.client(s.hub()), "config", "show")


@scenario("disk-full-listen")
def _(s):
    hub = s.hub()
    pixi = s.client(hub)
    pixi.ok("send", "--retain", "event/a", "1")
    return full(s, pixi, "listen", "event/#")


@scenario("disk-full-server")
def _(s):
    with open("/dev/full", "w") as out:
        args = ["pixi-ws-server", "--echo", "--listen", "127.0.0.1:0", "--config", s.settings("server")]
        done = subprocess.run(s.command(args), stdout=out, stderr=subprocess.PIPE, text=True, timeout=60, env=s.env)
    return [from_text(done, "pixi-ws-server")]


@scenario("disk-no-file")
def _(s):
    return s.twice(s.client(s.hub()), "send", "a", "--file", "nowhere.json")


@scenario("disk-no-folder")
def _(s):
    (s.tmp_path / "file").touch()
    return s.twice(s.bare(), "config", "init", "file/config")


@scenario("machine-descriptors")
def _(s):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))

    return s.twice(s.client(None, url=s.dead_url(), key=""), "send", "a", "1", preexec_fn=limit)


# --- the daemon ------------------------------------------------------------------------------------------------------------


def daemon(s, **variables):
    """One that runs, at `pixi.sock` with `outbox`, and a client that knows it."""
    pixi = s.client(None, url=s.dead_url(), key="pk_of-some-machine", DAEMON_SOCKET=s.tmp_path / "pixi.sock",
                    OUTBOX_PATH=s.tmp_path / "outbox", **variables)  # fmt: skip
    pixi.spawn("daemon").wait_line("listening on", stream="out")
    return pixi


@scenario("daemon-socket-taken")
def _(s):
    return s.twice(daemon(s), "daemon", "--outbox", "another")


@scenario("daemon-outbox-taken")
def _(s):
    return s.twice(daemon(s), "daemon", "--socket", s.tmp_path / "another.sock")


@scenario("daemon-no-socket")
def _(s):
    (s.tmp_path / "pixi.sock").write_text("precious")
    return s.twice(s.client(None, url=s.dead_url(), key=""), "daemon", "--socket", s.tmp_path / "pixi.sock", "--outbox", "outbox")


@scenario("daemon-dialect")
def _(s):
    return s.twice(s.client(None, url=s.dead_url(), key="", DIALECT="mqtt"), "daemon")


@scenario("daemon-not-there")
def _(s):
    return s.twice(s.client(None, url=s.dead_url(), key="", DAEMON_SOCKET=s.tmp_path / "pixi.sock"), "status")


@scenario("daemon-full")
def _(s):
    return s.twice(daemon(s, OUTBOX_BYTES=65536), "send", "a", '"' + "x" * 70_000 + '"')


# --- signals -----------------------------------------------------------------------------------------------------------------


def interrupted(s, sig):
    """request, while its answer is awaited: it ends without a word."""
    hub = s.hub()
    with Rpc(hub) as silent:
        silent.subscribe("request/silent")
        proc = s.client(hub).spawn("request", "request/silent")
        silent.note()
        os.kill(proc.pid, sig)
        code = proc.wait()
    assert proc.err == proc.out == ""
    return [Told(code, "", "nothing: it was asked to end", "signals")]


@scenario("signal-interrupt")
def _(s):
    return interrupted(s, signal.SIGINT)


@scenario("signal-terminate")
def _(s):
    return interrupted(s, signal.SIGTERM)


@scenario("signal-server")
def _(s):
    proc = s.hub().proc
    os.kill(proc.pid, signal.SIGTERM)
    code = proc.wait()
    said = proc.err.splitlines()[-1]
    return [Told(code, said, "nothing: it was asked to end", "signals")]


# --- the table ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(TABLE) | set(SCENARIOS)))
def test_row(request, name):
    assert name in SCENARIOS, f"{name}: a row without a scenario"
    told = SCENARIOS[name](Stage(request))
    if os.environ.get("PIXI_SHOW_TOLD"):
        with open(os.environ["PIXI_SHOW_TOLD"], "a", encoding="utf-8") as f:
            f.writelines(f"{name} {t!r} {t.cause or ''}\n" for t in told)
    assert name in TABLE, f"{name}: a scenario without a row: {told}"
    for one in told:
        agrees(TABLE[name], one)


def test_the_table_is_large_enough():
    layers = {row.layer for row in TABLE.values()}
    assert len(TABLE) >= 60
    assert {"settings", "name", "tcp", "proxy", "tls", "upgrade", "key", "protocol", "limits", "disk", "signals"} <= layers
