"""Through real proxies: tinyproxy (HTTP CONNECT) and microsocks (SOCKS5), with and without a password."""

import json
import re
import socket
import time

import pytest

PASSWORD = "s3cret-word"


@pytest.fixture
def started(spawn, free_port):
    """started(make) -> "127.0.0.1:PORT" of the process with the arguments make(port), once it listens."""

    def listens(proc, port):
        deadline = time.monotonic() + 20
        while proc.returncode is None:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    return proc.returncode is None
            assert time.monotonic() < deadline, proc
            time.sleep(0.01)  # nothing tells when it listens
        return False

    def started(make):
        for _ in range(5):  # somebody else may have taken the port meanwhile
            port = free_port()
            proc = spawn(make(port))
            if listens(proc, port):
                return f"127.0.0.1:{port}"
        raise AssertionError(proc)

    return started


@pytest.fixture
def tinyproxy(started, tmp_path):
    """tinyproxy(*lines) -> "127.0.0.1:PORT"; lines go into its configuration."""

    def tinyproxy(*lines):
        def make(port):
            config = tmp_path / f"tinyproxy-{port}.conf"
            config.write_text("\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 60", *lines, ""]))
            return ["tinyproxy", "-d", "-c", config]

        return started(make)

    return tinyproxy


@pytest.fixture
def microsocks(started):
    def microsocks(*args):
        return started(lambda port: ["microsocks", "-i", "127.0.0.1", "-p", port, *args])

    return microsocks


@pytest.fixture
def any_proxy(request, tinyproxy, microsocks):
    """any_proxy(user=None) -> its URL without a user."""
    kind = request.param

    def any_proxy(user=None):
        if kind == "http":
            return "http://" + tinyproxy(*([f"BasicAuth {user} {PASSWORD}"] if user else []))
        return "socks5h://" + microsocks(*(["-u", user, "-P", PASSWORD] if user else []))

    any_proxy.kind = kind
    return any_proxy


both = pytest.mark.parametrize("any_proxy", ["http", "socks"], indirect=True)


def rows(pixi, *args, **env):
    """verify's rows by id, its exit code, and everything it printed."""
    done = pixi.run("--json", *args, "verify", "--quick", env=env)
    assert PASSWORD not in done.stdout + done.stderr
    return {row["id"]: row for row in json.loads(done.stdout)["checks"]}, done.returncode, done.stdout


def fails(pixi, *words, **env):
    done = pixi.run("send", "event/proxy", "1", env=env)
    assert done.returncode == 5, done
    assert PASSWORD not in done.stdout + done.stderr
    for word in ("proxy", *words):
        assert word in done.stderr, done
    return done.stderr


def with_user(url, user="me", password=PASSWORD):
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{user}:{password}@{rest}"


# --- the way through ---


@both
def test_through(hub, client, any_proxy):
    server, url = hub(), any_proxy()
    pixi = client(server, PROXY_URL=url)
    pixi.ok("send", "event/proxy", "1")
    assert pixi.run("connect", input="{}\n").returncode == 0
    found, code, _ = rows(pixi)
    assert code == 0
    assert found["proxy"]["verdict"] == "ok" and found["proxy"]["measured"] == url
    assert url.rpartition("/")[2] in found["name"]["measured"]


def test_without(hub, client):
    found, code, _ = rows(client(hub()))
    assert code == 0 and found["proxy"]["verdict"] == "skipped" and found["proxy"]["reason"] == "no proxy"


@both
def test_it_is_really_used(hub, client, any_proxy, free_port):
    """The same, and the proxy is not there: nothing gets through."""
    url = any_proxy().rpartition(":")[0] + f":{free_port()}"
    pixi = client(hub(), PROXY_URL=url)
    said = fails(pixi, f"the proxy {url} cannot be reached", "Connection refused")
    assert "start the proxy" in said
    found, code, _ = rows(pixi)
    assert code == 5 and found["tcp"]["verdict"] == "failed" and "start the proxy" in found["tcp"]["fix"]


