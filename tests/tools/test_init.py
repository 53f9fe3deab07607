"""packaging/init: the daemon without a service manager, by a plain shell script."""

import os
import re

import pytest


@pytest.fixture
def init(run, root, settings, tmp_path, bin_dir):
    """init(word) -> the script's run, with a daemon of this test alone."""
    file = settings(
        "daemon",
        url="ws://127.0.0.1:9/",
        daemon__socket=str(tmp_path / "pixi.sock"),
        outbox__path=str(tmp_path / "outbox"),
    )
    env = {
        "PIXI_WS_SETTINGS": str(file),
        "PIXI_WS_CLIENT": str(bin_dir / "pixi-ws-client"),
        "PIXI_WS_RUN": str(tmp_path / "run"),
        "PIXI_WS_LOG": str(tmp_path / "log"),
    }

    def init(word):
        return run(["sh", root / "packaging/init/pixi-ws-client-daemon", word], env=env)

    yield init
    init("stop")


def test_start_kill_reload_stop(init, run, tmp_path):
    def status(differs_from=None):
        """Its process, once the daemon answers."""
        while True:
            done = run(["pixi-ws-client", "status", "--socket", tmp_path / "pixi.sock"])
            found = re.search(r", process (\d+), for ", done.stdout)
            if found and found[1] != differs_from:
                return found[1]

    assert init("start").returncode == 0
    first = status()
    assert "is running" in init("start").stdout
    os.kill(int(first), 9)
    second = status(differs_from=first)  # it is started again
    assert init("reload").returncode == 0
    assert init("status").returncode == 5  # no server is there
    assert status() == second
    assert init("stop").returncode == 0
    assert not (tmp_path / "run/daemon.pid").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(second), 0)
    assert "settings were read again" in (tmp_path / "log").read_text()
    assert init("status").returncode == 1


def test_wrong_use(init):
    done = init("begin")
    assert done.returncode == 2 and "usage: " in done.stderr
