"""Drafts the charter of a cell from public facts alone, and has throw-away keys sign it."""

import secrets
from collections.abc import Mapping

from clients.config import SiteFolder
from common.charter import Charter, Member, ModelTerms, SignedCharter
from common.privacy.plan import PrivacyPlan, draft_plan
from scenarios.experiments.cells import slug
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.spec import ScenarioSpec

# Updates are small beside 1, so a ring of ±1 clips none of them and its 2²¹ steps a unit lose nothing.
RING_CLIP = 1.0


def member_plan(spec: ExperimentSpec, scenario: ScenarioSpec, epsilon: float) -> PrivacyPlan:
    """What one platform may spend in a cell of ``epsilon``, spare rounds included; public constants only."""
    training = scenario.training
    return draft_plan(
        epsilon,
        spec.privacy.delta,
        training.bucket,
        training.expected_batch,
        spec.rounds + spec.privacy.spare,
        training.steps,
        spec.privacy.clip,
    )


def draft(
    spec: ExperimentSpec,
    cell: Cell,
    scenarios: Mapping[str, ScenarioSpec],
    keys: Mapping[str, bytes],
    model: ModelTerms,
) -> Charter:
    """The charter of ``cell``; ``keys`` are the platforms' raw public keys. Every platform weighs the same."""
    members = tuple(
        Member(
            platform=name,
            public_key=keys[name].hex(),
            weight=1.0,
            training=scenario.training,
            privacy=None if cell.epsilon is None else member_plan(spec, scenario, cell.epsilon),
        )
        for name, scenario in scenarios.items()
    )
    private = cell.epsilon is not None
    return Charter(
        name=_name(cell),
        members=members,
        colluders=spec.colluders,
        ring_clip=RING_CLIP,
        rounds=spec.rounds,
        replay_days=spec.replay_days,
        model=model,
        server=spec.server,
        privacy="local" if private else "off",
        seed=None if private else cell.seed,
        robust=spec.robust,
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
