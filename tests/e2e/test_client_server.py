"""send, listen and request against our server, as people use them."""

import base64
import json
import os
import re
import shlex
import signal
import time

import pytest

from rpc import Rpc


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def payload_of(message):
    """The bytes that were sent."""
    if "payload_base64" in message:
        return base64.b64decode(message["payload_base64"])
    return None


def test_listen_prints_what_send_sent(hub, client):
    pixi = client(hub())
    listener = pixi.listen("event/#", "--count", "2")
    first = json.loads(pixi.ok("--json", "send", "event/tram/7", '{"x": 12}', "-H", "a=1", "-H", "b=", "-H", "a==2"))
    pixi.ok("send", "event/tram/8", "7")
    assert listener.wait() == 0, listener
    got, second = lines(listener.out)
    assert (got["topic"], got["filter"], got["payload"]) == ("event/tram/7", "event/#", {"x": 12})
    assert got["headers"] == [["a", "1"], ["b", ""], ["a", "=2"]]
    assert first == {"topic": "event/tram/7", "epoch": got["epoch"], "offset": got["offset"]}
    assert abs(got["time_ms"] / 1000 - time.time()) < 60
    assert "retained" not in got and "request" not in got and "headers" not in second
    assert (second["epoch"], second["topic"]) == (got["epoch"], "event/tram/8")
    assert second["offset"] > got["offset"]


DEEP = "[" * 64 + "]" * 64
JSON_TEXTS = [
    '{"x":  12 , "y":[ ]}',
    "123456789012345678901234567890.50e+400",
    "-0.0",
    '"gr\\u00fcn \\u0000 \\/ grün 🦆"',
    '{"a":1,"a":2}',
    '"\\ud800"',
    '""',
    "null",
    DEEP,
]
OTHER_BYTES = [
    b"hello",
    "grün 🦆".encode(),
    b" 12 ",
    b"12 ",
    b"\t[]",
    b'{"a":\n1}',
    b'{"a":\r1}',
    b"1 2",
    b"[" + DEEP.encode() + b"]",
    b"\xff\xfe\x00",
    b'"\xc3"',
    bytes(range(256)),
    b"",
]


def test_a_json_payload_keeps_its_source_bytes(hub, client):
    pixi = client(hub())
    listener = pixi.listen("event/json", "-n", str(len(JSON_TEXTS)))
    for text in JSON_TEXTS:
        pixi.ok("send", "event/json", "--", text)
    assert listener.wait() == 0, listener
    for text, line in zip(JSON_TEXTS, listener.out.splitlines(), strict=True):
        assert f'"payload":{text},"filter"' in line
        assert "payload_base64" not in line and "payload_text" not in line


def test_any_other_payload_keeps_its_bytes(hub, client, tmp_path):
    pixi = client(hub())
    listener = pixi.listen("event/bytes", "-n", str(len(OTHER_BYTES)))
    for data in OTHER_BYTES:
        file = tmp_path / "payload"
        file.write_bytes(data)
        pixi.ok("send", "event/bytes", "--file", file)
    assert listener.wait() == 0, listener
    for data, message in zip(OTHER_BYTES, lines(listener.out), strict=True):
        assert payload_of(message) == data, message
        assert "payload" not in message
        try:
            text = data.decode() or None
        except UnicodeDecodeError:
            text = None
        assert message.get("payload_text") == text


def test_a_request_keeps_the_bytes_of_both_payloads(hub, client, tmp_path):
    """What responder and asker see is what the other gave, JSON or not."""
    s = hub()
    pixi = client(s)
    asked, answered = [" 12 ", '{"a":  1}', "hello", ""], [b"\x00\xff", b"[ 1,2 ]", b" 3", b""]
    with Rpc(s) as responder:
        responder.subscribe("request/bytes")
        for question, answer in zip(asked, answered, strict=True):
            asker = pixi.spawn("--json", "request", "request/bytes", question)
            got = responder.note()
            assert got.get("payload") == (json.loads(question) if question == asked[1] else None)
            assert payload_of(got) == (None if question == asked[1] else question.encode())
            reply = {"payload_base64": base64.b64encode(answer).decode()}
            responder.call("reply", request=got["request"], **reply)
            assert asker.wait() == 0, asker
            if answer == answered[1]:
                assert asker.out == '{"payload":[ 1,2 ]}\n'
            else:
                assert json.loads(asker.out) == reply


