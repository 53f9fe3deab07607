"""pixi_ws: what it is made of, its wheel, five lines, the examples, and bin/pixi-ws-client.py as people use it."""

import ctypes
import inspect
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

import pixi_ws
from pixi_ws import _library, aio

PYTHON = "/usr/bin/python3"


@pytest.fixture
def listener(spawn):
    """listener(file, *filters) -> `pixi-ws-client listen`, which listens."""

    def listener(file, *args):
        proc = spawn(["pixi-ws-client", "-s", file, "listen", *args])
        proc.wait_line("listening to")
        return proc

    return listener


@pytest.fixture
def python(run, tree):
    """python(code, *args, file=settings) -> done; a program that its settings reach by PIXI_WS_SETTINGS."""

    def python(code, *args, file=None, env=None):
        more = {"PIXI_WS_SETTINGS": str(file)} if file else {}
        return run([PYTHON, *(["-c", code] if isinstance(code, str) else [code]), *args], env={**tree, **more, **(env or {})})

    return python


# --- what it is made of -----------------------------------------------------------------------------------------------

STRUCTS = {
    "pixi_error": _library.CError,
    "pixi_header": _library.CHeader,
    "pixi_message": _library.CMessage,
    "pixi_send_options": _library.CSendOptions,
    "pixi_callbacks": _library.CCallbacks,
}


def test_structs_constants_and_functions_are_those_of_the_headers(root, tmp_path):
    """A C program full of assertions, written from what ctypes made of the module's declarations."""
    lines = ["#include <pixiws/pixiws.h>", "#include <stddef.h>"]
    constants = {name: getattr(_library, name) for name in dir(_library) if re.match("(SEND|SUBSCRIBE|MESSAGE|START)_", name)}
    constants.update({f"RC_{rc.name}": int(rc) for rc in pixi_ws.RC}, CONNECT_AGAIN=pixi_ws.CONNECT_AGAIN)
    constants.update({f"CLIENT_{state.name}": int(state) for state in pixi_ws.State})
    assert len(constants) > 30
    lines += [f'_Static_assert(PIXI_{name} == {value}, "{name}");' for name, value in constants.items()]
    for name, struct in STRUCTS.items():
        lines.append(f'_Static_assert(sizeof(struct {name}) == {ctypes.sizeof(struct)}, "{name}");')
        for member, _ in struct._fields_:
            field = getattr(struct, member)
            lines.append(f'_Static_assert(offsetof(struct {name}, {member}) == {field.offset}, "{member}");')
            lines.append(f'_Static_assert(sizeof(((struct {name} *)0)->{member}) == {field.size}, "{member}");')
    (tmp_path / "layout.c").write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        ["gcc", "-fsyntax-only", f"-I{root / 'include'}", tmp_path / "layout.c"], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    exported = re.findall(r"^    (pixi_\w+);", (root / "src/client/libpixiws.map").read_text(), re.M)
    assert set(_library.FUNCTIONS) == set(exported)
    header = (root / "include/pixiws/error.h").read_text()
    families = set(re.findall(r"^    PIXI_RC_(\w+) = ", header, re.M))
    assert {rc.name for rc in pixi_ws.RC} == families
    assert {cls.rc.name for cls in pixi_ws.Error.__subclasses__()} == families - {"OK"}


def test_versions_agree(root):
    version = (root / "VERSION").read_text().strip()
    assert pixi_ws.__version__ == pixi_ws.library_version == version


def test_everything_public_is_documented(root):
    page = (root / "docs/python.md").read_text(encoding="utf-8")
    for cls in (pixi_ws.Client, aio.Client, pixi_ws.Message):
        for name, member in inspect.getmembers(cls):
            if not name.startswith("_") and (callable(member) or isinstance(member, property)):
                assert f"{name}" in page, f"{cls.__name__}.{name}"
    for name in pixi_ws.__all__:
        assert name in page, name


# --- where the library is found ---------------------------------------------------------------------------------------

WHERE = "import pixi_ws, pixi_ws._library as l; print(l.lib._name, pixi_ws.library_version)"


