"""What a box gives without any model: the yardstick's zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

GRAB_CUT_ITERATIONS = 5
_SEED = 0


def filled_box(box: Sequence[float], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Take everything in the box for the object.

    Args:
        box: (x0, y0, x1, y1) in pixels of the image, half-open; clipped to the image and rounded outwards to
            whole pixels.
        size: the image's (height, width) in pixels.

    Returns:
        bool ``[H, W]``.
    """
    x0, y0, x1, y1 = _whole_pixels(box, size)
    mask = np.zeros(size, dtype=np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def grab_cut(image: NDArray[np.uint8], box: Sequence[float]) -> NDArray[np.bool_]:
    """Cut the object out of the box with OpenCV's GrabCut (Rother, Kolmogorov and Blake 2004).

    Five iterations from the box; what is outside of it is background. Where GrabCut has no answer, this is
    the filled box, the best guess without it: a box that covers the whole image leaves no background to learn
    from, a tiny one too little foreground, and sometimes nothing is left of the object. The same input always
    gives the same mask; the seed of the calling thread's OpenCV generator is set.

    Args:
        image: RGB uint8 ``[H, W, 3]``. The order of the channels makes no difference.
        box: (x0, y0, x1, y1) in pixels of the image, half-open; clipped to the image and rounded outwards to
            whole pixels.

    Returns:
        bool ``[H, W]``.

    Raises:
        ValueError: the image is not uint8 ``[H, W, 3]``.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"the image must be RGB uint8 [H, W, 3], got {image.dtype} {list(image.shape)}")
    size = (image.shape[0], image.shape[1])
    x0, y0, x1, y1 = _whole_pixels(box, size)
    labels = np.zeros(size, dtype=np.uint8)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    rectangle = (x0, y0, x1 - x0, y1 - y0)
    cv2.setRNGSeed(_SEED)
    try:
        cv2.grabCut(
            np.ascontiguousarray(image),
            labels,
            rectangle,
            background,
            foreground,
            GRAB_CUT_ITERATIONS,
            cv2.GC_INIT_WITH_RECT,
        )
    except cv2.error:
        return filled_box(box, size)
    mask = np.asarray((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), dtype=np.bool_)
    return mask if mask.any() else filled_box(box, size)


def _whole_pixels(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    height, width = size
    x0, y0, x1, y1 = (float(value) for value in box)
    left, top = max(0, math.floor(x0)), max(0, math.floor(y0))
    right, bottom = min(width, math.ceil(x1)), min(height, math.ceil(y1))
    return left, top, max(left, right), max(top, bottom)
