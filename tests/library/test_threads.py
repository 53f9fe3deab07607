"""Eight threads sending through one client, with ThreadSanitizer: nothing lost, each thread's order kept."""

import re

import pytest

from proxy import Proxy

SENDERS, COUNT = 8, 100


@pytest.fixture
def threads(bin_dir, spawn):
    def threads(url, key, *more):
        program = bin_dir.parent.parent / "tsan/test/library/threads"
        return spawn([program, url, key, SENDERS, COUNT, *more], env={"TSAN_OPTIONS": "halt_on_error=1"})

    return threads


def told(proc):
    assert proc.wait(60) == 0, proc
    assert "ThreadSanitizer" not in proc.err, proc
    answered, connected, lost, gaps = re.search(
        r"answered (\d+), connected (\d+) times, lost (\d+), gaps (\d+)", proc.out
    ).groups()
    assert int(answered) == SENDERS * COUNT
    return int(connected), int(lost), int(gaps)


def test_nothing_is_lost(hub, threads):
    s = hub(history=[{"filter": "#", "max_messages": 10_000}])
    proc = threads(s.url, s.key)
    assert told(proc) == (1, 0, 0)
    assert f"received {SENDERS * COUNT}, in order" in proc.out


def test_nothing_is_lost_where_connections_are_cut(hub, threads):
    """By resets, orderly ends and silence, 16 times: each number comes once, in order."""
    s = hub(history=[{"filter": "#", "max_messages": 10_000}])
    with Proxy(s) as proxy:
        proc = threads(proxy.url, s.key)
        proc.wait_line("sent 10$")
        proxy.cut_at_random(20261123, 6000, 16)
        connected, lost, gaps = told(proc)
    assert f"received {SENDERS * COUNT}, in order" in proc.out
    assert 1 <= lost < connected and gaps == 0  # two losses that nobody asked about between are told as one


def test_the_server_is_killed_and_comes_back(hub, threads):
    """It keeps its messages in memory: what was not received is gone with it, and everything else goes on."""
    s = hub(history=[{"filter": "#", "max_messages": 10_000}])
    proc = threads(s.url, s.key, "loose")
    proc.wait_line("sent 20$")
    s.proc.kill()
    hub(port=s.port, history=[{"filter": "#", "max_messages": 10_000}])
    connected, lost, _ = told(proc)
    assert connected == 2 and lost == 1
