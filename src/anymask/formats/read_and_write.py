"""Masks read from files and written to them, in any format."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from anymask.formats.annotated import AnnotatedImage, FormatError, FormatWarning, Losses, picture_name
from anymask.formats.format import FolderFormat, Format, copy_picture, put_file
from anymask.formats.instances import DatasetError
from anymask.formats.registry import find_format, format_for_writing, recognise_format
from anymask.segment.masks import Masks


def read(
    path: str | Path,
    format: str | None = None,
    *,
    pictures: str | Path | None = None,
    failed: Callable[[DatasetError], object] | None = None,
) -> Iterator[AnnotatedImage]:
    """Read a data set's images with their masks, one after the other, in bounded memory.

    Args:
        path: the file or folder.
        format: a name from ``anymask formats``; recognised by looking if left out.
        pictures: the folder of the pictures where they are not in the format's usual place.
        failed: called with the error of an image that cannot be read, after which the next one follows. Without it the
            error is raised, and always so by formats that keep all images in one file.

    Raises:
        FormatError: the format is unknown.
        DatasetError: nothing is there, or it is in no known format; and, while reading, what is broken.
        MissingPackageError: a package is needed for the format.
    """
    source, folder = existing(path), existing_folder(pictures)
    chosen = format_for_reading(source, format)
    if failed is None:
        return chosen.read(source, folder)
    return _read_what_can_be(chosen.read_each(source, folder), failed)


def write(
    path: str | Path, images: Iterable[AnnotatedImage], format: str | None = None, *, with_pictures: bool = False
) -> Path:
    """Write images with their masks, one after the other, in bounded memory.

    Warns with FormatWarning, once for each thing, of what the format cannot hold. A single file is replaced when all is
    written, and stays as it was after an exception; a folder keeps what else is in it.

    Args:
        path: the file or folder; folders are made.
        images: what to write; :func:`read` gives such.
        format: a name from ``anymask formats``; if left out, the file's ending must say it.
        with_pictures: copy the pictures, as far as they are known, to where the format expects them.

    Returns:
        The path.

    Raises:
        FormatError: the format is unknown or not for this path, or an image cannot be written in it.
        MissingPackageError: a package is needed for the format.
        OSError: a file cannot be written.
    """
    target = Path(path).expanduser()
    chosen = format_for_writing(target, format)
    if isinstance(images, Masks):
        raise FormatError('write takes AnnotatedImage("name.jpg", masks) of each image; masks.save() writes one image')
    _warn(chosen, _write(chosen, target, images, with_pictures), stacklevel=3)
    return target


def save_masks(
    masks: Masks,
    path: str | Path,
    format: str | None = None,
    *,
    name: str | None = None,
    picture: str | Path | bytes | None = None,
    with_pictures: bool = False,
) -> Path:
    """Write one image's masks; the implementation of Masks.save.

    Warns as :func:`write` does.

    Args:
        masks: the masks.
        path: the file or folder. A format that keeps a file for each image writes exactly the file that is named, such
            as ``truck.json`` in SA-1B's layout, or else its folder.
        format: a name from ``anymask formats``; if left out, the file's ending must say it.
        name: the picture's file name, as the format will say it; that of ``picture`` by default, else the path's own
            with ".jpg" for its ending.
        picture: the picture's file or its encoded bytes, for formats that look into it and for ``with_pictures``.
        with_pictures: copy the picture to where the format expects it.

    Returns:
        The path.

    Raises:
        FormatError: the format is unknown or not for this path, the masks cannot be written in it, or a folder is
            written and neither ``name`` nor ``picture`` says for which picture.
        MissingPackageError: a package is needed for the format.
        OSError: a file cannot be written.
    """
    target = Path(path).expanduser()
    source = Path(picture).expanduser() if isinstance(picture, str) else picture
    one_file = _format_of_one_file(target, format)
    chosen = one_file or format_for_writing(target, format)
    if name is None and isinstance(source, Path):
        name = source.name
    if name is None:
        if one_file is None and chosen.is_folder:
            raise FormatError(
                f'{target} is to hold the masks of many pictures: say of which these are, as in name="truck.jpg"'
            )
        name = f"{target.stem}.jpg"
    image = AnnotatedImage(picture_name(name), masks, source)
    if one_file is None:
        losses = _write(chosen, target, [image], with_pictures)
    else:
        losses = _write_one_file(one_file, target, image, with_pictures)
    _warn(chosen, losses, stacklevel=4)
    return target


def existing(path: str | Path) -> Path:
    """Return the path of something that exists.

    Raises:
        DatasetError: it does not.
    """
    source = Path(path).expanduser()
    if not source.exists():
        raise DatasetError(f"there is nothing at {source}: no such file or folder")
    return source


def existing_folder(pictures: str | Path | None) -> Path | None:
    """Return the folder of pictures, if one is given.

    Raises:
        DatasetError: it is no folder.
    """
    if pictures is None:
        return None
    folder = Path(pictures).expanduser()
    if not folder.is_dir():
        raise DatasetError(f"there is no folder {folder} with pictures")
    return folder


def format_for_reading(source: Path, name: str | None) -> Format:
    """Return the format of a name, or the one that an existing file or folder is in.

    Raises:
        FormatError: the name is unknown.
        DatasetError: no format recognises it.
    """
    return recognise_format(source) if name is None else find_format(name)


def _read_what_can_be(
    images: Iterator[AnnotatedImage | DatasetError], failed: Callable[[DatasetError], object]
) -> Iterator[AnnotatedImage]:
    for image in images:
        if isinstance(image, DatasetError):
            failed(image)
        else:
            yield image


def _format_of_one_file(target: Path, name: str | None) -> FolderFormat | None:
    """Return the named format if it keeps a file for each image, and the target is to be such a file."""
    if name is None or target.is_dir():
        return None
    chosen = find_format(name)
    if isinstance(chosen, FolderFormat) and chosen.file_suffix == target.suffix.lower():
        return chosen
    return None


def _write(chosen: Format, target: Path, images: Iterable[AnnotatedImage], with_pictures: bool) -> Losses:
    losses = Losses()
    target.parent.mkdir(parents=True, exist_ok=True)
    with chosen.open_writer(target, losses, with_pictures) as writer:
        for image in images:
            writer.write(image)
    return losses


def _write_one_file(chosen: FolderFormat, target: Path, image: AnnotatedImage, with_pictures: bool) -> Losses:
    losses = Losses()
    image = replace(image, name=PurePosixPath(image.name).name)
    beside = target.with_name(image.name)
    is_picture = isinstance(image.picture, Path) and target.exists() and target.samefile(image.picture)
    if is_picture or (with_pictures and image.picture is not None and beside == target):
        raise FormatError(f"{target} is the picture, which the masks would replace: name another file")
    ((_, content),) = chosen.files(image, target.stem, losses)
    if with_pictures and image.picture is not None:
        copy_picture(image, beside)
    put_file(target.parent, target.name, content)
    return losses


def _warn(chosen: Format, losses: Losses, stacklevel: int) -> None:
    for line in losses.lines():
        warnings.warn(f"{chosen.name}: {line}", FormatWarning, stacklevel=stacklevel)
