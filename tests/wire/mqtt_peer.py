"""A small correct MQTT server over WebSocket, 3.1.1 and 5.0, with one switch for every rule that it can break.

Written from the OASIS standards alone.
"""

import asyncio
import struct

import peers

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(8, 15)
# The flags of each packet that a client may send; of PUBLISH they mean something.
FLAGS = {CONNECT: 0, PUBACK: 0, PUBREC: 0, PUBREL: 2, PUBCOMP: 0, SUBSCRIBE: 2, UNSUBSCRIBE: 2, PINGREQ: 0, DISCONNECT: 0}
# How a property's value is written: bytes, or "text", "pair", "varint".
KINDS = {1: 1, 2: 4, 3: "text", 8: "text", 9: "text", 11: "varint", 17: 4, 33: 2, 34: 2, 35: 2, 38: "pair", 39: 4}


class Wrong(Exception):
    """The client broke this rule; rule: the id of the check that sends it."""

    def __init__(self, rule, reason=0x82):
        super().__init__(rule)
        self.rule, self.reason = rule, reason


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("!H", len(value)) + value


def packet(first, body=b""):
    left, size = len(body), b""
    while True:
        size += bytes([left & 127 | (128 if left > 127 else 0)])
        left >>= 7
        if not left:
            return bytes([first]) + size + body


class Cursor:
    def __init__(self, data):
        self.data = data

    def take(self, size):
        if size > len(self.data):
            raise Wrong("mqtt-short", 0x81)
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.number(1)
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise Wrong("mqtt-length", 0x81)

    def binary(self):
        return self.take(self.number(2))

    def string(self, is_strict=lambda rule: True):
        data = self.binary()
        if b"\0" in data and is_strict("mqtt-nul"):
            raise Wrong("mqtt-nul", 0x81)
        try:
            return data.decode()
        except UnicodeDecodeError:
            if is_strict("mqtt-utf8"):
                raise Wrong("mqtt-utf8", 0x81) from None
            return data.decode("latin-1")

    def properties(self, is_strict=lambda rule: True):
        inner, found = Cursor(self.take(self.varint())), {}
        while inner.data:
            name = inner.varint()
            kind = KINDS.get(name)
            if kind is None:
                raise Wrong("property", 0x81)
            value = (
                inner.varint()
                if kind == "varint"
                else inner.number(kind)
                if isinstance(kind, int)
                else inner.binary()
                if kind == "text"
                else (inner.binary(), inner.binary())
            )
            if name in found and kind != "pair" and is_strict("mqtt-property"):
                raise Wrong("mqtt-property")
            found[name] = value
        return found


class Session:
    """What is kept of a client: subscriptions, what is not acknowledged, what waits for room."""

    def __init__(self):
        self.filters = {}
        self.waiting = []  # (topic, payload, qos)
        self.inflight = {}
        self.received = set()  # identifiers of QoS 2 between PUBLISH and PUBREL
        self.last_id = 0
        self.link = None


