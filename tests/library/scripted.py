"""Scripted Pixi servers, one for each row of the table in docs/library.md: what a client's calls answer when the server
does this or that. For the suites of every language:

    with scripted.Server("recv-lost") as server:     # server.url, server.key
        ...

or as a program, which prints the URL and goes when its standard input ends: python3 scripted.py recv-lost

Written from docs/protocol.md and RFC 6455 alone, by the standard library alone. One thread for each connection.
"""

import base64
import contextlib
import hashlib
import json
import socket
import struct
import sys
import threading

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
EPOCH = "1b671a6440d58e2c"
KEY = "pk_scripted_0123456789abcdef"
TEXT, CLOSE = 1, 8


class Cut(Exception):
    """End the TCP connection here, without a word."""


class Conn:
    """One connection: frames in, frames out, and what the script says about calls."""

    def __init__(self, server, sock, number):
        self.server, self.script, self.sock, self.number = server, server.script, sock, number
        self.has_closed = False

    def exactly(self, n):
        data = b""
        while len(data) < n:
            some = self.sock.recv(n - len(data))
            if not some:
                raise EOFError
            data += some
        return data

    def head(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.exactly(1)
        pairs = (line.split(b":", 1) for line in head.split(b"\r\n")[1:-2])
        return {name.lower().decode(): value.strip() for name, value in pairs}

    def frame(self):
        first, second = self.exactly(2)
        size = second & 127
        if size == 126:
            (size,) = struct.unpack("!H", self.exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.exactly(8))
        mask, payload = self.exactly(4), self.exactly(size)
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        return first & 15, (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")

    def put(self, opcode, payload):
        size = len(payload)
        length = bytes([size]) if size < 126 else struct.pack("!BH", 126, size)
        self.sock.sendall(bytes([0x80 | opcode]) + length + payload)

    def say(self, **members):
        self.put(TEXT, json.dumps({"jsonrpc": "2.0", **members}).encode())

    def note(self, method, **params):
        self.say(method=method, params=params)

    def close(self, code, reason):
        self.has_closed = True
        self.put(CLOSE, struct.pack("!H", code) + reason.encode())

    def upgrade(self):
        fields = self.head()
        self.server.authorizations.append(fields.get("authorization"))
        self.server.protocols.append(fields.get("sec-websocket-protocol"))
        refusal = self.script.get("refuse")
        if refusal:
            self.sock.sendall(refusal)
            return False
        accept = base64.b64encode(hashlib.sha1(fields["sec-websocket-key"] + GUID).digest())
        self.sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: pixi.v1\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        return True

    def do(self, steps, call=None):
        """Each step is a function of this connection and the call that led to it; it goes with `once` the first time."""
        for step in steps:
            step(self, call)

    def on_call(self, call):
        self.server.calls.append(call)
        steps = self.script.get(call["method"])
        self.do(DEFAULT[call["method"]] if steps is None else steps, call)

    def serve(self):
        if self.script.get("first"):
            self.sock.sendall(self.script["first"])
        if self.script.get("silent"):
            while self.sock.recv(65536):
                pass
        if not self.upgrade():
            return
        self.do(self.script.get("open", []))
        while True:
            opcode, payload = self.frame()
            if opcode == TEXT:
                self.on_call(json.loads(payload))
            elif opcode == CLOSE and self.has_closed:
                return
            elif opcode == CLOSE:
                self.server.closes.append((struct.unpack("!H", payload[:2])[0], payload[2:].decode()))
                how = self.script.get("close", "answer")
                if how == "answer":
                    self.put(CLOSE, payload)
                    return
                if how == "cut":
                    return


# --- steps ------------------------------------------------------------------------------------------------------------


def result(**members):
    return lambda conn, call: "id" in call and conn.say(id=call["id"], result=members)


def error(code, message):
    return lambda conn, call: conn.say(id=call["id"], error={"code": code, "message": message})


def stored(conn, call):
    """Each idempotency key once, however often it is said."""
    key = call["params"].get("key", {}).get("seq")
    if key not in conn.server.seqs:
        conn.server.seqs.append(key)
    conn.say(id=call["id"], result={"epoch": EPOCH, "offset": conn.server.seqs.index(key) + 1})


def message(**members):
    def step(conn, call):
        params = {"filter": "event/#", "topic": "event/tram", "payload": {"x": 1}, "time_ms": 1, **members}
        conn.note("message", **params)

    return step


def request_from_somebody(conn, call):
    conn.note("message", filter="request/#", topic="request/x", payload=1, time_ms=1, request="00000000000000aa")


def closes(code, reason):
    return lambda conn, call: conn.close(code, reason)


def cut(conn, call):
    raise Cut


def first_time(*steps):
    """On the first connection only."""
    return lambda conn, call: conn.do(steps if conn.number == 0 else [], call)


def later(*steps):
    """On all but the first connection."""
    return lambda conn, call: conn.do(steps if conn.number else [], call)


def second(*steps):
    """When this method is called for the second time."""

    def step(conn, call):
        if [c["method"] for c in conn.server.calls].count(call["method"]) == 2:
            conn.do(steps, call)

    return step


subscribed = result(epoch=EPOCH, offset=0, recovered=True)


def unsubscribed(conn, call):
    conn.note("unsubscribed", filter="event/#", error={"code": -32001, "message": "no"})


DEFAULT = {
    "publish": [stored],
    "subscribe": [subscribed],
    "unsubscribe": [result()],
    "request": [result(payload="pong", headers=[["a", "b"]])],
    "reply": [result()],
    "ping": [result(time_ms=1)],
}

HTTP = b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

# Rows of docs/library.md that are not here have a server that does nothing special.
SCRIPTS = {
    "connect-tls": {"first": HTTP % b"400 Bad Request"},
    "connect-not-a-server": {"refuse": HTTP % b"200 OK"},
    "connect-key-refused": {"refuse": HTTP % b"401 Unauthorized"},
    "connect-timeout": {"silent": True},
    "connect-started": {"silent": True},
    "send-forbidden": {"publish": [error(-32001, "forbidden")]},
    "send-too-large-there": {"publish": [error(-32002, "message over the limit")]},
    "send-closed-1009": {"publish": [closes(1009, "too big")]},
    "send-failed": {"publish": [error(-32006, "storage full")]},
    "send-unanswered": {"publish": []},
    "send-would-block": {"publish": []},
    "send-no-room": {"publish": []},
    "send-over-a-loss": {"publish": [first_time(cut), stored]},
    "send-and-flush-forbidden": {"publish": [error(-32001, "forbidden")]},
    "send-flush-unanswered": {"publish": []},
    "request-no-responder": {"request": [error(-32004, "no one")]},
    "request-timeout": {"request": [error(-32005, "timed out")]},
    "request-unanswered": {"request": []},
    "request-failed": {"request": [error(-32050, "out of trams")]},
    "request-lost": {"request": [cut]},
    "request-forbidden": {"request": [error(-32001, "forbidden")]},
    "reply-lost": {"subscribe": [subscribed, first_time(request_from_somebody, cut)]},
    "reply": {"subscribe": [subscribed, request_from_somebody]},
    "reply-error": {"subscribe": [subscribed, request_from_somebody]},
    "subscribe-forbidden": {"subscribe": [error(-32001, "forbidden")]},
    "subscribe-unanswered": {"subscribe": []},
    "subscribe-lost": {"subscribe": [first_time(cut), subscribed]},
    "recv-message": {"subscribe": [subscribed, message()]},
    "recv-closed": {"subscribe": [subscribed, closes(1000, "that is all")]},
    "recv-message-then-closed": {"subscribe": [subscribed, message(), closes(1000, "that is all")]},
    "recv-key-gone": {"subscribe": [subscribed, closes(3000, "key gone")]},
    "recv-lost": {"subscribe": [subscribed, first_time(cut), later(message())]},
    "recv-restart": {"subscribe": [subscribed, first_time(closes(1012, "restarting")), later(message())]},
    "recv-unsubscribed": {
        "subscribe": [
            subscribed,
            unsubscribed,
            message(filter="other/#"),
        ]
    },
    "close-unanswered": {"close": "silent"},
    "close-cut": {"close": "cut"},
}

# Of no row. "replaced": what the first subscription was owed comes while the second one's question is on its way.
OTHERS = {
    "replaced": {
        "subscribe": [
            second(message(payload="late"), lambda conn, call: conn.note("synced", filter="event/#"), unsubscribed),
            subscribed,
            message(payload="first"),
            message(),
        ]
    },
}


class Server:
    """Listens on 127.0.0.1 while its `with` lasts, and does as this row's script says."""

    def __init__(self, row):
        self.script = {**SCRIPTS, **OTHERS}.get(row, {})
        self.key = KEY
        self.authorizations, self.protocols, self.calls, self.closes, self.seqs = [], [], [], [], []
        self._socks = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}/api/v1"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._socks.append(sock)
                threading.Thread(target=self._serve, args=(sock, len(self._socks) - 1), daemon=True).start()

    def _serve(self, sock, number):
        with sock, contextlib.suppress(OSError, EOFError, Cut):
            Conn(self, sock, number).serve()


if __name__ == "__main__":
    with Server(sys.argv[1]) as running:
        print(running.url, flush=True)
        sys.stdin.read()
