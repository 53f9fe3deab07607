#!/usr/bin/python3
"""bench.py [--objects 1000] [--rate 1000 10000 100000] [--seconds 20]: how fast the page is, in headless Chromium.

For each rate a server and a page; so many objects move, by so many updates a second altogether, and one more says when it
was sent. Measured: frames a second, and the time from sending to drawing, at the beginning and at the end: where something
falls behind, it grows; and what the browser, the server and this generator took of the processors meanwhile. Written to
build/bench/page.json. If the generator could not send so much, that is said, and the rest does not count."""

import argparse
import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import websockets

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(Path(__file__).parent))

from conftest import Browser  # noqa: E402

BATCH = 1000
PROBE_S = 0.05
WATCH = """void (globalThis.seen = [], globalThis.begin = [performance.now(), pixiPage.report().frames], (() => {
    let last = 0;
    const look = () => {
        const sent = pixiPage.object('probe')?.look.data?.sent;
        if (sent && sent !== last) { seen.push([sent, Date.now() - sent]); last = sent; }
        requestAnimationFrame(look);
    };
    look();
})())"""


def publish(topic, payload):
    params = {"topic": topic, "payload": payload, "retain": True}
    return {"jsonrpc": "2.0", "method": "publish", "params": params}


def move(number, count, angle, at):
    ring = 20 + 380 * (number % 97) / 97
    turn = 2 * math.pi * number / count + angle
    place = {"x": round(ring * math.cos(turn), 2), "y": round(ring * math.sin(turn), 2), "sprite": "car", **at}
    return publish(f"scene/objects/car-{number}", place)


def prepare(objects):
    """Texts of a full turn, each a batch of calls that want no answer."""
    texts = []
    for step in range(48):
        angle = 2 * math.pi * step / 48
        moves = [move(i, objects, angle, {"rotation": round(angle, 3)}) for i in range(objects)]
        texts += [json.dumps(moves[i : i + BATCH]) for i in range(0, objects, BATCH)]
    return texts


async def generate(url, key, objects, rate, seconds):
    """Updates that were sent, and for how long it was late at the end."""
    texts, sent, size = prepare(objects), 0, min(BATCH, objects)
    async with websockets.connect(
        url, extra_headers={"Authorization": f"Bearer {key}"}, subprotocols=["pixi.v1"], compression=None, max_size=None
    ) as ws:
        start = probed = time.monotonic()
        while (now := time.monotonic()) - start < seconds:
            due = start + sent / rate
            if due > now:
                await asyncio.sleep(due - now)
            await ws.send(texts[sent // size % len(texts)])
            sent += size
            if time.monotonic() - probed >= PROBE_S:
                probed = time.monotonic()
                probe = {"x": 0, "y": 0, "data": {"sent": int(time.time() * 1000)}}
                await ws.send(json.dumps(publish("scene/objects/probe", probe)))
        return sent, time.monotonic() - start


class Server:
    def __init__(self, folder):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PIXI_WS_")}
        program, keys = str(ROOT / "build/bin/pixi-ws-server"), f"{folder}/keys"
        add = [program, "key", "add", "bench", "--publish", "#", "--subscribe", "#", "--keys", keys]
        self.key = subprocess.run(add, check=True, capture_output=True, encoding="utf-8", env=env).stdout.strip()
        config = Path(folder) / "server.json"
        limits = {"publishes_per_s": 10**7, "publish_bytes_per_s": 10**10}
        # by default 10,000 messages are kept, a tenth of a second's: a page that pauses for longer would start anew
        history = [{"filter": "#", "max_messages": 2_000_000, "max_bytes": 1 << 30, "max_age_s": 60}]
        config.write_text(json.dumps({"limits": limits, "history": history}))
        args = [program, "--config", str(config), "--keys", keys, "--listen", "127.0.0.1:0"]
        self.proc = subprocess.Popen(
            [*args, "--page", str(ROOT / "web/dist")], stdout=subprocess.PIPE, encoding="utf-8", env=env
        )
        self.port = int(self.proc.stdout.readline().rsplit(":", 1)[1])
        self.url = f"ws://127.0.0.1:{self.port}/api/v1"

    def end(self):
        self.proc.terminate()
        self.proc.wait(20)


def processor_s(pid):
    """Seconds of processor time of a process and of all that it started and that live."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        children = [c for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()]
    except FileNotFoundError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(map(processor_s, children))


def processors(server, browser):
    """The browser with what drives it, the server, the generator."""
    return {"browser": processor_s(browser.pid), "server": processor_s(server.proc.pid), "generator": time.process_time()}


def median(values):
    return sorted(values)[len(values) // 2] if values else None


def measure(server, browser, objects, rate, seconds):
    browser.do("await open('bench', {key: args.key, viewport: {width: 1280, height: 800}})", key=server.key)
    do = lambda code, **args: browser.do(code, on="bench", **args)  # noqa: E731
    do("await page.goto(args.url)", url=f"http://127.0.0.1:{server.port}/")
    do("await until(page, \"pixiPage.report().link === 'open'\", null, 20000)")
    asyncio.run(generate(server.url, server.key, objects, objects, 2))
    do("await until(page, `pixiPage.report().objects >= ${args.n}`, null, 20000)", n=objects)
    do("await page.click('#tool-fit')")  # the first view was of those that came first
    do("await until(page, `pixiPage.report().drawn >= ${args.n}`, null, 20000)", n=objects)
    do("await until(page, 'pixiPage.report().moving === 0', null, 20000)")  # the view rests as well
    do("await page.evaluate(args.watch)", watch=WATCH)
    before = processors(server, browser)
    sent, took = asyncio.run(generate(server.url, server.key, objects, rate, seconds))
    report = "[performance.now() - begin[0], seen, pixiPage.report(), pixiPage.report().frames - begin[1]]"
    ms, seen, report, frames = do(f"return page.evaluate(() => {report})")
    after = processors(server, browser)
    third = len(seen) // 3
    late = [ms for _, ms in seen]
    return {
        "objects": objects,
        "rate": rate,
        "sent_per_s": round(sent / took),
        "frames_per_s": round(1000 * frames / ms, 1),
        "latency_ms": {"first_third": median(late[:third]), "last_third": median(late[-third:]), "most": max(late)},
        "probes": len(late),
        "processors": {name: round((after[name] - before[name]) / took, 2) for name in after},
        "renderer": report["renderer"],
    }


def run(objects, rate, seconds):
    browser = Browser()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            found = measure(server, browser, objects, rate, seconds)
        finally:
            server.end()
            browser.end()
    found.update(date=time.strftime("%Y-%m-%d"), cores=os.cpu_count(), load=os.getloadavg()[0])
    print(json.dumps(found, indent=2))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--rate", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    found = [run(args.objects, rate, args.seconds) for rate in args.rate]
    out = ROOT / "build/bench/page.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=2) + "\n")
    slow = [str(one["sent_per_s"]) for one in found if one["sent_per_s"] < 0.95 * one["rate"]]
    if slow:
        sys.exit(f"bench-page: only {', '.join(slow)} updates a second were sent: the generator was the limit")


if __name__ == "__main__":
    main()
