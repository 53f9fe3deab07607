"""The server against other people's clients of MQTT: mosquitto's, paho in Python and C, mqtt.js."""

import os
import queue
import shutil
import signal
import subprocess

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TIMEOUT_S = 20


@pytest.fixture
def mosquitto(spawn, broker):
    """mosquitto(server, "pub" or "sub", *args) -> Proc"""

    def mosquitto(s, kind, *args):
        return spawn(["stdbuf", "-oL", f"mosquitto_{kind}", "-p", s.mqtt_port, "-u", "any", "-P", s.key, *args])

    return mosquitto


@pytest.mark.parametrize("version", ["311", "5"])
def test_mosquitto(broker, mosquitto, version):
    s = broker()
    sub = mosquitto(s, "sub", "-V", version, "-q", "2", "-t", "m/#", "-C", "4", "-F", "%t %q %r %p", "-d")
    sub.wait_line("Subscribed")
    for qos in ("0", "1", "2"):
        assert mosquitto(s, "pub", "-V", version, "-q", qos, "-t", f"m/{qos}", "-m", "hello").wait() == 0
    sub.wait_line("m/2 2 0 hello")  # it shows one of QoS 2 when PUBREL comes, perhaps behind the next
    assert mosquitto(s, "pub", "-V", version, "-q", "1", "-r", "-t", "m/kept", "-m", "kept").wait() == 0
    assert sub.wait() == 0
    lines = [line for line in sub.out.splitlines() if line.startswith("m/")]
    assert lines == ["m/0 0 0 hello", "m/1 1 0 hello", "m/2 2 0 hello", "m/kept 1 0 kept"]
    late = mosquitto(s, "sub", "-V", version, "-q", "1", "-t", "m/#", "-C", "1", "-F", "%t %q %r %p")
    assert late.wait() == 0 and late.out == "m/kept 1 1 kept\n"


@pytest.mark.parametrize("version", ["311", "5"])
def test_mosquitto_comes_back_to_its_session(broker, mosquitto, version):
    s = broker()
    me = ("-V", version, "-i", "me", "-c", "-q", "1", "-t", "m/#")
    expiry = ("-x", "1000") if version == "5" else ()
    first = mosquitto(s, "sub", *me, *expiry, "-E")
    assert first.wait() == 0
    for text in ("1", "2", "3"):
        assert mosquitto(s, "pub", "-V", version, "-q", "1", "-t", "m/1", "-m", text).wait() == 0
    again = mosquitto(s, "sub", *me, *expiry, "-C", "3")
    assert again.wait() == 0 and again.out == "1\n2\n3\n"


def test_mosquitto_is_refused(broker, run):
    s = broker()
    for version, text in (("311", "bad user name or password"), ("5", "Bad User Name or Password")):
        done = run(["mosquitto_pub", "-p", s.mqtt_port, "-u", "u", "-P", "no key", "-V", version, "-t", "t", "-m", "x"])
        assert done.returncode != 0 and text in done.stderr


def test_mosquitto_request(broker, mosquitto, client):
    """mosquitto_rr asks in MQTT, our own client answers in pixi.v1."""
    s = broker()
    responder = client(s).listen("request/#", "--reply", '{"minutes":4}')
    asked = mosquitto(s, "rr", "-V", "5", "-t", "request/route", "-e", "answers/1", "-m", '"A"')
    assert asked.wait() == 0 and asked.out == '{"minutes":4}\n'
    responder.wait_line('"topic":"request/route"')


class Paho:
    """A client of paho whose callbacks go into a queue."""

    def __init__(self, s, way, version, id, **connect):
        self.client = paho.Client(id, transport={"ws": "websockets"}.get(way, way), protocol=version)
        self.news = queue.Queue()
        self.client.username_pw_set("any", s.key)
        if way == "ws":
            self.client.ws_set_options(path="/api/v1")
        self.client.on_connect = lambda *a: self.news.put(("connect", a[3] if version == 4 else a[3].value, a[2]))
        self.client.on_subscribe = lambda *a: self.news.put(("subscribe",))
        self.client.on_message = lambda _c, _u, m: self.news.put(("message", m))
        self.client.connect("127.0.0.1", s.port if way == "ws" else s.mqtt_port, **connect)
        self.client.loop_start()
        _, code, self.flags = self.next("connect")
        assert code == 0

    def next(self, kind):
        got = self.news.get(timeout=TIMEOUT_S)
        assert got[0] == kind, got
        return got

    def message(self):
        return self.next("message")[1]

    def subscribe(self, *args, **more):
        self.client.subscribe(*args, **more)
        self.next("subscribe")

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.parametrize("way,version", [("ws", 4), ("ws", 5), ("tcp", 4), ("tcp", 5)])
def test_paho_python(broker, way, version):
    s = broker()
    p = Paho(s, way, version, "paho")
    p.subscribe("p/#", 2)
    for qos in (0, 1, 2):
        info = p.client.publish("p/1", f"hello {qos}", qos)
        m = p.message()
        assert (m.topic, m.payload, m.qos, m.retain) == ("p/1", f"hello {qos}".encode(), qos, False)
        info.wait_for_publish(TIMEOUT_S)
    payload = os.urandom(500_000)
    p.client.publish("p/large", payload, 1)
    assert p.message().payload == payload
    p.stop()


