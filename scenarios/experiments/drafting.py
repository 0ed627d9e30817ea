"""Drafts the charter of a cell from public facts alone, and has throw-away keys sign it."""

import secrets
from collections.abc import Mapping

from clients.config import SiteFolder
from common.charter import Charter, Member, ModelTerms, SignedCharter
from scenarios.experiments.cells import slug
from scenarios.experiments.plans import (
    Plans,
    cell_plans,
    cell_ring_clip,
    metrics_terms,
    statistics_terms,
    training_of,
)
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.spec import ScenarioSpec


def draft(
    spec: ExperimentSpec,
    cell: Cell,
    scenarios: Mapping[str, ScenarioSpec],
    keys: Mapping[str, bytes],
    model: ModelTerms,
) -> Charter:
    """The charter of ``cell``; ``keys`` are the platforms' raw public keys. Every platform weighs the same."""
    plans: Plans = {}
    if cell.epsilon is not None:
        plans = cell_plans(spec, scenarios, cell.epsilon, cell.system, model.parameters)
    members = tuple(
        Member(
            platform=name,
            public_key=keys[name].hex(),
            weight=1.0,
            training=training_of(spec, scenario, cell.epsilon),
            privacy=plans.get(name),
        )
        for name, scenario in scenarios.items()
    )
    private = cell.epsilon is not None
    return Charter(
        name=_name(cell),
        members=members,
        colluders=spec.colluders,
        ring_clip=cell_ring_clip(spec, scenarios, cell.epsilon, model.parameters),
        rounds=spec.rounds,
        replay_days=spec.replay_days,
        model=model,
        server=spec.server,
        privacy=spec.privacy.mode if private else "off",
        seed=None if private else cell.seed,
        robust=spec.robust,
        statistics=statistics_terms(spec, cell.system, cell.epsilon),
        metrics=metrics_terms(spec, cell.epsilon),
    )


def sign(charter: Charter, sites: Mapping[str, SiteFolder]) -> SignedCharter:
    """The charter with every site's signature, as each would give it at home."""
    signed = SignedCharter(charter=charter)
    for name, site in sites.items():
        signed = signed.signed_by(name, site.identity())
    return signed


def _name(cell: Cell) -> str:
    """A name of its own for every draft: sites that sign twice must not take the second run for the first."""
    return f"{slug(cell).replace('.', '-')}-{secrets.token_hex(4)}"
