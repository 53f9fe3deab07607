"""The store on disk, `--data`: what was answered is there after whatever happens to server, file or disk."""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import uuid

import pytest

from metrics import get, port_of, samples
from rpc import Rpc

ALL = [{"filter": "#", "max_messages": 1_000_000, "max_bytes": 1 << 30}]
OPERATORS = {"metrics__listen": ["127.0.0.1:0"]}


@pytest.fixture
def disk(hub, tmp_path):
    """disk(**settings) -> Server with its messages in tmp_path/data; again: on the same."""

    def disk(*args, **members):
        return hub(*args, **{"data": str(tmp_path / "data"), "history": ALL, **members})

    return disk


def history(link, topic_filter="#"):
    """Every message there is, page by page."""
    got, since = [], {}
    while True:
        page = link.call("history", filter=topic_filter, limit=1000, **since)
        got += page["messages"]
        if not page["more"]:
            return got
        since = {"since": {k: page["messages"][-1][k] for k in ("epoch", "offset")}}


class Publisher:
    """Publishes numbers, many at a time, until the server goes; what was answered, and what was not."""

    def __init__(self, server, name):
        self.link, self.name = Rpc(server), name
        self.producer, self.answered, self.open = str(uuid.uuid4()), {}, {}
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def params(self, number):
        key = {"producer": self.producer, "seq": number, "low": 1}
        return {"topic": f"event/{self.name}", "payload": number, "key": key}

    def run(self):
        try:
            for number in range(1, 100_000):
                self.open[number] = self.link.ask("publish", **self.params(number))
                if len(self.open) >= 50:
                    self.take()
        except Exception as end:  # noqa: BLE001: the server was killed, however that shows
            self.end = end

    def take(self):
        number = next(iter(self.open))
        self.answered[number] = self.link.answer(self.open[number])
        del self.open[number]

    def send_again(self, link):
        for number in self.open:
            self.answered[number] = link.call("publish", **self.params(number))


