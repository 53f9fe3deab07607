"""verify against peers that break one rule each: that check fails, what needs it is skipped, all else passes."""

import json
import os
import signal

import pytest

import peers

PROGRAM = os.environ.get("PIXI_VERIFY_BIN", "pixi-ws-client")
KEY = "Zk3-verify_broken.peers-7Qx"
TIMES = {"connect_ms": 2000, "upgrade_ms": 1500, "request_ms": 1500, "close_ms": 800}
TLS = {"proxy", "tls", "tls-resume"}  # of ws:// without a proxy skipped
NOT_PIXI = TLS | {"echo-text", "echo-binary"}  # what a good Pixi server has skipped
BROKEN = {
    "unmasked", "opcode", "opcode-control", "reserved-bit", "text-utf8", "ping-fragmented", "ping-long",
    "continuation", "start-inside", "close-code", "close-short", "close-utf8", "length",
}  # fmt: skip
RESUMES = {"resume", "resume-cut", "resume-beyond"}
PUBLISHES = {"publish-binary", "unsubscribe"} | RESUMES
CALLS = {"request", "request-nobody", "publish", "ping-call", "length"} | PUBLISHES
PONGS = {"ping-between", "reconnect"} | RESUMES
ADMITTED = (
    {"key-missing", "key-wrong", "info", "ping", "close", "fragments", "reconnect", "ping-between"} | CALLS | BROKEN
)
AFTER_UPGRADE = {"key", "echo-text", "echo-binary"} | ADMITTED
AFTER_TLS = {"tls-resume", "upgrade"} | AFTER_UPGRADE
AFTER_TCP = {"proxy", "tls"} | AFTER_TLS


@pytest.fixture
def verify(run, tmp_path):
    """verify(url, key=None, *flags, **settings): the report, after the checks that hold for every report."""

    def verify(url, key=None, *flags, **settings):
        file = tmp_path / "settings.json"
        timeouts = {**TIMES, **settings.pop("timeouts", {})}
        file.write_text(json.dumps({"url": url, "timeouts": timeouts, **settings}))
        file.chmod(0o600)
        env = {"PIXI_WS_API_KEY": key} if key else {}
        done = run([PROGRAM, "--settings", file, "--json", "verify", *flags], env=env)
        assert KEY not in done.stdout + done.stderr, "the key was shown"
        report = json.loads(done.stdout)
        assert report["exit"] == done.returncode
        return check_form(report)

    return verify


def check_form(report):
    """What every report holds, whatever came out."""
    rows = report["checks"]
    failed = [c for c in rows if c["verdict"] == "failed"]
    assert report["exit"] == (failed[0]["exit"] if failed else 0)
    assert report["verdict"] == ("not verified" if failed else "verified")
    for row in rows:
        if row["verdict"] == "failed":
            assert row["cause"] and row["fix"] and row["exit"], row
            assert row["exit"] != 14, row
        elif row["verdict"] == "skipped":
            assert row["reason"], row
        else:
            assert row["verdict"] == "ok" and row["measured"], row
    return report


def speaks_no_mqtt(report):
    return all(c["verdict"] == "skipped" for c in report["checks"] if c["id"].startswith("mqtt"))


def is_other(check):
    """Of a family that has its own tests: test_verify_mqtt.py, test_verify_deflate.py."""
    return check["id"].startswith(("mqtt", "deflate"))


def ids(report, verdict):
    return {c["id"] for c in report["checks"] if c["verdict"] == verdict and not is_other(c)}


def expect(report, failed, skipped, exit_code, layer, word):
    """Exactly this row has failed, exactly these were skipped."""
    assert speaks_no_mqtt(report)
    assert ids(report, "failed") == {failed}, [c for c in report["checks"] if c["verdict"] == "failed"]
    assert ids(report, "skipped") == skipped
    row = next(c for c in report["checks"] if c["id"] == failed)
    assert (row["exit"], row["layer"]) == (exit_code, layer), row
    assert word in row["cause"] + " " + row["fix"], row


