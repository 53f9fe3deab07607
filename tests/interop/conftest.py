"""What the tests against others' brokers share: the cutting proxy of tests/e2e can be imported.

mosquitto  mosquitto(**options) -> Broker     nats  nats() -> Broker     mqtt  mqtt(broker) -> Mqtt, our client
"""

import json
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("tests/e2e", "bindings/python")]
os.environ.setdefault("PIXI_WS_LIBRARY", str(ROOT / "build/lib/libpixiws.so.0"))  # pixi_ws
pytest.register_assert_rewrite("proxy")


class Broker:
    """A running broker: .url for WebSocket, .port for MQTT over TCP."""

    def __init__(self, proc, url, port):
        self.proc, self.url, self.port = proc, url, port
        self.host = "127.0.0.1"
        self.ws_port = int(url.split(":")[2].split("/")[0])


@pytest.fixture
def mosquitto(spawn, tmp_path, free_port):
    """mosquitto(lines=(), ports=None) -> Broker; ports= brings one back."""

    def mosquitto(*lines, ports=None):
        port, ws_port = ports or (free_port(), free_port())
        config = tmp_path / "mosquitto.conf"
        config.write_text(
            "\n".join(
                [
                    *(lines or ["allow_anonymous true"]),
                    "user root",
                    "log_dest stderr",
                    "log_type all",
                    "max_queued_messages 0",
                    f"listener {port} 127.0.0.1",
                    f"listener {ws_port} 127.0.0.1",
                    "protocol websockets",
                    "socket_domain ipv4",
                    "",
                ]
            )
        )
        proc = spawn(["mosquitto", "-c", config])
        proc.wait_line(r"mosquitto version \S+ running", stream="err")
        return Broker(proc, f"ws://127.0.0.1:{ws_port}/mqtt", port)

    return mosquitto


@pytest.fixture
def nats(spawn, tmp_path, free_port):
    """nats() -> Broker: MQTT 3.1.1 with QoS 0 and 1."""

    def nats():
        port, ws_port = free_port(), free_port()
        config = tmp_path / "nats.conf"
        config.write_text(
            f"""
            server_name: test
            host: "127.0.0.1"
            port: {free_port()}
            jetstream {{ store_dir: "{tmp_path / 'jetstream'}" }}
            mqtt {{ host: "127.0.0.1", port: {port} }}
            websocket {{ host: "127.0.0.1", port: {ws_port}, no_tls: true }}
            """
        )
        proc = spawn(["nats-server", "-c", config])
        proc.wait_line("Server is ready", stream="err")
        return Broker(proc, f"ws://127.0.0.1:{ws_port}/mqtt", port)

    return nats


class Mqtt:
    """pixi-ws-client that speaks MQTT to one broker."""

    def __init__(self, run, spawn, settings, url, cwd):
        self._run, self._spawn, self._settings, self.url, self.cwd = run, spawn, settings, url, cwd
        self.count = iter(range(10**6))

    def args(self, args, members):
        members = {"url": self.url, "dialect": "mqtt", "reconnect__initial_ms": 1, **members}
        return ["pixi-ws-client", "--settings", self._settings(f"mqtt-{next(self.count)}", **members), *args]

    def run(self, *args, input=None, **members):
        """The finished process, whatever its exit code."""
        return self._run(self.args(args, members), input=input, cwd=self.cwd)

    def ok(self, *args, **members):
        done = self.run(*args, **members)
        assert done.returncode == 0, done
        return done.stdout

    def spawn(self, *args, **members):
        return self._spawn(self.args(args, members), cwd=self.cwd)

    def listen(self, *args, **members):
        """A `listen` that stands."""
        proc = self.spawn("listen", *args, **members)
        proc.wait_line("listening to", stream="err")
        return proc


@pytest.fixture
def mqtt(run, spawn, settings, tmp_path):
    """mqtt(broker or URL) -> Mqtt"""
    return lambda broker: Mqtt(run, spawn, settings, getattr(broker, "url", broker), tmp_path)


@pytest.fixture
def messages():
    """messages(proc) -> what a `listen` has printed, each as an object."""
    return lambda proc: [json.loads(line) for line in proc.out.splitlines()]


@pytest.fixture
def client(run, spawn, tmp_path):
    """client(server) -> our own client with that server's URL and key: .ok(*args), .spawn(*args), .listen(*args)."""

    class Client:
        def __init__(self, s):
            self.env = {"PIXI_WS_URL": s.url, "PIXI_WS_API_KEY": s.key}

        def ok(self, *args):
            done = run(["pixi-ws-client", *args], env=self.env, cwd=tmp_path)
            assert done.returncode == 0, done
            return done.stdout

        def spawn(self, *args):
            return spawn(["pixi-ws-client", *args], env=self.env, cwd=tmp_path)

        def listen(self, *args):
            proc = self.spawn("listen", *args)
            proc.wait_line("listening to", stream="err")
            return proc

    return Client
