"""Messages keep their order when the server puts one off; what it has forgotten is told as in doubt. docs/daemon.md."""

import contextlib
import os
import signal
import sqlite3

from proxy import Proxy
from rpc import Rpc

HISTORY = [{"filter": "#", "max_messages": 100000, "max_bytes": 1 << 30}]


def by_topic(messages):
    out = {}
    for message in messages:
        out.setdefault(message["topic"], []).append(message["payload"])
    return out


def test_a_rate_limit_under_load(hub, daemon, stored):
    """Three topics, two priorities, many under way: each topic comes in its order within a priority."""
    server = hub(history=HISTORY, limits__publishes_per_s=300)
    machine = daemon(server)
    with machine.local() as program:
        calls = [
            program.start("publish", topic=f"t/{n % 3}/{n % 2}", payload=n, priority=4 + n % 2) for n in range(900)
        ]
        for call in calls:
            program.answer(call)
        machine.wait_empty()
        assert machine.status()["outbox"]["stored"] == 900
    got = by_topic(stored(server, "#"))
    assert got == {f"t/{n % 3}/{n % 2}": list(range(n, 900, 6)) for n in range(6)}


def test_a_store_without_room(hub, daemon, stored):
    """One message has no room until others go; what was sent behind it waits with it, of every topic."""
    server = hub(history=HISTORY, limits__retained_count=1)
    machine = daemon(server)
    with machine.local() as program, Rpc(server) as other:
        other.publish("scene/0", 0, retain=True)
        for n in range(20):
            program.start("publish", topic=f"t/{n % 2}", payload=n, retain=n == 5)
        machine.wait_status(lambda s: s["outbox"]["stored"] == 5 and s["last_error"])
        other.call("publish", topic="scene/0", payload_base64="", retain=True)
        machine.wait_empty()
    assert [m["payload"] for m in stored(server, "t/#")] == list(range(20))


def test_one_refused_for_good_holds_nobody_up(hub, daemon, stored):
    server = hub(history=HISTORY, keys={"some": ("t/#", "#")})
    machine = daemon(server, key=server.keys["some"])
    with machine.local() as program:
        calls = [program.start("publish", topic="no" if n % 3 == 1 else "t", payload=n) for n in range(300)]
        ids = [program.answer(call)["queued"] for call in calls]
        for id in ids[1::3]:
            assert program.wait_note("rejected", id=id)["error"]["code"] == -32001
        machine.wait_empty()
    assert [m["payload"] for m in stored(server, "#")] == [n for n in range(300) if n % 3 != 1]


def under_way_when_frozen(machine, server, count):
    """How many go at a time to a server that does not answer."""
    os.kill(server.proc.pid, signal.SIGSTOP)
    with machine.local() as program:
        for n in range(count):
            program.publish("t", n)
        machine.wait_status(lambda s: s["outbox"]["under_way"] == count)
    os.kill(server.proc.pid, signal.SIGCONT)
    machine.wait_empty()


def test_suspects_that_leave_in_doubt_are_suspects_no_more(hub, daemon):
    """The server closed over one of many, and is another before it was known which: then many go at a time again."""
    server = hub(limits__message_bytes=4096, limits__queue_bytes=65536)
    with Proxy(server) as proxy:
        machine = daemon(proxy.url, key=server.key)
        machine.wait_status(lambda s: s["link"]["state"] == "open")
        with machine.local() as program:
            proxy.is_holding = True
            os.kill(server.proc.pid, signal.SIGSTOP)
            ids = [program.publish("t", "x" * (20000 if n == 3 else 10)) for n in range(10)]
            machine.wait_status(lambda s: s["outbox"]["under_way"] == 10)
            os.kill(server.proc.pid, signal.SIGCONT)
            machine.wait_status(lambda s: s["link"]["losses"] == 1)
            server.proc.kill()
            server = hub()
            proxy.target = (server.host, server.port)
            proxy.let_go()
            told = {program.wait_note("rejected", id=id)["error"]["code"] for id in ids[3:]}
            assert told == {-32013}
        under_way_when_frozen(machine, server, 10)


def test_a_server_that_has_forgotten_the_producer(hub, daemon, stored, free_port, tmp_path):
    """As after 90 days: what had no answer is told as in doubt, and not stored a second time."""
    port, data = free_port(), tmp_path / "data"
    server = hub("--data", data, port=port, history=HISTORY)
    machine = daemon(server)
    with machine.local() as program:
        program.wait_note("stored", id=program.publish("t", "first"))
        os.kill(server.proc.pid, signal.SIGSTOP)
        doubt = program.publish("t", "doubt")
        machine.wait_status(lambda s: s["outbox"]["under_way"] == 1)
        server.proc.kill()
        machine.wait_status(lambda s: s["link"]["state"] != "open")
        later = program.publish("t", "later")
        with contextlib.closing(sqlite3.connect(data / "hub.db")) as db, db:
            db.execute("DELETE FROM sent")
            db.execute("DELETE FROM producer")
            db.execute("UPDATE log SET producers = 0, seqs = 0")
        hub("--data", data, port=port, history=HISTORY)
        assert program.wait_note("rejected", id=doubt)["error"]["code"] == -32013
        program.wait_note("stored", id=later)
    assert [m["payload"] for m in stored(server, "#")] == ["first", "later"]
