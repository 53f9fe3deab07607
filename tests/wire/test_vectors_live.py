"""Every vector of frames, messages and close frames over a real socket, at once and byte by byte, in both directions:
the echo server gets those of clients, `pixi-ws-client connect` those of servers."""

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

import raw
from raw import BINARY, CLOSE, PING, PONG, TEXT

live = pytest.mark.live
NAMES = ("frame", "message", "close")
LIMIT = 1 << 20  # bytes of a message: what the vectors count on
CUTS = pytest.mark.parametrize("is_dripped", [False, True], ids=["at-once", "byte-by-byte"])


def send(wire, data, is_dripped):
    """Bytes to a peer that may have heard enough before their end."""
    try:
        wire.drip(data) if is_dripped else wire.send(data)
        return True
    except OSError:
        return False


def close_due(vector):
    """The close frame that has to answer, None when none does."""
    code = raw.close_code(vector.verdict)
    if code:
        return code, "fault"
    closes = [e for e in vector.events if e.opcode == CLOSE]
    return (closes[0].code, "answer") if closes else None


def check_close(got, due):
    if due is None:
        return got is None
    return got is not None and got.code == due[0] and (due[1] == "fault" or not got.reason)


def in_parallel(play, vectors, workers):
    """What went wrong, a line for each vector."""

    def guarded(vector):
        try:
            return play(vector)
        except (AssertionError, OSError, raw.Gone) as e:
            return f"{type(e).__name__}: {e}"

    with ThreadPoolExecutor(workers) as pool:
        answers = list(zip(vectors, pool.map(guarded, vectors)))
    wrong = [f"{v.id} ({v.verdict}): {answer}"[:500] for v, answer in answers if answer]
    assert not wrong, "\n".join(wrong)


def split(frames):
    """All but a close frame at the end, and that or None."""
    return (frames[:-1], frames[-1]) if frames and frames[-1].opcode == CLOSE else (frames, None)


def is_due(event):
    """Does the receiver of this event have to send something back that is no close frame?"""
    return event.opcode in (TEXT, BINARY, PING)


def play_to_server(port, vector, is_dripped):
    """The echo answers every message with itself and every ping with a pong, in their order."""
    due = close_due(vector)
    with raw.dial(port) as wire:
        send(wire, raw.request(), is_dripped)
        assert wire.head().status == 101
        send(wire, vector.data, is_dripped)
        if due is None:
            wire.shut()  # so that what comes has an end
        got, close = split(wire.rest())
    want = [(PONG if e.opcode == PING else e.opcode, e.payload) for e in vector.events if is_due(e)]
    if [f.body for f in got] != want:
        return f"answered with {got}, wanted {want}"
    return None if check_close(close, due) else f"closed with {close}, wanted {due}"


@live("byte-by-byte", "fail-1002", "fail-1007", "fail-1009")
@CUTS
def test_the_server_and_every_vector_of_clients(echo, is_dripped):
    port = echo(limits__message_bytes=LIMIT).port
    in_parallel(lambda v: play_to_server(port, v, is_dripped), raw.vectors(*NAMES, sender="client"), 16)


def line_of(event):
    """What `connect` prints of a message."""
    if event.opcode == TEXT:
        return event.payload + b"\n"
    if event.opcode == BINARY:
        return b"binary %d bytes: %s\n" % (len(event.payload), base64.b64encode(event.payload))
    return b""


EXITS = {1000: 0, 1002: 9, 1003: 9, 1007: 9, 1009: 9, 3000: 8, 3003: 8}


def until_close(wire):
    """The frames up to a close frame, its own included, or up to the end."""
    got = []
    try:
        while not got or got[-1].opcode != CLOSE:
            got.append(wire.next())
    except raw.Gone:
        assert not wire.was_reset
    return got


def play_to_client(client, vector, is_dripped):
    """The client prints every message, answers every ping, and ends with the exit code of how it ended."""
    due = close_due(vector)
    with raw.Listener() as listener:
        proc = client("connect", "--no-key", listener.url)
        wire = listener.accept()
        send(wire, raw.response(wire.head()), is_dripped)
        if send(wire, vector.data, is_dripped) and due is None:
            wire.shut()
        got, close = split(until_close(wire))
        if due:
            wire.shut()
        wire.expect_end()
    if [f.body for f in got] != [(PONG, e.payload) for e in vector.events if e.opcode == PING]:
        return f"answered with {got}"
    if not check_close(close, due):
        return f"closed with {close}, wanted {due}"
    want = 9 if raw.close_code(vector.verdict) else 11 if due is None else EXITS.get(due[0], 11)
    if proc.wait() != want or proc.out.encode() != b"".join(map(line_of, vector.events)):
        return f"wanted exit {want}: {proc}"
    return None


@live("byte-by-byte", "fail-1002", "fail-1007", "fail-1009")
@CUTS
def test_the_client_and_every_vector_of_servers(client, is_dripped):
    in_parallel(lambda v: play_to_client(client, v, is_dripped), raw.vectors(*NAMES, sender="server"), 4)
