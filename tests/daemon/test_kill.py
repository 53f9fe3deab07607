"""The daemon is killed with -9, at random and at each step; what programs were told stays true."""

import importlib.util
import os
import time

import pytest
import storm

HISTORY = [{"filter": "#", "max_messages": 10000000, "max_bytes": 4 << 30}]
SECONDS = 20
POINTS = ("insert", "commit", "committed", "queued", "sent", "answered", "remove")


def reported(machine):
    with machine.local() as program:
        return {m["id"] for m in program.call("rejected", limit=1000)["messages"]}


def check(machine, server, writers, stored):
    machine.wait_empty(60)
    messages = stored(server, "storm/#")
    faults = storm.check(writers, messages, reported(machine))
    assert not faults, "\n".join(faults)
    return messages


def test_at_random(bin_dir, tmp_path, root):
    """20 writers for 20 seconds, while the daemon and the server are killed. `make soak` does it 1,000 times."""
    spec = importlib.util.spec_from_file_location("soak_daemon", root / "tests/soak/daemon.py")
    soak = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(soak)
    seed = int(os.environ.get("PIXI_SEED", time.time()))
    faults = soak.run(bin_dir, tmp_path, seed, SECONDS)
    assert not faults, "\n".join([f"seed {seed}", *faults])


@pytest.mark.parametrize("nth", [1, 6])
@pytest.mark.parametrize("point", POINTS)
def test_at_each_step(hub, daemon, stored, point, nth):
    server = hub(history=HISTORY)
    machine = daemon(server, start=False)
    machine.start({"PIXI_CRASH_AT": f"{point}:{nth}"}, is_waited=False)
    writers = [storm.Writer(machine.socket, f"storm/{i}", rest_s=0.001) for i in range(3)]
    for writer in writers:
        writer.start()
    assert machine.proc.wait() == -9
    machine.start()
    with machine.local() as program:
        program.publish("event/after", 1)
    for writer in writers:
        writer.end()
    for writer in writers:
        writer.join(60)
    check(machine, server, writers, stored)
