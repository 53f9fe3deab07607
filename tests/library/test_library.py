"""The library as it is installed: its names, headers, examples, and programs that are built with it."""

import os
import re
import subprocess

import pytest

from rpc import Rpc

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def call(*args, **more):
    done = subprocess.run([str(a) for a in args], capture_output=True, encoding="utf-8", timeout=120, **more)
    assert done.returncode == 0, f"{args}\n{done.stdout}{done.stderr}"
    return done.stdout


def declared(root):
    """The functions that the headers declare."""
    text = "".join(header.read_text() for header in sorted((root / "include/pixiws").glob("*.h")))
    return re.findall(r"^PIXI_API [^;(]*?(pixi_\w+)\(", text, re.M), text


def exported(root):
    return re.findall(r"^    (pixi_\w+);$", (root / "src/client/libpixiws.map").read_text(), re.M)


def test_headers_list_and_libraries_name_the_same(root):
    names, _ = declared(root)
    listed = exported(root)
    assert len(names) == len(set(names)) > 25
    assert listed == sorted(listed) and set(listed) == set(names)
    shared = call("nm", "-D", "--defined-only", root / "build/lib/libpixiws.so")
    assert set(re.findall(r" T (\S+)@@PIXIWS_0$", shared, re.M)) == set(names)
    static = call("nm", "-g", "--defined-only", root / "build/lib/libpixiws.a")
    assert set(re.findall(r"^[0-9a-f]+ [A-Z] (\S+)$", static, re.M)) == set(names)


def test_every_function_is_documented_and_exercised(root):
    names, headers = declared(root)
    folders = [root / "tests/library", root / "examples/c"]
    programs = "".join(p.read_text() for folder in folders for p in sorted(folder.glob("*.c")))
    programs += (root / "tests/library/test_library.py").read_text()
    for name in names:
        if name != "pixi_client_state":  # the enum's comments are its page
            assert f"/* {name} -- " in headers, name
        assert f"{name}(" in programs, name


NEVER = """_exit abort exit fork fprintf kill perror printf pthread_create putchar puts quick_exit raise sigaction signal
sigprocmask pthread_sigmask signalfd system syslog vfprintf vprintf chdir setenv umask setlocale srand"""


def test_what_belongs_to_the_process_is_left_alone(root):
    """assert's message, and what fortified copies do when memory was overwritten, come from libc itself."""
    for library in ("libpixiws.so", "libpixiws.a"):
        wanted = set(re.findall(r" U (\w+)", call("nm", "-u", *(["-D"] * library.endswith("so")), root / f"build/lib/{library}")))
        assert "epoll_wait" in wanted
        assert not wanted & set(NEVER.split()), library


def test_no_state_of_its_own(root):
    """No object of the library can be written: nothing is shared between clients, or between them and the program."""
    symbols = call("objdump", "-t", root / "build/lib/libpixiws.so")
    variables = re.findall(r" \.t?(?:data|bss)\t[0-9a-f]+ +(?:\.hidden )?(\S+)$", symbols, re.M)
    assert {"__dso_handle"} <= set(variables) <= {"__dso_handle", "__TMC_END__", "completed.0"}  # the compiler's


def test_versions_agree(root, tmp_path):
    version = (root / "VERSION").read_text().strip()
    header = (root / "include/pixiws/version.h").read_text()
    parts = [re.search(rf"#define PIXIWS_VERSION_{part} (\d+)", header)[1] for part in ("MAJOR", "MINOR", "PATCH")]
    assert ".".join(parts) == version


def test_results_are_the_exit_codes_and_more(root):
    codes = dict(re.findall(r"PIXI_EXIT_(\w+) = (\d+)", (root / "src/base/exit.h").read_text()))
    text = (root / "include/pixiws/error.h").read_text()
    results = {name: int(code) for name, code in re.findall(r"^    PIXI_RC_(\w+) = (\d+),", text, re.M)}
    renamed = {"DONE": "OK", "CHECK": "FAILED", "OUTBOX": "FULL"}
    for name, code in codes.items():
        assert results.pop(renamed.get(name, name)) == int(code)
    assert all(code >= 20 for code in results.values())


