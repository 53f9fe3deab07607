"""A base: what is in it, what is put on top of it, and what is refused because it leads out of the root."""

import gzip
import hashlib
import io
import json
import os
import re
import tarfile

import pytest


def entry(name, data=None, **members):
    info = tarfile.TarInfo(name)
    for member, value in members.items():
        setattr(info, member, value)
    data = data.encode() if isinstance(data, str) else data or b""
    info.size = len(data) if info.type == tarfile.REGTYPE else 0
    return info, data


def link(name, to):
    return entry(name, type=tarfile.SYMTYPE, linkname=to, mode=0o777)


def folder(name, mode=0o755):
    return entry(name, type=tarfile.DIRTYPE, mode=mode)


def tar(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def layout(path, *layers, ref="v", config=None):
    """An OCI layout with these layers, tars."""
    blobs = path / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(data):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    ids = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in layers]
    image = {"os": "linux", "architecture": "amd64", "config": config or {}, "rootfs": {"type": "layers", "diff_ids": ids}}
    manifest = {
        "schemaVersion": 2,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **put(json.dumps(image).encode())},
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **put(gzip.compress(data, mtime=0))} for data in layers
        ],
    }
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", **put(json.dumps(manifest).encode())}
    entry["annotations"] = {"org.opencontainers.image.ref.name": ref}
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return path


@pytest.fixture
def on(build, tmp_path):
    """on(tar's bytes, text) -> Built, on this root file system."""

    def on(data, text="", **more):
        (tmp_path / "base.tar").write_bytes(data)
        return build(f"base: tar:{tmp_path}/base.tar\n{text}", **more)

    return on


