"""Data sets of images with instance masks, on disk: which there are, and how one is recognised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymask.formats.annotated import FormatError
from anymask.formats.coco_dataset import CocoDataset
from anymask.formats.coco_places import coco_files, images_beside
from anymask.formats.format_dataset import FormatDataset
from anymask.formats.instances import DatasetError, InstanceDataset, Rle, is_validation_name
from anymask.formats.labelme_dataset import LabelMeDataset
from anymask.formats.mask_folder_dataset import MaskFolderDataset
from anymask.formats.read_and_write import existing, existing_folder
from anymask.formats.registry import FORMATS, find_format, recognise_format
from anymask.formats.sa1b_dataset import Sa1bDataset

__all__ = [
    "DATASET_KINDS",
    "CocoDataset",
    "DatasetError",
    "FormatDataset",
    "InstanceDataset",
    "LabelMeDataset",
    "MaskFolderDataset",
    "Rle",
    "Sa1bDataset",
    "SubsetDataset",
    "is_validation_name",
    "open_dataset",
    "recognise",
]

_SAME_READER = {"coco-polygons": "coco", "label-map": "masks", "one-bit": "masks"}
"""Formats that differ only in what is written."""

DATASET_KINDS = ("auto", "masks", *(name for name in FORMATS if name not in _SAME_READER))
"""What ``kind`` may be: every format, and "masks" for all folders of pictures of masks."""


class SubsetDataset:
    """Some images of a data set.

    Args:
        dataset: the data set.
        indices: which of its images, in this order.
    """

    def __init__(self, dataset: InstanceDataset, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, list(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def name(self, index: int) -> str:
        """Name image ``index``."""
        return self.dataset.name(self.indices[index])

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image ``index`` as RGB ``[H, W, 3]``."""
        return self.dataset.image(self.indices[index])

    def masks(self, index: int) -> list[Rle]:
        """Give the masks of image ``index``."""
        return self.dataset.masks(self.indices[index])

    def categories(self, index: int) -> list[str]:
        """Give the category name of each mask of image ``index``."""
        return self.dataset.categories(self.indices[index])


def recognise(path: str | Path) -> str:
    """Tell how a data set is laid out, by looking at it.

    Returns:
        One of DATASET_KINDS other than "auto".

    Raises:
        DatasetError: there is nothing at the path, or it is in no format.
    """
    name = recognise_format(Path(path)).name
    return _SAME_READER.get(name, name)


def open_dataset(
    path: str | Path,
    kind: str = "auto",
    *,
    images: str | Path | None = None,
    split: str = "all",
    objects: str = "auto",
    cache_bytes: int = 0,
) -> InstanceDataset:
    """Open a data set of images with instance masks.

    Args:
        path: the file or folder.
        kind: one of DATASET_KINDS or the name of a format, or "auto" to recognise it by looking.
        images: folder of the pictures where they are not in the format's usual place.
        split: "train" leaves out the tenth of the images whose name's CRC-32 is divisible by 10, "validation" is
            that tenth, "all" is everything.
        objects: what a mask picture holds; see :mod:`anymask.formats.mask_folder_dataset`.
        cache_bytes: decoded images kept in memory.

    Raises:
        DatasetError: the data set is missing, of an unknown kind, ambiguous or broken.
        MissingPackageError: a package is needed for the format.
    """
    path, pictures = existing(path), existing_folder(images)
    kind = recognise(path) if kind == "auto" else _kind(kind)
    if kind == "coco":
        return _open_coco(path, pictures, split, cache_bytes)
    if kind == "masks":
        if pictures is not None:
            raise DatasetError(f"pictures of masks belong to those in images/ beside them; for {path} leave images out")
        return MaskFolderDataset(path, objects=objects, split=split, cache_bytes=cache_bytes)
    # These two read a folder's files when they are asked for.
    if pictures is None and path.is_dir() and kind == "sa1b":
        return Sa1bDataset(path, split=split, cache_bytes=cache_bytes)
    if pictures is None and path.is_dir() and kind == "labelme":
        return LabelMeDataset(path, split=split, cache_bytes=cache_bytes)
    return FormatDataset(path, find_format(kind), pictures=pictures, split=split, cache_bytes=cache_bytes)


def _kind(name: str) -> str:
    if name in DATASET_KINDS:
        return name
    try:
        found = find_format(name).name
    except FormatError as error:
        raise DatasetError(f"unknown kind of data set {name!r}: use {', '.join(DATASET_KINDS)}") from error
    return _SAME_READER.get(found, found)


def _open_coco(path: Path, images: str | Path | None, split: str, cache_bytes: int) -> CocoDataset:
    if path.is_dir():
        files = coco_files(path)
        if len(files) > 1:
            names = ", ".join(str(file.relative_to(path)) for file in files)
            raise DatasetError(f"{path} holds several COCO files: {names}; give the one you mean instead of the folder")
        folder, path = path, files[0] if files else path
        if images is None and path != folder / "annotations.json":
            images = images_beside(path, folder)
    elif images is None and path.parent.name == "annotations":
        images = images_beside(path, path.parent.parent)
    return CocoDataset(path, images, split=split, cache_bytes=cache_bytes)
