"""geom-image verify, and what happens inside a machine: needs QEMU, and a minute or two for all of it."""

import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import uuid

import pytest

PORT = ["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=r,name=report"]
SECOND_SERIAL = ["-serial", "chardev:r"]
KEY = "pk_of-nobody_in-particular"

slow = pytest.mark.skipif("PIXI_TEST_IMAGE" not in os.environ, reason="make test-image runs it")


@pytest.fixture
def verify(run):
    def verify(folder, description, *options, env=None):
        done = run(["geom-image", "verify", "--json", "--output", folder, *options, description], timeout=170, env=env)
        return done, json.loads(done.stdout) if done.stdout.startswith("{") else None

    return verify


def verdicts(report, part):
    return {c["id"]: c["verdict"] for c in report["checks"] if c["part"] == part}


def test_the_image_proves_its_link(build_image, real_kernel, like_ours, verify):
    ours = like_ours()
    folder = build_image(ours, "--kernel", real_kernel)
    done, report = verify(folder, ours)
    assert done.returncode == 0, done.stdout
    assert report["verdict"] == "verified"
    ids = ["files", "boot", "key", "settings", "launcher", "verify", "inside-out", "outside-in", "outbox", "restart", "poweroff"]
    assert verdicts(report, "machine") == dict.fromkeys(ids, "ok")
    assert set(verdicts(report, "container").values()) <= {"ok", "skipped"}
    left = {p.name for p in (folder / "verify").iterdir()}
    assert not left & {"key", "server.keys", "root"}
    assert "pk_" not in "".join((folder / "verify" / name).read_text() for name in left)


@slow
def test_an_image_that_listens_itself_proves_its_link(build_image, real_kernel, like_ours, verify):
    """Without a daemon."""

    def change(members):
        members["websocket_settings"]["run_at_boot"] = ["listen"]
        members["container"]["command"] = ["pixi-ws-client", "listen", "--retry"]

    ours = like_ours(change)
    done, report = verify(build_image(ours, "--kernel", real_kernel), ours)
    assert done.returncode == 0, done.stdout
    for part in ("machine", "container"):
        told = verdicts(report, part)
        if part not in told:  # else the part was skipped
            assert told.pop("outbox") == "skipped" and set(told.values()) == {"ok"}, report


def change_settings(members):
    members["websocket_settings"]["settings"]["reconnect"]["max_ms"] = 4000


@slow
def test_a_changed_setting_is_the_only_change_and_is_deployed(run, build_image, real_kernel, like_ours, verify):
    """The changed image is built on the former one."""
    former = build_image(like_ours(), "--kernel", real_kernel, output="former")
    (oci,) = former.glob("*.oci")

    def change(members):
        change_settings(members)
        members["base"] = f"oci:{oci}"

    changed = like_ours(change, "changed")
    folder = build_image(changed, "--kernel", real_kernel, output="changed")
    (new,) = folder.glob("*.oci")
    done = run(["geom-image", "diff", oci, new])
    told = "~ /config/websocket_settings.json reconnect.max_ms: 5000 -> 4000\n"
    assert (done.returncode, done.stdout) == (1, told), done
    done, report = verify(folder, changed)
    assert done.returncode == 0, done.stdout
    settings = (next(c for c in report["checks"] if c["id"] == "settings"))["measured"]
    assert settings.startswith("as described")


@slow
def test_an_image_with_other_settings_is_not_verified(build_image, real_kernel, like_ours, verify):
    folder = build_image(like_ours(), "--kernel", real_kernel)
    done, report = verify(folder, like_ours(change_settings, "changed"))
    assert done.returncode == 1 and report["verdict"] == "not verified"
    failed = report["checks"][-1]
    assert (failed["part"], failed["id"], failed["verdict"]) == ("machine", "settings", "failed")
    assert "is not what the description says" in failed["cause"] and "build it again" in failed["fix"]


def test_without_qemu_nothing_is_proven(build_image, like_ours, verify):
    ours = like_ours()
    folder = build_image(ours, "--no-kernel")
    done, report = verify(folder, ours, env={"PATH": "/var/empty"})
    assert done.returncode == 1 and report["verdict"] == "not verified"
    (machine,) = [c for c in report["checks"] if c["part"] == "machine"]
    assert machine["verdict"] == "skipped" and "tools/install-deps image" in machine["reason"]