class MqttServer(peers.WebSocketServer):
    """`breaks`: the id of the check that has to fail, perhaps with "/" and how; None: none. key: the password it wants.
    old: 3.1.1 only."""

    subprotocols = ("mqtt",)

    def __init__(self, breaks=None, key=None, old=False, drip=False):
        super().__init__(breaks, drip)
        self.key, self.old = key, old
        self.sessions, self.retained = {}, {}

    def refuse(self, fields):
        if "mqtt" not in fields.get("sec-websocket-protocol", ""):
            return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
        return super().refuse(fields)

    async def talk(self, link):
        link.bytes, link.session, link.will, link.keepalive, link.by_server = b"", None, None, 0, False
        try:
            while True:
                await self.take_packet(link)
        except Wrong as e:
            if self.breaks == "mqtt-refusal":
                link.write(packet(DISCONNECT << 4, bytes([4, 0])))
            elif link.session and link.level == 5:
                link.write(packet(DISCONNECT << 4, bytes([e.reason, 0])))
            raise peers.Broken(1002) from None

    async def take_packet(self, link):
        while True:
            found = self.cut(link)
            if found:
                break
            patience = 1.5 * link.keepalive if link.keepalive and self.is_strict("mqtt-silent") else None
            try:
                opcode, data = await asyncio.wait_for(link.message(), patience)
            except asyncio.TimeoutError:
                link.by_server = True
                raise Wrong("silent", 0x8D) from None
            if opcode == peers.TEXT and self.is_strict("mqtt-text"):
                raise Wrong("mqtt-text")
            if self.breaks == "mqtt-split":
                link.bytes = b""  # as if a packet never spanned messages
            if opcode == peers.BINARY:
                link.bytes += data
        await self.on_packet(link, *found)
        if self.breaks == "mqtt-joined":
            link.bytes = b""

    def cut(self, link):
        """One packet at the front: type, flags, body."""
        if len(link.bytes) < 2:
            return None
        cursor, rest = Cursor(link.bytes[1:]), link.bytes[1:6]
        if len(rest) >= 4 and all(b > 127 for b in rest[:4]):
            if self.is_strict("mqtt-length"):
                raise Wrong("mqtt-length", 0x81)
            link.bytes = b""
            return None
        if all(b > 127 for b in rest):
            return None
        size = cursor.varint()
        if len(cursor.data) < size:
            return None
        kind, flags, body = link.bytes[0] >> 4, link.bytes[0] & 15, cursor.take(size)
        link.bytes = cursor.data
        return kind, flags, Cursor(body)

    async def on_packet(self, link, kind, flags, body):
        if not link.session:
            if kind != CONNECT:
                if self.is_strict("mqtt-first"):
                    raise Wrong("mqtt-first")
                return
            await self.on_connect(link, body)
            return
        if kind == CONNECT:
            if self.is_strict("mqtt-twice"):
                raise Wrong("mqtt-twice")
            return
        if kind != PUBLISH and flags != FLAGS.get(kind, -1):
            rule = {SUBSCRIBE: "mqtt-flags", PUBREL: "mqtt-pubrel", 0: "mqtt-type"}.get(kind, "flags")
            if self.is_strict(rule):
                raise Wrong(rule, 0x81)
            return
        try:
            await getattr(self, f"on_{kind}", self.on_other)(link, flags, body)
        except Wrong as e:
            if self.is_strict(e.rule):
                raise

    async def on_other(self, link, flags, body):
        pass

    # --- connecting

    def put_connack(self, link, level, present, code):
        if self.breaks == "mqtt-311/malformed" and level == 4:
            present = 2
        # A Keep Alive of the server's own saves the waiting where that is not what is looked at.
        properties = b"\0" if self.breaks in (None, "mqtt-311", "mqtt-silent") else b"\3\x13\0\x3c"
        link.write(packet(CONNACK << 4, bytes([present, code]) + (properties if level == 5 else b"")))

    async def on_connect(self, link, body):
        if body.binary() != b"MQTT":
            raise Wrong("name", 0x84)
        link.level, flags, link.keepalive = body.number(1), body.number(1), body.number(2)
        link.window, link.packet_max = 65535, 1 << 20
        if self.breaks == "mqtt-version" and link.level == 6:
            link.level = 5
        if link.level not in (4, 5) or self.old and link.level == 5:
            code = 1 if self.old or self.breaks != "mqtt-version/code" else 0x83
            self.put_connack(link, 4, 0, code)
            raise peers.Done
        if self.breaks == "mqtt-311" and link.level == 4:
            self.put_connack(link, 4, 0, 1)
            raise peers.Done
        keeps = not flags & 2
        if link.level == 5:
            properties = body.properties()
            link.window = properties.get(33, 65535) if self.is_strict("mqtt-window") else 65535
            link.packet_max = properties.get(39, 1 << 20) if self.is_strict("mqtt-max") else 1 << 20
        name = body.string()
        if flags & 4:
            if link.level == 5:
                body.properties()
            link.will = (body.string(), body.binary(), flags >> 3 & 3)
        password = None
        if flags & 0x80:
            body.string()
        if flags & 0x40:
            password = body.binary().decode()
        await self.admit(link, name, keeps, password)

    async def admit(self, link, name, keeps, password):
        if self.key and password != self.key:
            is_missing = password is None
            is_open = self.breaks == ("mqtt-key-none" if is_missing else "mqtt-key-wrong")
            if not is_open:
                code = 0x83 if self.breaks == "mqtt-key/code" else 0x86 if link.level == 5 else 4
                self.put_connack(link, link.level, 0, code)
                if self.breaks == "mqtt-key/open":
                    await link.reader.read()
                raise peers.Done
        if self.breaks == "mqtt/refused":
            self.put_connack(link, link.level, 0, 0x97 if link.level == 5 else 3)
            raise peers.Done
        if self.breaks == "mqtt/silent":
            await link.reader.read()
        if self.breaks == "mqtt/other":
            link.write(packet(PINGRESP << 4))
        former = self.sessions.get(name)
        if former and former.link and self.is_strict("mqtt-takeover"):
            former.link.by_server = True
            if former.link.level == 5:
                former.link.write(packet(DISCONNECT << 4, b"\x8e\0"))
            former.link.put(peers.frame(peers.CLOSE, struct.pack("!H", 1000)))
            former.link.writer.close()
        present = bool(keeps and former and self.is_strict("mqtt-resume"))
        link.session = former if present else Session()
        self.sessions[name] = link.session
        link.keeps, link.session.link = keeps, link
        self.put_connack(link, link.level, int(present), 0)
        if self.breaks == "mqtt-resume/lost":
            link.session.waiting, link.session.inflight = [], {}
        for msg_id, (topic, payload, qos) in link.session.inflight.items():
            self.put_publish(link, topic, payload, qos, msg_id, dup=True)
        self.drain(link.session)

    def forget(self, link):
        session = getattr(link, "session", None)
        if session and session.link is link:
            session.link = None
            if not link.keeps:
                session.filters = {}
        will, link.will = getattr(link, "will", None), None
        if will and self.is_strict("mqtt-will"):
            self.deliver(will[0], will[1], will[2])

    async def on_14(self, link, flags, body):
        if self.is_strict("mqtt-will/disconnect"):
            link.will = None
        raise peers.Done

    async def on_12(self, link, flags, body):
        if self.is_strict("mqtt-ping"):
            link.write(packet(PINGRESP << 4))

    # --- publishing

    async def on_3(self, link, flags, body):
        qos, retain = flags >> 1 & 3, flags & 1
        if qos == 3:
            raise Wrong("mqtt-qos-3", 0x81)
        topic = body.string(self.is_strict)
        if set(topic) & set("+#"):
            raise Wrong("mqtt-wildcard", 0x90)
        msg_id = body.number(2) if qos else 1
        if msg_id == 0:
            raise Wrong("mqtt-id-0")
        properties = body.properties(self.is_strict) if link.level == 5 else {}
        if properties.get(35) == 0:
            raise Wrong("mqtt-alias-0", 0x94)
        if not topic:
            raise Wrong("mqtt-no-topic")
        self.take_message(link, topic, body.data, qos, retain, msg_id)

    def take_message(self, link, topic, payload, qos, retain, msg_id):
        ack = struct.pack("!H", msg_id)
        is_again = qos == 2 and msg_id in link.session.received and self.is_strict("mqtt-once")
        if qos == 2:
            link.session.received.add(msg_id)
            link.write(packet(PUBREC << 4, ack))
        if qos == 1 and self.is_strict("mqtt-qos-1/unacknowledged"):
            refusal = b"\x97" if self.breaks == "mqtt-qos-1/refused" else b""
            link.write(packet(PUBACK << 4, ack + refusal))
        if retain and self.is_strict("mqtt-retained/lost"):
            if payload or not self.is_strict("mqtt-retained/removed"):
                self.retained[topic] = payload or b"kept"
            else:
                self.retained.pop(topic, None)
        if not is_again:
            self.deliver(topic, payload, qos)

    async def on_6(self, link, flags, body):
        msg_id = body.number(2)
        link.session.received.discard(msg_id)
        link.write(packet(PUBCOMP << 4, struct.pack("!H", msg_id)))

    def deliver(self, topic, payload, qos):
        if self.breaks == "mqtt-qos-0/changed":
            payload = payload.replace(b"\xff", b"?")
        for session in list(self.sessions.values()):
            if topic not in session.filters:
                continue
            granted = min(qos, session.filters[topic])
            if self.breaks == f"mqtt-qos-{granted}/lower" and granted:
                granted -= 1
            if self.breaks == f"mqtt-qos-{granted}/lost" and payload.endswith(b"7 \x01\xff"):
                continue
            session.waiting += [(topic, payload, granted)] * (2 if self.breaks == f"mqtt-qos-{granted}/twice" else 1)
            if session.link:
                self.drain(session)
            elif granted == 0:
                session.waiting.pop()

    def drain(self, session):
        while session.waiting and (session.waiting[0][2] == 0 or len(session.inflight) < session.link.window):
            topic, payload, qos = session.waiting.pop(0)
            msg_id = 0
            if qos:
                session.last_id = msg_id = session.last_id % 65535 + 1
            if self.put_publish(session.link, topic, payload, qos, msg_id) and qos:
                session.inflight[msg_id] = (topic, payload, qos)

    def put_publish(self, link, topic, payload, qos, msg_id, dup=False, retain=False):
        body = text(topic) + (struct.pack("!H", msg_id) if qos else b"") + (b"\0" if link.level == 5 else b"") + payload
        if self.breaks == "mqtt-qos-0/malformed":
            body = b"\xff\xff"
        whole = packet(PUBLISH << 4 | qos << 1 | (8 if dup else 0) | (1 if retain else 0), body)
        if len(whole) <= link.packet_max:
            link.write(whole)
        return len(whole) <= link.packet_max

    async def on_4(self, link, flags, body):
        link.session.inflight.pop(body.number(2), None)
        self.drain(link.session)

    async def on_5(self, link, flags, body):
        if self.is_strict("mqtt-qos-2/unreleased"):
            link.write(packet(PUBREL << 4 | 2, struct.pack("!H", body.number(2))))

    async def on_7(self, link, flags, body):
        await self.on_4(link, flags, body)

    # --- subscribing

    async def on_8(self, link, flags, body):
        msg_id = body.number(2)
        if link.level == 5:
            body.properties()
        if not body.data:
            raise Wrong("mqtt-no-filter")
        codes, new = b"", []
        while body.data:
            name, options = body.string(), body.number(1)
            if options & 3 == 3:
                raise Wrong("mqtt-options", 0x81)
            link.session.filters[name] = options & 3
            new.append(name)
            codes += bytes([options & 3 if self.breaks != "mqtt-qos-0/refused" else 0x80])
        link.write(packet(SUBACK << 4, struct.pack("!H", msg_id) + (b"\0" if link.level == 5 else b"") + codes))
        for name in new:
            if self.retained.get(name):
                self.put_publish(link, name, self.retained[name], 0, 0, retain=self.is_strict("mqtt-retained/flag"))


def write(self, data):
    """MQTT's bytes: in one binary message, or in text where that is what it breaks."""
    self.put(peers.frame(peers.TEXT if self.server.breaks == "mqtt/text" else peers.BINARY, data))


peers.Link.write = write
