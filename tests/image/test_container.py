"""The Dockerfile and compose.yaml, built by buildah and run by podman: no Docker engine is needed."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
import yaml

PIXI = 990
CLIENT, SERVER = "localhost/geom-os", "localhost/pixi-ws-server"

pytestmark = [
    pytest.mark.skipif("PIXI_TEST_IMAGE" not in os.environ, reason="make test-image runs it"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can run containers here"),
    pytest.mark.skipif(
        not all(map(shutil.which, ["buildah", "podman", "runc", "mmdebstrap"])),
        reason="no buildah or podman: tools/install-deps image-test installs them",
    ),
]


class Store:
    """The images and containers of these tests, under build/: kept, so that the next build has its layers."""

    def __init__(self, folder):
        self.folder = folder
        self.where = ["--root", folder / "store", "--runroot", folder / "run", "--storage-driver", "overlay"]
        self.where += ["--storage-opt", "overlay.skip_mount_home=true"]  # or build/ could not be removed

    def run(self, program, *args, check=True, timeout=600, network=(), **more):
        args = [*network, program, *self.where, *(["--runtime", "runc"] if program == "podman" else []), *args]
        done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=timeout, **more)
        assert done.returncode == 0 or not check, f"{args}\n{done.stdout}{done.stderr}"
        return done

    def podman(self, *args, **more):
        return self.run("podman", *args, **more)

    def build(self, root, name, *args):
        isolation = ["--isolation", "chroot", "--pull-never", "--layers", "--format", "docker"]
        return self.run("buildah", "bud", *isolation, "-t", name, *args, root, timeout=900)

    def inspect(self, name):
        return json.loads(self.podman("image", "inspect", name).stdout)[0]


@pytest.fixture(scope="session")
def store(root):
    """With both images. One builds, the others wait for it, and then have all layers already."""
    folder = root / "build/container"
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder)
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "base.tar").exists():
            subprocess.run([root / "tools/make-debian", folder / "base.tar"], check=True)
        base = "docker.io/library/debian:bookworm-slim"
        if store.podman("image", "exists", base, check=False).returncode:
            store.podman("import", folder / "base.tar", base)
        store.build(root, SERVER, "--target", "server")
        store.build(root, CLIENT)
        store.build(root, "localhost/pixi-ws-build", "--target", "build")  # a name keeps the layers of this one
        store.podman("image", "prune", "-f")
    return store


@pytest.fixture
def start(store):
    """start(image, *command, options=[...]) -> the name of a container that runs."""
    started = []

    def start(image, *command, options=(), check=True):
        limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
        done = store.podman("run", "-d", "--network=host", *limits, *options, image, *command, check=check)
        name = done.stdout.strip()
        started.append(name)
        return name

    yield start
    for name in started:
        store.podman("rm", "-f", name, check=False)


@pytest.fixture
def secret():
    """secret(text) -> a file that user pixi of the containers may read."""
    with tempfile.TemporaryDirectory(prefix="pixi-ws-secret-") as folder:
        Path(folder).chmod(0o755)

        def secret(text, name="secret"):
            path = Path(folder) / name
            path.write_text(text)
            path.chmod(0o400)
            os.chown(path, PIXI, PIXI)
            return path

        yield secret


@pytest.fixture
def client(start, secret):
    """client(server, *options) -> the client's container, with the server's key."""

    def client(server, *options):
        key = ["-v", f"{secret(server.key)}:/run/secrets/pixi_api_key:ro"]
        return start(CLIENT, options=[*key, "-e", f"PIXI_WS_URL={server.url}", *options])

    return client


SEND = ["pixi-ws-client", "send", "event/container"]


def health(store, name, network=()):
    """(status, what the check said); podman runs it in the network that podman is in."""
    code = store.podman("healthcheck", "run", name, check=False, network=network).returncode
    (state,) = json.loads(store.podman("inspect", name).stdout)
    health = state["State"].get("Health") or state["State"]["Healthcheck"]
    assert (health["Log"][-1]["ExitCode"] == 0) == (code == 0)
    return "healthy" if code == 0 else "failing", health["Log"][-1]["Output"]


def wait_for_log(store, name, text):
    """Until the container has said so: podman follows its log."""
    args = ["podman", *store.where, "--runtime", "runc", "logs", "-f", name]
    with subprocess.Popen([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as follow:
        seen = ""
        for line in follow.stdout:
            seen += line
            if text in line:
                follow.terminate()
                return seen
        raise AssertionError(f"never said {text!r}:\n{seen}")


def test_the_client_turns_healthy_and_stays_through_a_restart(store, client, hub):
    server = hub()
    name = client(server)
    wait_for_log(store, name, "connected to ")
    assert health(store, name)[0] == "healthy", health(store, name)
    store.podman("exec", name, *SEND, '{"server":"up"}')
    port = server.port
    server.proc.stop()
    assert health(store, name)[0] == "failing"
    store.podman("exec", name, *SEND, '{"server":"down"}')
    again = hub(port=port)
    wait_for_log(store, name, "; 1 messages wait")
    assert health(store, name)[0] == "healthy", health(store, name)
    assert again.key not in store.podman("inspect", name).stdout + store.podman("logs", name).stdout
    assert store.podman("exec", name, "stat", "-c", "%U %a", "/run/pixi/api_key").stdout == "pixi 400\n"


def test_the_stop_signal_reaches_the_client(store, client, hub):
    name = client(hub())
    wait_for_log(store, name, "connected to ")
    store.podman("stop", "-t", "20", name)
    (state,) = json.loads(store.podman("inspect", name).stdout)
    assert state["State"]["ExitCode"] == 0


def test_without_a_key_it_says_how_to_give_one(store, start):
    name = start(CLIENT)
    assert store.podman("wait", name).stdout.strip() == "3"
    told = store.podman("logs", name)
    assert "mount a file with the key at /run/secrets/pixi_api_key, readable by user pixi" in told.stdout + told.stderr


def test_the_dockerfile_says_what_the_description_says(store, build_image, like_ours):
    """Two ways to the same image: user, entry point, command, health check, signal, PATH."""
    (oci,) = build_image(like_ours(), "--no-kernel").glob("*.oci")

    def blob(digest):
        return json.loads((oci / "blobs/sha256" / digest.removeprefix("sha256:")).read_text())

    manifest = blob(json.loads((oci / "index.json").read_text())["manifests"][0]["digest"])
    described = blob(manifest["config"]["digest"])["config"]
    built = store.inspect(CLIENT)["Config"]
    for member in ("User", "Entrypoint", "Cmd", "StopSignal"):
        assert built[member] == described[member], member
    docker = store.inspect(CLIENT).get("HealthCheck") or store.inspect(CLIENT)["Healthcheck"]
    assert docker == described["Healthcheck"]
    assert [e for e in built["Env"] if e.startswith("PATH=")] == [e for e in described["Env"] if e.startswith("PATH=")]


def test_the_image_holds_what_the_description_names_and_no_tools(store, tmp_path):
    name = store.podman("create", CLIENT).stdout.strip()
    store.podman("export", "-o", tmp_path / "root.tar", name)
    store.podman("rm", name)
    with tarfile.open(tmp_path / "root.tar") as tar:
        members = {m.name: m for m in tar.getmembers()}
        settings = json.load(tar.extractfile("config/websocket_settings.json"))
    assert settings["url"] == "ws://10.0.2.2:8768/api/v1" and "api_key" not in settings
    assert {"usr/bin/pixi-ws-client", "usr/bin/pixi-ws-client.sh", "usr/bin/busybox", "usr/lib/pixi/entry"} <= set(members)
    names = {Path(name).name for name, member in members.items() if not member.isdir()}
    assert names & {"gcc", "cc", "make", "apt", "dpkg", "bash", "geom-image", "api_key"} == set()
    assert members["run/pixi"].mode & 0o777 == 0o777
    assert {(members[n].uid, members[n].gid) for n in ("run/pixi-ws", "var/lib/pixi-ws-client")} == {(PIXI, PIXI)}
    assert (tmp_path / "root.tar").stat().st_size < 20 << 20
    changed = {n for n, m in members.items() if m.isfile() and m.mode & 0o022}
    assert not changed  # nobody but the owner may write to any file


def test_another_server_is_a_build_argument(store, root, tmp_path):
    """The last stage alone, without layers kept from before: buildah 1.28 takes those whatever the arguments are."""
    text = (root / "Dockerfile").read_text()
    stage = text[text.index("FROM scratch AS client") :].replace("COPY --from=build /out/client/root/ /", "COPY Dockerfile /")
    (tmp_path / "Dockerfile").write_text(stage)
    name, url = "localhost/geom-os-elsewhere", "ws://192.0.2.1:8768/api/v1"
    store.build(tmp_path, name, "--no-cache", "--build-arg", f"PIXI_WS_URL={url}")
    assert f"PIXI_WS_URL={url}" in store.inspect(name)["Config"]["Env"]
    assert "PIXI_WS_URL=" in store.inspect(CLIENT)["Config"]["Env"]


@pytest.fixture
def network():
    """A network with nothing but a loopback: the fixed ports of compose.yaml are free there."""
    script = "ip link set lo up && echo up && exec cat"
    with subprocess.Popen(["unshare", "-n", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"up\n"
        yield ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
        holder.stdin.close()


def options_of(service, files):
    """What compose makes of a service, as options of podman run on one machine."""
    args = ["--read-only"] if service.get("read_only") else []
    args += [f"--tmpfs={t}" for t in service.get("tmpfs", [])]
    args += [f"--cap-drop={c}" for c in service.get("cap_drop", [])]
    args += [f"--security-opt={o.removesuffix(':true')}" for o in service.get("security_opt", [])]
    args += [f"--env={k}={v}" for k, v in service.get("environment", {}).items()]
    args += [f"--volume={volume}" for volume in service.get("volumes", [])]
    args += [f"--volume={files[name]}:/run/secrets/{name}:ro" for name in service.get("secrets", [])]
    return args


def test_compose_server_and_client(store, root, run, secret, network, tmp_path):
    compose = yaml.safe_load((root / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    assert services["server"]["build"]["target"] == "server" and services["client"]["build"]["target"] == "client"
    keys = tmp_path / "keys"
    made = run(["pixi-ws-server", "key", "add", "geom-os", "--publish", "#", "--subscribe", "#", "--keys", keys])
    files = {"pixi_api_key": secret(made.stdout, "key"), "pixi_ws_server.keys": secret(keys.read_text(), "keys")}
    ignored = (root / ".dockerignore").read_text().split()
    for name in compose["secrets"].values():
        path = Path(name["file"].removeprefix("./"))
        assert any(path.match(pattern) for pattern in ignored), path  # never in the context of a build

    with contextlib.ExitStack() as stack:

        def start(image, service):
            limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
            where = ["--network=host", "--add-host=server:127.0.0.1"]
            options = options_of(services[service], files)
            name = store.podman("run", "-d", *where, *limits, *options, image, network=network).stdout.strip()
            stack.callback(store.podman, "rm", "-f", name, check=False)
            return name

        server = start(SERVER, "server")
        wait_for_log(store, server, "listening on 0.0.0.0:8768")
        client = start(CLIENT, "client")
        wait_for_log(store, client, "connected to ")
        for name in (server, client):
            assert health(store, name, network)[0] == "healthy", health(store, name, network)
        send = ["pixi-ws-client", "send", "event/compose", '{"hello":"world"}', "--retain"]
        store.podman("exec", client, *send, network=network)
        heard = store.podman("exec", client, "pixi-ws-client", "listen", "event/compose", "--count", "1", network=network)
        assert '"payload":{"hello":"world"}' in heard.stdout
        store.podman("stop", "-t", "20", server)
        (state,) = json.loads(store.podman("inspect", server).stdout)
        assert state["State"]["ExitCode"] == 0
