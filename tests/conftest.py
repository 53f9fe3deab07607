"""What process tests share. Fixtures, not imports: ask for them by name.

root      the project's folder                    bin_dir   where pixi-ws-client and pixi-ws-server are
run       run(args, input=, timeout=)             spawn     spawn(args) -> Proc, stopped at the end
server    server(*args) -> Server with .url       env       a clean environment to start programs in
hub       hub(**settings) -> Server with .key     settings  settings(name, **members) -> a file of them
broker    the same with .mqtt_port
echo      echo(**settings) -> Server that echoes  free_port free_port() -> a TCP port of 127.0.0.1

Programs named pixi-ws-* and geom-image come from bin_dir. A sanitizer report in any program's stderr fails the test.
Wait for lines and ends of programs, never for time to pass.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 20  # generous: machines are noisy
SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|: runtime error: |SUMMARY: \w*Sanitizer")


class Proc:
    """A running program in a session of its own; threads read its output, so it never blocks on us."""

    def __init__(self, args, env, cwd=None):
        self.args = [str(a) for a in args]
        self._lines = {"out": [], "err": []}
        self._open = {"out", "err"}
        self._news = threading.Condition()
        self._popen = subprocess.Popen(
            self.args,
            env=env,
            cwd=cwd,
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._readers = []
        for name, pipe in (("out", self._popen.stdout), ("err", self._popen.stderr)):
            thread = threading.Thread(target=self._read, args=(name, pipe), daemon=True)
            thread.start()
            self._readers.append(thread)

    def _read(self, name, pipe):
        for line in pipe:
            with self._news:
                self._lines[name].append(line.decode("utf-8", "replace"))
                self._news.notify_all()
        with self._news:
            self._open.discard(name)
            self._news.notify_all()
        pipe.close()

    def _text(self, name):
        with self._news:
            return "".join(self._lines[name])

    @property
    def pid(self):
        return self._popen.pid

    @property
    def out(self):
        return self._text("out")

    @property
    def err(self):
        return self._text("err")

    @property
    def returncode(self):
        """None while it runs; negative when a signal ended it."""
        return self._popen.poll()

    def write(self, text):
        """Give text to its standard input."""
        self._popen.stdin.write(text.encode() if isinstance(text, str) else text)
        self._popen.stdin.flush()

    def close_input(self):
        self._popen.stdin.close()

    def wait_line(self, regex, timeout=TIMEOUT_S, stream=None, nth=1):
        """The match of the nth line, since the start, where regex is found; stream "out", "err", or None for both.

        Fails at once, showing the output, when the program closes its output without such a line.
        """
        streams = (stream,) if stream else ("out", "err")
        pattern = re.compile(regex)

        def matches():
            return [m for s in streams for m in map(pattern.search, self._lines[s]) if m]

        def is_over():
            return len(matches()) >= nth or self._open.isdisjoint(streams)

        with self._news:
            self._news.wait_for(is_over, timeout)
            found, is_open = matches(), not self._open.isdisjoint(streams)
        if len(found) >= nth:
            return found[nth - 1]
        why = f"not within {timeout} s"
        if not is_open:
            why = "its output has ended"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(1)  # only for the exit code in the message
        raise AssertionError(f"waited for line {nth} matching {regex!r}: {why}\n{self}")

    def _wait_end(self, timeout):
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s\n{self}") from None

    def wait(self, timeout=TIMEOUT_S):
        """Wait for its end, and for the rest of its output; the exit code."""
        deadline = time.monotonic() + timeout
        code = self._wait_end(timeout)
        for thread in self._readers:
            thread.join(max(0, deadline - time.monotonic()))
        return code

    def stop(self, sig=signal.SIGTERM, timeout=TIMEOUT_S):
        """Ask it to end and wait until it has; what it started in its session is killed. The exit code."""
        try:
            if self.returncode is None:
                os.kill(self.pid, sig)
            return self._wait_end(timeout)
        finally:
            self._clear()

    def kill(self):
        return self.stop(signal.SIGKILL)

    def _clear(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        for thread in self._readers:
            thread.join(TIMEOUT_S)
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.close()

    def __str__(self):
        return f"$ {' '.join(self.args)}\n--- stdout\n{self.out}--- stderr\n{self.err}--- exit {self.returncode}"


class Server:
    """A running pixi-ws-server on a port of its own choice."""

    def __init__(self, proc):
        self.proc = proc
        self.host = "127.0.0.1"
        self.port = int(proc.wait_line(r"^listening on 127\.0\.0\.1:(\d+)$", stream="out")[1])
        self.url = f"ws://{self.host}:{self.port}/api/v1"


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def bin_dir():
    return Path(os.environ.get("PIXI_BIN", ROOT / "build/san/bin")).resolve()


@pytest.fixture(scope="session")
def free_port():
    def free_port():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    return free_port


@pytest.fixture
def env(tmp_path):
    """This environment without settings that would leak into a program: PIXI_WS_*, proxies, the user's home."""
    clean = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("PIXI_WS_", "XDG_", "LC_")) and not k.lower().endswith("_proxy")
    }
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    clean.update(HOME=str(home), LANG="C.UTF-8", TZ="UTC")
    clean.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=1")
    clean.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    return clean


