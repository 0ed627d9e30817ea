"""Who shares people, what it costs one person, and what a report says of it."""

import pytest

from common.privacy.accountant import Mechanism, joint_epsilon
from scenarios.experiments.limits import declared_relations
from scenarios.experiments.relations import dearest, sharing
from scenarios.platforms.registry import load_scenario
from scenarios.platforms.spec import ScenarioSpec

VIDEO = load_scenario("video")


def scenarios(**shares: tuple[str, ...]) -> dict[str, ScenarioSpec]:
    relations = type(VIDEO.relations)
    return {
        name: VIDEO.model_copy(update={"name": name, "relations": relations(shares_people_with=others)})
        for name, others in shares.items()
    }


@pytest.mark.parametrize(
    ("shares", "groups"),
    [
        ({"a": (), "b": (), "c": ()}, [("a",), ("b",), ("c",)]),
        ({"a": (), "b": ("a",), "c": ()}, [("a", "b"), ("c",)]),
        ({"a": ("b",), "b": (), "c": ("b",)}, [("a", "b", "c")]),
        ({"a": ("c",), "b": ("d",), "c": (), "d": ()}, [("a", "c"), ("b", "d")]),
        ({"a": ("b",), "c": ("d",), "b": (), "d": ("a",)}, [("a", "c", "b", "d")]),
        ({"a": ("elsewhere",), "b": ("elsewhere",)}, [("a",), ("b",)]),
    ],
)
def test_people_are_shared_both_ways_and_over_others(
    shares: dict[str, tuple[str, ...]], groups: list[tuple[str, ...]]
) -> None:
    assert list(sharing(scenarios(**shares))) == groups


def test_the_joint_figure_is_that_of_the_dearest_group_not_of_the_largest() -> None:
    quiet, loud = Mechanism(8.0, 0.05, 20), Mechanism(1.0, 0.05, 20)
    histories = {"a": [quiet], "b": [quiet], "c": [quiet], "d": [loud], "e": [loud]}
    group, total = dearest([("a", "b", "c"), ("d", "e")], histories, 1e-5)
    assert group == ("d", "e")
    assert total == joint_epsilon([[loud], [loud]], 1e-5)


def test_the_shops_are_said_to_be_departments_of_one_retailer() -> None:
    names = ("grocery", "drugstore", "fresh", "video")
    said = list(declared_relations({name: load_scenario(name) for name in names}))
    assert said == [
        "The platforms grocery, drugstore and fresh are departments of one retailer, seen as 3 platforms.",
        "The platforms grocery, drugstore and fresh declare that they share people, for whom the joint ε counts.",
    ]


def test_unrelated_platforms_are_said_nothing_of() -> None:
    assert list(declared_relations(scenarios(a=(), b=()))) == []
