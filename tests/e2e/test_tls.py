"""wss://: what works over ws:// works here, and each way to fail is told with layer, cause and fix."""

import asyncio
import contextlib
import json
import re
import shutil
import socket
import ssl
import struct
import subprocess
import threading

import pytest
import websockets

import peer
import pages
from rpc import Rpc


def failure(pixi, *args):
    """Exit code, layer, cause and fix of a command."""
    done = pixi.run("--json", *args)
    told = json.loads(done.stderr)
    assert done.returncode == told["exit"], done
    return told["exit"], told["layer"], told["cause"], told["fix"]


def secured(context, names=None):
    """A peer that says pixi.v1 over this TLS and holds; the server names that clients asked for go into names."""
    if names is not None:
        context.sni_callback = lambda _, name, __: names.append(name)

    def talk(p, sock):
        with contextlib.suppress(ssl.SSLError), context.wrap_socket(sock, server_side=True) as tls:
            p.tls = tls.version(), tls.selected_alpn_protocol(), tls.session_reused
            peer.upgrade(p, tls)
            peer.hold(p, tls)

    return talk


def check(pixi, row):
    """A row of verify's report."""
    done = pixi.run("--json", "verify", "--quick")
    report = json.loads(done.stdout)
    assert report["exit"] == done.returncode
    return next(c for c in report["checks"] if c["id"] == row)


# --- what works ----------------------------------------------------------------------------------------------------


def test_send_listen_request(tls_hub, secure, pki):
    s = tls_hub(pki.server)
    pixi = secure(s.tls_url, s.key, ca=pki.ca)
    listener = pixi.listen("event/#", "--count", "2")
    pixi.ok("send", "event/tls", '{"x":  1}')
    pixi.ok("send", "event/tls", "-", input="plain\n")
    assert listener.wait() == 0
    first, second = listener.out.splitlines()
    assert '"payload":{"x":  1}' in first and json.loads(second)["payload_text"] == "plain"
    pixi.listen("request/tls", "--reply", '{"a":  1}')
    assert pixi.ok("request", "request/tls", "1") == '{"a":  1}\n'


def test_large_messages(tls_hub, secure, pki, tmp_path):
    s = tls_hub(pki.server)
    pixi = secure(s.tls_url, s.key, ca=pki.ca)
    listener = pixi.listen("event/large", "--count", "4")
    payloads = [json.dumps(str(i) * 700_000) for i in range(4)]
    for text in payloads:
        file = tmp_path / "payload"
        file.write_text(text)
        pixi.ok("send", "event/large", "--file", file)
    assert listener.wait() == 0
    assert [line.split('"payload":')[1].split(',"filter"')[0] for line in listener.out.splitlines()] == payloads
    responder = pixi.listen("request/large", "--reply", "1")
    assert pixi.ok("request", "request/large", "--file", file) == "1\n"
    responder.stop()
    assert payloads[3] in responder.out


def test_connect(spawn, settings, tls_hub, pki, secure):
    """Raw: the echo, lines both ways, 700 kB in one."""
    s = tls_hub(pki.server, "--echo")
    pixi = secure(s.tls_url, ca=pki.ca)
    proc = pixi.spawn("connect", "--no-key")
    text = "\n".join(["hello", "ü" * 350_000, "x" * 700_000]) + "\n"
    proc.write(text)
    proc.close_input()
    assert proc.wait() == 0 and proc.out == text, proc.err


def test_many_messages_to_a_slow_reader(tls_hub, pki):
    """40 MB wait in the server's history while nobody reads, then come in order."""
    s = tls_hub(pki.server, limits__queue_bytes=2_000_000, history=[{"filter": "#", "max_bytes": 2**27}])
    trust = ssl.create_default_context(cafile=pki.ca.pem)
    s.url = s.tls_url
    with Rpc(s, ssl=trust) as writer, Rpc(s, ssl=trust, max_queue=1) as reader:
        reader.subscribe("event/#")
        for i in range(60):
            writer.publish("event/x", [i, "x" * 700_000])
        assert [reader.note()["payload"][0] for _ in range(60)] == list(range(60))