@both
def test_a_long_message(hub, client, any_proxy, tmp_path):
    pixi = client(hub(), PROXY_URL=any_proxy())
    (tmp_path / "long").write_bytes(b'"' + b"x" * 500_000 + b'"')
    ear = pixi.listen("event/long", "-n", "1")
    pixi.ok("send", "event/long", "--file", tmp_path / "long")
    assert ear.wait() == 0 and "x" * 500_000 in ear.out


@both
def test_names_are_looked_up_by_the_proxy(hub, client, any_proxy):
    server = hub()
    pixi = client(server, url=server.url.replace("127.0.0.1", "localhost"), PROXY_URL=any_proxy())
    pixi.ok("send", "event/proxy", "1")


# --- passwords ---


@both
def test_a_password_in_the_url(hub, client, any_proxy):
    pixi = client(hub(), PROXY_URL=with_user(any_proxy("me")))
    pixi.ok("send", "event/proxy", "1")
    found, code, out = rows(pixi)
    assert code == 0 and "@" not in found["proxy"]["measured"]
    shown = pixi.ok("config", "show")
    assert PASSWORD not in shown and re.search(r"^proxy\.url +\"\w+://…@127\.0\.0\.1:\d+\"", shown, re.M), shown


@both
def test_a_password_in_a_file(hub, client, any_proxy, tmp_path):
    (tmp_path / "password").write_text(PASSWORD + "\n")
    (tmp_path / "password").chmod(0o600)
    url = any_proxy("me")
    pixi = client(hub(), PROXY_URL=url, PROXY_USERNAME="me", PROXY_PASSWORD_FILE="password")
    pixi.ok("send", "event/proxy", "1")
    (tmp_path / "password").chmod(0o644)
    done = pixi.run("send", "event/proxy", "1")
    assert done.returncode == 3 and "chmod 600 password" in done.stderr


@both
def test_no_password(hub, client, any_proxy):
    said = fails(client(hub(), PROXY_URL=any_proxy("me")), "wants a user name and a password")
    assert "proxy.password_file" in said


@both
def test_a_wrong_password(hub, client, any_proxy):
    pixi = client(hub(), PROXY_URL=with_user(any_proxy("me"), password="wr0ng-word"))
    said = fails(pixi, "does not take this user name and password")
    found, code, out = rows(pixi)
    assert code == 5 and found["proxy"]["verdict"] == "failed" and found["proxy"]["layer"] == "proxy"
    assert found["tls"]["verdict"] == "skipped"
    assert "wr0ng-word" not in said + out


@both
def test_a_listener_gives_up_for_want_of_a_password(hub, client, any_proxy):
    """Trying again unchanged cannot help."""
    done = client(hub(), PROXY_URL=any_proxy("me")).run("listen", "a")
    assert done.returncode == 5, done


# --- refusals ---


def test_http_refuses_the_target(hub, client, tinyproxy):
    url = "http://" + tinyproxy("ConnectPort 1")
    server = hub()
    said = fails(client(server, PROXY_URL=url), f"{url} answered 403", f"CONNECT 127.0.0.1:{server.port}")
    assert "proxy.no_proxy" in said


@both
def test_the_target_is_not_there(hub, client, any_proxy, free_port):
    server = hub()
    pixi = client(server, url=f"ws://127.0.0.1:{free_port()}/", PROXY_URL=any_proxy())
    fails(pixi, "answered 50" if any_proxy.kind == "http" else "connection refused")


def test_the_other_kind(hub, client, tinyproxy, microsocks):
    server = hub()
    deaf = client(server, PROXY_URL="socks5h://" + tinyproxy(), TIMEOUTS_CONNECT_MS=300)
    fails(deaf, "did not answer in 300 ms")  # it waits for the end of a line
    fails(client(server, PROXY_URL="http://" + microsocks()), "proxy http://")


def test_a_mute_proxy(hub, client):
    with socket.create_server(("127.0.0.1", 0)) as s:
        url = f"http://127.0.0.1:{s.getsockname()[1]}"
        fails(client(hub(), PROXY_URL=url, TIMEOUTS_CONNECT_MS=200), "did not answer in 200 ms")


