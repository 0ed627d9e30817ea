"""One local round, private and not, on the same made-up users: what clipping and noise cost."""

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from clients.trainer import train
from common.data.sequences import Sequences
from common.model.layout import pack
from common.model.sequence import build_model
from common.model.training import LocalTraining
from common.privacy.plan import draft_plan
from common.randomness import KeyedRandomness, OsRandomness

USERS, ITEMS, EVENTS, WIDTH = 2048, 5000, 30, 128
TERMS = LocalTraining()


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, Sequences]:
    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    features = draw.normal(size=(ITEMS, WIDTH)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    items = draw.integers(0, ITEMS, USERS * EVENTS).astype(np.int32)
    offsets = np.arange(0, USERS * EVENTS + 1, EVENTS)
    times = np.tile(np.arange(EVENTS), USERS)
    return features, Sequences(offsets, items, times, np.ones(len(items), np.float32))


@pytest.mark.benchmark(group="one local round")
def test_open(benchmark: BenchmarkFixture, rows: tuple[np.ndarray, Sequences]) -> None:
    vector = pack(build_model("small", WIDTH))
    benchmark(lambda: train(vector, "small", *rows, TERMS, None, KeyedRandomness("benchmark")))


@pytest.mark.benchmark(group="one local round")
def test_private(benchmark: BenchmarkFixture, rows: tuple[np.ndarray, Sequences]) -> None:
    vector = pack(build_model("small", WIDTH))
    plan = draft_plan(8.0, 1e-5, TERMS.bucket, TERMS.expected_batch, 20, TERMS.steps, 1.0)
    benchmark(lambda: train(vector, "small", *rows, TERMS, plan, OsRandomness()))