def test_retained(hub, client):
    pixi = client(hub())
    pixi.ok("send", "--retain", "scene/objects/7", '{"v":1}')
    pixi.ok("send", "-r", "scene/objects/7", '{"v":2}')
    pixi.ok("send", "-r", "scene/objects/8", "8")
    got = lines(pixi.ok("listen", "-n", "2", "scene/#"))
    assert [(m["topic"], m["payload"], m["retained"]) for m in got] == [
        ("scene/objects/7", {"v": 2}, True),
        ("scene/objects/8", 8, True),
    ]
    pixi.ok("send", "-r", "scene/objects/7", "")  # empty removes
    without = pixi.listen("scene/#", "--no-retained", "-n", "1")
    with_them = pixi.listen("scene/#", "-n", "2")
    pixi.ok("send", "scene/objects/9", "9")
    assert without.wait() == 0 and with_them.wait() == 0
    assert [m["topic"] for m in lines(without.out)] == ["scene/objects/9"]
    got = lines(with_them.out)
    assert [m["topic"] for m in got] == ["scene/objects/8", "scene/objects/9"]
    assert "retained" not in got[1]


def test_expiry(hub, client):
    s = hub()
    pixi = client(s)
    pixi.ok("send", "-r", "--expiry", "1", "event/short", "1")
    pixi.ok("send", "-r", "--expiry", "1000", "event/long", "2")

    with Rpc(s) as link:
        deadline = time.monotonic() + 10
        while len(link.call("history", filter="event/#")["messages"]) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.02)  # time has to pass: nothing tells of an expiry
    assert [m["topic"] for m in lines(pixi.ok("listen", "-n", "1", "event/#"))] == ["event/long"]


def test_wildcards(hub, client):
    pixi = client(hub())
    listeners = {f: pixi.listen(f) for f in ("event/+/x", "event/#", "#", "+/x", "event", "/event")}
    topics = ["event", "event/", "event/x", "event/a/x", "event/a/b/x", "other/x", "/event", "end"]
    for topic in topics:
        pixi.ok("send", topic, "1")
    listeners["#"].wait_line('"end"')
    for proc in listeners.values():  # each link's messages go out in the order of publishing, so all have theirs
        proc.stop()
    got = {f: [m["topic"] for m in lines(p.out)] for f, p in listeners.items()}
    assert got == {
        "event/+/x": ["event/a/x"],
        "event/#": ["event", "event/", "event/x", "event/a/x", "event/a/b/x"],
        "#": topics,
        "+/x": ["event/x", "other/x"],
        "event": ["event"],
        "/event": ["/event"],
    }


def test_dollar_topics_are_the_servers(hub, client):
    pixi = client(hub())
    done = pixi.run("send", "$SYS/x", "1")
    assert done.returncode == 8 and "not allow" in done.stderr, done


def test_a_message_that_is_too_large_on_its_way(hub, client):
    pixi = client(hub(), LIMITS_MESSAGE_BYTES=100_000)
    for command in ("send", "request"):
        done = pixi.run(command, "request/a", "x" * 99_000)
        assert done.returncode == 2
        assert "a message of 99000 bytes, in base64 as it is no JSON, is over limits.message_bytes (100000)" in done.stderr


