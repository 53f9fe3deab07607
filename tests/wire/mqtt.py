"""A client of MQTT by hand, 3.1.1 and 5.0, over TCP or WebSocket: bytes out as they are told, packets in, read strictly."""

import contextlib
import socket
import struct
from dataclasses import dataclass, field

from raw import BINARY, CLOSE, Gone, masked

TIMEOUT_S = 20
QUIET_S = 0.25  # how long nothing must come where nothing may come
CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)

# identifier, form: 1, 2, 4 bytes; "v" varint; "s" string; "b" binary; "p" pair
PROPS = {
    "payload_format": (0x01, 1),
    "expiry": (0x02, 4),
    "content_type": (0x03, "s"),
    "response_topic": (0x08, "s"),
    "correlation": (0x09, "b"),
    "subscription_id": (0x0B, "v"),
    "session_expiry": (0x11, 4),
    "assigned_id": (0x12, "s"),
    "server_keep_alive": (0x13, 2),
    "auth_method": (0x15, "s"),
    "auth_data": (0x16, "b"),
    "problem_info": (0x17, 1),
    "will_delay": (0x18, 4),
    "response_info": (0x19, 1),
    "reason_string": (0x1F, "s"),
    "receive_max": (0x21, 2),
    "alias_max": (0x22, 2),
    "alias": (0x23, 2),
    "max_qos": (0x24, 1),
    "user": (0x26, "p"),
    "max_packet": (0x27, 4),
}
BY_ID = {i: (name, form) for name, (i, form) in PROPS.items()}


def varint(n):
    out = b""
    while True:
        n, low = divmod(n, 128)
        out += bytes([low | (128 if n else 0)])
        if not n:
            return out


def string(text):
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("!H", len(raw)) + raw


def one_prop(name, value):
    number, form = PROPS[name]
    if form == "v":
        return bytes([number]) + varint(value)
    if form in ("s", "b"):
        return bytes([number]) + string(value)
    if form == "p":
        return bytes([number]) + string(value[0]) + string(value[1])
    return bytes([number]) + value.to_bytes(form, "big")


def props(values):
    """{"user": [("a", "b")], ...} in wire form with its length."""
    out = b""
    for name, value in (values or {}).items():
        for each in value if name == "user" else [value]:
            out += one_prop(name, each)
    return varint(len(out)) + out


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


class Cur:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        assert self.at + n <= len(self.data), self.data
        self.at += n
        return self.data[self.at - n : self.at]

    def uint(self, n):
        return int.from_bytes(self.take(n), "big")

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.uint(1)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def binary(self):
        return self.take(self.uint(2))

    def rest(self):
        return self.take(len(self.data) - self.at)

    def props(self):
        out = {}
        block = Cur(self.take(self.varint()))
        while block.at < len(block.data):
            name, form = BY_ID[block.varint()]
            if form == "v":
                value = block.varint()
            elif form == "s":
                value = block.binary().decode()
            elif form == "b":
                value = block.binary()
            elif form == "p":
                out.setdefault("user", []).append((block.binary().decode(), block.binary().decode()))
                continue
            else:
                value = block.uint(form)
            if name == "subscription_id":  # a list where there are several
                value = [out[name], value] if isinstance(out.get(name), int) else [*out.get(name, []), value]
                value = value[0] if len(value) == 1 else value
            else:
                assert name not in out, name
            out[name] = value
        return out


@dataclass
class Packet:
    kind: int
    flags: int = 0
    id: int = 0
    reason: int = 0
    props: dict = field(default_factory=dict)
    codes: list = field(default_factory=list)
    topic: str = ""
    payload: bytes = b""
    present: bool = False

    @property
    def qos(self):
        return self.flags >> 1 & 3

    @property
    def retain(self):
        return bool(self.flags & 1)

    @property
    def dup(self):
        return bool(self.flags & 8)


