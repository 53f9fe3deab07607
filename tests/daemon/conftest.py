"""What the daemon's tests share: local can be imported.

daemon   daemon(server, **settings) -> Daemon: running, with .socket, .local() and .status()
stored   stored(server or daemon, filter) -> every message that the server has kept, oldest first
shim     Shim: .env is for a program whose disk and clock it has in hand
row      the row of docs/daemon.md's table that @pytest.mark.fault("id") names
"""

import json
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e"), str(HERE.parent / "wire")]
pytest.register_assert_rewrite("local", "rpc", "proxy", "faults")

import faults  # noqa: E402
from local import Gone, Local  # noqa: E402
from rpc import Rpc  # noqa: E402


class Daemon:
    """pixi-ws-client daemon with settings of its own; it can be killed and started again."""

    def __init__(self, spawn, run, program, file, socket, outbox):
        self._spawn, self._run, self.program = spawn, run, program
        self.file, self.socket, self.outbox, self.proc = file, socket, outbox, None

    def start(self, env=None, is_waited=True):
        self.proc = self._spawn([*self.program, "--settings", self.file, "daemon"], env=env)
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
    """daemon(server or URL, start=True, key=, **settings) -> Daemon. Settings as "outbox__bytes"; program= is how it is
    started, where that is another way."""
    made = []

    def daemon(server, start=True, key=None, env=None, program=("pixi-ws-client",), **members):
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
        out = Daemon(spawn, run, program, settings(name, **{k: v for k, v in members.items() if v is not None}), socket, outbox)
        made.append(out)
        return out.start(env) if start else out

    return daemon


@pytest.fixture
def stored():
    def stored(place, filter):
        out, since = [], None
        with place.local() if isinstance(place, Daemon) else Rpc(place) as link:
            while True:
                more = {"since": since} if since else {}
                page = link.call("history", filter=filter, limit=1000, **more)
                out += page["messages"]
                if not page["more"]:
                    return out
                since = {name: out[-1][name] for name in ("epoch", "offset")}

    return stored


class Shim:
    """tests/daemon/shim.c in a program, and the orders it obeys."""

    def __init__(self, library, folder, asan_options):
        assert library.exists(), f"{library} is not built: make helpers"
        folder.mkdir()
        self.folder = folder
        self.env = {
            "LD_PRELOAD": str(library),
            "PIXI_SHIM": str(folder),
            "ASAN_OPTIONS": f"{asan_options}:verify_asan_link_order=0",
        }

    def _write(self, name, text):
        file = self.folder / f"{name}.new"
        file.write_text(text)
        file.rename(self.folder / name)

    def disk(self, order):
        self._write("disk", order)

    def wait_obeyed(self, timeout=20):
        """Until what was to happen once has happened."""
        until = time.monotonic() + timeout
        while (self.folder / "disk").read_text():
            assert time.monotonic() < until
            time.sleep(0.01)

    def clock(self, seconds):
        self._write("clock", str(seconds))


@pytest.fixture
def shim(root, tmp_path, env):
    return Shim(root / "build/tests/daemon/shim.so", tmp_path / "shim", env["ASAN_OPTIONS"])


@pytest.fixture
def row(request):
    name = request.node.get_closest_marker("fault").args[0]
    row = faults.read_table().get(name)
    assert row, f"{name}: no row in docs/daemon.md"
    yield row
    assert row.is_compared or request.session.testsfailed, f"{name}: was not compared with what was seen"


def pytest_configure(config):
    config.addinivalue_line("markers", "fault(id): the row of docs/daemon.md's table of faults that this test provokes")


__all__ = ["Gone"]
