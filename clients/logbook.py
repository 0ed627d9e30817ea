"""What a site remembers for good of the rounds it helped to unmask, and the one version it put its name to.

Each file is on disk before the answer that it is about leaves the site. None holds a secret.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from common.certificate.errors import RunOver, SecondModel
from common.certificate.part import Part
from common.certificate.statement import Sum
from common.charter import Digest, Purpose
from common.errors import AggregationAborted
from common.files import locked, make_folder, write_atomically


class LogbookUnreadable(AggregationAborted):
    """What the site saw of a round cannot be read, so it vouches for none."""


class Seen(Part):
    """One attempt at a round, as the site itself took part in it."""

    purpose: Purpose
    number: int
    attempt: int
    model: Digest
    sum: Sum


@dataclass(frozen=True, slots=True)
class Logbook:
    """The records of one site under one charter."""

    path: Path

    def note(self, seen: Seen) -> None:
        """Add a round; on disk before this returns."""
        make_folder(self.path)
        name = f"{seen.purpose}-{seen.number:04}-{seen.attempt:04}.json"
        write_atomically(self.path / name, seen.text())

    def all(self) -> tuple[Seen, ...]:
        """Every round, the attempts at one in their order.

        Raises:
            LogbookUnreadable: naming the file.
        """
        found = map(_read, self.path.glob("*-*-*.json"))
        return tuple(sorted(found, key=lambda seen: (seen.purpose, seen.number, seen.attempt)))

    def require_open(self) -> None:
        """Let a round begin of a run that has no certified version yet.

        Raises:
            RunOver: when the site has signed one.
        """
        if (self.path / "certified").exists():
            raise RunOver("this site has signed the version that this run ended with")

    def promise(self, version: str) -> None:
        """Bind the site to one ``version``, a digest over rounds and model; on disk before this returns.

        Raises:
            SecondModel: when it is bound to another.
            LogbookUnreadable: when it cannot be told.
        """
        path = self.path / "certified"
        try:
            make_folder(self.path)
            with locked(path):
                before = path.read_text() if path.exists() else ""
                if before not in ("", version):
                    raise SecondModel("this site has put its name to another version of this run")
                write_atomically(path, version.encode())
        except (OSError, ValueError) as error:
            raise LogbookUnreadable(
                "no word can be kept", where=str(path), why=type(error).__name__
            ) from error


def _read(path: Path) -> Seen:
    try:
        return Seen.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise LogbookUnreadable("no readable record", where=str(path), why=type(error).__name__) from error
