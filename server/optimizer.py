"""FedAdam (Reddi et al., "Adaptive Federated Optimization", ICLR 2021): the averaged delta is its gradient.

``start`` and ``apply`` are pure; the state is a value that a checkpoint can hold. All arithmetic is float64 and
rounded to float32 once, so that the result does not depend on the machine's fused operations.
"""

from dataclasses import dataclass

import numpy as np

from common.charter import ServerTraining
from common.deltas import Floats


@dataclass(frozen=True, slots=True)
class OptimizerState:
    """Parameters, Adam's two moments, and the running average that is released. Each: float32, shape (d,)."""

    parameters: Floats
    first: Floats
    second: Floats
    average: Floats


def start(initial: Floats) -> OptimizerState:
    """The state before the first round."""
    zeros = np.zeros_like(initial)
    return OptimizerState(initial, zeros, zeros, initial)


def apply(terms: ServerTraining, state: OptimizerState, delta: Floats, step: int) -> OptimizerState:
    """One server step; ``step`` counts from 1 and corrects the moments' bias.

    ``average`` is an exponential moving average of the parameters, which evens out the noise of single rounds;
    it is post-processing and costs no privacy.
    """
    wide = (state.parameters, state.first, state.second, state.average, delta)
    parameters, first, second, average, gradient = (part.astype(np.float64) for part in wide)
    first = terms.beta1 * first + (1 - terms.beta1) * gradient
    second = terms.beta2 * second + (1 - terms.beta2) * gradient**2
    corrected = first / (1 - terms.beta1**step)
    scale = np.sqrt(second / (1 - terms.beta2**step)) + terms.epsilon
    parameters = parameters + terms.learning_rate * corrected / scale
    average = terms.average * average + (1 - terms.average) * parameters
    return OptimizerState(
        parameters.astype(np.float32),
        first.astype(np.float32),
        second.astype(np.float32),
        average.astype(np.float32),
    )
