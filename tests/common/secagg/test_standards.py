"""The primitives, through our own code where it wraps them, against the vectors of their standards."""

import hashlib

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from common.secagg.keys import contributes
from common.secagg.masks import apply_masks


def octets(text: str) -> bytes:
    return bytes.fromhex("".join(text.split()))


def test_x25519_rfc_7748_section_5_2():
    private = octets("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    point = octets("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(point))
    assert shared.hex() == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"


@pytest.mark.parametrize("point", ["00" * 32, "01" + "00" * 31, "ecff" + "ff" * 29 + "7f"])
def test_points_of_small_order_are_known_rfc_7748_section_6_1(point):
    assert not contributes(octets(point))


def test_a_key_of_wrong_length_does_not_contribute():
    assert not contributes(bytes(31))
    assert contributes(X25519PrivateKey.generate().public_key().public_bytes_raw())


def test_hkdf_rfc_5869_case_1():
    keying = HKDF(SHA256(), 42, octets("000102030405060708090a0b0c"), octets("f0f1f2f3f4f5f6f7f8f9")).derive(
        b"\x0b" * 22
    )
    assert keying == octets(
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_ed25519_rfc_8032_section_7_1_test_1():
    key = Ed25519PrivateKey.from_private_bytes(
        octets("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )
    assert key.public_key().public_bytes_raw() == octets(
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )
    assert key.sign(b"") == octets(
        """e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155
           5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"""
    )


def test_chacha20_poly1305_rfc_8439_section_2_8_2():
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    key = bytes(range(0x80, 0xA0))
    sealed = ChaCha20Poly1305(key).encrypt(
        octets("070000004041424344454647"), text, octets("50515253c0c1c2c3c4c5c6c7")
    )
    assert sealed[:16] == octets("d31a8d34648e60db7b86afbc53ef7ec2")
    assert sealed[-16:] == octets("1ae10b594f09e26a7e902ecbd0600691")


def test_sha_256_fips_180_4():
    assert hashlib.sha256(b"abc").digest() == octets(
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


AES_KEY = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"


def test_aes_256_ctr_sp_800_38a_f_5_5():
    counter = octets("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    encryptor = Cipher(algorithms.AES256(octets(AES_KEY)), modes.CTR(counter)).encryptor()
    assert encryptor.update(octets("6bc1bee22e409f96e93d7e117393172a")) == octets(
        "601ec313775789a5b7a7f504bbf3d228"
    )


def test_our_masks_are_that_counter_mode_read_as_little_endian_words():
    first = int("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", 16) * 4
    lanes = np.zeros(4, np.uint32)
    apply_masks(lanes, [octets(AES_KEY)], [], first=first)
    keystream = bytes(
        a ^ b
        for a, b in zip(
            octets("601ec313775789a5b7a7f504bbf3d228"),
            octets("6bc1bee22e409f96e93d7e117393172a"),
            strict=True,
        )
    )
    assert lanes.tolist() == [int.from_bytes(keystream[i : i + 4], "little") for i in range(0, 16, 4)]
