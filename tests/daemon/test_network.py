"""What can go wrong on the way between daemon and server: by the kernel's filter in a network of its own, and by a proxy.
docs/daemon.md, Faults."""

import subprocess

import pytest
import storm
from proxy import Proxy
from rpc import Rpc

HISTORY = [{"filter": "#", "max_messages": 10000000, "max_bytes": 4 << 30}]
IMPATIENT = {"keepalive__interval_ms": 200, "keepalive__timeout_ms": 200}
TABLE = "nft 'add table inet way' && nft 'add chain inet way in { type filter hook input priority 0; }'"


class Island:
    """A network namespace with nothing but lo, and rules for what arrives on it."""

    def __init__(self, holder):
        self.enter = ["nsenter", "--target", str(holder.pid), "--net", "--"]

    def add_rule(self, *words):
        subprocess.run([*self.enter, "nft", "add", "rule", "inet", "way", "in", *words], check=True)

    def heal(self):
        subprocess.run([*self.enter, "nft", "flush", "chain", "inet", "way", "in"], check=True)


@pytest.fixture
def island(spawn):
    done = subprocess.run(["unshare", "--net", "sh", "-c", TABLE], capture_output=True)
    if done.returncode:
        pytest.skip("no network namespaces may be made here")
    holder = spawn(["unshare", "--net", "sh", "-c", f"ip link set lo up && {TABLE} && echo ready && exec cat"])
    holder.wait_line("^ready", stream="out")
    return Island(holder)


@pytest.fixture
def two(island, hub, daemon, bin_dir):
    """A server and its daemon on an island."""
    enter, *rest = island.enter
    server = hub(*rest, bin_dir / "pixi-ws-server", program=enter, history=HISTORY)
    return server, daemon(server, program=[*island.enter, bin_dir / "pixi-ws-client"], **IMPATIENT)


def cut_and_heal(island, two, stored, row, *rule):
    """Under writers; the status says what is wrong while it is."""
    server, machine = two
    writers = storm.begin(machine, 5)
    machine.wait_status(lambda s: s["outbox"]["stored"] > 50)
    island.add_rule("tcp", *rule, str(server.port), "drop")
    machine.wait_status(lambda s: s["link"]["silent_losses"] >= 1)
    machine.wait_status(lambda s: s["link"]["state"] != "open" and s["outbox"]["messages"] > 50)
    row.agrees(machine)
    island.heal()
    machine.wait_status(lambda s: s["link"]["connects"] >= 2)
    _, reported = storm.finish(machine, writers, lambda: stored(machine, "storm/#"))
    assert not reported


@pytest.mark.fault("network-cut-there")
def test_nothing_arrives_at_the_server(island, two, stored, row):
    cut_and_heal(island, two, stored, row, "dport")


@pytest.mark.fault("network-cut-back")
def test_nothing_comes_from_the_server(island, two, stored, row):
    """What was sent is stored, and its answers are lost: it is sent again, and stored once."""
    cut_and_heal(island, two, stored, row, "sport")


@pytest.mark.fault("network-loss")
def test_packets_are_lost(island, two, stored, row):
    """One in ten, both ways."""
    _, machine = two
    island.add_rule("numgen", "random", "mod", "10", "<", "1", "drop")
    writers = storm.begin(machine, 5)
    machine.wait_status(lambda s: s["outbox"]["stored"] > 500)
    row.agrees(machine)
    island.heal()
    _, reported = storm.finish(machine, writers, lambda: stored(machine, "storm/#"))
    assert not reported


@pytest.mark.fault("network-late")
def test_a_connection_arrives_after_the_next(hub, daemon, stored, row):
    """What was on its way when the link was lost comes when all of it was sent again, and answered."""
    server = hub(history=HISTORY)
    with Proxy(server) as proxy:
        machine = daemon(proxy.url, key=server.key, keepalive__interval_ms=60000)
        with machine.local() as program:
            machine.wait_status(lambda s: s["link"]["state"] == "open")
            proxy.hold_back()
            calls = [program.start("publish", topic="storm/0", payload=i) for i in range(100)]
            for call in calls:
                program.answer(call)
            machine.wait_status(lambda s: s["outbox"]["under_way"] == 100)
            proxy.cut("reset")
            machine.wait_empty()
            assert proxy.let_late_go() > 5000
            program.wait_note("stored", id=program.publish("storm/0", 100))
        row.agrees(machine)
    assert [m["payload"] for m in stored(server, "#")] == list(range(101))


@pytest.mark.fault("network-reset")
def test_the_network_is_cut_again_and_again(hub, daemon, stored, row):
    """By resets, orderly ends and silence, at random places of the stream."""
    server = hub(history=HISTORY)
    with Proxy(server) as proxy:
        machine = daemon(proxy.url, key=server.key, **IMPATIENT)
        writers = storm.begin(machine)
        proxy.cut_at_random(seed=7, most_bytes=20000, cuts=25)
        machine.wait_status(lambda s: s["link"]["losses"] >= 25, 60)
        row.agrees(machine)
        messages, reported = storm.finish(machine, writers, lambda: stored(server, "storm/#"))
    assert len(messages) > 100 and not reported


@pytest.mark.fault("network-pieces")
def test_one_byte_at_a_time(hub, daemon, stored, row):
    server = hub(history=HISTORY)
    with Proxy(server) as proxy:
        proxy.piece = 1
        machine = daemon(proxy.url, key=server.key)
        with machine.local() as program:
            for i in range(20):
                program.publish("storm/0", i)
            machine.wait_empty()
        row.agrees(machine)
    assert [m["payload"] for m in stored(server, "#")] == list(range(20))


@pytest.mark.fault("network-latency")
def test_a_slow_way(hub, daemon, stored, row):
    """Every piece comes 50 ms late: what is under way at a time makes up for it."""
    server = hub(history=HISTORY)
    with Proxy(server) as proxy:
        proxy.delay_s = 0.05
        machine = daemon(proxy.url, key=server.key)
        with machine.local() as program:
            calls = [program.start("publish", topic="storm/0", payload=i) for i in range(1000)]
            for call in calls:
                program.answer(call)
            machine.wait_empty()
        row.agrees(machine)
    assert [m["payload"] for m in stored(server, "#")] == list(range(1000))


def test_subscriptions_miss_nothing_over_a_cut(hub, daemon):
    server = hub(history=HISTORY)
    with Proxy(server) as proxy:
        machine = daemon(proxy.url, key=server.key)
        with machine.local() as first, machine.local() as second, Rpc(server) as other:
            for program in (first, second):
                program.call("subscribe", filter="event/#")
            for i in range(10):
                other.call("publish", topic="event/a", payload=i)
                if i % 3 == 2:
                    proxy.cut("reset")
            for program in (first, second):
                assert program.wait_payloads(10, "event/#") == list(range(10))
                assert not [n for n in program.notes if n[0] == "gap"]
