"""The table "What each call answers" of docs/library.md, for the suites of every language: rows, and what each row's
server is. A suite does what a row says and compares the answers with row.answers."""

import contextlib
import socket
from pathlib import Path
from typing import NamedTuple

import scripted

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/library.md"


class Row(NamedTuple):
    id: str
    call: str
    when: str
    answers: list  # of each call that the row asks about: "CLOSED 1000 that is all"


def _cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def rows():
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("## What each call answers") :]
    found = [_cells(line) for line in table.splitlines() if line.startswith("| `")]
    return [Row(id.strip("`"), call, when, answers.split(", then ")) for id, call, when, answers in found]


@contextlib.contextmanager
def server_of(row):
    """A scripted.Server, or what stands for one where nobody is to be reached."""
    with scripted.Server(row.id) as server:
        if row.id == "connect-refused":
            with socket.create_server(("127.0.0.1", 0)) as gone:
                server.url = f"ws://127.0.0.1:{gone.getsockname()[1]}/"
        elif row.id == "connect-name":
            server.url = "ws://nobody.invalid/"  # RFC 6761: never a name; without a name server it is none either
        elif row.id == "connect-tls":
            server.url = server.url.replace("ws:", "wss:")
        elif row.id == "connect-settings":
            server.url = "ws://192.0.2.1/"
        elif row.id == "new-settings":
            server.url = "http://127.0.0.1/"
        yield server
