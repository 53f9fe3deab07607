"""pixi-ws-client --dialect mqtt against scripted servers: what it says, in bytes, and what it does about broken ones."""

import re
import struct

import pytest

import raw
from raw import BINARY, TEXT

KEY = "pk_live-mqtt-tests-0123456789"
CONNACK5, CONNACK3 = b"\x20\x03\0\0\0", b"\x20\x02\0\0"


@pytest.fixture
def listener():
    with raw.Listener() as it:
        yield it


class Mqtt:
    """The server's end of a connection: packets out of and into WebSocket messages."""

    def __init__(self, wire):
        self.wire, self.rest = wire, b""

    def packet(self):
        """(first byte, body) of the next packet."""
        while True:
            length = shift = 0
            for at, byte in enumerate(self.rest[1:5], 1):
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    end = at + 1 + length
                    if len(self.rest) >= end:
                        out, self.rest = (self.rest[0], self.rest[at + 1 : end]), self.rest[end:]
                        return out
                    break
            frame = self.wire.next()
            assert frame.is_final and frame.opcode == BINARY, frame
            self.rest += frame.payload

    def say(self, *packets):
        self.wire.put(BINARY, b"".join(packets))

    def end(self):
        """The closing handshake, which the client has begun or will follow."""
        self.wire.put_close(1000)
        self.wire.shut()
        self.wire.rest()
        self.wire.sock.close()


@pytest.fixture
def mqtt(client, listener):
    """mqtt(*args, answer=CONNACK5, **settings) -> (Proc, Mqtt, its CONNECT's body); answer None: none yet."""

    def mqtt(*args, answer=CONNACK5, **members):
        members = {"reconnect__initial_ms": 1, "timeouts__close_ms": 50, **members}
        proc = client("--url", listener.url, "--dialect", "mqtt", *args, **members)
        wire = listener.welcome(protocol="mqtt")
        link = Mqtt(wire)
        first, body = link.packet()
        assert first == 0x10
        if answer:
            link.say(answer)
        return proc, link, body

    return mqtt


def text(value):
    return struct.pack("!H", len(value)) + value.encode()


def fails(proc, code, layer):
    assert proc.wait() == code, str(proc)
    said = re.search(r"^pixi-ws-client: (\S+): (\S.*)\n  fix: (\S.*)$", proc.err, re.M)
    assert said and said[1] == layer, str(proc)
    return said[2]


# --- what it says


def test_connect_5(mqtt, listener):
    proc, link, body = mqtt(
        "listen", "a", api_key=KEY, client_id="tram", keepalive__interval_ms=5000, mqtt__session_expiry_s=7,
        mqtt__will_topic="w", mqtt__will_payload="off", mqtt__will_qos=2, mqtt__will_retain=True, mqtt__will_delay_s=3,
    )
    props = b"\x11\0\0\0\x07" b"\x21\0\x40" b"\x27" + struct.pack("!I", (1 << 20) + 131072)
    will = b"\x05\x18\0\0\0\x03" + text("w") + text("off")
    assert body == text("MQTT") + b"\x05\xf4\0\x05" + bytes([len(props)]) + props + text("tram") + will + text("pixi") + text(KEY)
    assert not link.wire.request.get("authorization") and KEY.encode() not in link.wire.request.raw
    assert link.packet() == (0x82, b"\0\x01\x02\x0b\x01" + text("a") + b"\x01")
    link.say(b"\x90\x04\0\x01\0\x01")
    proc.wait_line("listening to a", stream="err")
    proc.stop()
    assert link.packet() == (0xE0, b"")  # its own identifier: the session is kept


def test_connect_3(mqtt):
    _, link, body = mqtt("--mqtt-version", "4", "listen", "--no-retained", "a", answer=CONNACK3, mqtt__qos=2)
    client = body[12:]
    assert body[:12] == text("MQTT") + b"\x04\x02\0\x1e" + client[:0] + b"\0\x14" and re.fullmatch(rb"pixi[0-9a-f]{16}", client)
    assert link.packet() == (0x82, b"\0\x01" + text("a") + b"\x02")


def test_a_made_up_session_is_not_left_behind(mqtt):
    proc, link, _ = mqtt("listen", "a")
    link.packet()
    link.say(b"\x90\x04\0\x01\0\x01")
    proc.wait_line("listening to a", stream="err")
    proc.stop()
    assert link.packet() == (0xE0, b"\0\x05\x11\0\0\0\0")


def test_qos_2_by_its_steps(mqtt):
    proc, link, _ = mqtt("--qos", "2", "send", "-e", "9", "-r", "-H", "k=v", "t", "x")
    props = b"\x02\0\0\0\x09" b"\x26" + text("k") + text("v")
    assert link.packet() == (0x35, text("t") + b"\0\x01" + bytes([len(props)]) + props + b"x")
    link.say(b"\x50\x02\0\x01")
    assert link.packet() == (0x62, b"\0\x01")
    link.say(b"\x70\x02\0\x01")
    assert proc.wait() == 0


