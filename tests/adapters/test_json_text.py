"""``fasterapi.json_text``: with orjson and without it the same, over a table and over random values."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import importlib.util
import json
import math
import random
import sys
import uuid
from types import ModuleType
from typing import Any

import orjson
import pytest

from fasterapi import json_text


def without_orjson() -> ModuleType:
    spec = importlib.util.spec_from_file_location("json_text_of_stdlib", json_text.__file__)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "orjson", None)
        spec.loader.exec_module(module)
    assert module.orjson is None
    return module


STDLIB = without_orjson()
BOTH = [pytest.param(json_text, id="orjson"), pytest.param(STDLIB, id="stdlib")]


def test_orjson_is_what_the_first_of_both_uses(monkeypatch):
    written = []
    monkeypatch.setattr(orjson, "dumps", lambda *given, **options: written.append(given[0]) or b"{}")
    monkeypatch.setattr(orjson, "loads", lambda text: [text])
    assert (json_text.dumps({"a": 1}), json_text.loads("1")) == ("{}", ["1"])
    assert written == [{"a": 1}]
    assert (STDLIB.dumps({"a": 1}), STDLIB.loads("1")) == ('{"a":1}', 1)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Kind(str, enum.Enum):
    A = "a"


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Items(dict):
    def items(self):
        return [("shown", 1)]


@dataclasses.dataclass
class Point:
    x: float
    _y: object
    z: Any = None


Pair = collections.namedtuple("Pair", "first second")
ZONE = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
DEEP: Any = "bottom"
for _ in range(300):
    DEEP = [DEEP]

WRITTEN = [
    (None, "null"),
    ([True, False], "[true,false]"),
    ({"a": 1, "b": [1.5, -0.0]}, '{"a":1,"b":[1.5,-0.0]}'),
    ("grüße 漢字 😀", '"grüße 漢字 😀"'),
    ('"\\/\b\f\n\r\t\x00\x1f\x7f\u2028', '"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\u2028"'),
    ([math.nan, math.inf, -math.inf, 1e308], "[null,null,null,1e+308]"),
    ({"a": [Point(math.nan, 2**70)]}, f'{{"a":[{{"x":null,"_y":{2**70},"z":null}}]}}'),
    ([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**40], None),
    ([{1: "int", 2.5: "float", None: "null"}, {True: "bool"}], None),
    ({Kind.A: 1, Text("b"): 2}, '{"a":1,"b":2}'),
    ([Colour.RED, Level.HIGH, Kind.A], '["red",3,"a"]'),
    ([Text("sub"), Number(5)], '["sub",5]'),
    (Items(hidden=1), '{"shown":1}'),
    (collections.OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    ((1, (2,), Pair(3, 4)), "[1,[2],[3,4]]"),
    (ID, f'"{ID}"'),
    (datetime.datetime(2026, 1, 2, 3, 4, 5, 6, ZONE), '"2026-01-02T03:04:05.000006+05:30"'),
    ([datetime.datetime(2026, 1, 2), datetime.date(2026, 1, 2)], '["2026-01-02T00:00:00","2026-01-02"]'),
    (datetime.time(3, 4, tzinfo=ZONE), '"03:04:00+05:30"'),
    (
        Point(1.5, {"k": Point(1, 2)}, [ID]),
        f'{{"x":1.5,"_y":{{"k":{{"x":1,"_y":2,"z":null}}}},"z":["{ID}"]}}',
    ),
    ("\ud800 ü", '"\\ud800 \\u00fc"'),
    ({"\udc00": 1}, '{"\\udc00":1}'),
    (DEEP, "[" * 300 + '"bottom"' + "]" * 300),
]


@pytest.mark.parametrize("module", BOTH)
@pytest.mark.parametrize(("value", "text"), WRITTEN)
def test_what_is_written(module, value, text):
    assert module.dumps(value) == (text or json.dumps(value, separators=(",", ":")))


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
TOO_DEEP: Any = None
for _ in range(100_000):
    TOO_DEEP = [TOO_DEEP]


@pytest.mark.parametrize("module", BOTH)
@pytest.mark.parametrize(
    "value",
    [b"bytes", {1, 2}, object(), decimal.Decimal(1), {(1, 2): 3}, {"a": [1j]}, Point, CIRCLE, len],
    ids=lambda value: type(value).__name__,  # the same in each run, unlike where an object lies
)
def test_what_cannot_be_written_is_a_type_error(module, value):
    with pytest.raises(TypeError):
        module.dumps(value)


@pytest.mark.parametrize("module", BOTH)
def test_what_is_nested_too_deeply_is_a_type_error(module):
    with pytest.raises(TypeError):
        module.dumps(TOO_DEEP)


READ = [
    ('{"a":[1,2.5,-0.0,true,null]}', {"a": [1, 2.5, -0.0, True, None]}),
    (' \t\r\n"x" ', "x"),
    ('"grüße 😀 \\ud83d\\ude00"', "grüße 😀 😀"),
    ("[18446744073709551616,-9223372036854775809]", [2**64, -(2**63) - 1]),
    ("9223372036854775807", 2**63 - 1),
    ("1" * 40, int("1" * 40)),
    ("0." + "1" * 40, float("0." + "1" * 40)),
    ('{"a":1,"a":2}', {"a": 2}),
    ('"\\ud800"', "\ud800"),
    ("1e400", math.inf),
    ("[" * 300 + "]" * 300, None),
    ("-0", 0),
    ("1E+2", 100.0),
]


@pytest.mark.parametrize("module", BOTH)
@pytest.mark.parametrize("form", [str, Text, str.encode])
@pytest.mark.parametrize(("text", "value"), READ)
def test_what_is_read(module, form, text, value):
    read = module.loads(form(text))
    assert read == (json.loads(text) if value is None else value)
    assert repr(read) == repr(json.loads(text))


@pytest.mark.parametrize("module", BOTH)
@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "{",
            '{"a":}',
            "[1,]",
            "01",
            "1.",
            "+1",
            "NaN",
            "[Infinity]",
            "-Infinity",
            "'a'",
            '"a',
            '"\n"',
        ),
        *("\ufeff1", "1 2", "nul", "\x00", '"\\x"', b"\xff", b'"\xed\xa0\x80"', '"a"'.encode("utf-16")),
        *("1" * 5000, "[" * 100_000),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_not_json_is_a_decode_error(module, text):
    with pytest.raises(json.JSONDecodeError):
        module.loads(text)


def random_value(random: random.Random, depth: int = 0) -> Any:
    kind = random.randrange(9 if depth < 4 else 6)
    if kind == 0:
        return random.choice([None, True, False])
    if kind == 1:
        return random.randint(-(10 ** random.randint(0, 25)), 10 ** random.randint(0, 25))
    if kind == 2:
        return random.choice([random.uniform(-1e6, 1e6), random.random() * 10.0 ** random.randint(-300, 300)])
    if kind in (3, 4):
        return random_text(random)
    if kind == 5:
        return random.choice([math.nan, math.inf, Level.HIGH, ID, Point(1.5, random_text(random))])
    if kind == 6:
        return tuple(random_value(random, depth + 1) for _ in range(random.randrange(4)))
    if kind == 7:
        return [random_value(random, depth + 1) for _ in range(random.randrange(6))]
    return {random_text(random): random_value(random, depth + 1) for _ in range(random.randrange(6))}


def random_text(random: random.Random) -> str:
    ranges = [(0, 0x80), (0, 0x80), (0x80, 0x800), (0x800, 0x10000), (0x10000, 0x110000)]
    return "".join(chr(random.randrange(*random.choice(ranges))) for _ in range(random.randrange(12)))


def test_random_values_are_written_and_read_alike():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    for _ in range(1500):
        value = random_value(source)
        one, other = json_text.dumps(value), STDLIB.dumps(value)
        one.encode()
        # Only floats may be spelt differently; two halves that happen to make a pair are one character when read.
        assert STDLIB.dumps(json.loads(one)) == STDLIB.dumps(json.loads(other))
        for text in (one, other):
            assert repr(json_text.loads(text)) == repr(STDLIB.loads(text))


def test_random_faults_are_judged_alike():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    for _ in range(1500):
        text = list(STDLIB.dumps(random_value(source)))
        for _ in range(source.randrange(3)):
            text.insert(
                source.randrange(len(text) + 1),
                source.choice('0123456789[]{},:".eE+-\\nulltrue\x00\n \ud800'),
            )
        given = "".join(text)
        outcomes = []
        for module in (json_text, STDLIB):
            try:
                outcomes.append(repr(module.loads(given)))
            except json.JSONDecodeError:
                outcomes.append("not JSON")
        assert outcomes[0] == outcomes[1], given
