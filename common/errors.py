"""The exception tree, and the exit code of each branch.

HanseError                      1  runtime
├── DataError                   1  rows that cannot be used as they are
├── ConfigError                 2  a file or an option that says something impossible
├── PrivacyRefused              3  the privacy policy or the ledger says no
├── AggregationAborted          4  secure aggregation stopped rather than give a wrong sum
└── EnvironmentProblem          5  this machine lacks something
"""

from dataclasses import dataclass
from typing import Any, ClassVar


class HanseError(Exception):
    """Base of everything Hanse raises on purpose.

    Every error says *what* happened, *where*, *why*, and what to do next (*hint*). None of the four may hold
    a secret or a row of data: they are printed and logged.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.why, self.hint = what, where, why, hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels between processes whole, whatever a subclass's constructor takes."""
        return _restored, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        """One line, as compilers print it: ``where: what: why``."""
        return ": ".join(part for part in (self.where, self.what, self.why) if part)


def _restored(kind: type[HanseError], args: tuple[object, ...], state: dict[str, object]) -> HanseError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class DataError(HanseError):
    """The data cannot be used as they are: empty, unreadable, or nothing left after cleaning."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a configuration file, and where."""

    where: str
    what: str
    hint: str = ""


class ConfigError(HanseError):
    """A file or an option says something impossible; lists every problem at once."""

    exit_code = 2

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(f"{p.where}: {p.what}" if p.where else p.what for p in problems))
        self.problems = problems


class PrivacyRefused(HanseError):
    """The privacy policy or the ledger refuses; nothing was read, trained or sent."""

    exit_code = 3


class AggregationAborted(HanseError):
    """Secure aggregation stopped with a reason rather than give a wrong or too revealing sum."""

    exit_code = 4


class EnvironmentProblem(HanseError):
    """This machine lacks a package, a tool or a permission."""

    exit_code = 5
