"""geom-image build: what is wrong is said at its place, and nothing is left under an output's name."""

import fcntl
import json
import os
import re
import resource

import pytest

KEY = "pk_" + "k0123456789" * 3 + "abcdefghij"
PEM = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIB\n" * 3 + "-----END PRIVATE KEY-----\n"
USER = "users: [{name: pixi, uid: 990}]\n"
CLIENT = "websocket_settings:\n  settings: {url: ws://a/b, allow_plaintext: true}\n"

# name: (description, files beside it, what is said)
BAD = {
    "no such source": (
        "files: [{source: nothing, destination: /x}]\n",
        {},
        r"image\.yaml:3:\d+: files\[0\]: /x: found no file at .*/nothing, expected a file",
    ),
    "a folder as source": (
        "files: [{source: ., destination: /x}]\n",
        {},
        r"files\[0\]: /x: found a folder at .*, expected a regular file",
    ),
    "a device as source": (
        "files: [{source: /dev/null, destination: /x}]\n",
        {},
        r"found a device, socket or pipe at /dev/null, expected a regular file",
    ),
    "all in one run": (
        "files:\n  - {source: one, destination: /x}\n  - {source: two, destination: /y}\n",
        {},
        r"image\.yaml:4:5: files\[0\]: .*\n.*image\.yaml:5:5: files\[1\]: ",
    ),
    "owner": (
        "files: [{content: a, destination: /x, owner: nobody}]\n",
        {},
        r'image\.yaml:3:\d+: files\[0\]: found owner "nobody", expected root or users of the image',
    ),
    "taken by a script": (
        "files: [{content: a, destination: /usr/bin/s}]\nwebsocket_settings: {scripts: [s]}\n",
        {"s": "x"},
        r"image\.yaml:4:\d+: websocket_settings\.scripts\[0\]: /usr/bin/s: found this destination a second time, "
        r"first from files\[0\], expected it once",
    ),
    "taken by another way": (
        "files:\n  - {content: a, destination: /bin/s}\n  - {content: b, destination: /usr/bin/s}\n",
        {},
        r"image\.yaml:5:5: files\[1\]: /usr/bin/s: found this destination a second time, first from files\[0\]",
    ),
    "taken by users": (
        "files: [{content: a, destination: /etc/passwd}]\n",
        {},
        r"files\[0\]: /etc/passwd: found this destination a second time, first from users",
    ),
    "below a file": (
        "files:\n  - {content: a, destination: /x}\n  - {content: b, destination: /x/y}\n",
        {},
        r"files\[1\]: /x/y: found that /x is a file, not a folder \(from files\[0\]\)",
    ),
    "link out": (
        "files: [{link: ../../etc, destination: /x/y}]\n",
        {},
        r"files\[0\]: /x/y: found a link to \.\./\.\./etc, which leads out of the root",
    ),
    "package": (
        "packages: [{name: no-such-package}]\n",
        {},
        r"image\.yaml:3:\d+: packages\[0\]: found package no-such-package not installed here, expected it to be: "
        r"apt-get install no-such-package",
    ),
    "no file of a package": (
        "packages: [{name: busybox-static, files: [/bin/nothing]}]\n",
        {},
        r"packages\[0\]: found no /bin/nothing in package busybox-static, expected one of its files \(dpkg -L",
    ),
    "broken program": (
        "files: [{source: p, destination: /usr/bin/p}]\n",
        {"p": "\x7fELF\x02\x01\x01"},
        r"files\[0\]: /usr/bin/p: found a broken ELF file",
    ),
    "private key": (
        "files: [{source: key, destination: /etc/ssl/key}]\n",
        {"key": PEM},
        r"image\.yaml:3:\d+: files\[0\]: found a private key \(PEM\) in /etc/ssl/key: a secret about to be baked in",
    ),
    "API key": (
        f'files: [{{content: "k={KEY}", destination: /x}}]\n',
        {},
        r"files\[0\]: found a Pixi API key \(pk_\.\.\.\) in /x: a secret about to be baked in",
    ),
    "API key in a script": (
        "websocket_settings: {scripts: [s]}\n",
        {"s": f"#!/bin/sh\nKEY={KEY}\n"},
        r"websocket_settings\.scripts\[0\]: found a Pixi API key",
    ),
    "no kernel": (
        "packages: [{name: busybox-static}]\nkernel: {package: linux-image-test}\n",
        {},
        r"image\.yaml:4:\d+: kernel\.package: found no kernel in build/image/kernel, expected linux-image-test "
        r"unpacked there: make image does that",
    ),
    "base": ("base: tar:nothing.tar\n", {}, r"image\.yaml:3:7: base: .*/nothing\.tar cannot be read: "),
    "no base": ("base: oci:nothing\n", {}, r"image\.yaml:3:7: base: found no oci-layout in .*/nothing"),
    "zeros": ("base: tar:x.tar\n", {"x__tar": "\0" * 10240}, r"base: .*/x\.tar cannot be read: nothing is in it"),
    "no tar": ("base: tar:x.tar\n", {"x__tar": "no tar\n"}, r"base: .*/x\.tar cannot be read: "),
}


@pytest.mark.parametrize("name", BAD)
def test_bad(build, name, tmp_path):
    text, files, said = BAD[name]
    x = build(text, cwd=tmp_path, **files)
    assert x.done.returncode == 3, x.done.stderr
    assert re.search(said, x.done.stderr), x.done.stderr
    assert x.done.stdout == "" and x.names == []
    assert KEY not in x.done.stderr


