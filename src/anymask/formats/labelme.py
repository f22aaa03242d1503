"""LabelMe's files: ``NAME.json`` with shapes beside the image."""

from __future__ import annotations

import base64
import binascii
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from anymask.formats.annotated import AnnotatedImage, Feature, Losses
from anymask.formats.format import FolderFormat, find_picture
from anymask.formats.instances import IMAGE_SUFFIXES, DatasetError, Rle, read_json, read_rgb, to_rle
from anymask.formats.walk import files_below
from anymask.segment import rle
from anymask.segment.errors import ImageError, MaskError
from anymask.segment.masks import Masks
from anymask.segment.pixels import image_size
from anymask.segment.polygons import Polygon, polygons_to_mask

SHAPES_WITHOUT_AREA = ("point", "line", "linestrip", "points")
"""Shapes that enclose nothing; they are left out."""

_SHAPES_WITH_AREA = ("polygon", "rectangle", "circle", "mask")
_VERSION = "5.5.0"
_UNLABELLED = "object"
_INSET = 0.01


class LabelMe(FolderFormat):
    """A JSON file per image, beside it, of shapes that LabelMe shows and edits.

    A part of a mask is a polygon if it has no holes and both LabelMe and anymask fill exactly its pixels, else a
    ``mask``. Parts of one mask share a ``group_id``. LabelMe needs a label: a mask without one is called "object" and
    has the flag ``unlabelled``, by which reading tells it from an object with that name. Masks without a pixel, scores
    and what else a shape has no place for are left out.

    Reading takes polygons, rectangles, circles and masks; points and lines have no area and are left out. Shapes with
    the same label and ``group_id`` are parts of one object. The image is the file that ``imagePath`` names, relative to
    the JSON; where that is missing, the ``imageData`` inside the JSON, else an image of the same name beside it.
    """

    name = "labelme"
    title = "LabelMe: NAME.json beside NAME.jpg"
    file_suffix = ".json"
    carries = frozenset(
        {
            Feature.HOLES,
            Feature.PARTS,
            Feature.OVERLAPS,
            Feature.ORDER,
            Feature.UNMASKED_IMAGES,
            Feature.NAMES,
            Feature.LABELS,
            Feature.UNLABELLED,
        }
    )

    def recognises(self, path: Path) -> bool:
        """Look for JSON with ``shapes``."""
        files = [path] if path.is_file() else files_below(path, (".json",))
        for _, file in zip(range(20), files, strict=False):
            if file.suffix.lower() != ".json":
                continue
            try:
                content = read_json(file)
            except DatasetError:
                continue
            if is_labelme(content):
                return True
        return False

    def read_each(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage | DatasetError]:
        """Read every JSON with shapes below the folder, or the one that is given, in the order of their names."""
        root = path if path.is_dir() else path.parent
        found = False
        for file in files_below(path, (".json",)) if path.is_dir() else [path]:
            try:
                content = read_json(file)
                if not is_labelme(content):
                    continue
                found = True
                yield _read_image(content, file, root, pictures)
            except DatasetError as error:
                found = True
                yield error
        if not found:
            raise DatasetError(f"{path} holds no JSON of LabelMe (with shapes)")

    def files(self, image: AnnotatedImage, key: str, losses: Losses) -> Iterator[tuple[str, bytes]]:
        """Yield ``KEY.json``."""
        masks = image.masks
        losses.add_columns(masks, self.carries)
        losses.add("masks without a pixel are left out", int((masks.areas == 0).sum()))
        height, width = masks.size
        content: dict[str, Any] = {
            "version": _VERSION,
            "flags": {},
            "shapes": [shape for index in range(len(masks)) for shape in _shapes(masks, index)],
            "imagePath": PurePosixPath(image.name).name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        yield f"{key}.json", json.dumps(content, separators=(",", ":")).encode()


def is_labelme(content: Any) -> bool:
    """Tell whether parsed JSON is what LabelMe saves for one image."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def stated_size(content: dict[str, Any]) -> tuple[int, int] | None:
    """Return the image's (height, width), if the JSON says it."""
    height, width = content.get("imageHeight"), content.get("imageWidth")
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def find_image(content: dict[str, Any], path: Path) -> Path | bytes | None:
    """Return the file, or the encoded bytes, of the image that the JSON at ``path`` is for; None if it is missing.

    Raises:
        DatasetError: the bytes inside the JSON are broken.
    """
    given = content.get("imagePath")
    # Paths saved on Windows have backslashes.
    named = path.parent / PureWindowsPath(given).as_posix() if isinstance(given, str) and given else None
    if named is not None and named.is_file():
        return named
    if content.get("imageData"):
        try:
            return base64.b64decode(content["imageData"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise DatasetError(f"cannot read the image inside {path}: its imageData is not base64") from error
    beside = (path.with_suffix(suffix) for suffix in IMAGE_SUFFIXES)
    return next((candidate for candidate in beside if candidate.is_file()), None)


def read_objects(content: dict[str, Any], size: tuple[int, int], path: Path) -> list[tuple[str, Rle]]:
    """Return the label ("" where there is none) and the mask of each object of an image of (height, width).

    Raises:
        DatasetError: a shape is broken; the message names the file and the shape.
    """
    parts: dict[tuple[str, Any], list[Rle]] = {}
    for number, shape in enumerate(content["shapes"]):
        try:
            mask = _rasterise(shape, size, path)
            group = shape.get("group_id")
            key = (_label(shape), ("group", group) if group is not None else ("shape", number))
            if mask is not None:
                parts.setdefault(key, []).append(mask)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            if isinstance(error, DatasetError):
                raise DatasetError(f"shape {number} of {error}") from error
            raise DatasetError(f"shape {number} of {path} is not LabelMe's: {error!r}") from error
    return [(label, rle.merge(masks)) for (label, _), masks in parts.items()]


def _label(shape: dict[str, Any]) -> str:
    label = str(shape.get("label") or "")
    flags = shape.get("flags")
    is_filled_in = label == _UNLABELLED and isinstance(flags, dict) and flags.get("unlabelled") is True
    return "" if is_filled_in else label


def _rasterise(shape: dict[str, Any], size: tuple[int, int], path: Path) -> Rle | None:
    """Turn one shape into an RLE of (height, width); None for a shape without area."""
    kind = shape.get("shape_type") or "polygon"
    if kind in SHAPES_WITHOUT_AREA:
        return None
    if kind not in _SHAPES_WITH_AREA:
        raise DatasetError(
            f"{path}: unknown shape_type {kind!r}; objects are {', '.join(_SHAPES_WITH_AREA)}, and "
            f"{', '.join(SHAPES_WITHOUT_AREA)} are left out"
        )
    height, width = size
    points = np.asarray(shape["points"], dtype=np.float64).reshape(-1, 2)
    if kind == "polygon":
        return to_rle([points.reshape(-1).tolist()], height, width, path)
    if len(points) != 2:
        raise DatasetError(f"{path}: a {kind} has two points, this one {len(points)}")
    (x0, y0), (x1, y1) = points
    if kind == "rectangle":
        return to_rle([[x0, y0, x1, y0, x1, y1, x0, y1]], height, width, path)
    if kind == "circle":
        radius = np.hypot(x1 - x0, y1 - y0)
        y, x = np.mgrid[0:height, 0:width] + 0.5
        return rle.encode_mask((x - x0) ** 2 + (y - y0) ** 2 <= radius**2)
    inside = read_rgb(base64.b64decode(shape["mask"]), f"of a mask shape inside {path}")[..., 0] > 0
    left, top = round(x0), round(y0)
    if left < 0 or top < 0:
        raise DatasetError(f"{path}: a mask begins outside the image, at ({left}, {top})")
    if left + inside.shape[1] > width or top + inside.shape[0] > height:
        raise DatasetError(
            f"{path}: a mask of {inside.shape[1]} x {inside.shape[0]} pixels at ({left}, {top}) leaves the image, "
            f"which is {width} x {height}"
        )
    return rle.encode_crop(inside, (left, top), size)


def _read_image(content: dict[str, Any], file: Path, root: Path, pictures: Path | None) -> AnnotatedImage:
    name, picture = _image_name(content, file, root), None
    if pictures is not None:
        picture = find_picture(name, [pictures]) or find_picture(PurePosixPath(name).name, [pictures])
    found = picture or find_image(content, file)
    size = stated_size(content)
    if size is None:
        if found is None:
            raise DatasetError(
                f"{file} does not say how large its image is, and the image {name} is not there: put it beside the "
                "JSON, or name the folder of the pictures (--pictures)"
            )
        try:
            size = image_size(found, max_pixels=None)
        except ImageError as error:
            raise DatasetError(f"cannot read the image of {file}: {error}") from error
    objects = read_objects(content, size, file)
    labels = [label or None for label, _ in objects]
    try:
        masks = Masks([mask for _, mask in objects], size, labels=labels if any(labels) else None)
    except MaskError as error:
        raise DatasetError(f"{file}: {error}") from error
    return AnnotatedImage(name, masks, found)


def _image_name(content: dict[str, Any], file: Path, root: Path) -> str:
    """Name the image relative to the folder; one that lies elsewhere as if it lay beside the JSON."""
    given = content.get("imagePath")
    folder = file.parent.relative_to(root)
    if not isinstance(given, str) or not PureWindowsPath(given).name:
        return (folder / f"{file.stem}.jpg").as_posix()
    path = PureWindowsPath(given)
    if not path.drive:
        # Images often lie in a folder of their own: ../images/NAME.jpg.
        place = os.path.relpath(file.parent / path.as_posix(), root)
        if not place.startswith(os.pardir):
            return Path(place).as_posix()
    return (folder / path.name).as_posix()


def _shapes(masks: Masks, index: int) -> Iterator[dict[str, Any]]:
    """Describe one mask by a shape for each of its parts."""
    polygons = masks.polygons(index)
    label = None if masks.labels is None else masks.labels[index]
    for polygon in polygons:
        points, mask = _polygon_shape(polygon) or _mask_shape(polygon)
        yield {
            "label": label or _UNLABELLED,
            "points": points,
            "group_id": index if len(polygons) > 1 else None,
            "description": "",
            "shape_type": "polygon" if mask is None else "mask",
            "flags": {} if label else {"unlabelled": True},
            "mask": mask,
        }


def _polygon_shape(polygon: Polygon) -> tuple[list[list[float]], None] | None:
    """Give the corners of a part, or None if LabelMe or anymask would fill other pixels than those of the part.

    LabelMe cuts coordinates down to whole numbers and paints the outline itself, so that the pixel behind a right or
    lower edge would belong to the polygon. These edges are moved a hundredth of a pixel inwards: too little to matter
    for a program that takes coordinates as they are.
    """
    if polygon.holes:
        return None
    corner, crop = _crop(polygon)
    ring = polygon.exterior.astype(np.float64)
    edges = np.roll(ring, -1, axis=0) - ring
    # Outlines keep the mask on their right: below it they run to the left, and on its right side downwards.
    below, right = edges[:, 0] < 0, edges[:, 1] > 0
    inset = np.stack([right | np.roll(right, 1), below | np.roll(below, 1)], axis=1) * _INSET
    inner = ring - corner - inset
    height, width = crop.shape
    drawn = Image.new("L", (width, height))
    ImageDraw.Draw(drawn).polygon([(x, y) for x, y in inner.tolist()], outline=1, fill=1)
    if not np.array_equal(np.asarray(drawn) > 0, crop):
        return None
    filled = rle.decode(rle.from_coco([inner.reshape(-1).tolist()], (height, width)))
    if not np.array_equal(filled, crop):
        return None
    return np.round(ring - inset, 2).tolist(), None


def _mask_shape(polygon: Polygon) -> tuple[list[list[float]], str]:
    """Give the first and the last pixel of a part's box, which LabelMe means by its two points, and its PNG file."""
    (left, top), crop = _crop(polygon)
    height, width = crop.shape
    stream = io.BytesIO()
    Image.fromarray(crop).save(stream, "PNG")
    last = [float(left + width - 1), float(top + height - 1)]
    return [[float(left), float(top)], last], base64.b64encode(stream.getvalue()).decode("ascii")


def _crop(polygon: Polygon) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return a part's top left pixel (x, y) and its pixels within its box, bool [h, w]."""
    low = polygon.exterior.min(axis=0).astype(np.int64)
    width, height = (polygon.exterior.max(axis=0).astype(np.int64) - low).tolist()
    moved = Polygon(polygon.exterior - low, [hole - low for hole in polygon.holes])
    return low, polygons_to_mask([moved], (height, width))
