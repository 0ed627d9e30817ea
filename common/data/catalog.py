"""ItemCatalog: the items a platform can recommend, each known by its text."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from common.errors import DataError


@dataclass(frozen=True)
class ItemCatalog:
    """Items in a fixed order; item ``i`` has ``keys[i]`` and ``texts[i]``, and no text occurs twice.

    Raises:
        DataError: where keys and texts differ in number, a text is empty or occurs twice.
    """

    keys: tuple[str, ...] = field(repr=False)
    texts: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.keys) != len(self.texts):
            raise DataError(f"{len(self.keys)} item keys but {len(self.texts)} texts")
        if not all(self.texts):
            raise DataError("an item without text", hint="drop it before the catalogue is built")
        if len(set(self.texts)) != len(self.texts):
            raise DataError("two items with the same text", hint="merge them: an item is its text")

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 (32 bytes) over every key and text, each with its length before it."""
        state = hashlib.sha256(b"hanse/item-catalog/1")
        for part in (*self.keys, *self.texts):
            encoded = part.encode()
            state.update(len(encoded).to_bytes(8, "big") + encoded)
        return state.digest()

    def first(self, count: int) -> "ItemCatalog":
        """The first ``count`` items."""
        return ItemCatalog(self.keys[:count], self.texts[:count])


def merge_by_text(texts: Iterable[tuple[str, str]]) -> tuple[ItemCatalog, Mapping[str, int]]:
    """A catalogue from (key, text) pairs, and the index of each key.

    Keys that share a text become one item under the smallest of them: neither a person nor a text encoder
    could tell them apart. Items are in a public pseudo-random order (SHA-256 of the text), so that the first
    ``n`` are a fair sample of the catalogue.
    """
    keys_of: dict[str, list[str]] = {}
    for key, text in texts:
        keys_of.setdefault(text, []).append(key)
    ordered = sorted(keys_of, key=lambda text: hashlib.sha256(text.encode()).digest())
    catalog = ItemCatalog(tuple(min(keys_of[text]) for text in ordered), tuple(ordered))
    index = {key: number for number, text in enumerate(ordered) for key in keys_of[text]}
    return catalog, index
