"""What the server tells a service manager: systemd's protocol, spoken by hand."""

import os
import signal
import socket
import time

import pytest

from rpc import Rpc

TIMEOUT_S = 20


class Manager:
    """The manager's end of NOTIFY_SOCKET: hear() gives the next message as a dictionary."""

    def __init__(self, at):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(at)
        self.sock.settimeout(TIMEOUT_S)
        self.name = "@" + at[1:] if at[0] == "\0" else at

    def hear(self):
        return dict(line.split("=", 1) for line in self.sock.recv(4096).decode().split("\n"))

    def hear_state(self):
        """The next message that is no watchdog's beat."""
        while (heard := self.hear()) == {"WATCHDOG": "1"}:
            pass
        return heard


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    at = str(tmp_path / "notify") if request.param == "path" else f"\0pixi-test-{os.getpid()}-{tmp_path.name}"
    manager = Manager(at)
    yield manager
    manager.sock.close()


def test_a_whole_life(hub, manager):
    s = hub(env={"NOTIFY_SOCKET": manager.name})
    assert manager.hear() == {"READY": "1", "STATUS": f"Listening on 127.0.0.1:{s.port}"}
    with Rpc(s) as rpc:  # ready is ready
        rpc.publish("a", 1)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    os.kill(s.proc.pid, signal.SIGHUP)
    heard = manager.hear()
    assert heard.pop("RELOADING") == "1"
    assert before <= int(heard.pop("MONOTONIC_USEC")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert not heard and manager.hear() == {"READY": "1", "STATUS": "Read again"}
    os.kill(s.proc.pid, signal.SIGTERM)
    heard = manager.hear()
    assert int(heard.pop("EXTEND_TIMEOUT_USEC")) > 5_000_000  # drain_ms
    assert heard == {"STOPPING": "1", "STATUS": "Stopping"}
    assert s.proc.wait() == 0


def test_a_reload_that_failed(hub, manager, tmp_path):
    s = hub(env={"NOTIFY_SOCKET": manager.name})
    manager.hear()
    (tmp_path / "server.keys").write_text("{")
    os.kill(s.proc.pid, signal.SIGHUP)
    assert "RELOADING" in manager.hear()
    assert manager.hear() == {"READY": "1", "STATUS": "Not read again: API keys"}


def test_the_watchdog_is_told_again_and_again(hub, manager):
    """Also while the server is ending, and not while it hangs."""
    s = hub(env={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "20000"}, drain_ms=60000)
    assert manager.hear_state()["READY"] == "1"
    for _ in range(5):
        assert manager.hear() == {"WATCHDOG": "1"}
    os.kill(s.proc.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, s.proc.pid, os.WSTOPPED | os.WNOWAIT)
    manager.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        while manager.hear():
            pass
    manager.sock.settimeout(TIMEOUT_S)
    os.kill(s.proc.pid, signal.SIGCONT)
    assert manager.hear() == {"WATCHDOG": "1"}
    with Rpc(s):
        os.kill(s.proc.pid, signal.SIGTERM)
        assert manager.hear_state()["STOPPING"] == "1"
    assert s.proc.wait() == 0


def test_a_watchdog_of_another_process(hub, manager):
    s = hub(env={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "2000", "WATCHDOG_PID": "1"})
    assert manager.hear()["READY"] == "1"
    with Rpc(s) as rpc:
        for i in range(20):
            rpc.publish("a", i)
    os.kill(s.proc.pid, signal.SIGTERM)
    assert manager.hear()["STOPPING"] == "1"


@pytest.mark.parametrize("name, why", [("vsock:2:1", "expected a path"), ("/nowhere/at/all", "No such file")])
def test_a_manager_that_cannot_be_told(hub, name, why):
    """It is said, and the server serves."""
    s = hub(env={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "2000"})
    s.proc.wait_line(f"the service manager cannot be told: NOTIFY_SOCKET: {why}", stream="err")
    with Rpc(s) as rpc:
        rpc.publish("a", 1)
