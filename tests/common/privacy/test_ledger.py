"""The ledger's rules: what a charge does, what it refuses, and what tampering does to the chain."""

import sqlite3
import stat
from pathlib import Path

import pytest

from common.privacy import accountant
from common.privacy.accountant import Mechanism, epsilon_of, upper_bound
from common.privacy.errors import (
    AccountantsDisagree,
    AlreadyCharged,
    CeilingExceeded,
    LedgerCorrupt,
    PlanUnsound,
)
from common.privacy.ledger import RELEASE_KINDS, Ceiling, Charge, Ledger

ROUND = Mechanism(1.0, 0.125, 8)


def charge(number: int, mechanism: Mechanism = ROUND, release: str = "training") -> Charge:
    return Charge("convoy", number, 0, release, mechanism)


def tamper(ledger: Ledger, statement: str, *values: object) -> None:
    """Change the file as an editor with SQLite would, its triggers removed."""
    connection = sqlite3.connect(ledger.path)
    with connection:
        connection.execute("DROP TRIGGER IF EXISTS no_update")
        connection.execute("DROP TRIGGER IF EXISTS no_delete")
        connection.execute(statement, values)
    connection.close()


def test_charges_are_kept_in_order(ledger: Ledger) -> None:
    other = Mechanism(5.0, 1.0, 1)
    ledger.charge(charge(1))
    ledger.charge(charge(1, other, release="statistics"))
    assert ledger.history() == (ROUND, other)
    assert [entry.counter for entry in ledger.entries()] == [1, 2]
    assert ledger.spent() == epsilon_of([ROUND, other], 1e-5)


def test_the_file_is_its_owners_alone(ledger: Ledger) -> None:
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600
    assert [path.name for path in ledger.path.parent.iterdir()] == [ledger.path.name]


def test_opening_again_continues(ledger: Ledger) -> None:
    ledger.charge(charge(1))
    again = Ledger.open(ledger.path, Ceiling(3.0, 1e-6))
    assert (again.history(), again.head()) == (ledger.history(), ledger.head())


def test_every_charge_moves_the_head(ledger: Ledger, tmp_path: Path) -> None:
    heads = [ledger.head()]
    for number in (1, 2):
        ledger.charge(charge(number))
        heads.append(ledger.head())
    assert [counter for counter, _ in heads] == [0, 1, 2]
    assert len({head for _, head in heads}) == 3
    assert all(len(head) == 32 for _, head in heads)
    assert Ledger.open(tmp_path / "other.sqlite", ledger.ceiling).head() != heads[0]


def test_one_charge_pays_for_one_release(ledger: Ledger) -> None:
    ledger.charge(charge(1))
    before = ledger.head()
    for again in (charge(1), charge(1, Mechanism(0.5, 0.125, 8))):
        with pytest.raises(AlreadyCharged):
            ledger.charge(again)
    assert ledger.head() == before
    ledger.charge(Charge("convoy", 1, 1, "training", ROUND))
    assert ledger.head()[0] == 2


def test_whole_numbers_survive_the_way_through_the_file(ledger: Ledger) -> None:
    ledger.charge(charge(1, Mechanism(2, 1, 3)))
    ledger.verify()
    assert ledger.history() == (Mechanism(2.0, 1.0, 3),)


@pytest.mark.parametrize("release", RELEASE_KINDS)
def test_every_kind_of_release_is_charged_for_itself(ledger: Ledger, release: str) -> None:
    ledger.charge(charge(1, release=release))
    with pytest.raises(AlreadyCharged):
        ledger.charge(charge(1, release=release))
    ledger.charge(charge(1, release="training" if release != "training" else "counts"))
    assert ledger.entries()[0].charge.release == release


@pytest.mark.parametrize("release", ["", "Training", "psi", "gift"])
def test_there_is_no_other_release(ledger: Ledger, release: str) -> None:
    with pytest.raises(PlanUnsound, match="no release"):
        charge(1, release=release)
    ledger.charge(charge(1))
    tamper(ledger, "UPDATE charges SET release = ?", release)
    with pytest.raises(LedgerCorrupt):
        ledger.charge(charge(2))


def test_a_plan_is_admitted_up_to_the_ceiling_and_no_further(ledger: Ledger) -> None:
    exact = Ledger(ledger.path, Ceiling(epsilon_of([ROUND] * 5, 1e-5).prv, 1e-5))
    exact.admit([ROUND] * 5)
    with pytest.raises(CeilingExceeded) as refused:
        exact.admit([ROUND] * 6)
    assert refused.value.exit_code == 3
    assert ledger.head()[0] == 0


