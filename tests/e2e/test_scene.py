"""`scene`: what is put on the map, moved, taken away; the city; and that the command and the schema say the same."""

import json
import random
import signal

import jsonschema
import pytest
from rpc import Rpc

TRAM = '{"x": 12, "y": 40, "sprite": "tram", "label": "Line 7"}'


@pytest.fixture
def map_of(hub, client):
    """A server and a client of it."""
    server = hub()
    return server, client(server)


def objects(server, topic_filter="scene/objects/#"):
    """What is on the map: {id: object}."""
    with Rpc(server) as link:
        link.call("subscribe", filter=topic_filter)
        link.note("synced")
        kept = [note["params"] for note in link._notes]
        return {m["topic"].removeprefix("scene/objects/"): m["payload"] for m in kept}


# --- put, move, remove


def test_put_move_and_remove(map_of):
    server, c = map_of
    assert c.ok("scene", "put", "tram-7", TRAM) == ""
    assert objects(server) == {"tram-7": json.loads(TRAM)}
    c.ok("scene", "move", "tram-7", "20", "-4.5")
    assert objects(server) == {"tram-7": {**json.loads(TRAM), "x": 20, "y": -4.5}}
    c.ok("scene", "put", "ä b", '{"x": 0, "y": 0}')
    c.ok("scene", "remove", "tram-7", "ä b", "never-there")
    assert objects(server) == {}


def test_the_bytes_are_sent_as_they_are(map_of, tmp_path):
    server, c = map_of
    file = tmp_path / "object.json"
    file.write_text('{"y" : 1.50, "x":1e1}')
    c.ok("scene", "put", "a", "--file", str(file))
    with Rpc(server) as link:
        link.send({"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": {"filter": "scene/#"}})
        link.recv()
        assert '"payload":{"y" : 1.50, "x":1e1}' in link.recv()


def test_each_line_is_the_objects_next_state(map_of):
    server, c = map_of
    with Rpc(server) as link:
        link.subscribe("scene/objects/a")
        lines = [f'{{"x": {i}, "y": 0}}\n' for i in range(600)]
        c.ok("scene", "put", "a", "-", input="".join(lines))
        assert [link.note()["payload"]["x"] for _ in range(600)] == list(range(600))


def test_a_mistake_is_refused_before_it_is_sent(map_of):
    server, c = map_of
    done = c.run("scene", "put", "a", '{"x": 1, "y": "2", "tnit": "#ff0000"}')
    assert done.returncode == 2 and done.stdout == ""
    assert 'object:1:15: y: found "2", expected a number, -1e+09 .. 1e+09' in done.stderr
    assert 'object:1:20: found the unknown member "tnit"; did you mean "tint"?' in done.stderr
    assert "fix: " in done.stderr
    done = c.run("--json", "scene", "put", "a", '{"x": 1}')
    told = json.loads(done.stderr)
    assert done.returncode == told["exit"] == 2 and told["layer"] == "scene" and len(told["mistakes"]) == 1
    done = c.run("scene", "put", "a", "-", input='{"x":1,"y":1}\n{"x":2}\n{"x":3,"y":1}\n')
    assert done.returncode == 2 and "standard input:2:1:1: y: found none" in done.stderr
    assert objects(server) in ({}, {"a": {"x": 1, "y": 1}})  # the first line was right
    assert c.ok("scene", "put", "b", TRAM, "--dry-run") == "" and "b" not in objects(server)


@pytest.mark.parametrize(
    "args",
    [
        [], ["paint"], ["put"], ["put", "a"], ["put", "a/b", TRAM], ["put", "a", TRAM, "more"], ["put", "x" * 129, TRAM],
        ["move", "a", "1"], ["move", "a", "1", "b"], ["move", "a", "1", "1e10"], ["move", "a", "0x1", "1"], ["remove"],
        ["remove", "#"], ["clear", "a", "b"], ["clear", "--all", "a"], ["demo", "now"], ["demo", "--objects", "100001"],
        ["demo", "--rate", "121"], ["put", "a", TRAM, "--rate", "5"], ["import"], ["import", "--format", "png", "x"],
        ["import", "--scale", "0", "x"],
    ],
)  # fmt: skip
def test_wrong_usage_needs_no_server(client, args):
    done = client(None, url="ws://127.0.0.1:1/api/v1", key="").run("scene", *args)
    assert done.returncode == 2 and done.stderr and not done.stdout, done


