"""The live tests of docs/rfc6455.md about TLS, both roles."""

import re
import ssl
import struct
import warnings

import pytest

import raw
import tls
from raw import BINARY, PING, PONG, TEXT

live = pytest.mark.live
KEY = "pk_live-tls-tests-0123456789"
VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return tls.Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="session")
def good(authority):
    return authority.certificate("good", "IP:127.0.0.1,DNS:localhost,DNS:pixi.test")


@pytest.fixture
def listener():
    with raw.Listener() as it:
        yield it


def secure(wire, context, **more):
    """The server's side of TLS on a connection of raw.Listener."""
    wire.sock = tls.TlsSocket(wire.sock, context, is_server=True, **more).handshake()
    return wire


def fails(proc, code, layer):
    assert proc.wait() == code, str(proc)
    said = re.search(r"^pixi-ws-client: (\S+): (\S.*)\n  fix: (\S.*)$", proc.err, re.M)
    assert said and said[1] == layer, str(proc)
    return said[2]


# --- the client


@live("client-tls", "client-masks")
@VERSIONS
def test_the_client_sends_nothing_but_tls_records(client, listener, authority, good, version):
    """Messages pass, of every size class, masked as without TLS."""
    proc = client("connect", f"wss://127.0.0.1:{listener.port}/api/v1", api_key=KEY, tls__ca_file=str(authority.file))
    wire = secure(listener.accept(), tls.server_context(good, version, version))
    assert wire.sock.version == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
    head = wire.welcome()
    assert head.get("host") == f"127.0.0.1:{listener.port}" and head.get("authorization") == f"Bearer {KEY}"
    for size in (0, 125, 126, 65535, 65536, 500000):
        proc.write("secret words"[:size].ljust(size, ".") + "\n")
        assert len(wire.next().payload) == size
    wire.put(TEXT, "more secret words " * 30000)
    proc.wait_line("^more secret words ", stream="out")
    wire.put(PING, "p")
    wire.expect(PONG, "p")
    proc.close_input()
    wire.expect_close(1000)
    wire.put_close(1000)
    wire.shut()
    wire.expect_end()
    assert proc.wait() == 0, str(proc)
    assert {tls.HANDSHAKE, tls.APPLICATION} <= set(tls.records(wire.sock.received))
    for word in (b"GET /api", b"websocket", b"secret words", KEY.encode()):
        assert word not in wire.sock.received + wire.sock.sent


@live("client-tls")
def test_the_clients_first_bytes_are_tls(client, listener):
    """Before anything of the handshake."""
    client("connect", "--no-key", f"wss://127.0.0.1:{listener.port}/")
    wire = listener.accept()
    assert wire.take(1)[0] == tls.HANDSHAKE


@live("client-sni")
@pytest.mark.parametrize(
    "host, server_name, told",
    [
        ("localhost", None, "localhost"),
        ("LocalHost", None, "localhost"),
        ("127.0.0.1", None, None),
        ("127.0.0.1", "pixi.test", "pixi.test"),
    ],
)
def test_the_client_hello_names_the_host(client, listener, authority, good, host, server_name, told):
    """A name, not an address: RFC 6066 §3."""
    names = []
    context = tls.server_context(good)
    context.sni_callback = lambda _, name, __: names.append(name)
    members = {"tls__server_name": server_name} if server_name else {}
    url = f"wss://{host}:{listener.port}/"
    client("connect", "--no-key", url, tls__ca_file=str(authority.file), **members)
    secure(listener.accept(), context).welcome()
    assert names == [told]


@live("client-tls-bad")
@pytest.mark.parametrize("args", [["connect"], ["listen", "#"], ["send", "a", "1"]], ids=lambda a: a[0])
@pytest.mark.parametrize("fault", ["issuer", "system", "name", "expired", "old"])
def test_bad_servers_are_refused_before_http(client, listener, authority, good, tmp_path, args, fault):
    """An issuer that is not trusted, another name, an expired certificate, TLS 1.1."""
    ca_file, files, versions, word = authority.file, good, [], ""
    if fault == "issuer":
        ca_file, word = tls.Authority(tmp_path / "other", "Other").file, "issuer is not trusted here: .*Test Authority"
    elif fault == "system":
        ca_file, word = None, "issuer is not trusted here: .*Test Authority"
    elif fault == "name":
        files, word = authority.certificate("other", "DNS:other.test"), "wanted 127.0.0.1, has other.test"
    elif fault == "expired":
        files, word = authority.certificate("expired", "IP:127.0.0.1", days=-1), r"expired on 20\d\d-\d\d-\d\d"
    else:
        versions, word = [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], "version"
    members = {"tls__ca_file": str(ca_file)} if ca_file else {}
    proc = client("--url", f"wss://127.0.0.1:{listener.port}/api/v1", *args, api_key=KEY, **members)
    wire = listener.accept()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.1
        context = tls.server_context(files, *versions)
    with pytest.raises(ssl.SSLError):  # the handshake never ends, and nothing follows it
        secure(wire, context)
    assert re.search(word, fails(proc, 6, "tls"))
    assert KEY not in proc.err and listener.is_quiet(0)


