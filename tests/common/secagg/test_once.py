"""A protocol state holds its secrets in a box that opens once and shows nothing."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from common.secagg import Witness, advertise
from common.secagg.client import Advertised
from common.secagg.errors import StateUsed
from common.secagg.once import Once


def test_it_opens_once():
    box = Once("treasure")
    assert box.take("share") == "treasure"
    with pytest.raises(StateUsed, match="share: A protocol state answers once"):
        box.take("share")


def test_among_threads_one_gets_it():
    for _ in range(20):
        box = Once("treasure")

        def take(_, box=box):
            try:
                return box.take("mask")
            except StateUsed:
                return None

        with ThreadPoolExecutor(8) as pool:
            assert sorted(filter(None, pool.map(take, range(8)))) == ["treasure"]


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, pickle.dumps])
def test_it_cannot_be_cloned(clone):
    with pytest.raises(TypeError, match="cannot be copied"):
        clone(Once("treasure"))


def test_it_does_not_show_its_content():
    box = Once("treasure")
    assert repr(box) == "Once(…)"
    box.take("share")
    assert repr(box) == "Once()"


def test_no_state_shows_a_secret(convoy, monkeypatch):
    ships = convoy(3)
    state, _ = advertise("port-000", ships.keys["port-000"], ships.terms, ships.spec(), Witness(1, bytes(32)))
    assert isinstance(state, Advertised)
    secrets = state._secrets._box[0]
    shown = repr(state) + str(secrets)
    assert "Once(…)" in shown
    assert "PrivateKey" not in shown
    for secret in (secrets.seed, secrets.seal.private_bytes_raw(), secrets.mask.private_bytes_raw()):
        assert repr(secret) not in shown
        assert secret.hex() not in shown