def test_several_filters_and_the_settings_own(hub, client, settings):
    s = hub()
    pixi = client(s, SETTINGS=settings(subscriptions=["event/a", "event/b"]))
    listener = pixi.spawn("listen", "-n", "2")
    listener.wait_line("listening to event/b")
    pixi.ok("send", "event/b", "1")
    pixi.ok("send", "event/a", "2")
    assert listener.wait() == 0
    assert [m["filter"] for m in lines(listener.out)] == ["event/b", "event/a"]
    done = client(s).run("listen")
    assert done.returncode == 2 and "subscriptions" in done.stderr


def test_each_matching_subscription_gets_its_own(hub, client):
    pixi = client(hub())
    listener = pixi.spawn("listen", "event/+", "event/#", "-n", "2")
    listener.wait_line("listening to event/#")
    pixi.ok("send", "event/a", "1")
    assert listener.wait() == 0
    assert sorted(m["filter"] for m in lines(listener.out)) == ["event/#", "event/+"]


def test_a_narrow_key(hub, client):
    s = hub(keys={"narrow": ("event/mine/#", "event/+/shared")})
    pixi = client(s, key=s.keys["narrow"])
    pixi.ok("send", "event/mine/a", "1")
    for args in (["send", "event/other", "1"], ["request", "request/x"], ["listen", "event/#"]):
        done = pixi.run(*args)
        assert done.returncode == 8 and ": key: " in done.stderr and "fix: " in done.stderr, done
    for args in (["send", "event/other", "1"], ["request", "request/x"], ["listen", "event/#"]):
        failure = json.loads(pixi.run("--json", *args).stderr.splitlines()[-1])
        assert failure["layer"] == "key" and failure["exit"] == 8 and failure["error"] == "FORBIDDEN"
    listener = pixi.spawn("listen", "event/#", "event/+/shared", "-n", "1")  # one stands, one does not
    listener.wait_line("no longer listened to")
    listener.wait_line(r"listening to event/\+/shared")
    client(s).ok("send", "event/x/shared", "1")
    assert listener.wait() == 0


def test_ten_thousand_lines_in_order_exactly_once(hub, client):
    pixi = client(hub())
    listener = pixi.listen("event/lines", "-n", "10000")
    done = pixi.run("--json", "send", "event/lines", "-", input="".join(f"{i}\n" for i in range(10000)))
    assert done.returncode == 0, done.stderr
    assert listener.wait(60) == 0
    assert [m["payload"] for m in lines(listener.out)] == list(range(10000))
    assert [m["offset"] for m in lines(listener.out)] == [m["offset"] for m in lines(done.stdout)]


def test_lines_of_all_sizes_stay_in_order(hub, client):
    """Large ones fill the send queue; a small one behind must not pass them by. What a slow listener missed is still
    there."""
    s = hub(history=[{"filter": "#", "max_bytes": 1 << 27}])
    pixi = client(s)
    listener = pixi.listen("event/sizes", "-n", "60")
    sender = pixi.spawn("send", "event/sizes", "-")
    sender.write('["",0]\n')
    listener.wait_line('"",0')
    os.kill(s.proc.pid, signal.SIGSTOP)
    for i in range(1, 60):
        sender.write(f'["{"x" * (900_000 if i % 4 else 1)}",{i}]\n')
    sender.close_input()  # all but what the pipe holds has been read: more than the queue of 16 MiB
    os.kill(s.proc.pid, signal.SIGCONT)
    assert sender.wait() == 0 and "60 messages stored" in sender.err
    assert listener.wait() == 0
    assert [m["payload"][1] for m in lines(listener.out)] == list(range(60))


def test_a_small_send_queue_only_slows(hub, client):
    """It is full many times in one turn of the loop, before the socket ever is."""
    s = hub()
    pixi = client(s, LIMITS_QUEUE_BYTES=2048, LIMITS_MESSAGE_BYTES=1024)
    assert "1000 messages stored" in pixi.run("send", "event/a", "-", input="1\n" * 1000, timeout=20).stderr
    ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
    assert pixi.ok("connect", "--protocol", "pixi.v1", input=ping * 1000, timeout=20).count("time_ms") == 1000


