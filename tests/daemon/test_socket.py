"""The daemon's local socket: what a program sees of it."""

import contextlib
import json
import os
import signal
import socket
import stat

import pytest
from local import Error, Gone, Local
from rpc import Rpc


def test_another_dialect_is_refused_with_what_to_do(daemon):
    machine = daemon("ws://127.0.0.1:1/", start=False, dialect="mqtt")
    done = machine.client("daemon")
    assert done.returncode == 3
    assert "pixi.v1 only" in done.stderr and "fix: let it speak to a Pixi server" in done.stderr


def test_what_a_line_has_no_word_for_is_refused(hub, daemon):
    """Nothing that is asked for is passed over in silence."""
    machine = daemon(hub())
    key = {"producer": "1b671a64-40d5-491e-99b0-da01ff1f3341", "seq": 2, "low": 1, "after": 1}
    with machine.local() as program:
        for method, params in (
            ("subscribe", {"filter": "event/#", "batch_ms": 100}),
            ("subscribe", {"filter": "event/#", "batch_ms": 100, "latest": True}),
            ("publish", {"topic": "event/a", "payload": 1, "key": key}),
        ):
            with pytest.raises(Error) as e:
                program.call(method, **params)
            assert e.value.code == -32602


def test_queued_then_stored(hub, daemon, stored):
    server = hub()
    with daemon(server).local() as program:
        number = program.publish("event/a", {"x": 1}, headers=[["h", "v"]])
        told = program.wait_note("stored", id=number)
    (message,) = stored(server, "event/#")
    assert (message["payload"], message["headers"]) == ({"x": 1}, [["h", "v"]])
    assert (told["epoch"], told["offset"]) == (message["epoch"], message["offset"])


@pytest.mark.fault("server-none")
def test_before_the_first_connection(hub, daemon, stored, free_port, row):
    """Messages are taken while no server was ever there, over a restart of the daemon, and go when it comes."""
    port = free_port()
    machine = daemon(f"ws://127.0.0.1:{port}/api/v1", start=False)
    server = hub(port=port)
    machine.file.write_text(machine.file.read_text().replace("pk_nobody_in_particular", server.key))
    server.proc.kill()
    machine.start()
    with machine.local() as program:
        for i in range(10):
            program.publish("event/a", i)
    assert machine.proc.stop() == 0
    machine.start()
    with machine.local() as program:
        for i in range(10, 20):
            program.publish("event/a", i)
        assert program.call("status")["outbox"]["messages"] == 20
        row.agrees(machine)
        server = hub(port=port)
        machine.wait_empty()
    assert [m["payload"] for m in stored(server, "#")] == list(range(20))


def test_a_shell_can_use_it(hub, daemon, run):
    machine = daemon(hub())
    line = '{"jsonrpc":"2.0","id":1,"method":"publish","params":{"topic":"event/a","payload":1}}\n'
    done = run(["socat", "-t", "5", "-", f"UNIX:{machine.socket}"], input=line)
    answers = [json.loads(x) for x in done.stdout.splitlines()]
    assert [a["id"] for a in answers if "id" in a] == [1] and "queued" in answers[0]["result"]


def test_broken_lines(hub, daemon):
    with daemon(hub()).local(reads=False) as program:
        program.sock.sendall(b'{"jsonrpc":"2.0","id":1,"meth\n[{"jsonrpc":"2.0","id":2,"method":"ping"}]\n\r\n')
        program.sock.sendall(b'{"jsonrpc":"2.0","id":3,"method":"nonsense"}\n')
        program.sock.sendall(b'{"jsonrpc":"2.0","id":4,"method":"publish","params":{"topic":"a"}}\n')
        for byte in b'{"jsonrpc":"2.0","id":5,"method":"ping"}\n':
            program.sock.sendall(bytes([byte]))
        with program.sock.makefile("rb") as lines:
            answers = [json.loads(lines.readline()) for _ in range(5)]
    assert [(a["id"], a.get("error", {}).get("code")) for a in answers] == [
        (None, -32700),
        (None, -32600),
        (3, -32601),
        (4, -32602),
        (5, None),
    ]


