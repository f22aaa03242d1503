"""Outlines of masks as polygons with holes, and back.

Coordinates are pixel corners in the image frame: the pixel in column x and row y is the square from
(x, y) to (x + 1, y + 1). So an outline encloses exactly the mask's area, a mask one pixel wide has an
outline, and a half-open box (x0, y0, x1, y1) is the outline's extent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from anymask.segment.errors import MaskError


@dataclass(frozen=True)
class Polygon:
    """One connected outline: exterior [K, 2] and holes, each [K, 2], float32 (x, y) pixel corners.

    Rings are not closed (the first point is not repeated), do not cross themselves, and run clockwise
    on the screen for the exterior, counter-clockwise for holes.
    """

    exterior: NDArray[np.float32]
    holes: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def area(self) -> float:
        """Area in pixels, without the holes."""
        return _signed_area(self.exterior) + sum(_signed_area(hole) for hole in self.holes)


def mask_to_polygons(mask: NDArray[np.bool_], tolerance: float = 0.0) -> list[Polygon]:
    """Trace a mask [H, W] into polygons, one for each 4-connected part, largest first.

    With tolerance 0 the outline follows the pixel edges, and `polygons_to_mask` gives the mask back
    exactly. With a tolerance in pixels, outlines are simplified (Douglas-Peucker) to stay within that
    distance; a ring that would collapse is kept as it is if it is an exterior and dropped if a hole.
    Raises MaskError for a wrong shape or a negative tolerance.
    """
    if mask.ndim != 2:
        raise MaskError(f"expected one mask of shape [H, W], got {list(mask.shape)}")
    if not tolerance >= 0:
        raise MaskError(f"the tolerance is a distance in pixels of at least 0, got {tolerance}")
    binary = np.ascontiguousarray(mask != 0).view(np.uint8)
    if not binary.any():
        return []
    _, parts = cv2.connectedComponents(cast(Any, binary), connectivity=4)
    exteriors: dict[int, NDArray[np.float32]] = {}
    holes: dict[int, list[NDArray[np.float32]]] = {}
    for ring in _trace_rings(binary):
        part = _part_beside(ring, parts)
        if _signed_area(ring) > 0:
            exteriors[part] = ring
        else:
            holes.setdefault(part, []).append(ring)
    polygons = []
    for part, exterior in exteriors.items():
        simplified = _simplify(exterior, tolerance)
        kept = (_simplify(hole, tolerance) for hole in holes.get(part, []))
        polygons.append(
            Polygon(exterior if simplified is None else simplified, [hole for hole in kept if hole is not None])
        )
    return sorted(polygons, key=lambda polygon: -_signed_area(polygon.exterior))


def polygons_to_mask(polygons: Sequence[Polygon], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Rasterise polygons into bool [H, W] of size (height, width).

    A pixel is foreground if its centre lies inside an exterior and outside that polygon's holes. Parts
    outside the image are cut off. Raises MaskError for rings that are not [K, 2] finite numbers, K >= 3.
    """
    height, width = size
    mask = np.zeros((height, width), dtype=np.bool_)
    for polygon in polygons:
        rows, columns = [], []
        for ring in [polygon.exterior, *polygon.holes]:
            ring_rows, ring_columns = _crossings(ring, height, width)
            rows.append(ring_rows)
            columns.append(ring_columns)
        row, column = np.concatenate(rows), np.concatenate(columns)
        if row.size == 0:
            continue
        top, left = int(row.min()), int(column.min())
        toggles = np.zeros((int(row.max()) - top + 1, int(column.max()) - left + 1), dtype=np.uint8)
        # Only the parity matters, and it survives the wrap-around of eight bits.
        np.add.at(toggles, (row - top, column - left), 1)
        inside = (np.cumsum(toggles, axis=1, dtype=np.uint8) & 1).view(np.bool_)
        window = mask[top : top + inside.shape[0], left : left + inside.shape[1]]
        window |= inside[:, : window.shape[1]]
    return mask


