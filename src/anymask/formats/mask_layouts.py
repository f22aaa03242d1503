"""Folders of images whose masks are pictures: which of these belong to which image.

Three layouts::

    images/NAME.jpg   masks/NAME.png              one mask picture per image (also NAME_mask.png, NAME_masks.png)
    images/NAME.jpg   masks/NAME/*.png            a folder of objects per image
    NAME/images/*.png NAME/masks/*.png            a folder per image (the nuclei challenge of 2018)

``labels/`` may stand for ``masks/``, and NAME may lie in folders. ``masks/NAME.jpg.png`` belongs to ``images/NAME.jpg``
alone. A folder in ``masks/`` holds the objects of the image of its name, if there is such an image, or the masks of the
images in the folder of its name, if there is such a folder. Where that leaves both open, pictures of one bit are
objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from anymask.formats.annotated import AnnotatedImage
from anymask.formats.format import find_picture_of_key, name_of_key
from anymask.formats.instances import IMAGE_SUFFIXES, DatasetError
from anymask.formats.mask_pictures import object_rles, read_object, read_values
from anymask.formats.walk import folders_below
from anymask.segment import rle
from anymask.segment.masks import Masks
from anymask.segment.rle import RLE

MASK_FOLDERS = ("masks", "labels")
NO_MASKS = "none.png"
"""The one picture, all black, in the folder of objects of an image without masks."""

_STEM_ENDINGS = ("", "_mask", "_masks", "_label")


@dataclass(frozen=True)
class MaskFiles:
    """The pictures that hold one image's masks.

    Attributes:
        name: the image's file name relative to the folder of pictures.
        picture: the image's file, if it is there.
        files: the pictures of its masks, in their order.
        are_objects: each of them holds one object; else there is one, which holds all.
    """

    name: str
    picture: Path | None
    files: tuple[Path, ...]
    are_objects: bool


def mask_folder(folder: Path) -> Path | None:
    """Return the sub-folder that holds masks, or None."""
    return next((folder / name for name in MASK_FOLDERS if (folder / name).is_dir()), None)


def find_masks(
    folder: Path, pictures: Path | None = None, are_objects: bool | None = None
) -> Iterator[MaskFiles | DatasetError]:
    """Find the masks of every image, one folder's names in memory at a time.

    Args:
        folder: in one of the layouts of the module's docstring, or the folder of masks in it.
        pictures: where to look for images before ``images/``.
        are_objects: what the pictures in a folder in ``masks/`` are where no image tells.

    Yields:
        The masks of one image, or why they cannot be told.
    """
    if folder.name in MASK_FOLDERS and mask_folder(folder) is None:
        folder = folder.parent
    masks = mask_folder(folder)
    if masks is None:
        yield from _folder_per_image(folder)
        return
    images = _Images(masks, [place for place in (pictures, folder / "images") if place is not None and place.is_dir()])
    for inner, names in folders_below(masks, IMAGE_SUFFIXES):
        if not names:
            continue
        inside = inner.relative_to(masks).as_posix()
        if inner != masks and _holds_objects(inner / names[0], inside, images, are_objects):
            yield MaskFiles(*images.find(inside), tuple(inner / one for one in _in_order(names)), True)
        else:
            yield from _picture_per_image(inner, names, "" if inner == masks else f"{inside}/", images)


def read_masks(found: MaskFiles, objects: str = "auto") -> list[RLE]:
    """Read an image's masks, empty ones too.

    Args:
        found: the pictures.
        objects: what one that holds several objects holds; see :mod:`anymask.formats.mask_pictures`.

    Raises:
        DatasetError: a picture is broken, or they differ in size.
    """
    if not found.are_objects:
        return object_rles(read_values(found.files[0]), objects)
    rles = [rle.encode_mask(read_object(path)) for path in found.files]
    sizes = {(one["size"][0], one["size"][1]) for one in rles}
    if len(sizes) > 1:
        raise DatasetError(f"the masks in {found.files[0].parent} differ in size: {sorted(sizes)}")
    return rles


def read_mask_folder(folder: Path, pictures: Path | None, are_objects: bool) -> Iterator[AnnotatedImage | DatasetError]:
    """Read every image's masks, or why they cannot be read.

    Args:
        folder, pictures, are_objects: as for :func:`find_masks`.

    Raises:
        DatasetError: there are none.
    """
    found = False
    for one in find_masks(folder, pictures, are_objects):
        found = True
        if isinstance(one, DatasetError):
            yield one
        elif one.files:
            try:
                yield read_image_of(one)
            except DatasetError as error:
                yield error
    if not found:
        where = " and ".join(f"{name}/" for name in MASK_FOLDERS)
        raise DatasetError(
            f"{folder} holds no pictures of masks: neither {where} in it, nor folders with these, have any"
        )


def read_image_of(found: MaskFiles) -> AnnotatedImage:
    """Read one image's masks.

    Raises:
        DatasetError: as for :func:`read_masks`.
    """
    if not found.are_objects:
        values = read_values(found.files[0])
        masks = Masks(object_rles(values, "auto"), (values.shape[0], values.shape[1]))
        return AnnotatedImage(found.name, masks, found.picture)
    rles = read_masks(found)
    size = rles[0]["size"][0], rles[0]["size"][1]
    masks = Masks(rles, size)
    if [path.name for path in found.files] == [NO_MASKS] and masks.areas[0] == 0:
        masks = Masks.empty(size)
    return AnnotatedImage(found.name, masks, found.picture)


class _Images:
    """The images that the pictures below ``masks`` may belong to."""

    def __init__(self, masks: Path, folders: list[Path]) -> None:
        self.masks, self.folders = masks, folders

    def find(self, key: str) -> tuple[str, Path | None]:
        """Give an image's name, and its file if it is there."""
        picture = find_picture_of_key(key, self.folders, self._is_key)
        if picture is None:
            return name_of_key(key), None
        folder = next(folder for folder in self.folders if picture.is_relative_to(folder))
        return picture.relative_to(folder).as_posix(), picture

    def _is_key(self, name: str) -> bool:
        return (self.masks / name).is_dir() or (self.masks / f"{name}.png").is_file()


