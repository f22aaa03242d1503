"""Independent work on several threads, each with its share of the processor for tensor operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

MOST_WORKERS = 8
"""More workers than this wait for each other in the interpreter."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def limit_this_thread(threads: int) -> None:
    """Let tensor operations that are begun on this thread use so many threads from now on."""
    # The first question makes torch apply its own number to a new thread, which it would do later otherwise.
    torch.get_num_threads()
    threadpool_limits(threads, user_api="openmp")


def map_on_workers(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield ``work(item)`` for each item in order, computed on as many threads as tensor operations may use here.

    Operations on a few megabytes gain little from being split, and much from running beside others: two threads that
    each compute alone are a third faster than operations split in two. Results do not depend on the number of threads.

    When the caller stops asking, items that were not begun are left out.
    """
    threads = torch.get_num_threads()
    workers = min(threads, MOST_WORKERS)
    if workers == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(workers, initializer=limit_this_thread, initargs=(threads // workers,))
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)
