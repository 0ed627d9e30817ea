"""The noise of a release over all users: of the stated size everywhere, never repeated, none with privacy off."""

import numpy as np
import pytest

from clients.whole_sum import released
from common.privacy.accountant import Mechanism


def test_the_noise_is_of_the_stated_size_everywhere_and_never_the_same() -> None:
    noise = np.array([released(np.zeros(5430), Mechanism(3.0, 1.0, 1)).values for _ in range(8)])
    for part in (noise[:, :1830], noise[:, 1830:]):
        assert np.std(part) == pytest.approx(3.0, rel=0.05)
    assert np.abs(np.corrcoef(noise) - np.eye(8)).max() < 0.06


def test_nobody_can_repeat_it_by_a_seed() -> None:
    first, second = [], []
    for draws in (first, second):
        np.random.seed(0)  # noqa: NPY002 - the point
        draws.append(released(np.zeros(16), Mechanism(1.0, 1.0, 1)).values)
    assert not np.array_equal(first, second)


def test_with_privacy_off_nothing_is_added() -> None:
    exact = np.linspace(-3, 9, 7)
    assert np.array_equal(released(exact, None).values, exact.astype(np.float32))
