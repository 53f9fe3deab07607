"""geom-image build: what was described is what is there, in every output, by other people's readers."""

import gzip
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile

import pytest

OUTPUTS = ["x-1.manifest.json", "x-1.oci", "x-1.rootfs.tar", "x-1.spdx.json"]
FILES = """
    files:
      - {source: text, destination: /etc/text}
      - {content: "#!/bin/sh\\n", destination: /opt/run, mode: 0755, owner: pixi}
      - {link: ../etc/text, destination: /opt/text}
      - {directory: true, destination: /srv/data, mode: "1777", owner: "root:pixi"}
    users:
      - {name: pixi, uid: 990, home: /srv/data}
"""


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_root_file_system(build):
    x = build(FILES, text="hello\n")
    assert (x.done.returncode, x.done.stderr) == (0, "")
    assert x.names == OUTPUTS
    m = x.members
    assert list(m) == sorted(m)
    assert {i.mtime for i in m.values()} == {1767225600}
    assert {i.uname + i.gname for i in m.values()} == {""}
    assert (x.read("etc/text"), m["etc/text"].mode, m["etc/text"].uid) == (b"hello\n", 0o644, 0)
    assert (x.read("opt/run"), m["opt/run"].mode) == (b"#!/bin/sh\n", 0o755)
    assert (m["opt/run"].uid, m["opt/run"].gid) == (990, 990)
    assert m["opt/text"].issym() and m["opt/text"].linkname == "../etc/text"
    data = m["srv/data"]
    assert data.isdir() and (data.mode, data.uid, data.gid) == (0o1777, 0, 990)
    for name in ("bin", "sbin", "lib", "lib64"):
        assert m[name].issym() and m[name].linkname == f"usr/{name}"
    assert (m["tmp"].mode, m["root"].mode) == (0o1777, 0o700)


def test_users_cannot_log_in_by_password(build):
    x = build(FILES, text="")
    assert b"pixi:x:990:990::/srv/data:/usr/sbin/nologin\n" in x.read("etc/passwd")
    assert b"pixi:x:990:\n" in x.read("etc/group")
    lines = x.read("etc/shadow").decode().splitlines()
    assert {line.split(":")[0] for line in lines} == {"root", "nobody", "pixi"}
    assert all(line.split(":")[1].startswith("!") for line in lines)
    assert x.members["etc/shadow"].mode == 0o600


def test_gnu_tar_reads_it(build, run):
    x = build(FILES, text="hello\n")
    told = run(["tar", "--numeric-owner", "-tvf", x.path("rootfs.tar")])
    assert told.returncode == 0 and told.stderr == ""
    assert re.search(r"^-rwxr-xr-x 990/990 +10 2026-01-01 00:00 opt/run$", told.stdout, re.M)


def test_manifest_is_the_tar(build):
    x = build(FILES, text="hello\n")
    manifest = json.loads(x.path("manifest.json").read_text())
    assert (manifest["image"], manifest["version"], manifest["architecture"]) == ("x", "1", "amd64")
    kinds = {"file": "isreg", "folder": "isdir", "link": "issym"}
    members = x.members
    assert {f["path"][1:] for f in manifest["files"]} == set(members)
    for f in manifest["files"]:
        m = members[f["path"][1:]]
        assert getattr(m, kinds[f["type"]])()
        assert (f["mode"], f["owner"]) == (f"{m.mode:04o}", f"{m.uid}:{m.gid}")
        assert f.get("target", "") == m.linkname
        if m.isreg():
            data = x.read(m.name)
            assert (f["size"], f["sha256"]) == (len(data), sha256(data))


SETTINGS = """
    websocket_settings:
      settings: {url: ws://10.0.2.2:1/api/v1, allow_plaintext: true}
      scripts: [start.sh]
"""


def test_settings_and_scripts(build):
    x = build(SETTINGS, start__sh="#!/bin/sh\n")
    assert x.done.returncode == 0, x.done.stderr
    text = x.read("config/websocket_settings.json")
    assert json.loads(text) == {
        "url": "ws://10.0.2.2:1/api/v1",
        "allow_plaintext": True,
        "api_key_file": "/run/pixi/api_key",
    }
    assert x.members["usr/bin/start.sh"].mode == 0o755
    manifest = json.loads(x.path("manifest.json").read_text())
    assert manifest["settings"] == {"path": "/config/websocket_settings.json", "sha256": sha256(text)}