def _holds_objects(first: Path, inside: str, images: _Images, given: bool | None) -> bool:
    """Tell whether the folder ``inside`` the masks, which begins with the file ``first``, holds one image's objects."""
    has_picture = images.find(inside)[1] is not None
    is_nested = any((folder / inside).is_dir() for folder in images.folders)
    if has_picture != is_nested:
        return has_picture
    if given is not None:
        return given
    try:
        with Image.open(first) as picture:
            return picture.mode == "1"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _picture_per_image(
    folder: Path, names: list[str], inside: str, images: _Images
) -> Iterator[MaskFiles | DatasetError]:
    """Pair the pictures of one folder with the images that lie ``inside`` the folders of images."""
    best: dict[str, tuple[int, Path | None, list[Path]]] = {}
    for file in names:
        stem = Path(file).stem
        endings = [ending for ending in _STEM_ENDINGS if stem.endswith(ending) and stem != ending]
        looked = [(rank, *images.find(inside + stem.removesuffix(ending))) for rank, ending in enumerate(endings)]
        rank, name, picture = next((one for one in looked if one[2] is not None), looked[0])
        if name not in best or rank < best[name][0]:
            best[name] = rank, picture, [folder / file]
        elif rank == best[name][0]:
            best[name][2].append(folder / file)
    for name, (_, picture, files) in best.items():
        if len(files) == 1:
            yield MaskFiles(name, picture, (files[0],), False)
        else:
            several = ", ".join(file.name for file in files)
            yield DatasetError(f"{picture or name} has several masks: {several}; keep one")


def _folder_per_image(folder: Path) -> Iterator[MaskFiles | DatasetError]:
    for inner in sorted(folder.iterdir()):
        masks = mask_folder(inner) if inner.is_dir() else None
        if masks is None or inner.name.startswith("."):
            continue
        images = _pictures_in(inner / "images") if (inner / "images").is_dir() else []
        if len(images) != 1:
            yield DatasetError(f"{inner / 'images'} must hold one image, not {len(images)}")
            continue
        # Images of all folders may have one name.
        own = images[0].stem == inner.name
        name = images[0].name if own else f"{inner.name}/{images[0].name}"
        files = {path.name: path for path in _pictures_in(masks)}
        yield MaskFiles(name, images[0], tuple(files[one] for one in _in_order(list(files))), True)


def _pictures_in(folder: Path) -> list[Path]:
    """List a folder's own pictures by their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())


def _in_order(names: list[str]) -> list[str]:
    """Sort names by the numbers that they are, or else as text."""
    if all(Path(name).stem.isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(Path(name).stem), name))
    return sorted(names)
