"""One format to another."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anymask.formats.annotated import FormatError, Losses
from anymask.formats.format import Format
from anymask.formats.instances import DatasetError
from anymask.formats.read_and_write import existing, existing_folder, format_for_reading
from anymask.formats.registry import format_for_writing


@dataclass(frozen=True)
class Conversion:
    """What became of a conversion.

    Attributes:
        source_format: the format that was read.
        target_format: the format that was written.
        images: how many images were written.
        masks: how many masks they have.
        losses: what the written format cannot hold, a line for each thing with the number of masks.
        failures: why an image was left out, a line for each.
    """

    source_format: str
    target_format: str
    images: int
    masks: int
    losses: list[str]
    failures: list[str]


def convert(
    source: str | Path,
    target: str | Path,
    *,
    source_format: str | None = None,
    target_format: str | None = None,
    pictures: str | Path | None = None,
    with_pictures: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Callable[[int], object] | None = None,
    failed: Callable[[str], object] | None = None,
) -> Conversion:
    """Read a data set in one format and write it in another, in bounded memory.

    An image that cannot be read or written is left out and named in the failures; a format of one file is read whole or
    not at all.

    Args:
        source: the file or folder to read.
        target: the file or folder to write.
        source_format: a name from ``anymask formats``; recognised by looking if left out.
        target_format: a name from there; if left out, the target's ending must say it.
        pictures: the folder of the pictures where they are not in the source format's usual place.
        with_pictures: copy the pictures to where the target format expects them.
        overwrite: replace a file that is there, or write into a folder that is not empty: files of the same names are
            replaced, and others stay.
        dry_run: read, and find what would be lost, but keep nothing; it is written to a temporary place.
        progress: called with the number of images done after each.
        failed: called with each failure when it happens.

    Raises:
        FormatError: a format is unknown or not for its path, the target is in use, or no image could be written.
        DatasetError: the source is missing, in no known format, or broken.
        MissingPackageError: a package is needed for a format.
        OSError: a file cannot be written.
    """
    read_from, folder = existing(source), existing_folder(pictures)
    write_to = Path(target).expanduser()
    reader = format_for_reading(read_from, source_format)
    writer = format_for_writing(write_to, target_format)
    _check_places(read_from, write_to, overwrite)
    run = _Run(reader, writer, progress, failed)
    if dry_run:
        with tempfile.TemporaryDirectory() as temporary:
            return run(read_from, Path(temporary) / write_to.name, folder, False)
    write_to.parent.mkdir(parents=True, exist_ok=True)
    return run(read_from, write_to, folder, with_pictures)


class _Run:
    """One pass over the images, with its counts."""

    def __init__(
        self,
        reader: Format,
        writer: Format,
        progress: Callable[[int], object] | None,
        failed: Callable[[str], object] | None,
    ) -> None:
        self.reader, self.writer, self.progress, self.failed = reader, writer, progress, failed
        self.images = self.masks = 0
        self.failures: list[str] = []

    def __call__(self, source: Path, target: Path, pictures: Path | None, with_pictures: bool) -> Conversion:
        losses = Losses()
        with self.writer.open_writer(target, losses, with_pictures) as opened:
            for image in self.reader.read_each(source, pictures):
                if isinstance(image, DatasetError):
                    self._fail(str(image))
                    continue
                try:
                    opened.write(image)
                except FormatError as error:
                    self._fail(f"{image.name}: {error}")
                    continue
                self.images += 1
                self.masks += len(image.masks)
                if self.progress is not None:
                    self.progress(self.images)
            if self.failures and not self.images:
                raise FormatError(f"no image of {source} could be converted: {self.failures[0]}")
        return Conversion(self.reader.name, self.writer.name, self.images, self.masks, losses.lines(), self.failures)

    def _fail(self, reason: str) -> None:
        line = " ".join(reason.split())
        self.failures.append(line)
        if self.failed is not None:
            self.failed(line)


def _check_places(source: Path, target: Path, overwrite: bool) -> None:
    """Refuse a target that holds something, or that is the source or a part of it.

    Raises:
        FormatError: it does.
    """
    there, here = target.resolve(), source.resolve()
    if there == here:
        raise FormatError(f"{target} is what is to be read: name another place to write to")
    if here in there.parents or there in here.parents:
        raise FormatError(f"of {source} and {target}, one lies in the other: name a place apart from what is read")
    if overwrite:
        return
    if target.is_file():
        raise FormatError(f"{target} exists: name another file, or replace it by --overwrite (overwrite=True)")
    if target.is_dir() and any(not entry.name.startswith(".") for entry in target.iterdir()):
        raise FormatError(
            f"{target} is not empty: name another folder, or write into it by --overwrite (overwrite=True), which "
            "replaces files of the same names"
        )
