"""Images in tar files, such as the shards of WebDataset: found by their headers once, then read by their place."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from anymask.formats.annotated import FormatError, picture_name
from anymask.formats.instances import IMAGE_SUFFIXES
from anymask.runs.errors import InputsError
from anymask.runs.items import Source, UnreadableImage

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class TarMember:
    """The bytes of one regular file in an uncompressed tar file.

    Attributes:
        archive: absolute path of the tar file.
        offset: where its bytes begin.
        size: how many they are.
    """

    archive: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Read the bytes.

        Raises:
            InputsError: the tar file has become shorter.
            OSError: it cannot be read.
        """
        with open(self.archive, "rb") as stream:  # noqa: PTH123 -- opened for each of a million
            stream.seek(self.offset)
            content = stream.read(self.size)
        if len(content) != self.size:
            raise InputsError(f"{self.place()}: the file has changed since its images were listed")
        return content

    def place(self) -> str:
        """Say which bytes of which file."""
        return f"{self.archive}, {self.size} bytes at {self.offset}"


class _DamagedError(Exception):
    """What is wrong with a tar file."""


def tar_images(path: Path) -> list[tuple[str, Source]]:
    """Find the images in a tar file without reading them: their names in it, and where their bytes are.

    As in WebDataset, the files of a folder whose names agree up to the first dot make up one sample. What follows that
    dot says what a file is, so of 1.jpg and 1.seg.png only the first is an input. Where no image of a sample has a
    single ending (scan.01.png, scan.02.png), all its images are.

    Only bytes of regular files are read, and none is unpacked. A link or another special entry with an image's name is
    listed as an image that cannot be read. So is the rest of a file that is damaged or cut, under the name "". Of
    entries with the same name the last one counts, as when unpacking.

    Args:
        path: absolute path of the tar file.
    """
    found: dict[str, Source] = {}
    try:
        for name, source in _entries(path):
            # The last of one name also takes the last place.
            found.pop(name, None)
            found[name] = source
    except _DamagedError as error:
        whole = f"; the {len(found):,} images before that are whole" if found else ""
        found[""] = UnreadableImage(str(path), f"{path} {error}{whole}")
    except OSError as error:
        found[""] = UnreadableImage(str(path), f"{path} cannot be read: {error.strerror or error}")
    samples = {_sample(name) for name in found if name and _has_single_ending(name)}
    return [
        (name, source)
        for name, source in found.items()
        if not name or _has_single_ending(name) or _sample(name) not in samples
    ]


def _entries(path: Path) -> Iterator[tuple[str, Source]]:
    with path.open("rb") as stream:
        length = stream.seek(0, 2)
        stream.seek(0)
        if stream.read(2) == b"\x1f\x8b":
            raise _DamagedError("is compressed, though its name does not say so: decompress it with gunzip")
        stream.seek(0)
        try:
            with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8") as archive:
                yield from _regular_images(archive, str(path), length)
                _check_end(stream, archive.offset, length)
        except (tarfile.TarError, ValueError, EOFError, RecursionError) as error:
            raise _DamagedError(f"is damaged or no tar file: {' '.join(str(error).split())}") from error


def _regular_images(archive: tarfile.TarFile, path: str, length: int) -> Iterator[tuple[str, Source]]:
    reached = -1
    while (member := archive.next()) is not None:
        # Otherwise a tar file of a million members fills the memory.
        archive.members = []  # type: ignore[attr-defined]
        if member.offset_data <= reached or member.size < 0:
            raise _DamagedError(f"is damaged: the entry {member.name!r} points back")
        reached = member.offset_data
        if member.isreg() and not member.issparse() and member.offset_data + member.size > length:
            raise _DamagedError(f"is cut in the middle of {member.name!r}, or was not wholly copied")
        name = _image_name(member.name)
        if name is None or member.isdir():
            continue
        if member.isreg() and not member.issparse():
            yield name, TarMember(path, member.offset_data, member.size)
        else:
            kind = "a sparse file" if member.issparse() else "a link" if member.islnk() or member.issym() else "no file"
            reason = f"{member.name!r} in {path} is {kind}; only regular files in a tar file are read"
            yield name, UnreadableImage(path, reason)


def _check_end(stream: IO[bytes], offset: int, length: int) -> None:
    """Make sure that nothing but zeros follows: tarfile stops quietly at what it does not understand."""
    stream.seek(offset)
    first = stream.read(_BLOCK)
    if first.strip(b"\0") or 0 < len(first) < _BLOCK:
        raise _DamagedError(f"is damaged or cut at byte {offset:,} of {length:,}")
    while chunk := stream.read(1 << 20):
        if chunk.strip(b"\0"):
            raise _DamagedError(
                "holds more after the mark of its end, perhaps a second tar file: keep them as two files"
            )


def _image_name(given: str) -> str | None:
    """Make an entry's name one below the tar file; None if it is not an image's, or is hidden."""
    if PurePosixPath(given).suffix.lower() not in IMAGE_SUFFIXES:
        return None
    try:
        name = picture_name(given)
    except FormatError:
        return None
    return None if name.startswith(".") or "/." in name else name


def _sample(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def _has_single_ending(name: str) -> bool:
    return name.rpartition("/")[2].count(".") == 1
