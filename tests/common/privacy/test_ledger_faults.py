"""The ledger under faults: two processes at once, and files that cannot be written.

kill -9 has a test of its own, through a real site: tests/integration/test_ledger_killed.py.
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from common.privacy import ledger_file
from common.privacy.accountant import Mechanism, epsilon_of, upper_bound
from common.privacy.errors import LedgerCorrupt, LedgerUnavailable
from common.privacy.ledger import Ceiling, Charge, Ledger

STEP = Mechanism(1.0, 0.01, 1)
Run = Callable[..., Any]

# Charges one step after another until the ledger refuses; says how many it was allowed.
RACING = """
import json, sys, time
from pathlib import Path
from common.privacy.accountant import Mechanism
from common.privacy.errors import CeilingExceeded
from common.privacy.ledger import Ceiling, Charge, Ledger

path, run, epsilon, start = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), Path(sys.argv[4])
mechanism = Mechanism(1.0, 0.125, 8)
paid = 0
(start / run).touch()
while len(list(start.iterdir())) < 2:
    time.sleep(0.001)
try:
    while True:
        Ledger.open(path, Ceiling(epsilon, 1e-5)).charge(Charge(run, paid, 0, "training", mechanism))
        paid += 1
except CeilingExceeded:
    print(json.dumps(paid))
"""

# Charges until a limit on the file's size, which binds root too, stops it; says how many were paid.
FILLING = """
import json, resource, signal, sys
from pathlib import Path
from common.privacy.accountant import Mechanism
from common.privacy.errors import LedgerUnavailable
from common.privacy.ledger import Ceiling, Charge, Ledger

ledger = Ledger.open(Path(sys.argv[1]), Ceiling(50.0, 1e-5))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (32768, 32768))
paid = 0
try:
    while True:
        ledger.charge(Charge("run", paid, 0, "training", Mechanism(1.0, 0.01, 1)))
        paid += 1
except LedgerUnavailable as refused:
    print(json.dumps([paid, refused.exit_code]))
"""


@pytest.mark.slow
def test_two_processes_cannot_jointly_pass_the_ceiling(tmp_path: Path, run_program: Run) -> None:
    path, start, mechanism = tmp_path / "ledger.sqlite", tmp_path / "start", Mechanism(1.0, 0.125, 8)
    start.mkdir()
    affordable = 6
    # Between what six cost and what seven would: another process may round the last digit otherwise.
    costs = [epsilon_of([mechanism] * charges, 1e-5).prv for charges in (affordable, affordable + 1)]
    epsilon = sum(costs) / 2
    with ThreadPoolExecutor(2) as both:
        paid = list(both.map(lambda run: run_program(RACING, path, run, epsilon, start), ["first", "second"]))
    ledger = Ledger.open(path, Ceiling(epsilon, 1e-5))
    assert sum(paid) == ledger.head()[0] == affordable
    assert ledger.spent().prv <= epsilon


def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path, run_program: Run) -> None:
    path = tmp_path / "ledger.sqlite"
    paid, exit_code = run_program(FILLING, path)
    assert exit_code == 3
    ledger = Ledger.open(path, Ceiling(50.0, 1e-5))
    assert ledger.head()[0] == paid > 0
    ledger.charge(Charge("run", paid, 0, "training", STEP))
    assert ledger.head()[0] == paid + 1


def test_no_folder_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "ledger.sqlite", tmp_path / "missing" / "ledger.sqlite", tmp_path):
        with pytest.raises(LedgerUnavailable) as refused:
            Ledger.open(path, Ceiling(8.0, 1e-5))
        assert refused.value.exit_code == 3


@contextmanager
def unprivileged() -> Iterator[None]:
    """Permission bits do not bind root, so become nobody for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_read_only_folder_or_file_refuses() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ledger = Ledger.open(folder / "ledger.sqlite", Ceiling(8.0, 1e-5))
        ledger.path.chmod(0o444)
        folder.chmod(0o555)
        with unprivileged():
            assert ledger.head()[0] == 0
            with pytest.raises(LedgerUnavailable, match="readonly"):
                ledger.charge(Charge("run", 1, 0, "training", STEP))
            with pytest.raises(LedgerUnavailable):
                Ledger.open(folder / "other.sqlite", Ceiling(8.0, 1e-5))
        folder.chmod(0o700)
        assert ledger.head()[0] == 0


def test_a_locked_ledger_refuses(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_file, "_PATIENCE", 0.05)
    holder = sqlite3.connect(ledger.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerUnavailable, match="locked"):
        ledger.charge(Charge("run", 1, 0, "training", STEP))
    holder.close()
    ledger.charge(Charge("run", 1, 0, "training", STEP))


def test_a_ledger_that_vanished_is_not_an_empty_one(ledger: Ledger) -> None:
    ledger.path.unlink()
    with pytest.raises(LedgerUnavailable):
        ledger.charge(Charge("run", 1, 0, "training", STEP))
    assert not ledger.path.exists()


@pytest.mark.parametrize("content", [b"", b"not a database, though long enough to be looked at" * 100])
def test_an_emptied_or_foreign_file_is_not_a_new_ledger(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises((LedgerCorrupt, LedgerUnavailable)):
        Ledger.open(path, Ceiling(8.0, 1e-5))
    assert path.read_bytes() == content


def test_a_commit_waits_for_the_disk(ledger: Ledger) -> None:
    """3 is EXTRA: file, journal and folder are synced before COMMIT returns."""
    with ledger_file.connect(ledger.path) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (3,)


def test_a_charge_that_fails_half_way_charges_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.privacy.ledger._next_head", lambda *_: "text, which the column refuses")
    with pytest.raises(LedgerCorrupt):
        ledger.charge(Charge("run", 1, 0, "training", STEP))
    monkeypatch.undo()
    assert ledger.head()[0] == 0
    assert upper_bound(ledger.history(), 1e-5) == 0.0