MACHINE = [
    folder("./"),
    folder("./etc", 0o711),
    entry("./etc/passwd", "root:x:0:0::/root:/bin/bash\nold:x:7:7::/:/bin/sh\npixi:x:12:12::/old:/bin/sh\n", mode=0o644),
    entry("./etc/motd", "base", mode=0o600, uid=5, gid=6),
    entry("./usr/bin/tool", "tool", mode=0o4755),
    entry("./usr/bin/same", type=tarfile.LNKTYPE, linkname="./usr/bin/tool"),
    link("./bin", "usr/bin"),
    link("./etc/alternatives/tool", "/usr/bin/tool"),
    entry("./dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
]


def test_what_is_in_it_stays(on):
    x = on(tar(*MACHINE), "files: [{content: new, destination: /etc/new}]\n")
    assert x.done.returncode == 0, x.done.stderr
    m = x.members
    assert (m["etc"].mode, m["etc/motd"].mode, m["etc/motd"].uid, m["etc/motd"].gid) == (0o711, 0o600, 5, 6)
    assert x.read("etc/motd") == b"base" and x.read("etc/new") == b"new"
    assert m["usr/bin/tool"].mode == 0o4755 and x.read("usr/bin/same") == b"tool"
    assert m["etc/alternatives/tool"].linkname == "/usr/bin/tool"
    assert m["bin"].linkname == "usr/bin" and m["dev"].isdir() and "dev/null" not in m


def test_what_is_described_takes_its_place(on):
    text = "files:\n  - {content: own, destination: /etc/motd}\n  - {content: t, destination: /bin/tool, mode: 0755}\n"
    x = on(tar(*MACHINE), text)
    assert x.done.returncode == 0, x.done.stderr
    assert x.read("etc/motd") == b"own" and x.members["etc/motd"].mode == 0o644
    assert x.read("usr/bin/tool") == b"t" and "bin/tool" not in x.members  # by the base's link


def test_users_of_the_base(on):
    x = on(tar(*MACHINE), "users: [{name: pixi, uid: 990}]\n")
    assert x.read("etc/passwd").decode().splitlines() == [
        "root:x:0:0::/root:/bin/bash",
        "old:x:7:7::/:/bin/sh",
        "pixi:x:990:990::/nonexistent:/usr/sbin/nologin",
    ]
    x = on(tar(*MACHINE), "users: [{name: pixi, uid: 7}]\n")
    assert x.done.returncode == 3
    assert 'users[0]: found uid 7, which the base\'s /etc/passwd gives to "old", expected another' in x.done.stderr


@pytest.mark.parametrize("packing", ["gz", "xz", "bz2"])
def test_packed(on, packing):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{packing}") as archive:
        info, data = entry("a", "data")
        archive.addfile(info, io.BytesIO(data))
    assert on(out.getvalue()).read("a") == b"data"


# name: (entries, text, what is said)
EVIL = {
    "dots": ([entry("../../etc/x", "x")], "", r'found a path with \.\. in it, which leads out of the root, in .*base\.tar: "\.\./\.\./etc/x"'),
    "dots inside": ([entry("a/../../x", "x")], "", r"found a path with \.\. in it"),
    "absolute": ([entry("/etc/x", "x")], "", r'found an absolute path, which leads out of the root, in .*: "/etc/x"'),
    "device": ([entry("etc/x", type=tarfile.BLKTYPE)], "", r'found a device node, a pipe or a socket outside /dev in .*: "etc/x"'),
    "pipe": ([entry("p", type=tarfile.FIFOTYPE)], "", r"found a device node, a pipe or a socket outside /dev"),
    "hard link out": ([entry("x", type=tarfile.LNKTYPE, linkname="../../etc/passwd")], "", r"found a path with \.\. in it"),
    "hard link absolute": ([entry("x", type=tarfile.LNKTYPE, linkname="/etc/passwd")], "", r"found an absolute path"),
    "hard link to nothing": ([entry("x", type=tarfile.LNKTYPE, linkname="y")], "", r"found a hard link to what is no file before it"),
    "below its own link out": (
        [link("a", "../../etc"), entry("a/x", "x")],
        "",
        r"/a/x: found that /a leads out of the root \(from the base\)",
    ),
    "below its own loop": ([link("a", "b"), link("b", "a"), entry("a/x", "x")], "", r"found that /\w leads through too many links"),
    "below a file": ([entry("a", "x"), entry("a/x", "x")], "", r"found that /a is a file, not a folder"),
    "destination below its link out": (
        [link("a", "../../etc")],
        "files: [{content: x, destination: /a/x}]\n",
        r"files\[0\]: /a/x: found that /a leads out of the root \(from the base\), expected a way inside the root",
    ),
    "not UTF-8": ([entry("a\udcff", "x")], "", r"found a path that is not UTF-8"),
    "folder where a file goes": (
        [folder("etc/motd")],
        "files: [{content: x, destination: /etc/motd}]\n",
        r"files\[0\]: /etc/motd: found a folder there already, from the base",
    ),
}


@pytest.mark.parametrize("name", EVIL)
def test_evil(on, name, tmp_path):
    entries, text, said = EVIL[name]
    x = on(tar(*entries), text)
    assert x.done.returncode == 3, x.done.stderr
    assert re.search(said, x.done.stderr), x.done.stderr
    assert x.names == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base.tar", "config", "home", "out"]


def test_absolute_links_of_a_base_are_followed_inside(on):
    x = on(tar(link("a", "/opt/deep"), folder("opt/deep")), "files: [{content: x, destination: /a/x}]\n")
    assert x.done.returncode == 0, x.done.stderr
    assert x.read("opt/deep/x") == b"x" and x.members["a"].issym()


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_cut_short(on, part):
    data = gzip.compress(tar(*MACHINE, entry("large", os.urandom(100000))))
    x = on(data[: int(len(data) * part)])
    assert x.done.returncode == 3 and re.search(r"image\.yaml:3:7: base: .* cannot be read: \w", x.done.stderr)
    assert x.names == []


# OCI

LOWER = tar(
    folder("etc"), entry("etc/kept", "kept"), entry("etc/gone", "gone"), entry("etc/other", "lower"),
    folder("opt"), entry("opt/all", "x"), entry("opt/of/it", "x"), entry("file-to-folder", "x"), folder("d"), entry("d/x", "x"),
)
UPPER = tar(
    entry("etc/.wh.gone"), entry("etc/other", "upper"), entry("opt/new", "new"), entry("opt/.wh..wh..opq"),
    folder("file-to-folder"), entry("file-to-folder/x", "x"), entry("d", "a file now"),
)


def test_layers_with_whiteouts(build, tmp_path):
    base = layout(tmp_path / "base", LOWER, UPPER)
    x = build(f"base: oci:{base}\nfiles: [{{content: own, destination: /etc/own}}]\n")
    assert x.done.returncode == 0, x.done.stderr
    names = set(x.members)
    assert {"etc/kept", "etc/other", "opt/new", "file-to-folder/x", "d", "etc/own"} <= names
    assert not {"etc/gone", "opt/all", "opt/of", "opt/of/it", "d/x"} & names
    assert not [n for n in names if ".wh." in n]
    assert (x.read("etc/other"), x.read("d")) == (b"upper", b"a file now")
    manifest, config = x.oci
    assert len(manifest["layers"]) == 3 == len(config["rootfs"]["diff_ids"]) == len(config["history"])
    own = tarfile.open(fileobj=io.BytesIO(gzip.decompress(x.blob(manifest["layers"][2]["digest"]).read_bytes())))
    assert "etc/own" in own.getnames() and "etc/kept" not in own.getnames()


def test_umoci_sees_the_same(build, run, tmp_path):
    base = layout(tmp_path / "base", LOWER, UPPER)
    x = build(f"base: oci:{base}:v\nfiles: [{{content: own, destination: /etc/own}}]\n")
    rootless = ["--rootless"] if os.geteuid() else []
    done = run(["umoci", "unpack", *rootless, "--image", f"{x.path('oci')}:1", tmp_path / "bundle"])
    assert done.returncode == 0, done.stderr
    root = tmp_path / "bundle/rootfs"
    seen = {str(p.relative_to(root)) for p in root.rglob("*")}
    assert seen == set(x.members)


RAN = {
    "Env": ["A=b"],
    "WorkingDir": "/srv",
    "User": "old",
    "Cmd": ["old", "command"],
    "Entrypoint": ["/old"],
    "StopSignal": "SIGQUIT",
    "Healthcheck": {"Test": ["CMD", "old"]},
}


def test_what_is_not_described_is_as_in_the_base(build, tmp_path):
    base = layout(tmp_path / "base", LOWER, config={**RAN, "Labels": {"kept": "1", "over": "base"}})
    x = build(f"base: oci:{base}\ncontainer: {{labels: [over=own]}}\n")
    ran = x.oci[1]["config"]
    assert ran.pop("Labels") == {"kept": "1", "over": "own", "org.opencontainers.image.version": "1"}
    assert ran == RAN


def test_what_is_described_is_not_as_in_the_base(build, tmp_path):
    base = layout(tmp_path / "base", LOWER, config=RAN)
    run = "{user: root, command: [new], health: [n], stop_signal: SIGINT}"
    x = build(f"base: oci:{base}\npackages: [{{name: busybox-static}}]\ncontainer: {run}\n")
    ran = x.oci[1]["config"]
    assert (ran["User"], ran["Cmd"], ran["Entrypoint"]) == ("root", ["new"], ["/usr/lib/pixi/entry"])
    assert (ran["StopSignal"], ran["Healthcheck"]["Test"]) == ("SIGINT", ["CMD", "n"])
    assert (ran["Env"], ran["WorkingDir"]) == (["A=b"], "/srv")


def damage(base, kind):
    blobs = base / "blobs/sha256"
    index = json.loads((base / "index.json").read_text())
    digest = index["manifests"][0]["digest"].removeprefix("sha256:")
    manifest = json.loads((blobs / digest).read_text())
    layer = blobs / manifest["layers"][0]["digest"].removeprefix("sha256:")
    if kind == "layer changed":
        layer.write_bytes(layer.read_bytes() + b"x")
    elif kind == "layer missing":
        layer.unlink()
    elif kind == "manifest changed":
        (blobs / digest).write_bytes((blobs / digest).read_bytes() + b" ")
    elif kind == "no JSON":
        (base / "index.json").write_text("{")
    elif kind == "digest leads out":
        index["manifests"][0]["digest"] = "sha256:../../../../etc/passwd"
        (base / "index.json").write_text(json.dumps(index))
    elif kind == "other machine":
        index["manifests"][0]["platform"] = {"os": "linux", "architecture": "arm64"}
        (base / "index.json").write_text(json.dumps(index))


DAMAGE = {
    "layer changed": r"found other bytes in .* than its name says",
    "layer missing": r"found no blob .*: No such file",
    "manifest changed": r"found other bytes in .* than its name says",
    "no JSON": r"found something else than JSON in .*index\.json",
    "digest leads out": r'found "sha256:\.\./\.\./\.\./\.\./etc/passwd" for a digest',
    "other machine": r"found no image for linux/amd64 in",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_broken_layout(build, tmp_path, kind):
    base = layout(tmp_path / "base", LOWER)
    damage(base, kind)
    x = build(f"base: oci:{base}\n")
    assert x.done.returncode == 3, x.done.stderr
    assert re.search(r"image\.yaml:3:7: base: " + DAMAGE[kind], x.done.stderr), x.done.stderr
    assert x.names == []


def test_no_such_image_in_the_layout(build, tmp_path):
    base = layout(tmp_path / "base", LOWER)
    x = build(f"base: oci:{base}:w\n")
    assert x.done.returncode == 3 and "found no image w for linux/amd64 in" in x.done.stderr


# A former image as base

FORMER = """
    packages: [{name: busybox-static, files: [/bin/busybox]}]
    files: [{content: a, destination: /etc/a}, {content: b, destination: /etc/b}]
    websocket_settings:
      settings: {url: ws://a/b, allow_plaintext: true, reconnect: {initial_ms: 250, max_ms: 5000}}
"""


def test_a_change_of_one_setting(build, run, tmp_path):
    former = build(FORMER, output="former")
    text = f"    base: oci:{former.path('oci')}\n" + FORMER.replace("5000", "9000")
    x = build(text)
    assert x.done.returncode == 0, x.done.stderr
    for ending in ("oci", "rootfs.tar"):
        done = run(["geom-image", "diff", former.path(ending), x.path(ending)])
        assert done.returncode == 1
        assert done.stdout == "~ /config/websocket_settings.json reconnect.max_ms: 5000 -> 9000\n"
    manifest, _ = x.oci
    layer = tarfile.open(fileobj=io.BytesIO(gzip.decompress(x.blob(manifest["layers"][1]["digest"]).read_bytes())))
    assert layer.getnames() == ["config/websocket_settings.json"]
    packages = {p["name"] for p in json.loads(x.path("spdx.json").read_text())["packages"]}
    assert packages == {"x", "busybox-static"}


def test_nothing_changed(build, run):
    former = build(FORMER, output="former")
    x = build(f"    base: oci:{former.path('oci')}\n" + FORMER)
    done = run(["geom-image", "diff", former.path("oci"), x.path("oci")])
    assert (done.returncode, done.stdout) == (0, "")
    assert x.path("rootfs.tar").read_bytes() == former.path("rootfs.tar").read_bytes()


def test_built_on_itself(build, run):
    """The former image is in the folder that the new one goes to, under the same name."""
    former = build(FORMER)
    x = build(f"    base: oci:{former.path('oci')}\n" + FORMER.replace("content: b", "content: c"))
    assert x.done.returncode == 0, x.done.stderr
    assert x.read("etc/b") == b"c" and len(x.oci[0]["layers"]) == 2
