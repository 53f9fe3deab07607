"""Code and docs say the same: errors, exit codes, commands, options; and links lead somewhere."""

import re

import pytest


@pytest.fixture
def read(root):
    return lambda path: (root / path).read_text(encoding="utf-8")


def rows(markdown, columns):
    """The rows of tables with so many columns, cells stripped."""
    found = (line.strip().strip("|").split(" | ") for line in markdown.splitlines() if line.startswith("|"))
    return [[cell.strip() for cell in row] for row in found if len(row) == columns]


KEY = re.compile(
    r"(?:([Ee]xit code|[Cc]lose code) (\d+(?: to \d+)?)|(JSON-RPC|HTTP) (-?\d+)|`([A-Z0-9_]+)` \((-\d+)\))"
)


def keys(text):
    """What a page answers to: ("exit code", "4"), ("JSON-RPC", "-32003"), ("NAME", "-5"), ..."""
    found = (m.groups() for m in KEY.finditer(text))
    return [(kind.lower(), code) if kind else (other or name, number or value) for kind, code, other, number, name, value in found]


@pytest.fixture
def error_pages(root):
    """{name: (title, the paragraph with its codes on one line, what follows)}"""
    out = {}
    for file in sorted((root / "docs/errors").glob("*.md")):
        title, paragraph, rest = file.read_text(encoding="utf-8").split("\n\n", 2)
        assert title.startswith("# ") and "\n" not in title, file
        out[file.stem] = (title[2:], paragraph.replace("\n", " "), rest)
    return out


@pytest.fixture
def answered(error_pages):
    every = [key for _, paragraph, _ in error_pages.values() for key in keys(paragraph)]
    assert len(every) == len(set(every)), "two pages for one code"
    return every


def test_every_error_has_its_page(read, answered):
    source = re.findall(r'^ *X\((\w+), (-\d+), "', read("src/base/err.h"), re.M)
    assert len(source) > 60
    assert {key for key in answered if key[0].isupper() and key[0] != "HTTP" and key[0] != "JSON-RPC"} == set(source)


def codes_of(answered, kind):
    return {int(code) for name, code in answered if name == kind and "to" not in code}


def test_every_code_has_its_page(read, answered):
    exits = {int(code) for code in re.findall(r"PIXI_EXIT_\w+ = (\d+)", read("src/base/exit.h"))}
    assert codes_of(answered, "exit code") == exits
    calls = {int(code) for code in re.findall(r"(-32\d{3})", read("src/proto/rpc/put.c"))}
    assert codes_of(answered, "JSON-RPC") == calls
    closes = {int(code) for code in re.findall(r"PIXI_WS_CLOSE_\w+ = (\d+)", read("src/proto/ws/close.h"))}
    assert codes_of(answered, "close code") == closes | {1010, 1014, 1015}  # the registry has these as well
    statuses = {int(s) for s in re.findall(r"^    \{(\d{3}), PIXI_EXIT", read("src/client/failure.c"), re.M)}
    assert len(statuses) > 8 and statuses <= codes_of(answered, "HTTP")
    assert {code for _, code in answered if "to" in code} == {"129 to 192", "3001 to 3999", "4000 to 4999"}


def test_every_error_page_tells_what_to_do(error_pages):
    """Short, its own words, and of one form."""
    for name, (title, paragraph, rest) in error_pages.items():
        assert not title.endswith(".") and paragraph.endswith("."), name
        assert re.findall(r"^## (.*)$", rest, re.M) in (
            [], ["What to do"], ["How it looks", "What to do"]
        ), name
        assert 150 < len(rest) < 2500, name
    firsts = [rest.split("\n\n")[0] for _, _, rest in error_pages.values()]
    assert len(set(firsts)) == len(firsts)


def test_the_index_of_errors_is_complete(read, error_pages):
    index = [row for row in rows(read("docs/errors.md"), 3) if row[0].startswith("[")]
    wanted = {
        (f"[{name}](errors/{name}.md)", title, paragraph.rstrip(".").replace("](", "](errors/"))
        for name, (title, paragraph, _) in error_pages.items()
    }
    assert {tuple(row) for row in index} == wanted and len(index) == len(wanted)


def test_every_exit_code_has_its_row(read):
    source = {int(code) for code in re.findall(r"PIXI_EXIT_\w+ = (\d+)", read("src/base/exit.h"))}
    assert source == set(range(15))
    documented = [row[0] for row in rows(read("docs/exit-codes.md"), 2)]
    assert [code for code in documented if code.isdigit()] == [str(code) for code in sorted(source)]
    assert "128+n" in documented


