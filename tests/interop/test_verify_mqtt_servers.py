"""verify against other people's MQTT servers over WebSocket: what it finds is in docs/verify/peers.md."""

import json
import re
import shutil
import socket

import pytest

# What each of them is known not to do; all else passes or is skipped with a reason.
KNOWN = {
    "mosquitto": {"unmasked", "text-utf8", "close-short", "close-utf8", "mqtt-text"},
    "nats-server": {"close-code", "close-short", "mqtt-text", "mqtt-utf8", "mqtt-nul"},
}
SKIPPED = {
    "mosquitto": {"mqtt-key-none", "mqtt-key-wrong"},
    "nats-server": {"mqtt-key-none", "mqtt-key-wrong", "mqtt-311", "mqtt-qos-2", "mqtt-once", "mqtt-max", "mqtt-window",
                    "mqtt-property", "mqtt-alias-0", "mqtt-no-topic"},
}  # fmt: skip


def ports(count):
    """Free ones, all different."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return found


def start_mosquitto(spawn, tmp_path):
    plain, web = ports(2)
    (tmp_path / "mosquitto.conf").write_text(
        f"listener {plain} 127.0.0.1\n"
        f"listener {web} 127.0.0.1\nprotocol websockets\nsocket_domain ipv4\nallow_anonymous true\n"
    )
    server = spawn([shutil.which("mosquitto", path="/usr/sbin:/usr/bin"), "-c", tmp_path / "mosquitto.conf"])
    server.wait_line("mosquitto version .* running")
    return f"ws://127.0.0.1:{web}/"


def start_nats(spawn, tmp_path):
    nats, mqtt, web = ports(3)
    (tmp_path / "nats.conf").write_text(
        f"server_name: one\nlisten: 127.0.0.1:{nats}\njetstream {{ store_dir: {tmp_path}/js }}\n"
        f'mqtt {{ listen: 127.0.0.1:{mqtt} }}\nwebsocket {{ listen: "127.0.0.1:{web}", no_tls: true }}\n'
    )
    server = spawn(["nats-server", "-c", tmp_path / "nats.conf"])
    server.wait_line("Server is ready")
    return f"ws://127.0.0.1:{web}/mqtt"


START = {"mosquitto": start_mosquitto, "nats-server": start_nats}


@pytest.mark.parametrize("name", START)
def test_what_is_found(spawn, run, tmp_path, root, name):
    report = json.loads(run(["pixi-ws-client", "--json", "verify", START[name](spawn, tmp_path)]).stdout)
    rows = {c["id"]: c for c in report["checks"]}
    failed = {each for each, c in rows.items() if c["verdict"] == "failed"}
    assert failed == KNOWN[name], [rows[each] for each in failed ^ KNOWN[name]]
    skipped = {each for each, c in rows.items() if c["verdict"] == "skipped" and each.startswith("mqtt")}
    assert skipped == SKIPPED[name], [rows[each] for each in skipped ^ SKIPPED[name]]
    assert report["exit"] == 9


def test_the_page_names_what_is_found(root):
    text = (root / "docs/verify/peers.md").read_text()
    for name, known in KNOWN.items():
        section = text.split(f"## {name}", 1)[1].split("\n## ", 1)[0]
        assert set(re.findall(r"^\| `([\w-]+)` \|", section, re.M)) == known
