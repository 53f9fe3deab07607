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


def test_every_error_has_its_row(read):
    source = re.findall(r'^ *X\((\w+), (-\d+), "([^"]*)", "([^"]*)"\)', read("src/base/err.h"), re.M)
    assert len(source) > 60
    wanted = [[f"`{name}`", value, text, clause or "-"] for name, value, text, clause in source]
    got = [row[:4] for row in rows(read("docs/errors.md"), 5) if row[0].startswith("`")]
    assert got == wanted
    assert all(len(row[4]) > 10 for row in rows(read("docs/errors.md"), 5)[2:])


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
    source = re.findall(r'^    \{"(\w+)", "', read("apps/pixi-ws-client/main.c"), re.M)
    assert commands == source and {"verify", "send", "request", "listen", "connect", "config"} <= set(commands)
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
    """Its help is text, so names are compared."""
    page = read("docs/commands.md")
    server = page[page.index("## pixi-ws-server") :]
    for words, heading in (([], "## pixi-ws-server"), (["key"], "### key"), (["config"], "### config")):
        told = run(["pixi-ws-server", *words, "--help"]).stdout
        part = section(server, heading)
        if not words:  # the usage of the other commands stands there, too
            told = re.sub(r"^ +pixi-ws-server (key|config) .*$", "", told, flags=re.M)
        listed = set(re.findall(r"--[a-z-]+", " ".join(row[0] for row in rows(part, 2))))
        assert listed - {"--help", "--version"} == set(re.findall(r"--[a-z-]+", told)) - {"--help", "--version"}


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
