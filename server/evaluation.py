"""From the one release of metrics to figures with their errors: post-processing alone."""

import numpy as np

from common.charter import Charter, CharterInvalid
from common.deltas import Floats
from common.evaluation import ReleasedMetrics


def released_metrics(charter: Charter, mean: Floats, survivors: tuple[str, ...]) -> ReleasedMetrics:
    """The metrics of everyone together, from the ``mean`` of the survivors' sums.

    Raises:
        CharterInvalid: when the charter has no metrics.
    """
    if charter.metrics is None:
        raise CharterInvalid("no metrics are released", where=charter.name)
    noise = charter.metrics.noise_of(len(survivors))
    return ReleasedMetrics.of(mean.astype(np.float64) * len(survivors), noise)
