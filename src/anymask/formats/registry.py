"""All formats, and how one is chosen: by its name, a file's ending, or a look at what is there."""

from __future__ import annotations

from pathlib import Path

from anymask.formats.annotated import FormatError
from anymask.formats.format import Format
from anymask.formats.instances import DatasetError
from anymask.formats.sa1b import Sa1b

FORMATS: dict[str, Format] = {one.name: one for one in (Sa1b(),)}
"""The formats by their names; those that are told apart more surely come first."""


def find_format(name: str) -> Format:
    """Return the format of a name.

    Raises:
        FormatError: there is none.
    """
    try:
        return FORMATS[name.lower().replace("_", "-")]
    except KeyError:
        raise FormatError(f"unknown format {name!r}: use {', '.join(FORMATS)}") from None


def format_for_writing(path: Path, name: str | None) -> Format:
    """Choose the format of a file or folder to be written: the one named, or that of the file's ending.

    Raises:
        FormatError: the name is unknown, or nothing is named and the ending says nothing.
    """
    if name is not None:
        return find_format(name)
    for one in FORMATS.values():
        if path.suffix.lower() in one.suffixes:
            return one
    endings = ", ".join(suffix for one in FORMATS.values() for suffix in one.suffixes)
    raise FormatError(f"{path} does not say its format ({endings} would): name one of {', '.join(FORMATS)}")


def recognise_format(path: Path) -> Format:
    """Tell in which format an existing file or folder is.

    Raises:
        DatasetError: there is nothing, or nothing that a format recognises.
    """
    if not path.exists():
        raise DatasetError(f"there is nothing at {path}: no such file or folder")
    for one in FORMATS.values():
        if one.recognises(path):
            return one
    raise DatasetError(f"{path} is in no format that anymask recognises: name one of {', '.join(FORMATS)}")
