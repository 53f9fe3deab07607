"""Calls that wait inside the library, on threads of their own: so Ctrl-C reaches who waits for them."""

import contextlib
import os
import queue
import threading
from typing import Any, Callable, Optional

SLICE_S = 0.2  # how long the main thread waits without a look for signals


class Job:
    """One call. What it returned or raised is kept; then done is told."""

    def __init__(self, call: Callable[[], Any], done: Callable[["Job"], None]) -> None:
        self._call, self._done = call, done
        self._result: Any = None
        self._error: Optional[BaseException] = None

    def run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as e:
            self._error = e
        self._done(self)

    def answer(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result


class _Worker:
    """A thread that does one job after the other; a daemon, so that it does not hold up the program's end."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="pixi_ws worker", daemon=True).start()

    def _work(self) -> None:
        while True:
            job = self.jobs.get()
            job.run()
            del job  # it may be the last that holds a client
            _idle.append(self)


_idle: list[_Worker] = []
os.register_at_fork(after_in_child=_idle.clear)


def submit(call: Callable[[], Any], done: Callable[[Job], None]) -> None:
    """done is called on the thread that called."""
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    worker.jobs.put(Job(call, done))


def wait(call: Callable[[], Any], given_up: Callable[[], None] = lambda: None) -> Any:
    """What the call answers. Signals are Python's business only on the main thread: it waits for another one there. Where
    an exception of theirs ends that, the call itself goes on, and given_up may cut it short."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    box: queue.SimpleQueue[Job] = queue.SimpleQueue()
    submit(call, box.put)
    try:
        return _get(box).answer()
    except BaseException:
        given_up()
        raise


def _get(box: "queue.SimpleQueue[Job]") -> Job:
    """A signal that comes just before the wait does not end it: so it is looked for now and then."""
    while True:
        with contextlib.suppress(queue.Empty):
            return box.get(timeout=SLICE_S)
