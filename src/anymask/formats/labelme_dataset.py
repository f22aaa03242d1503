"""Images with masks as LabelMe saves them: ``NAME.json`` with shapes beside the image."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymask.formats.instances import (
    IMAGE_SUFFIXES,
    DatasetError,
    ImageCache,
    Rle,
    check_size,
    is_in_split,
    read_json,
    read_rgb,
    to_rle,
)
from anymask.segment import rle

SHAPES_WITHOUT_AREA = ("point", "line", "linestrip", "points")
"""Shapes that enclose nothing; they are left out."""


def is_labelme(content: Any) -> bool:
    """Tell whether parsed JSON is what LabelMe saves for one image."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


class LabelMeDataset:
    """Images with masks from a folder of LabelMe's JSON files.

    Polygons, rectangles, circles and masks are objects; points and lines have no area and are left out. Shapes with
    the same label and ``group_id`` are parts of one object. The image is the file that ``imagePath`` names, relative
    to the JSON; where that is missing, the ``imageData`` inside the JSON, else an image of the same name beside it.

    Args:
        folder: the folder; sub-folders are searched too.
        split: as for :class:`anymask.formats.coco_dataset.CocoDataset`, by the image's name.
        cache_bytes: decoded images kept in memory.

    Raises:
        DatasetError: the folder holds no such JSON, or one is broken.
    """

    def __init__(self, folder: str | Path, *, split: str = "all", cache_bytes: int = 0) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise DatasetError(f"{self.folder} is not a folder")
        self._files: list[tuple[Path, str]] = []
        found = False
        for path in sorted(self.folder.rglob("*.json")):
            content = read_json(path)
            if not is_labelme(content):
                continue
            found = True
            name = _image_name(content, path)
            if content["shapes"] and is_in_split(name, split):
                self._files.append((path, name))
        if not found:
            raise DatasetError(f"{self.folder} holds no JSON file of LabelMe (with shapes)")
        self._cache = ImageCache(cache_bytes)

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        """Give the file name of image ``index``."""
        return self._files[index][1]

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image ``index`` as RGB ``[H, W, 3]``."""
        path, _ = self._files[index]
        content = read_json(path)
        pixels, source = self._pixels(index, content)
        size = _stated_size(content)
        return pixels if size is None else check_size(pixels, size, source)

    def _pixels(self, index: int, content: dict[str, Any]) -> tuple[NDArray[np.uint8], Path | str]:
        path, name = self._files[index]
        # Paths saved on Windows have backslashes.
        image = path.parent / PureWindowsPath(str(content.get("imagePath") or name)).as_posix()
        beside = [image, *(path.with_suffix(suffix) for suffix in IMAGE_SUFFIXES)]
        if not image.is_file() and content.get("imageData"):
            source = f"inside {path}"
            try:
                data = base64.b64decode(content["imageData"], validate=True)
            except (binascii.Error, TypeError, ValueError) as error:
                raise DatasetError(f"cannot read the image {source}: its imageData is not base64") from error
            return read_rgb(data, source), source
        there = next((candidate for candidate in beside if candidate.is_file()), None)
        if there is None:
            raise DatasetError(
                f"{path} is for the image {content.get('imagePath')}, which is not at {image}, and holds no "
                "imageData; put the image beside the JSON"
            )
        return self._cache.get(index, there), there

    def _objects(self, index: int) -> list[tuple[str, Rle]]:
        path, _ = self._files[index]
        content = read_json(path)
        size = _stated_size(content)
        if size is None:
            height, width, _ = self._pixels(index, content)[0].shape
            size = height, width
        parts: dict[tuple[str, Any], list[Rle]] = {}
        for number, shape in enumerate(content["shapes"]):
            try:
                mask = _rasterise(shape, size, path)
                label, group = str(shape.get("label") or ""), shape.get("group_id")
                key = (label, ("group", group) if group is not None else ("shape", number))
            except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                if isinstance(error, DatasetError):
                    raise DatasetError(f"shape {number} of {error}") from error
                raise DatasetError(f"shape {number} of {path} is not LabelMe's: {error!r}") from error
            if mask is not None:
                parts.setdefault(key, []).append(mask)
        return [(label, rle.merge(masks)) for (label, _), masks in parts.items()]

    def masks(self, index: int) -> list[Rle]:
        """Give the masks of image ``index`` as compressed RLEs."""
        return [mask for _, mask in self._objects(index)]

    def categories(self, index: int) -> list[str]:
        """Give the label of each mask of image ``index``."""
        return [label for label, _ in self._objects(index)]


def _image_name(content: dict[str, Any], path: Path) -> str:
    given = content.get("imagePath")
    return PureWindowsPath(given).name if isinstance(given, str) and given else path.with_suffix(".png").name


def _stated_size(content: dict[str, Any]) -> tuple[int, int] | None:
    height, width = content.get("imageHeight"), content.get("imageWidth")
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _rasterise(shape: dict[str, Any], size: tuple[int, int], path: Path) -> Rle | None:
    """Turn one shape into an RLE of (height, width); None for a shape without area."""
    kind = shape.get("shape_type") or "polygon"
    if kind in SHAPES_WITHOUT_AREA:
        return None
    height, width = size
    points = np.asarray(shape["points"], dtype=np.float64).reshape(-1, 2)
    if kind == "polygon":
        return to_rle([points.reshape(-1).tolist()], height, width, path)
    if len(points) != 2:
        raise DatasetError(f"{path}: a {kind} has two points, this one {len(points)}")
    (x0, y0), (x1, y1) = points
    if kind == "rectangle":
        return to_rle([[x0, y0, x1, y0, x1, y1, x0, y1]], height, width, path)
    mask = np.zeros(size, dtype=np.bool_)
    if kind == "circle":
        radius = np.hypot(x1 - x0, y1 - y0)
        y, x = np.mgrid[0:height, 0:width] + 0.5
        mask = (x - x0) ** 2 + (y - y0) ** 2 <= radius**2
    elif kind == "mask":
        inside = read_rgb(base64.b64decode(shape["mask"]), f"of a mask shape inside {path}")[..., 0] > 0
        left, top = round(x0), round(y0)
        if left < 0 or top < 0:
            raise DatasetError(f"{path}: a mask begins outside the image, at ({left}, {top})")
        part = mask[top : top + inside.shape[0], left : left + inside.shape[1]]
        if part.shape != inside.shape:
            raise DatasetError(
                f"{path}: a mask of {inside.shape[1]} x {inside.shape[0]} pixels at ({left}, {top}) leaves the image, "
                f"which is {width} x {height}"
            )
        part[:] = inside
    else:
        raise DatasetError(
            f"{path}: unknown shape_type {kind!r}; objects are polygon, rectangle, circle or mask, and "
            f"{', '.join(SHAPES_WITHOUT_AREA)} are left out"
        )
    return rle.encode_mask(mask)
