"""Platform: a scenario with its data, ready to be learned from."""

from dataclasses import dataclass

from common.data.catalog import ItemCatalog
from common.data.interactions import Interactions
from common.data.split import Split
from scenarios.platforms.readers import read
from scenarios.platforms.spec import ScenarioSpec


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform's declaration, events, catalogue and split."""

    spec: ScenarioSpec
    interactions: Interactions
    catalog: ItemCatalog
    split: Split


def load_platform(
    spec: ScenarioSpec, *, users: int | None = None, items: int | None = None, key: bytes | None = None
) -> Platform:
    """Read, clean and split a platform's data, or a sample of about ``users`` users and ``items`` items.

    Each user is in the sample or not by the identifier alone, with probability ``users`` / ``training.bucket``:
    of a platform with just as many users as its bucket, ``users`` are expected. Items are the first of the
    catalogue, which is public.

    Raises:
        DataError: as ``readers.read`` and the split do.
    """
    share = 1.0 if users is None else min(1.0, users / spec.training.bucket)
    interactions, catalog = read(spec, key, share)
    if items is not None:
        interactions, catalog = interactions.with_first_items(items), catalog.first(items)
    return Platform(spec, interactions, catalog, spec.split.apply(interactions.sequences()))
