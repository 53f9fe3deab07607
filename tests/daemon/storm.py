"""Writers at a daemon that is killed again and again, and what must be true afterwards of what they were told."""

import collections
import random
import threading
import time

from local import Error, Gone, Local

WINDOW = 64


class Link(Local):
    """Counts what became of its messages instead of keeping it."""

    said = ended = 0

    def _take(self, message):
        self.ended += "error" in message or message.get("method") in ("stored", "rejected")
        if "method" not in message:
            super()._take(message)


class Writer(threading.Thread):
    """Numbers to one topic, in order; each is said once. What was answered, what was not, and what was told later.

    rest_s is what a message takes on average; `burst` of them are said without a rest.
    """

    def __init__(self, socket, topic, rest_s=0.0, burst=8):
        super().__init__(daemon=True)
        self.socket, self.topic, self.rest_s, self.burst = socket, topic, rest_s, burst
        self.number, self.queued, self.refused, self.unknown = 0, {}, {}, set()
        self.is_over, self.fault, self.link = False, None, None

    def unacknowledged(self):
        """How many of those that this connection said are not at the server yet, as far as was told."""
        link = self.link
        return link.said - link.ended if link else 0

    def run(self):
        try:
            while not self.is_over:
                try:
                    with Link(self.socket) as self.link:
                        self._write(self.link)
                except Gone:
                    time.sleep(0.01)  # the daemon is being started: there is nothing to wait for
        except Exception as e:  # noqa: BLE001 -- told by check()
            self.fault = repr(e)

    def _write(self, link):
        calls = {}
        try:
            while not self.is_over:
                number = self.number
                self.number += 1
                self.unknown.add(number)
                calls[link.start("publish", topic=self.topic, payload=number)] = number
                link.said += 1
                if len(calls) >= WINDOW:
                    self._take(link, calls, next(iter(calls)))
                if self.rest_s and self.number % self.burst == 0:
                    time.sleep(random.uniform(0, 2 * self.rest_s * self.burst))
            while calls:
                self._take(link, calls, next(iter(calls)))
        finally:
            self._take_rest(link, calls)

    def _take(self, link, calls, call):
        try:
            self.queued[calls[call]] = link.answer(call)["queued"]
        except Error as e:
            self.refused[calls[call]] = e.code
        self.unknown.discard(calls.pop(call))

    def _take_rest(self, link, calls):
        """Answers that came before the connection went."""
        link.close()
        for call, number in list(calls.items()):
            if call in link.answers:
                self._take(link, calls, call)

    def end(self):
        self.is_over = True


def begin(machine, count=20, rest_s=0.002):
    """Writers that write to a daemon."""
    writers = [Writer(machine.socket, f"storm/{i}", rest_s) for i in range(count)]
    for writer in writers:
        writer.start()
    return writers


def finish(machine, writers, stored):
    """They end, and what they wrote goes. stored: gives every message at the server. What there is, and what was reported."""
    for writer in writers:
        writer.end()
    for writer in writers:
        writer.join(60)
    machine.wait_empty(60)
    with machine.local() as program:
        reported = {m["id"] for m in program.call("rejected", limit=1000)["messages"]}
    messages = stored()
    faults = check(writers, messages, reported)
    assert not faults, "\n".join(faults)
    return messages, reported


def check(writers, messages, reported):
    """What is at the server, against what was told. reported: ids in doubt or refused. The faults, as texts."""
    faults = [f"{w.topic}: {w.fault}" for w in writers if w.fault]
    by_topic = {}
    for message in messages:
        by_topic.setdefault(message["topic"], []).append(message["payload"])
    for writer in writers:
        got = by_topic.get(writer.topic, [])
        if got != sorted(got):
            at = next(i for i in range(1, len(got)) if got[i] < got[i - 1])
            faults.append(f"{writer.topic}: {got[at]} came after {got[at - 1]}")
        there = collections.Counter(got)
        if len(there) != len(got):
            faults.append(f"{writer.topic}: came twice: {sorted(n for n, times in there.items() if times > 1)[:10]}")
        missing = [n for n, number in writer.queued.items() if n not in there and number not in reported]
        if missing:
            faults.append(f"{writer.topic}: {len(missing)} were answered and are not there: {missing[:10]}")
        stored = [n for n in writer.refused if n in there]
        if stored:
            faults.append(f"{writer.topic}: refused, and there all the same: {stored[:10]}")
    return faults
