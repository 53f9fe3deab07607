"""The disk that the outbox lies on is full, read-only, or fails; the power is cut; its file is damaged. shim.c is the disk."""

import contextlib
import sqlite3

import pytest
import storm
from local import Error

HISTORY = [{"filter": "#", "max_messages": 10000000, "max_bytes": 4 << 30}]


def fail(machine, shim, order, row, stored):
    """Writers while it fails, and after it: what was refused is not at the server, everything else is."""
    writers = storm.begin(machine, 5)
    machine.wait_status(lambda s: s["outbox"]["stored"] > 20)
    shim.disk(order)
    machine.wait_status(lambda s: s["outbox"]["failed"] > 20 and s["outbox"]["disk"] == "failing")
    with machine.local() as program, pytest.raises(Error) as refused:
        program.publish("event/a", 1)
    row.agrees(machine, [refused.value])
    shim.disk("")
    machine.wait_status(lambda s: s["outbox"]["disk"] == "ok")
    machine.proc.wait_line("outbox: the disk works again", stream="err")
    _, reported = storm.finish(machine, writers, stored)
    assert not reported and all(writer.refused for writer in writers)


@pytest.mark.fault("disk-full")
def test_full(hub, daemon, stored, shim, row):
    server = hub(history=HISTORY)
    fail(daemon(server, env=shim.env), shim, "full", row, lambda: stored(server, "storm/#"))


@pytest.mark.fault("disk-read-only")
def test_read_only(hub, daemon, stored, shim, row):
    server = hub(history=HISTORY)
    fail(daemon(server, env=shim.env), shim, "read-only", row, lambda: stored(server, "storm/#"))


@pytest.mark.fault("disk-write")
def test_writing_fails(hub, daemon, stored, shim, row):
    server = hub(history=HISTORY)
    fail(daemon(server, env=shim.env), shim, "write", row, lambda: stored(server, "storm/#"))


@pytest.mark.fault("disk-sync")
def test_syncing_fails_once(hub, daemon, stored, shim, row):
    """What was refused stays refused, also where the daemon is killed before it has written again."""
    server = hub(history=HISTORY)
    machine = daemon(server, env=shim.env)
    writers = storm.begin(machine, 5)
    refused, kills = [], 0
    for _ in range(30):  # it may be a checkpoint that fails, or a group with nothing but what is to be removed
        machine.wait_status(lambda s: s["outbox"]["stored"] > 20)
        shim.disk("sync once")
        shim.wait_obeyed()
        with machine.local() as program, contextlib.suppress(Error):
            program.publish("event/a", 1)
        if "outbox: the disk fails" not in machine.proc.err:
            continue
        refused = [Error({"code": code, "message": ""}) for w in writers for code in w.refused.values()]
        if refused:
            row.agrees(machine, refused)
        machine.kill()
        machine.start(shim.env)
        kills += 1
        if kills >= 3 and refused:
            break
    _, reported = storm.finish(machine, writers, lambda: stored(server, "storm/#"))
    assert not reported


@pytest.mark.fault("disk-full-start")
def test_full_at_the_start(hub, daemon, shim, row):
    shim.disk("full")
    machine = daemon(hub(), start=False)
    machine.start(shim.env, is_waited=False)
    row.agrees(machine, exit_code=machine.proc.wait())


@pytest.mark.fault("power-cut")
def test_the_power_is_cut(hub, daemon, stored, shim, row):
    """Of what was written and not synced, each write is there, or is not, or half of it is."""
    server = hub(history=HISTORY)
    machine = daemon(server, env=shim.env)
    writers = storm.begin(machine, 5)
    for _ in range(5):
        machine.wait_status(lambda s: s["outbox"]["stored"] > 20)
        shim.disk("power")
        code = machine.proc.wait()
        shim.disk("")
        machine.start(shim.env)
    row.agrees(machine, exit_code=code)
    _, reported = storm.finish(machine, writers, lambda: stored(server, "storm/#"))
    assert not reported


@pytest.mark.fault("outbox-damaged")
def test_a_damaged_file(hub, daemon, stored, free_port, row):
    """Pages of it are gone: the start does not fail, what can be read goes, and the rest is told."""
    port = free_port()
    machine = daemon(f"ws://127.0.0.1:{port}/api/v1", start=False)
    server = hub(port=port, history=HISTORY)
    machine.file.write_text(machine.file.read_text().replace("pk_nobody_in_particular", server.key))
    server.proc.kill()
    machine.start()
    with machine.local() as program:
        for i in range(200):  # one by one: those that come together lie together, and go together
            program.publish("storm/0", [i, "x" * 500])
    assert machine.proc.stop() == 0
    file = machine.outbox / "outbox.db"
    with sqlite3.connect(file) as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
    with open(file, "r+b") as f:
        f.seek(4096 * (pages // 2))
        f.write(b"\xff" * 4096)
    (machine.outbox / "lock").write_text("1\n")  # as one leaves it that was killed
    machine.start()
    row.agrees(machine)
    server = hub(port=port, history=HISTORY)
    machine.wait_empty()
    got = [m["payload"][0] for m in stored(server, "storm/#")]
    assert got == sorted(set(got)) and 150 < len(got) < 200
