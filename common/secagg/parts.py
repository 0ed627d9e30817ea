"""A long vector in parts: each part is worked through in the cache, and the parts by several threads.

What is computed never depends on the number of threads: the parts are the same, and so is their order.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from common.cores import CORES

Result = TypeVar("Result")
Buffers = TypeVar("Buffers")

# A block is small enough to stay in the cache with what is computed beside it, and large enough that threads,
# which hold Python's lock between two steps on a block, seldom wait for each other.
BLOCK: Final = 1 << 16  # lanes
PART: Final = 1 << 18  # lanes of one task; the hash of a vector is one over its parts, so it is fixed
THREADS: Final = min(CORES, 8)  # by default: more cores than that wait for the memory


def in_parts(
    work: Callable[[int, int, Buffers], Result], buffers: Callable[[], Buffers], size: int, threads: int
) -> list[Result]:
    """``work(start, stop, buffers)`` for each part of ``size`` lanes, on ``threads`` threads; results in order.

    The calling thread is one of them: while it works, no scheduler has a reason to put a helper beside it.
    Each thread has buffers of its own, made once.

    Guarantee: parts begin at multiples of ``PART``; the same calls, whatever the number of threads.
    Refuses: nothing; what ``work`` raises comes out here, once all threads have stopped.
    """
    starts = range(0, size, PART)
    left, done = deque(starts), dict[int, Result]()

    def _run() -> None:
        own = buffers()
        while left:
            try:
                start = left.popleft()
            except IndexError:  # another thread was faster
                return
            done[start] = work(start, min(start + PART, size), own)

    helpers = min(threads, len(starts)) - 1
    if helpers < 1:
        _run()
    else:
        with ThreadPoolExecutor(helpers) as pool:
            running = [pool.submit(_run) for _ in range(helpers)]
            try:
                _run()
            finally:
                left.clear()
        for helper in running:
            helper.result()
    return [done[start] for start in starts]
