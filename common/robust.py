"""What the charter says against a platform that poisons: a bound on sums, groups, and a way back."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from common.secagg.groups import LEAST_PLATFORMS, most_groups

Statistic = Literal["mean", "median", "trimmed-mean"]

LEAST_GROUPS: Final[dict[Statistic, int]] = {"mean": 2, "median": 3, "trimmed-mean": 3}


class RobustTerms(BaseModel):
    """Terms that every platform signs with the charter, and no default switches on.

    ``norm_bound``: the largest L2 norm of a mean update that is used, in the update's own units; of a group's
    mean with groups, else of the whole round's. ``statistic``: how the groups' means become one update; without
    it there are no groups. ``draws``: how many draws of groups a site takes part in for one round. ``rollback``:
    how far the public score may lie under the best one before a round is undone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    norm_bound: PositiveFloat
    statistic: Statistic | None = None
    draws: Annotated[int, Field(ge=1, le=100)] = 8
    rollback: PositiveFloat | None = None

    @property
    def least_groups(self) -> int:
        """The fewest groups that a round may be cut into: under three, a median is a mean."""
        return LEAST_GROUPS[self.statistic] if self.statistic else 1

    def fault(self, platforms: int, colluders: int, n_min: int) -> str:
        """Why a roster of ``platforms`` cannot keep these terms; empty if it can."""
        if self.statistic is None:
            return ""
        if platforms < LEAST_PLATFORMS:
            return f"{platforms} platforms are too few for groups ({LEAST_PLATFORMS}): leave robust.statistic out"
        groups = most_groups(platforms, n_min)
        if groups < self.least_groups:
            least = max(LEAST_PLATFORMS, self.least_groups * (n_min + 1))
            return (
                f"{platforms} platforms make {groups} groups of {n_min + 1} or more: "
                f"a {self.statistic} needs {self.least_groups}, which is {least} platforms"
            )
        if self.draws <= colluders:
            return f"{self.draws} draws of groups: each of {colluders} colluders can spoil one"
        return ""
