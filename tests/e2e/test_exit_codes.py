"""Every exit code of docs/exit-codes.md that can come about, what is said with it, and signals."""

import json
import os
import signal
import subprocess

import pytest

import peer
from rpc import Rpc

USAGE = [
    [],
    ["nothing"],
    ["--nothing"],
    ["--url"],
    ["send"],
    ["send", "a", "b", "c"],
    ["send", "a", "b", "--nothing"],
    ["send", "a", "--file"],
    ["send", "a", "b", "--file", "/dev/null"],
    ["send", "a", "b", "--header", "novalue"],
    ["send", "a", "b", "--header", "=x"],
    ["send", "a", "b", "--expiry", "-1"],
    ["send", "a", "b", "--expiry", "1.5"],
    ["send", "a", "b", "--timeout", "0"],
    ["send", "a", "b", "--timeout", "soon"],
    ["send", b"\xff", "b"],
    ["request"],
    ["request", "a", "b", "c"],
    ["request", "a", "--timeout", "100000000"],
    ["listen", "--count", "0", "a"],
    ["listen", "--count", "many", "a"],
    ["listen", b"\xff"],
    ["connect", "a", "b"],
    ["verify", "a", "b"],
]


@pytest.mark.parametrize("args", USAGE, ids=repr)
def test_2_usage(run, args, tmp_path):
    """Nobody is at that URL: what is wrong is found before anything is tried."""
    done = run(["pixi-ws-client", *map(os.fsdecode, args)], env={"PIXI_WS_URL": "ws://127.0.0.1:1/"}, cwd=tmp_path)
    assert done.returncode == 2, done
    assert done.stderr.startswith("pixi-ws-client") or not args


def test_2_a_topic_or_filter_that_is_none(hub, client):
    pixi = client(hub())
    for args in (["send", "a/#", "1"], ["send", "", "1"], ["request", "+", "1"], ["listen", "a/#/b"], ["listen", ""]):
        done = pixi.run(*args)
        assert done.returncode == 2 and "fix: a topic has no '+'" in done.stderr, done


def test_help_and_version(run):
    for args in (["--help"], ["-h"], ["send", "--help"], ["listen", "-h"], ["--version"], ["-V"], ["verify", "--list"]):
        done = run(["pixi-ws-client", *args])
        assert done.returncode == 0 and done.stdout and not done.stderr, done


@pytest.mark.parametrize(
    "env, says",
    [
        ({}, "found none"),
        ({"PIXI_WS_URL": "http://127.0.0.1/"}, "ws:// or wss://"),
        ({"PIXI_WS_URL": "ws://127.0.0.1/", "PIXI_WS_API_KEY": "short"}, "too short"),
        ({"PIXI_WS_URL": "ws://192.0.2.1/", "PIXI_WS_API_KEY": "k" * 20}, "in clear"),
        ({"PIXI_WS_SETTINGS": "/nowhere/settings.json"}, "/nowhere/settings.json"),
    ],
)
def test_3_settings(run, tmp_path, env, says):
    for args in (["send", "a", "1"], ["listen", "#"], ["request", "a"], ["connect"]):
        done = run(["pixi-ws-client", *args], env=env, cwd=tmp_path)
        assert done.returncode == 3 and says in done.stderr, done
        assert "kkkk" not in done.stderr


def failures(pixi, args=("send", "a", "1")):
    """The exit code and what was said, from the text and from --json: they agree."""
    text, report = pixi.run(*args), pixi.run("--json", *args)
    failure = json.loads(report.stderr)
    assert text.returncode == report.returncode == failure["exit"], text
    assert f"pixi-ws-client: {failure['layer']}: " in text.stderr and "\n  fix: " in text.stderr, text
    return failure["exit"], failure["layer"], failure["cause"], failure["fix"]