@pytest.fixture(scope="module")
def installed(root, tmp_path_factory):
    """An installation of its own, and the variables with which a compiler and a program find it."""
    prefix = tmp_path_factory.mktemp("prefix")
    call("make", "-s", "-C", root, "install", f"PREFIX={prefix}", env=make_env())
    env = {
        **os.environ,
        "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig",
        "LD_LIBRARY_PATH": f"{prefix}/lib",
        "prefix": str(prefix),
    }
    yield prefix, env
    call("make", "-s", "-C", root, "uninstall", f"PREFIX={prefix}", env=make_env())
    assert [str(p) for p in prefix.rglob("*") if not p.is_dir()] == []


def make_env():
    return {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


def test_what_is_installed(installed, root):
    prefix, _ = installed
    version = (root / "VERSION").read_text().strip()
    there = {str(p.relative_to(prefix)) for p in prefix.rglob("*") if not p.is_dir()}
    assert {
        "bin/pixi-ws-client",
        "bin/pixi-ws-server",
        "bin/pixi-ws-client.py",
        "lib/libpixiws.so",
        "lib/libpixiws.so.0",
        f"lib/libpixiws.so.{version}",
        "lib/libpixiws.a",
        "lib/pkgconfig/pixiws.pc",
        "share/man/man1/pixi-ws-client.1",
    } <= there
    headers = {p.name for p in (root / "include/pixiws").glob("*.h")}
    assert {p.name for p in (prefix / "include/pixiws").iterdir()} == headers
    assert call("readelf", "-d", prefix / "lib/libpixiws.so").count("libpixiws.so.0]") == 1


def test_destdir_is_only_put_before(root, tmp_path):
    call("make", "-s", "-C", root, "install", f"DESTDIR={tmp_path}", "PREFIX=/opt/x", env=make_env())
    assert "prefix=/opt/x\n" in (tmp_path / "opt/x/lib/pkgconfig/pixiws.pc").read_text()
    assert (tmp_path / "opt/x/include/pixiws/pixiws.h").exists()
    call("make", "-s", "-C", root, "uninstall", f"DESTDIR={tmp_path}", "PREFIX=/opt/x", env=make_env())
    assert [str(p) for p in tmp_path.rglob("*") if not p.is_dir()] == []


PROGRAM = """#include <pixiws/pixiws.h>
#include <stdio.h>
#include <string.h>
int main(void)
{
    struct pixi_error e;
    struct pixi_client *c = pixi_client_new_from_text("{\\"url\\": 1}", 10, &e);
    if (c || strcmp(pixi_rc_name(e.rc), "SETTINGS") != 0 || !strstr(e.cause, "settings:1:9: url"))
        return 1;
    c = pixi_client_new_from_text("{\\"url\\": \\"ws://[::1]/\\"}", 22, &e);
    if (!c || e.rc != PIXI_RC_OK || strcmp(pixi_client_name(c), "settings") != 0)
        return 2;
    pixi_client_free(c);
    printf("%s %d %s\\n", pixi_version(), pixi_version_number(), pixi_rc_text(PIXI_RC_TIMEOUT));
    return 0;
}
"""


@pytest.mark.parametrize("how", ["cc", "cc -static-pixiws", "g++", "cc -std=c99"])
def test_a_program_in_an_empty_directory(installed, root, tmp_path, how):
    prefix, env = installed
    version = (root / "VERSION").read_text().strip()
    number = sum(int(part) * weight for part, weight in zip(version.split("."), (10000, 100, 1)))
    compiler, *more = how.split()
    (tmp_path / "tram.cc" if compiler == "g++" else tmp_path / "tram.c").write_text(PROGRAM)
    flags = call("pkg-config", "--cflags", "--libs", "pixiws", env=env).split()
    if "-static-pixiws" in more:
        more = []
        flags = call("pkg-config", "--static", "--cflags", "--libs", "pixiws", env=env).split()
        flags = [f"{prefix}/lib/libpixiws.a" if flag == "-lpixiws" else flag for flag in flags]
    source = next(tmp_path.iterdir()).name
    call(compiler, *WARNINGS, *more, "-o", "tram", source, *flags, env=env, cwd=tmp_path)
    assert call(tmp_path / "tram", env=env) == f"{version} {number} time is up\n"


@pytest.mark.parametrize("language", ["c", "c++"])
def test_each_header_stands_alone(root, language):
    for header in sorted((root / "include/pixiws").glob("*.h")):
        compiler = ["gcc", "-std=c99"] if language == "c" else ["g++", "-std=c++11"]
        call(*compiler, *WARNINGS, "-I", root / "include", "-x", language, "-fsyntax-only", header)


# --- the examples -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def examples(installed, root, tmp_path_factory):
    """Built as a reader of docs/library.md builds them."""
    _, env = installed
    folder = tmp_path_factory.mktemp("examples")
    flags = call("pkg-config", "--cflags", "--libs", "pixiws", env=env).split()
    for source in sorted((root / "examples/c").glob("*.c")):
        call("cc", *WARNINGS, "-o", folder / source.stem, source, *flags, env=env)
    page = (root / "docs/library.md").read_text()
    (folder / "page.c").write_text(re.search(r"^```c\n(.*?)^```", page, re.S | re.M)[1])
    call("cc", *WARNINGS, "-o", folder / "page", folder / "page.c", *flags, env=env)
    return folder


@pytest.fixture
def example(examples, installed, run, spawn):
    """example(server, name, *args) -> the finished process; example.spawn(...) -> Proc."""

    def env_of(server):
        return {
            "PIXI_WS_URL": server.url,
            "PIXI_WS_API_KEY": server.key,
            "PIXI_WS_RECONNECT_INITIAL_MS": "5",
            "PIXI_WS_RECONNECT_MAX_MS": "50",
            "LD_LIBRARY_PATH": installed[1]["LD_LIBRARY_PATH"],
        }

    def example(server, name, *args, **more):
        return run([examples / name, *args], env=env_of(server), **more)

    example.spawn = lambda server, name, *args: spawn([examples / name, *args], env=env_of(server))
    return example


def test_sender_and_listener(hub, example):
    s = hub(history=[{"filter": "#", "max_messages": 100}])
    with Rpc(s) as watcher:
        watcher.subscribe("event/#")
        assert example(s, "sender", "event/tram", '{"x": 12}').returncode == 0
        note = watcher.note()
        assert (note["topic"], note["payload"]) == ("event/tram", {"x": 12})
        assert example(s, "page").returncode == 0
        assert watcher.note()["topic"] == "event/tram/7"
    done = example(s, "sender", "event/#", "1")
    assert done.returncode == 2 and "fix: a topic" in done.stderr
    with Rpc(s) as publisher:
        publisher.publish("event/kept", 7, retain=True)
        listener = example.spawn(s, "listener", "event/#")
        listener.wait_line("^event/kept 7$")


def test_a_listener_goes_on_when_the_server_was_killed(hub, example):
    s = hub()
    with Rpc(s) as publisher:
        publisher.publish("event/a", 1, retain=True)
        listener = example.spawn(s, "listener", "event/#")
        listener.wait_line("^event/a 1$")
        s.proc.kill()
    with Rpc(hub(port=s.port)) as publisher:
        publisher.publish("event/a", 2, retain=True)
        listener.wait_line("^event/a 2$")


def test_ask_and_responder(hub, example):
    s = hub()
    responder = example.spawn(s, "responder", "request/echo")
    responder.wait_line("answering")
    done = example(s, "ask", "request/echo", '{"from": "A"}')
    assert (done.returncode, done.stdout) == (0, '{"from": "A"}\n')
    s.proc.kill()
    s = hub(port=s.port)
    for _ in range(1000):  # until the responder has connected and subscribed again: nobody but the server can tell
        done = example(s, "ask", "request/echo", "2")
        if done.returncode != 12:
            break
    assert (done.returncode, done.stdout) == (0, "2\n"), done
    done = example(s, "ask", "request/none", "1")
    assert done.returncode == 12 and "fix: start the program" in done.stderr


def test_poll_loop(hub, example):
    s = hub()
    loop = example.spawn(s, "poll_loop", "event/#")
    loop.wait_line("done", stream="err")
    loop.write("hallo\n")
    loop.wait_line("^event/typed hallo$")
    s.proc.kill()
    loop.wait_line("connection lost, connecting again", stream="err")
    hub(port=s.port)
    loop.wait_line("done, again", stream="err")
    loop.write('{"x": 1}\n')
    loop.wait_line(r'^event/typed {"x": 1}$')
    loop.close_input()
    assert loop.wait() == 0
    assert loop.err.splitlines()[-1].endswith(": done ")
