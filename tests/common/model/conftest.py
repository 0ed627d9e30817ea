"""A catalogue of random texts' features, and a few users: long, short, and one without any history."""

import numpy as np
import pytest
from numpy.typing import NDArray

from common.data.sequences import Sequences

ITEMS, FEATURES = 60, 16


def sequences_of(*users: list[int]) -> Sequences:
    owners = np.repeat(np.arange(len(users)), [len(user) for user in users])
    items = np.concatenate([np.asarray(user, np.int32) for user in users])
    return Sequences.group(len(users), owners, items, np.arange(len(items)), np.ones(len(items), np.float32))


@pytest.fixture(scope="session")
def catalogue() -> NDArray[np.float32]:
    raw = np.random.default_rng(3).normal(size=(ITEMS, FEATURES)).astype(np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


@pytest.fixture(scope="session")
def histories() -> Sequences:
    return sequences_of([1, 2, 3], [7], [], [k % ITEMS for k in range(90)])
