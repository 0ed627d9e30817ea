"""Flower messages and frames: one record with kind and body, one record with the arrays, and nothing else."""

from collections.abc import Iterator
from typing import Final

from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, RecordDict

from common.frame import VECTORS, Frame, MalformedFrame, Vector

ACTION: Final = "frame"
MESSAGE_TYPE: Final = f"query.{ACTION}"
SITE_SILENT: Final = 100  # Flower's own codes lie below

_ENVELOPE, _ARRAYS = "envelope", "arrays"


def request(frame: Frame, address: int, timeout: float) -> Message:
    """A frame as a message to the SuperNode ``address``; it expires after ``timeout`` seconds."""
    return Message(_records(frame), address, MESSAGE_TYPE, ttl=timeout, group_id=frame.kind)


def reply(frame: Frame, message: Message) -> Message:
    """A site's answer to ``message``."""
    return Message(_records(frame), reply_to=message)


def silence(message: Message) -> Message:
    """What the coordinator hears of a site that does not answer: that, and never why."""
    return Message(Error(SITE_SILENT, "the site does not answer"), reply_to=message)


def frame_of(message: Message) -> Frame:
    """The frame inside a message; arrays keep every bit.

    Raises:
        MalformedFrame: on an error message, a missing record, or an array that is no flat vector of a frame.
    """
    try:
        records = message.content
        envelope, arrays = records.config_records[_ENVELOPE], records.array_records[_ARRAYS]
        kind, body = envelope["kind"], envelope["body"]
    except (KeyError, ValueError):
        raise MalformedFrame("a message that holds no frame") from None
    if not isinstance(kind, str) or not isinstance(body, bytes):
        raise MalformedFrame("a frame whose kind is no text or whose body is no bytes")
    return Frame(kind, body, tuple(_vectors(arrays)))


def _records(frame: Frame) -> RecordDict:
    arrays = {str(index): _array(vector) for index, vector in enumerate(frame.arrays)}
    envelope = ConfigRecord({"kind": frame.kind, "body": frame.body})
    return RecordDict({_ENVELOPE: envelope, _ARRAYS: ArrayRecord(arrays)})


def _array(vector: Vector) -> Array:
    # The bytes as they are: ``Array(ndarray)`` would add a NumPy file header and a copy.
    return Array(dtype=vector.dtype.str, shape=vector.shape, stype="raw", data=vector.tobytes())


def _vectors(arrays: ArrayRecord) -> Iterator[Vector]:
    for index in range(len(arrays)):
        array = arrays.get(str(index))
        if array is None or array.dtype not in VECTORS:
            raise MalformedFrame(f"array {index} of the frame is missing or of an unknown type")
        vector = VECTORS[array.dtype]
        if len(array.shape) != 1 or array.shape[0] * vector.size != len(array.data):
            raise MalformedFrame(f"array {index} of the frame has a shape that its bytes do not fill")
        yield vector.read(array.data)
