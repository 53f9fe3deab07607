"""What the tests of the wire share: raw and peers can be imported, and live("id") says which live test of
docs/rfc6455.md a test is."""

import contextlib
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("raw", "tls", "mqtt")

from mqtt import Peer  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "live(*ids): the live tests of docs/rfc6455.md or docs/rfc7692.md that this test is")


@pytest.fixture
def client(spawn, settings):
    """client("connect", url, "--no-key", **settings) -> Proc of pixi-ws-client."""
    count = iter(range(10**6))

    def client(*args, env=None, **members):
        file = settings(f"client-{next(count)}", **members)
        return spawn(["pixi-ws-client", "--settings", file, *args], env=env)

    return client


@pytest.fixture
def peer():
    """peer(broker, way="tcp", version=5, id=None, **connect) -> Peer, its CONNECT accepted."""
    with contextlib.ExitStack() as stack:

        def peer(hub, way="tcp", version=5, id="", **more):
            p = stack.enter_context(Peer(hub, way, version))
            p.connack = p.connect(id, **more)
            assert p.connack.reason == 0, p.connack
            return p

        yield peer


@pytest.fixture
def again(broker, tmp_path):
    """again(sig=None, **settings) -> Server: the first, or the next on the same data after the last was told sig."""
    last = []

    def again(sig=None, **members):
        if last:
            os.kill(last[-1].proc.pid, sig)
            last[-1].proc.wait()
        last.append(broker("--data", tmp_path / "data", **members))
        return last[-1]

    return again
