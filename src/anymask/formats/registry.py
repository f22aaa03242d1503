"""All formats, and how one is chosen: by its name, a file's ending, or a look at what is there."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from anymask.formats.annotated import Feature, FormatError
from anymask.formats.coco import Coco, CocoPolygons
from anymask.formats.format import Format
from anymask.formats.geojson import GeoJson, GeoJsonMap
from anymask.formats.instances import IMAGE_SUFFIXES, DatasetError
from anymask.formats.label_map import LabelMap
from anymask.formats.label_studio import LabelStudio
from anymask.formats.labelme import LabelMe
from anymask.formats.one_bit import OneBit
from anymask.formats.parquet import Parquet
from anymask.formats.records import Records
from anymask.formats.sa1b import Sa1b
from anymask.formats.script_folder import ScriptFolder
from anymask.formats.voc import Voc
from anymask.formats.yolo import Yolo

FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Coco(),
        CocoPolygons(),
        LabelStudio(),
        Parquet(),
        Records(),
        Sa1b(),
        LabelMe(),
        GeoJsonMap(),
        GeoJson(),
        ScriptFolder(),
        Voc(),
        Yolo(),
        LabelMap(),
        OneBit(),
    )
}
"""The formats by their names; those that are told apart more surely come first."""


_LOOKED_AT = 20


def find_format(name: str) -> Format:
    """Return the format of a name; capitals, hyphens and underscores do not matter.

    Raises:
        FormatError: there is none.
    """
    plain = {_plain(one): one for one in FORMATS}
    found = plain.get(_plain(name))
    if found is not None:
        return FORMATS[found]
    near = [plain[one] for one in get_close_matches(_plain(name), plain, n=2, cutoff=0.5)]
    meant = f"; did you mean {' or '.join(near)}?" if near else "."
    raise FormatError(f"unknown format {name!r}{meant} There are {', '.join(FORMATS)}")


def format_for_writing(path: Path, name: str | None) -> Format:
    """Choose the format of a file or folder to be written: the one named, or that of the file's ending.

    Raises:
        FormatError: the name is unknown or the path is not for it; or nothing is named, and the ending says nothing or
            is that of several formats.
    """
    if name is not None:
        chosen = find_format(name)
        _check_kind(path, chosen)
        return chosen
    ending = path.suffix.lower()
    for one in FORMATS.values():
        if ending in one.suffixes:
            _check_kind(path, one)
            return one
    possible = [one.name for one in FORMATS.values() if one.file_suffix == ending]
    if possible:
        raise FormatError(f"{path} may be in several formats: name one of {', '.join(possible)}")
    endings = ", ".join(suffix for one in FORMATS.values() for suffix in one.suffixes)
    hint = f" ({endings} would)" if endings else ""
    raise FormatError(f"{path} does not say its format{hint}: name one of {', '.join(FORMATS)}")


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
    for file in sorted(path.iterdir())[:_LOOKED_AT] if path.is_dir() else ():
        for one in FORMATS.values():
            if not one.is_folder and file.is_file() and one.recognises(file):
                raise DatasetError(f"{file} seems to be in the format {one.name}: give it instead of its folder")
    raise DatasetError(f"{path} is in no format that anymask recognises: name one of {', '.join(FORMATS)}")


def cannot_hold(one: Format) -> list[Feature]:
    """List what a format cannot hold; of labels that it has no place for, nothing more is said."""
    implied = {Feature.UNLABELLED} if Feature.LABELS not in one.carries else set()
    return [feature for feature in Feature if feature not in one.carries | implied]


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _check_kind(path: Path, chosen: Format) -> None:
    """Raise FormatError for a file where the format is a folder, and the other way round."""
    if not chosen.is_folder:
        if path.is_dir():
            example = path / f"masks{chosen.file_suffix or ''}"
            raise FormatError(f"{path} is a folder, and {chosen.name} is one file: name a file, such as {example}")
        return
    if path.is_file():
        raise FormatError(f"{path} is a file, and {chosen.name} is a folder: name a folder")
    endings = {one.file_suffix for one in FORMATS.values()} | set(IMAGE_SUFFIXES)
    if path.suffix.lower() in endings and not path.is_dir():
        raise FormatError(f"{path} looks like a file, and {chosen.name} is a folder: name a folder")
