"""The fields of a message: names after their length, tables in order, and a reader that checks every
length.
"""

from collections.abc import Mapping

from common.secagg.errors import Phase, ProtocolError
from common.secagg.terms import NAME_BYTES


def name_bytes(platform: str) -> bytes:
    """A platform's name after its length in bytes.

    Guarantee: :meth:`Reader.name` gives it back.
    Refuses: a name above 255 bytes (ValueError).
    """
    encoded = platform.encode()
    return bytes([len(encoded)]) + encoded


def table_bytes(rows: Mapping[str, bytes]) -> bytes:
    """The number of rows in two bytes, then name and content of each, ordered by name.

    Guarantee: :meth:`Reader.table` gives the rows back, if all have one width.
    Refuses: more than 65,535 rows (OverflowError).
    """
    body = b"".join(name_bytes(platform) + rows[platform] for platform in sorted(rows))
    return len(rows).to_bytes(2, "big") + body


class Reader:
    """Takes fields off the front of a message; every length is checked."""

    def __init__(self, data: bytes, phase: Phase) -> None:
        self._data, self._at, self._phase = bytes(data), 0, phase

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes.

        Guarantee: exactly so many.
        Refuses: a message that is too short (ProtocolError).
        """
        start, self._at = self._at, self._at + count
        if self._at > len(self._data):
            raise self._fault("the message is cut short")
        return self._data[start : self._at]

    def only(self, count: int) -> bytes:
        """The whole message, which has ``count`` bytes.

        Guarantee: exactly so many.
        Refuses: more or fewer (ProtocolError).
        """
        taken = self.take(count)
        self.end()
        return taken

    def name(self) -> str:
        """The next name.

        Guarantee: 1 to 64 bytes of UTF-8, printable.
        Refuses: anything else (ProtocolError).
        """
        (length,) = self.take(1)
        if not 0 < length <= NAME_BYTES:
            raise self._fault(f"a name of {length} bytes")
        try:
            name = self.take(length).decode()
        except UnicodeDecodeError:
            raise self._fault("a name that is not UTF-8") from None
        if not name.isprintable():  # it goes into errors and logs before anyone knows whose it is
            raise self._fault("a name that is not printable")
        return name

    def table(self, width: int) -> dict[str, bytes]:
        """The next table, name → ``width`` bytes.

        Guarantee: names are distinct and in order, so that a table has one encoding.
        Refuses: anything else (ProtocolError).
        """
        count = int.from_bytes(self.take(2), "big")
        rows = [(self.name(), self.take(width)) for _ in range(count)]
        if [name for name, _ in rows] != sorted({name for name, _ in rows}):
            raise self._fault("names are not sorted and distinct")
        return dict(rows)

    def end(self) -> None:
        """The message's end.

        Guarantee: nothing follows.
        Refuses: trailing bytes (ProtocolError).
        """
        if self._at != len(self._data):
            raise self._fault("bytes after the message's end")

    def _fault(self, why: str) -> ProtocolError:
        return ProtocolError(self._phase, why=why)
