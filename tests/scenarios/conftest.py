"""A small made-up shop as a CSV file, and the scenario that declares it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scenarios.platforms.registry import load_scenario
from scenarios.platforms.spec import ScenarioSpec

ROWS = [
    "customer,product,bought,stars,title,category",
    "ann,p1,2024-01-01T08:00:00,5,Green tea,drinks",
    "ann,p2,2024-01-02T08:00:00,4,Rice,dry food",
    "ann,p1,2024-01-03T08:00:00,5,Green tea,drinks",
    "bob,p3,2024-01-02T09:00:00,3,Soap,bath",
    "bob,p2,2024-01-03T09:00:00,4,Rice,dry food",
    "eve,p4,2024-01-03T10:00:00,2,Green tea,drinks",
]
SCENARIO = """\
name = "corner-shop"
title = "Corner shop"
description = "Made up."
licence = "CC0-1.0"
[source]
events = "events.csv"
[columns]
user = "customer"
item = "product"
time = "bought"
value = "stars"
[items]
text = ["title", "category"]
[split]
end = 2024-01-03T11:00:00
validation_days = 0.5
test_days = 0.5
[training]
bucket = 2
expected_batch = 1
"""


@pytest.fixture
def rows() -> list[str]:
    """The shop's CSV, line by line, header first."""
    return list(ROWS)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """The shop's declaration, beside ``events.csv`` which is not written yet."""
    path = tmp_path / "shop.toml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture
def shop(toml: Path) -> Callable[[list[str] | bytes], ScenarioSpec]:
    """Write the rows, or any bytes, as the shop's events and load its scenario."""

    def write(content: list[str] | bytes) -> ScenarioSpec:
        raw = content if isinstance(content, bytes) else "\n".join([*content, ""]).encode()
        toml.with_name("events.csv").write_bytes(raw)
        return load_scenario(toml)

    return write
