"""pixi_ws in use: Ctrl-C, threads, payloads, what must not be lost, memory, asyncio, and what it refuses."""

import asyncio
import gc
import os
import signal
import threading
import weakref
from pathlib import Path

import pytest

import answers
import pixi_ws
import scripted
from pixi_ws import _library, aio

PYTHON = "/usr/bin/python3"
PATIENCE_S = 20


# --- subscribing anew


def test_nothing_comes_that_was_meant_for_the_subscription_before():
    with scripted.Server("replaced") as server, pixi_ws.Client("replaced", server.url, api_key=server.key) as client:
        for _ in range(2):
            client.subscribe("event/#")
            assert [client.recv(timeout=PATIENCE_S).payload for _ in range(2)] == [b'"first"', b'{"x": 1}']
            client.unsubscribe("event/#")


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------

INTERRUPTED = """
import pixi_ws, sys, threading
client = pixi_ws.Client("ctrl-c", sys.argv[1], api_key=sys.argv[2])
def call(what):
    print("inside", flush=True)
    what()
try:
    {doing}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    "row, doing",
    [
        ("send", "with client: call(client.recv)"),
        ("send", "with client: call(lambda: next(iter(client)))"),
        ("send", "client.on_message = print; call(client.loop_forever)"),
        ("send-unanswered", "with client: call(lambda: client.send_message('event/x', '1'))"),
        ("request-unanswered", "with client: call(lambda: client.request('request/x'))"),
        ("subscribe-unanswered", "with client: call(lambda: client.subscribe('event/#'))"),
        ("connect-timeout", "call(client.connect)"),
        ("close-unanswered", "client.connect(); call(client.close)"),
    ],
)
def test_ctrl_c_ends_what_waits(spawn, tree, row, doing):
    with answers.server_of(next(r for r in answers.rows() if r.id == row)) as server:
        proc = spawn([PYTHON, "-c", INTERRUPTED.replace("{doing}", doing), server.url, server.key], env=tree)
        proc.wait_line("inside", stream="out")
        assert proc.stop(signal.SIGINT) == 0, proc
        proc.wait_line("interrupted", stream="out")
        assert "Traceback" not in proc.err and "ignored" not in proc.err, proc
        if row == "send":
            assert [code for code, _ in server.closes] in ([1000], [])


COUNTED = """
import json, os, pixi_ws, signal, sys
client = pixi_ws.Client()
client.subscribe("event/#")
seen, interrupts, folder = [], 0, os.path.dirname(pixi_ws.__file__)
client.connect()
def interrupt(number, frame):  # what the module gives to its caller is the caller's to keep
    if frame.f_code.co_filename.startswith(folder):
        raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
print("ready", flush=True)
while len(seen) < 3000:
    try:
        {receiving}
    except KeyboardInterrupt:
        interrupts += 1
while not interrupts:
    try:
        client.recv(0.01)
    except pixi_ws.Error:
        pass
    except KeyboardInterrupt:
        interrupts += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print(seen == list(range(3000)), interrupts, flush=True)
