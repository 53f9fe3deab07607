"""The table of docs/library.md, row by row, in Python: blocking, by callbacks, and in asyncio."""

import asyncio
import queue

import pytest

import answers
import pixi_ws
import pixi_ws.aio

ROWS = answers.rows()
SOON, PATIENCE_S = 0.05, 20


class Blocking:
    def __init__(self, url, key):
        self.client = pixi_ws.Client("answers", url, api_key=key)

    def end(self):
        pass

    def __getattr__(self, name):
        return getattr(self.client, name)


class Callbacks(Blocking):
    """loop_start's thread tells everything; what has no callback, or a time-out, is called as it is."""

    def __init__(self, url, key):
        super().__init__(url, key)
        self.told, self.connects, self.last = queue.SimpleQueue(), queue.SimpleQueue(), None
        self.client.on_connect = lambda client, userdata, flags, rc: self.connects.put((rc, client.last_error))
        self.client.on_message = lambda client, userdata, message: self.told.put(message)
        self.client.on_close = lambda client, userdata, error: self.told.put(error)
        self.client.on_unsubscribed = lambda client, userdata, filter, error: self.told.put(error)

    def end(self):
        self.client.loop_stop()

    def start(self, retry=False):
        self.client.loop_start(retry=retry)

    def connect(self, timeout=None):
        if self.client.state == pixi_ws.State.CLOSED:  # with which the thread has ended
            self.client.loop_stop()
            self.client.connect(timeout)
            return self.start()
        if timeout is not None or self.client.state != pixi_ws.State.NEW:
            return self.client.connect(timeout)
        self.start()
        rc, error = self.connects.get(timeout=PATIENCE_S)
        assert rc == (error.rc if error else 0)
        if error:
            raise error

    def recv(self, timeout=None):
        if self.client.state == pixi_ws.State.NEW or self.last:
            return self.client.recv(timeout)  # the same for ever
        try:
            told = self.told.get(timeout=timeout or PATIENCE_S)
        except queue.Empty:
            raise pixi_ws.Timeout("not told", "wait", "test") from None
        if isinstance(told, pixi_ws.Message):
            return told
        self.last = None if isinstance(told, pixi_ws.Lost) else told
        if told is None:  # as close asked
            self.last = True
            return self.client.recv()
        raise told

    def _told(self, start):
        done = queue.SimpleQueue()
        start(lambda client, userdata, *told: done.put(told))
        *reply, error = done.get(timeout=PATIENCE_S)
        if error:
            raise error
        return reply[0] if reply else None

    def send_message(self, topic, payload, **options):
        if options or self.client.state == pixi_ws.State.NEW:
            return self.client.send_message(topic, payload, **options)
        return self._told(lambda done: self.client.send_message(topic, payload, queue=True, on_sent=done))

    def request(self, topic, payload, timeout=None):
        return self._told(lambda done: self.client.request_start(topic, payload, timeout=timeout, on_reply=done))


class Asyncio:
    def __init__(self, url, key):
        self.loop = asyncio.new_event_loop()
        self.client = pixi_ws.aio.Client("answers", url, api_key=key)

    def end(self):
        self.client._detach()
        self.loop.close()

    def __getattr__(self, name):
        method = getattr(self.client, name)
        if not asyncio.iscoroutinefunction(method):
            return method
        return lambda *args, **named: self.loop.run_until_complete(method(*args, **named))


