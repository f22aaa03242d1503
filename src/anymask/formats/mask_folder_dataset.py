"""Images with masks that are pictures themselves: label maps, binary masks, or one file per object.

:mod:`anymask.formats.mask_layouts` has the layouts, :mod:`anymask.formats.mask_pictures` what a picture holds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymask.formats.instances import IMAGE_SUFFIXES, DatasetError, ImageCache, Rle, check_size, is_in_split
from anymask.formats.mask_layouts import find_masks, mask_folder, read_masks
from anymask.formats.mask_pictures import OBJECTS, read_values
from anymask.formats.walk import files_below
from anymask.segment import rle


def is_mask_folder(folder: Path) -> bool:
    """Tell whether a folder is laid out in one of the ways that :class:`MaskFolderDataset` reads."""
    if mask_folder(folder) is not None:
        return True
    return any((inner / "images").is_dir() and mask_folder(inner) is not None for inner in folder.iterdir())


class MaskFolderDataset:
    """Images with masks that are pictures.

    Images without a mask file are left out and counted in ``without_masks``; masks are read when asked for.

    Args:
        folder: the folder.
        objects: "auto", "labels", "components" or "whole", see :mod:`anymask.formats.mask_pictures`.
        split: as for :class:`anymask.formats.coco_dataset.CocoDataset`.
        cache_bytes: decoded images kept in memory.

    Raises:
        DatasetError: the folder is in none of the layouts.
    """

    def __init__(self, folder: str | Path, *, objects: str = "auto", split: str = "all", cache_bytes: int = 0) -> None:
        self.folder = Path(folder)
        if objects not in OBJECTS:
            raise DatasetError(f"objects must be one of {', '.join(OBJECTS)}, not {objects!r}")
        if not self.folder.is_dir():
            raise DatasetError(f"{self.folder} is not a folder")
        self.objects = objects
        found = []
        for one in find_masks(self.folder):
            if isinstance(one, DatasetError):
                raise one
            if one.picture is not None:
                found.append((one.picture, one))
        paired = {image: one for image, one in found if one.files}
        self.without_masks = self._count_images(len(found)) - len(paired)
        self._entries = [(image, paired[image]) for image in sorted(paired) if is_in_split(image.name, split)]
        self._cache = ImageCache(cache_bytes)
        self._masks: dict[int, list[Rle]] = {}

    def _count_images(self, with_masks: int) -> int:
        """Count all images, of which ``with_masks`` have a file of masks.

        Raises:
            DatasetError: there is none, or none with masks.
        """
        masks, images = mask_folder(self.folder), self.folder / "images"
        if masks is None:
            if not with_masks:
                raise DatasetError(f"{self.folder} holds neither images/ and masks/ nor folders with both")
            return with_masks
        if not images.is_dir():
            raise DatasetError(f"{masks} holds masks, but there is no folder {images} with the images they belong to")
        first = next(files_below(images, IMAGE_SUFFIXES), None)
        if first is None:
            raise DatasetError(f"{images} holds no image ({', '.join(IMAGE_SUFFIXES)})")
        if not with_masks:
            raise DatasetError(
                f"no mask in {masks} belongs to an image in {images}: the mask of {first.name} would be "
                f"{first.stem}.png"
            )
        return sum(1 for _ in files_below(images, IMAGE_SUFFIXES))

    def __len__(self) -> int:
        return len(self._entries)

    def name(self, index: int) -> str:
        """Give the file name of image ``index``."""
        return self._entries[index][0].name

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image ``index`` as RGB ``[H, W, 3]``."""
        path, found = self._entries[index]
        pixels = self._cache.get(index, path)
        masks = self.masks(index)
        if masks:
            height, width = masks[0]["size"]
        else:
            height, width = read_values(found.files[0]).shape
        return check_size(pixels, (height, width), path)

    def masks(self, index: int) -> list[Rle]:
        """Give the masks of image ``index`` as compressed RLEs; empty ones are left out."""
        if index not in self._masks:
            found = read_masks(self._entries[index][1], self.objects)
            self._masks[index] = [mask for mask, area in zip(found, rle.area(found), strict=True) if area]
        return self._masks[index]

    def categories(self, index: int) -> list[str]:
        """Give an empty name for each mask: pictures have no categories."""
        return [""] * len(self.masks(index))