def _trace_rings(binary: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Follow all pixel-edge outlines; the mask lies on the right of the direction of travel.

    Every corner of an outline has one partner on its row of corners and one in its column. Sorted along
    the line, corners pair up first with second, third with fourth. Where two pixels touch diagonally,
    two corners share one place; they are told apart so that the pixels count as separate.
    """
    padded = np.pad(binary, 1)
    above_left, above_right = padded[:-1, :-1], padded[:-1, 1:]
    below_left, below_right = padded[1:, :-1], padded[1:, 1:]
    diagonal = (above_left == below_right) & (above_right == below_left) & (above_left != above_right)
    turning = (above_left ^ above_right ^ below_left ^ below_right).view(np.bool_)
    y, x = np.nonzero(turning | diagonal)
    double = diagonal[y, x]
    copies = np.where(double, 2, 1)
    second_copy = np.zeros(int(copies.sum()), dtype=np.int8)
    second_copy[np.cumsum(copies)[double] - 1] = 1
    falling = np.repeat(double & (above_left[y, x] == 0), copies)
    x, y = np.repeat(x, copies), np.repeat(y, copies)
    tie = second_copy ^ falling
    order = np.lexsort((tie, y, x))
    below = np.empty(len(x), dtype=np.int64)
    below[order[0::2]], below[order[1::2]] = order[1::2], order[0::2]
    partner_in_column = below.tolist()

    # Starting along a row of corners with the mask below means travelling to the right.
    mask_below = padded[y + 1, x + 1] == 1
    has_double = bool(double.any())
    seen = bytearray(len(x))
    rings = []
    for start in range(0, len(x), 2):
        if seen[start]:
            continue
        corner = start if mask_below[start] else start + 1
        path: list[int] = []
        while not seen[corner]:
            across = corner ^ 1
            seen[corner] = seen[across] = 1
            path += (corner, across)
            corner = partner_in_column[across]
        ring = np.stack([x[path], y[path]], axis=1)
        rings += _split_at_repeats(ring) if has_double else [ring]
    return [ring.astype(np.float32) for ring in rings]


def _split_at_repeats(ring: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cut a ring that touches itself at corners into rings that do not."""
    rings: list[NDArray[np.int64]] = []
    path: list[tuple[int, int]] = []
    position: dict[tuple[int, int], int] = {}
    for point in map(tuple, ring.tolist()):
        if point in position:
            loop = path[position[point] :]
            rings.append(np.array(loop))
            for passed in loop:
                del position[passed]
            del path[len(path) - len(loop) :]
        position[point] = len(path)
        path.append(point)
    rings.append(np.array(path))
    return rings


def _part_beside(ring: NDArray[np.float32], parts: NDArray[np.int32]) -> int:
    """Return the label of the mask part on the right of the ring's first edge."""
    (x0, y0), (x1, y1) = ring[:2].astype(int).tolist()
    if y0 == y1:
        return int(parts[y0, x0] if x1 > x0 else parts[y0 - 1, x1])
    return int(parts[y0, x0 - 1] if y1 > y0 else parts[y1, x0])


def _simplify(ring: NDArray[np.float32], tolerance: float) -> NDArray[np.float32] | None:
    if tolerance == 0:
        return ring
    reduced = cv2.approxPolyDP(cast(Any, np.ascontiguousarray(ring)), tolerance, True).reshape(-1, 2)
    simplified = np.asarray(reduced, dtype=np.float32)
    # A ring turned inside out by the simplification would change from mask to hole or back.
    if len(simplified) < 3 or _signed_area(simplified) * _signed_area(ring) <= 0:
        return None
    return simplified


def _signed_area(ring: NDArray[np.floating[Any]]) -> float:
    points = ring.astype(np.float64)
    following = np.roll(points, -1, axis=0)
    return float(np.sum(points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]) / 2)


def _crossings(ring: NDArray[np.floating[Any]], height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return row and first column inside or outside anew, for each edge crossing a row of pixel centres."""
    points = np.asarray(ring, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise MaskError(f"a ring is at least three finite (x, y) points [K, 2], got {list(points.shape)}")
    ends = np.roll(points, -1, axis=0)
    upper = np.where((points[:, 1] <= ends[:, 1])[:, None], points, ends)
    lower = np.where((points[:, 1] <= ends[:, 1])[:, None], ends, points)
    first = np.clip(np.ceil(upper[:, 1] - 0.5), 0, height).astype(np.int64)
    count = np.clip(np.ceil(lower[:, 1] - 0.5), 0, height).astype(np.int64) - first
    edge = np.repeat(np.arange(len(points)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    share = (row + 0.5 - upper[edge, 1]) / (lower[edge, 1] - upper[edge, 1])
    x = upper[edge, 0] + share * (lower[edge, 0] - upper[edge, 0])
    return row, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
