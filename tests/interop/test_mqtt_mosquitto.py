"""Our client against mosquitto, over WebSocket: MQTT 5.0 and 3.1.1."""

import json
import os
import signal
import subprocess
import threading

import pytest

from proxy import Proxy

VERSIONS = pytest.mark.parametrize("version", [4, 5])
QOS = pytest.mark.parametrize("qos", [0, 1, 2])


@pytest.fixture
def through(mqtt):
    """through(proxy) -> a client that goes by it."""
    return lambda proxy: mqtt(proxy.url)


@VERSIONS
@QOS
def test_sent_and_heard(mosquitto, mqtt, messages, version, qos):
    client = mqtt(mosquitto())
    as_told = ["--mqtt-version", str(version), "--qos", str(qos)]
    heard = client.spawn(*as_told, "listen", "-n", "4", "a/+", "b/#")
    heard.wait_line("listening to a/", stream="err")
    heard.wait_line("listening to b/#", stream="err")
    assert client.ok(*as_told, "send", "a/1", '{"x": 1}') == ""
    assert json.loads(client.ok("--json", *as_told, "send", "b/2/3", "not JSON")) == {"topic": "b/2/3"}
    client.ok(*as_told, "send", "a/2", "")
    client.ok(*as_told, "send", "-H", "k=v", "-H", "k=w", "b", "1")
    assert heard.wait() == 0, str(heard)
    headers = [None, None, None, [["k", "v"], ["k", "w"]] if version == 5 else None]
    assert [(m["topic"], m.get("payload"), m.get("payload_text"), m["filter"], m.get("headers")) for m in messages(heard)] == [
        ("a/1", {"x": 1}, None, "a/+", headers[0]),
        ("b/2/3", None, "not JSON", "b/#", headers[1]),
        ("a/2", None, None, "a/+", headers[2]),
        ("b", 1, None, "b/#", headers[3]),
    ]


@VERSIONS
def test_what_others_say(mosquitto, mqtt, messages, version):
    """mosquitto_pub and mosquitto_sub at the other end, over TCP."""
    broker = mosquitto()
    client = mqtt(broker)
    heard = client.listen("--count", "2", "#", mqtt__version=version)
    at = ["-h", broker.host, "-p", str(broker.port)]
    more = ["-D", "publish", "user-property", "from", "them"]
    subprocess.run(["mosquitto_pub", *at, "-t", "theirs", "-m", "1", "--qos", "2", "-V", "5", *more], check=True, timeout=20)
    subprocess.run(["mosquitto_pub", *at, "-t", "old", "-m", "2", "-q", "0", "-V", "311"], check=True, timeout=20)
    assert heard.wait() == 0
    assert [(m["topic"], m["payload"], m.get("headers")) for m in messages(heard)] == [
        ("theirs", 1, [["from", "them"]] if version == 5 else None),
        ("old", 2, None),
    ]


@VERSIONS
def test_retained(mosquitto, mqtt, messages, version):
    client = mqtt(mosquitto())
    client.ok("send", "--retain", "scene/a", "1", mqtt__version=version)
    client.ok("send", "--retain", "scene/b", "2", mqtt__version=version)
    client.ok("send", "--retain", "scene/b", "", mqtt__version=version)  # removes
    first = client.spawn("listen", "-n", "1", "scene/#", mqtt__version=version)
    assert first.wait() == 0
    assert [(m["topic"], m["retained"]) for m in messages(first)] == [("scene/a", True)]
    if version == 5:
        live = client.listen("-n", "1", "--no-retained", "scene/#")
        client.ok("send", "scene/c", "3")
        assert live.wait() == 0 and [m["topic"] for m in messages(live)] == ["scene/c"]


def test_expiry(mosquitto, mqtt, messages):
    """What nobody fetched in time is gone; mosquitto counts it down for a client that is away."""
    client = mqtt(mosquitto())
    client.listen("q", client_id="sleeper").stop()
    client.ok("send", "-e", "1", "q", '"short"')
    client.ok("send", "-e", "60", "q", '"long"')
    subprocess.run(["sleep", "2"], check=True)  # the only way that time passes for the broker
    heard = client.spawn("listen", "-n", "1", "q", client_id="sleeper")
    assert heard.wait() == 0
    assert [m["payload"] for m in messages(heard)] == ["long"]


@QOS
def test_requests(mosquitto, mqtt, qos):
    client = mqtt(mosquitto())
    client.listen("request/#", "--reply", '{"answer": 42}', mqtt__qos=qos)
    assert client.ok("request", "request/route", '"?"', mqtt__qos=qos) == '{"answer": 42}\n'
    assert json.loads(client.ok("--json", "request", "request/route")) == {"payload": {"answer": 42}}


def test_nobody_answers(mosquitto, mqtt):
    client = mqtt(mosquitto())
    done = client.run("request", "request/none")
    assert done.returncode == 12 and "nobody answers" in done.stderr
    client.listen("request/deaf")
    done = client.run("request", "-t", "0.3", "request/deaf")
    assert done.returncode == 10 and "no answer in time" in done.stderr


