"""Whether a round's result is what its platforms signed: sum, mean, the server's step, and the next model.

Everything is held against what the auditing site has itself: the charter it pinned, and its ticket of the round.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from common.bundle import Bundle, BundleUnreadable, digest_of
from common.charter import Charter, SignedCharter
from common.deltas import AggregateDelta, Floats
from common.errors import AggregationAborted
from common.ticket import Ticket, Tickets
from server import optimizer
from server.archive import BUNDLE, arrays, name_of
from server.optimizer import OptimizerState

_MOST_VOID: Final = 1000  # rounds that may have been void in a row: each moves the base model by one float


class NoTicket(AggregationAborted):
    """A replay that this site was never told of, or that is not the one it was told of."""


class WrongRound(AggregationAborted):
    """A replay of another round than the one this site took part in."""


class WrongResult(AggregationAborted):
    """The coordinator's result does not follow from what the platforms signed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was recomputed and holds. Hashes are SHA-256 in hexadecimal.

    ``model``: of the parameters after the step; ``average``: of the averaged ones, which are released.
    ``moments_followed``: the optimiser's arrays before the step are those after the round before.
    ``model_received``: the site received this very model in the next round. Either is false where the site has no
    ticket of that round, or its bundle is not at hand.
    """

    round: int
    attempt: int
    survivors: tuple[str, ...]
    weight: float
    model: str
    average: str
    moments_followed: bool
    model_received: bool


def verify_round(folder: Path, site: Path) -> Verdict:
    """Recompute the round whose bundle lies in ``folder``, for the site in ``site``. Nothing is written.

    Raises:
        NoTicket, BundleUnreadable, WrongRound, WrongResult: what does not hold of the bundle and the result.
        ProtocolAborted: what does not hold of a platform's message, by the protocol's own reason.
        CharterInvalid, TicketUnreadable: what is wrong with the site's own files.
    """
    data = _read(folder)
    pinned, tickets, ticket = _find(site, data, where=str(folder))
    charter, bundle = SignedCharter.load(pinned).verified(), Bundle.opened(data, bytes.fromhex(ticket.key))
    delta = _recomputed(charter, ticket, bundle)
    before = _before(charter, ticket, bundle)
    followed = _moments_follow(before, ticket, tickets, folder.parent)
    after = optimizer.apply(charter.server, before, delta.mean, ticket.round)
    if digest_of(*arrays(after)) != bundle.after:
        raise _wrong(ticket, "the step from this mean is not the one of the charter's optimiser")
    return Verdict(
        round=ticket.round,
        attempt=ticket.attempt,
        survivors=bundle.replay.survivors,
        weight=delta.weight,
        model=digest_of(after.parameters).hex(),
        average=digest_of(after.average).hex(),
        moments_followed=followed,
        model_received=_model_received(after, ticket, tickets),
    )


def _read(folder: Path) -> bytes:
    try:
        return (folder / BUNDLE).read_bytes()
    except OSError as error:
        why = error.strerror or ""
        raise NoTicket("no bundle to replay", where=str(folder / BUNDLE), why=why) from error


def _find(site: Path, data: bytes, where: str) -> tuple[Path, Sequence[Ticket], Ticket]:
    digest = hashlib.sha256(data).hexdigest()
    for pinned in sorted(site.glob("charters/*/charter.json")):
        tickets = Tickets(pinned.with_name("tickets")).all()
        for ticket in tickets:
            if ticket.bundle == digest:
                return pinned, tickets, ticket
    raise NoTicket(
        f"{site} has no ticket for this bundle",
        where=where,
        why="it was changed, its time is over, or this site did not finish the round",
        hint="a site keeps its tickets in charters/HASH/tickets",
    )


def _recomputed(charter: Charter, ticket: Ticket, bundle: Bundle) -> AggregateDelta:
    """The mean of the survivors' signed vectors, once it is the one the coordinator says."""
    replay, terms = bundle.replay, charter.terms()
    if (replay.spec.round, replay.spec.attempt) != ticket.place:
        raise WrongRound(f"a replay of round {replay.spec.round}", where=_place(ticket))
    delta = terms.ring.dequantise(replay.sum(terms))
    if replay.h2(terms).hex() != ticket.h2 or replay.survivors != ticket.survivors:
        raise WrongRound("a replay of another round than this site took part in", where=_place(ticket))
    if digest_of(delta.mean) != bundle.mean:
        raise _wrong(ticket, "the mean is not that of the survivors' signed vectors")
    return delta


