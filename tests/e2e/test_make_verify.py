"""tools/verify, which make verify runs: it proves the link, and leaves nothing running."""

import os
import signal
import subprocess
import uuid


def with_mark(mark):
    """The processes whose environment holds the mark, as text."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                environ = file.read()
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has gone
        if mark.encode() in environ and line:  # without: a zombie
            found.append(f"{pid}: {line}")
    return found


def start(root, bin_dir, env, folder):
    mark = f"MARK={uuid.uuid4()}"
    name, value = mark.split("=")
    where = {"PIXI_BIN": str(bin_dir), "PIXI_VERIFY_DIR": str(folder)}
    args = {"cwd": root, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return mark, subprocess.Popen(["tools/verify"], env={**env, **where, name: value}, **args)


def test_it_proves_the_link_and_leaves_nothing_running(root, bin_dir, env, tmp_path):
    mark, proc = start(root, bin_dir, env, tmp_path / "verify")
    out = proc.communicate(timeout=120)[0]
    assert proc.returncode == 0, out
    assert out.endswith("make verify: the link works\n")
    assert with_mark(mark) == []


def test_ended_on_the_way_it_leaves_nothing_running(root, bin_dir, env, tmp_path):
    for way in ("term", "pipe"):
        mark, proc = start(root, bin_dir, env, tmp_path / way)
        while "server" not in proc.stdout.readline():
            assert proc.poll() is None
        if way == "term":
            proc.send_signal(signal.SIGTERM)
            proc.communicate(timeout=60)
        else:  # as head does
            proc.stdout.close()
            proc.wait(timeout=60)
        assert with_mark(mark) == []
