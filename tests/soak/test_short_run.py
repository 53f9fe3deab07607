"""Twenty seconds of `make soak`, its warm-up included."""

import subprocess
import sys


def test_nothing_leaks(root, tmp_path):
    args = [sys.executable, root / "tests/soak/run.py", "--seconds", "12", "--dir", tmp_path]
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
