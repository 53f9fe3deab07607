"""verify where something is wrong, as people meet it: exit code, layer, cause and fix, for people and for programs."""

import json
import os
import re
import signal

import pytest

import metrics
import peer
from proxy import Proxy
from rpc import Rpc

TIMES = {"TIMEOUTS_UPGRADE_MS": 300, "TIMEOUTS_REQUEST_MS": 300, "TIMEOUTS_CLOSE_MS": 300}


def check_text(text):
    """A person reads this: 80 columns, unless a word alone is longer."""
    for line in text.splitlines():
        words = line.split()
        assert len(line) <= 80 or len(words) <= 2 or max(map(len, words)) > 40, line
        assert line == line.rstrip() and "\033" not in line, line
    last = text.splitlines()[-1]
    counts = r"\d+ ok, \d+ failed, \d+ skipped in [\d.]+ s(, stopped .*)?"
    assert re.fullmatch("(NOT )?verified: " + counts, last), last


def squeeze(text):
    return " ".join(text.split())


def fails(pixi, exit_code, name, layer, cause, fix, *args):
    """verify ends so, for people and for programs; the report."""
    text, done = pixi.run("verify", *args), pixi.run("--json", "verify", *args)
    check_text(text.stdout)
    report = json.loads(done.stdout)
    assert text.returncode == done.returncode == report["exit"] == exit_code, text.stdout
    assert text.stderr == done.stderr == ""
    failed = next(c for c in report["checks"] if c["verdict"] == "failed")
    assert (failed["id"], failed["layer"], failed["exit"]) == (name, layer, exit_code)
    assert cause in failed["cause"] and fix in failed["fix"], failed
    said = squeeze(text.stdout)
    assert f"FAILED {name} wanted: {failed['title']} layer: {layer} cause: " in said
    assert f"fix: {squeeze(failed['fix'])}" in said and cause in said
    assert all(c["reason"] for c in report["checks"] if c["verdict"] == "skipped")
    key = pixi.env.get("PIXI_WS_API_KEY")
    assert not key or key not in text.stdout + done.stdout
    return report


def test_a_good_server(hub, client):
    pixi = client(hub())
    done = pixi.run("verify")
    assert done.returncode == 0 and done.stderr == "", done.stdout
    check_text(done.stdout)
    assert "FAILED" not in done.stdout and done.stdout.splitlines()[-1].startswith("verified: ")
    report = json.loads(pixi.ok("--json", "verify"))
    assert report["verdict"] == "verified" and not report["failed"] and not report["stopped"]
    skipped = [c["id"] for c in report["checks"] if c["verdict"] == "skipped"]
    assert skipped and all(name.startswith(("proxy", "tls", "echo-", "mqtt", "deflate-")) for name in skipped), skipped
    rows = [line.split()[:2] for line in pixi.ok("verify", "--list").splitlines()]
    assert rows == [[c["layer"], c["id"]] for c in report["checks"]]


def test_it_leaves_nothing_behind(hub, client):
    """No retained message, nothing still connected."""
    s = hub()
    client(s).ok("verify")
    with Rpc(s) as link:
        link.subscribe("#")
        assert link.notes() == []
    assert s.proc.stop() == 0


def test_the_server_is_down(client, free_port):
    pixi = client(None, url=f"ws://127.0.0.1:{free_port()}/api/v1", key="")
    report = fails(pixi, 5, "tcp", "tcp", "Connection refused", "start the server (pixi-ws-server)")
    assert report["skipped"] + 4 == len(report["checks"])


def test_a_wrong_key(hub, client):
    pixi = client(hub(), key="pk_" + "w" * 43)
    cause = "does not accept the API key from environment: PIXI_WS_API_KEY"
    fails(pixi, 8, "upgrade", "key", cause, "that this server knows")


def test_no_key(hub, client):
    fails(client(hub(), key=""), 8, "upgrade", "key", "wants an API key, and the settings have none", "api_key_file")


def test_a_key_that_may_do_too_little(hub, client):
    s = hub(keys={"narrow": ("event/else", "event/else")})
    report = fails(client(s, key=s.keys["narrow"]), 8, "request", "key", "", "event/verify/")
    assert {c["id"] for c in report["checks"] if c["verdict"] == "failed"} >= {"request", "publish"}


def answers(*lines):
    head = "HTTP/1.1 " + "".join(f"{line}\r\n" for line in (*lines, ""))
    return peer.says(head.encode(), first=peer.read_head)


@pytest.mark.parametrize(
    "talk, code, layer, cause, fix",
    [
        (peer.says(b"SSH-2.0-OpenSSH_9.2p1\r\n", then=peer.hold), 7, "upgrade", "SSH server", "port"),
        (peer.says(b"220 mail ESMTP\r\n", then=peer.hold), 7, "upgrade", "mail or FTP", "port"),
        (peer.says(b"\x15\x03\x01\x00\x02\x02\x46", first=peer.read_head), 7, "upgrade", "TLS", "wss://"),
        (peer.says(b"", first=peer.read_head), 7, "upgrade", "nothing came before", "log"),
        (peer.hold, 10, "upgrade", "nothing came within 300 ms", "upgrade_ms"),
        (answers("200 OK", "Content-Length: 0"), 7, "upgrade", "web page", "path"),
        (answers("404 Not Found", "Content-Length: 0"), 7, "upgrade", "404", "/api/v1"),
        (answers("302 Found", "Location: http://x/"), 7, "upgrade", "http://x/", "ws://"),
        (answers("502 Bad Gateway"), 7, "upgrade", "proxy", "behind the proxy"),
        (answers("503 Busy", "Retry-After: 9"), 7, "upgrade", "Retry-After: 9", "wait"),
    ],
    ids=["ssh", "mail", "tls", "nothing", "silence", "page", "404", "redirect", "bad gateway", "busy"],
)
def test_something_else_listens(client, talk, code, layer, cause, fix):
    with peer.Peer(talk) as other:
        fails(client(other, **TIMES), code, "upgrade", layer, cause, fix)


