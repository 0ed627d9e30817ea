"""The coordinator's part in a draw of groups: it asks for commitments, then for values, and chooses nothing."""

import logging
from dataclasses import dataclass

from common.charter import Charter
from common.replies import body_of
from common.requests import CommitRequest, RevealRequest
from common.robust import RobustTerms
from common.secagg.draw import Ballot, Commitment, Reveal, commitment_fault
from common.secagg.errors import BadDraw, DrawsUsedUp, WithheldReveal
from common.secagg.terms import Terms
from server.checkpoint import Checkpoint, RunFolder
from server.cohort import Cohort

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The groups, and what convinces a site of them: everyone's revealed values, encoded."""

    attempt: int
    groups: tuple[tuple[str, ...], ...]
    reveals: tuple[bytes, ...]


def draw_groups(
    cohort: Cohort,
    charter: Charter,
    robust: RobustTerms,
    checkpoint: Checkpoint,
    folder: RunFolder,
    roster: tuple[str, ...],
) -> Drawn:
    """Draw until everyone of ``roster`` who committed has revealed.

    Who does not is left out of this round's next draw.

    Raises:
        DrawsUsedUp: when the charter allows no further draw for this round.
        TooFewPlatforms: when fewer commit than the groups of the charter's statistic need.
    """
    terms, withheld = charter.terms(), None
    while True:
        request = _next(charter, checkpoint, folder)
        try:
            request.place().check(robust.draws)
            return _draw(cohort, terms, request, robust.least_groups, roster)
        except DrawsUsedUp as last:
            raise last from withheld
        except WithheldReveal as reason:
            log.warning("draw %d of round %d is void: %s", request.draw, request.round, reason)
            withheld = reason


def _next(charter: Charter, checkpoint: Checkpoint, folder: RunFolder) -> CommitRequest:
    """A new attempt; a round's draws count from the last round's attempt, also after a crash."""
    attempt = folder.next_attempt()
    before = checkpoint.outcomes[-1].attempt if checkpoint.outcomes else 0
    run, number = charter.digest().hex(), checkpoint.round + 1
    return CommitRequest(run=run, round=number, attempt=attempt, draw=attempt - before)


def _draw(cohort: Cohort, terms: Terms, request: CommitRequest, least: int, roster: tuple[str, ...]) -> Drawn:
    draw = request.place()
    place = draw.digest(terms)

    def fault(one: Commitment) -> str:
        # A draw is begun at every address, so whoever is left out of the run commits as well.
        return commitment_fault(one, terms, place) or ("" if one.platform in roster else "it is left out")

    cohort.address.clear()  # who is where is learned anew
    met = cohort.meet(request.frame(), body_of(Commitment.decode), fault)
    ballot = Ballot.of(terms, draw, [one for one in met if one.platform not in cohort.dropped], least)
    commitments = tuple(one.encode() for one in ballot.commitments)
    ask = RevealRequest(attempt=draw.attempt, commitments=commitments).frame()
    told = cohort.ask(dict.fromkeys(ballot.platforms, ask), body_of(Reveal.decode))
    faults = {name: ballot.fault(reveal) for name, reveal in told.items()}
    cohort.exclude({name: BadDraw("reveal", name, why=why) for name, why in faults.items() if why})
    if missing := [name for name in ballot.platforms if name in cohort.dropped]:
        raise WithheldReveal("reveal", ", ".join(missing))
    return Drawn(draw.attempt, ballot.groups(list(told.values())), tuple(r.encode() for r in told.values()))
