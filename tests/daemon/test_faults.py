"""What can go wrong with the server that the daemon writes to. docs/daemon.md, Faults."""

import os
import signal
import threading

import pytest
import storm
from local import Error
from rpc import Rpc

HISTORY = [{"filter": "#", "max_messages": 10000000, "max_bytes": 4 << 30}]


@pytest.mark.fault("server-frozen")
def test_the_server_is_frozen(hub, daemon, stored, row):
    """The keepalive notices; nothing is lost, and nothing comes twice."""
    server = hub(history=HISTORY)
    machine = daemon(server, keepalive__interval_ms=200, keepalive__timeout_ms=200)
    writers = storm.begin(machine, 5)
    machine.wait_status(lambda s: s["outbox"]["stored"] > 50)
    os.kill(server.proc.pid, signal.SIGSTOP)
    machine.wait_status(lambda s: s["link"]["silent_losses"] >= 1)
    machine.wait_status(lambda s: s["link"]["state"] != "open")
    row.agrees(machine)
    os.kill(server.proc.pid, signal.SIGCONT)
    machine.wait_status(lambda s: s["link"]["connects"] >= 2)
    _, reported = storm.finish(machine, writers, lambda: stored(server, "storm/#"))
    assert not reported


@pytest.mark.fault("server-killed")
def test_the_server_is_killed(hub, daemon, stored, free_port, tmp_path, row):
    """What it had stored and not answered is sent again, and not stored again."""
    port, data = free_port(), ("--data", tmp_path / "data")
    server = hub(*data, port=port, history=HISTORY)
    machine = daemon(server)
    writers = storm.begin(machine, 5)
    machine.wait_status(lambda s: s["outbox"]["stored"] > 50)
    server.proc.kill()
    machine.wait_status(lambda s: s["last_error"] and s["outbox"]["messages"] > 50)
    row.agrees(machine)
    server = hub(*data, port=port, history=HISTORY)
    _, reported = storm.finish(machine, writers, lambda: stored(server, "storm/#"))
    assert not reported


@pytest.mark.fault("server-slow")
def test_the_server_is_slow(hub, daemon, stored, row):
    """It stands still for most of the time: the link stays, messages wait, and all of them come."""
    server = hub(history=HISTORY)
    machine = daemon(server, keepalive__interval_ms=2000, keepalive__timeout_ms=5000)
    writers = storm.begin(machine, 5)
    is_over = threading.Event()

    def slow_down():
        while not is_over.wait(0.002):
            os.kill(server.proc.pid, signal.SIGSTOP)
            is_over.wait(0.05)
            os.kill(server.proc.pid, signal.SIGCONT)

    thread = threading.Thread(target=slow_down)
    thread.start()
    try:
        machine.wait_status(lambda s: s["outbox"]["stored"] > 200)
        row.agrees(machine)
    finally:
        is_over.set()
        thread.join()
    _, reported = storm.finish(machine, writers, lambda: stored(server, "storm/#"))
    assert not reported and machine.status()["link"]["losses"] == 0


@pytest.mark.fault("server-full")
def test_the_server_is_full(hub, daemon, stored, shim, tmp_path, row):
    """-32006: it is asked again until there is room; the order stays."""
    server = hub("--data", tmp_path / "data", env=shim.env, history=HISTORY)
    machine = daemon(server)
    with machine.local() as program:
        program.wait_note("stored", id=program.publish("storm/0", 0))
        shim.disk("full")
        for i in range(1, 20):
            program.publish("storm/0", [i, "x" * 10000])
        server.proc.wait_line("", stream="err")
        machine.wait_status(lambda s: s["outbox"]["messages"] == 19)
        row.agrees(machine)
        shim.disk("")
        machine.wait_empty()
    assert [m["payload"][0] if m["offset"] > 1 else 0 for m in stored(server, "#")] == list(range(20))


def test_a_full_link_that_is_lost(hub, daemon, stored, free_port, tmp_path):
    """What had no room on the link goes once on the next one, too."""
    port, data = free_port(), ("--data", tmp_path / "data")
    limits = {"limits__message_bytes": 32768, "limits__queue_bytes": 65536}
    server = hub(*data, port=port, history=HISTORY)
    machine = daemon(server, keepalive__interval_ms=60000, **limits)
    with machine.local() as program:
        machine.wait_status(lambda s: s["link"]["state"] == "open")
        os.kill(server.proc.pid, signal.SIGSTOP)
        for i in range(600):
            program.publish("storm/0", [i, "x" * 20000])
        server.proc.kill()
        server = hub(*data, port=port, history=HISTORY)
        machine.wait_empty(60)
    assert [m["payload"][0] for m in stored(server, "#")] == list(range(600))


