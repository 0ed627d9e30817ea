"""Rounds in random groups, with real sites: what each site checks, and what the coordinator tells."""

from collections.abc import Callable
from typing import Any

import numpy as np

from common.robust import RobustTerms
from server.rounds import conduct

Make = Callable[..., Any]
TWELVE = tuple(f"platform-{letter}" for letter in "abcdefghijkl")


def test_x(fleet: Make) -> None:
    made = fleet(*TWELVE, robust=RobustTerms(norm_bound=9.0, statistic="median"))
    out = []
    conduct(made.tape(), made.run, out.append)
    print(out)
