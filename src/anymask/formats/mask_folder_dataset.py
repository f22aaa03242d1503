"""Images with masks that are pictures themselves: label maps, binary masks, or one file per object.

Three layouts::

    images/NAME.jpg   masks/NAME.png              one mask picture per image (also NAME_mask.png, NAME_masks.png)
    images/NAME.jpg   masks/NAME/*.png            a folder of objects per image
    NAME/images/*.png NAME/masks/*.png            a folder per image (the nuclei challenge of 2018)

``labels/`` may stand for ``masks/``. A file per object holds one object: what is brighter than half of its brightest
pixel. What one picture per image holds depends on ``objects``:

- "labels": every value but 0 is an object (of a colour picture, every colour but black);
- "components": the same, and parts that do not touch each other are objects of their own;
- "whole": all that is brighter than half is one object;
- "auto": a picture of one value besides 0, or nearly so (a black and white mask with smooth edges), is read as
  components of what is brighter than half, any other as labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anymask.formats.instances import IMAGE_SUFFIXES, DatasetError, ImageCache, Rle, check_size, is_in_split
from anymask.segment import rle

OBJECTS = ("auto", "labels", "components", "whole")
MASK_FOLDERS = ("masks", "labels")
_LOSSY = (".jpg", ".jpeg", ".webp")
_STEM_ENDINGS = ("", "_mask", "_masks", "_label")


def mask_folder(folder: Path) -> Path | None:
    """Return the sub-folder that holds masks, or None."""
    return next((folder / name for name in MASK_FOLDERS if (folder / name).is_dir()), None)


def is_mask_folder(folder: Path) -> bool:
    """Tell whether a folder is laid out in one of the ways that :class:`MaskFolderDataset` reads."""
    if mask_folder(folder) is not None:
        return True
    return any((inner / "images").is_dir() and mask_folder(inner) is not None for inner in folder.iterdir())


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())


class MaskFolderDataset:
    """Images with masks that are pictures; the module's docstring has the layouts.

    Images without a mask file are left out and counted in ``without_masks``; masks are read when asked for.

    Args:
        folder: the folder.
        objects: "auto", "labels", "components" or "whole", see the module's docstring.
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
        masks = mask_folder(self.folder)
        pairs = self._side_by_side(masks) if masks is not None else self._folder_per_image()
        self.without_masks = sum(not files for _, files in pairs)
        self._entries = [(image, files) for image, files in pairs if files and is_in_split(image.name, split)]
        self._cache = ImageCache(cache_bytes)
        self._masks: dict[int, list[Rle]] = {}

    def _side_by_side(self, masks: Path) -> list[tuple[Path, list[Path]]]:
        images = self.folder / "images"
        if not images.is_dir():
            raise DatasetError(f"{masks} holds masks, but there is no folder {images} with the images they belong to")
        pictures = _pictures(images)
        if not pictures:
            raise DatasetError(f"{images} holds no image ({', '.join(IMAGE_SUFFIXES)})")
        by_stem: dict[str, list[Path]] = {}
        for path in _pictures(masks):
            by_stem.setdefault(path.stem, []).append(path)
        pairs = []
        for image in pictures:
            inner = masks / image.stem
            files = _pictures(inner) if inner.is_dir() else []
            if not files:
                files = next((by_stem[stem] for end in _STEM_ENDINGS if (stem := image.stem + end) in by_stem), [])
            if len(files) > 1 and not inner.is_dir():
                raise DatasetError(f"{image} has several masks: {', '.join(file.name for file in files)}; keep one")
            pairs.append((image, files))
        if not any(files for _, files in pairs):
            raise DatasetError(
                f"no mask in {masks} belongs to an image in {images}: the mask of {pictures[0].name} would be "
                f"{pictures[0].stem}.png"
            )
        return pairs

    def _folder_per_image(self) -> list[tuple[Path, list[Path]]]:
        pairs = []
        for inner in sorted(self.folder.iterdir()):
            masks = mask_folder(inner) if inner.is_dir() else None
            if masks is None:
                continue
            pictures = _pictures(inner / "images") if (inner / "images").is_dir() else []
            if len(pictures) != 1:
                raise DatasetError(f"{inner / 'images'} must hold one image, not {len(pictures)}")
            pairs.append((pictures[0], _pictures(masks)))
        if not pairs:
            raise DatasetError(f"{self.folder} holds neither images/ and masks/ nor folders with both")
        return pairs

    def __len__(self) -> int:
        return len(self._entries)

    def name(self, index: int) -> str:
        """Give the file name of image ``index``."""
        return self._entries[index][0].name

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image ``index`` as RGB ``[H, W, 3]``."""
        path, files = self._entries[index]
        pixels = self._cache.get(index, path)
        masks = self.masks(index)
        if masks:
            height, width = masks[0]["size"]
            check_size(pixels, (height, width), path)
        elif self._size_of(files[0]) != pixels.shape[:2]:
            check_size(pixels, self._size_of(files[0]), path)
        return pixels

    def _size_of(self, path: Path) -> tuple[int, int]:
        values = _read_values(path)
        return values.shape[0], values.shape[1]

    def masks(self, index: int) -> list[Rle]:
        """Give the masks of image ``index`` as compressed RLEs; empty ones are left out."""
        if index not in self._masks:
            _, files = self._entries[index]
            if self._holds_one_object_a_file(index):
                found = [rle.encode_mask(_bright(_read_values(path))) for path in files]
                sizes = {tuple(mask["size"]) for mask in found}
                if len(sizes) > 1:
                    raise DatasetError(f"the masks in {files[0].parent} differ in size: {sorted(sizes)}")
                self._masks[index] = [mask for mask, area in zip(found, rle.area(found), strict=True) if area]
            else:
                self._masks[index] = [rle.encode_mask(mask) for mask in _split(_read_values(files[0]), self.objects)]
        return self._masks[index]

    def _holds_one_object_a_file(self, index: int) -> bool:
        _, files = self._entries[index]
        return files[0].parent not in (self.folder / name for name in MASK_FOLDERS)

    def categories(self, index: int) -> list[str]:
        """Give an empty name for each mask: pictures have no categories."""
        return [""] * len(self.masks(index))


def _read_values(path: Path) -> NDArray[np.int64]:
    """Read a mask's values ``[H, W]``: palette indices and whole numbers as they are, colours as one number each."""
    if path.suffix.lower() in _LOSSY:
        raise DatasetError(f"{path}: a mask must be stored without loss, as PNG, TIFF or BMP: JPEG changes its values")
    try:
        with Image.open(path) as picture:
            values = np.asarray(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError(f"cannot read the mask {path}: {' '.join(str(error).split())}") from error
    if values.ndim == 3 and values.shape[2] in (2, 4):
        values = values[..., :-1]
    if values.ndim == 2 or (values.ndim == 3 and (values == values[..., :1]).all()):
        plain = values if values.ndim == 2 else values[..., 0]
        if np.issubdtype(plain.dtype, np.floating) and not np.isfinite(plain).all():
            raise DatasetError(f"{path}: a mask holds numbers that are not finite")
        return plain.astype(np.int64)
    if values.ndim == 3 and values.shape[2] == 3:
        wide = values.astype(np.int64)
        return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
    raise DatasetError(f"{path}: a mask has one value or one colour a pixel; this one has the shape {values.shape}")


def _bright(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark what is brighter than half of the brightest pixel."""
    inside: NDArray[np.bool_] = values > values.max() / 2 if values.max() > 0 else values > 0
    return inside


def _is_black_and_white(values: NDArray[np.int64]) -> bool:
    distinct, counts = np.unique(values[values != 0], return_counts=True)
    if len(distinct) <= 1:
        return True
    # Smoothed edges leave a few greys between the two values of a binary mask.
    return bool(distinct[-1] == 255 and len(distinct) > 2 and counts[-1] >= 0.5 * counts.sum())


def _split(values: NDArray[np.int64], objects: str) -> Iterable[NDArray[np.bool_]]:
    """Yield the objects of one mask picture, bool ``[H, W]`` each, none empty."""
    if objects == "auto":
        if _is_black_and_white(values):
            values, objects = _bright(values).astype(np.int64), "components"
        else:
            objects = "labels"
    elif objects == "whole":
        values = _bright(values).astype(np.int64)
    for value in np.unique(values[values != 0]):
        mask = values == value
        if objects != "components":
            yield mask
            continue
        count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        for part in range(1, count):
            yield np.asarray(parts == part)