"""


# --- threads, payloads, topics ----------------------------------------------------------------------------------------


@pytest.fixture
def client(hub):
    """A connected client of a hub, with .server; closed at the end."""
    server = hub(history=[{"filter": "#", "max_messages": 10_000}])
    with pixi_ws.Client("test", server.url, api_key=server.key) as client:
        client.server = server
        yield client


def test_threads_send_through_one_client_while_another_receives(client):
    client.subscribe("event/#")
    threads, each = 8, 50

    def send(number):
        for i in range(each):
            client.send_message(f"event/{number}", str(i), queue=i % 2 == 0)

    senders = [threading.Thread(target=send, args=(n,)) for n in range(threads)]
    for thread in senders:
        thread.start()
    came = {}
    for _ in range(threads * each):
        m = client.recv(PATIENCE_S)
        came.setdefault(m.topic, []).append(m.json())
    for thread in senders:
        thread.join()
    assert came == {f"event/{n}": list(range(each)) for n in range(threads)}


def test_a_loop_tells_what_comes_while_another_thread_waits_inside(client):
    """Its request is answered by our own on_message: nothing that its call takes off the connection is forgotten."""
    client.on_message = lambda client, userdata, m: client.reply(m, m.payload) if m.is_request else None
    client.subscribe("request/self")
    client.loop_start()
    for i in range(300):
        assert client.request("request/self", str(i), timeout=PATIENCE_S).json() == i


PAYLOADS = {
    "empty": b"",
    "every byte": bytes(range(256)),
    "NUL": b"\0a\0",
    "no UTF-8": b"\xff\xfe",
    "large": bytes(range(256)) * 3000,
    "JSON": '{"ä": "𝄞"}'.encode(),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_payloads_come_as_they_were_sent(client, name):
    client.subscribe("event/#")
    sent = PAYLOADS[name]
    for given in (sent, bytearray(sent), memoryview(sent)):
        client.send_message("event/x", given)
        message = client.recv(PATIENCE_S)
        assert message.payload == sent and message.is_json == (name == "JSON")


def test_topics_headers_and_text_are_unicode(client):
    client.subscribe("straße/+")
    headers = [("größe", "ß"), ("größe", "𝄞"), ("empty", "")]
    client.send_message("straße/Zürich 𝄞", "Grüße", headers=headers, retain=True, expiry=60)
    message = client.recv(PATIENCE_S)
    assert (message.topic, message.filter, message.text) == ("straße/Zürich 𝄞", "straße/+", "Grüße")
    assert message.headers == tuple(headers) and not message.retain
    assert message.time and message.offset == 1 and message.epoch
    client.unsubscribe("straße/+")
    client.subscribe("straße/#")
    assert client.recv(PATIENCE_S).retain


# --- no message is lost -----------------------------------------------------------------------------------------------


def test_an_exception_in_a_callback_loses_nothing(client):
    seen = []

    def on_message(client, userdata, message):
        seen.append(message.json())
        if message.json() % 3 == 0:
            raise LookupError(message.json())

    client.on_message = on_message
    client.subscribe("event/#")
    for i in range(20):
        client.send_message("event/x", str(i), queue=True)
    raised = []
    while len(seen) < 20:
        try:
            assert client.loop(PATIENCE_S)
        except LookupError as e:
            raised.append(e.args[0])
    assert seen == list(range(20)) and raised == [0, 3, 6, 9, 12, 15, 18]


def test_loop_start_tells_what_a_callback_raises_and_goes_on(client, monkeypatch):
    told, all_came = [], threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_value))

    def on_message(client, userdata, message):
        if message.json() == 2:
            all_came.set()
        raise pixi_ws.Closed("of the callback's own")

    client.on_message = on_message
    client.subscribe("event/#")
    client.loop_start()
    for i in range(3):
        client.send_message("event/x", str(i))
    assert all_came.wait(PATIENCE_S)
    client.loop_stop()
    assert len(told) == 3 and client.state == pixi_ws.State.OPEN


RECEIVING = {
    "recv": "seen.append(json.loads(client.recv().payload))",
    "iteration": "for message in client: seen.append(json.loads(message.payload)); len(seen) < 3000 or client.close()",
    "callbacks": "client.on_message = lambda c, u, message: seen.append(json.loads(message.payload)); client.loop()",
}


@pytest.mark.parametrize("how", RECEIVING)
def test_ctrl_c_loses_no_message(spawn, place, tree, client, how):
    """Interrupted again and again while 3000 messages come: each is seen, once, in order."""
    file = place(client.server)
    proc = spawn([PYTHON, "-c", COUNTED.replace("{receiving}", RECEIVING[how])], env={**tree, "PIXI_WS_SETTINGS": str(file)})
    proc.wait_line("ready", stream="out")
    for i in range(3000):
        client.send_message("event/x", str(i), queue=True)
    whole, interrupts = proc.wait_line("^(True|False) ([0-9]+)$", stream="out").groups()
    assert whole == "True" and int(interrupts) > 0, str(proc)


def test_a_callback_that_is_taken_away_leaves_its_messages_to_recv(client):
    def on_message(client, userdata, message):
        client.on_message = None

    client.on_message = on_message
    client.subscribe("event/#")
    for i in range(5):
        client.send_message("event/x", str(i))
    client.loop(PATIENCE_S)
    assert [client.recv(PATIENCE_S).json() for _ in range(4)] == [1, 2, 3, 4]


def test_what_was_queued_and_failed_is_raised_at_the_end(hub):
    server = hub(keys={"reader": ("none", "#")})
    with pytest.raises(pixi_ws.Key):
        with pixi_ws.Client("test", server.url, api_key=server.keys["reader"]) as client:
            client.send_message("event/x", "1", queue=True)
    assert client.state == pixi_ws.State.CLOSED
    with pytest.raises(KeyError):  # what the program raises itself is not replaced
        with pixi_ws.Client("test", server.url, api_key=server.keys["reader"]) as client:
            client.send_message("event/x", "1", queue=True)
            raise KeyError


def test_a_server_killed_and_restarted_is_a_loss_and_then_goes_on(hub):
    server = hub()
    with pixi_ws.Client({"url": server.url, "api_key": server.key, "reconnect": {"initial_ms": 1}}) as client:
        told = []
        client.on_connect = lambda client, userdata, flags, rc: told.append(("connect", flags, rc))
        client.on_close = lambda client, userdata, error: told.append(type(error))
        client.on_message = lambda client, userdata, message: told.append(message.text)
        client.subscribe("event/#")
        server.proc.kill()
        hub(port=server.port)
        client.send_message("event/x", "after")
        while not told or told[-1] != "after":
            client.loop(PATIENCE_S)
    assert told == [pixi_ws.Lost, ("connect", pixi_ws.CONNECT_AGAIN, 0), "after"]
    assert client.last_error is None


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def freed(monkeypatch):
    """Which addresses were freed. Clients of other tests may still go meanwhile."""
    addresses = []

    class Library:
        def __getattr__(self, name):
            return getattr(real, name)

        def pixi_client_free(self, address):
            addresses.append(address)
            real.pixi_client_free(address)

    real = _library.lib
    monkeypatch.setattr("pixi_ws._core.lib", Library())
    return addresses


@pytest.mark.parametrize("how", ["never used", "used", "looped", "asyncio"])
def test_a_client_is_freed_once_when_nobody_has_it(hub, freed, how):
    server = hub()
    if how == "asyncio":
        client = aio.Client("test", server.url, api_key=server.key)

        async def use(client):
            async with client:
                await client.send_message("event/x", "1")

        asyncio.run(use(client))
    else:
        client = pixi_ws.Client("test", server.url, api_key=server.key)
    if how in ("used", "looped"):
        with client:
            client.on_message = print
            if how == "looped":
                client.loop_start()
            client.send_message("event/x", "1")
    address, ref = client._c, weakref.ref(client)
    assert address not in freed
    del client
    gc.collect()
    done = threading.Event()
    weakref.finalize(ref(), done.set) if ref() else done.set()  # a worker may still be letting go of it
    assert done.wait(PATIENCE_S)
    assert freed.count(address) == 1


def test_messages_are_freed(client):
    """10,000 of 1 kB: what stays in memory is not theirs."""
    client.subscribe("event/#")

    def round_trips(count):
        for _ in range(count):
            client.send_message("event/x", bytes(100_000), queue=True)
            client.recv(PATIENCE_S)
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = round_trips(100)
    assert round_trips(400) - before < 20_000_000  # of 40 MB


# --- asyncio ----------------------------------------------------------------------------------------------------------


def in_loop(server, use):
    async def main():
        async with aio.Client({"url": server.url, "api_key": server.key, "reconnect": {"initial_ms": 1}}) as client:
            return await asyncio.wait_for(use(client), PATIENCE_S)

    return asyncio.run(main())


def test_asyncio_tasks_send_ask_and_answer_at_once(hub):
    async def use(client):
        await client.subscribe("request/echo")

        async def answer():
            async for message in client:
                client.reply(message, message.payload)

        answering = asyncio.create_task(answer())
        replies = await asyncio.gather(*(client.request("request/echo", str(i)) for i in range(100)))
        answering.cancel()
        return [reply.json() for reply in replies]

    assert in_loop(hub(), use) == list(range(100))


def test_asyncio_keeps_the_order_when_the_queue_is_full(hub):
    server = hub(history=[{"filter": "#", "max_messages": 10_000}])

    async def main():
        source = {"url": server.url, "api_key": server.key, "limits": {"queue_bytes": 8192, "message_bytes": 4096}}
        async with aio.Client(source) as client:
            await client.subscribe("event/#")
            sends = [asyncio.create_task(client.send_message("event/x", str(i))) for i in range(500)]
            came = [(await client.recv(PATIENCE_S)).json() for _ in range(500)]
            await asyncio.gather(*sends)
            return came

    assert asyncio.run(main()) == list(range(500))


def test_asyncio_what_waits_for_room_has_its_time(free_port):
    """Also behind another that waits for as long as it takes; and where that gives up, the next has its turn."""

    async def main():
        limits = {"queue_bytes": 4096, "message_bytes": 4096}
        client = aio.Client({"url": f"ws://127.0.0.1:{free_port()}/", "api_key": "pk_0123456789abcdef", "limits": limits})
        await client.start(retry=True)
        with pytest.raises(pixi_ws.Full):
            while True:
                await client.send_message("event/x", bytes(500), nowait=True)
        for ask in (client.request, client.send_message):
            with pytest.raises(pixi_ws.Timeout, match="the send queue is full"):
                await asyncio.wait_for(ask("request/x", bytes(500), timeout=0.05), PATIENCE_S)
        patient = asyncio.create_task(client.send_message("event/x", bytes(500)))
        await asyncio.sleep(0)
        for ask in (client.request, client.send_message):
            with pytest.raises(pixi_ws.Timeout, match="others wait"):
                await asyncio.wait_for(ask("request/x", bytes(500), timeout=0.05), PATIENCE_S)
        behind = asyncio.create_task(client.request("request/x", bytes(500), timeout=0.05))
        await asyncio.sleep(0)
        patient.cancel()
        with pytest.raises(pixi_ws.Timeout):
            await asyncio.wait_for(behind, PATIENCE_S)
        client._detach()

    asyncio.run(main())


def test_asyncio_a_cancelled_recv_loses_nothing(hub):
    async def use(client):
        await client.subscribe("event/#")
        came = []
        for i in range(200):
            waiting = asyncio.create_task(client.recv())
            await client.send_message("event/x", str(i))
            await asyncio.sleep(0)
            if not waiting.cancel():
                came.append(waiting.result().json())
            else:
                await asyncio.wait([waiting])
                came += [] if waiting.cancelled() else [waiting.result().json()]
        while len(came) < 200:
            came.append((await client.recv(PATIENCE_S)).json())
        return came

    assert in_loop(hub(), use) == list(range(200))


def test_asyncio_goes_on_when_the_server_is_killed_and_comes_back(hub):
    server = hub()

    async def use(client):
        await client.subscribe("event/#")
        server.proc.kill()
        with pytest.raises(pixi_ws.Lost):
            await client.recv()
        await asyncio.get_running_loop().run_in_executor(None, lambda: hub(port=server.port))
        await client.send_message("event/x", "after")
        return (await client.recv()).text

    assert in_loop(server, use) == "after"


def test_asyncio_a_cancelled_connect_is_given_up():
    with answers.server_of(next(r for r in answers.rows() if r.id == "connect-timeout")) as server:

        async def main():
            client = aio.Client("test", server.url, api_key=server.key)
            connecting = asyncio.create_task(client.connect())
            while client.state != pixi_ws.State.CONNECTING:
                await asyncio.sleep(0.001)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            with pytest.raises(pixi_ws.Error):
                await client.recv()
            return client.state

        assert asyncio.run(main()) == pixi_ws.State.CLOSED


# --- what is refused --------------------------------------------------------------------------------------------------

WRONG = [
    ("settings", lambda c: pixi_ws.Client(7), TypeError),
    ("settings", lambda c: pixi_ws.Client({"url": object()}), TypeError),
    ("name", lambda c: pixi_ws.Client(7, "ws://x/"), TypeError),
    ("url", lambda c: pixi_ws.Client("x", b"ws://x/"), TypeError),
    ("api_key", lambda c: pixi_ws.Client("x", "ws://x/", api_key=7), TypeError),
    ("api_key", lambda c: pixi_ws.Client("x", api_key="k"), TypeError),
    ("topic", lambda c: c.send_message(b"event/x", "1"), TypeError),
    ("topic", lambda c: c.send_message("a\0b", "1"), ValueError),
    ("topic", lambda c: c.send_message("\ud800", "1"), ValueError),
    ("payload", lambda c: c.send_message("event/x", {"a": 1}), TypeError),
    ("payload", lambda c: c.send_message("event/x", 7), TypeError),
    ("payload", lambda c: c.send_message("event/x", "\ud800"), ValueError),
    ("timeout", lambda c: c.send_message("event/x", "1", timeout="1"), TypeError),
    ("timeout", lambda c: c.recv(-1), ValueError),
    ("timeout", lambda c: c.recv(float("nan")), ValueError),
    ("timeout", lambda c: c.recv(True), TypeError),
    ("timeout", lambda c: c.connect("soon"), TypeError),
    ("timeout", lambda c: c.request("request/x", timeout=[]), TypeError),
    ("expiry", lambda c: c.send_message("event/x", "1", expiry=-1), ValueError),
    ("expiry", lambda c: c.send_message("event/x", "1", expiry=1.5), TypeError),
    ("headers", lambda c: c.send_message("event/x", "1", headers=[("a", 1)]), TypeError),
    ("headers", lambda c: c.send_message("event/x", "1", headers="ab"), TypeError),
    ("on_sent", lambda c: c.send_message("event/x", "1", on_sent=print), ValueError),
    ("on_sent", lambda c: c.send_message("event/x", "1", queue=True, on_sent=7), TypeError),
    ("on_reply", lambda c: c.request_start("event/x", on_reply=7), TypeError),
    ("on_message", lambda c: setattr(c, "on_message", 7), TypeError),
    ("filter", lambda c: c.subscribe(7), TypeError),
    ("filter", lambda c: c.unsubscribe(None), TypeError),
    ("request", lambda c: c.reply("x", "1"), TypeError),
    ("text", lambda c: c.reply_error(pixi_ws.Message("t", b""), b"x"), TypeError),
    ("member", lambda c: c.set(7, "x"), TypeError),
    ("value", lambda c: c.set("url", 1.5), TypeError),
    ("code", lambda c: c.close(70000), ValueError),
    ("code", lambda c: c.close("1000"), TypeError),
    ("reason", lambda c: c.close(1000, 7), TypeError),
]


@pytest.mark.parametrize("name, call, error", WRONG)
def test_wrong_arguments_are_named(name, call, error):
    client = pixi_ws.Client("test", "ws://127.0.0.1:1/")
    with pytest.raises(error, match=f"^{name}: ") as raised:
        call(client)
    assert not isinstance(raised.value, pixi_ws.Error)


def test_errors_are_pythons_own_too_and_say_everything(free_port):
    with pytest.raises(ConnectionError) as raised:
        pixi_ws.Client("test", f"ws://127.0.0.1:{free_port()}/").connect()
    e = raised.value
    assert (type(e), e.rc, e.family, e.layer) == (pixi_ws.CannotConnect, pixi_ws.RC.CONNECT, "CONNECT", "tcp")
    assert e.cause in str(e) and f"fix: {e.fix}" in str(e) and not e.is_final and e.close_code is None
    with pytest.raises(ValueError, match="colour"):
        pixi_ws.Client({"url": "ws://x/", "colour": "red"})


def test_the_key_is_not_shown(hub):
    client = pixi_ws.Client("test", "ws://127.0.0.1:1/", api_key="pk_secret_0123456789")
    assert "secret" not in repr(client) + repr(vars(client)) and "NEW" in repr(client)


def test_the_loop_runs_in_one_place_at_a_time(client):
    raised = []

    def on_message(client, userdata, message):
        for call in (lambda: client.loop(0), client.loop_start if client._thread else client.loop_forever):
            with pytest.raises(pixi_ws.Usage):
                call()
            raised.append(call)

    client.on_message = on_message
    client.subscribe("event/#")
    client.send_message("event/x", "1")
    client.loop(PATIENCE_S)
    assert len(raised) == 2
