"""What a platform has spent: an append-only, hash-chained SQLite file at its site, charged before every release.

A row holds a mechanism, never an ε: ε is the composed history's, at the ceiling's one δ, across runs, models and kinds
of release. Every row carries SHA-256(head before it, row); the first head is random, so that heads tell peers nothing.
The chain finds edits, removals and damage inside the file. It cannot find a file put back to an earlier state or
re-hashed throughout: peers find that, by remembering the (counter, head) each site advertises.
"""

import hashlib
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from common.privacy.accountant import Epsilon, Mechanism, epsilon_of, upper_bound
from common.privacy.errors import (
    CeilingExceeded,
    ChargeConflict,
    LedgerCorrupt,
    LedgerUnavailable,
    PlanUnsound,
)

_PATIENCE: Final = 30.0  # seconds another process may hold the file; a charge takes about one
_COLUMNS: Final = "counter, charged_at, run, round, attempt, release, noise_multiplier, sample_rate, steps"
_SCHEMA: Final = """
CREATE TABLE genesis (head BLOB NOT NULL) STRICT;
CREATE TABLE charges (
    counter INTEGER PRIMARY KEY,
    charged_at INTEGER NOT NULL,
    run TEXT NOT NULL, round INTEGER NOT NULL, attempt INTEGER NOT NULL, release TEXT NOT NULL,
    noise_multiplier REAL NOT NULL, sample_rate REAL NOT NULL, steps INTEGER NOT NULL,
    head BLOB NOT NULL,
    UNIQUE (run, round, attempt, release)
) STRICT;
CREATE TRIGGER no_update BEFORE UPDATE ON charges BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON charges BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most a platform will ever spend on its users: ``epsilon`` at the one ``delta`` of all its accounting."""

    epsilon: float
    delta: float


