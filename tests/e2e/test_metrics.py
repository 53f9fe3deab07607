"""/metrics, /readyz, and who is told: what is counted is what happened, and docs/metrics.md has it all."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

import metrics
from metrics import get, page, port_of, samples
from rpc import Rpc

OPERATORS = {"metrics__listen": ["127.0.0.1:0"]}


def rows(root):
    """The rows of docs/metrics.md's tables, cells stripped."""
    text = (root / "docs/metrics.md").read_text(encoding="utf-8")
    return [[c.strip() for c in line.strip("| ").split(" | ")] for line in text.splitlines() if line.startswith("| `")]


def test_every_metric_has_its_row(hub, root):
    families, found = metrics.parse(page(hub(**OPERATORS)))
    documented = {row[0].strip("`"): row for row in rows(root) if len(row) == 4}
    assert list(documented) == list(families)
    labels = {}
    for series in found:
        name, _, rest = series.partition("{")
        labels.setdefault(name, set()).update(re.findall(r'(\w+)="', rest))
    for name, (kind, told) in families.items():
        _, type_cell, label_cell, meaning = documented[name]
        assert (type_cell, meaning) == (kind, told), name
        assert set(re.findall(r"`(\w+)`", label_cell)) == labels[name], name


def test_every_reason_has_its_row(hub, root):
    """Those that are settings are named so, and the others are not."""
    found = [re.search(r'reason="(\w+)"', s)[1] for s in samples(hub(**OPERATORS)) if s.startswith("pixi_refused_total")]
    documented = [row[0].strip("`") for row in rows(root) if len(row) == 3]
    assert documented == found
    schema = json.loads((root / "config/pixi_ws_server.schema.json").read_text())
    limits = set(schema["properties"]["limits"]["properties"])
    unrefusing = {"retained_count", "retained_bytes", "session_expiry_s", "session_messages", "session_bytes", "topic_aliases"}
    assert limits - unrefusing <= set(found)


def test_promtool_finds_nothing_to_say(hub):
    """Where it is: `make test-metrics` fetches it. The strict reader of metrics.py is there always."""
    s = hub(**OPERATORS)
    with Rpc(s) as rpc:
        rpc.publish("a", 1)
        rpc.error("publish", topic="#", payload=1)
    text = page(s)
    families, found = metrics.parse(text)
    assert len(families) > 25 and len(found) > 60
    promtool = os.environ.get("PIXI_PROMTOOL") or shutil.which("promtool")
    if promtool:
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_strangers_get_no_metrics(hub):
    """Without metrics.listen nobody does; with it, only there, where there is nothing else."""
    assert get(hub().port, "/metrics")[0] == 404
    s = hub(**OPERATORS)
    assert get(s.port, "/metrics")[0] == 404
    assert get(port_of(s), "/api/v1")[0] == 404
    assert get(port_of(s), "/metrics", "POST")[0] == 405
    assert get(port_of(s), "/healthz")[2] == b"ok\n"
    assert "metrics" not in hub().proc.out


def test_metrics_elsewhere_only_when_told_so(run, settings, tmp_path):
    done = run(["pixi-ws-server", "--config", settings("server", metrics__listen=["0.0.0.0:0"])], cwd=tmp_path)
    assert done.returncode == 3 and "metrics.listen[0]: found \"0.0.0.0:0\"" in done.stderr, done


def test_operators_have_places_of_their_own(hub):
    """They see what is wrong while nobody else comes in; and they are so many at most."""
    s = hub(limits__connections=1, **OPERATORS)
    with Rpc(s):
        assert get(s.port, "/healthz")[0] == 503
        assert metrics.refused(s, "connections") == 1
        socks = [socket.create_connection(("127.0.0.1", port_of(s)), 20) for _ in range(16)]
        assert get(port_of(s), "/metrics")[0] == 503
        socks.pop().close()
        while get(port_of(s), "/metrics")[0] != 200:
            pass
        for sock in socks:
            sock.close()


