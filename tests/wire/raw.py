"""Either end of a WebSocket by hand, from RFC 6455 alone: bytes out as they are told, frames in, read strictly.

A Wire is a connected socket of either role. What it reads is held to the rules for senders: masked by a client and
never by a server, no reserved bit, a known opcode, the shortest length, control frames whole and at most 125 bytes.
"""

import base64
import hashlib
import os
import re
import select
import socket
import struct
import time
from typing import NamedTuple

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3, with its answer
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
TIMEOUT_S = 20
QUIET_S = 0.25  # how long nothing must come where nothing may come


class Gone(Exception):
    """The peer's end of the connection came where more was expected."""


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    is_final: bool = True
    mask: bytes = b""
    is_compressed: bool = False

    @property
    def code(self):
        """Of a close frame: its code, None when it is empty."""
        assert self.opcode == CLOSE, self
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else None

    @property
    def reason(self):
        return self.payload[2:].decode()

    @property
    def body(self):
        return self.opcode, self.payload


class Head:
    """The head of a request or a response."""

    def __init__(self, raw):
        self.raw = raw
        lines = raw.decode("latin-1")[:-4].split("\r\n")
        self.line = lines[0]
        self.fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]

    def all(self, name):
        return [v for n, v in self.fields if n == name]

    def get(self, name):
        """The value of the field that may be there once at most; None: it is not there."""
        found = self.all(name)
        assert len(found) <= 1, self.raw
        return found[0] if found else None

    @property
    def status(self):
        found = re.fullmatch(r"HTTP/1\.1 ([1-5]\d\d) [^\r\n]*", self.line)
        assert found, self.raw
        return int(found[1])

    @property
    def target(self):
        return self.line.split(" ")[1]


def masked(payload, mask):
    if mask == b"\0\0\0\0" or not payload:
        return payload
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def head_of(opcode, size, is_final=True, mask=b"", rsv=0):
    """A frame's header; its mask's four bytes included."""
    bit = 0x80 if mask else 0
    first = (0x80 if is_final else 0) | rsv << 4 | opcode
    if size < 126:
        return struct.pack("!BB", first, bit | size) + mask
    if size < 65536:
        return struct.pack("!BBH", first, bit | 126, size) + mask
    return struct.pack("!BBQ", first, bit | 127, size) + mask


def frame(opcode, payload=b"", is_final=True, mask=b"", rsv=0):
    payload = payload.encode() if isinstance(payload, str) else payload
    return head_of(opcode, len(payload), is_final, mask, rsv) + (masked(payload, mask) if mask else payload)