def test_another_path(hub, client):
    s = hub()
    fails(client(s, url=s.url.replace("/api/v1", "/api/v2")), 7, "upgrade", "upgrade", "404", "/api/v1")


def test_settings(run, client, tmp_path, settings):
    """What is wrong in the file is said before verify begins."""
    file = settings(url="ws://127.0.0.1:1/", timeouts__connect_ms="fast")
    done = run(["pixi-ws-client", "--settings", file, "verify"], cwd=tmp_path)
    assert done.returncode == 3 and "connect_ms" in done.stderr and not done.stdout
    done = run(["pixi-ws-client", "verify"], cwd=tmp_path)
    assert done.returncode == 3 and "url" in done.stderr


def test_our_echo_server(echo, client):
    s = echo()
    pixi = client(s, key="", url=f"ws://{s.host}:{s.port}/")
    report = json.loads(pixi.ok("--json", "verify"))
    checks = {c["id"]: c for c in report["checks"]}
    for name in ("echo-text", "echo-binary", "fragments", "unmasked"):
        assert checks[name]["verdict"] == "ok", checks[name]
    for name in ("info", "request", "publish", "resume", "length"):
        assert checks[name]["verdict"] == "skipped" and checks[name]["reason"], checks[name]
    check_text(pixi.ok("verify"))


def frames_of(head_and_frames):
    """First byte and mask bit of each frame behind the request."""
    at, out = head_and_frames.index(b"\r\n\r\n") + 4, []
    while at + 2 <= len(head_and_frames):
        first, second = head_and_frames[at : at + 2]
        size, at = second & 127, at + 2
        if size >= 126:
            more = 2 if size == 126 else 8
            size, at = int.from_bytes(head_and_frames[at : at + more], "big"), at + more
        at += 4 * (second >> 7) + size
        out.append((first, second >> 7))
    assert at == len(head_and_frames)
    return out


class Recorder(Proxy):
    """Keeps what clients sent, a connection each."""

    def __init__(self, server):
        super().__init__(server)
        self.sent = {}

    def carried(self, connection, is_from_client, data):
        if is_from_client:
            self.sent[connection] = self.sent.get(connection, b"") + data


def test_quick_sends_nothing_invalid(hub, client):
    """Nor anything that changes the server: the frames of every connection are whole, masked, and known."""
    s = hub()
    with Recorder(s) as recorder:
        pixi = client(s, url=recorder.url)
        report = json.loads(pixi.ok("--json", "verify", "--quick"))
        sent = [data for data in recorder.sent.values() if data]
        frames = [frame for data in sent for frame in frames_of(data)]
        assert len(sent) >= 4 and len(frames) >= 15
        assert all(first in (0x81, 0x82, 0x88, 0x89, 0x8A) and is_masked for first, is_masked in frames), frames
        assert not {c["layer"] for c in report["checks"]} & {"protocol", "reconnect", "close"}
        recorder.sent.clear()
        pixi.ok("verify")
        assert len(recorder.sent) > len(sent) + 10  # all of it does go through here


def test_quick_is_light(hub, client):
    """It is a container's health check: two messages, nobody refused, and every connection closed in good order."""
    s = hub(log__level="debug", metrics__listen=["127.0.0.1:0"])
    client(s).ok("verify", "--quick")
    counted = metrics.samples(s)
    calls = {name: value for name, value in counted.items() if name.startswith("pixi_calls_total{")}
    assert calls['pixi_calls_total{method="publish",result="ok"}'] == 1
    assert calls['pixi_calls_total{method="request",result="ok"}'] == 1
    assert all('result="ok"' in name for name, value in calls.items() if value), calls
    assert s.proc.stop() == 0 and "refused" not in s.proc.err, s.proc.err


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(client, sig):
    with peer.Peer(peer.hold) as other:
        for args in (["verify"], ["--json", "verify"]):
            proc = client(other, TIMEOUTS_UPGRADE_MS=600000).spawn(*args)
            other.accepted.acquire(timeout=20)  # the check whether the port answers
            other.accepted.acquire(timeout=20)  # the upgrade
            os.kill(proc.pid, sig)
            assert proc.wait() == 128 + sig, proc
            if args == ["verify"]:
                check_text(proc.out)
                assert "stopped before its end" in proc.out
            else:
                report = json.loads(proc.out)
                assert report["stopped"] is True and report["verdict"] == "not verified"
                assert next(c for c in report["checks"] if c["id"] == "upgrade")["verdict"] == "skipped"


def test_a_server_that_goes_away_meanwhile(hub, client):
    """Every check after that fails or is skipped, none hangs, and the first that failed gives the exit code."""
    s = hub()
    with Proxy(s) as proxy:
        proxy.cut_at_random(7, 3000, 10_000)
        pixi = client(s, url=proxy.url, **TIMES)
        for _ in range(2):
            done = pixi.run("--json", "verify")
            report = json.loads(done.stdout)
            failed = [c for c in report["checks"] if c["verdict"] == "failed"]
            assert failed and done.returncode == failed[0]["exit"] != 14
            assert all(c["cause"] and c["fix"] for c in failed)
