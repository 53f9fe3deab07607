"""The description of an image: every mistake at its place, one reading in reader, schema and docs."""

import json
import re

import jsonschema
import pytest
import yaml

LEAST = "name: x\nversion: '1'\n"
URL = "ws://127.0.0.1:8768/api/v1"


@pytest.fixture
def check(run, describe):
    def check(text, **files):
        path = describe(text, **files)
        return run(["geom-image", "check", path.name], cwd=path.parent)

    return check


@pytest.mark.parametrize("name", ["geom_os_image", "geom_os_image_python"])
def test_those_in_the_repository(run, root, name):
    done = run(["geom-image", "check", f"config/{name}.yaml"], cwd=root)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"config/{name}.yaml: ok\n", "")


def test_the_least(check):
    assert check(LEAST).returncode == 0


BAD = {
    "nothing": ("", "image.yaml:1:1: found nothing, expected a description of an image"),
    "no YAML": ("name: [x\n", "image.yaml:2:1: not YAML: flow sequence without a closing bracket"),
    "twice": ("name: x\nversion: '1'\nname: y\n", "image.yaml:3:1: "),
    "list": ("- x\n", "image.yaml:1:1: found a list, expected an object"),
    "no name": ("version: '1'\n", "name: found none, expected it in image.yaml"),
    "number": ("name: x\nversion: 1.0\n", "image.yaml:2:10: version: found 1.0, expected a version"),
    "unknown": (LEAST + "outputz: [oci]\n", 'image.yaml:3:1: outputz: found an unknown member; did you mean "outputs"?'),
    "unknown below": (LEAST + "users:\n  - nam: x\n", 'image.yaml:4:5: users[0].nam: found an unknown member; did you mean'),
    "tag": ("name: !!str x\n", "image.yaml:1:7: found a tag (!...), expected a value without one"),
    "two documents": (LEAST + "---\n" + LEAST, "found a second document, expected one"),
    "alias of nothing": ("name: *x\n", "image.yaml:1:8: found an alias without its anchor"),
    "list as a name": ("[a]: b\n", "found a list or mapping as a name, expected a plain name"),
    "name": (LEAST.replace("x", "X y"), "image.yaml:1:7: name: found"),
    "architecture": (LEAST + "architecture: riscv\n", "image.yaml:3:15: architecture: found"),
    "base": (LEAST + "base: ../x.tar\n", "image.yaml:3:7: base: found \"../x.tar\", expected none, tar:FILE or oci:FOLDER"),
    "escape": (
        LEAST + "files:\n  - {content: a, destination: /etc/../../x}\n",
        'image.yaml:4:31: files[0].destination: found a path with ".." in it, which may lead out of the image',
    ),
    "relative": (LEAST + "files: [{content: a, destination: etc/x}]\n", 'files[0].destination: found "etc/x"'),
    "absolute link": (
        LEAST + "files: [{link: /etc/passwd, destination: /x}]\n",
        "image.yaml:3:16: files[0].link: found an absolute link",
    ),
    "destination twice": (
        LEAST + "files:\n  - {content: a, destination: /x}\n  - {content: b, destination: /x}\n",
        'files[1].destination: found "/x" a second time, expected once (first in files[0])',
    ),
    "two contents": (LEAST + "files: [{content: a, source: b, destination: /x}]\n", "files[0]: found several of source"),
    "no content": (LEAST + "files: [{destination: /x}]\n", "image.yaml:3:9: files[0]: found none of source"),
    "mode": (LEAST + "files: [{content: a, destination: /x, mode: 755}]\n", "files[0].mode: found 755, expected four octal"),
    "set-user-id": (LEAST + "files: [{content: a, destination: /x, mode: 4755}]\n", "files[0].mode: found 4755"),
    "set-user-id in quotes": (
        LEAST + "files: [{content: a, destination: /x, mode: '4755'}]\n",
        "files[0].mode: found a mode with set-user-id or set-group-id",
    ),
    "uid twice": (
        LEAST + "users: [{name: a, uid: 7}, {name: b, uid: 7}]\n",
        "image.yaml:3:28: users[1]: found the uid of users[0], expected another",
    ),
    "user of a service": (
        LEAST + "services: [{name: s, command: [x], user: bob}]\n",
        'services[0]: found user "bob", expected root or one of users',
    ),
    "user of the container": (LEAST + "container: {user: bob}\n", 'container.user: found "bob", expected root or one of users'),
    "secret on the command line": (
        LEAST + "kernel: {package: k, command_line: quiet api_key=abc}\n",
        "kernel.command_line: found what looks like a secret",
    ),
    "initramfs without a kernel": (LEAST + "outputs: [initramfs]\n", "outputs: found initramfs without kernel.package"),
    "output twice": (LEAST + "outputs: [oci, oci]\n", "outputs[1]: found a second time, expected once"),
    "key from the command line": (
        LEAST + "websocket_settings: {api_key: {from: ['kernel_command_line:key']}}\n",
        "image.yaml:3:40: websocket_settings.api_key.from[0]: found the kernel command line, which every program",
    ),
    "settings of the wrong kind": (
        LEAST + "websocket_settings: {settings: x.json}\n",
        "websocket_settings.settings: found \"x.json\", expected the members of websocket_settings.json",
    ),
    "both settings": (
        LEAST + f"websocket_settings: {{settings: {{url: '{URL}'}}, file: x}}\n",
        "websocket_settings.file: found beside websocket_settings.settings, expected only one of them",
    ),
    "no settings file": (LEAST + "websocket_settings: {file: x.json}\n", "websocket_settings.file: found no file at x.json"),
    "boot without settings": (
        LEAST + "users: [{name: pixi, uid: 9}]\nwebsocket_settings: {run_at_boot: [listen]}\n",
        "websocket_settings.run_at_boot: found without settings",
    ),
    "boot without pixi": (
        LEAST + f"websocket_settings: {{settings: {{url: '{URL}'}}, run_at_boot: [listen]}}\n",
        'websocket_settings.run_at_boot: found no user "pixi" in users',
    ),
    "another key file": (
        LEAST + f"websocket_settings: {{settings: {{url: '{URL}', api_key_file: /etc/key}}}}\n",
        'websocket_settings.settings: found api_key_file "/etc/key", expected "/run/pixi/api_key"',
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_every_mistake_has_its_line(check, name):
    text, line = BAD[name]
    done = check(text)
    assert done.returncode == 3, done
    assert any(line in said for said in done.stderr.splitlines()), done.stderr
    assert all(re.match(r"image\.yaml(:\d+:\d+)?: |default: ", said) for said in done.stderr.splitlines()), done.stderr


SETTINGS = """\
name: x
version: '1'
websocket_settings:
  settings:
    url: ws://127.0.0.1:1/
    timeouts:
      conect_ms: 5
    reconnect: {initial_ms: 7, max_ms: 5}
    limits: {message_bytes: lots}
"""


def test_inline_settings_have_the_rules_of_the_client_and_places_of_the_yaml(check):
    done = check(SETTINGS)
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        'image.yaml:7:7: timeouts.conect_ms: found an unknown member; did you mean "timeouts.connect_ms"?',
        'image.yaml:9:29: limits.message_bytes: found "lots", expected a whole number of bytes, 1024 .. 1073741824',
        "image.yaml:8:40: reconnect.max_ms: found less than reconnect.initial_ms, expected 7 at least",
    ]


def test_settings_in_a_file_have_the_places_of_that_file(check):
    done = check(LEAST + "websocket_settings: {file: s.json}\n", s__json='{\n  "url": "http://h/"\n}')
    assert done.returncode == 3
    assert done.stderr.startswith('s.json:2:10: url: found '), done.stderr


KEY = "pk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"


@pytest.mark.parametrize(
    "member, said",
    [
        (f"api_key: {KEY}", "api_key: found a secret about to be baked into the image"),
        ("proxy: {url: 'http://u:hunter2hunter2@h'}", "proxy.url: found a password about to be baked into the image"),
    ],
)
def test_no_secret_in_the_settings(check, member, said):
    done = check(LEAST + f"websocket_settings:\n  settings:\n    url: {URL}\n    {member}\n")
    assert done.returncode == 3 and said in done.stderr
    assert KEY not in done.stderr and "hunter2" not in done.stderr
    done = check(LEAST + "websocket_settings: {file: s.json}\n", s__json=json.dumps({"url": URL, "api_key": KEY}))
    assert done.returncode == 3 and "s.json:1:" in done.stderr and KEY not in done.stderr


def test_a_key_is_baked_in_only_by_who_says_so(check):
    text = LEAST + f"websocket_settings: {{settings: {{url: '{URL}'}}, api_key: {{bake_in: key}}}}\n"
    done = check(text, key=KEY + "\n")
    assert done.returncode == 3 and "bake_in: found a secret about to be baked in" in done.stderr
    done = check(text.replace("bake_in: key", "bake_in: key, everybody_gets_it: true"))
    assert done.returncode == 0, done.stderr
    done = check(text.replace("bake_in: key", "bake_in: nokey, everybody_gets_it: true"))
    assert done.returncode == 3 and "bake_in: found no file at nokey" in done.stderr
    assert KEY not in done.stderr


def test_anchors(check):
    assert check("name: &n x\nversion: *n\nfiles:\n  - &f {content: *n, destination: /a}\n").returncode == 0
    done = check("name: &n x\nversion: *n\nfiles: [&f {content: *n, destination: a}, *f]\n")
    assert "image.yaml:3:45: files[1]" in done.stderr or "files[1].destination" in done.stderr


def test_an_anchor_bomb_is_refused_at_once(check):
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 20))
    done = check(text)
    assert done.returncode == 3
    assert "found aliases that make more than 32768 values, 1 MiB or 32 levels of this file" in done.stderr
    assert len(done.stderr) < 300
    done = check("a: &a " + "x" * 100000 + "\nb: [" + ", ".join(["*a"] * 1000) + "]\n")
    assert done.returncode == 3 and "found aliases" in done.stderr
    done = check("a: &a [*a]\n")
    assert done.returncode == 3 and "found an alias without its anchor" in done.stderr


