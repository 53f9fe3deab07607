"""What the end-to-end tests share: rpc, proxy, pages and terminal can be imported.

client   client(server) -> Client       pki      certificates, made once
tls_hub  tls_hub(cert) -> Server        secure   secure(url) -> Client with tls settings
terminal terminal(args) -> Terminal     (80 columns)
"""

import datetime
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parent.parent / "wire"))  # for mqtt
pytest.register_assert_rewrite("rpc", "proxy", "pages", "terminal")

import certs  # noqa: E402
from terminal import Terminal  # noqa: E402

KEY = "pk_of-nobody_in-particular"


class Client:
    """pixi-ws-client with one server's URL and key, in a folder without settings."""

    def __init__(self, run, spawn, env, cwd):
        self._run, self._spawn, self.env, self.cwd = run, spawn, env, cwd

    def run(self, *args, input=None, timeout=60, env=None, **more):
        """The finished process, whatever its exit code."""
        env = {**self.env, **(env or {})}
        return self._run(["pixi-ws-client", *args], input=input, timeout=timeout, env=env, cwd=self.cwd, **more)

    def ok(self, *args, input=None, **more):
        """The same, its exit code 0; what it printed."""
        done = self.run(*args, input=input, **more)
        assert done.returncode == 0, done
        return done.stdout

    def spawn(self, *args, env=None):
        return self._spawn(["pixi-ws-client", *args], env={**self.env, **(env or {})}, cwd=self.cwd)

    def shell(self, script):
        return self._spawn(["bash", "-c", script], env=self.env, cwd=self.cwd)

    def listen(self, *args, env=None):
        """A listener whose subscription stands."""
        proc = self.spawn("listen", *args, env=env)
        proc.wait_line("listening to", stream="err")
        return proc


@pytest.fixture
def client(run, spawn, tmp_path):
    """client(server, key=None, **variables) -> Client; variables as TIMEOUTS_UPGRADE_MS=100. A key of "" is none."""

    def client(server, key=None, url=None, **variables):
        env = {"PIXI_WS_URL": url or server.url, "PIXI_WS_API_KEY": server.key if key is None else key}
        env.update({f"PIXI_WS_{name}": str(value) for name, value in variables.items()})
        return Client(run, spawn, env, tmp_path)

    return client


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """One CA, and what it and others have signed: .server, .expired ..., made once."""

    class Pki:
        def __init__(self, folder):
            soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=9, hours=12)
            self.ca, self.other = certs.Authority(folder, "good"), certs.Authority(folder, "other")
            self.server = self.ca.issue("server")
            self.second = self.ca.issue("second")
            self.client = self.ca.issue("client", "DNS:client")
            self.stranger = self.other.issue("stranger")
            self.expired = self.ca.issue("expired", end="20240229000000Z")
            self.early = self.ca.issue("early", start="20400101000000Z")
            self.soon = self.ca.issue("soon", end=soon.strftime("%Y%m%d%H%M%SZ"))
            self.elsewhere = self.ca.issue("elsewhere", "DNS:pixi.example,DNS:*.pixi.example,IP:10.0.0.7")
            self.hostile = self.ca.issue("hostile", "DNS:a\x1b[31m.example")
            self.itself = certs.self_signed(folder, "itself")
            self.between = self.ca.sign_authority("between")
            self.below = self.between.issue("below")
            self.late = self.ca.sign_authority("late", end="20240229000000Z")
            self.of_late = self.late.issue("of-late")

    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def tls_hub(hub):
    """tls_hub(cert, **tls settings) -> Server with .tls_url and .tls_port."""

    def tls_hub(cert, *args, ca=None, min_version=None, **members):
        tls = {"tls__listen": ["127.0.0.1:0"], "tls__cert_file": str(cert.pem), "tls__key_file": str(cert.key)}
        if ca:
            tls["tls__client_ca_file"] = str(ca.pem)
        if min_version:
            tls["tls__min_version"] = min_version
        s = hub(*args, **tls, **members)
        s.tls_port = int(s.proc.wait_line(r"^listening on 127\.0\.0\.1:(\d+) with TLS$", stream="out")[1])
        s.tls_url = f"wss://127.0.0.1:{s.tls_port}/api/v1"
        return s

    return tls_hub


@pytest.fixture
def secure(client, settings):
    """secure(url, key, ca=, cert=, **tls settings) -> Client whose settings file says so."""

    def secure(url, key=KEY, ca=None, cert=None, name=None, **members):
        tls = {f"tls__{k}": str(v) if k.endswith("_file") else v for k, v in members.items()}
        if ca:
            tls["tls__ca_file"] = str(ca.pem)
        if cert:
            tls |= {"tls__cert_file": str(cert.pem), "tls__key_file": str(cert.key)}
        file = settings(name or "client", url=url, **tls)
        return client(None, url=url, key=key, SETTINGS=file)

    return secure


@pytest.fixture
def terminal(command, env, tmp_path):
    """terminal(args, env) -> Terminal."""
    started = []

    def terminal(args, columns=80, **more):
        t = Terminal(command(args), {**env, **more}, tmp_path, columns)
        started.append(t)
        return t

    yield terminal
    for t in started:
        t.close()