def close_payload(code=None, reason=""):
    return b"" if code is None else struct.pack("!H", code) + reason.encode()


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def request(*fields, target="/api/v1", host="127.0.0.1", key=KEY, version="13"):
    """A client's handshake; fields are more lines, such as "Origin: http://a"."""
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", f"Sec-WebSocket-Version: {version}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def response(head, *fields, protocol=None):
    """A server's 101 to this request; protocol: named if it was offered."""
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Accept: {accept_of(head.get('sec-websocket-key'))}", *fields]
    offered = [p.strip() for p in (head.get("sec-websocket-protocol") or "").split(",")]
    if protocol in offered:
        lines += [f"Sec-WebSocket-Protocol: {protocol}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def refusal(status, *fields, body=b""):
    lines = [f"HTTP/1.1 {status} No", *fields, f"Content-Length: {len(body)}", "Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Wire:
    """One end of a connection. is_client: we are the client, and mask what `put` sends."""

    def __init__(self, sock, is_client):
        self.sock, self.is_client = sock, is_client
        sock.settimeout(TIMEOUT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in = bytearray()
        self.was_reset = False  # it ended by RST
        self.deflates = False  # permessage-deflate was agreed on: RSV1 may come

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    # sending

    def send(self, data):
        self.sock.sendall(data)

    def drip(self, data, at_most=4096):
        """Byte by byte; what is longer than at_most, in at_most pieces of equal size."""
        step = len(data) // at_most + 1
        for i in range(0, len(data), step):
            self.sock.sendall(data[i : i + step])

    def frame(self, opcode, payload=b"", is_final=True, rsv=0):
        """A frame as this end has to send it."""
        return frame(opcode, payload, is_final, MASK if self.is_client else b"", rsv)

    def put(self, opcode, payload=b"", is_final=True, rsv=0):
        self.send(self.frame(opcode, payload, is_final, rsv))

    def put_close(self, code=None, reason=""):
        self.put(CLOSE, close_payload(code, reason))

    def shut(self):
        """FIN."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # receiving

    def _more(self):
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionResetError:
            self.was_reset = True
            raise Gone("reset") from None
        if not data:
            raise Gone(f"end of stream, {bytes(self._in[:80])!r} left over")
        self._in += data

    def take(self, size):
        while len(self._in) < size:
            self._more()
        out = bytes(self._in[:size])
        del self._in[:size]
        return out

    def head(self):
        while (end := self._in.find(b"\r\n\r\n")) < 0:
            self._more()
        return Head(self.take(end + 4))

    def next(self):
        """The next frame; Gone when the connection ends at a frame's edge."""
        if not self._in:
            self._more()
        try:
            return self._frame()
        except Gone as e:
            raise AssertionError(f"the connection ended inside a frame: {e}") from e

    def _frame(self):
        first, second = self.take(2)
        size, opcode, is_final = second & 0x7F, first & 0x0F, bool(first & 0x80)
        if size == 126:
            (size,) = struct.unpack("!H", self.take(2))
            assert size >= 126, f"{size} bytes in the long form"
        elif size == 127:
            (size,) = struct.unpack("!Q", self.take(8))
            assert 65536 <= size < 1 << 63, f"{size} bytes in the longest form"
        may = 0x40 if self.deflates and opcode in (TEXT, BINARY) else 0
        assert not first & 0x70 & ~may, f"reserved bits: {first:02x}"
        assert opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG), f"opcode {opcode}"
        assert bool(second & 0x80) == (not self.is_client), f"mask bit: {second:02x}"
        assert opcode < CLOSE or (is_final and size <= 125), f"control frame of {size} bytes, final: {is_final}"
        mask = self.take(4) if second & 0x80 else b""
        payload = self.take(size)
        return Frame(opcode, masked(payload, mask) if mask else payload, is_final, mask, bool(first & 0x40))

    def rest(self):
        """All frames up to the end of the connection, which must be orderly."""
        out = []
        while True:
            try:
                out.append(self.next())
            except Gone:
                assert not self.was_reset, f"reset after {out}"
                return out

    def raw_rest(self):
        """All bytes up to the end of the connection."""
        while True:
            try:
                self._more()
            except Gone:
                return self.take(len(self._in))

    def is_quiet(self, seconds=QUIET_S):
        """Nothing, not even an end, comes for so long."""
        return not self._in and not select.select([self.sock], [], [], seconds)[0]

    def expect(self, opcode, payload=b""):
        got = self.next()
        payload = payload.encode() if isinstance(payload, str) else payload
        assert got.is_final and got.body == (opcode, payload), got
        return got

    def expect_close(self, code, reason=None):
        got = self.next()
        assert got.opcode == CLOSE and got.code == code, got
        assert reason is None or got.reason == reason, got
        return got

    def expect_end(self):
        """The peer ends TCP in good order and has nothing more to say."""
        try:
            more = self.next()
        except Gone:
            assert not self.was_reset
        else:
            raise AssertionError(f"more came: {more}")

    def expect_fail(self, code):
        """It was told that it broke a rule, and the connection ends."""
        self.expect_close(code)
        self.expect_end()

    # opening

    def hello(self, *fields, **more):
        """The client's handshake, which must be accepted; the 101."""
        self.send(request(*fields, **more))
        head = self.head()
        assert head.status == 101, head.raw
        return head

    def welcome(self, *fields, protocol=None, more=b""):
        """The server's handshake, frames right behind it if there are more; the request."""
        head = self.head()
        self.send(response(head, *fields, protocol=protocol) + more)
        return head


def dial(port, host="127.0.0.1"):
    """A client's connection; no handshake yet."""
    return Wire(socket.create_connection((host, port), TIMEOUT_S), is_client=True)


def join(port, *fields, **more):
    """A client's connection, open."""
    wire = dial(port)
    wire.hello(*fields, **more)
    return wire


class Listener:
    """A server by hand: accept() gives Wires, one connection after the other. Use it in a `with`."""

    def __init__(self, host="127.0.0.1", port=0):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.create_server((host, port), family=family, backlog=1024)
        self.sock.settimeout(TIMEOUT_S)
        self.host, self.port = host, self.sock.getsockname()[1]
        self.wires = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for wire in self.wires:
            wire.sock.close()
        self.sock.close()

    @property
    def url(self):
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}/api/v1"

    def accept(self):
        sock, _ = self.sock.accept()
        self.wires.append(Wire(sock, is_client=False))
        return self.wires[-1]

    def welcome(self, *fields, protocol=None, more=b""):
        """The next connection, upgraded."""
        wire = self.accept()
        wire.request = wire.welcome(*fields, protocol=protocol, more=more)
        return wire

    def is_quiet(self, seconds=QUIET_S):
        """Nobody connects for so long."""
        return not select.select([self.sock], [], [], seconds)[0]


def memory_kib(pid):
    """What a process holds in memory at most so far."""
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def wait_for(condition, what, timeout=TIMEOUT_S):
    """For what gives no event: until condition() holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.01)


# --- tests/vectors: see README.md there ------------------------------------------------------------------------------

VECTORS = os.path.join(os.path.dirname(__file__), "..", "vectors", "ws")
ITEM = re.compile(r'((?:[0-9a-f]{2})+|"(?:[^"\\]|\\x..|\\.)*")(?:\*(\d+))?(?:\.|$)')
ESCAPE = re.compile(r"\\(x(..)|.)")
ESCAPES = {"r": "\r", "n": "\n", "\\": "\\", '"': '"'}
EVENTS = {"text": TEXT, "bin": BINARY, "ping": PING, "pong": PONG}


class Vector(NamedTuple):
    id: str
    sender: str
    verdict: str
    data: bytes
    events: list  # Frame of each; ("rest", bytes) of a handshake


def expand(text):
    """The bytes that a data column stands for."""
    if text == "-":
        return b""
    out, at = bytearray(), 0
    while at < len(text):
        item = ITEM.match(text, at)
        assert item, text[at:]
        unit, at = item[1], item.end()
        if unit[0] == '"':
            unit = ESCAPE.sub(lambda m: chr(int(m[2], 16)) if m[2] else ESCAPES[m[1]], unit[1:-1]).encode("latin-1")
        else:
            unit = bytes.fromhex(unit)
        out += unit * int(item[2] or 1)
    return bytes(out)


def event(text):
    kind, _, data = text.partition(":")
    if kind == "rest":
        return "rest", expand(data)
    if kind != "close":
        return Frame(EVENTS[kind], expand(data))
    if not data:
        return Frame(CLOSE, b"")
    code, _, reason = data.partition(":")
    return Frame(CLOSE, struct.pack("!H", int(code)) + expand(reason))


def vectors(*names, sender):
    out = []
    for name in names:
        with open(os.path.join(VECTORS, f"{name}.txt"), encoding="utf-8") as lines:
            for line in lines:
                columns = re.sub(r"(^|\s)#.*", "", line).split()
                if columns and columns[1] == sender:
                    events = columns[5].split(",") if len(columns) > 5 and columns[5] != "-" else []
                    out.append(Vector(columns[0], sender, columns[2], expand(columns[4]), [event(e) for e in events]))
    assert out
    return out


CLOSE_CODES = {"WS_UTF8": 1007, "WS_CLOSE_UTF8": 1007, "WS_TOO_BIG": 1009}


def close_code(verdict):
    """The close code that answers this error (RFC 6455 §7.4.1), None when it is none."""
    return None if verdict in ("OK", "MORE") else CLOSE_CODES.get(verdict, 1002)
