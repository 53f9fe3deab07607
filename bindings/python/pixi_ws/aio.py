"""The client for asyncio, on the library's descriptor: no thread moves messages."""

import asyncio
import collections
import contextlib
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Callable, Literal, Optional, TypeVar, overload

from . import _given, _worker, errors
from . import _library as c
from ._core import Close, Core, SettingsSource, call
from ._library import lib
from .errors import Closed, Error, Full, Lost, Timeout
from .message import Message

Self = TypeVar("Self", bound="Client")
PARTING_S = 1.0  # how long an exception that ends an `async with` is held up by the server


def _no_time(cause: str, fix: str) -> Timeout:
    return Timeout(cause, fix, "request")


def _left(until: Optional[float]) -> Optional[float]:
    return None if until is None else max(0.0, until - time.monotonic())


class Client(Core):
    """A link to a Pixi server that outlives its connections.

        async with pixi_ws.aio.Client("config/websocket_settings.json") as client:
            await client.send_message("event/tram/7", '{"x": 12}')

    As pixi_ws.Client, on one event loop. A task that is cancelled loses no message: what recv had not given comes next."""

    @overload
    def __init__(self, settings: SettingsSource = None) -> None: ...
    @overload
    def __init__(self, settings: str, url: str, *, api_key: Optional[str] = None) -> None: ...
    def __init__(
        self, settings: SettingsSource = None, url: Optional[str] = None, *, api_key: Optional[str] = None
    ) -> None:
        super().__init__(settings, url, api_key=api_key)
        self._news: set[asyncio.Future[None]] = set()  # of those who wait until something has happened
        self._line: collections.deque[asyncio.Future[None]] = collections.deque()  # what waits for room goes in order
        self._unsent: set[asyncio.Future[None]] = set()  # queued by queue= or nowait=, not yet answered
        self._failed: Optional[Error] = None  # the first of those that failed since the last flush
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._timer: Optional[asyncio.TimerHandle] = None

    # --- on the event loop --------------------------------------------------------------------------------------------

    def _attach(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None and not self._loop.is_closed():
                raise errors.Usage("the client is used on another event loop", "make a client for each loop", "usage")
            self._loop = loop
            loop.add_reader(self._fd(), self._move)
            self._move()
        return loop

    def _detach(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._fd())
        if self._timer is not None:
            self._timer.cancel()
        self._loop = self._timer = None

    def _move(self) -> None:
        """Something came, or is due."""
        if self._loop is None:
            return
        self._process()
        while self._events:
            _, *done = self._events.popleft()
            self._done(*done)
        for future in self._news:
            if not future.done():
                future.set_result(None)
        self._news.clear()
        if self._timer is not None:
            self._timer.cancel()
        due = self._next_deadline()
        self._timer = None if due < 0 else self._loop.call_later(due / 1000, self._move)

    async def _until_news(self, until: Optional[float]) -> bool:
        """False: there is no more time."""
        news: asyncio.Future[None] = self._attach().create_future()
        self._news.add(news)
        try:
            done, _ = await asyncio.wait([news], timeout=_left(until))
            return bool(done)
        finally:
            self._news.discard(news)

    async def _outside(self, what: Callable[[], Any]) -> Any:
        """A call that waits inside the library, on another thread; where we are cancelled, it goes on by itself."""
        loop = self._attach()
        answer: asyncio.Future[_worker.Job] = loop.create_future()

        def tell(job: _worker.Job) -> None:
            if not answer.done():
                answer.set_result(job)

        def done(job: _worker.Job) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(tell, job)

        _worker.submit(what, done)
        return (await answer).answer()

    # --- the connection -----------------------------------------------------------------------------------------------

    async def connect(self, timeout: Optional[float] = None) -> None:
        """Connect, and wait until that has succeeded or failed; the first subscriptions are made."""
        ms = _given.milliseconds("timeout", timeout)
        try:
            await self._outside(lambda: call(lib.pixi_client_connect, self._c, ms))
        except asyncio.CancelledError:
            with contextlib.suppress(Error):
                call(lib.pixi_client_close, self._c, 1000, None, 0)
            raise

    async def start(self, *, retry: bool = False) -> None:
        """Begin to connect, without waiting; with retry go on when the server cannot be reached at first."""
        self._attach()
        call(lib.pixi_client_start, self._c, c.START_RETRY if retry else 0)

    async def close(self, code: int = 1000, reason: str = "", timeout: Optional[float] = None) -> Close:
        """Wait until what was queued is answered, close, and wait for the peer's close: its code and reason. Tasks that
        wait are answered with Closed."""
        number, words = _given.number("code", code, 65535), _given.utf8("reason", reason)
        ms = _given.milliseconds("timeout", timeout)
        e = await self._outside(lambda: call(lib.pixi_client_close, self._c, number, words, ms))
        self._move()
        return Close(e.close_code or code, errors.text(e.reason))

    disconnect = close

    async def __aenter__(self: Self) -> Self:
        try:
            await self.connect()
        except BaseException:
            self._detach()
            raise
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        value: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> Literal[False]:
        """As pixi_ws.Client: flush, close."""
        try:
            if kind is None:
                await self.flush()
        finally:
            try:
                with contextlib.suppress(Error):
                    await self.close(timeout=None if kind is None else PARTING_S)
            finally:
                self._detach()
        return False

    # --- sending ------------------------------------------------------------------------------------------------------

    async def send_message(
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
    ) -> None:
        """Publish any bytes, or a str as UTF-8, to a topic, and return when the server has it; the arguments are those of
        pixi_ws.Client. Without a timeout it waits as long as that takes, over losses of the connection. Where time is up,
        or the task is cancelled, the message may still be sent."""
        where, data = _given.utf8("topic", topic), _given.payload(payload)
        flags = c.SEND_NOWAIT | c.SEND_RETAIN * bool(retain)
        options = _given.SendOptions(flags, 0, expiry, headers)
        until = None if timeout is None else time.monotonic() + _given.milliseconds("timeout", timeout) / 1000
        answer: asyncio.Future[None] = self._attach().create_future()
        is_queued = queue or nowait

        def done(_reply: Optional[Message], error: Optional[Error]) -> None:
            self._unsent.discard(answer)
            if is_queued and error is not None:
                self._failed = self._failed or error
            if answer.done():
                return
            if error is None or is_queued:
                answer.set_result(None)
            else:
                answer.set_exception(error)

        if nowait:
            self._queue(where, data, options, done)
        else:
            await self._when_there_is_room(lambda: self._queue(where, data, options, done), until)
        if is_queued:
            self._unsent.add(answer)
            return
        try:
            ended, _ = await asyncio.wait([answer], timeout=_left(until))
        finally:
            answer.cancel()  # where it has ended, that does nothing
        if not ended:
            raise _no_time("no answer in time", "check the server's load, or wait longer")
        answer.result()

    async def _when_there_is_room(self, start: Callable[[], Any], until: Optional[float]) -> None:
        """Those that wait for it go in the order in which they came."""
        turn: asyncio.Future[None] = self._attach().create_future()
        self._line.append(turn)
        try:
            if self._line[0] is not turn:
                await asyncio.wait([turn], timeout=_left(until))
                if not turn.done():
                    raise _no_time("the send queue is full, and others wait for room in it", "send less at a time, or wait longer")
            while True:
                try:
                    start()
                    return
                except Full as e:
                    if not await self._until_news(until):
                        raise _no_time(e.cause, e.fix) from None
        finally:
            self._line.remove(turn)
            if self._line and not self._line[0].done():
                self._line[0].set_result(None)

    async def flush(self, timeout: Optional[float] = None) -> None:
        """Wait until all that was queued is answered; raises the first error of it since the last flush."""
        ms = _given.milliseconds("timeout", timeout)
        self._attach()
        waiting = None
        if self._unsent:
            _, waiting = await asyncio.wait(set(self._unsent), timeout=None if ms < 0 else ms / 1000)
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed
        if waiting:
            raise _no_time("not all that was queued is answered", "wait longer; what is queued stays queued")

    async def request(self, topic: str, payload: _given.Payload = None, timeout: Optional[float] = None) -> Message:
        """Ask, and wait for the one answer; the time that it waits for room counts."""
        where, data = _given.utf8("topic", topic), _given.payload(payload)
        ms = _given.milliseconds("timeout", timeout)
        until = None if ms < 0 else time.monotonic() + ms / 1000
        answer: asyncio.Future[Message] = self._attach().create_future()

        def done(reply: Optional[Message], error: Optional[Error]) -> None:
            if answer.done():
                return
            if reply is not None:
                answer.set_result(reply)
            else:
                answer.set_exception(error or Error())

        def start() -> None:
            left = _left(until)
            self._ask(where, data, ms if left is None else int(left * 1000), done)

        await self._when_there_is_room(start, until)
        return await answer

    # --- receiving ----------------------------------------------------------------------------------------------------

    async def subscribe(self, filter: str, *, retained: bool = True, nowait: bool = False) -> None:
        """Take messages of these topics, from now on and on every connection."""
        what = _given.utf8("filter", filter)
        flags = (0 if retained else c.SUBSCRIBE_NO_RETAINED) | (c.SUBSCRIBE_NOWAIT if nowait else 0)
        await self._outside(lambda: call(lib.pixi_client_subscribe, self._c, what, flags))

    async def recv(self, timeout: Optional[float] = None) -> Message:
        """The next message; raises as pixi_ws.Client.recv does."""
        ms = _given.milliseconds("timeout", timeout)
        until = None if ms < 0 else time.monotonic() + ms / 1000
        self._attach()
        while True:
            if self._came:
                message = self._came[0]
                del self._came[0]
                return message
            try:
                self._receive(0)
            except Timeout:
                if not await self._until_news(until):
                    raise

    async def __aiter__(self) -> AsyncIterator[Message]:
        """The messages as they come, over all connections, until it is closed as agreed; else that error is raised."""
        while True:
            try:
                message = await self.recv()
            except Lost:
                continue
            except Closed as e:
                if not e.is_well:
                    raise
                return
            yield message
