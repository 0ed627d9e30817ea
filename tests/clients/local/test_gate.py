"""The do-no-harm gate opens for gains, and stays closed for harm, doubt and too few users."""

import numpy as np
import pytest
from numpy.typing import NDArray

from clients.local.gate import Gate, decide, ungated


@pytest.fixture
def theirs() -> NDArray[np.float64]:
    return np.random.default_rng(0).random(400)


def noise(scale: float) -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(0, scale, 400)


def test_opens_where_a_loss_is_excluded(theirs: NDArray[np.float64]) -> None:
    gate = decide(theirs + 0.02 + noise(0.1), theirs, weight=0.5)
    assert gate.open
    assert gate.weight == 0.5
    assert 0 <= gate.low < gate.gain < gate.high


@pytest.mark.parametrize("gain", [-0.02, 0.0])
def test_stays_closed_for_harm_and_doubt(theirs: NDArray[np.float64], gain: float) -> None:
    gate = decide(theirs + gain + noise(0.1), theirs, weight=0.5)
    assert not gate.open
    assert gate.weight == 0.0
    assert gate.low < 0
    assert "cannot be excluded" in gate.reason


def test_no_weight_is_no_opening(theirs: NDArray[np.float64]) -> None:
    assert not decide(theirs, theirs, weight=0.0).open


def test_too_few_users_cannot_tell(theirs: NDArray[np.float64]) -> None:
    gate = decide(theirs[:29] + 1, theirs[:29], weight=1.0)
    assert gate == Gate(False, 0.0, 0.0, -1.0, 1.0, "closed: 29 validation users are too few to tell", 29)


@pytest.mark.parametrize(
    ("users", "reason"),
    [
        (0, "closed: there is no validation user to judge by"),
        (1, "closed: 1 validation user is too few to tell"),
    ],
)
def test_nobody_and_one_user_are_said_in_words(theirs: NDArray[np.float64], users: int, reason: str) -> None:
    gate = decide(theirs[:users], theirs[:users], weight=1.0)
    assert (gate.open, gate.users, gate.reason) == (False, users, reason)


def test_how_many_users_decided_is_kept(theirs: NDArray[np.float64]) -> None:
    assert decide(theirs + 0.02, theirs, weight=0.5).users == 400
    assert ungated(theirs[:7], theirs[:7], weight=0.5).users == 7


def test_a_useless_model_opens_the_gate_one_time_in_twenty() -> None:
    rng, opened = np.random.default_rng(2), 0
    for _ in range(300):
        base = rng.random(200)
        opened += decide(base + rng.normal(0, 0.1, 200), base, weight=1.0).open
    assert opened / 300 <= 0.09


def test_references_are_not_gated(theirs: NDArray[np.float64]) -> None:
    gate = ungated(theirs - 0.5, theirs, weight=1.5)
    assert gate.open
    assert gate.gain == pytest.approx(-0.5)
