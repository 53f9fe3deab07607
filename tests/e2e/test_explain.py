"""`explain`, and that what its pages show is what the programs print."""

import re
import socket

import pytest

import peer
from pages import holds, same, shown
from rpc import Rpc

KEY = "pk_" + "x" * 43


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked, title",
    [
        ("7", "# The upgrade is refused"),
        ("0", "# Everything went well"),
        ("130", "# Ended by a signal"),
        ("1013", "# Closed: come back later"),
        ("4001", "# Closed with a code of the application"),
        ("3500", "# Closed with a code of a library or framework"),
        ("-32003", "# Too much at once"),
        ("404", "# The upgrade is refused"),
        ("tls-expired", "# The certificate has expired"),
        ("PIXI_E_TLS_EXPIRED", "# The certificate has expired"),
        ("WS_RSV", "# A frame against the rules"),
        ("ws-rsv", "# A frame against the rules"),
        ("pixi_e_ws_rsv", "# A frame against the rules"),
        ("-80", "# A frame against the rules"),
    ],
)
def test_a_page_is_found(run, asked, title):
    done = run(["pixi-ws-client", "explain", asked])
    assert done.returncode == 0 and not done.stderr
    assert done.stdout.splitlines()[0] == title[2:]


def test_every_code_and_name_has_its_page(root, run):
    """All that the list names leads to a page, and each of these fits into 80 columns."""
    pages = {p.stem: p.read_text(encoding="utf-8") for p in (root / "docs/errors").glob("*.md")}
    for name, text in pages.items():
        done = run(["pixi-ws-client", "explain", name])
        assert done.returncode == 0 and done.stdout.startswith(text.splitlines()[0][2:] + "\n\n"), done
        wide = [line for line in done.stdout.splitlines() if len(line) > 80]
        assert not wide and "](" not in done.stdout and "\x1b" not in done.stdout, (name, wide)
        words = re.sub(r"\]\([^)]*\)|^#+ |^```$|[\[\]]", "", text, flags=re.M).split()
        assert re.sub(r"[\[\]]", "", done.stdout).split() == words, name
    told = run(["pixi-ws-client", "explain"]).stdout
    assert {re.match(r"  (\S+) ", line)[1] for line in told.splitlines() if re.match(r"  \S", line)} == set(pages)
    assert all(len(line) <= 80 for line in told.splitlines())


def test_what_is_not_there(run):
    for asked, says in (
        ("tls-expried", 'did you mean "tls-expired"?'),
        ("wsrsw", 'did you mean "ws-rsv"?'),
        ("PIXI_E_TIMOUT", 'did you mean "timeout"?'),
        ("something-else", "explain lists all there is"),
        ("\x1b[31m", "explain lists all there is"),
    ):
        done = run(["pixi-ws-client", "explain", asked])
        assert done.returncode == 2 and not done.stdout and says in done.stderr and "\x1b" not in done.stderr, done
    assert run(["pixi-ws-client", "explain", "1", "2"]).returncode == 2


# --- how it looks --------------------------------------------------------------------------------------------------


def test_looks_usage(root, run):
    holds(root, "usage", run(["pixi-ws-client", "send", "--retian"]).stderr)


def test_looks_settings(root, run, tmp_path):
    file = tmp_path / "websocket_settings.json"
    file.write_text('{\n  "timeouts": {\n  "connect_ms": "fast"}\n}\n')
    env = {"PIXI_WS_ALLOW_PLAINTEXT": "yes", "PIXI_WS_URL": "ws://127.0.0.1/"}
    done = run(["pixi-ws-client", "--settings", file, "listen"], env=env)
    for line in shown(root, "settings")[0].splitlines():
        text = same(line).removeprefix("websocket_settings.json:3:13: ")
        assert text in done.stderr, (text, done)
    url = {"PIXI_WS_URL": "ws://pixi.example/", "PIXI_WS_API_KEY": KEY}
    done = run(["pixi-ws-client", "listen", "#"], env=url, cwd=tmp_path)
    assert shown(root, "settings")[1] == done.stderr
    file.write_text('{\n    "url": "ws://127.0.0.1/",\n    "api_key_env": "K",\n}\n')
    holds(root, "json", run(["pixi-ws-client", "--settings", file, "listen"]).stderr)


def test_looks_connect(root, client, free_port):
    pixi = client(None, url=f"ws://127.0.0.1:{free_port()}/api/v1", key="")
    holds(root, "connect", pixi.run("send", "a", "1").stderr)


def test_looks_refusals(root, hub, client):
    s = hub()
    holds(root, "upgrade-refused", client(s, url=s.url + "/else").run("send", "a", "1").stderr)
    holds(root, "not-authorised", client(s, key=KEY).run("send", "a", "1").stderr)


