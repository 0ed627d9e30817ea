"""What a site answers: a protocol message in a frame, or a refusal.

A refusal is one word from a fixed list; two of the words accuse another platform, whose name follows.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar, cast

import numpy as np

from common.deltas import Lanes
from common.errors import AggregationAborted, HanseError, PrivacyRefused
from common.frame import Frame
from common.secagg.errors import BadShares, LedgerRollback, ProtocolError
from common.secagg.messages import MaskedVector

ANSWER: Final = "answer"
REFUSED: Final = "refused"
UNAVAILABLE: Final = "Unavailable"
ACCUSING: Final = (
    BadShares,
    LedgerRollback,
)  # what only the accuser can see, so the coordinator must be told

_REFUSAL: Final = re.compile(
    r"(?P<code>\d{1,3}) (?P<reason>[A-Za-z]{1,40})(?: (?P<accused>[a-z][a-z0-9-]{0,62}))?"
)

Decoded = TypeVar("Decoded")


class Message(Protocol):
    """A protocol message that has an encoding."""

    def encode(self) -> bytes:
        """Its bytes."""
        ...


def answer(message: Message) -> Frame:
    """A message as a frame; a masked vector's lanes travel as the frame's one array."""
    arrays = (message.delta.lanes,) if isinstance(message, MaskedVector) else ()
    return Frame(ANSWER, message.encode(), arrays)


def body_of(decode: Callable[[bytes], Decoded]) -> Callable[[Frame], Decoded]:
    """``decode`` for messages that are a frame's body and nothing else."""
    return lambda frame: decode(frame.body)


def masked_vector(frame: Frame) -> MaskedVector:
    """The masked vector in an answer.

    Raises:
        ProtocolError: when the frame does not hold exactly one array of lanes beside the signature.
    """
    match frame.arrays:
        case (np.ndarray(dtype=np.uint32 | np.uint16) as lanes,):
            return MaskedVector.decode(frame.body, cast(Lanes, lanes))
    raise ProtocolError("mask", why=f"{len(frame.arrays)} arrays beside the signature")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a site does not answer: the exit code of the kind of reason, and the reason's name.

    ``accused``: the platform that the site says is at fault, if it says so. It is a claim, and no proof.
    """

    code: int
    reason: str
    accused: str = ""

    def __str__(self) -> str:
        """The reason's name, and of whom."""
        return f"{self.reason} of {self.accused}" if self.accused else self.reason


def refuse(error: Exception) -> Frame:
    """The refusal for an error.

    The coordinator learns the reason of the protocol and of the privacy policy, which follow from public facts
    alone. Anything else could depend on the data, so it is one and the same word.
    """
    code, reason = HanseError.exit_code, UNAVAILABLE
    if isinstance(error, AggregationAborted | PrivacyRefused):
        code, reason = error.exit_code, type(error).__name__
    if isinstance(error, ACCUSING):
        reason = f"{reason} {error.platform}"
    return Frame(REFUSED, f"{code} {reason}".encode())


def refusal(frame: Frame) -> Refusal:
    """The reason in a refusal, as a number, a word of letters and a platform's name: the sender may be anyone."""
    found = _REFUSAL.fullmatch(frame.body[:128].decode("ascii", "replace"))
    accusing = {kind.__name__ for kind in ACCUSING}
    if found is None or (found["reason"] in accusing) != (found["accused"] is not None):
        return Refusal(HanseError.exit_code, UNAVAILABLE)
    return Refusal(int(found["code"]), found["reason"], found["accused"] or "")
