"""What one step of fine-tuning sees: windows of training images with some of their masks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
from torch import Tensor

from anymask.formats.datasets import DatasetError, InstanceDataset
from anymask.train.embeddings import EmbeddingCache, Pixels, hash_pixels
from anymask.train.finetune_settings import FinetuneError, FinetuneSettings
from anymask.train.zooms import Zoom, choose_zooms, whole_image, zoomed_targets

FEWEST_STEPS, MOST_STEPS = 25, 500
"""Bounds of an epoch: measuring takes as long for few images as for many."""

_TRIES = 8


@dataclass(frozen=True)
class Sample:
    """One training image: its place in the data set, its hash and the windows of it that are shown."""

    index: int
    digest: str
    zooms: list[Zoom]


@dataclass(frozen=True)
class Shown:
    """One window in a step.

    Attributes:
        embedding: ``[1, C, g, g]`` float32, or None where the encoder is trained.
        pixels: RGB uint8 at the model's size, or None where the embedding is given.
        targets: coverage ``[M, side/4, side/4]``.
        boxes: ``[M, 4]`` in model-input pixels.
    """

    embedding: Tensor | None
    pixels: Pixels | None
    targets: Tensor
    boxes: Tensor


class Samples:
    """The training images, prepared.

    Args:
        dataset: images with masks.
        validation: the images that are measured on; none may be among the others.
        side: of the model input in pixels.
        settings: how the run goes.
        cache: where embeddings lie; None where the encoder is trained.
        report: called with the number of images done and of all, and how many embeddings had to be made.

    Raises:
        DatasetError: an image or annotation is broken, or sizes differ.
        FinetuneError: an image is in both parts.
        EmbeddingCacheError: the embeddings would not fit.
    """

    def __init__(
        self,
        dataset: InstanceDataset,
        validation: InstanceDataset,
        side: int,
        settings: FinetuneSettings,
        cache: EmbeddingCache | None,
        report: Callable[[int, int, int], None],
    ) -> None:
        self.dataset, self.side, self.settings, self.cache = dataset, side, settings, cache
        self.samples: list[Sample] = []
        self.encoded = 0
        total = len(dataset) + len(validation)
        if cache is not None:
            # Before hours of encoding, not after.
            cache.check_room(len(dataset) * settings.views + len(validation))
        held = {}
        for index in range(len(validation)):
            pixels = _checked(validation, index)
            digest = hash_pixels(pixels)
            held[digest] = validation.name(index)
            self._prepare(digest, [whole_image((pixels.shape[0], pixels.shape[1]))], pixels)
            report(index + 1, total, self.encoded)
        self.validation_hash = _hash_of(sorted(held))
        for index in range(len(dataset)):
            pixels = _checked(dataset, index)
            digest = hash_pixels(pixels)
            if digest in held:
                raise FinetuneError(
                    f"{dataset.name(index)} would be trained on, and is {held[digest]} of the images to measure on; "
                    "what a model has seen says nothing: take it out of one of them"
                )
            masks = dataset.masks(index)
            # What is shown follows from the picture, not from its place, so that other runs find it in the cache.
            zooms = choose_zooms(masks, settings.views, int(digest[:8], 16))
            self._prepare(digest, zooms, pixels)
            self.samples.append(Sample(index, digest, zooms))
            report(len(validation) + index + 1, total, self.encoded)
        self.training_hash = _hash_of([sample.digest for sample in self.samples])

    def _prepare(self, digest: str, zooms: list[Zoom], pixels: Pixels) -> None:
        if self.cache is None:
            return
        windows = [(self.cache.path(digest, zoom), zoom) for zoom in zooms]
        self.encoded += self.cache.make_room([path for path, _ in windows])
        self.cache.fill(windows, pixels)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every image is shown once, but at least 25 and at most 500."""
        return min(MOST_STEPS, max(FEWEST_STEPS, -(-len(self.samples) // self.settings.batch)))

    def _sample_at(self, position: int) -> Sample:
        """Return what the ``position``-th image of the run is: all images in one order, then in another."""
        turn, place = divmod(position, len(self.samples))
        order = np.random.default_rng((self.settings.seed, turn)).permutation(len(self.samples))
        return self.samples[int(order[place])]

    def _show(self, position: int) -> Shown:
        rng = np.random.default_rng((self.settings.seed, 1, position))
        for number in range(_TRIES):
            sample = self._sample_at(position + number)
            # The whole image is what users work on; without a usable mask in a window it is the last resort.
            zoom = sample.zooms[int(rng.integers(len(sample.zooms)))] if number % 2 == 0 else sample.zooms[0]
            masks = self.dataset.masks(sample.index)
            targets, boxes = zoomed_targets(masks, zoom, self.side, self.settings.max_masks, rng)
            if not len(targets):
                continue
            if self.cache is None:
                cut = cast(Pixels, zoom.cut(self.dataset.image(sample.index)))
                return Shown(None, zoom.frame(self.side).resize_image(cut), targets, boxes)
            path, pixels = self.cache.path(sample.digest, zoom), partial(self.dataset.image, sample.index)
            return Shown(self.cache.get(path, zoom, pixels), None, targets, boxes)
        raise DatasetError(
            f"{_TRIES} images in a row held no usable mask (near {self.dataset.name(sample.index)}): all are smaller "
            "than a cell of the decoder's grid or cover nearly the whole image"
        )

    def batches(self, first: int, last: int) -> Iterator[list[Shown]]:
        """Yield the batches of steps ``first`` to ``last`` (exclusive), one ahead."""
        size = self.settings.batch

        def batch(step: int) -> list[Shown]:
            return [self._show(step * size + place) for place in range(size)]

        with ThreadPoolExecutor(1, thread_name_prefix="samples") as pool:
            upcoming = pool.submit(batch, first) if first < last else None
            for step in range(first, last):
                assert upcoming is not None
                current = upcoming.result()
                upcoming = pool.submit(batch, step + 1) if step + 1 < last else None
                yield current


def _checked(dataset: InstanceDataset, index: int) -> Pixels:
    """Read an image and see that its masks belong to it."""
    pixels = dataset.image(index)
    size = tuple(dataset.masks(index)[0]["size"])
    if pixels.shape[:2] != size:
        raise DatasetError(
            f"{dataset.name(index)} is {pixels.shape[1]} x {pixels.shape[0]}, but its masks are {size[1]} x {size[0]}"
        )
    return pixels


def _hash_of(digests: list[str]) -> str:
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16]
