"""Independent jobs on a few processes: each has one thread for its sums, and none outlives the run."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing.queues import SimpleQueue
from typing import Any

from common.cores import CORES
from common.errors import EnvironmentProblem

Tell = Callable[[int], None]
"""Called by a job with how much of it is done."""

Job = Callable[[Tell], None]
Hear = Callable[[int, int], None]
"""Called with a job's number and how much of it is done."""

Run = Callable[[Sequence[Job], Hear], None]
"""Runs every job; the first error ends the run and is raised."""

News = tuple[int, int] | None

_MOST = 4  # beyond, an evaluation lacks memory rather than processors
_HEED_SECONDS = 0.2  # how late Ctrl-C may be heard


def processors() -> int:
    """How many processes are worth starting on this machine."""
    return min(_MOST, CORES)


@contextmanager
def crew(workers: int) -> Iterator[Run]:
    """Processes that stay for several runs; with one, jobs run here. With more, jobs must be picklable.

    Interrupted, they are ended in the middle of their jobs, as a crash would.
    """
    if workers == 1:
        _alone()
        yield _in_turn
        return
    context = multiprocessing.get_context("spawn")
    queue: SimpleQueue[News] = context.SimpleQueue()
    before = multiprocessing.active_children()
    with ProcessPoolExecutor(workers, context, _start, (queue,)) as pool:
        try:
            yield partial(_side_by_side, pool, queue)
        except KeyboardInterrupt:
            for worker in set(multiprocessing.active_children()).difference(before):
                worker.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _in_turn(jobs: Sequence[Job], hear: Hear) -> None:
    for number, job in enumerate(jobs):
        job(partial(hear, number))


def _side_by_side(
    pool: ProcessPoolExecutor, queue: "SimpleQueue[News]", jobs: Sequence[Job], hear: Hear
) -> None:
    listener = threading.Thread(target=_listen, args=(queue, hear), daemon=True)
    listener.start()
    try:
        with _ctrl_c_held():
            futures = {pool.submit(_work, number, job) for number, job in enumerate(jobs)}
        while futures:
            # Not for ever: another thread may have taken the signal, and Python acts on it in this one alone.
            done, futures = wait(futures, _HEED_SECONDS, FIRST_COMPLETED)
            for future in done:
                future.result()
    except BrokenProcessPool as error:
        raise EnvironmentProblem(
            "a process of the run ended without a word",
            why="the system may have lacked memory",
            hint="use fewer --workers, then resume",
        ) from error
    finally:
        queue.put(None)
        listener.join()


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Processes begun inside never see Ctrl-C, which a terminal sends to all: this one hears it and ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _listen(queue: "SimpleQueue[News]", hear: Hear) -> None:
    while (news := queue.get()) is not None:
        hear(*news)


_queue: Any = None  # set once in each worker, which inherits nothing


def _start(queue: "SimpleQueue[News]") -> None:
    global _queue  # noqa: PLW0603 - the pool's initializer has no other way to hand something over
    _queue = queue
    _alone()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _work(number: int, job: Job) -> None:
    job(lambda done: _queue.put((number, done)))


def _alone() -> None:
    """One thread: sums in one order, so that a seed means the same everywhere, and no two processes in a queue."""
    import torch  # noqa: PLC0415 - not where the command line is only asked for help
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    torch.set_num_threads(1)
    threadpool_limits(1)


def _end_with_parent() -> None:
    """A killed parent cannot stop its workers, so each watches it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
