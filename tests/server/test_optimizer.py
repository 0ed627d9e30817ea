"""FedAdam and the running average against a reference computed another way."""

import numpy as np
import pytest
import torch

from common.charter import ServerTraining
from server.optimizer import OptimizerState, apply, start

TERMS = ServerTraining(learning_rate=0.1, beta1=0.9, beta2=0.99, epsilon=1e-4, average=0.5)


def deltas(rounds: int, size: int = 7) -> list[np.ndarray]:
    draw = np.random.default_rng(3)
    return [draw.normal(0, 0.1, size).astype(np.float32) for _ in range(rounds)]


def run(terms: ServerTraining, initial: np.ndarray, updates: list[np.ndarray]) -> OptimizerState:
    state = start(initial)
    for step, delta in enumerate(updates, start=1):
        state = apply(terms, state, delta, step)
    return state


def test_it_is_torchs_adam_on_the_negative_delta() -> None:
    initial = np.linspace(-1, 1, 7, dtype=np.float32)
    parameter = torch.nn.Parameter(torch.tensor(initial, dtype=torch.float64))
    reference = torch.optim.Adam([parameter], lr=0.1, betas=(0.9, 0.99), eps=1e-4)
    for delta in deltas(20):
        parameter.grad = -torch.tensor(delta, dtype=torch.float64)
        reference.step()
    state = run(TERMS, initial, deltas(20))
    assert np.allclose(state.parameters, parameter.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_two_steps_by_hand() -> None:
    """One coordinate, deltas 0.5 and −0.25, every line as the paper writes it."""
    first = run(TERMS, np.array([1.0], np.float32), [np.array([0.5], np.float32)])
    assert first.first[0] == pytest.approx(0.05)
    assert first.second[0] == pytest.approx(0.0025)
    assert first.parameters[0] == pytest.approx(1 + 0.1 * 0.5 / (0.5 + 1e-4))
    second = apply(TERMS, first, np.array([-0.25], np.float32), 2)
    moment, square = 0.9 * 0.05 - 0.1 * 0.25, 0.99 * 0.0025 + 0.01 * 0.0625
    assert second.first[0] == pytest.approx(moment)
    assert second.second[0] == pytest.approx(square)
    step = 0.1 * (moment / (1 - 0.81)) / (np.sqrt(square / (1 - 0.9801)) + 1e-4)
    assert second.parameters[0] == pytest.approx(first.parameters[0] + step)


def test_the_average_is_exponential() -> None:
    initial, states = np.ones(7, np.float32), []
    state = start(initial)
    for step, delta in enumerate(deltas(6), start=1):
        state = apply(TERMS, state, delta, step)
        states.append(state.parameters.astype(np.float64))
    weights = [0.5**6, *(0.5 ** (6 - number) for number in range(6))]
    expected = np.average([initial, *states], axis=0, weights=weights)
    assert np.allclose(state.average, expected, atol=1e-6)
    plain = run(TERMS.model_copy(update={"average": 0.0}), initial, deltas(6))
    assert np.array_equal(plain.average, plain.parameters)


def test_all_arithmetic_is_double_and_rounded_once() -> None:
    draw = np.random.default_rng(5)
    parts = [draw.normal(size=1000).astype(np.float32) for _ in range(4)]
    state = OptimizerState(parts[0], parts[1], parts[2] ** 2, parts[3])
    delta = draw.normal(size=1000).astype(np.float32)
    found = apply(TERMS, state, delta, 3)
    wide = [np.asarray(part, np.float64) for part in (state.first, state.second, state.average, delta)]
    assert np.array_equal(found.first, (0.9 * wide[0] + (1 - 0.9) * wide[3]).astype(np.float32))
    assert np.array_equal(found.second, (0.99 * wide[1] + (1 - 0.99) * wide[3] ** 2).astype(np.float32))
    assert all(
        part.dtype == np.float32 for part in (found.parameters, found.first, found.second, found.average)
    )


def test_no_update_moves_nothing_and_the_state_is_a_value() -> None:
    initial = np.linspace(-1, 1, 7, dtype=np.float32)
    before = start(initial)
    after = apply(TERMS, before, np.zeros(7, np.float32), 1)
    assert np.array_equal(after.parameters, initial)
    apply(TERMS, before, np.ones(7, np.float32), 1)
    assert np.array_equal(before.parameters, initial)
    assert not before.first.any()
    assert not before.second.any()
