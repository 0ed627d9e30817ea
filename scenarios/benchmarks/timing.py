"""Repeats that alternate between what is compared, so that a busy moment hits all of it; medians."""

import time
from collections.abc import Callable, Mapping
from statistics import median

Timed = Callable[[], float]
"""Does its work once and returns the seconds that count."""


def clocked(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> Timed:
    """``action``, timed by ``clock`` from its start to its end."""

    def timed() -> float:
        begun = clock()
        action()
        return clock() - begun

    return timed


def interleaved(repeats: int, actions: Mapping[str, Timed]) -> dict[str, float]:
    """The median seconds of each action over ``repeats`` turns, after one turn that does not count."""
    counted = turns(repeats, actions)
    return {name: median(turn[name] for turn in counted) for name in actions}


def turns(repeats: int, actions: Mapping[str, Timed]) -> list[dict[str, float]]:
    """Seconds of each action in each of ``repeats`` turns, after one turn that does not count."""
    return [{name: action() for name, action in actions.items()} for _ in range(repeats + 1)][1:]


def ratios(counted: list[dict[str, float]], reference: str) -> dict[str, float]:
    """The median, over the turns, of each action's seconds over the reference's in the same turn."""
    return {name: median(turn[name] / turn[reference] for turn in counted) for name in counted[0]}
