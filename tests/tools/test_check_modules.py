"""tools/check-modules finds what it is there to find, on a tiny tree of its own."""

import shutil
import subprocess

import pytest

MODULES = """\
# a comment
src/base:
src/proto/ws: src/base
src/net:      src/base
src/verify:   src/base src/net -src/base/utf8.h
include/pixiws:
apps:         include/pixiws src/base
tests:        src/base src/proto/ws
"""
GOOD = {
    "tools/modules.txt": MODULES,
    "include/pixiws/ws.h": "",
    "src/base/cur.h": "#include <stdint.h>\n",
    "src/base/utf8.h": '#include "base/cur.h"\n',
    "src/proto/ws/frame.h": '#include "base/cur.h"\n',
    "src/proto/ws/frame.c": '#include "proto/ws/frame.h"\n#include <string.h>\n',
    "src/proto/ws/frame_test.c": '#include "proto/ws/frame.h"\n#include "invariants.h"\n',
    "src/net/loop.c": '#include "base/utf8.h"\n',
    "src/verify/run.c": '#include "base/cur.h"\n',
    "apps/pixi-ws-client/cmd.h": "#include <pixiws/ws.h>\n",
    "apps/pixi-ws-client/main.c": '#include "pixi-ws-client/cmd.h"\n',
    "tests/invariants.h": '#include "base/cur.h"\n',
}


@pytest.fixture
def check(root, tmp_path):
    """check(changes, *objects) -> the tool's result on the good tree with these files changed."""

    def check(changes=(), *objects):
        (tmp_path / "tools").mkdir(exist_ok=True)
        shutil.copy(root / "tools/check-modules", tmp_path / "tools")
        for name, text in {**GOOD, **dict(changes)}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run(
            ["tools/check-modules", *objects], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )

    return check


def test_good_tree_passes(check):
    done = check()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "file, text, says",
    [
        ("src/proto/ws/x.c", '\n#include "net/loop.h"\n', "src/proto/ws/x.c:2: src/proto/ws may not include src/net/loop.h"),
        ("src/base/x.h", '#include "proto/ws/frame.h"\n', "src/base may not include src/proto/ws/frame.h"),
        ("src/base/x.h", "#include <proto/ws/frame.h>\n", "src/base may not include src/proto/ws/frame.h"),
        ("src/base/x.h", '  #  include "proto/ws/frame.h"\n', "src/base may not include src/proto/ws/frame.h"),
        ("src/net/x.c", "#include <pixiws/ws.h>\n", "src/net may not include include/pixiws/ws.h"),
        ("src/verify/x.c", '#include "base/utf8.h"\n', "src/verify may not include src/base/utf8.h"),
        ("src/net/x.c", '#include "invariants.h"\n', "src/net may not include tests/invariants.h"),
        ("src/net/x_test.c", '#include "verify/run.h"\n', "src/net may not include src/verify/run.h"),
        ("apps/pixi-ws-client/x.c", '#include "net/loop.h"\n', "apps may not include src/net/loop.h"),
        ("src/base/x.c", '#include "cur.h"\n', '"cur.h" is not under src/'),
        ("src/base/x.c", '#include "base/../net/loop.h"\n', "write the path from src/"),
        ("src/hub/x.c", "", "src/hub: in no module"),
        ("src/proto/rpc/x.c", "", "src/proto/rpc/x.c: in no module"),
        ("src/x.c", "", "src/x.c: in no module"),
        ("tools/modules.txt", MODULES + "src/hub: src/bse\n", "tools/modules.txt:9: src/bse is no module"),
    ],
    ids=lambda value: "" if "\n" in value or not value else value.replace(" ", "_"),
)
def test_finds(check, file, text, says):
    done = check({"src/net/loop.h": "", "src/verify/run.h": "", file: text})
    assert done.returncode == 1
    assert says in done.stdout


def test_tests_may_include_what_tests_may(check):
    done = check({"src/net/loop_test.c": '#include "invariants.h"\n#include "proto/ws/frame.h"\n'})
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    "code, forbidden",
    [
        ("void *memcpy(void *, const void *, unsigned long); int pixi_x(void);"
         "int f(void *a, void *b, unsigned long n) { memcpy(a, b, n); return pixi_x(); }", None),
        ("void *malloc(unsigned long); void *f(void) { return malloc(9); }", "malloc"),
        ("long time(long *); long f(void) { return time(0); }", "time"),
        ("extern int errno_of_mine; int f(void) { return errno_of_mine; }", "errno_of_mine"),
        ("int not_pixi_x(void); int f(void) { return not_pixi_x(); }", "not_pixi_x"),
    ],
    ids=["allowed", "malloc", "time", "variable", "function"],
)
def test_symbols_of_proto(check, tmp_path, code, forbidden):
    (tmp_path / "x.c").write_text(code)
    subprocess.run(["gcc", "-O1", "-fno-builtin", "-c", "-o", "x.o", "x.c"], cwd=tmp_path, check=True, timeout=60)
    done = check((), "x.o")
    if forbidden is None:
        assert (done.returncode, done.stdout) == (0, "")
    else:
        assert done.returncode == 1
        assert f"x.o: src/proto may not need {forbidden}" in done.stdout


def test_object_that_is_not_there(check):
    assert check((), "nowhere.o").returncode == 1
