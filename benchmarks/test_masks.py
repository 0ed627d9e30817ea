"""Masks against the cipher they are made of: 10 platforms, one million parameters."""

import os

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pytest_benchmark.fixture import BenchmarkFixture

from common.secagg.masks import apply_masks

PLATFORMS, PARAMETERS = 10, 1_000_000
BLOCK = 1 << 16


@pytest.mark.benchmark(group="10 keystreams of 4 MB each")
def test_masks(benchmark: BenchmarkFixture) -> None:
    keys = [os.urandom(32) for _ in range(PLATFORMS)]
    lanes = np.zeros(PARAMETERS, np.uint32)
    benchmark(lambda: apply_masks(lanes, keys[:5], keys[5:]))


@pytest.mark.benchmark(group="10 keystreams of 4 MB each")
def test_aes_ctr_in_cache(benchmark: BenchmarkFixture) -> None:
    zeros, out = bytes(BLOCK), bytearray(BLOCK)

    def encrypt() -> None:
        stream = Cipher(algorithms.AES256(os.urandom(32)), modes.CTR(bytes(16))).encryptor()
        for _ in range(PLATFORMS * 4 * PARAMETERS // BLOCK):
            stream.update_into(zeros, out)

    benchmark(encrypt)
