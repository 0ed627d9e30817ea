"""What a site keeps of a round it finished, so that it can open and check the round's replay later."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.charter import Digest
from common.errors import HanseError
from common.files import make_folder, write_atomically


class TicketUnreadable(HanseError):
    """A ticket was changed or cut short."""


class Ticket(BaseModel):
    """One finished round.

    What the site saw itself: the ``model``'s hash, ``h2`` (specification, adverts and who shared), ``survivors``.
    What the coordinator handed over: the hash of the ``bundle`` and its ``key``. ``until``: when the ticket is to
    be deleted, in seconds since 1970.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    round: int
    attempt: int
    model: Digest
    h2: Digest
    survivors: tuple[str, ...]
    bundle: Digest
    key: Annotated[Digest, Field(repr=False)]
    until: int

    @property
    def place(self) -> tuple[int, int]:
        """Round and attempt."""
        return (self.round, self.attempt)


@dataclass(frozen=True, slots=True)
class Tickets:
    """The tickets of one site under one charter, a file of mode 0600 for each."""

    path: Path

    def keep(self, ticket: Ticket) -> None:
        """Add a ticket; on disk before this returns."""
        make_folder(self.path)
        name = f"{ticket.round:04}-{ticket.attempt:04}.json"
        write_atomically(self.path / name, ticket.model_dump_json(indent=2).encode())

    def prune(self, now: float) -> None:
        """Delete the tickets whose time is over; without its key a bundle is noise, wherever a copy lies.

        A damaged ticket opens nothing and cannot tell its time: it goes as well.
        """
        for path in self.path.glob("*.json"):
            try:
                over = _read(path).until <= now
            except TicketUnreadable:
                over = True
            if over:
                path.unlink(missing_ok=True)

    def all(self) -> tuple[Ticket, ...]:
        """Every ticket, in the order in which the site answered: its memory lets no round come after a later one.

        Raises:
            TicketUnreadable: naming the file.
        """
        return tuple(sorted(map(_read, self.path.glob("*.json")), key=lambda ticket: ticket.place))


def _read(path: Path) -> Ticket:
    try:
        return Ticket.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise TicketUnreadable("no readable ticket", where=str(path), why=type(error).__name__) from error
