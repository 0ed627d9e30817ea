"""Trap 10: a reason that quotes what few others did tells what they did.

No reasons are given yet. What must hold until then: nothing that a run writes outside the sites' own folders, not
the report, the model, its certificate or the coordinator's files, names an item or a user.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

Basket = frozenset[str]


def also_bought(mine: Basket, others: list[Basket]) -> str:
    """The usual reason: what those who share an item with me have most often, and I do not."""
    alike = [basket for basket in others if basket & mine]
    counts = Counter(item for basket in alike for item in basket - mine)
    return counts.most_common(1)[0][0] if counts else ""


def test_a_reason_of_the_usual_kind_quotes_one_other_person() -> None:
    """One neighbour, and the reason is that person's other item; gone is the person, gone is the reason."""
    mine, crowd = frozenset({"rare book"}), [frozenset({"bread", "milk"})] * 50
    neighbour = frozenset({"rare book", "pregnancy test"})
    assert also_bought(mine, [*crowd, neighbour]) == "pregnancy test"
    assert also_bought(mine, crowd) == ""


def texts_of(scenario: Path) -> set[str]:
    """Every item of the shops' catalogue."""
    return set((scenario.parent / "items.csv").read_text().splitlines()[1:])


@pytest.fixture
def written(voyage: Any) -> dict[str, bytes]:
    """Every file that the run left outside the sites' folders, by name."""
    paths = [path for path in voyage.out.rglob("*") if path.is_file() and "sites" not in path.parts]
    return {str(path.relative_to(voyage.out)): path.read_bytes() for path in paths}


def test_nothing_that_leaves_the_sites_names_an_item_or_a_user(
    voyage: Any, written: dict[str, bytes]
) -> None:
    items = texts_of(Path(voyage.spec.platforms[0]))
    assert len(items) == 64
    assert {"report.html", "report.json", "report.md"} <= set(written)
    assert any(name.endswith("certificate.json") for name in written)
    assert any(name.endswith("model.safetensors") for name in written)
    named = re.compile(b"|".join([rb"\buser-\d+\b", *(re.escape(item.encode()) for item in sorted(items))]))
    found = {name: match[0] for name, content in written.items() if (match := named.search(content))}
    assert found == {}


def test_the_search_would_find_one(voyage: Any) -> None:
    """The shops' own files name both."""
    shop = Path(voyage.spec.platforms[0]).with_suffix(".csv").read_text()
    assert re.search(r"\buser-\d+\b", shop)
    assert any(item in shop for item in texts_of(Path(voyage.spec.platforms[0])))
