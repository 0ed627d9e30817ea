"""Two ways to tell from the released updates whose coin fell which way."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from common.deltas import Floats
from scenarios.privacy_audit.cast import Bools

Certainties = NDArray[np.float64]
"""One a canary: the sign is the guess (positive: there), the size how sure the attack is of it."""

Attack = Callable[[Floats, Floats, Bools], Certainties]
"""From signals (rounds, canaries) to certainties; further signals (rounds, references) come with their coins."""

_RIDGE: Final = (
    0.1  # in units of a canary's own squared norm: what noise and near-twins would otherwise blow up
)


def presence(gradients: Floats, update: Floats) -> Floats:
    """How often each candidate seems to have been added to ``update`` (d,): (candidates,).

    ``gradients``: (candidates, d), in the update's units. Ridge regression: an inner product with each gradient,
    less what the other candidates add to it.
    """
    overlaps = gradients @ gradients.T
    overlaps[np.diag_indices_from(overlaps)] += _RIDGE
    found: Floats = np.linalg.solve(overlaps, gradients @ update)
    return found


def inner_product(signals: Floats, _references: Floats, _coins: Bools) -> Certainties:
    """The signals' sum over the rounds; the upper half is guessed to be there, the extremes are the surest."""
    ranks = signals.sum(axis=0).argsort().argsort()
    return np.asarray(ranks - (len(ranks) - 1) / 2, np.float64)


def likelihood_ratio(signals: Floats, references: Floats, coins: Bools) -> Certainties:
    """LiRA (Carlini et al. 2022, arXiv:2112.03570): log p(signals | there) − log p(signals | not), normal fits.

    The references stand for shadow models: canaries are alike, so that one fit serves all. Rounds are taken as
    independent.
    """
    there, absent = references[:, coins], references[:, ~coins]
    ratios = norm.logpdf(signals, there.mean(), there.std()) - norm.logpdf(
        signals, absent.mean(), absent.std()
    )
    return np.asarray(ratios.sum(axis=0), np.float64)


ATTACKS: Final[Mapping[str, Attack]] = MappingProxyType(
    {"inner product": inner_product, "likelihood ratio": likelihood_ratio}
)


def right_guesses(certainties: Certainties, coins: Bools, guesses: int) -> int:
    """How many of the ``guesses`` surest guesses the coins (canaries,) confirm."""
    surest = np.argsort(-np.abs(certainties))[:guesses]
    return int(((certainties[surest] > 0) == coins[surest]).sum())