def test_the_server_comes_back(hub, client, tinyproxy, free_port):
    """A listener goes on through the proxy when its server has been away."""
    server = hub()
    pixi = client(server, PROXY_URL="http://" + tinyproxy(), RECONNECT_INITIAL_MS=20, RECONNECT_MAX_MS=50)
    ear = pixi.listen("event/#", "-n", "1")
    server.proc.stop()
    ear.wait_line("trying again", stream="err")
    hub(port=server.port)
    ear.wait_line("listening to .* again", stream="err")
    pixi.ok("send", "event/back", "1")
    assert ear.wait() == 0


# --- which one ---


def test_this_machine_needs_none(hub, client, free_port):
    """Proxies of the environment are for other machines."""
    dead = f"http://127.0.0.1:{free_port()}"
    pixi = client(hub())
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        assert pixi.run("send", "event/proxy", "1", env={name: dead}).returncode == 0


def elsewhere(hub, client, **variables):
    """A server of this machine by an address that does not say so."""
    server = hub()
    return client(server, url=server.url.replace("127.0.0.1", "0.0.0.0"), ALLOW_PLAINTEXT="true", **variables)


@both
@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_of_the_environment(hub, client, any_proxy, name):
    url = any_proxy()
    pixi = elsewhere(hub, client)
    found, code, _ = rows(pixi, **{name: url})
    assert code == 0 and found["proxy"]["measured"] == url
    assert rows(pixi, **{name: url, "NO_PROXY": "example.org, 0.0.0.0/32"})[0]["proxy"]["verdict"] == "skipped"
    assert rows(pixi, **{name: url, "no_proxy": "*"})[0]["proxy"]["verdict"] == "skipped"
    assert rows(pixi, **{name: url, "NO_PROXY": "0.0.0.0:1"})[0]["proxy"]["verdict"] == "ok"


def test_of_the_environment_but_not_for_this(hub, client, free_port):
    pixi = elsewhere(hub, client)
    dead = f"http://127.0.0.1:{free_port()}"
    for env in ({"HTTPS_PROXY": dead}, {"HTTP_PROXY": dead, "REQUEST_METHOD": "GET"}):
        assert rows(pixi, **env)[0]["proxy"]["verdict"] == "skipped"


def test_a_wrong_variable_is_told(hub, client):
    done = elsewhere(hub, client).run("send", "a", "1", env={"HTTP_PROXY": f"https://u:{PASSWORD}@h"})
    assert done.returncode == 3
    assert done.stderr.startswith("environment: HTTP_PROXY: found another scheme, expected http://HOST:PORT")
    assert PASSWORD not in done.stderr


def test_settings_come_first(hub, client, settings, tinyproxy, free_port):
    server, url = hub(), "http://" + tinyproxy()
    file = settings("client", url=server.url, proxy__url=url)
    dead = {"HTTP_PROXY": f"http://127.0.0.1:{free_port()}", "NO_PROXY": "*"}
    found, code, _ = rows(client(server, PROXY_URL=""), "--settings", file, **dead)
    assert code == 0 and found["proxy"]["measured"] == url
    file = settings("client", url=server.url, proxy__url=url, proxy__no_proxy=["127.0.0.0/8"])
    found, code, _ = rows(client(server), "--settings", file)
    assert code == 0 and found["proxy"]["verdict"] == "skipped"


def test_a_password_in_an_open_file(hub, client, settings):
    server = hub()
    file = settings("client", url=server.url, proxy__url=f"http://u:{PASSWORD}@127.0.0.1:1")
    file.chmod(0o644)
    done = client(server).run("--settings", file, "config", "check")
    assert done.returncode == 3 and "proxy.url: found a password in a file that others can read" in done.stderr
    assert PASSWORD not in done.stderr


def test_a_key_does_not_leave_by_a_proxy_elsewhere(hub, client):
    """ws://localhost is no excuse where the proxy is another machine."""
    done = client(hub(), PROXY_URL="http://192.0.2.1:3128").run("send", "a", "1")
    assert done.returncode == 3 and "in clear" in done.stderr
