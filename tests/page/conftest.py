"""The page in headless Chromium. `make test-page` builds the page and runs these; without it they are skipped.

page_hub  page_hub(**settings) -> hub with the page     open_page  open_page(server, **options) -> Page, with its key
put       put(server, id, **members): an object         cli        cli(server, "send", ...) -> what it printed
rpc       rpc(server) -> Rpc, to publish much           listen     listen(server, filter) -> Proc with .heard()

At the end of a test no page may have complained: no error on its console, nothing that its policy (CSP) refused.
"""

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/e2e"), str(Path(__file__).parent)]
pytest.register_assert_rewrite("rpc", "proxy")

from rpc import Rpc  # noqa: E402

PATIENCE_S = 40
# A socket that cannot be opened is told to the console by the browser itself; drivers tell about their speed.
USUAL = ("GL Driver Message", "WebSocket connection to", "ERR_CONNECTION_REFUSED")


def pytest_collection_modifyitems(items):
    if not os.environ.get("PIXI_TEST_PAGE"):
        for item in items:
            if "tests/page" in str(item.path):
                item.add_marker(pytest.mark.skip(reason="make test-page runs it, in Chromium"))


MAP = "document.querySelector('#map').getBoundingClientRect()"


def pytest_terminal_summary(terminalreporter):
    """What tests measured, told at the end: a number, no verdict."""
    for report in terminalreporter.getreports("passed"):
        for name, value in getattr(report, "user_properties", []):
            if name == "measured":
                terminalreporter.write_line(f"page: {value}")


class Browser:
    """browser.mjs in a process of its own; one call at a time."""

    def __init__(self, *flags):
        node = shutil.which("node") or shutil.which("nodejs")
        program = [node, str(Path(__file__).with_name("browser.mjs")), *flags]
        self._popen = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        self._lock = threading.Lock()
        self.pid = self._popen.pid

    def do(self, code, on=None, **args):
        with self._lock:
            self._popen.stdin.write(json.dumps({"code": code, "args": args, "on": on}) + "\n")
            self._popen.stdin.flush()
            line = self._popen.stdout.readline()
        assert line, "the browser has ended"
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["value"]

    def end(self):
        self._popen.stdin.close()
        self._popen.wait(PATIENCE_S)


class Page:
    """One page in a context of its own: no storage of another."""

    numbers = itertools.count()

    def __init__(self, browser, server, host="127.0.0.1", query="", **options):
        self.browser, self.name = browser, f"page-{next(self.numbers)}"
        self.url = f"http://{host}:{server.port}/{query}"
        self.usual = list(USUAL)
        browser.do("await open(args.name, args.options)", name=self.name, options={"key": server.key, **options})
        self.do("await page.goto(args.url)", url=self.url)
        self.wait("globalThis.pixiPage !== undefined")

    def do(self, code, **args):
        """In Node, with Playwright's page."""
        return self.browser.do(code, on=self.name, **args)

    def js(self, expression, arg=None):
        """In the page: an expression, of `arg`."""
        code = "return page.evaluate(`((arg) => (${args.e}))(${JSON.stringify(args.arg ?? null)})`)"
        return self.do(code, e=expression, arg=arg)

    def wait(self, expression, arg=None):
        """Until it is true in the page."""
        try:
            self.do("await until(page, args.e, args.arg, args.ms)", e=expression, arg=arg, ms=PATIENCE_S * 1000)
        except AssertionError as e:
            raise AssertionError(f"never: {expression}\n{self.report()}\n{self.text()}\n{e}") from None

    def report(self):
        return self.js("pixiPage.report()")

    def text(self, selector="body"):
        return self.js("document.querySelector(arg).innerText", selector)

    def wait_text(self, selector, regex):
        self.wait("new RegExp(arg[1]).test(document.querySelector(arg[0]).innerText)", [selector, regex])

    def wait_drawn(self, count):
        self.wait("pixiPage.report().drawn === arg", count)

    def wait_refused(self):
        self.wait("pixiPage.report().link === 'refused' && document.querySelector('#key-dialog').open")

    def press(self, *keys, on=None):
        """Keys, one after the other; on: what has the focus then."""
        code = "if (args.at) await page.focus(args.at); for (const key of args.keys) await page.keyboard.press(key)"
        self.do(code, keys=keys, at=on)

    def type(self, text):
        self.do("await page.keyboard.type(args.text)", text=text)

    def search(self, text):
        self.do("await page.fill('#search-text', args.text); await page.keyboard.press('Enter')", text=text)

    def click(self, x, y):
        self.do("await page.mouse.click(args.x, args.y)", x=x, y=y)

    def pull(self, *places):
        """Press the mouse at the first place and let go at the last."""
        code = """await page.mouse.move(...args.places[0]); await page.mouse.down();
            for (const place of args.places.slice(1)) await page.mouse.move(...place, {steps: 4});
            await page.mouse.up()"""
        self.do(code, places=places)

    def place(self, object_id):
        """Where an object is, in pixels of the window."""
        return self.window(*self.js("[pixiPage.object(arg).x, pixiPage.object(arg).y]", object_id))

    def colour(self, x, y):
        """[red, green, blue] of a pixel of the window, as it is on the screen."""
        shot = self.do(
            "return (await page.screenshot({clip: {x: args.x, y: args.y, width: 1, height: 1}})).toString('base64')",
            x=int(x),
            y=int(y),
        )
        code = """(async () => {
            const image = new Image(); image.src = 'data:image/png;base64,' + arg; await image.decode();
            const c = new OffscreenCanvas(1, 1).getContext('2d'); c.drawImage(image, 0, 0);
            return [...c.getImageData(0, 0, 1, 1).data.slice(0, 3)]; })()"""
        return self.js(code, shot)

    def wait_colour(self, x, y, wanted):
        """Until the pixel has this colour: a picture may take a frame or two to be drawn."""
        for _ in range(100):
            found = self.colour(x, y)
            if all(abs(f - w) <= 4 for f, w in zip(found, wanted)):  # what is scaled is smoothed
                return
            self.do("await page.evaluate(() => new Promise(requestAnimationFrame))")
        raise AssertionError(f"{x}, {y} is {found}, not {wanted}\n{self.report()}")

    def window(self, x, y):
        """A place of the map, in pixels of the window, once the view is at rest."""
        self.wait("!pixiPage.report().isTravelling")
        return self.js(f"((v, r) => [v.x + r.left, v.y + r.top])(pixiPage.view(arg[0], arg[1]), {MAP})", [x, y])

    def units(self, x):
        """A column of the window in units, as events have it."""
        code = "((c, r) => Number((c.x + (arg - r.left - r.width / 2) / c.scale).toPrecision(9)))"
        return self.js(f"{code}(pixiPage.report().camera, {MAP})", x)

    def open(self):
        """Connected, with everything there."""
        self.wait("pixiPage.report().link === 'open' && pixiPage.report().waiting === 0")
        return self

    def close_now(self):
        """Before what it needs is gone."""
        self.close()
        self.close = lambda: None

    def close(self):
        found = self.browser.do("return close(args.name)", name=self.name)
        told = [line for line in found["told"] if not any(usual in line for usual in self.usual)]
        assert not told and not found["violations"], found


