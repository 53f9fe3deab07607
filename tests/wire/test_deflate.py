"""permessage-deflate on the wire, both roles: what is offered and answered, and what of it is refused (docs/rfc7692.md)."""

import os
import re
import zlib

import pytest

import raw
from raw import BINARY, CLOSE, CONTINUATION, PING, TEXT

live = pytest.mark.live
RSV1 = 4
FIELD = "Sec-WebSocket-Extensions: "
NO_CONTEXT = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
LONG = "trams " * 1000


def deflate(data, level=6, bits=15):
    packer = zlib.compressobj(level, zlib.DEFLATED, -bits)
    data = data.encode() if isinstance(data, str) else data
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflate(payload, bits=15):
    return zlib.decompressobj(-bits).decompress(payload + b"\0\0\xff\xff")


@pytest.fixture
def packed(echo):
    """packed(offer, **settings) -> a connection to an echo server that compresses, and the 101 that opened it."""

    def packed(offer="permessage-deflate", **members):
        wire = raw.dial(echo(compression__enabled=True, **members).port)
        head = wire.hello(FIELD + offer)
        wire.deflates = head.get("sec-websocket-extensions") is not None
        return wire, head

    return packed


# --- our server


@live("deflate-answer")
@pytest.mark.parametrize(
    "offer, answer",
    [
        ("permessage-deflate", NO_CONTEXT),
        ("permessage-deflate; client_max_window_bits", NO_CONTEXT),
        ("permessage-deflate; client_max_window_bits=8; server_no_context_takeover", NO_CONTEXT),
        ("permessage-deflate; server_max_window_bits=10", NO_CONTEXT + "; server_max_window_bits=10"),
        ('permessage-deflate; server_max_window_bits="8"', NO_CONTEXT + "; server_max_window_bits=8"),
        ("x-unknown, permessage-deflate", NO_CONTEXT),
        # one that must be declined, and a second that need not be
        ("permessage-deflate; server_max_window_bits=16, permessage-deflate", NO_CONTEXT),
        ("permessage-deflate; x=1, permessage-deflate; server_max_window_bits=9", NO_CONTEXT + "; server_max_window_bits=9"),
        # those that must be declined
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=7", None),
        ("permessage-deflate; client_max_window_bits=08", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
        ("permessage-deflate; level=9", None),
        ("x-webkit-deflate-frame", None),
    ],
)
def test_the_answer_to_an_offer(packed, offer, answer):
    wire, head = packed(offer)
    assert head.get("sec-websocket-extensions") == answer
    wire.put(TEXT, "plain")
    wire.expect(TEXT, "plain")


@live("deflate-answer")
def test_a_malformed_offer_is_refused(echo):
    wire = raw.dial(echo(compression__enabled=True).port)
    wire.send(raw.request(FIELD + "permessage-deflate; server_max_window_bits="))
    assert wire.head().status == 400


@live("deflate-messages")
@pytest.mark.parametrize("level", range(10))
def test_messages_come_back(packed, level):
    """However they were compressed, by which window, and in which frames; each by itself."""
    wire, _ = packed(compression__min_bytes=1)
    for data in (b"", b"x", LONG.encode(), os.urandom(1000), bytes(300_000), ("ü" * 5000).encode()):
        for bits in (9, 15):
            payload = deflate(data, level, bits)
            wire.put(BINARY, payload, rsv=RSV1)
            got = wire.next()
            assert (inflate(got.payload) if got.is_compressed else got.payload) == data
            assert got.is_compressed or not data or len(data) <= len(deflate(data, 3, 12))
            third = len(payload) // 3
            wire.put(BINARY, payload[:third], is_final=False, rsv=RSV1)
            wire.put(PING, "between")
            wire.put(CONTINUATION, payload[third : 2 * third], is_final=False)
            wire.put(CONTINUATION, payload[2 * third :])
            assert wire.next().payload == b"between"
            got = wire.next()
            assert (inflate(got.payload) if got.is_compressed else got.payload) == data


@live("deflate-messages")
def test_the_examples_of_the_specification(packed):
    """RFC 7692 §7.2.3; that of a window taken over is none of ours."""
    wire, _ = packed()
    for hexed in ("f248cdc9c90700", "000500faff48656c6c6f00", "f348cdc9c9070000", "f24805000000ffffcac9c90700"):
        wire.put(TEXT, bytes.fromhex(hexed), rsv=RSV1)
        wire.expect(TEXT, "Hello")
    wire.put(TEXT, b"\0", rsv=RSV1)
    wire.expect(TEXT, "")
    wire.put(TEXT, bytes.fromhex("f200110000"), rsv=RSV1)
    wire.expect_fail(1007)


@live("deflate-window")
@pytest.mark.parametrize("bits", range(9, 16))
def test_the_window_of_the_answer_is_kept(packed, bits):
    """A decompressor with that window, and not more, reads all that the server compresses."""
    wire, _ = packed(f"permessage-deflate; server_max_window_bits={bits}", compression__min_bytes=1)
    noise = os.urandom(40_000).hex()
    for size in (100, 1 << bits, (1 << bits) + 1, 60_000):
        text = (noise[: size // 2] * 2).ljust(size, "y")[:size]
        wire.put(TEXT, text)
        got = wire.next()
        assert (inflate(got.payload, bits) if got.is_compressed else got.payload).decode() == text


@live("deflate-bit")
@pytest.mark.parametrize(
    "opcode, is_final, payload", [(PING, True, b""), (CLOSE, True, b"\x03\xe8"), (CONTINUATION, True, b"x"), (CONTINUATION, False, b"x")]
)
def test_the_bit_where_it_may_not_be(packed, opcode, is_final, payload):
    wire, _ = packed()
    wire.put(TEXT, deflate(LONG)[:5], is_final=False, rsv=RSV1)
    wire.put(opcode, payload, is_final=is_final, rsv=RSV1)
    wire.expect_fail(1002)


@live("deflate-bit")
@pytest.mark.parametrize("rsv", [1, 2, 3, 5, 6, 7])
def test_the_other_bits_stay_reserved(packed, rsv):
    wire, _ = packed()
    wire.put(TEXT, deflate("x"), rsv=rsv)
    wire.expect_fail(1002)


@live("deflate-bit")
def test_the_bit_where_nothing_was_agreed_on(echo):
    wire = raw.join(echo(compression__enabled=True).port)
    wire.put(TEXT, deflate(LONG), rsv=RSV1)
    wire.expect_fail(1002)


@live("deflate-fails")
@pytest.mark.parametrize("payload", [b"", b"\xff", deflate(LONG)[:-1], deflate(LONG) + b"\0\0\xff\xff", b"\x06"])
def test_what_does_not_inflate(packed, payload):
    wire, _ = packed()
    wire.put(BINARY, payload, rsv=RSV1)
    wire.expect_fail(1007)


@live("deflate-fails")
@pytest.mark.parametrize("data", [b"\xff", b"x" * 70_000 + b"\xc3", b"\xed\xa0\x80"])
def test_text_that_is_not_utf8(packed, data):
    wire, _ = packed()
    wire.put(TEXT, deflate(data), rsv=RSV1)
    wire.expect_fail(1007)
    binary, _ = packed()
    binary.put(BINARY, deflate(data), rsv=RSV1)
    got = binary.next()
    assert (inflate(got.payload) if got.is_compressed else got.payload) == data


@live("deflate-limit")
@pytest.mark.parametrize("pieces", [1, 7])
def test_a_bomb(echo, pieces):
    """10 MiB in 10 kB, for a server that takes messages of 64 KiB: it needs no more memory than for these."""
    server = echo(compression__enabled=True, limits__message_bytes=65536)
    bomb = deflate(bytes(10 << 20))
    assert len(bomb) < 12_000
    for _ in range(20):
        wire = raw.dial(server.port)
        wire.hello(FIELD + "permessage-deflate")
        step = len(bomb) // pieces + 1
        for at in range(0, len(bomb), step):
            wire.put(BINARY if at == 0 else CONTINUATION, bomb[at : at + step], at + step >= len(bomb), 0 if at else RSV1)
        wire.expect_fail(1009)
    wire = raw.dial(server.port)
    wire.deflates = bool(wire.hello(FIELD + "permessage-deflate"))
    wire.put(BINARY, deflate(bytes(65536)), rsv=RSV1)
    assert inflate(wire.next().payload) == bytes(65536)
    wire.put(BINARY, deflate(bytes(65537)), rsv=RSV1)
    wire.expect_fail(1009)


# --- our client


@pytest.fixture
def connect(client):
    """connect(answer, *frames) -> (Proc of `connect`, Wire, the request), where the server agrees on so much."""
    with raw.Listener() as listener:

        def connect(answer, compression=True, **members):
            proc = client("connect", "--no-key", "--wait", "0.001", listener.url, compression=compression, **members)
            wire = listener.accept()
            head = wire.welcome(*([FIELD + answer] if answer else []))
            wire.deflates = bool(answer)
            return proc, wire, head

        yield connect


OFFER = NO_CONTEXT + "; client_max_window_bits"


@live("deflate-offer")
def test_what_our_client_offers(connect):
    for is_on in (True, False):
        proc, wire, head = connect(None, compression=is_on)
        assert head.get("sec-websocket-extensions") == (OFFER if is_on else None)
        wire.put_close(1000)
        assert proc.wait() == 0


@live("deflate-offer")
@pytest.mark.parametrize(
    "answer, says",
    [
        ("permessage-deflate", "server_no_context_takeover"),
        (NO_CONTEXT + "; client_max_window_bits", "value"),
        (NO_CONTEXT + "; client_max_window_bits=7", "value"),
        (NO_CONTEXT + "; server_max_window_bits=16", "value"),
        (NO_CONTEXT + "; x", "not defined"),
        (NO_CONTEXT + "; server_no_context_takeover", "twice"),
        (NO_CONTEXT + ", " + NO_CONTEXT, "extension"),
        (NO_CONTEXT + ", x", "extension"),
        ("x-webkit-deflate-frame", "extension"),
    ],
)
def test_answers_that_our_client_refuses(connect, answer, says):
    proc, wire, _ = connect(answer)
    wire.raw_rest()
    assert proc.wait() == 7, proc
    cause = re.search(r"^pixi-ws-client: upgrade: (.*)$", proc.err, re.M)
    assert cause and says in cause[1], proc.err


@live("deflate-messages")
@pytest.mark.parametrize("bits", [None, 8, 9, 12, 15])
def test_our_client_sends_and_hears(connect, bits):
    """Messages of less than 512 bytes go as they are, and such as need a longer window."""
    proc, wire, _ = connect(NO_CONTEXT + (f"; client_max_window_bits={bits}" if bits else ""))
    for text in ("short", LONG):
        proc.write(text + "\n")
        got = wire.next()
        is_packed = text == LONG and bits not in (8, 9)
        assert got.is_compressed == is_packed
        assert (inflate(got.payload, bits or 15) if is_packed else got.payload).decode() == text
    wire.put(TEXT, deflate("hello, compressed"), rsv=RSV1)
    proc.wait_line("^hello, compressed$")
    wire.put(TEXT, "and not")
    proc.wait_line("^and not$")
    wire.put_close(1000)
    assert proc.wait() == 0


@live("deflate-fails", "deflate-bit", "deflate-limit")
@pytest.mark.parametrize(
    "opcode, payload, rsv, code",
    [
        (TEXT, b"\xff", RSV1, 1007),
        (TEXT, deflate(b"\xff"), RSV1, 1007),
        (PING, b"", RSV1, 1002),
        (CONTINUATION, b"", RSV1, 1002),
        (TEXT, b"", 2, 1002),
        (TEXT, deflate(" " * (17 << 20)), RSV1, 1009),
    ],
)
def test_what_our_client_does_not_take(connect, opcode, payload, rsv, code):
    proc, wire, _ = connect(NO_CONTEXT)
    wire.put(opcode, payload, rsv=rsv)
    wire.expect_close(code)
    wire.shut()
    assert proc.wait() == 9, proc
