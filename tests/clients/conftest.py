"""A small platform with clear tastes: two groups of users, each buying from its own half of the catalogue."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from common.data.sequences import Sequences
from common.data.split import DAY, Split, global_time

USERS, ITEMS, DAYS = 120, 40, 100


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Many small products: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def features() -> NDArray[np.float32]:
    """Unit-norm texts that know the halves, but nothing within them."""
    rng = np.random.default_rng(7)
    raw = 0.4 * rng.normal(size=(ITEMS, 8))
    raw[: ITEMS // 2, 0] += 1
    raw[ITEMS // 2 :, 0] -= 1
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="session")
def sequences() -> Sequences:
    rng = np.random.default_rng(11)
    counts = rng.integers(5, 40, USERS)
    counts[:4] = [1, 2, 3, 4]
    owners = np.repeat(np.arange(USERS), counts)
    items = (ITEMS // 2 * rng.random(len(owners)) ** 2).astype(np.int32) + (owners % 2) * (ITEMS // 2)
    times = np.concatenate([np.sort(rng.integers(0, DAYS * DAY, count)) for count in counts])
    return Sequences.group(USERS, owners, items.astype(np.int32), times, np.ones(len(owners), np.float32))


@pytest.fixture(scope="session")
def split(sequences: Sequences) -> Split:
    return global_time(sequences, end=DAYS * DAY, validation_days=15, test_days=15)
