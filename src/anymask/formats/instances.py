"""What every data set of images with instance masks has in common: what it answers, and how its files are read."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from anymask.errors import AnymaskError
from anymask.segment import rle
from anymask.segment.errors import ImageError, MaskError
from anymask.segment.pixels import ImageSource, read_image
from anymask.segment.rle import RLE

Rle = RLE

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".jp2", ".avif", ".ppm")
"""File names that end so are taken for images, in any case."""


class DatasetError(AnymaskError, ValueError):
    """A data set cannot be read; the message says which file and why."""


class InstanceDataset(Protocol):
    """What the trainer and the evaluation ask of a data set."""

    def __len__(self) -> int:
        """Count the images."""

    def name(self, index: int) -> str:
        """Name image ``index`` for messages."""

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image ``index`` as RGB ``[H, W, 3]``."""

    def masks(self, index: int) -> list[Rle]:
        """Give the masks of image ``index`` as compressed COCO RLEs of the image's size."""

    def categories(self, index: int) -> list[str]:
        """Give the category name of each mask ("" where there is none)."""


def read_rgb(source: ImageSource, name: Path | str) -> NDArray[np.uint8]:
    """Read an image as RGB ``[H, W, 3]``.

    Raises:
        DatasetError: it is missing or broken; the message names ``name``.
    """
    try:
        return read_image(source)
    except ImageError as error:
        raise DatasetError(f"cannot read the image {name}: {error}") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DatasetError: it is missing or not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise DatasetError(f"{path} is not valid JSON: {error}") from error
    except RecursionError as error:
        raise DatasetError(f"{path} is nested too deeply to be read") from error


def to_rle(segmentation: Any, height: int, width: int, source: Path) -> Rle:
    """Turn a COCO ``segmentation`` into a checked RLE of an image of ``height`` x ``width`` pixels.

    Raises:
        DatasetError: it is malformed or of another size; the message names the file ``source``.
    """
    if isinstance(segmentation, list):
        # Exporters leave slivers of one or two corners beside the real polygons; they enclose nothing.
        segmentation = [polygon for polygon in segmentation if not isinstance(polygon, list) or len(polygon) >= 6]
        if not segmentation:
            raise DatasetError(f"{source}: a segmentation holds no polygon of at least three corners")
    try:
        return rle.from_coco(segmentation, (height, width))
    except MaskError as error:
        raise DatasetError(f"{source}: {error}") from error


def check_size(pixels: NDArray[np.uint8], size: tuple[int, int], image: Path | str) -> NDArray[np.uint8]:
    """Return the pixels if they have the (height, width) that their annotations say.

    Raises:
        DatasetError: they have not.
    """
    height, width = size
    if pixels.shape[:2] != (height, width):
        raise DatasetError(
            f"the image {image} is {pixels.shape[1]} x {pixels.shape[0]}, but its annotations are for "
            f"{width} x {height}"
        )
    return pixels


def is_validation_name(file_name: str) -> bool:
    """Tell whether a file belongs to the held-out tenth: its name's CRC-32 is divisible by 10."""
    return zlib.crc32(file_name.encode()) % 10 == 0


def is_in_split(file_name: str, split: str) -> bool:
    """Tell whether a file belongs to "train", "validation" (see :func:`is_validation_name`) or "all".

    Raises:
        DatasetError: the split is none of them.
    """
    if split not in ("train", "validation", "all"):
        raise DatasetError(f"unknown split {split!r}: use train, validation or all")
    return split == "all" or is_validation_name(file_name) == (split == "validation")


@dataclass
class ImageCache:
    """Keeps decoded images up to a number of bytes; decoding costs more than copying."""

    max_bytes: int
    pixels: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    used: int = 0

    def get(self, index: int, path: Path) -> NDArray[np.uint8]:
        """Return image ``index``, which lies at ``path``, as RGB ``[H, W, 3]``."""
        found = self.pixels.get(index)
        if found is not None:
            return found
        image = read_rgb(path, path)
        if self.used + image.nbytes <= self.max_bytes:
            self.pixels[index] = image
            self.used += image.nbytes
        return image
