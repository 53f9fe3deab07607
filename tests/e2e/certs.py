"""Throw-away certificates, made with the openssl program."""

import base64
import hashlib
import subprocess

CONFIG = """
[ca]
default_ca = here
[here]
database = {dir}/index
rand_serial = yes
default_md = sha256
policy = any
email_in_dn = no
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""
LOCAL = "DNS:localhost,IP:127.0.0.1"
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def openssl(*args):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, timeout=60).stdout


class Certificate:
    """Files: .pem, with what chains it, and .key."""

    def __init__(self, stem):
        self.pem, self.key = stem.with_suffix(".pem"), stem.with_suffix(".key")

    def pin(self):
        """SHA-256 of its SubjectPublicKeyInfo, in base64: RFC 7469 §2.4."""
        public = openssl("x509", "-in", self.pem, "-noout", "-pubkey")
        der = base64.b64decode(b"".join(public.splitlines()[1:-1]))
        return base64.b64encode(hashlib.sha256(der).digest()).decode()


def self_signed(folder, name, names=LOCAL):
    cert = Certificate(folder / name)
    args = ["-days", "90", "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"]
    openssl("req", "-x509", *EC, *args, "-keyout", cert.key, "-out", cert.pem)
    cert.key.chmod(0o600)
    return cert


class Authority(Certificate):
    """A CA of its own."""

    def __init__(self, folder, name):
        self.dir = folder / name
        self.dir.mkdir()
        super().__init__(self.dir / "ca")
        (self.dir / "index").touch()
        (self.dir / "config").write_text(CONFIG.format(dir=self.dir))
        openssl("req", "-x509", *EC, "-days", "3650", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.pem)

    def sign_authority(self, name, end="20991231000000Z"):
        """Another CA, below this one: what it issues has it behind, and not this."""
        below = Authority(self.dir, name)
        request, args = self.dir / f"{name}.csr", ["-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE"]
        openssl("req", "-new", "-key", below.key, *args, "-out", request)
        where = ["-config", self.dir / "config", "-cert", self.pem, "-keyfile", self.key]
        when = ["-startdate", "20200101000000Z", "-enddate", end, "-outdir", self.dir]
        openssl("ca", "-batch", "-notext", *where, *when, "-in", request, "-out", below.pem)
        return below

    def issue(self, name, names=LOCAL, start="20200101000000Z", end="20991231000000Z"):
        """A certificate for these names, valid from start to end, with the CA behind it."""
        cert = Certificate(self.dir / name)
        request = self.dir / f"{name}.csr"
        args = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"]
        openssl("req", *EC, *args, "-keyout", cert.key, "-out", request)
        where = ["-config", self.dir / "config", "-cert", self.pem, "-keyfile", self.key]
        when = ["-startdate", start, "-enddate", end, "-outdir", self.dir]
        openssl("ca", "-batch", "-notext", *where, *when, "-in", request, "-out", cert.pem)
        cert.pem.write_bytes(cert.pem.read_bytes() + self.pem.read_bytes())
        cert.key.chmod(0o600)
        return cert
