"""What a site answers: a protocol message in a frame, or a refusal that is one word from a fixed list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar, cast

import numpy as np

from common.deltas import Lanes
from common.errors import AggregationAborted, HanseError, PrivacyRefused
from common.frame import Frame
from common.secagg.errors import ProtocolError
from common.secagg.messages import MaskedVector

ANSWER: Final = "answer"
REFUSED: Final = "refused"
UNAVAILABLE: Final = "Unavailable"

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
    """Why a site does not answer: the exit code of the kind of reason, and the reason's name."""

    code: int
    reason: str

    def __str__(self) -> str:
        """The reason's name."""
        return self.reason


def refuse(error: Exception) -> Frame:
    """The refusal for an error.

    The coordinator learns the reason of the protocol and of the privacy policy, which follow from public facts
    alone. Anything else could depend on the data, so it is one and the same word.
    """
    code, reason = HanseError.exit_code, UNAVAILABLE
    if isinstance(error, AggregationAborted | PrivacyRefused):
        code, reason = error.exit_code, type(error).__name__
    return Frame(REFUSED, f"{code} {reason}".encode())


def refusal(frame: Frame) -> Refusal:
    """The reason in a refusal, as a number and a word of letters: the sender may be anyone."""
    code, _, reason = frame.body[:64].decode("ascii", "replace").partition(" ")
    known = code.isdecimal() and reason.isalpha()
    return Refusal(int(code), reason) if known else Refusal(HanseError.exit_code, UNAVAILABLE)
