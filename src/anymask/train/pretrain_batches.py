"""Unlabelled images of a folder as masked views; which ones are a pure function of the seed and the step."""

from __future__ import annotations

import math
import os
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymask.errors import AnymaskError
from anymask.models.sam import PIXEL_MEAN, PIXEL_STD
from anymask.segment.errors import ImageError
from anymask.segment.pixels import read_image

SUFFIXES = frozenset(
    (
        ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".jp2", ".j2k", ".avif",
        ".ppm", ".pgm", ".pnm",
    )
)  # fmt: skip


class NoImagesError(AnymaskError, ValueError):
    """A folder to learn from holds no image that can be read; the message says what was found."""


@dataclass(frozen=True)
class MaskedBatch:
    """Normalised images ``[B, 3, S, S]`` float32, and what is masked of each, bool ``[B, N]``."""

    images: Tensor
    masked: Tensor


def find_images(folder: str | Path, without: str | Path | None = None) -> list[Path]:
    """Find the images below a folder, links followed, in the order of their names.

    Files are chosen by their suffix, whatever its case; hidden files and folders are left out.

    Args:
        folder: where to look.
        without: a folder below it that is left out, such as the one that results go to.

    Raises:
        NoImagesError: the folder is missing, or holds no file with an image's suffix.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NoImagesError(
            f"{root} is not a folder: give a folder of images" if root.exists() else f"no folder {root}"
        )
    left_out = None if without is None else os.path.realpath(without)
    found: list[Path] = []
    seen: set[str] = set()
    others = 0
    for place, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in seen or real == left_out:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.startswith("."):
                continue
            if Path(name).suffix.lower() in SUFFIXES:
                found.append(Path(place, name))
            else:
                others += 1
    if not found:
        held = f"{others} other file{'s' * (others != 1)}" if others else "no file"
        raise NoImagesError(f"{root} holds no image ({held}): give a folder with JPEG, PNG, WebP or TIFF files")
    return sorted(found)


def fingerprint(images: list[Path], folder: str | Path) -> str:
    """Sum up which images a run learns from, by their number and their names below the folder."""
    names = "\n".join(os.path.relpath(path, folder) for path in images)
    return f"{len(images)} images, {zlib.crc32(names.encode(errors='surrogateescape')):08x}"


def random_crop(height: int, width: int, min_scale: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Choose a window (x0, y0, x1, y1) of ``min_scale`` to 1 of the image's area, with sides in a ratio of 3:4 to 4:3.

    Where ten windows do not fit, it is the largest in the middle whose sides have such a ratio.
    """
    for _ in range(10):
        area = height * width * rng.uniform(min_scale, 1.0)
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        crop_w, crop_h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < crop_w <= width and 0 < crop_h <= height:
            x0, y0 = int(rng.integers(width - crop_w + 1)), int(rng.integers(height - crop_h + 1))
            return x0, y0, x0 + crop_w, y0 + crop_h
    crop_w, crop_h = min(width, max(1, round(height * 4 / 3))), min(height, max(1, round(width * 4 / 3)))
    x0, y0 = (width - crop_w) // 2, (height - crop_h) // 2
    return x0, y0, x0 + crop_w, y0 + crop_h


