"""A box whose content can be taken once: what makes a protocol state single-use."""

from typing import Generic, NoReturn, TypeVar

from common.secagg.errors import Phase, StateUsed

T = TypeVar("T")


class Once(Generic[T]):
    """Holds one value until it is taken; never shows, copies or serialises it."""

    __slots__ = ("_box",)

    def __init__(self, content: T) -> None:
        self._box = [content]

    def take(self, phase: Phase) -> T:
        """The content; afterwards the box is empty, whatever becomes of the caller.

        Guarantee: one caller at most gets it, also among threads (list.pop is atomic). Dropping the reference
            is all the erasure that Python allows: the memory itself is reused, not overwritten.
        Refuses: a second call (StateUsed).
        """
        try:
            return self._box.pop()
        except IndexError:
            raise StateUsed(phase) from None

    def __repr__(self) -> str:
        return "Once(…)" if self._box else "Once()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("protocol secrets cannot be copied or serialised")