class Row:
    """What a row does; each answer becomes a line."""

    def __init__(self, row, flavour, server):
        self.id, self.said = row.id, []
        try:
            self.client = flavour(server.url, server.key)
        except pixi_ws.Error as e:
            self.client = None
            self.say_error(e)
            return
        for member, value in {
            "reconnect.initial_ms": 1,
            "limits.message_bytes": 1024,
            "limits.queue_bytes": 4096,
            "timeouts.request_ms": 5000,
        }.items():
            self.client.set(member, value)

    def put(self, name, close=None):
        self.said.append(f"{name} {close[0]} {close[1]}".strip() if close else name)

    def say_error(self, e):
        assert isinstance(e, pixi_ws.Closed) or (e.layer and e.cause and e.fix), repr(e)
        assert e.rc == type(e).rc and str(e)
        self.put(e.family, (e.close_code, e.reason) if e.close_code else None)

    def say(self, call, *args, **named):
        try:
            answer = call(*args, **named)
        except pixi_ws.Error as e:
            self.say_error(e)
            return None
        self.put("OK", answer if isinstance(answer, pixi_ws.Close) else None)
        return answer

    def connected(self):
        self.client.connect()
        assert self.client.state not in (pixi_ws.State.NEW, pixi_ws.State.CONNECTING)  # some servers end it at once
        return self.client

    def connect(self):
        if self.id == "connect-name":
            self.client.set("allow_plaintext", True)
        elif self.id == "connect-settings":
            self.client.set("allow_plaintext", False)
        elif self.id == "connect-again":
            self.connected()
        elif self.id == "connect-started":
            self.client.start(retry=True)
            self.say(self.client.connect, SOON)
        timeout = SOON if self.id in ("connect-timeout", "connect-started") else None
        self.say(self.client.connect, timeout)

    def set(self):
        if self.id == "set-late":
            self.connected()
        member = "colour" if self.id == "set-unknown" else "timeouts.close_ms"
        self.say(self.client.set, member, 1 if self.id == "set-late" else "soon")

    def send(self):
        client = self.client if self.id == "send-early" else self.connected()
        if self.id in ("send-would-block", "send-no-room"):
            options = {"nowait": True} if self.id == "send-would-block" else {"queue": True, "timeout": SOON}
            with pytest.raises(pixi_ws.Error) as full:
                for _ in range(100):
                    client.send_message("event/tram", "12345678", **options)
            self.say_error(full.value)
        elif "flush" in self.id:
            count = 1 if self.id == "send-flush-unanswered" else 2
            for _ in range(count):
                self.say(client.send_message, "event/tram", "12345678", queue=True)
            for _ in range(count):
                self.say(client.flush, SOON if count == 1 else 5)
        elif self.id == "send-too-large":
            self.say(client.send_message, "event/tram", bytes(1025))
        elif self.id == "send-bad-topic":
            self.say(client.send_message, "event/#", "1")
        elif self.id == "send-unanswered":
            self.say(client.send_message, "event/tram", "12345678", timeout=SOON)
        else:
            if self.id == "send-late":
                client.close()
            self.say(client.send_message, "event/tram", "12345678")

    def request(self):
        is_unanswered = self.id == "request-unanswered"
        if is_unanswered:
            self.client.set("timeouts.connect_ms", 1000)  # how much longer than its responder the server may take
        reply = self.say(self.connected().request, "request/x", "1", timeout=0.001 if is_unanswered else None)
        if reply:
            assert (reply.json(), reply.headers) == ("pong", (("a", "b"),))

    def asked(self):
        self.client.subscribe("request/#")
        request = self.connected().recv()
        assert request.is_request
        return request

    def reply(self):
        if self.id == "reply-not-asked":
            request = self.connected().request("request/x", "1")  # its answer asks nothing
        else:
            request = self.asked()
        if self.id == "reply-lost":
            with pytest.raises(pixi_ws.Lost):
                self.client.recv()
            self.connected()
        if self.id == "reply-error":
            self.say(self.client.reply_error, request, "no trams today")
        else:
            self.say(self.client.reply, request, "1")

    def subscribe(self):
        if self.id == "unsubscribe-unknown":
            return self.say(self.client.unsubscribe, "event/#")
        if self.id == "subscribe-unanswered":
            self.client.set("timeouts.request_ms", 50)
        if self.id not in ("subscribe-bad-filter", "subscribe-early"):
            self.connected()
        self.say(self.client.subscribe, "event/#/x" if self.id == "subscribe-bad-filter" else "event/#")
        if self.id == "subscribe-twice":
            self.say(self.client.subscribe, "event/#")
        elif self.id == "unsubscribe":
            self.say(self.client.unsubscribe, "event/#")

    unsubscribe = subscribe

    def recv(self):
        if self.id == "recv-timeout":
            return self.say(self.connected().recv, 0.02)
        if self.id == "recv-early":
            return self.say(self.client.recv)
        if self.id == "recv-late":
            self.connected().close()
        else:
            self.client.subscribe("event/#")
            self.connected()
        for _ in range(1 if self.id in ("recv-message", "recv-unsubscribed") else 2):
            m = self.say(self.client.recv)
            if m:
                assert (m.topic, m.filter, m.payload) == ("event/tram", "event/#", b'{"x": 1}')
                assert m.is_json and not m.is_request and not m.retain and m.time == 0.001

    def close(self):
        if self.id == "close-early":
            return self.say(self.client.close)
        if self.id == "close-unanswered":
            self.client.set("timeouts.close_ms", 50)
        how = {"close-code": (4001, "that is all"), "close-wrong": (1006,)}.get(self.id, ())
        self.say(self.connected().close, *how)
        if self.id == "close-twice":
            self.say(self.client.close)
        elif self.id == "close-and-connect":
            self.say(self.client.connect)
            self.say(self.client.send_message, "event/tram", "12345678")

    def run(self):
        if self.client:
            getattr(self, self.id.split("-")[0])()
        return self.said


@pytest.mark.parametrize("flavour", [Blocking, Callbacks, Asyncio], ids=lambda flavour: flavour.__name__.lower())
@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_what_each_call_answers(row, flavour):
    with answers.server_of(row) as server:
        doing = Row(row, flavour, server)
        try:
            assert doing.run() == row.answers, row
        finally:
            if doing.client:
                doing.client.end()
