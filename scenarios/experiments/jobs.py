"""Independent jobs on a few processes: each has its own torch thread, and none outlives the run."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.queues import SimpleQueue
from typing import Any

Tell = Callable[[int], None]
"""Called by a job with how much of it is done."""

Job = Callable[[Tell], None]

_MOST = 4  # more would not help: memory, not processors, is what an evaluation needs


def processes() -> int:
    """How many processes are worth starting on this machine."""
    return min(_MOST, len(os.sched_getaffinity(0)))


def run_jobs(jobs: Sequence[Job], told: Callable[[int, int], None], workers: int) -> None:
    """Run every job; ``told(job, done)`` hears each job's progress by its number.

    The first error ends the run and is raised; jobs must be picklable where ``workers`` > 1.
    """
    if workers == 1:
        for number, job in enumerate(jobs):
            _alone()
            job(lambda done, number=number: told(number, done))  # type: ignore[misc]  # a default argument
        return
    context = multiprocessing.get_context("spawn")
    queue: SimpleQueue[tuple[int, int] | None] = context.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(queue, told), daemon=True)
    listener.start()
    with ProcessPoolExecutor(workers, context, _start, (queue,)) as pool:
        futures = [pool.submit(_work, number, job) for number, job in enumerate(jobs)]
        try:
            _first_error(futures)
        finally:
            pool.shutdown(cancel_futures=True)
            queue.put(None)
            listener.join()


def _first_error(futures: Sequence[Future[None]]) -> None:
    for future in futures:
        future.result()


_queue: Any = None  # set once in each worker, which inherits nothing


def _start(queue: "SimpleQueue[tuple[int, int] | None]") -> None:
    global _queue  # noqa: PLW0603 - the pool's initializer has no other way to hand something over
    _queue = queue
    _alone()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _alone() -> None:
    import torch  # noqa: PLC0415 - not where the command line is only asked for help

    torch.set_num_threads(1)  # sums in one order, so that a seed means the same on every machine


def _end_with_parent() -> None:
    """A killed parent cannot stop its workers, so each watches it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(number: int, job: Job) -> None:
    job(lambda done: _queue.put((number, done)))


def _listen(queue: "SimpleQueue[tuple[int, int] | None]", told: Callable[[int, int], None]) -> None:
    while (news := queue.get()) is not None:
        told(*news)
