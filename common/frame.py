"""One request or answer between coordinator and site, and its bytes on a socket."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.errors import HanseError

MAX_HEADER: Final = 1 << 20
MAX_BODY: Final = 1 << 30

Vector = NDArray[np.float32] | NDArray[np.uint32] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class VectorType:
    """What an array of a frame may hold: bytes of one number, and how the bytes become a vector."""

    size: int
    read: Callable[[bytes], Vector]


VECTORS: Final = {
    "<f4": VectorType(4, lambda octets: np.frombuffer(octets, np.float32)),
    "<u4": VectorType(4, lambda octets: np.frombuffer(octets, np.uint32)),
    "<u2": VectorType(2, lambda octets: np.frombuffer(octets, np.uint16)),
}
"""By the name of the type, byte order included."""


class MalformedFrame(HanseError):
    """Bytes that are no frame: a wrong length, an unknown array type, or an unreadable header."""


@dataclass(frozen=True, slots=True)
class Frame:
    """``kind`` names the operation, ``body`` is its encoded message, ``arrays`` are its vectors."""

    kind: str
    body: bytes = b""
    arrays: tuple[Vector, ...] = field(default=())

    @property
    def size(self) -> int:
        """Payload in bytes: body and arrays."""
        return len(self.body) + sum(array.nbytes for array in self.arrays)


def encode(frame: Frame) -> list[bytes | memoryview]:
    """The frame as buffers to be written one after the other; arrays are not copied."""
    shapes = [[array.dtype.str, array.size] for array in frame.arrays]
    header = json.dumps({"kind": frame.kind, "body": len(frame.body), "arrays": shapes}).encode()
    buffers = [np.ascontiguousarray(array).data.cast("B") for array in frame.arrays]
    return [struct.pack("<I", len(header)), header, frame.body, *buffers]


def decode(read: Callable[[int], bytes]) -> Frame:
    """The frame that ``read(count)`` yields.

    Raises:
        MalformedFrame: on a header that is too long, unreadable, or promises more than a gibibyte.
    """
    (length,) = struct.unpack("<I", read(4))
    if length > MAX_HEADER:
        raise MalformedFrame(f"a header of {length} bytes", hint=f"at most {MAX_HEADER} are read")
    try:
        header = json.loads(read(length))
        kind, body = _text(header["kind"]), _size(header["body"])
        shapes = [(VECTORS[dtype], _size(count)) for dtype, count in header["arrays"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MalformedFrame("an unreadable header") from None  # what it holds must not reach a traceback
    if body + sum(vector.size * count for vector, count in shapes) > MAX_BODY:
        raise MalformedFrame("a frame that is too large", hint=f"at most {MAX_BODY} bytes are read")
    content = read(body)
    return Frame(kind, content, tuple(vector.read(read(vector.size * count)) for vector, count in shapes))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _size(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a size")
    return value