def random_mask(cells: int, ratio: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mask a share of ``cells`` x ``cells`` squares; at least one is masked and one visible where there are two."""
    count = min(max(1, round(cells * cells * ratio)), max(1, cells * cells - 1))
    masked = np.zeros(cells * cells, dtype=np.bool_)
    masked[rng.permutation(cells * cells)[:count]] = True
    return masked


def resize(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize ``[H, W, 3]``: areas are averaged where it shrinks, cubic where it grows."""
    shrinks = width < pixels.shape[1] or height < pixels.shape[0]
    resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(resized, dtype=np.uint8)


def normalise(pixels: NDArray[np.uint8]) -> Tensor:
    """Turn ``[B, H, W, 3]`` into ``[B, 3, H, W]`` float32 with SAM's colour mean and deviation."""
    images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
    return (images - torch.tensor(PIXEL_MEAN).reshape(3, 1, 1)) / torch.tensor(PIXEL_STD).reshape(3, 1, 1)


class ViewStream:
    """Draws masked views: a random crop of each image once per epoch, at times mirrored, with a random mask.

    An image that cannot be read is noted and another one takes its place.

    Args:
        images: the image files.
        side: side of the square views in pixels.
        batch: views a step, in all processes together.
        cells: squares along a side that are masked or visible.
        mask_ratio: share of them that is masked.
        min_scale: smallest crop, as a share of the image's area.
        seed: decides everything.
        threads: how many batches are prepared at a time.
        cache_gigabytes: of images kept in memory, shrunk to what the smallest crop needs.
        share: (number of this process, number of processes): each makes its share of every batch.

    Raises:
        NoImagesError: none of the images can be read.
    """

    def __init__(
        self,
        images: list[Path],
        *,
        side: int,
        batch: int,
        cells: int,
        mask_ratio: float,
        min_scale: float = 0.2,
        seed: int = 0,
        threads: int = 1,
        cache_gigabytes: float = 2.0,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.images, self.side, self.batch_size, self.cells = images, side, batch, cells
        self.mask_ratio, self.min_scale, self.seed, self.threads = mask_ratio, min_scale, seed, threads
        self.positions = range(share[0], batch, share[1])
        self.skipped: dict[str, str] = {}
        """Why images could not be read, by their path."""
        self._cache: dict[int, NDArray[np.uint8]] = {}
        self._room = int(cache_gigabytes * 2**30)
        # Threads work on a few epochs at a time at most, unless there are fewer images than views in a batch.
        self._order = lru_cache(maxsize=4)(self._shuffled)
        self._lock = threading.Lock()
        if all(self.read(index) is None for index in range(len(images))):
            reason = next(iter(self.skipped.values()))
            raise NoImagesError(f"none of the {len(images)} images can be read; the first: {reason}")

    def read(self, index: int) -> NDArray[np.uint8] | None:
        """Read an image, shrunk so far that the smallest crop still has about a view's pixels; None if it is broken."""
        cached = self._cache.get(index)
        path = str(self.images[index])
        if cached is not None or path in self.skipped:
            return cached
        try:
            pixels = read_image(path)
        except ImageError as error:
            with self._lock:
                self.skipped[path] = str(error)
            return None
        needed = math.ceil(self.side / math.sqrt(self.min_scale))
        height, width = pixels.shape[:2]
        if min(height, width) > needed:
            factor = needed / min(height, width)
            pixels = resize(pixels, max(1, round(width * factor)), max(1, round(height * factor)))
        with self._lock:
            if pixels.nbytes <= self._room and index not in self._cache:
                self._room -= pixels.nbytes
                self._cache[index] = pixels
        return pixels

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self.seed, 1, epoch)).permutation(len(self.images))

    def _view(self, step: int, position: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        epoch, place = divmod(step * self.batch_size + position, len(self.images))
        rng = np.random.default_rng((self.seed, 2, step, position))
        masked = random_mask(self.cells, self.mask_ratio, rng)
        pixels = self.read(int(self._order(epoch)[place]))
        while pixels is None:
            pixels = self.read(int(rng.integers(len(self.images))))
        x0, y0, x1, y1 = random_crop(pixels.shape[0], pixels.shape[1], self.min_scale, rng)
        view = resize(np.ascontiguousarray(pixels[y0:y1, x0:x1]), self.side, self.side)
        return view[:, ::-1] if rng.random() < 0.5 else view, masked

    def batch(self, step: int) -> MaskedBatch:
        """Make this process's share of the batch of ``step``."""
        views = [self._view(step, position) for position in self.positions]
        return MaskedBatch(
            images=normalise(np.stack([view for view, _ in views])),
            masked=torch.from_numpy(np.stack([masked for _, masked in views])),
        )

    def iterate(self, first: int, last: int) -> Iterator[MaskedBatch]:
        """Yield the batches of steps ``first`` to ``last`` (exclusive), two per thread ahead."""
        with ThreadPoolExecutor(self.threads, thread_name_prefix="views") as pool:
            ahead: list[Future[MaskedBatch]] = []
            try:
                for step in range(first, last):
                    ahead.append(pool.submit(self.batch, step))
                    if len(ahead) > 2 * self.threads:
                        yield ahead.pop(0).result()
                while ahead:
                    yield ahead.pop(0).result()
            finally:
                for future in ahead:
                    future.cancel()

    def previews(self, count: int) -> tuple[NDArray[np.uint8], Tensor]:
        """Choose images that show how far training is, always the same and evenly spaced over the folder.

        Returns:
            Their middle squares, uint8 ``[n, S, S, 3]``, and what is masked of each, bool ``[n, N]``.
        """
        squares, masks = [], []
        count = min(count, len(self.images))
        for number in range(count):
            start = number * len(self.images) // count
            end = (number + 1) * len(self.images) // count
            pixels = next((read for index in range(start, end) if (read := self.read(index)) is not None), None)
            if pixels is None:
                continue
            height, width = pixels.shape[:2]
            short = min(height, width)
            y0, x0 = (height - short) // 2, (width - short) // 2
            square = np.ascontiguousarray(pixels[y0 : y0 + short, x0 : x0 + short])
            squares.append(resize(square, self.side, self.side))
            masks.append(random_mask(self.cells, self.mask_ratio, np.random.default_rng((self.seed, 3, number))))
        return np.stack(squares), torch.from_numpy(np.stack(masks))
