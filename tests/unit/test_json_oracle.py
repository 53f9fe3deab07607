"""src/base/json against Python's json: the same texts accepted, the same values read."""

import json
import os
import pathlib
import random
import struct
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ["tests/json_oracle.c"] + [f"src/base/{name}.c" for name in ("json", "json_out", "utf8", "buf", "err")]
FLAGS = (
    "-std=c17 -D_GNU_SOURCE -Isrc -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Werror "
    "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
).split()
DEPTH_MAX = 128
SEED = int(os.environ.get("PIXI_TEST_SEED", "8259"))
MUTATIONS = 40_000


@pytest.fixture(scope="module")
def read():
    """Gives a function: texts in, (status name, value written anew or None) for each out."""
    program = ROOT / "build/san/test/json_oracle"
    program.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", *FLAGS, "-o", program, *SOURCES], cwd=ROOT, check=True)

    def run(texts):
        given = b"".join(struct.pack(">I", len(text)) + text for text in texts)
        done = subprocess.run([program], input=given, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        lines = done.stdout.split(b"\n")
        assert len(lines) == len(texts) + 1 and lines[-1] == b""
        return [tuple((line.split(b" ", 1) + [None])[:2]) for line in lines[:-1]]

    return run


class Number(str):
    """A number as it is written: what it is worth is not the reader's business."""


class Pairs(list):
    """An object's members in order, with those that come twice."""


def refuse(name):
    raise ValueError(name)


def depth_of(value):
    if isinstance(value, Pairs):
        return 1 + max((depth_of(member) for _, member in value), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def string_anew(text):
    if any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        return '"\\ud800"'
    return json.dumps(text, ensure_ascii=False)


def anew(value):
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return string_anew(value)
    if isinstance(value, Pairs):
        return "[" + ",".join(['"{"'] + [string_anew(name) + "," + anew(member) for name, member in value]) + "]"
    if isinstance(value, list):
        return "[" + ",".join(['"["'] + [anew(member) for member in value]) + "]"
    return {True: "true", False: "false", None: "null"}[value]


def python_reads(text):
    """The value written anew, or None for what is not JSON or too deep."""
    try:
        value = json.loads(
            text.decode("utf-8"),
            strict=True,
            parse_constant=refuse,
            parse_int=Number,
            parse_float=Number,
            object_pairs_hook=Pairs,
        )
    except (ValueError, RecursionError):
        return None
    return anew(value).encode() if depth_of(value) <= DEPTH_MAX else None


def compare(read, texts):
    accepted = 0
    for text, (status, ours) in zip(texts, read(texts)):
        theirs = python_reads(text)
        assert (status == b"OK") == (theirs is not None), (text, status, theirs)
        assert ours == theirs, text
        accepted += theirs is not None
    return accepted


HANDMADE = [
    *(text.encode() for text in """
    {} [] "" 0 -0 1 -1 10 01 -01 00 1.5 1. .5 +1 - -- 1e5 1E5 1e+5 1e-5 1e 1e+ 1.5e5 1.e5 1e5.5 0e0 0.0 -0.0e-0
    1e400 -1e-400 123456789012345678901234567890 0x10 1_000 1,5 Infinity -Infinity NaN nan inf true false null
    True nul tru truee nullnull [1,2] [1,] [,1] [,] [1,,2] [1 [1}  {] } ] { [ ( : , {"a":1} {"a"} {"a":} {"a",}
    {"a":1,} {,"a":1} {a:1} {'a':1} {1:1} {null:1} {"a":1"b":2} {"a":1,"a":2} {"a":{"a":{"a":[]}}} [[[]]] [{}]
    {"a":[1,{"b":null}],"c":"\\u00e9"} "a "a" 'a' "\\" "\\"" "\\\\" "\\/" "\\b\\f\\n\\r\\t" "\\a" "\\v" "\\0" "\\x41"
    "\\u0041" "\\u004" "\\u" "\\u004g" "\\uD83D\\uDE00" "\\uD83D" "\\uDE00" "\\uDE00\\uD83D" "\\uD83Dx" "\\uD83D\\n"
    "\\uD83D\\u0041" "\\ud83d\\ud83d\\ude00" "\\u0000" {"\\u0000":1} {"\\ud800":"\\udfff"} "é" "€" "🐢" "a/b" // /**/
    [1]/**/ #1 [1]x "a""b" 1a [1a] [1.5.5] [-] [+1] [.5] [0.] [1e] [1e+] [01] [-01] [-a]
    """.split()),
    b"",
    b" ",
    b" \t\r\n1 \t\r\n",
    b"\x0b1",
    b"\x0c1",
    b"1\x00",
    b"\x00",
    b"\xc2\xa01",
    b"\xe2\x80\xa81",
    b"1 2",
    b"[1 2]",
    b"[ 1 , 2 ]",
    b'{ "a" : 1 , "b" : 2 }',
    b"- 1",
    b"1 .5",
    b'"\\u 041"',
    b'"\\u+041"',
    b'"\\u-041"',
    b'"\\u0x41"',
    b'"\\u00_1"',
    '"\\u٠٠٠٠"'.encode(),
    "١".encode(),
    "[1٢]".encode(),
    b'"\x7f"',
    b'"\t"',
    b'"\n"',
    b'"\x1f"',
    b'"\x00"',
    b"\xef\xbb\xbf{}",
    b"{}\xef\xbb\xbf",
    b'"\xef\xbb\xbf"',
    b"\xff\xfe1\x00",
    b'"\xff"',
    b'"\xc0\x80"',
    b'"\xed\xa0\x80"',
    b'"\xed\x9f\xbf"',
    b'"\xf4\x8f\xbf\xbf"',
    b'"\xf4\x90\x80\x80"',
    b'"\xe2\x82"',
    b'"\xe2\x80\xa8\xe2\x80\xa9"',
    b'"' + b"plain " * 1000 + b'"',
    b"[" * 64 + b"]" * 64,
    b"[" * 65 + b"]" * 65,
    b'{"a":' * 64 + b"1" + b"}" * 64,
    b'{"a":' * 65 + b"1" + b"}" * 65,
    b'[{"a":' * 32 + b'""' + b"}]" * 32,
    b'[{"a":' * 32 + b"[]" + b"}]" * 32,
    b"[" * 5000,
]

PIECES = [
    *(text.encode() for text in """
    { } [ ] : , " \\ / - + . e E 0 1 9 true false null NaN Infinity "a" "": {"k": [0, \\" \\\\ \\/ \\n \\u \\u0041
    \\ud83d \\ude00 \\uD83D\\uDE00 -1 1.5 1e9 0.0 00 é € 🐢
    """.split()),
    *(bytes([byte]) for byte in b"\x00\t\n\r\x1f \x7f\x80\xbf\xc0\xc2\xe0\xed\xf4\xff"),
]


def random_value(rng, depth):
    kind = rng.randrange(9 if depth else 7)
    if kind == 0:
        return rng.choice([True, False, None])
    if kind in (1, 2):
        return rng.choice([0, -1, rng.getrandbits(70), rng.random(), -rng.random() * 1e30, rng.randrange(-99, 99)])
    if kind < 7:
        return random_string(rng)
    if kind == 7:
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(5))]
    return {random_string(rng): random_value(rng, depth - 1) for _ in range(rng.randrange(5))}


