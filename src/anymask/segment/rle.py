"""Run-length encoded masks in COCO's layout, over pycocotools.

An RLE is {"size": [height, width], "counts": bytes}. Runs go down the columns, starting with background.
Boxes are (x0, y0, x1, y1) in pixels, half-open: x1 is one past the last column that the mask touches.
"""

from collections.abc import Sequence
from typing import Any, TypedDict, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from anymask.segment.errors import MaskError


class RLE(TypedDict):
    """One compressed mask: size [height, width] and COCO's compressed counts."""

    size: list[int]
    counts: bytes


def encode_mask(mask: NDArray[np.bool_]) -> RLE:
    """Encode a mask [H, W]; any dtype, non-zero is foreground. Raises MaskError for another shape.

    Only the mask's bounding box is walked, so a small mask of a large image costs one scan for the box.
    """
    return encode_crop(mask, (0, 0), (mask.shape[0], mask.shape[1]) if mask.ndim == 2 else (0, 0))


def encode_crop(mask: NDArray[np.bool_], corner: tuple[int, int], size: tuple[int, int]) -> RLE:
    """Encode a mask [h, w] whose top left pixel lies at corner (x, y) of an image of size (height, width).

    Everything outside the crop is background. Raises MaskError for another shape, or a crop that leaves the image.
    """
    if mask.ndim != 2 or 0 in mask.shape:
        raise MaskError(f"expected one mask of shape [H, W] with at least one pixel, got {list(mask.shape)}")
    height, width = size
    x, y = corner
    if min(x, y) < 0 or y + mask.shape[0] > height or x + mask.shape[1] > width:
        raise MaskError(
            f"a crop of {mask.shape[1]} x {mask.shape[0]} pixels at {corner} does not lie in an image of "
            f"{width} x {height} pixels"
        )
    pixels = np.ascontiguousarray(mask if mask.dtype == np.bool_ else mask != 0).view(np.uint8)
    left, top, box_width, box_height = cv2.boundingRect(cast(Any, pixels))
    if box_width == 0 or box_height == 0:
        return encode_counts([height * width], (height, width))
    # One row of background under the crop ends every run at the bottom of its column.
    columns = np.zeros((box_width, box_height + 1), dtype=np.uint8)
    columns[:, :-1] = cv2.transpose(cast(Any, pixels[top : top + box_height, left : left + box_width]))
    flat = columns.reshape(-1)
    changes = np.empty(flat.shape, dtype=np.bool_)
    changes[0] = flat[0]
    np.not_equal(flat[1:], flat[:-1], out=changes[1:])
    steps = np.flatnonzero(changes)
    column, row = np.divmod(steps, box_height + 1)
    position = (column + left + x) * height + row + top + y
    starts, ends = position[0::2], position[1::2]
    # A run that reaches the bottom of the image goes on at the top of the next column.
    joined = np.flatnonzero(ends[:-1] == starts[1:])
    starts, ends = np.delete(starts, joined + 1), np.delete(ends, joined)
    bounds = np.empty(2 * len(starts) + 2, dtype=np.int64)
    bounds[0], bounds[-1] = 0, height * width
    bounds[1:-1:2], bounds[2:-1:2] = starts, ends
    counts = np.diff(bounds)
    return encode_counts(counts[:-1] if counts[-1] == 0 else counts, (height, width))


def encode_part(mask: NDArray[np.bool_], corner: tuple[int, int], size: tuple[int, int]) -> RLE:
    """Encode as :func:`encode_crop` does a part of a mask that may have no pixel at all: then all is background."""
    return encode_crop(mask, corner, size) if mask.size else encode_counts([size[0] * size[1]], size)


def encode_masks(masks: NDArray[np.bool_]) -> list[RLE]:
    """Encode masks [N, H, W], one at a time so that no second copy of the batch is made."""
    if masks.ndim != 3:
        raise MaskError(f"expected masks of shape [N, H, W], got {list(masks.shape)}")
    return [encode_mask(mask) for mask in masks]


