"""A picture of one bit for each mask."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anymask.formats.annotated import AnnotatedImage, Feature, Losses
from anymask.formats.format import FolderFormat
from anymask.formats.instances import DatasetError
from anymask.formats.mask_layouts import NO_MASKS, MaskFiles, find_masks, read_mask_folder


class OneBit(FolderFormat):
    """``images/NAME.jpg`` and ``masks/NAME/0000.png``, ``0001.png`` and so on: black, and white where the mask is.

    The folder of an image without masks holds one black picture, ``none.png``, which keeps the image's size. Labels and
    scores are not written.

    Reading takes the layouts of :mod:`anymask.formats.mask_layouts`, pictures of grey or colour too: what is brighter
    than half of the brightest pixel is the mask. An image without a picture of masks is left out.
    """

    name = "one-bit"
    title = "one-bit pictures: masks/NAME/0000.png for each mask of images/NAME.jpg"
    carries = frozenset(
        {
            Feature.HOLES,
            Feature.PARTS,
            Feature.OVERLAPS,
            Feature.EMPTY_MASKS,
            Feature.ORDER,
            Feature.UNMASKED_IMAGES,
        }
    )

    def recognises(self, path: Path) -> bool:
        """Look for a folder of pictures for an image."""
        first = next(find_masks(path), None) if path.is_dir() else None
        return isinstance(first, MaskFiles) and first.are_objects

    def read_each(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage | DatasetError]:
        """Read the masks of every image."""
        if not path.is_dir():
            raise DatasetError(f"{path} is not a folder, and masks of one bit lie in one: name that with masks/ in it")
        yield from read_mask_folder(path, pictures, are_objects=True)

    def files(self, image: AnnotatedImage, key: str, losses: Losses) -> Iterator[tuple[str, bytes]]:
        """Yield ``masks/KEY/0000.png`` and so on, or ``masks/KEY/none.png``."""
        losses.add_columns(image.masks, self.carries)
        digits = max(4, len(str(len(image.masks) - 1)))
        for index in range(len(image.masks)):
            yield f"masks/{key}/{index:0{digits}}.png", _one_bit_png(image.masks.mask(index))
        if not len(image.masks):
            yield f"masks/{key}/{NO_MASKS}", _one_bit_png(np.zeros(image.masks.size, dtype=np.bool_))

    def picture_place(self, key: str, suffix: str) -> str:
        """Say that pictures lie in ``images/``."""
        return f"images/{key}{suffix}"


def _one_bit_png(mask: NDArray[np.bool_]) -> bytes:
    stream = io.BytesIO()
    size = mask.shape[1], mask.shape[0]
    Image.frombytes("1", size, np.packbits(mask, axis=1).tobytes()).save(stream, "PNG")
    return stream.getvalue()
