"""Limits: each refuses cleanly, is counted, and leaves the others alone."""

import contextlib
import json
import os
import resource
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import metrics
from metrics import refused
from rpc import Error, Rpc

OPERATORS = {"metrics__listen": ["127.0.0.1:0"]}
SILENT = b"GET /api/v1 HTTP/1.1\r\nHost: x\r\n"  # the rest of the head never comes


def dial(server):
    return socket.create_connection((server.host, server.port), 20)


def answer(sock):
    """Status, header fields, the problem's detail; the connection ends in good order behind it."""
    data = b""
    while more := sock.recv(65536):
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    assert int(fields["content-length"]) == len(body)
    status = int(lines[0].split()[1])
    assert fields["content-type"] == "application/problem+json" and json.loads(body)["status"] == status
    return status, fields, json.loads(body)["detail"]


def wait_for(condition, what):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


# --- before the upgrade


def test_connections_in_all(hub):
    s = hub(limits__connections=2, **OPERATORS)
    with Rpc(s) as one, dial(s) as half:
        one.call("ping")
        half.sendall(SILENT)
        for _ in range(3):
            with dial(s) as sock:
                sock.sendall(SILENT * 100)  # it has said much already: the answer comes all the same
                status, fields, detail = answer(sock)
                assert (status, fields["retry-after"], detail) == (503, "5", "too many connections")
        assert refused(s, "connections") == 3 and one.call("ping")


def test_connections_from_one_address(hub):
    """Another address comes in meanwhile."""
    s = hub(limits__connections_per_address=1, **OPERATORS)
    with Rpc(s) as one:
        with dial(s) as sock:
            status, fields, detail = answer(sock)
            assert (status, fields["retry-after"], detail) == (429, "5", "too many connections from this address")
        elsewhere = socket.create_connection((s.host, s.port), 20, source_address=("127.0.0.2", 0))
        elsewhere.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert elsewhere.recv(100).startswith(b"HTTP/1.1 200 ")
        elsewhere.close()
        assert refused(s, "connections_per_address") == 1 and one.call("ping")


def test_strangers(hub):
    """Those who have not asked for anything are fewer than those who have; they keep nobody out who is in."""
    s = hub(limits__handshakes=3, limits__handshake_ms=600000, **OPERATORS)
    with contextlib.ExitStack() as stack:
        inside = [stack.enter_context(Rpc(s)) for _ in range(6)]
        strangers = [stack.enter_context(dial(s)) for _ in range(3)]
        wait_for(lambda: metrics.samples(s)['pixi_connections{state="handshake"}'] == 3, "they are not counted")
        with dial(s) as sock:
            status, fields, _ = answer(sock)
            assert (status, fields["retry-after"]) == (503, "1")
        assert refused(s, "handshakes") == 1
        for link in inside:
            assert link.call("ping")
        strangers[0].close()
        wait_for(lambda: metrics.samples(s)['pixi_connections{state="handshake"}'] == 2, "its place is not free")
        stack.enter_context(Rpc(s)).call("ping")


def test_a_place_is_given_again(hub):
    s = hub(limits__connections=1, limits__connections_per_address=1, limits__handshakes=1)
    for _ in range(30):
        with contextlib.suppress(OSError), dial(s) as sock:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            sock.recv(100)
    wait_for(lambda: metrics.get(s.port, "/healthz")[0] == 200, "a place that became free was not given again")


