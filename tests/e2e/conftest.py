"""What the end-to-end tests share: rpc, proxy and pages can be imported."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("rpc", "proxy", "pages")


class Client:
    """pixi-ws-client with one server's URL and key, in a folder without settings."""

    def __init__(self, run, spawn, env, cwd):
        self._run, self._spawn, self.env, self.cwd = run, spawn, env, cwd

    def run(self, *args, input=None, timeout=60, env=None, **more):
        """The finished process, whatever its exit code."""
        env = {**self.env, **(env or {})}
        return self._run(["pixi-ws-client", *args], input=input, timeout=timeout, env=env, cwd=self.cwd, **more)

    def ok(self, *args, input=None, **more):
        """The same, its exit code 0; what it printed."""
        done = self.run(*args, input=input, **more)
        assert done.returncode == 0, done
        return done.stdout

    def spawn(self, *args, env=None):
        return self._spawn(["pixi-ws-client", *args], env={**self.env, **(env or {})}, cwd=self.cwd)

    def shell(self, script):
        return self._spawn(["bash", "-c", script], env=self.env, cwd=self.cwd)

    def listen(self, *args, env=None):
        """A listener whose subscription stands."""
        proc = self.spawn("listen", *args, env=env)
        proc.wait_line("listening to", stream="err")
        return proc


@pytest.fixture
def client(run, spawn, tmp_path):
    """client(server, key=None, **variables) -> Client; variables as TIMEOUTS_UPGRADE_MS=100. A key of "" is none."""

    def client(server, key=None, url=None, **variables):
        env = {"PIXI_WS_URL": url or server.url, "PIXI_WS_API_KEY": server.key if key is None else key}
        env.update({f"PIXI_WS_{name}": str(value) for name, value in variables.items()})
        return Client(run, spawn, env, tmp_path)

    return client
