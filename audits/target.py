"""One thing to attack: valid inputs, what may be raised, and the check that runs when nothing is raised."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from audits.damage import Value, damaged

SECRET: Final = b"secret"
"""Valid inputs are full of it, and no error may hold it. Six bytes, so that base64 spells each copy alike."""

LONGEST: Final = 300
_PAYLOAD: Final = re.compile(
    r"secret|c2VjcmV0|736563726574|(?!\d{16})[0-9a-f]{16}|[A-Za-z0-9+/]{32}|b['\"]|\\x"
)


def printable(error: BaseException) -> None:
    """An error's text, and that of whatever a traceback would show with it, is one short line without payload.

    The platform that it names is no payload.
    """
    named = getattr(error, "platform", "")
    text = f"{error} {getattr(error, 'hint', '')}"
    assert len(text) <= LONGEST, f"an error of {len(text)} characters"
    assert text.isprintable(), f"an error that no terminal should see: {text!r}"
    found = _PAYLOAD.search(text.replace(named, "") if named else text)
    assert not found, f"an error that holds payload: {text}"
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if behind is not None:
        printable(behind)


@dataclass(frozen=True)
class Target:
    """``check`` takes a damaged input and raises what is ``allowed``, or returns; else it has found a fault.

    ``seeds``: valid inputs. ``others``: where splices come from. ``only``: damage that gives another type is
    left out. ``share``: how many inputs this target gets, against the others.
    """

    name: str
    allowed: tuple[type[Exception], ...]
    check: Callable[[Any], None]
    seeds: Sequence[Value]
    share: int = 8
    others: Sequence[Value] = field(default=())
    only: type = object

    def input(self, number: int, seed: int) -> Value:
        """Input ``number`` of the sequence that ``seed`` fixes; the first ones are the valid inputs."""
        if number < len(self.seeds):
            return self.seeds[number]
        rng = Random(f"{seed} {self.name} {number}")
        valid = rng.choice(self.seeds)
        value = damaged(valid, self.others or self.seeds, rng)
        return value if isinstance(value, self.only) else valid
