"""What a format of masks is: read, write, and say what it can hold."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from anymask.atomic import write_atomically
from anymask.formats.annotated import AnnotatedImage, Feature, FormatError, Losses
from anymask.formats.instances import IMAGE_SUFFIXES, DatasetError


class Writer(ABC):
    """Takes images one after the other; used with ``with``.

    What is one file in the end appears when the block ends without an exception, and not at all otherwise. A file per
    image appears whole when its image was written.
    """

    @abstractmethod
    def write(self, image: AnnotatedImage) -> None:
        """Write one image's masks.

        Raises:
            FormatError: they cannot be written in this format; other images may follow.
            OSError: a file cannot be written.
        """

    @abstractmethod
    def finish(self) -> None:
        """Write what belongs to all images; called when all went well."""

    @abstractmethod
    def abandon(self) -> None:
        """Clean up after an exception."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abandon()
            return
        try:
            self.finish()
        except BaseException:
            self.abandon()
            raise


class Format(ABC):
    """A way to keep the masks of many images in a file or a folder.

    Attributes:
        name: what users call it, such as "coco".
        title: one line about it.
        suffixes: endings of files that are written in it where no format is named; empty if it needs to be named.
        file_suffix: the ending of the one file that it is, or that holds an image's masks in a folder, such as ".json";
            None where there are several files to an image.
        is_folder: a folder holds it, not one file.
        carries: what it can hold.
    """

    name: str
    title: str
    suffixes: tuple[str, ...] = ()
    file_suffix: str | None = None
    is_folder: bool
    carries: frozenset[Feature]

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Tell whether an existing file or folder is probably in this format, by a short look."""

    @abstractmethod
    def read(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage]:
        """Read all images one after the other, in bounded memory.

        Args:
            path: the file or folder.
            pictures: the folder of the pictures where they are not in the format's usual place. Only formats that do
                not say how large an image is need them.

        Raises:
            DatasetError: a file is missing, broken, or not in this format; the message names it.
        """

    def read_each(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage | DatasetError]:
        """Read as :meth:`read` does, but yield the error of an image that cannot be read and go on with the next.

        Only a format with a file for each image can go on; any other raises as :meth:`read` does.
        """
        yield from self.read(path, pictures)

    @abstractmethod
    def open_writer(self, path: Path, losses: Losses, with_pictures: bool = False) -> Writer:
        """Begin a file or folder.

        Args:
            path: where; a folder is made, and a file replaced when all is written.
            losses: counts what the format cannot hold.
            with_pictures: copy the pictures, as far as they are known, to where the format expects them.

        Raises:
            FormatError: the path cannot be what this format writes.
            MissingPackageError: a package is needed for it.
        """


class PerImageFormat(Format):
    """A format that keeps images apart, so that one may be broken and the others sound."""

    @abstractmethod
    def read_each(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage | DatasetError]:
        """Read all images one after the other; of one that cannot be read, yield the error and go on with the next."""

    def read(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage]:
        """Read as :meth:`read_each` does, up to the first image that cannot be read."""
        for image in self.read_each(path, pictures):
            if isinstance(image, DatasetError):
                raise image
            yield image


class FolderFormat(PerImageFormat):
    """A format that keeps each image's masks in files of their own, and writes nothing besides.

    Attributes:
        needs_pictures: :meth:`files` needs the picture of the image.
    """

    is_folder = True
    needs_pictures = False

    @abstractmethod
    def files(self, image: AnnotatedImage, key: str, losses: Losses) -> Iterator[tuple[str, bytes]]:
        """Yield the files of one image: name relative to the folder, with forward slashes, and content.

        The same image gives the same bytes always. The last file is the one by which :meth:`read` finds the image.

        Args:
            image: the image.
            key: its name without the ending, or with it where two images differ in nothing else; begins the names.
            losses: counts what the format cannot hold.

        Raises:
            FormatError: the masks cannot be written in this format.
        """

    def picture_place(self, key: str, suffix: str) -> str:
        """Say where the format expects the picture of the image ``key``, relative to the folder."""
        return key + suffix

    def open_writer(self, path: Path, losses: Losses, with_pictures: bool = False) -> Writer:
        """Begin a folder."""
        return _LayoutWriter(self, path, losses, with_pictures)


class FolderWriter(Writer):
    """Writes an image's files into a folder when the image comes; which files, a subclass says.

    Args:
        name: the format's name, for messages.
        folder: is made.
        losses: counts what the format cannot hold.
        with_pictures: copy the pictures, as far as they are known.

    Raises:
        FormatError: the folder is a file.
    """

    def __init__(self, name: str, folder: Path, losses: Losses, with_pictures: bool) -> None:
        if folder.exists() and not folder.is_dir():
            raise FormatError(f"{folder} is a file, and {name} is a folder: name a folder")
        self.folder, self.losses, self.with_pictures = folder, losses, with_pictures
        self.image_names: set[str] = set()
        self.keys: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def files(self, image: AnnotatedImage, key: str) -> Iterator[tuple[str, bytes]]:
        """Yield the files of one image; see :meth:`FolderFormat.files`."""

    @abstractmethod
    def picture_place(self, key: str, suffix: str) -> str:
        """Say where the picture of the image ``key`` goes, relative to the folder."""

    def write(self, image: AnnotatedImage) -> None:
        """Write one image's files."""
        if image.name in self.image_names:
            raise FormatError(f"two images have the name {image.name}; names must differ within a data set")
        key = unique_key(image.name, self.keys)
        self.image_names.add(image.name)
        self.keys.add(key)
        if self.with_pictures and image.picture is not None:
            copy_picture(image, self.folder / self.picture_place(key, picture_suffix(image, key)))
        for name, content in self.files(image, key):
            put_file(self.folder, name, content)

    def finish(self) -> None:
        """Do nothing: each image's files are whole."""

    def abandon(self) -> None:
        """Leave the images that were written."""


