"""Data sets of images with instance masks, on disk: which there are, and how one is recognised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymask.formats.coco_dataset import CocoDataset
from anymask.formats.instances import DatasetError, InstanceDataset, Rle, is_validation_name, read_json
from anymask.formats.labelme_dataset import LabelMeDataset, is_labelme
from anymask.formats.mask_folder_dataset import MaskFolderDataset, is_mask_folder
from anymask.formats.sa1b_dataset import Sa1bDataset

__all__ = [
    "DATASET_KINDS",
    "CocoDataset",
    "DatasetError",
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

DATASET_KINDS = ("auto", "coco", "sa1b", "labelme", "masks")
"""What ``kind`` may be."""

_LAYOUTS = (
    "a COCO instances file or a folder with annotations.json (coco), NAME.jpg beside NAME.json in SA-1B's layout "
    "(sa1b), LabelMe's JSON files (labelme), or images/ and masks/ with equal names (masks)"
)
_JSON_FILES_LOOKED_AT = 20


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


def _coco_files(folder: Path) -> list[Path]:
    """List the COCO instances files that a folder holds under their usual names."""
    usual = folder / "annotations.json"
    if usual.is_file():
        return [usual]
    places = [place for place in (folder, folder / "annotations") if place.is_dir()]
    found = {path for place in places for pattern in ("instances*.json", "*coco*.json") for path in place.glob(pattern)}
    return sorted(found)


def _images_beside(annotations: Path, folder: Path) -> Path | None:
    """Find the image folder of COCO's own layout: ``annotations/instances_NAME.json`` and ``NAME/``."""
    name = annotations.stem.removeprefix("instances_")
    candidates = (folder / name, folder / "images" / name, folder / "images")
    return next((candidate for candidate in candidates if candidate.is_dir()), None)


def recognise(path: str | Path) -> str:
    """Tell how a data set is laid out, by looking at it.

    Returns:
        One of DATASET_KINDS other than "auto".

    Raises:
        DatasetError: there is nothing at the path, or it is laid out in none of the ways.
    """
    path = Path(path)
    if not path.exists():
        raise DatasetError(f"there is no data set at {path}: no such file or folder")
    if path.is_file():
        if path.suffix.lower() != ".json":
            raise DatasetError(f"{path} is not a data set; give {_LAYOUTS}")
        if is_labelme(read_json(path)):
            raise DatasetError(f"{path} is LabelMe's JSON of one image; give the folder that holds all of them")
        return "coco"
    if _coco_files(path):
        return "coco"
    if is_mask_folder(path):
        return "masks"
    for number, file in enumerate(sorted(path.rglob("*.json"))):
        if number >= _JSON_FILES_LOOKED_AT:
            break
        content = read_json(file)
        if is_labelme(content):
            return "labelme"
        if isinstance(content, dict) and {"image", "annotations"} <= content.keys():
            return "sa1b"
        if isinstance(content, dict) and {"images", "annotations"} <= content.keys():
            raise DatasetError(f"{file} seems to be a COCO instances file; give it instead of its folder")
    raise DatasetError(f"{path} is not a data set that anymask knows; it reads {_LAYOUTS}")


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
        kind: "coco", "sa1b", "labelme", "masks", or "auto" to recognise it by looking.
        images: image folder of a COCO file where it is not ``images`` beside it.
        split: "train" leaves out the tenth of the images whose name's CRC-32 is divisible by 10, "validation" is
            that tenth, "all" is everything.
        objects: what a mask picture holds; see :mod:`anymask.formats.mask_folder_dataset`.
        cache_bytes: decoded images kept in memory.

    Raises:
        DatasetError: the data set is missing, of an unknown layout, ambiguous or broken.
    """
    if kind not in DATASET_KINDS:
        raise DatasetError(f"unknown kind of data set {kind!r}: use {', '.join(DATASET_KINDS)}")
    path = Path(path).expanduser()
    if kind == "auto":
        kind = "coco" if images is not None else recognise(path)
    if kind == "coco":
        return _open_coco(path, images, split, cache_bytes)
    if images is not None:
        raise DatasetError(f"only COCO files have their images elsewhere; images was given for a {kind} data set")
    if kind == "sa1b":
        return Sa1bDataset(path, split=split, cache_bytes=cache_bytes)
    if kind == "labelme":
        return LabelMeDataset(path, split=split, cache_bytes=cache_bytes)
    return MaskFolderDataset(path, objects=objects, split=split, cache_bytes=cache_bytes)


def _open_coco(path: Path, images: str | Path | None, split: str, cache_bytes: int) -> CocoDataset:
    if path.is_dir():
        files = _coco_files(path)
        if len(files) > 1:
            names = ", ".join(str(file.relative_to(path)) for file in files)
            raise DatasetError(f"{path} holds several COCO files: {names}; give the one you mean instead of the folder")
        folder, path = path, files[0] if files else path
        if images is None and path != folder / "annotations.json":
            images = _images_beside(path, folder)
    elif images is None and path.parent.name == "annotations":
        images = _images_beside(path, path.parent.parent)
    return CocoDataset(path, images, split=split, cache_bytes=cache_bytes)