def test_size_and_depth(check):
    assert "found a file that is too large" in check("#" * (1 << 20) + "\n").stderr
    assert "found more than 32 levels" in check("a: " + "[" * 40 + "]" * 40).stderr
    assert "found more than 32768 values" in check("a: [" + "1," * 40000 + "]").stderr


def test_hostile_bytes_end_in_a_line(run, tmp_path, root):
    """Every cut of the real description, and bytes exchanged in it: an answer, never a crash."""
    text = (root / "config/geom_os_image.yaml").read_bytes()
    path = tmp_path / "x.yaml"
    for i in range(0, len(text), 181):
        for mangled in (text[:i], text[:i] + b"\xff" + text[i:], text[:i] + b"]" + text[i + 1 :], text[:i] + b"\0" + text[i:]):
            path.write_bytes(mangled)
            done = run(["geom-image", "check", path])
            assert done.returncode in (0, 3), (i, done)
            assert (done.returncode == 0) == (done.stderr == "")


# Reader, schema and docs.


@pytest.fixture
def schema(root):
    whole = json.loads((root / "config/geom_os_image.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(whole)
    return whole


def members(properties, prefix=""):
    for name, p in properties.items():
        if p.get("type") == "object":
            yield from members(p["properties"], f"{prefix}{name}.")
        else:
            yield prefix + name, p


LISTS = ("packages", "files", "users", "services")


def test_schema_and_reader_have_the_same_members(run, describe, schema):
    lists = "packages: [{name: xx}]\nfiles: [{content: a, destination: /x}]\n"
    lists += "users: [{name: a, uid: 5}]\nservices: [{name: a, command: [a]}]\n"
    done = run(["geom-image", "show", "--json", describe(LEAST + lists)])
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    wanted = dict(members(schema["properties"]))
    assert list(shown) == list(wanted)
    for name, value in shown.items():
        if value["from"] == "default" and name != "outputs" and "initial" not in wanted[name]:
            default = wanted[name].get("default")
            assert value["value"] == (default if default is not None else None) or value["value"] is False, name
    for name in LISTS:
        assert set(shown[name]["value"][0]) == set(schema["properties"][name]["items"]["properties"])


def test_the_schema_accepts_what_the_reader_accepts(schema, root):
    settings = json.loads((root / "config/websocket_settings.schema.json").read_text())
    store = {"websocket_settings.schema.json": settings}
    judge = jsonschema.Draft202012Validator(schema, resolver=jsonschema.RefResolver("", schema, store))
    text = (root / "config/geom_os_image.yaml").read_text().replace("mode: 0755", 'mode: "0755"')
    judge.validate(yaml.safe_load(text))
    for name, (text, _) in BAD.items():
        if name in ("unknown", "unknown below", "base", "escape", "relative", "absolute link", "architecture", "key from the command line"):
            with pytest.raises(jsonschema.ValidationError):
                judge.validate(yaml.safe_load(text))


def told(p):
    if "$ref" in p:
        return "object"
    if "enum" in p:
        return ", ".join(f'`"{e}"`' for e in p["enum"])
    if p["type"] == "boolean":
        return "true or false"
    if p["type"] == "integer":
        return f"{p['minimum']} .. {p['maximum']}"
    if p["type"] == "array":
        kind = "objects" if p["items"].get("type") == "object" else "strings"
        return f"list of {p.get('minItems', 0)} .. {p['maxItems']} {kind}"
    return "string"


def doc_rows(page):
    lines = [line.strip().strip("|").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line] for line in lines if len(line) == 4]


def wanted_rows(part):
    for name, p in members(part["properties"]):
        default = f"`{json.dumps(p['default'])}`" if "default" in p else "-"
        yield [f"`{name}`", told(p), "needed" if name in part.get("required", ()) else default, p.get("description")]


def test_every_member_has_its_row(root, schema):
    rows = doc_rows((root / "docs/image.md").read_text())
    wanted = list(wanted_rows(schema))
    for name in LISTS:
        wanted += wanted_rows(schema["properties"][name]["items"])
    assert [row[:3] for row in rows] == [row[:3] for row in wanted]
    assert [row[3] for row, (*_, text) in zip(rows, wanted) if text] == [text for *_, text in wanted if text]


def test_commands_of_geom_image_have_their_sections(run, root):
    page = (root / "docs/commands.md").read_text()
    page = page[page.index("## geom-image") :]
    told = run(["geom-image", "--help"]).stdout
    commands = re.findall(r"^### (\w+)$", page, re.M)
    assert commands == re.findall(r"^  ([a-z]+) +\[", told, re.M)
    for name in commands:
        assert re.search(rf"^  {name} +", told, re.M), told
        said = run(["geom-image", name, "--help"]).stdout
        part = re.search(rf"^### {name}\n(.*?)(?=^### |\Z)", page, re.S | re.M)[1]
        options = set(re.findall(r"--[a-z-]+", said)) - {"--help"}
        assert set(re.findall(r"^\| `(--[a-z-]+)", part, re.M)) == options
        for line in re.findall(r"^  (geom-image .*)$", said, re.M):
            assert line in part, line
    done = run(["geom-image", "chek"])
    assert done.returncode == 2 and 'did you mean "check"?' in done.stderr
    done = run(["geom-image", "check", "a", "b"])
    assert done.returncode == 2 and "one description is enough" in done.stderr
    done = run(["geom-image"])
    assert done.returncode == 2 and "a command is missing" in done.stderr
