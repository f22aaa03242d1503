"""Polygons in files to run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymask.segment import rle
from anymask.segment.errors import MaskError
from anymask.segment.polygons import Polygon, polygons_to_mask
from anymask.segment.rle import RLE


def extent(polygons: Sequence[Polygon]) -> tuple[float, float, float, float]:
    """Return the box (x0, y0, x1, y1) of at least one polygon's exteriors."""
    corners = np.concatenate([np.asarray(polygon.exterior, dtype=np.float64) for polygon in polygons])
    (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return x0, y0, x1, y1


def rasterise(polygons: Sequence[Polygon], size: tuple[int, int]) -> RLE:
    """Encode the union of polygons in pixel corners as a mask of (height, width).

    A pixel belongs to it if its centre lies inside an exterior and in none of that polygon's holes, so that what
    :meth:`anymask.segment.masks.Masks.polygons` gives comes back exactly. What leaves the image is cut off. Time
    follows the polygons' box, not the image.

    Raises:
        MaskError: a ring is not at least three finite (x, y) points.
    """
    for polygon in polygons:
        for ring in (polygon.exterior, *polygon.holes):
            _check_ring(ring)
    height, width = size
    nothing = rle.encode_counts([height * width], size)
    if not polygons:
        return nothing
    x0, y0, x1, y1 = extent(polygons)
    left, top = int(min(max(np.floor(x0), 0), width)), int(min(max(np.floor(y0), 0), height))
    right, bottom = int(min(max(np.ceil(x1), 0), width)), int(min(max(np.ceil(y1), 0), height))
    if left >= right or top >= bottom:
        return nothing
    corner = np.array([left, top])
    moved = [Polygon(one.exterior - corner, [hole - corner for hole in one.holes]) for one in polygons]
    return rle.encode_crop(polygons_to_mask(moved, (bottom - top, right - left)), (left, top), size)


def _check_ring(ring: NDArray[np.floating[Any]]) -> None:
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3 or not np.isfinite(ring).all():
        raise MaskError(f"a ring is at least three finite (x, y) points [K, 2], got {list(ring.shape)}")