def test_a_line_too_long(hub, daemon):
    with daemon(hub(), limits__message_bytes=4096).local() as program:
        with pytest.raises(Error) as told:
            program.publish("event/a", "x" * 5000)
        assert told.value.code == -32002
        program.sock.sendall(b"x" * 20000)
        with pytest.raises(Gone):
            program.answer(1000)


def test_each_program_has_its_subscriptions(hub, daemon):
    """One upstream subscription; who comes later gets the retained messages, and nobody gets anything twice."""
    server = hub()
    machine = daemon(server)
    with Rpc(server) as other:
        other.call("publish", topic="scene/a", payload="kept", retain=True)
        with machine.local() as first, machine.local() as second, machine.local() as third:
            first.call("subscribe", filter="scene/#")
            first.wait_note("synced", filter="scene/#")
            for i in range(5):
                other.call("publish", topic="scene/a", payload=i, retain=True)
            assert first.wait_payloads(6, "scene/#") == ["kept", 0, 1, 2, 3, 4]
            second.call("subscribe", filter="scene/#")
            second.wait_note("synced", filter="scene/#")
            assert second.wait_payloads(1, "scene/#") == [4]
            third.call("subscribe", filter="scene/#", retained=False)
            for i in range(5, 10):
                other.call("publish", topic="scene/a", payload=i, retain=True)
            assert first.wait_payloads(11, "scene/#")[6:] == [5, 6, 7, 8, 9]
            assert second.wait_payloads(6, "scene/#") == [4, 5, 6, 7, 8, 9]
            assert third.wait_payloads(5, "scene/#") == [5, 6, 7, 8, 9]
            assert first.call("status")["programs"]["subscriptions"] == 1
            assert first.call("unsubscribe", filter="scene/#") == {}
            other.call("publish", topic="scene/a", payload="last")
            third.wait_note("message", payload="last")
            assert first.call("ping")["time_ms"] > 0
            assert "last" not in [p["payload"] for m, p in first.notes]


def test_joining_while_messages_come(hub, daemon):
    """Programs come and go under a stream: each of them gets every message once, in order."""
    server = hub()
    machine = daemon(server)
    with Rpc(server) as other, machine.local() as first:
        first.call("subscribe", filter="event/#")
        later = []
        for i in range(300):
            other.call("publish", topic="event/a", payload=i)
            if i % 60 == 30:
                program = machine.local()
                later.append((i, program, program.start("subscribe", filter="event/#")))
        for _, program, number in later:
            program.answer(number)
        other.call("publish", topic="event/a", payload=300)
        assert first.wait_payloads(301, "event/#") == list(range(301))
        for _, program, _ in later:
            program.wait_note("message", payload=300)
            got = [p["payload"] for m, p in program.notes if m == "message"] + [300]
            assert got == list(range(got[0], 301))
            program.close()


def test_since_is_each_programs_own(hub, daemon):
    server = hub()
    machine = daemon(server)
    with machine.local() as first, machine.local() as second:
        first.call("subscribe", filter="event/#")
        for i in range(5):
            first.publish("event/a", i)
        at = first.wait_note("message", payload=1)
        first.wait_note("message", payload=4)
        since = {name: at[name] for name in ("epoch", "offset")}
        assert second.call("subscribe", filter="event/#", since=since)["recovered"]
        assert second.wait_payloads(3, "event/#") == [2, 3, 4]
        first.publish("event/a", 5)
        assert second.wait_payloads(4, "event/#") == [2, 3, 4, 5]
        assert first.wait_note("message", payload=5)
        assert [p["payload"] for m, p in first.notes if m == "message"] == [0, 2, 3]


