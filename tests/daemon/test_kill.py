"""The daemon is killed with -9, at random and at each step; what programs were told stays true."""

import importlib.util
import os
import re
import time

import pytest
import storm

HISTORY = [{"filter": "#", "max_messages": 10000000, "max_bytes": 4 << 30}]
SECONDS = 20
# Of src/outbox, in the order that a message comes to them.
POINTS = ("taken", "insert", "commit", "committed", "queued", "sent", "answered", "told", "remove", "removed")


def test_at_random(bin_dir, tmp_path, root):
    """20 writers for 20 seconds, while the daemon and the server are killed. `make soak` does it 1,000 times."""
    spec = importlib.util.spec_from_file_location("soak_daemon", root / "tests/soak/daemon.py")
    soak = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(soak)
    seed = int(os.environ.get("PIXI_SEED", time.time()))
    faults = soak.run(bin_dir, tmp_path, seed, SECONDS)
    assert not faults, "\n".join([f"seed {seed}", *faults])


@pytest.mark.fault("daemon-killed")
@pytest.mark.parametrize("nth", [1, 6])
@pytest.mark.parametrize("point", POINTS)
def test_at_each_step(hub, daemon, stored, row, point, nth):
    server = hub(history=HISTORY)
    machine = daemon(server, start=False)
    machine.start({"PIXI_CRASH_AT": f"{point}:{nth}"}, is_waited=False)
    writers = storm.begin(machine, 3, rest_s=0.001)
    code = machine.proc.wait()
    machine.start()
    row.agrees(machine, exit_code=code)
    with machine.local() as program:
        program.publish("event/after", 1)
    storm.finish(machine, writers, lambda: stored(server, "storm/#"))


def test_while_what_waited_is_read(hub, daemon, stored, free_port):
    """Messages get their keys as they are read: those of a group that was not committed get them again."""
    port = free_port()
    machine = daemon(f"ws://127.0.0.1:{port}/api/v1", start=False)
    server = hub(port=port, history=HISTORY)
    machine.file.write_text(machine.file.read_text().replace("pk_nobody_in_particular", server.key))
    server.proc.kill()
    machine.start()
    with machine.local() as program:
        for i in range(20):
            program.publish("storm/0", i)
    assert machine.proc.stop() == 0
    server = hub(port=port, history=HISTORY)
    machine.start({"PIXI_CRASH_AT": "load:1"}, is_waited=False)
    assert machine.proc.wait() == -9
    machine.start()
    machine.wait_empty()
    assert [m["payload"] for m in stored(server, "#")] == list(range(20))


@pytest.mark.parametrize("point", ["reject", "rejected"])
def test_while_one_is_refused_for_good(hub, daemon, stored, point):
    server = hub(keys={"narrow": ("event/#", "#")}, history=HISTORY)
    machine = daemon(server, key=server.keys["narrow"], start=False)
    machine.start({"PIXI_CRASH_AT": f"{point}:1"}, is_waited=True)
    with machine.local() as program:
        program.start("publish", topic="secret/a", payload="no")
        program.start("publish", topic="event/a", payload="yes")
        assert machine.proc.wait() == -9
    machine.start()
    machine.wait_empty()
    with machine.local() as program:
        kept = [m["payload"] for m in program.call("rejected")["messages"]]
    assert kept == ["no"]
    assert [m["payload"] for m in stored(server, "#")] in (["yes"], [])  # [] where the daemon went before it had taken it


def test_every_point_is_gone_through(root):
    """Of those in the sources, none is left out above."""
    sources = "".join(file.read_text() for file in (root / "src/outbox").glob("*.c"))
    assert set(re.findall(r'pixi_crash_point\("(\w+)"\)', sources)) == {*POINTS, "load", "reject", "rejected"}
