"""Gathers what an experiment left in its folder into the record that a report is made from."""

import platform as machine
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import chain, groupby
from pathlib import Path

from clients.config import SiteFolder
from common.privacy.accountant import AnyMechanism, Epsilon
from common.privacy.ledger import Entry, Ledger
from common.privacy.plan import Plan
from common.privacy.shared import if_aggregation_fails
from scenarios.experiments.certified import certified
from scenarios.experiments.folder import ExperimentFolder
from scenarios.experiments.ground import Ground
from scenarios.experiments.limits import limits
from scenarios.experiments.measuring import kept_gates, kept_metrics, kept_weights
from scenarios.experiments.plans import training_of
from scenarios.experiments.relations import Group, dearest, sharing
from scenarios.experiments.report import (
    Cell,
    Charges,
    ExperimentRecord,
    GroupSum,
    PlatformFacts,
    PrivacyEntry,
    Published,
    RoundEntry,
    Setting,
    Traffic,
)
from scenarios.experiments.report.names import FEDERATIONS
from scenarios.experiments.report.wording import listed
from scenarios.experiments.spec import ExperimentSpec
from server.checkpoint import RunFolder
from server.outcome import RoundOutcome

_VERSIONS = ("hanse", "torch", "opacus", "dp-accounting", "flwr", "transformers", "cryptography", "numpy")


def collect(
    ground: Ground, folder: ExperimentFolder, asked: Sequence[Cell], minutes: float
) -> ExperimentRecord:
    """The record of every cell in ``asked``; all of them are finished."""
    federated = [cell for cell in asked if cell.system in FEDERATIONS]
    return ExperimentRecord(
        metrics=kept_metrics(ground.spec, folder.cells, asked, ground.scenarios),
        setting=_setting(ground, minutes, [folder.cell(cell) / "server" for cell in federated]),
        gates=tuple(
            gate
            for cell in federated
            for name in ground.scenarios
            for gate in kept_gates(folder.cells, cell, name)
        ),
        privacy=tuple(
            chain.from_iterable(
                _dearest(ground, folder, [cell for cell in federated if cell.epsilon == epsilon])
                for epsilon in ground.spec.privacy.epsilons
            )
        ),
        rounds=tuple(chain.from_iterable(_rounds(folder, cell) for cell in federated)),
        versions={**{name: version(name) for name in _VERSIONS}, "python": machine.python_version()},
        weights=tuple(
            weight
            for name in ground.scenarios
            for weight in kept_weights(ground.spec, folder.cells, asked, name)
        ),
        published=tuple(chain.from_iterable(_published(folder, cell) for cell in federated)),
    )


def _published(folder: ExperimentFolder, cell: Cell) -> Iterator[Published]:
    metrics = RunFolder(folder.cell(cell) / "server").latest().metrics
    if metrics is not None:
        yield Published(cell, metrics.users, metrics.means, metrics.errors)


def _setting(ground: Ground, minutes: float, runs: Sequence[Path]) -> Setting:
    spec = ground.spec
    epsilon = next(iter(spec.privacy.epsilons), None)
    training = {name: training_of(spec, scenario, epsilon) for name, scenario in ground.scenarios.items()}
    one = next(iter(training.values()))
    return Setting(
        title=spec.title,
        platforms=tuple(_facts(ground, name) for name in ground.scenarios),
        rounds=spec.rounds,
        local_steps=one.steps,
        model_size=spec.model.size,
        parameters=ground.model.parameters,
        training=", ".join(f"{name}: {terms.loss}, {terms.optimizer}" for name, terms in training.items()),
        limits=(*limits(ground), *certified(runs)),
        minutes=minutes,
    )


def _facts(ground: Ground, name: str) -> PlatformFacts:
    scenario, platform = ground.scenarios[name], ground.data(name).platform
    return PlatformFacts(
        name=name,
        title=scenario.title,
        users=platform.interactions.sequences().users,
        items=len(platform.catalog.texts),
        interactions=len(platform.interactions.items),
        source=scenario.description.strip(),
        licence=scenario.licence,
        split=scenario.split.by,
        shares_people_with=tuple(
            other for other in scenario.relations.shares_people_with if other in ground.scenarios
        ),
        dropped_rows=dict(platform.interactions.dropped),
    )


