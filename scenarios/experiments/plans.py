"""What each platform trains and may spend in a cell, by the mode of privacy; from public constants alone."""

from collections.abc import Mapping

from common.errors import ConfigError, Problem
from common.evaluation import MetricsTerms
from common.model.closed_form import StatisticsTerms
from common.model.layout import ParamLayout
from common.model.sequence import build_model
from common.model.training import LocalTraining
from common.privacy.accountant import AnyMechanism, Mechanism
from common.privacy.plan import Plan, PrivacyPlan, calibrate, draft_plan
from common.privacy.shared import SharedNoisePlan, draft_shared
from common.secagg.ring import Ring
from common.secagg.terms import fewest_platforms
from common.shared_noise import Contribution, ring_clip_for
from scenarios.experiments.report.names import FEDERATED, WARM
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.spec import ScenarioSpec

Plans = Mapping[str, PrivacyPlan | SharedNoisePlan]
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


def training_of(spec: ExperimentSpec, scenario: ScenarioSpec, epsilon: float | None) -> LocalTraining:
    """How a platform trains in a cell: as it declares, but one plain step a round where the noise is shared.

    Raises:
        ConfigError: where its optimiser is not a plain one.
    """
    training = scenario.training
    if epsilon is None or spec.privacy.mode == "local":
        return training
    if training.optimizer != "sgd":
        what = f"{training.optimizer} with shared noise, which takes one plain step a round"
        raise ConfigError(
            (Problem(scenario.name, what, 'training.optimizer = "sgd", or privacy.mode = "local"'),)
        )
    return training.model_copy(update={"steps": 1})


def cell_plans(
    spec: ExperimentSpec,
    scenarios: Mapping[str, ScenarioSpec],
    epsilon: float,
    system: str = FEDERATED,
    dimension: int | None = None,
) -> Plans:
    """By platform what training may spend in a cell of ``epsilon``, spare rounds included.

    Training and all that is released beside it compose to ``epsilon``. ``dimension``: the shared parameters,
    where they are not those of the experiment's model.

    Raises:
        ConfigError: as :func:`training_of` says.
        PlanUnsound: where no noise reaches ``epsilon``.
    """
    if spec.privacy.mode == "local":
        return {name: member_plan(spec, scenario, epsilon, system) for name, scenario in scenarios.items()}
    size = dimension or ParamLayout.of(build_model(spec.model.size, spec.model.features)).size
    constants = {name: _constants(spec, scenario, epsilon) for name, scenario in scenarios.items()}
    ring = Ring(cell_ring_clip(spec, scenarios, epsilon, size))
    moved = {
        name: Contribution(scenarios[name].training, 1.0).sensitivity(plan.clip, plan.denominator, ring, size)
        for name, plan in constants.items()
    }
    shares = fewest_platforms(spec.colluders) - spec.colluders
    return draft_shared(constants, moved, size, shares, besides_training(spec, system, epsilon))


def cell_ring_clip(
    spec: ExperimentSpec, scenarios: Mapping[str, ScenarioSpec], epsilon: float | None, dimension: int
) -> float:
    """The ring's clip of a cell; with shared noise as fine as the platform needs whose users reach least far."""
    if epsilon is None or spec.privacy.mode == "local":
        return RING_CLIP
    trainings = [scenario.training for scenario in scenarios.values()]
    return ring_clip_for(
        min(Contribution(one, 1.0).reach(spec.privacy.clip, one.expected_batch) for one in trainings),
        dimension,
    )


def _constants(spec: ExperimentSpec, scenario: ScenarioSpec, epsilon: float) -> Plan:
    training = training_of(spec, scenario, epsilon)
    return Plan(
        epsilon=epsilon,
        delta=spec.privacy.delta,
        sample_rate=training.sample_rate,
        denominator=training.expected_batch,
        clip=spec.privacy.clip,
        rounds=spec.rounds + spec.privacy.spare,
        local_steps=training.steps,
        bucket=training.bucket,
    )


def bills(
    spec: ExperimentSpec, scenarios: Mapping[str, ScenarioSpec], cell: Cell
) -> Mapping[str, tuple[AnyMechanism, ...]]:
    """By platform all that is released in a cell; nothing without differential privacy."""
    if cell.epsilon is None:
        return dict.fromkeys(scenarios, ())
    besides = besides_training(spec, cell.system, cell.epsilon)
    plans = cell_plans(spec, scenarios, cell.epsilon, cell.system)
    return {name: (plan.whole, *besides) for name, plan in plans.items()}