# The rule a Pixi server breaks: the row that fails, exit code, layer, a word of cause or fix, what is skipped for it.
PIXI_BREAKS = {
    "upgrade-accept": ("upgrade", 7, "upgrade", "Sec-WebSocket-Accept", AFTER_UPGRADE),
    "upgrade-field": ("upgrade", 7, "upgrade", "Upgrade", AFTER_UPGRADE),
    "upgrade-version": ("upgrade", 7, "upgrade", "HTTP/1.0", AFTER_UPGRADE),
    "upgrade-extension": ("upgrade", 7, "upgrade", "permessage-deflate", AFTER_UPGRADE),
    "upgrade-subprotocol": ("upgrade", 7, "upgrade", "chat", AFTER_UPGRADE),
    "key": ("key", 8, "key", "3000", ADMITTED),
    "key-missing": ("key-missing", 8, "key", "without a key", set()),
    "key-status": ("key-missing", 8, "key", "403", set()),
    "key-challenge": ("key-missing", 8, "key", "WWW-Authenticate", set()),
    "key-wrong": ("key-wrong", 8, "key", "nobody gave out", set()),
    "info": ("info", 1, "request", "version", CALLS | {"fragments", "ping-between"}),
    "answer-version": ("key", 9, "key", "JSON-RPC", ADMITTED),
    "answer-json": ("key", 9, "key", "no JSON", ADMITTED),
    "answer-silent": ("key", 10, "key", "did not come", ADMITTED),
    "request-lost": ("request", 10, "request", "responder", set()),
    "request-refused": ("request", 12, "request", "-32004", set()),
    "request-anonymous": ("request", 1, "request", "not the request", set()),
    "request-changed": ("request", 1, "request", "changed", set()),
    "request-swallowed": ("request", 10, "request", "answer to", set()),
    "request-nobody": ("request-nobody", 1, "request", "-32004", set()),
    "request-nobody-code": ("request-nobody", 1, "request", "-32603", set()),
    "request-nobody-silent": ("request-nobody", 10, "request", "did not come", set()),
    "publish-forbidden": ("publish", 8, "key", "event/verify/#", PUBLISHES),
    "subscribe-forbidden": ("publish", 8, "key", "event/verify/#", PUBLISHES),
    "publish-changed": ("publish", 1, "publish", "changed", PUBLISHES),
    "publish-order": ("publish", 1, "publish", "too early", PUBLISHES),
    "publish-loses": ("publish", 1, "publish", "lost", PUBLISHES),
    "publish-filter": ("publish", 1, "publish", "filter", PUBLISHES),
    "publish-twice": ("publish", 1, "publish", "twice", PUBLISHES),
    "publish-binary": ("publish-binary", 1, "publish", "payload_base64", set()),
    "unsubscribe": ("unsubscribe", 1, "publish", "ended", set()),
    "ping": ("ping", 9, "ping", "pong", PONGS),
    "ping-silent": ("ping", 10, "ping", "pong", PONGS),
    "ping-call": ("ping-call", 1, "ping", "time_ms", set()),
    "close-silent": ("close", 10, "close", "did not come", set()),
    "close-none": ("close", 11, "close", "without a close frame", set()),
    "close-other": ("close", 9, "close", "1001", set()),
    "close-open": ("close", 10, "close", "kept the connection open", set()),
    "fragments": ("fragments", 9, "protocol", "fragmented", {"ping-between"}),
    "ping-between": ("ping-between", 10, "protocol", "pong", set()),
    "reconnect": ("reconnect", 7, "upgrade", "crash", RESUMES),
    "resume-beyond": ("resume-beyond", 1, "reconnect", "beyond", set()),
    **{rule: (rule, 9, "protocol", "100", set()) for rule in sorted(BROKEN)},
}


@pytest.mark.parametrize("rule", PIXI_BREAKS)
def test_one_broken_rule_fails_one_check(verify, rule):
    failed, exit_code, layer, word, skipped = PIXI_BREAKS[rule]
    with peers.PixiServer(rule, KEY) as peer:
        expect(verify(peer.url, KEY), failed, skipped | NOT_PIXI, exit_code, layer, word)


# Rules that more than one check proves: all of them fail.
PIXI_BREAKS_SEVERAL = {
    "resume-never": ({"resume", "resume-cut"}, 1, "recover"),
    "resume-loses": ({"resume", "resume-cut"}, 1, "awaited"),
    "resume-repeats": ({"resume", "resume-cut"}, 1, "awaited"),
    "refuse-code": (BROKEN, 9, "1008"),
    "refuse-hang": (BROKEN, 10, "neither refused"),
}


