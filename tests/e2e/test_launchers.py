"""bin/pixi-ws-client.sh and .bat: which program they start, as whom, and what they say when they cannot."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

SH = "pixi-ws-client.sh"
WINE = shutil.which("wine64") or "/usr/lib/wine/wine64"

is_root = os.geteuid() == 0
can_be_others = is_root and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0
as_root = pytest.mark.skipif(not can_be_others, reason="only root can become another user")
# Wine does not wait for the stand-in, a Unix program: on a busy machine what it says comes too late. So they run alone.
under_wine = pytest.mark.skipif("PIXI_TEST_WINDOWS" not in os.environ, reason="make test-windows runs it, under Wine")


@pytest.fixture
def env(env):
    """Without sanitizers' reports of a program that may not read its own /proc."""
    return {**env, "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"}


@pytest.fixture
def tmp_path():
    """A folder that other users may enter: pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="pixi-ws-launchers-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def place(tmp_path, root, bin_dir):
    """A folder as make install leaves it, with a space in its path: launcher and program in one bin."""
    place = tmp_path / "a place" / "bin"
    place.mkdir(parents=True)
    for name in (SH, "pixi-ws-client.bat", "pippi-ws-client.bat"):
        shutil.copy(root / "bin" / name, place / name)
    shutil.copy(bin_dir / "pixi-ws-client", place / "pixi-ws-client")
    return place


@pytest.fixture
def version(root):
    return f"pixi-ws-client {(root / 'VERSION').read_text().strip()}\n"


@pytest.fixture
def stay(env):
    """The line about the user is only root's; these tests are about something else."""
    env["PIXI_WS_RUN_AS"] = "root"
    return "pixi-ws-client.sh: runs as root, as PIXI_WS_RUN_AS says\n" if is_root else ""


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_the_launchers_may_be_executed(root):
    assert {f.name: oct(f.stat().st_mode & 0o777) for f in (root / "bin").iterdir() if f.suffix in (".sh", ".bat")} == {
        SH: "0o755",
        "pixi-ws-client.bat": "0o755",
        "pippi-ws-client.bat": "0o755",
    }


@pytest.mark.parametrize("cwd", ["/", "bin", "elsewhere"])
def test_the_program_beside_it_is_found_from_any_folder(run, place, tmp_path, version, cwd):
    (tmp_path / "elsewhere").mkdir()
    folder = {"/": "/", "bin": place, "elsewhere": tmp_path / "elsewhere"}[cwd]
    called = f"./{SH}" if cwd == "bin" else os.path.relpath(place / SH, folder)
    assert run([called, "--version"], cwd=folder).stdout == version


@pytest.mark.parametrize("how", ["absolute", "relative", "twice", "on PATH", "a folder"])
def test_links_lead_to_it(run, place, tmp_path, version, env, how):
    links = tmp_path / "my links"
    links.mkdir()
    called = links / "start"
    if how == "absolute":
        called.symlink_to(place / SH)
    elif how == "relative":
        called.symlink_to(os.path.relpath(place / SH, links))
    elif how == "twice":
        (links / "between").symlink_to(os.path.relpath(place / SH, links))
        called.symlink_to("between")
    elif how == "on PATH":
        called.symlink_to(place / SH)
        env["PATH"] = f"{links}:{env['PATH']}"
        called = "start"
    else:
        (links / "bin").symlink_to(place)
        called = links / "bin" / SH
    assert run(["sh", "-c", '"$@"', "sh", called, "--version"], cwd="/").stdout == version


def test_beside_it_comes_before_build_bin_and_that_before_the_path(run, place, tmp_path, env, stay):
    build = tmp_path / "a place" / "build" / "bin"
    on_path = tmp_path / "path"
    for folder in (build, on_path):
        folder.mkdir(parents=True)
    env["PATH"] = f"{on_path}:{env['PATH']}"
    places = [(place, "beside"), (build, "build"), (on_path, "path")]
    for folder, name in places:
        program(folder / "pixi-ws-client", f"echo {name}")
    for folder, name in places:
        done = run([place / SH])
        assert (done.stdout, done.stderr) == (f"{name}\n", stay)
        (folder / "pixi-ws-client").unlink()


@pytest.mark.parametrize(
    "language, name, hint",
    [
        ([], "pixi-ws-client", "make builds it"),
        (["--python"], "pixi-ws-client.py", "it belongs beside this file"),
        (["--rust"], "pixi-ws-client-rust", "make rust builds it"),
    ],
)
def test_each_language_and_what_is_said_without_it(run, place, stay, language, name, hint):
    (place / "pixi-ws-client").unlink()
    done = run([place / SH, *language, "send"])
    said = f"{SH}: {name} is neither in {place} nor in {place}/../build/bin nor on the PATH; {hint}\n"
    assert (done.returncode, done.stderr) == (127, said)
    program(place / name, 'printf "%s|" "$0" "$@"; exit 11')
    done = run([place / SH, *language, "send", "a b", "", "*", "$HOME", "--rust"])
    told = f"{place / name}|send|a b||*|$HOME|--rust|"
    assert (done.returncode, done.stdout, done.stderr) == (11, told, stay)


