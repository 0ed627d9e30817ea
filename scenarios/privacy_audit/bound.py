"""What right guesses prove about ε: the one-run bound of Steinke, Nasr and Jagielski (2023, arXiv:2305.08846)."""

import math
from typing import Final

import numpy as np
from scipy.stats import binom

_STEPS: Final = 40  # halvings of an interval of 1: 1e-12


def p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """The most probable that ``correct`` or more right guesses are under (ε, δ)-DP (theorem 5.2, appendix D).

    Each of ``canaries`` takes part by a fair coin of its own; ``guesses`` of the coins are guessed, a number that
    was fixed before the outcome was seen. Pure ε-DP guesses no better than randomised response, each right with
    probability 1 / (1 + e^−ε). δ lets a guesser do better by i guesses with a probability of at most 2mδ / i,
    whence the second term.

    Guarantee: no (ε, δ)-DP mechanism, with any guesser, reaches this many with a larger probability.
    Refuses: numbers that are not 0 ≤ correct ≤ guesses ≤ canaries, a negative ε, a δ outside [0, 1] (ValueError).
    """
    if not 0 <= correct <= guesses <= canaries:
        raise ValueError(f"{correct} right of {guesses} guesses on {canaries} canaries")
    if not (epsilon >= 0 and 0 <= delta <= 1):
        raise ValueError("ε must be at least 0, and δ lie in [0, 1]")
    accuracy = 1 / (1 + math.exp(-epsilon))
    chance = float(binom.sf(correct - 1, guesses, accuracy))
    if correct == 0:
        return min(1.0, chance)
    just_below = np.cumsum(binom.pmf(np.arange(correct - 1, -1, -1), guesses, accuracy))
    alpha = float((just_below / np.arange(1, correct + 1)).max())
    return min(1.0, chance + 2 * canaries * delta * alpha)


def lower_bound(canaries: int, guesses: int, correct: int, delta: float, confidence: float) -> float:
    """The largest ε that ``correct`` right guesses refute; 0 where they refute none.

    Guarantee: for an (ε, ``delta``)-DP mechanism the result exceeds ε with a probability of at most 1 −
        ``confidence``.
    Refuses: what :func:`p_value` refuses, and a confidence outside (0, 1) (ValueError).
    """
    if not 0 < confidence < 1:
        raise ValueError("a confidence lies between 0 and 1")

    def refuted(epsilon: float) -> bool:
        return p_value(canaries, guesses, correct, epsilon, delta) < 1 - confidence

    if not refuted(0.0):
        return 0.0
    low = 0.0
    while refuted(low + 1):
        low += 1
    width = 1.0
    for _ in range(_STEPS):
        width /= 2
        if refuted(low + width):
            low += width
    return low