def read(kind, flags, body, version):
    c, p = Cur(body), Packet(kind, flags)
    is_5 = version == 5
    if kind == CONNACK:
        p.present, p.reason = bool(c.uint(1)), c.uint(1)
        p.props = c.props() if is_5 else {}
    elif kind == PUBLISH:
        p.topic = c.binary().decode()
        p.id = c.uint(2) if p.qos else 0
        p.props = c.props() if is_5 else {}
        p.payload = c.rest()
    elif kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
        p.id = c.uint(2)
        p.reason = c.uint(1) if c.at < len(body) else 0
        p.props = c.props() if c.at < len(body) else {}
    elif kind in (SUBACK, UNSUBACK):
        p.id = c.uint(2)
        p.props = c.props() if is_5 else {}
        p.codes = list(c.rest())
    elif kind == DISCONNECT:
        p.reason = c.uint(1) if c.at < len(body) else 0
        p.props = c.props() if c.at < len(body) else {}
    assert c.at == len(body), (kind, body)
    return p


def connect_packet(
    client_id="", clean=True, password=None, keep_alive=0, properties=None, will=None, version=5, user="u", level=None
):
    """will: (topic, payload, qos, retain, properties)."""
    flags = (2 if clean else 0) | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
    if will:
        flags |= 4 | will[2] << 3 | will[3] << 5
    body = string("MQTT") + bytes([version if level is None else level, flags]) + struct.pack("!H", keep_alive)
    body += props(properties) if version == 5 else b""
    body += string(client_id)
    if will:
        body += (props(will[4]) if version == 5 else b"") + string(will[0]) + string(will[1])
    body += string(user) if user is not None else b""
    body += string(password) if password is not None else b""
    return packet(CONNECT, 0, body)


def publish_packet(topic, payload=b"", qos=0, retain=False, dup=False, id=0, properties=None, version=5):
    raw = payload.encode() if isinstance(payload, str) else payload
    body = string(topic) + (struct.pack("!H", id) if qos else b"")
    body += props(properties) if version == 5 else b""
    return packet(PUBLISH, qos << 1 | retain | dup << 3, body + raw)


