"""The page over raw HTTP: what is answered, what never is, and that nobody else waits meanwhile."""

import gzip
import hashlib
import os
import select
import socket

import pytest

KEY_FIELDS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
SCRIPT = b"export const x = 1;\n" * 500


class Answer:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("ascii").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        pairs = [line.split(": ", 1) for line in lines[1:]]
        self.fields = {name.lower(): value for name, value in pairs}
        assert len(self.fields) == len(pairs), pairs
        if self.status != 304 and self.body:
            assert int(self.fields["content-length"]) == len(self.body)


def ask(server, path, method="GET", host="x", **fields):
    """One request, read to the end of the connection."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    with socket.create_connection((server.host, server.port), timeout=20) as s:
        s.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        return Answer(b"".join(iter(lambda: s.recv(65536), b"")))


@pytest.fixture
def folder(tmp_path):
    """A built page, and what must never leave."""
    page = tmp_path / "dist"
    (page / "assets").mkdir(parents=True)
    files = {
        "index.html": b"<!doctype html><title>map</title>",
        "assets/index-BX3k90aZ.js": SCRIPT,
        "assets/index-BX3k90aZ.js.gz": gzip.compress(SCRIPT),
        "assets/user-settings.css": b"a{}",
        "chunk-24BQVMDF.js": b"1",
        "user-Settings9.css": b"a{}",
        "icon.png": b"\x89PNG",
        "strange.xyz": b"?",
        "empty.txt": b"",
        ".secret": b"hidden",
        "a b.txt": b"blank",
        "large.bin": os.urandom(6 << 20),
    }
    for name, content in files.items():
        (page / name).write_bytes(content)
    (tmp_path / "outside.txt").write_text("outside")
    (page / "link.txt").symlink_to(tmp_path / "outside.txt")
    (page / "inner.txt").symlink_to("index.html")
    (page / "up").symlink_to(tmp_path)
    os.mkfifo(page / "pipe")
    return page


@pytest.fixture
def served(hub, folder):
    return hub("--page", folder)


def check_safe(answer):
    for name, value in KEY_FIELDS.items():
        assert answer.fields[name] == value
    policy = dict(part.strip().split(" ", 1) for part in answer.fields["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in answer.fields["content-security-policy"]
    return policy


def test_files_and_their_fields(served, folder):
    for path, type_, cache in [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/?a=b", "text/html; charset=utf-8", "no-cache"),
        ("/index.html", "text/html; charset=utf-8", "no-cache"),
        ("/assets/index-BX3k90aZ.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/assets/user-settings.css", "text/css; charset=utf-8", "no-cache"),
        ("/chunk-24BQVMDF.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/user-Settings9.css", "text/css; charset=utf-8", "no-cache"),
        ("/icon.png", "image/png", "no-cache"),
        ("/strange.xyz", "application/octet-stream", "no-cache"),
        ("/empty.txt", "text/plain; charset=utf-8", "no-cache"),
    ]:
        got = ask(served, path)
        content = (folder / (path.partition("?")[0].lstrip("/") or "index.html")).read_bytes()
        assert (got.status, got.body) == (200, content), path
        assert (got.fields["content-type"], got.fields["cache-control"]) == (type_, cache)
        assert got.fields["etag"] == f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        check_safe(got)


def test_head_says_the_same_without_the_body(served):
    got, head = ask(served, "/"), ask(served, "/", method="HEAD")
    assert head.fields == got.fields and head.status == 200 and head.body == b"" != got.body


def test_who_has_it_already_gets_304(served):
    etag = ask(served, "/").fields["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        got = ask(served, "/", If_None_Match=known)
        assert (got.status, got.body, got.fields["etag"]) == (304, b"", etag)
        check_safe(got)
    for other in ('"other"', etag[:-2] + '"', etag.strip('"')):
        assert ask(served, "/", If_None_Match=other).status == 200


def test_gzip_for_who_takes_it(served):
    path = "/assets/index-BX3k90aZ.js"
    plain = ask(served, path)
    assert "content-encoding" not in plain.fields and plain.fields["vary"] == "Accept-Encoding"
    for accepts in ("gzip", "br, GZIP;q=0.5", "deflate, gzip;q=1.0, *;q=0.5"):
        got = ask(served, path, Accept_Encoding=accepts)
        assert got.fields["content-encoding"] == "gzip" and gzip.decompress(got.body) == SCRIPT
        assert got.fields["etag"] != plain.fields["etag"] and got.fields["vary"] == "Accept-Encoding"
        assert ask(served, path, Accept_Encoding=accepts, If_None_Match=got.fields["etag"]).status == 304
    for refuses in ("br", "gzip;q=0", "gzip; q=0.0", "gzipped", "identity"):
        assert ask(served, path, Accept_Encoding=refuses).body == SCRIPT
    assert "vary" not in ask(served, "/").fields
    assert ask(served, path + ".gz").status == 404


@pytest.mark.parametrize(
    "path",
    """/../outside.txt /assets/../../outside.txt /%2e%2e/outside.txt /..%2foutside.txt //index.html /./index.html /assets
    /assets/ /assets//index-BX3k90aZ.js /.secret /a%20b.txt /link.txt /inner.txt /up/outside.txt /pipe /index.html%00.js
    /INDEX.HTML /index.html/ \\..\\outside.txt /api /favicon.ico /server.keys /up/server.keys""".split(),
)
def test_what_never_leaves(served, path):
    got = ask(served, path)
    assert got.status in (400, 404) and got.fields["content-type"] == "application/problem+json"
    assert b"outside" not in got.body.replace(path.encode(), b"")


def test_long_paths_and_bytes_that_are_none(served):
    for path in ("/" + "a" * 255, "/" + "a" * 5000, "/\xff", "/a\x01b"):
        assert ask(served, path).status in (400, 404)


def test_only_reading(served):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "get"):
        got = ask(served, "/", method=method)
        assert got.status == 405 and got.fields["allow"] == "GET, HEAD"
        assert ask(served, "/nothing", method=method).status == 404
    assert ask(served, "/", Content_Length="3").status == 400
    assert ask(served, "/", host="a\r\nHost: b").status == 400
    assert ask(served, "/api/v1").status == 426  # as before
    assert ask(served, "/", Upgrade="websocket", Connection="Upgrade").status == 404


def test_the_policy_names_the_websocket_by_the_host_that_was_asked_for(served):
    assert "ws://pixi.example:8768" in check_safe(ask(served, "/", host="pixi.example:8768"))["connect-src"].split(" ")
    for host in ("a;script-src *", "a b", "'unsafe-eval'", ""):
        got = ask(served, "/", host=host)
        if got.status == 200:
            assert check_safe(got)["connect-src"] == "'self'"


def test_a_large_file_to_many_is_whole_and_stops_nobody(served, folder):
    """From one copy; more than a socket takes at once. One says at the start that it sends nothing more."""
    content, request = (folder / "large.bin").read_bytes(), b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n"
    readers = [socket.create_connection((served.host, served.port), timeout=20) for _ in range(10)]
    for s in readers:
        s.sendall(request)
    readers[0].shutdown(socket.SHUT_WR)
    assert ask(served, "/").status == 200  # while they wait
    got, left = {s: bytearray() for s in readers}, set(readers)
    while left:
        for s in select.select(left, [], [], 20)[0]:
            more = s.recv(262144)
            got[s] += more
            if not more:
                left.remove(s)
    for s in readers:
        assert Answer(bytes(got[s])).body == content
        s.close()


def test_what_is_built_in(hub, root):
    """The page, or how to build it."""
    built, got = root / "web/dist/index.html", ask(hub(), "/")
    assert got.status == 200 and (b"make page" in got.body or got.body == built.read_bytes())
    check_safe(got)


@pytest.mark.parametrize("what", ["missing", "file", "empty"])
def test_a_folder_that_is_none(run, tmp_path, what):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    done = run(["pixi-ws-server", "--listen", "127.0.0.1:0", "--page", tmp_path / what], cwd=tmp_path)
    assert done.returncode == 3 and "page: " in done.stderr and "fix: " in done.stderr, done
    assert "listening" not in done.stdout


def test_echo_has_no_page(echo):
    assert ask(echo(), "/").status == 426


def test_the_pages_own_origin_may_connect(served):
    def status(host, **fields):
        fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", **fields}
        lines = [f"GET /api/v1 HTTP/1.1\r\nHost: {host}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        lines += [f"{k}: {v}" for k, v in fields.items()]
        with socket.create_connection((served.host, served.port), timeout=20) as s:
            s.sendall(("\r\n".join(lines) + f"\r\n{served.bearer}\r\n\r\n").encode())
            return int(s.recv(65536).split(b" ")[1])

    assert status("localhost:8768", Origin="http://localhost:8768") == 101
    for origin in ("https://localhost:8768", "http://localhost", "http://localhost:87680", "http://localhost:8768/"):
        assert status("localhost:8768", Origin=origin) == 403
    assert status("localhost:8768", Origin="null") == 403
