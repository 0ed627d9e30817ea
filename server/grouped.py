"""A round in random groups: one joint draw, then the five phases in every group side by side."""

import os
from collections.abc import Callable, Mapping

from common.charter import Charter
from common.deltas import AggregateDelta, Floats
from common.errors import AggregationAborted
from common.requests import AdvertiseRequest, CommitRequest
from common.robust import RobustTerms
from server.channel import Channel, Meter
from server.checkpoint import Checkpoint, RunFolder
from server.cohort import Cohort
from server.drawing import draw_groups
from server.lockstep import side_by_side
from server.outcome import RoundOutcome
from server.robust import Sums

HoldOpened = Callable[[Cohort, Charter, AdvertiseRequest, Floats], tuple[AggregateDelta, RoundOutcome]]


class NoGroup(AggregationAborted):
    """Not one of a round's groups gave a sum."""


def hold_in_groups(
    cohort: Cohort,
    charter: Charter,
    robust: RobustTerms,
    checkpoint: Checkpoint,
    folder: RunFolder,
    roster: tuple[str, ...],
    hold_opened: HoldOpened,
) -> tuple[Sums, RoundOutcome]:
    """Each group's sum, or the reason it has none, and the account of the whole round; asks ``roster``.

    What platforms say of others in their group, and what the reason of a void group proves, is held in ``cohort``.

    Raises:
        AggregationAborted: when no groups can be drawn, or none of them gives a sum.
    """
    drawn = draw_groups(cohort, charter, robust, checkpoint, folder, roster)
    whole = AdvertiseRequest(
        run=charter.digest().hex(),
        round=checkpoint.round + 1,
        attempt=drawn.attempt,
        nonce=os.urandom(16),
        cohort=roster,
        reveals=drawn.reveals,
    )
    crews: dict[int, Cohort] = {}

    def hold(place: int, channel: Channel) -> tuple[AggregateDelta, RoundOutcome]:
        own = {"cohort": drawn.groups[place], "nonce": os.urandom(16)}
        crews[place] = Cohort(Meter(channel, cohort.meter.timeout))
        return hold_opened(crews[place], charter, whole.model_copy(update=own), checkpoint.model)

    addresses = [[cohort.address[name] for name in group] for group in drawn.groups]
    results = side_by_side(cohort.meter.channel, addresses, hold)
    _tell(cohort, whole, {group: crews[place] for place, group in enumerate(drawn.groups)})
    sums: dict[tuple[str, ...], AggregateDelta | AggregationAborted] = {}
    survivors: list[str] = []
    for group, found in zip(drawn.groups, results, strict=True):
        if isinstance(found, AggregationAborted):
            cohort.accusations.learn(found)
            sums[group] = found
        else:
            sums[group] = found[0]
            survivors += found[1].survivors
    if not survivors:
        raise NoGroup("no group gave a sum", why="; ".join(dict.fromkeys(map(str, sums.values()))))
    bound = [found[1] for found in results if not isinstance(found, AggregationAborted)]
    outcome = cohort.outcome(whole, tuple(sorted(survivors)))
    return sums, outcome.model_copy(
        update={"model": bound[0].model, "sums": tuple(one for held in bound for one in held.sums)}
    )


def _tell(cohort: Cohort, whole: AdvertiseRequest, crews: Mapping[tuple[str, ...], Cohort]) -> None:
    """Gather the groups' accounts: who is missing, since which phase, who is accused, and what all took."""
    cohort.dropped.update({name: CommitRequest.kind for name in whole.cohort if name not in cohort.address})
    for group, crew in crews.items():
        cohort.dropped.update({name: whole.kind for name in group if name not in crew.address})
        cohort.absorb(crew)
