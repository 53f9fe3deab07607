"""tools/steps: what it says of steps that succeed, fail, or are not there yet; and README.md has the same table."""

import re

import pytest

NAMES = ("step", "file", "command", "last")


def table(root):
    lines = (root / "tools/steps.txt").read_text(encoding="utf-8").splitlines()
    return [dict(zip(NAMES, line.split(" | "), strict=True)) for line in lines if line and not line.startswith("#")]


def test_the_readme_has_the_same_table(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    section = text[text.index("\n## Steps asked for\n") : text.index("\n### Where this differs from the request\n")]
    rows = [re.split(r" \| ", line.strip("| ")) for line in section.splitlines() if line.startswith("| ")][1:]
    plain = [[re.sub(r"\]\(.*\)|[`\[]", "", cell) for cell in row] for row in rows]
    assert plain == [[row[name] for name in NAMES] for row in table(root)]


def test_files_of_finished_steps_are_there_and_linked(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    for row in table(root):
        if not row["last"].startswith("not yet: "):
            assert (root / row["file"]).exists(), row
            assert f"[{row['file']}]({row['file']})" in text


STEPS = {
    "good": ("echo one; echo two", "two", "ok"),
    "good, in part": ("echo '12 passed in 0.5s'", "…passed in…", "ok"),
    "says something else": ("echo two, not one", "one", "FAILED"),
    "fails after saying it": ("echo one; exit 3", "one", "FAILED"),
    "not there": ("./no-such-program", "one", "FAILED"),
    "later": ("-", "not yet: issue «Some day»", "not yet"),
}


@pytest.mark.parametrize("name", STEPS)
def test_what_is_said_of_a_step(run, root, tmp_path, name):
    command, last, verdict = STEPS[name]
    steps = tmp_path / "steps.txt"
    steps.write_text(f"# a comment\n\n{name} | a file | {command} | {last}\n", encoding="utf-8")
    done = run([root / "tools/steps", steps], env={"STEPS_DIR": str(tmp_path)})
    assert done.stdout.splitlines()[0] == f"{verdict:8} {name}"
    assert done.returncode == (verdict == "FAILED")
    if verdict == "FAILED":
        assert f"{command}: exit " in done.stdout and str(tmp_path) in done.stdout
    if verdict == "not yet":
        assert "issue «Some day»" in done.stdout