def test_4_a_name_that_is_not_there(client, root):
    """Names below .onion are never asked for (RFC 7686): the answer is known without a name server."""
    pixi = client(None, url="ws://pixi.onion/api/v1", key="")
    for args in (["send", "a", "1"], ["request", "a"], ["listen", "#"], ["connect"]):
        code, layer, cause, fix = failures(pixi, args)
        assert (code, layer) == (4, "name") and "pixi.onion: no such name" in cause and "/etc/hosts" in fix
    done = pixi.run("verify")
    assert done.returncode == 4 and "layer: name" in done.stdout
    page = (root / "docs/errors/name.md").read_text(encoding="utf-8")
    assert pixi.run("send", "a", "1").stderr.replace("pixi.onion", "pixi.example") in page


def test_14_no_descriptors_left(client, command, root):
    pixi = client(None, url="ws://127.0.0.1:1/", key="")
    program = command(["pixi-ws-client"])[0]
    page = (root / "docs/errors/internal.md").read_text(encoding="utf-8")
    for words in ("send a 1", "request a", "listen '#'", "connect"):
        proc = pixi.shell(f"ulimit -n 4; exec {program} {words}")
        assert proc.wait() == 14 and proc.err in page, (words, proc)


def test_5_nobody_there(client, free_port):
    pixi = client(None, url=f"ws://127.0.0.1:{free_port()}/api/v1", key="")
    for args in (["send", "a", "1"], ["request", "a"], ["listen", "#"], ["connect"]):
        code, layer, cause, fix = failures(pixi, args)
        assert (code, layer) == (5, "tcp") and "refused" in cause and "pixi-ws-server" in fix


def test_5_ipv6(client):
    assert failures(client(None, url="ws://[::1]:1/", key=""))[:2] == (5, "tcp")


def test_6_a_port_without_tls(client):
    with peer.Peer(peer.says(b"HTTP/1.1 400 Bad Request\r\n\r\n", then=peer.hold)) as other:
        assert failures(client(other, url=other.url.replace("ws:", "wss:")))[:2] == (6, "tls")


def test_7_another_path(hub, client):
    s = hub()
    code, layer, cause, fix = failures(client(s, url=s.url + "/else"))
    assert (code, layer) == (7, "upgrade") and "404" in cause and "/api/v1" in fix


MOVED = b"HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:1/\r\n\r\n"