def test_whoever_is_not_root_stays(run, place, version):
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if is_root else []
    done = run([*nobody, place / SH, "--version"])
    assert (done.stdout, done.stderr) == (version, "")
    done = run([*nobody, place / SH, "--version"], env={"PIXI_WS_RUN_AS": "somebody"})
    assert done.stdout == version
    assert "only root can become somebody" in done.stderr


@pytest.fixture
def with_pixi(run, tmp_path):
    """with_pixi(args) runs them where there is a user pixi: in a mount namespace with another /etc/passwd."""
    tables = tmp_path / "etc"
    tables.mkdir()
    for name, line in (("passwd", "pixi:x:64999:64999::/:/bin/sh"), ("group", "pixi:x:64999:")):
        (tables / name).write_text(Path("/etc", name).read_text().rstrip("\n") + f"\n{line}\n")
    script = 'mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group && exec "$@"'
    return lambda args, **more: run(["unshare", "-m", "sh", "-c", script, tables, *args], **more)


SAID = {
    "yes": "runs as user pixi, not as root",
    "no settings": "runs as user pixi, not as root",
    "closed settings": "runs as root: user pixi cannot read {settings}",
    "closed key": "runs as root: user pixi cannot read what {settings} names",
    "wrong settings": "runs as user pixi, not as root",
    "closed program": "runs as root: user pixi cannot run {place}/pixi-ws-client",
    "root wanted": "runs as root, as PIXI_WS_RUN_AS says",
}


@as_root
@pytest.mark.parametrize("how", ["--settings", "-s", "behind the command", "environment", "working directory"])
@pytest.mark.parametrize("case", SAID)
def test_root_becomes_pixi_where_that_can_read_the_settings(with_pixi, place, tmp_path, case, how):
    config = tmp_path / "config"
    config.mkdir(mode=0o755)
    settings, key = config / "websocket_settings.json", config / "key"
    settings.write_text('{"url": "ws://127.0.0.1:1/", "api_key_file": "key"}')
    settings.chmod(0o600 if case == "closed settings" else 0o644)
    key.write_text("k" * 46)
    key.chmod(0o600)
    if case != "closed key":
        os.chown(key, 64999, 64999)
    if case == "wrong settings":
        settings.write_text("{")
    if case == "no settings":
        settings.unlink()
    (place / "pixi-ws-client").rename(place / "real")
    program(place / "pixi-ws-client", 'case "$*" in *"config check") exec "${0%/*}/real" "$@";; esac; id -u')
    if case == "closed program":
        (place / "pixi-ws-client").chmod(0o700)
    env = {"PIXI_WS_RUN_AS": "root"} if case == "root wanted" else {}
    args, cwd, shown = [], "/", settings
    if how == "environment":
        env["PIXI_WS_SETTINGS"] = str(settings)
    elif how == "working directory":
        cwd, shown = tmp_path, settings.relative_to(tmp_path)
    elif how == "--settings":
        args = ["--url", "ws://x/", "--dialect", "mqtt", f"--settings={settings}"]
    elif how == "behind the command":
        args = ["verify", "--quick", "--settings", settings]
    else:
        args = ["-j", "-s", settings]
    done = with_pixi([place / SH, *args, *([] if how == "behind the command" else ["listen"]), "--", "-s", "/dev/null"], env=env, cwd=cwd)
    assert done.stderr == f"{SH}: {SAID[case].format(settings=shown, place=place)}\n"
    assert done.stdout == ("64999\n" if "user pixi, not" in SAID[case] else "0\n")


@as_root
def test_busybox_does_as_well(with_pixi, place, tmp_path):
    if not shutil.which("busybox"):
        pytest.skip("no busybox")
    tools = tmp_path / "busybox"
    tools.mkdir()
    for name in ("sh", "su", "id", "readlink", "dirname", "test", "true", "setpriv"):
        (tools / name).symlink_to(shutil.which("busybox"))
    program(place / "pixi-ws-client", 'printf "%s|" "$@"; id -u')
    done = with_pixi([shutil.which("busybox"), "env", f"PATH={tools}", place / SH, "-u", "ws://x/", "-x", "a  b", "--"])
    assert (done.stdout, done.stderr) == ("-u|ws://x/|-x|a  b|--|64999\n", f"{SH}: {SAID['yes']}\n")


