"""Who comes in and how: keys, origins, subprotocols, limits on connections, /healthz; and how the server goes away."""

import base64
import contextlib
import json
import signal
import socket
import urllib.error
import urllib.request

import pytest
import websockets

from rpc import Closed, Rpc


def browser(key):
    """A key as a script in a browser can send it."""
    return "pixi.key." + base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def refusal(server, fields=None, protocols=("pixi.v1",), **options):
    """Status and header fields of a refused upgrade."""
    with pytest.raises(websockets.InvalidStatusCode) as caught:
        Rpc(server, fields=fields or {}, protocols=protocols, **options)
    return caught.value.status_code, caught.value.headers


def test_the_key_in_each_of_its_places(hub):
    s = hub()
    places = [
        ({"Authorization": f"Bearer {s.key}"}, ["pixi.v1"]),
        ({"Authorization": f"bearer   {s.key}"}, ["pixi.v1"]),
        ({"X-API-Key": s.key}, ["pixi.v1"]),
        ({"x-api-key": s.key}, []),
        ({}, ["pixi.v1", browser(s.key)]),
        ({}, [browser(s.key), "pixi.v1"]),
        ({}, ["soap", browser(s.key), "pixi.v1"]),
        ({"Authorization": f"Bearer {s.key}", "X-API-Key": s.key}, ["pixi.v1", browser(s.key)]),  # the same thrice
    ]
    for fields, protocols in places:
        with Rpc(s, fields=fields, protocols=protocols) as link:
            assert link.call("ping")
            assert link.ws.subprotocol == ("pixi.v1" if "pixi.v1" in protocols else None)


def test_wrong_keys(hub):
    s = hub(keys={"other": ("#", "#")})
    wrong = "pk_" + "A" * 43
    for fields, protocols in [
        ({"Authorization": f"Bearer {wrong}"}, ["pixi.v1"]),
        ({"Authorization": f"Basic {s.key}"}, ["pixi.v1"]),
        ({"Authorization": f"Bearer {s.key}x"}, ["pixi.v1"]),
        ({"Authorization": f"Bearer {s.key[:-1]}"}, ["pixi.v1"]),
        ({"Authorization": "Bearer "}, ["pixi.v1"]),
        ({"X-API-Key": "x" * 600}, ["pixi.v1"]),
        ({}, ["pixi.v1", browser(wrong)]),
        ({}, ["pixi.v1", "pixi.key.!"]),
    ]:
        status, got = refusal(s, fields, protocols)
        assert status == 401 and got["WWW-Authenticate"] == 'Bearer realm="pixi", error="invalid_token"', fields
    status, got = refusal(s)
    assert status == 401 and got["WWW-Authenticate"] == 'Bearer realm="pixi"'
    for fields, protocols in [
        ({"Authorization": f"Bearer {s.key}", "X-API-Key": s.keys["other"]}, ["pixi.v1"]),
        ({"Authorization": f"Bearer {s.key}", "X-API-Key": wrong}, ["pixi.v1"]),
        ({"X-API-Key": s.key}, ["pixi.v1", browser(s.keys["other"])]),
    ]:
        assert refusal(s, fields, protocols)[0] == 400
    assert refusal(s, {"X-API-Key": s.key}, ["chat", "soap"])[0] == 400
    assert s.key not in s.proc.err and wrong not in s.proc.err


ALLOWED = "https://example.org"


def test_origins(hub):
    s = hub(origins=[ALLOWED])
    bearer = {"Authorization": f"Bearer {s.key}"}
    with Rpc(s, fields=bearer, origin=ALLOWED) as link:
        assert link.call("ping")
    with Rpc(s, fields=bearer) as link:  # not from a browser
        assert link.call("ping")
    for origin in ("https://example.org.evil", "http://example.org", "https://example.org:444", "null"):
        assert refusal(s, bearer, origin=origin)[0] == 403


def test_a_browser_with_a_bad_key_is_told_by_a_close_code(hub):
    """A script can see no HTTP refusal."""
    s = hub(origins=[ALLOWED])
    for protocols in (["pixi.v1", browser("x" * 46)], ["pixi.v1"]):
        with Rpc(s, fields={}, protocols=protocols, origin=ALLOWED) as link:
            with contextlib.suppress(websockets.ConnectionClosed):
                link.ask("ping")
            with pytest.raises(Closed) as caught:
                link.recv()  # not even an answer
            assert (caught.value.code, caught.value.reason) == (3000, "the API key is missing or not known here")
    assert refusal(s, {}, ["pixi.v1", browser("x" * 46)], origin="https://evil.example")[0] == 403


def test_any_origin(hub):
    s = hub(origins=["*"])
    with Rpc(s, origin="https://anywhere.example") as link:
        assert link.call("ping")


