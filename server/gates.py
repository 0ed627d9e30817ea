"""Whether a round's update becomes the next model: the norm gate, the score gate, and the step itself.

A round that is refused is over: the charter's rounds come to an end whatever a poisoner does. The model stays,
one rounding step aside, since its sites have opened a sum over these bytes (decision 0005).
"""

import logging
from collections.abc import Callable

from common.charter import Charter
from common.deltas import Floats
from common.errors import EnvironmentProblem
from server import optimizer
from server.checkpoint import Checkpoint
from server.outcome import RoundOutcome, Score

log = logging.getLogger(__name__)

PublicScore = Callable[[Floats], float]
"""How good parameters (float32, (d,)) are on data that everyone may see; larger is better, repeatable."""


def require_score(charter: Charter, score: PublicScore | None) -> None:
    """Raise when the charter promises a gate that this coordinator cannot hold.

    Raises:
        EnvironmentProblem: without a public score under a charter that has a rollback.
    """
    if charter.robust and charter.robust.rollback is not None and score is None:
        raise EnvironmentProblem(
            "the charter has a rollback and this coordinator has no public score",
            where="robust.rollback",
            hint="give the coordinator's service a score over public data",
        )


def settle(
    charter: Charter,
    checkpoint: Checkpoint,
    mean: Floats | None,
    outcome: RoundOutcome,
    score: PublicScore | None,
) -> Checkpoint:
    """The checkpoint after a round whose update is ``mean``, or None where the norm gate left nothing.

    With a rollback the score of the parameters never lies more than it under the best one: the last model is
    within the bound, so undoing this round is enough.
    """
    if mean is None:
        over = "; ".join(dict.fromkeys(group.excluded for group in outcome.groups))
        return _refused(checkpoint, outcome, f"no sum within the norm bound: {over}")
    step = 1 + sum(not past.refused for past in checkpoint.outcomes)
    state = optimizer.apply(charter.server, checkpoint.state, mean, step)
    if charter.robust is None or charter.robust.rollback is None or score is None:
        return checkpoint.advanced(state, outcome)
    best, value = _best(checkpoint, score), score(state.parameters)
    outcome = outcome.model_copy(update={"score": Score(value=value, best=max(value, best))})
    if value >= best - charter.robust.rollback:  # false for NaN
        return checkpoint.advanced(state, outcome)
    fallen = f"public score {value:.4g}, more than {charter.robust.rollback:g} under the best, {best:.4g}"
    return _refused(checkpoint, outcome.model_copy(update={"score": Score(value=value, best=best)}), fallen)


def _best(checkpoint: Checkpoint, score: PublicScore) -> float:
    told = [past.score.best for past in checkpoint.outcomes if past.score]
    return told[-1] if told else score(checkpoint.state.parameters)


def _refused(checkpoint: Checkpoint, outcome: RoundOutcome, why: str) -> Checkpoint:
    log.warning("round %d changes nothing: %s", outcome.number, why)
    aside = checkpoint.retired()
    return aside.advanced(aside.state, outcome.model_copy(update={"refused": why}))
