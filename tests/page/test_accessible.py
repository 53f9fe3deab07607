"""axe-core finds nothing serious, whatever is open, light and dark; who wants no motion sees none."""

import json

import pytest

SERIOUS = ("serious", "critical")
OPENED = {
    "map": "",
    "table and selection": "await page.click('#tool-table'); await page.click('#table-body button');"
    " await page.click('#mistakes-count')",
    "search": "await page.fill('#search-text', 'a')",
    "help": "await page.click('#tool-help')",
}


@pytest.fixture
def violations(root):
    """violations(page): what axe-core finds serious, a line each."""
    axe = (root / "web/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")

    def violations(page):
        page.do("await page.evaluate(args.axe)", axe=axe)
        found = page.js("axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations)")
        return [f"{v['id']}: {v['help']}: {[n['html'] for n in v['nodes']]}" for v in found if v["impact"] in SERIOUS]

    return violations


@pytest.fixture
def scene(page_hub, rpc, publish_all):
    server = page_hub()
    objects = {"a": {"x": 0, "y": 0, "label": "A", "data": {"n": 1}}, "bad": {"x": 9}}
    publish_all(rpc(server), [(f"scene/objects/{name}", payload) for name, payload in objects.items()])
    return server


def test_what_is_wrong_is_found(scene, open_page, violations):
    page = open_page(scene).open()
    page.js("void document.body.append(Object.assign(new Image(), {src: 'icon.svg'}))")
    assert [line for line in violations(page) if line.startswith("image-alt")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_found(scene, open_page, violations, scheme):
    page = open_page(scene, colorScheme=scheme).open()
    page.wait("pixiPage.report().objects === 2 && !document.querySelector('#mistakes-count').hidden")
    for name, opened in OPENED.items():
        page.do(opened)
        assert violations(page) == [], (name, scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_found_while_the_key_is_asked_for(scene, open_page, violations, scheme):
    page = open_page(scene, key="", colorScheme=scheme)
    page.type("pk_of-nobody_in-particular")
    page.press("Enter")
    page.wait_refused()
    assert violations(page) == []
    page.press("Escape")
    page.wait("!document.querySelector('#key-dialog').open")
    assert violations(page) == []
    assert page.text("#link-action") == "Enter key"


def test_who_wants_no_motion_sees_none(scene, open_page, cli):
    page = open_page(scene, reducedMotion="reduce").open()
    page.wait("pixiPage.object('a')")
    page.js("void (globalThis.seen = new Set(), setInterval(() => seen.add(pixiPage.object('a').x), 1))")
    cli(scene, "send", "--retain", "scene/objects/a", json.dumps({"x": 50, "y": 0}))
    page.wait("pixiPage.object('a').x === 50")
    assert page.js("[...seen].sort()") == [0, 50]
    page.js(
        "void (document.querySelector('#tool-out').click(), document.querySelector('#tool-fit').click(),"
        " globalThis.at = pixiPage.report().camera)"
    )
    page.wait(f"pixiPage.report().frames > {page.report()['frames'] + 5}")
    assert page.js("at") == page.report()["camera"]  # there at once
