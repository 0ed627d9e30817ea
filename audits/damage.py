"""Damage to valid messages: bytes flipped, cut, repeated, swapped; rows lost, doubled, reordered; huge numbers.

A value is what JSON can hold, or bytes. Where it breaks, and how, follows from the generator alone.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Value = Any

NUMBERS = (0, 1, 2, 32, 63, 64, 65, 127, 128, 255, 256, 1000, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**32)
WIDE = (-1, -(2**31), 2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**400, 10**4300 - 9)
TEXTS = (
    "",
    "\0",
    "\n",
    "\x1b[2J",
    "é",
    "🚢",
    "Ω" * 40,
    "port-000",
    "atlantis",
    "<f4",
    "<u4",
    "<u2",
    "<f8",
    "|O",
    "NaN",
)
ALIENS: tuple[Value, ...] = (
    None,
    True,
    False,
    1.5,
    -0.0,
    1e308,
    float("inf"),
    float("nan"),
    "",
    0,
    [],
    {},
    b"",
)
OVERSIZE = 1 << 16


def damaged(value: Value, others: Sequence[Value], rng: Random) -> Value:
    """The value with one to four faults. ``others``: valid values, of which pieces may be spliced in."""
    for _ in range(1 + min(int(rng.expovariate(1.2)), 3)):
        value = _broken(value, others, rng)
    return value


def _broken(value: Value, others: Sequence[Value], rng: Random) -> Value:
    if isinstance(value, list | dict) and value and rng.random() < 0.8:
        return _deeper(value, others, rng)
    if rng.random() < 0.04:
        return rng.choice((*ALIENS, *others))
    for kind, breaks in _BREAKS.items():
        if isinstance(value, kind):
            return rng.choice(breaks)(value, others, rng)
    return rng.choice(ALIENS)


def _deeper(value: Value, others: Sequence[Value], rng: Random) -> Value:
    """One element is broken, the rest stays."""
    pools = [other for other in others if type(other) is type(value)] or [value]
    if isinstance(value, list):
        at = rng.randrange(len(value))
        beside = [row for pool in pools for row in pool]
        return [*value[:at], _broken(value[at], beside, rng), *value[at + 1 :]]
    key = rng.choice(list(value))
    return {**value, key: _broken(value[key], [row for pool in pools for row in pool.values()], rng)}


def _flip(data: bytes, _: Sequence[Value], rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :] if data[at:] else data


def _cut(data: Any, _: Sequence[Value], rng: Random) -> Any:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _truncate(data: Any, _: Sequence[Value], rng: Random) -> Any:
    return data[: rng.randrange(len(data) + 1)]


def _repeat(data: Any, _: Sequence[Value], rng: Random) -> Any:
    start, end = _span(data, rng)
    return data[:end] + data[start:end] * rng.randint(1, 3) + data[end:]


def _swap(data: Any, _: Sequence[Value], rng: Random) -> Any:
    a, b, c = sorted(rng.randrange(len(data) + 1) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def _splice(data: Any, others: Sequence[Value], rng: Random) -> Any:
    other = rng.choice([other for other in others if type(other) is type(data)] or [data])
    start, end = _span(other, rng)
    at = rng.randrange(len(data) + 1)
    return data[:at] + other[start:end] + data[at + rng.choice((0, end - start)) :]


def _length_field(data: bytes, _: Sequence[Value], rng: Random) -> bytes:
    """A number of one to eight bytes where one may stand: huge, zero, or beside the true one."""
    width, at = rng.choice((1, 2, 4, 8)), rng.choice((0, rng.randrange(len(data) + 1)))
    near = int.from_bytes(data[at : at + width], "big") + rng.choice((-1, 1))
    number = rng.choice((near, *NUMBERS, 2**64 - 1)) % (1 << 8 * width)
    return data[:at] + number.to_bytes(width, rng.choice(("big", "little"))) + data[at + width :]


def _oversize(data: Any, _: Sequence[Value], rng: Random) -> Any:
    """Trailing bytes: mostly a few, now and then very many; brackets are what nests JSON too deeply."""
    filler = rng.choice((b"\0", data or b"\xff") if isinstance(data, bytes) else ("[", data or "a"))
    return data + filler * (OVERSIZE // len(filler) if rng.random() < 0.02 else 1)


def _other_text(text: str, _: Sequence[Value], rng: Random) -> str:
    at = rng.randrange(len(text) + 1)
    return rng.choice((rng.choice(TEXTS), text[:at] + rng.choice(TEXTS) + text[at:]))


def _other_number(number: int, _: Sequence[Value], rng: Random) -> int:
    return rng.choice((number + 1, number - 1, -number, *NUMBERS, *WIDE))


def _lost_row(rows: Any, _: Sequence[Value], rng: Random) -> Any:
    at = rng.randrange(len(rows)) if rows else 0
    kept = [row for place, row in enumerate(rows if isinstance(rows, list) else rows.items()) if place != at]
    return kept if isinstance(rows, list) else dict(kept)


def _shuffled(rows: Any, _: Sequence[Value], rng: Random) -> Any:
    mixed = list(rows if isinstance(rows, list) else rows.values())
    rng.shuffle(mixed)
    return mixed if isinstance(rows, list) else dict(zip(rows, mixed, strict=True))


def _strange_row(rows: Any, others: Sequence[Value], rng: Random) -> Any:
    """One row more: twice the same, another message's, or under a strange name."""
    pools = [other for other in others if type(other) is type(rows) and other] or [rows]
    pool = rng.choice(pools) or rng.choice(([0], {"": 0}))
    if isinstance(rows, list):
        at = rng.randrange(len(rows) + 1)
        return [*rows[:at], rng.choice(list(pool)), *rows[at:]]
    content = list(pool.values() if isinstance(pool, dict) else pool)
    return {**rows, rng.choice((*TEXTS, *rows)): rng.choice(content)}


def _renamed(rows: dict[str, Value], _: Sequence[Value], rng: Random) -> dict[str, Value]:
    old = rng.choice(list(rows) or [""])
    new = rng.choice((*TEXTS, old.upper(), old + " "))
    return {new if name == old else name: row for name, row in rows.items()}


def _nested(rows: Value, _: Sequence[Value], __: Random) -> Value:
    return [rows]


Break = Callable[[Any, Sequence[Value], Random], Value]
_BREAKS: dict[type, tuple[Break, ...]] = {
    bytes: (_flip, _flip, _length_field, _length_field, _cut, _truncate, _repeat, _swap, _splice, _oversize),
    str: (_other_text, _other_text, _cut, _truncate, _repeat, _swap, _splice, _oversize),
    bool: (lambda flag, *_: not flag,),
    int: (_other_number,),
    list: (_lost_row, _shuffled, _strange_row, _strange_row, _truncate, _repeat, _nested),
    dict: (_lost_row, _shuffled, _strange_row, _renamed, _nested),
}


def _span(data: Any, rng: Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 4, 8, 33, 64, 210)))
