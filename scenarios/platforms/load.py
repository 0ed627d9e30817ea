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
    """Read, clean and split a platform's data, or a sample of ``users`` users and ``items`` items.

    Raises:
        DataError: as ``readers.read`` and the split do.
    """
    interactions, catalog = limit(*read(spec, key), users=users, items=items)
    return Platform(spec, interactions, catalog, spec.split.apply(interactions.sequences()))


def limit(
    interactions: Interactions, catalog: ItemCatalog, *, users: int | None = None, items: int | None = None
) -> tuple[Interactions, ItemCatalog]:
    """A sample by a public rule: the users and items whose identifiers and texts hash (SHA-256) lowest."""
    if items is not None:
        catalog = catalog.first(items)
    return interactions.limit(users, items), catalog
