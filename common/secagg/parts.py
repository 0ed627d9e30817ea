"""A long vector in parts: each part is worked through in the cache, and the parts by several threads.

What is computed never depends on the number of threads: the parts are the same, and so is their order.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from common.cores import CORES

Result = TypeVar("Result")
Buffers = TypeVar("Buffers")

# A block is small enough to stay in the cache with what is computed beside it, and large enough that threads,
# which hold Python's lock between two steps on a block, seldom wait for each other.
BLOCK: Final = 1 << 16  # lanes
PART: Final = 4 * BLOCK  # lanes of one task
THREADS: Final = min(CORES, 8)  # by default: more cores than that wait for the memory


def in_parts(
    work: Callable[[int, int, Buffers], Result], buffers: Callable[[], Buffers], size: int, threads: int
) -> Iterator[Result]:
    """``work(start, stop, buffers)`` for each part of ``size`` lanes, on ``threads`` threads; results in order.

    A result comes as soon as it and all before it are there, so the caller can go on with it meanwhile. Each
    thread has buffers of its own, made once.

    Guarantee: parts begin at multiples of ``PART``; the same calls, whatever the number of threads.
    Refuses: nothing; what ``work`` raises comes out here.
    """
    starts = range(0, size, PART)
    crew = max(1, min(threads, len(starts)))
    idle = [buffers() for _ in range(crew)]

    def _work(start: int) -> Result:
        own = idle.pop()  # one for each thread, so there is always one left; pop and append are atomic
        try:
            return work(start, min(start + PART, size), own)
        finally:
            idle.append(own)

    if crew == 1:
        yield from map(_work, starts)
        return
    with ThreadPoolExecutor(crew) as pool:
        yield from pool.map(_work, starts)
