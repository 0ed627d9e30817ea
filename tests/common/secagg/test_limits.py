"""The last value that is still accepted, on each side of every limit; and what values may not do."""

import dataclasses
import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import common.secagg
from common.deltas import ClippedDelta, QuantizedDelta
from common.randomness import OsRandomness
from common.secagg import Advert, ReleasedShares, Ring, Witness
from common.secagg.envelopes import Receipt, Shares
from common.secagg.errors import BadAdvert, ProtocolAborted, ProtocolError
from common.secagg.keys import contributes, sign, verify
from common.secagg.memory import Memory
from common.secagg.rules import advert_fault

MODULES = sorted(path.stem for path in Path(common.secagg.__file__).parent.glob("[a-z]*.py"))


def values(module):
    found = vars(importlib.import_module(f"common.secagg.{module}")).values()
    own = [each for each in found if isinstance(each, type) and each.__module__ == f"common.secagg.{module}"]
    return [each for each in own if dataclasses.is_dataclass(each)]


@pytest.mark.parametrize("module", MODULES)
def test_values_are_frozen_and_hold_nothing_but_their_fields(module):
    for value in values(module):
        assert value.__dataclass_params__.frozen, value
        assert "__slots__" in vars(value), value


@pytest.mark.parametrize("name", ["a", "a" * 64, "ü" * 32])
def test_names_of_1_and_of_64_bytes(convoy, name):
    terms = replace(convoy(3).terms, roster={name: b"1" * 32, "b": b"2" * 32, "c": b"3" * 32})
    assert name in terms.roster
    advert = Advert(name, bytes(32), bytes(32), bytes(32), Witness(0, bytes(32)), bytes(64))
    assert Advert.decode(advert.encode()) == advert


def test_a_thousand_platforms(convoy):
    roster = {str(i): i.to_bytes(32, "big") for i in range(1000)}
    assert len(replace(convoy(3).terms, roster=roster).roster) == 1000


def test_what_is_wrong_with_an_advert(convoy):
    ships = convoy(4)
    ships.round()
    digest = ships.spec().digest(ships.terms)
    advert = next(message for kind, name, message in ships.log if (kind, name) == ("advert", "port-001"))
    weak = replace(advert, mask_key=bytes(32))
    weak = replace(weak, signature=sign(ships.keys["port-001"], "advert", digest, *weak.fields))
    strange = replace(advert, platform="atlantis")
    faults = [advert_fault(each, ships.terms, digest) for each in (advert, strange, weak)]
    assert faults == ["", "not in the roster", "a key of small order"]
    assert advert_fault(advert, ships.terms, bytes(32)) == (
        "the signature does not cover this round's charter, cohort and model"
    )


def test_keys_and_signatures_that_are_none():
    assert contributes(b"") is contributes(bytes(32)) is False
    assert verify(bytes(31), bytes(64), "purpose") is verify(bytes(32), b"", "purpose") is False


def test_a_receipt_has_128_bytes():
    with pytest.raises(ValueError, match="too short"):
        Receipt.decode(bytes(127))
    assert Receipt.decode(bytes(128)).encode() == bytes(128)


def test_a_name_that_is_no_utf_8_stays_out_of_tracebacks():
    with pytest.raises(ProtocolError) as caught:
        Advert.decode(b"\1\xff" + bytes(200))
    assert caught.value.__suppress_context__


def test_released_shares_do_not_show():
    assert "sssss" not in repr(ReleasedShares({"a": b"s" * 33}, bytes(64)))
    assert repr(Shares(b"s" * 33, b"s" * 33)) == "Shares(…)"


def test_equal_memories_have_equal_texts():
    adverts = [Advert(name, b"", b"", b"", Witness(1, bytes(32)), b"") for name in "cab"]
    texts = {Memory.empty().witness(order).to_json() for order in (adverts, adverts[::-1])}
    assert len(texts) == 1
    known = replace(Memory.empty(), models=frozenset(("train", bytes([octet]) * 32) for octet in range(40)))
    told = json.loads(known.to_json())["models"]
    assert told == sorted(told)


def test_a_reason_without_a_docstring_is_its_name():
    """As with python -OO."""
    bare = type("Bare", (ProtocolAborted,), {})
    assert str(bare("share")) == "share: Bare"
    error = BadAdvert("share", "bremen")
    assert str(error).startswith("share: bremen: The advertisement is not signed under")
    assert not str(error).endswith(".")
    assert error.why == ""


# The ring


def rounded(ring, values, weight):
    bounded = ClippedDelta(np.array(values, np.float32), ring.clip)
    return ring.quantise(bounded, weight, OsRandomness())


def test_the_smallest_ring_and_the_smallest_weight():
    assert Ring(1.0, 2).top == 1
    ring = Ring(1.0)
    share = rounded(ring, [1.0, -1.0], 1 / ring.weight_units)
    assert share.lanes[-2:].tolist() == [1, 1]
    ring.check_share(share, 2, 4)


def test_no_values_at_all():
    ring = Ring(1.0)
    assert rounded(ring, [], 1.0).lanes.tolist() == [ring.weight_units, 1]
    assert ring.dequantise(rounded(ring, [], 1.0).lanes).mean.size == 0
    ring.check_share(QuantizedDelta(rounded(ring, [], 1.0).lanes), 0, 4)


@pytest.mark.parametrize("values", [(1, 1), (-1, -1)])
def test_a_sum_at_its_very_limit(values):
    ring = Ring(1.0)
    lanes = np.array([*(sign * (ring.top + 1) for sign in values), ring.weight_units, 1], np.int64)
    assert ring.dequantise(lanes.astype(np.uint32)).platforms == 1
