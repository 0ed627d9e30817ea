"""What a site answers: a protocol message in a frame, or a refusal that is one word from a fixed list."""

from collections.abc import Callable
from typing import Final, Protocol, TypeVar, cast

import numpy as np

from common.deltas import Lanes
from common.errors import AggregationAborted, PrivacyRefused
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
        ProtocolError: when the frame does not hold exactly one array of uint32 beside the signature.
    """
    match frame.arrays:
        case (np.ndarray(dtype=np.uint32) as lanes,):
            return MaskedVector.decode(frame.body, cast(Lanes, lanes))
    raise ProtocolError("mask", why=f"{len(frame.arrays)} arrays beside the signature")


def refuse(error: Exception) -> Frame:
    """The refusal for an error.

    The coordinator learns the reason of the protocol and of the privacy policy, which follow from public
    facts alone. Anything else could depend on the data, so it is one and the same word.
    """
    public = isinstance(error, AggregationAborted | PrivacyRefused)
    return Frame(REFUSED, (type(error).__name__ if public else UNAVAILABLE).encode())


def refusal(frame: Frame) -> str:
    """The reason in a refusal, cut to a printable word: the sender may be anyone."""
    return "".join(letter for letter in frame.body[:64].decode("ascii", "ignore") if letter.isalnum())
