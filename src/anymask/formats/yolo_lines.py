"""Lines of YOLO's label files: a class and one ring of corners, as shares of the image's width and height."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymask.formats.instances import DatasetError
from anymask.segment import rle
from anymask.segment.polygons import Polygon, polygons_to_mask
from anymask.segment.rle import RLE

_OUTSIDE = 0.1
_WHOLE = 1e-3
_PAIRS_AT_ONCE = 4_000_000
_MOST_COMPARED = 300
_BAND = 32


@dataclass(frozen=True)
class Line:
    """What a line says.

    Attributes:
        place: its number in the file, from 1.
        class_number: of the class.
        rle: the mask.
        score: the confidence that ends the line, if there is one.
    """

    place: int
    class_number: int
    rle: RLE
    score: float | None


def join_rings(polygons: Sequence[Polygon]) -> NDArray[np.float64]:
    """Join exteriors and holes into one ring ``[K, 2]`` by bridges of no width, each walked there and back.

    By the even-odd rule the ring encloses exactly what the polygons do. A bridge goes along rows and columns, where it
    touches the centre of no pixel, to the nearest corner; or, of very many pieces, from one to the next.
    """
    rings = [ring.astype(np.float64) for polygon in polygons for ring in (polygon.exterior, *polygon.holes)]
    if len(rings) > _MOST_COMPARED:
        return _chained(rings)
    joined = rings[0]
    for ring in rings[1:]:
        near, start = _nearest(joined, ring)
        around = np.concatenate([ring[start:], ring[: start + 1]])
        turn = _turn(joined[near], around[0])
        joined = np.concatenate([joined[: near + 1], turn, around, turn, joined[near:]])
    return joined


def format_line(class_number: int, ring: NDArray[np.float64], size: tuple[int, int]) -> str:
    """Write a class's number and a ring in pixels of an image of (height, width).

    There are enough digits for :func:`read_lines` to give whole pixels back exactly.
    """
    height, width = size
    columns = {x: _share(x, width) for x in set(ring[:, 0].tolist())}
    rows = {y: _share(y, height) for y in set(ring[:, 1].tolist())}
    return " ".join([str(class_number), *(f"{columns[x]} {rows[y]}" for x, y in ring.tolist())])


def read_lines(file: Path, size: tuple[int, int]) -> list[Line]:
    """Read a label file of an image of (height, width); blank lines are left out.

    A pixel belongs to a mask if its centre lies inside the ring by the even-odd rule. Corners within a thousandth of a
    pixel of whole numbers are taken for these, and what lies outside the image is cut off.

    Raises:
        DatasetError: the file cannot be read, or a line is no mask; the message has its number.
    """
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{file} is not text in UTF-8: {error}") from error
    lines = []
    for place, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                lines.append(_read_line(place, line.split(), size))
            except ValueError as error:
                raise DatasetError(f"{file}, line {place}: {error}") from None
    return lines


def _read_line(place: int, fields: list[str], size: tuple[int, int]) -> Line:
    values = np.array([_number(field) for field in fields])
    if len(values) in (5, 6):
        raise ValueError(
            "a box, not a mask: five numbers are class, centre, width and height (a sixth is a confidence); "
            "boxes are prompts that masks can be made from, a mask has three corners or more"
        )
    if len(values) < 7:
        raise ValueError(
            f"a mask is a class and the x and y of three corners or more, and this is {' '.join(fields)!r}"
        )
    if values[0] < 0 or not values[0].is_integer():
        raise ValueError(f"a class is a whole number from 0, and this is {fields[0]}")
    score = float(values[-1]) if len(values) % 2 == 0 else None
    shares = values[1 : len(values) - (score is not None)].reshape(-1, 2)
    wild = (shares < -_OUTSIDE) | (shares > 1 + _OUTSIDE)
    if wild.any():
        raise ValueError(
            f"coordinates are shares of the image's width and height, from 0 to 1, and this is {shares[wild][0]:g}"
        )
    return Line(place, int(values[0]), _fill(shares * (size[1], size[0]), size), score)


def _number(field: str) -> float:
    try:
        value = float(field)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f"{field!r} is not a number")
    return value


def _fill(ring: NDArray[np.float64], size: tuple[int, int]) -> RLE:
    whole = np.rint(ring)
    ring = np.where(np.abs(ring - whole) <= _WHOLE, whole, ring)
    limit = np.array([size[1], size[0]])
    first = np.clip(np.floor(ring.min(axis=0)), 0, limit).astype(int)
    last = np.clip(np.ceil(ring.max(axis=0)), 0, limit).astype(int)
    width, height = np.maximum(last - first, 0).tolist()
    mask = polygons_to_mask([Polygon(ring - first)], (height, width))
    return rle.encode_part(mask, (int(first[0]), int(first[1])), size)


def _nearest(joined: NDArray[np.float64], ring: NDArray[np.float64]) -> tuple[int, int]:
    """Find the nearest corners of two rings along rows and columns, the first of equally near ones."""
    best = np.inf, 0, 0
    step = max(1, _PAIRS_AT_ONCE // len(joined))
    for first in range(0, len(ring), step):
        some = ring[first : first + step]
        distances = np.abs(some[:, None, 0] - joined[:, 0]) + np.abs(some[:, None, 1] - joined[:, 1])
        place, near = np.unravel_index(distances.argmin(), distances.shape)
        if distances[place, near] < best[0]:
            best = float(distances[place, near]), int(near), first + int(place)
    return best[1], best[2]


def _chained(rings: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Join rings from one first corner to the next, band by band of the image, and go back the same way."""
    rings = sorted(rings, key=lambda ring: (ring[0, 1] // _BAND, ring[0, 0], ring[0, 1]))
    there, back = [rings[0], rings[0][:1]], [rings[0][:1]]
    for before, ring in pairwise(rings):
        turn = _turn(before[0], ring[0])
        there += [turn, ring, ring[:1]]
        back += [turn, ring[:1]]
    # The last ring ends where the way back begins.
    return np.concatenate([*there, *back[-2::-1]])


def _turn(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the corner of a bridge ``[1, 2]`` that goes along a row first."""
    return np.array([[end[0], start[1]]])


def _share(value: float, side: int) -> str:
    text = f"{value / side:.{len(str(side)) + 3}f}"
    return text.rstrip("0").rstrip(".")
