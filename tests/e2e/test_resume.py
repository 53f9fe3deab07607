"""What comes through when connections are cut and servers killed: each message once, in order, or it is said."""

import json

import pytest

from proxy import Proxy
from rpc import Rpc

CUTS = 32
FAST = {
    "RECONNECT_INITIAL_MS": 2,
    "RECONNECT_MAX_MS": 20,
    "KEEPALIVE_INTERVAL_MS": 60,
    "KEEPALIVE_TIMEOUT_MS": 60,
    "TIMEOUTS_UPGRADE_MS": 150,
    "TIMEOUTS_CLOSE_MS": 200,
}


def payloads(listener):
    return [json.loads(line)["payload"] for line in listener.out.splitlines()]


@pytest.mark.parametrize("seed", [1, 20261122])
def test_a_listener_gets_every_number_once(hub, client, seed):
    s = hub(history=[{"filter": "#", "max_messages": 200_000}])
    print(f"seed {seed}")
    with Proxy(s) as proxy, Rpc(s) as publisher:
        listener = client(s, url=proxy.url, **FAST).listen("event/#")
        publisher.publish("event/number", 0)
        listener.wait_line('"payload":0,')
        proxy.cut_at_random(seed, 6000, CUTS)
        number = 1
        while len(proxy.cuts) < CUTS:
            publisher.publish("event/number", number)
            number += 1
        publisher.publish("event/number", number)
        listener.wait_line(f'"payload":{number},', stream="out")
        assert listener.stop() == 0
    assert payloads(listener) == list(range(number + 1))
    assert "history lost" not in listener.err
    assert listener.err.count("nothing was missed") >= CUTS // 4, listener.err  # the others fell into a handshake
    assert len(set(proxy.cuts)) == 3, proxy.cuts


LOST, KEPT = "again: history lost", "again: nothing was missed"


def test_a_listener_says_what_it_may_have_missed(hub, client):
    """The server keeps five messages; up to five may come while the listener is away."""
    s = hub(history=[{"filter": "#", "max_messages": 5}])
    said, expected = [], []
    with Proxy(s) as proxy, Rpc(s) as publisher:
        listener = client(s, url=proxy.url, **FAST).listen("event/#")
        for how, missed in [("reset", 50), ("end", 4), ("silence", 50), ("reset", 5), ("end", 6)]:
            first = 100 * len(said)
            publisher.publish("event/number", first)
            listener.wait_line(f'"payload":{first},')
            proxy.cut(how, then_hold=True)
            away = range(first + 1, first + 1 + missed)
            for number in away:
                publisher.publish("event/number", number)
            proxy.let_go()
            said.append(LOST if missed > 5 else KEPT)
            listener.wait_line(said[-1], nth=said.count(said[-1]))
            expected += [first, *(away if missed <= 5 else [])]
        publisher.publish("event/number", 1000)
        listener.wait_line('"payload":1000,')
        assert listener.stop() == 0
        assert payloads(listener) == [*expected, 1000]


def test_a_listener_outlives_a_server_that_is_killed(hub, client):
    """The store is in memory: what comes next has another epoch, and nothing of before comes again."""
    s = hub()
    listener = client(s, **FAST).listen("event/#")
    expected = []
    for life in range(4):
        with Rpc(s) as publisher:
            for i in range(20):
                publisher.publish("event/number", life * 100 + i, retain=True)
                expected.append(life * 100 + i)
            listener.wait_line(f'"payload":{life * 100 + 19},')
            s.proc.kill()
        s = hub(port=s.port)
        listener.wait_line("again: history lost", nth=life + 1)
    with Rpc(s) as publisher:
        publisher.publish("event/number", 1000)
    listener.wait_line('"payload":1000,')
    assert listener.stop() == 0
    assert payloads(listener) == [*expected, 1000]
    epochs = {json.loads(line)["epoch"] for line in listener.out.splitlines()}
    assert len(epochs) == 5


@pytest.mark.parametrize("seed", [20261122])
def test_every_line_is_stored_once(hub, client, seed):
    """Lines go on while connections are cut: in order, none lost, none twice."""
    s = hub(history=[{"filter": "#", "max_messages": 200_000}])
    print(f"seed {seed}")
    with Proxy(s) as proxy, Rpc(s) as link:
        link.subscribe("event/#")
        sender = client(s, url=proxy.url, **FAST).spawn("send", "event/number", "-")
        sender.write("0\n")
        link.note()
        proxy.cut_at_random(seed, 12000, CUTS)
        number = 1
        while len(proxy.cuts) < CUTS:
            sender.write("".join(f"{i}\n" for i in range(number, number + 20)))
            number += 20
        sender.close_input()
        assert sender.wait(40) == 0, sender.err
        assert f"{number} messages stored" in sender.err
        assert stored(link) == list(range(number))
    assert len(set(proxy.cuts)) == 3, proxy.cuts


def stored(link):
    """The payloads of the whole history, page by page."""
    got, since = [], {}
    while True:
        page = link.call("history", filter="event/#", limit=1000, **since)
        got += [m["payload"] for m in page["messages"]]
        if not page["more"]:
            return got
        since = {"since": {k: page["messages"][-1][k] for k in ("epoch", "offset")}}
