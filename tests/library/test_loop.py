"""The library in a program's own loop, and a reader that falls behind."""

import pytest

from rpc import Rpc


def test_everything_by_callbacks(hub, run, program):
    """The server's words on the key: it may publish and subscribe to event and request only."""
    s = hub(keys={"narrow": ("event/#", "event/#")}, history=[{"filter": "event/#", "max_messages": 10}])
    with Rpc(s) as responder:
        responder.subscribe("request/echo")
        done = run(program("loop", s.url, s.keys["narrow"], 5))
    assert done.returncode == 0 and not done.stderr, done
    lines = done.stdout.splitlines()
    assert lines[0] == "connect OK 0 "
    assert "sent first OK" in lines and "sent second KEY" in lines
    assert "unsubscribed secret/# KEY key" in lines
    assert 'message event/1 event/# {"x":1} colour=red 6 1' in lines
    assert "reply none KEY " in lines and "reply echo KEY " in lines
    assert lines[-4:] == ["unsubscribe OK", "close OK", "closed OK 1000 ", "end CLOSED, 1"]


def test_requests_by_callbacks(hub, run, spawn, program):
    s = hub(history=[{"filter": "event/#", "max_messages": 10}])
    env = {"PIXI_WS_URL": s.url, "PIXI_WS_API_KEY": s.key}
    responder = spawn(["pixi-ws-client", "listen", "request/echo", "--reply", '"hallo"'], env=env)
    responder.wait_line("listening to")
    done = run(program("loop", s.url, s.key, 6))
    lines = done.stdout.splitlines()
    assert 'reply echo OK "hallo"' in lines and "reply none NO_RESPONDER " in lines
    assert "sent first OK" in lines and "sent second OK" in lines, done
    assert lines[-1] == "end CLOSED, 1"


def numbers(out):
    return [line for line in out.splitlines() if line != "ready"]


@pytest.fixture
def behind(hub, spawn, program):
    """A reader that 400 messages of 1,000 bytes passed by while it took none, and then took all that there are."""

    def behind(kept):
        s = hub(history=[{"filter": "event/#", "max_messages": kept}])
        reader = spawn(program("slow", s.url, s.key))
        reader.wait_line("ready")
        with Rpc(s) as publisher:
            for number in range(400):
                publisher.publish("event/number", f"{number:08}" + "x" * 1000, headers=[])
            reader.write("now\n")
            publisher.publish("event/number", 99999999, retain=True)
        assert reader.wait(60) == 0, reader
        return numbers(reader.out)

    return behind


def test_what_does_not_fit_is_fetched_again(behind):
    got = behind(1000)
    assert got == [f'"{n:08}'[:8] for n in range(400)] + ["99999999"]


def test_what_is_gone_meanwhile_is_said(behind):
    """The server keeps 20: what waited here is given first; then what the topic holds, and that there was a gap."""
    got = behind(20)
    at = got.index("gap")
    assert 20 < at < 380 and got[:at] == [f'"{n:08}'[:8] for n in range(at)]
    assert got[at:] == ["gap", "99999999"]
