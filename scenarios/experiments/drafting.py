"""Drafts the charter of a cell from public facts alone, and has throw-away keys sign it."""

import secrets
from collections.abc import Mapping

from clients.config import SiteFolder
from common.charter import Charter, Member, ModelTerms, SignedCharter
from common.evaluation import MetricsTerms
from common.model.closed_form import StatisticsTerms
from common.privacy.accountant import Mechanism
from common.privacy.plan import PrivacyPlan, calibrate, draft_plan
from scenarios.experiments.cells import slug
from scenarios.experiments.report.names import FEDERATED, WARM
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.spec import ScenarioSpec

# Updates are small beside 1, so a ring of ±1 clips none of them and its 2²¹ steps a unit lose nothing.
RING_CLIP = 1.0


def statistics_terms(spec: ExperimentSpec, system: str, epsilon: float | None) -> StatisticsTerms | None:
    """The statistics of a cell, if it has any: their noise by themselves spends the public share of ``epsilon``.

    The split is made before any data are read and is the same for all platforms: a sum over all users needs noise
    by (ε, δ) alone.
    """
    asked, delta = spec.statistics, spec.privacy.delta
    if asked is None or system != WARM:
        return None
    noise = None if epsilon is None else calibrate(asked.share * epsilon, delta, 1.0, 1)
    return StatisticsTerms(noise_multiplier=noise, **asked.model_dump(exclude={"share"}))


def metrics_terms(spec: ExperimentSpec, epsilon: float | None) -> MetricsTerms | None:
    """The metrics a cell releases at its end, if any: by themselves they spend their share of ``epsilon``."""
    if spec.metrics is None:
        return None
    share, delta = spec.metrics.share, spec.privacy.delta
    return MetricsTerms(
        noise_multiplier=None if epsilon is None else calibrate(share * epsilon, delta, 1.0, 1)
    )


def besides_training(spec: ExperimentSpec, system: str, epsilon: float) -> tuple[Mechanism, ...]:
    """What a cell of ``epsilon`` releases beside its training rounds."""
    sums = (statistics_terms(spec, system, epsilon), metrics_terms(spec, epsilon))
    return tuple(terms.mechanism for terms in sums if terms and terms.mechanism)


def member_plan(
    spec: ExperimentSpec, scenario: ScenarioSpec, epsilon: float, system: str = FEDERATED
) -> PrivacyPlan:
    """What one platform's training may spend in a cell of ``epsilon``, spare rounds included.

    Training and all that is released beside it compose to ``epsilon``; public constants only.
    """
    training = scenario.training
    return draft_plan(
        epsilon,
        spec.privacy.delta,
        training.bucket,
        training.expected_batch,
        spec.rounds + spec.privacy.spare,
        training.steps,
        spec.privacy.clip,
    ).beside(besides_training(spec, system, epsilon))


def bill(spec: ExperimentSpec, scenario: ScenarioSpec, cell: Cell) -> tuple[Mechanism, ...]:
    """All that one platform releases in a cell; nothing without differential privacy."""
    if cell.epsilon is None:
        return ()
    plan = member_plan(spec, scenario, cell.epsilon, cell.system)
    return (plan.whole, *besides_training(spec, cell.system, cell.epsilon))


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
            privacy=None if cell.epsilon is None else member_plan(spec, scenario, cell.epsilon, cell.system),
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