def test_paho_python_sessions_and_properties(broker):
    s = broker()
    expiry = Properties(PacketTypes.CONNECT)
    expiry.SessionExpiryInterval = 100
    first = Paho(s, "ws", 5, "stays", clean_start=True, properties=expiry)
    assert first.flags["session present"] == 0
    first.subscribe("p/#", 2)
    first.stop()
    other = Paho(s, "tcp", 5, "other")
    told = Properties(PacketTypes.PUBLISH)
    told.UserProperty = [("a", "1"), ("a", "2")]
    told.ContentType = "text/plain"
    told.MessageExpiryInterval = 100
    for i in range(10):
        other.client.publish("p/1", str(i), 1 + i % 2, properties=told).wait_for_publish(TIMEOUT_S)
    again = Paho(s, "ws", 5, "stays", clean_start=False, properties=expiry)
    assert again.flags["session present"] == 1
    got = [again.message() for _ in range(10)]
    for qos in (1, 2):  # in order, each for itself
        assert [m.payload for m in got if m.qos == qos] == [str(i).encode() for i in range(qos - 1, 10, 2)]
    assert got[0].properties.UserProperty == [("a", "1"), ("a", "2")]
    assert got[0].properties.ContentType == "text/plain"
    again.stop()
    other.stop()


def test_paho_and_our_own_client(broker, client):
    s = broker()
    ours = client(s)
    listener = ours.listen("both/#", "-n", "1")
    p = Paho(s, "ws", 5, "paho")
    p.subscribe("both/#", 1)
    p.client.publish("both/1", '{"from":"paho"}', 1)
    assert p.message().payload == b'{"from":"paho"}'
    listener.wait_line(r'"payload":\{"from":"paho"\}')
    ours.ok("send", "both/2", '{"from":"pixi"}')
    m = p.message()
    assert (m.topic, m.payload, m.qos) == ("both/2", b'{"from":"pixi"}', 1)
    p.subscribe("request/#", 1)
    asking = ours.spawn("request", "request/add", "[1,2]")
    m = p.message()
    p.client.publish(m.properties.ResponseTopic, "3", 1)
    asking.wait_line("^3$", stream="out")
    p.stop()


@pytest.mark.parametrize("version", ["4", "5"])
@pytest.mark.parametrize("way", ["ws", "mqtt"])
def test_mqtt_js(broker, spawn, root, way, version):
    s = broker()
    node = shutil.which("node") or shutil.which("nodejs")
    url = s.url if way == "ws" else f"mqtt://127.0.0.1:{s.mqtt_port}"
    args = [node, root / "tests/interop/mqtt_peer.js", url, s.key, version]
    proc = spawn(args, env={"NODE_PATH": "/usr/share/nodejs"})
    assert proc.wait() == 0, proc
    assert sorted(proc.out.splitlines()) == ["done", *(f"js/{q} hello {q} {q}" for q in range(3))]


@pytest.fixture(scope="module")
def paho_c(root):
    out = root / "build/test/mqtt_peer"
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(f".{os.getpid()}")
    source = root / "tests/interop/mqtt_peer.c"
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-o", part, source, "-lpaho-mqtt3c"], check=True)
    part.rename(out)
    return out


@pytest.mark.parametrize("version", ["4", "5"])
@pytest.mark.parametrize("way", ["ws", "tcp"])
def test_paho_c(broker, spawn, paho_c, way, version):
    s = broker()
    proc = spawn([paho_c, s.url if way == "ws" else f"tcp://127.0.0.1:{s.mqtt_port}", s.key, version])
    assert proc.wait() == 0, proc
    assert proc.out.splitlines() == ["c/1 hello 0", "c/1 hello 1", "c/1 hello 2", "done"]


def test_the_example(broker, spawn, root, client):
    s = broker()
    example = root / "examples/python/paho_client.py"
    proc = spawn(["/usr/bin/python3", example, s.url, "event/#"], env={"PIXI_WS_API_KEY": s.key})
    proc.wait_line("^connected with result code 0$", stream="out")
    # the subscription is the next thing it says: what is published when the server knows it comes
    while "hello" not in proc.out:
        client(s).ok("send", "event/1", '"hello"')
        proc.wait_line("connected|hello", stream="out")
    proc.stop(signal.SIGINT)
    assert proc.returncode == 0, proc
    bad = spawn(["/usr/bin/python3", example, s.url], env={"PIXI_WS_API_KEY": "pk_nobody"})
    bad.wait_line("^connected with result code 4$", stream="out")
