"""Rows of another kind than Gaussian noise: charged, chained, and no change to what was there before."""

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from common.privacy.accountant import Mechanism, epsilon_of
from common.privacy.errors import CeilingExceeded, LedgerCorrupt
from common.privacy.ledger import Ceiling, Charge, Ledger
from common.privacy.ledger_rows import columns_of, mechanism_of
from common.privacy.skellam import SkellamMechanism

GAUSSIAN = Mechanism(4.0, 0.125, 8)
SKELLAM = SkellamMechanism(10**7, 2, 500.25, 1000, 0.1, 1)


def charge(number: int, mechanism: Any) -> Charge:
    return Charge("convoy", number, 0, "training", mechanism)


def columns(ledger: Ledger) -> list[str]:
    with sqlite3.connect(ledger.path) as connection:
        return [name for _, name, *_ in connection.execute("PRAGMA table_info(charges)")]


@pytest.mark.parametrize("mechanism", [GAUSSIAN, SKELLAM])
def test_a_mechanism_comes_back_from_its_columns(mechanism: Any) -> None:
    assert mechanism_of(columns_of(mechanism)) == mechanism


def test_both_kinds_are_kept_in_order_and_composed(ledger: Ledger) -> None:
    for number, mechanism in enumerate((GAUSSIAN, SKELLAM, GAUSSIAN, SKELLAM), 1):
        ledger.charge(charge(number, mechanism))
    again = Ledger.open(ledger.path, ledger.ceiling)
    assert again.history() == (GAUSSIAN, SKELLAM, GAUSSIAN, SKELLAM)
    assert again.spent() == epsilon_of([GAUSSIAN, SKELLAM] * 2, 1e-5)


def test_gaussian_rows_are_hashed_as_they_always_were(ledger: Ledger) -> None:
    """A head of years ago must still verify, in a file that has since been given the new column."""
    ledger.charge(charge(1, GAUSSIAN))
    assert "terms" not in columns(ledger)
    first = ledger.entries()
    ledger.charge(charge(2, SKELLAM))
    assert "terms" in columns(ledger)
    assert ledger.entries()[:1] == first
    with sqlite3.connect(ledger.path) as connection:
        (genesis,) = connection.execute("SELECT head FROM genesis").fetchone()
    (made,) = first
    row = (1, made.charged_at, "convoy", 1, 0, "training", 4.0, 0.125, 8)
    assert made.head == hashlib.sha256(b"hanse/ledger/1" + genesis + json.dumps(row).encode()).digest()


def test_a_charge_of_shared_noise_is_held_to_the_ceiling_with_aggregation(tmp_path: Path) -> None:
    whole, alone = epsilon_of([SKELLAM], 1e-5).prv, epsilon_of([SKELLAM.alone], 1e-5).prv
    tight = Ledger.open(tmp_path / "tight.sqlite", Ceiling((whole + alone) / 2, 1e-5))
    tight.admit([SKELLAM])
    tight.charge(charge(1, SKELLAM))
    with pytest.raises(CeilingExceeded):
        tight.charge(charge(2, SKELLAM.alone))
    with pytest.raises(CeilingExceeded):
        tight.admit([SKELLAM] * 20)


@pytest.mark.parametrize(
    "terms",
    [
        {"share_variance": 10**8},
        {"shares": 3},
        {"kind": "laplace"},
        {"coordinates": None},
        {"spare": 1},
        {"shares": 2.0},
        {"shares": "2"},
        {"coordinates": True},
    ],
)
def test_terms_that_were_not_charged_are_found(ledger: Ledger, terms: dict[str, Any]) -> None:
    """Also where every later head was computed anew, as long as the row contradicts itself."""
    ledger.charge(charge(1, SKELLAM))
    (*common, text) = columns_of(SKELLAM)
    edited = json.dumps(
        {key: value for key, value in {**json.loads(text), **terms}.items() if value is not None}
    )
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("DROP TRIGGER no_update")
        connection.execute("UPDATE charges SET terms = ?", (edited,))
    with pytest.raises(LedgerCorrupt, match="row 1"):
        ledger.verify()
    with pytest.raises(ValueError, match=r"does not know|contradict"):
        mechanism_of((*common, edited))


@pytest.mark.parametrize("text", ["", "3", "null", "[]", "{}", '"skellam"', '{"kind": "skellam"}'])
def test_terms_that_are_no_mechanism_are_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        mechanism_of((*columns_of(SKELLAM)[:3], text))


def test_terms_taken_away_are_found(ledger: Ledger) -> None:
    """Without them the row would pass for Gaussian noise."""
    ledger.charge(charge(1, SKELLAM))
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("DROP TRIGGER no_update")
        connection.execute("UPDATE charges SET terms = NULL")
    with pytest.raises(LedgerCorrupt, match="row 1"):
        ledger.verify()
