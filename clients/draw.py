"""A draw of groups as a platform lives it: commit, reveal, and hold the opening against what was drawn."""

from clients import policy
from clients.round import Member, OutOfTurn
from common.charter import Charter
from common.requests import AdvertiseRequest, CommitRequest, RevealRequest
from common.secagg.draw import Ballot, Commitment, Committed, Reveal, commit
from common.secagg.errors import WrongGroup


class Drawing:
    """One draw; each of its questions is answered once, and a refused one ends it for this platform."""

    def __init__(self, member: Member, request: CommitRequest) -> None:
        self._member, self._request = member, request
        self._terms = policy.admit_draw(member.charter, request)
        self._committed: Committed | None = None
        self._ballot: Ballot | None = None

    def commit(self) -> Commitment:
        """Remember the draw, then bind this platform to a value."""
        member, draw = self._member, self._request.place()
        member.memory.update(lambda memory: memory.admit_draw(draw))
        terms, randomness = member.charter.terms(), member.randomness("groups", draw.round)
        self._committed = commit(member.platform, member.identity, terms, draw, randomness)
        return self._committed.commitment

    def reveal(self, request: RevealRequest) -> Reveal:
        """Check everyone's commitments, then tell the value."""
        if self._committed is None or request.attempt != self._request.attempt:
            raise OutOfTurn("this platform has not committed in that attempt")
        commitments = [Commitment.decode(one) for one in request.commitments]
        self._ballot, told = self._committed.reveal(commitments, self._terms.least_groups)
        return told

    def require(self, opening: AdvertiseRequest) -> None:
        """Whether ``opening`` is of this draw, and its cohort this platform's group.

        Raises:
            WrongGroup: when it is not.
            BadDraw: when a revealed value is missing or wrong.
        """
        asked, me = self._request, self._member.platform
        if self._ballot is None:
            raise WrongGroup("advertise", me, why="this platform's value was not asked for")
        if (opening.run, opening.round, opening.attempt) != (asked.run, asked.round, asked.attempt):
            raise WrongGroup("advertise", me, why="the groups were drawn for another attempt")
        groups = self._ballot.groups([Reveal.decode(one) for one in opening.reveals])
        mine = next(group for group in groups if me in group)
        if tuple(sorted(opening.cohort)) != mine:
            raise WrongGroup("advertise", me, why=f"drawn: {', '.join(mine)}")


def require_group(charter: Charter, drawing: Drawing | None, opening: AdvertiseRequest) -> None:
    """Hold an opening against the draw, where the charter has groups; they are for training alone.

    Raises:
        WrongGroup: when the cohort is not this platform's group, or was never drawn.
        BadDraw: when a revealed value is missing or wrong.
    """
    if charter.groups is None or opening.purpose != "train":
        if opening.reveals:
            raise WrongGroup("advertise", why="a round without groups")
    elif drawing is None:
        raise WrongGroup("advertise", why="this platform took part in no draw")
    else:
        drawing.require(opening)
