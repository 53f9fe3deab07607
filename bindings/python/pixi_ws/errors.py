"""What went wrong: an exception for each family of errors, with layer, cause and fix."""

import enum
from typing import Any, Optional

from ._library import CError, lib


class RC(enum.IntEnum):
    """What a call answered; up to 14 they are the exit codes of pixi-ws-client."""

    OK = 0
    FAILED = 1
    USAGE = 2
    SETTINGS = 3
    NAME = 4
    CONNECT = 5
    TLS = 6
    UPGRADE = 7
    KEY = 8
    PROTOCOL = 9
    TIMEOUT = 10
    CLOSED = 11
    NO_RESPONDER = 12
    FULL = 13
    INTERNAL = 14
    LOST = 20
    TOO_LARGE = 21


class Error(Exception):
    """What all of them are. Its text names layer, cause and fix."""

    rc: int = RC.INTERNAL  # the family's number
    layer: str = ""  # "settings", "name", "tcp", "tls", "upgrade", "key", "protocol", "request", ...
    cause: str = ""  # what happened
    fix: str = ""  # what to do about it
    clause: str = ""  # what the peer broke: "RFC 6455 §5.5"
    code: int = 0  # the exact error: a number of docs/errors.md, 0 for none
    name: str = ""  # its name there
    is_final: bool = False  # trying again unchanged cannot help
    close_code: Optional[int] = None  # the peer's, if it said one
    reason: str = ""  # the peer's words to it
    retry_after: Optional[float] = None  # seconds: Lost: when it is tried again; else as the server asked

    def __init__(self, cause: str = "", fix: str = "", layer: str = "", **more: Any) -> None:
        super().__init__(cause)
        self.cause, self.fix, self.layer = cause, fix, layer
        for name, value in more.items():
            setattr(self, name, value)

    @property
    def family(self) -> str:
        """Its number's name: "TIMEOUT"."""
        return str(lib.pixi_rc_name(self.rc).decode())

    def __str__(self) -> str:
        clause = f" ({self.clause})" if self.clause else ""
        closed = f" [{self.close_code} {self.reason}".rstrip() + "]" if self.close_code else ""
        fix = f"\n  fix: {self.fix}" if self.fix else ""
        return f"{self.layer or self.family}: {self.cause}{clause}{closed}{fix}"


class Failed(Error):
    """The server, or who answers a request, says that it cannot be done."""

    rc = RC.FAILED


class Usage(Error, ValueError):
    """The call itself is wrong: a bad topic, too early, too late."""

    rc = RC.USAGE


class Settings(Error, ValueError):
    """The settings are wrong: a line for each mistake in cause."""

    rc = RC.SETTINGS


class NameUnknown(Error):
    """The host's name cannot be looked up."""

    rc = RC.NAME


class CannotConnect(Error, ConnectionError):
    """Nobody listens there, or no way leads there."""

    rc = RC.CONNECT


class TLS(Error):
    """Certificate, name, version, pin."""

    rc = RC.TLS


class Upgrade(Error):
    """The server refused the WebSocket upgrade, or is none."""

    rc = RC.UPGRADE


class Key(Error, PermissionError):
    """The API key is not valid, or does not allow this."""

    rc = RC.KEY


class Protocol(Error):
    """The server broke the protocol, or says that this side did."""

    rc = RC.PROTOCOL


class Timeout(Error, TimeoutError):
    """Time is up."""

    rc = RC.TIMEOUT


class Closed(Error, ConnectionError):
    """There is no connection any more: closed by the peer, or by close."""

    rc = RC.CLOSED

    @property
    def is_well(self) -> bool:
        """Closed as agreed, not because something was wrong."""
        return self.close_code in (None, 1000)


class NoResponder(Error):
    """Nobody answers requests on this topic."""

    rc = RC.NO_RESPONDER


class Full(Error):
    """It would block: the queue has no room now."""

    rc = RC.FULL


class Internal(Error):
    """Out of memory or descriptors."""

    rc = RC.INTERNAL


class Lost(Error, ConnectionError):
    """The connection was lost and is being made again: go on."""

    rc = RC.LOST


class TooLarge(Error):
    """Over limits.message_bytes, here or at the server."""

    rc = RC.TOO_LARGE


BY_RC: dict[int, type[Error]] = {
    int(family.rc): family
    for family in (
        Failed, Usage, Settings, NameUnknown, CannotConnect, TLS, Upgrade, Key, Protocol, Timeout, Closed, NoResponder,
        Full, Internal, Lost, TooLarge,
    )
}  # fmt: skip


def text(value: Optional[bytes]) -> str:
    return (value or b"").decode("utf-8", "replace")


def from_c(e: CError, rc: Optional[int] = None) -> Error:
    """The exception for what the library said; a family that this module does not know is an Error."""
    rc = e.rc if rc is None else rc
    return BY_RC.get(rc, Error)(
        text(e.cause),
        text(e.fix),
        text(e.layer),
        rc=RC(rc) if rc in BY_RC else rc,
        clause=text(e.clause),
        code=e.code,
        name=text(e.name),
        is_final=bool(e.is_final),
        close_code=e.close_code or None,
        reason=text(e.reason),
        retry_after=e.retry_after_ms / 1000 if e.retry_after_ms else None,
    )
