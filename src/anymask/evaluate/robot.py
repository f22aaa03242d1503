"""The robot that clicks as a careful person would: in the middle of the largest error.

This is the rule of the interactive-segmentation literature (f-BRS, Sofiiuk et al. 2020; RITM, Sofiiuk et al.
2021) and of Kirillov et al. 2023, section 7.1:

1. The error has two regions: pixels of the object that the mask misses (false negatives) and pixels that it
   wrongly takes in (false positives).
2. In each, every pixel has the Euclidean distance to the nearest pixel that is not of the region; everything
   beyond the image's border counts as such.
3. Pixels that were clicked before count as distance 0.
4. The click goes to the pixel of the largest distance of both regions, the first in reading order if several
   have it: a foreground click among false negatives, a background click among false positives. Between
   equally large distances the false positives win, as in RITM's code.

The first click is the same rule with an empty mask: the centre of the object.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray


class Click(NamedTuple):
    """A click on a pixel of the original image, origin at the top left corner.

    ``x`` and ``y`` are the pixel's column and row, whole numbers and without the half that would lead to its
    centre: SAM adds half a pixel itself, and published evaluations pass the indices too. ``label`` is 1 on
    the object and 0 off it.
    """

    x: int
    y: int
    label: int


def first_click(target: NDArray[np.bool_]) -> Click | None:
    """Click the centre of the object.

    Args:
        target: the true mask, bool ``[H, W]``.

    Returns:
        A foreground click on the pixel farthest from the object's edge; None for an empty mask.
    """
    return next_click(target, np.zeros_like(target))


def next_click(target: NDArray[np.bool_], prediction: NDArray[np.bool_], clicked: Sequence[Click] = ()) -> Click | None:
    """Click the middle of the largest error; the rule is stated at the top of this module.

    Args:
        target: the true mask, bool ``[H, W]``.
        prediction: the mask so far, bool ``[H, W]``.
        clicked: the clicks so far; their pixels are not clicked again.

    Returns:
        The click, or None if there is no error except on pixels that were clicked before.

    Raises:
        ValueError: the masks are not boolean or not of one size.
    """
    if target.dtype != np.bool_ or prediction.dtype != np.bool_ or target.shape != prediction.shape:
        raise ValueError(
            f"target and prediction must be boolean masks of one size, got {target.dtype} {target.shape} and "
            f"{prediction.dtype} {prediction.shape}"
        )
    missed, missed_x, missed_y = _deepest_pixel(target & ~prediction, clicked)
    spilled, spilled_x, spilled_y = _deepest_pixel(prediction & ~target, clicked)
    if missed == 0 and spilled == 0:
        return None
    if missed > spilled:
        return Click(missed_x, missed_y, 1)
    return Click(spilled_x, spilled_y, 0)


def _deepest_pixel(region: NDArray[np.bool_], clicked: Sequence[Click]) -> tuple[float, int, int]:
    """Return the largest distance to the edge in bool ``[H, W]``, and the (x, y) where it is."""
    pixels = np.ascontiguousarray(region).view(np.uint8)
    left, top, width, height = cv2.boundingRect(pixels)
    if width == 0 or height == 0:
        return 0.0, 0, 0
    # Beyond the bounding box all is edge, as in the border of zeros, so the rest of the image changes
    # nothing.
    padded = np.zeros((height + 2, width + 2), dtype=np.uint8)
    padded[1:-1, 1:-1] = pixels[top : top + height, left : left + width]
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    for click in clicked:
        x, y = click.x - left, click.y - top
        if 0 <= x < width and 0 <= y < height:
            distance[y, x] = 0.0
    row, column = np.unravel_index(int(np.argmax(distance)), distance.shape)
    return float(distance[row, column]), int(column) + left, int(row) + top