@pytest.mark.parametrize("queue_bytes", [2**20, 2**23])
def test_the_largest_message_comes_through(hub, client, queue_bytes):
    """A listener gets whatever its server took, though the server adds to it; so does who asks for history."""
    s = hub(limits__queue_bytes=queue_bytes)
    pixi = client(s, LIMITS_QUEUE_BYTES=queue_bytes)
    topic = "event/" + "x/" * 50
    listener = pixi.listen("event/" + "+/" * 50 + "#", "-n", "2")
    with Rpc(s) as link:
        params = {"topic": topic, "payload": ""}
        call = {"jsonrpc": "2.0", "id": 1, "method": "publish", "params": params}
        params["payload"] = "y" * (2**20 - len(json.dumps(call)))
        assert len(json.dumps(call)) == 2**20
        assert "result" in link.exchange(json.dumps(call))
        link.publish(topic, 2)
        page = link.call("history", filter="#")
        assert page["messages"][0]["payload"] == params["payload"]
    assert listener.wait() == 0, listener.err
    assert json.loads(listener.out.splitlines()[0])["payload"] == params["payload"]


def test_lines_with_and_without_a_last_break(hub, client):
    pixi = client(hub())
    assert "3 messages stored" in pixi.run("send", "event/a", "-", input="1\n\n3").stderr
    assert "0 messages stored" in pixi.run("send", "event/a", "-", input="").stderr
    assert pixi.run("send", "event/a", input="ignored").returncode == 0  # without "-" nothing is read


def test_one_line_too_large_for_the_server(hub, client):
    """The server closes with 1009 while many calls wait: nothing is sent again, and what failed is said once."""
    pixi = client(hub(limits__message_bytes=2000))
    text = "1\n" * 50 + "x" * 5000 + "\n" + "2\n" * 100
    done = pixi.run("send", "event/a", "-", input=text)
    assert done.returncode == 9, done
    assert done.stderr.count("1009") == 1 and "this one and what follows were not" in done.stderr


def test_one_line_too_large_for_the_client(hub, client):
    pixi = client(hub(), LIMITS_MESSAGE_BYTES=2000)
    done = pixi.run("send", "event/a", "-", input="1\n" + "x" * 5000 + "\n")
    assert done.returncode == 2 and "limits.message_bytes" in done.stderr, done


def test_files(hub, client, tmp_path):
    pixi = client(hub())
    responder = pixi.listen("request/file", "--reply", '{"ok":true}', "-n", "1")
    big = tmp_path / "big"
    big.write_bytes(b"\xff" * 700_000)
    assert pixi.ok("request", "request/file", "--file", big) == '{"ok":true}\n'
    responder.wait()
    assert payload_of(json.loads(responder.out)) == b"\xff" * 700_000
    done = pixi.run("send", "event/a", "--file", tmp_path / "none")
    assert done.returncode == 2 and "No such file" in done.stderr
    done = pixi.run("send", "event/a", "--file", big, env={"PIXI_WS_LIMITS_MESSAGE_BYTES": "100000"})
    assert done.returncode == 2 and "limits.message_bytes" in done.stderr


def test_request_and_reply(hub, client):
    s = hub()
    pixi = client(s)
    responder = pixi.listen("request/route", "--reply", '{"to": "B"}', "-n", "2")
    assert pixi.ok("request", "request/route", '{"from":"A"}', "-H", "n=v") == '{"to": "B"}\n'
    assert json.loads(pixi.ok("--json", "request", "request/route", "-", input="raw")) == {"payload": {"to": "B"}}
    assert responder.wait() == 0
    first, second = lines(responder.out)
    assert (first["payload"], first["headers"]) == ({"from": "A"}, [["n", "v"]])
    assert re.fullmatch("[0-9a-f]{16}", first["request"]) and "offset" not in first
    assert second["payload_text"] == "raw" and second["request"] != first["request"]
    with Rpc(s) as link:
        assert link.call("history", filter="#")["messages"] == []  # requests are never stored
        link.subscribe("request/error")
        asker = pixi.spawn("request", "request/error", "1")
        link.call("reply", request=link.note()["request"], error={"code": 17, "message": "the bridge\nis up"})
        assert asker.wait() == 1
        assert "the bridge" in asker.err and asker.err.count("\n") == 2  # no break of theirs gets through
        asker = pixi.spawn("--json", "request", "request/error", "1")
        link.call("reply", request=link.note()["request"], payload=1, headers=[["a", "b"]])
        assert asker.wait() == 0 and asker.out == '{"payload":1,"headers":[["a","b"]]}\n'