def test_its_acknowledgements(mqtt):
    proc, link, _ = mqtt("listen", "-n", "3", "a")
    link.packet()
    link.say(b"\x90\x04\0\x01\0\x01", b"\x32\x07" + text("a") + b"\0\x07\0x", b"\x34\x07" + text("a") + b"\0\x08\0y")
    assert link.packet() == (0x40, b"\0\x07")
    assert link.packet() == (0x50, b"\0\x08")
    link.say(b"\x3c\x07" + text("a") + b"\0\x08\0y")  # again: acknowledged, not told
    assert link.packet() == (0x50, b"\0\x08")
    link.say(b"\x62\x02\0\x08", b"\x62\x02\0\x09")
    assert link.packet() == (0x70, b"\0\x08")
    assert link.packet() == (0x70, b"\0\x09\x92")
    link.say(b"\x34\x07" + text("a") + b"\0\x08\0z")  # the identifier is free for another
    assert link.packet() == (0x50, b"\0\x08")  # and this before it leaves
    assert link.packet()[0] == 0xE0
    link.end()
    assert proc.wait() == 0 and [line[-40:] for line in proc.out.splitlines()] and proc.out.count("\n") == 3


def test_sent_again_with_dup(mqtt, listener):
    proc, link, _ = mqtt("send", "t", "x", client_id="c")
    assert link.packet() == (0x32, text("t") + b"\0\x01\0x")
    link.wire.reset()
    link = Mqtt(listener.welcome(protocol="mqtt"))
    assert link.packet()[1][7] == 0  # no clean start
    link.say(b"\x20\x03\x01\0\0")
    assert link.packet() == (0x3A, text("t") + b"\0\x01\0x")
    link.say(b"\x40\x02\0\x01")
    assert proc.wait() == 0


def test_a_release_that_was_heard_before(mqtt, listener):
    """Its PUBCOMP was lost: the server no longer knows the identifier, and has the message."""
    proc, link, _ = mqtt("--qos", "2", "send", "t", "x", client_id="c")
    link.packet()
    link.say(b"\x50\x02\0\x01")
    assert link.packet()[0] == 0x62
    link.wire.reset()
    link = Mqtt(listener.welcome(protocol="mqtt"))
    link.packet()
    link.say(b"\x20\x03\x01\0\0")
    assert link.packet() == (0x62, b"\0\x01")
    link.say(b"\x70\x03\0\x01\x92")
    assert proc.wait() == 0, str(proc)


@pytest.mark.parametrize("received", [False, True])
def test_qos_2_without_its_session(mqtt, listener, received):
    """Not acknowledged: in doubt. Received: the server has it."""
    proc, link, _ = mqtt("--qos", "2", "send", "t", "x", client_id="c")
    assert link.packet()[0] == 0x34
    if received:
        link.say(b"\x50\x02\0\x01")
        assert link.packet()[0] == 0x62
    link.wire.reset()
    link = Mqtt(listener.welcome(protocol="mqtt"))
    link.packet()
    link.say(CONNACK5)
    assert link.packet()[0] == 0xE0
    if received:
        assert proc.wait() == 0
    else:
        assert "publish: in doubt" in fails(proc, 1, "connection")


def test_the_receive_maximum_is_kept(mqtt):
    proc, link, _ = mqtt("send", "t", "-", answer=b"\x20\x06\0\0\x03\x21\0\x02")
    proc.write("0\n1\n2\n3\n")
    for count in (0, 1):
        assert link.packet() == (0x32, text("t") + bytes([0, count + 1, 0]) + b"%d" % count)
    link.say(b"\x40\x02\0\x02")  # the second: the third goes out, and nothing before
    assert link.packet() == (0x32, text("t") + b"\0\x03\x002")
    link.say(b"\x40\x02\0\x01", b"\x40\x02\0\x03")
    assert link.packet() == (0x32, text("t") + b"\0\x04\x003")
    link.say(b"\x40\x02\0\x04")
    proc.close_input()
    assert proc.wait() == 0


def test_only_publishes_wait_for_it(mqtt):
    """One reply is under way; the other waits, the acknowledgement of its request does not."""
    proc, link, _ = mqtt("listen", "-n", "2", "a", "--reply", "1", answer=b"\x20\x06\0\0\x03\x21\0\x01")
    link.packet()
    ask = b"\x32\x0a" + text("a") + b"%b\x04\x08" + text("r")
    link.say(b"\x90\x04\0\x01\0\x01", ask % b"\0\x07", ask % b"\0\x08")
    assert link.packet() == (0x32, text("r") + b"\0\x02\x001")
    assert link.packet() == (0x40, b"\0\x07")
    assert link.packet() == (0x40, b"\0\x08")
    assert link.packet()[0] == 0xE0, proc


def test_what_the_server_takes(mqtt):
    proc, _, _ = mqtt("--qos", "2", "send", "t", "x", answer=b"\x20\x05\0\0\x02\x24\x01")
    assert "does not take this QoS" in fails(proc, 2, "usage")
    proc, _, _ = mqtt("send", "t", "x" * 100, answer=b"\x20\x08\0\0\x05\x27\0\0\0\x32")
    assert "message over the limit" in fails(proc, 1, "limits")