@dataclass(frozen=True, slots=True)
class Charge:
    """One release about to be made. (run, round, attempt, release) is its key and must name one release for ever."""

    run: str
    round: int
    attempt: int
    release: str
    mechanism: Mechanism

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What makes a repeated charge the same charge."""
        return self.run, self.round, self.attempt, self.release


@dataclass(frozen=True, slots=True)
class Entry:
    """A charge as the ledger holds it: its place (from 1), when (Unix seconds), and the head after it (32 bytes)."""

    counter: int
    charged_at: int
    charge: Charge
    head: bytes


@dataclass(frozen=True, slots=True)
class Ledger:
    """A platform's ledger. Every call opens the file anew, so one value serves all threads and processes."""

    path: Path
    ceiling: Ceiling

    @classmethod
    def open(cls, path: Path, ceiling: Ceiling) -> Self:
        """The ledger at ``path``, created (mode 0600) if nothing is there, and verified."""
        ledger = cls(Path(path), ceiling)
        if not ledger.path.exists():
            _create(ledger.path)
        ledger.verify()
        return ledger

    def admit(self, plan_left: Iterable[Mechanism]) -> None:
        """Refuse now, before any row of data is read, a plan that could not be paid to its end."""
        self._refuse_above_ceiling([*self.history(), *plan_left])

    def charge(self, entry: Charge) -> None:
        """Durably record a release before it is made; repeating an identical charge records nothing new."""
        with _connection(self.path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            entries, (counter, head) = _read(connection)
            known = next((e.charge for e in entries if e.charge.key == entry.key), None)
            if known == entry:
                return
            if known is not None:
                raise ChargeConflict("this release was charged with another mechanism", where=str(self.path))
            self._refuse_above_ceiling([*(e.charge.mechanism for e in entries), entry.mechanism])
            row = _row(counter + 1, int(time.time()), entry)
            connection.execute(
                f"INSERT INTO charges ({_COLUMNS}, head) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                (*row, _next_head(head, row)),
            )
            connection.execute("COMMIT")

    def entries(self) -> tuple[Entry, ...]:
        """Every charge, oldest first."""
        with _connection(self.path) as connection:
            return _read(connection)[0]

    def history(self) -> tuple[Mechanism, ...]:
        """Every mechanism charged, oldest first."""
        return tuple(entry.charge.mechanism for entry in self.entries())

    def spent(self) -> Epsilon:
        """ε of everything charged so far, at the ceiling's δ."""
        return epsilon_of(self.history(), self.ceiling.delta)

    def head(self) -> tuple[int, bytes]:
        """How many charges there are, and the head of their chain (32 bytes): what peers witness."""
        with _connection(self.path) as connection:
            return _read(connection)[1]

    def verify(self) -> None:
        """Recompute the whole chain; :class:`LedgerCorrupt` names the first row that does not continue it."""
        self.entries()

    def _refuse_above_ceiling(self, history: list[Mechanism]) -> None:
        epsilon, delta = self.ceiling.epsilon, self.ceiling.delta
        if upper_bound(history, delta) <= epsilon:
            return
        total = epsilon_of(history, delta).prv
        if total > epsilon:
            raise CeilingExceeded(
                f"would spend ε = {total:.3f} of a ceiling of {epsilon:g} at δ = {delta:g}",
                where=str(self.path),
                why="charges cannot be undone",
                hint="plan fewer rounds or more noise, or let the platform's owner decide on a higher ceiling",
            )


def _create(path: Path) -> None:
    """Build a complete empty ledger aside and link it in, so that an existing file is never taken for a new one."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            with _connection(aside) as connection:
                connection.executescript(_SCHEMA)
                connection.execute("INSERT INTO genesis VALUES (?)", (secrets.token_bytes(32),))
            path.hardlink_to(aside)
        except FileExistsError:
            pass  # another process was first; its ledger counts
        finally:
            aside.unlink()
    except OSError as error:
        raise _unavailable(path, error) from error


@contextmanager
def _connection(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to an existing file; its errors become refusals and an open transaction is rolled back."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)) as connection:
            # EXTRA is FULL that also syncs the folder after a commit: else a power cut could undo the last one.
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA fullfsync = ON")  # macOS: through the drive's cache
            yield connection
    except sqlite3.OperationalError as error:
        raise _unavailable(path, error) from error
    except sqlite3.DatabaseError as error:
        raise LedgerCorrupt("not a readable ledger", where=str(path), why=str(error)) from error


def _unavailable(path: Path, error: Exception) -> LedgerUnavailable:
    return LedgerUnavailable(
        "the ledger cannot be used, so nothing may be released",
        where=str(path),
        why=str(error),
        hint="see that the folder exists, is writable by the site, has free space and no other process holds it",
    )


def _read(connection: sqlite3.Connection) -> tuple[tuple[Entry, ...], tuple[int, bytes]]:
    """All entries and the head (counter, 32 bytes), having recomputed the chain."""
    (genesis,) = connection.execute("SELECT head FROM genesis").fetchone() or (None,)
    counter, head, entries = 0, genesis, []
    for *row, stored in connection.execute(f"SELECT {_COLUMNS}, head FROM charges ORDER BY counter"):  # noqa: S608
        counter += 1
        entries.append(_entry(tuple(row), stored, counter, head))
        head = stored
    return tuple(entries), (counter, head)


def _entry(row: tuple[object, ...], stored: bytes, counter: int, head: bytes) -> Entry:
    try:
        if row[0] != counter or stored != _next_head(head, row):
            raise ValueError("it does not continue the hash chain")
        _, charged_at, run, round_, attempt, release, *mechanism = row
        return Entry(
            counter, charged_at, Charge(run, round_, attempt, release, Mechanism(*mechanism)), stored
        )
    except (TypeError, ValueError, PlanUnsound) as error:
        raise LedgerCorrupt(f"row {counter} is not what was charged", why=str(error)) from error


def _row(counter: int, charged_at: int, charge: Charge) -> tuple[object, ...]:
    mechanism = charge.mechanism
    return (
        counter,
        charged_at,
        *charge.key,
        mechanism.noise_multiplier,
        mechanism.sample_rate,
        mechanism.steps,
    )


def _next_head(head: bytes, row: tuple[object, ...]) -> bytes:
    return hashlib.sha256(b"hanse/ledger/1" + head + json.dumps(row).encode()).digest()
