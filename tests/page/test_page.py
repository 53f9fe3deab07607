"""What is published is on the map; what a person does there is heard; what the link does is seen."""

import json
import os
import signal
import time

import jsonschema

from proxy import Proxy

GREEN, RED, BLUE = [0, 255, 0], [255, 0, 0], [0, 0, 255]


def test_an_object_appears_soon_moves_and_goes(page_hub, open_page, put, cli, record_property):
    server = page_hub()
    page = open_page(server).open()
    page.wait("!document.querySelector('#empty').hidden")
    start = time.time()
    put(server, "tram-7", x=10, y=20, tint="#00ff00", width=80, shape="rect", label="Tram 7", data={"line": 7})
    sent = time.time()
    page.wait("pixiPage.object('tram-7')")
    took, program = 1000 * (time.time() - start), 1000 * (sent - start)
    record_property("measured", f"on the map {took:.0f} ms after `send` began, {program:.0f} ms of them its own")
    page.wait_drawn(1)
    x, y = page.place("tram-7")
    page.wait_colour(x, y, GREEN)
    put(server, "tram-7", x=100, y=20, tint="#0000ff", width=80, shape="rect")
    page.wait("pixiPage.object('tram-7').x > 10 && pixiPage.object('tram-7').x < 100")  # on its way
    page.wait("pixiPage.object('tram-7').x === 100 && pixiPage.report().moving === 0")
    page.wait_colour(*page.place("tram-7"), BLUE)
    assert page.colour(x, y) not in (GREEN, BLUE)
    cli(server, "send", "--retain", "scene/objects/tram-7", "")
    page.wait("pixiPage.report().objects === 0 && pixiPage.report().drawn === 0")


def test_every_kind_is_drawn(page_hub, open_page, rpc, publish_all, png):
    server, all_of_it = page_hub(), []
    put = lambda _, name, **members: all_of_it.append((f"scene/objects/{name}", members))  # noqa: E731
    square = [[-40, -40], [40, -40], [40, 40], [-40, 40]]
    kinds = {
        "circle": {"shape": "circle", "width": 60},
        "rect": {"width": 60, "shape": "rect"},
        "triangle": {"shape": "triangle", "width": 60},
        "line": {"shape": "line", "points": [[-40, 0], [40, 0]], "stroke": 30},
        "polygon": {"shape": "polygon", "points": square},
        "outlined": {"shape": "circle", "width": 60, "stroke": 4},
    }
    for i, (name, members) in enumerate(kinds.items()):
        put(server, name, x=i * 100, y=0, tint="#ff0000", **members)
    put(server, "picture", x=0, y=100, sprite=png, width=60)
    put(server, "car", x=100, y=100, sprite="car", width=80, tint="#ff0000")
    put(server, "words", x=200, y=100, text="█", size=60, tint="#ff0000")
    for i in range(40):  # so many alike that they are drawn together
        put(server, f"crowd-{i}", x=300 + i * 5, y=90, tint="#00ff00", width=40, shape="triangle", rotation=i)
    all_of_it += [("scene/tiles/2/5/2", {"color": "#0000ff"}), ("scene/tiles/2/7/2", {"image": png})]
    publish_all(rpc(server), all_of_it)
    without = ("--disable-gpu", "--disable-3d-apis")
    for flags, query, wanted in (((), "?draw=webgl", "webgl"), ((), "", "canvas"), (without, "?draw=webgl", "canvas")):
        page = open_page(server, *flags, query=query).open()
        assert page.report()["renderer"] == wanted  # there is no graphics card here
        page.wait("pixiPage.report().drawn === 49 && pixiPage.report().tiles === 2")
        for name in [*kinds, "picture", "words"]:
            page.wait_colour(*page.place(name), RED)
        page.wait_colour(*page.place("crowd-20"), GREEN)
        r, g, b = page.colour(*page.place("car"))
        assert r > 200 > 60 > g and b < 60
        page.wait_colour(*page.window(5.5 * 64, 2.5 * 64), BLUE)
        page.wait_colour(*page.window(7.5 * 64, 2.2 * 64), RED)