def test_verify(tls_hub, secure, pki):
    s = tls_hub(pki.server)
    done = secure(s.tls_url, s.key, ca=pki.ca).run("--json", "verify")
    report = json.loads(done.stdout)
    rows = {c["id"]: c for c in report["checks"]}
    assert done.returncode == 0 and report["failed"] == 0
    skipped = {c for c in rows if rows[c]["verdict"] == "skipped" and not c.startswith(("mqtt", "deflate-"))}
    assert skipped == {"plaintext", "proxy", "echo-text", "echo-binary"}
    measured, told = rows["tls"]["measured"], rows["tls"]["tls"]
    assert measured == f"TLSv1.3, AES_256_GCM, CN=server by CN=good, {told['days_left']} days left"
    assert (told["version"], told["cipher"]) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    assert [(c["subject"], c["issuer"]) for c in told["chain"]] == [("CN=server", "CN=good"), ("CN=good", "CN=good")]
    assert told["not_after"] == "2099-12-31" and told["days_left"] > 20_000
    assert report["warnings"] == 0 and rows["tls-resume"]["measured"] == "resumed"


def test_verify_tells_when_it_is_time_to_renew(tls_hub, secure, pki):
    s = tls_hub(pki.soon)
    pixi = secure(s.tls_url, s.key, ca=pki.ca)
    row = check(pixi, "tls")
    assert row["verdict"] == "ok" and row["measured"].endswith(", 9 days left") and row["tls"]["days_left"] == 9
    assert row["warning"] == f"the certificate expires on {row['tls']['not_after']}, in 9 days: renew it on the server"
    done = pixi.run("verify", "--quick")
    assert done.returncode == 0 and re.search(r"^        warn:  the certificate expires on 20", done.stdout, re.M)
    assert re.search(r"^verified: \d+ ok, 0 failed, \d+ skipped, 1 warning in ", done.stdout, re.M), done.stdout


def test_verify_shows_a_long_chain(secure, pki):
    """As it was proved: what the server sent, and the trusted one it did not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.below.pem, pki.below.key)
    with peer.Peer(secured(context)) as p:
        row = check(secure(p.url.replace("ws:", "wss:"), ca=pki.ca), "tls")
        assert ", CN=below by CN=between by CN=good, " in row["measured"]
        assert [c["issuer"] for c in row["tls"]["chain"]] == ["CN=between", "CN=good", "CN=good"]


def test_verify_where_nothing_is_resumed(secure, pki):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server.pem, pki.server.key)
    context.num_tickets = 0
    with peer.Peer(secured(context)) as p:
        report = json.loads(secure(p.url.replace("ws:", "wss:"), ca=pki.ca).run("--json", "verify", "--quick").stdout)
        row = next(c for c in report["checks"] if c["id"] == "tls-resume")
        assert (row["verdict"], row["reason"]) == ("skipped", "the server resumes no sessions")


def test_tls_1_2(secure, pki):
    """A server that knows no better: accepted by default, and a session is resumed there too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server.pem, pki.server.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with peer.Peer(secured(context)) as p:
        pixi = secure(p.url.replace("ws:", "wss:"), ca=pki.ca)
        assert check(pixi, "tls")["measured"].startswith("TLSv1.2, ECDHE-ECDSA-AES")
        assert check(pixi, "tls-resume")["measured"] == "resumed"


@pytest.mark.parametrize("max_version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_name_and_protocol_of_every_connection(secure, pki, max_version):
    """SNI only where the URL, or server_name, has a name; ALPN http/1.1 always."""
    context, names = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), []
    context.load_cert_chain(pki.elsewhere.pem, pki.elsewhere.key)
    context.maximum_version = max_version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with peer.Peer(secured(context, names)) as p:
        url = p.url.replace("ws:", "wss:")
        for name, told in (("www.pixi.example", "www.pixi.example"), ("10.0.0.7", None)):
            del names[:]
            pixi = secure(url, ca=pki.ca, server_name=name)
            assert check(pixi, "upgrade")["verdict"] == "ok"
            assert names and set(names) == {told} and p.tls[1] == "http/1.1"


def test_a_server_that_speaks_no_http11(secure, pki):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server.pem, pki.server.key)

    def talk(p, sock):
        """OpenSSL in Python ignores what does not fit; this one says so as RFC 7301 §3.2 has it."""
        sock.recv(65536)
        sock.sendall(b"\x15\x03\x03\x00\x02\x02\x78")
        peer.hold(p, sock)

    with peer.Peer(talk) as p:
        code, layer, cause, fix = failure(secure(p.url.replace("ws:", "wss:"), ca=pki.ca), "send", "a", "1")
        assert (code, layer) == (6, "tls") and "does not speak HTTP/1.1" in cause


# --- the key log -----------------------------------------------------------------------------------------------------

