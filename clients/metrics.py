"""The platform's part of the released metrics: how well two systems rank for its own users, before any noise."""

from typing import Final

import numpy as np

from clients.slices import METRICS, NEW, Audience, K, possible_users
from common.data.split import Cut
from common.deltas import Floats
from common.evaluation import Doubles, packed
from common.model.scorer import Scorer, zero_shot_scores

_BLOCK: Final = 250  # users whose scores of the whole catalogue are in memory at a time


def sum_of(scorer: Scorer, features: Floats, cut: Cut) -> Doubles:
    """The packed sum over all users with an item that was new to them after ``cut``; float64, (``SIZE``,).

    The full catalogue is ranked, known items left out. Each user's numbers follow from that user's rows, the
    public catalogue and the model alone.
    """
    users = possible_users(cut)
    audience = Audience.of(cut, users)
    blocks = [
        _values(scorer, features, audience.part(at, at + _BLOCK)) for at in range(0, len(users), _BLOCK)
    ]
    values = np.concatenate(blocks) if blocks else np.empty((0, 2 * len(METRICS)))
    return packed(values)


def _values(scorer: Scorer, features: Floats, audience: Audience) -> Doubles:
    """A row of metrics, by system, for each user who met a new item."""
    both = (scorer.scores(audience.histories, features), zero_shot_scores(audience.histories, features))
    ranks = [audience.ranks(NEW, scores) for scores in both]
    asked = audience.relevant[NEW].lengths > 0
    return np.column_stack([metric(found, K)[asked] for found in ranks for metric in METRICS.values()])
