"""The files of a project's pictures, and what a browser gets of them."""

from __future__ import annotations

import hashlib
import io
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anymask.segment.pixels import DEFAULT_MAX_PIXELS, FILE_FORMATS, image_size, read_image
from anymask.studio.errors import PictureError

THUMBNAIL_SIDE = 192
"""Long side of a thumbnail in pixels."""

_EXIF_ORIENTATION = 0x0112
_MOST_PIXELS_OF_PILLOW = 80_000_000
"""Above this Pillow warns when it opens a file; such files are read another way."""
_JPEG, _PNG, _WEBP = "image/jpeg", "image/png", "image/webp"
_AT_A_TIME = threading.Semaphore(2)
"""Pictures are decoded two at a time at most: one of 200 million pixels takes half a gigabyte."""


@dataclass(frozen=True)
class PictureFile:
    """A file as it is now.

    Attributes:
        path: where it is, links resolved.
        size: in bytes.
        changed: when it was last changed, in nanoseconds.
    """

    path: Path
    size: int
    changed: int

    def key(self, *what: object) -> str:
        """Name what was made of this file, by what decides how it is made; another name once the file has changed."""
        facts = "\0".join(map(str, (self.path, self.size, self.changed, *what)))
        return hashlib.sha256(facts.encode(errors="surrogateescape")).hexdigest()[:40]


def find_picture(folder: Path, name: str) -> PictureFile:
    """Find a picture of a folder, by its name relative to it.

    Raises:
        PictureError: it is gone, lies outside the folder, or is no file.
    """
    try:
        path = (folder / name).resolve(strict=True)
        facts = path.stat()
    except FileNotFoundError:
        raise PictureError(f"{name} is no longer in the folder: put it back, or go on with another picture") from None
    except (OSError, RuntimeError) as error:
        raise PictureError(f"{name} cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    if not path.is_relative_to(folder.resolve()):
        raise PictureError(f"{name} is a link to a file outside the folder, which is not followed: copy it into it")
    if not path.is_file():
        raise PictureError(f"{name} is no file")
    return PictureFile(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=20_000)
def shown_as_it_is(file: PictureFile) -> str | None:
    """Tell whether a browser shows a file's bytes with the pixels that ``read_image`` gives, but for colour profiles.

    Returns:
        The media type; None where the file must be converted.

    Raises:
        ImageError: it is no picture, or too large.
    """
    path = file.path
    height, width = image_size(path)
    if height * width > _MOST_PIXELS_OF_PILLOW:
        # Opened by Pillow for a look, such a file would be a warning or an error.
        return _JPEG if _starts_with(path, b"\xff\xd8\xff") else None
    with path.open("rb") as stream, Image.open(stream, formats=FILE_FORMATS) as image:
        # Asking for the orientation may decode the picture, after which this is no longer known.
        is_wide = any(";16" in str(tile[3]) for tile in image.tile)
        orientation = _orientation(image)
        if image.format in ("JPEG", "MPO"):
            # Browsers turn a JPEG by its EXIF block; the same said elsewhere in the file they do not know.
            same = orientation == _exif_orientation(image) and image.mode in ("L", "RGB")
            return _JPEG if same else None
        if orientation != 1 or getattr(image, "is_animated", False) or image.has_transparency_data:
            return None
        if image.format == "PNG":
            return _PNG if image.mode in ("1", "L", "P", "RGB") and not is_wide else None
        return _WEBP if image.format == "WEBP" and image.mode == "RGB" else None


def to_png(path: Path) -> bytes:
    """Convert a picture to PNG without loss, as ``read_image`` reads it.

    Raises:
        ImageError: it cannot be read.
    """
    with _AT_A_TIME:
        pixels = read_image(path)
        written = io.BytesIO()
        # It goes no further than this machine, so that time counts more than size.
        Image.fromarray(pixels).save(written, "PNG", compress_level=1)
        return written.getvalue()


def to_thumbnail(path: Path) -> bytes:
    """Make a picture small, as JPEG with a long side of at most ``THUMBNAIL_SIDE`` pixels.

    Raises:
        ImageError: it cannot be read.
    """
    with _AT_A_TIME:
        pixels = _read_small(path)
        height, width = pixels.shape[:2]
        scale = min(1.0, THUMBNAIL_SIDE / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        written = io.BytesIO()
        Image.fromarray(small).save(written, "JPEG", quality=80)
        return written.getvalue()


def _read_small(path: Path) -> NDArray[np.uint8]:
    """Read a picture; a large JPEG at a fraction of its size, which takes a fraction of the time."""
    height, width = image_size(path)
    if height * width > _MOST_PIXELS_OF_PILLOW or not _starts_with(path, b"\xff\xd8\xff"):
        return read_image(path)
    with path.open("rb") as stream, Image.open(stream, formats=("JPEG",)) as image:
        image.draft(image.mode, (2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE))
        return read_image(image, max_pixels=DEFAULT_MAX_PIXELS)


def _starts_with(path: Path, beginning: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(beginning)) == beginning


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:
        # As in reading: a damaged EXIF block must not cost the user a sound picture.
        return 1


def _exif_orientation(image: Image.Image) -> int:
    block = image.info.get("exif")
    if not block:
        return 1
    exif = Image.Exif()
    try:
        exif.load(block)
        return int(exif.get(_EXIF_ORIENTATION, 1))
    except Exception:
        return 1
