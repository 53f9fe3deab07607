"""SIGHUP: keys and certificate are read again, and who may stay does not notice."""

import json
import os
import re
import shutil
import signal
import socket
import ssl

import pytest

import certs
import metrics
from rpc import Rpc


@pytest.fixture
def keys_file(tmp_path):
    """The hub's keys: .read() gives the entries by name, .write(entries) puts others in their place."""

    class Keys:
        path = tmp_path / "server.keys"

        def read(self):
            return {entry["name"]: entry for entry in json.loads(self.path.read_text())["keys"]}

        def write(self, entries):
            self.path.write_text(json.dumps({"keys": list(entries.values())}))

    return Keys()


def hang_up(server, says="SIGHUP: .* holds"):
    """Send SIGHUP and wait for the line in the log that follows; the number of lines is counted."""
    server.hangups = getattr(server, "hangups", {})
    server.hangups[says] = server.hangups.get(says, 0) + 1
    os.kill(server.proc.pid, signal.SIGHUP)
    server.proc.wait_line(says, stream="err", nth=server.hangups[says])


def test_a_new_key_comes_in(hub, run, keys_file):
    s = hub()
    added = run(["pixi-ws-server", "key", "add", "late", "--publish", "#", "--keys", keys_file.path])
    key = added.stdout.strip()
    with pytest.raises(Exception, match="401"):
        Rpc(s, key=key)
    hang_up(s, "SIGHUP: .* holds 2 keys")
    with Rpc(s, key=key) as rpc:
        rpc.publish("a", 1)


def test_who_stays_notices_nothing(hub, keys_file):
    s = hub(keys={"other": ("#", "#")})
    with Rpc(s) as one, Rpc(s, key=s.keys["other"]) as two:
        one.subscribe("event/#")
        two.subscribe("request/#")
        waiting = one.ask("request", topic="request/x", payload=1)
        asked = two.note()["request"]
        for _ in range(3):
            hang_up(s)
        two.call("reply", request=asked, payload=2)
        assert one.answer(waiting)["payload"] == 2
        two.publish("event/a", 3)
        assert one.note()["payload"] == 3 and one.notes() == two.notes() == []


def test_a_renamed_key_is_the_same_key(hub, keys_file):
    s = hub()
    with Rpc(s) as rpc:
        rpc.subscribe("#")
        entries = keys_file.read()
        entries["test"]["name"] = "renamed"
        keys_file.write(entries)
        hang_up(s)
        rpc.publish("a", 1)
        assert rpc.note()["payload"] == 1


def test_a_revoked_key_is_closed_with_3000(hub, run, keys_file):
    """Its own connections only; told nothing else, and what it was to get goes nowhere."""
    s = hub(keys={"gone": ("#", "#")}, metrics__listen=["127.0.0.1:0"])
    with Rpc(s) as stays, Rpc(s, key=s.keys["gone"]) as first, Rpc(s, key=s.keys["gone"]) as second:
        for rpc in (stays, first, second):
            rpc.subscribe("event/#")
        assert run(["pixi-ws-server", "key", "revoke", "gone", "--keys", keys_file.path]).returncode == 0
        hang_up(s, "SIGHUP: .* holds 1 key")
        for rpc in (first, second):
            end = rpc.closed()
            assert (end.code, end.reason) == (3000, "the API key was revoked") and rpc.notes() == []
        stays.publish("event/x", 1)
        assert stays.note()["payload"] == 1
        assert metrics.refused(s, "revoked") == 2 and metrics.samples(s)["pixi_keys"] == 1
    with pytest.raises(Exception, match="401"):
        Rpc(s, key=s.keys["gone"])
    assert s.keys["gone"] not in s.proc.err


def test_our_client_stops_at_3000(hub, client, run, keys_file):
    s = hub(keys={"gone": ("#", "#")})
    listener = client(s, key=s.keys["gone"]).listen("#")
    run(["pixi-ws-server", "key", "revoke", "gone", "--keys", keys_file.path])
    hang_up(s)
    assert listener.wait() == 8 and "3000" in listener.err and "fix: " in listener.err