def test_requests_and_replies(hub, daemon):
    """A reply goes only to who asked, and comes only from who was asked."""
    machine = daemon(hub())
    with machine.local() as asker, machine.local() as responder, machine.local() as stranger:
        with pytest.raises(Error) as told:
            asker.call("request", topic="request/x", payload=1)
        assert told.value.code == -32004
        responder.call("subscribe", filter="request/#")
        number = asker.start("request", topic="request/x", payload=1)
        asked = responder.wait_note("message", topic="request/x")
        with pytest.raises(Error):
            stranger.call("reply", request=asked["request"], payload="no")
        assert responder.call("reply", request=asked["request"], payload="yes") == {}
        assert asker.answer(number)["payload"] == "yes"
        assert not stranger.notes


@pytest.mark.fault("server-refuses")
def test_what_the_server_refuses_is_kept_and_the_next_goes_on(hub, daemon, row):
    server = hub(keys={"narrow": ("event/#", "#")})
    machine = daemon(server, key=server.keys["narrow"])
    with machine.local() as program:
        bad = program.publish("secret/a", "no")
        good = program.publish("event/a", "yes")
        refused = program.wait_note("rejected", id=bad)["error"]
        program.wait_note("stored", id=good)
        listed = program.call("rejected")
        (kept,) = listed["messages"]
        assert not listed["more"]
    row.agrees(machine, [Error(refused)])
    assert (kept["id"], kept["topic"], kept["payload"], kept["error"]["code"]) == (bad, "secret/a", "no", -32001)
    listed = machine.client("status", "--rejected")
    assert json.loads(listed.stdout)["topic"] == "secret/a"


def test_refused_ones_that_do_not_fit_into_one_answer(hub, daemon):
    """The newest that fit are listed, and that there are more."""
    server = hub(keys={"narrow": ("event/#", "#")})
    machine = daemon(server, key=server.keys["narrow"])
    with machine.local() as program:
        ids = [program.publish("secret/a", "x" * 900_000) for _ in range(5)]
        for id in ids:
            program.wait_note("rejected", id=id)
        listed = program.call("rejected")
        few = program.call("rejected", limit=1)
        assert ids[:-4:-1] == [m["id"] for m in listed["messages"]] and listed["more"]
        assert ids[:-2:-1] == [m["id"] for m in few["messages"]] and few["more"]
    printed = machine.client("status", "--rejected")
    assert printed.returncode == 0
    assert ids[:-4:-1] == [json.loads(line)["id"] for line in printed.stdout.splitlines()]
    assert "these are the newest 3; there are more" in printed.stderr


def test_permissions_of_users(hub, daemon):
    allow = [{"uid": os.getuid(), "publish": ["event/#"], "subscribe": ["event/a"], "outbox_bytes": 200}]
    server = hub()
    with daemon(server, daemon__allow=allow).local() as program:
        for method, params in (
            ("publish", {"topic": "scene/a", "payload": 1}),
            ("subscribe", {"filter": "event/#"}),
            ("history", {"filter": "#"}),
            ("request", {"topic": "request/a", "payload": 1}),
        ):
            with pytest.raises(Error) as told:
                program.call(method, **params)
            assert told.value.code == -32001, method
        program.call("subscribe", filter="event/a")
        program.publish("event/a", 1)
        with pytest.raises(Error) as told:
            program.publish("event/a", "x" * 200)
        assert told.value.code == -32010
    with pytest.raises(Gone):
        Local(daemon(server, daemon__allow=[{"uid": os.getuid() + 1}]).socket).call("ping")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can join groups at will")
