"""MQTT over TLS, without a WebSocket and with one."""

import ssl

import mqtt


def secured(peer, ca):
    context = ssl.create_default_context(cafile=str(ca.pem))
    peer.sock = context.wrap_socket(peer.sock, server_hostname="localhost")
    return peer


def test_over_tls(broker, pki, run):
    cert = pki.server
    files = {"tls__cert_file": str(cert.pem), "tls__key_file": str(cert.key)}
    s = broker(mqtt__tls_listen=["127.0.0.1:0"], **files)
    plain = s.mqtt_port
    s.mqtt_port = int(s.proc.wait_line(r"^listening on 127\.0\.0\.1:(\d+) for MQTT with TLS$", stream="out")[1])
    a = secured(mqtt.Peer(s), pki.ca)
    assert a.connect().reason == 0
    a.subscribe(("t", 2))
    args = ["-h", "localhost", "-p", s.mqtt_port, "--cafile", pki.ca.pem, "-u", "u", "-P", s.key, "-q", "2"]
    done = run(["mosquitto_pub", *args, "-t", "t", "-m", "x" * 50000])
    assert done.returncode == 0, done
    assert a.take(2).payload == b"x" * 50000
    s.mqtt_port = plain
    with mqtt.Peer(s) as b:
        assert b.connect().reason == 0
        b.put("t", "in clear", qos=1)
    assert a.take(1).payload == b"in clear"
    a.sock.close()


def test_tls_needs_its_files(run, settings):
    config = settings("server", mqtt__tls_listen=["127.0.0.1:0"])
    done = run(["pixi-ws-server", "--config", config])
    assert done.returncode == 3 and "mqtt.tls_listen: found without tls.cert_file" in done.stderr


def test_not_beyond_this_machine_in_clear(run, settings):
    config = settings("server", mqtt__listen=["0.0.0.0:0"])
    done = run(["pixi-ws-server", "--config", config])
    assert done.returncode == 3 and "mqtt.listen" in done.stderr and "mqtt.tls_listen" in done.stderr
    done = run(["pixi-ws-server", "--mqtt", "nowhere"])
    assert done.returncode == 3 and "--mqtt" in done.stderr
