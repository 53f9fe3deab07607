#!/usr/bin/python3
"""seeds.py FOLDER -- the seeds of every fuzz target, FOLDER/TARGET/*, from tests/vectors, the docs' examples and config/.

The first bytes of an input are choices (see each target's head): bit 0 who sent it, bit 1 the version or the limits, bit 2 whether
the connection has begun.
"""

import hashlib
import re
import shutil
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VECTORS = ROOT / "tests/vectors"
LONG = 70_000  # longer ones only make every run slow
ITEM = re.compile(r'(?:"((?:[^"\\]|\\.)*)"|((?:[0-9a-f]{2})+))(?:\*([0-9]+))?(?:\.|$)')
ESCAPE = re.compile(r'\\(x[0-9a-fA-F]{2}|[rn\\"])')
JSON = ['""', "0", "-1.5e+3", "[]", "{}", '{"a":[1,{"b":null}],"c":"\\u00e9"}', '"\\ud83d\\ude00"', '"\\ud800"', "[1,]", '{"a"}', "1e", "[" * 70 + "]" * 70,
        '"\\b\\f\\n\\r\\t\\/"', " [ true , false , null ] "]
TOPICS = [("a/b", "a/b", "#"), ("+/b/#", "a/b", "a/#"), ("#", "$SYS/x", "+/#"), ("$share/g/a/+", "a/x", "a/#"), ("/", "/", "+/+"), ("$SYS/#", "$SYS", "#"),
          ("a/#", "a", "a/+/#"), ("a//b", "a//b", "a/+/b"), ("a+", "b", "c#"), ("$share//a", "a", "a")]
YAML = ["a: {b: {c: 1, d: [x, 'y', \"z\\n\"]}}\n", "a: &x [1, ~, true]\nb: *x\n", "- |\n  text\n  more\n- >-\n  folded\n", "a: 1\na: 2\n", "{", "--- 1\n--- 2\n",
        "? [a]\n: b\n", "!!str a\n", "%YAML 1.2\n---\na: 0x10\n", "\ta: 1\n"]


def expand(text):
    """The bytes that a vector's column stands for."""
    if text == "-":
        return b""
    out, at = b"", 0
    while at < len(text):
        item = ITEM.match(text, at)
        if not item:
            sys.exit(f"seeds: not the form of tests/vectors/README.md: {text[at:at + 40]}")
        one = bytes.fromhex(item[2]) if item[2] else unescape(item[1])
        out += one * int(item[3] or 1)
        at = item.end()
    return out


def unescape(text):
    letters = {"r": "\r", "n": "\n", "\\": "\\", '"': '"'}
    return ESCAPE.sub(lambda m: chr(int(m[1][1:], 16)) if m[1][0] == "x" else letters[m[1]], text).encode("latin-1")


def vectors(name):
    """(who, bytes) of a file: 0 the client, 1 the server."""
    for line in (VECTORS / name).read_text().splitlines():
        columns = re.sub(r"(^|\s)#.*", "", line).split()
        if columns:
            yield int(columns[1] == "server"), expand(columns[4])


def of_ws():
    yield bytes.fromhex("0000807fc8")  # a length of 64 bits whose first one is set, cut
    for name in ("frame", "message", "close"):
        for who, stream in vectors(f"ws/{name}.txt"):
            yield bytes([who, len(stream) // 2 % 256]) + stream


def of_ws_reader():
    """Those, with compression agreed on, too."""
    for seed in of_ws():
        yield seed
        yield bytes([seed[0] | 2]) + seed[1:]


def of_deflate():
    """Messages as they are sent, and RFC 7692's examples."""
    for example in ("f248cdc9c90700", "f200110000", "000500faff48656c6c6f00", "f348cdc9c9070000", "f24805000000ffffcac9c90700", "00", ""):
        yield bytes([200, 10, 3]) + bytes.fromhex(example)
    for message in (b"a" * 5000, b'{"jsonrpc":"2.0"}' * 30, bytes(range(256)) * 2):
        for level in (0, 1, 9):
            packer = zlib.compressobj(level, zlib.DEFLATED, -15)
            packed = packer.compress(message) + packer.flush(zlib.Z_SYNC_FLUSH)
            yield from (bytes([most, 63, 9]) + packed[:-4] for most in (5, 255))


def of_http():
    for name in ("request", "response"):
        for who, head in vectors(f"ws/handshake_{name}.txt"):
            yield bytes([who]) + head
            yield bytes([who | 2]) + head


def of_mqtt():
    for name, choices in (("connect3", 0), ("connect5", 2), ("packet3", 4), ("packet5", 6)):
        for who, stream in vectors(f"mqtt/{name}.txt"):
            yield bytes([choices | who, len(stream) // 2 % 256]) + stream


def of_rpc():
    """The examples of docs/protocol.md, whole objects and batches."""
    text = (ROOT / "docs/protocol.md").read_text()
    for line in re.findall(r"^(?:[^{\[`|]{0,4})([{\[].*[}\]])$", text, re.M):
        yield line.encode()
    for method in re.findall(r"^\| `([a-z_]+)`", text, re.M):
        yield f'{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{}}}}'.encode()
    yield b'{"jsonrpc":"2.0","id":1,"method":"publish","params":{"topic":"a/b","payload":{"x":[1]},"headers":{"k":"v"},"key":"00112233445566778899aabbccddeeff:1:1"}}'
    yield b'[{"jsonrpc":"2.0","method":"publish","params":{"topic":"a\\/b","payload_base64":"AAEC"}},{"jsonrpc":"2.0","id":"x","result":{"epoch":"1","offset":2}}]'
    yield b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"x"}}'
    yield b'{"jsonrpc":"2.0","id":2,"method":"subscribe","params":{"filter":"a/#","since":[{"epoch":"1f","offset":3}],"retained":true}}'


def of_yaml():
    yield from (text.encode() for text in YAML)
    yield b"a: {b: {c: 1}}\na: {b: {c: 1}}\n"
    yield b"%YAML" + b"\xc3" * 40 + b"\n---\na: 1\n"
    yield from (path.read_bytes() for path in sorted((ROOT / "config").glob("*.yaml")))


TARGETS = {
    "ws_reader": of_ws_reader,
    "ws_deflate": of_deflate,
    "oracle_ws": of_ws_reader,
    "http_head": of_http,
    "mqtt_reader": of_mqtt,
    "oracle_mqtt": of_mqtt,
    "json": lambda: (bytes([63]) + text.encode() for text in JSON),
    "rpc": of_rpc,
    "topic": lambda: ("\n".join(lines).encode() for lines in TOPICS),
    "image_yaml": of_yaml,
}


def main():
    folder = Path(sys.argv[1])
    for target, seeds in TARGETS.items():
        shutil.rmtree(folder / target, ignore_errors=True)
        (folder / target).mkdir(parents=True)
        for seed in seeds():
            if len(seed) <= LONG:
                (folder / target / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
        if not any((folder / target).iterdir()):
            sys.exit(f"seeds: none for {target}")
    (folder / "made").touch()


if __name__ == "__main__":
    main()
