"""The cells of an experiment: each once, each with a folder's name of its own."""

from typing import Any

import pytest

from scenarios.experiments.cells import REFERENCES, cells, slug
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec


def spec(**fields: Any) -> ExperimentSpec:
    platforms = ("grocery", "drugstore", "fresh")
    return ExperimentSpec.model_validate({"title": "t", "platforms": platforms, **fields})


def test_systems_by_seed_and_epsilons_by_repeat() -> None:
    asked = spec(
        systems=("local-only", "federated"), seeds=(1, 4), privacy={"epsilons": (8, 0.5), "repeats": 2}
    )
    assert cells(asked) == (
        REFERENCES,
        Cell("local-only", 1, None),
        Cell("local-only", 4, None),
        Cell("federated", 1, None),
        Cell("federated", 4, None),
        Cell("federated", 1, 8.0),
        Cell("federated", 2, 8.0),
        Cell("federated", 1, 0.5),
        Cell("federated", 2, 0.5),
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"systems": ()}, []),
        ({"systems": ("pooled",)}, [Cell("pooled", 1, None)]),
        ({"systems": ("federated",), "privacy": {"epsilons": ()}}, [Cell("federated", 1, None)]),
        (
            {"systems": ("federated",), "privacy": {"epsilons": (3,), "unprotected": False}},
            [Cell("federated", 1, 3.0)],
        ),
    ],
)
def test_only_what_was_asked_for(fields: dict[str, Any], expected: list[Cell]) -> None:
    assert cells(spec(**fields)) == (REFERENCES, *expected)


def test_no_two_cells_share_a_folder() -> None:
    asked = cells(spec(seeds=(1, 2, 11), privacy={"epsilons": (1, 11, 1.1, 0.1), "repeats": 11}))
    names = [slug(cell) for cell in asked]
    assert len(set(names)) == len(names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.") for name in names)


def test_names_of_folders_are_those_people_know() -> None:
    assert slug(Cell("federated", 1, 8.0)) == "federated-eps8-1"
    assert slug(Cell("federated", 3, 0.5)) == "federated-eps0.5-3"
    assert slug(Cell("pooled-clipped", 2, None)) == "pooled-clipped-2"
