"""What the blocking client and the asyncio client have in common: the library's object and the calls that never wait."""

import collections
import ctypes
import enum
import itertools
import json
import os
import threading
import weakref
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, Optional, Union

from . import _given, errors, message
from . import _library as c
from ._library import lib
from .errors import Error
from .message import Message

SettingsSource = Union[str, "os.PathLike[str]", Mapping[str, Any], None]


class State(enum.IntEnum):
    NEW = 0  # not connected yet
    CONNECTING = 1  # for the first time
    OPEN = 2
    LOST = 3  # the connection is lost and being made again
    CLOSING = 4
    CLOSED = 5  # for good, until connect is called again


class Close(NamedTuple):
    """How the peer closed."""

    code: int
    reason: str


def call(function: Any, *arguments: Any) -> c.CError:
    """Call the library; what it filled. Raises its error."""
    e = c.CError()
    rc = function(*arguments, ctypes.byref(e))
    if rc != errors.RC.OK:
        raise errors.from_c(e, rc)
    return e


def _make(settings: Any, url: Any, api_key: Any) -> int:
    e = c.CError()
    if url is not None:
        name, url = _given.utf8("name", settings), _given.utf8("url", url)
        key = None if api_key is None else _given.utf8("api_key", api_key)
        pointer = lib.pixi_client_new(name, url, key, ctypes.byref(e))
    elif api_key is not None:
        raise TypeError('api_key: goes with a name and a URL: Client("name", "ws://...", api_key=...)')
    elif isinstance(settings, Mapping):
        try:
            text = json.dumps(dict(settings)).encode()
        except (TypeError, ValueError) as wrong:
            raise type(wrong)(f"settings: {wrong}") from None
        pointer = lib.pixi_client_new_from_text(text, len(text), ctypes.byref(e))
    else:
        pointer = lib.pixi_client_new_from_file(_given.path("settings", settings), ctypes.byref(e))
    if not pointer:
        raise errors.from_c(e)
    return int(pointer)


# What a callback of the library does: put what happened where the loop finds it. None of the program's code runs inside
# the library, so its exceptions, Ctrl-C among them, never meet a callback of C.
def _trampolines(ref: "weakref.ref[Core]") -> dict[str, Any]:
    def put(*event: Any) -> None:
        core = ref()
        if core is not None:
            core._events.append(event)

    def error(e: Any, rc: Optional[int] = None) -> Optional[Error]:
        return errors.from_c(e[0], rc) if (e[0].rc if rc is None else rc) != errors.RC.OK else None

    def replied(_c: Any, token: int, m: Any, e: Any) -> None:
        put("done", token, message.from_c(m[0]) if m else None, error(e))

    return {
        "on_sent": c.ON_SENT(lambda _c, token, e: put("done", token, None, error(e))),
        "on_reply": c.ON_REPLY(replied),
        "on_connect": c.ON_CONNECT(lambda _c, _x, flags, rc, e: put("on_connect", flags, error(e, rc))),
        "on_message": c.ON_MESSAGE(lambda _c, _x, m: put("on_message", message.from_c(m[0]))),
        "on_close": c.ON_CLOSE(lambda _c, _x, rc, e: put("on_close", error(e, rc))),
        "on_unsubscribed": c.ON_UNSUBSCRIBED(
            lambda _c, _x, filter, rc, e: put("on_unsubscribed", errors.text(filter), error(e, rc))
        ),
    }