@pytest.mark.parametrize("rule", PIXI_BREAKS_SEVERAL)
def test_one_broken_rule_fails_several_checks(verify, rule):
    failed, exit_code, word = PIXI_BREAKS_SEVERAL[rule]
    with peers.PixiServer(rule, KEY) as peer:
        report = verify(peer.url, KEY, timeouts={"close_ms": 300})
    assert ids(report, "failed") == failed
    assert ids(report, "skipped") == NOT_PIXI
    for row in report["checks"]:
        if row["verdict"] == "failed":
            assert row["exit"] == exit_code and word in row["cause"], row


def test_a_good_pixi_server_passes(verify):
    with peers.PixiServer(key=KEY) as peer:
        report = verify(peer.url, KEY)
    assert report["exit"] == 0
    assert ids(report, "skipped") == NOT_PIXI


def test_a_good_pixi_server_passes_byte_by_byte(verify):
    with peers.PixiServer(key=KEY, drip=True) as peer:
        assert ids(verify(peer.url, KEY), "skipped") == NOT_PIXI


def test_refusing_by_hanging_up_passes(verify):
    with peers.PixiServer("refuse-silent", KEY) as peer:
        assert verify(peer.url, KEY)["exit"] == 0


def test_without_a_key_the_key_checks_are_skipped(verify):
    with peers.PixiServer() as peer:
        report = verify(peer.url)
    assert report["exit"] == 0
    skipped = {c["id"]: c["reason"] for c in report["checks"] if c["verdict"] == "skipped" and not is_other(c)}
    assert set(skipped) == NOT_PIXI | {"key", "key-missing", "key-wrong"}
    assert skipped["key"] == "there is no API key to send"


def test_without_history_resuming_is_skipped(verify):
    with peers.PixiServer("no-history", KEY) as peer:
        report = verify(peer.url, KEY)
    assert report["exit"] == 0
    assert ids(report, "skipped") == NOT_PIXI | RESUMES


@pytest.mark.parametrize("kind", [peers.EchoServer, peers.SelectingEcho])
def test_an_echo_is_checked_as_an_echo(verify, kind):
    with kind() as peer:
        report = verify(peer.url)
    assert report["exit"] == 0
    assert {"echo-text", "echo-binary", "ping", "fragments", "close", "reconnect"} <= ids(report, "ok")
    assert ids(report, "skipped") == TLS | {"key", "key-missing", "key-wrong", "info"} | CALLS


def test_another_server_is_checked_as_far_as_that_goes(verify):
    with peers.QuietServer() as peer:
        report = verify(peer.url)
    assert report["exit"] == 0
    assert {"ping", "close", "reconnect"} | BROKEN - {"length"} <= ids(report, "ok")
    assert {"echo-text", "fragments", "info"} <= ids(report, "skipped")


# An echo's broken rules: the row that fails, exit code, layer, a word, what is skipped beside what is Pixi's.
ECHO_BREAKS = {
    "echo-text": ("echo-text", 9, "request", "mask", {"echo-binary", "fragments", "ping-between"}),
    "echo-binary": ("echo-binary", 11, "request", "1003", set()),
}


@pytest.mark.parametrize("rule", ECHO_BREAKS)
def test_an_echo_that_breaks_a_rule(verify, rule):
    failed, exit_code, layer, word, skipped = ECHO_BREAKS[rule]
    with peers.EchoServer(rule) as peer:
        report = verify(peer.url)
    pixi = TLS | {"key", "key-missing", "key-wrong", "info"} | CALLS
    expect(report, failed, pixi | skipped, exit_code, layer, word)


def test_quick_stops_after_ping_and_sends_nothing_invalid(verify):
    with peers.PixiServer(key=KEY) as peer:
        report = verify(peer.url, KEY, "--quick")
    assert report["exit"] == 0
    listed = {c["id"] for c in report["checks"]}
    assert {"upgrade", "key", "request", "publish", "ping"} <= listed
    assert not listed & (BROKEN | RESUMES | {"key-missing", "key-wrong", "close", "fragments", "reconnect"})


