"""Images with masks from any format, for training and evaluation."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from anymask.formats.annotated import AnnotatedImage
from anymask.formats.format import Format
from anymask.formats.instances import DatasetError, ImageCache, Rle, check_size, is_in_split, read_rgb


class FormatDataset:
    """Images with masks from any format, read once; the masks stay compressed in memory, the pictures on disk.

    Images without masks, and masks without a pixel, are left out.

    Args:
        path: the file or folder.
        layout: its format.
        pictures: the folder of the pictures where they are not in the format's usual place.
        split: as for :class:`anymask.formats.coco_dataset.CocoDataset`, by the picture's file name.
        cache_bytes: decoded images kept in memory.

    Raises:
        DatasetError: something is missing, broken, or not in the format.
        MissingPackageError: a package is needed for the format.
    """

    def __init__(
        self, path: Path, layout: Format, *, pictures: Path | None = None, split: str = "all", cache_bytes: int = 0
    ) -> None:
        self.path = path
        self._images: list[AnnotatedImage] = []
        for image in layout.read(path, pictures):
            kept = image.masks[np.flatnonzero(image.masks.areas)].replace(logits=None)
            if len(kept) and is_in_split(PurePosixPath(image.name).name, split):
                self._images.append(AnnotatedImage(image.name, kept, image.picture))
        self._cache = ImageCache(cache_bytes)

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        """Give the file name of image ``index``."""
        return self._images[index].name

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image ``index`` as RGB ``[H, W, 3]``."""
        image = self._images[index]
        if image.picture is None:
            raise DatasetError(
                f"the picture of {image.name} in {self.path} was not found; give the folder of the pictures (images)"
            )
        if isinstance(image.picture, bytes):
            pixels = read_rgb(image.picture, image.name)
        else:
            pixels = self._cache.get(index, image.picture)
        return check_size(pixels, image.masks.size, image.name)

    def masks(self, index: int) -> list[Rle]:
        """Give the masks of image ``index`` as compressed RLEs."""
        return self._images[index].masks.rles

    def categories(self, index: int) -> list[str]:
        """Give the label of each mask of image ``index``, "" where it has none."""
        masks = self._images[index].masks
        return [label or "" for label in masks.labels or [None] * len(masks)]
