"""Admission: what could not begin, or not be paid to its end, is refused before anything is read or written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.config import SiteFolder
from clients.policy import require_public_catalogue
from common.privacy.accountant import AnyMechanism, Epsilon, epsilon_of
from common.privacy.errors import CeilingExceeded
from common.privacy.ledger import Ceiling
from scenarios.experiments.cells import cells, slug
from scenarios.experiments.ground import declared
from scenarios.experiments.plans import bills
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.spec import ScenarioSpec
from scenarios.platforms.tables import require_file


def admit(spec: ExperimentSpec, out: Path) -> None:
    """Refuse a run that could not be paid to its end, before anything is read or written.

    Cells that were begun in ``out`` are left to their sites, which check every round.

    Raises:
        PrivateCatalogue: as :func:`require_public_catalogues`.
        CeilingExceeded: naming the platform.
        LedgerUnavailable: where a named site's ledger could not be charged.
    """
    scenarios = declared(spec)
    require_public_catalogues(spec, scenarios)
    new = [cell for cell in cells(spec) if cell.epsilon and not (out / "cells" / slug(cell)).exists()]
    for name in scenarios:
        if spec.sites and new and (site := SiteFolder(Path(spec.sites) / name)).has_ledger():
            site.ledger().admit(())
        for account in accounts(spec, name, scenarios, new):
            if not account.fits:
                raise CeilingExceeded(
                    f"would spend ε = {account.total.prv:.3f} of a ceiling of {account.ceiling.epsilon:g}",
                    where=name,
                    why=(
                        f"δ = {account.ceiling.delta:g}, {spec.rounds} rounds, "
                        f"{len(account.history)} charges so far"
                    ),
                    hint="plan fewer rounds or a lower ε, or let the platform's owner raise the ceiling",
                )


def require_public_catalogues(spec: ExperimentSpec, scenarios: Mapping[str, ScenarioSpec]) -> None:
    """Refuse at once what each site would refuse when it starts, which is after all catalogues are encoded.

    Raises:
        PrivateCatalogue: where a platform's items are read from its events, and the run is private.
    """
    if any(cell.epsilon for cell in cells(spec)):
        for scenario in scenarios.values():
            require_public_catalogue(scenario)


def require_files(spec: ExperimentSpec) -> None:
    """Look for every platform's files before the first is read.

    Raises:
        DataError: where one is missing.
    """
    for scenario in declared(spec).values():
        for path in scenario.source.files:
            require_file(path)


@dataclass(frozen=True, slots=True)
class Account:
    """One ledger: ``history`` was charged, ``planned`` will be; ε is that of both composed."""

    ceiling: Ceiling
    history: tuple[AnyMechanism, ...]
    planned: tuple[AnyMechanism, ...]

    @property
    def spent(self) -> Epsilon:
        """ε of everything so far."""
        return epsilon_of(self.history, self.ceiling.delta)

    @property
    def total(self) -> Epsilon:
        """ε at the end."""
        return epsilon_of(self.all, self.ceiling.delta)

    @property
    def all(self) -> tuple[AnyMechanism, ...]:
        """Everything so far, and what is planned."""
        return self.history + self.planned

    @property
    def fits(self) -> bool:
        """Whether the ceiling allows it."""
        return self.total.prv <= self.ceiling.epsilon


def accounts(
    spec: ExperimentSpec, name: str, scenarios: Mapping[str, ScenarioSpec], new: Sequence[Cell]
) -> Iterator[Account]:
    """A named site pays for all cells from one ledger; a what-if has one of its own in every cell."""
    due = [(cell.epsilon, bills(spec, scenarios, cell)[name]) for cell in new if cell.epsilon]
    if spec.sites is None:
        for epsilon, planned in due:
            yield Account(Ceiling(spec.privacy.ceiling or epsilon, spec.privacy.delta), (), planned)
    elif due and spec.privacy.ceiling:
        planned = tuple(mechanism for _, billed in due for mechanism in billed)
        ceiling = Ceiling(spec.privacy.ceiling, spec.privacy.delta)
        yield _named(SiteFolder(Path(spec.sites) / name), ceiling, planned)


def _named(site: SiteFolder, ceiling: Ceiling, planned: tuple[AnyMechanism, ...]) -> Account:
    """A site that is there goes by its own ceiling, whatever the experiment says."""
    if not site.exists():
        return Account(ceiling, (), planned)
    history = site.ledger().history() if site.has_ledger() else ()
    return Account(site.ceiling(), history, planned)
