"""After a connection is lost: who comes back, and what is said again, by the close code. docs/protocol.md, Closing."""

import json
import time

import pytest

import peer

FAST = {"RECONNECT_INITIAL_MS": 1, "RECONNECT_MAX_MS": 5, "TIMEOUTS_CLOSE_MS": 100}
STOPS = {1000: 11, 3000: 8, 3003: 8}
OBJECTIONS = [1002, 1003, 1007, 1009]  # to what was sent
OTHERS = [1001, 1008, 1011, 1012, 1013, 3008, 4000, 4999]
POSITION = {"epoch": "00000000000000a1", "offset": 1}


def answer(sock, call, result):
    text = json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}).encode()
    sock.sendall(bytes([0x81, len(text)]) + text)


class Closer(peer.Peer):
    """The first connection ends with a code once a call came, answered or not; the second does what it is asked to."""

    def __init__(self, code, answers_first):
        super().__init__(self.serve)
        self.code, self.answers_first, self.calls = code, answers_first, []

    def serve(self, _, sock):
        peer.upgrade(self, sock)
        call = json.loads(peer.message(sock))
        self.calls.append(call)
        is_first = len(self.calls) == 1
        if self.answers_first or not is_first:
            answer(sock, call, {**POSITION, "recovered": False})
        if is_first:
            sock.sendall(peer.close_frame(self.code))
        peer.hold(self, sock)


@pytest.mark.parametrize("code", OBJECTIONS + OTHERS)
def test_a_listener_comes_back(client, code):
    with Closer(code, answers_first=True) as p:
        listener = client(p, **FAST).spawn("listen", "event/#")
        listener.wait_line(f"closed by the server with {code}; trying again in 0.0 s", stream="err")
        listener.wait_line("listening to event/# again", stream="err")
        assert listener.stop() == 0
        assert [c["params"]["filter"] for c in p.calls] == ["event/#", "event/#"]


@pytest.mark.parametrize("code", STOPS)
def test_a_listener_stays_away(client, code):
    with Closer(code, answers_first=True) as p:
        done = client(p, **FAST).run("listen", "--retry", "event/#")
        assert done.returncode == STOPS[code] and f"closed by the server with {code}" in done.stderr
        assert len(p.heads) == 1 and "trying again" not in done.stderr


@pytest.mark.parametrize("code", OBJECTIONS)
def test_what_the_server_objects_to_is_not_sent_again(client, code):
    for args in (["send", "event/a", "1"], ["listen", "event/#"]):
        with Closer(code, answers_first=False) as p:
            done = client(p, **FAST).run(*args)
            assert done.returncode == 9 and f"closed by the server with {code}" in done.stderr, done
            assert len(p.calls) == 1


@pytest.mark.parametrize("code", OTHERS)
def test_everything_else_is_sent_again(client, code):
    """The same message with the same idempotency key, so that the server stores it once."""
    with Closer(code, answers_first=False) as p:
        done = client(p, **FAST).run("send", "event/a", '{"x":1}')
        assert done.returncode == 0, done
        first, second = (c["params"] for c in p.calls)
        assert first == second and first["key"]["producer"] and first["payload"] == {"x": 1}


def test_a_message_in_vain(client):
    """What stops for good is told with the code, and the message is not stored."""
    for code, exit_code in STOPS.items():
        with Closer(code, answers_first=False) as p:
            done = client(p, **FAST).run("send", "event/a", "1")
            assert done.returncode == exit_code and str(code) in done.stderr and len(p.calls) == 1


def test_a_server_that_closes_at_once_is_not_stormed(client):
    """Each connection is open and lost at once: the waits grow all the same."""
    talk = peer.says(peer.close_frame(1011), first=peer.upgrade, then=peer.hold)
    with peer.Peer(talk) as p:
        pixi = client(p, RECONNECT_INITIAL_MS=1, RECONNECT_MAX_MS=60000, TIMEOUTS_CLOSE_MS=100)
        listener = pixi.spawn("listen", "--retry", "#")
        waits = [float(listener.wait_line(r"trying again in ([\d.]+) s", nth=n)[1]) for n in range(1, 10)]
        assert all(wait <= 0.001 * 2**i + 0.1 for i, wait in enumerate(waits)), waits
        assert listener.stop() == 0


@pytest.fixture
def with_urls(client, settings):
    def with_urls(server, *urls, **variables):
        pixi = client(server, SETTINGS=settings(urls=list(urls)), **variables)
        del pixi.env["PIXI_WS_URL"]
        return pixi

    return with_urls


def test_each_server_is_tried_before_giving_up(hub, with_urls, free_port):
    """Also by a command that does not wait for servers."""
    s = hub()
    dead = f"ws://127.0.0.1:{free_port()}/api/v1"
    begin = time.monotonic()
    done = with_urls(s, dead, s.url + "/else", s.url).run("send", "event/a", "1")
    assert done.returncode == 0, done
    assert f"trying 127.0.0.1:{s.port}\n" in done.stderr and "404" in done.stderr
    done = with_urls(s, dead, s.url + "/else").run("send", "event/a", "1")
    assert done.returncode == 7 and "refused" in done.stderr and "fix: correct the path" in done.stderr
    assert time.monotonic() - begin < 60


def test_a_key_that_one_server_refuses(hub, with_urls):
    """It is the same key everywhere: nobody else is asked."""
    s = hub()
    with peer.Peer(peer.hold) as other:
        pixi = with_urls(s, s.url, other.url)
        done = pixi.run("send", "event/a", "1", env={"PIXI_WS_API_KEY": "pk_" + "x" * 43})
        assert done.returncode == 8 and not other.heads


def test_the_second_takes_over(hub, with_urls):
    """And when it goes, the first is tried first."""
    first, second = hub(), hub()
    pixi = with_urls(first, first.url, second.url, **FAST)
    listener = pixi.listen("event/#")
    first.proc.stop()
    listener.wait_line(f"trying 127.0.0.1:{second.port}", stream="err")
    listener.wait_line("listening to event/# again", stream="err")
    again = hub(port=first.port)
    second.proc.stop()
    listener.wait_line("listening to event/# again", stream="err", nth=2)
    pixi.ok("send", "event/a", "1", env={"PIXI_WS_URL": again.url})
    listener.wait_line('"topic":"event/a"', stream="out")
    assert listener.stop() == 0
