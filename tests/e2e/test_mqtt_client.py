"""pixi-ws-client and our server, in MQTT at one end and pixi.v1 at the other, and under cuts."""

import json

import pytest

from proxy import Proxy

MQTT = ("--dialect", "mqtt")


def payloads(proc):
    return [json.loads(line)["payload"] for line in proc.out.splitlines()]


@pytest.fixture
def listening(client):
    """listening(server, *args) -> a `listen` that stands."""

    def listening(server, *args, **variables):
        proc = client(server, **variables).spawn(*args)
        proc.wait_line("listening to", stream="err")
        return proc

    return listening


@pytest.mark.parametrize("qos", ["0", "1", "2"])
@pytest.mark.parametrize("version", ["4", "5"])
def test_across_the_dialects(hub, client, listening, qos, version):
    server = hub()
    words = (*MQTT, "--mqtt-version", version, "--qos", qos)
    in_mqtt = listening(server, *words, "listen", "-n", "3", "a/#")
    in_pixi = listening(server, "listen", "-n", "3", "a/#")
    pixi = client(server)
    pixi.ok(*words, "send", "a/1", '{"x": 1}')
    pixi.ok("send", "-H", "k=v", "a/2", "[2]")
    pixi.ok(*words, "send", "a/3", "not JSON")
    assert in_mqtt.wait() == in_pixi.wait() == 0, (str(in_mqtt), str(in_pixi))
    heard = [[json.loads(line) for line in proc.out.splitlines()] for proc in (in_mqtt, in_pixi)]
    for one in heard:
        assert [(m["topic"], m.get("payload"), m.get("payload_text")) for m in one] == [
            ("a/1", {"x": 1}, None), ("a/2", [2], None), ("a/3", None, "not JSON"),
        ]
    assert heard[1][1]["headers"] == [["k", "v"]] and heard[0][1].get("headers") == ([["k", "v"]] if version == "5" else None)


@pytest.mark.parametrize("asks", [(), MQTT], ids=["pixi", "mqtt"])
@pytest.mark.parametrize("answers", [(), MQTT], ids=["pixi", "mqtt"])
def test_requests(hub, client, listening, asks, answers):
    server = hub()
    listening(server, *answers, "listen", "request/#", "--reply", '{"answer": 42}')
    assert client(server).ok(*asks, "request", "request/route", '"?"') == '{"answer": 42}\n'
    assert client(server).run(*asks, "request", "request-nobody/x", "-t", "0.2").returncode in (10, 12)


def test_the_key(hub, client):
    server = hub(keys={"few": ("open/#", "open/#")})
    few = client(server, key=server.keys["few"])
    few.ok(*MQTT, "send", "open/x", "1")
    done = few.run(*MQTT, "send", "closed/x", "1")
    assert done.returncode == 8 and "not authorized" in done.stderr, done
    done = few.run(*MQTT, "listen", "closed/#")
    assert done.returncode == 8 and "does not allow" in done.stderr, done
    done = client(server, key="pk_of-nobody_in-particular").run(*MQTT, "send", "open/x", "1")
    assert done.returncode == 8 and "refused CONNECT" in done.stderr, done


def test_thrown_out_by_another(hub, listening):
    server = hub()
    first = listening(server, *MQTT, "--client-id", "one", "listen", "a")
    listening(server, *MQTT, "--client-id", "one", "listen", "a")
    assert first.wait() == 11 and "session taken over (0x8e)" in first.err, str(first)


@pytest.mark.parametrize("qos, version", [("1", "5"), ("2", "5"), ("1", "4"), ("2", "4")])
def test_sent_under_cuts(hub, client, listening, qos, version):
    """QoS 1 loses nothing, QoS 2 nor repeats, and order holds."""
    server, count = hub(), 1000
    heard = listening(server, "listen", "n")
    with Proxy(server) as proxy:
        words = (*MQTT, "--mqtt-version", version, "--qos", qos, "--client-id", "sender")
        patience = {"KEEPALIVE_INTERVAL_MS": 200, "KEEPALIVE_TIMEOUT_MS": 200, "TIMEOUTS_UPGRADE_MS": 1000, "RECONNECT_INITIAL_MS": 1}
        sender = client(server, url=proxy.url, **patience).spawn(*words, "send", "n", "-")
        sender.write("0\n")
        heard.wait_line('"payload":0', stream="out")
        proxy.cut_at_random(qos + version, 4000, 12)
        sender.write("".join(f"{i}\n" for i in range(1, count)))
        sender.close_input()
        assert sender.wait(60) == 0, str(sender)
    client(server).ok("send", "n", '"end"')
    heard.wait_line('"end"', stream="out")
    got = payloads(heard)[:-1]
    assert (got if qos == "2" else list(dict.fromkeys(got))) == list(range(count))


@pytest.mark.parametrize("version", ["4", "5"])
def test_heard_under_cuts(hub, client, version):
    server, count = hub(), 400
    with Proxy(server) as proxy:
        words = (*MQTT, "--mqtt-version", version, "--qos", "2", "--client-id", "ear")
        heard = client(server, url=proxy.url, RECONNECT_INITIAL_MS=1, KEEPALIVE_INTERVAL_MS=200, KEEPALIVE_TIMEOUT_MS=200).spawn(
            *words, "listen", "-n", str(count), "n"
        )
        heard.wait_line("listening to", stream="err")
        proxy.cut_at_random(version, 4000, 8)
        client(server).ok("send", "n", "-", input="".join(f"{i}\n" for i in range(count)))
        assert heard.wait(60) == 0, str(heard)
    assert payloads(heard) == list(range(count))