def test_no_requests_in_3_1_1(mosquitto, mqtt):
    done = mqtt(mosquitto()).run("--mqtt-version", "4", "request", "request/x")
    assert done.returncode == 2 and "MQTT 3.1.1 has no requests" in done.stderr and "--mqtt-version 5" in done.stderr


def test_a_scene(mosquitto, mqtt):
    client = mqtt(mosquitto())
    client.ok("scene", "put", "tram-7", '{"x": 20, "y": 2, "sprite": "tram"}')
    assert json.loads(client.ok("listen", "-n", "1", "scene/objects/tram-7"))["payload"]["x"] == 20


# --- who may


@pytest.fixture
def guarded(mosquitto, tmp_path):
    """One user, whose password is the key; it may not publish to "closed"."""
    passwords, rights = tmp_path / "passwords", tmp_path / "rights"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "tram", "pk_0123456789abcdef"], check=True, timeout=20)
    rights.write_text("user tram\ntopic readwrite open/#\n")
    for file in (passwords, rights):
        file.chmod(0o600)
    return mosquitto("allow_anonymous false", f"password_file {passwords}", f"acl_file {rights}")


@VERSIONS
def test_the_key_is_the_password(guarded, mqtt, version):
    client = mqtt(guarded)
    right = {"api_key": "pk_0123456789abcdef", "mqtt__username": "tram", "mqtt__version": version}
    client.ok("send", "open/x", "1", **right)
    for wrong in ({"api_key": "pk_not-this-one-not-this"}, {"mqtt__username": "somebody"}):
        done = client.run("send", "open/x", "1", **{**right, **wrong})
        assert done.returncode == 8, done
        assert "refused CONNECT: not authorized (0x87)" in done.stderr and "replace the key in api_key" in done.stderr
        assert "pk_" not in done.stderr
    done = client.run("send", "open/x", "1", mqtt__version=version)
    assert done.returncode == 8 and "valid key" in done.stderr


def test_what_the_key_does_not_allow(guarded, mqtt):
    done = mqtt(guarded).run("send", "closed/x", "1", api_key="pk_0123456789abcdef", mqtt__username="tram")
    assert done.returncode == 8 and "publish: the API key does not allow this" in done.stderr


# --- cuts


@pytest.mark.parametrize("members", [{}, {"mqtt__version": 4, "client_id": "l"}], ids=["5", "3.1.1"])
@pytest.mark.parametrize("how", ["reset", "end"])
def test_a_session_goes_on(mosquitto, mqtt, messages, members, how):
    broker = mosquitto()
    with Proxy(type("At", (), {"host": broker.host, "port": broker.ws_port})) as proxy:
        heard = mqtt(proxy.url).listen("-n", "12", "a/#", mqtt__qos=2, **members)
        sender = mqtt(broker)
        sender.ok("--qos", "2", "send", "a/0", "-", input="0\n1\n2\n3\n")
        proxy.cut(how, then_hold=True)
        heard.wait_line("trying again", stream="err")
        sender.ok("--qos", "2", "send", "a/1", "-", input="4\n5\n6\n7\n")
        proxy.let_go()
        heard.wait_line("again: nothing was missed", stream="err")
        sender.ok("--qos", "2", "send", "a/2", "-", input="8\n9\n10\n11\n")
        assert heard.wait() == 0, str(heard)
    assert [m["payload"] for m in messages(heard)] == list(range(12))


def test_a_session_that_was_not_kept(mosquitto, mqtt):
    broker = mosquitto()
    with Proxy(type("At", (), {"host": broker.host, "port": broker.ws_port})) as proxy:
        heard = mqtt(proxy.url).listen("a/#", mqtt__session_expiry_s=0)
        proxy.cut("reset")
        heard.wait_line("messages since the connection was cut may be missing", stream="err")


@VERSIONS
def test_a_session_outlives_the_program(mosquitto, mqtt, messages, version):
    client = mqtt(mosquitto())
    who = {"client_id": "tram-7", "mqtt__version": version}
    client.listen("a", **who).stop()
    client.ok("send", "a", "1")
    heard = client.spawn("listen", "-n", "1", "a", **who)
    assert heard.wait() == 0 and [m["payload"] for m in messages(heard)] == [1]
    client.ok("send", "a", "2")
    heard = client.listen("-n", "1", "a", mqtt__clean_start=True, **who)
    client.ok("send", "a", "3")
    assert heard.wait() == 0 and [m["payload"] for m in messages(heard)] == [3]


