"""packaging/systemd: systemd reads it without complaint and finds the sandbox tight. `make test-system` runs it."""

import json
import re

import pytest

EXPOSURE_MAX = 2.0


UNITS = {"pixi-ws-server.service": "operations.md", "pixi-ws-client-daemon.service": "daemon.md"}


@pytest.fixture(params=UNITS)
def unit(request, root, tmp_path, bin_dir):
    """The unit as it stands, but for the place of the program."""
    text = (root / "packaging/systemd" / request.param).read_text()
    program = "pixi-ws-server" if "server" in request.param else "pixi-ws-client"
    assert text.count(f"=/usr/bin/{program} ") == 1
    path = tmp_path / request.param
    path.write_text(text.replace(f"/usr/bin/{program}", str(bin_dir / program)))
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


def test_the_socket_is_the_daemons(run, root, tmp_path, bin_dir):
    """systemd reads it without complaint beside its service, and it is where the settings' default is."""
    text = (root / "packaging/systemd/pixi-ws-client-daemon.socket").read_text()
    (tmp_path / "pixi-ws-client-daemon.socket").write_text(text)
    service = (root / "packaging/systemd/pixi-ws-client-daemon.service").read_text()
    (tmp_path / "pixi-ws-client-daemon.service").write_text(
        service.replace("/usr/bin/pixi-ws-client", str(bin_dir / "pixi-ws-client"))
    )
    done = run(["systemd-analyze", "verify", "--man=no", tmp_path / "pixi-ws-client-daemon.socket"])
    assert done.returncode == 0 and not [x for x in done.stderr.splitlines() if "pixi" in x], done.stderr
    schema = json.loads((root / "config/websocket_settings.schema.json").read_text())
    daemon = schema["properties"]["daemon"]["properties"]
    assert f"ListenStream={daemon['socket']['default']}\n" in text
    assert f"SocketGroup={daemon['group']['default']}\n" in text


def test_every_path_of_the_unit_is_explained(root, unit):
    page = (root / "docs" / UNITS[unit.name]).read_text()
    for path in re.findall(r"(?<=[ =])/(?:etc|var)/\S+", unit.read_text()):
        assert path in page, path
