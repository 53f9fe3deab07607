"""verify against servers that compress, well or with one rule broken; the others are in test_verify_broken_peers.py."""

import json
import zlib

import pytest

import peers
from peers import TEXT, Broken, frame
from test_verify_broken_peers import verify  # noqa: F401 (the fixture)

AGREED = "permessage-deflate; server_no_context_takeover"
NEEDS = {"deflate-offer", "deflate-text", "deflate-pieces", "deflate-control", "deflate-again", "deflate-data", "deflate-utf8"}


class Link(peers.Link):
    """One connection of a DeflatingEcho that may have agreed on compression."""

    is_agreed = is_packed = False

    def may_compress(self, opcode):
        breaks = self.server.breaks
        if not self.is_agreed:
            return breaks == "deflate-unasked"
        if opcode >= 8:
            return breaks == "deflate-control"
        return opcode or breaks == "deflate-again"

    async def frame(self):
        first, opcode, payload = await super().frame()
        if opcode in (1, 2):
            self.is_packed, self.is_text = bool(first & 0x40 and self.is_agreed), opcode == TEXT
        return first, opcode, payload

    def check_utf8(self, data):
        if not self.is_packed:  # else when it is inflated
            super().check_utf8(data)


class DeflatingEcho(peers.EchoServer):
    """An echo that speaks permessage-deflate."""

    ANSWERS = {
        "deflate-context": "permessage-deflate",
        "deflate-asked": AGREED + "; client_max_window_bits=12",
        "deflate-name": AGREED + "; level=9",
        "deflate-value": AGREED + "; server_max_window_bits=16",
        "deflate-twice": AGREED + "; server_no_context_takeover",
        "deflate-other": "x-webkit-deflate-frame",
    }
    link = Link

    def answer(self, offer):
        """What is agreed on: None, or the field's value."""
        if not offer or "window_bits=7" in offer and self.is_strict("deflate-offer"):
            return None
        return self.ANSWERS.get(self.breaks, AGREED)

    def upgrade(self, fields):
        answer = self.answer(fields.get("sec-websocket-extensions"))
        head = super().upgrade(fields)
        self.last_agreed = bool(answer)
        return head[:-2] + f"Sec-WebSocket-Extensions: {answer}\r\n\r\n".encode() if answer else head

    async def greet(self, link):
        link.is_agreed = self.last_agreed

    async def on_message(self, link, opcode, payload):
        if not link.is_packed:
            await super().on_message(link, opcode, payload)
            return
        try:
            payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
        except zlib.error:
            if self.is_strict("deflate-data"):
                raise Broken(1007) from None
            return
        if opcode == TEXT and self.is_strict("deflate-utf8"):
            peers.Link.check_utf8(payload)
        if self.breaks == "deflate-text":
            payload = payload[:-1]
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
        if self.breaks == "deflate-sent":
            packed = b"\xff\xff"
        link.put(frame(opcode, packed, first=0xC0 | opcode))


def rows(report):
    return {c["id"]: c for c in report["checks"] if c["id"].startswith("deflate")}


def verdicts(report, verdict):
    return {name for name, row in rows(report).items() if row["verdict"] == verdict}


def test_a_server_that_compresses_well(verify):  # noqa: F811
    with DeflatingEcho() as peer:
        report = verify(peer.url)
    assert report["exit"] == 0 and verdicts(report, "ok") == NEEDS | {"deflate", "deflate-unasked"}, rows(report)
    assert rows(report)["deflate"]["measured"] == f"agreed: {AGREED}"
    assert " came in " in rows(report)["deflate-text"]["measured"]


def test_a_server_that_does_not(verify):  # noqa: F811
    with peers.EchoServer() as peer:
        report = verify(peer.url)
    assert verdicts(report, "ok") == {"deflate", "deflate-unasked"} and verdicts(report, "skipped") == NEEDS
    assert rows(report)["deflate"]["measured"] == "declined"
    assert {row["reason"] for row in rows(report).values() if row["verdict"] == "skipped"} == {"this server agrees on no compression"}


# An answer that breaks a rule: a word of the cause. What needs an agreement is skipped.
@pytest.mark.parametrize(
    "rule, clause, word",
    [
        ("deflate-context", "§7.1.1.1", "server_no_context_takeover"),
        ("deflate-asked", "§7.1.2.2", "client_max_window_bits"),
        ("deflate-name", "§7", "not defined"),
        ("deflate-value", "§7.1", "ruled out"),
        ("deflate-twice", "§7", "twice"),
        ("deflate-other", "§9.1", "x-webkit-deflate-frame"),
    ],
)
def test_an_answer_that_breaks_a_rule(verify, rule, clause, word):  # noqa: F811
    with DeflatingEcho(rule) as peer:
        report = verify(peer.url)
    row = rows(report)["deflate"]
    assert report["exit"] == row["exit"] == 7 and verdicts(report, "failed") == {"deflate"}
    assert row["clause"].endswith(clause) and word in row["cause"] and "RFC 7692" in row["fix"], row
    assert verdicts(report, "skipped") == NEEDS


@pytest.mark.parametrize("rule", ["deflate-unasked", "deflate-offer", "deflate-control", "deflate-again", "deflate-data", "deflate-utf8"])
def test_one_broken_rule_fails_one_check(verify, rule):  # noqa: F811
    with DeflatingEcho(rule) as peer:
        report = verify(peer.url)
    assert verdicts(report, "failed") == {rule}, rows(report)
    assert report["exit"] == (7 if rule == "deflate-offer" else 9)


@pytest.mark.parametrize("rule, word", [("deflate-text", "not understood"), ("deflate-sent", "cannot be inflated")])
def test_messages_that_are_wrong(verify, rule, word):  # noqa: F811
    with DeflatingEcho(rule) as peer:
        report = verify(peer.url)
    assert verdicts(report, "failed") == {"deflate-text", "deflate-pieces"}, rows(report)
    assert all(word in rows(report)[name]["cause"] for name in verdicts(report, "failed"))


@pytest.mark.parametrize("is_on", [False, True])
def test_our_own_server(hub, run, tmp_path, is_on):
    s = hub(compression__enabled=is_on)
    env = {"PIXI_WS_API_KEY": s.key}
    done = run(["pixi-ws-client", "--json", "verify", s.url], env=env, cwd=tmp_path)
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert verdicts(report, "ok") == (NEEDS if is_on else set()) | {"deflate", "deflate-unasked"}
