"""A scenario's TOML: every problem at once, by file, line and key."""

from pathlib import Path

import pytest

from common.errors import ConfigError
from scenarios.platforms.registry import builtin_names, load_scenario
from scenarios.platforms.spec import ScenarioSpec


def said(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_scenario(path)
    assert caught.value.exit_code == 2
    return [
        f"{p.where.removeprefix(str(path))} {p.what}" + (f" ({p.hint})" if p.hint else "")
        for p in caught.value.problems
    ]


def changed(path: Path, *changes: tuple[str, str]) -> Path:
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def test_unknown_key_wrong_type_and_missing_key_all_at_once(toml: Path) -> None:
    path = changed(
        toml, ("time =", "tiem ="), ("bucket = 2\n", 'bucket = "many"\n'), ('licence = "CC0-1.0"\n', "")
    )
    assert sorted(said(path)) == [
        ":1 licence: missing key",
        ":18 training.bucket: should be a whole number",
        ":6 columns.time: missing key",
        ':9 columns.tiem: unknown key (did you mean "time"?)',
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('events = "events.csv"', "", ":5 source: give either events (a file) or converter"),
        (
            'events = "events.csv"',
            'events = "e.csv"\ndepartments = ["X"]',
            ":5 source: departments belong to",
        ),
        ("expected_batch = 1", "expected_batch = 3", ":18 training: expected_batch exceeds bucket"),
        ("[split]", '[split]\nby = "leave-last-out"', ":14 split: end, validation_days and test_days"),
        (
            "end = 2024-01-03T11:00:00\n",
            "",
            ":14 split: global-time counts back from a public moment: give end",
        ),
        ("end = 2024-01-03T11:00:00", "end = 20240103", ":15 split.end: should be a date or a time, such as"),
        ('name = "corner-shop"', 'name = "Corner Shop"', ":1 name: should match ^"),
        ('text = ["title", "category"]', "text = []", ":13 items.text: "),
    ],
)
def test_what_contradicts_itself(toml: Path, old: str, new: str, problem: str) -> None:
    (found,) = said(changed(toml, (old, new)))
    assert found.startswith(problem)


def test_ratings_need_their_column(toml: Path) -> None:
    path = changed(toml, ('value = "stars"\n', ""), ("[training]", '[training]\nloss = "mse"'))
    (found,) = said(path)
    assert found.startswith(":1 the loss mse learns ratings: name their column in columns.value")


def test_paths_count_from_the_folder_of_the_file(toml: Path) -> None:
    assert load_scenario(toml).source.events == toml.parent / "events.csv"


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match='no scenario "grocry"') as caught:
        load_scenario("grocry")
    assert caught.value.problems[0].hint == 'did you mean "grocery"?'


def test_the_four_that_come_with_the_project() -> None:
    specs = {name: load_scenario(name) for name in builtin_names()}
    assert list(specs) == ["drugstore", "fresh", "grocery", "video"]
    assert all(spec.name == name for name, spec in specs.items())
    shops = {"drugstore", "fresh", "grocery"}
    for name in shops:
        assert set(specs[name].relations.shares_people_with) == shops - {name}
        assert "2,386 households are customers of all three" in specs[name].description
    assert not specs["video"].relations.shares_people_with


def test_a_specification_survives_json(toml: Path) -> None:
    spec = load_scenario(toml)
    assert ScenarioSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    "written",
    [
        "2024-01-03",
        '"2024-01-03"',
        "2024-01-03T00:00:00Z",
        '"2024-01-02T19:00:00-05:00"',
        "2024-01-03T00:00:00",
    ],
)
def test_the_end_in_all_its_forms(toml: Path, written: str) -> None:
    spec = load_scenario(changed(toml, ("end = 2024-01-03T11:00:00", f"end = {written}")))
    assert spec.split.end_seconds == 1_704_240_000


def test_the_split_is_to_be_declared(toml: Path) -> None:
    toml.write_text(
        toml.read_text().replace("[split]\nend = 2024-01-03T11:00:00\n", "").replace("_days = 0.5", "")
    )
    lines = [line for line in toml.read_text().splitlines() if line not in ("validation", "test")]
    toml.write_text("\n".join(lines))
    assert said(toml) == [":1 split: missing key"]


@pytest.mark.parametrize(
    ("items", "public"), [("", False), ('items = "items.csv"', True), ('items = "events.csv"', False)]
)
def test_a_catalogue_is_public_where_it_is_not_read_from_the_events(
    toml: Path, items: str, public: bool
) -> None:
    path = changed(toml, ('events = "events.csv"', f'events = "events.csv"\n{items}'))
    assert load_scenario(path).public_catalogue is public


def test_the_catalogues_that_come_with_the_project_are_public() -> None:
    assert all(load_scenario(name).public_catalogue for name in builtin_names())