@pytest.fixture(scope="session")
def site(root, tmp_path_factory):
    """The wheel as make builds it, installed into a folder of its own."""
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    made = subprocess.run(["make", "-s", "python-wheel"], cwd=root, env=env, capture_output=True, encoding="utf-8")
    assert made.returncode == 0, made.stdout + made.stderr
    (wheel,) = (root / "build/python/dist").glob("*.whl")
    assert wheel.name == f"pixi_ws-{pixi_ws.__version__}-py3-none-linux_{os.uname().machine}.whl"
    target = tmp_path_factory.mktemp("site")
    pip = [PYTHON, "-m", "pip", "--isolated", "--disable-pip-version-check", "--no-cache-dir", "install", "--quiet"]
    done = subprocess.run(
        [*pip, "--no-index", "--no-deps", "--no-compile", "--root-user-action=ignore", "--target", target, wheel],
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def wheel(site):
    """As tree, but of the wheel: nothing of the source tree."""
    return {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}


def test_the_wheel_has_its_own_library(run, root, site, wheel, tmp_path):
    assert (site / "pixi_ws/py.typed").exists()
    own = site / "pixi_ws/libpixiws.so.0"
    assert own.read_bytes() == (root / "build/lib/libpixiws.so.0").read_bytes()
    done = run([PYTHON, "-c", WHERE], env=wheel, cwd=tmp_path)
    assert done.stdout == f"{own} {pixi_ws.__version__}\n", done.stderr


def test_the_wheel_sends_and_receives(run, hub, place, listener, wheel, tmp_path):
    file = place(hub())
    hears = listener(file, "-n", "1", "event/#")
    code = "import pixi_ws\nwith pixi_ws.Client() as c: c.send_message('event/wheel', '7')"
    done = run([PYTHON, "-c", code], env={**wheel, "PIXI_WS_SETTINGS": str(file)}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert hears.wait() == 0 and '"payload":7' in hears.out


def test_building_leaves_nothing_in_the_source_tree(site, root):
    found = {p.name for p in (root / "bindings/python").iterdir()} - {"__pycache__"}
    assert found == {"pixi_ws", "pyproject.toml", "setup.py"}
    assert not list((root / "bindings/python").rglob("*.so*"))


def test_the_environment_beats_the_wheel_and_the_system_comes_last(run, root, site, wheel, tmp_path):
    named = root / "build/lib/libpixiws.so.0"
    done = run([PYTHON, "-c", WHERE], env={**wheel, "PIXI_WS_LIBRARY": str(named)})
    assert done.stdout.split()[0] == str(named)
    bare = tmp_path / "bare"
    shutil.copytree(site / "pixi_ws", bare / "pixi_ws")
    (bare / "pixi_ws/libpixiws.so.0").unlink()
    env = {**wheel, "PYTHONPATH": str(bare)}
    done = run([PYTHON, "-c", WHERE], env={**env, "LD_LIBRARY_PATH": str(named.parent)})
    assert done.stdout.split()[0] == "libpixiws.so.0"
    done = run([PYTHON, "-c", WHERE], env=env)
    assert "ImportError: pixi_ws: libpixiws cannot be loaded" in done.stderr
    for place in ("PIXI_WS_LIBRARY", str(bare / "pixi_ws/libpixiws.so.0"), "ldconfig"):
        assert place in done.stderr.splitlines()[-1]


def test_what_is_no_library_or_another_version_is_refused(python, tmp_path):
    done = python(WHERE, env={"PIXI_WS_LIBRARY": "/nowhere/x.so"})
    assert "ImportError" in done.stderr and "/nowhere/x.so" in done.stderr and "PIXI_WS_LIBRARY" in done.stderr
    for number, said in {10000: "is libpixiws 1.0.0", 99: "is libpixiws 0.0.99", None: "is no libpixiws"}.items():
        source = f"int pixi_version_number(void) {{ return {number}; }}" if number else "int x;"
        made = subprocess.run(
            ["gcc", "-shared", "-x", "c", "-", "-o", tmp_path / f"{number}.so"], input=source.encode(), check=True
        )
        assert made.returncode == 0
        done = python(WHERE, env={"PIXI_WS_LIBRARY": str(tmp_path / f"{number}.so")})
        assert "ImportError" in done.stderr and said in done.stderr, done.stderr


# --- five lines, and the examples -------------------------------------------------------------------------------------

FIVE_LINES = {
    "blocking": """
import pixi_ws
with pixi_ws.Client() as client:
    client.send_message("event/five", '{"lines": 5}')
    print(client.request("request/five", "1").text)
""",
    "callbacks": """
import pixi_ws, sys
client = pixi_ws.Client()
client.on_connect = lambda client, userdata, flags, rc: client.send_message("event/five", '{"lines": 5}')
client.on_message = lambda client, userdata, message: (print(message.text), client.close())
client.loop_start(); client.subscribe("answer/#"); client.connect(); client.send_message("answer/1", client.request("request/five").payload); client._thread.join()
""",
    "asyncio": """
import asyncio, pixi_ws.aio
async def main():
    async with pixi_ws.aio.Client() as client:
        await client.send_message("event/five", '{"lines": 5}')
        print((await client.request("request/five", "1")).text)
asyncio.run(main())
""",
}


@pytest.mark.parametrize("flavour", FIVE_LINES)
def test_five_lines_send_and_ask(hub, place, listener, python, flavour):
    file = place(hub())
    hears = listener(file, "event/#", "request/#", "--reply", '{"minutes": 4}')
    done = python(FIVE_LINES[flavour], file=file)
    assert (done.returncode, done.stdout) == (0, '{"minutes": 4}\n'), done.stderr
    hears.wait_line('"payload":{"lines": 5}', stream="out")


def test_examples_send_and_ask(hub, place, listener, python, root):
    file, examples = place(hub()), root / "examples/python"
    hears = listener(file, "event/#", "request/#", "--reply", '{"minutes": 4}')
    assert python(examples / "sender.py", "event/x", '{"sent": 1}', file=file).returncode == 0
    hears.wait_line('"payload":{"sent": 1}', stream="out")
    done = python(examples / "ask.py", "request/x", "1", file=file)
    assert done.stdout == '{"minutes": 4}\n', done.stderr


@pytest.mark.parametrize("example", ["listener", "callbacks"])
def test_examples_that_listen(hub, place, spawn, run, root, tree, example):
    file = place(hub())
    proc = spawn([PYTHON, root / f"examples/python/{example}.py", "event/#"], env={**tree, "PIXI_WS_SETTINGS": str(file)})
    if example == "callbacks":
        proc.wait_line("connected with result code 0", stream="err")
    run(["pixi-ws-client", "-s", file, "send", "--retain", "event/x", "Grüße"])
    proc.wait_line("^event/x Grüße$", stream="out")


def test_examples_that_answer_and_in_tasks(hub, place, spawn, run, root, tree):
    file = place(hub())
    env = {**tree, "PIXI_WS_SETTINGS": str(file)}
    spawn([PYTHON, root / "examples/python/responder.py", "request/echo"], env=env)
    done = None
    while done is None or done.returncode == 12:  # nobody answers yet
        done = run(["pixi-ws-client", "-s", file, "request", "request/echo", '{"a": 1}'])
    assert done.stdout == '{"a": 1}\n', done.stderr
    tasks = spawn([PYTHON, root / "examples/python/tasks.py", "event/#", "event/mine", "hello"], env=env)
    tasks.wait_line("^event/mine hello$", stream="out")


# --- bin/pixi-ws-client.py --------------------------------------------------------------------------------------------


@pytest.fixture
def script(root):
    return root / "bin/pixi-ws-client.py"


def test_what_the_script_sends_is_printed_by_listen(spawn, hub, place, listener, script):
    file = place(hub())
    hears = listener(file, "event/#")
    sender = spawn([script, "-s", file, "event/python", '{"given": 1}'])
    sender.wait_line("^connected with result code 0$", stream="err")
    assert json.loads(hears.wait_line("given", stream="out").string)["payload"] == {"given": 1}
    piped = spawn([script, "-s", file, "event/python"])
    piped.write("one\ntwo\n")
    assert '"payload_text":"one"' in hears.wait_line("payload", stream="out", nth=2).string
    assert '"payload_text":"two"' in hears.wait_line("payload", stream="out", nth=3).string
    assert sender.stop() == 0
    piped.write("three\n")
    hears.wait_line("three")
    assert piped.stop(signal.SIGINT) == 0
    assert "Traceback" not in sender.err + piped.err and "Fatal" not in piped.err


def test_the_script_names_each_family(script):
    text = script.read_text()
    assert all(f"pixi_ws.{cls.__name__}:" in text for cls in pixi_ws.Error.__subclasses__())


def test_the_script_ends_when_nobody_reads_it(spawn, hub, place, script, tree):
    file = place(hub())
    proc = spawn(["sh", "-c", f"{script} -s {file} -l event/x event/x | head -n 1"])
    proc.wait_line("connected", stream="err")
    proc.write("first\n")
    proc.wait_line("^event/x first$", stream="out")
    proc.write("second\nthird\n")
    assert proc.wait() == 0
    assert "Traceback" not in proc.err and "Exception" not in proc.err
