"""The daemon makes its link better, says so, and writes its numbers down. The rules are tested in simulated time:
src/daemon/improve_test.c."""

import json
import re

from proxy import Proxy


def test_a_better_server_is_moved_to(hub, daemon):
    server = hub()
    with Proxy(server) as slow, Proxy(server) as quick:
        slow.delay_s = 0.1
        urls = [slow.url, quick.url]
        machine = daemon(server, url=None, urls=urls, daemon__probe_s=1)
        machine.proc.wait_line(r"improve: server: 127.0.0.1:\d+ instead of 127.0.0.1:\d+: trying", stream="err", timeout=60)
        machine.proc.wait_line(r"improve: server: .*: kept", stream="err", timeout=60)
        status = machine.status()
        (change,) = status["improvements"]
        assert (change["what"], change["verdict"]) == ("server", "kept")
        assert quick.url.startswith(f"ws://{change['to']}/") and status["link"]["server"] == change["to"]
        assert status["link"]["losses"] == 0
        screen = machine.client("status").stdout
        assert re.search(rf"improved  server: {change['to']} instead of {change['from']}: kept, ", screen)
        assert "measured  round trip " in screen
        with machine.local() as program:
            program.wait_note("stored", id=program.publish("event/a", 1))


def test_off_is_off(hub, daemon):
    server = hub()
    with Proxy(server) as slow, Proxy(server) as quick:
        slow.delay_s = 0.05
        machine = daemon(server, url=None, urls=[slow.url, quick.url], daemon__probe_s=1, daemon__improve=False)
        status = machine.wait_status(lambda s: float(s["measured"]["round_trip_p50_ms"]) > 0)
        assert status["improvements"] == [] and len(quick.tasks) == 0


def test_numbers_for_prometheus(hub, daemon, root, tmp_path):
    file = tmp_path / "pixi.prom"
    machine = daemon(hub(), daemon__metrics_file=str(file))
    machine.wait_status(lambda s: file.exists())
    text = file.read_text()
    page = (root / "docs/daemon.md").read_text()
    told = re.findall(r"^# HELP (pixi_daemon_\w+) (.*)\n# TYPE \1 (\w+)\n\1 [\d.]+$", text, re.M)
    assert len(told) == text.count("# HELP")
    assert [f"| `{name}` | {kind} | {words} |" for name, words, kind in told] == re.findall(
        r"^\| `pixi_daemon_\w+` \| \w+ \| .* \|$", page, re.M
    )


def test_json_status_is_one_object(hub, daemon):
    machine = daemon(hub())
    machine.wait_status(lambda s: s["link"]["state"] == "open")
    status = json.loads(machine.client("--json", "status").stdout)
    assert {"link", "outbox", "programs", "measured", "improvements", "last_error", "version"} <= set(status)