def head(status, *fields, body=b""):
    lines = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


PROBLEM = json.dumps({"title": "Bad", "detail": f"no {KEY} here"}).encode()

# What a peer says to the request: exit code, layer, words that cause and fix hold.
ANSWERS = {
    "200": (head("200 OK", body=b"<html>"), 7, "upgrade", ["200", "web page", "/api/v1"]),
    "301": (head("301 Moved", f"Location: http://x.example/{KEY}"), 7, "upgrade", ["x.example/***", "not followed"]),
    "302-nowhere": (head("302 Found"), 7, "upgrade", ["nowhere", "no key was sent"]),
    "307": (head("307 Later", "Location: https://y.example/api"), 7, "upgrade", ["https://y.example/api", "wss://"]),
    "400": (head("400 Bad", "Content-Type: application/problem+json", body=PROBLEM), 7, "upgrade", ["no *** here"]),
    "401": (head("401 No", "WWW-Authenticate: Bearer"), 8, "key", ["401", "API key", "put a key"]),
    "403": (head("403 No"), 8, "key", ["403", "allow"]),
    "404": (head("404 No"), 7, "upgrade", ["404", "/api/v1"]),
    "405": (head("405 No"), 7, "upgrade", ["405"]),
    "407": (head("407 No"), 7, "upgrade", ["proxy"]),
    "408": (head("408 No"), 10, "upgrade", ["slow"]),
    "426": (head("426 No", "Sec-WebSocket-Version: 13"), 7, "upgrade", ["426", "version"]),
    "429": (head("429 No", "Retry-After: 30"), 7, "upgrade", ["Retry-After: 30", "wait"]),
    "431": (head("431 No"), 7, "upgrade", ["shorten"]),
    "500": (head("500 Oops"), 7, "upgrade", ["500", "log"]),
    "502": (head("502 Oops"), 7, "upgrade", ["behind"]),
    "503": (head("503 Later", "Retry-After: 5"), 7, "upgrade", ["503", "Retry-After: 5"]),
    "504": (head("504 Later"), 7, "upgrade", ["behind"]),
    "garbage": (b"\x00\x01\xfe garbage \x1b[31m\r\n\r\n", 7, "upgrade", ["\\x00\\x01\\xfe garbage \\x1b", "not HTTP"]),
    "garbage-key": (f"? {KEY}\r\n\r\n".encode(), 7, "upgrade", ["? ***"]),
    "echo-of-request": (f"GET /api/v1 HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode(), 7, "upgrade", ["back"]),
    "tls-alert": (b"\x15\x03\x01\x00\x02\x02\x46", 7, "upgrade", ["TLS alert", "wss://"]),
    "http2": (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00", 7, "upgrade", ["HTTP/2"]),
    "ftp": (b"220 ready\r\n", 7, "upgrade", ["FTP"]),
    "close-at-once": (b"", 7, "upgrade", ["closed", "nothing came"]),
    "half-then-close": (b"HTTP/1.1 101 Swi", 7, "upgrade", ["closed", "16 bytes"]),
    "bare-newlines": (b"HTTP/1.1 101 Yes\nUpgrade: websocket\n\n", 7, "upgrade", ["malformed"]),
    "bad-field": (b"HTTP/1.1 101 Yes\r\nUpgrade websocket\r\n\r\n", 7, "upgrade", ["malformed"]),
    "endless-head": (b"HTTP/1.1 101 Yes\r\nX: " + b"y" * 40000, 7, "upgrade", ["too large"]),
    "many-fields": (b"HTTP/1.1 101 Yes\r\n" + b"a: b\r\n" * 200, 7, "upgrade", ["too many"]),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_that_are_no_upgrade(verify, answer):
    said, exit_code, layer, words = ANSWERS[answer]
    with peers.Answer(said) as peer:
        report = verify(peer.url, KEY)
    for word in words:
        expect(report, "upgrade", AFTER_UPGRADE | TLS, exit_code, layer, word)


# What comes without an end: bytes, how they come, exit code, a word.
HANGS = {
    "nothing": (b"", {}, 10, "nothing came"),
    "half": (b"HTTP/1.1 101 Switching", {}, 10, "22 bytes"),
    "ssh-banner": (b"SSH-2.0-OpenSSH_9.2\r\n", {"waits_for_request": False}, 7, "SSH"),
    "vnc-banner": (b"RFB 003.008\n", {"waits_for_request": False}, 7, "VNC"),
    "slow-drip": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", {"pause_s": 0.1}, 10, "unfinished"),
}


@pytest.mark.parametrize("hang", HANGS)
def test_peers_that_hang(verify, hang):
    said, how, exit_code, word = HANGS[hang]
    with peers.Answer(said, then="wait", **how) as peer:
        report = verify(peer.url, KEY, timeouts={"upgrade_ms": 600})
    expect(report, "upgrade", AFTER_UPGRADE | TLS, exit_code, "upgrade", word)
    assert report["ms"] < 5000


def test_a_redirect_gets_no_key(verify):
    with peers.PixiServer(key=KEY) as target:
        with peers.Answer(head("301 Moved", f"Location: {target.url}")) as peer:
            assert verify(peer.url, KEY)["exit"] == 7
        assert not target.heads


def test_401_without_a_key_asks_for_one(verify):
    with peers.PixiServer(key=KEY) as peer:
        report = verify(peer.url)
    expect(report, "upgrade", AFTER_UPGRADE | TLS, 8, "key", "api_key_file")


# Settings: url, key, the row, exit code, layer, a word; all that follows is skipped.
SETTINGS = {
    "tcp": ("ws://127.0.0.1:{free}/api/v1", KEY, "tcp", 5, "tcp", "pixi-ws-server"),
    "name": ("ws://no-such-host.invalid/api/v1", None, "name", 4, "name", "no-such-host.invalid"),
    "plaintext": ("ws://192.0.2.1/api/v1", KEY, "plaintext", 3, "settings", "allow_plaintext"),
    "tls": ("wss://127.0.0.1:{port}/api/v1", KEY, "tls", 10, "tls", "ws://"),
}
FOLLOWING = {
    "tcp": AFTER_TCP,
    "name": {"plaintext", "tcp"} | AFTER_TCP,
    "plaintext": {"tcp"} | AFTER_TCP,
    "tls": {"plaintext", "proxy"} | AFTER_TLS,
}


@pytest.mark.parametrize("case", SETTINGS)
def test_the_way_to_a_connection(verify, free_port, case):
    url, key, failed, exit_code, layer, word = SETTINGS[case]
    with peers.PixiServer(key=KEY) as peer:
        report = verify(url.format(free=free_port(), port=peer.port), key)
        assert not peer.heads
    expect(report, failed, FOLLOWING[case], exit_code, layer, word)


def test_every_check_has_a_peer_that_fails_it(verify):
    with peers.PixiServer(key=KEY) as peer:
        rows = {c["id"] for c in verify(peer.url, KEY)["checks"] if not is_other(c)}
    proved = {row for row, *_ in [*PIXI_BREAKS.values(), *ECHO_BREAKS.values()]}
    proved |= set().union(*(rows_of for rows_of, *_ in PIXI_BREAKS_SEVERAL.values()))
    proved |= {row for _, _, row, *_ in SETTINGS.values()}
    # settings: by the unit test of URLs, below by one; proxy: tests/e2e/test_proxy.py; tls-resume: tests/e2e/test_tls.py
    assert rows - proved == {"settings", "proxy", "tls-resume"}


def test_a_wrong_url_is_told_by_settings(run):
    done = run([PROGRAM, "--json", "verify", "ws://user:secret@127.0.0.1/x"])
    assert done.returncode == 3
    assert "secret" not in done.stdout + done.stderr


def test_interrupt_ends_it_soon(spawn, tmp_path):
    with peers.Answer(b"", then="wait") as peer:
        file = tmp_path / "settings.json"
        file.write_text(json.dumps({"url": peer.url, "timeouts": {"upgrade_ms": 60000}}))
        file.chmod(0o600)
        proc = spawn([PROGRAM, "--settings", file, "verify"])
        assert peer.accepted.wait(20)
        proc.stop(signal.SIGINT, timeout=10)
        assert proc.returncode != 0