def test_charges_stop_at_the_ceiling_whatever_was_admitted(ledger: Ledger) -> None:
    exact = Ledger(ledger.path, Ceiling(epsilon_of([ROUND] * 5, 1e-5).prv, 1e-5))
    for number in range(5):
        exact.charge(charge(number))
    before = exact.head()
    with pytest.raises(CeilingExceeded):
        exact.charge(charge(5))
    with pytest.raises(AlreadyCharged):
        exact.charge(charge(4))
    assert exact.head() == before
    assert exact.spent().prv == exact.ceiling.epsilon


def test_a_charge_that_rdp_allows_asks_no_other_accountant(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_prv", "_pld"):
        monkeypatch.setattr(accountant, name, lambda *_: pytest.fail("asked"))
    roomy = Ledger(ledger.path, Ceiling(1.01 * upper_bound([ROUND] * 3, 1e-5), 1e-5))
    roomy.admit([ROUND] * 3)
    for number in range(3):
        roomy.charge(charge(number))


def test_where_the_accountants_disagree_nothing_is_charged(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ceiling lies between PRV and RDP's bound, so that it is for PRV to decide, and PLD to agree."""
    figure = epsilon_of([ROUND], 1e-5).prv
    tight = Ledger(ledger.path, Ceiling(figure, 1e-5))
    monkeypatch.setattr(accountant, "_pld", lambda *_: 0.9 * figure)
    for refused in (lambda: tight.admit([ROUND]), lambda: tight.charge(charge(1))):
        with pytest.raises(AccountantsDisagree):
            refused()
    monkeypatch.undo()
    assert tight.head()[0] == 0
    tight.charge(charge(1))


def test_other_runs_and_releases_count(ledger: Ledger) -> None:
    ledger.charge(Charge("earlier run", 1, 0, "statistics", Mechanism(0.7, 1.0, 1)))
    with pytest.raises(CeilingExceeded):
        ledger.admit([ROUND] * 5)


def test_a_loss_beyond_accounting_is_refused(ledger: Ledger) -> None:
    with pytest.raises(PlanUnsound):
        ledger.admit([Mechanism(0.01, 1.0, 1)])


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(0, 1e-5), (float("nan"), 1e-5), (float("inf"), 1e-5), (1, 0), (1, 1)]
)
def test_a_ceiling_that_bounds_nothing_is_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(PlanUnsound):
        Ceiling(epsilon, delta)


@pytest.mark.parametrize("statement", ["UPDATE charges SET steps = 1", "DELETE FROM charges"])
def test_the_file_itself_objects_to_changes(ledger: Ledger, statement: str) -> None:
    ledger.charge(charge(1))
    connection = sqlite3.connect(ledger.path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("UPDATE charges SET noise_multiplier = 10 WHERE counter = 2", 2),
        ("UPDATE charges SET sample_rate = 0.1250000001 WHERE counter = 1", 1),
        ("UPDATE charges SET steps = 1 WHERE counter = 3", 3),
        ("UPDATE charges SET charged_at = charged_at + 1 WHERE counter = 2", 2),
        ("UPDATE charges SET run = 'other' WHERE counter = 3", 3),
        ("UPDATE charges SET head = zeroblob(32) WHERE counter = 1", 1),
        ("DELETE FROM charges WHERE counter = 1", 1),
        ("DELETE FROM charges WHERE counter = 2", 2),
        (
            "INSERT INTO charges SELECT 4, charged_at, run, 9, attempt, release, 9.0, 0.1, 1, head"
            " FROM charges WHERE counter = 3",
            4,
        ),
        ("UPDATE genesis SET head = zeroblob(32)", 1),
    ],
)
def test_an_edit_is_found_and_named(ledger: Ledger, statement: str, row: int) -> None:
    for number in range(3):
        ledger.charge(charge(number))
    tamper(ledger, statement)
    with pytest.raises(LedgerCorrupt) as found:
        ledger.verify()
    assert found.value.where.endswith(f"row {row}")
    for refused in (
        lambda: ledger.charge(charge(9)),
        lambda: ledger.admit([ROUND]),
        lambda: Ledger.open(ledger.path, ledger.ceiling),
    ):
        with pytest.raises(LedgerCorrupt):
            refused()


def test_a_ledger_without_its_first_head_is_corrupt(ledger: Ledger) -> None:
    tamper(ledger, "DELETE FROM genesis")
    with pytest.raises(LedgerCorrupt):
        ledger.head()


def test_a_rollback_changes_what_peers_remember(ledger: Ledger) -> None:
    """The chain cannot see a restored copy; the counter and head that peers keep can."""
    ledger.charge(charge(1))
    copy = ledger.path.read_bytes()
    ledger.charge(charge(2))
    witnessed = ledger.head()
    ledger.path.write_bytes(copy)
    ledger.verify()
    assert ledger.head()[0] < witnessed[0]
    ledger.charge(charge(3))
    assert ledger.head()[0] == witnessed[0]
    assert ledger.head() != witnessed