def _before(charter: Charter, ticket: Ticket, bundle: Bundle) -> OptimizerState:
    """The optimiser's state before the step, once it belongs to the model that the site received."""
    shape = (charter.model.parameters,)
    if [array.shape for array in bundle.before] != [shape] * 4:
        raise BundleUnreadable("no optimiser's state in the replay", where=_place(ticket))
    before = OptimizerState(*bundle.before)
    if digest_of(before.parameters).hex() != ticket.model:
        raise _wrong(ticket, "the step did not begin at the model that this site received")
    return before


def _moments_follow(
    before: OptimizerState, ticket: Ticket, tickets: Sequence[Ticket], siblings: Path
) -> bool:
    """Whether the state before is known to be the one after the round before, or the first."""
    _, *moments = arrays(before)
    if ticket.round == 1:
        for parameters in _neighbours(before.parameters, ticket.attempt - 1, -np.inf):
            _, *fresh = arrays(optimizer.start(parameters))
            if digest_of(*moments) == digest_of(*fresh):
                return True
        raise _wrong(ticket, "the optimiser's moments are not those of a first round")
    earlier = [seen for seen in tickets if seen.round == ticket.round - 1]
    last = _bundle_of(earlier[-1], siblings) if earlier else None
    if last is None:
        return False
    for parameters in _neighbours(before.parameters, ticket.attempt - earlier[-1].attempt - 1, -np.inf):
        if digest_of(parameters, *moments) == last.after:
            return True
    raise _wrong(ticket, "the optimiser's moments are not those after the round before")


def _bundle_of(ticket: Ticket, siblings: Path) -> Bundle | None:
    """The bundle of another round, if it lies beside this one as it was announced."""
    path = siblings / name_of(ticket.round, ticket.attempt) / BUNDLE
    data = path.read_bytes() if path.exists() else b""
    announced = hashlib.sha256(data).hexdigest() == ticket.bundle
    return Bundle.opened(data, bytes.fromhex(ticket.key)) if announced else None


def _model_received(after: OptimizerState, ticket: Ticket, tickets: Sequence[Ticket]) -> bool:
    """Whether the site is known to have received this model next."""
    later = [seen for seen in tickets if seen.place > ticket.place]
    if not later or later[0].round != ticket.round + 1:
        return False
    tried = _neighbours(after.parameters, later[0].attempt - ticket.attempt - 1, np.inf)
    if not any(digest_of(parameters).hex() == later[0].model for parameters in tried):
        raise _wrong(ticket, f"the site received another model in round {later[0].round}")
    return True


def _neighbours(parameters: Floats, void: int, towards: float) -> Iterator[Floats]:
    """The parameters, and the base models next to them that ``void`` rounds may have led to.

    See :meth:`server.checkpoint.Checkpoint.retired`; with ``towards`` = −∞ the way back.
    """
    moved = parameters.copy()
    yield moved
    for _ in range(min(void, _MOST_VOID)):
        moved[0] = np.nextafter(moved[0], np.float32(towards))
        yield moved


def _wrong(ticket: Ticket, what: str) -> WrongResult:
    return WrongResult(
        what, where=_place(ticket), hint="keep bundle and ticket, and tell the other platforms"
    )


def _place(ticket: Ticket) -> str:
    return f"round {ticket.round}, attempt {ticket.attempt}"
