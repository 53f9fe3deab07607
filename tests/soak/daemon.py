#!/usr/bin/python3
"""daemon.py -- 20 programs write to a daemon while it and its server, which keeps messages on disk, are killed with -9 at
random. Afterwards each message that was answered is at the server exactly once and in order per topic, or was reported.

Prints the seed, the kills, and how many messages the server had not acknowledged at each. Also called by
tests/daemon/test_kill.py.
"""

import argparse
import contextlib
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("tests/daemon", "tests/e2e")]
import storm  # noqa: E402
from local import Gone, Local  # noqa: E402
from rpc import Rpc  # noqa: E402

WRITERS, BURST, PATIENCE_S = 20, 64, 120


class Program:
    """One that is killed and started again."""

    def __init__(self, args, log):
        self.args, self.log, self.proc = [str(a) for a in args], log, None

    def start(self, ready="listening on "):
        with open(self.log, "a", encoding="utf-8") as log:
            self.proc = subprocess.Popen(self.args, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.proc.stdout.readline()
        if not line.startswith(ready):
            raise RuntimeError(f"{self.args[0]} did not start: {Path(self.log).read_text(errors='replace')[-2000:]}")
        return line.strip().rpartition(" ")[2]

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdout.close()

    def stop(self):
        self.proc.terminate()
        code = self.proc.wait(60)
        self.proc.stdout.close()
        return code


class Place:
    """A server with its key, for Rpc."""

    def __init__(self, at, key):
        self.url, self.key = f"ws://{at}/api/v1", key


def prepare(bin_dir, folder):
    keys, config = folder / "keys", folder / "server.json"
    config.write_text(json.dumps({"history": [{"filter": "#", "max_messages": 10000000, "max_bytes": 8 << 30, "max_age_s": 86400}]}))
    args = [bin_dir / "pixi-ws-server", "key", "--keys", keys, "add", "soak", "--publish", "#", "--subscribe", "#"]
    key = subprocess.run(args, check=True, capture_output=True, text=True).stdout.strip()
    common = [bin_dir / "pixi-ws-server", "--config", config, "--keys", keys, "--data", folder / "data"]
    first = Program([*common, "--listen", "127.0.0.1:0"], folder / "server.log")
    at = first.start()
    first.kill()
    server = Program([*common, "--listen", at], folder / "server.log")
    settings, socket = folder / "settings.json", Path(tempfile.mkdtemp()) / "pixi.sock"
    settings.touch(mode=0o600)
    settings.write_text(
        json.dumps(
            {
                "url": f"ws://{at}/api/v1",
                "api_key": key,
                "reconnect": {"initial_ms": 10, "max_ms": 100},
                "outbox": {"path": str(folder / "outbox"), "bytes": 1 << 30},
                "daemon": {"socket": str(socket)},
            }
        )
    )
    daemon = Program([bin_dir / "pixi-ws-client", "--settings", settings, "daemon"], folder / "daemon.log")
    return Place(at, key), server, daemon, socket


def stored(place, filter):
    """What storm.check wants of every message, oldest first."""
    out, since = [], None
    with Rpc(place) as link:
        while True:
            page = link.call("history", filter=filter, limit=1000, **({"since": since} if since else {}))
            messages = page["messages"]
            out += [{"topic": m["topic"], "payload": m["payload"]} for m in messages]
            if not page["more"]:
                return out
            since = {name: messages[-1][name] for name in ("epoch", "offset")}


def wait_empty(socket):
    until = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(Gone), Local(socket) as program:
            if program.call("status")["outbox"]["messages"] == 0:
                return {m["id"] for m in program.call("rejected", limit=1000)["messages"]}
        if time.monotonic() > until:
            raise RuntimeError("the outbox does not empty")
        time.sleep(0.05)


def wait_for_some(writers, count):
    """Until so many are on their way, or a while: a kill while nothing is shows little, and that is most of the time."""
    until = time.monotonic() + 0.5
    while sum(w.unacknowledged() for w in writers) < count and time.monotonic() < until:
        time.sleep(0)


def run(bin_dir, folder, seed, seconds=math.inf, rounds=math.inf, rest_s=0.004, say=print):
    """Kills until the time is over, or so many were made. The faults, as texts."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    place, server, daemon, socket = prepare(bin_dir, folder)
    server.start()
    daemon.start()
    writers = [storm.Writer(socket, f"storm/{i}", rest_s, BURST) for i in range(WRITERS)]
    kills, open_at_kill = {"daemon": 0, "server": 0}, []
    try:
        for writer in writers:
            writer.start()
        until = time.monotonic() + seconds
        while time.monotonic() < until and len(open_at_kill) < rounds:
            time.sleep(rng.uniform(0.05, 0.9))  # this is the fault, not a wait for something
            name, victim = rng.choice([("daemon", daemon), ("daemon", daemon), ("server", server)])
            wait_for_some(writers, rng.choice([0, 1, 20, 100]))
            open_at_kill.append(sum(w.unacknowledged() for w in writers))
            victim.kill()
            kills[name] += 1
            victim.start()
        for writer in writers:
            writer.end()
        for writer in writers:
            writer.join(PATIENCE_S)
        reported = wait_empty(socket)
        messages = stored(place, "storm/#")
        faults = storm.check(writers, messages, reported)
    finally:
        for program in (daemon, server):
            with contextlib.suppress(Exception):
                program.stop()
    for log in ("daemon.log", "server.log"):
        text = (folder / log).read_text(errors="replace")
        faults += [line for line in text.splitlines() if "Sanitizer" in line or "runtime error" in line]
    answered = sum(len(w.queued) for w in writers)
    say(
        f"seed {seed}: {len(open_at_kill)} kills, {kills['daemon']} of the daemon and {kills['server']} of the server; "
        f"{answered} messages answered, {len(messages)} at the server, {len(reported)} reported; "
        f"unacknowledged at a kill: at least {min(open_at_kill, default=0)}, "
        f"median {statistics.median(open_at_kill or [0]):.0f}, at most {max(open_at_kill, default=0)}"
    )
    if answered < 100 or not kills["daemon"]:
        faults.append("too little happened")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="kills")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--bin", type=Path, default=ROOT / "build/san/bin")
    args = parser.parse_args()
    os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")
    with tempfile.TemporaryDirectory() as folder:
        faults = run(args.bin, Path(folder), args.seed, rounds=args.rounds, rest_s=0.01)
    for fault in faults:
        print(f"daemon: {fault}")
    print("daemon: FAILED" if faults else "daemon: nothing lost, nothing twice, all in order")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