NSS = re.compile(r"^(CLIENT_RANDOM|(CLIENT|SERVER)_(HANDSHAKE_TRAFFIC_SECRET|TRAFFIC_SECRET_0)|EXPORTER_SECRET) "
                 r"[0-9a-f]{64} [0-9a-f]{64,96}$")  # fmt: skip


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("words", [["verify", "--quick"], ["connect", "--protocol", "pixi.v1"]], ids=["verify", "connect"])
def test_a_key_log_is_what_the_server_knows(secure, pki, tmp_path, words, version):
    """NSS lines, the same as in the log of the other side, of every connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server.pem, pki.server.key)
    context.maximum_version = ssl.TLSVersion[version]
    context.keylog_filename = tmp_path / "theirs"
    with peer.Peer(secured(context)) as p:
        pixi = secure(p.url.replace("ws:", "wss:"), ca=pki.ca)
        done = pixi.run(*words, "--key-log", "ours", env={"PIXI_WS_TIMEOUTS_CLOSE_MS": "100"})
    assert "pixi-ws-client: warning: ours gets this connection's TLS secrets" in done.stderr
    ours = (tmp_path / "ours").read_text().splitlines()
    theirs = {line for line in (tmp_path / "theirs").read_text().splitlines() if not line.startswith("#")}
    assert ours and all(NSS.match(line) for line in ours) and set(ours) == theirs
    assert (tmp_path / "ours").stat().st_mode & 0o777 == 0o600


def test_a_key_log_only_when_it_is_asked_for(tls_hub, secure, pki, tmp_path):
    s = tls_hub(pki.server)
    pixi = secure(s.tls_url, s.key, ca=pki.ca)
    env = {name: str(tmp_path / "log") for name in ("SSLKEYLOGFILE", "PIXI_WS_KEY_LOG", "PIXI_WS_TLS_KEY_LOG_FILE")}
    for args in (["verify", "--quick"], ["connect"], ["send", "a", "1"]):
        done = pixi.run(*args, env=env)
        assert done.returncode == 0 and "secrets" not in done.stderr
    assert not (tmp_path / "log").exists()


def test_a_key_log_that_is_there_or_cannot_be(tls_hub, secure, pki, tmp_path, client):
    s = tls_hub(pki.server)
    pixi = secure(s.tls_url, s.key, ca=pki.ca)
    (tmp_path / "log").write_text("# mine\n")
    (tmp_path / "log").chmod(0o644)
    assert pixi.run("connect", "--key-log", "log").returncode == 0
    assert (tmp_path / "log").read_text().startswith("# mine\nSERVER_HANDSHAKE_TRAFFIC_SECRET ")
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600, "nobody else reads it from now on"
    (tmp_path / "link").symlink_to("log")
    for name in ("link", "nowhere/log"):
        code, layer, cause, fix = failure(pixi, "connect", "--key-log", name)
        assert (code, layer) == (3, "settings") and f"the key log {name} cannot be written" in cause
        assert "--key-log" in fix
        done = pixi.run("--json", "verify", "--key-log", name)
        row = next(c for c in json.loads(done.stdout)["checks"] if c["verdict"] == "failed")
        assert (row["exit"], row["layer"]) == (3, "settings") and "--key-log" in row["fix"]
    done = client(s).run("connect", "--key-log", "plain")
    assert done.returncode == 0 and "ws:// has no TLS, nothing is written to plain" in done.stderr
    assert not (tmp_path / "plain").exists()


def test_client_certificates(tls_hub, secure, pki):
    s = tls_hub(pki.server, ca=pki.ca)
    pixi = secure(s.tls_url, s.key, ca=pki.ca, cert=pki.client)
    pixi.ok("send", "event/mutual", "1")
    assert check(pixi, "key")["verdict"] == "ok"


def test_names_and_pins(tls_hub, secure, pki):
    """server_name replaces the URL's host, wildcards cover one level, any certificate of the chain may be pinned."""
    s = tls_hub(pki.elsewhere)
    for name in ("pixi.example", "www.pixi.example", "10.0.0.7"):
        for pins in ([], [pki.elsewhere.pin()], [pki.server.pin(), pki.ca.pin()]):
            secure(s.tls_url, s.key, ca=pki.ca, server_name=name, pin_sha256=pins).ok("send", "a", "1")


# --- what fails ------------------------------------------------------------------------------------------------------