def test_json_output_parses(hub, client):
    """Every line on either stream, also where topics and server texts hold quotes and control characters."""
    s = hub()
    pixi = client(s)
    topic = 'event/"quoted"\\\t{x}'
    listener = pixi.listen("event/#", "-n", "1")
    assert json.loads(pixi.ok("--json", "send", topic, "1"))["topic"] == topic
    assert listener.wait() == 0 and json.loads(listener.out)["topic"] == topic
    for args, code in [
        (["request", "request/nobody"], 12),
        (["send", "a/#", "1"], 2),
        (["--url", "ws://127.0.0.1:1/", "send", "a", "1"], 5),
        (["--url", s.url + "x", "send", "a", "1"], 7),
    ]:
        done = pixi.run("--json", *args)
        failure = json.loads(done.stderr)
        assert done.returncode == failure["exit"] == code and done.stdout == "", done
        assert set(failure) == {"layer", "cause", "fix", "error", "exit"} and all(failure.values())


@pytest.mark.parametrize(
    "args, code, said",
    [
        ("send a 1 --json --url ws://127.0.0.1:1/", 5, '"error":"CONNECT"'),
        ("send a -ju ws://127.0.0.1:1/ 1", 5, '"error":"CONNECT"'),
        ("send a 1 -uws://127.0.0.1:1/", 5, "127.0.0.1 port 1"),
        ("send -re 5 a 1 --url=ws://127.0.0.1:1/", 5, "127.0.0.1 port 1"),
        ("verify --settings /nowhere", 3, "/nowhere: found no file"),
        ("listen -V", 0, "pixi-ws-client "),
        ("send a --url", 2, "an argument is missing after --url"),
        ("send a -ru ws://127.0.0.1:1/ 1", 2, "unknown option"),
        ("send --expiry --json a 1", 2, "--expiry"),
        ("send a 1 -- --json", 2, "at most one payload"),
        ("config init --url http://x", 3, "--url"),
    ],
)
def test_the_programs_options_may_stand_behind_the_command(client, hub, args, code, said):
    """The command's own come first, and an option's argument is no option."""
    done = client(hub()).run(*args.split())
    assert done.returncode == code and said in done.stdout + done.stderr, done


def test_listen_into_head(hub, client, command):
    """`listen | head -1`: head has gone when a later message is written, and nothing is wrong with that."""
    pixi = client(hub())
    listen = shlex.join(command(["pixi-ws-client", "listen", "event/#"]))
    shell = pixi.shell(f"{listen} | head -1; echo exit ${{PIPESTATUS[0]}}")
    shell.wait_line("listening to", stream="err")
    for i in range(100):
        pixi.ok("send", "event/a", str(i))
        if "exit" in shell.out:
            break
    assert shell.wait() == 0
    first, end = shell.out.splitlines()
    assert json.loads(first)["payload"] == 0 and end == "exit 0"
    assert shell.err.count("\n") == 2, shell.err  # connected, listening


def test_send_reads_from_a_pipe_as_it_comes(hub, client):
    """A line is sent when it is there, not at the end."""
    pixi = client(hub())
    listener = pixi.listen("event/#")
    sender = pixi.spawn("send", "event/a", "-")
    for i in range(3):
        sender.write(f"{i}\n")
        listener.wait_line(f'"payload":{i},')
    sender.close_input()
    assert sender.wait() == 0