@pytest.mark.parametrize("qos, version", [(1, 5), (2, 5), (1, 4), (2, 4)])
def test_sent_under_cuts(mosquitto, mqtt, messages, qos, version):
    """Connections are cut at random places: QoS 1 loses nothing, QoS 2 nor repeats, and order holds."""
    broker, count = mosquitto(), 1000
    heard = mqtt(broker).listen("n", mqtt__qos=2)
    with Proxy(type("At", (), {"host": broker.host, "port": broker.ws_port})) as proxy:
        sender = mqtt(proxy.url).spawn(
            "send", "n", "-", mqtt__qos=qos, mqtt__version=version, client_id="sender",
            keepalive__interval_ms=200, keepalive__timeout_ms=200, timeouts__upgrade_ms=1000,
        )
        sender.write("0\n")
        heard.wait_line('"payload":0', stream="out")
        proxy.cut_at_random(f"{qos}{version}", 4000, 12)
        sender.write("".join(f"{i}\n" for i in range(1, count)))
        sender.close_input()
        assert sender.wait(60) == 0, str(sender)
        assert len(proxy.cuts) == 12
    mqtt(broker).ok("send", "n", '"end"')
    heard.wait_line('"end"', stream="out")
    got = [m["payload"] for m in messages(heard)][:-1]
    if qos == 2:
        assert got == list(range(count))
    else:
        firsts = list(dict.fromkeys(got))
        assert firsts == list(range(count))


def test_a_broker_that_restarts(mosquitto, mqtt, messages):
    """Its sessions are gone: subscriptions stand again, and messages of QoS 1 are sent again."""
    broker = mosquitto()
    heard = mqtt(broker).listen("-n", "2", "a")
    sender = mqtt(broker).spawn("send", "a", "-")
    sender.write("1\n")
    heard.wait_line('"payload":1', stream="out")
    broker.proc.kill()
    sender.wait_line("trying again", stream="err")
    heard.wait_line("trying again", stream="err")
    sender.write("2\n")
    sender.close_input()
    heard_again = threading.Thread(target=heard.wait_line, args=("may be missing",), kwargs={"stream": "err"})
    heard_again.start()
    os.kill(sender.pid, signal.SIGSTOP)  # until there is somebody to hear it
    mosquitto(ports=(broker.port, broker.ws_port))
    heard_again.join()
    os.kill(sender.pid, signal.SIGCONT)
    assert sender.wait() == 0 and heard.wait() == 0, (sender, heard)
    assert [m["payload"] for m in messages(heard)] == [1, 2]


def test_a_will(mosquitto, mqtt, messages):
    client = mqtt(mosquitto())
    heard = client.listen("-n", "1", "gone/#")
    will = {"mqtt__will_topic": "gone/tram", "mqtt__will_payload": '"off"', "mqtt__will_qos": 2}
    client.listen("x", **will).stop()  # in order: no will
    client.listen("x", **will, mqtt__session_expiry_s=0).kill()
    assert heard.wait() == 0
    assert [(m["topic"], m["payload"]) for m in messages(heard)] == [("gone/tram", "off")]


def test_large_messages(mosquitto, mqtt, messages):
    """Over what a frame of 16 bits holds; few at a time, as this broker loses its way with more over WebSocket."""
    client = mqtt(mosquitto())
    heard = client.listen("-n", "10", "big")
    lines = [json.dumps(f"{i}" + "x" * 100_000) for i in range(10)]
    for line in lines:
        client.ok("send", "big", line)
    assert heard.wait() == 0
    assert [json.dumps(m["payload"]) for m in messages(heard)] == lines


def test_too_large_for_the_broker(mosquitto, mqtt):
    client = mqtt(mosquitto("allow_anonymous true", "max_packet_size 1000"))
    done = client.run("send", "big", '"' + "x" * 2000 + '"')
    assert done.returncode == 1 and "publish: message over the limit" in done.stderr
    client.ok("send", "small", "1")


# --- the library


@pytest.fixture
def library(settings):
    """library(broker, **settings) -> a connected Client of the Python module, closed at the end."""
    import pixi_ws

    made = []

    def library(broker, **members):
        members = {"url": broker.url, "dialect": "mqtt", "reconnect__initial_ms": 1, **members}
        client = pixi_ws.Client(settings(f"library-{len(made)}", **members))
        made.append(client)
        client.connect()
        return client

    yield library
    for client in made:
        client.close()


def test_the_library(mosquitto, library):
    broker = mosquitto()
    asks, answers = library(broker), library(broker, mqtt__qos=2)
    answers.subscribe("request/#")
    answers.subscribe("event/#")
    asks.send_message("event/a", b"\x00\xff", headers=[("k", "v")])
    heard = answers.recv(20)
    assert (heard.topic, heard.payload, list(heard.headers)) == ("event/a", b"\x00\xff", [("k", "v")])

    def serve():
        for reply in ("yes", None):
            request = answers.recv(20)
            if reply:
                answers.reply(request, reply)
            else:
                answers.reply_error(request, "no trams at night")

    server = threading.Thread(target=serve)
    server.start()
    assert asks.request("request/route", b"?").payload == b"yes"
    with pytest.raises(Exception, match="no trams at night"):
        asks.request("request/route", b"?")
    server.join()


def test_a_slow_reader(mosquitto, library):
    """What there is no room for is held unacknowledged: the broker waits, nothing is lost, order holds."""
    broker, count = mosquitto(), 500
    slow = library(broker, limits__message_bytes=16384, limits__queue_bytes=16384)
    fast = library(broker)
    slow.subscribe("n")
    for i in range(count):
        fast.send_message("n", f"{i:04}".encode() + b"x" * 1000, queue=True)
    fast.flush(20)
    assert [int(slow.recv(20).payload[:4]) for _ in range(count)] == list(range(count))
