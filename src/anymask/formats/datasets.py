"""Data sets of images with instance masks, on disk: COCO files and SA-1B folders."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from anymask.errors import AnymaskError

Rle = dict[str, Any]


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


def _read_rgb(path: Path) -> NDArray[np.uint8]:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise DatasetError(f"cannot read the image {path}: it is missing or broken")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _to_rle(segmentation: Any, height: int, width: int, source: Path) -> Rle:
    if isinstance(segmentation, list):
        # Two corners enclose nothing, and pycocotools would take four numbers for a box.
        polygons = [polygon for polygon in segmentation if isinstance(polygon, list) and len(polygon) >= 6]
        if not polygons:
            raise DatasetError(f"{source}: a segmentation holds no polygon of at least three corners")
        merged: Rle = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
        return merged
    if isinstance(segmentation, dict) and "counts" in segmentation:
        size = segmentation.get("size")
        if size != [height, width]:
            raise DatasetError(f"{source}: an RLE of the size {size} is on an image of {[height, width]}")
        if isinstance(segmentation["counts"], list):
            if sum(segmentation["counts"]) != height * width:
                raise DatasetError(f"{source}: the run lengths of an RLE do not add up to its size {size}")
            rle: Rle = coco_mask.frPyObjects(segmentation, height, width)
            return rle
        return {"size": size, "counts": segmentation["counts"]}
    raise DatasetError(f"{source}: a segmentation is neither a list of polygons nor an RLE with counts")


def _load_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise DatasetError(f"{path} is not valid JSON: {error}") from error


def is_validation_name(file_name: str) -> bool:
    """Tell whether a file belongs to the held-out tenth: its name's CRC-32 is divisible by 10."""
    return zlib.crc32(file_name.encode()) % 10 == 0


@dataclass
class _ImageCache:
    """Keeps decoded images up to a number of bytes; decoding costs more than copying."""

    max_bytes: int
    pixels: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    used: int = 0

    def get(self, index: int, path: Path) -> NDArray[np.uint8]:
        found = self.pixels.get(index)
        if found is not None:
            return found
        image = _read_rgb(path)
        if self.used + image.nbytes <= self.max_bytes:
            self.pixels[index] = image
            self.used += image.nbytes
        return image