def test_looks_calls(root, hub, client):
    s = hub(keys={"narrow": ("event/#", "event/#")})
    pixi = client(s)
    holds(root, "no-responder", pixi.run("request", "request/route").stderr)
    holds(root, "topic", pixi.run("send", "a/#", "1").stderr)
    holds(root, "forbidden", client(s, key=s.keys["narrow"]).run("send", "scene/camera", "1").stderr)
    with Rpc(s) as silent:
        silent.subscribe("request/route")
        holds(root, "timed-out", pixi.run("request", "request/route", "--timeout", "0.2").stderr)
    for line, name in (
        ("{'jsonrpc'", "rpc-parse"),
        ('{"id": 1}', "rpc-request"),
        ('{"jsonrpc": "2.0", "id": 1, "method": "pnig"}', "rpc-method"),
        ('{"jsonrpc": "2.0", "id": 1, "method": "publish", "params": {}}', "rpc-params"),
    ):
        holds(root, name, pixi.run("connect", "--protocol", "pixi.v1", input=line + "\n").stdout)


def test_looks_a_responder_that_fails(root, hub, client):
    s = hub()
    with Rpc(s) as responder:
        responder.subscribe("request/route")
        asker = client(s).spawn("request", "request/route")
        request = responder.note()["request"]
        error = {"code": 4, "message": "no trams at night"}
        responder.call("reply", request=request, error=error)
        assert asker.wait() == 1
        holds(root, "check-failed", asker.err)


@pytest.mark.parametrize(
    "name, says",
    [
        ("protocol-error", b"\xc1\x00"),
        ("frame", b"\xc1\x00"),
        ("utf8", b"\x81\x01\xff"),
        ("closed", peer.close_frame(1012, b"the server restarts")),
        ("close-1002", peer.close_frame(1002, b"no")),
        ("close-1012", peer.close_frame(1012, b"the server restarts")),
        ("too-big", peer.close_frame(1009, b"message over the limit")),
        ("close-3000", peer.close_frame(3000, b"the API key is not valid")),
    ],
)
def test_looks_of_an_open_connection(root, client, name, says):
    with peer.Peer(peer.says(says, first=peer.upgrade, then=peer.hold)) as other:
        holds(root, name, client(other, TIMEOUTS_CLOSE_MS=100).run("request", "a").stderr)


def test_looks_cut_and_silent(root, client):
    with peer.Peer(lambda p, s: (peer.upgrade(p, s), s.shutdown(socket.SHUT_WR), peer.hold(p, s))) as other:
        holds(root, "close-1006", client(other).run("request", "a").stderr)
    with peer.Peer(lambda p, s: (peer.upgrade(p, s), peer.hold(p, s))) as other:
        pixi = client(other, KEEPALIVE_INTERVAL_MS=50, KEEPALIVE_TIMEOUT_MS=50, TIMEOUTS_CLOSE_MS=100)
        holds(root, "silence", pixi.run("request", "a").stderr)


def test_looks_of_an_upgrade_that_fails(root, client, echo):
    with peer.Peer(peer.hold) as other:
        holds(root, "timed-out", client(other, TIMEOUTS_UPGRADE_MS=100).run("send", "a", "1").stderr)
    with peer.Peer(peer.says(b"SSH-2.0-OpenSSH_9.2\r\n", then=peer.hold)) as other:
        holds(root, "http-head", client(other).run("send", "a", "1").stderr)
    with peer.Peer(extended) as other:
        holds(root, "close-1010", client(other).run("send", "a", "1").stderr)
        holds(root, "compression", client(other, COMPRESSION="true").run("send", "a", "1").stderr)
    with peer.Peer(peer.says(b"HTTP/1.1 400 Bad Request\r\n\r\n", then=peer.hold)) as other:
        pixi = client(other, url=other.url.replace("ws:", "wss:"))
        holds(root, "tls-not-tls", pixi.run("send", "a", "1").stderr)


def extended(p, sock):
    """An answer that compresses unasked."""
    head = p.head(sock)
    accept = peer.base64.b64encode(peer.hashlib.sha1(head["sec-websocket-key"] + peer.GUID).digest())
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Protocol: pixi.v1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def test_looks_without_pixi_v1(root, client):
    with peer.Peer(plain) as other:
        holds(root, "subprotocol", client(other).run("send", "a", "1").stderr)


def plain(p, sock):
    """A WebSocket without a subprotocol."""
    head = p.head(sock)
    accept = peer.base64.b64encode(peer.hashlib.sha1(head["sec-websocket-key"] + peer.GUID).digest())
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def test_looks_of_a_proxy(root, client, free_port):
    proxy = f"http://127.0.0.1:{free_port()}"
    pixi = client(None, url="ws://pixi.example/", key="")
    holds(root, "proxy", pixi.run("send", "a", "1", env={"HTTP_PROXY": proxy, "http_proxy": proxy}).stderr)