def with_mark(mark):
    """The processes whose environment holds the mark."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if mark.encode() in file.read():
                    found.append(pid)
        except OSError:
            continue  # it has gone
    return found


@slow
@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_on_the_way_it_leaves_nothing_running(build_image, real_kernel, like_ours, bin_dir, env, sig):
    ours = like_ours()
    folder = build_image(ours, "--kernel", real_kernel)
    mark = f"MARK={uuid.uuid4()}"
    args = [bin_dir / "geom-image", "verify", "--output", folder, ours]
    name, value = mark.split("=")
    proc = subprocess.Popen(args, env={**env, name: value}, stdout=subprocess.PIPE, text=True)
    while "kernel and initramfs" not in proc.stdout.readline():
        assert proc.poll() is None
    while len(pids := with_mark(mark)) < 4:  # itself, server, listener; QEMU comes after that line
        assert proc.poll() is None
    started = [os.pidfd_open(int(pid)) for pid in pids]
    proc.send_signal(sig)
    proc.communicate(timeout=60)
    assert proc.returncode == {signal.SIGKILL: -9}.get(sig, 128 + sig)
    for fd in started:
        ended = select.poll()
        ended.register(fd, select.POLLIN)
        assert ended.poll(20000)
        os.close(fd)
    if sig != signal.SIGKILL:
        assert not (folder / "verify/key").exists()


def test_a_port_that_is_taken(build_image, like_ours, bin_dir, env, run, free_port):
    """Where namespaces are forbidden the server stands on this machine's loopback."""

    def change(members):
        members["websocket_settings"]["settings"]["url"] = f"ws://10.0.2.2:{port}/api/v1"

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ours = like_ours(change)
        folder = build_image(ours, "--no-kernel")
        forbid = "echo 0 >/proc/sys/user/max_net_namespaces && exec \"$@\""
        args = ["unshare", "-Ur", "sh", "-c", forbid, "sh", bin_dir / "geom-image", "verify", "--output", folder, ours]
        done = run(args)
    if "max_net_namespaces" in done.stderr or "unshare: " in done.stderr or done.returncode not in (0, 1):
        pytest.skip("no namespaces may be made here")
    assert done.returncode == 1
    assert "End what has that port" in done.stdout, done


WRONG = {
    "wss": ("wss://pixi.example/api/v1", "expected ws:// and an IPv4 address"),
    "name": ("ws://pixi.example/api/v1", "expected ws:// and an IPv4 address"),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_that_nobody_can_stand_in_for(build_image, like_ours, verify, name):
    url, told = WRONG[name]

    def change(members):
        members["websocket_settings"]["settings"]["url"] = url

    ours = like_ours(change)
    done, _ = verify(build_image(ours, "--no-kernel"), ours)
    assert done.returncode == 3 and told in done.stderr and url in done.stderr


def test_an_image_that_is_not_there(like_ours, run, tmp_path):
    done = run(["geom-image", "verify", "--output", tmp_path / "nowhere", like_ours()])
    assert done.returncode == 2 and "geom-image build makes it" in done.stderr


def test_one_at_a_time(build_image, like_ours, verify):
    ours = like_ours()
    folder = build_image(ours, "--no-kernel")
    (folder / "verify").mkdir()
    with subprocess.Popen(["flock", folder / "verify/.lock", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdin.write(b"x\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == b"x\n"  # it has the lock
        done, _ = verify(folder, ours)
        holder.stdin.close()
    assert done.returncode == 14 and "another geom-image verify works there" in done.stderr


@slow
def test_a_machine_without_a_key_says_how_to_give_one(build_image, real_kernel, like_ours, boot):
    """And one on the kernel's command line is refused, without showing it."""
    machine = boot(build_image(like_ours(), "--kernel", real_kernel), *PORT, append=f"pixi.api_key={KEY}")
    machine.says(r"found a key on the kernel command line \(pixi.api_key=\)")
    machine.says(r"key: there is none\. To give one:")
    machine.says(r"key: +mount a file with the key at /run/secrets/pixi_api_key, readable by user pixi")
    machine.says(r"key: +start QEMU with -fw_cfg name=opt/pixi/api_key,file=FILE")
    # the client ends with 3, for its key is not there: started again, with pauses that grow
    machine.says(r"service daemon: ended with 3; again in 1 s")
    machine.says(r"service daemon: ended with 3; again in 2 s")
    assert KEY not in machine.proc.out


@slow
@pytest.mark.parametrize("port", [PORT, SECOND_SERIAL], ids=["virtio", "serial"])
def test_verify_at_boot_reports(build_image, real_kernel, like_ours, boot, tmp_path, port):
    """Nobody asked: the description does. There is no server, and the report says so."""

    def change(members):
        members["websocket_settings"]["run_at_boot"] = ["verify"]
        members["websocket_settings"]["settings"]["timeouts"] = {"connect_ms": 500}
        members["services"] = [{"name": "clock", "command": ["sh", "-c", "echo it\\'s; exec sleep 60"], "user": "pixi"}]

    (tmp_path / "key").write_text(KEY)
    folder = build_image(like_ours(change), "--kernel", real_kernel)
    machine = boot(folder, *port, "-fw_cfg", f"name=opt/pixi/api_key,file={tmp_path / 'key'}")
    report = machine.reported("verify")
    assert report["exit"] == 5 and report["verify"]["verdict"] == "not verified"
    machine.says(r"verify: FAILED \(exit code 5; \d+ ok, 1 failed\)")
    assert KEY not in machine.proc.out


def test_the_sum_of_settings(run, build_image, like_ours):
    """What verify expects inside is what build puts there."""
    folder = build_image(like_ours(), "--no-kernel")
    (manifest,) = folder.glob("*.manifest.json")
    (tar,) = folder.glob("*.rootfs.tar")
    done = subprocess.run(["tar", "-xOf", tar, "config/websocket_settings.json"], capture_output=True, check=True)
    assert hashlib.sha256(done.stdout).hexdigest() in manifest.read_text()