def test_what_is_counted(hub):
    """Each number that a known conversation must move, and by how much."""
    s = hub(keys={"narrow": ("a", "a")}, **OPERATORS)
    before = samples(s)
    with Rpc(s) as one, Rpc(s, key=s.keys["narrow"]) as two:
        one.subscribe("#")
        two.subscribe("a")
        one.publish("a", "x" * 100)
        two.note()
        one.note()
        one.send({"jsonrpc": "2.0", "method": "publish", "params": {"topic": "b", "payload": 1}})
        one.note()
        two.error("publish", topic="b", payload=1)
        two.error("nonsense")
        assert two.code("{") == -32700
        two.ask("ping")
        now = samples(s)
    moved = {name: now[name] - before.get(name, 0) for name in now}

    def calls(method, result):
        return moved.get(f'pixi_calls_total{{method="{method}",result="{result}"}}', 0)

    assert now['pixi_connections{state="open"}'] == 2 and now["pixi_subscriptions"] == 2
    assert moved["pixi_connections_opened_total"] == moved["pixi_connections_accepted_total"] == 2
    assert (calls("subscribe", "ok"), calls("publish", "ok"), calls("publish", "forbidden")) == (2, 2, 1)
    assert calls("unknown", "unknown_method") == 1 and calls("unknown", "parse") == 1
    assert moved["pixi_messages_received_total"] in (7, 8)  # perhaps the ping
    assert moved["pixi_messages_sent_total"] - (moved["pixi_messages_received_total"] - 1) == 5  # one had no id; 2 synced, 3 messages
    assert moved["pixi_publishes_total"] == 2 and moved["pixi_published_bytes_total"] == len("a") + 102 + len("b") + 1
    assert moved["pixi_store_messages"] == 2 and now["pixi_keys"] == 2
    assert moved["pixi_received_bytes_total"] > 400 and moved["pixi_sent_bytes_total"] > 400
    assert now["process_open_fds"] <= now["process_max_fds"]
    assert now["process_start_time_seconds"] > 1.7e9 and now["process_resident_memory_bytes"] > 1 << 20
    assert now["pixi_ready"] == 1


def test_what_has_gone_stays_counted(hub):
    """A counter never falls, even as the connections that it counted end."""
    s = hub(**OPERATORS)
    last = samples(s)
    families = metrics.parse(page(s))[0]
    for i in range(5):
        with Rpc(s) as rpc:
            rpc.publish("a", i)
        now = samples(s)
        for series, value in last.items():
            if families[series.partition("{")[0]][0] == "counter":
                assert now[series] >= value, series
        last = now
    assert last['pixi_connections{state="open"}'] <= 1 and last["pixi_publishes_total"] == 5


def test_reloads_are_counted(hub, tmp_path):
    s = hub(**OPERATORS)

    def hang_up(says, nth):
        os.kill(s.proc.pid, signal.SIGHUP)
        s.proc.wait_line(says, stream="err", nth=nth)

    hang_up("holds 1 key", 1)
    (tmp_path / "server.keys").write_text("{")
    hang_up("the keys are not read again", 1)
    now = samples(s)
    assert now['pixi_reloads_total{what="keys",result="ok"}'] == now['pixi_reloads_total{what="keys",result="failed"}'] == 1
    assert now['pixi_reloads_total{what="settings",result="ok"}'] == 2


# --- /readyz


def problem(port, path):
    status, fields, body = get(port, path)
    assert fields["Content-Type"] == "application/problem+json" and fields["Retry-After"].isdigit()
    assert json.loads(body)["status"] == status
    return status, json.loads(body)["detail"]


def test_ready(hub):
    s = hub(**OPERATORS)
    assert get(s.port, "/readyz")[::2] == get(port_of(s), "/readyz")[::2] == (200, b"ok\n")
    assert get(s.port, "/readyz", "DELETE")[0] == 405


def test_not_ready_while_the_store_refuses(hub):
    """Alive all the same; and ready again when there is room."""
    s = hub(limits__retained_count=2, **OPERATORS)
    with Rpc(s) as rpc:
        rpc.publish("a", 1, retain=True)
        assert get(s.port, "/readyz")[0] == 200
        rpc.publish("b", 1, retain=True)
        assert problem(s.port, "/readyz") == (503, "the store takes no more retained messages: see limits.retained_count and limits.retained_bytes")
        assert rpc.error("publish", topic="c", payload=1, retain=True).code == -32006
        assert samples(s)["pixi_ready"] == 0 and get(s.port, "/healthz")[0] == 200
        rpc.call("publish", topic="a", payload_base64="", retain=True)
        assert get(s.port, "/readyz")[0] == 200 and samples(s)["pixi_ready"] == 1


def test_not_ready_while_it_stops(hub):
    s = hub(drain_ms=600000, **OPERATORS)
    with Rpc(s) as rpc:
        rpc.call("ping")
        rpc.ws.transport.pause_reading()  # so that it has to wait for us
        os.kill(s.proc.pid, signal.SIGTERM)
        s.proc.wait_line("SIGTERM: stopping")
        assert problem(port_of(s), "/readyz") == (503, "the server is stopping")
        assert samples(s)["pixi_ready"] == 0 and get(port_of(s), "/healthz")[0] == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((s.host, s.port))
        rpc.abort()
    assert s.proc.wait() == 0
