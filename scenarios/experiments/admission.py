"""Admission: a run that could not be paid to its end is refused before anything is read or written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.config import SiteFolder
from common.privacy.accountant import Mechanism, epsilon_of
from common.privacy.errors import CeilingExceeded
from scenarios.experiments.cells import cells, slug
from scenarios.experiments.drafting import bill
from scenarios.experiments.ground import declared
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.spec import ScenarioSpec


def admit(spec: ExperimentSpec, out: Path) -> None:
    """Refuse a run that could not be paid to its end, before anything is read or written.

    Cells that were begun in ``out`` are left to their sites, which check every round.

    Raises:
        CeilingExceeded: naming the platform.
    """
    new = [cell for cell in cells(spec) if cell.epsilon and not (out / "cells" / slug(cell)).exists()]
    for name, scenario in declared(spec).items():
        for account in _accounts(spec, name, scenario, new):
            total = epsilon_of([*account.history, *account.planned], spec.privacy.delta)
            if total.prv > account.ceiling:
                raise CeilingExceeded(
                    f"would spend ε = {total.prv:.3f} of a ceiling of {account.ceiling:g}",
                    where=name,
                    why=f"δ = {spec.privacy.delta:g}, {spec.rounds} rounds, {len(account.history)} charges so far",
                    hint="plan fewer rounds or a lower ε, or let the platform's owner raise the ceiling",
                )


@dataclass(frozen=True, slots=True)
class _Account:
    """What one ledger would hold at the end: everything so far, and what is planned."""

    ceiling: float
    history: tuple[Mechanism, ...]
    planned: tuple[Mechanism, ...]


def _accounts(
    spec: ExperimentSpec, name: str, scenario: ScenarioSpec, new: Sequence[Cell]
) -> Iterator[_Account]:
    """A named site pays for all cells from one ledger; a what-if has one of its own in every cell."""
    bills = [(cell.epsilon, bill(spec, scenario, cell)) for cell in new if cell.epsilon]
    if spec.sites is None:
        for epsilon, planned in bills:
            yield _Account(spec.privacy.ceiling or epsilon, (), planned)
    elif bills and spec.privacy.ceiling:
        planned = tuple(mechanism for _, billed in bills for mechanism in billed)
        yield _named_account(SiteFolder(Path(spec.sites) / name), spec.privacy.ceiling, planned)


def _named_account(site: SiteFolder, ceiling: float, planned: tuple[Mechanism, ...]) -> _Account:
    """A site that is there goes by its own ceiling, whatever the experiment says."""
    if not site.exists():
        return _Account(ceiling, (), planned)
    history = site.ledger().history() if site.has_ledger() else ()
    return _Account(site.ceiling().epsilon, history, planned)