# What the server has, what the client's settings say; words of the cause, words of the fix.
REFUSALS = {
    "expired": ("expired", {}, ["expired on 2024-02-29"], ["renew", "clock"]),
    "not yet valid": ("early", {}, ["not valid before 2040-01-01"], ["clock"]),
    "self-signed": ("itself", {}, ["self-signed"], ["tls.ca_file"]),
    "unknown issuer": ("stranger", {}, ["issuer is not trusted here", "CN=other"], ["tls.ca_file"]),
    "the system's issuers": ("server", {"ca": None}, ["issuer is not trusted here", "CN=good"], ["tls.ca_file"]),
    "another name": (
        "elsewhere", {},
        ["another name: wanted 127.0.0.1, has pixi.example, *.pixi.example, 10.0.0.7"], ["tls.server_name"],
    ),
    "another server_name": ("server", {"server_name": "pixi.example"}, ["wanted pixi.example, has localhost"], []),
    "wildcard of two levels": ("elsewhere", {"server_name": "a.b.pixi.example"}, ["wanted a.b.pixi.example"], []),
    "another address": ("server", {"server_name": "10.0.0.8"}, ["wanted 10.0.0.8, has localhost, 127.0.0.1"], []),
    "control characters": ("hostile", {}, ["has a?[31m.example"], ["tls.server_name"]),
    "expired issuer": ("of_late", {}, ["the certificate's issuer CN=late expired on 2024-02-29"], ["renew", "clock"]),
    "pin": ("server", {"pin_sha256": ["A" * 43 + "="]}, ["tls.pin_sha256"], ["on purpose"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_certificates_that_are_refused(tls_hub, secure, pki, case):
    cert, how, causes, fixes = REFUSALS[case]
    s = tls_hub(getattr(pki, cert))
    pixi = secure(s.tls_url, s.key, **{"ca": pki.ca, **how})
    code, layer, cause, fix = failure(pixi, "send", "a", "1")
    assert (code, layer) == (6, "tls")
    assert all(word in cause for word in causes), cause
    assert all(word in fix for word in fixes), fix
    assert pixi.run("connect").returncode == 6
    row = check(pixi, "tls")
    assert (row["exit"], row["layer"], row["cause"], row["fix"]) == (6, "tls", cause.split(": ", 1)[1], fix)
    assert s.key not in s.proc.err


def test_a_pin_holds_for_tls_1_2_sessions_too(secure, pki):
    """TLS 1.2 gives the session before the pins are looked at: it must not get a later connection through."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server.pem, pki.server.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with peer.Peer(secured(context)) as p:
        url = p.url.replace("ws:", "wss:")
        pixi = secure(url, ca=pki.ca, pin_sha256=["A" * 43 + "="], name="pinned")
        proc = pixi.spawn("listen", "--retry", "#")
        assert proc.wait() == 6 and not p.heads, proc.err


PAGES = {
    "tls": ("expired", {}),
    "tls-expired": ("expired", {}),
    "tls-too-early": ("early", {}),
    "tls-self-signed": ("itself", {}),
    "tls-unknown-issuer": ("stranger", {}),
    "tls-wrong-name": ("elsewhere", {}),
    "tls-pin": ("server", {"pin_sha256": ["A" * 43 + "="]}),
}


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_show_what_is_printed(root, tls_hub, secure, pki, name):
    cert, how = PAGES[name]
    s = tls_hub(getattr(pki, cert))
    pages.holds(root, name, secure(s.tls_url, s.key, ca=pki.ca, **how).run("send", "a", "1").stderr)


CLIENT_REFUSALS = {
    "missing": (None, "wants a client certificate"),
    "of another CA": ("stranger", "does not trust this side's certificate"),
    "expired": ("expired", "does not accept this side's certificate: it has expired"),
}


@pytest.mark.parametrize("case", CLIENT_REFUSALS)
def test_client_certificates_that_are_refused(root, tls_hub, secure, pki, case):
    """TLS 1.3 tells after the handshake: it is TLS that has failed all the same."""
    name, says = CLIENT_REFUSALS[case]
    s = tls_hub(pki.server, ca=pki.ca)
    pixi = secure(s.tls_url, s.key, ca=pki.ca, cert=getattr(pki, name) if name else None)
    for args in (["send", "a", "1"], ["connect"]):
        code, layer, cause, fix = failure(pixi, *args)
        assert (code, layer) == (6, "tls") and says in cause and "tls.cert_file" in fix
    if not name:
        pages.holds(root, "tls-client-certificate", pixi.run("send", "a", "1").stderr)
    row = check(pixi, "tls")
    assert (row["exit"], row["layer"]) == (6, "tls") and says in row["cause"] and "tls.cert_file" in row["fix"]


def test_too_old(secure, pki):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server.pem, pki.server.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def talk(p, sock):
        with contextlib.suppress(ssl.SSLError):
            context.wrap_socket(sock, server_side=True)

    with peer.Peer(talk) as p:
        pixi = secure(p.url.replace("ws:", "wss:"), ca=pki.ca, min_version="1.3")
        code, layer, cause, fix = failure(pixi, "send", "a", "1")
        assert (code, layer) == (6, "tls") and "no TLS version that is new enough" in cause
        assert "tls.min_version" in fix
        assert check(pixi, "tls")["cause"] in cause


def test_our_server_refuses_what_is_too_old(tls_hub, pki):
    s = tls_hub(pki.server, min_version="1.3")
    trust = ssl.create_default_context(cafile=pki.ca.pem)
    trust.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection((s.host, s.tls_port)) as sock, pytest.raises(ssl.SSLError):
        trust.wrap_socket(sock, server_hostname="localhost")
    s.proc.wait_line("TLS: the peer speaks no TLS version that is new enough", stream="err")


def finish(p, sock):
    sock.shutdown(socket.SHUT_WR)
    peer.hold(p, sock)


def reset(p, sock):
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# What a port says to wss://: the exit code, words of the cause, of the fix.
NOT_TLS = {
    "http": (peer.says(b"HTTP/1.1 400 Bad Request\r\n\r\n", then=peer.hold), 6, "not TLS at all", "ws://"),
    "ssh": (peer.says(b"SSH-2.0-OpenSSH_9.2\r\n", then=peer.hold), 6, "not TLS at all", "ws://"),
    "noise": (peer.says(bytes(range(128, 256)), then=peer.hold), 6, "not TLS at all", "ws://"),
    "silence": (peer.hold, 10, "did not answer the TLS handshake in time", "ws://"),
    "fin": (finish, 6, "the connection during the TLS handshake", "TLS server"),
    "reset": (reset, 6, "cut the connection during the TLS handshake", "TLS server"),
    "half": (peer.says(b"\x16\x03\x03\x00\x7a\x02", then=finish), 6, "closed", "TLS server"),
    "alert": (peer.says(b"\x15\x03\x03\x00\x02\x02\x28", then=peer.hold), 6, "the peer refuses", "tls.cert_file"),
}


@pytest.mark.parametrize("case", NOT_TLS)
def test_ports_that_speak_no_tls(client, case):
    talk, exit_code, says, fix_says = NOT_TLS[case]
    with peer.Peer(talk) as p:
        pixi = client(p, url=p.url.replace("ws:", "wss:"), TIMEOUTS_TLS_MS=700)
        code, layer, cause, fix = failure(pixi, "send", "a", "1")
        assert (code, layer) == (exit_code, "tls")
        assert says in cause and fix_says in fix
        row = check(pixi, "tls")
        assert (row["exit"], row["layer"]) == (exit_code, "tls") and row["cause"] and fix_says in row["fix"]


def test_the_wrong_one_of_our_two_ports(tls_hub, secure, pki, client):
    s = tls_hub(pki.server)
    code, layer, cause, fix = failure(secure(f"wss://127.0.0.1:{s.port}/api/v1", ca=pki.ca), "send", "a", "1")
    assert (code, layer) == (6, "tls") and "not TLS at all" in cause and "ws://" in fix
    pixi = client(s, url=f"ws://127.0.0.1:{s.tls_port}/api/v1")
    code, layer, cause, fix = failure(pixi, "send", "a", "1")
    assert (code, layer) == (7, "upgrade") and "TLS port" in fix
    row = check(pixi, "upgrade")
    assert row["layer"] == "upgrade" and "wss://" in row["fix"], row
    assert s.proc.wait_line("TLS: this is not TLS at all: the peer speaks plain HTTP", stream="err")
    pixi = secure(s.tls_url, s.key, ca=pki.ca)
    pixi.ok("send", "a", "1")  # the server is none the worse


@pytest.mark.parametrize("member", ["ca_file", "cert_file", "key_file"])
def test_files_that_are_not_there(secure, pki, member):
    files = {"cert_file": pki.client.pem, "key_file": pki.client.key, member: "/nowhere/x.pem"}
    pixi = secure("wss://127.0.0.1:1/", **files)
    for args in (["send", "a", "1"], ["connect"]):
        done = pixi.run(*args)
        assert done.returncode == 3 and "/nowhere/x.pem" in done.stderr, done


def test_a_server_whose_files_are_wrong(run, settings, pki, tmp_path):
    """Told at the start, exit 3."""
    public = tmp_path / "open.key"
    shutil.copy(pki.server.key, public)
    public.chmod(0o644)
    for cert, key, says in (
        (pki.server.pem, public, "chmod 600"),
        (pki.server.pem, pki.client.key, "key"),
        ("/nowhere", pki.server.key, "/nowhere"),
        (pki.server.key, pki.server.key, "cert_file"),
    ):
        file = settings(
            "server", listen=["127.0.0.1:0"], tls__listen=["127.0.0.1:0"], tls__cert_file=str(cert), tls__key_file=str(key)
        )
        done = run(["pixi-ws-server", "--config", file, "--echo"])
        assert done.returncode == 3 and says in done.stderr, done


def test_too_many_connections(tls_hub, secure, pki):
    s = tls_hub(pki.server, limits__connections=1)
    secure(s.tls_url, s.key, ca=pki.ca).listen("#")
    done = secure(s.tls_url, s.key, ca=pki.ca, name="second").run("send", "a", "1")
    assert done.returncode == 7 and "503" in done.stderr and "too many connections" in done.stderr
    s.proc.wait_line("refused: 503 too many connections", stream="err")


# --- with others -----------------------------------------------------------------------------------------------------


def test_python_clients(tls_hub, pki):
    s = tls_hub(pki.server)
    trust = ssl.create_default_context(cafile=pki.ca.pem)
    s.url = s.tls_url.replace("127.0.0.1", "localhost")
    with Rpc(s, ssl=trust, protocols=("pixi.v1",)) as rpc:
        rpc.subscribe("event/#")
        rpc.publish("event/python", {"x": "y" * 700_000})
        assert len(rpc.note()["payload"]["x"]) == 700_000


class TheirServer:
    """Python's websockets over TLS, echoing."""

    def __init__(self, cert):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert.pem, cert.key)
        self.loop = asyncio.new_event_loop()

    async def _echo(self, ws):
        async for message in ws:
            await ws.send(message)

    def __enter__(self):
        async def start():
            return await websockets.serve(self._echo, "127.0.0.1", 0, ssl=self.context, max_size=None)

        self.server = self.loop.run_until_complete(start())
        self.url = f"wss://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/"
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        async def stop():
            self.server.close()
            await self.server.wait_closed()

        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)


def test_a_python_server(secure, pki):
    with TheirServer(pki.server) as theirs:
        pixi = secure(theirs.url, ca=pki.ca)
        proc = pixi.spawn("connect", "--no-key")
        text = "\n".join(["hello", "", "x" * 700_000, "ü" * 500_000, "done"]) + "\n"
        proc.write(text)
        proc.wait_line("^done$")
        proc.close_input()
        assert proc.wait() == 0 and proc.out == text, proc.err
        report = json.loads(pixi.run("--json", "verify").stdout)
        rows = {c["id"]: c["verdict"] for c in report["checks"]}
        assert rows["tls"] == rows["tls-resume"] == rows["echo-text"] == rows["fragments"] == "ok"


def test_curl(tls_hub, pki):
    s = tls_hub(pki.server)
    url = f"https://localhost:{s.tls_port}/healthz"
    args = ["curl", "-sS", "--cacert", str(pki.ca.pem), "--max-time", "20"]
    done = subprocess.run([*args, url], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"ok\n"), done
    done = subprocess.run([*args, "--tlsv1.2", "--tls-max", "1.2", url], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"ok\n"), done


NODE = """
const { WebSocket } = require('ws');
const [url, ca, key] = process.argv.slice(1);
const options = { ca: require('fs').readFileSync(ca), headers: { Authorization: `Bearer ${key}` } };
const ws = new WebSocket(url, 'pixi.v1', options);
const payload = 'x'.repeat(700000);
ws.on('open', () => {
  ws.send('{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"filter":"event/#"}}');
  ws.send(JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'publish', params: { topic: 'event/node', payload } }));
});
ws.on('message', (data) => {
  const message = JSON.parse(data);
  if (message.method === 'message' && message.params.payload === payload) ws.close(1000);
});
ws.on('close', (code) => console.log(`closed ${code}`));
"""


def test_node(tls_hub, pki, run):
    s = tls_hub(pki.server)
    program = shutil.which("node") or shutil.which("nodejs")
    env = {"NODE_PATH": "/usr/share/nodejs"}
    done = run([program, "-e", NODE, s.tls_url, str(pki.ca.pem), s.key], env=env)
    assert done.stdout == "closed 1000\n", done
