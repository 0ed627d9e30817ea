"""Flower's SecAgg+ on the same vectors: its own functions, called as its client mod and its workflow call them.

Composed after ``secaggplus_mod._collect_masked_vectors`` and ``SecAggPlusWorkflow.unmask_stage`` of Flower 1.41,
with Flower's default ranges and every other platform as a neighbour. Left out, in Flower's favour: opening the
sealed shares and all messages. Where one turn would take seconds, unmasking is measured on a part of the work:
rebuilding a secret takes the same time for each of its kind, and so does taking off a mask; each part is
counted as often as the workflow does it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from flwr.common import bytes_to_ndarray, ndarray_to_bytes
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import generate_shared_key
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    factor_combine,
    get_parameters_shape,
    parameters_addition,
    parameters_mod,
    parameters_multiply,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.quantization import quantize
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
from flwr.supercore.primitives.asymmetric import (
    bytes_to_private_key,
    bytes_to_public_key,
    generate_key_pairs,
    private_key_to_bytes,
    public_key_to_bytes,
)
from numpy.typing import NDArray

from common.deltas import Floats
from scenarios.benchmarks.timing import clocked

CLIPPING_RANGE: Final = 8.0
TARGET_RANGE: Final = 1 << 22
MOD_RANGE: Final = 1 << 32

Integers = list[NDArray[np.int64]]


def masked(values: Floats, weight: float, peers: int) -> Callable[[], list[bytes]]:
    """A client's third stage: weight, quantise, own mask, one mask for each of ``peers``, bytes to send."""
    own, seed = private_key_to_bytes(generate_key_pairs()[0]), os.urandom(32)
    others = [public_key_to_bytes(generate_key_pairs()[1]) for _ in range(peers)]

    def stage() -> list[bytes]:
        ratio = round(weight * TARGET_RANGE)
        parameters = parameters_multiply([values], ratio / TARGET_RANGE)
        vector = factor_combine(ratio, quantize(parameters, CLIPPING_RANGE, TARGET_RANGE))
        shapes = get_parameters_shape(vector)
        vector = parameters_addition(vector, pseudo_rand_gen(seed, MOD_RANGE, shapes))
        for place, other in enumerate(others):
            mask = pseudo_rand_gen(_shared(own, other), MOD_RANGE, shapes)
            add = place < peers // 2
            vector = parameters_addition(vector, mask) if add else parameters_subtraction(vector, mask)
        return [ndarray_to_bytes(array) for array in parameters_mod(vector, MOD_RANGE)]

    return stage


def collected(vectors: list[list[bytes]]) -> Callable[[], Integers]:
    """The coordinator's third stage: the sum of the vectors as they came."""

    def stage() -> Integers:
        total = [bytes_to_ndarray(array) for array in vectors[0]]
        for vector in vectors[1:]:
            total = parameters_addition(total, [bytes_to_ndarray(array) for array in vector])
        return parameters_mod(total, MOD_RANGE)

    return stage


@dataclass(frozen=True)
class Unmasking:
    """The coordinator's last stage: n platforms, of which ``dropped`` sent no vector, and threshold t.

    ``seeds``, ``keys``, ``masks``: of how many secrets and masks the time is taken; the rest is in proportion.
    """

    platforms: int
    dropped: int
    threshold: int
    dimension: int
    seeds: int
    keys: int
    masks: int

    @property
    def alive(self) -> int:
        """Platforms whose vectors are in the sum."""
        return self.platforms - self.dropped

    @property
    def all_masks(self) -> int:
        """The workflow takes off one mask of each survivor and one of each pair with a dropped platform."""
        return self.alive + self.dropped * (self.platforms - 1)

    def ready(self) -> Callable[[], float]:
        """One turn, which returns its seconds for the whole stage."""
        own, other = generate_key_pairs()[0], public_key_to_bytes(generate_key_pairs()[1])
        secret = private_key_to_bytes(own)
        seed_shares, key_shares = self._shares(os.urandom(32)), self._shares(secret)
        zeros: Integers = [np.zeros(1, np.int64), np.zeros(self.dimension, np.int64)]
        shapes = get_parameters_shape(zeros)

        def take_off() -> None:
            vector = zeros
            for place in range(self.masks):
                key = (
                    _shared(secret, other)
                    if place >= self.masks * self.alive // self.all_masks
                    else bytes(32)
                )
                vector = parameters_subtraction(vector, pseudo_rand_gen(key, MOD_RANGE, shapes))
            parameters_mod(vector, MOD_RANGE)

        def turn() -> float:
            seeds = clocked(lambda: [combine_shares(seed_shares) for _ in range(self.seeds)])()
            keys = clocked(lambda: [combine_shares(key_shares) for _ in range(self.keys)])()
            masks = clocked(take_off)()
            whole = (seeds * self.alive / self.seeds, keys * self.dropped / self.keys)
            return sum(whole) + masks * self.all_masks / self.masks

        return turn

    def _shares(self, secret: bytes) -> list[bytes]:
        """The shares that the survivors send, all of which the workflow combines."""
        return create_shares(secret, self.threshold, self.platforms)[: self.alive]


def _shared(own: bytes, other: bytes) -> bytes:
    return generate_shared_key(bytes_to_private_key(own), bytes_to_public_key(other))
