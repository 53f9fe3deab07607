"""A URL on the command line: the settings' key goes along only where it is meant for it."""

import json
import shutil

import pytest

import peer

KEY = "pk_of-nobody_in-particular"


@pytest.fixture
def folder(root, tmp_path):
    """A working directory with the template as it comes with the project: its key file is not there."""
    (tmp_path / "config").mkdir()
    shutil.copy(root / "config/websocket_settings.json", tmp_path / "config")
    return tmp_path


@pytest.fixture
def pixi(run, folder):
    return lambda *args, **more: run(["pixi-ws-client", *args], cwd=folder, **more)


def own_url(folder, url):
    """The settings' own URL, and a key beside it."""
    (folder / "config/websocket_settings.json").write_text(json.dumps({"url": url, "api_key_file": "api_key"}))
    (folder / "config/api_key").write_text(KEY)
    (folder / "config/api_key").chmod(0o600)


def test_the_template_as_it_comes(pixi, echo):
    s = echo()
    url = f"ws://127.0.0.1:{s.port}/"
    done = pixi("verify", url)
    assert done.returncode == 0 and "settings' is for 127.0.0.1:8768" in done.stdout, done
    done = pixi("connect", url, input="hello\n")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done
    assert pixi("--url", url, "connect", "--no-key", input="hello\n").stdout == "hello\n"
    done = pixi("send", "a", "1")
    assert done.returncode == 3 and "found no file at config/api_key" in done.stderr
    done = pixi("verify", "ws://localhost:8768/")
    assert done.returncode == 3 and "found no file at config/api_key" in done.stderr, "the same server"


def test_no_key_needs_none(pixi, folder):
    """Not even for the settings' own server, and not the settings' file either."""
    with peer.Peer(peer.says(b"", first=peer.upgrade, then=peer.hold)) as p:
        own_url(folder, p.url)
        (folder / "config/api_key").unlink()
        done = pixi("connect", "--no-key", "-p", "pixi.v1", env={"PIXI_WS_TIMEOUTS_CLOSE_MS": "1"})
        assert done.returncode in (0, 10), done
        assert b"authorization" not in p.heads[0].lower()


# Where the settings point, whether the key goes to the peer.
OWN = {
    "the same": ("ws://127.0.0.1:{port}/api/v1", True),
    "another path": ("ws://127.0.0.1:{port}/else", True),
    "another name of it": ("ws://localhost:{port}/", True),
    "another port": ("ws://127.0.0.1:1/api/v1", False),
    "another host": ("ws://pixi.example:{port}/api/v1", False),
    "the same with TLS": ("wss://127.0.0.1:{port}/api/v1", False),
}


@pytest.mark.parametrize("own", OWN)
def test_who_gets_the_key(pixi, folder, own):
    url, goes = OWN[own]
    with peer.Peer(peer.says(b"HTTP/1.1 404 Not Found\r\n\r\n", first=peer.read_head)) as p:
        own_url(folder, url.format(port=p.port))
        for args in (["verify", p.url], ["--url", p.url, "send", "a", "1"], ["connect", p.url]):
            del p.heads[:]
            assert pixi(*args).returncode == 7
            assert {KEY.encode() in head for head in p.heads} == {goes}, args


def test_a_key_of_the_environment_is_given(pixi, folder):
    with peer.Peer(peer.says(b"HTTP/1.1 404 Not Found\r\n\r\n", first=peer.read_head)) as p:
        env = {"PIXI_WS_API_KEY": KEY}
        assert pixi("connect", p.url, env=env).returncode == 7
        assert KEY.encode() in p.heads[-1]
        assert pixi("connect", p.url, env={**env, "PIXI_WS_URL": "ws://127.0.0.1:1/"}).returncode == 7
        assert KEY.encode() not in p.heads[-1]


def test_a_server_that_wants_one_says_which_was_kept(pixi, folder, hub):
    s = hub()
    own_url(folder, "wss://pixi.example/api/v1")
    for args in (["--url", s.url, "send", "a", "1"], ["connect", s.url]):
        done = pixi(*args)
        assert done.returncode == 8 and "401" in done.stderr
        assert "fix: the settings' key is for pixi.example and was not sent here" in done.stderr
        assert "PIXI_WS_API_KEY_FILE" in done.stderr
    report = json.loads(pixi("--json", "verify", "--quick", s.url).stdout)
    row = next(c for c in report["checks"] if c["verdict"] == "failed")
    assert (row["id"], row["layer"], row["exit"]) == ("upgrade", "key", 8)
    assert "is for pixi.example: it was not sent here" in row["cause"] and "PIXI_WS_API_KEY_FILE" in row["fix"]
    assert pixi("verify", s.url, env={"PIXI_WS_API_KEY": s.key}).returncode == 0
    assert "none is sent: that in the settings is for pixi.example" in pixi("--url", s.url, "config", "show").stdout
