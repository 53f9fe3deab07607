"""The table of faults in docs/daemon.md, a test or more for each row; test_fault_table.py holds the two equal.

A test marked @pytest.mark.fault("id") takes `row`, and gives it what was seen. In the column "seen" stands, line by line,
`log`, `status`, `answer` or `exit code` and what it said; `…` is what differs from run to run.
"""

import re
import time
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/daemon.md"
TIMEOUT_S = 20
SEEN = re.compile(r"(log|status|answer|exit code) `([^`]+)`")


class Row:
    def __init__(self, name, cells):
        self.name, self.fault, self.happens, self.seen, self.to_do = name, *cells
        self.claims = SEEN.findall(self.seen)
        self.is_compared = False

    def agrees(self, machine, answers=(), exit_code=None, proc=None):
        """Is all of it there: in the log (of proc, or the daemon), on the screen of `status`, among answers (errors) and in
        exit codes?"""
        self.is_compared = True
        told = {"answer": [f"{error.code} {error.message}" for error in answers], "exit code": [str(exit_code)]}
        until = time.monotonic() + TIMEOUT_S
        while True:  # a line of the log may be on its way, and the link be between two attempts to connect for a moment
            is_over = machine.proc.returncode is not None
            status = "" if is_over else machine.client("status").stdout
            found = {**told, "log": (proc or machine.proc).err.splitlines(), "status": status.splitlines()}
            if is_over or not self._missing(found) or time.monotonic() > until:
                break
        assert not self._missing(found), f"{self.name}: {self._missing(found)}: {found}"

    def _missing(self, found):
        """The claims that nothing of what was found bears out."""

        def is_there(where, text):
            pattern = ".*".join(map(re.escape, text.split("…")))
            return any(re.search(pattern, line) for line in found[where])

        return [claim for claim in self.claims if not is_there(*claim)]


def read_table():
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if re.fullmatch(r"`[a-z0-9-]+`", cells[0]) and len(cells) == 5:
            name = cells[0].strip("`")
            assert name not in rows, f"{name} stands there twice"
            rows[name] = Row(name, cells[1:])
    return rows