def test_exit_codes_of_the_server(read):
    """Those that its sources name are those that the page lists for it."""
    source = read("apps/pixi-ws-server/cmd_run.c") + read("apps/pixi-ws-server/cmd_key.c")
    used = {int(code) for code in re.findall(r"EXIT_\w+ = (\d+)", source)} | {0}
    listed = re.search(r"`pixi-ws-server` uses ([^.]*)\.", read("docs/exit-codes.md"))[1]
    assert {int(n) for n in re.findall(r"\d+", re.sub(r"\([^)]*\)", "", listed))} == used


OPTION = re.compile(r"^  (?:-(\w), |    )--([\w-]+)(?: ([A-Z:=]+))? {2,}\S", re.M)


def told_options(text):
    """(name, letter, argument) of each option in a --help text, which comes from the table in main.c."""
    found = [(name, letter, argument) for letter, name, argument in OPTION.findall(text)]
    assert len(found) == len(re.findall(r"^ +(?:-\w, )?--", text, re.M)), text
    return [option for option in found if option[0] != "help"]


def section(markdown, heading):
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^##? |^### |\Z)", markdown, re.S | re.M)
    assert found, f"no section {heading!r}"
    return found[1]


def written(name, letter, argument):
    """An option as the page writes it."""
    return (f"`-{letter}`, " if letter else "") + f"`--{name}{' ' + argument if argument else ''}`"


def listed_options(part):
    return [row[0] for row in rows(part, 2) if row[0].startswith("`-") and "--help" not in row[0]]


def test_every_command_and_option_of_the_client(read, run):
    page = read("docs/commands.md")
    client = page[page.index("## pixi-ws-client") : page.index("## pixi-ws-server")]
    told = run(["pixi-ws-client", "--help"]).stdout
    commands = re.findall(r"^  (\w+) +\S", told[: told.index("--settings FILE  ")], re.M)
    assert {"verify", "send", "request", "listen", "connect", "config", "explain"} <= set(commands)
    assert re.findall(r"^### (\w+)$", client, re.M) == commands
    assert listed_options(section(client, "## pixi-ws-client")) == [written(*o) for o in told_options(told)]
    for name in commands:
        part = section(client, f"### {name}")
        told = run(["pixi-ws-client", name, "--help"]).stdout
        assert told.startswith(f"pixi-ws-client {name}") and f"pixi-ws-client {name}" in part
        assert listed_options(part) == [written(*option) for option in told_options(told)], name
        for line in re.findall(r"^  (pixi-ws-client .*)$", told, re.M):  # the examples
            assert line in part, line


def test_every_command_and_option_of_the_server(read, run):
    page = read("docs/commands.md")
    server = page[page.index("## pixi-ws-server") : page.index("## geom-image")]
    for words, heading in (([], "## pixi-ws-server"), (["key"], "### key"), (["config"], "### config")):
        told = run(["pixi-ws-server", *words, "--help"]).stdout
        part = section(server, heading)
        assert listed_options(part) == [written(*option) for option in told_options(told)], words
        for line in re.findall(r"^  (pixi-ws-server .*)$", told, re.M):  # the examples
            assert line in part, line


def pages(root):
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").glob("**/*.md"))]


def links(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return [target for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text) if not re.match(r"\w+:", target)]


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_every_link_leads_somewhere(root):
    broken = []
    for page in pages(root):
        for target in links(page):
            path, _, anchor = target.partition("#")
            to = (page.parent / path).resolve() if path else page
            if not to.exists() or (anchor and to.suffix == ".md" and anchor not in anchors(to)):
                broken.append(f"{page.relative_to(root)}: {target}")
    assert not broken, "\n".join(broken)


def test_every_page_of_docs_is_linked(root):
    linked = {(page.parent / target.partition("#")[0]).resolve() for page in pages(root) for target in links(page)}
    alone = [page.name for page in (root / "docs").iterdir() if page.is_file() and page.resolve() not in linked]
    assert not alone


def test_paths_named_in_the_text_exist(root):
    """What stands in backticks and looks like one of ours is there, is planned as a module, or is made by a command."""
    planned = set(re.findall(r"^([\w/]+):", (root / "tools/modules.txt").read_text(encoding="utf-8"), re.M))
    made = {"config/api_key", "config/websocket_settings.json", "config/pixi_ws_server.json"}
    path = re.compile(r"`((?:src|docs|apps|tests|tools|config|include)/[a-z0-9_./-]+)`")
    missing = [
        f"{page.relative_to(root)}: {named}"
        for page in pages(root)
        for named in path.findall(page.read_text(encoding="utf-8"))
        if not (root / named).exists() and named not in planned | made
    ]
    assert not missing, "\n".join(missing)
