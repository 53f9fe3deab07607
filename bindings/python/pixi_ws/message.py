"""A message as it came."""

import collections
import ctypes
import json
from dataclasses import dataclass, field
from typing import Any, Optional

from . import _library as c
from .errors import text


@dataclass(frozen=True)
class Message:
    topic: str  # "" in a reply
    payload: bytes
    filter: str = ""  # the subscription that it came for
    headers: tuple[tuple[str, str], ...] = ()  # in the sender's order; a name may come twice
    time: Optional[float] = None  # when the server took it, seconds since 1970; None in a reply
    epoch: Optional[int] = None  # its position, if the server keeps it: offset rises within an epoch
    offset: Optional[int] = None
    retain: bool = False  # it was there before: the topic's last message
    is_json: bool = False  # the payload is one JSON value, exactly as its sender wrote it
    is_request: bool = False  # somebody waits for an answer: Client.reply
    is_after_gap: bool = False  # messages before this one may be missing
    _request: int = field(default=0, repr=False)
    _connection: int = field(default=0, repr=False)

    @property
    def text(self) -> str:
        """The payload as UTF-8; UnicodeDecodeError if it is not."""
        return self.payload.decode("utf-8")

    def json(self) -> Any:
        """The payload's JSON value; ValueError if it is none."""
        return json.loads(self.payload)


def from_c(m: c.CMessage) -> Message:
    """A copy of a message that the library lent."""
    headers = []
    for i in range(m.header_count):
        h = m.headers[i]
        headers.append((text(ctypes.string_at(h.name, h.name_len)), text(ctypes.string_at(h.value, h.value_len))))
    is_stored = bool(m.flags & c.MESSAGE_STORED)
    return Message(
        text(m.topic),
        ctypes.string_at(m.payload, m.payload_len),
        text(m.filter),
        tuple(headers),
        m.time_ms / 1000 if m.time_ms else None,
        m.epoch if is_stored else None,
        m.offset if is_stored else None,
        bool(m.flags & c.MESSAGE_RETAINED),
        bool(m.flags & c.MESSAGE_JSON),
        bool(m.flags & c.MESSAGE_REQUEST),
        bool(m.flags & c.MESSAGE_AFTER_GAP),
        m.request,
        m.connection,
    )


class Slot:
    """Where the library puts a message that it gives. On the main thread Ctrl-C raises after any call, also twice. Nothing is
    lost and nothing freed twice by that, because between taking something away and having it there is no call: a message
    that was interrupted is found by the next settle."""

    __slots__ = ("out", "copied")

    def __init__(self) -> None:
        self.out = ctypes.c_void_p()  # given, not yet copied
        self.copied: Optional[int] = None  # copied, not yet freed

    def settle(self, came: "collections.deque[Message]") -> None:
        """What was given goes to came, and is freed."""
        self._free()
        if self.out.value:
            message = from_c(ctypes.cast(self.out, ctypes.POINTER(c.CMessage)).contents)
            self.copied, self.out.value = self.out.value, None
            came.append(message)
            self._free()

    def _free(self) -> None:
        address, self.copied = self.copied, None
        if address is not None:
            c.lib.pixi_message_free(address)


def for_reply(message: Message) -> c.CMessage:
    """What the library looks at to answer it."""
    flags = c.MESSAGE_REQUEST if message.is_request else 0
    return c.CMessage(flags=flags, request=message._request, connection=message._connection)
