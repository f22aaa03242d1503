"""Small holes and islands of masks."""

from __future__ import annotations

import math
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from anymask.segment import rle
from anymask.segment.rle import RLE


def fill_small_holes(mask: NDArray[np.bool_], min_area: float) -> NDArray[np.bool_]:
    """Fill every background region of fewer than ``min_area`` pixels; diagonal neighbours are connected.

    Returns the mask ``[H, W]`` itself if there is none. Pockets between the mask and the image's border count too.
    """
    return _with_small_regions(mask, min_area, holes=True)


def drop_small_islands(mask: NDArray[np.bool_], min_area: float, *, keep_largest: bool = True) -> NDArray[np.bool_]:
    """Drop every foreground region of fewer than ``min_area`` pixels; diagonal neighbours are connected.

    Args:
        mask: bool ``[H, W]``.
        min_area: in pixels.
        keep_largest: the largest region stays even if it is smaller.

    Returns:
        The mask itself if there is nothing to drop.
    """
    return _with_small_regions(mask, min_area, holes=False, keep_largest=keep_largest)


def _with_small_regions(
    mask: NDArray[np.bool_], min_area: float, *, holes: bool, keep_largest: bool = True
) -> NDArray[np.bool_]:
    regions = cast(Any, np.ascontiguousarray(~mask if holes else mask).view(np.uint8))
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(regions, connectivity=8)
    areas = statistics[1:, cv2.CC_STAT_AREA]
    small = areas < min_area
    if not small.any():
        return mask
    if holes:
        foreground = np.concatenate([[True], small])
    else:
        if small.all() and keep_largest:
            small[np.argmax(areas)] = False
        foreground = np.concatenate([[False], ~small])
    cleaned: NDArray[np.bool_] = foreground[labels]
    return cleaned


def clean_mask(one: RLE, min_area: float, *, keep_largest: bool = True) -> tuple[RLE, bool]:
    """Fill small holes, then drop small islands, of a compressed mask.

    Args:
        one: the mask.
        min_area: regions of fewer pixels are small.
        keep_largest: the largest island stays even if it is small.

    Returns:
        The mask, and whether it was changed. Memory and time follow the mask's box.
    """
    height, width = one["size"]
    x0, y0, x1, y1 = (int(edge) for edge in rle.box([one])[0])
    # Background that goes on beyond a margin this wide is no small region, and is not mistaken for one.
    margin = math.ceil(min_area)
    left, top = max(x0 - margin, 0), max(y0 - margin, 0)
    # OpenCV numbers regions by squares of two by two pixels, and of equally large ones the first stays.
    left, top = left - left % 2, top - top % 2
    box = (left, top, min(x1 + margin, width), min(y1 + margin, height))
    before = rle.decode_crop(one, box)
    if before.size == 0 or not before.any():
        return one, False
    after = drop_small_islands(fill_small_holes(before, min_area), min_area, keep_largest=keep_largest)
    if after is before:
        return one, False
    return rle.encode_crop(after, box[:2], (height, width)), True
