"""Skellam noise: the distribution, its tails, and the rare draws that 63 bits do not decide."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ive
from scipy.stats import chisquare

from common.privacy import noise
from common.privacy.errors import PlanUnsound
from common.privacy.noise import LARGEST_TABLE, LARGEST_VARIANCE, largest_noise, skellam_noise
from common.randomness import OsRandomness

DRAWS = 1 << 20
CHANCE = 1e-6  # noise cannot be seeded: a right sampler fails once in a million runs


def probabilities(variance: float, reach: int) -> NDArray[np.float64]:
    """P(X = k) for k = −reach … reach: e^{−μ} I_k(μ)."""
    half = ive(np.arange(reach + 1), variance)
    return np.concatenate([half[:0:-1], half])


def p_value(drawn: NDArray[np.int32], variance: float, width: int) -> float:
    """Of the χ² test of ``drawn`` against Skellam noise of ``variance``, in bins of ``width`` values."""
    reach = int(8 * variance**0.5) + 40
    sizes = np.clip(drawn.astype(np.int64) + reach, 0, 2 * reach) // width
    seen = np.bincount(sizes, minlength=2 * reach // width + 1)
    wanted = np.add.reduceat(probabilities(variance, reach), np.arange(0, 2 * reach + 1, width))
    wanted *= drawn.size / wanted.sum()
    common = wanted >= 5
    tails = [seen[~common].sum()], [wanted[~common].sum()]
    return float(chisquare(np.append(seen[common], tails[0]), np.append(wanted[common], tails[1])).pvalue)


@pytest.mark.parametrize(("variance", "width"), [(1, 1), (40, 1), (10**6, 100), (LARGEST_TABLE // 2, 2000)])
def test_draws_have_the_distribution_and_a_variance_off_by_two_percent_is_found(
    variance: int, width: int
) -> None:
    drawn = skellam_noise(variance, DRAWS, OsRandomness())
    assert p_value(drawn, variance, width) > CHANCE
    assert p_value(drawn, 1.02 * variance, width) < CHANCE
    assert p_value(drawn, variance / 1.02, width) < CHANCE


def test_a_variance_beyond_one_table_is_met_by_a_sum() -> None:
    variance = 2 * LARGEST_TABLE + 1
    drawn = skellam_noise(variance, DRAWS, OsRandomness())
    deviation = (2 / DRAWS) ** 0.5
    assert abs(drawn.astype(np.float64).var() / variance - 1) < 6 * deviation
    assert np.abs(drawn).max() <= largest_noise(variance)


def test_draws_are_independent_and_fresh() -> None:
    first, second = (skellam_noise(1000, DRAWS, OsRandomness()).astype(np.float64) for _ in range(2))
    for one, other in ((first, second), (first[1:], first[:-1]), (np.abs(first[1:]), np.abs(first[:-1]))):
        assert abs(np.corrcoef(one, other)[0, 1]) < 6 / DRAWS**0.5


@pytest.mark.parametrize("variance", [1, 17, 10**4, 10**7])
def test_the_table_holds_the_distribution(variance: int) -> None:
    weights = noise._weights(variance)
    whole = weights[0] + 2 * sum(weights[1:])
    held = np.array([weight / whole for weight in weights])
    assert np.allclose(held, ive(np.arange(len(held)), variance), rtol=1e-9, atol=1e-40)


@pytest.mark.parametrize("variance", [1, 17, 10**4, 10**7])
def test_what_is_cut_is_below_the_bound_and_no_more_than_needed(variance: int) -> None:
    reach = largest_noise(variance)
    beyond = 2 * ive(np.arange(reach, 2 * reach + 200), variance).sum()
    assert beyond < 2.0**-107
    assert 2 * ive(np.arange(int(0.95 * reach), 2 * reach + 200), variance).sum() > 2.0**-107


class Fixed(OsRandomness):
    """Gives the same octets whenever it is asked."""

    def __init__(self, octets: bytes) -> None:
        super().__init__()
        self._octets = octets

    def octets(self, count: int) -> bytes:
        return (self._octets * count)[:count]


@pytest.mark.parametrize("variance", [1, 40, 10**6])
@pytest.mark.parametrize("fraction", [0, 1 << 63, (1 << 64) - 1])
def test_every_draw_inverts_127_bits(variance: int, fraction: int) -> None:
    """At and beside every boundary of the table, where 63 bits do not decide."""
    table = noise._table(variance)
    boundaries = [int(a) << 64 | int(b) for a, b in zip(table.upper, table.lower, strict=True)]
    edges = {max(0, min((1 << 63) - 1, (b >> 64) + near)) for b in boundaries[-400:] for near in (-1, 0, 1)}
    places = [0, *sorted(edges), (1 << 63) - 1]
    words = np.array([place << 1 for place in places] + [place << 1 | 1 for place in places], np.uint64)
    drawn = table.signed(words, Fixed(fraction.to_bytes(8, "little")))
    sizes = [
        np.searchsorted(np.array(boundaries, object), place << 64 | fraction, "right") for place in places
    ]
    assert drawn.tolist() == [-size for size in sizes] + sizes


def test_equal_boundaries_of_the_tail_need_the_last_bits() -> None:
    table = noise._table(40)
    assert len(np.unique(table.upper)) < len(table.upper)
    assert len({(int(a), int(b)) for a, b in zip(table.upper, table.lower, strict=True)}) > len(
        np.unique(table.upper)
    )


@pytest.mark.parametrize("variance", [0, -1, LARGEST_VARIANCE + 1])
@pytest.mark.parametrize("ask", [largest_noise, lambda variance: skellam_noise(variance, 1, OsRandomness())])
def test_a_variance_without_a_table_is_refused(variance: int, ask: Callable[[int], object]) -> None:
    with pytest.raises(PlanUnsound, match="variance"):
        ask(variance)
