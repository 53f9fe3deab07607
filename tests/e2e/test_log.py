"""The server's log: text or JSON, by level, a line an entry whatever peers send, and no key in it."""

import base64
import contextlib
import json
import os
import re
import signal
import socket

import pytest

import metrics
from rpc import Rpc

TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info|debug): .+")
LEVELS = ["error", "warning", "info", "debug"]


def entries(server):
    """(level, message) of each line that the log has."""
    out = []
    for line in server.proc.err.splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            assert list(entry) == ["time", "level", "message"] and TEXT.fullmatch(f"{entry['time']} {entry['level']}: x")
            out.append((entry["level"], entry["message"]))
        else:
            assert TEXT.fullmatch(line), line
            out.append((line.split(" ", 2)[1].rstrip(":"), line.split(" ", 2)[2]))
    return out


def exchange(server, data):
    """What a stranger is answered."""
    with socket.create_connection((server.host, server.port), 20) as sock:
        sock.sendall(data)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(65536):
                pass


def head(*fields, target="/api/v1"):
    lines = [f"GET {target} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("level", LEVELS)
def test_levels(hub, form, level):
    s = hub(log__format=form, log__level=level, limits__connections=1)
    with Rpc(s) as rpc:
        rpc.call("ping")
        exchange(s, b"")  # one too many: a warning
    s.proc.stop()
    found = entries(s)
    assert {name for name, _ in found} <= set(LEVELS[: LEVELS.index(level) + 1])
    assert any(name == "warning" for name, _ in found) == (level != "error")
    assert any("connected as test" in text for _, text in found) == (level == "debug")
    assert all(line.startswith("{") == (form == "json") for line in s.proc.err.splitlines())


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_key_in_any_line(hub, run, tmp_path, form):
    """Wherever a key was put, right or wrong, rightly or by mistake, in what is logged, told, counted or listed."""
    s = hub("--log", "debug", log__format=form, keys={"other": ("#", "#")}, metrics__listen=["127.0.0.1:0"],
            origins=["https://example.org"])
    wrong = "pk_" + "W" * 43
    for key in (s.key, s.keys["other"], wrong):
        coded = base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")
        for data in (
            head(f"Authorization: Bearer {key}", target=f"/{key}"),
            head(f"Authorization: Bearer {key}", f"X-API-Key: {wrong}x"),
            head(f"Authorization: {key}"),
            head(f"X-API-Key: {key}", "X-API-Key: y"),
            head(f"Authorization: Bearer {key}\x01"),
            head(f"Authorization Bearer {key}"),
            head(f"Sec-WebSocket-Protocol: pixi.key.{coded}"),
            head(f"Sec-WebSocket-Protocol: {key}"),
            head(f"Origin: https://{key}"),
            head(f"Origin: https://example.org", f"Authorization: Basic {coded}"),
            f"GET /api/v1?key={key} HTTP/1.1\r\nHost: {key}\r\n\r\n".encode(),
            f"{key}\r\n\r\n".encode(),
        ):
            exchange(s, data + raw_close())
        with contextlib.suppress(Exception), Rpc(s, key=key) as rpc:
            rpc.error(key, key=key)
            rpc.error("publish", topic=f"#{key}", payload=1)
            rpc.error("subscribe", filter=f"#{key}")
            rpc.send(key)
            rpc.send(key.encode())
            rpc.closed()
    os.kill(s.proc.pid, signal.SIGHUP)
    s.proc.wait_line("SIGHUP: .* holds")
    page = metrics.page(s)
    listed = run(["pixi-ws-server", "key", "list", "--json", "--keys", tmp_path / "server.keys"])
    s.proc.stop()
    assert len(entries(s)) > 20
    for key in (s.key, s.keys["other"], wrong):
        for text in (s.proc.err, s.proc.out, page, listed.stdout, listed.stderr):
            assert key not in text and key[3:20] not in text


def raw_close():
    """A masked close frame, for where the upgrade succeeds."""
    return b"\x88\x80\0\0\0\0"


EVIL = ["\n2026-01-01T00:00:00.000Z error: forged", "\r", "\x1b[2J\x1b]0;title\x07", "\u009b31m", "\u202egnp.exe", '"}\n{"level":"error"', "\x7f\x00"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_lines_cannot_be_forged(hub, form):
    """What a peer says about itself reaches the log by close reasons, names of keys, methods, topics, heads."""
    s = hub("--log", "debug", log__format=form)
    for evil in EVIL:
        exchange(s, head(f"X: {evil}", target=f"/{evil}"))
        exchange(s, evil.encode() + b"\r\n\r\n")
        with Rpc(s) as rpc:
            rpc.error(evil)
            rpc.error("subscribe", filter=evil + "#")
    s.proc.stop()
    assert len(entries(s)) >= len(EVIL)
    raw = s.proc.err.replace("\n", "")
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", raw)
    assert not any(text.startswith("forged") for _, text in entries(s))


def test_the_settings_name_what_is_right(run, settings, tmp_path):
    done = run(["pixi-ws-server", "--config", settings("server", log__format="xml", log__level="loud")], cwd=tmp_path)
    assert done.returncode == 3 and 'log.format: found "xml", expected "text" or "json"' in done.stderr
    assert 'log.level: found "loud", expected' in done.stderr
