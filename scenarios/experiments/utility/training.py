"""Training one cell of the study and asking it for the test users' next items."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from clients.references import fit
from clients.trainer import Shelf, train
from common.data.sequences import Sequences
from common.deltas import Floats
from common.metrics.ranking import expected_ranks, ndcg_at
from common.model.layout import pack
from common.model.scorer import Scorer, zero_shot_scores
from common.model.sequence import build_model
from common.randomness import KeyedRandomness, OsRandomness
from scenarios.experiments.utility.study import Cell, Crowd, Study
from scenarios.experiments.utility.world import World, as_sequences

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """The world with its test users: ``histories`` (users, events) and the item that came ``after`` each."""

    study: Study
    world: World
    histories: NDArray[np.int32]
    after: Sequences

    @classmethod
    def of(cls, study: Study) -> "Trial":
        """The same for the same study."""
        return _trial(study)

    def quality(self, scores: Floats) -> Doubles:
        """NDCG@10 of each test user's next item among all items not in the history, float64 (users,)."""
        return ndcg_at(expected_ranks(scores, self.after, as_sequences(self.histories)))

    def oracle(self) -> Doubles:
        """What a ranking by the law itself reaches: nothing expects more."""
        return self.quality(self.world.oracle_scores(self.histories))

    def zero_shot(self) -> Doubles:
        """What the untrained model reaches, from the public features alone."""
        return self.quality(zero_shot_scores(as_sequences(self.histories), self.world.features))

    def trained(self, cell: Cell) -> Doubles:
        """What the model of ``cell`` reaches once it is trained.

        Raises:
            SilentFailure: when training went wrong.
            PlanUnsound: when the cell's privacy plan is refused; nothing was trained.
        """
        scorer = Scorer(self._fit(cell), self.study.size)
        return self.quality(scorer.scores(as_sequences(self.histories), self.world.features))

    def _fit(self, cell: Cell) -> Floats:
        study, features = self.study, self.world.features
        crowd = next(crowd for crowd in study.crowds if crowd.users == cell.users)
        users = _users(study, self.world, crowd, cell.repeat)
        terms = study.terms(crowd)
        if cell.epsilon is not None:
            plan = study.plan(crowd, cell.epsilon)
            start = pack(build_model(study.size, features.shape[1]))
            return start + train(start, study.size, features, users, terms, plan, OsRandomness()).values
        draw = KeyedRandomness("utility", "draws", study.seed, cell.slug)
        clip = study.clip if cell.system == "clipped" else None
        return fit([(Shelf.of(features, users, terms.history), terms)], study.size, 1, draw, clip=clip)


@lru_cache(maxsize=1)
def _trial(study: Study) -> Trial:
    world = World.make(study.seed, study.items, study.topics, study.styles)
    draw = KeyedRandomness("utility", "test users", study.seed)
    drawn = world.users(study.test_users, study.events + 1, draw)
    return Trial(study, world, drawn[:, :-1], as_sequences(drawn[:, -1:]))


def _users(study: Study, world: World, crowd: Crowd, repeat: int) -> Sequences:
    draw = KeyedRandomness("utility", "users", study.seed, crowd.users, repeat)
    return as_sequences(world.users(crowd.users, study.events, draw))
