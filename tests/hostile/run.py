#!/usr/bin/python3
"""run.py -- hostile peers beside honest clients: do those notice, and what does it cost the server?

A pixi-ws-server, HONEST clients (honest.c), then every kind of hostile peer (peers.c) for SECONDS. Fails when an honest
client had an error, when its p99 was over the limit, or when the server took more memory than its settings allow. It
reports nothing when the honest clients themselves could not keep their times.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
P99_MS = 50
LATE_MS = 20  # p99 of what the honest clients send later than meant: more, and they measure themselves
HONEST, PERIOD_MS = 100, 100


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--seconds", type=int, default=60)
    p.add_argument("--bin", default=str(ROOT / "build/bin"), help="where pixi-ws-server is")
    p.add_argument("--tools", default=str(ROOT / "build/rel/tests/hostile"), help="where honest and peers are")
    p.add_argument("--dir", default=str(ROOT / "build/hostile"), help="where keys, logs and the report go")
    p.add_argument("--no-timing", action="store_true", help="judge errors only, neither time nor memory")
    p.add_argument("kinds", nargs="*", help="only these kinds of peers, or all of 'pixi' or 'mqtt'; none: 'none'")
    return p.parse_args()


def key(opt, keys, name, *filters):
    args = [f"{opt.bin}/pixi-ws-server", "key", "--keys", keys, "add", name]
    for text in filters:
        args += ["--publish", text, "--subscribe", text]
    return subprocess.run(args, check=True, capture_output=True, text=True).stdout.strip()


class Watched:
    """What /proc tells of a process."""

    def __init__(self, pid):
        self.pid = pid

    def _status(self, name):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(name))

    @property
    def peak_kib(self):
        return self._status("VmHWM:")

    @property
    def now_kib(self):
        return self._status("VmRSS:")

    @property
    def cpu_s(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def measure(opt, folder):
    settings, keys = folder / "server.json", folder / "server.keys"
    keys.unlink(missing_ok=True)
    settings.write_text(json.dumps(SETTINGS))
    honest_key = key(opt, keys, "honest", "event/#", "request/#")
    hostile_key = key(opt, keys, "hostile", "event/#", "hostile/#", "request/hostile")
    log = open(folder / "server.log", "w", encoding="utf-8")
    args = ["--config", settings, "--keys", keys, "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"]
    server = subprocess.Popen([f"{opt.bin}/pixi-ws-server", *args], stdout=subprocess.PIPE, stderr=log, text=True)
    started = [server]
    try:
        lines = sorted((server.stdout.readline() for _ in range(2)), key=lambda line: "MQTT" in line)
        port, mqtt_port = (re.search(r":(\d+)", line)[1] for line in lines)
        watched = Watched(server.pid)
        honest = subprocess.Popen(
            [f"{opt.tools}/honest", port, honest_key, str(HONEST), str(opt.seconds), str(PERIOD_MS)],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(honest)
        assert honest.stdout.readline() == "ready\n", "the honest clients could not connect"
        base_kib, base_cpu, begun = watched.now_kib, watched.cpu_s, time.monotonic()
        peers = None
        if opt.kinds != ["none"]:
            # nicer than the rest: elsewhere they would not take the server's processor
            args = ["nice", "-n", "5", f"{opt.tools}/peers", port, mqtt_port, hostile_key, *opt.kinds]
            peers = subprocess.Popen(args, stdout=subprocess.PIPE, text=True)
            started.append(peers)
        said = json.loads(honest.stdout.readline())
        cpu = (watched.cpu_s - base_cpu) / (time.monotonic() - begun)
        descriptors = watched.descriptors
        kinds = {}
        if peers:
            peers.send_signal(signal.SIGTERM)
            kinds = json.loads(peers.communicate(timeout=30)[0])
        peak = watched.peak_kib
        server.send_signal(signal.SIGTERM)
        code = server.wait(timeout=60)
    finally:
        for process in started:
            process.kill()
            process.wait()
        log.close()
    return {
        "seconds": opt.seconds,
        "honest": said,
        "server": {
            "base_mib": round(base_kib / 1024, 1),
            "peak_mib": round(peak / 1024, 1),
            "cpu": round(cpu, 2),
            "descriptors": descriptors,
            "exit": code,
        },
        "peers": kinds,
    }


KIB, MIB = 1024, 1 << 20
SETTINGS = {
    "history": [{"filter": "#", "max_messages": 10000, "max_bytes": 16 * MIB, "max_age_s": 3600}],
    "limits": {
        "connections": 1500,
        "message_bytes": 64 * KIB,
        "queue_bytes": 64 * KIB,
        "subscriptions": 100,
        "requests": 100,
        "retained_count": 1000,
        "retained_bytes": MIB,
        "session_bytes": 16 * MIB,
    },
    "compression": {"enabled": True},
}


def ceiling():
    """What these settings allow the server to take, MiB: docs/operations.md, "Memory"."""
    limits = SETTINGS["limits"]
    each = 2 * limits["queue_bytes"] + limits["message_bytes"]
    each += (limits["subscriptions"] + limits["requests"]) * 512 + 8 * KIB
    kept = 2 * (sum(row["max_bytes"] for row in SETTINGS["history"]) + limits["session_bytes"]) + limits["retained_bytes"]
    return (limits["connections"] * each + kept) // MIB + 32


CEILING_MIB = ceiling()


def judge(found, no_timing):
    """Why it failed: none, or a line each."""
    honest, server = found["honest"], found["server"]
    late = honest["late_us"]["p99"] / 1000
    if honest["errors"]:
        yield f"{honest['errors']} errors of honest clients"
    if not honest["delivered"] or not honest["answered"]:
        yield "honest clients got nothing"
    if server["exit"] != 0:
        yield f"the server ended with {server['exit']}"
    if no_timing:
        return
    if late > LATE_MS:
        yield f"not measured: the honest clients were late themselves (p99 {late:.1f} ms)"
    for kind in ("delivered", "stored", "answered"):
        if honest[f"{kind}_us"]["p99"] > P99_MS * 1000:
            yield f"{kind}: p99 {honest[f'{kind}_us']['p99'] / 1000:.1f} ms, over {P99_MS} ms"
    if server["peak_mib"] > CEILING_MIB:
        yield f"the server took {server['peak_mib']} MiB, over {CEILING_MIB} MiB"


def show(found):
    honest, server = found["honest"], found["server"]
    print(f"{'peers':20}{'connections':>12}{'MiB said':>10}")
    for name, kind in found["peers"].items():
        print(f"{name:20}{kind['made']:12}{kind['said'] / 1048576:10.1f}")
    print(f"\n{'honest':20}{'count':>12}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}")
    for name in ("delivered", "stored", "answered"):
        us = honest[f"{name}_us"]
        print(f"{name:20}{honest[name]:12}" + "".join(f"{us[k] / 1000:10.2f}" for k in ("p50", "p99", "max")))
    us = honest["late_us"]
    print(f"{'sent late':32}" + "".join(f"{us[k] / 1000:10.2f}" for k in ("p50", "p99", "max")))
    print(f"{'errors':20}{honest['errors']:12}")
    print(f"\nserver: {server['base_mib']} MiB before, {server['peak_mib']} MiB at most (ceiling {CEILING_MIB}); ", end="")
    print(f"{100 * server['cpu']:.0f} % of a processor; {server['descriptors']} descriptors")


def main():
    opt = options()
    folder = Path(opt.dir)
    folder.mkdir(parents=True, exist_ok=True)
    found = measure(opt, folder)
    (folder / "report.json").write_text(json.dumps(found, indent=1))
    show(found)
    faults = list(judge(found, opt.no_timing))
    for fault in faults:
        print(f"hostile: {fault}")
    print("hostile: FAILED" if faults else f"hostile: honest clients noticed nothing in {opt.seconds} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
