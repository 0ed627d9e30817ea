"""What a platform adds to the statistics: its users' pairs, once each."""

from itertools import pairwise

import numpy as np
import pytest

from clients.statistics import moments_of
from common.data.sequences import Sequences
from common.model.closed_form import packed_size
from common.model.sequence import DECAY

FEATURES = 8


def part(sequences: Sequences, first: int, last: int) -> Sequences:
    return sequences.take(np.arange(first, last))


def by_hand(features: np.ndarray, sequences: Sequences, history: int) -> np.ndarray:
    """User by user, pair by pair, from the definition."""
    total = np.zeros(packed_size(FEATURES))
    once = sequences.first_occurrences()
    for start, end in zip(once.offsets[:-1], once.offsets[1:], strict=True):
        seen = features[once.items[start:end][-history:]].astype(np.float64)
        history_sum, next_sum = np.zeros((FEATURES, FEATURES)), np.zeros((FEATURES, FEATURES))
        for place in range(1, len(seen)):
            mean = DECAY ** np.arange(place)[::-1] @ seen[:place]
            query = mean / max(np.linalg.norm(mean), 1e-4)
            history_sum += np.outer(query, query)
            next_sum += np.outer(query, seen[place])
        packed = np.concatenate([history_sum[np.triu_indices(FEATURES)], next_sum.ravel()])
        norm = np.linalg.norm(packed)
        total += packed / norm if norm else 0
    return total


def test_the_pairs_are_those_of_the_definition(features: np.ndarray, sequences: Sequences) -> None:
    found = moments_of(features, sequences, 6).packed()
    # Recency weights are those of the model, in single precision.
    assert np.allclose(found, by_hand(features, sequences, 6), atol=1e-5)
    assert np.abs(found).max() > 10


def test_federated_statistics_equal_pooled_ones(features: np.ndarray, sequences: Sequences) -> None:
    """Three platforms of unequal size against all their users in one place, before noise and quantisation."""
    pooled = moments_of(features, sequences, 20)
    parts = [moments_of(features, part(sequences, *cut), 20) for cut in pairwise((0, 7, 60, sequences.users))]
    total = parts[0] + parts[1] + parts[2]
    assert np.abs(total.packed() - pooled.packed()).max() <= 1e-9
    assert np.abs(pooled.packed()).max() > 10


def test_one_more_user_moves_the_sum_by_one(features: np.ndarray, sequences: Sequences) -> None:
    """Through everything a site does before its noise, with the user who bought one thing over and over last."""
    users = sequences.users
    without = moments_of(features, part(sequences, 0, users - 1), 20).packed()
    moved = np.linalg.norm(moments_of(features, sequences, 20).packed() - without)
    assert moved == pytest.approx(1, abs=1e-9)
    lonely = Sequences.group(
        1, np.zeros(9, int), np.full(9, 3, np.int32), np.arange(9), np.ones(9, np.float32)
    )
    assert not moments_of(features, lonely, 20).packed().any()  # one item has no next
