"""tools/run, which is make run: server, page and city, and nothing of it is left."""

import json
import os
import re
import shutil
import signal
import stat
import urllib.request

import pytest


@pytest.fixture
def place(root, tmp_path):
    """A tree with the script and the programs, so that nobody else's build/run is touched."""
    (tmp_path / "tools").mkdir()
    shutil.copy(root / "tools/run", tmp_path / "tools/run")
    (tmp_path / "build").mkdir()
    (tmp_path / "build/bin").symlink_to(root / "build/bin")
    return tmp_path




@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_the_page_is_there_and_the_city_moves(place, spawn, run, sig):
    proc = spawn([place / "tools/run", "--objects", "8"], cwd=place)
    at = proc.wait_line(r"the page +(http://127\.0\.0\.1:\d+/)$", stream="out")[1]
    proc.wait_line("8 in motion", stream="err")
    with urllib.request.urlopen(at, timeout=20) as answer:
        assert answer.status == 200 and answer.headers.get_content_type() == "text/html"
    folder = place / "build/run"
    for path in [folder, *folder.iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    env = {"PIXI_WS_URL": f"ws{at[4:]}api/v1", "PIXI_WS_API_KEY": (folder / "page.key").read_text().strip()}
    heard = run(["pixi-ws-client", "listen", "-n", "50", "scene/objects/#"], env=env)
    topics = {json.loads(line)["topic"] for line in heard.stdout.splitlines()}
    assert len(topics) > 10 and all(topic.startswith("scene/objects/demo-") for topic in topics)
    assert run(["pixi-ws-client", "send", "event/scene/click", "{}"], env=env).returncode == 0
    assert (folder / "page.key").read_text().strip() not in proc.out + proc.err + (folder / "server.log").read_text()
    proc.stop(sig)
    assert "the city is taken away" in proc.err
    assert re.search("stopping", (folder / "server.log").read_text())
    assert proc.returncode in (128 + sig, -sig)


def test_the_port_is_taken_and_the_keys_stay(place, spawn):
    """Two at a time: one of them has 8768, if nobody else has it."""
    one = spawn([place / "tools/run", "--objects", "1"], cwd=place)
    first = one.wait_line(r"the page +(http://127\.0\.0\.1:\d+/)$", stream="out")[1]
    one.wait_line("1 in motion", stream="err")
    key = (place / "build/run/page.key").read_text()
    two = spawn([place / "tools/run", "--objects", "1"], cwd=place)
    second = two.wait_line(r"the page +(http://127\.0\.0\.1:\d+/)$", stream="out")[1]
    two.wait_line("1 in motion", stream="err")
    assert first != second and (place / "build/run/page.key").read_text() == key
    for proc in (two, one):
        proc.stop(signal.SIGINT)
        assert "the city is taken away" in proc.err


def test_a_demo_that_fails_ends_it(place, spawn):
    proc = spawn([place / "tools/run", "--rate", "121"], cwd=place)
    assert proc.wait() == 2 and "at most" in proc.err