class Core:
    """Every method may be called from any thread. Whoever is inside one holds the object, so it is freed by the last
    reference to it, once, when nobody is inside."""

    def __init__(self, settings: Any = None, url: Any = None, *, api_key: Any = None) -> None:
        self._c = _make(settings, url, api_key)
        free = weakref.finalize(self, lib.pixi_client_free, self._c)
        free.atexit = False  # a thread may still be inside
        self._events: collections.deque[tuple[Any, ...]] = collections.deque()
        self._waiting: dict[int, Callable[[Optional[Message], Optional[Error]], None]] = {}
        self._came: collections.deque[Message] = collections.deque()  # taken from the library, not yet given
        self._main_slot = message.Slot()
        self._trampolines = _trampolines(weakref.ref(self))
        self._tokens = itertools.count(1)  # 0 would come back from the library as None
        self._processing = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} {self.name!r} {self.state.name}>"

    @property
    def name(self) -> str:
        """As it was made: the name, the settings file's path, or "settings"."""
        return errors.text(lib.pixi_client_name(self._c))

    @property
    def state(self) -> State:
        return State(lib.pixi_client_state(self._c))

    def set(self, member: str, value: Union[str, int, bool]) -> None:
        """One member of the settings, before the first connect: set("timeouts.connect_ms", 2000)."""
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int):
            value = str(value)
        call(lib.pixi_client_set, self._c, _given.utf8("member", member), _given.utf8("value", value))

    def unsubscribe(self, filter: str) -> None:
        """No message for this filter is taken from now on; those that have come already are still given."""
        call(lib.pixi_client_unsubscribe, self._c, _given.utf8("filter", filter))

    def reply(self, request: Message, payload: _given.Payload = None) -> None:
        """Answer a message with is_request, once. Never waits."""
        asked, data = self._asked(request), _given.payload(payload)
        call(lib.pixi_client_reply, self._c, ctypes.byref(asked), data, len(data))

    def reply_error(self, request: Message, text: str) -> None:
        """The same: say that it cannot be done, in words for people."""
        asked = self._asked(request)
        call(lib.pixi_client_reply_error, self._c, ctypes.byref(asked), _given.utf8("text", text))

    def _asked(self, request: Message) -> c.CMessage:
        if not isinstance(request, Message):
            raise _given.wrong("request", request, "a Message")
        return message.for_reply(request)

    # --- for those below ----------------------------------------------------------------------------------------------

    def _remember(self, done: Callable[[Optional[Message], Optional[Error]], None]) -> int:
        """The number by which the library tells that it is done: one for each, whatever thread asks."""
        token = next(self._tokens)
        self._waiting[token] = done
        return token

    def _done(self, token: int, reply: Optional[Message], error: Optional[Error]) -> None:
        done = self._waiting.pop(token, None)
        if done is not None:
            done(reply, error)

    def _queue(
        self,
        topic: bytes,
        data: bytes,
        options: _given.SendOptions,
        done: Optional[Callable[[Optional[Message], Optional[Error]], None]],
    ) -> None:
        """Send without waiting for the answer; done is told it by the loop."""
        token = 0
        if done is not None:
            token = self._remember(done)
            options.raw.on_sent, options.raw.ctx = self._trampolines["on_sent"], token
        try:
            call(lib.pixi_client_send_message, self._c, topic, data, len(data), ctypes.byref(options.raw))
        except BaseException:
            self._waiting.pop(token, None)
            raise

    def _ask(
        self, topic: bytes, data: bytes, timeout_ms: int, done: Callable[[Optional[Message], Optional[Error]], None]
    ) -> int:
        """A request whose answer the loop tells. The number to forget it by."""
        token = self._remember(done)
        try:
            on_reply = self._trampolines["on_reply"]
            call(lib.pixi_client_request_start, self._c, topic, data, len(data), timeout_ms, on_reply, token)
        except BaseException:
            self._waiting.pop(token, None)
            raise
        return token

    def _process(self) -> Optional[Error]:
        """Move what can be moved; what happened is in _events. The error that it has ended with, if it has."""
        e = c.CError()
        with self._processing:  # one that nobody waits for any more, after Ctrl-C, may still be inside
            rc = lib.pixi_client_process(self._c, 0, ctypes.byref(e))
        return errors.from_c(e, rc) if rc != errors.RC.OK else None

    def _fd(self) -> int:
        fd = lib.pixi_client_fd(self._c)
        if fd < 0:
            raise errors.Internal("no descriptors left", "raise the limit (ulimit -n), or close files", "system")
        return int(fd)

    def _next_deadline(self) -> int:
        return int(lib.pixi_client_next_deadline(self._c))

    def _receive(self, timeout_ms: int) -> None:
        """pixi_client_recv: what it gives is put into _came."""
        is_main = threading.current_thread() is threading.main_thread()
        slot = self._main_slot if is_main else message.Slot()
        slot.settle(self._came)
        if self._came:
            return
        e = c.CError()
        try:
            rc = lib.pixi_client_recv(self._c, timeout_ms, ctypes.byref(slot.out), ctypes.byref(e))
        finally:
            slot.settle(self._came)
        if rc != errors.RC.OK:
            raise errors.from_c(e, rc)