@pytest.fixture(scope="session")
def browsers():
    """browsers(*flags) -> Browser, the same for the same flags."""
    made = {}

    def browsers(*flags):
        if flags not in made:
            made[flags] = Browser(*flags)
        return made[flags]

    yield browsers
    for browser in made.values():
        browser.end()


@pytest.fixture
def open_page(browsers):
    pages = []

    def open_page(server, *flags, **options):
        page = Page(browsers(*flags), server, **options)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()


@pytest.fixture
def page_hub(hub, root):
    """page_hub(**settings) -> hub that serves web/dist."""

    def page_hub(**members):
        assert (root / "web/dist/index.html").exists(), "the page is not built: make page"
        return hub("--page", root / "web/dist", **members)

    return page_hub


def variables(server, key=None):
    return {"PIXI_WS_URL": server.url, "PIXI_WS_API_KEY": key or server.key}


@pytest.fixture
def cli(run, tmp_path):
    """cli(server, "send", ...) -> what pixi-ws-client printed; it has succeeded."""

    def cli(server, *args, input=None):
        done = run(["pixi-ws-client", *args], env=variables(server), cwd=tmp_path, input=input)
        assert done.returncode == 0, done
        return done.stdout

    return cli


@pytest.fixture
def put(cli):
    """put(server, id, x=, y=, ...): an object on the map."""

    def put(server, object_id, **members):
        cli(server, "send", "--retain", f"scene/objects/{object_id}", json.dumps(members))

    return put


@pytest.fixture
def listen(spawn, tmp_path):
    """listen(server, filter) -> a listener whose subscription stands; .heard() gives the next payload."""

    def listen(server, topic_filter):
        proc = spawn(["pixi-ws-client", "listen", topic_filter], env=variables(server), cwd=tmp_path)
        proc.wait_line("listening to", stream="err")
        taken = itertools.count(1)

        def heard():
            line = json.loads(proc.wait_line(r"^(\{.*\})$", stream="out", nth=next(taken))[1])
            return line["topic"], line["payload"]

        proc.heard = heard
        return proc

    return listen


@pytest.fixture
def rpc():
    """rpc(server) -> Rpc; closed at the end."""
    made = []

    def rpc(server):
        made.append(Rpc(server))
        return made[-1]

    yield rpc
    for one in made:
        one.close()


@pytest.fixture
def publish_all():
    """publish_all(rpc, [(topic, payload)]): retained, in batches. A text goes byte for byte; an empty one removes."""

    def call(number, topic, payload):
        params = {"topic": topic, "retain": True}
        if isinstance(payload, str):
            params["payload_base64"] = base64.b64encode(payload.encode()).decode()
        else:
            params["payload"] = payload
        return {"jsonrpc": "2.0", "id": number, "method": "publish", "params": params}

    def publish_all(rpc, messages):
        for start in range(0, len(messages), 1000):
            batch = [call(i, *message) for i, message in enumerate(messages[start : start + 1000])]
            assert all("result" in answer for answer in rpc.exchange(batch))

    return publish_all


@pytest.fixture(scope="session")
def png():
    """A picture of 2 x 2 pixels, all red."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\xff\0\0" * 2) * 2
    head = struct.pack("!IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()
