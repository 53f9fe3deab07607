"""The crates: the table of docs/library.md row by row, their own tests, and bin/pixi-ws-client-rust as people use it."""

import json
import os
import re
import signal
import subprocess

import answers
import pytest

ROWS = answers.rows()


@pytest.fixture(scope="session")
def examples(root):
    return root / "build/rust/release/examples"


@pytest.fixture
def rust_env(root):
    return {"LD_LIBRARY_PATH": str(root / "build/lib")}


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_what_each_call_answers(run, examples, rust_env, row):
    with answers.server_of(row) as server:
        done = run([examples / "answers", row.id, server.url, server.key], env=rust_env)
    assert done.returncode == 0 and not done.stderr, done
    assert [line.strip() for line in done.stdout.splitlines()] == row.answers, row


def test_unit_tests_and_the_examples_in_the_documentation(root):
    done = subprocess.run(["make", "-s", "rust-test"], cwd=root, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = [int(n) for n in re.findall(r"test result: ok\. (\d+) passed; 0 failed", done.stdout)]
    assert sum(counts) >= 15, done.stdout


STRUCTS = {
    "pixi_error": "rc code name layer clause is_final close_code retry_after_ms reason cause fix reserved",
    "pixi_header": "name name_len value value_len",
    "pixi_message": "flags topic filter payload payload_len headers header_count time_ms epoch offset request connection",
    "pixi_send_options": "flags timeout_ms expiry_s header_count headers on_sent ctx",
    "pixi_callbacks": "on_connect on_message on_close on_unsubscribed",
}


def test_structs_and_constants_are_those_of_the_headers(root, tmp_path):
    """A C program full of assertions, written from the crate's source."""
    source = (root / "bindings/rust/pixi-ws-sys/src/lib.rs").read_text()
    lines = ["#include <pixiws/pixiws.h>", "#include <stddef.h>"]
    for name, value in re.findall(r"pub const (PIXI_\w+): c_u?int = (\d+);", source):
        lines.append(f'_Static_assert({name} == {value}, "{name}");')
    assert len(lines) > 35
    size_of = {"c_int": 4, "c_uint": 4, "u16": 2, "u32": 4, "u64": 8, "usize": 8, "u8": 1, "c_char": 1}
    for name, members in STRUCTS.items():
        body = re.search(rf"pub struct {name} \{{\n(.*?)\n\}}", source, re.S)[1]
        fields = re.findall(r"^    pub (\w+):\s+(.*?),$", body, re.M | re.S)
        assert [field for field, _ in fields] == members.split(), name
        at = align_of_all = 0
        for field, kind in fields:
            array = re.fullmatch(r"\[(\w+); (\d+)\]", kind)
            unit = size_of.get(array[1] if array else kind, 8)
            at += -at % unit
            align_of_all = max(align_of_all, unit)
            lines.append(f'_Static_assert(offsetof(struct {name}, {field}) == {at}, "{name}.{field}");')
            at += unit * (int(array[2]) if array else 1)
        lines.append(f'_Static_assert(sizeof(struct {name}) == {at + -at % align_of_all}, "{name}");')
    functions = set(re.findall(r"pub fn (\w+)\(", source))
    exported = re.findall(r"^    (pixi_\w+);", (root / "src/client/libpixiws.map").read_text(), re.M)
    assert functions == set(exported)
    program = tmp_path / "layout.c"
    program.write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        ["gcc", "-fsyntax-only", f"-I{root / 'include'}", program], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def client(root):
    return root / "build/bin/pixi-ws-client-rust"


def test_what_it_sends_is_printed_by_listen(spawn, run, hub, place, client):
    file = place(hub())
    listener = spawn(["pixi-ws-client", "-s", file, "listen", "event/#"])
    listener.wait_line("listening to")
    sender = spawn([client, "-s", file, "event/rust", '{"given": 1}'])
    assert sender.wait_line("^connected with result code 0$", stream="err")
    assert json.loads(listener.wait_line("given", stream="out").string)["payload"] == {"given": 1}
    piped = spawn([client, "-s", file, "event/rust"])
    piped.write("one\ntwo\n")
    assert '"payload_text":"one"' in listener.wait_line("payload", stream="out", nth=2).string
    assert '"payload_text":"two"' in listener.wait_line("payload", stream="out", nth=3).string
    assert sender.stop() == 0
    piped.write("three\n")
    listener.wait_line("three")
    assert piped.stop(signal.SIGINT) == 0


FIVE_LINES = {
    "later": """
fn main() -> Result<(), pixi_ws::Error> {
    let (client, last) = (pixi_ws::Client::from_settings(None)?, std::sync::mpsc::channel());
    client.connect(None)?;
    client.send_then("event/five", r#"{"lines": 5}"#, &Default::default(), |_, sent| sent.unwrap())?;
    client.request_then("request/five", "1", None, move |_, reply| last.0.send(reply.unwrap().payload().to_vec()).unwrap())?;
    let reply = loop {
        client.process(None)?;
        if let Ok(reply) = last.1.try_recv() { break reply }
    };
    Ok(println!("{}", String::from_utf8(reply).unwrap()))
}
""",
    "send": """
fn main() -> Result<(), pixi_ws::Error> {
    let client = pixi_ws::Client::from_settings(None)?;
    client.connect(None)?;
    client.send_message("event/five", r#"{"lines": 5}"#)
}
""",
    "ask": """
fn main() -> Result<(), pixi_ws::Error> {
    let client = pixi_ws::Client::from_settings(None)?;
    client.connect(None)?;
    Ok(println!("{}", client.request("request/five", "1", None)?.text().unwrap()))
}
""",
}


@pytest.mark.parametrize("what", FIVE_LINES)
def test_five_lines(root, spawn, run, hub, place, tmp_path, rust_env, what):
    file, deps = place(hub()), root / "build/rust/release/deps"
    (tmp_path / "five.rs").write_text(FIVE_LINES[what])
    crate = max(deps.glob("libpixi_ws-*.rlib"), key=lambda file: file.stat().st_mtime)
    args = ["rustc", "--edition", "2021", "five.rs", "--extern", f"pixi_ws={crate}", "-L", f"dependency={deps}"]
    path = f"/usr/bin:{os.environ['PATH']}"
    built = run([*args, "-L", f"native={root / 'build/lib'}"], cwd=tmp_path, env={"PATH": path, **rust_env})
    assert built.returncode == 0, built.stderr
    reply = ["--reply", '{"minutes": 4}'] if what != "send" else []
    listener = spawn(["pixi-ws-client", "-s", file, "listen", "event/#", "request/#", *reply])
    listener.wait_line("listening to")
    done = run([tmp_path / "five"], env={**rust_env, "PIXI_WS_SETTINGS": str(file)})
    assert done.returncode == 0, done.stderr
    if what != "send":
        assert done.stdout == '{"minutes": 4}\n'
    if what != "ask":
        listener.wait_line('"payload":{"lines": 5}', stream="out")
