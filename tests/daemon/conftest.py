"""What the daemon's tests share: local can be imported.

daemon   daemon(server, **settings) -> Daemon: running, with .socket, .local() and .status()
stored   stored(server, filter) -> every message that the server has kept, oldest first
"""

import json
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e"), str(HERE.parent / "wire")]
pytest.register_assert_rewrite("local", "rpc", "proxy")

from local import Gone, Local  # noqa: E402
from rpc import Rpc  # noqa: E402


class Daemon:
    """pixi-ws-client daemon with settings of its own; it can be killed and started again."""

    def __init__(self, spawn, run, file, socket, outbox):
        self._spawn, self._run, self.file, self.socket, self.outbox = spawn, run, file, socket, outbox
        self.proc = None

    def start(self, env=None, is_waited=True):
        self.proc = self._spawn(["pixi-ws-client", "--settings", self.file, "daemon"], env=env)
        if is_waited:
            self.proc.wait_line(r"^listening on ", stream="out")
        return self

    def kill(self):
        self.proc.kill()

    def local(self, **more):
        return Local(self.socket, **more)

    def status(self):
        with self.local() as program:
            return program.call("status")

    def client(self, *args, **more):
        return self._run(["pixi-ws-client", "--settings", self.file, *args], **more)

    def wait_status(self, is_it, timeout=20):
        """Until the status is so: it is asked again each time that the daemon has done something."""
        import time

        until = time.monotonic() + timeout
        while True:
            status = self.status()
            if is_it(status):
                return status
            assert time.monotonic() < until, json.dumps(status, indent=1)
            time.sleep(0.02)

    def wait_empty(self, timeout=30):
        return self.wait_status(lambda s: s["outbox"]["messages"] == 0, timeout)


@pytest.fixture
def daemon(spawn, run, settings, tmp_path):
    """daemon(server or URL, start=True, key=, **settings) -> Daemon. Settings as "outbox__bytes"."""
    made = []

    def daemon(server, start=True, key=None, env=None, **members):
        name = f"daemon{len(made)}"
        socket, outbox = tmp_path / f"{name}.sock", tmp_path / name
        members = {
            "url": getattr(server, "url", server),
            "api_key": key or getattr(server, "key", "pk_nobody_in_particular"),
            "daemon__socket": str(socket),
            "outbox__path": str(outbox),
            "reconnect__initial_ms": 20,
            "reconnect__max_ms": 200,
            **members,
        }
        out = Daemon(spawn, run, settings(name, **{k: v for k, v in members.items() if v is not None}), socket, outbox)
        made.append(out)
        return out.start(env) if start else out

    return daemon


@pytest.fixture
def stored():
    def stored(server, filter):
        out, since = [], None
        with Rpc(server) as link:
            while True:
                more = {"since": since} if since else {}
                page = link.call("history", filter=filter, limit=1000, **more)
                out += page["messages"]
                if not page["more"]:
                    return out
                since = {name: out[-1][name] for name in ("epoch", "offset")}

    return stored


__all__ = ["Gone"]