def test_scripts_if_built(build):
    x = build("websocket_settings: {scripts_if_built: [there, not-there]}\n", there="x")
    assert x.done.returncode == 0, x.done.stderr
    assert "usr/bin/there" in x.members and "usr/bin/not-there" not in x.members


CONTAINER = FILES + """
    packages: [{name: busybox-static, files: [/bin/busybox]}]
    container:
      user: pixi
      command: [sh, -c, "echo 'a b'"]
      health: ["true", --quick]
      stop_signal: SIGINT
      labels: ["org.example.a=1=2", "org.example.b="]
"""


def test_oci_layout(build, run):
    x = build(CONTAINER, text="hello\n")
    assert x.done.returncode == 0, x.done.stderr
    layout = x.path("oci")
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    for blob in (layout / "blobs/sha256").iterdir():
        assert blob.name == sha256(blob.read_bytes())
    manifest, config = x.oci
    [layer] = manifest["layers"]
    assert layer["size"] == x.blob(layer["digest"]).stat().st_size
    tar = gzip.decompress(x.blob(layer["digest"]).read_bytes())
    assert config["rootfs"] == {"type": "layers", "diff_ids": ["sha256:" + sha256(tar)]}
    assert tar == x.path("rootfs.tar").read_bytes()
    assert (config["os"], config["architecture"], config["created"]) == ("linux", "amd64", "2026-01-01T00:00:00Z")
    assert len(config["history"]) == 1
    ran = config["config"]
    assert (ran["User"], ran["StopSignal"], ran["WorkingDir"]) == ("pixi", "SIGINT", "/")
    assert ran["Entrypoint"] == ["/usr/lib/pixi/entry"] and "usr/lib/pixi/entry" in x.members
    assert ran["Cmd"] == ["sh", "-c", "echo 'a b'"]
    assert ran["Healthcheck"]["Test"] == ["CMD", "true", "--quick"]
    labels = {"org.example.a": "1=2", "org.example.b": "", "org.opencontainers.image.version": "1"}
    assert ran["Labels"] == labels

    told = run(["skopeo", "inspect", f"oci:{layout}:1"])
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["Labels"] == labels
    raw = json.loads(run(["skopeo", "inspect", "--config", "--raw", f"oci:{layout}:1"]).stdout)
    assert raw["config"]["Healthcheck"]["Test"] == ["CMD", "true", "--quick"]


def test_umoci_unpacks_it(build, run, tmp_path):
    x = build(CONTAINER, text="hello\n")
    rootless = ["--rootless"] if os.geteuid() else []
    done = run(["umoci", "unpack", *rootless, "--image", f"{x.path('oci')}:1", tmp_path / "bundle"])
    assert done.returncode == 0, done.stderr
    root = tmp_path / "bundle/rootfs"
    assert (root / "etc/text").read_text() == "hello\n"
    assert stat.S_IMODE((root / "opt/run").stat().st_mode) == 0o755
    config = json.loads((tmp_path / "bundle/config.json").read_text())
    assert config["process"]["args"] == ["/usr/lib/pixi/entry", "sh", "-c", "echo 'a b'"]
    if not os.geteuid():
        assert (root / "opt/run").stat().st_uid == 990
        done = run(["chroot", root, "/bin/sh", "-c", "cat /etc/text"])
        assert done.stdout == "hello\n"


MACHINE = """
    packages: [{name: busybox-static, files: [/bin/busybox]}]
    kernel: {package: linux-image-test, modules: [net-dev, always, base]}
"""


