"""Where the files of a YOLO data set lie: what ``data.yaml`` says, and which label file belongs to which picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from anymask.formats.format import find_picture_of_key
from anymask.formats.instances import IMAGE_SUFFIXES, DatasetError
from anymask.formats.walk import files_below

DESCRIPTION = "data.yaml"
_DESCRIPTIONS = (DESCRIPTION, "data.yml", "dataset.yaml", "dataset.yml")
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class YoloLayout:
    """A YOLO data set.

    Attributes:
        root: its folder.
        names: of the classes by their numbers; None if nothing says them.
        unlabelled: the class of masks without a label, if there is one.
        places: folders of pictures, and text files that list pictures.
    """

    root: Path
    names: dict[int, str] | None
    unlabelled: int | None
    places: tuple[Path, ...]

    def pictures(self) -> Iterator[tuple[Path, str] | DatasetError]:
        """Yield all pictures with their images' names, or why one is not there."""
        done: set[Path] = set()
        for place in self.places:
            if place.is_dir():
                if place.resolve() in done or not done.isdisjoint(place.resolve().parents):
                    continue
                for picture in files_below(place, IMAGE_SUFFIXES, done):
                    yield picture, self._name(picture, place)
                done.add(place.resolve())
            else:
                yield from self._listed(place, done)

    def _listed(self, place: Path, done: set[Path]) -> Iterator[tuple[Path, str] | DatasetError]:
        for line in _read(place).splitlines():
            if not line.strip():
                continue
            candidates = place.parent / line.strip(), self.root / line.strip()
            picture = next((one for one in candidates if one.is_file()), None)
            if picture is None:
                yield DatasetError(f"{place} lists {line.strip()}, and there is no {candidates[0]}")
            elif picture.resolve() not in done:
                done.add(picture.resolve())
                yield picture, self._name(picture, picture.parent)

    def _name(self, picture: Path, place: Path) -> str:
        path = PurePosixPath(picture.relative_to(place).as_posix())
        if picture.is_relative_to(self.root) and ".." not in picture.relative_to(self.root).parts:
            path = _without_first(PurePosixPath(picture.relative_to(self.root).as_posix()))
        short = path.with_suffix("")
        if short.suffix == path.suffix and find_picture_of_key(short.stem, [picture.parent]) is not None:
            return str(short)
        return str(path)

    def label_file(self, picture: Path) -> Path | None:
        """Find a picture's label file: where ``labels`` stands for the last ``images`` in its path, or beside it."""
        beside = picture.with_suffix(".txt")
        candidates = [beside, beside.parent / "labels" / beside.name]
        if picture.is_relative_to(self.root):
            inside = PurePosixPath(picture.relative_to(self.root).as_posix())
            candidates.insert(0, self.root / label_place(str(inside)))
        elif "images" in picture.parts:
            candidates.insert(0, Path(label_place(picture.as_posix())))
        return next((file for file in candidates if file.is_file()), None)

    def label_files(self) -> Iterator[tuple[Path, str]]:
        """Yield all label files in folders called ``labels``, with their pictures' places without the ending."""
        for file in files_below(self.root, (".txt",)):
            inside = PurePosixPath(file.relative_to(self.root).with_suffix("").as_posix())
            if "labels" in inside.parts[:-1]:
                yield file, str(_replace_last(inside, "labels", "images"))

    def key(self, place: str) -> str:
        """Give the image's name without the ending, from its picture's place without that."""
        return str(_without_first(PurePosixPath(place)))


def label_place(picture: str) -> str:
    """Say where the label file of a picture lies, both relative to the data set's folder."""
    return str(_replace_last(PurePosixPath(picture).with_suffix(".txt"), "images", "labels"))


def open_layout(path: Path) -> YoloLayout:
    """Look at a data set: its folder or its YAML file.

    Raises:
        DatasetError: the YAML cannot be read, or does not describe masks.
    """
    if path.is_dir() and path.name in ("labels", "images") and not (path / "labels").is_dir():
        path = path.parent
    file = path if path.is_file() else find_description(path)
    folder = path if path.is_dir() else path.parent
    if file is None:
        return YoloLayout(folder, None, None, _places(folder, []))
    content = read_description(file)
    if "kpt_shape" in content:
        raise DatasetError(f"{file} describes key points, which are no masks")
    entries: list[str] = []
    for split in _SPLITS:
        entry = content.get(split)
        entries += [str(one) for one in (entry if isinstance(entry, list) else [entry]) if one]
    given = content.get("path")
    roots = [folder / given, folder] if isinstance(given, str) and given else [folder]
    # Tools that pack a data set to be moved leave the path of the place where it was.
    root = next((root for root in roots if any(_resolve(root, entry).exists() for entry in entries)), folder)
    unlabelled = content.get("unlabelled")
    return YoloLayout(
        root, class_names(content, file), _whole(unlabelled, file) if unlabelled else None, _places(root, entries)
    )


def find_description(folder: Path) -> Path | None:
    """Find the YAML file of a data set's folder."""
    usual = next((folder / name for name in _DESCRIPTIONS if (folder / name).is_file()), None)
    if usual is not None or not folder.is_dir():
        return usual
    others = [*folder.glob("*.yaml"), *folder.glob("*.yml")]
    return others[0] if len(others) == 1 else None


def read_description(file: Path) -> dict[str, Any]:
    """Read a YAML file, with all that is not a list or a mapping as text: a class may be called "no".

    Raises:
        DatasetError: it cannot be read or is no mapping.
    """
    try:
        content = yaml.load(_read(file), Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise DatasetError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{file} does not describe a YOLO data set: it has no names of classes")
    return content


def class_names(content: dict[str, Any], file: Path) -> dict[int, str] | None:
    """Take the classes' names from a description, a list or a mapping; None if it has none.

    Raises:
        DatasetError: they are neither.
    """
    names = content.get("names")
    if not names and not isinstance(names, dict):
        return None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise DatasetError(f"{file}: names must be a list, or a mapping of numbers to names, not {str(names)[:50]!r}")
    return {_whole(number, file): name for number, name in names.items()}


def _whole(text: Any, file: Path) -> int:
    try:
        return int(text)
    except (TypeError, ValueError):
        raise DatasetError(f"{file}: the number of a class is a whole number, not {text!r}") from None


def _places(root: Path, entries: list[str]) -> tuple[Path, ...]:
    places = [place for entry in entries if (place := _resolve(root, entry)).exists()]
    if not places:
        places = [root / "images" if (root / "images").is_dir() else root]
    return tuple(places)


def _resolve(root: Path, entry: str) -> Path:
    place = root / entry
    # Roboflow's descriptions say "../train/images" and lie beside train/.
    inside = root / entry.removeprefix("../")
    return inside if not place.exists() and inside.exists() else place


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{file} is not text in UTF-8: {error}") from error


def _without_first(path: PurePosixPath) -> PurePosixPath:
    """Leave the first folder called ``images`` out of a path."""
    parts = list(path.parts)
    if "images" in parts[:-1]:
        parts.remove("images")
    return PurePosixPath(*parts)


def _replace_last(path: PurePosixPath, old: str, new: str) -> PurePosixPath:
    parts = list(path.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == old:
            parts[place] = new
            break
    return PurePosixPath(*parts)
