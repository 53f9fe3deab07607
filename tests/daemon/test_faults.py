"""What can go wrong between the daemon and the server, and with the server itself. docs/daemon.md, Faults."""

import os
import signal

import pytest
import storm
from proxy import Proxy
from rpc import Rpc

HISTORY = [{"filter": "#", "max_messages": 10000000, "max_bytes": 4 << 30}]


def write(machine, count=20, rest_s=0.002):
    writers = [storm.Writer(machine.socket, f"storm/{i}", rest_s) for i in range(count)]
    for writer in writers:
        writer.start()
    return writers


def finish(machine, server, writers, stored):
    for writer in writers:
        writer.end()
    for writer in writers:
        writer.join(60)
    machine.wait_empty(60)
    with machine.local() as program:
        reported = {m["id"] for m in program.call("rejected", limit=1000)["messages"]}
    messages = stored(server, "storm/#")
    faults = storm.check(writers, messages, reported)
    assert not faults, "\n".join(faults)
    return messages, reported


def test_the_network_is_cut_again_and_again(hub, daemon, stored):
    """By resets, orderly ends and silence, at random places of the stream."""
    server = hub(history=HISTORY)
    with Proxy(server) as proxy:
        machine = daemon(proxy.url, key=server.key, keepalive__interval_ms=200, keepalive__timeout_ms=200)
        writers = write(machine)
        proxy.cut_at_random(seed=7, most_bytes=60000, cuts=25)
        machine.wait_status(lambda s: s["link"]["losses"] >= 25, 60)
        messages, reported = finish(machine, server, writers, stored)
    assert len(messages) > 100 and not reported


def test_one_byte_at_a_time(hub, daemon, stored):
    server = hub(history=HISTORY)
    with Proxy(server) as proxy:
        proxy.piece = 1
        machine = daemon(proxy.url, key=server.key)
        with machine.local() as program:
            for i in range(20):
                program.publish("storm/0", i)
            machine.wait_empty()
    assert [m["payload"] for m in stored(server, "#")] == list(range(20))


def test_a_slow_way(hub, daemon, stored):
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
    assert [m["payload"] for m in stored(server, "#")] == list(range(1000))


def test_the_server_is_frozen(hub, daemon, stored):
    """The keepalive notices; nothing is lost, and nothing comes twice."""
    server = hub(history=HISTORY)
    machine = daemon(server, keepalive__interval_ms=200, keepalive__timeout_ms=200)
    writers = write(machine, 5)
    machine.wait_status(lambda s: s["outbox"]["stored"] > 50)
    os.kill(server.proc.pid, signal.SIGSTOP)
    machine.wait_status(lambda s: s["link"]["silent_losses"] >= 1)
    os.kill(server.proc.pid, signal.SIGCONT)
    machine.wait_status(lambda s: s["link"]["connects"] >= 2)
    _, reported = finish(machine, server, writers, stored)
    assert not reported


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


def test_the_server_loses_its_log(hub, daemon, stored, free_port):
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
        assert program.wait_note("rejected", id=doubt)["error"]["code"] == -32013
        program.wait_note("stored", id=later)
    assert [m["payload"] for m in stored(server, "#")] == ["later"]
    assert machine.status()["outbox"]["in_doubt"] == 1


def test_the_server_restarts_as_it_should(hub, daemon, free_port):
    """1012: told before, so nothing is under way; subscriptions go on, and say what they cannot know."""
    port = free_port()
    server = hub(port=port, history=HISTORY)
    machine = daemon(server)
    with machine.local() as program:
        program.call("subscribe", filter="event/#")
        program.wait_note("synced", filter="event/#")
        program.wait_note("stored", id=program.publish("event/a", 1))
        assert server.proc.stop() == 0
        hub(port=port, history=HISTORY)
        program.wait_note("gap", filter="event/#")
        program.wait_note("synced", filter="event/#")
        program.wait_note("stored", id=program.publish("event/a", 2))
        assert program.wait_payloads(2, "event/#") == [1, 2]


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


@pytest.mark.parametrize("rate", [50])
def test_a_rate_limit_puts_off_and_loses_nothing(hub, daemon, stored, rate):
    server = hub(history=HISTORY, limits__publishes_per_s=rate)
    machine = daemon(server)
    with machine.local() as program:
        ids = [program.publish("storm/0", i) for i in range(3 * rate)]
        machine.wait_empty()
        told = [p["id"] for m, p in program.notes if m == "stored"]
    assert [m["payload"] for m in stored(server, "#")] == list(range(3 * rate))
    assert told == ids


def test_a_server_that_closes_over_a_message(hub, daemon, stored):
    """It takes less than we do: that message alone is refused for good."""
    server = hub(history=HISTORY, limits__message_bytes=4096, limits__queue_bytes=65536)
    machine = daemon(server)
    with machine.local() as program:
        ids = [program.publish("storm/0", i if i != 5 else "x" * 20000) for i in range(10)]
        assert program.wait_note("rejected", id=ids[5])["error"]["code"] == -32002
        for i in (0, 4, 6, 9):
            program.wait_note("stored", id=ids[i])
    assert [m["payload"] for m in stored(server, "#")] == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_a_key_that_is_not_known(hub, daemon, stored):
    """It stops and says so; messages are taken; SIGHUP with the right key lets them go."""
    server = hub(history=HISTORY)
    machine = daemon(server, key="pk_is_not_one_of_this_servers")
    with machine.local() as program:
        program.publish("storm/0", 0)
        machine.proc.wait_line("then send SIGHUP", stream="err")
        assert program.call("status")["link"]["state"] == "stopped"
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
