"""ε by a third method and another library: dp-accounting's privacy loss distributions, to hold PRV against.

Koskela, Jälkö and Honkela, "Computing Tight Differential Privacy Guarantees Using FFT" (2020); discretised as in
Doroshenko et al., "Connect the Dots" (2022). Both directions of add-or-remove-one are composed, and the larger
ε counts. The estimate is pessimistic: its error is to one side, and the mesh chosen here keeps it small.
"""

import math
from collections.abc import Sequence
from functools import reduce
from typing import Final

from common.privacy.errors import PlanUnsound

GaussianSteps = tuple[float, float, int]  # (noise multiplier, sample rate, steps)
_COARSEST: Final = 1e-3
_PART: Final = 0.1  # of a step's typical loss


def pld_epsilon(history: Sequence[GaussianSteps], delta: float, finest: float) -> float:
    """ε of Poisson-subsampled Gaussians together, at ``delta``, in some 0.1 s; no mesh below ``finest``.

    Guarantee: the composed history is (result, ``delta``)-DP under adding or removing one unit.
    Refuses: a history for which the library finds no finite ε (:class:`PlanUnsound`).
    """
    # An import of a second or so where scipy is cold: --help, a site that serves and a charge do without.
    from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism  # noqa: PLC0415

    mesh = _mesh(history, finest)
    try:
        parts = (
            from_gaussian_mechanism(
                noise, sampling_prob=rate, value_discretization_interval=mesh
            ).self_compose(n)
            for noise, rate, n in history
        )
        composed = reduce(lambda whole, part: whole.compose(part), parts)
        epsilon = float(composed.get_epsilon_for_delta(delta))
    except (ArithmeticError, ValueError) as error:
        raise PlanUnsound("PLD cannot compute ε", where="accountant", why=str(error)) from error
    if not math.isfinite(epsilon):
        raise PlanUnsound("PLD gives no finite ε", where="accountant")
    return max(0.0, epsilon)


def _mesh(history: Sequence[GaussianSteps], finest: float) -> float:
    """Spreading a loss over two points of a mesh adds at most mesh²/4 to its variance.

    A step's typical loss is q/σ: a tenth of it adds a thousandth to ε. Where that is finer than ``finest``, which
    is PRV's own, the losses are so small that both methods' errors are below PRV's in absolute terms.
    """
    squares = math.fsum(steps * (rate / noise) ** 2 for noise, rate, steps in history)
    typical = math.sqrt(squares / sum(steps for *_, steps in history))
    return max(finest, min(_COARSEST, _PART * typical))
