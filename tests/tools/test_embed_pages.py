"""tools/embed-pages: what makes a page, and what it says to one that is none."""

import subprocess

import pytest


@pytest.fixture
def embed(root, tmp_path):
    def embed(*texts):
        files = []
        for i, text in enumerate(texts):
            files.append(tmp_path / f"page-{i}.md")
            files[-1].write_text(text, encoding="utf-8")
        return subprocess.run([root / "tools/embed-pages", *files], capture_output=True, encoding="utf-8")

    return embed


def test_the_codes_of_a_page(embed):
    done = embed(
        "# One\n\nExit code 4, close code 4000 to 4999,\nJSON-RPC -32003, HTTP 404 and `WS_RSV` (-80).\n\nText.\n",
        "# Two\n\nA case of [one](page-0.md).\n\nMore.\n",
    )
    assert done.returncode == 0 and not done.stderr
    for row in (
        "{PAGE_EXIT, NULL, 4, 4}", "{PAGE_CLOSE, NULL, 4000, 4999}", "{PAGE_RPC, NULL, -32003, -32003}",
        "{PAGE_HTTP, NULL, 404, 404}", '{PAGE_ERROR, "WS_RSV", 0, 0}', "{PAGE_VALUE, NULL, -80, -80}", "{PAGE_CASE,",
    ):  # fmt: skip
        assert row in done.stdout, row
    assert 'page_words[] = "page-0 4 -32003 404 ws-rsv page-1"' in done.stdout
    assert "page_count = 2;" in done.stdout


def test_text_is_kept_as_it_is(embed, tmp_path):
    """Quotes, backslashes, trigraphs' question marks: the C compiler gives them back."""
    text = 'say "\\ud83d" \\n\\\\ ü ?'
    done = embed(f"# Title\n\nExit code 4.\n\n{text}\n")
    (tmp_path / "pixi-ws-client").mkdir()
    header = 'enum { PAGE_EXIT }; struct page_key { int kind; const char *name; long a, b; }; #include <stddef.h>\n'
    header = header.replace("; #include", ";\n#include")
    header += "struct page { const char *name; const struct page_key *keys; size_t n; const char *title, *text; };\n"
    (tmp_path / "pixi-ws-client/page.h").write_text(header)
    main = '#include <stdio.h>\nint main(void) { fputs(pages[0].text, stdout); }\n'
    (tmp_path / "x.c").write_text(done.stdout + main, encoding="utf-8")
    subprocess.run(["gcc", "-I", tmp_path, "-o", tmp_path / "x", tmp_path / "x.c"], check=True)
    out = subprocess.run([tmp_path / "x"], capture_output=True, encoding="utf-8").stdout
    assert out == f"Exit code 4.\n\n{text}\n"


@pytest.mark.parametrize(
    "text, says",
    [
        ("No title\n\nExit code 4.\n", "the first line is the title"),
        ("# Title\nExit code 4.\n", "an empty line follows the title"),
        ("# Title\n\nNothing here.\n\nExit code 4.\n", "no code in the paragraph below the title"),
        ("# Title\n", "no paragraph with codes"),
    ],
)
def test_what_is_no_page(embed, text, says):
    done = embed(text)
    assert done.returncode == 1 and says in done.stderr and "page-0.md" in done.stderr
