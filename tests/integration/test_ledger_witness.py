"""A platform whose ledger went back, through real sites: its peers refuse it by name, whatever it restores.

The platform restores its own memory of peers along with the ledger, so that only the others can notice.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from common.errors import AggregationAborted
from common.frame import Frame
from common.privacy.accountant import Mechanism
from common.privacy.ledger import Charge, Ledger, _append, _next_head, _row
from common.replies import ANSWER, refusal
from common.requests import SignRequest, UnmaskRequest
from common.secagg.errors import TooFewPlatforms
from server.channel import Meter
from server.cohort import Cohort
from server.rounds import hold_round

Make = Callable[..., Any]
CHEAT, PEERS = 3, (0, 1, 2)


def hold(made: Any, tape: Any) -> None:
    hold_round(Cohort(Meter(tape, 5.0)), made.charter, made.run.latest(), made.run)
    made.next_model()


def copied(made: Any, folder: Path) -> Path:
    """What a backup of the cheat's ledger, and of what it remembers of its peers, holds now."""
    folder.mkdir()
    for name in ("ledger.sqlite", "witnesses.json"):
        shutil.copy(made.folders["timber"].path / name, folder)
    return folder


def restored(made: Any, backup: Path) -> None:
    for path in backup.iterdir():
        shutil.copy(path, made.folders["timber"].path)


def verdicts(made: Any) -> list[str]:
    """What each site says in the phase in which the ledgers are looked at, in another round."""
    tape = made.tape()
    try:
        hold(made, tape)
    except TooFewPlatforms:
        made.next_model()
    said = {address: reply for address, asked, reply in tape.passed if asked.kind == "share"}
    return ["fine" if said[at].kind == ANSWER else str(refusal(said[at])) for at in (*PEERS, CHEAT)]


def test_honest_ledgers_are_fine(fleet: Make) -> None:
    made = fleet(private=True)
    for _ in range(3):
        assert verdicts(made) == ["fine"] * 4


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_ledger_put_back_by_any_number_of_charges_is_refused(
    fleet: Make, tmp_path: Path, rounds: int
) -> None:
    """Also by one: the peers saw the round through, so they know of a charge that no advert has shown yet."""
    made = fleet(private=True)
    hold(made, made.tape())
    backup = copied(made, tmp_path / "backup")
    for _ in range(rounds):
        hold(made, made.tape())
    restored(made, backup)
    assert made.folders["timber"].ledger().head()[0] == 1  # its chain holds: nothing here shows what was done
    assert verdicts(made) == [*["LedgerRollback of timber"] * 3, "fine"]


def test_a_platform_cannot_undo_every_charge_after_its_round(fleet: Make, tmp_path: Path) -> None:
    made = fleet(private=True)
    hold(made, made.tape())
    backup = copied(made, tmp_path / "backup")
    hold(made, made.tape())
    restored(made, backup)
    assert verdicts(made)[0] == "LedgerRollback of timber"
    assert verdicts(made)[0] == "LedgerRollback of timber"  # and asking again does not help


def test_a_removed_ledger_is_refused(fleet: Make) -> None:
    made = fleet(private=True)
    hold(made, made.tape())
    (made.folders["timber"].path / "ledger.sqlite").unlink()
    (made.folders["timber"].path / "witnesses.json").unlink()
    assert verdicts(made)[:3] == ["LedgerRollback of timber"] * 3


def rehashed(ledger: Ledger, change: Callable[[int, Charge], Charge | None]) -> None:
    """The file as an editor leaves it who knows how it is made: rows changed or gone, every head computed anew."""
    entries = ledger.entries()
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as file:
        file.execute("DROP TRIGGER no_update")
        file.execute("DROP TRIGGER no_delete")
        file.execute("DELETE FROM charges")
        head = file.execute("SELECT head FROM genesis").fetchone()[0]
        counter = 0
        for entry in entries:
            if (kept := change(entry.counter, entry.charge)) is not None:
                counter += 1
                row = _row(counter, entry.charged_at, kept)
                head = _next_head(head, row)
                _append(file, row, head)
    ledger.verify()


def failing(made: Any) -> None:
    """A round in which everybody shows its ledger and nobody is asked for an update."""
    tape = made.tape(lambda address, frame, site: None if frame.kind == "upload" else site(frame))
    with pytest.raises(TooFewPlatforms):
        hold(made, tape)
    made.next_model()


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        (lambda counter, charge: charge_with_noise(charge, 50.0) if counter == 1 else charge, 2),
        (lambda counter, charge: None if counter == 1 else charge, 1),
        (lambda counter, charge: None if counter == 2 else charge, 1),
    ],
    ids=["edited", "a row taken out", "truncated"],
)
def test_an_edit_with_all_heads_computed_anew_is_refused(
    fleet: Make, change: Callable[[int, Charge], Charge | None], rows: int
) -> None:
    made = fleet(private=True)
    hold(made, made.tape())
    hold(made, made.tape())
    failing(made)
    timber = made.folders["timber"]
    rehashed(timber.ledger(), change)
    (timber.path / "witnesses.json").unlink()
    assert timber.ledger().head()[0] == rows
    assert verdicts(made)[:3] == ["LedgerRollback of timber"] * 3


def charge_with_noise(charge: Charge, noise: float) -> Charge:
    mechanism = Mechanism(noise, charge.mechanism.sample_rate, charge.mechanism.steps)
    return Charge(charge.run, charge.round, charge.attempt, charge.release, mechanism)


def test_a_platform_that_dropped_out_owes_no_entry(fleet: Make) -> None:
    made = fleet(private=True)
    hold(made, made.tape(lambda address, frame, site: None if silent(address, frame) else site(frame)))
    assert made.folders["timber"].ledger().head()[0] == 0
    assert verdicts(made) == ["fine"] * 4


def test_a_coordinator_cannot_frame_a_platform_that_never_uploaded(fleet: Make) -> None:
    """It tells the others that timber was among the survivors, and has them finish the round on that."""
    made = fleet(private=True)
    signatures: dict[str, bytes] = {}

    def relay(address: int, frame: Frame, site: Callable[[Frame], Frame]) -> Frame | None:
        if silent(address, frame):
            return None
        if frame.kind == "sign":
            answer = site(SignRequest(attempt=1, survivors=tuple(made.folders)).frame())
            signatures[list(made.folders)[address]] = answer.body
            return answer
        return site(frame)

    tape = made.tape(relay)
    with pytest.raises(AggregationAborted):
        hold(made, tape)
    forged = UnmaskRequest(attempt=1, signatures=signatures).frame()
    assert [tape.sites[peer](forged).kind for peer in PEERS] == [ANSWER] * 3
    made.next_model()
    assert verdicts(made) == ["fine"] * 4


def silent(address: int, frame: Frame) -> bool:
    return address == CHEAT and frame.kind == "upload"