@live("client-tls-bad")
def test_a_server_without_tls(client, listener):
    proc = client("connect", f"wss://127.0.0.1:{listener.port}/", api_key=KEY)
    wire = listener.accept()
    wire.send(raw.refusal(400))
    assert "not TLS" in fails(proc, 6, "tls")
    assert b"GET" not in wire.raw_rest()


@live("client-tls")
@pytest.mark.parametrize("way, code", [("shut", 6), ("reset", 6), ("silence", 10)])
@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x03\x00\x7a\x02\x00"])
def test_a_server_that_vanishes_during_the_tls_handshake(client, listener, way, code, sent):
    proc = client("connect", "--no-key", f"wss://127.0.0.1:{listener.port}/", timeouts__tls_ms=300)
    wire = listener.accept()
    _, _, size = struct.unpack("!BHH", wire.take(5))
    wire.take(size)  # it is under way
    wire.send(sent)
    if way != "silence":
        getattr(wire, way)()
    fails(proc, code, "tls")


# --- the server


@pytest.fixture
def secured(server, settings, good):
    """secured(**settings) -> Server that echoes, .tls_port where it does so with TLS."""

    def secured(**members):
        cert, key = good
        members |= {"tls__listen": ["127.0.0.1:0"], "tls__cert_file": str(cert), "tls__key_file": str(key)}
        out = server("--echo", "--config", settings("server", **members))
        out.tls_port = int(out.proc.wait_line(r"^listening on 127\.0\.0\.1:(\d+) with TLS$", stream="out")[1])
        return out

    return secured


def join(server, context, **more):
    wire = raw.dial(server.tls_port)
    wire.sock = tls.TlsSocket(wire.sock, context, is_server=False, name="localhost").handshake()
    wire.hello(**more)
    return wire


@live("server-tls", "server-no-mask")
@VERSIONS
def test_the_server_sends_nothing_but_tls_records(secured, authority, version):
    wire = join(secured(), tls.client_context(authority.file, version, version))
    for size in (0, 125, 126, 65535, 65536, 500000):
        payload = b"secret words"[:size].ljust(size, b".")
        wire.put(BINARY, payload)
        wire.expect(BINARY, payload)
    wire.put_close(1000)
    wire.expect_close(1000)
    wire.shut()
    wire.expect_end()
    assert {tls.HANDSHAKE, tls.APPLICATION} <= set(tls.records(wire.sock.received))
    for word in (b"HTTP/1.1", b"websocket", b"secret words"):
        assert word not in wire.sock.received + wire.sock.sent


@live("server-tls")
def test_plain_bytes_on_the_tls_port(secured, authority):
    """Closed; not a byte of HTTP or WebSocket comes back."""
    server = secured()
    for data in (raw.request(), b"\0" * 100, raw.frame(TEXT, "x", mask=raw.MASK)):
        with raw.dial(server.tls_port) as wire:
            wire.send(data)
            rest = wire.raw_rest()
            assert set(tls.records(rest)) <= {tls.ALERT}, rest
    join(server, tls.client_context(authority.file))


@live("server-tls")
def test_tls_on_the_plain_port(secured, authority):
    with raw.dial(secured().port) as wire:
        with pytest.raises(ssl.SSLError):
            tls.TlsSocket(wire.sock, tls.client_context(authority.file), is_server=False, name="localhost").handshake()


@live("server-tls")
def test_old_tls_is_refused_by_the_server(secured, authority):
    server = secured()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = tls.client_context(authority.file, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
    with pytest.raises(ssl.SSLError):
        join(server, context)
    join(server, tls.client_context(authority.file))


@live("server-tls")
@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
@pytest.mark.parametrize("way", ["shut", "reset", "silence"])
def test_clients_that_vanish_during_the_tls_handshake(secured, authority, sent, way):
    """They are given up after handshake_ms, and nobody else notices."""
    server = secured(limits__handshake_ms=300)
    other = join(server, tls.client_context(authority.file))
    with raw.dial(server.tls_port) as wire:
        wire.send(sent)
        if way == "reset":
            wire.reset()
        else:
            if way == "shut":
                wire.shut()
            assert set(tls.records(wire.raw_rest())) <= {tls.ALERT}
    other.put(TEXT, "still here")
    other.expect(TEXT, "still here")


@live("server-tls", "client-tls")
def test_client_and_server_with_each_other(secured, client, authority):
    server = secured()
    proc = client("connect", "--no-key", f"wss://localhost:{server.tls_port}/", tls__ca_file=str(authority.file))
    for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
        proc.write("x" * size + "\n")
    proc.close_input()
    assert proc.wait() == 0, str(proc)[:2000]
    assert [len(line) for line in proc.out.splitlines()] == [0, 1, 125, 126, 65535, 65536, 1 << 20]
