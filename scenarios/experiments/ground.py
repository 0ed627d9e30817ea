"""What all cells of an experiment stand on: public facts, computed once from the whole catalogues."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clients.config import SiteConfig
from clients.platform_data import PlatformData, read_platform
from common.charter import ModelTerms
from common.deltas import Floats
from common.model.encoder import load_encoder
from common.model.layout import ParamLayout, pack
from common.model.sequence import build_model
from common.model.statistics import Basis
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.registry import load_scenario
from scenarios.platforms.spec import ScenarioSpec


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """``basis`` is fitted on every platform's catalogue; ``initial``: float32, (d,), the untrained model."""

    spec: ExperimentSpec
    scenarios: Mapping[str, ScenarioSpec]
    model: ModelTerms
    basis: Basis = field(repr=False)
    initial: Floats = field(repr=False)

    def data(self, platform: str) -> PlatformData:
        """A platform's data, read once in this process."""
        return read_platform(site_config(self.spec, platform))


def declared(spec: ExperimentSpec) -> Mapping[str, ScenarioSpec]:
    """The platforms' declarations by name; no data are read.

    Raises:
        ConfigError: where a declaration is missing or wrong.
    """
    return {scenario.name: scenario for scenario in map(load_scenario, spec.platforms)}


def survey(spec: ExperimentSpec) -> Basis:
    """Read and encode every whole catalogue, and fit the basis that all platforms share.

    Raises:
        DataError: where a platform's data cannot be used.
    """
    moments = [read_platform(site_config(spec, name)).moments for name in declared(spec)]
    return Basis.fit(moments, spec.model.features)


def stand(spec: ExperimentSpec, basis: Basis) -> Ground:
    """The ground on ``basis``; no data are read."""
    model = build_model(spec.model.size, spec.model.features)
    layout = ParamLayout.of(model)
    terms = ModelTerms(
        size=spec.model.size,
        features=spec.model.features,
        parameters=layout.size,
        encoder=load_encoder(spec.model.encoder).digest,
        basis=basis.digest,
        layout=layout.digest,
    )
    return Ground(spec, declared(spec), terms, basis, pack(model))


def site_config(spec: ExperimentSpec, platform: str) -> SiteConfig:
    """The settings of a platform's site, but for its ceiling."""
    source = next(name for name in spec.platforms if load_scenario(name).name == platform)
    return settings(spec, platform, source)


def settings(spec: ExperimentSpec, platform: str, scenario: str) -> SiteConfig:
    """How this experiment reads a scenario: by its encoder and within its limits."""
    return SiteConfig(
        platform=platform,
        scenario=scenario,
        encoder=spec.model.encoder,
        users=spec.limits.users,
        items=spec.limits.items,
    )
