"""Low-resolution logits at the image's size, only where a mask is, and a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymask.models.linear import linear
from anymask.segment.frame import Frame

COLUMNS_OF_STRIP = 256
STRIP_NUMBERS = 1 << 18
"""Numbers of a strip of full-size logits: as many as stay in a processor's cache."""


@dataclass(frozen=True)
class Taps:
    """Bilinear interpolation along one axis: output i is ``source[low] + weight * (source[high] - source[low])``."""

    low: Tensor
    high: Tensor
    weight: Tensor

    def as_matrix(self, source: int) -> Tensor:
        """The same as a matrix ``[outputs, source]`` to multiply with."""
        matrix = torch.zeros(len(self.low), source)
        matrix.scatter_add_(1, self.low[:, None], 1 - self.weight[:, None])
        return matrix.scatter_add_(1, self.high[:, None], self.weight[:, None])


def bilinear_taps(source: int, target: int) -> Taps:
    """Return what bilinear resizing from ``source`` to ``target`` samples reads, with half-pixel centres."""
    scale = np.float32(source) / np.float32(target)
    position = torch.from_numpy((np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5))
    position = position.clamp(min=0.0)
    low = position.long().clamp(max=source - 1)
    return Taps(low, (low + 1).clamp(max=source - 1), position - low)


class _Axis:
    """One axis on its way from the low-resolution grid over the model's input to the image.

    Both resizings are linear, so that together they are one matrix ``[full, grid]``. Few numbers of a row are not zero,
    but those of neighbouring rows are in the same columns, and a product with these alone is faster than picking
    values one by one.
    """

    def __init__(self, grid: int, side: int, used: int, full: int) -> None:
        to_side, to_full = bilinear_taps(grid, side), bilinear_taps(used, full)
        # For every output sample the first and the last cell of the grid that it may depend on.
        self.first = to_side.low[to_full.low].numpy()
        self.last = to_side.high[to_full.high].numpy()
        at_side = to_side.as_matrix(grid)[:used]
        weight = to_full.weight[:, None]
        self.matrix = torch.lerp(at_side[to_full.low], at_side[to_full.high], weight)

    def reached(self, cells: Tensor) -> slice:
        """Return the output samples that depend on any of the cells, widened to one stretch."""
        chosen = cells.nonzero()[:, 0].numpy()
        if not len(chosen):
            return slice(0, 0)
        return slice(
            int(np.searchsorted(self.last, chosen[0], "left")), int(np.searchsorted(self.first, chosen[-1], "right"))
        )

    def reads(self, outputs: slice) -> slice:
        """Return the cells that some outputs depend on."""
        return slice(int(self.first[outputs.start]), int(self.last[outputs.stop - 1]) + 1)

    def of(self, outputs: slice) -> Tensor:
        """The matrix ``[outputs, cells that they read]``."""
        return self.matrix[outputs, self.reads(outputs)]


def _strips(outputs: slice, size: int) -> Iterator[slice]:
    for start in range(outputs.start, outputs.stop, size):
        yield slice(start, min(start + size, outputs.stop))


@dataclass(frozen=True)
class MaskWindow:
    """A mask within the rectangle outside of which nothing can be.

    Attributes:
        mask: bool ``[h, w]``.
        corner: (x, y) of its top left pixel in the image.
        above: pixels whose logits exceed the upper threshold.
        below: pixels whose logits exceed the lower threshold.
    """

    mask: NDArray[np.bool_]
    corner: tuple[int, int]
    above: int
    below: int

    @property
    def stability(self) -> float:
        """Stability score: IoU of the masks at the upper and the lower threshold; NaN where both are empty."""
        return float(np.float32(self.above) / np.float32(self.below)) if self.below else float("nan")


class WindowRestorer:
    """Does what :meth:`Frame.restore_logits` does, for single masks and only where they are.

    Interpolation never leaves the range of what it reads, so pixels that read only logits under all thresholds need not
    be computed. Memory follows the mask's box: a byte a pixel, and floats for only as many rows as the model sees.

    Args:
        frame: where the image lies in the model's input.
        grid: side of the low-resolution logits.
        threshold: logit above which a pixel belongs to a mask.
        offset: how far the thresholds for stability lie above and below it.
    """

    def __init__(self, frame: Frame, grid: int, threshold: float, offset: float) -> None:
        self.threshold, self.offset = threshold, offset
        self._rows = _Axis(grid, frame.side, frame.input_height, frame.height)
        self._columns = _Axis(grid, frame.side, frame.input_width, frame.width)

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of the grid that the image reaches."""
        return int(self._rows.last[-1]) + 1, int(self._columns.last[-1]) + 1

    def restore(self, logits: Tensor) -> MaskWindow:
        """Threshold logits ``[grid, grid]``, or of only its ``cells``, at the image's size; float32, on the CPU."""
        upper, lower = self.threshold + self.offset, self.threshold - self.offset
        cells = logits > lower
        rows, columns = self._rows.reached(cells.any(1)), self._columns.reached(cells.any(0))
        height, width = rows.stop - rows.start, columns.stop - columns.start
        corner = (columns.start, rows.start)
        if height <= 0 or width <= 0:
            return MaskWindow(np.zeros((0, 0), dtype=np.bool_), corner, 0, 0)
        band = self._rows.reads(rows)
        across = torch.empty(width, band.stop - band.start)
        for strip in _strips(columns, COLUMNS_OF_STRIP):
            cells = logits[band, self._columns.reads(strip)]
            across[strip.start - columns.start : strip.stop - columns.start] = linear(self._columns.of(strip), cells)
        mask = np.empty((height, width), dtype=np.bool_)
        above = below = 0
        for strip in _strips(rows, max(1, STRIP_NUMBERS // width)):
            read = self._rows.reads(strip)
            cells = across[:, read.start - band.start : read.stop - band.start]
            numbers = linear(self._rows.of(strip), cells).numpy()
            np.greater(numbers, self.threshold, out=mask[strip.start - rows.start : strip.stop - rows.start])
            above += int(np.count_nonzero(numbers > upper))
            below += int(np.count_nonzero(numbers > lower))
        return MaskWindow(mask, corner, above, below)