def test_what_cannot_be_moved(map_of, hub):
    server, c = map_of
    done = c.run("scene", "move", "nobody", "1", "1")
    assert done.returncode == 1 and "no object nobody is on the map" in done.stderr and "fix: " in done.stderr
    with Rpc(server) as link:
        link.publish("scene/objects/odd", {"x": 1}, retain=True)
    done = c.run("scene", "move", "odd", "1", "1")
    assert done.returncode == 2 and "the object on the map:1:1: y: found none" in done.stderr


def test_a_key_that_may_not(hub, client):
    s = hub(keys={"viewer": ("event/#", "scene/#"), "blind": ("scene/#", "event/#")})
    c = client(s)
    c.ok("scene", "put", "a", TRAM)
    viewer = client(s, key=s.keys["viewer"])
    for args in (["put", "a", TRAM], ["move", "a", "1", "1"], ["remove", "a"], ["demo"]):
        done = viewer.run("scene", *args)
        assert done.returncode == 8 and "fix: " in done.stderr, args
    assert client(s, key=s.keys["blind"]).run("scene", "move", "a", "1", "1").returncode == 8
    done = viewer.run("scene", "clear")
    assert done.returncode == 8 and "0 taken away; 1 may not be" in done.stderr
    assert list(objects(s)) == ["a"]


@pytest.mark.parametrize("args", [["move", "a", "1", "1"], ["clear"]])
def test_mqtt_does_not_say_when_all_has_come(client, args):
    c = client(None, url="ws://127.0.0.1:1/api/v1", key="pk_of-nobody_in-particular", DIALECT="mqtt")
    done = c.run("scene", *args)
    assert done.returncode == 3 and "fix: set \"dialect\" to \"pixi.v1\"" in done.stderr, done


def test_clear(map_of):
    server, c = map_of
    with Rpc(server) as link:
        for i in range(700):
            link.publish(f"scene/objects/{'ab'[i % 2]}{i}", {"x": i, "y": 0}, retain=True)
        link.publish("scene/tiles/0/0/0", {"color": "#ffffff"}, retain=True)
        link.publish("event/kept", 1, retain=True)
    assert "350 taken away" in c.run("scene", "clear", "a").stderr
    assert len(objects(server)) == 350 and all(name.startswith("b") for name in objects(server))
    assert c.run("scene", "clear").returncode == 0
    assert objects(server) == {} and len(objects(server, "scene/#")) == 1
    c.ok("scene", "clear", "--all")
    assert objects(server, "scene/#") == {} and len(objects(server, "#")) == 1
    assert "0 taken away" in c.run("scene", "clear").stderr


# --- the command and the schema


def variants(rng):
    """Objects, right and wrong, one wrong thing or two at a time."""
    right = [
        {"x": 0, "y": 0}, {"x": 1.5, "y": -1e9, "shape": "rect", "width": 3, "height": 4, "stroke": 1},
        {"x": 0, "y": 0, "shape": "line", "points": [[0, 0], [1, 2.5]]}, {"x": 0, "y": 0, "text": "ab", "size": 20, "z": 5},
        {"x": 0, "y": 0, "shape": "polygon", "points": [[0, 0], [1, 2], [3, 3]], "tint": "#00ff00"},
        {"x": 0, "y": 0, "sprite": "house", "alpha": 0.5, "label": "ä", "data": {"a": [1]}, "rotation": 1, "scale": 2},
    ]  # fmt: skip
    values = [
        None, True, 0, -1, 1, 2.5, 1e6, 1e6 + 1, 1e9, 2e9, 0.001, 1e-7, 1e4, 1001, "", "a", "circle", "polygon", "car",
        "#aabbcc", "#AABBCC", "#abc", "red", "x" * 256, "x" * 257, "ä" * 1024, "ä" * 1025, [], [1], [[0, 0]], [[0, 0], [1, 1]],
        [[0, 0], [1, 1], [2, 2]], [[0, 0], [1]], [[0, 0], [1, "1"]], [[0, 0], [1, 1, 1]], [[0, 0]] * 1024, [[0, 0]] * 1025, {},
        {"x": 1}, "data:image/png;base64,AAAA", "data:image/png;base64,AA==", "data:image/svg+xml;base64,AA==",
        "data:image/png;base64,", "😀" * 256, "😀" * 257,
    ]  # fmt: skip
    names = "x y shape sprite text width height points stroke size scale rotation tint alpha z label data velocity".split()
    for name in names:
        for value in values:
            yield {**rng.choice(right), name: value}
    for one in right:
        yield one
        for name in one:
            yield {n: v for n, v in one.items() if n != name}
    for _ in range(500):
        yield {**rng.choice(right), rng.choice(names): rng.choice(values), rng.choice(names): rng.choice(values)}
    yield from (None, 1, "a", [], [{"x": 0, "y": 0}])


