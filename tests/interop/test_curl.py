"""What curl sees: refusals that a person can read, and /healthz."""

import json
import socket
from email.parser import Parser

import pytest

UPGRADE = [
    *("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13"),
    *("-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
]


@pytest.fixture
def curl(run):
    """curl(server, path, *options) -> status, header fields, body."""

    def curl(server, path, *options):
        url = f"http://{server.host}:{server.port}{path}"
        done = run(["curl", "--silent", "--show-error", "--include", "--max-time", "20", *options, url])
        assert done.returncode == 0, done
        head, _, body = done.stdout.partition("\n\n")  # text mode has made one break of two
        line, _, fields = head.partition("\n")
        return int(line.split()[1]), Parser().parsestr(fields), body

    return curl


def check_problem(answer, status):
    """RFC 9457, and a connection that ends."""
    got, fields, body = answer
    assert got == status, answer
    assert fields["Content-Type"] == "application/problem+json" and fields["Connection"] == "close"
    assert int(fields["Content-Length"]) == len(body.encode())
    problem = json.loads(body)
    assert problem["status"] == status and problem["title"] and problem["type"] == "about:blank" and problem["detail"]
    return fields, problem["detail"]


def test_healthz(hub, curl):
    status, fields, body = curl(hub(), "/healthz")
    assert (status, body) == (200, "ok\n") and fields["Content-Type"].startswith("text/plain")
    assert fields["Cache-Control"] == "no-store"


def test_refusals(hub, curl):
    s = hub(keys={"other": ("#", "#")}, origins=["https://example.org"])
    key = ["-H", s.bearer]
    fields, detail = check_problem(curl(s, "/api/v1", *UPGRADE), 401)
    assert fields["WWW-Authenticate"] == 'Bearer realm="pixi"' and "API key" in detail
    fields, detail = check_problem(curl(s, "/api/v1", *UPGRADE, "-H", "X-API-Key: " + "x" * 46), 401)
    assert fields["WWW-Authenticate"] == 'Bearer realm="pixi", error="invalid_token"'
    check_problem(curl(s, "/api/v1", *UPGRADE, *key, "-H", f"X-API-Key: {s.keys['other']}"), 400)
    check_problem(curl(s, "/api/v1", *UPGRADE, *key, "-H", "Sec-WebSocket-Protocol: chat"), 400)
    check_problem(curl(s, "/api/v1", *UPGRADE, *key, "-H", "Origin: https://example.com"), 403)
    check_problem(curl(s, "/", *UPGRADE, *key), 404)
    check_problem(curl(s, "/api/v1/", *UPGRADE, *key), 404)
    fields, _ = check_problem(curl(s, "/api/v1", *UPGRADE, *key, "-X", "PUT"), 405)
    assert fields["Allow"] == "GET"
    fields, _ = check_problem(curl(s, "/api/v1", *key), 426)  # an ordinary GET
    assert fields["Sec-WebSocket-Version"] == "13" and fields["Upgrade"] == "websocket"
    old = ["Sec-WebSocket-Version: 8" if "Version" in field else field for field in UPGRADE]
    assert check_problem(curl(s, "/api/v1", *old, *key), 426)[0]["Sec-WebSocket-Version"] == "13"
    bad = [field.replace("bXBsZSBub25jZQ==", "") for field in UPGRADE]
    check_problem(curl(s, "/api/v1", *bad, *key), 400)
    check_problem(curl(s, "/api/v1", *UPGRADE, *key, "-H", "X-Long: " + "x" * 9000), 431)
    many = [part for i in range(70) for part in ("-H", f"X-{i}: 1")]
    check_problem(curl(s, "/api/v1", *UPGRADE, *key, *many), 431)
    check_problem(curl(s, "/api/v1", *UPGRADE, *key, "--http1.0"), 505)


def test_too_slow(hub, curl):
    """A body that is promised and does not come is not waited for."""
    s = hub(limits__handshake_ms=200)
    status, _, _ = curl(s, "/api/v1", *UPGRADE, "-H", s.bearer, "-H", "Content-Length: 10", "-X", "GET")
    assert status == 400


def test_too_many(hub, curl):
    s = hub(limits__connections_per_address=1)
    with socket.create_connection((s.host, s.port), timeout=20) as sock:
        fields = "\r\n".join(["Host: x", s.bearer, *UPGRADE[1::2]])
        sock.sendall(f"GET /api/v1 HTTP/1.1\r\n{fields}\r\n\r\n".encode())
        assert sock.recv(65536).startswith(b"HTTP/1.1 101 ")
        fields, _ = check_problem(curl(s, "/healthz"), 429)
        assert fields["Retry-After"] == "5"


def test_the_echo_server_takes_any_path(echo, curl):
    s = echo()
    assert curl(s, "/healthz")[0] == 200
    assert check_problem(curl(s, "/anything"), 426)
