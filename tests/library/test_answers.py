"""The table of docs/library.md, row by row, in C."""

import re

import pytest

import answers
import scripted

ROWS = answers.rows()


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_what_each_call_answers(run, program, row):
    with answers.server_of(row) as server:
        done = run(program("answers", row.id, server.url, server.key))
    assert done.returncode == 0 and not done.stderr, done
    assert [line.strip() for line in done.stdout.splitlines()] == row.answers, row
    authorizations = {a for a in server.authorizations if a is not None}
    assert authorizations <= {f"Bearer {scripted.KEY}".encode()}


def test_every_row_has_its_program_and_every_script_its_row(root):
    ids = [row.id for row in ROWS]
    assert len(ids) == len(set(ids)) > 60
    table = (root / "tests/library/answers.c").read_text()
    assert re.findall(r'^    \{"([a-z0-9-]+)", row_', table, re.M) == ids
    assert set(scripted.SCRIPTS) <= set(ids)


def test_a_message_is_sent_again_under_its_key_only(run, program):
    """Over a loss of the connection: said twice with one idempotency key, stored once; and the key on both connections."""
    row = next(row for row in ROWS if row.id == "send-over-a-loss")
    with answers.server_of(row) as server:
        run(program("answers", row.id, server.url, server.key))
    keys = [call["params"]["key"] for call in server.calls if call["method"] == "publish"]
    assert len(keys) == 2 and keys[0] == keys[1] and server.seqs == [1]
    assert server.authorizations == [f"Bearer {scripted.KEY}".encode()] * 2


def test_the_close_code_and_reason_reach_the_peer(run, program):
    row = next(row for row in ROWS if row.id == "close-code")
    with answers.server_of(row) as server:
        run(program("answers", row.id, server.url, server.key))
    assert server.closes == [(4001, "that is all")]
