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


def test_what_compression_gains(hub, daemon, tmp_path):
    """Both ways, in `status` as object and in words, and among the numbers; nothing where the server takes none."""
    file, text = tmp_path / "pixi.prom", "tram " * 1000
    machine = daemon(hub(compression__enabled=True), compression=True, daemon__metrics_file=str(file))
    with machine.local() as program:
        program.call("subscribe", filter="event/#")
        for number in range(10):
            program.wait_note("stored", id=program.publish("event/a", [number, text]))
    found = machine.wait_status(lambda s: s["measured"]["compression"]["received"]["compressed"] == 10)["measured"]["compression"]
    assert found["agreed"] is True and found["sent"]["compressed"] == 10 and found["memory_bytes"] > 100_000
    for direction in ("sent", "received"):
        assert found[direction]["before_bytes"] > 50_000 and found[direction]["after_bytes"] < 10_000
    assert re.search(r"^          compression: sent .* KiB as \d+ B \(\d+ %\), received ", machine.client("status").stdout, re.M)
    told = re.compile(r"^pixi_daemon_compression_sent_before_bytes_total [5-9]\d{4}$", re.M)
    machine.wait_status(lambda s: file.exists() and told.search(file.read_text()))


def test_a_server_that_does_not_compress(hub, daemon):
    machine = daemon(hub(), compression=True)
    found = machine.wait_status(lambda s: s["link"]["state"] == "open")["measured"]["compression"]
    assert found["agreed"] is False and found["sent"]["before_bytes"] == found["memory_bytes"] == 0
    assert "\n          compression: the server takes none\n" in machine.client("status").stdout


def test_without_compression_there_is_nothing_to_tell(hub, daemon):
    machine = daemon(hub(compression__enabled=True))
    assert machine.wait_status(lambda s: s["link"]["state"] == "open")["measured"]["compression"] is None
    assert "compression" not in machine.client("status").stdout


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
