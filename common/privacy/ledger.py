"""What a platform has spent: a hash-chained record of every release, charged before the release is made.

A row holds a mechanism, never an ε: ε is that of the composed history at the ceiling's one δ, across runs,
models and kinds of release. Each row's head is SHA-256 over the head before it and the row. The chain finds
edits, removals and damage; it cannot find a file put back to an earlier state, or re-hashed to its end. Peers
find those, by remembering the (counter, head) that each site signs when it joins a round.
"""

import hashlib
import json
import math
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

from common.privacy.accountant import AnyMechanism, Epsilon, epsilon_of, upper_bound
from common.privacy.errors import AlreadyCharged, CeilingExceeded, LedgerCorrupt, PlanUnsound
from common.privacy.ledger_file import add_terms, connect, create, has_terms
from common.privacy.ledger_rows import MECHANISM, columns_of, mechanism_of

ReleaseKind = Literal["training", "statistics", "metrics", "counts"]
"""What is released: updates, closed-form statistics, sums of evaluation metrics, bucketed counts of users."""
RELEASE_KINDS: Final[tuple[ReleaseKind, ...]] = get_args(ReleaseKind)

Row = tuple[Any, ...]  # in the order of _COLUMNS; without terms where there are none
_COLUMNS: Final = ("counter", "charged_at", "run", "round", "attempt", "release", *MECHANISM)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most a platform will ever spend on a user: ``epsilon``, at the one ``delta`` of all accounting."""

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        if not (0 < self.epsilon < math.inf and 0 < self.delta < 1):
            raise PlanUnsound("ε must be positive and finite, and δ lie in (0, 1)", where="ceiling")


@dataclass(frozen=True, slots=True)
class Charge:
    """A release about to be made; (run, round, attempt, release) names it, and must name no other, ever.

    Refuses: a kind of release that is not in :data:`RELEASE_KINDS` (:class:`PlanUnsound`).
    """

    run: str
    round: int
    attempt: int
    release: ReleaseKind
    mechanism: AnyMechanism

    def __post_init__(self) -> None:
        if self.release not in RELEASE_KINDS:
            hint = f"a release is one of {', '.join(RELEASE_KINDS)}"
            raise PlanUnsound(f"there is no release {self.release!r}", where="ledger", hint=hint)

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What a repeated charge has in common with the first."""
        return self.run, self.round, self.attempt, self.release


@dataclass(frozen=True, slots=True)
class Entry:
    """A charge, its place (from 1), its time (Unix seconds), and the chain's head after it (32 bytes)."""

    counter: int
    charged_at: int
    charge: Charge
    head: bytes