@as_root
def test_root_becomes_whom_it_names_or_says_why_not(run, place, settings, version):
    done = run([place / SH, "--version"], env={"PIXI_WS_RUN_AS": "nobody"})
    assert (done.stdout, done.stderr) == (version, f"{SH}: runs as user nobody, not as root\n")
    done = run([place / SH, "--version"], env={"PIXI_WS_RUN_AS": "noone-at-all"})
    assert (done.returncode, done.stderr) == (2, f"{SH}: PIXI_WS_RUN_AS: there is no user noone-at-all\n")
    closed = settings(url="ws://127.0.0.1:1/")
    done = run([place / SH, "-s", closed, "send", "a", "b"], env={"PIXI_WS_RUN_AS": "nobody"})
    assert (done.returncode, done.stderr) == (2, f"{SH}: PIXI_WS_RUN_AS: user nobody cannot read {closed}\n")


def test_a_message_goes_through(run, spawn, place, hub, settings, env, stay):
    server = hub()
    file = settings(url=server.url, api_key=server.key)
    listener = spawn([place / SH, "-s", file, "listen", "-n", "1", "event/#"])
    listener.wait_line("listening to")
    done = run([place / SH, "-s", file, "send", "event/x", '{"by": "launcher"}'])
    assert done.returncode == 0, done.stderr
    assert listener.wait() == 0
    assert '"payload":{"by": "launcher"}' in listener.out


@pytest.fixture(scope="session")
def wine(tmp_path_factory):
    """The environment of a fresh Wine; its server is ended with the session."""
    prefix = tmp_path_factory.mktemp("wine")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PIXI_WS_", "WSLENV", "DISPLAY"))}
    env.update(WINEPREFIX=str(prefix), WINEARCH="win64", WINEDEBUG="-all", WINEDLLOVERRIDES="mscoree,mshtml=")
    env.update(HOME=str(prefix))
    subprocess.run([WINE, "cmd", "/c", "exit"], env=env, check=True, capture_output=True, timeout=120)
    yield env
    server = shutil.which("wineserver") or Path(WINE).parent / "wineserver64"
    subprocess.run([server, "-k"], env=env, capture_output=True, timeout=60)


# wslpath as WSL's: Z:/ is where Wine shows /. Paths come with slashes.
WSL = r"""
case $1 in
    wslpath) [ "$2" = -a ] && printf '%s\n' "${3#[Zz]:}" ;;
    --exec) shift; printf '%s\n' "$WSLENV" >"$(dirname "$0")/wslenv"; exec "$@" ;;
esac
"""


@pytest.fixture
def batch(wine, env, place, tmp_path):
    """batch(name, args) runs bin's batch file under Wine, with a stand-in for wsl.exe unless wsl=False."""
    stub = tmp_path / "windows"
    stub.mkdir()

    def batch(name, *args, wsl=True, **more):
        if wsl:
            program(stub / "wsl.exe", WSL)
        windows = {**env, **wine, "WINEPATH": "Z:" + str(stub).replace("/", "\\"), **more}
        path = "Z:" + str(place / name).replace("/", "\\")
        done = subprocess.run([WINE, path, *args], env=windows, capture_output=True, encoding="utf-8", timeout=120)
        return done.returncode, done.stdout.replace("\r", ""), done.stderr.replace("\r", "")

    return batch


@under_wine
@pytest.mark.parametrize("name", ["pixi-ws-client.bat", "pippi-ws-client.bat"])
def test_batch_files_start_the_launcher_in_wsl(batch, place, tmp_path, name):
    program(place / "pixi-ws-client", 'printf "%s|" "$0" "$@"')
    told = batch(name, "send", "event/x", '{"x": "a b"}', "ha!")[1]
    assert told == f'{place}/pixi-ws-client|send|event/x|{{"x": "a b"}}|ha!|'
    passed = (tmp_path / "windows/wslenv").read_text().strip()
    assert passed == "PIXI_WS_SETTINGS/p:PIXI_WS_URL:PIXI_WS_API_KEY:PIXI_WS_RUN_AS:"
    batch(name, WSLENV="MINE/w")
    assert (tmp_path / "windows/wslenv").read_text().strip() == passed + "MINE/w"


@under_wine
def test_batch_files_say_what_is_missing(batch, place):
    code, _, said = batch("pixi-ws-client.bat", wsl=False)
    assert code == 127
    assert said.startswith("pixi-ws-client.bat: wsl.exe is not on the PATH")
    (place / SH).unlink()
    code, _, said = batch("pippi-ws-client.bat")
    assert code == 127
    assert said.startswith("pixi-ws-client.bat: pixi-ws-client.sh is not beside it")