@pytest.mark.parametrize("seed", [1, 2, 20261129])
def test_what_was_answered_outlives_kill_9(disk, seed):
    """Killed in the middle of publishing, several times: all of it is there, once, in order, where it was said to be."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    publishers = []
    for life in range(4):
        s = disk()
        with Rpc(s) as link:
            for p in publishers:
                p.send_again(link)
            check(history(link), publishers)
        lives = [Publisher(s, f"{life}-{i}") for i in range(3)]
        least = rng.randrange(50, 400)
        while len(lives[0].answered) < least:
            lives[0].thread.join(0.01)
            assert lives[0].thread.is_alive(), f"{lives[0].end!r} {s.proc}"
        s.proc.kill()
        for p in lives:
            p.thread.join(20)
        publishers += lives
    assert sum(len(p.open) for p in publishers) > 0  # or it was killed at ease


def check(messages, publishers):
    offsets = [m["offset"] for m in messages]
    assert offsets == sorted(set(offsets))
    for p in publishers:
        own = [m for m in messages if m["topic"] == f"event/{p.name}"]
        at = {m["payload"]: {"epoch": m["epoch"], "offset": m["offset"]} for m in own}
        assert len(at) == len(own)  # none twice
        assert {n: at.get(n) for n in p.answered} == p.answered
        assert list(at) == sorted(at)


def test_a_restart_is_not_noticed(disk, client):
    s = disk()
    with Rpc(s) as link:
        link.publish("scene/a", {"x": 1}, retain=True)
        link.publish("scene/b", {"x": 2}, retain=True)
        link.publish("scene/b", {"x": 3}, retain=True)
        link.publish("scene/a", "", retain=True)
        link.call("publish", topic="scene/a", payload_base64="", retain=True)
        listener = client(s, RECONNECT_INITIAL_MS=5, RECONNECT_MAX_MS=50).listen("event/#")
        last = link.publish("event/1", 1)
        listener.wait_line('"payload":1,')  # it has its snapshot
        before = history(link)
    assert s.proc.stop() == 0
    s = disk(port=s.port)
    assert "data:" not in s.proc.err  # nothing that would be worth a word
    listener.wait_line("again: nothing was missed")
    with Rpc(s) as link:
        assert history(link) == before
        assert link.call("subscribe", filter="event/#", since=last) == {**last, "recovered": True}
        link.subscribe("scene/#")
        kept = link.note()
        assert (kept["topic"], kept["payload"], kept["retained"]) == ("scene/b", {"x": 3}, True)
        assert "message" not in link.notes()  # scene/a was removed
        after = link.publish("event/1", 2)
        assert (after["epoch"], after["offset"]) == (last["epoch"], last["offset"] + 1)
    listener.wait_line('"payload":2,')
    assert listener.stop() == 0


def test_recent_history_ends_where_the_policy_says(disk):
    few = [{"filter": "event/#", "max_messages": 5}]
    s = disk(history=few)
    with Rpc(s) as link:
        positions = [link.publish("event/1", i) for i in range(20)]
    s.proc.stop()
    s = disk(history=few)
    with Rpc(s) as link:
        assert [m["payload"] for m in history(link)] == [15, 16, 17, 18, 19]
        assert link.call("subscribe", filter="event/#", since=positions[14])["recovered"] is True
        assert link.call("subscribe", filter="event/#", since=positions[13])["recovered"] is False
        assert link.error("history", filter="event/#", since=positions[13]).code == -32008


def test_a_lost_store_says_so(disk, client, tmp_path):
    s = disk()
    with Rpc(s) as link:
        last = link.publish("event/1", 1)
    listener = client(s, RECONNECT_INITIAL_MS=5, RECONNECT_MAX_MS=50).listen("event/#")
    s.proc.stop()
    (tmp_path / "data/hub.db").unlink()
    s = disk(port=s.port)
    s.proc.wait_line(r"warning: data: .*data: the store is gone; an empty one begins, epoch [0-9a-f]{16}")
    listener.wait_line("again: history lost")
    with Rpc(s) as link:
        assert link.call("subscribe", filter="event/#", since=last)["recovered"] is False
        now = link.publish("event/1", 2)
        assert now["epoch"] != last["epoch"] and now["offset"] == 1
    assert listener.stop() == 0


def test_a_damaged_file_is_repaired(disk, tmp_path):
    s = disk()
    with Rpc(s) as link:
        first = link.publish("event/1", "x" * 2000)
        for i in range(300):
            link.publish("event/1", "x" * 2000)
        link.publish("scene/a", 7, retain=True)
    s.proc.kill()
    file = tmp_path / "data/hub.db"
    # Nobody closed it: what came last is in its log. Copied in by a server that stops, then spoilt.
    disk().proc.stop()
    with open(file, "r+b") as f:
        f.seek(file.stat().st_size // 2 // 4096 * 4096)
        f.write(b"\xff" * 4096)
    (tmp_path / "data/lock").write_text("1\n")
    s = disk()
    told = s.proc.wait_line(r"warning: data: the store was damaged: (\S+) is what it was, (\d+) rows of it are saved")
    assert os.path.getsize(told[1]) > 600_000
    with Rpc(s) as link:
        saved = history(link)
        assert 250 < len(saved) <= 302 and saved[0]["epoch"] != first["epoch"]
        assert link.call("subscribe", filter="#", since=first)["recovered"] is False
        assert link.publish("event/1", 1)["offset"] > saved[-1]["offset"]


def test_two_servers_do_not_share_a_folder(disk, run, tmp_path):
    s = disk()
    done = run(["pixi-ws-server", "--data", tmp_path / "data", "--keys", tmp_path / "server.keys", "--listen", "127.0.0.1:0"])
    assert done.returncode == 3
    assert done.stderr == (
        f"pixi-ws-server: settings: data: {tmp_path}/data: in use by process {s.proc.pid}\n"
        "  fix: stop that one first, or name another folder\n"
    )
    s.proc.kill()
    with Rpc(disk()) as link:  # its lock went with it
        link.publish("event/1", 1)


def test_folders_that_cannot_be(run, tmp_path):
    def why(folder):
        done = run(["pixi-ws-server", "--data", folder, "--keys", tmp_path / "k", "--listen", "127.0.0.1:0"])
        assert done.returncode == 3, done
        assert "\n  fix: " in done.stderr
        return done.stderr.split("\n")[0]

    (tmp_path / "k").write_text("{}")
    (tmp_path / "k").chmod(0o600)
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert why(tmp_path / "file").endswith("/file: no folder")
    assert why(tmp_path / "open").endswith("/open: others may write to this folder")
    assert why(tmp_path / "no/where").endswith("No such file or directory")


IN_A_SMALL_DISK = """
mount -t tmpfs -o size=3m,mode=0700 none "$0" && head -c 1000000 /dev/zero >"$0/ballast" &&
%s exec "$@"
"""


@pytest.fixture
def small_disk(disk, spawn, bin_dir, tmp_path):
    """small_disk(then="") -> Server whose folder is a file system of 3 MB, a third of it taken by `ballast`."""
    try:
        subprocess.run(["unshare", "--map-root-user", "--mount", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no namespaces may be made here")
    (tmp_path / "data").mkdir()

    def small_disk(then=""):
        script = IN_A_SMALL_DISK % then
        server = str(bin_dir / "pixi-ws-server")
        return disk("--map-root-user", "--mount", "sh", "-c", script, str(tmp_path / "data"), server,
                    program="unshare", **OPERATORS)

    return small_disk


def test_a_full_disk_refuses_and_recovers(small_disk, tmp_path):
    s = small_disk()
    answered, link = {}, Rpc(s)
    reader = Rpc(s)
    reader.subscribe("event/#")
    error = None
    for i in range(1000):
        try:
            answered[i] = link.publish("event/1", f"{i} " + "x" * 10_000)
        except Exception as refused:  # noqa: BLE001
            error = refused
            break
    assert error.code == -32006, error
    assert len(answered) > 50
    s.proc.wait_line(r"error: data: the disk refuses \(database or disk is full\): publishes are answered -32006")
    assert get(port_of(s), "/readyz")[0] == 503
    assert samples(s)["pixi_store_failed_commits_total"] > 0
    assert [m["offset"] for m in history(link)] == [p["offset"] for p in answered.values()]  # it can be read
    os.unlink(f"/proc/{s.proc.pid}/root{tmp_path}/data/ballast")
    s.proc.wait_line("info: data: the disk can be written again")
    assert get(port_of(s), "/readyz")[0] == 200
    for i in range(20):
        answered[2000 + i] = link.publish("event/1", f"{2000 + i} " + "x" * 10_000)
    live = [reader.note() for _ in answered]
    assert [m["offset"] for m in live] == [p["offset"] for p in answered.values()]
    assert [int(m["payload"].split()[0]) for m in history(link)] == list(answered)


def test_a_read_only_disk(small_disk, settings, tmp_path):
    with pytest.raises(AssertionError) as told:
        small_disk('mount -o remount,ro "$0" &&')
    assert "data: Read-only file system" in str(told.value) or "lock: Read-only file system" in str(told.value)
    assert "fix: name a folder that this user can write to" in str(told.value)
    assert "--- exit 3" in str(told.value)


def test_the_counts(disk):
    s = disk(**OPERATORS)
    with Rpc(s) as link:
        ids = [link.ask("publish", topic="event/1", payload=i) for i in range(100)]
        for i in ids:
            link.answer(i)
        found = samples(s)
    assert found["pixi_store_messages"] == found["pixi_store_writes_total"] == 100
    assert 1 <= found["pixi_store_commits_total"] <= 100
    assert found["pixi_store_commit_seconds_total"] > 0
    assert found["pixi_store_file_bytes"] > 0
    assert found["pixi_store_failed_commits_total"] == 0


def test_files_are_private(disk, tmp_path):
    disk()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    for file in (tmp_path / "data").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file


def test_a_copy_taken_while_it_runs(disk, tmp_path):
    """docs/store.md: back up by SQLite's own means, restore by removing `epoch`."""
    s = disk()
    with Rpc(s) as link:
        last = [link.publish("event/1", i) for i in range(20)][-1]
        with contextlib.closing(sqlite3.connect(tmp_path / "data/hub.db")) as from_file:
            with contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
                from_file.backup(copy)  # what `.backup` of the program sqlite3 does
        link.publish("event/1", 20)
    s.proc.stop()
    for name in ("hub.db", "epoch"):
        (tmp_path / "data" / name).unlink()
    shutil.copy(tmp_path / "copy.db", tmp_path / "data/hub.db")
    (tmp_path / "data/hub.db").chmod(0o600)
    s = disk()
    s.proc.wait_line("warning: data: .* the store was put there from elsewhere")
    with Rpc(s) as link:
        assert [m["payload"] for m in history(link)] == list(range(20))
        assert link.call("subscribe", filter="event/#", since=last)["recovered"] is False


def test_a_stop_stores_what_came(disk):
    """SIGTERM while publishes are under way: each that was answered, and perhaps more, in order."""
    s = disk()
    publisher = Publisher(s, "a")
    while len(publisher.answered) < 100:
        publisher.thread.join(0.01)
    s.proc.stop(signal.SIGTERM)
    publisher.thread.join(20)
    with Rpc(disk()) as link:
        got = [m["payload"] for m in history(link)]
        assert got == list(range(1, len(got) + 1)) and len(got) >= len(publisher.answered)
        publisher.send_again(link)
        check(history(link), [publisher])


def test_a_responder_answers_while_its_snapshot_is_read(disk):
    """A request is no part of that; who has subscribed is there."""
    s = disk()
    with Rpc(s) as responder, Rpc(s) as asker:
        kept = [asker.ask("publish", topic=f"request/{i}", payload="x" * 100, retain=True) for i in range(300)]
        for number in kept:
            asker.answer(number)
        responder.answer(responder.ask("subscribe", filter="request/#"))
        asked = asker.ask("request", topic="request/7", payload=1)
        while "request" not in (note := responder.note()):
            pass
        responder.call("reply", request=note["request"], payload=2)
        assert asker.answer(asked) == {"payload": 2}