@pytest.mark.parametrize(
    "talk, says",
    [
        (peer.says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", first=peer.read_head), "200"),
        (peer.says(MOVED, first=peer.read_head), "points to ws://127.0.0.1:1/"),
        (peer.says(b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\n\r\n", first=peer.read_head), "503"),
        (peer.says(b"SSH-2.0-OpenSSH_9.2\r\n", then=peer.hold), "no WebSocket upgrade"),
        (peer.says(b"", first=peer.read_head), "without an answer"),
    ],
    ids=["page", "redirect", "busy", "ssh", "nothing"],
)
def test_7_something_else_listens(client, talk, says):
    with peer.Peer(talk) as other:
        code, layer, cause, fix = failures(client(other))
        assert (code, layer) == (7, "upgrade") and says in cause


def test_8_keys(hub, client):
    s = hub()
    for key in ("pk_" + "x" * 43, ""):
        code, layer, cause, fix = failures(client(s, key=key))
        assert (code, layer) == (8, "key") and "401" in cause and "key add" in fix


def test_9_a_peer_that_breaks_the_protocol(client):
    with peer.Peer(peer.says(b"\xc1\x00", first=peer.upgrade, then=peer.hold)) as other:
        code, layer, cause, fix = failures(client(other))
        assert (code, layer) == (9, "protocol") and "RFC 6455 §5.2" in cause and "verify" in fix


def test_10_no_upgrade_in_time(client):
    with peer.Peer(peer.hold) as other:
        assert failures(client(other, TIMEOUTS_UPGRADE_MS=200))[:2] == (10, "upgrade")


def test_10_no_answer_in_time(hub, client):
    with peer.Peer(lambda p, s: (peer.upgrade(p, s), peer.hold(p, s))) as other:
        pixi = client(other, TIMEOUTS_CLOSE_MS=100)
        assert failures(pixi, ["send", "a", "1", "--timeout", "0.2"])[:2] == (10, "request")
    s = hub()
    with Rpc(s) as silent:
        silent.subscribe("request/silent")
        assert failures(client(s), ["request", "request/silent", "--timeout", "0.2"])[:2] == (10, "request")


def test_11_closed_by_the_peer(hub, client):
    for code in (1000, 1001, 1011, 1013, 4000):
        talk = peer.says(peer.close_frame(code, "über".encode()), first=peer.upgrade, then=peer.hold)
        with peer.Peer(talk) as other:
            got = failures(client(other, TIMEOUTS_CLOSE_MS=100), ["request", "a"])
            assert got[0] == 11 and f"{code}: über" in got[2], got
    s = hub()
    with Rpc(s) as silent:
        silent.subscribe("request/silent")
        asker = client(s).spawn("request", "request/silent")
        silent.note()
        s.proc.kill()
        assert asker.wait() == 11, asker


def test_a_close_code_that_is_final_ends_a_listener(client):
    for code, ends_with in ((1000, 11), (3000, 8), (3003, 8)):
        with peer.Peer(peer.says(peer.close_frame(code), first=peer.upgrade, then=peer.hold)) as other:
            done = client(other, TIMEOUTS_CLOSE_MS=100).run("listen", "#")
            assert done.returncode == ends_with and str(code) in done.stderr and len(other.heads) == 1, done


def test_a_revoked_key_ends_a_listener(hub, client, run, tmp_path):
    """Trying on would only fill logs."""
    s = hub()
    listener = client(s, RECONNECT_INITIAL_MS=1).listen("#")
    assert run(["pixi-ws-server", "key", "revoke", "test", "--keys", tmp_path / "server.keys"]).returncode == 0
    s.proc.kill()
    hub(port=s.port)
    assert listener.wait() == 8 and "401" in listener.err and listener.err.count("fix:") == 1


def test_12_no_responder(hub, client):
    s = hub()
    pixi = client(s)
    for topic in ("request/nobody", "event/answers/nothing"):
        assert failures(pixi, ["request", topic])[:2] == (12, "request")
    with Rpc(s) as link:
        link.subscribe("#")  # does not begin with the word itself
        assert failures(pixi, ["request", "request/nobody"])[0] == 12


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_signals(hub, client, sig):
    """Each command in the middle of its work."""
    s = hub()
    pixi = client(s)
    with Rpc(s) as silent:
        silent.subscribe("request/silent")
        busy = [pixi.listen("#"), pixi.spawn("request", "request/silent"), pixi.spawn("send", "event/a", "-")]
        busy += [pixi.spawn("connect", "--protocol", "pixi.v1")]
        busy[0].wait_line("listening")
        silent.note()
        busy[2].write("1\n")
        busy[0].wait_line("event/a")
        busy[3].write('{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        busy[3].wait_line("time_ms")
        for proc in busy:
            os.kill(proc.pid, sig)
        assert [p.wait() for p in busy] == [0, 128 + sig, 128 + sig, 128 + sig]
        assert not any("fix:" in p.err for p in busy)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_signals_before_there_is_a_link(client, sig):
    """While the server says nothing, and while waiting to try again."""
    with peer.Peer(peer.hold) as other:
        pixi = client(other)
        busy = []
        for args in (["listen", "#"], ["request", "a"], ["send", "a", "1"], ["connect"]):
            busy.append(pixi.spawn(*args))
            assert other.accepted.acquire(timeout=20)
        waiting = client(None, url="ws://127.0.0.1:1/", key="", RECONNECT_INITIAL_MS=100000, RECONNECT_MAX_MS=100000)
        busy.append(waiting.spawn("listen", "--retry", "#"))
        busy[-1].wait_line("trying again")
        for proc in busy:
            os.kill(proc.pid, sig)
        assert [p.wait() for p in busy] == [0, 128 + sig, 128 + sig, 128 + sig, 0]


def test_a_second_interrupt_does_not_wait(client):
    """The peer does not answer the close: the first signal waits for it, the second does not."""
    with peer.Peer(lambda p, s: (peer.upgrade(p, s), peer.hold(p, s))) as other:
        pixi = client(other, TIMEOUTS_CLOSE_MS=600000)
        for args, code in ((["listen", "#"], 0), (["send", "a", "1"], 130)):
            proc = pixi.spawn(*args)
            assert other.upgraded.acquire(timeout=20)
            os.kill(proc.pid, signal.SIGINT)
            os.kill(proc.pid, signal.SIGTERM)  # two of a kind may become one
            assert proc.wait() == code


def into(pixi, command, args, stdout):
    """Its exit code and what it says, its standard output being this."""
    done = subprocess.run(
        command(["pixi-ws-client", *args]), stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True,
        env={**pixi.process_env, **pixi.env}, cwd=pixi.cwd, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_nobody_reads(hub, client, command, env):
    """As with `| head`: no failure is told; the code is SIGPIPE's, but for what ends that way."""
    pixi = client(hub())
    pixi.process_env = env
    pixi.ok("send", "--retain", "event/kept", "1")
    pixi.listen("request/q", "--reply", "1")
    for args, wanted in (
        (["--help"], (-signal.SIGPIPE, 141)),
        (["explain", "7"], (-signal.SIGPIPE, 141)),
        (["config", "show"], (-signal.SIGPIPE, 141)),
        (["verify"], (141,)),
        (["request", "request/q"], (141,)),
        (["--json", "send", "event/a", "1"], (141,)),
        (["send", "event/a", "1"], (0,)),
        (["listen", "event/kept"], (0,)),
        (["connect", "--protocol", "pixi.v1"], (0,)),
    ):
        ours, theirs = os.pipe()
        os.close(ours)
        code, said = into(pixi, command, args, theirs)
        os.close(theirs)
        assert code in wanted and "fix:" not in said and "could be written" not in said, (args, code, said)


def test_14_a_full_disk(hub, client, command, env):
    pixi = client(hub())
    pixi.process_env = env
    pixi.ok("send", "--retain", "event/kept", "1")
    pixi.listen("request/q", "--reply", "1")
    for args in (
        ["--help"], ["explain", "7"], ["verify"], ["request", "request/q"], ["listen", "event/kept"], ["config", "show"],
    ):  # fmt: skip
        with open("/dev/full", "wb") as full:
            code, said = into(pixi, command, args, full)
        assert code == 14 and "disk: standard output cannot be written: " in said, (args, code, said)


@pytest.mark.parametrize(
    "args, means",
    [
        (["pixi-ws-client", "--jsno"], "--json"),
        (["pixi-ws-client", "--setings=x"], "--settings"),
        (["pixi-ws-client", "send", "--retian"], "--retain"),
        (["pixi-ws-client", "connect", "--protocols", "x"], "--protocol"),
        (["pixi-ws-client", "listen", "--no-retaind"], "--no-retained"),
        (["pixi-ws-client", "verify", "--halp"], "--help"),
        (["pixi-ws-server", "--lisen", "x"], "--listen"),
        (["pixi-ws-server", "key", "add", "x", "--publsh", "#"], "--publish"),
        (["pixi-ws-server", "config", "--jason"], "--json"),
        (["pixi-ws-client", "lsten"], '"listen"'),
        (["pixi-ws-server", "kye"], '"key"'),
    ],
    ids=lambda a: a[-1] if isinstance(a, list) else None,
)
def test_2_the_nearest_right_one(run, args, means):
    done = run(args)
    assert done.returncode == 2 and not done.stdout and f"did you mean {means}?" in done.stderr, done


def test_2_nothing_is_near(run):
    for args in (["--frobnicate"], ["send", "--frobnicate"], ["-x"], ["send", "-q", "a", "b"], ["--json=1"]):
        done = run(["pixi-ws-client", *args])
        assert done.returncode == 2 and "did you mean" not in done.stderr and args[0].split("=")[0] in done.stderr + "send"
