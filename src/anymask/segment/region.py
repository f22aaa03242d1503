"""The part of an image that everything mode is asked to stay inside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymask.segment.columns import to_numpy
from anymask.segment.errors import PromptError
from anymask.segment.masks import Masks


class Region:
    """A box or a mask of one image.

    Args:
        given: (x0, y0, x1, y1) in pixels of the image, clipped to it; or a mask of the image: booleans or numbers
            ``[H, W]`` (non-zero is inside), or a :class:`Masks` of length 1.
        size: (height, width) of the image.

    Attributes:
        box: (x0, y0, x1, y1) around the region in whole pixels, half-open.
        mask: bool ``[H, W]``, or None where the region is its box.

    Raises:
        PromptError: the region is malformed, empty or off the image.
    """

    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_] | None

    def __init__(self, given: Any, size: tuple[int, int]) -> None:
        height, width = size
        if isinstance(given, Masks):
            if len(given) != 1 or given.size != size:
                raise PromptError(
                    f"a region is one mask of an image {width} wide and {height} high; got {len(given)} of one "
                    f"{given.size[1]} wide and {given.size[0]} high"
                )
            array: NDArray[Any] = given.mask(0)
        else:
            try:
                array = to_numpy(given)
            except (TypeError, ValueError):
                array = np.array(None)
        if array.shape == (4,) and np.issubdtype(array.dtype, np.number):
            self.mask, self.box = None, self._clipped(array, width, height)
            return
        if array.shape != size or not (array.dtype == np.bool_ or np.issubdtype(array.dtype, np.number)):
            raise PromptError(
                f"a region is a box (x0, y0, x1, y1) or a mask of the image's size [{height}, {width}]; "
                f"got an array of type {array.dtype} and shape {list(array.shape)}"
            )
        self.mask = array != 0
        columns, rows = np.flatnonzero(self.mask.any(0)), np.flatnonzero(self.mask.any(1))
        if not len(columns):
            raise PromptError("the region is a mask without any pixel, so there is nowhere to look")
        self.box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)

    @staticmethod
    def _clipped(corners: NDArray[Any], width: int, height: int) -> tuple[int, int, int, int]:
        x0, y0, x1, y1 = corners.astype(np.float64).tolist()
        text = f"the region ({x0:g}, {y0:g}, {x1:g}, {y1:g})"
        if not np.isfinite([x0, y0, x1, y1]).all():
            raise PromptError(f"{text} must be of finite numbers")
        if x1 <= x0 or y1 <= y0:
            raise PromptError(
                f"{text} is empty: x1 must be larger than x0 and y1 than y0 (corners, not width and height)"
            )
        if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
            raise PromptError(f"{text} lies outside the image, which is {width} wide and {height} high")
        left, top, right, bottom = np.floor(max(x0, 0)), np.floor(max(y0, 0)), np.ceil(x1), np.ceil(y1)
        return int(left), int(top), int(min(right, width)), int(min(bottom, height))

    def holds(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which points ``[K, 2]`` (x, y) within the region's box are in the region, bool ``[K]``."""
        if self.mask is None or not len(points):
            return np.ones(len(points), dtype=np.bool_)
        columns, rows = points.astype(np.int64).T
        height, width = self.mask.shape
        inside: NDArray[np.bool_] = self.mask[rows.clip(max=height - 1), columns.clip(max=width - 1)]
        return inside

    def window(self, corner: tuple[int, int], shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return the region within the rectangle of shape (height, width) whose top left pixel is corner (x, y)."""
        (x, y), (height, width) = corner, shape
        if self.mask is not None:
            return self.mask[y : y + height, x : x + width]
        left, top, right, bottom = self.box
        columns, rows = np.arange(x, x + width), np.arange(y, y + height)
        return np.outer((rows >= top) & (rows < bottom), (columns >= left) & (columns < right))