def test_initramfs(build, kernel, run, tmp_path):
    x = build(MACHINE, "--kernel", kernel)
    assert x.done.returncode == 0, x.done.stderr
    assert x.names == sorted([*OUTPUTS, "x-1.initramfs.cpio.zst", "x-1.vmlinuz"])
    assert x.path("vmlinuz").read_bytes() == b"no kernel"
    packed = x.path("initramfs.cpio.zst")
    subprocess.run(["zstd", "-dq", packed, "-o", tmp_path / "cpio"], check=True)
    root = tmp_path / "root"
    root.mkdir()
    with (tmp_path / "cpio").open() as archive:
        done = subprocess.run(["cpio", "-idm", "--quiet"], cwd=root, stdin=archive, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    order = [f"/lib/modules/1.2/kernel/{name}.ko" for name in ("base", "ring-core", "net_dev")]
    assert (root / "etc/pixi/modules").read_text().splitlines() == order
    assert (root / "usr/lib/modules/1.2/kernel/net_dev.ko").read_text() == "net_dev"
    assert os.readlink(root / "init") == "bin/busybox"
    # a container has no use for them
    assert not [name for name in x.members if "modules" in name or name == "init"]
    only = [f["path"] for f in json.loads(x.path("manifest.json").read_text())["files"] if f.get("only")]
    assert "/init" in only and "/etc/pixi/modules" in only
    bill = json.loads(x.path("spdx.json").read_text())
    assert {p["name"]: p["versionInfo"] for p in bill["packages"]}["linux-image-1.2-test"] == "1.2-3"


def test_without_its_kernel(build, tmp_path):
    x = build(MACHINE, "--kernel", tmp_path / "nothing", "--no-kernel")
    assert x.done.returncode == 0, x.done.stderr
    assert x.names == OUTPUTS


# Shared libraries

LIBRARY = "int answer(void);\nint answer(void) { return 42; }\n"
PROGRAM = "int answer(void);\nint main(void) { return answer() == 42 ? 0 : 1; }\n"


@pytest.fixture
def program(tmp_path, run):
    """A program whose library is found by its RUNPATH, in the folder beside its own."""
    bin, lib = tmp_path / "config/bin", tmp_path / "config/lib"

    def compile(*args):
        done = run(["gcc", *args])
        assert done.returncode == 0, done.stderr

    def program():
        bin.mkdir()
        lib.mkdir()
        (lib / "a.c").write_text(LIBRARY)
        (bin / "p.c").write_text(PROGRAM)
        compile("-shared", "-fPIC", "-o", lib / "libanswer.so", lib / "a.c")
        compile("-o", bin / "p", bin / "p.c", f"-L{lib}", "-lanswer", "-Wl,-rpath,$ORIGIN/../lib")
        return bin / "p"

    return program


PROGRAM_FILE = "files: [{source: bin/p, destination: /usr/bin/p}]\n"


def libraries(built):
    return {name.rpartition("/")[2] for name in built.members if ".so" in name}


def test_libraries_come_with_their_program(build, program, run, tmp_path):
    program()
    x = build(PROGRAM_FILE)
    assert x.done.returncode == 0, x.done.stderr
    assert libraries(x) == {"libanswer.so", "libc.so.6", "ld-linux-x86-64.so.2"}
    if os.geteuid() == 0:
        root = tmp_path / "root"
        root.mkdir()
        assert run(["tar", "-xf", x.path("rootfs.tar"), "-C", root]).returncode == 0
        assert run(["chroot", root, "/usr/bin/p"]).returncode == 0


def test_the_same_libraries_as_ldd_finds(build, run):
    curl = shutil.which("curl")
    told = run(["ldd", curl]).stdout
    wanted = {line.split()[0].rpartition("/")[2] for line in told.splitlines()} - {"linux-vdso.so.1"}
    x = build(f"files: [{{source: {curl}, destination: /usr/bin/curl}}]\n")
    assert x.done.returncode == 0, x.done.stderr
    assert libraries(x) == wanted and len(wanted) > 10


def test_a_library_that_is_not_there(build, program):
    (program().parent.parent / "lib/libanswer.so").unlink()
    x = build(PROGRAM_FILE)
    assert x.done.returncode == 3
    assert "/usr/bin/p: needs the shared library libanswer.so, found none of that name" in x.done.stderr
    assert x.names == []


# Papers

def test_bill_of_materials(build, run):
    x = build("packages: [{name: busybox-static, files: [/bin/busybox]}]\nfiles: [{content: a, destination: /a}]\n")
    bill = json.loads(x.path("spdx.json").read_text())
    assert (bill["spdxVersion"], bill["dataLicense"], bill["SPDXID"]) == ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT")
    assert bill["creationInfo"]["created"] == "2026-01-01T00:00:00Z"
    packages = {p["name"]: p for p in bill["packages"]}
    assert set(packages) == {"x", "busybox-static"}
    version = run(["dpkg-query", "-W", "-f", "${Version}", "busybox-static"]).stdout
    assert packages["busybox-static"]["versionInfo"] == version
    [ref] = packages["busybox-static"]["externalRefs"]
    assert ref["referenceLocator"].startswith("pkg:deb/debian/busybox-static@1%3A")
    files = {f["SPDXID"]: f for f in bill["files"]}
    members = x.members
    assert {f["fileName"] for f in files.values()} == {f"./{name}" for name, m in members.items() if m.isreg()}
    for f in files.values():
        data = x.read(f["fileName"][2:])
        sums = {c["algorithm"]: c["checksumValue"] for c in f["checksums"]}
        assert sums == {"SHA1": hashlib.sha1(data).hexdigest(), "SHA256": sha256(data)}
    relations = [(r["spdxElementId"], r["relationshipType"], r["relatedSpdxElement"]) for r in bill["relationships"]]
    assert ("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image") in relations
    ids = {"SPDXRef-DOCUMENT", *files, *(p["SPDXID"] for p in bill["packages"])}
    assert all(a in ids and b in ids for a, _, b in relations)
    for p in bill["packages"]:
        mine = [b for a, _, b in relations if a == p["SPDXID"] and b in files]
        sums = sorted(files[f]["checksums"][0]["checksumValue"] for f in mine)
        code = hashlib.sha1("".join(sums).encode()).hexdigest()  # SPDX 2.3, 7.9
        assert p["packageVerificationCode"]["packageVerificationCodeValue"] == code
    assert re.fullmatch(r"[A-Za-z0-9.-]+|", "".join(i.replace("SPDXRef-", "") for i in ids))


def test_packages_are_recorded_in_the_image(build):
    x = build("packages: [{name: busybox-static, files: [/bin/busybox]}]\n")
    record = x.read("var/lib/dpkg/status.d/busybox-static").decode()
    assert record.startswith("Package: busybox-static\n")
    sums = x.read("var/lib/dpkg/status.d/busybox-static.md5sums").decode().split()
    assert sums == [hashlib.md5(x.read("usr/bin/busybox")).hexdigest(), "usr/bin/busybox"]


def test_a_whole_package(build, run):
    x = build("packages: [{name: busybox-static}]\n")
    assert x.done.returncode == 0, x.done.stderr
    listed = run(["dpkg", "-L", "busybox-static"]).stdout.split()
    wanted = {p for p in listed if not re.match(r"/usr/share/(doc|man|lintian)|/\.$", p)}
    names = {"/" + name for name in x.members} | {"/bin/busybox"}
    assert wanted - names == set()
    assert not [n for n in names if n.startswith(("/usr/share/doc", "/usr/share/man"))]


# The same again

def files_in(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_two_builds_on_two_paths_are_the_same(run, describe, kernel, tmp_path):
    text = "name: x\nversion: '1'\n" + CONTAINER.replace("\n    ", "\n") + MACHINE.splitlines()[2].strip() + "\n"
    first = describe(text, text="hello\n").parent
    second = tmp_path / "elsewhere/and/deeper"
    shutil.copytree(first, second)
    shutil.copytree(kernel, second / "kernel")
    os.utime(second / "text", (1, 1))
    umask = {"preexec_fn": lambda: os.umask(0o077)}
    for folder, where, more in ((first, kernel, {}), (second, "kernel", umask)):
        done = run(["geom-image", "build", "image.yaml", "--output", "out", "--kernel", where], cwd=folder, **more)
        assert done.returncode == 0, done.stderr
    one, two = files_in(first / "out"), files_in(second / "out")
    assert one == two and len(one) > 8
    for name, data in one.items():
        assert str(tmp_path).encode() not in data, name


def test_source_date_epoch(build):
    x = build("", env={"SOURCE_DATE_EPOCH": "86400"})
    assert x.done.returncode == 0, x.done.stderr
    assert {m.mtime for m in x.members.values()} == {86400}
    assert x.oci[1]["created"] == "1970-01-02T00:00:00Z"
    for wrong in ("-1", "tomorrow", "1e9", "99999999999"):
        done = build("", output="none", env={"SOURCE_DATE_EPOCH": wrong}).done
        assert done.returncode == 2 and f'SOURCE_DATE_EPOCH: found "{wrong}"' in done.stderr


def test_what_was_made_is_told(build):
    made = json.loads(build("", "--json").done.stdout)["made"]
    assert [m["path"].rpartition("/")[2] for m in made] == ["x-1.rootfs.tar", "x-1.oci", "x-1.spdx.json", "x-1.manifest.json"]
    x = build("")
    assert len(x.done.stdout.splitlines()) == 4
    assert made[0]["sha256"] == sha256(x.path("rootfs.tar").read_bytes())
    assert made[0]["size"] == x.path("rootfs.tar").stat().st_size


# The image of the repository

@pytest.fixture(scope="module")
def real(root, tmp_path_factory):
    if not (root / "build/image/bin/pixi-ws-client").exists():
        pytest.skip("no build/image/bin: make image-programs")
    out = tmp_path_factory.mktemp("real")
    options = [] if (root / "build/image/kernel/package").exists() else ["--no-kernel"]
    program = root / "build/bin/geom-image"
    subprocess.run([program, "build", "--output", out, *options], cwd=root, check=True, capture_output=True)
    return out


def test_it_is_small(real):
    oci = sum(p.stat().st_size for p in (real / "geom-os-1.0.oci").rglob("*") if p.is_file())
    assert oci < 12 << 20
    initramfs = real / "geom-os-1.0.initramfs.cpio.zst"
    if not initramfs.exists():
        pytest.skip("no kernel in build/image/kernel: make image")
    assert initramfs.stat().st_size < 6 << 20


def test_it_has_no_secrets_and_no_paths_of_this_machine(real, root):
    with tarfile.open(real / "geom-os-1.0.rootfs.tar") as tar:
        for m in tar.getmembers():
            data = tar.extractfile(m).read() if m.isreg() else b""
            assert str(root).encode() not in data, m.name
            assert not re.search(rb"\bpk_[\w-]{43}\b", data), m.name


def test_with_python_on_top(real, root, run, tmp_path):
    text = (root / "config/geom_os_image_python.yaml").read_text()
    text = text.replace("../build/image/geom-os-1.0.oci", f"{real}/geom-os-1.0.oci").replace("../", f"{root}/")
    (tmp_path / "python.yaml").write_text(text)
    program, out = root / "build/bin/geom-image", tmp_path / "out"
    done = run([program, "build", tmp_path / "python.yaml", "--output", out])
    assert done.returncode == 0, done.stderr
    oci = out / "geom-os-python-1.0.oci"
    changed = run([program, "diff", "--json", real / "geom-os-1.0.oci", oci]).stdout
    config = [(c["member"], c["to"]) for c in json.loads(changed)["changes"] if c["about"] == "config"]
    assert config == [("Labels.org.opencontainers.image.title", '"GeometryOS with pixi-ws and Python"')]
    module = {p.name for p in (root / "bindings/python/pixi_ws").glob("*.py")}
    with tarfile.open(out / "geom-os-python-1.0.rootfs.tar") as tar:
        assert {n.rpartition("/")[2] for n in tar.getnames() if "/pixi_ws/" in n} == module
        if os.geteuid() == 0:
            tar.extractall(tmp_path / "root")
            code = "import pixi_ws, ssl, asyncio; print(pixi_ws.Client.__name__)"
            done = run(["chroot", tmp_path / "root", "python3", "-c", code])
            assert done.stdout == "Client\n", done.stderr
            assert run(["chroot", tmp_path / "root", "pixi-ws-client.py", "--help"]).returncode == 0
