"""The client: blocking, or by callbacks."""

import collections
import contextlib
import ctypes
import math
import os
import select
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Callable, Literal, Optional, TypeVar, overload

from . import _given, _worker, errors
from . import _library as c
from ._core import Close, Core, SettingsSource, State, call
from ._library import lib
from .errors import RC, Closed, Error, Lost, Timeout
from .message import Message, Slot

CONNECT_AGAIN = 1  # flag of on_connect: it had been connected before

OnConnect = Callable[["Client", Any, int, RC], object]
OnMessage = Callable[["Client", Any, Message], object]
OnClose = Callable[["Client", Any, Optional[Error]], object]
OnUnsubscribed = Callable[["Client", Any, str, Error], object]
OnSent = Callable[["Client", Any, Optional[Error]], object]
OnReply = Callable[["Client", Any, Optional[Message], Optional[Error]], object]

SLICE_MS = int(_worker.SLICE_S * 1000)
PARTING_S = 1.0  # how long an exception that ends a `with` is held up by the server
NAMES = ("on_connect", "on_message", "on_close", "on_unsubscribed")

Self = TypeVar("Self", bound="Client")


class Client(Core):
    """A link to a Pixi server that outlives its connections.

        with pixi_ws.Client("config/websocket_settings.json") as client:
            client.send_message("event/tram/7", '{"x": 12}')

    Times are seconds. timeout=0 does not wait; None waits as long as the settings say, or for ever where they say
    nothing (recv). Every method may be called from any thread."""

    last_error: Optional[Error] = None  # what the latest on_connect or on_close was about

    @overload
    def __init__(self, settings: SettingsSource = None, *, userdata: Any = None) -> None: ...
    @overload
    def __init__(self, settings: str, url: str, *, api_key: Optional[str] = None, userdata: Any = None) -> None: ...
    def __init__(
        self,
        settings: SettingsSource = None,
        url: Optional[str] = None,
        *,
        api_key: Optional[str] = None,
        userdata: Any = None,
    ) -> None:
        """From a settings file (None: where the programs look) and the environment, from a dict of settings, or from a
        name, a URL and a key."""
        super().__init__(settings, url, api_key=api_key)
        self.userdata = userdata
        self._callbacks: dict[str, Optional[Callable[..., object]]] = dict.fromkeys(NAMES)
        self._is_looping = False
        self._wake: Optional[tuple[int, int]] = None
        self._wake_lock = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._is_stopping = False

    def __del__(self) -> None:
        for fd in getattr(self, "_wake", None) or ():
            os.close(fd)

    # --- the connection -----------------------------------------------------------------------------------------------

    def connect(self, timeout: Optional[float] = None) -> None:
        """Connect, and wait until that has succeeded or failed; the first subscriptions are made."""
        ms = _given.milliseconds("timeout", timeout)
        _worker.wait(lambda: call(lib.pixi_client_connect, self._c, ms), self._give_up)

    def start(self, *, retry: bool = False) -> None:
        """Begin to connect, without waiting; with retry go on when the server cannot be reached at first."""
        call(lib.pixi_client_start, self._c, c.START_RETRY if retry else 0)

    def close(self, code: int = 1000, reason: str = "", timeout: Optional[float] = None) -> Close:
        """Wait until what was queued is answered, close, and wait for the peer's close: its code and reason. code: 1000,
        1001, or 3000 .. 4999; reason: at most 123 bytes. Calls of other threads that wait raise Closed."""
        number, words = _given.number("code", code, 65535), _given.utf8("reason", reason)
        ms = _given.milliseconds("timeout", timeout)
        e = _worker.wait(lambda: call(lib.pixi_client_close, self._c, number, words, ms))
        return Close(e.close_code or code, errors.text(e.reason))

    disconnect = close

    def _give_up(self) -> None:
        with contextlib.suppress(Error):
            call(lib.pixi_client_close, self._c, 1000, None, 0)

    def __enter__(self: Self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        value: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> Literal[False]:
        """Everything queued is answered and the connection closed well. What was queued and failed is raised, if nothing
        else is."""
        try:
            if kind is None:
                self.flush()
        finally:
            with contextlib.suppress(Error):  # closed already, or by the peer's fault: there is nothing left to lose
                self.close(timeout=None if kind is None else PARTING_S)
            self.loop_stop()
        return False

    # --- sending ------------------------------------------------------------------------------------------------------

    def send_message(
        self,
        topic: str,
        payload: _given.Payload = None,
        *,
        retain: bool = False,
        queue: bool = False,
        nowait: bool = False,
        timeout: Optional[float] = None,
        expiry: int = 0,
        headers: _given.Headers = (),
        on_sent: Optional[OnSent] = None,
    ) -> None:
        """Publish any bytes, or a str as UTF-8, to a topic, and return when the server has it.

        retain   the server keeps it as the topic's last; an empty payload removes that
        queue    return when it is queued: it is sent in order, also over a loss of the connection; flush waits for it
        nowait   as queue, and where there is no room raise Full at once
        expiry   forgotten by the server after so many seconds; 0: never
        on_sent  with queue or nowait: on_sent(client, userdata, error or None), called by the loop"""
        where, data = _given.utf8("topic", topic), _given.payload(payload)
        flags = c.SEND_RETAIN * bool(retain) | c.SEND_QUEUE * bool(queue) | c.SEND_NOWAIT * bool(nowait)
        ms = 0 if timeout is None else max(1, _given.milliseconds("timeout", timeout))
        options = _given.SendOptions(flags, -1 if ms == _given.INT_MAX else ms, expiry, headers)
        told = _given.function("on_sent", on_sent)
        if told is not None and not (queue or nowait):
            raise ValueError("on_sent: goes with queue or nowait; else send_message itself waits")
        done = None if told is None else lambda _reply, error: _call(told, self, self.userdata, error)
        if nowait:
            self._queue(where, data, options, done)
        else:
            _worker.wait(lambda: self._queue(where, data, options, done))

    def flush(self, timeout: Optional[float] = None) -> None:
        """Wait until all that was queued by any thread is answered; raises the first error of it since the last flush."""
        ms = _given.milliseconds("timeout", timeout)
        _worker.wait(lambda: call(lib.pixi_client_flush, self._c, ms))

    def request(self, topic: str, payload: _given.Payload = None, timeout: Optional[float] = None) -> Message:
        """Ask, and wait for the one answer."""
        where, data = _given.utf8("topic", topic), _given.payload(payload)
        ms = _given.milliseconds("timeout", timeout)

        def ask() -> Message:
            slot, reply = Slot(), collections.deque[Message]()
            call(lib.pixi_client_request, self._c, where, data, len(data), ms, ctypes.byref(slot.out))
            slot.settle(reply)
            return reply[0]

        reply: Message = _worker.wait(ask)
        return reply

    def request_start(
        self, topic: str, payload: _given.Payload = None, *, on_reply: OnReply, timeout: Optional[float] = None
    ) -> None:
        """Ask, without waiting: on_reply(client, userdata, reply or None, error or None) is called once, by the loop."""
        where, data = _given.utf8("topic", topic), _given.payload(payload)
        told = _given.function("on_reply", on_reply)
        ms = _given.milliseconds("timeout", timeout)
        self._ask(where, data, ms, lambda reply, error: _call(told, self, self.userdata, reply, error))

    # --- receiving ----------------------------------------------------------------------------------------------------

    def subscribe(self, filter: str, *, retained: bool = True, nowait: bool = False) -> None:
        """Take messages of these topics, from now on and on every connection. retained=False: not what they hold already.
        Before connecting, or with nowait, a refusal is told by recv or on_unsubscribed."""
        what = _given.utf8("filter", filter)
        flags = (0 if retained else c.SUBSCRIBE_NO_RETAINED) | (c.SUBSCRIBE_NOWAIT if nowait else 0)
        _worker.wait(lambda: call(lib.pixi_client_subscribe, self._c, what, flags))

    def recv(self, timeout: Optional[float] = None) -> Message:
        """The next message. Raises Timeout; Lost, once for each loss: call again; Closed and others when it has ended, for
        ever; another error while state is OPEN: a subscription was refused or ended, call again."""
        until = None if timeout is None else time.monotonic() + _given.milliseconds("timeout", timeout) / 1000
        is_sliced = threading.current_thread() is threading.main_thread()
        while True:
            self._wait_for_one(until, is_sliced)
            # No call between these, so neither Ctrl-C nor another thread.
            if self._came:
                message = self._came[0]
                del self._came[0]
                return message

    def _wait_for_one(self, until: Optional[float], is_sliced: bool) -> None:
        """Until a message is in _came."""
        while not self._came:
            left = -1 if until is None else _given.milliseconds("timeout", max(0.0, until - time.monotonic()))
            is_last = 0 <= left <= SLICE_MS or not is_sliced
            try:
                self._receive(left if is_last else SLICE_MS)
            except Timeout:
                if is_last:
                    raise

    def __iter__(self) -> Iterator[Message]:
        """The messages as they come, over all connections, until it is closed as agreed; else that error is raised."""
        is_sliced = threading.current_thread() is threading.main_thread()
        while True:
            try:
                self._wait_for_one(None, is_sliced)
            except Lost:
                continue
            except Closed as e:
                if not e.is_well:
                    raise
                return
            if self._came:  # as recv
                message = self._came[0]
                del self._came[0]
                yield message

    # --- by callbacks -------------------------------------------------------------------------------------------------

    def _set_callback(self, name: str, function: Optional[Callable[..., object]]) -> None:
        self._callbacks[name] = _given.function(name, function)
        told = {name: self._trampolines[name] for name in NAMES if self._callbacks[name] is not None}
        lib.pixi_client_set_callbacks(self._c, ctypes.byref(c.CCallbacks(**told)), None)

    @property
    def on_connect(self) -> Optional[OnConnect]:
        """on_connect(client, userdata, flags, rc): connected (rc 0), again with flag CONNECT_AGAIN; or the first attempt
        failed: client.last_error."""
        return self._callbacks["on_connect"]

    @on_connect.setter
    def on_connect(self, function: Optional[OnConnect]) -> None:
        self._set_callback("on_connect", function)

    @property
    def on_message(self) -> Optional[OnMessage]:
        """on_message(client, userdata, message)."""
        return self._callbacks["on_message"]

    @on_message.setter
    def on_message(self, function: Optional[OnMessage]) -> None:
        self._set_callback("on_message", function)

    @property
    def on_close(self) -> Optional[OnClose]:
        """on_close(client, userdata, error): the connection has ended: None as close asked; Lost: on_connect follows;
        another error: for good."""
        return self._callbacks["on_close"]

    @on_close.setter
    def on_close(self, function: Optional[OnClose]) -> None:
        self._set_callback("on_close", function)

    @property
    def on_unsubscribed(self) -> Optional[OnUnsubscribed]:
        """on_unsubscribed(client, userdata, filter, error): the server refused or ended a subscription."""
        return self._callbacks["on_unsubscribed"]

    @on_unsubscribed.setter
    def on_unsubscribed(self, function: Optional[OnUnsubscribed]) -> None:
        self._set_callback("on_unsubscribed", function)

    def loop(self, timeout: Optional[float] = None) -> bool:
        """Wait until something has happened (at most timeout) and call the callbacks that are due. True: go on; False: it
        was closed as agreed. Raises the error that it ended with, and whatever a callback raises: nothing is lost then,
        the next call goes on behind it."""
        ms = _given.milliseconds("timeout", timeout)
        if self._is_looping:
            raise errors.Usage("the loop runs already", "call it from one place at a time, not from a callback", "usage")
        self._is_looping = True  # no call between: neither another thread, nor an interrupt that would leave it so
        try:
            ended = self._turn(ms)
        finally:
            self._is_looping = False
        if ended is not None and not (isinstance(ended, Closed) and ended.is_well):
            raise ended
        return ended is None

    def loop_forever(self, *, retry: bool = False) -> None:
        """Connect, where that has not begun, and call callbacks until it is closed as agreed. Raises as loop does."""
        if self.state == State.NEW:
            self.start(retry=retry)
        self._is_stopping = False
        while not self._is_stopping and self.loop():
            pass

    def loop_start(self, *, retry: bool = False) -> None:
        """loop_forever on a thread of its own. What a callback raises is told by threading.excepthook, and the thread goes
        on; how it ended is what on_connect or on_close told last."""
        if self._is_looping:
            raise errors.Usage("the loop runs already", "call loop_stop first", "usage")
        if self.state == State.NEW:
            self.start(retry=retry)
        self._is_stopping = False
        self._fd(), self._pipe()  # what may fail does so here
        self._thread = threading.Thread(target=self._loop_thread, name=f"pixi_ws {self.name}", daemon=True)
        self._is_looping = True
        try:
            self._thread.start()
        except BaseException:
            self._is_looping = False
            raise

    def loop_stop(self) -> None:
        """End loop_start's thread and wait for that, or have loop_forever return. The connection stays."""
        self._is_stopping = True
        self._poke()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None

    def _loop_thread(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._is_stopping  # one more turn, for what came until now
            try:
                is_last = self._turn(0 if is_last else -1) is not None or is_last
            except BaseException as e:
                self._say_raised(e)
        self._is_looping = False

    def _say_raised(self, e: BaseException) -> None:
        kind, value, trace = type(e), e, e.__traceback__
        threading.excepthook(threading.ExceptHookArgs((kind, value, trace, threading.current_thread())))

    def _pipe(self) -> tuple[int, int]:
        with self._wake_lock:
            if self._wake is None:
                self._wake = os.pipe()
                for fd in self._wake:
                    os.set_blocking(fd, False)
            return self._wake

    def _poke(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._pipe()[1], b"!")

    def _turn(self, ms: int) -> Optional[Error]:
        """One turn of the loop; what the client has ended with, if it has."""
        if not self._events:
            self._wait(ms)
        ended: Optional[Error] = _worker.wait(self._process)
        self._tell()
        return ended if self.state == State.CLOSED else None  # else a callback has connected again

    def _wait(self, ms: int) -> None:
        """Until the library has something to do, for at most ms (-1: any time), or until _poke."""
        poll, (woken, _) = select.poll(), self._pipe()
        poll.register(self._fd(), select.POLLIN)
        poll.register(woken, select.POLLIN)
        until = None if ms < 0 else time.monotonic() + ms / 1000
        is_sliced = threading.current_thread() is threading.main_thread()
        is_over = False
        while not is_over:
            left = -1 if until is None else math.ceil(max(0.0, until - time.monotonic()) * 1000)
            due = min((t for t in (self._next_deadline(), left) if t >= 0), default=None)
            is_over = not is_sliced or (due is not None and due <= SLICE_MS)
            is_over = bool(poll.poll(due if is_over else SLICE_MS)) or is_over
        with contextlib.suppress(BlockingIOError):
            os.read(woken, 4096)

    def _tell(self) -> None:
        """Call the callbacks; each event once, whatever they raise."""
        while self._events:
            what, *rest = self._events[0]
            if what in ("on_connect", "on_close"):
                self.last_error = rest[-1]
            if what == "on_connect":
                rest[-1] = RC.OK if rest[-1] is None else rest[-1].rc
            function = self._callbacks.get(what)
            if what == "done":
                function, arguments = self._done, rest
            elif function is not None:
                arguments = [self, self.userdata, *rest]
            elif what == "on_message":
                function, arguments = self._came.append, rest  # the callback has been taken away since: it is recv's
            else:
                function, arguments = _nothing, rest
            del self._events[0]
            function(*arguments)


def _nothing(*_: object) -> None:
    pass


def _call(function: Callable[..., object], *arguments: object) -> None:
    function(*arguments)
