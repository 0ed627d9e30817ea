"""The fuzzer: a few thousand inputs find nothing, and each kind of fault is found when there is one."""

import ast
import json
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

import common.secagg
from audits import fuzz
from audits.damage import damaged
from audits.target import SECRET, Target, printable
from audits.wires import REQUESTS
from common.secagg.errors import BadAdvert, ProtocolError


def test_a_few_thousand_damaged_inputs_find_nothing() -> None:
    found = [fuzz.explore(part) for part in fuzz.parts(4000, seed=7)]
    assert sum(each.part.count for each in found) >= 4000
    assert [fault for each in found for fault in each.faults] == []


@pytest.mark.parametrize("name", sorted(fuzz.targets()))
def test_every_target_accepts_its_valid_inputs_and_no_two_inputs_are_alike(name: str) -> None:
    target = fuzz.targets()[name]
    assert [fuzz.tried(target, number, 1) for number in range(len(target.seeds))] == [
        (False, "") for _ in target.seeds
    ]
    inputs = [repr(target.input(number, 1)) for number in range(200)]
    assert len(set(inputs)) > 60
    assert inputs == [repr(target.input(number, 1)) for number in range(200)]
    assert inputs != [repr(target.input(number, 2)) for number in range(200)]


def endless(_: Any) -> None:
    while True:
        pass


def patient(_: Any) -> None:
    try:
        endless(_)
    except Exception:
        raise ProtocolError("share") from None


def greedy(_: Any) -> None:
    bytearray(2 * fuzz.MEMORY)


def quoting(data: Any) -> None:
    raise ProtocolError("share", why=f"cannot read {data!r}")


def quoting_behind(data: Any) -> None:
    try:
        raise ValueError(data)
    except ValueError as error:
        raise ProtocolError("share") from error


def talkative(_: Any) -> None:
    raise ProtocolError("share", why="a" * 400)


def painting(_: Any) -> None:
    raise BadAdvert("share", "\x1b[2Jbremen")


@pytest.mark.parametrize(
    ("check", "fault"),
    [
        (endless, "TooSlow: more than"),
        (patient, "TooSlow: more than"),
        (greedy, "MemoryError"),
        (quoting, "holds payload"),
        (quoting_behind, "holds payload"),
        (talkative, "characters"),
        (painting, "no terminal should see"),
        (lambda data: data[1000], "IndexError"),
    ],
    ids=["hang", "stubborn hang", "memory", "payload", "payload behind", "length", "terminal", "other error"],
)
def test_it_finds(check: Callable[[Any], None], fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "SECONDS", 0.2)
    target = Target("bad", (ProtocolError, BadAdvert), check, [SECRET * 5])
    monkeypatch.setattr(fuzz, "targets", lambda: {"bad": target})
    found = fuzz.explore(fuzz.Part("bad", 1, first=2, count=1))
    text, count = fuzz.report([found])
    assert count == 1
    assert fault in text
    assert "python -m audits.fuzz --target 'bad' --seed 1 --first 2 --count 1" in text


def test_it_finds_a_valid_input_that_is_refused() -> None:
    def refuse(_: Any) -> None:
        raise ProtocolError("share")

    assert fuzz.tried(Target("strict", (ProtocolError,), refuse, [b""]), 0, 1) == (
        True,
        "a valid input is refused",
    )


def test_limits_end_with_the_fuzzing() -> None:
    with fuzz.bounded(), pytest.raises(MemoryError):
        bytearray(2 * fuzz.MEMORY)
    assert len(bytearray(2 * fuzz.MEMORY)) == 2 * fuzz.MEMORY


def test_a_platforms_name_is_no_payload() -> None:
    printable(BadAdvert("share", SECRET.decode(), why="swapped"))


def test_damage_reaches_every_part_of_a_message() -> None:
    rng, valid = Random(1), {"a": [b"\0" * 4, 7], "b": "text"}
    changed = [damaged(valid, [valid], rng) for _ in range(2000)]
    for part in (
        lambda value: value["a"][0],
        lambda value: value["a"][1],
        lambda value: value["b"],
        sorted,
    ):
        seen = set()
        for value in changed:
            try:
                seen.add(repr(part(value)))
            except (TypeError, KeyError, IndexError, AttributeError):
                continue
        assert len(seen) > 20


def test_time_is_the_processors_and_not_the_clocks() -> None:
    asleep = Target("asleep", (), lambda _: time.sleep(0.3), [b""])
    with fuzz.bounded(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuzz, "SECONDS", 0.1)
        assert fuzz.tried(asleep, 0, 1) == (False, "")


def test_every_decoder_has_its_target() -> None:
    """Whoever writes another one has it attacked too."""
    found = set[str]()
    for path in Path(common.secagg.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                methods = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
                found |= {node.name} if methods & {"decode", "from_json"} else set()
    attacked = {"Memory": "memory", "Receipt": "envelope", "MaskedVector": "vector"}
    assert {attacked.get(name, name) for name in found} <= set(fuzz.targets())


def test_every_request_is_among_the_valid_inputs() -> None:
    bodies = [json.loads(body) for body in fuzz.targets()["request text"].seeds]
    for kind in REQUESTS:
        assert any(set(body) == set(kind.model_fields) for body in bodies), kind
