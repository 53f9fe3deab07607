"""Unit tests of what has threads, under ThreadSanitizer."""

import subprocess

import pytest


@pytest.mark.parametrize("name", ["src/sqlite/worker_test", "src/store/sqlite_thread_test"])
def test_no_data_race(root, env, name):
    program = root / "build/tsan/test" / name
    assert program.exists(), f"{program} is not built: make unit-programs"
    env["TSAN_OPTIONS"] = "halt_on_error=1:exitcode=66"
    done = subprocess.run([program], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
