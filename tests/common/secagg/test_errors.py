"""Every reason is a class that names the phase, the platform it accuses and the remedy, wherever it is raised."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import common.secagg
from common.errors import AggregationAborted
from common.secagg import errors
from common.secagg.errors import BadAdvert, Phase, ProtocolAborted, TooFewPlatforms

PACKAGE = Path(common.secagg.__file__).parent
SOURCES = [
    *sorted(PACKAGE.glob("*.py")),
    # The draw of groups needs the charter as well as the protocol.
    PACKAGE.parents[1] / "clients" / "draw.py",
    PACKAGE.parents[1] / "server" / "drawing.py",
]
REASONS = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ProtocolAborted)),
    key=lambda kind: kind.__name__,
)
ACCUSING = {
    "BadAdvert",
    "BadDealer",
    "BadShares",
    "BadSurvivors",
    "BadVector",
    "LedgerRollback",
    "UnknownPlatform",
    "WrongRelease",
}
"""Reasons about one platform. The others are about a set of them, a message, or the site itself."""


def raised() -> Iterator[tuple[str, ast.Call]]:
    """Where the package makes a reason: the file and the call."""
    names = {kind.__name__ for kind in REASONS}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                yield f"{path.stem}:{node.lineno}", node


RAISED = list(raised())


def literal_phase(call: ast.Call) -> bool:
    """Whether it names a phase, or passes on the one it was given."""
    first = call.args[0]
    return (
        first.value in get_args(Phase) if isinstance(first, ast.Constant) else "phase" in ast.unparse(first)
    )


@pytest.mark.parametrize("kind", REASONS, ids=lambda kind: kind.__name__)
def test_every_reason_has_exit_code_4_and_a_remedy_of_its_own(kind: type[ProtocolAborted]) -> None:
    told = kind("share", "bremen", why="because")
    assert isinstance(told, AggregationAborted)
    assert (told.exit_code, told.phase, told.why) == (4, "share", "because")
    assert told.what == (kind.__doc__ or "").splitlines()[0].rstrip(".")
    assert 20 < len(told.hint) < 130
    assert "\n" not in told.hint
    assert told.hint not in {other("share").hint for other in REASONS if other is not kind}


def test_a_reason_reads_as_one_line() -> None:
    named = BadAdvert("share", "bremen", why="because")
    assert str(named).startswith("share: bremen: The advertisement is not signed")
    assert (named.phase, named.platform, named.why) == ("share", "bremen", "because")
    assert BadAdvert("share", hint="another").hint == "another"


def test_too_few_platforms_says_who_was_left_out() -> None:
    told = TooFewPlatforms("mask", why="2 left", excluded={"visby": BadAdvert("share"), "bergen": named()})
    assert told.why == "2 left; excluded: bergen, visby"
    assert set(told.excluded) == {"bergen", "visby"}
    assert (TooFewPlatforms("mask", "bremen").platform, TooFewPlatforms("mask").why) == ("bremen", "")


def named() -> ProtocolAborted:
    return BadAdvert("share", "bergen")


@pytest.mark.parametrize(("place", "call"), RAISED, ids=[place for place, _ in RAISED])
def test_every_place_that_raises_names_the_phase_and_whom_it_accuses(place: str, call: ast.Call) -> None:
    assert isinstance(call.func, ast.Name)
    assert literal_phase(call), place
    if call.func.id in ACCUSING:
        assert len(call.args) == 2, f"{place}: {call.func.id} names no platform"


def test_every_reason_is_raised_somewhere() -> None:
    used = {call.func.id for _, call in RAISED if isinstance(call.func, ast.Name)}
    assert used == {kind.__name__ for kind in REASONS} - {"ProtocolAborted"}