def decode(rle: RLE) -> NDArray[np.bool_]:
    """Decode one mask to bool [H, W], in C order."""
    height, width = rle["size"]
    bounds = np.cumsum(decode_counts(rle))
    mask = np.zeros((height, width), dtype=np.bool_)
    if len(bounds) > 1:
        # Only the columns that hold foreground are unrolled and transposed.
        left = int(bounds[0]) // height
        right = (int(bounds[len(bounds) // 2 * 2 - 1]) - 1) // height + 1
        mask[:, left:right] = decode_crop(rle, (left, 0, right, height))
    return mask


def decode_crop(rle: RLE, box: Sequence[float]) -> NDArray[np.bool_]:
    """Decode only the pixels inside box (x0, y0, x1, y1, whole pixels inside the image), bool [h, w].

    Memory and time follow the box, not the image.
    """
    x0, y0, x1, y1 = (int(value) for value in box)
    height, width = rle["size"]
    if not (0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height):
        raise MaskError(f"the box {(x0, y0, x1, y1)} does not lie in a mask of {width} x {height} pixels")
    bounds = np.concatenate([[0], np.cumsum(decode_counts(rle))])
    bounds = np.clip(bounds, x0 * height, x1 * height)
    flat = np.repeat(np.arange(len(bounds) - 1) % 2 == 1, np.diff(bounds))
    columns = flat.reshape(x1 - x0, height)[:, y0:y1].view(np.uint8)
    if columns.size == 0:
        return np.zeros((y1 - y0, x1 - x0), dtype=np.bool_)
    # OpenCV transposes in blocks that fit the cache, many times faster than a strided copy.
    return np.asarray(cv2.transpose(cast(Any, columns)), dtype=np.uint8).view(np.bool_)


def area(rles: Sequence[RLE]) -> NDArray[np.int64]:
    """Return the number of foreground pixels of each mask, [N]."""
    areas = np.zeros(len(rles), dtype=np.int64)
    # pycocotools puts the number of masks into eight bits on the way, and NumPy 2 refuses 256.
    for first in range(0, len(rles), 255):
        areas[first : first + 255] = coco.area(list(rles[first : first + 255]))
    return areas


def box(rles: Sequence[RLE]) -> NDArray[np.float32]:
    """Return the tight box of each mask, [N, 4] of (x0, y0, x1, y1) half-open; zeros for an empty mask."""
    boxes = np.asarray(coco.toBbox(list(rles)), dtype=np.float64).reshape(len(rles), 4)
    boxes[:, 2:] += boxes[:, :2]
    boxes[area(rles) == 0] = 0.0
    return boxes.astype(np.float32)


def iou_matrix(first: Sequence[RLE], second: Sequence[RLE]) -> NDArray[np.float64]:
    """Return the intersection over union of every pair, [N, M]; 0 where both masks are empty.

    Raises MaskError if the masks are of different sizes.
    """
    sizes = {tuple(rle["size"]) for rle in [*first, *second]}
    if len(sizes) > 1:
        raise MaskError(f"masks of different image sizes cannot be compared: {sorted(sizes)}")
    if not first or not second:
        return np.zeros((len(first), len(second)))
    crowd = [0] * len(second)
    return np.asarray(coco.iou(list(first), list(second), crowd), dtype=np.float64)


def containment_matrix(first: Sequence[RLE], second: Sequence[RLE]) -> NDArray[np.float64]:
    """Return which fraction of each first mask lies in each second mask, [N, M]; 0 for an empty first mask.

    Raises MaskError if the masks are of different sizes.
    """
    sizes = {tuple(rle["size"]) for rle in [*first, *second]}
    if len(sizes) > 1:
        raise MaskError(f"masks of different image sizes cannot be compared: {sorted(sizes)}")
    if not first or not second:
        return np.zeros((len(first), len(second)))
    # The union with a "crowd" region is, in COCO's rule, the area of the first mask.
    inside = np.asarray(coco.iou(list(first), list(second), [1] * len(second)), dtype=np.float64)
    inside[area(first) == 0] = 0.0
    return inside


def merge(rles: Sequence[RLE], intersect: bool = False) -> RLE:
    """Return the union, or with intersect=True the intersection, of at least one mask of equal sizes."""
    sizes = {tuple(rle["size"]) for rle in rles}
    if len(sizes) != 1:
        raise MaskError(f"merging needs one or more masks of one size, got the sizes {sorted(sizes)}")
    return cast(RLE, coco.merge(list(rles), intersect=intersect))


def encode_counts(counts: Sequence[int] | NDArray[np.integer[Any]], size: tuple[int, int]) -> RLE:
    """Compress run lengths (down the columns, background first) of a mask of size (height, width).

    Raises MaskError if a run is negative or the runs do not add up to height * width.
    """
    height, width = int(size[0]), int(size[1])
    try:
        runs = np.asarray(counts)
    except ValueError as error:
        raise MaskError(f"run lengths are one flat list of whole numbers: {error}") from error
    if runs.size and not np.issubdtype(runs.dtype, np.integer):
        raise MaskError(f"run lengths are whole numbers, got {runs.dtype}")
    runs = runs.astype(np.int64).reshape(-1)
    _check_runs(runs, height, width)
    if (runs[1:] == 0).any():
        runs = _without_empty_runs(runs)
    return cast(RLE, coco.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width))


def decode_counts(rle: RLE) -> NDArray[np.int64]:
    """Return the run lengths of an RLE, background first.

    Raises MaskError if its counts are not COCO's compressed form.
    """
    symbols = np.frombuffer(rle["counts"], dtype=np.uint8).astype(np.int64) - 48
    if symbols.size == 0 or symbols.min() < 0 or symbols.max() > 63:
        raise MaskError(_FOREIGN_COUNTS)
    last = (symbols & 32) == 0
    if not last[-1]:
        raise MaskError(_FOREIGN_COUNTS)
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 8:
        raise MaskError(_FOREIGN_COUNTS)
    place = np.arange(symbols.size) - np.repeat(starts, lengths)
    values = np.add.reduceat((symbols & 31) << (5 * place), starts)
    negative = (symbols[ends] & 16) != 0
    values = values - np.where(negative, np.int64(1) << (5 * lengths), 0)
    # From the fourth on, each run is stored as its difference to the run of the same colour before it.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def from_coco(segmentation: Any, size: tuple[int, int]) -> RLE:
    """Read COCO's `segmentation` field: polygons, uncompressed or compressed RLE (str or bytes).

    size is the image's (height, width). Polygons are rasterised by pycocotools and united. Raises
    MaskError for anything else, for runs that do not fill the image, and for an RLE of another size.
    """
    height, width = int(size[0]), int(size[1])
    if isinstance(segmentation, dict) and {"size", "counts"} <= segmentation.keys():
        given, counts = segmentation["size"], segmentation["counts"]
        if not isinstance(given, Sequence) or list(given) != [height, width]:
            raise MaskError(f"the RLE has the size {given} (height, width), the image {[height, width]}")
        if isinstance(counts, str | bytes):
            return check({"size": [height, width], "counts": _as_bytes(counts)})
        return encode_counts(counts, (height, width))
    if isinstance(segmentation, Sequence) and not isinstance(segmentation, str | bytes):
        try:
            polygons = [np.asarray(polygon, dtype=np.float64).reshape(-1) for polygon in segmentation]
        except (TypeError, ValueError) as error:
            raise MaskError(f"a polygon is a flat list of numbers: {error}") from error
        if any(polygon.size < 6 or polygon.size % 2 for polygon in polygons):
            raise MaskError("a polygon needs at least three x, y pairs in one flat list")
        # pycocotools walks every pixel of an edge, so a wild coordinate would take all memory.
        reach = 10 * max(height, width) + 1000
        if not all((np.abs(polygon) <= reach).all() for polygon in polygons):
            raise MaskError(f"a polygon's coordinates must be finite and within {reach} pixels of the origin")
        # pycocotools takes a polygon of exactly four numbers for a box; six or more is never mistaken.
        rles = coco.frPyObjects([polygon.tolist() for polygon in polygons], height, width) if polygons else []
        return merge(rles) if rles else encode_counts([height * width], (height, width))
    raise MaskError(
        f"a segmentation is a list of polygons or a dict with 'size' and 'counts', got {type(segmentation).__name__}"
    )


def check(rle: RLE) -> RLE:
    """Return the RLE in canonical form if its runs fill its size exactly, else raise MaskError.

    pycocotools trusts its input, so everything that comes from a file goes through here first.
    """
    height, width = (int(value) for value in rle["size"])
    runs = decode_counts(rle)
    _check_runs(runs, height, width)
    if (runs[1:] == 0).any():
        return encode_counts(runs, (height, width))
    return {"size": [height, width], "counts": rle["counts"]}


_FOREIGN_COUNTS = "the counts are not COCO's compressed run lengths; lists of numbers are accepted too"


def _as_bytes(counts: str | bytes) -> bytes:
    try:
        return counts.encode("ascii") if isinstance(counts, str) else counts
    except UnicodeEncodeError:
        raise MaskError(_FOREIGN_COUNTS) from None


def _check_runs(runs: NDArray[np.int64], height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise MaskError(f"a mask's size is (height, width) of at least 1 each, got {(height, width)}")
    if height * width >= 1 << 32:
        raise MaskError(f"a mask of {width} x {height} pixels is too large: run lengths have 32 bits")
    if runs.size == 0 or runs.min() < 0 or runs.max() > height * width or runs.sum() != height * width:
        raise MaskError(
            f"run lengths must be non-negative and add up to height * width = {height * width}, "
            f"these add up to {int(runs.sum())}"
        )


def _without_empty_runs(runs: NDArray[np.int64]) -> NDArray[np.int64]:
    colour = np.arange(runs.size) % 2
    lengths, colours = runs[runs > 0], colour[runs > 0]
    first = np.flatnonzero(np.diff(colours, prepend=-1))
    merged = np.add.reduceat(lengths, first)
    return np.concatenate([[0], merged]) if colours[0] == 1 else merged
