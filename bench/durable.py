#!/usr/bin/python3
"""durable.py -- MQTT over WebSocket, QoS 1, 100 unacknowledged: messages a second that the server answers when they are on disk, and
delivers. In pairs with a loop that appends the same bytes to a file and syncs it (fdatasync) in groups as large as the server's were.

mosquitto stands beside it for information: it answers from memory. With `persistence true` it writes its database when it ends and
every half an hour, not before it answers; what came since is lost with the process.
"""

import shutil
import statistics
import subprocess
import sys
import urllib.request
from pathlib import Path

import fanout

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build/bench/durable-data"
PAIRS, SECONDS, BUSY_MAX, WANTED = 7, 1.5, 0.8, 0.5


def program(*args):
    return [str(a) for a in (ROOT / "build/bench/durable", *args)]


def generator(server, size):
    _, port, path, key = server
    return subprocess.Popen(program(port, path, "any", key, size, SECONDS), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def measure(running):
    """Messages a second. A generator that is not waiting for the server most of the time measures itself: no result."""
    running.stdin.write("\n")
    running.stdin.flush()
    count, seconds, idle = map(float, running.stdout.readline().split())
    busy = 1 - idle / seconds
    if busy > BUSY_MAX:
        sys.exit(f"durable: the generator was busy {busy:.0%} of the time, so it and not the server was measured: no result")
    return count / seconds, busy


def append(size, group):
    count, seconds = map(float, subprocess.run(program("file", FOLDER / "loop", size, group, SECONDS), check=True, capture_output=True, text=True).stdout.split())
    return count / seconds


def groups(port):
    """Commits, and what was written by them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        found = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#"))
    return float(found["pixi_store_commits_total"]), float(found["pixi_store_writes_total"])


def pair(ours, metrics, size):
    commits, writes = groups(metrics)
    rate, busy = measure(ours)
    more_commits, more_writes = groups(metrics)
    group = (more_writes - writes) / (more_commits - commits)
    loop = append(size, max(1, round(group)))
    return {"rate": rate, "loop": loop, "ratio": rate / loop, "group": group, "busy": busy}


def compare(size, pixi, metrics, mosquitto):
    ours, theirs = generator(pixi, size), generator(mosquitto, size)
    measure(ours)  # warm
    pairs = [pair(ours, metrics, size) | {"mosquitto": measure(theirs)[0]} for _ in range(PAIRS)]
    for running in (ours, theirs):
        running.stdin.close()
        running.wait()
    m = {k: statistics.median(p[k] for p in pairs) for k in pairs[0]}
    ratios = [p["ratio"] for p in pairs]
    print(f"{size:>6} {m['group']:>7.1f} {m['rate']:>10,.0f} {m['loop']:>10,.0f} {m['ratio']:>7.2f} {min(ratios):>6.2f} .. {max(ratios):.2f} "
          f"{m['busy']:>10.0%} {m['mosquitto']:>12,.0f}", flush=True)
    return m["ratio"]


def main():
    if not shutil.which("mosquitto"):
        sys.exit("durable: mosquitto is missing: apt-get install mosquitto")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    settings = {"metrics": {"listen": ["127.0.0.1:0"]}}
    print(f"MQTT over WebSocket, QoS 1, 100 unacknowledged: messages a second, on disk and delivered (median of {PAIRS} pairs)")
    print(f"{'bytes':>6} {'group':>7} {'server':>10} {'loop':>10} {'ratio':>7} {'spread':>14} {'generator':>10} {'(mosquitto)':>12}", flush=True)
    pixi = fanout.start_pixi(FOLDER, settings, "--data", FOLDER / "data")
    metrics = int(pixi[0].stdout.readline().split(" for ")[0].rpartition(":")[2])
    mosquitto = fanout.start_mosquitto(FOLDER, f"persistence true\npersistence_location {FOLDER}/\nuser root\nmax_inflight_messages 0\n")
    try:
        ratios = {size: compare(size, pixi, metrics, mosquitto) for size in (256, 128)}
    finally:
        for proc, *_ in (pixi, mosquitto):
            proc.terminate()
            proc.wait()
        shutil.rmtree(FOLDER)
    for size, ratio in ratios.items():
        print(f"{size} bytes: {ratio:.2f} of the loop; at least {WANTED} is wanted: {'ok' if ratio >= WANTED else 'MISSED'}")
    print("mosquitto answers from memory: it syncs nothing before it answers, and writes its database every half an hour and when it ends")


if __name__ == "__main__":
    main()
