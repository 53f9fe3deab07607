"""What the pages of docs/errors/ show, compared with what is printed."""

import re


def shown(root, name):
    """What a page shows under "How it looks", a block each."""
    page = (root / "docs/errors" / f"{name}.md").read_text(encoding="utf-8")
    part = re.search(r"## How it looks\n(.*?)\n## ", page, re.S)
    assert part, f"{name}.md shows nothing"
    return re.findall(r"```\n(.*?)```", part[1], re.S)


def same(text):
    """Without what differs from run to run: ports, folders, dates, issuers."""
    text = re.sub(r"\b\d{4}-\d\d-\d\d\b", "DATE", text)
    text = re.sub(r"CN=[\w ]+", "CN=NAME", text)
    text = re.sub(r"127\.0\.0\.1(:| port )\d+", r"127.0.0.1\1PORT", text)
    return re.sub(r"\S*/(?=\w+\.json:)", "", text)


def holds(root, name, printed):
    """Is one of the page's blocks what was printed?"""
    blocks = shown(root, name)
    assert any(same(block).strip() in same(printed) for block in blocks), (name, blocks, printed)