def test_a_secret_that_is_meant(build):
    x = build("files: [{source: key, destination: /etc/ssl/key, everybody_gets_it: true}]\n", key=PEM)
    assert x.done.returncode == 0, x.done.stderr
    assert x.read("etc/ssl/key").decode() == PEM


def test_a_key_that_is_baked_in(build):
    text = USER + CLIENT + "  api_key: {bake_in: key, everybody_gets_it: true}\n"
    x = build(text, key=KEY + "\n")
    assert x.done.returncode == 0, x.done.stderr
    assert "warning: the API key goes into the image; everybody who has the image has it" in x.done.stderr
    m = x.members["run/pixi/api_key"]
    assert (x.read(m.name).decode(), m.mode, m.uid, m.gid) == (KEY, 0o400, 990, 990)
    assert KEY not in x.done.stdout + x.done.stderr + x.path("manifest.json").read_text()


def test_other_kernel(build, kernel, tmp_path):
    text = "packages: [{name: busybox-static}]\nkernel: {package: linux-image-other, modules: []}\n"
    x = build(text, "--kernel", kernel)
    assert x.done.returncode == 3
    assert f"found linux-image-test in {kernel}, expected linux-image-other unpacked there" in x.done.stderr
    x = build(text.replace("other, modules: []", "test, modules: [nothing]"), "--kernel", kernel)
    assert "kernel.modules[0]: found one that is not there, expected a module of kernel 1.2" in x.done.stderr
    (kernel / "lib/modules/1.2/modules.dep").unlink()
    x = build(text.replace("other", "test"), "--kernel", kernel)
    assert re.search(r"kernel\.package: found no file at .*/modules\.dep, expected what depmod makes", x.done.stderr)
    assert x.names == []


# Whatever fails, and whenever: what was there stays whole

LARGE = {"large": "".join(chr(32 + i * 7919 % 90) for i in range(200000))}
TEXT = "files: [{source: large, destination: /large}]\n"


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("part", [0, 1, 2, 3, 5, 8])
def test_full_disk(build, part):
    before = build(TEXT, **LARGE)
    kept = contents(before.folder)
    sizes = [len(data) for data in kept.values()]
    limit = part * max(sizes) // 9

    def restrict():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    x = build(TEXT + "users: [{name: another, uid: 7}]\n", more={"preexec_fn": restrict}, **LARGE)
    assert x.done.returncode == 14
    assert "File too large" in x.done.stderr
    assert contents(x.folder) == kept


def test_full_file_system(build, tmp_path, run):
    """A file system of 300 kB that has room for the contents, and not for the outputs."""
    if run(["unshare", "-rm", "true"]).returncode:
        pytest.skip("no namespaces may be made here")
    program = build(TEXT, **LARGE)
    assert program.done.returncode == 0
    small = tmp_path / "small"
    small.mkdir()
    script = 'mount -t tmpfs -o size=300k x "$2" && { "$1" build "$3" --output "$2"; code=$?; ls -A "$2"; exit $code; }'
    args = ["unshare", "-rm", "sh", "-c", script, "sh", program.done.args[0], small, tmp_path / "config/image.yaml"]
    done = run(args)
    assert (done.returncode, done.stdout) == (14, ""), done.stderr
    assert "No space left on device; nothing was changed" in done.stderr


def test_a_folder_that_cannot_be_written(build, tmp_path):
    (tmp_path / "file").write_text("")
    done = build(TEXT, output="file/out", **LARGE).done
    assert done.returncode == 14
    assert "file/out cannot be written to: Not a directory" in done.stderr


def test_only_one_at_a_time(build, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    fd = os.open(out, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    x = build(TEXT, **LARGE)
    assert x.done.returncode == 14 and "another geom-image build is writing to" in x.done.stderr
    os.close(fd)
    assert build(TEXT, **LARGE).done.returncode == 0


def test_what_a_killed_build_left_is_cleared(build, tmp_path):
    left = tmp_path / "out/.x-1.partial/x-1.oci/blobs"
    left.mkdir(parents=True)
    (left / "half").write_text("half")
    x = build(TEXT, **LARGE)
    assert x.done.returncode == 0 and not [name for name in x.names if name.startswith(".")]


def test_outputs_are_replaced(build):
    first = build(TEXT, **LARGE)
    one = contents(first.folder)
    second = build("files: [{content: small, destination: /small}]\n")
    two = contents(second.folder)
    assert second.done.returncode == 0 and second.names == ["x-1.manifest.json", "x-1.oci", "x-1.rootfs.tar", "x-1.spdx.json"]
    assert not [name for name in one if "blobs" in name and name in two and b"large" in one[name]]
    assert len([name for name in two if "blobs" in name]) == 3


def test_only_the_outputs_that_are_asked_for(build):
    x = build("outputs: [oci]\n")
    assert x.names == ["x-1.oci"]
    assert json.loads((x.path("oci") / "index.json").read_text())["schemaVersion"] == 2


def test_command_line(run):
    done = run(["geom-image", "build", "a", "b"])
    assert done.returncode == 2 and "one description is enough" in done.stderr
    assert run(["geom-image", "build", "--help"]).returncode == 0
    assert run(["geom-image", "build", "--outptu", "x"]).returncode == 2
