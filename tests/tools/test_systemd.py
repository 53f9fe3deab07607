"""packaging/systemd: systemd reads it without complaint and finds the sandbox tight. `make test-system` runs it."""

import re

import pytest

EXPOSURE_MAX = 2.0


@pytest.fixture
def unit(root, tmp_path, bin_dir):
    """The unit as it stands, but for the place of the program."""
    text = (root / "packaging/systemd/pixi-ws-server.service").read_text()
    assert text.count("/usr/bin/pixi-ws-server") == 1
    path = tmp_path / "pixi-ws-server.service"
    path.write_text(text.replace("/usr/bin/pixi-ws-server", str(bin_dir / "pixi-ws-server")))
    return path


def test_systemd_reads_the_unit_without_complaint(run, unit):
    done = run(["systemd-analyze", "verify", "--man=no", unit])
    complaints = [line for line in done.stderr.splitlines() if "pixi" in line]
    assert done.returncode == 0 and not complaints, done.stderr


def test_the_sandbox_is_tight(run, unit):
    done = run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit])
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE_MAX, done.stdout


def test_every_path_of_the_unit_is_explained(root, unit):
    page = (root / "docs/operations.md").read_text()
    for path in re.findall(r"(?<=[ =])/(?:etc|var)/\S+", unit.read_text()):
        assert path in page, path
