"""What the tests of the library share: scripted and answers can be imported, and the cutting proxy of tests/e2e."""

import os
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "e2e")]
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
