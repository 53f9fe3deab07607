"""pixi.v1 through Python's websockets: another reading of docs/protocol.md than our own client's."""

import asyncio
import contextlib
import itertools
import json
import threading

import websockets

TIMEOUT_S = 20
_loop = None


def _do(coroutine):
    """Run it on one loop in a thread of its own, so that tests can be read from top to bottom."""
    global _loop
    if _loop is None:
        _loop = asyncio.new_event_loop()
        threading.Thread(target=_loop.run_forever, daemon=True).start()
    return asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, TIMEOUT_S), _loop).result(TIMEOUT_S + 5)


class Error(Exception):
    """The answer to a call was an error."""

    def __init__(self, error):
        super().__init__(error)
        self.code, self.message, self.data = error["code"], error["message"], error.get("data")


class Closed(Exception):
    """The server closed the connection."""

    def __init__(self, code, reason):
        super().__init__(code, reason)
        self.code, self.reason = code, reason


class Rpc:
    """One link. What comes is sorted: answers by id, notifications in order."""

    def __init__(self, server, key=None, fields=None, protocols=("pixi.v1",), **options):
        """key: a bearer key, the server's when None, none when ""; fields: header fields instead of it."""
        if fields is None:
            key = server.key if key is None else key
            fields = {"Authorization": f"Bearer {key}"} if key else {}
        options = {"compression": None, "ping_interval": None, "max_size": None, "max_queue": None, **options}

        async def connect():
            return await websockets.connect(
                server.url, extra_headers=fields, subprotocols=list(protocols) or None, **options
            )

        self._ids = itertools.count(1)
        self._answers, self._notes, self.batches = {}, [], []  # batches: of notifications, how many in each
        self.ws = _do(connect())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(asyncio.TimeoutError):
            _do(self.ws.close())

    def abort(self):
        """Gone without a word."""
        _loop.call_soon_threadsafe(self.ws.transport.abort)

    def send(self, text):
        _do(self.ws.send(text if isinstance(text, (str, bytes)) else json.dumps(text)))

    def recv(self):
        """The next message as it came."""
        try:
            return _do(self.ws.recv())
        except websockets.ConnectionClosed:
            raise Closed(self.ws.close_code, self.ws.close_reason) from None

    def closed(self):
        """How it ends; notifications before that are kept."""
        while True:
            try:
                self._sort()
            except Closed as end:
                return end

    def _sort(self):
        message = json.loads(self.recv())
        if isinstance(message, dict) and "method" in message:
            self._notes.append(message)
        elif isinstance(message, list) and "method" in message[0]:
            self.batches.append(len(message))
            self._notes += message
        else:
            self._answers[message["id"] if isinstance(message, dict) else "batch"] = message

    def exchange(self, text):
        """Send this and take the next answer, whatever its id."""
        self.send(text)
        while not self._answers:
            self._sort()
        return self._answers.pop(next(iter(self._answers)))

    def code(self, text):
        """The code of the error that answers this."""
        return self.exchange(text)["error"]["code"]

    def ask(self, method, **params):
        """Start a call; its id."""
        number = next(self._ids)
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number

    def answer(self, number):
        while number not in self._answers:
            self._sort()
        answer = self._answers.pop(number)
        if "error" in answer:
            raise Error(answer["error"])
        return answer["result"]

    def call(self, method, **params):
        return self.answer(self.ask(method, **params))

    def failure(self, number):
        """The error that answers this call."""
        try:
            result = self.answer(number)
        except Error as error:
            return error
        raise AssertionError(f"answered with {result}")

    def error(self, method, **params):
        return self.failure(self.ask(method, **params))

    def note(self, method="message"):
        """The parameters of the next notification of this kind."""
        while True:
            for i, note in enumerate(self._notes):
                if note["method"] == method:
                    return self._notes.pop(i)["params"]
            self._sort()

    def notes(self):
        """The kinds of the notifications that came and were not taken."""
        return [note["method"] for note in self._notes]

    def subscribe(self, topic_filter, **params):
        """Subscribed and synced; the result. Messages before `synced` are kept."""
        result = self.call("subscribe", filter=topic_filter, **params)
        self.note("synced")
        return result

    def publish(self, topic, payload, **params):
        return self.call("publish", topic=topic, payload=payload, **params)
