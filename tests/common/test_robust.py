"""Robust terms: what a roster can keep, and what it is told where it cannot."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from common.charter import Charter
from common.robust import RobustTerms

TWELVE = tuple(f"platform-{letter}" for letter in "abcdefghijkl")


def terms(**fields: object) -> RobustTerms:
    return RobustTerms.model_validate({"norm_bound": 1.0, **fields})


@pytest.mark.parametrize(
    ("fields", "platforms", "colluders", "why"),
    [
        ({}, 3, 1, ""),
        ({"rollback": 0.1}, 5, 3, ""),
        ({"statistic": "mean"}, 8, 1, "8 platforms are too few for groups (9): leave robust.statistic out"),
        ({"statistic": "mean"}, 9, 1, ""),
        (
            {"statistic": "median"},
            9,
            1,
            "9 platforms make 2 groups of 4 or more: a median needs 3, which is 12 platforms",
        ),
        (
            {"statistic": "trimmed-mean"},
            11,
            1,
            "11 platforms make 2 groups of 4 or more: a trimmed-mean needs 3, which is 12 platforms",
        ),
        ({"statistic": "median"}, 12, 1, ""),
        ({"statistic": "median"}, 12, 0, ""),
        (
            {"statistic": "mean"},
            9,
            2,
            "9 platforms make 1 groups of 5 or more: a mean needs 2, which is 10 platforms",
        ),
        ({"statistic": "mean"}, 10, 2, ""),
        ({"statistic": "median"}, 15, 2, ""),
        ({"statistic": "mean", "draws": 1}, 12, 1, "1 draws of groups: each of 1 colluders can spoil one"),
        ({"statistic": "mean", "draws": 2}, 12, 1, ""),
        ({"statistic": "mean", "draws": 1}, 12, 0, ""),
    ],
)
def test_what_a_roster_can_keep(fields: dict[str, object], platforms: int, colluders: int, why: str) -> None:
    assert terms(**fields).fault(platforms, colluders, max(3, colluders + 2)) == why


@pytest.mark.parametrize(
    "fields",
    [
        {"norm_bound": 0},
        {"norm_bound": -1},
        {"rollback": 0},
        {"draws": 0},
        {"draws": 101},
        {"statistic": "mode"},
        {"remark": 1},
    ],
)
def test_what_no_terms_say(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        terms(**fields)


def test_a_bound_is_required() -> None:
    with pytest.raises(ValidationError):
        RobustTerms.model_validate({"statistic": "median"})


def test_a_charter_refuses_what_its_roster_cannot_keep(draft: Callable[..., Charter]) -> None:
    assert draft(*TWELVE, robust=terms(statistic="median")).robust == terms(statistic="median")
    for platforms, colluders, why in (
        (TWELVE[:9], 1, "which is 12 platforms"),
        (TWELVE, 2, "which is 15 platforms"),
    ):
        with pytest.raises(ValidationError, match=why):
            draft(*platforms, colluders=colluders, robust=terms(statistic="median"))


def test_a_charter_that_says_nothing_of_it_is_signed_as_it_always_was(draft: Callable[..., Charter]) -> None:
    plain = draft()
    assert "robust" in plain.model_dump()
    assert plain.digest() == draft(robust=None).digest()
    assert plain.digest() != draft(robust=terms()).digest()
    assert draft(robust=terms()).digest() != draft(robust=terms(norm_bound=2)).digest()