def test_the_command_refuses_what_the_schema_refuses(root, client):
    schema = json.loads((root / "config/scene.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    wanted = jsonschema.Draft202012Validator({**schema["$defs"]["object"], "$defs": schema["$defs"]})
    some = list(variants(random.Random(8)))
    wrong = {i for i, one in enumerate(some, 1) if not wanted.is_valid(one)}
    assert 200 < len(wrong) < len(some) - 100
    c = client(None, url="ws://127.0.0.1:1/api/v1", key="")
    told = set()
    for start in range(0, len(some), 200):  # what is told at once is limited
        text = "".join(json.dumps(one) + "\n" for one in some[start : start + 200])
        done = c.run("scene", "put", "a", "-", "--dry-run", input=text)
        lines = [line.split(":") for line in done.stderr.splitlines() if line.startswith("standard input:")]
        told |= {start + int(line[1]) for line in lines}
        assert done.returncode == (2 if lines else 0)
    assert told == wrong, [some[i - 1] for i in sorted(told ^ wrong)][:5]


def test_docs_and_schema_name_the_same_members(root):
    page = (root / "docs/scene.md").read_text()
    schema = json.loads((root / "config/scene.schema.json").read_text())["$defs"]
    for heading, name in (("## Objects", "object"), ("## Tiles", "tile"), ("## Camera", "camera")):
        part = page[page.index(heading) :].split("\n## ")[0]
        rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
        members = [member.strip(" `") for row in rows for member in row.split(",")]
        assert members == list(schema[name]["properties"]), name
    sprites = schema["object"]["properties"]["sprite"]["anyOf"][0]["enum"]
    assert ", ".join(f"`{name}`" for name in sprites) in page.replace("\n", " ")


# --- the demo


def wait_moving(link, count):
    """So many moves of things that drive."""
    seen = {}
    while len(seen) < count:
        m = link.note()
        if m["payload"] and ("car" in m["topic"] or "tram" in m["topic"]) and "retained" not in m:
            seen[m["topic"]] = m["payload"]
    return seen


def test_the_city_moves_and_goes(map_of, root):
    server, c = map_of
    schema = json.loads((root / "config/scene.schema.json").read_text())
    valid = jsonschema.Draft202012Validator({**schema["$defs"]["object"], "$defs": schema["$defs"]})
    demo = c.spawn("scene", "demo", "--objects", "20", "--rate", "30")
    demo.wait_line("20 in motion, moved 30 times a second", stream="err")
    there = objects(server)
    assert len(there) > 100 and sum("car" in name or "tram" in name for name in there) == 20
    for name, one in there.items():
        assert name.startswith("demo-") and valid.is_valid(one), (name, one)
    with Rpc(server) as link:
        link.subscribe("scene/objects/#", batch_ms=20, retained=False)
        first = wait_moving(link, 20)
        for _ in range(50):
            last = wait_moving(link, 20)
            if all((last[t]["x"], last[t]["y"]) != (first[t]["x"], first[t]["y"]) for t in first):
                break
        else:
            raise AssertionError("something stands still")
    assert demo.stop(signal.SIGINT) == 0
    assert objects(server) == {} and "the city is taken away" in demo.err


def test_the_city_ends_by_itself_and_survives_a_restart(hub, client):
    s = hub()
    c = client(s, RECONNECT_INITIAL_MS=10, RECONNECT_MAX_MS=50)
    assert c.run("scene", "demo", "--objects", "5", "--seconds", "0.2").returncode == 0
    assert objects(s) == {}
    demo = c.spawn("scene", "demo", "--objects", "5")
    demo.wait_line("5 in motion", stream="err")
    s.proc.kill()
    s = hub(port=s.port)
    with Rpc(s) as link:
        link.subscribe("scene/objects/#")
        wait_moving(link, 5)
    while len(objects(s)) < 100:  # the houses come again, too
        pass
    assert demo.stop(signal.SIGTERM) == 0
    assert objects(s) == {}


def test_without_a_server_the_demo_ends_all_the_same(hub, client):
    s = hub()
    demo = client(s, RECONNECT_INITIAL_MS=60_000, RECONNECT_MAX_MS=60_000).spawn("scene", "demo", "--objects", "5")
    demo.wait_line("5 in motion", stream="err")
    s.proc.kill()
    demo.wait_line("trying again", stream="err")
    assert demo.stop(signal.SIGINT) == 0
    assert "the city stays" in demo.err
