"""Random groups from a joint seed: how many the charter allows, and who is in which.

Each group then runs the five phases on its own, with a specification whose cohort is the group. So the
coordinator learns one sum for each group, never of fewer than n_min platforms, and can compare the groups.
"""

from collections.abc import Collection
from typing import Final

from cryptography.hazmat.primitives.ciphers import CipherContext

from common.randomness import keystream

LEAST_PLATFORMS: Final = 9
_WORD_BYTES: Final = 4


def most_groups(platforms: int, n_min: int) -> int:
    """How many groups a roster of ``platforms`` is cut into when everyone is there.

    Guarantee: each group has n_min + 1 platforms or more, so that one drop-out voids none; 1 for fewer than
        nine platforms.
    Refuses: nothing.
    """
    return max(1, platforms // (n_min + 1)) if platforms >= LEAST_PLATFORMS else 1


def group_count(platforms: int, present: int, n_min: int) -> int:
    """How many groups are cut from the ``present`` platforms of a roster of ``platforms``.

    The margin of one platform for each group is there to be used: who is absent before the draw is a drop-out.

    Guarantee: each group has n_min platforms or more, and there are no more groups than with everyone there.
    Refuses: nothing; 0 where not even one group is possible.
    """
    return min(most_groups(platforms, n_min), present // n_min)


def partition(platforms: Collection[str], count: int, seed: bytes) -> tuple[tuple[str, ...], ...]:
    """The platforms in ``count`` groups, each sorted; ``seed``: 32 bytes.

    A shuffle (Fisher and Yates; Durstenfeld, CACM 1964) cut into pieces. Its choices are words of an
    AES-256-CTR keystream; those that would favour some choices are drawn again.

    Guarantee: every site computes the same groups, whose sizes differ by one at most; over a uniform seed each
        division into groups is as likely as any other.
    Refuses: a count below 1 or above the number of platforms, a seed of another length (ValueError).
    """
    if not 1 <= count <= len(platforms):
        raise ValueError(f"{len(platforms)} platforms in {count} groups")
    stream, order = keystream(seed), sorted(platforms)
    for last in range(len(order) - 1, 0, -1):
        other = _below(stream, last + 1)
        order[last], order[other] = order[other], order[last]
    return tuple(tuple(sorted(order[start::count])) for start in range(count))


def _below(stream: CipherContext, bound: int) -> int:
    """A uniform integer in [0, bound)."""
    fair = (1 << 8 * _WORD_BYTES) // bound * bound
    while True:
        word = int.from_bytes(stream.update(bytes(_WORD_BYTES)), "big")
        if word < fair:
            return word % bound