def test_somebody_in_many_groups(hub, daemon, run):
    """The last of 1,000 groups is one that daemon.allow names."""
    machine = daemon(hub(), daemon__allow=[{"gid": 70999, "publish": ["#"]}])
    line = '{"jsonrpc":"2.0","id":1,"method":"ping"}\n'

    def ask(groups):
        return run(["socat", "-t", "5", "-", f"UNIX:{machine.socket}"], input=line, extra_groups=groups).stdout

    assert "time_ms" in ask(range(70000, 71000))
    assert "time_ms" not in ask(range(70000, 70999))  # who is refused may lose the reason, where it still writes
    machine.proc.wait_line("daemon.allow names neither: refused", stream="err")


@pytest.mark.fault("outbox-full")
def test_full_is_told(hub, daemon, free_port, row):
    machine = daemon(f"ws://127.0.0.1:{free_port()}/api/v1", outbox__bytes=65536)
    with machine.local() as program:
        with pytest.raises(Error) as told:
            for _ in range(20):
                program.publish("event/a", "x" * 10000)
        assert told.value.code == -32010
        assert program.call("status")["outbox"]["refused_full"] == 1
        row.agrees(machine, [told.value])


@pytest.mark.fault("daemon-twice")
def test_one_daemon_to_a_socket(hub, daemon, spawn, row):
    machine = daemon(hub())
    second = spawn(["pixi-ws-client", "--settings", machine.file, "daemon", "--outbox", f"{machine.outbox}-2"])
    row.agrees(machine, exit_code=second.wait(), proc=second)
    third = spawn(["pixi-ws-client", "--settings", machine.file, "daemon", "--socket", f"{machine.socket}-3"])
    assert third.wait() == 3 and "in use by process" in third.err
    with machine.local() as program:
        assert program.call("ping")


def test_what_a_killed_one_left_behind(hub, daemon):
    machine = daemon(hub())
    machine.kill()
    assert machine.socket.exists()
    machine.start()
    mode = machine.socket.stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
    assert machine.status()["link"]
    assert machine.proc.stop() == 0
    assert not machine.socket.exists()


def test_something_else_in_the_way(hub, daemon):
    machine = daemon(hub(), start=False)
    machine.socket.write_text("precious")
    machine.start(is_waited=False)
    assert machine.proc.wait() == 3
    assert "no socket" in machine.proc.err and machine.socket.read_text() == "precious"


@pytest.mark.fault("program-slow")
def test_a_slow_reader_hurts_only_itself(hub, daemon, row):
    """It misses nothing that the server keeps: what was passed over comes when it reads again."""
    server = hub(history=[{"filter": "#", "max_messages": 100000, "max_bytes": 1 << 30}])
    machine = daemon(server, daemon__queue_bytes=65536)
    with machine.local() as writer, machine.local() as quick, machine.local(reads=False) as slow:
        quick.call("subscribe", filter="event/#")
        slow.start("subscribe", filter="event/#")
        machine.wait_status(lambda s: s["programs"]["connected"] == 4)
        ids = [writer.start("publish", topic="event/a", payload=[i, "x" * 1000]) for i in range(1500)]
        assert [p[0] for p in quick.wait_payloads(1500, "event/#")] == list(range(1500))
        for number in ids:
            writer.answer(number)
        assert machine.status()["programs"]["messages_skipped"] > 0
        row.agrees(machine)
        slow.start_reading()
        got = [p[0] for p in slow.wait_payloads(1500, "event/#")]
        assert got == list(range(1500))


@pytest.mark.fault("program-deaf")
def test_who_does_not_read_answers_is_not_read_from(hub, daemon, row):
    machine = daemon(hub(), daemon__queue_bytes=65536)
    with machine.local(reads=False) as deaf, machine.local() as other:
        deaf.sock.setblocking(False)
        line = b'{"jsonrpc":"2.0","id":1,"method":"info"}\n' * 1000
        while not other.call("status")["programs"]["not_reading"]:  # a full buffer may be the daemon's being busy
            with contextlib.suppress(BlockingIOError):
                while True:
                    deaf.sock.send(line)
        with pytest.raises(BlockingIOError):
            while True:
                deaf.sock.send(line)
        assert other.call("ping")
        row.agrees(machine)