def get(server, path, method="GET"):
    request = urllib.request.Request(f"http://{server.host}:{server.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read()


def test_healthz(hub):
    s = hub()
    status, fields, body = get(s, "/healthz")
    assert (status, body) == (200, b"ok\n") and fields["Cache-Control"] == "no-store"
    assert get(s, "/healthz?probe=1")[0] == 200
    assert get(s, "/healthz", "POST")[0] == 405
    assert get(s, "/healthz/x")[0] == 404


def test_too_many_connections(hub):
    s = hub(limits__connections=2)
    with Rpc(s), Rpc(s) as second:
        status, fields, body = get(s, "/healthz")
        assert status == 503 and fields["Retry-After"] == "5" and fields["Content-Type"] == "application/problem+json"
        assert json.loads(body)["status"] == 503
        second.close()
        for _ in range(1000):  # the server may still be waiting for that connection's end
            if get(s, "/healthz")[0] == 200:
                break
        else:
            pytest.fail("a place that became free was not given again")
    other = hub(limits__connections_per_address=1)
    with Rpc(other):
        assert get(other, "/healthz")[0] == 429


def test_no_request_in_time(hub):
    s = hub(limits__handshake_ms=100)
    with socket.create_connection((s.host, s.port), timeout=20) as sock:
        sock.sendall(b"GET /api/v1 HTTP/1.1\r\nHost: x\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 408 ")


# --- going away


def test_drain(hub):
    s = hub()
    with Rpc(s) as one, Rpc(s) as two:
        one.subscribe("#")
        s.proc._popen.send_signal(signal.SIGTERM)
        for link in (one, two):
            assert 0 <= link.note("going_away")["reconnect_in_ms"] < 5000
            assert link.closed().code == 1012
    assert s.proc.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((s.host, s.port), timeout=20)


def test_drain_with_nobody_there(hub):
    for sig in (signal.SIGTERM, signal.SIGINT):
        assert hub().proc.stop(sig) == 0


def test_drain_does_not_wait_for_ever(hub):
    """One link does not answer the close, one is in the middle of its handshake."""
    s = hub(drain_ms=200)
    with socket.create_connection((s.host, s.port)) as half, Rpc(s) as frozen:
        half.sendall(b"GET /api/v1 HTTP/1.1\r\n")
        frozen.call("ping")
        frozen.ws.transport.pause_reading()
        assert s.proc.stop() == 0
        frozen.abort()


FAST = {"RECONNECT_INITIAL_MS": 5, "RECONNECT_MAX_MS": 20}


def test_a_listener_goes_on_with_the_server_that_comes_next(hub, client):
    s = hub()
    pixi = client(s, **FAST)
    listeners = [pixi.listen(f) for f in ("event/#", "$share/g/event/#")]
    pixi.ok("send", "event/a", "1")
    for listener in listeners:
        listener.wait_line('"payload":1,')
    assert s.proc.stop() == 0
    for listener in listeners:
        listener.wait_line("1012")
    again = hub(port=s.port)
    for listener in listeners:
        listener.wait_line("event/# again: history lost")
    client(again).ok("send", "event/a", "2")
    for listener in listeners:
        listener.wait_line('"payload":2,')
        assert listener.stop() == 0
        assert [json.loads(line)["payload"] for line in listener.out.splitlines()] == [1, 2]


def test_retry_waits_for_the_first_server(hub, client, free_port):
    port = free_port()
    s = hub()  # for its key
    pixi = client(s, url=f"ws://127.0.0.1:{port}/api/v1", **FAST)
    listener = pixi.spawn("listen", "--retry", "-n", "1", "event/#")
    listener.wait_line("trying again")
    hub(port=port)
    listener.wait_line("listening to event/#$")
    pixi.ok("send", "event/a", "1")
    assert listener.wait() == 0


def test_send_goes_on_with_the_server_that_comes_next(hub, client):
    """Its connection was open once, so that it tries again."""
    s = hub()
    sender = client(s, **FAST).spawn("send", "event/a", "-")
    with Rpc(s) as link:
        link.subscribe("#")
        sender.write("1\n")
        link.note()
    s.proc.stop()
    sender.wait_line("trying again")
    sender.write("2\n")
    again = hub(port=s.port)
    with Rpc(again) as link:
        while not (got := link.call("history", filter="#")["messages"]):
            pass
        assert [m["payload"] for m in got] == [2]
    sender.close_input()
    assert sender.wait() == 0 and "2 messages stored" in sender.err


def test_another_server_of_the_list(hub, client, settings, free_port):
    """The first is down: its place is taken by the second, on the first connection with --retry."""
    s = hub()
    urls = [f"ws://127.0.0.1:{free_port()}/api/v1", s.url]
    pixi = client(s, SETTINGS=settings(urls=urls), **FAST)
    del pixi.env["PIXI_WS_URL"]
    listener = pixi.listen("--retry", "event/#")
    assert listener.stop() == 0


def test_two_servers_on_one_port(hub, run, settings, tmp_path):
    s = hub()
    done = run(["pixi-ws-server", "--config", settings("server"), "--listen", f"127.0.0.1:{s.port}"], cwd=tmp_path)
    assert done.returncode == 5 and "another port" in done.stderr
    done = run(["pixi-ws-server", "--config", settings("server"), "--listen", "0.0.0.0:0"], cwd=tmp_path)
    assert done.returncode == 3 and "insecure" in done.stderr
    for args in (["nothing"], ["--nothing"], ["--listen"], ["--echo", "more"], ["--log", "loud"]):
        done = run(["pixi-ws-server", *args], cwd=tmp_path)
        assert done.returncode == 2 and "pixi-ws-server --help" in done.stderr, done


def test_a_server_without_keys_lets_nobody_in(server, settings, tmp_path):
    s = server("--config", settings("server"), "--keys", tmp_path / "none")
    s.proc.wait_line("holds no API key")
    s.key = "x" * 46
    assert refusal(s, {"X-API-Key": s.key})[0] == 401
