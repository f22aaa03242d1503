"""The sizes of pictures, read from the headers of their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anymask.segment.errors import ImageError
from anymask.segment.pixels import image_size


@dataclass(frozen=True)
class FileFacts:
    """What tells a file from one that is put in its place.

    Attributes:
        bytes: its size.
        changed_ns: when it was last changed, in nanoseconds.
    """

    bytes: int
    changed_ns: int


@dataclass(frozen=True)
class Measurement:
    """What a picture's file says of itself.

    Attributes:
        file: None if there is no file.
        size: (height, width) in pixels after EXIF rotation; None if it cannot be read.
        error: why it cannot.
    """

    file: FileFacts | None
    size: tuple[int, int] | None
    error: str | None


def facts_of(folder: Path, name: str) -> FileFacts | None:
    """Look at a picture's file without opening it; None if it is not there."""
    try:
        facts = (folder / name).stat()
    except OSError:
        return None
    return FileFacts(facts.st_size, facts.st_mtime_ns)


def measure(folder: Path, name: str) -> Measurement:
    """Read the size of a picture.

    Args:
        folder: the folder of pictures, links resolved.
        name: the picture's path in it.
    """
    path = folder / name
    facts = facts_of(folder, name)
    if facts is None:
        return Measurement(None, None, None)
    if not path.resolve().is_relative_to(folder):
        error = f"{name} is a link to a file outside the folder, which is not followed: copy it into it"
        return Measurement(facts, None, error)
    try:
        return Measurement(facts, image_size(path), None)
    except ImageError as problem:
        return Measurement(facts, None, str(problem).replace(str(path), name))
