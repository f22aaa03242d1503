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
"""Numbers of a strip of rows of full-size logits: as many as stay in a processor's cache."""


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
    and those of neighbouring rows are in the same columns: the matrix is kept as strips of rows with these alone. A
    product with them is faster than picking values one by one. All strips have one shape, because the library that
    multiplies them makes machine code for every new shape.

    Attributes:
        strip: outputs of a strip.
        strips: matrices ``[strip, cells of a strip]``; rows past the last output are zero.
        starts: the first cell of each strip.
    """

    def __init__(self, grid: int, side: int, used: int, full: int, strip: int) -> None:
        to_side, to_full = bilinear_taps(grid, side), bilinear_taps(used, full)
        # For every output sample the first and the last cell of the grid that it may depend on.
        self.first = to_side.low[to_full.low].numpy()
        self.last = to_side.high[to_full.high].numpy()
        self.strip = min(strip, full)
        begins = range(0, full, self.strip)
        ends = [min(begin + self.strip, full) - 1 for begin in begins]
        cells = max(int(self.last[end] - self.first[begin]) + 1 for begin, end in zip(begins, ends, strict=True))
        at_side = to_side.as_matrix(grid)
        self.starts, self.strips = [], []
        for begin, end in zip(begins, ends, strict=True):
            start = min(int(self.first[begin]), self.reach - cells)
            low, high = (at_side[taps[begin : end + 1], start : start + cells] for taps in (to_full.low, to_full.high))
            matrix = torch.zeros(self.strip, cells)
            matrix[: end + 1 - begin] = torch.lerp(low, high, to_full.weight[begin : end + 1, None])
            self.starts.append(start)
            self.strips.append(matrix)

    @property
    def reach(self) -> int:
        """Cells of the grid that outputs depend on."""
        return int(self.last[-1]) + 1

    def reached(self, cells: Tensor) -> slice:
        """Return the output samples that depend on any of the cells, widened to one stretch."""
        chosen = cells.nonzero()[:, 0].numpy()
        if not len(chosen):
            return slice(0, 0)
        return slice(
            int(np.searchsorted(self.last, chosen[0], "left")), int(np.searchsorted(self.first, chosen[-1], "right"))
        )

    def covering(self, outputs: slice) -> Iterator[tuple[int, Tensor, slice]]:
        """Yield the strips that make some outputs: the first output, the matrix and the cells of each."""
        for place in range(outputs.start // self.strip, -(-outputs.stop // self.strip)):
            matrix, start = self.strips[place], self.starts[place]
            yield place * self.strip, matrix, slice(start, start + matrix.shape[1])


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
        self._columns = _Axis(grid, frame.side, frame.input_width, frame.width, COLUMNS_OF_STRIP)
        rows_of_strip = max(1, STRIP_NUMBERS // frame.width)
        self._rows = _Axis(grid, frame.side, frame.input_height, frame.height, rows_of_strip)

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of the grid that the image reaches."""
        return self._rows.reach, self._columns.reach

    def restore(self, logits: Tensor) -> MaskWindow:
        """Threshold logits ``[grid, grid]``, or of only its ``cells``, at the image's size; float32, on the CPU."""
        # Whoever asks under autocast means the networks.
        with torch.autocast("cpu", enabled=False):
            return self._restore(logits)

    def _restore(self, logits: Tensor) -> MaskWindow:
        upper, lower = self.threshold + self.offset, self.threshold - self.offset
        logits = logits[: self._rows.reach, : self._columns.reach]
        there = logits > lower
        rows, columns = self._rows.reached(there.any(1)), self._columns.reached(there.any(0))
        height, width = rows.stop - rows.start, columns.stop - columns.start
        corner = (columns.start, rows.start)
        if height <= 0 or width <= 0:
            return MaskWindow(np.zeros((0, 0), dtype=np.bool_), corner, 0, 0)
        made = [linear(matrix, logits[:, cells]) for _, matrix, cells in self._columns.covering(columns)]
        across = torch.cat(made)
        # Strips are whole, and begin before the window.
        left = columns.start % self._columns.strip
        mask = np.empty((height, width), dtype=np.bool_)
        above = below = 0
        for first, matrix, cells in self._rows.covering(rows):
            inside = slice(max(rows.start, first), min(rows.stop, first + len(matrix)))
            strip = linear(matrix, across[:, cells]).numpy()
            numbers = strip[inside.start - first : inside.stop - first, left : left + width]
            part = np.greater(numbers, self.threshold, out=mask[inside.start - rows.start : inside.stop - rows.start])
            if self.offset:
                above += int(np.count_nonzero(numbers > upper))
                below += int(np.count_nonzero(numbers > lower))
            else:
                above += int(np.count_nonzero(part))
        return MaskWindow(mask, corner, above, below if self.offset else above)