def _dearest(ground: Ground, folder: ExperimentFolder, repeats: Sequence[Cell]) -> Iterator[PrivacyEntry]:
    """Of each platform, and of a person on several, what the repeat spent that spent most."""
    found: dict[str, PrivacyEntry] = {}
    for entry in chain.from_iterable(_privacy(ground, folder, cell) for cell in repeats):
        if entry.platform not in found or entry.epsilon_prv > found[entry.platform].epsilon_prv:
            found[entry.platform] = entry
    yield from found.values()


def _privacy(ground: Ground, folder: ExperimentFolder, cell: Cell) -> Iterator[PrivacyEntry]:
    """Each platform's ledger, and the most that they compose to for a person on several platforms."""
    charter = RunFolder(folder.cell(cell) / "server").charter()
    ledgers = {name: _site(ground.spec, folder, cell, name).ledger() for name in ground.scenarios}
    whole = ground.spec.sites is not None
    for name, ledger in ledgers.items():
        yield _entry(name, cell, ledger, charter.member(name).privacy, whole_ledger=whole)
    groups = [group for group in sharing(ground.scenarios) if len(group) > 1]
    if groups:
        yield _joint(cell, ledgers, groups, ground.spec.privacy.delta, whole_ledger=whole)


def _entry(name: str, cell: Cell, ledger: Ledger, plan: Plan | None, *, whole_ledger: bool) -> PrivacyEntry:
    spent, entries = ledger.spent(), ledger.entries()
    return PrivacyEntry(
        platform=name,
        target=cell.epsilon or 0.0,
        unit=Plan.unit,
        adjacency=Plan.adjacency,
        delta=spent.delta,
        epsilon_prv=spent.prv,
        epsilon_pld=spent.pld,
        epsilon_rdp=spent.rdp,
        releases=len(entries),
        charges=tuple(_charges(entries)),
        clip=plan.clip if plan else None,
        ceiling=ledger.ceiling.epsilon,
        whole_ledger=whole_ledger,
        epsilon_alone=_alone(ledger.history(), spent),
    )


def _joint(
    cell: Cell, ledgers: Mapping[str, Ledger], groups: Sequence[Group], delta: float, *, whole_ledger: bool
) -> PrivacyEntry:
    group, total = dearest(groups, {name: ledger.history() for name, ledger in ledgers.items()}, delta)
    return PrivacyEntry(
        platform="joint",
        target=cell.epsilon or 0.0,
        unit=f"all records of one person on {listed(group)}",
        adjacency=Plan.adjacency,
        delta=delta,
        epsilon_prv=total.prv,
        epsilon_pld=total.pld,
        epsilon_rdp=total.rdp,
        releases=sum(len(ledgers[name].entries()) for name in group),
        platforms=group,
        whole_ledger=whole_ledger,
        epsilon_alone=_alone([one for name in group for one in ledgers[name].history()], total),
    )


def _alone(history: Sequence[AnyMechanism], spent: Epsilon) -> float | None:
    """ε if aggregation fails, where that is another figure."""
    return if_aggregation_fails(history, spent.delta) if spent.by == "RDP" else None


def _site(spec: ExperimentSpec, folder: ExperimentFolder, cell: Cell, name: str) -> SiteFolder:
    return SiteFolder((Path(spec.sites) if spec.sites else folder.cell(cell) / "sites") / name)


def _charges(entries: Sequence[Entry]) -> Iterator[Charges]:
    for (release, mechanism), same in groupby(entries, lambda e: (e.charge.release, e.charge.mechanism)):
        yield Charges(
            release, mechanism.noise_multiplier, mechanism.sample_rate, mechanism.steps, len(list(same))
        )


def _rounds(folder: ExperimentFolder, cell: Cell) -> Iterator[RoundEntry]:
    for outcome in RunFolder(folder.cell(cell) / "server").latest().outcomes:
        yield RoundEntry(
            cell=cell,
            number=outcome.number,
            seconds_by_phase=outcome.seconds_by_phase,
            traffic=_traffic(outcome),
            cohort=outcome.cohort,
            dropped=tuple(sorted(set(outcome.cohort) - set(outcome.survivors))),
            void=outcome.refused,
            groups=tuple(GroupSum(one.platforms, one.norm, one.excluded) for one in outcome.groups),
        )


def _traffic(outcome: RoundOutcome) -> Mapping[str, Traffic]:
    return {name: Traffic(up, outcome.bytes_down.get(name, 0)) for name, up in outcome.bytes_up.items()}
