"""What make does about the image: tools/build-image and tools/get-kernel."""

import pytest

LIST = "/var/lib/dpkg/info/busybox-static.list"


@pytest.fixture
def without(run, root):
    """without(path, *command) -> how the command ended, in a world where this file is empty."""
    if run(["unshare", "-rm", "true"]).returncode:
        pytest.skip("no namespaces may be made here")

    def without(path, *command):
        script = 'mount --bind /dev/null "$1" && shift && exec "$@"'
        return run(["unshare", "-rm", "sh", "-c", script, "sh", path, *command], cwd=root)

    return without


def test_bare_make_without_busybox_says_so(without):
    done = without(LIST, "tools/build-image", "--no-kernel")
    said = "  no image: busybox-static missing here (tools/install-deps image)\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


def test_a_kernel_that_is_there_is_not_downloaded(run, root, tmp_path):
    folder = tmp_path / "kernel"
    folder.mkdir()
    (folder / "package").write_text("linux-image-test\n")
    done = run([root / "tools/get-kernel", "linux-image-test", folder], env={"PATH": "/nowhere:/usr/bin:/bin"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_kernel_that_there_is_not(run, root, tmp_path):
    apt = tmp_path / "bin/apt-get"
    apt.parent.mkdir()
    for name in ("apt-get", "apt-cache"):
        (apt.parent / name).write_text("#!/bin/sh\nexit 100\n")
        (apt.parent / name).chmod(0o755)
    done = run([root / "tools/get-kernel", "linux-image-test", tmp_path / "kernel"], env={"PATH": f"{apt.parent}:/usr/bin:/bin"})
    assert done.returncode == 1 and "get-kernel: " in done.stderr and "apt-get update" in done.stderr
    assert not (tmp_path / "kernel").exists()