@pytest.mark.parametrize("head, status, reason", [
    (b"GET /api/v1 HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 2000 + b"\r\n\r\n", 431, "head_bytes"),
    (b"GET /api/v1 HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 20 + b"\r\n", 431, "head_fields"),
    (b"GET /api/v1 HTTP/1.1\r\nHost: x\r\n", 408, "handshake_ms"),
    (b"", 408, "handshake_ms"),
    (b"GET /api/v1 HTTP/1.0\r\n\r\n", 505, "request"),
    (b"GET /else HTTP/1.1\r\nHost: x\r\n\r\n", 404, "path"),
], ids=["size", "fields", "half", "silent", "version", "path"])
def test_handshakes(hub, head, status, reason):
    s = hub(limits__head_bytes=1024, limits__head_fields=16, limits__handshake_ms=300, **OPERATORS)
    with dial(s) as sock:
        sock.sendall(head)
        assert answer(sock)[0] == status
    assert refused(s, reason) == 1


def test_keys_and_origins_are_counted(hub):
    s = hub(origins=["https://example.org"], **OPERATORS)
    for options in ({"key": "x" * 46}, {"key": ""}, {"origin": "https://evil.example"}, {"protocols": ["chat"]}):
        with pytest.raises(Exception, match="40[013]"):
            Rpc(s, **options)
    with Rpc(s, key="x" * 46, origin="https://example.org") as link:
        assert link.closed().code == 3000
    assert [refused(s, r) for r in ("key", "origin", "subprotocol")] == [3, 1, 1]


def test_refusals_do_not_fill_the_log(hub):
    s = hub(limits__connections=1, **OPERATORS)
    with Rpc(s):
        for _ in range(300):
            with dial(s) as sock:
                assert answer(sock)[0] == 503
        s.proc.wait_line(r"refused: \d+ more in that second", stream="err")
        assert refused(s, "connections") == 300
    assert s.proc.err.count("refused: too many") + s.proc.err.count("refused: 503 too many") < 250


# --- descriptors


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_descriptors_run_out(hub):
    """Who finds none is told so; those inside go on; the server does not spin; and it recovers."""
    s = hub(limits__handshake_ms=600000, **OPERATORS)
    port = metrics.port_of(s)
    with Rpc(s) as one, Rpc(s) as two:
        one.subscribe("#")
        used = len(os.listdir(f"/proc/{s.proc.pid}/fd"))
        resource.prlimit(s.proc.pid, resource.RLIMIT_NOFILE, (used + 5, used + 5))
        held = [dial(s) for _ in range(5)]
        for _ in range(100):
            with dial(s) as sock:
                status, fields, detail = answer(sock)
                assert (status, fields["retry-after"], detail) == (503, "5", "the server has no descriptor left")
        two.publish("a", 1)
        assert one.note()["payload"] == 1
        before = cpu_s(s.proc.pid)
        assert not one.notes() and not wait_readable(held, 0.5)
        assert cpu_s(s.proc.pid) - before < 0.25  # of half a second
        for sock in held:
            sock.close()
        wait_for(lambda: metrics.get(port, "/healthz")[0] == 200, "no descriptor came free")
        with Rpc(s) as three:
            assert three.call("ping")
        assert refused(s, "descriptors") >= 100


def wait_readable(socks, seconds):
    import select

    return select.select(socks, [], [], seconds)[0]


def test_too_few_descriptors_are_told_at_the_start(spawn, settings, bin_dir):
    config = settings("server", listen=["127.0.0.1:0"], limits__connections=10000)
    proc = spawn(["bash", "-c", f"ulimit -n 256; exec {bin_dir}/pixi-ws-server --config {config}"])
    assert proc.wait_line("limits.connections is 10000, but the system gives 256 descriptors")
    proc.wait_line("^listening on")


# --- what one connection may do


def test_message_size(hub):
    s = hub(limits__message_bytes=2000, **OPERATORS)
    with Rpc(s) as link:
        link.publish("a", "x" * 1500)
        link.ask("publish", topic="a", payload="x" * 3000)
        assert link.closed().code == 1009
    wait_for(lambda: refused(s, "message_bytes") == 1, "it is not counted")


def test_protocol_errors_are_counted(hub):
    s = hub(**OPERATORS)
    with Rpc(s) as link:
        link.send(b"binary")
        assert link.closed().code == 1003
    wait_for(lambda: refused(s, "protocol") == 1, "it is not counted")


def test_subscriptions(hub):
    s = hub(limits__subscriptions=3, **OPERATORS)
    with Rpc(s) as link, Rpc(s) as other:
        for name in "abc":
            link.subscribe(name)
        error = link.error("subscribe", filter="d")
        assert error.code == -32003 and error.data["retry_after_ms"] > 0
        link.subscribe("a")  # again: no more than there were
        link.call("unsubscribe", filter="a")
        link.subscribe("d")
        other.subscribe("a")
        assert refused(s, "subscriptions") == 1


def test_calls_under_way(hub):
    s = hub(limits__calls=3, **OPERATORS)
    with Rpc(s) as asker, Rpc(s) as responder:
        responder.subscribe("request/#")
        waiting = [asker.ask("request", topic="request/x", payload=i) for i in range(3)]
        asked = [responder.note()["request"] for _ in waiting]
        error = asker.error("ping")
        assert error.code == -32003 and "calls are under way" in error.message and error.data["retry_after_ms"] > 0
        assert metrics.samples(s)["pixi_calls"] == 3 and metrics.samples(s)["pixi_requests"] == 3
        for request in asked:
            responder.call("reply", request=request, payload=1)
        for number in waiting:
            asker.answer(number)
        assert asker.call("ping") and refused(s, "calls") == 1


def test_requests(hub):
    s = hub(limits__requests=1, **OPERATORS)
    with Rpc(s) as asker, Rpc(s) as responder:
        responder.subscribe("request/#")
        first = asker.ask("request", topic="request/x", payload=1)
        request = responder.note()["request"]
        assert asker.error("request", topic="request/x", payload=2).code == -32003
        responder.call("reply", request=request, payload=3)
        assert asker.answer(first)["payload"] == 3 and refused(s, "requests") == 1


# --- rates, of a key


def test_publishes_in_a_second(hub):
    """Two connections of a key have one rate; another key has its own; the wait that is told is enough."""
    s = hub(limits__publishes_per_s=5, keys={"other": ("#", "#")}, **OPERATORS)
    with Rpc(s) as one, Rpc(s) as two, Rpc(s, key=s.keys["other"]) as other:
        other.subscribe("#")
        asked = [(link, link.ask("publish", topic="a", payload=i)) for i, link in enumerate([one, two] * 10)]
        errors = []
        for link, number in asked:
            try:
                link.answer(number)
            except Error as error:
                errors.append(error)
        assert errors and refused(s, "publishes_per_s") == len(errors)
        for error in errors:
            assert error.code == -32003 and 0 < error.data["retry_after_ms"] <= 1000
        other.publish("b", 1)
        time.sleep(errors[-1].data["retry_after_ms"] / 1000)
        two.publish("a", "later")
        got = [other.note()]
        while got[-1]["payload"] != "later":
            got.append(other.note())
        passed = [note["time_ms"] for note in got if note["topic"] == "a"]
        assert len(passed) == 20 - len(errors) + 1
        assert len(passed) <= 5 + 5 * (passed[-1] - passed[0]) / 1000 + 1


def test_requests_and_notifications_count_as_publishes(hub):
    s = hub(limits__publishes_per_s=1, **OPERATORS)
    with Rpc(s) as link:
        asked = link.ask("request", topic="request/x", payload=1)
        link.send({"jsonrpc": "2.0", "method": "publish", "params": {"topic": "a", "payload": 1}})
        assert link.error("publish", topic="a", payload=1).code == -32003
        with pytest.raises(Error) as nobody:
            link.answer(asked)
        assert nobody.value.code == -32004
        assert refused(s, "publishes_per_s") == 2 and metrics.samples(s)["pixi_store_messages"] == 0
        assert metrics.samples(s)['pixi_calls_total{method="publish",result="too_much"}'] == 2


def test_bytes_in_a_second(hub):
    """One message that is larger than a second's worth passes when nothing else did."""
    s = hub(limits__publish_bytes_per_s=10000, **OPERATORS)
    with Rpc(s) as link:
        link.publish("a", "x" * 30000)
        error = link.error("publish", topic="a", payload=1)
        assert error.code == -32003 and 1000 < error.data["retry_after_ms"] <= 3000
        assert refused(s, "publish_bytes_per_s") == 1 and link.call("ping")


def test_a_keys_own_rate(hub, run, tmp_path):
    s = hub(limits__publishes_per_s=1)
    add = ["pixi-ws-server", "key", "add", "--publish", "#", "--keys", tmp_path / "server.keys"]
    many = run([*add, "many", "--rate", "1000"]).stdout.strip()
    large = run([*add, "large", "--rate", "1000", "--byte-rate", "5000"]).stdout.strip()
    os.kill(s.proc.pid, signal.SIGHUP)
    s.proc.wait_line("holds 3 keys")
    with Rpc(s, key=many) as link:
        for i in range(100):
            link.publish("a", i)
    with Rpc(s, key=large) as link:
        link.publish("a", "x" * 500000)  # a hundred seconds' worth
        assert "bytes" in link.error("publish", topic="a", payload=1).message
    listed = run(["pixi-ws-server", "key", "list", "--keys", tmp_path / "server.keys"]).stdout
    assert "1000 messages/s  5000 bytes/s" in listed
    listed = run(["pixi-ws-server", "key", "list", "--json", "--keys", tmp_path / "server.keys"]).stdout
    assert [json.loads(line)["publishes_per_s"] for line in listed.splitlines()] == [None, 1000, 1000]


@pytest.mark.parametrize("args", [["--rate", "0"], ["--rate", "x"], ["--rate", "-1"], ["--rate", ""], ["--byte-rate", "1e9"],
                                  ["--rate", "1000000001"], ["--byte-rate", "99999999999999999999"]])
def test_rates_that_are_none(run, tmp_path, args):
    done = run(["pixi-ws-server", "key", "add", "x", *args, "--keys", tmp_path / "k"])
    assert done.returncode == 2 and args[0] in done.stderr and "expected a whole number" in done.stderr
    assert not (tmp_path / "k").exists()


def test_a_reload_forgives_nothing(hub):
    """What a key has used stays used, or a reload would give everybody a second's worth more."""
    s = hub(limits__publish_bytes_per_s=1000)
    with Rpc(s) as link:
        link.publish("a", "x" * 300000)
        os.kill(s.proc.pid, signal.SIGHUP)
        s.proc.wait_line("holds 1 key")
        assert link.error("publish", topic="a", payload=1).data["retry_after_ms"] > 100000


# --- time


def test_idle(hub):
    """Pings and pongs are not enough; a subscription, a call under way, or a message now and then is."""
    s = hub(limits__idle_ms=1500, **OPERATORS)
    with Rpc(s) as silent, Rpc(s) as pings, Rpc(s) as listens, Rpc(s) as asks, Rpc(s) as talks:
        listens.subscribe("request/#")
        number = asks.ask("request", topic="request/x", payload=1)
        request = listens.note()["request"]

        def ping():
            import asyncio

            import rpc as module

            asyncio.run_coroutine_threadsafe(pings.ws.ping(), module._loop)

        with ThreadPoolExecutor() as pool:
            ends = [pool.submit(link.closed) for link in (silent, pings)]
            while not all(end.done() for end in ends):
                talks.call("ping")
                ping()
                time.sleep(0.02)
        for end in ends:
            assert (end.result().code, end.result().reason) == (3008, "idle for too long")
        listens.call("reply", request=request, payload=2)
        assert asks.answer(number)["payload"] == 2 and talks.call("ping")
        assert refused(s, "idle_ms") == 2


def test_our_client_says_so(hub, client):
    s = hub(limits__idle_ms=200)
    proc = client(s).spawn("connect", s.url)
    assert proc.wait() == 11
    assert "3008: idle for too long" in proc.err and "fix: " in proc.err


def test_no_idle_limit(hub):
    s = hub(limits__idle_ms=0, limits__message_ms=40)
    with Rpc(s) as link:
        time.sleep(0.3)
        assert link.call("ping")


def test_drained_links_are_not_stalled(hub):
    """A reader that takes what it gets, however late it began, is no stalled one."""
    s = hub(limits__stall_ms=100, **OPERATORS)
    with Rpc(s) as reader, Rpc(s) as writer:
        reader.subscribe("#")
        for i in range(50):
            writer.publish("a", i)
        time.sleep(0.4)
        assert [reader.note()["payload"] for _ in range(50)] == list(range(50)) and reader.call("ping")
        assert refused(s, "stall_ms") == 0


def test_a_reader_that_stands_still(hub):
    """It is closed with 1013, as far as it can be told, while others get everything."""
    s = hub(limits__stall_ms=400, limits__queue_bytes=1 << 20, **OPERATORS)
    with Rpc(s) as stalled, Rpc(s) as honest, Rpc(s) as writer:
        stalled.subscribe("#")
        honest.subscribe("#")
        stalled.ws.transport.pause_reading()
        count = 0
        while refused(s, "stall_ms") == 0:
            writer.publish("a", "x" * 200000)
            assert len(honest.note()["payload"]) == 200000
            count += 1
            assert count < 2000
        assert metrics.samples(s)["pixi_deliveries_deferred_total"] > 0
        stalled.ws.transport.resume_reading()
        with contextlib.suppress(Exception):
            assert stalled.closed().code in (1013, 1006)


def test_a_reader_that_history_has_passed(hub):
    """It falls back to catching up, and is closed with 1013 when what it needs is gone."""
    s = hub(history=[{"filter": "#", "max_messages": 20}], limits__queue_bytes=1 << 20, **OPERATORS)
    with Rpc(s) as slow, Rpc(s) as honest, Rpc(s) as writer:
        slow.subscribe("#")
        honest.subscribe("#")
        slow.ws.transport.pause_reading()
        for _ in range(200):
            writer.publish("a", "x" * 100000)
            honest.note()
        assert metrics.samples(s)["pixi_deliveries_deferred_total"] > 0
        slow.ws.transport.resume_reading()
        assert slow.closed().code == 1013
        assert refused(s, "history") == 1


def test_answers_that_nobody_reads(hub):
    """An answer cannot come later as a stored message can: what has no room for it any more is closed with 1013."""
    s = hub(limits__queue_bytes=1 << 20, **OPERATORS)
    with Rpc(s) as link, Rpc(s) as other:
        for i in range(20):
            link.publish("a", "x" * 50000)
        link.ws.transport.pause_reading()
        while refused(s, "queue_bytes") == 0:
            link.ask("history", filter="#", limit=1000)
        assert other.call("ping")
        link.ws.transport.resume_reading()
        assert link.closed().code == 1013


def test_no_answer_to_pings(hub):
    s = hub(keepalive__interval_ms=100, keepalive__timeout_ms=100, **OPERATORS)
    with Rpc(s) as dead, Rpc(s) as alive:
        dead.call("ping")
        dead.ws.transport.pause_reading()
        wait_for(lambda: refused(s, "keepalive") == 1, "it is still held")
        assert alive.call("ping")
        dead.abort()
