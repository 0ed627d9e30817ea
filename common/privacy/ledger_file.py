"""The ledger's file: created whole or not at all, written durably, and every failure a refusal."""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from common.privacy.errors import LedgerCorrupt, LedgerUnavailable

_PATIENCE: Final = 30.0  # seconds another process may hold the file; a charge takes less than one
_SCHEMA: Final = """
CREATE TABLE genesis (head BLOB NOT NULL) STRICT;
CREATE TABLE charges (
    counter INTEGER PRIMARY KEY,
    charged_at INTEGER NOT NULL,
    run TEXT NOT NULL,
    round INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    release TEXT NOT NULL,
    noise_multiplier REAL NOT NULL,
    sample_rate REAL NOT NULL,
    steps INTEGER NOT NULL,
    head BLOB NOT NULL,
    UNIQUE (run, round, attempt, release)
) STRICT;
CREATE TRIGGER no_update BEFORE UPDATE ON charges BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON charges BEGIN SELECT RAISE(ABORT, 'append-only'); END;
"""


def create(path: Path) -> None:
    """An empty ledger, mode 0600, unless something is at ``path`` already.

    Guarantee: it is built aside and linked in whole, so an emptied or half-written file is never taken for
    new.
    Refuses: a folder it cannot write to (:class:`LedgerUnavailable`).
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            with connect(aside) as connection:
                connection.executescript(_SCHEMA)
                # Random: a head tells peers nothing of the rows, and a ledger begun anew has another.
                connection.execute("INSERT INTO genesis VALUES (?)", (secrets.token_bytes(32),))
            path.hardlink_to(aside)
        finally:
            aside.unlink()
    except FileExistsError:
        return  # another process was first, and its ledger counts
    except OSError as error:
        raise _unavailable(path, error) from error


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection in autocommit mode to an existing ledger; closing it undoes an uncommitted transaction.

    Guarantee: what is committed is on the disk before the commit returns.
    Refuses: a file that is missing, locked for 30 s, read-only or without space (:class:`LedgerUnavailable`);
    one that is no SQLite database (:class:`LedgerCorrupt`).
    """
    try:
        uri = (
            f"{path.absolute().as_uri()}?mode=rw"  # never creates: a ledger that vanished is not an empty one
        )
        with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)) as connection:
            # EXTRA is FULL that also syncs the folder: else a power cut could revive the rollback journal.
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA fullfsync = ON")  # macOS: past the drive's cache
            yield connection
    except sqlite3.OperationalError as error:
        raise _unavailable(path, error) from error
    except sqlite3.DatabaseError as error:
        raise LedgerCorrupt("this is not a readable ledger", where=str(path), why=str(error)) from error


def has_terms(connection: sqlite3.Connection) -> bool:
    """Whether the ledger has the column that rows of other than Gaussian noise need.

    Guarantee: reads the file's schema and nothing else.
    Refuses: nothing.
    """
    return any(name == "terms" for _, name, *_ in connection.execute("PRAGMA table_info(charges)"))


def add_terms(connection: sqlite3.Connection) -> None:
    """Give the ledger that column, within the transaction that first needs it; no row and no head changes.

    Guarantee: older versions of this program, which cannot read such rows, then refuse the ledger.
    Refuses: what :func:`connect` refuses.
    """
    if not has_terms(connection):
        connection.execute("ALTER TABLE charges ADD COLUMN terms TEXT")


def _unavailable(path: Path, error: Exception) -> LedgerUnavailable:
    return LedgerUnavailable(
        "the ledger cannot be used, so nothing may be released",
        where=str(path),
        why=str(error),
        hint="its folder must exist, be writable and have space; no other program may hold the file",
    )
