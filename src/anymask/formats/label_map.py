"""A label map for each image: one picture whose values number the masks."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from anymask.formats.annotated import AnnotatedImage, Feature, Losses
from anymask.formats.format import FolderFormat, find_picture_of_key, name_of_key
from anymask.formats.instances import DatasetError
from anymask.formats.mask_layouts import MaskFiles, find_masks, read_image_of, read_mask_folder
from anymask.formats.one_layer import flatten
from anymask.formats.pictures import LABEL_MAP_SUFFIXES, MOST_LABELS, label_map_picture


class LabelMap(FolderFormat):
    """``images/NAME.jpg`` and ``masks/NAME.png``, grey with 16 bits: 0 is background, k + 1 mask k.

    A pixel of several masks goes to the smallest. Masks without a pixel, those that smaller ones cover wholly, and,
    where there are more than 65,535, the smallest are left out. Labels and scores are not written.

    Reading takes the layouts of :mod:`anymask.formats.mask_layouts`, by the rule "auto" of
    :mod:`anymask.formats.mask_pictures`; an image without a picture of masks is left out.
    """

    name = "label-map"
    title = "label maps: masks/NAME.png numbers the masks of images/NAME.jpg"
    file_suffix = ".png"
    carries = frozenset({Feature.HOLES, Feature.PARTS, Feature.ORDER, Feature.UNMASKED_IMAGES})

    def recognises(self, path: Path) -> bool:
        """Look for a picture of masks for an image, or for a grey picture of 16 bits."""
        if path.is_file():
            return _is_wide_grey(path)
        first = next(find_masks(path), None)
        return isinstance(first, MaskFiles) and not first.are_objects

    def read_each(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage | DatasetError]:
        """Read the masks of every image, or the one label map that is given."""
        if path.is_file():
            yield read_image_of(_alone(path, pictures))
        else:
            yield from read_mask_folder(path, pictures, are_objects=False)

    def files(self, image: AnnotatedImage, key: str, losses: Losses) -> Iterator[tuple[str, bytes]]:
        """Yield ``masks/KEY.png``."""
        losses.add_columns(image.masks, self.carries)
        _, layer = flatten(image.masks, MOST_LABELS, losses)
        stream = io.BytesIO()
        label_map_picture(layer).save(stream, "PNG")
        yield f"masks/{key}.png", stream.getvalue()

    def picture_place(self, key: str, suffix: str) -> str:
        """Say that pictures lie in ``images/``."""
        return f"images/{key}{suffix}"


def _is_wide_grey(path: Path) -> bool:
    if path.suffix.lower() not in LABEL_MAP_SUFFIXES:
        return False
    try:
        with Image.open(path) as picture:
            return picture.mode.startswith("I")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _alone(path: Path, pictures: Path | None) -> MaskFiles:
    """Find the picture of a label map that is given by itself."""
    picture = (
        find_picture_of_key(path.stem, [] if pictures is None else [pictures])
        or find_picture_of_key(path.stem, [path.parent], lambda name: name == path.name)
        or find_picture_of_key(path.stem, [path.parent.parent / "images"])
    )
    return MaskFiles(name_of_key(path.stem) if picture is None else picture.name, picture, (path,), False)
