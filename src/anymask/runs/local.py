"""A run on one machine: reading, segmenting and rendering overlap, on threads.

On a processor as many images are segmented side by side as there are cores, each with one thread for its tensor
operations: that is faster than operations split among all cores, and gives the same masks on any number of cores. On a
GPU two images go side by side, so that one is encoded while the masks of the other are worked out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from anymask.models.freed_memory import give_back_freed_memory
from anymask.runs.budget import Budget
from anymask.runs.items import Item
from anymask.runs.job import LoadedJob
from anymask.runs.outcome import Outcome, failure
from anymask.segment.masks import Masks
from anymask.segment.pixels import image_size
from anymask.segment.workers import limit_this_thread

MEMORY_FOR_PICTURES = 1 << 30
"""Bytes of decoded pictures between reading and the end of rendering. A picture larger than that goes alone."""
LARGE_PICTURE = 64 << 20
"""Bytes of a picture after which freed memory is given back to the system, before the next one needs as much."""
MOST_SIDE_BY_SIDE = 8
BYTES_A_PIXEL = 9
"""Measured: a picture of 108 million pixels needs 8.8 each, at its most while it is decoded."""
SIDE_BY_SIDE_ON_A_GPU = 2


@dataclass
class _Work:
    """One image on its way."""

    number: int
    item: Item
    budget: Budget
    done: Future[Outcome] = field(default_factory=Future)
    pixels: NDArray[np.uint8] | None = None
    masks: Masks | None = None
    outcome: Outcome | None = None


Stage = tuple[ThreadPoolExecutor, Callable[[_Work], None]]
"""What is done to an image, and the threads that do it."""


class LocalPipeline:
    """Takes images through a job on this machine's threads.

    Args:
        job: the job.
        side_by_side: images that are segmented at a time; None for what suits the device.
        memory: bytes of decoded pictures at a time.
    """

    def __init__(self, job: LoadedJob, *, side_by_side: int | None = None, memory: int = MEMORY_FOR_PICTURES) -> None:
        self.job, self.memory = job, memory
        on_processor = job.segmenter.device.type == "cpu"
        threads = torch.get_num_threads()
        if side_by_side is None:
            side_by_side = min(threads, MOST_SIDE_BY_SIDE) if on_processor else SIDE_BY_SIDE_ON_A_GPU
        self.side_by_side = side_by_side
        self.threads_each = max(1, threads // side_by_side) if on_processor else threads

    def run(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """Yield what became of each image, in order. When the caller stops asking, what was not begun is left out."""
        waiting: deque[Future[Outcome]] = deque()
        with ExitStack() as pools:
            # They end in the opposite order, so that none ends before that which hands on to it.
            renderers = _pool(pools, "render", 2, 1)
            segmenters = _pool(pools, "segment", self.side_by_side, self.threads_each)
            readers = _pool(pools, "read", 2, 1)
            stages: list[Stage] = [(readers, self._read), (segmenters, self._segment), (renderers, self._render)]
            budget = Budget(self.memory)
            pools.callback(budget.close)
            for number, item in enumerate(items):
                work = _Work(number, item, budget)
                waiting.append(work.done)
                self._hand_on(work, stages)
                if len(waiting) >= 2 * self.side_by_side + 4:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _hand_on(self, work: _Work, stages: list[Stage]) -> None:
        """Let the first of the stages work, and when it is done the next."""

        def do() -> None:
            try:
                step(work)
                if later:
                    self._hand_on(work, later)
                else:
                    assert work.outcome is not None
                    work.done.set_result(work.outcome)
            except BaseException as error:
                work.done.set_exception(error)

        (pool, step), *later = stages
        pool.submit(do)

    def _read(self, work: _Work) -> None:
        size = 0
        try:
            source = work.item.read()
            height, width = image_size(source, max_pixels=self.job.job.max_pixels)
            size = height * width * BYTES_A_PIXEL
        except Exception as error:
            work.outcome = failure(work.item, error)
        if not work.budget.take(work.number, size) or work.outcome is not None:
            return
        try:
            work.pixels = self.job.read(source)
        except Exception as error:
            work.outcome = failure(work.item, error)

    def _segment(self, work: _Work) -> None:
        if work.pixels is not None:
            try:
                work.masks = self.job.segment(work.item, work.pixels)
            except Exception as error:
                work.outcome = failure(work.item, error)

    def _render(self, work: _Work) -> None:
        if work.pixels is not None and work.masks is not None:
            try:
                work.outcome = self.job.render(work.item, work.pixels, work.masks)
            except Exception as error:
                work.outcome = failure(work.item, error)
        is_large = work.pixels is not None and work.pixels.nbytes >= LARGE_PICTURE
        work.pixels = work.masks = None
        if is_large:
            give_back_freed_memory()
        work.budget.give_back(work.number)


def _pool(pools: ExitStack, name: str, workers: int, threads_each: int) -> ThreadPoolExecutor:
    pool = ThreadPoolExecutor(workers, thread_name_prefix=name, initializer=limit_this_thread, initargs=(threads_each,))
    pools.callback(pool.shutdown, cancel_futures=True)
    return pool
