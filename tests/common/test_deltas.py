"""Updates by protection step: none shows its numbers, none can be changed, none passes for another."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from common.deltas import AdapterDelta, AggregateDelta, ClippedDelta, MaskedDelta, QuantizedDelta

VALUES, LANES = np.full(3, 0.123456, np.float32), np.full(5, 123456, np.uint32)
SECRET = (
    AdapterDelta(VALUES),
    ClippedDelta(VALUES, 1.0),
    QuantizedDelta(LANES),
    MaskedDelta(LANES),
    AggregateDelta(VALUES, 2.0, 4),
)


@pytest.mark.parametrize("delta", SECRET, ids=lambda delta: type(delta).__name__)
def test_no_text_tells_an_update(delta: object) -> None:
    for text in (repr(delta), str(delta), f"{delta}", f"{[delta]}"):
        assert "12345" not in text


@pytest.mark.parametrize("delta", SECRET, ids=lambda delta: type(delta).__name__)
def test_none_can_be_replaced_or_extended(delta: object) -> None:
    name = next(iter(type(delta).__slots__))
    with pytest.raises(FrozenInstanceError):
        setattr(delta, name, None)
    with pytest.raises((AttributeError, TypeError)):
        delta.remark = 1  # type: ignore[attr-defined]


def test_no_step_is_a_kind_of_another() -> None:
    kinds = [type(delta) for delta in SECRET]
    assert not any(issubclass(one, other) for one in kinds for other in kinds if one is not other)