@pytest.mark.fault("programs-many")
def test_a_thousand_programs(hub, daemon, stored, row):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    server = hub()
    machine = daemon(server)
    programs = []
    try:
        for i in range(1000):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(machine.socket))
            programs.append(sock)
        for i, sock in enumerate(programs):
            call = {"jsonrpc": "2.0", "id": i, "method": "publish", "params": {"topic": f"event/{i}", "payload": i}}
            sock.sendall(json.dumps(call).encode() + b"\n")
        for i, sock in enumerate(programs):
            with sock.makefile("rb") as lines:
                answer = json.loads(lines.readline())
                assert answer["id"] == i and answer["result"]["queued"]
        row.agrees(machine)
        machine.wait_empty()
        assert sorted(m["payload"] for m in stored(server, "event/#")) == list(range(1000))
    finally:
        for sock in programs:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_reload(hub, daemon, settings):
    """Other limits hold at once, another key makes another link, and what cannot change is told."""
    server = hub(keys={"other": ("#", "#")})
    machine = daemon(server)
    with machine.local() as program:
        program.publish("event/a", 1)
        machine.wait_empty()
        text = json.loads(machine.file.read_text())
        text["outbox"] = {"bytes": 65536, "path": "elsewhere"}
        machine.file.write_text(json.dumps(text))
        os.kill(machine.proc.pid, signal.SIGHUP)
        machine.proc.wait_line("settings were read again", stream="err")
        machine.proc.wait_line("outbox.path was changed: that holds from the next start", stream="err")
        assert program.call("status")["outbox"]["limit_bytes"] == 65536
        assert program.call("status")["link"]["connects"] == 1
        text["api_key"] = server.keys["other"]
        machine.file.write_text(json.dumps(text))
        os.kill(machine.proc.pid, signal.SIGHUP)
        machine.wait_status(lambda s: s["link"]["connects"] == 2)
        program.publish("event/a", 2)
        machine.wait_empty()
        machine.file.write_text("{")
        os.kill(machine.proc.pid, signal.SIGHUP)
        machine.proc.wait_line("those from before stay", stream="err")
        assert program.call("ping")


def test_larger_messages_after_a_reload(hub, daemon):
    """What the settings now allow reaches the programs that were there before."""
    large = {"message_bytes": 4 << 20, "queue_bytes": 16 << 20}
    server = hub(**{f"limits__{name}": value for name, value in large.items()})
    machine = daemon(server, limits__message_bytes=4096)
    text = json.loads(machine.file.read_text())
    with machine.local() as program:
        program.call("subscribe", filter="event/#")
        text["limits"] = large
        machine.file.write_text(json.dumps(text))
        os.kill(machine.proc.pid, signal.SIGHUP)
        machine.proc.wait_line("settings were read again", stream="err")
        program.publish("event/a", "x" * (3 << 20))
        assert len(program.wait_note("message")["payload"]) == 3 << 20


def test_permissions_that_are_narrowed(hub, daemon):
    """What daemon.allow covers no more ends, also what waits for its answer; the rest goes on."""
    server = hub()
    machine = daemon(server, daemon__allow=[{"uid": os.getuid(), "publish": ["#"], "subscribe": ["#"]}])
    text = json.loads(machine.file.read_text())
    with machine.local() as program, Rpc(server) as other:
        for filter in ("event/a", "event/b", "scene/#"):
            program.call("subscribe", filter=filter)
        program.publish("event/b", "before")
        program.wait_note("message", filter="event/b", payload="before")
        text["daemon"]["allow"] = [{"uid": os.getuid(), "publish": ["event/a"], "subscribe": ["event/a"]}]
        machine.file.write_text(json.dumps(text))
        os.kill(machine.proc.pid, signal.SIGHUP)
        for filter in ("event/b", "scene/#"):
            assert program.wait_note("unsubscribed", filter=filter)["error"]["code"] == -32001
        for method, params in (("publish", {"topic": "event/b", "payload": 1}), ("subscribe", {"filter": "event/b"})):
            with pytest.raises(Error) as told:
                program.call(method, **params)
            assert told.value.code == -32001, method
        for topic in ("event/b", "event/a"):
            other.call("publish", topic=topic, payload="after")
        program.wait_note("message", filter="event/a", payload="after")
        assert not [p for m, p in program.notes if m == "message"]
        assert program.call("status")["programs"]["subscriptions"] == 1


