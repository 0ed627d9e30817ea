"""From the one release of statistics to the frozen map that training starts from: post-processing alone."""

import numpy as np

from common.charter import Charter, CharterInvalid
from common.deltas import Floats
from common.model.base import flat_map
from common.model.closed_form import Moments, solve


def warm_start(charter: Charter, mean: Floats, survivors: tuple[str, ...]) -> Floats:
    """The map, float32, from the ``mean`` of the survivors' packed statistics; see :func:`solve`.

    Raises:
        CharterInvalid: when the charter has no statistics.
    """
    terms = charter.statistics
    if terms is None:
        raise CharterInvalid("no statistics to start from", where=charter.name)
    total = Moments.unpacked(mean.astype(np.float64) * len(survivors), charter.model.features)
    users = sum(charter.member(name).training.bucket for name in survivors)
    return flat_map(*solve(total, terms, users, terms.noise_of(len(survivors))))