class _LayoutWriter(FolderWriter):
    def __init__(self, layout: FolderFormat, folder: Path, losses: Losses, with_pictures: bool) -> None:
        super().__init__(layout.name, folder, losses, with_pictures)
        self.layout = layout

    def files(self, image: AnnotatedImage, key: str) -> Iterator[tuple[str, bytes]]:
        return self.layout.files(image, key, self.losses)

    def picture_place(self, key: str, suffix: str) -> str:
        return self.layout.picture_place(key, suffix)


def unique_key(name: str, taken: set[str]) -> str:
    """Name an image's files: its own name without the ending, or with it where another has taken that.

    Raises:
        FormatError: both are taken: two images have the same name.
    """
    # Dots inside a name are part of it: only the ending of a picture goes.
    short = str(PurePosixPath(name).with_suffix("")) if has_picture_suffix(name) else name
    for key in (short, name):
        if key not in taken:
            return key
    raise FormatError(f"two images have the name {name}; names must differ within a data set")


def put_file(folder: Path, name: str, content: bytes) -> Path:
    """Write one file, whole or not at all, and return its path.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda beside: beside.write_bytes(content))
    return path


def has_picture_suffix(name: str) -> bool:
    """Tell whether a name ends as those of pictures do."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def picture_suffix(image: AnnotatedImage, key: str) -> str:
    """Give the ending of the picture of the image ``key``; none if the key is the whole name, with its ending."""
    if not has_picture_suffix(image.name):
        return ".jpg"
    return "" if key == image.name else PurePosixPath(image.name).suffix


def copy_picture(image: AnnotatedImage, path: Path) -> None:
    """Copy an image's picture byte for byte to ``path``, whole or not at all; a picture that is there already stays.

    Raises:
        FormatError: its file is missing.
        OSError: it cannot be written.
    """
    picture = image.picture
    assert picture is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(picture, bytes):
        write_atomically(path, lambda beside: beside.write_bytes(picture))
        return
    if not picture.is_file():
        raise FormatError(f"there is no picture of {image.name} at {picture}")
    if path.exists() and path.samefile(picture):
        return
    write_atomically(path, lambda beside: shutil.copyfile(picture, beside))


def find_picture(name: str, folders: list[Path]) -> Path | None:
    """Find an image's picture in the first folder that holds it, by its name or, failing that, with another ending."""
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    for folder in folders:
        whole = folder / name
        bare = whole.with_suffix("") if whole.suffix.lower() in IMAGE_SUFFIXES else whole
        for suffix in IMAGE_SUFFIXES:
            for ending in (suffix, suffix.upper()):
                candidate = bare.with_name(bare.name + ending)
                if candidate.is_file():
                    return candidate
    return None


def find_picture_of_key(key: str, folders: list[Path], is_key: Callable[[str], bool] = lambda _: False) -> Path | None:
    """Find the picture of an image whose files begin with a key of :func:`unique_key`, in the first folder that has it.

    Args:
        key: the key.
        folders: where to look.
        is_key: tells whether another image's files begin with a whole name, as for two pictures that differ only in
            their endings.

    Returns:
        The picture of the key's own name, if that ends as those of pictures do, or with such an ending added.
    """
    for folder in folders:
        whole = folder / key
        if has_picture_suffix(key) and whole.is_file():
            return whole
        for suffix in IMAGE_SUFFIXES:
            for ending in (suffix, suffix.upper()):
                candidate = whole.with_name(whole.name + ending)
                if candidate.is_file() and not is_key(key + ending):
                    return candidate
    return None


def name_of_key(key: str) -> str:
    """Name an image of which only the key is known."""
    return key if has_picture_suffix(key) else f"{key}.jpg"
