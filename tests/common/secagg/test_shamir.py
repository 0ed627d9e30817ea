"""Shamir's sharing against an independent oracle, and what it refuses."""

import secrets
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.secagg.shamir import PRIME, combine, interpolation, split

SECRET = st.binary(min_size=32, max_size=32)


def test_the_modulus_is_prime():
    """Miller and Rabin, forty random bases: wrong with probability below 4⁻⁴⁰."""
    odd, twos = PRIME - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(40):
        power = pow(secrets.randbelow(PRIME - 3) + 2, odd, PRIME)
        squares = (
            [power := power * power % PRIME for _ in range(twos)]
            if power not in (1, PRIME - 1)
            else [PRIME - 1]
        )
        assert PRIME - 1 in squares


def test_it_is_the_first_prime_above_2_to_256():
    assert not any(pow(3, n - 1, n) == 1 for n in range((1 << 256) + 1, PRIME, 2))


@settings(deadline=None, max_examples=50)
@given(SECRET, st.data())
def test_any_threshold_of_shares_gives_the_secret(secret, data):
    count = data.draw(st.integers(1, 12))
    threshold = data.draw(st.integers(1, count))
    indices = data.draw(st.permutations(range(1, count + 1)))
    shares = dict(zip(indices, split(secret, threshold, indices), strict=True))
    chosen = indices[:threshold]
    assert combine(interpolation(chosen), [shares[x] for x in chosen]) == secret


@settings(deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8, unique=True))
def test_coefficients_agree_with_rational_interpolation(indices):
    """The oracle computes Lagrange's formula over the rationals and reduces it only at the end."""
    for x, coefficient in zip(indices, interpolation(indices), strict=True):
        exact = Fraction(1)
        for other in indices:
            if other != x:
                exact *= Fraction(other, other - x)
        assert coefficient == exact.numerator * pow(exact.denominator, -1, PRIME) % PRIME


@settings(deadline=None)
@given(SECRET, SECRET)
def test_one_share_below_the_threshold_fits_every_secret(secret, other):
    """Given t − 1 shares, each candidate secret has exactly one polynomial, so they say nothing."""
    shares = split(secret, 3, [1, 2, 3])[:2]
    weights = interpolation([1, 2, 4])
    rest = int.from_bytes(other, "big") - sum(
        w * int.from_bytes(s, "big") for w, s in zip(weights, shares, strict=False)
    )
    forged = rest * pow(weights[2], -1, PRIME) % PRIME
    assert combine(weights, [*shares, forged.to_bytes(33, "big")]) == other


def test_shares_are_fresh_and_33_bytes():
    first, second = split(bytes(32), 2, [1, 2]), split(bytes(32), 2, [1, 2])
    assert {len(share) for share in first} == {33}
    assert first != second


def test_the_polynomial_has_degree_threshold_minus_one():
    shares = split(b"\x01" * 32, 4, [1, 2, 3, 4, 5])
    assert combine(interpolation([1, 2, 3]), shares[:3]) != b"\x01" * 32


def test_a_share_outside_the_secrets_range_gives_none():
    assert combine(interpolation([1]), [(PRIME - 1).to_bytes(33, "big")]) is None
    assert combine(interpolation([1]), [(1 << 256).to_bytes(33, "big")]) is None
    assert combine(interpolation([1]), [((1 << 256) - 1).to_bytes(33, "big")]) == b"\xff" * 32


@pytest.mark.parametrize(
    ("secret", "threshold", "indices"),
    [
        (bytes(31), 1, [1]),
        (bytes(33), 1, [1]),
        (bytes(32), 0, [1]),
        (bytes(32), 1, [0, 1]),
        (bytes(32), 1, [1, 1]),
    ],
)
def test_split_refuses(secret, threshold, indices):
    with pytest.raises(ValueError, match="distinct positive"):
        split(secret, threshold, indices)


@pytest.mark.parametrize("indices", [[0, 1], [2, 2]])
def test_interpolation_refuses(indices):
    with pytest.raises(ValueError, match="positive and distinct"):
        interpolation(indices)


def test_combine_refuses_another_number_of_shares():
    with pytest.raises(ValueError, match="zip"):
        combine(interpolation([1, 2]), [bytes(33)])
