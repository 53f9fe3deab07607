"""geom-image inspect and diff: what is in an image, and what is other in another one; keys stay hidden."""

import io
import json
import re
import tarfile

import pytest

KEY = "pk_" + "k0123456789" * 3 + "abcdefghij"
OTHER = "pk_" + "K0123456789" * 3 + "abcdefghij"

FIRST = """
    packages: [{name: busybox-static, files: [/bin/busybox]}]
    files:
      - {content: a, destination: /etc/a}
      - {content: b, destination: /etc/b}
      - {content: c, destination: /etc/c}
      - {link: a, destination: /etc/link}
      - {content: '{"list": [1, 2], "url": "ws://me:secret@a/b", "name": "n"}', destination: /etc/x.json}
    users: [{name: pixi, uid: 990}]
    container: {command: [sh], labels: [a=1]}
"""
CHANGES = [
    ("{content: a,", "{content: aa,"),
    ("destination: /etc/b}", "destination: /etc/new}"),
    ("/etc/c}", "/etc/c, mode: 0600, owner: pixi}"),
    ("link: a,", "link: c,"),
    ("[1, 2]", "[1, 3, 4]"),
    ("me:secret@a", "me:other@c"),
    (', "name": "n"', ', "api_key": "abc"'),
    ("a=1", "a=2"),
]


@pytest.fixture
def two(build):
    second = FIRST
    for old, new in CHANGES:
        assert old in second
        second = second.replace(old, new)
    return build(FIRST, output="one"), build(second, output="two")


def test_every_kind_of_change(two, run):
    one, two = two
    done = run(["geom-image", "diff", one.folder, two.folder])
    assert done.returncode == 1 and done.stderr == ""
    lines = done.stdout.splitlines()
    sums = [line for line in lines if line.startswith("~ /etc/a contents: 1 bytes, sha256:")]
    assert len(sums) == 1
    assert [line for line in lines if line not in sums] == [
        "- /etc/b: file, 1 bytes",
        "~ /etc/c owner: 0:0 -> 990:990",
        "~ /etc/c mode: 0644 -> 0600",
        "~ /etc/link target: a -> c",
        "+ /etc/new: file, 1 bytes",
        "+ /etc/x.json api_key: (hidden)",
        "~ /etc/x.json list[1]: 2 -> 3",
        "+ /etc/x.json list[2]: 4",
        '- /etc/x.json name: "n"',
        '~ /etc/x.json url: "ws://(hidden)@a/b" -> "ws://(hidden)@c/b"',
        '~ config Labels.a: "1" -> "2"',
    ]
    assert "secret" not in done.stdout and "abc" not in done.stdout
    back = run(["geom-image", "diff", two.folder, one.folder]).stdout.splitlines()
    assert "+ /etc/b: file, 1 bytes" in back and "~ /etc/c mode: 0600 -> 0644" in back and len(back) == len(lines)


def test_as_json(two, run):
    one, two = two
    changes = json.loads(run(["geom-image", "diff", "--json", one.path("oci"), two.path("oci")]).stdout)["changes"]
    by = {(c["about"], c["where"], c["member"]): (c["from"], c["to"]) for c in changes}
    assert len(by) == len(changes) == len(run(["geom-image", "diff", one.path("oci"), two.path("oci")]).stdout.splitlines())
    assert by["file", "/etc/c", "mode"] == ("0644", "0600")
    assert by["file", "/etc/b", None] == ("file, 1 bytes", None)
    assert by["config", "config", "Labels.a"] == ('"1"', '"2"')


def test_all_outputs_of_one_image_are_the_same(build, kernel, run):
    x = build(FIRST + "    kernel: {package: linux-image-test}\n", "--kernel", kernel)
    assert x.done.returncode == 0, x.done.stderr
    done = run(["geom-image", "diff", x.path("rootfs.tar"), x.path("oci")])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run(["geom-image", "diff", x.path("rootfs.tar"), x.path("initramfs.cpio.zst")])
    assert done.returncode == 1 and done.stdout == "+ /etc/pixi/modules: file, 0 bytes\n+ /init: link to bin/busybox\n"


def test_versions_of_packages(build, run, tmp_path):
    x = build(FIRST)
    with tarfile.open(x.path("rootfs.tar")) as old, tarfile.open(tmp_path / "new.tar", "w") as new:
        for m in old.getmembers():
            data = old.extractfile(m).read() if m.isreg() else b""
            if m.name == "var/lib/dpkg/status.d/busybox-static":
                data = data.replace(b"Version: ", b"Version: 9")
                m.size = len(data)
            new.addfile(m, io.BytesIO(data))
    done = run(["geom-image", "diff", x.path("rootfs.tar"), tmp_path / "new.tar"])
    [line] = done.stdout.splitlines()
    assert line.startswith("~ package busybox-static: 1:") and " -> 91:" in line


