"""What a reader must know before quoting an experiment: a sentence for each thing left out or declared."""

from collections.abc import Iterator, Mapping

from clients.evaluation import most_users
from clients.slices import possible_users
from common.secagg.groups import most_groups
from common.secagg.terms import fewest_platforms
from scenarios.experiments.ground import Ground
from scenarios.experiments.relations import sharing
from scenarios.experiments.report.wording import counted, listed
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.spec import ScenarioSpec

_ENOUGH = 5


def limits(ground: Ground) -> tuple[str, ...]:
    """What was sampled; then what was asked, what the platforms declare and how many users they have."""
    kept = " ".join(_kept(ground.spec))  # together: a report's first screen quotes the first alone
    return (
        *([kept] if kept else []),
        *_asked(ground),
        *_repeated(ground.spec),
        *_grouped(ground.spec),
        *_evaluated(ground.spec),
        *declared_relations(ground.scenarios),
    )


def _kept(spec: ExperimentSpec) -> Iterator[str]:
    if spec.limits.users is not None:
        yield (
            f"A sample of users took part, {spec.limits.users} for a platform of its declared size, "
            "each chosen by a hash of the identifier."
        )
    if spec.limits.items is not None:
        yield (
            f"At most {spec.limits.items} items of each catalogue were kept, chosen by a hash of their texts: "
            "fewer items are easier to rank, so quality is not comparable with that over a whole catalogue."
        )


def _asked(ground: Ground) -> Iterator[str]:
    for name in ground.scenarios:
        platform = ground.data(name).platform
        possible, most = len(possible_users(platform.split.test)), most_users(len(platform.catalog.texts))
        if possible > most:
            yield (
                f"The figures of {name} are of {most:,} users drawn at random from the {possible:,} it could ask, "
                "so that the scores of its whole catalogue fit into memory."
            )


def _repeated(spec: ExperimentSpec) -> Iterator[str]:
    seeds, repeats = len(spec.seeds), spec.privacy.repeats
    if min(seeds, repeats) < _ENOUGH:
        yield (
            f"Systems without differential privacy ran with {counted(seeds, 'seed')}, those with it in "
            f"{counted(repeats, 'repeat')}, where {_ENOUGH} or more would show how much the noise itself varies."
        )


def _grouped(spec: ExperimentSpec) -> Iterator[str]:
    if spec.robust and spec.robust.statistic:
        groups = most_groups(len(spec.platforms), fewest_platforms(spec.colluders))
        yield (
            f"The coordinator saw a sum for each of {groups} random groups in a round, "
            "not one sum of all platforms."
        )


def _evaluated(spec: ExperimentSpec) -> Iterator[str]:
    if spec.metrics is None:
        yield "Metrics stay at the platforms: this experiment sees them because it holds all the data."
    else:
        yield (
            "Metrics of each platform stay there: this experiment sees them because it holds all the data. What a "
            "federation itself publishes are the sums over all platforms, with noise, charged to every ledger."
        )


def declared_relations(scenarios: Mapping[str, ScenarioSpec]) -> Iterator[str]:
    """Platforms that are one retailer's departments, and platforms that share people, as they declare."""
    converters = dict.fromkeys(one.source.converter for one in scenarios.values() if one.source.departments)
    for converter in converters:
        parts = [
            name
            for name, one in scenarios.items()
            if one.source.converter == converter and one.source.departments
        ]
        if len(parts) > 1:
            yield (
                f"The platforms {listed(parts)} are departments of one retailer, seen as {len(parts)} platforms."
            )
    for group in sharing(scenarios):
        if len(group) > 1:
            yield f"The platforms {listed(group)} declare that they share people, for whom the joint ε counts."
