"""docs/daemon.md, Faults: each row has its test, and each fault that is tested its row."""

import re
from pathlib import Path

from faults import SEEN, read_table


def test_rows_and_tests_are_the_same():
    sources = "".join(file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parent.glob("test_*.py")))
    assert sorted(read_table()) == sorted(re.findall(r'^@pytest\.mark\.fault\("([a-z0-9-]+)"\)$', sources, re.M))


def test_rows_are_whole():
    for row in read_table().values():
        assert row.happens and row.to_do, row.name
        assert row.claims and not SEEN.sub("", row.seen).replace("<br>", "").strip(), f"{row.name}: {row.seen}"
