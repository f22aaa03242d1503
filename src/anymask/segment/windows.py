"""Low-resolution logits at the image's size, only where a mask is, and a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymask.segment.frame import Frame

STRIP_NUMBERS = 1 << 18
"""Numbers of a strip of full-size logits: as many as stay in a processor's cache."""


@dataclass(frozen=True)
class Taps:
    """Bilinear interpolation along one axis: output i is ``source[low] + weight * (source[high] - source[low])``."""

    low: Tensor
    high: Tensor
    weight: Tensor

    def __getitem__(self, chosen: slice) -> Taps:
        return Taps(self.low[chosen], self.high[chosen], self.weight[chosen])

    def rows(self, values: Tensor, first: int = 0) -> Tensor:
        """Interpolate between rows of ``[R, S]``, the first of which is row ``first`` of the source."""
        return torch.lerp(values[self.low - first], values[self.high - first], self.weight[:, None])


def bilinear_taps(source: int, target: int) -> Taps:
    """Return what bilinear resizing from ``source`` to ``target`` samples reads, with half-pixel centres."""
    scale = np.float32(source) / np.float32(target)
    position = torch.from_numpy((np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5))
    position = position.clamp(min=0.0)
    low = position.long().clamp(max=source - 1)
    return Taps(low, (low + 1).clamp(max=source - 1), position - low)


class _Axis:
    """One axis on its way from the low-resolution grid over the model's input to the image."""

    def __init__(self, grid: int, side: int, used: int, full: int) -> None:
        self.to_side, self.to_full = bilinear_taps(grid, side), bilinear_taps(used, full)
        # For every output sample the first and the last cell of the grid that it may depend on.
        self.first = self.to_side.low[self.to_full.low].numpy()
        self.last = self.to_side.high[self.to_full.high].numpy()

    def reached(self, cells: Tensor) -> slice:
        """Return the output samples that depend on any of the cells, widened to one stretch."""
        chosen = cells.nonzero()[:, 0].numpy()
        if not len(chosen):
            return slice(0, 0)
        return slice(
            int(np.searchsorted(self.last, chosen[0], "left")), int(np.searchsorted(self.first, chosen[-1], "right"))
        )

    def resize_rows(self, values: Tensor, chosen: slice) -> Iterator[tuple[slice, Tensor]]:
        """Resize rows of ``[grid, S]`` to the chosen outputs, and yield them in strips with their places."""
        to_full = self.to_full[chosen]
        first, last = int(to_full.low[0]), int(to_full.high[-1])
        at_side = self.to_side[first : last + 1].rows(values)
        at_a_time = max(1, STRIP_NUMBERS // values.shape[1])
        for start in range(0, len(to_full.low), at_a_time):
            strip = slice(start, start + at_a_time)
            yield strip, to_full[strip].rows(at_side, first)


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

    def restore(self, logits: Tensor) -> MaskWindow:
        """Threshold logits ``[grid, grid]`` (float32, on the CPU) at the image's size."""
        upper, lower = self.threshold + self.offset, self.threshold - self.offset
        cells = logits > lower
        rows, columns = self._rows.reached(cells.any(1)), self._columns.reached(cells.any(0))
        height, width = rows.stop - rows.start, columns.stop - columns.start
        corner = (columns.start, rows.start)
        if height <= 0 or width <= 0:
            return MaskWindow(np.zeros((0, 0), dtype=np.bool_), corner, 0, 0)
        # Columns are resized as rows of the transposed: rows are contiguous, and the grid is small.
        first, last = int(self._rows.first[rows.start]), int(self._rows.last[rows.stop - 1])
        across = torch.empty(width, last + 1 - first)
        transposed = logits[first : last + 1].T.contiguous()
        for strip, values in self._columns.resize_rows(transposed, columns):
            across[strip] = values
        band = torch.zeros(logits.shape[0], width)
        band[first : last + 1] = across.T
        mask = np.empty((height, width), dtype=np.bool_)
        above = below = 0
        for strip, values in self._rows.resize_rows(band, rows):
            numbers = values.numpy()
            np.greater(numbers, self.threshold, out=mask[strip])
            above += int(np.count_nonzero(numbers > upper))
            below += int(np.count_nonzero(numbers > lower))
        return MaskWindow(mask, corner, above, below)
