"""A few seconds of `make hostile`, with the sanitizers: errors count, times do not."""

import subprocess
import sys

SECONDS = 5


def test_honest_clients_among_hostile_peers(root, bin_dir, tmp_path):
    args = [sys.executable, root / "tests/hostile/run.py", "--no-timing", "--seconds", str(SECONDS)]
    args += ["--bin", bin_dir, "--dir", tmp_path]
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=120)
    log = (tmp_path / "server.log").read_text(errors="replace")
    assert "Sanitizer" not in log and "runtime error" not in log, log[-4000:]
    assert done.returncode == 0, done.stdout + done.stderr
