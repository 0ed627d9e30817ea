"""Our own frozen vectors. They fix every byte and its order, and change only together with the protocol's id."""

import hashlib
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from common.secagg import Witness
from common.secagg.keys import derive, pair_key, self_key
from common.secagg.ring import Ring, Tensor
from common.secagg.seat import Secrets
from common.secagg.transcript import PROTOCOL, digest, encode, names, number


def known(label):
    return hashlib.sha256(label.encode()).digest()


def private(label):
    return X25519PrivateKey.from_private_bytes(known(label))


@pytest.fixture
def fixed(monkeypatch):
    """The same secrets and polynomials every time, in the order in which the platforms ask for them."""
    rounds, coefficients = count(), count()

    def fresh():
        i = next(rounds)
        return Secrets(private(f"seal {i}"), private(f"mask {i}"), known(f"seed {i}"))

    def below(bound):
        return int.from_bytes(known(f"coefficient {next(coefficients)}"), "big") % bound

    monkeypatch.setattr(Secrets, "fresh", fresh)
    monkeypatch.setattr("secrets.randbelow", below)


def test_encodings():
    assert PROTOCOL == b"hanse/secagg/1"
    assert encode(b"ab", b"") == b"\0\0\0\2ab\0\0\0\0"
    assert names(["b", "a", "b"]) == b"\0\0\0\1a\0\0\0\1b"
    assert number(258) == b"\0\0\0\0\0\0\1\2"
    assert Witness(258, b"h" * 32).encode() == b"\0\0\0\0\0\0\1\2" + b"h" * 32


def test_hashes_and_keys(convoy):
    ships = convoy(4, 1)
    public = private("b").public_key().public_bytes_raw()
    values = {
        "digest": digest("purpose", b"field"),
        "terms": ships.terms.digest(),
        "spec": ships.spec().digest(ships.terms),
        "derived": derive(bytes(32), "purpose", b"field"),
        "self": self_key(bytes(32), bytes(32), "bremen"),
        "pair": pair_key(private("a"), public, bytes(32), ("visby", "bremen")),
    }
    assert {name: value.hex() for name, value in values.items()} == {
        "digest": "30f27e7f1cb0aad28466c3d341258c76c45cfee027ede0d4e1ec4dd93fd35e1b",
        "terms": "cce0eb0cd0776de6b6b33429cf2c22746289c08739cb0b9f8a26b1325a4472e9",
        "spec": "e26e1aec7a9c450d8eebf094bf2d43f727f878e1f0a9e8a545227c71335fdc63",
        "derived": "7383b35cb76887fd55a3500a227fb653411d7963cdb18b8c60366d6742e2b188",
        "self": "d314c2520a3cb0a9faf7351906ff7652020bcfd186df7e1c1c4751f4473b991a",
        "pair": "2ba2b97504d0df25b532df6212ab2e9f0573186f0d273b6f62561faa8cd12c0d",
    }


def test_a_digest_is_sha_256_over_lengths_and_fields():
    literal = b"\0\0\0\x0ehanse/secagg/1" + b"\0\0\0\x07purpose" + b"\0\0\0\x05field"
    assert digest("purpose", b"field") == hashlib.sha256(literal).digest()


def test_pair_keys_agree_from_both_ends():
    ends = [("a", "b"), ("b", "a")]
    keys = {
        pair_key(private(own), private(peer).public_key().public_bytes_raw(), bytes(32), (own, peer))
        for own, peer in ends
    }
    assert len(keys) == 1


def hashes_of_a_round(ships, lane):
    """SHA-256 of each kind of message, of all platforms in order; and of the sum, with one drop-out."""
    outcome = ships.round({"mask": ["port-002"]})
    hashes = {"sum": hashlib.sha256(outcome.lanes.astype(lane).tobytes())}
    for kind, _, message in ships.log:
        lanes = message.delta.lanes.astype(lane).tobytes() if kind == "vector" else b""
        hashes.setdefault(kind, hashlib.sha256()).update(lanes + message.encode())
    return {kind: value.hexdigest()[:32] for kind, value in hashes.items()}


def test_a_whole_round_on_lanes_of_16_bits(convoy, fixed):
    ring = Ring(1.0, 16, 16, (Tensor(15, 1.0), Tensor(25, 0.5)))
    assert hashes_of_a_round(convoy(4, 1, ring=ring), "<u2") == {
        "sum": "faf362d8a4b20566a8f68bca3d21655c",
        "advert": "e61425c4014ec8dedbf3fa32c03c985a",
        "shares": "729dafb5b33573b1aa6b406b32bd32aa",
        "vector": "12a958fa05c4884e4d057654dd5cdb80",
        "signature": "24861b6b69e3c145b72d9fbcc890ea59",
        "release": "92186a965d1f096ee6c2b82caccc032d",
    }


def test_a_whole_round(convoy, fixed):
    assert hashes_of_a_round(convoy(4, 1), "<u4") == {
        "sum": "33301236f06c9706d83501b81d5019d9",
        "advert": "f36ff4636f02f5871efa794b9f745216",
        "shares": "95c7cc897642fa1b0a635ef27375ced1",
        "vector": "cdc45236d4a4f6f3f6640388418ce62c",
        "signature": "7f72b4697cafe9693a835b002b9bf049",
        "release": "3901b5b59951df30a7942ef16f3c95a9",
    }
