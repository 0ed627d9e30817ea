"""`check`: what it counts, what it remarks on, and what it refuses."""

from collections.abc import Callable
from pathlib import Path

from scenarios.platforms.check import check
from scenarios.platforms.spec import ScenarioSpec

Shop = Callable[[list[str] | bytes], ScenarioSpec]


def test_a_sound_scenario(shop: Shop, rows: list[str]) -> None:
    found = check(
        shop([*rows, "ann,p4,2024-01-03T10:30:00,5,Tel 212-555-0147,drinks", "bob,p5,2024-01-01,1,,"])
    )
    assert found.users == 3
    assert found.items == len({"Green tea", "Rice", "Soap"})
    assert found.items_merged == 1
    assert found.items_without_text == 1
    assert found.users_with_one_event == 1
    assert found.dropped == {"item without text": 1}
    assert found.personal_data_left == {}
    assert found.days == 2.1
    assert "1 users have one event: they are kept, but a sequence of one teaches nothing" in found.notes


def test_redacted_texts_are_counted_and_looked_at_again(shop: Shop, rows: list[str]) -> None:
    found = check(shop([*rows, "bob,p8,2024-01-01,1,Ask jane@example.org,drinks"]))
    assert found.redacted == {"email": 1}
    assert found.personal_data_left == {}


def test_nothing_to_predict_is_a_problem(shop: Shop, rows: list[str]) -> None:
    found = check(shop([*rows[:1], *(row for row in rows[1:] if "p1" in row)]))
    assert "nobody has a new item in the test period" in found.problems


def test_a_bucket_above_the_number_of_users_is_remarked(shop: Shop, rows: list[str]) -> None:
    spec = shop(rows)
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"bucket": 1000})})
    assert "training.bucket is 1000, but there are 3 users: it is to be a lower bound" in check(spec).notes


def test_a_catalogue_of_private_rows_is_remarked(shop: Shop, rows: list[str], tmp_path: Path) -> None:
    spec = shop(rows)
    assert any("private rows: right for a rehearsal alone" in note for note in check(spec).notes)
    (tmp_path / "items.csv").write_text("product,title,category\np1,Tea,a\np2,Rice,b\np3,Soap,c\n")
    source = spec.source.model_copy(update={"items": tmp_path / "items.csv"})
    assert not any("private rows" in note for note in check(spec.model_copy(update={"source": source})).notes)


def test_events_after_the_end_are_counted(shop: Shop, rows: list[str]) -> None:
    found = check(shop([*rows, "ann,p2,2024-01-03T11:00:00,5,Rice,dry food"]))
    assert found.dropped == {"after the split's end": 1}