class Peer:
    """One connection. way: "tcp" or "ws"."""

    def __init__(self, hub, way="tcp", version=5):
        self.hub, self.way, self.version, self.got, self.frames = hub, way, version, b"", b""
        self.close_code, self.aside = None, []
        port = hub.mqtt_port if way == "tcp" else hub.port
        self.sock = socket.create_connection((hub.host, port), timeout=TIMEOUT_S)
        if way == "ws":
            self._upgrade()

    def _upgrade(self):
        fields = "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\n"
        fields += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        self.sock.sendall(f"GET /api/v1 HTTP/1.1\r\n{fields}".encode())
        while b"\r\n\r\n" not in self.frames:
            self.frames += self._recv()
        head, _, self.frames = self.frames.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert b"Sec-WebSocket-Protocol: mqtt" in head, head

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def _recv(self):
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Gone
        return data

    # --- bytes

    def send(self, data, opcode=BINARY, is_final=True):
        self.sock.sendall(data if self.way == "tcp" else frame(data, opcode, is_final))

    def _fill(self):
        if self.way == "tcp":
            self.got += self._recv()
            return
        while True:
            found = cut_frame(self.frames)
            if found:
                break
            self.frames += self._recv()
        opcode, payload, self.frames = found
        if opcode == CLOSE:
            self.close_code = struct.unpack("!H", payload[:2])[0]
            with contextlib.suppress(OSError):
                self.sock.sendall(frame(payload[:2], CLOSE))
            raise Gone
        assert opcode == BINARY, opcode
        self.got += payload

    def recv(self):
        """The next packet; Gone when the connection ends first."""
        return self.aside.pop(0) if self.aside else self._read()

    def _read(self):
        while True:
            found = cut_packet(self.got)
            if found:
                kind, flags, body, self.got = found
                return read(kind, flags, body, self.version)
            self._fill()

    def expect(self, kind):
        p = self.recv()
        assert p.kind == kind, p
        return p

    def answer(self, kind):
        """The next that is no PUBLISH: those wait for who asks for them."""
        while (p := self._read()).kind == PUBLISH:
            self.aside.append(p)
        assert p.kind == kind, p
        return p

    def is_quiet(self, seconds=QUIET_S):
        self.sock.settimeout(seconds)
        try:
            p = self.recv()
            raise AssertionError(f"came: {p}")
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(TIMEOUT_S)

    def ends(self):
        """The connection ends, without another packet; the close code, over a WebSocket."""
        try:
            p = self.recv()
        except Gone:
            return self.close_code
        raise AssertionError(f"came: {p}")

    # --- packets

    def connect(self, client_id="", key=None, **more):
        """The CONNACK."""
        password = self.hub.key if key is None else key
        self.send(connect_packet(client_id, password=password, version=self.version, **more))
        return self.expect(CONNACK)

    def subscribe(self, *filters, id=1, properties=None):
        """Each a filter or (filter, options); the reason codes."""
        body = struct.pack("!H", id) + (props(properties) if self.version == 5 else b"")
        for f in filters:
            name, options = f if isinstance(f, tuple) else (f, 0)
            body += string(name) + bytes([options])
        self.send(packet(SUBSCRIBE, 2, body))
        p = self.answer(SUBACK)
        assert p.id == id
        return p.codes

    def unsubscribe(self, *filters, id=1):
        body = struct.pack("!H", id) + (props({}) if self.version == 5 else b"")
        self.send(packet(UNSUBSCRIBE, 2, body + b"".join(string(f) for f in filters)))
        p = self.answer(UNSUBACK)
        assert p.id == id
        return p.codes

    def publish(self, topic, payload=b"", **more):
        self.send(publish_packet(topic, payload, version=self.version, **more))

    def ack(self, kind, id, reason=0):
        body = struct.pack("!H", id) + (bytes([reason]) if reason else b"")
        self.send(packet(kind, 2 if kind == PUBREL else 0, body))

    def put(self, topic, payload=b"", qos=1, id=1, **more):
        """Publishes, and holds the whole exchange; the reason code."""
        self.publish(topic, payload, qos=qos, id=id, **more)
        if qos == 0:
            return 0
        p = self.answer(PUBACK if qos == 1 else PUBREC)
        assert p.id == id
        if qos == 2 and p.reason < 0x80:
            self.ack(PUBREL, id)
            assert self.answer(PUBCOMP).id == id
        return p.reason

    def take(self, qos=None):
        """The next PUBLISH, acknowledged."""
        p = self.expect(PUBLISH)
        assert qos is None or p.qos == qos, p
        if p.qos == 1:
            self.ack(PUBACK, p.id)
        elif p.qos == 2:
            self.ack(PUBREC, p.id)
            assert self.answer(PUBREL).id == p.id
            self.ack(PUBCOMP, p.id)
        return p

    def disconnect(self, reason=0, properties=None):
        body = bytes([reason]) + props(properties) if reason or properties else b""
        self.send(packet(DISCONNECT, 0, body))

    def ping(self):
        self.send(packet(PINGREQ, 0, b""))
        self.answer(PINGRESP)


def frame(data, opcode=BINARY, is_final=True):
    size, first = len(data), opcode | (0x80 if is_final else 0)
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 65536:
        head = struct.pack("!BBH", first, 0xFE, size)
    else:
        head = struct.pack("!BBQ", first, 0xFF, size)
    mask = b"\x37\xfa\x21\x3d"
    return head + mask + masked(data, mask)


def cut_frame(data):
    """(opcode, payload, rest), or None."""
    if len(data) < 2:
        return None
    size, at = data[1], 2
    assert data[0] & 0x80 and not size & 0x80, data[:2]
    if size == 126 and len(data) >= 4:
        size, at = struct.unpack_from("!H", data, 2)[0], 4
    elif size == 127 and len(data) >= 10:
        size, at = struct.unpack_from("!Q", data, 2)[0], 10
    elif size > 125:
        return None
    return (data[0] & 15, data[at : at + size], data[at + size :]) if len(data) >= at + size else None


def cut_packet(data):
    """(type, flags, body, rest), or None."""
    size, at = 0, 1
    while True:
        if len(data) <= at:
            return None
        size |= (data[at] & 127) << 7 * (at - 1)
        at += 1
        if data[at - 1] < 128:
            break
    if len(data) < at + size:
        return None
    return data[0] >> 4, data[0] & 15, data[at : at + size], data[at + size :]
