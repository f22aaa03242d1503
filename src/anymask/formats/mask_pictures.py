"""Pictures whose values are masks: label maps, binary masks, or one object.

What a picture of several objects holds depends on ``objects``:

- "labels": every value but 0 is an object (of a colour picture, every colour but black);
- "components": the same, and parts that do not touch each other are objects of their own;
- "whole": all that is brighter than half is one object;
- "auto": a picture of one value besides 0, or nearly so (a black and white mask with smooth edges), is read as
  components of what is brighter than half, any other as labels. A picture of 16 bits or more whose one value is neither
  255 nor 65535 is a label map of one object.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anymask.formats.instances import DatasetError
from anymask.segment import rle
from anymask.segment.rle import RLE

OBJECTS = ("auto", "labels", "components", "whole")
_LOSSY = (".jpg", ".jpeg", ".webp")
_WHITE = (255, 65535)


def read_values(path: Path) -> NDArray[np.integer[Any]]:
    """Read a mask's values ``[H, W]``: palette indices and whole numbers as they are, colours as one number each.

    Values keep the file's type where they are whole numbers; colours are int64.

    Raises:
        DatasetError: the picture is missing or broken, of a lossy format, or holds no masks.
    """
    if path.suffix.lower() in _LOSSY:
        raise DatasetError(f"{path}: a mask must be stored without loss, as PNG, TIFF or BMP: JPEG changes its values")
    try:
        with Image.open(path) as picture:
            values = np.asarray(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError(f"cannot read the mask {path}: {' '.join(str(error).split())}") from error
    if values.ndim == 3 and values.shape[2] in (2, 4):
        values = values[..., :-1]
    if values.ndim == 2 or (values.ndim == 3 and (values == values[..., :1]).all()):
        plain = values if values.ndim == 2 else values[..., 0]
        if np.issubdtype(plain.dtype, np.floating) and not np.isfinite(plain).all():
            raise DatasetError(f"{path}: a mask holds numbers that are not finite")
        return plain if np.issubdtype(plain.dtype, np.integer) else plain.astype(np.int64)
    if values.ndim == 3 and values.shape[2] == 3:
        wide = values.astype(np.int64)
        return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
    raise DatasetError(f"{path}: a mask has one value or one colour a pixel; this one has the shape {values.shape}")


def read_object(path: Path) -> NDArray[np.bool_]:
    """Read a picture of one object, bool ``[H, W]``: what is brighter than half of its brightest pixel.

    Raises:
        DatasetError: as for :func:`read_values`.
    """
    return _bright(read_values(path))


def object_rles(values: NDArray[np.integer[Any]], objects: str) -> list[RLE]:
    """Find the objects of one mask picture ``[H, W]``, none empty, by rising values.

    Args:
        values: as :func:`read_values` gives them.
        objects: "auto", "labels", "components" or "whole"; see the module's docstring.
    """
    if objects == "auto":
        if _is_black_and_white(values):
            values, objects = _bright(values).astype(np.uint8), "components"
        else:
            objects = "labels"
    elif objects == "whole":
        values = _bright(values).astype(np.uint8)
    if objects != "components":
        return list(label_rles(values).values())
    found: list[RLE] = []
    for value in np.unique(values[values != 0]):
        _, parts = cv2.connectedComponents((values == value).astype(np.uint8), connectivity=8)
        found += label_rles(np.asarray(parts)).values()
    return found


def label_rles(values: NDArray[np.integer[Any]]) -> dict[int, RLE]:
    """Encode the pixels of each value but 0 in an array ``[H, W]``, by rising values, in one pass over the pixels."""
    height, width = values.shape
    flat = np.ascontiguousarray(values.T).reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    ends = np.append(starts[1:], flat.size)
    order = np.argsort(flat[starts], kind="stable")
    order = order[flat[starts][order] != 0]
    if order.size == 0:
        return {}
    found = {}
    labels, firsts = np.unique(flat[starts][order], return_index=True)
    for label, runs in zip(labels.tolist(), np.split(order, firsts[1:]), strict=True):
        bounds = np.empty(2 * len(runs) + 2, dtype=np.int64)
        bounds[0], bounds[-1] = 0, flat.size
        bounds[1:-1:2], bounds[2:-1:2] = starts[runs], ends[runs]
        counts = np.diff(bounds)
        found[label] = rle.encode_counts(counts[:-1] if counts[-1] == 0 else counts, (height, width))
    return found


def _bright(values: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Mark what is brighter than half of the brightest pixel."""
    inside: NDArray[np.bool_] = values > values.max() / 2 if values.max() > 0 else values > 0
    return inside


def _is_black_and_white(values: NDArray[np.integer[Any]]) -> bool:
    distinct, counts = np.unique(values[values != 0], return_counts=True)
    if len(distinct) <= 1:
        wide = values.dtype.itemsize in (2, 4)
        return not (wide and len(distinct) == 1 and int(distinct[0]) not in _WHITE)
    # Smoothed edges leave a few greys between the two values of a binary mask.
    return bool(distinct[-1] == 255 and len(distinct) > 2 and counts[-1] >= 0.5 * counts.sum())
