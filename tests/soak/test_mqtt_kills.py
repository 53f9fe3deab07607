"""Twenty seconds of `make soak-mqtt`, on the build with sanitizers."""

import subprocess
import sys


def test_nothing_is_lost_and_nothing_comes_twice(root, bin_dir, tmp_path):
    args = [sys.executable, root / "tests/soak/mqtt_kills.py", "--seconds", "20", "--dir", tmp_path, "--bin", bin_dir]
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
