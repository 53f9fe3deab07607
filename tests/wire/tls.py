"""TLS by hand for raw.Wire, with all that crosses the wire kept; and certificates, good and bad, by openssl."""

import ssl
import struct
import subprocess

HANDSHAKE, APPLICATION, ALERT = 22, 23, 21


class TlsSocket:
    """What raw.Wire wants of a socket, through TLS. sent and received: the bytes on the wire."""

    def __init__(self, sock, context, is_server, name=None):
        self.sock = sock
        self.sent, self.received = bytearray(), bytearray()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out, server_side=is_server, server_hostname=name)

    def __getattr__(self, name):
        return getattr(self.sock, name)

    def _flush(self):
        if data := self._out.read():
            self.sent += data
            self.sock.sendall(data)

    def _more(self):
        data = self.sock.recv(1 << 16)
        self.received += data
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    def _do(self, what, *args):
        while True:
            try:
                out = what(*args)
                self._flush()
                return out
            except ssl.SSLWantReadError:
                self._flush()
                self._more()
            except ssl.SSLError:
                self._flush()
                raise

    def handshake(self):
        self._do(self._ssl.do_handshake)
        return self

    def sendall(self, data):
        view = memoryview(data)
        while view:
            view = view[self._do(self._ssl.write, view[: 1 << 16]) :]

    def recv(self, size):
        try:
            return self._do(self._ssl.read, size)
        except ssl.SSLZeroReturnError:
            return b""

    def shutdown(self, how):
        """close_notify, then FIN."""
        try:
            self._ssl.unwrap()
        except ssl.SSLError:
            pass  # the peer's own is still to come
        self._flush()
        self.sock.shutdown(how)

    @property
    def version(self):
        return self._ssl.version()


def records(data):
    """The types of the TLS records that these bytes are, whole and nothing else. RFC 8446 §5.1"""
    types, at = [], 0
    while at < len(data):
        kind, version, size = struct.unpack_from("!BHH", data, at)
        assert kind in (20, ALERT, HANDSHAKE, APPLICATION), (kind, at)
        assert version in (0x0301, 0x0303) and size <= 16384 + 256, (version, size, at)
        types.append(kind)
        at += 5 + size
    assert at == len(data), "half a record"
    return types


class Authority:
    """Makes certificates in a folder."""

    def __init__(self, folder, name="Test Authority"):
        self.folder = folder
        folder.mkdir()
        self.file = folder / "ca.pem"
        self._openssl("req", "-x509", *self._new_key("ca"), "-days", "2", "-subj", f"/CN={name}", "-out", self.file)

    def _openssl(self, *args):
        done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def _new_key(self, name):
        key = self.folder / f"{name}.key"
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key]

    def certificate(self, name, names, days=2):
        """The files of a certificate for these names (subjectAltName) and of its key; days < 0: it has expired."""
        cert, key, asked = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        extensions = self.folder / f"{name}.cnf"
        extensions.write_text(f"subjectAltName={names}\n")
        self._openssl("req", *self._new_key(name), "-subj", "/CN=test", "-out", asked)
        signing = ["-CA", self.file, "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-days", days]
        self._openssl("x509", "-req", "-in", asked, *signing, "-extfile", extensions, "-out", cert)
        key.chmod(0o600)
        return cert, key


def server_context(files, oldest=ssl.TLSVersion.TLSv1_2, newest=ssl.TLSVersion.TLSv1_3):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version, context.maximum_version = oldest, newest
    return context


def client_context(ca_file=None, oldest=ssl.TLSVersion.TLSv1_2, newest=ssl.TLSVersion.TLSv1_3):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file:
        context.load_verify_locations(ca_file)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version, context.maximum_version = oldest, newest
    return context
