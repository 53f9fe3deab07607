"""The README's tour, typed as it stands: its blocks are run in order, in two terminals where it says so."""

import json
import os
import re
import signal
import subprocess

import pytest


@pytest.fixture
def blocks(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    tour = text[text.index("## A tour") : text.index("## What is where")]
    found = re.findall(r"```sh\n(.*?)```", tour, re.S)
    assert len(found) == 5
    return found


@pytest.fixture
def shell(tmp_path, bin_dir, env, spawn):
    """Starts a block in a shell of its own, in the folder that the tour has gone to."""
    os.makedirs(tmp_path / "build" / "tour", exist_ok=True)
    paths = dict(env, PATH=f"{bin_dir}:{env['PATH']}")

    def start(script, cwd=tmp_path / "build" / "tour"):
        return spawn(["bash", "-e", "-c", script], env=paths, cwd=cwd)

    return start


def test_two_commands_are_what_the_makefile_has(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    first = re.search(r"## Two commands.*?```sh\n(.*?)```", text, re.S).group(1)
    assert first == "make verify\nmake test\n"
    for target in first.split()[1::2]:
        subprocess.run(["make", "-n", target], cwd=root, check=True, stdout=subprocess.DEVNULL)


def test_the_tour_works_as_typed(blocks, shell, tmp_path, free_port):
    port = str(free_port())
    setup, listen, send, answer, ask = blocks
    # What differs from the page: the programs are built already and on the PATH, and the port is a free one.
    assert setup.startswith('make\nexport PATH="$PWD/build/bin:$PATH"\n')
    setup = setup.split("\n", 2)[2].replace("8768", port)
    assert setup.rstrip().endswith("pixi-ws-server &")
    setup = setup.replace("pixi-ws-server &", f"exec pixi-ws-server --listen 127.0.0.1:{port}")

    server = shell(setup, cwd=tmp_path)
    server.wait_line(r"^listening on 127\.0\.0\.1:" + port)

    first = shell("exec " + listen)
    first.wait_line(r"listening to event/#", stream="err")
    second = shell("exec " + send)
    assert second.wait() == 0
    line = first.wait_line(r"^\{", stream="out").string
    assert json.loads(line)["topic"] == "event/tram/7"
    assert '"payload":{"x": 12, "y": 40}' in line

    responder = shell("exec " + answer)
    responder.wait_line(r"listening to request/route", stream="err")
    asker = shell("exec " + ask)
    assert asker.wait() == 0
    assert asker.out.strip() == '{"minutes": 4}'

    os.kill(server.pid, signal.SIGINT)
    assert server.wait() == 0
    verify = shell("exec pixi-ws-client verify")
    assert verify.wait() == 5
    report = verify.out
    assert "layer: tcp" in report and "fix:" in report