@dataclass(frozen=True, slots=True)
class Ledger:
    """A platform's ledger. Each call opens the file anew and checks the chain: one value serves all threads.

    Guarantee: once :meth:`charge` has returned, its row survives kill -9 and power loss; at no moment, with
    any number of processes, do the rows compose to more than the ceiling they were charged under.
    Refuses: see :meth:`charge`. Whatever cannot be read or written is a refusal, never an assumption.
    """

    path: Path
    ceiling: Ceiling

    @classmethod
    def open(cls, path: Path, ceiling: Ceiling) -> Self:
        """The verified ledger at ``path``; created, mode 0600, if nothing is there.

        Guarantee: an existing ledger is continued, whatever ceiling it is opened with.
        Refuses: :class:`LedgerUnavailable`, :class:`LedgerCorrupt`.
        """
        if not path.is_file():
            create(path)
        ledger = cls(path, ceiling)
        ledger.verify()
        return ledger

    def admit(self, plan_left: Iterable[AnyMechanism]) -> None:
        """Ask, before any row of data is read, whether all of a plan that is left can be paid for.

        Guarantee: reads no other file, charges nothing, and has found the ledger writable.
        Refuses: a plan that would pass the ceiling (:class:`CeilingExceeded`); a ledger that could not be charged
            (:class:`LedgerUnavailable`); :class:`LedgerCorrupt`.
        """
        with connect(self.path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            # A change that is undone: its journal needs room in the folder, as a charge's would.
            connection.execute("PRAGMA user_version = 1")
            entries, _ = self._read(connection)
            connection.execute("ROLLBACK")
        self._refuse_above_ceiling([*(made.charge.mechanism for made in entries), *plan_left])

    def charge(self, entry: Charge) -> None:
        """Record a release, durably, before it is made.

        Guarantee: when it returns, the release is on the disk and within the ceiling, checked under an
        exclusive lock; and it has never returned before for this name, in any process, so that one charge
        pays for one release.
        Refuses: :class:`CeilingExceeded`; a name that was charged (:class:`AlreadyCharged`);
        :class:`LedgerUnavailable`; :class:`LedgerCorrupt`.
        """
        with connect(self.path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            entries, head = self._read(connection)
            if any(made.charge.key == entry.key for made in entries):
                raise AlreadyCharged(
                    f"round {entry.round}, attempt {entry.attempt} was charged before", where=str(self.path)
                )
            self._refuse_above_ceiling([*(made.charge.mechanism for made in entries), entry.mechanism])
            row = _row(len(entries) + 1, int(time.time()), entry)
            _append(connection, row, _next_head(head, row))
            connection.execute("COMMIT")

    def entries(self) -> tuple[Entry, ...]:
        """Every charge, oldest first."""
        with connect(self.path) as connection:
            return self._read(connection)[0]

    def history(self) -> tuple[AnyMechanism, ...]:
        """Every mechanism charged, oldest first."""
        return tuple(entry.charge.mechanism for entry in self.entries())

    def spent(self) -> Epsilon:
        """ε of everything charged so far, at the ceiling's δ."""
        return epsilon_of(self.history(), self.ceiling.delta)

    def head(self) -> tuple[int, bytes]:
        """How many charges there are and the head of their chain (32 bytes): what peers witness."""
        with connect(self.path) as connection:
            entries, head = self._read(connection)
            return len(entries), head

    def verify(self) -> None:
        """Recompute the chain.

        Guarantee: no row was edited, removed or inserted, unless every later head was computed anew.
        Refuses: :class:`LedgerCorrupt`, naming the first row that does not continue the chain.
        """
        self.entries()

    def _refuse_above_ceiling(self, history: list[AnyMechanism]) -> None:
        epsilon, delta = self.ceiling.epsilon, self.ceiling.delta
        if upper_bound(history, delta) <= epsilon:
            return  # PRV would only be lower, and takes far longer
        total = epsilon_of(history, delta).prv
        if not total <= epsilon:
            raise CeilingExceeded(
                f"ε would become {total:.3f}, above the ceiling of {epsilon:g} at δ = {delta:g}",
                where=str(self.path),
                why="what was released cannot be taken back",
                hint="plan fewer rounds or more noise; only the platform's owner may raise the ceiling",
            )

    def _read(self, connection: sqlite3.Connection) -> tuple[tuple[Entry, ...], bytes]:
        """All entries, each checked to continue the chain, and the head after the last."""
        first = connection.execute("SELECT head FROM genesis").fetchone()
        if first is None:
            raise LedgerCorrupt("the first head is missing", where=str(self.path))
        head, entries = bytes(first[0]), list[Entry]()
        columns = ", ".join((*_COLUMNS, "terms" if has_terms(connection) else "NULL", "head"))
        query = f"SELECT {columns} FROM charges ORDER BY counter"  # noqa: S608 - constants alone
        for *common, terms, stored in connection.execute(query):
            row = tuple(common) if terms is None else (*common, terms)
            entries.append(self._entry(len(entries) + 1, head, row, stored))
            head = stored
        return tuple(entries), head

    def _entry(self, counter: int, head: bytes, row: Row, stored: bytes) -> Entry:
        try:
            if row[0] != counter or stored != _next_head(head, row):
                raise ValueError("it does not continue the hash chain")
            _, charged_at, run, round_, attempt, release, *mechanism = row
            charge = Charge(run, round_, attempt, release, mechanism_of(tuple(mechanism)))
            return Entry(counter, charged_at, charge, stored)
        except (TypeError, ValueError, PlanUnsound) as error:
            where = f"{self.path}, row {counter}"
            raise LedgerCorrupt("the row is not what was charged", where=where, why=str(error)) from error


def _row(counter: int, charged_at: int, charge: Charge) -> Row:
    return counter, charged_at, *charge.key, *columns_of(charge.mechanism)


def _append(connection: sqlite3.Connection, row: Row, head: bytes) -> None:
    columns = (*_COLUMNS, "terms")[: len(row)]
    if "terms" in columns:
        add_terms(connection)
    marks = ", ".join("?" * (len(row) + 1))
    into = ", ".join((*columns, "head"))
    connection.execute(f"INSERT INTO charges ({into}) VALUES ({marks})", (*row, head))  # noqa: S608


def _next_head(head: bytes, row: Row) -> bytes:
    return hashlib.sha256(b"hanse/ledger/1" + head + json.dumps(row).encode()).digest()
