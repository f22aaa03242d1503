"""Batches that are a pure function of the seed and the step, prepared ahead in threads.

Because nothing but (seed, step) decides what a batch holds, a run that was killed and resumed sees the same
batches as one that was not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from anymask.formats.datasets import DatasetError, InstanceDataset
from anymask.train.views import Augmentation, View, make_view


@dataclass(frozen=True)
class WeightedDataset:
    """A data set, its share of the views, and whether its objects may be pasted into other images."""

    dataset: InstanceDataset
    weight: float
    paste: bool = False


@dataclass(frozen=True)
class Batch:
    """Images ``[B, 3, S, S]`` float32 (normalised), and for each image its coverage targets ``[M, S/4, S/4]``
    float32 in 0..1, boxes ``[M, 4]`` in view pixels, and position in the batch of all processes."""

    images: Tensor
    targets: list[Tensor]
    boxes: list[Tensor]
    positions: tuple[int, ...]


class BatchStream:
    """Draws views from weighted data sets.

    Args:
        datasets: what to draw from.
        side: side of the views in pixels.
        batch_size: views a step, in all processes together.
        max_masks: masks a view.
        augmentation: how views are made.
        seed: the stream's seed.
        mean: colour mean that normalisation subtracts, in 0–255.
        std: colour deviation that normalisation divides by.
        threads: how many batches are prepared at a time.
        share: (number of this process, number of processes): each makes its share of every batch.
        parts: how many batches this process's share of a step is divided into.
    """

    def __init__(
        self,
        datasets: Sequence[WeightedDataset],
        *,
        side: int,
        batch_size: int,
        max_masks: int,
        augmentation: Augmentation,
        seed: int,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        threads: int = 1,
        share: tuple[int, int] = (0, 1),
        parts: int = 1,
    ) -> None:
        if not datasets or not any(len(entry.dataset) for entry in datasets):
            raise DatasetError("training needs at least one data set with annotated images; none was given")
        self.datasets = [entry for entry in datasets if len(entry.dataset)]
        weights = np.array([entry.weight for entry in self.datasets], dtype=np.float64)
        self.shares = weights / weights.sum()
        self.paste_sources = [entry.dataset for entry in self.datasets if entry.paste]
        self.side, self.batch_size, self.max_masks = side, batch_size, max_masks
        self.augmentation, self.seed, self.threads = augmentation, seed, threads
        if batch_size < share[1] * parts:
            among = f"{share[1]} process{'es' if share[1] > 1 else ''}"
            raise DatasetError(
                f"a batch of {batch_size} cannot be shared by {among}"
                + (
                    f" in {parts} parts each: raise batch_size or lower accumulate"
                    if parts > 1
                    else ": raise batch_size"
                )
            )
        positions = range(share[0], batch_size, share[1])
        self.parts = [positions[part::parts] for part in range(parts)]
        self.mean = torch.tensor(mean).reshape(3, 1, 1)
        self.std = torch.tensor(std).reshape(3, 1, 1)

    def _view(self, step: int, position: int) -> View:
        rng = np.random.default_rng((self.seed, step, position))
        for _ in range(50):
            dataset = self.datasets[int(rng.choice(len(self.datasets), p=self.shares))].dataset
            source = self.paste_sources[int(rng.integers(len(self.paste_sources)))] if self.paste_sources else None
            index = int(rng.integers(len(dataset)))
            view = make_view(dataset, index, self.side, self.max_masks, self.augmentation, rng, source)
            if view is not None:
                return view
        raise DatasetError(
            "50 views in a row held no usable mask; check that the annotations belong to the images, "
            "or lower min_area and raise max_share"
        )

    def batch(self, step: int, part: int = 0) -> Batch:
        """Make one part of this process's share of ``step``."""
        positions = self.parts[part]
        views = [self._view(step, position) for position in positions]
        images = torch.from_numpy(np.stack([view.image for view in views])).permute(0, 3, 1, 2)
        return Batch(
            images=(images.float() - self.mean) / self.std,
            targets=[torch.from_numpy(view.targets).float() / 255 for view in views],
            boxes=[torch.from_numpy(view.boxes) for view in views],
            positions=tuple(positions),
        )

    def iterate(self, first: int, last: int) -> Iterator[Batch]:
        """Yield the parts of steps ``first`` to ``last`` (exclusive) in order, two per thread ahead."""
        with ThreadPoolExecutor(self.threads, thread_name_prefix="batches") as pool:
            ahead: list[Future[Batch]] = []
            try:
                for step, part in itertools.product(range(first, last), range(len(self.parts))):
                    ahead.append(pool.submit(self.batch, step, part))
                    if len(ahead) > 2 * self.threads:
                        yield ahead.pop(0).result()
                while ahead:
                    yield ahead.pop(0).result()
            finally:
                for future in ahead:
                    future.cancel()