@pytest.mark.fault("server-log-lost")
def test_the_server_loses_its_log(hub, daemon, stored, free_port, row):
    """Killed, and back with another epoch: what was under way is told as in doubt, all else goes on."""
    port = free_port()
    server = hub(port=port, history=HISTORY)
    machine = daemon(server)
    with machine.local() as program:
        sure = program.publish("event/a", "sure")
        program.wait_note("stored", id=sure)
        os.kill(server.proc.pid, signal.SIGSTOP)
        doubt = program.publish("event/a", "doubt")
        machine.wait_status(lambda s: s["outbox"]["under_way"] == 1)
        server.proc.kill()
        machine.wait_status(lambda s: s["link"]["state"] != "open")
        later = program.publish("event/a", "later")
        server = hub(port=port, history=HISTORY)
        refused = program.wait_note("rejected", id=doubt)["error"]
        assert refused["code"] == -32013
        program.wait_note("stored", id=later)
    assert [m["payload"] for m in stored(server, "#")] == ["later"]
    assert machine.status()["outbox"]["in_doubt"] == 1
    row.agrees(machine, [Error(refused)])


@pytest.mark.fault("server-restart")
def test_the_server_restarts_as_it_should(hub, daemon, free_port, row):
    """1012: told before, so nothing is under way; subscriptions go on, and say what they cannot know."""
    port = free_port()
    server = hub(port=port, history=HISTORY)
    machine = daemon(server)
    with machine.local() as program:
        program.call("subscribe", filter="event/#")
        program.wait_note("synced", filter="event/#")
        program.wait_note("stored", id=program.publish("event/a", 1))
        assert server.proc.stop() == 0
        machine.wait_status(lambda s: s["link"]["state"] != "open")
        row.agrees(machine)
        hub(port=port, history=HISTORY)
        program.wait_note("gap", filter="event/#")
        program.wait_note("synced", filter="event/#")
        program.wait_note("stored", id=program.publish("event/a", 2))
        assert program.wait_payloads(2, "event/#") == [1, 2]


@pytest.mark.parametrize("rate", [50])
@pytest.mark.fault("server-rate")
def test_a_rate_limit_puts_off_and_loses_nothing(hub, daemon, stored, rate, row):
    server = hub(history=HISTORY, limits__publishes_per_s=rate)
    machine = daemon(server)
    with machine.local() as program:
        ids = [program.publish("storm/0", i) for i in range(3 * rate)]
        machine.wait_status(lambda s: s["outbox"]["messages"] > 0)
        machine.wait_empty()
        row.agrees(machine)
        told = [p["id"] for m, p in program.notes if m == "stored"]
    assert [m["payload"] for m in stored(server, "#")] == list(range(3 * rate))
    assert told == ids


@pytest.mark.fault("server-closes")
def test_a_server_that_closes_over_a_message(hub, daemon, stored, row):
    """It takes less than we do: that message alone is refused for good."""
    server = hub(history=HISTORY, limits__message_bytes=4096, limits__queue_bytes=65536)
    machine = daemon(server)
    with machine.local() as program:
        ids = [program.publish("storm/0", i if i != 5 else "x" * 20000) for i in range(10)]
        refused = program.wait_note("rejected", id=ids[5])["error"]
        assert refused["code"] == -32002
        row.agrees(machine, [Error(refused)])
        for i in (0, 4, 6, 9):
            program.wait_note("stored", id=ids[i])
    assert [m["payload"] for m in stored(server, "#")] == [0, 1, 2, 3, 4, 6, 7, 8, 9]


@pytest.mark.fault("key-unknown")
def test_a_key_that_is_not_known(hub, daemon, stored, row):
    """It stops and says so; messages are taken; SIGHUP with the right key lets them go."""
    server = hub(history=HISTORY)
    machine = daemon(server, key="pk_is_not_one_of_this_servers")
    with machine.local() as program:
        program.publish("storm/0", 0)
        machine.proc.wait_line("then send SIGHUP", stream="err")
        assert program.call("status")["link"]["state"] == "stopped"
        row.agrees(machine)
        machine.file.write_text(machine.file.read_text().replace("pk_is_not_one_of_this_servers", server.key))
        os.kill(machine.proc.pid, signal.SIGHUP)
        machine.wait_empty()
    assert [m["payload"] for m in stored(server, "#")] == [0]


def test_stopping_waits_for_what_is_under_way(hub, daemon, stored):
    server = hub(history=HISTORY)
    machine = daemon(server)
    with machine.local() as program:
        for i in range(500):
            program.start("publish", topic="storm/0", payload=i)
        program.call("ping")
        os.kill(machine.proc.pid, signal.SIGTERM)
        assert machine.proc.wait() == 0
    machine.start()
    machine.wait_empty()
    got = [m["payload"] for m in stored(server, "#")]
    assert got == list(range(len(got)))
