"""What formats of one file have in common: a file that appears when all is written, and pictures beside it."""

from __future__ import annotations

import shutil
import tempfile
from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import IO

from anymask.atomic import write_atomically
from anymask.formats.annotated import AnnotatedImage, FormatError, Losses, picture_name
from anymask.formats.format import Writer, copy_picture
from anymask.formats.name_set import NameSet

PICTURES = "images"
"""The folder of the pictures, beside the file."""


class OneFileWriter(Writer):
    """Spools masks to files that have no name and vanish with the process, and joins them in the end.

    Args:
        layout: the format's name.
        path: the file to write; its folder is made.
        losses: counts what the format cannot hold.
        with_pictures: copy each picture to ``images/NAME`` beside the file.

    Raises:
        FormatError: the path is a folder.
    """

    def __init__(self, layout: str, path: Path, losses: Losses, with_pictures: bool) -> None:
        if path.is_dir():
            raise FormatError(f"{path} is a folder, and {layout} is one file: name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.losses, self.with_pictures = path, losses, with_pictures
        self._names = NameSet()
        self._spools: list[IO[bytes]] = []

    @abstractmethod
    def add(self, image: AnnotatedImage) -> None:
        """Spool one image, whose name is safe and new.

        Raises:
            FormatError: its masks cannot be written in this format; nothing of it was spooled.
        """

    @abstractmethod
    def join(self, path: Path) -> None:
        """Write all that was spooled to ``path``."""

    def spool(self) -> IO[bytes]:
        """Open a file without a name, on the disk where the result will be; it is closed in the end."""
        # Closed by _close, when the writer is done.
        file = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115
        self._spools.append(file)
        return file

    def write(self, image: AnnotatedImage) -> None:
        """Spool one image, and copy its picture."""
        name = picture_name(image.name)
        if not self._names.add(name):
            raise FormatError(f"two images have the name {name}; names must differ within a data set")
        if self.with_pictures and image.picture is not None:
            copy_picture(image, self.path.parent / PICTURES / name)
        self.add(replace(image, name=name))

    def finish(self) -> None:
        """Put the whole file into its place."""
        write_atomically(self.path, self.join)
        self._close()

    def abandon(self) -> None:
        """Drop all that was spooled."""
        self._close()

    def _close(self) -> None:
        self._names.close()
        for file in self._spools:
            file.close()


def append_file(spool: IO[bytes], target: IO[bytes]) -> None:
    """Append all of a spooled file to another."""
    spool.seek(0)
    shutil.copyfileobj(spool, target, 1 << 18)