def test_a_program_that_has_said_all_goes_with_its_last_subscription(hub, daemon):
    machine = daemon(hub(), daemon__allow=[{"uid": os.getuid(), "publish": ["#"], "subscribe": ["#"]}])
    text = json.loads(machine.file.read_text())
    with machine.local() as program:
        for filter in ("event/a", "event/b"):
            program.call("subscribe", filter=filter)
        program.sock.shutdown(socket.SHUT_WR)
        program.notes.clear()
        machine.wait_status(lambda s: s["programs"]["subscriptions"] == 2)
        text["daemon"]["allow"][0]["subscribe"] = ["event/c"]
        machine.file.write_text(json.dumps(text))
        os.kill(machine.proc.pid, signal.SIGHUP)
        for filter in ("event/a", "event/b"):
            program.wait_note("unsubscribed", filter=filter)
        with pytest.raises(Gone):
            program.wait_note("message")


def test_many_filters(hub, daemon):
    """Each message goes to the program whose filter it is."""
    server = hub()
    with contextlib.ExitStack() as stack:
        machine = daemon(server)
        programs = [stack.enter_context(machine.local()) for _ in range(3)]
        for i in range(900):
            programs[i % 3].call("subscribe", filter=f"event/{i}")
        for i in range(0, 900, 3):
            programs[1].call("unsubscribe", filter=f"event/{i + 1}")
        other = stack.enter_context(Rpc(server))
        for i in range(900):
            other.call("publish", topic=f"event/{i}", payload=i)
        for i, program in enumerate(programs):
            want = [k for k in range(900) if k % 3 == i and i != 1]
            if want:
                program.wait_note("message", payload=want[-1])
            assert [p["payload"] for m, p in program.notes if m == "message"] == want[:-1]


def test_a_subscription_that_waits_is_narrowed_too(daemon, free_port):
    machine = daemon(
        f"ws://127.0.0.1:{free_port()}/api/v1", daemon__allow=[{"uid": os.getuid(), "publish": ["#"], "subscribe": ["#"]}]
    )
    text = json.loads(machine.file.read_text())
    with machine.local() as program:
        number = program.start("subscribe", filter="event/a")
        program.call("ping")
        text["daemon"]["allow"][0]["subscribe"] = ["event/b"]
        machine.file.write_text(json.dumps(text))
        os.kill(machine.proc.pid, signal.SIGHUP)
        with pytest.raises(Error) as told:
            program.answer(number)
        assert told.value.code == -32001


def test_status_on_a_screen(hub, daemon, free_port):
    machine = daemon(hub())
    machine.wait_status(lambda s: s["link"]["state"] == "open")
    done = machine.client("status")
    assert done.returncode == 0 and "link      open since " in done.stdout and "0 messages wait" in done.stdout
    lost = daemon(f"ws://127.0.0.1:{free_port()}/api/v1")
    lost.wait_status(lambda s: s["last_error"])
    done = lost.client("status")
    assert done.returncode == 5 and "fix: start the server" in done.stdout
    assert json.loads(lost.client("--json", "status").stdout)["last_error"]["layer"] == "tcp"
    lost.proc.stop()
    done = lost.client("status")
    assert done.returncode == 5 and "no daemon at" in done.stderr and "fix: start it" in done.stderr