@pytest.fixture
def command(bin_dir):
    """Arguments as they are started: our programs from bin_dir, everything as text."""

    def command(args):
        program, *rest = [str(a) for a in args]
        if program.startswith("pixi-ws-") or program == "geom-image":
            path = bin_dir / program
            assert path.exists(), f"{path} is not built: make san"
            program = str(path)
        return [program, *rest]

    return command


@pytest.fixture
def run(env, command):
    """run(args, input=None, timeout=60) -> CompletedProcess with text, whatever the exit code.

    env= adds variables; other arguments go to subprocess.run.
    """
    clean = env

    def run(args, input=None, timeout=60, env=None, **more):
        done = subprocess.run(
            command(args),
            input=input if input is not None else "",
            timeout=timeout,
            env={**clean, **(env or {})},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            **more,
        )
        if SANITIZER.search(done.stderr):
            pytest.fail(f"sanitizer report of {args}\n{done.stderr}", pytrace=False)
        return done

    return run


@pytest.fixture
def spawn(env, command):
    """spawn(args, env=None, cwd=None) -> Proc. At the end of the test all are stopped, newest first."""
    clean, started = env, []

    def spawn(args, env=None, cwd=None):
        proc = Proc(command(args), {**clean, **(env or {})}, cwd)
        started.append(proc)
        return proc

    yield spawn
    faults = []
    deadline = time.monotonic() + TIMEOUT_S
    for proc in reversed(started):
        try:
            proc.stop(timeout=max(0.1, deadline - time.monotonic()))
        except AssertionError:
            faults.append(f"did not end at SIGTERM: {proc}")
        if SANITIZER.search(proc.err):
            faults.append(f"sanitizer report: {proc}")
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


@pytest.fixture
def server(spawn):
    """server(*args, env=None, cwd=None) -> Server: pixi-ws-server with these arguments, ready."""

    def server(*args, env=None, cwd=None):
        return Server(spawn(["pixi-ws-server", *args, "--listen", "127.0.0.1:0"], env=env, cwd=cwd))

    return server


@pytest.fixture
def settings(tmp_path):
    """settings(name="settings", **members) -> path of a settings file; a member "a__b" is "a": {"b": ...}."""

    def settings(name="settings", **members):
        tree = {}
        for path, value in members.items():
            group, _, member = path.rpartition("__")
            (tree.setdefault(group, {}) if group else tree)[member] = value
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(tree))
        file.chmod(0o600)
        return file

    return settings


@pytest.fixture
def echo(server, settings):
    """echo(**settings) -> Server that sends every message back."""

    def echo(**members):
        return server("--echo", "--config", settings("server", **members))

    return echo


@pytest.fixture
def hub(spawn, settings, run, tmp_path):
    """hub(**settings) -> Server with .key, an API key that may do everything, and .keys, those and others by name.

    keys={"name": ("may/publish", "may/subscribe")} makes others; port= is for one that comes back; program= is another
    build; its arguments go before.
    """
    made, file = {}, tmp_path / "server.keys"

    def add_key(name, publish, subscribe):
        args = ["key", "add", name, "--publish", publish, "--subscribe", subscribe, "--keys", file]
        done = run(["pixi-ws-server", *args])
        assert done.returncode == 0, done.stderr
        made[name] = done.stdout.strip()

    def hub(*args, port=0, keys=None, program="pixi-ws-server", env=None, **members):
        for name, (publish, subscribe) in {"test": ("#", "#"), **(keys or {})}.items():
            if name not in made:
                add_key(name, publish, subscribe)
        config = settings("server", **members)
        listen = f"127.0.0.1:{port}"
        out = Server(spawn([program, *args, "--config", config, "--keys", file, "--listen", listen], env=env))
        out.keys, out.key, out.bearer = made, made["test"], f"Authorization: Bearer {made['test']}"
        return out

    return hub


@pytest.fixture
def broker(hub):
    """broker(**settings) -> Server that speaks MQTT over TCP, too."""

    def broker(*args, **members):
        s = hub("--mqtt", "127.0.0.1:0", *args, **members)
        s.mqtt_port = int(s.proc.wait_line(r"^listening on 127\.0\.0\.1:(\d+) for MQTT$", stream="out")[1])
        return s

    return broker