def test_inspect(build, run):
    x = build(FIRST)
    for path in (x.folder, x.path("oci"), x.path("rootfs.tar")):
        done = run(["geom-image", "inspect", path])
        assert done.returncode == 0, done.stderr
        assert "  -rw-r--r-- 0:0               1 ca978112ca1b /etc/a\n" in done.stdout
        assert "  lrwxrwxrwx 0:0               0 -            /etc/link -> a\n" in done.stdout
        assert "drwxrwxrwt" in done.stdout and "\n  busybox-static 1:" in done.stdout
        assert ('Labels.a: "1"' in done.stdout) == (path != x.path("rootfs.tar"))


def test_inspect_as_json(build, run):
    x = build(FIRST)
    told = json.loads(run(["geom-image", "inspect", "--json", x.path("oci")]).stdout)
    manifest = json.loads(x.path("manifest.json").read_text())
    assert told["kind"] == "OCI image" and told["config"]["Cmd"] == ["sh"]
    assert [p["name"] for p in told["packages"]] == ["busybox-static"]
    assert told["files"] == manifest["files"]


def test_inspect_the_papers(build, run, tmp_path):
    x = build(FIRST)
    told = run(["geom-image", "inspect", x.path("spdx.json")])
    assert told.returncode == 0 and re.search(r"^  busybox-static 1:\S+, NOASSERTION$", told.stdout, re.M), told.stdout
    assert f"{x.path('spdx.json')}: bill of materials of x-1, SPDX-2.3\n" in told.stdout
    told = run(["geom-image", "inspect", x.path("manifest.json")])
    assert told.returncode == 0 and "  0777 0:0 link /etc/link -> a\n" in told.stdout
    told = run(["geom-image", "inspect", "--json", x.path("manifest.json")])
    assert told.stdout == x.path("manifest.json").read_text()
    head = bytearray(0x400)
    head[0x202:0x206], head[0x20E:0x210] = b"HdrS", (0x100).to_bytes(2, "little")
    head[0x300:0x306] = b"6.1.0\0"
    (tmp_path / "vmlinuz").write_bytes(head)
    assert run(["geom-image", "inspect", tmp_path / "vmlinuz"]).stdout == f"{tmp_path}/vmlinuz: Linux kernel 6.1.0\n"
    head[0x20E:0x210] = b"\xff\xff"
    (tmp_path / "vmlinuz").write_bytes(head)
    assert run(["geom-image", "inspect", tmp_path / "vmlinuz"]).returncode == 3


def test_a_key_is_never_shown(build, run):
    files = "files: [{{content: '{{\"x\": \"{}\"}}', destination: /k.json, everybody_gets_it: true}}]\n"
    one = build(files.format(KEY), output="one")
    two = build(files.format(OTHER), output="two")
    done = run(["geom-image", "diff", one.folder, two.folder])
    assert done.stdout == "~ /k.json x: (hidden) -> (hidden)\n"


def test_a_terminal_is_left_alone(run, tmp_path):
    """A name in somebody's image may be meant for the terminal of who looks at it."""
    for name, path in (("one", "a"), ("two", "a\x1b]0;owned\x07")):
        with tarfile.open(tmp_path / f"{name}.tar", "w") as archive:
            archive.addfile(tarfile.TarInfo(path))
    done = run(["geom-image", "diff", tmp_path / "one.tar", tmp_path / "two.tar"])
    assert done.stdout == "- /a: file, 0 bytes\n+ /a?]0;owned?: file, 0 bytes\n"
    assert "\x1b" not in run(["geom-image", "inspect", tmp_path / "two.tar"]).stdout


def test_not_an_image(run, build, tmp_path):
    (tmp_path / "text").write_text("no image\n")
    (tmp_path / "empty").mkdir()
    for path, said in (
        ("nothing", "No such file or directory"),
        ("text", "cannot be read: "),
        ("empty", "found neither an OCI layout nor outputs of geom-image build in"),
    ):
        done = run(["geom-image", "inspect", tmp_path / path])
        assert done.returncode == 3 and said in done.stderr, done.stderr
        assert "expected a root file system (tar), an initramfs, an OCI layout" in done.stderr
    x = build(FIRST)
    (x.folder / "y-1.rootfs.tar").write_bytes(x.path("rootfs.tar").read_bytes())
    done = run(["geom-image", "inspect", x.folder])
    assert done.returncode == 3 and "found several images in" in done.stderr


def test_command_line(run):
    done = run(["geom-image", "diff", "a"])
    assert done.returncode == 2 and "two images are wanted" in done.stderr
    done = run(["geom-image", "inspect", "a", "b"])
    assert done.returncode == 2 and "one image is enough" in done.stderr
