"""A platform's data as its own process needs them: catalogue, split and text features, read once."""

from dataclasses import dataclass
from functools import lru_cache

from clients.config import SiteConfig
from clients.features import FeatureCache
from common.deltas import Floats
from common.model.encoder import load_encoder
from common.model.statistics import Basis, CatalogueMoments
from scenarios.platforms.load import Platform, load_platform
from scenarios.platforms.registry import load_scenario


@dataclass(frozen=True, slots=True, eq=False)
class PlatformData:
    """``raw``: features of the catalogue, float32, (items, R), mapped from a file; ``encoder``: whose."""

    platform: Platform
    encoder: str
    raw: Floats
    moments: CatalogueMoments

    def features(self, basis: Basis) -> Floats:
        """What the model sees of every item: float32, (items, F), rows of unit norm."""
        return basis.apply(self.raw, self.moments.mean)


def read_platform(config: SiteConfig, key: bytes | None = None) -> PlatformData:
    """Read, clean, split and encode a platform's data; the same data are read once per process.

    ``key`` hashes user identifiers at the door; without one the data must be public.

    Raises:
        DataError: whatever makes the data unusable.
    """
    return _read(config.scenario, config.users, config.items, config.encoder, key)


@lru_cache(maxsize=8)
def _read(
    scenario: str, users: int | None, items: int | None, encoder: str, key: bytes | None
) -> PlatformData:
    platform = load_platform(load_scenario(scenario), users=users, items=items, key=key)
    frozen = load_encoder(encoder)
    raw = FeatureCache().load(frozen, platform.catalog.texts)
    return PlatformData(platform, frozen.digest, raw, CatalogueMoments.of(raw))
