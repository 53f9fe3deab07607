#!/usr/bin/python3
"""fanout.py -- MQTT over WebSocket, QoS 0, 128 bytes, one publisher to 100 and to 1,000 subscribers: deliveries for each second of
the server's processor time, beside mosquitto in the same minutes. Rounds alternate; the median counts."""

import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS, SECONDS = 5, 2


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_pixi(folder, settings, *more):
    keys, config = folder / "keys", folder / "server.json"
    add = [ROOT / "build/bin/pixi-ws-server", "key", "--keys", keys, "add", "b", "--publish", "#", "--subscribe", "#"]
    key = subprocess.run(add, check=True, capture_output=True, text=True).stdout.strip()
    config.write_text(json.dumps({"log": {"level": "error"}} | settings))
    args = [ROOT / "build/bin/pixi-ws-server", "--config", config, "--keys", keys, "--listen", "127.0.0.1:0", *more]
    proc = subprocess.Popen(args, stdout=subprocess.PIPE, text=True)
    return proc, int(proc.stdout.readline().rpartition(":")[2]), "/api/v1", key


def start_mosquitto(folder, more=""):
    port, plain = free_port(), free_port()
    text = f"listener {plain} 127.0.0.1\nlistener {port} 127.0.0.1\nprotocol websockets\nsocket_domain ipv4\n"
    (folder / "mosquitto.conf").write_text(text + "allow_anonymous true\nlog_type none\n" + more)
    proc = subprocess.Popen(["mosquitto", "-c", folder / "mosquitto.conf"], stderr=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return proc, port, "/mqtt", "none"
        time.sleep(0.02)
    sys.exit("fanout: mosquitto does not listen")


def generator(server, subscribers):
    proc, port, path, key = server
    args = [ROOT / "build/bench/fanout", port, path, proc.pid, "any", key, subscribers, SECONDS]
    return subprocess.Popen([str(a) for a in args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def measure(generator):
    generator.stdin.write("\n")
    generator.stdin.flush()
    count, seconds, cpu, own = map(float, generator.stdout.readline().split())
    return {"a second": count / seconds, "a processor second": count / cpu, "generator": own / seconds}


def main():
    if not shutil.which("mosquitto"):
        sys.exit("fanout: mosquitto is missing: apt-get install mosquitto")
    print("MQTT over WebSocket, QoS 0, 128 bytes: deliveries (median of", ROUNDS, "rounds)")
    print(f"{'subscribers':>12} {'server':>10} {'a second':>12} {'a processor second':>20} {'generator busy':>15}")
    ratios = {}
    # what mosquitto keeps, too: nothing of QoS 0
    settings = {"history": [], "limits": {"connections_per_address": 5000, "handshakes": 5000}}
    with tempfile.TemporaryDirectory() as name:
        servers = {"pixi": start_pixi(Path(name), settings), "mosquitto": start_mosquitto(Path(name))}
        try:
            for subscribers in (100, 1000):
                runs = {server: [] for server in servers}
                generators = {name: generator(started, subscribers) for name, started in servers.items()}
                for _ in range(ROUNDS):
                    for server in servers:
                        runs[server].append(measure(generators[server]))
                for g in generators.values():
                    g.stdin.close()
                    g.wait()
                for server, of in runs.items():
                    m = {k: statistics.median(r[k] for r in of) for k in of[0]}
                    print(f"{subscribers:>12} {server:>10} {m['a second']:>12,.0f} {m['a processor second']:>20,.0f} {m['generator']:>14.0%}")
                    ratios.setdefault(subscribers, []).append(m["a processor second"])
        finally:
            for proc, *_ in servers.values():
                proc.terminate()
                proc.wait()
    for subscribers, (ours, theirs) in ratios.items():
        print(f"1 to {subscribers:,}: {ours / theirs:.1f} times mosquitto's deliveries for each second of the server's processor time")


if __name__ == "__main__":
    main()
