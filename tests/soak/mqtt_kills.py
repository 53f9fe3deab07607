#!/usr/bin/python3
"""mqtt_kills.py -- a server with a store on disk, killed again and again (SIGKILL) under MQTT clients that lose their connections, too.

Publishers send numbered messages with QoS 1 and 2, subscribers have a session each and take them. Clients keep what MQTT
makes them keep (as if on a disk of their own). At the end nobody is missing a message, nobody has one of QoS 2 twice, and
each publisher's came in order for each QoS. Prints its seed; --seed repeats the choices, though not the timing.
"""

import argparse
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/wire"))
import mqtt  # noqa: E402
import raw  # noqa: E402

PUBLISHERS, WINDOW, PATIENCE_S, TURN_S = 2, 20, 60, 0.02
LOST = (OSError, raw.Gone, TimeoutError, ConnectionError)


def free_port():
    """One that the system gives to nobody while the server is away: below those for clients."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


class Hub:
    """The server, on ports that it has again after each start."""

    host = "127.0.0.1"

    def __init__(self, bin_dir, folder):
        self.bin, self.folder, self.proc, self.starts = bin_dir, folder, None, 0
        self.port, self.mqtt_port = free_port(), free_port()
        add = [bin_dir / "pixi-ws-server", "key", "--keys", folder / "keys", "add", "all", "--publish", "#", "--subscribe", "#"]
        self.key = subprocess.run(add, check=True, capture_output=True, text=True).stdout.strip()
        (folder / "server.json").write_text("{}")

    def start(self):
        args = [self.bin / "pixi-ws-server", "--config", self.folder / "server.json", "--keys", self.folder / "keys"]
        args += ["--data", self.folder / "data", "--listen", f"127.0.0.1:{self.port}", "--mqtt", f"127.0.0.1:{self.mqtt_port}"]
        with open(self.folder / "log", "a", encoding="utf-8") as log:
            self.proc = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=log, text=True)
        for _ in range(2):
            line = self.proc.stdout.readline()
            assert line.startswith("listening on"), f"{line}: see {self.folder / 'log'}"
        self.starts += 1

    def kill(self):
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()
        self.proc.stdout.close()

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        code = self.proc.wait(PATIENCE_S)
        self.proc.stdout.close()
        return code


class Client(threading.Thread):
    """One session, over connections that come and go."""

    def __init__(self, hub, name, seed):
        super().__init__(daemon=True)
        self.hub, self.id, self.random = hub, name, random.Random(f"{seed} {name}")
        self.peer, self.is_over, self.is_steady, self.failure = None, False, False, None
        self.connections = self.kills = 0

    def run(self):
        try:
            while not self.is_over:
                with contextlib.suppress(*LOST):
                    self.connect()
                    while not self.is_over:
                        self.turn()
                        if not self.is_steady and self.random.random() < 0.02:
                            self.kills += 1
                            self.peer.sock.close()
                if self.peer:
                    self.peer.sock.close()
                self.peer = None
                time.sleep(TURN_S)
        except Exception as failure:  # told by the main thread
            self.failure = failure

    def connect(self):
        self.peer = mqtt.Peer(self.hub, self.random.choice(["tcp", "ws"]))
        self.peer.sock.settimeout(PATIENCE_S)
        ack = self.peer.connect(self.id, clean=False, properties={"session_expiry": 100000})
        assert ack.reason == 0, ack
        assert ack.present or not self.connections, f"{self.id}: the session is gone"
        self.resume()
        self.connections += 1
        self.peer.sock.settimeout(TURN_S)

    def read(self):
        """What came within a moment."""
        with contextlib.suppress(TimeoutError):
            while True:
                self.hear(self.peer.recv())


class Publisher(Client):
    """Numbers, with QoS 1 and 2 in turn; both begin with 1."""

    def __init__(self, *args):
        super().__init__(*args)
        self.sent = {1: 0, 2: 0}
        self.under_way = {}  # identifier: [QoS, number, is released]
        self.is_done = False

    def put(self, id, dup):
        qos, number, is_released = self.under_way[id]
        if is_released:
            self.peer.ack(mqtt.PUBREL, id)
        else:
            self.peer.publish(f"k/{self.id}/{qos}", str(number), qos=qos, id=id, dup=dup)

    def resume(self):
        for id in list(self.under_way):  # in the order of sending
            self.put(id, True)

    def turn(self):
        while not self.is_done and len(self.under_way) < WINDOW:
            id = next(i for i in range(1, 2 * WINDOW + 1) if i not in self.under_way)
            qos = self.random.choice([1, 2])
            self.sent[qos] += 1
            self.under_way[id] = [qos, self.sent[qos], False]
            self.put(id, False)
        self.read()

    def hear(self, p):
        if p.kind == mqtt.PUBREC:
            assert p.reason == 0, p
            if p.id in self.under_way:
                self.under_way[p.id][2] = True
            self.peer.ack(mqtt.PUBREL, p.id)
        elif p.kind in (mqtt.PUBACK, mqtt.PUBCOMP):
            assert p.reason in (0, 0x92), p
            self.under_way.pop(p.id, None)
        elif p.kind == mqtt.DISCONNECT:
            raise raw.Gone
        else:
            raise AssertionError(p)


class Subscriber(Client):
    def __init__(self, *args):
        super().__init__(*args)
        self.known = set()  # identifiers of QoS 2 that were taken and not released
        self.got = {}  # (topic, QoS): [number, ...]

    def resume(self):
        if not self.connections:
            assert self.peer.subscribe(("k/#", 2)) == [2]

    def turn(self):
        self.read()

    def hear(self, p):
        if p.kind == mqtt.PUBLISH:
            if p.qos == 1 or p.id not in self.known:
                self.got.setdefault(p.topic, []).append(int(p.payload))
            if p.qos == 2:
                self.known.add(p.id)
            self.peer.ack(mqtt.PUBACK if p.qos == 1 else mqtt.PUBREC, p.id)
        elif p.kind == mqtt.PUBREL:
            self.known.discard(p.id)
            self.peer.ack(mqtt.PUBCOMP, p.id)
        elif p.kind == mqtt.DISCONNECT:
            raise raw.Gone
        else:
            raise AssertionError(p)


def check(publishers, subscribers):
    """What is wrong, in words."""
    wrong = []
    for s in subscribers:
        for p in publishers:
            for qos in (1, 2):
                got, count = s.got.get(f"k/{p.id}/{qos}", []), p.sent[qos]
                where = f"{s.id} of {p.id}, QoS {qos}"
                missing = sorted(set(range(1, count + 1)) - set(got))
                first = list(dict.fromkeys(got))
                if missing:
                    wrong.append(f"{where}: {len(missing)} of {count} are missing: {missing[:10]}")
                if qos == 2 and len(got) != len(first):
                    wrong.append(f"{where}: {len(got) - len(first)} came twice")
                if first != sorted(first):
                    wrong.append(f"{where}: not in order")
    return wrong


def wait_for(what, condition, clients):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        for c in clients:
            if c.failure:
                raise c.failure
        assert time.monotonic() < end, f"{what}: not within {PATIENCE_S} s"
        time.sleep(TURN_S)


def run(hub, rounds, seconds, seed):
    rng = random.Random(seed)
    hub.start()
    subscribers = [Subscriber(hub, f"s{i}", seed) for i in range(2)]
    publishers = [Publisher(hub, f"p{i}", seed) for i in range(PUBLISHERS)]
    clients = subscribers + publishers
    for s in subscribers:
        s.start()
    wait_for("subscriptions", lambda: all(s.connections for s in subscribers), clients)
    for p in publishers:
        p.start()
    end = time.monotonic() + seconds
    while hub.starts <= rounds and time.monotonic() < end and not any(c.failure for c in clients):
        time.sleep(rng.uniform(0.05, 1.0))
        hub.kill()
        time.sleep(rng.uniform(0, 0.1))
        hub.start()
    for c in clients:
        c.is_steady = True
    for p in publishers:
        p.is_done = True
    wait_for("acknowledgements", lambda: not any(p.under_way for p in publishers), clients)
    total = {q: sum(p.sent[q] for p in publishers) for q in (1, 2)}

    def have_all():
        return not check(publishers, subscribers) or all(
            len(set(n)) == p.sent[q] for s in subscribers for p in publishers for q in (1, 2) for n in [s.got.get(f"k/{p.id}/{q}", [])]
        )

    with contextlib.suppress(AssertionError):
        wait_for("messages", have_all, clients)
    for c in clients:
        c.is_over = True
    for c in clients:
        c.join(PATIENCE_S)
    code = hub.stop()
    wrong = check(publishers, subscribers) + [f"{c.id}: {c.failure!r}" for c in clients if c.failure]
    if code:
        wrong.append(f"the server ended with {code}")
    kills = f"{hub.starts - 1} kills of the server, {sum(c.kills for c in clients)} of clients"
    print(f"{kills}, {sum(c.connections for c in clients)} connections, messages by QoS {total}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=sys.maxsize, help="how often the server is killed, at most")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for how long, at most")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/bin")
    parser.add_argument("--dir", type=Path, default=ROOT / "build/soak/mqtt")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}", flush=True)
    folder = args.dir / str(os.getpid())
    folder.mkdir(parents=True, exist_ok=True)
    hub = Hub(args.bin, folder)
    try:
        wrong = run(hub, args.rounds, args.seconds, seed)
    finally:
        if hub.proc and hub.proc.poll() is None:
            hub.kill()
    for line in wrong:
        print(f"FAILED: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
