"""Settings: schema, reader and docs say the same; every mistake has its line; keys are never shown."""

import json
import re
import subprocess

import jsonschema
import pytest

KEY = "pk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
URL = "ws://127.0.0.1:8768/api/v1"
CLIENT, SERVER = "websocket_settings", "pixi_ws_server"
MIB = 1 << 20


def client(**members):
    return {"url": URL, **members}


# What both must accept, and both must refuse. Names say what each is about.
GOOD = {
    CLIENT: {
        "url": client(),
        "unix": {"url": "unix:/run/pixi-ws/pixi.sock"},
        "unix in capitals": {"urls": ["UNIX:/a"]},
        "tls url": {"url": "wss://pixi.example.org"},
        "query": {"url": "ws://h/?q=1&monkey=2"},
        "percent": {"url": "ws://h/a%20b"},
        "ipv6": {"url": "ws://[::1]:1/"},
        "scheme in capitals": {"url": "WS://h:65535"},
        "urls": {"urls": [URL, "ws://b"]},
        "eight urls": {"urls": [f"ws://h{i}" for i in range(8)]},
        "schema": client(**{"$schema": "x.json"}),
        "key variable": client(api_key_env="PIXI_TEST_KEY"),
        "name": client(tls={"server_name": "pixi.example"}),
        "pin": client(tls={"pin_sha256": ["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]}),
        "min version": client(tls={"min_version": "1.3"}),
        "dialect": client(dialect="pixi.v1"),
        "mqtt": client(dialect="mqtt", client_id="tram 7", mqtt={"version": 4, "qos": 2, "clean_start": True, "session_expiry_s": 0}),
        "will": client(dialect="mqtt", mqtt={"will_topic": "gone/tram", "will_payload": "", "will_qos": 0, "will_retain": True, "will_delay_s": 4294967295}),
        "mqtt's topics": client(mqtt={"reply_topic": "a/$b", "username": "u"}),
        "plaintext": client(allow_plaintext=True),
        "no subscriptions": client(subscriptions=[]),
        "filters": client(subscriptions=["#", "+", "a/+/#", "/", "a//b", "$SYS/#", "$share/g/a/#", "$share/g/+"]),
        "empty group": client(timeouts={}),
        "least": client(timeouts={"connect_ms": 1}, limits={"message_bytes": 1024}),
        "most": client(timeouts={"connect_ms": 600000, "request_ms": 3600000}),
        "reconnect": client(reconnect={"initial_ms": 5, "max_ms": 5}),
        "limits": client(limits={"message_bytes": MIB, "queue_bytes": 1 << 32}),
        "keepalive": client(keepalive={"interval_ms": 1, "timeout_ms": 1}),
        "compression": client(compression=True),
        "proxy": client(proxy={"url": "http://127.0.0.1:3128"}),
        "proxy by name": client(proxy={"url": "proxy.example.org"}),
        "proxy of two": client(proxy={"url": "SOCKS5H://[::1]:1080/"}),
        "proxy with a user": client(proxy={"url": "socks5://u:p%40:x@h"}),
        "proxy's user": client(proxy={"url": "http://h", "username": "u"}),
        "user with a slash": client(proxy={"url": "socks5://u:a%2Fb@h"}),
        "no proxy": client(proxy={"no_proxy": ["*", "a", ".b.c", "*.b:1", "10.0.0.0/8", "::1", "[::1]:80", "fe80::/10"]}),
        "no rules": client(proxy={"no_proxy": []}),
        "outbox": client(outbox={"path": "x", "bytes": 65536, "age_s": 0, "when_full": "drop_oldest"}),
        "allow": client(daemon={"allow": [{"uid": 0, "publish": ["#"]}, {"gid": 5, "subscribe": ["a/+", "#"]}, {}]}),
        "socket": client(daemon={"socket": "/x", "improve": False, "metrics_file": "m.prom"}),
    },
    SERVER: {
        "nothing": {},
        "schema": {"$schema": "x.json"},
        "listen": {"listen": ["127.0.0.1:0", "[::1]:65535", "localhost:1", ":0"]},
        "insecure": {"listen": ["0.0.0.0:0"], "insecure": True},
        "keys": {"keys_file": "/nowhere/x.keys"},
        "data": {"data": "/nowhere/data"},
        "origins": {"origins": ["*", "https://example.org", "http://localhost:8080", "http://[::1]:1"]},
        "no history": {"history": []},
        "history": {"history": [{"filter": "a/#"}, {"filter": "b", "max_messages": 1, "max_bytes": 1, "max_age_s": 1}]},
        "limits": {"limits": {"connections": 1, "queue_bytes": MIB}},
        "compression": {"compression": {"enabled": True, "min_bytes": 1, "level": 9}},
        "drain at once": {"drain_ms": 0},
        "workers": {"workers": 1},
    },
}

BAD = {
    CLIENT: {
        "no url": {},
        "null": None,
        "list": [],
        "url and urls": {"url": URL, "urls": [URL]},
        "no urls": {"urls": []},
        "nine urls": {"urls": [f"ws://h{i}" for i in range(9)]},
        "url of a number": {"url": 5},
        "http": {"url": "http://h/"},
        "unix by name": {"url": "unix:pixi.sock"},
        "unix without a path": {"url": "unix:"},
        "long unix": {"url": "unix:/" + "a" * 107},
        "no host": {"url": "ws://"},
        "user": {"url": "ws://u:hunter2@h/"},
        "fragment": {"url": "ws://h/#x"},
        "key in the query": {"url": "ws://h/?a=b&api_key=hunter2"},
        "token in the query": {"url": "ws://h/?Token=hunter2"},
        "space": {"url": "ws://h/a b"},
        "brace": {"url": "ws://h/{a}"},
        "half percent": {"url": "ws://h/%4"},
        "port 0": {"url": "ws://h:0/"},
        "port 65536": {"url": "ws://h:65536/"},
        "no port": {"url": "ws://h:/"},
        "short IPv4": {"url": "ws://127.1/"},
        "large IPv4": {"url": "ws://256.0.0.1/"},
        "long url": {"url": "ws://h/" + "a" * 2042},
        "two keys": client(api_key_file="a", api_key_env="B"),
        "short key": client(api_key="x" * 15),
        "long key": client(api_key="x" * 513),
        "key with a space": client(api_key="x" * 16 + " y"),
        "key of a number": client(api_key=1234567890123456),
        "empty key file": client(api_key_file=""),
        "bad variable": client(api_key_env="A-B"),
        "key for a variable": client(api_key_env=KEY),
        "empty name": client(tls={"server_name": ""}),
        "name with a space": client(tls={"server_name": "a b"}),
        "short pin": client(tls={"pin_sha256": ["47DEQpj8"]}),
        "old version": client(tls={"min_version": "1.1"}),
        "key without certificate": client(tls={"key_file": "k.pem"}),
        "dialect": client(dialect="mqtt5"),
        "client id": client(client_id=""),
        "long client id": client(client_id="x" * 129),
        "mqtt version": client(mqtt={"version": 3}),
        "qos": client(mqtt={"qos": 3}),
        "qos in a string": client(mqtt={"qos": "1"}),
        "reply topic": client(mqtt={"reply_topic": "a/#"}),
        "will topic": client(mqtt={"will_topic": ""}),
        "will without a topic": client(mqtt={"will_payload": "x"}),
        "will delay": client(mqtt={"will_topic": "w", "will_delay_s": -1}),
        "plaintext": client(allow_plaintext="yes"),
        "compression as an object": client(compression={}),
        "plaintext number": client(allow_plaintext=1),
        "filter": client(subscriptions=["a#"]),
        "filter in the middle": client(subscriptions=["#/a"]),
        "plus": client(subscriptions=["a+/b"]),
        "empty filter": client(subscriptions=[""]),
        "share without group": client(subscriptions=["$share//a"]),
        "share of a wildcard": client(subscriptions=["$share/+/a"]),
        "share without filter": client(subscriptions=["$share/g/"]),
        "share in a share": client(subscriptions=["$share/g/$share/h/a"]),
        "filter of a number": client(subscriptions=[1]),
        "65 filters": client(subscriptions=["a"] * 65),
        "subscription string": client(subscriptions="a"),
        "unknown": client(apikey="x"),
        "unknown in a group": client(timeouts={"conect_ms": 1}),
        "dotted": client(**{"timeouts.connect_ms": 1}),
        "group of a number": client(timeouts=5),
        "zero": client(timeouts={"connect_ms": 0}),
        "too much": client(timeouts={"connect_ms": 600001}),
        "negative": client(timeouts={"close_ms": -1}),
        "half": client(timeouts={"close_ms": 1.5}),
        "string": client(timeouts={"upgrade_ms": "5000"}),
        "null value": client(keepalive={"interval_ms": None}),
        "proxy by https": client(proxy={"url": "https://hunter2@h"}),
        "proxy without a host": client(proxy={"url": "http://hunter2@"}),
        "proxy with a path": client(proxy={"url": "http://u:hunter2@h/x"}),
        "proxy's port": client(proxy={"url": "http://u:hunter2@h:65536"}),
        "proxy without a name": client(proxy={"url": "http://:hunter2@h"}),
        "proxy as a string": client(proxy="http://u:hunter2@h"),
        "user without a proxy": client(proxy={"username": "u"}),
        "user with a colon": client(proxy={"url": "http://h", "username": "u:hunter2"}),
        "no password file": client(proxy={"url": "http://h", "password_file": ""}),
        "rule with a space": client(proxy={"no_proxy": ["a b"]}),
        "empty rule": client(proxy={"no_proxy": [""]}),
        "65 rules": client(proxy={"no_proxy": ["a"] * 65}),
        "small outbox": client(outbox={"bytes": 65535}),
        "full": client(outbox={"when_full": "drop"}),
        "socket by name": client(daemon={"socket": "pixi.sock"}),
        "long socket": client(daemon={"socket": "/" + "x" * 107}),
        "allowed share": client(daemon={"allow": [{"subscribe": ["$share/g/a"]}]}),
        "allowed user": client(daemon={"allow": [{"uid": -1}]}),
        "allowed name": client(daemon={"allow": [{"user": "root"}]}),
        "small message": client(limits={"message_bytes": 1023}),
        "large queue": client(limits={"queue_bytes": (1 << 32) + 1}),
    },
    SERVER: {
        "list": [],
        "listen string": {"listen": "127.0.0.1:1"},
        "listen nowhere": {"listen": []},
        "no port": {"listen": ["127.0.0.1"]},
        "large port": {"listen": ["127.0.0.1:65536"]},
        "short IPv4": {"listen": ["127.1:80"]},
        "IPv4 in one number": {"listen": ["2130706433:80"]},
        "name": {"listen": ["example.org:80"]},
        "bare IPv6": {"listen": ["::1:80"]},
        "17 listeners": {"listen": ["127.0.0.1:0"] * 17},
        "insecure": {"insecure": "true"},
        "keys": {"keys_file": ""},
        "data": {"data": ""},
        "data of a number": {"data": 5},
        "origin with a path": {"origins": ["https://example.org/"]},
        "origin in capitals": {"origins": ["https://Example.org"]},
        "origin without a scheme": {"origins": ["example.org"]},
        "origin null": {"origins": ["null"]},
        "history object": {"history": {}},
        "history string": {"history": ["#"]},
        "history without filter": {"history": [{"max_messages": 1}]},
        "history of a share": {"history": [{"filter": "$share/g/a"}]},
        "history unknown": {"history": [{"filter": "a", "max_age": 1}]},
        "history of nothing": {"history": [{"filter": "a", "max_messages": 0}]},
        "33 histories": {"history": [{"filter": f"a{i}"} for i in range(33)]},
        "limits": {"limits": {"connections": 0}},
        "limits unknown": {"limits": {"conections": 1}},
        "compression as a switch": {"compression": True},
        "compression of nothing": {"compression": {"min_bytes": 0}},
        "no compression": {"compression": {"level": 0}},
        "drain": {"drain_ms": 600001},
        "workers": {"workers": 2},
        "unknown": {"port": 1},
    },
}


def cases(corpus):
    return [pytest.param(which, text, id=f"{which}: {name}") for which in corpus for name, text in corpus[which].items()]


@pytest.fixture
def schema(root):
    def schema(which):
        return json.loads((root / f"config/{which}.schema.json").read_text())

    return schema


@pytest.fixture
def check(run, tmp_path):
    """check(which, text) -> the process; text is a file's text, or what becomes JSON. The file is private."""

    def check(which, text, env=None, command="check", *options):
        path = tmp_path / f"{which}.json"
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        path.chmod(0o600)
        if which == CLIENT:
            args = ["pixi-ws-client", "--settings", path.name, "config", command, *options]
        else:
            args = ["pixi-ws-server", "config", command, "--config", path.name, *options]
        return run(args, env={"PIXI_TEST_KEY": KEY, **(env or {})}, cwd=tmp_path)

    return check


@pytest.mark.parametrize("which", [CLIENT, SERVER])
def test_schema_is_one(schema, which):
    jsonschema.Draft202012Validator.check_schema(schema(which))


@pytest.mark.parametrize("which, text", cases(GOOD))
def test_both_accept(schema, check, which, text):
    jsonschema.validate(text, schema(which), jsonschema.Draft202012Validator)
    done = check(which, text)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{which}.json: ok\n")


@pytest.mark.parametrize("which, text", cases(BAD))
def test_both_refuse(schema, check, which, text):
    assert not jsonschema.Draft202012Validator(schema(which)).is_valid(text)
    done = check(which, json.dumps(text))
    assert done.returncode == 3
    assert re.match(rf"{which}\.json:(\d+:\d+: )?", done.stderr)
    assert "found" in done.stderr and "hunter2" not in done.stderr and "x" * 15 not in done.stderr


def members(properties, prefix=""):
    for name, what in properties.items():
        if what.get("type") == "object":
            yield from members(what["properties"], f"{name}.")
        else:
            yield prefix + name, what


@pytest.fixture
def shown(run, tmp_path):
    """shown(which) -> what `config show --json` says without any file: every member of the reader's table."""

    def shown(which):
        if which == CLIENT:
            done = run(["pixi-ws-client", "--json", "config", "show"], env={"PIXI_WS_URL": URL}, cwd=tmp_path)
        else:
            done = run(["pixi-ws-server", "config", "show", "--json"], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["members"]

    return shown


@pytest.mark.parametrize("which", [CLIENT, SERVER])
def test_schema_and_reader_have_the_same_members(schema, shown, which):
    want = dict(members(schema(which)["properties"]))
    got = shown(which)
    assert list(got) == list(want)
    for name, what in want.items():
        if "default" in what:
            assert got[name]["value"] == what["default"], name
        elif name != "url":
            assert got[name]["value"] in (None, []), name
        assert what["description"].endswith("."), name


def doc_rows(root):
    """The rows of docs/settings.md's tables: the heading they stand under, and their cells."""
    heading = ""
    for line in (root / "docs/settings.md").read_text().splitlines():
        if line.startswith("## "):
            heading = line
        if line.startswith("| `"):
            yield heading, [cell.strip() for cell in line.strip("| ").split(" | ")]


@pytest.mark.parametrize("which, prefix", [(CLIENT, "PIXI_WS_"), (SERVER, "PIXI_WS_SERVER_")])
def test_every_member_has_its_row(root, schema, which, prefix):
    rows = {cells[0]: cells for heading, cells in doc_rows(root) if which in heading and len(cells) == 5}
    want = dict(members(schema(which)["properties"]))
    assert list(rows) == [f"`{name}`" for name in want]
    for name, what in want.items():
        _, kind, default, env, meaning = rows[f"`{name}`"]
        assert default == (f"`{json.dumps(what['default'])}`" if "default" in what else "-"), name
        assert meaning == what["description"], name
        is_scalar = what.get("type") != "array" and name != "$schema"
        assert env == (f"`{prefix}{name.upper().replace('.', '_')}`" if is_scalar else "-"), name
        if what.get("type") == "integer" and what["minimum"] != what["maximum"]:
            assert kind == f"{what['minimum']} .. {what['maximum']}", name


@pytest.mark.parametrize("which, path", [(SERVER, ["history"]), (CLIENT, ["daemon", "allow"])])
def test_elements_of_lists_have_their_rows(root, schema, which, path):
    rows = {cells[0]: cells for heading, cells in doc_rows(root) if which in heading and len(cells) == 4}
    at = schema(which)
    for name in path:
        at = at["properties"][name]
    want = at["items"]["properties"]
    assert list(rows) == [f"`{name}`" for name in want]
    for name, what in want.items():
        default = f"`{json.dumps(what['default'])}`" if "default" in what else "needed"
        assert rows[f"`{name}`"][2:] == [default, what["description"]]


@pytest.mark.parametrize("which, prefix", [(CLIENT, "PIXI_WS_"), (SERVER, "PIXI_WS_SERVER_")])
def test_every_variable_works(schema, check, which, prefix):
    """Each scalar's environment variable beats the file, and a wrong one is told by its name."""
    base = client() if which == CLIENT else {}
    for name, what in members(schema(which)["properties"]):
        env = prefix + name.upper().replace(".", "_")
        if what.get("type") == "integer" and name != "workers":
            value = max(what["minimum"], 2 * MIB) if name.endswith("_bytes") else what["minimum"] + 1
            value = min(value, what["maximum"]) if "head" in name else value
            if name == "limits.queue_bytes":
                value = 64 * MIB
            if name == "reconnect.initial_ms":
                value = 501
            done = check(which, base, {env: str(value), f"{prefix}RECONNECT_MAX_MS": "30000"} if "initial" in name
                         else {env: str(value if name != "reconnect.max_ms" else 40000)}, "show")
            assert done.returncode == 0, done.stderr
            assert re.search(rf"^{re.escape(name)} .* environment: {env}$", done.stdout, re.M), name
        if what.get("type") in ("integer", "boolean"):
            done = check(which, base, {env: "fast"})
            assert done.returncode == 3
            assert done.stderr.startswith(f'environment: {env}: found "fast", expected ')


def test_file_env_flag(run, tmp_path):
    (tmp_path / "s.json").write_text(json.dumps({"url": "ws://file/"}))

    def url(*flags, **env):
        done = run(["pixi-ws-client", "--settings", "s.json", "--json", *flags, "config", "show"], env=env, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        member = json.loads(done.stdout)["members"]["url"]
        return member["value"], member["from"]

    assert url() == ("ws://file/", "s.json:1:9")
    assert url(PIXI_WS_URL="") == ("ws://file/", "s.json:1:9")
    assert url(PIXI_WS_URL="ws://env/") == ("ws://env/", "environment: PIXI_WS_URL")
    assert url("--url", "ws://flag/", PIXI_WS_URL="ws://env/") == ("ws://flag/", "--url")


def test_where_the_file_is_found(run, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/websocket_settings.json").write_text('{"url": "ws://found/"}')
    (tmp_path / "named.json").write_text('{"url": "ws://named/"}')
    (tmp_path / "flag.json").write_text('{"url": "ws://flag/"}')

    def said(*flags, **env):
        return run(["pixi-ws-client", *flags, "config", "check"], env=env, cwd=tmp_path).stdout

    assert said() == "config/websocket_settings.json: ok\n"
    assert said(PIXI_WS_SETTINGS="named.json") == "named.json: ok\n"
    assert said("--settings", "flag.json", PIXI_WS_SETTINGS="named.json") == "flag.json: ok\n"


def test_no_file_and_no_url(run, tmp_path):
    done = run(["pixi-ws-client", "config", "check"], cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr == (
        'settings: url: found none, expected "url" in config/websocket_settings.json '
        "(pixi-ws-client config init writes one), --url or PIXI_WS_URL\n"
    )


ALL_WRONG = """{
    "url": "http://h/",
    "timeouts": {"connect_ms": "fast", "conect_ms": 1},
    "timeouts": {},
    "keepalife": {"interval_ms": 1},
    "subscriptions": ["ok", "no#"],
    "allow_plaintext": null,
    "dialect": "mqtt5",
    "limits": [1],
    "reconnect": {"max_ms": 1},
    "api_key_file": "there_is_none"
    "x": "y"
}
"""

ALL_LINES = """\
websocket_settings.json:2:12: url: found an http:// or https:// URL, expected ws:// or wss://
websocket_settings.json:3:32: timeouts.connect_ms: found "fast", expected a whole number of milliseconds, 1 .. 600000
websocket_settings.json:3:40: timeouts.conect_ms: found an unknown member; did you mean "timeouts.connect_ms"?
websocket_settings.json:4:5: timeouts: found a second time, expected once (first at line 3, column 5)
websocket_settings.json:5:5: keepalife: found an unknown member; did you mean "keepalive"?
websocket_settings.json:6:29: subscriptions[1]: found "no#", expected a topic filter such as event/# (MQTT 5 §4.7)
websocket_settings.json:7:24: allow_plaintext: found null, expected true or false
websocket_settings.json:8:16: dialect: found "mqtt5", expected "pixi.v1" or "mqtt"
websocket_settings.json:9:15: limits: found a list, expected an object
"""


def test_all_mistakes_in_one_run(check):
    broken = check(CLIENT, ALL_WRONG)
    assert broken.returncode == 3
    assert broken.stdout == ""
    assert broken.stderr == ALL_LINES + "websocket_settings.json:12:5: found '\"', expected \",\" or \"}\"\n"
    whole = check(CLIENT, ALL_WRONG.replace('_none"', '_none",'))
    assert whole.stderr == ALL_LINES + 'websocket_settings.json:12:5: x: found an unknown member, expected one of url, urls, api_key, api_key_file, api_key_env, dialect, client_id, allow_plaintext, subscriptions, tls, proxy, mqtt, timeouts, keepalive, reconnect, compression, limits, outbox, daemon\n' + (
        "websocket_settings.json:11:21: api_key_file: found no file at there_is_none, expected a file with the API key "
        "(pixi-ws-client config init writes one)\n"
        "websocket_settings.json:10:29: reconnect.max_ms: found less than reconnect.initial_ms, expected 500 at least\n"
    )


def test_every_command_checks_first(run, tmp_path):
    (tmp_path / "s.json").write_text('{"url": 5}')
    line = (
        "s.json:1:9: url: found 5, expected ws://HOST[:PORT][/PATH] or wss://...\n"
        "  fix: correct what is listed; `pixi-ws-client config check` reads it again\n"
    )
    for command in (["send", "a", "1"], ["listen"], ["request", "request/a", "1"], ["verify"]):
        done = run(["pixi-ws-client", "--settings", "s.json", *command], cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (3, "", line), command
    (tmp_path / "w.json").write_text('{"workers": 2}')
    done = run(["pixi-ws-server", "--config", "w.json"], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "w.json:1:13: workers: found 2, expected 1: more workers are not built yet\n"
        "  fix: correct what is listed; `pixi-ws-server config check` reads it again\n"
    )


def test_check_in_json(check, run, tmp_path):
    check(CLIENT, {"url": 5})
    done = run(["pixi-ws-client", "--json", "--settings", f"{CLIENT}.json", "config", "check"], cwd=tmp_path)
    assert done.returncode == 3
    said = json.loads(done.stdout)
    assert said["ok"] is False and said["file"] == f"{CLIENT}.json"
    assert said["mistakes"] == [f"{CLIENT}.json:1:9: url: found 5, expected ws://HOST[:PORT][/PATH] or wss://..."]


@pytest.mark.parametrize(
    "make, found",
    [
        (lambda p: None, "no file"),
        (lambda p: p.mkdir(), "a folder"),
        (lambda p: subprocess.run(["mkfifo", p], check=True), "something that is not a regular file"),
        (lambda p: p.write_bytes(b" " * (MIB + 1)), "a file that is too large"),
    ],
    ids=["missing", "folder", "fifo", "large"],
)
def test_what_is_no_settings_file(run, tmp_path, make, found):
    make(tmp_path / "s.json")
    for args in (["pixi-ws-client", "--settings", "s.json", "config", "check"],
                 ["pixi-ws-server", "config", "check", "--config", "s.json"]):
        done = run(args, cwd=tmp_path)
        assert done.returncode == 3
        assert done.stderr == f"s.json: found {found}, expected a file with JSON, at most {MIB} bytes\n"


def test_largest_file_is_read(check):
    text = json.dumps(client())
    done = check(CLIENT, text + " " * (MIB - len(text)))
    assert done.returncode == 0, done.stderr


KEY_SOURCES = {
    "file": ({"api_key_file": "the_key"}, {}, "the_key"),
    "settings": ({"api_key": KEY}, {}, "api_key"),
    "named variable": ({"api_key_env": "PIXI_TEST_KEY"}, {}, "environment: PIXI_TEST_KEY"),
    "PIXI_WS_API_KEY": ({"api_key_file": "none"}, {"PIXI_WS_API_KEY": KEY}, "environment: PIXI_WS_API_KEY"),
    "PIXI_WS_API_KEY_FILE": ({"api_key_env": "NONE"}, {"PIXI_WS_API_KEY_FILE": "the_key"}, "the_key"),
}


@pytest.mark.parametrize("source", KEY_SOURCES)
def test_keys_are_never_shown(check, tmp_path, source):
    more, env, where = KEY_SOURCES[source]
    (tmp_path / "the_key").write_text(KEY + "\n")
    (tmp_path / "the_key").chmod(0o600)
    for command in ("check", "show"):
        done = check(CLIENT, client(**more), env, command)
        assert done.returncode == 0, done.stderr
        assert KEY[3:] not in done.stdout + done.stderr and KEY[3:15] not in done.stdout + done.stderr
    assert f"API key: pk_…(46 characters, from {where})\n" in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        client(url=KEY),
        client(api_key=KEY, api_key_env=KEY),
        client(api_key=KEY + " "),
        client(api_key=[KEY]),
        client(api_key_env=KEY),
        client(dialect=KEY),
        client(apikey=KEY),
        client(tls={"server_name": KEY + " "}),
        client(timeouts={"connect_ms": KEY}),
        client(subscriptions=[KEY + "#"]),
        {"url": f"ws://{KEY}@h/"},
        {"url": f"ws://h/?key={KEY}"},
        '{"url": "ws://h/", "api_key": "' + KEY,
        '{"url": "ws://h/", "api_key": "' + KEY + '\n"}',
        '{"url": "ws://h/", "api_key": ' + KEY + "}",
    ],
    ids=str,
)
def test_keys_are_not_in_mistakes(check, text):
    for command in ("check", "show"):
        done = check(CLIENT, text, None, command)
        assert done.returncode == 3
        assert KEY[3:15] not in done.stdout + done.stderr
        assert "found" in done.stderr


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_open_key_files(run, tmp_path, mode):
    (tmp_path / "config").mkdir()
    key, settings = tmp_path / "config/api_key", tmp_path / "config/websocket_settings.json"
    key.write_text(KEY)
    key.chmod(mode)
    settings.write_text('{"url": "ws://h/",\n "api_key_file": "api_key"}')
    done = run(["pixi-ws-client", "config", "check"], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        3,
        "config/websocket_settings.json:2:18: api_key_file: config/api_key is readable by others "
        f"(mode {mode:04o}); chmod 600 config/api_key\n",
    )
    settings.write_text(json.dumps({"url": "ws://h/", "api_key": KEY}))
    settings.chmod(mode)
    done = run(["pixi-ws-client", "config", "check"], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        3,
        "config/websocket_settings.json:1:31: api_key: config/websocket_settings.json is readable by others "
        f"(mode {mode:04o}); chmod 600 config/websocket_settings.json\n",
    )
    assert KEY[3:] not in done.stdout


def test_init(run, tmp_path):
    def init(*args, input=None):
        return run(["pixi-ws-client", "config", "init", *args], input=input, cwd=tmp_path)

    done = init("--url", "ws://127.0.0.1:1/x", "--key-stdin", input=KEY + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "config/api_key: written, mode 0600\nconfig/websocket_settings.json: written, mode 0600\n"
    key, settings = tmp_path / "config/api_key", tmp_path / "config/websocket_settings.json"
    assert key.read_text() == KEY + "\n"
    assert json.loads(settings.read_text()) == {"url": "ws://127.0.0.1:1/x", "api_key_file": "api_key"}
    assert key.stat().st_mode & 0o7777 == settings.stat().st_mode & 0o7777 == 0o600
    assert run(["pixi-ws-client", "config", "check"], cwd=tmp_path).returncode == 0

    again = init("--key-stdin", input=KEY + "\n")
    assert again.returncode == 3
    assert again.stderr == (
        "pixi-ws-client: settings: config init: config/websocket_settings.json is there already\n"
        "  fix: keep it, or let --force replace it\n"
        "pixi-ws-client: settings: config init: config/api_key is there already\n"
        "  fix: keep it, or let --force replace it\n"
    )
    assert "127.0.0.1:1" in settings.read_text()
    done = init("--force", "--url", "ws://other/")
    assert done.returncode == 0
    assert json.loads(settings.read_text()) == {"url": "ws://other/", "api_key_file": "api_key"}
    assert key.read_text() == KEY + "\n"


def test_init_without_a_key(run, tmp_path):
    done = run(["pixi-ws-client", "--url", "ws://h/", "config", "init", "here"], cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads((tmp_path / "here/websocket_settings.json").read_text()) == {"url": "ws://h/"}
    assert "no API key was given, so none will be sent" in done.stderr
    assert [p.name for p in (tmp_path / "here").iterdir()] == ["websocket_settings.json"]


@pytest.mark.parametrize("key", ["", "short", "x" * 513, KEY + " " + KEY, "x" * 100000])
def test_init_refuses_what_is_no_key(run, tmp_path, key):
    done = run(["pixi-ws-client", "config", "init", "--key-stdin"], input=key, cwd=tmp_path)
    assert done.returncode == 3
    assert "standard input: found" in done.stderr
    assert KEY[3:] not in done.stderr and "xxx" not in done.stderr
    assert not (tmp_path / "config").exists()


def test_init_refuses_a_bad_url(run, tmp_path):
    done = run(["pixi-ws-client", "config", "init", "--url", "ws://u:hunter2@h/"], cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr == (
        "pixi-ws-client: settings: config init: --url: found a URL with a user name or password, expected none in it: "
        "a key goes into api_key_file\n"
        "  fix: correct what stands behind --url\n"
    )
    assert not (tmp_path / "config").exists()


@pytest.mark.parametrize("args", [[], ["check", "x"], ["show", "x"], ["init", "a", "b"], ["burn"], ["check", "--x"]])
def test_usage(run, tmp_path, args):
    done = run(["pixi-ws-client", "config", *args], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    done = run(["pixi-ws-server", "config", *(a for a in args if a != "init")], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")


def test_help(run):
    for args in (["pixi-ws-client", "config", "--help"], ["pixi-ws-server", "config", "--help"],
                 ["pixi-ws-server", "key", "--help"]):
        done = run(args)
        assert (done.returncode, done.stderr) == (0, "")
        assert "--" in done.stdout


def test_templates(root, run, schema, tmp_path):
    """What is in the repository: right but for the key, which is not."""
    for which in (CLIENT, SERVER):
        jsonschema.validate(json.loads((root / f"config/{which}.json").read_text()), schema(which))
        (tmp_path / f"{which}.json").write_bytes((root / f"config/{which}.json").read_bytes())
    done = run(["pixi-ws-client", "--settings", f"{CLIENT}.json", "config", "check"], cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith(f"{CLIENT}.json:4:21: api_key_file: found no file at api_key, expected ")
    (tmp_path / "api_key").write_text(KEY)
    (tmp_path / "api_key").chmod(0o600)
    assert run(["pixi-ws-client", "--settings", f"{CLIENT}.json", "config", "check"], cwd=tmp_path).returncode == 0
    assert run(["pixi-ws-server", "config", "check", "--config", f"{SERVER}.json"], cwd=tmp_path).returncode == 0
    ignored = (root / ".gitignore").read_text().splitlines()
    assert "/config/api_key" in ignored and "/config/*.keys" in ignored


def test_key_add_list_revoke(run, tmp_path):
    def key(*args):
        return run(["pixi-ws-server", "key", *args, "--keys", "x.keys"], cwd=tmp_path)

    done = key("add", "tram-7", "--publish", "event/#", "--subscribe", "#", "--subscribe", "$SYS/#")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"pk_[A-Za-z0-9_-]{43}\n", done.stdout)
    assert done.stdout.strip() not in done.stderr
    assert done.stderr == "pixi-ws-server: x.keys: key of tram-7 added; it is not shown again\n"
    path = tmp_path / "x.keys"
    assert path.stat().st_mode & 0o7777 == 0o600
    assert done.stdout.strip()[3:] not in path.read_text()
    assert "may do nothing yet" in key("add", "mute").stderr

    listed = key("list")
    assert re.match(r"tram-7 +\d{4}-\d\d-\d\dT[\d:]{8}Z  publish event/#  subscribe # \$SYS/#\n", listed.stdout)
    entries = [json.loads(line) for line in key("list", "--json").stdout.splitlines()]
    assert [e["name"] for e in entries] == ["tram-7", "mute"]
    assert entries[0]["subscribe"] == ["#", "$SYS/#"] and "sha256" not in entries[0]

    taken = key("add", "tram-7")
    assert (taken.returncode, taken.stdout) == (3, "")
    assert taken.stderr == 'NAME: found "tram-7", which has a key in x.keys, expected a new name\n'
    assert key("revoke", "tram-7").returncode == 0
    assert [json.loads(line)["name"] for line in key("list", "--json").stdout.splitlines()] == ["mute"]
    assert key("revoke", "tram-7").returncode == 3
    assert key("revoke").returncode == key("add").returncode == key("burn").returncode == 2


def test_key_file_is_the_settings_one(run, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/pixi_ws_server.json").write_text('{"keys_file": "my.keys"}')
    assert run(["pixi-ws-server", "key", "add", "a"], cwd=tmp_path).returncode == 0
    assert (tmp_path / "config/my.keys").exists()
    done = run(["pixi-ws-server", "config", "check"], cwd=tmp_path)
    assert done.stdout == "config/pixi_ws_server.json: ok\nconfig/my.keys: ok, keys: 1\n"
    (tmp_path / "config/my.keys").chmod(0o644)
    done = run(["pixi-ws-server", "config", "check"], cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr == (
        "config/my.keys:1:10: keys: config/my.keys is readable by others (mode 0644); chmod 600 config/my.keys\n"
    )


def test_unwritable_keys(run, tmp_path):
    done = run(["pixi-ws-server", "key", "add", "a", "--keys", "not/there.keys"], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "not/there.keys: could not be written: No such file or directory\n"
