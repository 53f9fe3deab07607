"""What a published message costs the server: no allocation, and one call for each peer and turn of its loop."""

import json
import mmap
import os
import socket
import struct
import subprocess

import mqtt
import pytest

SUBSCRIBERS = 10
COUNT = 10_000
NAMES = ("allocations", "frees", "turns", "sends", "most_sends")


@pytest.fixture(scope="module")
def shim(root):
    """The library that counts, built from count_calls.c."""
    source, library = root / "tests/e2e/count_calls.c", root / "build/test/count_calls.so"
    library.parent.mkdir(parents=True, exist_ok=True)
    part = library.with_suffix(f".{os.getpid()}")
    args = ["gcc", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", part, source, "-ldl"]
    subprocess.run(args, check=True)
    part.rename(library)
    return library


@pytest.fixture
def release(root):
    path = root / "build/bin/pixi-ws-server"
    assert path.exists(), f"{path} is not built: make"
    return str(path)


class Counts:
    def __init__(self, path):
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    def now(self):
        return dict(zip(NAMES, struct.unpack_from(f"={len(NAMES)}Q", self.map), strict=True))

    def forget_most(self):
        struct.pack_into("=Q", self.map, 8 * NAMES.index("most_sends"), 0)


class Wire:
    """A link by hand, so that ten of them cost the machine less than the server does."""

    def __init__(self, server):
        self.sock = socket.create_connection((server.host, server.port), timeout=20)
        fields = f"Host: x\r\n{server.bearer}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        fields += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        self.sock.sendall(f"GET /api/v1 HTTP/1.1\r\n{fields}".encode())
        self.got = b""
        while b"\r\n\r\n" not in self.got:
            self.got += self.sock.recv(65536)
        head, _, self.got = self.got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")

    def send(self, texts):
        self.sock.sendall(b"".join(frame(text.encode()) for text in texts))

    def recv(self, count):
        """So many messages."""
        out, at = [], 0
        while len(out) < count:
            size, head = self._size(at)
            if size is None or at + head + size > len(self.got):
                more = self.sock.recv(1 << 16)
                assert more, "the server closed the connection"
                self.got += more
                continue
            out.append(self.got[at + head : at + head + size])
            at += head + size
        self.got = self.got[at:]
        return out

    def _size(self, at):
        if len(self.got) < at + 4:
            return None, 0
        assert self.got[at] == 0x81, self.got[at:]
        size = self.got[at + 1]
        if size == 127:
            return (struct.unpack_from("!Q", self.got, at + 2)[0], 10) if len(self.got) >= at + 10 else (None, 0)
        return (struct.unpack_from("!H", self.got, at + 2)[0], 4) if size == 126 else (size, 2)


def frame(payload):
    """Masked with zeros: the server does the same work."""
    size = len(payload)
    head = bytes([0x81, 0x80 | size]) if size < 126 else struct.pack("!BBH", 0x81, 0xFE, size)
    return head + bytes(4) + payload


KEY = {"producer": "1b671a64-40d5-491e-99b0-da01ff1f3341"}


def publishes(first, count):
    """Plain ones, retained ones of 97 objects, and such as may be sent again."""
    for seq in range(first, first + count):
        params = {"topic": "event/tram/7", "payload": {"x": seq, "y": [seq, "grün"]}, "headers": [["a", "b"]]}
        if seq % 3 == 1:
            params = {"topic": f"scene/objects/{seq % 97}", "payload": {"x": seq}, "retain": True}
        if seq % 3 == 2:
            params["key"] = {**KEY, "seq": seq, "low": max(1, seq - 20)}
        yield json.dumps({"jsonrpc": "2.0", "id": seq, "method": "publish", "params": params})


def go(publisher, readers, first, count, window=100):
    for start in range(first, first + count, window):
        publisher.send(publishes(start, window))
        answers = publisher.recv(window)
        assert b'"result"' in answers[0] and b'"result"' in answers[-1]
        for reader in readers:
            reader.recv(window)


def test_a_published_message_costs_no_allocation_and_one_call_a_peer_and_turn(hub, shim, release, tmp_path):
    counted = {"LD_PRELOAD": str(shim), "COUNT_FILE": str(tmp_path / "counts")}
    s = hub(program=release, env=counted, history=[{"filter": "#", "max_messages": 500, "max_bytes": 100_000}])
    counts = Counts(tmp_path / "counts")
    publisher, readers = Wire(s), [Wire(s) for _ in range(SUBSCRIBERS)]
    for reader in readers:
        reader.send(['{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"filter":"#"}}'])
        reader.recv(2)  # the answer, `synced`
    go(publisher, readers, 3, 3000)  # the history has gone round six times
    counts.forget_most()
    before = counts.now()
    assert before["allocations"] > 100 and before["turns"] > 30  # it does count
    go(publisher, readers, 3003, COUNT - 1000)
    go(publisher, readers, 2003 + COUNT, 1000, window=2)
    after = counts.now()
    used = {name: after[name] - before[name] for name in NAMES}
    print(used)
    assert used["allocations"] == 0 and used["frees"] == 0, used
    assert after["most_sends"] == 1, used
    assert (SUBSCRIBERS + 1) * (COUNT // 100) <= used["sends"] <= used["turns"] * (SUBSCRIBERS + 1), used


def offset_of(batch):
    """Of the last message in it; offsets rise."""
    at = [note["params"]["offset"] for note in json.loads(batch) if note["method"] == "message"]
    assert at == sorted(at)
    return at[-1] if at else 0


def go_batched(publisher, readers, first, count, window=100):
    for start in range(first, first + count, window):
        publisher.send(publishes(start, window))
        last = json.loads(publisher.recv(window)[-1])["result"]["offset"]
        for reader in readers:
            while offset_of(reader.recv(1)[0]) < last:
                pass


@pytest.mark.parametrize("latest", ["false", "true"])
def test_a_message_in_batches_costs_no_allocation_and_less_than_a_call(hub, shim, release, tmp_path, latest):
    """But for a buffer of the loop's that is lent for more than ever before: how large batches get is a matter of time."""
    counted = {"LD_PRELOAD": str(shim), "COUNT_FILE": str(tmp_path / "counts")}
    s = hub(program=release, env=counted, history=[{"filter": "#", "max_messages": 500, "max_bytes": 100_000}])
    counts = Counts(tmp_path / "counts")
    publisher, readers = Wire(s), [Wire(s) for _ in range(SUBSCRIBERS)]
    for reader in readers:
        how = f'"filter":"#","batch_ms":2,"latest":{latest}'
        reader.send([f'{{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{{{how}}}}}'])
        reader.recv(2)
    go_batched(publisher, readers, 3, 6000)
    before = counts.now()
    go_batched(publisher, readers, 6003, COUNT)
    after = counts.now()
    used = {name: after[name] - before[name] for name in NAMES}
    print(used)
    assert used["allocations"] + used["frees"] < COUNT // 100, used
    assert used["sends"] < SUBSCRIBERS * COUNT / 4, used


class Reader:
    """A subscriber of MQTT that acknowledges what it reads, in one piece."""

    def __init__(self, s, way, version, qos):
        self.peer, self.qos = mqtt.Peer(s, way, version), qos
        self.peer.connect(properties={"alias_max": 10} if version == 5 else None)
        self.peer.subscribe(("t/#", qos))

    def read(self, count):
        """So many messages, and all that they bring with them."""
        due = count
        while count or due:
            p = self.peer.recv()
            if p.kind == mqtt.PUBLISH:
                count -= 1
                due -= not p.qos
                if p.qos:
                    self.peer.ack(mqtt.PUBACK if p.qos == 1 else mqtt.PUBREC, p.id)
                    due -= p.qos == 1
            else:
                assert p.kind == mqtt.PUBREL
                self.peer.ack(mqtt.PUBCOMP, p.id)
                due -= 1


def publish_all(publisher, readers, count, window=60):
    sent = {"user": [("a", "b")], "content_type": "text/plain"}
    for start in range(0, count, window):
        data = b"".join(
            mqtt.publish_packet(f"t/{i % 7}", f"{i:040}", i % 3, i % 5 == 0, id=1 + i % window, properties=sent)
            for i in range(start, start + window)
        )
        publisher.send(data)
        for _ in range(window // 3):
            publisher.expect(mqtt.PUBACK)
            publisher.ack(mqtt.PUBREL, publisher.expect(mqtt.PUBREC).id)
        for _ in range(window // 3):
            publisher.expect(mqtt.PUBCOMP)
        for reader in readers:
            reader.read(window)


def test_a_message_of_mqtt_costs_no_allocation(broker, shim, release, tmp_path):
    counted = {"LD_PRELOAD": str(shim), "COUNT_FILE": str(tmp_path / "counts")}
    s = broker(
        program=release,
        env=counted,
        history=[{"filter": "#", "max_messages": 500, "max_bytes": 100_000}],
        limits__session_messages=300,
    )
    counts = Counts(tmp_path / "counts")
    publisher = mqtt.Peer(s, "ws")
    publisher.connect()
    readers = [Reader(s, way, version, qos) for way in ("ws", "tcp") for version in (4, 5) for qos in (0, 1, 2)]
    publish_all(publisher, readers, 960, window=120)  # more under way at a time than below
    before = counts.now()
    publish_all(publisher, readers, 1200)
    after = counts.now()
    used = {name: after[name] - before[name] for name in NAMES}
    assert used["allocations"] == 0 and used["frees"] == 0, used
