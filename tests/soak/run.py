#!/usr/bin/python3
"""run.py -- a server for long among clients that come, go, are killed and cut, while its keys change under it.

Two servers at once: the release build, whose memory and descriptors are watched, and the one with sanitizers, which says
what it did wrong. After a warm-up everybody leaves, and what the servers hold then is what they may hold at the end. One
steady link on each publishes and must get every message in order, over all reloads.
"""

import argparse
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/wire"))
import raw  # noqa: E402

SPARE_KIB = 4096  # that the release build may hold more than after the warm-up
WORKERS, KEYS, RELOAD_S, PATIENCE_S = 6, 8, 0.25, 30
SETTINGS = {
    "history": [{"filter": "#", "max_messages": 500, "max_bytes": 1 << 20}],
    "limits": {"handshake_ms": 2000, "message_bytes": 65536, "queue_bytes": 262144},
    "keepalive": {"interval_ms": 1000, "timeout_ms": 1000},
}
FILTERS = ["#", "event/#", "event/+/a", "event/b", "request/#", "$share/g/event/#"]


class Hub:
    """A server, its keys, and what it holds."""

    def __init__(self, name, bin_dir, folder):
        self.name, self.folder, self.bin = name, folder / name, bin_dir
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "keys"
        self.file.unlink(missing_ok=True)
        self.keys = {n: self._add(n) for n in ["steady", *(f"k{i}" for i in range(KEYS))]}
        self.entries = {e["name"]: e for e in json.loads(self.file.read_text())["keys"]}
        config = self.folder / "server.json"
        config.write_text(json.dumps(SETTINGS))
        self.log = open(self.folder / "log", "w", encoding="utf-8")
        args = [bin_dir / "pixi-ws-server", "--config", config, "--keys", self.file, "--listen", "127.0.0.1:0"]
        env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:quarantine_size_mb=1", "UBSAN_OPTIONS": "halt_on_error=1"}
        self.proc = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=self.log, text=True, env=env)
        self.port = int(self.proc.stdout.readline().rpartition(":")[2])
        self.reloads = 0

    def _add(self, name):
        args = [self.bin / "pixi-ws-server", "key", "--keys", self.file, "add", name, "--publish", "#", "--subscribe", "#"]
        return subprocess.run(args, check=True, capture_output=True, text=True).stdout.strip()

    def bearer(self, name):
        return f"Authorization: Bearer {self.keys[name]}"

    def reload(self, rng):
        """Keys come, go, and may more or less; the steady one stays."""
        entries = [self.entries["steady"]]
        for name, entry in self.entries.items():
            if name != "steady" and rng.random() < 0.8:
                allowed = rng.choice([["#"], ["event/#"], ["event/b"], []])
                entries.append({**entry, "subscribe": allowed, "publish": rng.choice([["#"], ["event/#"]])})
        text = json.dumps({"keys": entries}) if rng.random() < 0.95 else "{"
        part = self.file.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(text)
        part.rename(self.file)
        self.proc.send_signal(signal.SIGHUP)
        self.reloads += 1

    @property
    def descriptors(self):
        return len(os.listdir(f"/proc/{self.proc.pid}/fd"))

    @property
    def kib(self):
        with open(f"/proc/{self.proc.pid}/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        try:
            code = self.proc.wait(timeout=60)
        finally:
            self.proc.kill()
            self.log.close()
        return code

    def reports(self):
        text = (self.folder / "log").read_text(errors="replace")
        return re.findall(r".*(?:Sanitizer|runtime error).*", text)


def call(method, number=None, **params):
    out = {"jsonrpc": "2.0", "method": method, "params": params}
    return json.dumps(out if number is None else {**out, "id": number})


class Steady(threading.Thread):
    """Publishes and hears itself, in order."""

    def __init__(self, hub):
        super().__init__(daemon=True)
        self.hub, self.fault, self.count, self.is_over = hub, None, 0, False
        self.wire = raw.join(hub.port, hub.bearer("steady"))
        self.wire.put(raw.TEXT, call("subscribe", 1, filter="steady"))
        self._until(lambda m: m.get("method") == "synced")

    def _until(self, is_it):
        while True:
            got = self.wire.next()
            if got.opcode == raw.PING:
                self.wire.put(raw.PONG, got.payload)
            elif got.opcode == raw.TEXT and is_it(message := json.loads(got.payload)):
                return message

    def run(self):
        try:
            while not self.is_over:
                self.wire.put(raw.TEXT, call("publish", topic="steady", payload=self.count))
                got = self._until(lambda m: m.get("method") == "message")
                assert got["params"]["payload"] == self.count, got
                self.count += 1
                time.sleep(0.01)
        except (AssertionError, OSError, raw.Gone) as e:
            self.fault = f"{self.hub.name}: the steady link, after {self.count} messages: {e}"

    def end(self):
        self.is_over = True
        self.join(PATIENCE_S)
        self.wire.sock.close()


def visit(hub, rng):
    """A client by hand that goes as far as it likes, then leaves one way or the other."""
    with raw.dial(hub.port) as wire:
        head = raw.request(hub.bearer(rng.choice(list(hub.keys))))
        stage = rng.random()
        if stage < 0.2:
            wire.send(head[: rng.randrange(len(head))])
        else:
            wire.send(head)
            if wire.head().status == 101:
                talk(wire, rng)
        leave(wire, rng)


def talk(wire, rng):
    for number in range(rng.randrange(1, 30)):
        what = rng.random()
        topic = rng.choice(["event/a", "event/b", "event/x/a", "other", "request/x"])
        if what < 0.3:
            wire.put(raw.TEXT, call("subscribe", number, filter=rng.choice(FILTERS)))
        elif what < 0.7:
            wire.put(raw.TEXT, call("publish", number, topic=topic, payload="x" * rng.randrange(3000), retain=what < 0.4))
        elif what < 0.8:
            wire.put(raw.TEXT, call("request", number, topic="request/x", payload=1, timeout_ms=rng.randrange(1, 2000)))
        elif what < 0.85:
            wire.put(raw.TEXT, call("history", number, filter="#", limit=rng.randrange(1, 100)))
        elif what < 0.9:
            wire.put(raw.TEXT, "[" + ",".join(call("ping", f"b{i}") for i in range(20)) + "]")
        elif what < 0.93:
            wire.put(raw.PING, b"x")
        elif what < 0.95:
            wire.put(raw.TEXT, rng.randbytes(20))
        elif not wire.is_quiet(0):
            wire.sock.recv(65536)


def leave(wire, rng):
    how = rng.random()
    if how < 0.25:
        wire.put_close(1000)
        wire.shut()
        wire.raw_rest()
    elif how < 0.5:
        wire.reset()
    elif how < 0.6:
        wire.send(wire.frame(raw.TEXT, "half of it")[:-3])


def kill(hub, rng):
    """One of our own clients, killed at any time."""
    name = rng.choice(list(hub.keys))
    command = rng.choice([["listen", "event/#"], ["send", "event/a", "1"], ["connect"], ["listen", "#", "--reply", "1"]])
    env = {**os.environ, "PIXI_WS_URL": f"ws://127.0.0.1:{hub.port}/api/v1", "PIXI_WS_API_KEY": hub.keys[name]}
    args = [ROOT / "build/bin/pixi-ws-client", *command]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(args, env=env, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet) as proc:
        with contextlib.suppress(subprocess.TimeoutExpired):
            proc.wait(rng.random() * 0.2)
        proc.kill()


class Crowd:
    """Everybody at once, until told to end."""

    def __init__(self, hubs, seed):
        self.hubs, self.is_over, self.visits, self.kills, self.fault = hubs, False, 0, 0, None
        rngs = [random.Random(f"{seed}-{i}") for i in range(WORKERS + 1)]
        self.threads = [threading.Thread(target=self._work, args=(rng,), daemon=True) for rng in rngs[1:]]
        self.threads.append(threading.Thread(target=self._reload, args=(rngs[0],), daemon=True))
        for thread in self.threads:
            thread.start()

    def _work(self, rng):
        while not self.is_over:
            hub = rng.choice(self.hubs)
            if rng.random() < 0.05:
                kill(hub, rng)
                self.kills += 1
                continue
            # cut off, closed and refused is what a visitor may be
            with contextlib.suppress(OSError, raw.Gone):
                visit(hub, rng)
            self.visits += 1
            if any(h.proc.poll() is not None for h in self.hubs):
                return

    def _reload(self, rng):
        while not self.is_over:
            for hub in self.hubs:
                hub.reload(rng)
            time.sleep(RELOAD_S)

    def end(self):
        self.is_over = True
        for thread in self.threads:
            thread.join(PATIENCE_S)
            if thread.is_alive():
                self.fault = "a visitor does not come to an end"


def settle(hub, most):
    """Until it holds no more descriptors than that; what it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while hub.descriptors > most and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.5)  # keepalive and hub timers of those that went
    return hub.descriptors, hub.kib


def phase(hubs, seconds, seed):
    """So long of everything; crowd, steady links."""
    before = {hub: hub.descriptors for hub in hubs}
    steady = [Steady(hub) for hub in hubs]
    for link in steady:
        link.start()
    crowd = Crowd(hubs, seed)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and all(hub.proc.poll() is None for hub in hubs):
        time.sleep(0.1)
    crowd.end()
    for link in steady:
        link.end()
    return crowd, steady, {hub: settle(hub, before[hub]) for hub in hubs if hub.proc.poll() is None}


def soak(hubs, seconds, seed):
    """The faults, a line each."""
    _, first, warm = phase(hubs, max(5, seconds / 10), f"{seed}-warm")
    crowd, steady, end = phase(hubs, seconds, seed)
    faults = [link.fault for link in [*first, *steady] if link.fault] + ([crowd.fault] if crowd.fault else [])
    for hub, link in zip(hubs, steady, strict=True):
        if hub not in warm or hub not in end:
            faults.append(f"{hub.name}: the server ended")
            continue
        print(
            f"{hub.name}: after the warm-up {warm[hub][0]} descriptors, {warm[hub][1]} KiB; at the end {end[hub][0]}, "
            f"{end[hub][1]} KiB; {hub.reloads} reloads, {link.count} steady messages"
        )
        if end[hub][0] != warm[hub][0]:
            faults.append(f"{hub.name}: {end[hub][0] - warm[hub][0]} descriptors more than after the warm-up")
        if hub.name == "rel" and end[hub][1] > warm[hub][1] + SPARE_KIB:
            faults.append(f"{hub.name}: {end[hub][1] - warm[hub][1]} KiB more than after the warm-up")
    print(f"{crowd.visits} visits, {crowd.kills} clients killed")
    return faults


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--seconds", type=float, default=600)
    p.add_argument("--seed", default=str(random.randrange(10**9)))
    p.add_argument("--dir", default=str(ROOT / "build/soak"))
    opt = p.parse_args()
    print(f"soak: {opt.seconds:.0f} s, seed {opt.seed}", flush=True)
    hubs = [Hub("rel", ROOT / "build/bin", Path(opt.dir)), Hub("san", ROOT / "build/san/bin", Path(opt.dir))]
    faults = soak(hubs, opt.seconds, opt.seed)
    for hub in hubs:
        code = hub.stop()
        if code != 0:
            faults.append(f"{hub.name}: the server ended with {code}")
        faults += [f"{hub.name}: {line}" for line in hub.reports()[:5]]
    for fault in faults:
        print(f"soak: {fault}")
    print("soak: FAILED" if faults else "soak: nothing leaked, nothing was lost")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