def test_a_narrowed_key(hub, keys_file):
    """Subscriptions that it no longer covers end with `unsubscribed`; the others, and the link, go on."""
    s = hub(keys={"narrow": ("#", "#")})
    with Rpc(s) as writer, Rpc(s, key=s.keys["narrow"]) as rpc:
        for topic_filter in ("event/#", "event/a/+", "scene/#", "$share/g/scene/#"):
            rpc.subscribe(topic_filter)
        entries = keys_file.read()
        entries["narrow"]["subscribe"] = ["event/a/#"]
        entries["narrow"]["publish"] = ["event/b"]
        keys_file.write(entries)
        hang_up(s)
        ended = [rpc.note("unsubscribed") for _ in range(3)]
        assert {e["filter"] for e in ended} == {"event/#", "scene/#", "$share/g/scene/#"}
        assert all(e["error"]["code"] == -32001 for e in ended)
        writer.publish("scene/x", 1)
        writer.publish("event/a/b", 2)
        got = rpc.note()
        assert (got["filter"], got["payload"]) == ("event/a/+", 2) and rpc.notes() == []
        assert rpc.error("subscribe", filter="event/#").code == -32001
        assert rpc.error("publish", topic="event/c", payload=1).code == -32001
        rpc.publish("event/b", 1)
        entries["narrow"]["subscribe"] = ["#"]
        keys_file.write(entries)
        hang_up(s)
        rpc.subscribe("scene/#")  # widened again


def test_our_client_tells_what_it_no_longer_hears(hub, client, keys_file):
    s = hub(keys={"narrow": ("#", "#")})
    listener = client(s, key=s.keys["narrow"]).listen("event/#", "scene/#")
    entries = keys_file.read()
    entries["narrow"]["subscribe"] = ["scene/#"]
    keys_file.write(entries)
    hang_up(s)
    listener.wait_line("event/#: no longer listened to", stream="err")
    with Rpc(s) as writer:
        writer.publish("scene/x", "still")
    listener.wait_line('"payload":"still"')


