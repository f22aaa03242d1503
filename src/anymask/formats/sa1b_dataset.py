"""Images with masks from a folder in SA-1B's layout."""

from __future__ import annotations

from pathlib import Path

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
)
from anymask.formats.sa1b import sa1b_masks
from anymask.segment.masks import Masks


class Sa1bDataset:
    """Images with masks from a folder in SA-1B's layout: ``NAME.jpg`` beside ``NAME.json``.

    Args:
        folder: the folder; sub-folders are searched too.
        split: as for :class:`anymask.formats.coco_dataset.CocoDataset`.
        cache_bytes: decoded images kept in memory.

    Raises:
        DatasetError: the folder holds no such pair, or a JSON is not in SA-1B's layout.
    """

    def __init__(self, folder: str | Path, *, split: str = "all", cache_bytes: int = 0) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise DatasetError(f"{self.folder} is not a folder")
        images = [
            path
            for path in sorted(self.folder.rglob("*"))
            if path.suffix.lower() in IMAGE_SUFFIXES and _json_beside(path).is_file()
        ]
        self._images = [path for path in images if is_in_split(path.name, split)]
        if not images:
            raise DatasetError(f"{self.folder} holds no NAME.jpg with a NAME.json beside it")
        self._cache = ImageCache(cache_bytes)

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        """Give the file name of image ``index``."""
        return self._images[index].name

    def _masks(self, index: int) -> Masks:
        path = _json_beside(self._images[index])
        return sa1b_masks(read_json(path), path)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image ``index`` as RGB ``[H, W, 3]``."""
        path = self._images[index]
        return check_size(self._cache.get(index, path), self._masks(index).size, path)

    def masks(self, index: int) -> list[Rle]:
        """Give the masks of image ``index`` as compressed RLEs."""
        return self._masks(index).rles

    def categories(self, index: int) -> list[str]:
        """Give the label of each mask of image ``index``, "" where it has none: the published files have no labels."""
        masks = self._masks(index)
        return [label or "" for label in masks.labels or [None] * len(masks)]


def _json_beside(image: Path) -> Path:
    """Return an image's JSON: ``NAME.jpg.json``, which tells images of one name apart, if it is there."""
    whole = image.with_name(f"{image.name}.json")
    return whole if whole.is_file() else image.with_suffix(".json")
