"""The daemon is killed with -9, at random and at each step; what programs were told stays true."""

import os
import random
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


def test_at_random(hub, daemon, stored):
    """20 writers, for 20 seconds."""
    seed = int(os.environ.get("PIXI_SEED", time.time()))
    rng = random.Random(seed)
    server = hub(history=HISTORY)
    machine = daemon(server)
    writers = [storm.Writer(machine.socket, f"storm/{i}", rest_s=0.002) for i in range(20)]
    for writer in writers:
        writer.start()
    until, kills = time.monotonic() + SECONDS, 0
    while time.monotonic() < until:
        time.sleep(rng.uniform(0.05, 0.8))  # this is the fault, not a wait for something
        machine.kill()
        kills += 1
        machine.start()
    for writer in writers:
        writer.end()
    for writer in writers:
        writer.join(60)
    messages = check(machine, server, writers, stored)
    answered = sum(len(w.queued) for w in writers)
    unknown = sum(len(w.unknown) for w in writers)
    print(f"seed {seed}: {kills} kills, {answered} answered, {unknown} not, {len(messages)} at the server")
    assert kills > 5 and answered > 100


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
