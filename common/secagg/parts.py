"""A long vector in parts: each part is worked through in the cache, and the parts by several threads.

What is computed never depends on the number of threads: the parts are the same, and so is their order.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from common.cores import CORES

Result = TypeVar("Result")

BLOCK: Final = 1 << 14  # lanes at a time: a block and what is computed beside it stay in the L2 cache
PART: Final = 16 * BLOCK  # lanes of one task: long enough that its keystreams' set-up is of no weight
THREADS: Final = min(CORES, 8)  # by default: more cores than that wait for the memory


def in_parts(work: Callable[[int, int], Result], size: int, threads: int) -> Iterator[Result]:
    """``work(start, stop)`` for each part of ``size`` lanes, on ``threads`` threads; the results in order.

    A result comes as soon as it and all before it are there, so the caller can go on with it meanwhile.

    Guarantee: parts begin at multiples of ``PART``; the same calls, whatever the number of threads.
    Refuses: nothing; what ``work`` raises comes out here.
    """
    starts = range(0, size, PART)
    stops = [min(start + PART, size) for start in starts]
    if min(threads, len(starts)) < 2:
        yield from map(work, starts, stops)
        return
    with ThreadPoolExecutor(min(threads, len(starts))) as pool:
        yield from pool.map(work, starts, stops)
