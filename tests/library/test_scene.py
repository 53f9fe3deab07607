"""The lines of docs/scene.md that put an object on the map from a program, run as they stand there."""

import os
import re
import subprocess
import textwrap

import pytest
from rpc import Rpc

C_MAIN = """
#include <pixiws/pixiws.h>
#include <stdio.h>
int main(void)
{
%s
    pixi_client_free(c);
    return e.rc;
}
"""
RUST_MAIN = """
fn main() -> Result<(), Box<dyn std::error::Error>> {
%s
    Ok(())
}
"""
CARGO = """
[package]
name = "scene"
version = "0.0.0"
edition = "2021"

[dependencies]
pixi-ws = {{ path = "{root}/bindings/rust/pixi-ws" }}
"""


def lines_of(root, language):
    page = (root / "docs/scene.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", page[page.index("## From a program") :], re.S | re.M)
    assert len([line for line in found.splitlines() if line]) <= 5
    return found


def built(*args, **more):
    done = subprocess.run([str(a) for a in args], capture_output=True, encoding="utf-8", timeout=300, **more)
    assert done.returncode == 0, done.stdout + done.stderr


def shell(root, folder):
    return ["bash", "-euc", lines_of(root, "sh")]


def c(root, folder):
    (folder / "scene.c").write_text(C_MAIN % textwrap.indent(lines_of(root, "c"), "    "))
    where = [f"-I{root}/include", f"-L{root}/build/lib", f"-Wl,-rpath,{root}/build/lib"]
    built("gcc", "-std=c17", "-Wall", "-Wextra", "-Werror", *where, "-o", folder / "scene", folder / "scene.c", "-lpixiws")
    return [folder / "scene"]


def python(root, folder):
    return ["/usr/bin/python3", "-c", lines_of(root, "python")]


def rust(root, folder):
    (folder / "src").mkdir()
    (folder / "src/main.rs").write_text(RUST_MAIN % textwrap.indent(lines_of(root, "rust"), "    "))
    (folder / "Cargo.toml").write_text(CARGO.format(root=root))
    env = {
        **os.environ,
        "PATH": f"/usr/bin:{os.environ['PATH']}",
        "CARGO_HOME": str(folder / "home"),
        "PIXIWS_LIB_DIR": str(root / "build/lib"),
        "RUSTFLAGS": f"-D warnings -C link-arg=-Wl,-rpath,{root}/build/lib",
    }
    built("cargo", "build", "--offline", "--quiet", cwd=folder, env=env)
    return [folder / "target/debug/scene"]


@pytest.mark.parametrize("program", [shell, c, python, rust], ids=lambda f: f.__name__)
def test_an_object_is_put_on_the_map(root, bin_dir, hub, spawn, place, tree, tmp_path, program):
    server = hub()
    env = {**tree, "PIXI_WS_SETTINGS": str(place(server)), "PATH": f"{bin_dir}:{os.environ['PATH']}"}
    proc = spawn(program(root, tmp_path), env=env)
    assert proc.wait() == 0, proc
    with Rpc(server) as link:
        link.call("subscribe", filter="scene/objects/#")
        message = link.note()
    assert message["topic"] == f"scene/objects/from-{program.__name__}" and message["retained"]
    assert message["payload"]["x"] == 12 and message["payload"]["y"] == 40
