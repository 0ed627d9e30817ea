"""ItemCatalog: one item per text, in an order that depends on the texts alone."""

import pytest

from common.data.catalog import ItemCatalog, merge_by_text
from common.errors import DataError

PAIRS = [("b", "green tea"), ("a", "green tea"), ("c", "black tea"), ("d", "coffee")]


def test_equal_texts_become_one_item_under_the_smallest_key() -> None:
    catalog, index = merge_by_text(PAIRS)
    assert sorted(catalog.texts) == ["black tea", "coffee", "green tea"]
    assert index["a"] == index["b"] == catalog.keys.index("a")
    assert catalog.texts[index["c"]] == "black tea"


def test_the_order_does_not_depend_on_the_rows() -> None:
    assert merge_by_text(PAIRS) == merge_by_text(PAIRS[::-1])


def test_the_digest_tells_catalogues_apart() -> None:
    one, other = ItemCatalog(("a", "b"), ("x", "y")), ItemCatalog(("a", "b"), ("y", "x"))
    assert one.digest != other.digest
    assert one.digest == ItemCatalog(("a", "b"), ("x", "y")).digest
    assert ItemCatalog(("ab", "c"), ("x", "y")).digest != ItemCatalog(("a", "bc"), ("x", "y")).digest


def test_a_sample_is_a_prefix() -> None:
    catalog, _ = merge_by_text(PAIRS)
    assert catalog.first(2).texts == catalog.texts[:2]


@pytest.mark.parametrize(
    ("keys", "texts"), [(("a",), ("x", "y")), (("a",), ("",)), (("a", "b"), ("same", "same"))]
)
def test_an_impossible_catalogue_is_refused(keys: tuple[str, ...], texts: tuple[str, ...]) -> None:
    with pytest.raises(DataError):
        ItemCatalog(keys, texts)


def test_its_repr_shows_no_row() -> None:
    assert "tea" not in repr(merge_by_text(PAIRS)[0])