BROKEN = {
    "not JSON": b"{",
    "a mistake": b'{"keys": [{"name": "x"}]}',
    "not there": None,
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_keys_file_changes_nothing(hub, keys_file, case):
    s = hub()
    good = keys_file.path.read_bytes()
    with Rpc(s) as rpc:
        rpc.subscribe("#")
        if BROKEN[case] is None:
            keys_file.path.unlink()
        else:
            keys_file.path.write_bytes(BROKEN[case])
        hang_up(s, "SIGHUP: the keys are not read again")
        assert "server.keys" in s.proc.err
        rpc.publish("a", 1)
        assert rpc.note()["payload"] == 1
        with Rpc(s) as another:
            another.publish("a", 2)
        assert rpc.note()["payload"] == 2
        keys_file.path.write_bytes(good)
        keys_file.path.chmod(0o600)
        hang_up(s)
        rpc.publish("a", 3)
        assert rpc.note()["payload"] == 3


def test_keys_that_others_can_write(hub, keys_file):
    s = hub()
    keys_file.path.chmod(0o666)
    hang_up(s, "SIGHUP: the keys are not read again")
    assert "chmod 600" in s.proc.err
    with Rpc(s) as rpc:
        rpc.publish("a", 1)


def test_many_connections_and_keys(hub, keys_file):
    """Each finds its own; one of them goes."""
    names = [f"key-{i}" for i in range(8)]
    s = hub(keys={name: ("#", f"{name}/#") for name in names})
    links = {name: [Rpc(s, key=s.keys[name]) for _ in range(4)] for name in names}
    for name in names:
        for rpc in links[name]:
            rpc.subscribe(f"{name}/#")
    entries = keys_file.read()
    del entries["key-3"]
    keys_file.write(dict(reversed(entries.items())))
    hang_up(s)
    for rpc in links.pop("key-3"):
        assert rpc.closed().code == 3000
    with Rpc(s) as writer:
        for name in links:
            writer.publish(f"{name}/x", name)
    for name in links:
        for rpc in links[name]:
            assert rpc.note()["payload"] == name
            assert rpc.error("subscribe", filter="key-3/#").code == -32001
            rpc.close()


def test_echo_has_nothing_to_read(echo):
    s = echo()
    os.kill(s.proc.pid, signal.SIGHUP)
    with Rpc(s, key="", protocols=()) as rpc:
        rpc.send("still here")
        assert rpc.recv() == "still here"


# --- the settings


def read_again(server):
    hang_up(server, "SIGHUP: .*: the settings are read again")


def test_limits_are_read_again(hub, settings):
    """Those in force for what comes, also on connections that are open."""
    s = hub(limits__subscriptions=1)
    with Rpc(s) as rpc:
        rpc.subscribe("a")
        assert rpc.error("subscribe", filter="b").code == -32003
        settings("server", limits__subscriptions=2, limits__message_bytes=2000, limits__connections=1)
        read_again(s)
        rpc.subscribe("b")
        assert rpc.error("subscribe", filter="c").code == -32003
        assert rpc.call("info")["limits"]["message_bytes"] == 2000
        with pytest.raises(Exception, match="503"):
            Rpc(s)
        settings("server")
        read_again(s)
        with Rpc(s) as other:
            other.publish("a", "x" * 5000)
            assert len(rpc.note()["payload"]) == 5000


def test_origins_and_times_are_read_again(hub, settings):
    s = hub()
    with pytest.raises(Exception, match="403"):
        Rpc(s, origin="https://example.org")
    settings("server", origins=["https://example.org"], limits__idle_ms=50)
    with Rpc(s) as quiet:
        read_again(s)
        assert quiet.closed().code == 3008
    settings("server", origins=["https://example.org"])
    read_again(s)
    with Rpc(s, origin="https://example.org") as rpc:
        assert rpc.call("ping")


def test_flags_and_environment_hold_on(hub, settings):
    """They beat the file at every reading."""
    s = hub("--log", "debug", env={"PIXI_WS_SERVER_LIMITS_SUBSCRIPTIONS": "1"})
    settings("server", log__level="error", limits__subscriptions=5)
    read_again(s)
    with Rpc(s) as rpc:
        rpc.subscribe("a")
        assert rpc.error("subscribe", filter="b").code == -32003
    s.proc.wait_line("debug: .*connected as test")


def test_another_keys_file(server, settings, run, tmp_path):
    """Who is not in the one that the settings name now is out."""
    keys = {}
    for name in "ab":
        args = ["key", "add", name, "--publish", "#", "--subscribe", "#", "--keys", tmp_path / f"{name}.keys"]
        keys[name] = run(["pixi-ws-server", *args]).stdout.strip()
    s = server("--config", settings("server", keys_file="a.keys"))
    with Rpc(s, key=keys["a"]) as rpc:
        settings("server", keys_file="b.keys")
        hang_up(s)
        assert rpc.closed().code == 3000
    with Rpc(s, key=keys["b"]) as rpc:
        assert rpc.call("ping")


CHANGED = {
    "listen": ["127.0.0.1:0", "127.0.0.1:0"], "tls__listen": ["127.0.0.1:0"], "metrics__listen": ["127.0.0.1:0"], "insecure": True,
    "mqtt__listen": ["127.0.0.1:0"], "mqtt__tls_listen": ["127.0.0.1:0"],
    "data": "elsewhere", "history": [], "limits__retained_count": 5, "limits__retained_bytes": 5000,
    "page": "elsewhere",
    "limits__session_messages": 5, "limits__session_bytes": 5000, "limits__inflight": 5,
}


@pytest.mark.parametrize("member", CHANGED)
def test_what_holds_from_the_next_start(hub, settings, root, member, tls_files):
    """It is said in the log and in docs/settings.md, and the rest is read again."""
    s = hub()
    settings("server", **{member: CHANGED[member]}, **(tls_files if "tls" in member else {}), limits__subscriptions=1)
    name = member.replace("__", ".")
    if member == "listen":  # its flag beats the file: nothing has changed
        read_again(s)
        assert "next start" not in s.proc.err
    else:
        hang_up(s, f"SIGHUP: {name}: what is new there holds from the next start")
    with Rpc(s) as rpc:
        rpc.subscribe("a")
        assert rpc.error("subscribe", filter="b").code == -32003
    page = (root / "docs/settings.md").read_text()
    assert f"`{name}`" in page[page.index("**Reload.**") : page.index("**Limits.**")]


@pytest.fixture
def tls_files(tmp_path):
    cert = certs.Authority(tmp_path, "ca").issue("x")
    return {"tls__cert_file": str(cert.pem), "tls__key_file": str(cert.key)}


def test_the_table_says_what_holds_from_the_next_start(root):
    """No member is marked so in the table that the test above leaves out."""
    table = (root / "src/server/settings.c").read_text()
    marked = set(re.findall(r'path = "([\w.]+)",\s*\.kind = \w+,\s*\.flags = PIXI_CONF_AT_START', table))
    marked |= set(re.findall(r"COUNT_AS\(PIXI_CONF_AT_START, ([\w.]+)", table))
    assert marked == {name.replace("__", ".") for name in CHANGED} | {"workers"}


def test_broken_settings_change_nothing(hub, settings):
    s = hub(limits__subscriptions=1)
    for text, says in (("{", "expected a member"), ('{"limits": {"subscriptions": "2"}}', 'found "2"'), ('{"limit": 1}', "unknown member")):
        settings("server").write_text(text)
        hang_up(s, "SIGHUP: the settings are not read again")
        with Rpc(s) as rpc:
            rpc.subscribe("a")
            assert rpc.error("subscribe", filter="b").code == -32003
        assert "server.json" in s.proc.err, says
    settings("server").unlink()
    hang_up(s, "SIGHUP: the settings are not read again")
    settings("server", limits__subscriptions=2)
    read_again(s)
    with Rpc(s) as rpc:
        rpc.subscribe("a")
        rpc.subscribe("b")


def test_the_log_is_read_again(hub, settings):
    s = hub()
    settings("server", log__format="json", log__level="debug")
    hang_up(s, '"message":"SIGHUP: .*: the settings are read again"')
    with Rpc(s):
        s.proc.wait_line(r'^\{.*"level":"debug","message":"127.0.0.1:\d+: connected as test"\}$')
    settings("server", log__level="error")
    os.kill(s.proc.pid, signal.SIGHUP)
    with Rpc(s) as rpc:
        rpc.call("ping")
    settings("server")
    hang_up(s, "info: SIGHUP: .*: the settings are read again")


# --- the certificate -------------------------------------------------------------------------------------------------


@pytest.fixture
def tls(hub, tmp_path):
    """A hub with a certificate of its own: .hub, .files, .ca, .subject() of who answers now."""
    ca = certs.Authority(tmp_path, "ca")

    class Tls:
        def __init__(self):
            self.ca, self.cert, self.key = ca, tmp_path / "now.pem", tmp_path / "now.key"
            self.use(ca.issue("first"))
            self.hub = hub(
                tls__listen=["127.0.0.1:0"], tls__cert_file=str(self.cert), tls__key_file=str(self.key)
            )
            self.port = int(self.hub.proc.wait_line(r":(\d+) with TLS$", stream="out")[1])
            self.trust = ssl.create_default_context(cafile=ca.pem)

        def use(self, cert):
            shutil.copy(cert.pem, self.cert)
            shutil.copy(cert.key, self.key)

        def connect(self):
            sock = socket.create_connection(("127.0.0.1", self.port))
            return self.trust.wrap_socket(sock, server_hostname="localhost")

        def subject(self):
            with self.connect() as sock:
                return dict(pair for (pair,) in sock.getpeercert()["subject"])["commonName"]

        def rpc(self):
            self.hub.url = f"wss://localhost:{self.port}/api/v1"
            return Rpc(self.hub, ssl=self.trust)

    return Tls()


def test_a_new_certificate(tls):
    """New connections get it; those that are open go on."""
    assert tls.subject() == "first"
    with tls.rpc() as rpc:
        rpc.subscribe("#")
        tls.use(tls.ca.issue("second"))
        hang_up(tls.hub, "SIGHUP: new connections get the certificate")
        assert tls.subject() == "second"
        rpc.publish("a", "x" * 100_000)
        assert len(rpc.note()["payload"]) == 100_000


def test_a_broken_certificate_changes_nothing(tls):
    says = "SIGHUP: the certificate is not read again"
    tls.cert.write_text("nonsense")
    hang_up(tls.hub, says)
    assert "now.pem" in tls.hub.proc.err and tls.subject() == "first"
    other = tls.ca.issue("other")
    shutil.copy(other.pem, tls.cert)  # but not its key
    hang_up(tls.hub, says)
    assert tls.subject() == "first"
    tls.use(other)
    tls.key.chmod(0o644)
    hang_up(tls.hub, says)
    assert "chmod 600" in tls.hub.proc.err and tls.subject() == "first"
    tls.key.chmod(0o600)
    hang_up(tls.hub, "SIGHUP: new connections")
    assert tls.subject() == "other"


def test_broken_keys_do_not_keep_the_certificate_back(tls, keys_file):
    keys_file.path.write_text("{")
    tls.use(tls.ca.issue("second"))
    hang_up(tls.hub, "SIGHUP: new connections get the certificate")
    assert "the keys are not read again" in tls.hub.proc.err and tls.subject() == "second"
    with tls.rpc() as rpc:
        rpc.publish("a", 1)
