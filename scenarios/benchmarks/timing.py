"""Repeats that alternate between what is compared, so that a busy moment hits all of it; medians."""

import time
from collections.abc import Callable, Mapping
from statistics import median

Timed = Callable[[], float]
"""Does its work once and returns the seconds that count."""


def clocked(action: Callable[[], object]) -> Timed:
    """``action``, timed from its start to its end."""

    def timed() -> float:
        begun = time.perf_counter()
        action()
        return time.perf_counter() - begun

    return timed


def interleaved(repeats: int, actions: Mapping[str, Timed]) -> dict[str, float]:
    """The median seconds of each action over ``repeats`` turns, after one turn that does not count."""
    turns = [{name: action() for name, action in actions.items()} for _ in range(repeats + 1)]
    return {name: median(turn[name] for turn in turns[1:]) for name in actions}
