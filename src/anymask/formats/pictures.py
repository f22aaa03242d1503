"""Single pictures of masks: a drawing, and the label map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anymask.atomic import write_atomically
from anymask.errors import AnymaskError
from anymask.segment.errors import MaskError
from anymask.segment.masks import Masks

DRAWING_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
LABEL_MAP_SUFFIXES = (".png", ".tif", ".tiff")
"""Only files that keep every value as it is."""

MOST_LABELS = 65_535
"""How many masks a label map can number."""


class PictureNameError(AnymaskError, ValueError):
    """A picture's file name does not say a format in which it can be written."""


def check_picture_name(path: str | Path, suffixes: tuple[str, ...]) -> Path:
    """Return the path if its name ends in one of the suffixes, in any case.

    Raises:
        PictureNameError: it does not.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise PictureNameError(f"{path} cannot be written: its name must end in {', '.join(suffixes)}")
    return path


def write_drawing(path: str | Path, drawing: Image.Image) -> None:
    """Write a drawing, in the format that the file's name says; it is whole or not there.

    Raises:
        PictureNameError: the name does not end in one of DRAWING_SUFFIXES.
        OSError: the file cannot be written.
    """
    write_atomically(check_picture_name(path, DRAWING_SUFFIXES), lambda beside: drawing.save(beside, quality=92))


def write_label_map(path: str | Path, masks: Masks) -> None:
    """Write all masks as one grey picture of 16 bits, whole or not there: 0 is background, k + 1 mask k.

    Smaller masks lie on top.

    Raises:
        PictureNameError: the name does not end in one of LABEL_MAP_SUFFIXES.
        MaskError: there are more masks than 16 bits can number.
        OSError: the file cannot be written.
    """
    path = check_picture_name(path, LABEL_MAP_SUFFIXES)
    if len(masks) > MOST_LABELS:
        raise MaskError(f"a label map holds at most {MOST_LABELS:,} masks, and these are {len(masks):,}")
    picture = label_map_picture(masks.label_map())
    write_atomically(path, lambda beside: picture.save(beside))


def label_map_picture(layer: NDArray[np.int32]) -> Image.Image:
    """Make a grey picture of 16 bits of an array ``[H, W]`` of numbers up to MOST_LABELS."""
    return Image.fromarray(layer.astype(np.uint16))