def test_nothing_retained_where_nothing_is_kept(mqtt):
    proc, _, _ = mqtt("send", "--retain", "t", "x", answer=b"\x20\x05\0\0\x02\x25\0")
    assert "keeps no retained messages" in fails(proc, 2, "usage")


def test_pings(mqtt):
    proc, link, _ = mqtt("listen", "a", answer=b"\x20\x06\0\0\x03\x13\0\x01")  # the server wants one a second
    link.packet()
    link.say(b"\x90\x04\0\x01\0\x01")
    assert link.packet() == (0xC0, b"")
    link.say(b"\xd0\0")
    assert link.packet() == (0xC0, b"")
    proc.wait_line("answers no PINGREQ any more; trying again", stream="err")


# --- what it hears


@pytest.mark.parametrize(
    "version, connack, code, layer, words",
    [
        (5, "20030087 00", 8, "key", r"refused CONNECT: not authorized \(0x87\)"),
        (5, "20030086 00", 8, "key", r"bad user name or password \(0x86\)"),
        (5, "2008 008a 05 1f0002 6e6f", 8, "key", r"banned \(0x8a\): no"),
        (5, "20030084 00", 7, "upgrade", r"unsupported protocol version"),
        (5, "20030085 00", 3, "settings", r"client identifier not valid"),
        (5, "20030089 00", 11, "close", r"server busy"),
        (5, "20030097 00", 11, "limits", r"quota exceeded"),
        (4, "20020001", 7, "upgrade", r"unsupported protocol version"),
        (4, "20020002", 3, "settings", r"client identifier not valid"),
        (4, "20020003", 11, "close", r"server unavailable"),
        (4, "20020004", 8, "key", r"bad user name or password"),
        (4, "20020005", 8, "key", r"not authorized"),
    ],
)
def test_refused(mqtt, version, connack, code, layer, words):
    proc, link, _ = mqtt("send", "t", "x", answer=bytes.fromhex(connack), mqtt__version=version, api_key=KEY)
    link.end()
    assert re.search(words, fails(proc, code, layer)) and KEY not in proc.err


@pytest.mark.parametrize(
    "reason, code, layer, words",
    [
        ("8e", 11, "close", "session taken over"),
        ("81", 9, "protocol", "malformed packet"),
        ("87", 8, "key", "not authorized"),
        ("9d", 11, "close", "server moved"),
        ("9b", 9, "protocol", "QoS not supported"),
    ],
)
def test_disconnected(mqtt, reason, code, layer, words):
    proc, link, _ = mqtt("listen", "a")
    link.packet()
    link.say(bytes.fromhex("e001" + reason))
    link.end()
    assert f"sent DISCONNECT: {words} (0x{reason})" in fails(proc, code, layer)


def test_a_disconnect_that_is_worth_another_try(mqtt, listener):
    proc, link, _ = mqtt("listen", "a")
    link.packet()
    link.say(b"\xe0\x01\x8b")
    proc.wait_line("server shutting down.*trying again", stream="err")
    Mqtt(listener.welcome(protocol="mqtt")).packet()


@pytest.mark.parametrize(
    "answer, error",
    [
        ("d000", "first packet is not CONNECT"),
        ("2003000000 2003000000", "second CONNECT or CONNACK"),
        ("2003000000 3001", None),
        ("2003000000 36", "QoS 3"),
        ("2003000000 3003000100", "string is not UTF-8"),
        ("2003000000 c000", "a packet that this side may not send"),
        ("2003000000 30ffffff7f", "over the maximum packet size"),
        ("2003000000 3007 0001 61 03 230001", "topic alias 0 or over the maximum"),
        ("2003000000 40020009", "acknowledges what was not sent"),
        ("2003020000", "reserved bit set"),
        ("2007000004 15000161", "AUTH where no authentication method"),
        ("2003000000 9005000100 0101", "acknowledges what was not sent"),
        ("20020000", "packet ends inside a field"),
    ],
)
def test_broken_servers(mqtt, answer, error):
    proc, link, _ = mqtt("listen", "a", answer=None)
    link.say(bytes.fromhex(answer))
    if error is None:
        link.wire.reset()  # inside a packet
        proc.wait_line("trying again", stream="err")
        return
    link.end()
    assert error in fails(proc, 9, "limits" if "maximum packet" in error else "protocol")


def test_a_text_message(mqtt):
    proc, link, _ = mqtt("listen", "a")
    link.wire.put(TEXT, b"{}")
    fails(proc, 9, "protocol")


def test_no_connack(mqtt):
    proc, _, _ = mqtt("send", "t", "x", answer=None, timeouts__upgrade_ms=100)
    assert "did not answer CONNECT in time" in fails(proc, 10, "upgrade")


def test_another_subprotocol(client, listener):
    proc = client("--url", listener.url, "--dialect", "mqtt", "send", "t", "x")
    listener.welcome(protocol=None)
    assert "speaks WebSocket, but not mqtt" in fails(proc, 7, "upgrade")
