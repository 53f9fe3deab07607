"""What the tests against other people's programs share."""

import pytest


@pytest.fixture
def client(run, spawn, tmp_path):
    """client(server) -> our own client with that server's URL and key: .ok(*args), .spawn(*args), .listen(*args)."""

    class Client:
        def __init__(self, s):
            self.env = {"PIXI_WS_URL": s.url, "PIXI_WS_API_KEY": s.key}

        def ok(self, *args):
            done = run(["pixi-ws-client", *args], env=self.env, cwd=tmp_path)
            assert done.returncode == 0, done
            return done.stdout

        def spawn(self, *args):
            return spawn(["pixi-ws-client", *args], env=self.env, cwd=tmp_path)

        def listen(self, *args):
            proc = self.spawn("listen", *args)
            proc.wait_line("listening to", stream="err")
            return proc

    return Client
