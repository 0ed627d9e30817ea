"""The public score: how well the shared model ranks for the users of a public data set that takes no part."""

from functools import cache

import numpy as np

from clients.evaluation import GATE_USERS, drawn_users
from clients.platform_data import read_platform
from clients.slices import NEW, Audience
from common.deltas import Floats
from common.errors import DataError
from common.model.scorer import Scorer
from scenarios.experiments.ground import Ground, settings
from server.gates import PublicScore


def public_score(ground: Ground, scenario: str) -> PublicScore:
    """NDCG@10 of new items at the validation moment of ``scenario``; the same 1,000 users at most each time.

    The data are read when the first score is asked for.

    Raises (when asked for a score):
        DataError: where the data cannot be used, or nobody has a relevant item.
    """
    spec = ground.spec

    @cache
    def read() -> tuple[Audience, Floats]:
        data = read_platform(settings(spec, "public", scenario))
        cut = data.platform.split.validation
        users = drawn_users(cut, GATE_USERS)
        if not len(users):
            raise DataError("no user has a relevant item at the validation moment", where=scenario)
        return Audience.of(cut, np.sort(users)), data.features(ground.basis)

    def score(parameters: Floats) -> float:
        audience, features = read()
        scores = Scorer(parameters, spec.model.size).scores(audience.histories, features)
        return audience.total(NEW, scores) / len(audience.users)

    return score