def random_string(rng):
    letters = ["abcdefgh", "a/b\"\\\n\t\x00\x1f\x7f", "éßж\u07ff", "€漢\u2028\uffff", "🐢𐀀\U0010ffff"]
    alphabet = rng.choice([letters[0], letters[0], "".join(letters)])
    return "".join(rng.choice(alphabet) for _ in range(rng.randrange(24)))


def random_text(rng):
    return json.dumps(
        random_value(rng, rng.randrange(6)),
        ensure_ascii=rng.random() < 0.5,
        indent=rng.choice([None, None, 1]),
    ).encode()


def mutate(rng, text):
    text = bytearray(text)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at, to = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
        to = min(to, at + rng.choice([1, 1, 2, 8]))
        how = rng.randrange(5)
        if how == 0:
            del text[at:to]
        elif how == 1:
            text[at:at] = rng.choice(PIECES)
        elif how == 2:
            text[at:to] = rng.choice(PIECES)
        elif how == 3:
            text[at:at] = text[at:to]
        elif text:
            text[at % len(text)] ^= 1 << rng.randrange(8)
    return bytes(text)


def test_handmade_cases(read):
    accepted = compare(read, HANDMADE)
    assert 40 < accepted < len(HANDMADE) - 40


def test_every_short_text(read):
    """All texts of up to four pieces of the grammar."""
    letters = [b"{", b"}", b"[", b"]", b":", b",", b'"', b"0", b"-", b".", b"e", b" ", b"\\"]
    texts, last = [b""], [b""]
    for _ in range(4):
        last = [text + letter for text in last for letter in letters]
        texts += last
    assert compare(read, texts) > 50


def test_valid_texts(read):
    rng = random.Random(SEED)
    texts = [random_text(rng) for _ in range(3000)]
    assert compare(read, texts) == len(texts)


def test_mutations(read):
    print(f"seed {SEED} (PIXI_TEST_SEED)")
    rng = random.Random(SEED)
    bases = [text for text in HANDMADE if len(text) < 500] + [random_text(rng) for _ in range(2000)]
    texts = [mutate(rng, rng.choice(bases)) for _ in range(MUTATIONS)]
    accepted = compare(read, texts)
    assert MUTATIONS // 20 < accepted < MUTATIONS * 19 // 20


def test_cut_texts_are_short(read):
    """Any strict prefix of a text that is not a number ends inside a value, and is called nothing else."""
    rng = random.Random(SEED)
    whole = [text for text in (random_text(rng) for _ in range(600)) if text[:1] in b'{["tfn']
    texts = [text[:cut] for text in whole for cut in range(len(text))]
    assert len(texts) > 5000
    assert set(read(texts)) == {(b"JSON_SHORT", None)}