def test_words_in_ever_new_colours_are_held_in_a_few(page_hub, open_page, rpc, publish_all):
    server = page_hub()
    page = open_page(server, query="?draw=canvas").open()
    for turn in range(6):
        colours = [f"#{turn:x}0{i:02x}ff" for i in range(100)]
        publish_all(
            rpc(server),
            [(f"scene/objects/{i}", {"x": i % 10 * 100, "y": i // 10 * 100, "text": "█a", "tint": c}) for i, c in enumerate(colours)],
        )
        page.wait("pixiPage.object('99')?.look.tint === arg", int(colours[99][1:], 16))
        page.wait_drawn(100)
        page.do("await page.evaluate(() => new Promise(requestAnimationFrame))")
    assert 100 <= page.report()["copies"] <= 2 * 400


def test_a_click_and_a_pull_are_heard(page_hub, open_page, put, listen):
    server = page_hub()
    put(server, "tram-7", x=0, y=0, width=60, label="Tram 7", data={"line": 7, "to": "<b>Centre</b>"})
    page = open_page(server).open()
    page.wait_drawn(1)
    heard = listen(server, "event/scene/#").heard
    x, y = page.place("tram-7")
    page.click(x, y)
    topic, said = heard()
    assert topic == "event/scene/click" and said["id"] == "tram-7" and said["button"] == 0
    assert abs(said["x"]) < 2 and abs(said["y"]) < 2
    assert '"to": "<b>Centre</b>"' in page.text("#selection")
    page.click(x - 200, y)
    assert heard() == ("event/scene/click", {"id": None, "x": page.units(x - 200), "y": said["y"], "button": 0})
    page.wait("document.querySelector('#selection').hidden")
    page.pull([x, y], [x + 40, y], [x + 90, y])
    said = [heard()]
    while said[-1][1].get("phase") != "end":
        said.append(heard())
    assert {topic for topic, _ in said} == {"event/scene/drag"} and {s["id"] for _, s in said} == {"tram-7"}
    assert [s["phase"] for _, s in said][0] == "start" and set(s["phase"] for _, s in said[1:-1]) == {"move"}
    assert said[-1][1]["x"] == page.units(x + 90)
    assert page.js("pixiPage.object('tram-7').x") == 0  # who owns it moves it


def test_the_view_is_moved_and_told(page_hub, open_page, put, listen):
    server = page_hub()
    put(server, "a", x=0, y=0, width=30)
    page = open_page(server).open()
    page.wait("pixiPage.report().drawn === 1 && pixiPage.report().camera.scale === 4")  # all of it, and no closer
    heard = listen(server, "event/scene/camera").heard
    page.do("await page.mouse.move(700, 200); await page.mouse.wheel(0, 400)")
    page.wait("pixiPage.report().camera.scale < 4")
    _, said = heard()
    assert set(said) == {"x", "y", "scale", "width", "height"}
    view = page.report()["camera"]
    page.pull([700, 200], [600, 300])
    after, scale = page.report()["camera"], view["scale"]
    assert abs((after["x"] - view["x"]) * scale - 100) < 1 and abs((after["y"] - view["y"]) * scale + 100) < 1
    page.do("await page.click('#tool-fit')")
    page.wait("Math.abs(pixiPage.report().camera.x) < 0.01 && pixiPage.report().camera.scale === 4")
    page.do("await page.locator('#minimap').click({position: {x: 20, y: 20}})")
    page.wait("pixiPage.report().camera.x < -1")


def test_two_fingers_zoom(page_hub, open_page, put):
    server = page_hub()
    put(server, "a", x=0, y=0, width=30)
    page = open_page(server, hasTouch=True).open()
    page.wait_drawn(1)
    scale = page.report()["camera"]["scale"]
    page.do(
        """const cdp = await page.context().newCDPSession(page);
        const points = (xs) => xs.map((x, id) => ({x, y: 300, id}));
        const touch = (type, ...xs) => cdp.send('Input.dispatchTouchEvent', {type, touchPoints: points(xs)});
        await touch('touchStart', 480); await touch('touchStart', 480, 520);
        await touch('touchMove', 460, 540); await touch('touchMove', 440, 560); await touch('touchEnd')"""
    )
    page.wait(f"pixiPage.report().camera.scale > {scale} * 2")


def test_the_camera_of_the_scene_is_followed_by_who_wants_it(page_hub, open_page, put, cli):
    server = page_hub()
    put(server, "a", x=0, y=0)
    page = open_page(server).open()
    page.wait_drawn(1)
    cli(server, "send", "--retain", "scene/camera", '{"x": 500, "y": 600, "scale": 2, "duration_ms": 50}')
    put(server, "b", x=1, y=1)
    page.wait("pixiPage.object('b')")
    assert page.report()["camera"]["x"] != 500
    page.do("await page.click('#tool-follow')")
    page.wait("(({x, y, scale}) => x === 500 && y === 600 && Math.abs(scale - 2) < 1e-6)(pixiPage.report().camera)")
    page.press("ArrowRight", on="#map")  # who moves himself is not pulled away
    page.wait("document.querySelector('#tool-follow').getAttribute('aria-pressed') === 'false'")


def test_all_of_it_by_keyboard(page_hub, open_page, put, listen):
    server = page_hub()
    for i in range(3):
        put(server, f"tram-{i}", x=i * 50, y=0, label=f"Line {i}")
    page = open_page(server).open()
    page.wait_drawn(3)
    heard = listen(server, "event/scene/#").heard
    page.press("n", "n", "Enter", on="#map")
    topic, said = heard()
    assert (topic, said["id"]) == ("event/scene/click", "tram-1")
    page.press("Shift+ArrowRight")
    said = [heard()[1] for _ in range(3)]
    assert [s["phase"] for s in said] == ["start", "move", "end"] and said[2]["x"] > said[0]["x"] == 50
    page.press("+", "ArrowDown")
    page.wait("pixiPage.report().camera.y > 0")
    page.press("/")
    page.type("line 2")
    page.press("ArrowDown", "Enter")
    page.wait_text("#selection-id", "^tram-2$")
    page.press("t", on="#map")
    page.wait("document.activeElement.id === 'table-filter' && document.querySelector('#table-body').rows.length === 3")
    page.press("Tab", "Tab", "Enter")
    page.wait_text("#selection-id", "^tram-0$")
    page.press("Escape")
    page.wait("document.querySelector('#table').hidden")
    page.press("?", on="#map")
    page.wait("document.querySelector('#help').open")


# --- the link ---------------------------------------------------------------------------------------------------------


def test_a_killed_server_comes_back(page_hub, open_page, put):
    """Its history went with it: the page says so, and shows what the new one has and nothing else."""
    server = page_hub()
    put(server, "old", x=0, y=0)
    page = open_page(server).open()
    page.wait("pixiPage.report().objects === 1")
    page.wait_text("#link-text", "^Connected, [0-9.]+ ms$")
    server.proc.kill()
    page.wait_text("#link-text", "^Reconnecting in [0-9]+ s: (the connection is lost|no connection)")
    page.wait_text("#live", "^Reconnecting: ")
    assert page.report()["objects"] == 1  # what was there stays in sight
    again = page_hub(port=server.port)
    put(again, "new", x=0, y=0)
    page.wait("pixiPage.object('new') && !pixiPage.object('old') && pixiPage.report().link === 'open'")
    page.wait_text("#notices", "History lost")


def test_nothing_is_missing_after_a_cut(page_hub, open_page, put, cli):
    server = page_hub()
    put(server, "a", x=0, y=0)
    put(server, "gone", x=5, y=5)
    with Proxy(server) as proxy:
        server.port = int(proxy.url.split(":")[2].split("/")[0])
        page = open_page(server).open()
        page.wait("pixiPage.report().objects === 2")
        proxy.cut("reset", then_hold=True)
        page.wait("pixiPage.report().link !== 'open'")
        put(server, "b", x=10, y=0)
        put(server, "a", x=1, y=1)
        cli(server, "send", "--retain", "scene/objects/gone", "")
        proxy.let_go()
        page.wait("pixiPage.object('b') && !pixiPage.object('gone') && pixiPage.object('a').look.x === 1")
        assert "History lost" not in page.text()
        page.close_now()


def test_a_wrong_key_and_then_the_right_one(page_hub, open_page, put):
    server = page_hub()
    put(server, "a", x=0, y=0)
    page = open_page(server, key="")
    page.wait("document.querySelector('#key-dialog').open && document.activeElement.id === 'key'")
    page.type("pk_of-nobody_in-particular")
    page.press("Enter")
    page.wait_refused()
    for place in ("#key-problem", "#link-text"):
        page.wait_text(place, "3000.*use a valid key")
    assert page.js("sessionStorage.getItem('pixi.key')") is None
    page.do("await page.fill('#key', args.key); await page.keyboard.press('Enter')", key=server.key)
    page.wait("pixiPage.report().objects === 1")
    kept = page.js("[JSON.stringify(sessionStorage), JSON.stringify(localStorage), document.cookie, location.href]")
    assert server.key in kept[0] and not any(server.key in place for place in kept[1:])
    page.do("await page.reload()")
    page.wait("globalThis.pixiPage?.report().objects === 1")  # the same tab need not ask again


def test_no_key_in_clear_to_another_machine_unless_told(page_hub, open_page):
    server = page_hub()
    flag = "--host-resolver-rules=MAP pixi.example 127.0.0.1"
    page = open_page(server, flag, host="pixi.example", key="")
    page.usual.append("Cross-Origin-Opener-Policy header has been ignored")  # it is, for what came in clear
    page.type(server.key)
    page.press("Enter")
    page.wait_text("#key-problem", "the key would travel in clear to pixi.example")
    assert page.js("document.querySelector('#key-dialog').open")
    assert page.report()["link"] == "new" and page.js("sessionStorage.getItem('pixi.key')") is None
    page.do(
        "await page.check('#key-clear'); await page.fill('#key', args.key); await page.press('#key', 'Enter')",
        key=server.key,
    )
    page.open()


def test_a_revoked_key(page_hub, open_page, run, tmp_path):
    server = page_hub()
    page = open_page(server).open()
    run(["pixi-ws-server", "key", "revoke", "test", "--keys", tmp_path / "server.keys"])
    os.kill(server.proc.pid, signal.SIGHUP)
    page.wait_refused()
    page.wait_text("#live", "^Refused: ")
    assert page.js("sessionStorage.getItem('pixi.key')") is None


def test_a_key_that_may_not_publish_is_told_so_once(page_hub, open_page, put):
    server = page_hub(keys={"reader": ("event/other", "scene/#")})
    put(server, "a", x=0, y=0, width=40)
    page = open_page(server, key=server.keys["reader"]).open()
    page.wait_drawn(1)
    x, y = page.place("a")
    for _ in range(3):
        page.click(x, y)
    page.wait("document.querySelectorAll('#notices li').length === 1")
    assert "What you do here is not heard" in page.text() and page.report()["link"] == "open"


def test_a_key_that_may_not_read_the_scene(page_hub, open_page):
    server = page_hub(keys={"other": ("#", "event/#")})
    page = open_page(server, key=server.keys["other"]).open()
    page.wait_text("#notices", "The scene cannot be read")


# --- much, and hostile ------------------------------------------------------------------------------------------------


def test_ten_thousand_objects(page_hub, open_page, rpc, publish_all):
    server, count = page_hub(), 10_000
    link = rpc(server)
    place = lambda i: {"x": i % 100 * 30, "y": i // 100 * 30, "sprite": "car", "label": f"car {i}"}  # noqa: E731
    publish_all(link, [(f"scene/objects/car-{i}", place(i)) for i in range(count)])
    page = open_page(server).open()
    page.wait(f"pixiPage.report().objects === {count} && pixiPage.report().drawn === {count}")
    publish_all(link, [(f"scene/objects/car-{i}", {**place(i), "x": -5}) for i in range(0, count, 10)])
    page.wait("pixiPage.object('car-9990').x === -5 && pixiPage.report().moving === 0")
    page.search("car 9999")
    page.wait_text("#selection-id", "^car-9999$")
    page.wait("pixiPage.report().drawn < 10000")  # what is out of sight is not drawn
    publish_all(link, [(f"scene/objects/car-{i}", place(i)) for i in range(5)])
    publish_all(link, [(f"scene/objects/car-{i}", "") for i in range(1000)])
    page.wait("pixiPage.report().objects === 9000")


SCRIPT = '<img src=x onerror="globalThis.hacked=1"><script>globalThis.hacked=1</script>'
HOSTILE = {
    "no-json": "NaN",
    "number": "5",
    "list": "[]",
    "null": "null",
    "text": '"x"',
    "nan": '{"x": NaN, "y": 0}',
    "far": '{"x": 1e308, "y": 0}',
    "no-place": "{}",
    "deep": '{"x": 0, "y": 0, "data": ' + "[" * 60 + "]" * 60 + "}",
    "tint": '{"x": 0, "y": 0, "tint": "url(javascript:1)"}',
    "svg": '{"x": 0, "y": 0, "sprite": "data:image/svg+xml;base64,PHN2Zy8+"}',
    "url": '{"x": 0, "y": 0, "sprite": "https://example.org/a.png"}',
    "both": '{"x": 0, "y": 0, "text": "a", "sprite": "car"}',
    "points": '{"x": 0, "y": 0, "shape": "polygon", "points": [[0, 0], [1, "1"], [2, 2]]}',
    "z": '{"x": 0, "y": 0, "z": 1.5}',
    "long-label": json.dumps({"x": 0, "y": 0, "label": "x" * 257}),
    "own": '{"x": 0, "y": 0, "shape": "constructor"}',
}
SOUND = {
    "__proto__": '{"x": 0, "y": 0}',
    "constructor": '{"x": 9, "y": 9, "__proto__": {"a": 1}}',
    "label": json.dumps({"x": 50, "y": 0, "label": SCRIPT}),
    "data": json.dumps({"x": 90, "y": 0, "data": {SCRIPT: [SCRIPT], "n": None}, "text": SCRIPT}),
    SCRIPT.replace("/", "|"): '{"x": 20, "y": 90}',
    "edge": '{"x": 1e9, "y": -1e9, "scale": 1000, "width": 1e6, "rotation": -1e6}',
    "tiny": '{"x": 0, "y": 0, "scale": 0.001, "width": 0.01}',
    "letters": json.dumps({"x": 0, "y": 60, "text": "".join(chr(0x4E00 + i) for i in range(1000))}),
    "knot": json.dumps(
        {"x": 0, "y": 0, "shape": "polygon", "points": [[i * 7919 % 97, i * 104729 % 89] for i in range(1024)]}
    ),
    "broken": '{"x": 30, "y": 30, "sprite": "data:image/png;base64,AAAA"}',
}


def test_the_schema_says_the_same_of_them(root):
    """config/scene.schema.json, of what is JSON at all; it refuses unknown members too."""
    schema = json.loads((root / "config/scene.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator({"$ref": "#/$defs/object", "$defs": schema["$defs"]})
    for name, payload in HOSTILE.items():
        if "NaN" not in payload:
            assert not validator.is_valid(json.loads(payload)), name
    for name, payload in SOUND.items():
        members = json.loads(payload)
        members.pop("__proto__", None)
        assert validator.is_valid(members), name


def test_hostile_objects_leave_it_alive(page_hub, open_page, put, rpc, publish_all, listen):
    server = page_hub()
    page = open_page(server).open()
    nowhere = ("scene/objects/", "scene/objects/a/b", "scene/tiles/99/0/0", "scene/tiles/0/x/0", "scene/else")
    all_of_it = [(f"scene/objects/{name}", payload) for name, payload in {**HOSTILE, **SOUND}.items()]
    all_of_it += [(topic, '{"color": "#ff0000"}') for topic in nowhere]
    all_of_it += [("scene/tiles/0/0/0", '{"color": "red"}'), ("scene/camera", '{"x": 1e999}')]
    publish_all(rpc(server), all_of_it)
    page.wait(f"pixiPage.report().objects === {len(HOSTILE) + len(SOUND)} && pixiPage.report().waiting === 0")
    kinds = page.js("arg.map((id) => pixiPage.object(id).look.kind)", list(HOSTILE))
    assert dict(zip(HOSTILE, kinds)) == dict.fromkeys(HOSTILE, "mistake")
    page.search("broken")  # a picture is read when it comes in sight
    page.wait("pixiPage.object('broken').look.reason === 'the picture cannot be decoded'")
    kinds = page.js("arg.map((id) => pixiPage.object(id).look.kind)", list(SOUND))
    assert [name for name, kind in zip(SOUND, kinds) if kind == "mistake"] == ["broken"]
    assert page.js("pixiPage.object('far').look.reason").startswith("x is ")
    page.do("await page.click('#mistakes-count'); await page.click('#tool-table')")
    page.search("label")
    page.wait_text("#selection", "onerror")
    heard = listen(server, "event/scene/click").heard
    page.press("Enter", on="#map")
    assert heard()[1]["id"] == "label"
    assert page.js("globalThis.hacked") is None
    put(server, "after", x=0, y=0)
    page.wait("pixiPage.object('after')")


def test_a_hundred_thousand_objects_leave_it_alive(page_hub, open_page, put, rpc, publish_all):
    server, count = page_hub(), 99_000
    page = open_page(server).open()
    publish_all(rpc(server), [(f"scene/objects/{i}", {"x": i % 300, "y": i // 300}) for i in range(count)])
    page.wait(f"pixiPage.report().objects === {count} && pixiPage.report().waiting === 0")
    assert page.report()["drawn"] <= 60_000
    put(server, "after", x=0, y=0, label="after")
    page.wait("pixiPage.object('after')")
    page.search("after")
    page.wait_text("#selection-id", "^after$")


def test_a_message_over_the_limit_ends_nothing(page_hub, open_page, put, rpc):
    server = page_hub(limits__message_bytes=20_000)
    page = open_page(server).open()
    link = rpc(server)
    params = {"topic": "scene/objects/huge", "payload": "x" * 30_000}
    link.send({"jsonrpc": "2.0", "method": "publish", "params": params})
    assert link.closed().code == 1009
    put(server, "after", x=0, y=0)
    page.wait("pixiPage.object('after') && !pixiPage.object('huge') && pixiPage.report().link === 'open'")
