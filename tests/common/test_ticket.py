"""A site's tickets: private files, complete, gone when their time is over."""

from pathlib import Path

import pytest

from common.ticket import Ticket, Tickets, TicketUnreadable


def ticket(number: int = 1, attempt: int = 1, until: int = 100) -> Ticket:
    return Ticket(
        round=number,
        attempt=attempt,
        model="1a" * 32,
        h2="2b" * 32,
        survivors=("amber", "salt"),
        bundle="3c" * 32,
        key="4d" * 32,
        until=until,
    )


def test_tickets_come_back_in_the_order_of_the_rounds(tmp_path: Path) -> None:
    tickets = Tickets(tmp_path / "tickets")
    assert tickets.all() == ()
    for number, attempt in ((2, 1), (1, 9), (1, 10), (3, 11)):
        tickets.keep(ticket(number, attempt))
    assert tickets.all() == (ticket(1, 9), ticket(1, 10), ticket(2, 1), ticket(3, 11))


def test_nobody_else_reads_them(tmp_path: Path) -> None:
    tickets = Tickets(tmp_path / "tickets")
    tickets.keep(ticket())
    (path,) = tickets.path.iterdir()
    assert tickets.path.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    assert "4d4d" not in repr(ticket())


def test_they_go_when_their_time_is_over(tmp_path: Path) -> None:
    tickets = Tickets(tmp_path / "tickets")
    tickets.prune(0)
    tickets.keep(ticket(1, 1, until=100))
    tickets.keep(ticket(2, 2, until=101))
    tickets.prune(99.9)
    assert len(tickets.all()) == 2
    tickets.prune(100.5)
    assert tickets.all() == (ticket(2, 2, until=101),)


@pytest.mark.parametrize(
    "change", [("round", "rund"), ("4d4d", "4D4D"), ('"until": 100', '"until": 1.5'), ("{", "")]
)
def test_a_damaged_one_is_named_and_never_kept_beyond_its_time(
    tmp_path: Path, change: tuple[str, str]
) -> None:
    tickets = Tickets(tmp_path / "tickets")
    tickets.keep(ticket())
    (path,) = tickets.path.iterdir()
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(TicketUnreadable, match=r"0001-0001\.json: no readable ticket") as caught:
        tickets.all()
    assert "4d4d" not in str(caught.value).lower()
    tickets.prune(0)
    assert list(tickets.path.iterdir()) == []