class CocoDataset:
    """Images with masks from a COCO instances file.

    Args:
        annotations: the JSON file, or a folder that holds ``annotations.json``.
        images: the image folder; ``images`` beside the JSON by default, else the JSON's own folder.
        split: "train" leaves the held-out tenth out (see :func:`is_validation_name`), "validation" is that
            tenth, "all" is everything.
        cache_bytes: decoded images kept in memory.
        only_exhaustive: leave out images whose entry says ``"exhaustive": false``: not all of their objects are
            annotated, which matters where what is unmarked counts as background, or where they are too many.

    Raises:
        DatasetError: a file is missing or not in COCO's layout.
    """

    def __init__(
        self,
        annotations: str | Path,
        images: str | Path | None = None,
        *,
        split: str = "all",
        cache_bytes: int = 0,
        only_exhaustive: bool = False,
    ) -> None:
        path = Path(annotations)
        if path.is_dir():
            path = path / "annotations.json"
        self.path = path
        content = _load_json(path)
        if not isinstance(content, dict) or "images" not in content or "annotations" not in content:
            raise DatasetError(f"{path} is not a COCO instances file: it needs the keys images and annotations")
        if split not in ("train", "validation", "all"):
            raise DatasetError(f"unknown split {split!r}: use train, validation or all")
        beside = path.parent / "images"
        self.folder = Path(images) if images is not None else (beside if beside.is_dir() else path.parent)
        try:
            self._read(content, split, only_exhaustive)
        except (KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"{path} is not a COCO instances file: {error!r}") from error
        self._cache = _ImageCache(cache_bytes)

    def _read(self, content: dict[str, Any], split: str, only_exhaustive: bool) -> None:
        names = {category["id"]: str(category["name"]) for category in content.get("categories", [])}
        self._images = [
            entry
            for entry in content["images"]
            if (split == "all" or is_validation_name(entry["file_name"]) == (split == "validation"))
            and (entry.get("exhaustive", True) or not only_exhaustive)
        ]
        self._sizes = {entry["id"]: (int(entry["height"]), int(entry["width"])) for entry in self._images}
        self._masks: dict[Any, list[Rle]] = {key: [] for key in self._sizes}
        self._categories: dict[Any, list[str]] = {key: [] for key in self._sizes}
        for annotation in content["annotations"]:
            key = annotation["image_id"]
            if key not in self._sizes or annotation.get("iscrowd"):
                continue
            rle = _to_rle(annotation.get("segmentation"), *self._sizes[key], self.path)
            self._masks[key].append(rle)
            self._categories[key].append(names.get(annotation.get("category_id"), ""))
        self._images = [entry for entry in self._images if self._masks[entry["id"]]]

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        """Give the file name of image ``index``."""
        return str(self._images[index]["file_name"])

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image ``index`` as RGB ``[H, W, 3]``."""
        pixels = self._cache.get(index, self.folder / self.name(index))
        height, width = self._sizes[self._images[index]["id"]]
        if pixels.shape[:2] != (height, width):
            raise DatasetError(
                f"the image {self.folder / self.name(index)} is {pixels.shape[1]} x {pixels.shape[0]}, "
                f"but its annotations are for {width} x {height}"
            )
        return pixels

    def masks(self, index: int) -> list[Rle]:
        """Give the masks of image ``index`` as compressed RLEs."""
        return self._masks[self._images[index]["id"]]

    def categories(self, index: int) -> list[str]:
        """Give the category name of each mask of image ``index``."""
        return self._categories[self._images[index]["id"]]


class Sa1bDataset:
    """Images with masks from a folder in SA-1B's layout: ``NAME.jpg`` beside ``NAME.json``.

    Args:
        folder: the folder; sub-folders are searched too.
        split: as for :class:`CocoDataset`.
        cache_bytes: decoded images kept in memory.

    Raises:
        DatasetError: the folder holds no such pair, or a JSON is not in SA-1B's layout.
    """

    def __init__(self, folder: str | Path, *, split: str = "all", cache_bytes: int = 0) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise DatasetError(f"{self.folder} is not a folder")
        if split not in ("train", "validation", "all"):
            raise DatasetError(f"unknown split {split!r}: use train, validation or all")
        images = [
            path
            for path in sorted(self.folder.rglob("*"))
            if path.suffix.lower() in (".jpg", ".jpeg", ".png") and path.with_suffix(".json").is_file()
        ]
        self._images = [
            path for path in images if split == "all" or is_validation_name(path.name) == (split == "validation")
        ]
        if not images:
            raise DatasetError(f"{self.folder} holds no NAME.jpg with a NAME.json beside it")
        self._cache = _ImageCache(cache_bytes)

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        """Give the file name of image ``index``."""
        return self._images[index].name

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image ``index`` as RGB ``[H, W, 3]``."""
        return self._cache.get(index, self._images[index])

    def masks(self, index: int) -> list[Rle]:
        """Give the masks of image ``index`` as compressed RLEs."""
        path = self._images[index].with_suffix(".json")
        content = _load_json(path)
        try:
            height, width = int(content["image"]["height"]), int(content["image"]["width"])
            return [_to_rle(entry["segmentation"], height, width, path) for entry in content["annotations"]]
        except (KeyError, TypeError) as error:
            raise DatasetError(f"{path} is not in SA-1B's layout: {error} is missing") from error

    def categories(self, index: int) -> list[str]:
        """Give an empty name for each mask: SA-1B has no categories."""
        return [""] * len(self.masks(index))
