"""What the tests of the library share: scripted and answers can be imported, and the cutting proxy of tests/e2e;
pixi_ws out of bindings/python, too."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("tests/library", "tests/e2e", "bindings/python")]
os.environ.setdefault("PIXI_WS_LIBRARY", str(ROOT / "build/lib/libpixiws.so.0"))  # pixi_ws, where tests import it
pytest.register_assert_rewrite("scripted")


@pytest.fixture(scope="session")
def test_dir(bin_dir):
    """Where the test programs of this flavour are: built by make."""
    return bin_dir.parent / "test/library"


@pytest.fixture
def program(test_dir):
    """program("answers", ...) -> what to run; with PIXI_VALGRIND set under valgrind, where every leak is an error."""
    valgrind = "valgrind -q --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all --error-exitcode=99"

    def program(name, *args):
        under = valgrind.split() if os.environ.get("PIXI_VALGRIND") else []
        return [*under, test_dir / name, *args]

    return program


@pytest.fixture
def tree(root):
    """What a program needs to run pixi_ws out of the source tree."""
    return {
        "PYTHONPATH": str(root / "bindings/python"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIXI_WS_LIBRARY": str(root / "build/lib/libpixiws.so.0"),
    }


@pytest.fixture
def place(settings):
    """place(server) -> settings of a client of this hub."""

    def place(server):
        return settings("client", url=server.url, api_key=server.key, reconnect__initial_ms=1)

    return place
