"""The scripts inside an image that need no machine: the key's way in, and what a container starts with."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

KEY = "pk_of-nobody_in-particular"
PIXI = 990

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture(scope="module")
def tar(bin_dir, root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("guest")
    args = [bin_dir / "geom-image", "build", "--no-kernel", "--output", folder, root / "config/geom_os_image.yaml"]
    subprocess.run(args, check=True, capture_output=True)
    return next(folder.glob("*.rootfs.tar"))


@pytest.fixture
def tree(tar):
    """The root file system of our image, where user pixi may enter, with a container's /dev/null."""
    with tempfile.TemporaryDirectory(prefix="pixi-ws-guest-") as folder:
        tree = Path(folder)
        tree.chmod(0o755)
        subprocess.run(["tar", "-xpf", tar, "-C", tree], check=True)
        os.mknod(tree / "dev/null", 0o020666, os.makedev(1, 3))
        (tree / "dev/null").chmod(0o666)
        yield tree


@pytest.fixture
def inside(run, tree):
    def inside(*args, uid=PIXI, **variables):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **variables}
        words = [f"{name}={value}" for name, value in env.items()]
        chroot = ["chroot", f"--userspec={uid}:{uid}", "--groups=", tree]
        return run([*chroot, "/usr/bin/env", "-i", *words, *args])

    return inside


def put(path, text, owner=PIXI, mode=0o400):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    path.chmod(mode)
    os.chown(path, owner, owner)


SECRET, CREDENTIAL = "run/secrets/pixi_api_key", "run/credentials/pixi_api_key"
SYSTEM, GIVEN = "run/credentials/@system/pixi_api_key", "run/given/pixi_api_key"
FW_CFG = "sys/firmware/qemu_fw_cfg/by_name/opt/pixi/api_key/raw"


@pytest.mark.parametrize("uid", [PIXI, 0], ids=["pixi", "root"])
@pytest.mark.parametrize("place", [SECRET, CREDENTIAL, SYSTEM, GIVEN, FW_CFG])
def test_the_key_is_found(inside, tree, place, uid):
    put(tree / place, f"{KEY}\r\n".encode())
    done = inside("/usr/lib/pixi/key", uid=uid, CREDENTIALS_DIRECTORY="/run/given")
    kind = "file:" if place == SECRET else "fw_cfg:" if place == FW_CFG else "credential:"
    assert done.returncode == 0 and done.stderr.startswith(f"key: found by {kind}"), done
    there = tree / "run/pixi/api_key"
    assert there.read_text() == KEY + "\n"
    st = there.stat()
    assert (st.st_uid, st.st_gid, st.st_mode & 0o777) == (PIXI, PIXI, 0o400)
    assert KEY not in done.stdout + done.stderr
    assert inside("/usr/lib/pixi/key", uid=uid, CREDENTIALS_DIRECTORY="/run/given").returncode == 0  # a second time, too


def test_the_first_source_wins(inside, tree):
    put(tree / FW_CFG, b"pk_second_second_second\n")
    put(tree / SECRET, KEY.encode())
    assert inside("/usr/lib/pixi/key").stderr == "key: found by file:/run/secrets/pixi_api_key\n"
    assert (tree / "run/pixi/api_key").read_text() == KEY + "\n"


BAD = {
    "empty": (b"", 0o400, PIXI, "is empty"),
    "short": (b"pk_short\n", 0o400, PIXI, "is no API key: 8 characters, expected 16 to 512"),
    "long": (b"pk_" + b"a" * 600, 0o400, PIXI, "is no API key: 603 characters"),
    "blank": (b"pk_of nobody in particular\n", 0o400, PIXI, "it has blanks or characters beyond ASCII"),
    "unreadable": (KEY.encode(), 0o600, 0, "user pixi cannot read /run/secrets/pixi_api_key; let it belong to uid 990"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_key(inside, tree, name):
    """It is told, not shown, and the next source is tried."""
    text, mode, owner, told = BAD[name]
    put(tree / SECRET, text, owner, mode)
    done = inside("/usr/lib/pixi/key")
    assert done.returncode == 1 and told in done.stderr, done
    assert "there is none. To give one:" in done.stderr
    assert not text.strip() or text.decode().strip() not in done.stderr
    assert not (tree / "run/pixi/api_key").exists()
    put(tree / CREDENTIAL, KEY.encode())
    done = inside("/usr/lib/pixi/key")
    assert done.returncode == 0 and told in done.stderr and "found by credential:pixi_api_key" in done.stderr


def test_a_place_that_cannot_be_written(inside, tree):
    put(tree / SECRET, KEY.encode())
    (tree / "run/pixi").chmod(0o755)
    done = inside("/usr/lib/pixi/key")
    assert done.returncode == 1 and "key: /run/pixi/api_key cannot be written by user pixi" in done.stderr


@pytest.mark.parametrize("uid", [PIXI, 0], ids=["pixi", "root"])
def test_the_entry_becomes_the_command_as_the_user(inside, tree, uid):
    put(tree / SECRET, KEY.encode())
    done = inside("/usr/lib/pixi/entry", "sh", "-c", 'id -un; id -gn; echo "$0" "$@"; exit 7', "a b", "c", uid=uid)
    assert (done.returncode, done.stdout) == (7, "pixi\npixi\na b c\n")
    assert done.stderr == "key: found by file:/run/secrets/pixi_api_key\n"


def test_the_entry_without_a_key(inside):
    """The client says what it lacks; a key in the environment is enough."""
    done = inside("/usr/lib/pixi/entry", "pixi-ws-client", "config", "check")
    assert done.returncode == 3 and "key: there is none" in done.stderr and "/run/pixi/api_key" in done.stderr
    done = inside("/usr/lib/pixi/entry", "true", PIXI_WS_API_KEY=KEY)
    assert (done.returncode, done.stderr) == (0, "")
    done = inside("/usr/lib/pixi/entry")
    assert done.returncode == 2 and "no command was given" in done.stderr


@pytest.mark.parametrize("shell", ["busybox", "sh"])
def test_the_scripts_are_plain_sh(root, run, shell):
    path = shutil.which(shell)
    if not path:
        pytest.skip(f"no {shell}")
    for script in sorted((root / "src/image/guest").glob("*.sh")):
        done = run([path, *(["sh"] if shell == "busybox" else []), "-n", script])
        assert (done.returncode, done.stderr) == (0, ""), script
