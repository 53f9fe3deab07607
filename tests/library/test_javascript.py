"""@pixi-ws/client in Node, with Debian's ws: the table of docs/library.md row by row, and what is its own."""

import base64
import re
import shutil

import pytest

import answers
import scripted
from proxy import Proxy

NODE = {"NODE_PATH": "/usr/share/nodejs"}


def differing():
    """{row: what it answers here, "-": there is no such call}, of docs/javascript.md."""
    page = answers.PAGE.with_name("javascript.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([A-Z]+|-) \| ", page[page.index("## Where it differs") :], re.M))


DIFFERING = differing()
ROWS = [row for row in answers.rows() if DIFFERING.get(row.id) != "-"]


@pytest.fixture
def program_node():
    program = shutil.which("node") or shutil.which("nodejs")
    assert program, "node is missing: tools/install-deps test"
    return program


@pytest.fixture
def node(run, root, program_node):
    """node("answers.mjs", ...) -> the finished process."""
    return lambda file, *args: run([program_node, root / "tests/library" / file, *args], env=NODE)


@pytest.fixture
def node_spawn(spawn, root, program_node):
    return lambda file, *args: spawn([program_node, root / "tests/library" / file, *args], env=NODE)


@pytest.fixture
def client_of(run):
    """client_of(server, "send", ...) -> pixi-ws-client, finished."""

    def client_of(server, *args):
        return run(["pixi-ws-client", *args], env={"PIXI_WS_URL": server.url, "PIXI_WS_API_KEY": server.key})

    return client_of


def test_rows_that_differ_are_rows():
    assert set(DIFFERING) < {row.id for row in answers.rows()} and len(DIFFERING) == 11


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_what_each_call_answers(node, row):
    other = DIFFERING.get(row.id)
    with answers.server_of(row) as server:
        done = node("answers.mjs", row.id, server.url, server.key)
    assert done.returncode == 0 and not done.stderr, done
    assert done.stdout.splitlines() == ([other] if other else row.answers), row
    key = base64.urlsafe_b64encode(scripted.KEY.encode()).decode().rstrip("=")
    assert set(server.protocols) <= {f"pixi.v1,pixi.key.{key}".encode()}


def test_a_message_is_sent_again_under_its_key_only(node):
    row = next(row for row in ROWS if row.id == "send-over-a-loss")
    with answers.server_of(row) as server:
        node("answers.mjs", row.id, server.url, server.key)
    keys = [call["params"]["key"] for call in server.calls if call["method"] == "publish"]
    assert len(keys) == 2 and keys[0] == keys[1] and server.seqs == [1]
    assert len(server.protocols) == 2


def test_the_close_code_and_reason_reach_the_peer(node):
    row = next(row for row in ROWS if row.id == "close-code")
    with answers.server_of(row) as server:
        node("answers.mjs", row.id, server.url, server.key)
    assert server.closes == [(4001, "that is all")]


# --- what is its own: use.mjs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what", ["payloads", "iterators", "requests", "backpressure", "reader", "batches", "closing", "handlers", "key"]
)
def test_in_use(hub, node, what):
    server = hub(keys={"narrow": ("event/#", "event/#")})
    done = node("use.mjs", what, server.url, server.key, server.keys["narrow"])
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.parametrize("what", ["retry", "replacedTwice"])
def test_without_a_server(node, what):
    done = node("use.mjs", what, "ws://127.0.0.1:1/", "key")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_a_server_that_says_when_to_come_back(hub, node_spawn):
    server = hub()
    proc = node_spawn("use.mjs", "restart", server.url, server.key)
    proc.wait_line("^open$")
    server.proc.stop()
    told = proc.wait_line(r"^waiting 1012 (\d+)$")
    assert int(told[1]) < 40_000
    hub(port=server.port)
    proc.wait_line("^open$", nth=2)
    assert proc.wait() == 0


def test_nothing_is_lost_over_a_killed_server_and_a_new_epoch_is_told(hub, node_spawn, client_of):
    """The numbers published over the loss all come; the new server has nothing of the old one's history."""
    server = hub()
    proc = node_spawn("use.mjs", "resume", server.url, server.key)
    proc.wait_line("^got 0$")
    server.proc.kill()
    proc.wait_line("^waiting 0 ")
    again = hub(port=server.port)
    proc.wait_line("^history lost$")
    proc.wait_line("^published 3$")
    assert client_of(again, "send", "event/end", "true").returncode == 0
    proc.wait_line("^end$")
    assert proc.wait() == 0
    assert [line for line in proc.out.splitlines() if line.startswith("got")] == ["got 0", "got 1", "got 2", "got 3"]


@pytest.mark.parametrize("how", ["reset", "end", "silence"])
def test_a_cut_connection_misses_nothing(hub, node_spawn, client_of, how):
    server = hub()
    with Proxy(server) as proxy:
        proc = node_spawn("use.mjs", "cut", proxy.url, server.key)
        proc.wait_line("^open$")
        proxy.cut(how, then_hold=True)
        for i in range(3):
            assert client_of(server, "send", "event/x", str(i)).returncode == 0
        proxy.let_go()
        proc.wait_line("^got 2$")
        assert client_of(server, "send", "event/end", "true").returncode == 0
        assert proc.wait() == 0
    assert "history lost" not in proc.out
    assert [line for line in proc.out.splitlines() if line.startswith("got")] == ["got 0", "got 1", "got 2"]


@pytest.fixture
def example(root, tmp_path):
    """example(page, server) -> a program: what a page of docs/ shows, with this server and its key, and then more."""

    def example(page, server, more=""):
        text = (root / "docs" / page).read_text(encoding="utf-8")
        code = re.search(r"```js\n(import \{ Client \}.*?)```", text, re.S)[1]
        code = code.replace("@pixi-ws/client", str(root / "bindings/js/src/index.js"))
        given = f'"{server.url}", {{ key: "{server.key}", WebSocket }}'
        code = code.replace('"ws://127.0.0.1:8768/api/v1", { key }', given)
        head = 'import { createRequire } from "node:module";\nconst WebSocket = createRequire(import.meta.url)("ws");\n'
        (tmp_path / "example.mjs").write_text(head + code + more)
        return tmp_path / "example.mjs"

    return example


def test_the_example_of_javascript_md(hub, spawn, client_of, program_node, example):
    server = hub()
    proc = spawn([program_node, example("javascript.md", server)], env=NODE)
    assert client_of(server, "send", "--retain", "event/tram/8", '{"x": 13}').returncode == 0  # live, or retained
    proc.wait_line(r"^event/tram/8 \{ x: 13 \}$")


def test_the_example_of_scene_md(hub, run, program_node, example, client_of):
    server = hub()
    done = run([program_node, example("scene.md", server, "await client.close();\n")], env=NODE)
    assert done.returncode == 0 and not done.stderr, done
    listed = client_of(server, "listen", "scene/#", "--count", "1")
    assert '"topic":"scene/objects/from-javascript"' in listed.stdout


def test_nothing_comes_that_was_meant_for_the_subscription_before(node):
    with scripted.Server("replaced") as server:
        done = node("use.mjs", "replaced", server.url, server.key)
        assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
