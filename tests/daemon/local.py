"""A program at the daemon's socket: lines of JSON-RPC, read and written by hand."""

import itertools
import json
import socket
import threading

TIMEOUT_S = 20


class Gone(Exception):
    """The daemon closed the connection, or was not there."""


class Error(Exception):
    """The answer to a call was an error."""

    def __init__(self, error):
        super().__init__(error)
        self.code, self.message = error["code"], error["message"]


class Local:
    """One connection. A thread sorts what comes: answers by id, notifications in order."""

    def __init__(self, path, reads=True):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        try:
            self.sock.connect(str(path))
        except OSError as e:
            self.sock.close()
            raise Gone(str(e)) from None
        self.sock.settimeout(None)
        self.ids = itertools.count(1)
        self.answers, self.notes, self.is_gone = {}, [], False
        self.news = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        if reads:
            self.thread.start()

    def start_reading(self):
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self.thread.ident:
            self.thread.join(TIMEOUT_S)
        self.sock.close()

    def _read(self):
        try:
            with self.sock.makefile("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):
                        break  # cut in half by the daemon's end
                    self._take(json.loads(line))
        except OSError:
            pass
        with self.news:
            self.is_gone = True
            self.news.notify_all()

    def _take(self, message):
        with self.news:
            if "method" in message:
                self.notes.append((message["method"], message["params"]))
            else:
                self.answers[message["id"]] = message
            self.news.notify_all()

    def start(self, method, **params):
        """Send a call; its id."""
        number = next(self.ids)
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number

    def send(self, *objects):
        try:
            self.sock.sendall(b"".join(json.dumps(o).encode() + b"\n" for o in objects))
        except OSError as e:
            raise Gone(str(e)) from None

    def _wait(self, is_it, timeout):
        with self.news:
            assert self.news.wait_for(lambda: is_it() or self.is_gone, timeout), f"nothing in {timeout} s: {self.notes[-5:]}"
            if not is_it():
                raise Gone()

    def answer(self, number, timeout=TIMEOUT_S):
        self._wait(lambda: number in self.answers, timeout)
        got = self.answers.pop(number)
        if "error" in got:
            raise Error(got["error"])
        return got["result"]

    def call(self, method, timeout=TIMEOUT_S, **params):
        return self.answer(self.start(method, **params), timeout)

    def publish(self, topic, payload, **more):
        """The id in the outbox."""
        return self.call("publish", topic=topic, payload=payload, **more)["queued"]

    def wait_note(self, method, timeout=TIMEOUT_S, **members):
        """The params of the first notification with these members, since the start; taken out."""

        def found():
            return next((n for n in self.notes if n[0] == method and members.items() <= n[1].items()), None)

        self._wait(found, timeout)
        note = found()
        self.notes.remove(note)
        return note[1]

    def wait_payloads(self, count, filter, timeout=TIMEOUT_S):
        """The payloads of the first so many messages of a filter."""

        def got():
            return [p["payload"] for m, p in self.notes if m == "message" and p["filter"] == filter]

        self._wait(lambda: len(got()) >= count, timeout)
        return got()
