"""What tests of images share.

describe(text, **files)       the path of a description in a folder of its own, with files beside it
build(text, *args, **files)   that, built: Built, whose .done is how geom-image ended, .folder where the outputs are
kernel                        an unpacked kernel that is none: --kernel

like_ours(change=None)        the path of the repository's description, with change(its members) applied
build_image(path, *options)   that, built: the folder of outputs
real_kernel                   an unpacked kernel that boots
boot(folder, *options)        the image in there, started by QEMU: Machine
"""

import json
import shutil
import socket
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("machine")

from machine import Machine  # noqa: E402

HEAD = "name: x\nversion: '1'\n"


class Built:
    def __init__(self, done, folder):
        self.done, self.folder = done, Path(folder)

    @property
    def names(self):
        return sorted(p.name for p in self.folder.iterdir())

    def path(self, ending, name="x-1"):
        return self.folder / f"{name}.{ending}"

    @property
    def members(self):
        """Of the root file system: path -> tarfile.TarInfo."""
        with tarfile.open(self.path("rootfs.tar")) as tar:
            return {m.name: m for m in tar.getmembers()}

    def read(self, path):
        with tarfile.open(self.path("rootfs.tar")) as tar:
            return tar.extractfile(path).read()

    def blob(self, digest):
        return self.path("oci") / "blobs/sha256" / digest.removeprefix("sha256:")

    @property
    def oci(self):
        """(manifest, configuration) of the OCI layout."""
        index = json.loads((self.path("oci") / "index.json").read_text())
        manifest = json.loads(self.blob(index["manifests"][0]["digest"]).read_text())
        return manifest, json.loads(self.blob(manifest["config"]["digest"]).read_text())


@pytest.fixture
def describe(tmp_path):
    folder = tmp_path / "config"
    folder.mkdir()

    def describe(text, /, **files):
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_text(content)
        path = folder / "image.yaml"
        path.write_text(textwrap.dedent(text))
        return path

    return describe


@pytest.fixture
def build(run, describe, tmp_path):
    def build(text, /, *args, output="out", cwd=None, env=None, more=None, **files):
        path = describe(HEAD + textwrap.dedent(text), **files)
        args = ["geom-image", "build", path, "--output", tmp_path / output, *args]
        return Built(run(args, cwd=cwd, env=env, **(more or {})), tmp_path / output)

    return build


@pytest.fixture
def kernel(tmp_path):
    folder = tmp_path / "kernel"
    modules = folder / "lib/modules/1.2"
    for name in ("base", "ring-core", "net_dev"):
        (modules / "kernel").mkdir(parents=True, exist_ok=True)
        (modules / f"kernel/{name}.ko").write_text(name)
    (modules / "modules.dep").write_text(
        "kernel/net_dev.ko: kernel/ring-core.ko kernel/base.ko\nkernel/ring-core.ko: kernel/base.ko\nkernel/base.ko:\n"
    )
    (modules / "modules.builtin").write_text("kernel/drivers/always.ko\n")
    (folder / "boot").mkdir()
    (folder / "boot/vmlinuz-1.2").write_bytes(b"no kernel")
    (folder / "package").write_text("linux-image-test\n")
    (folder / "control").write_text("Package: linux-image-1.2-test\nVersion: 1.2-3\nArchitecture: amd64\n")
    return folder


@pytest.fixture
def like_ours(root, tmp_path):
    """Sources count from the description's folder, so they are made absolute."""

    def absolute(source):
        return str((root / "config" / source).resolve())

    def like_ours(change=None, name="ours"):
        members = yaml.safe_load((root / "config/geom_os_image.yaml").read_text(encoding="utf-8"))
        for file in members["files"]:
            if "source" in file:
                file["source"] = absolute(file["source"])
            if isinstance(file.get("mode"), int):
                file["mode"] = f"{file['mode']:04o}"
        settings = members["websocket_settings"]
        for scripts in ("scripts", "scripts_if_built"):
            settings[scripts] = [absolute(s) for s in settings.get(scripts, [])]
        if change:
            change(members)
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(members), encoding="utf-8")
        return path

    return like_ours


@pytest.fixture(scope="session")
def qemu():
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("no QEMU: tools/install-deps image installs it")
    return "qemu-system-x86_64"


@pytest.fixture(scope="session")
def real_kernel(root, qemu, tmp_path_factory):
    """The one that make image got, or one of our own."""
    folder = root / "build/image/kernel"
    if (folder / "package").exists():
        return folder
    folder = tmp_path_factory.mktemp("kernel") / "kernel"
    done = subprocess.run([root / "tools/get-kernel", "linux-image-cloud-amd64", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("no kernel could be downloaded")
    return folder


@pytest.fixture
def build_image(run, tmp_path):
    def build_image(description, *options, output="image"):
        folder = tmp_path / output
        done = run(["geom-image", "build", "--output", folder, *options, description])
        assert done.returncode == 0, done.stderr
        return folder

    return build_image


@pytest.fixture
def boot(spawn, qemu, tmp_path):
    """Its report port is a chardev r; append adds to the kernel's command line."""

    def boot(folder, *options, append=""):
        (image,) = folder.glob("*.vmlinuz")
        stem = image.name.removesuffix(".vmlinuz")
        path = tmp_path / "report"
        port = socket.socket(socket.AF_UNIX)
        port.bind(str(path))
        port.listen()
        args = "-accel tcg -M q35 -m 256 -smp 1 -nodefaults -no-user-config -display none -no-reboot -serial stdio"
        args = [*args.split(), "-kernel", image, "-initrd", folder / f"{stem}.initramfs.cpio.zst"]
        args += ["-append", f"console=ttyS0 panic=-1 quiet {append}"]
        args += "-netdev user,id=n0,restrict=on -device virtio-net-pci,netdev=n0,romfile=".split()
        args += ["-chardev", f"socket,id=r,path={path}"]
        return Machine(spawn([qemu, *args, *options]), port)

    return boot
