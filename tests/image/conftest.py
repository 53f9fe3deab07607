"""What tests of images share.

describe(text, **files)       the path of a description in a folder of its own, with files beside it
build(text, *args, **files)   that, built: Built, whose .done is how geom-image ended, .folder where the outputs are
kernel                        an unpacked kernel that is none: --kernel
"""

import json
import tarfile
import textwrap
from pathlib import Path

import pytest

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
