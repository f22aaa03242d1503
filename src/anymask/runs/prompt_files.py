"""Files of prompts for many images: JSON as a person writes it, COCO's files, and the masks of any format."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anymask.formats.format import has_picture_suffix
from anymask.formats.instances import DatasetError
from anymask.formats.json_stream import first_look, open_json
from anymask.formats.registry import FORMATS
from anymask.runs.errors import PromptFileError
from anymask.runs.prompt_entries import NAME_KEYS, PromptFacts, read_coco_box, read_entry

LINES_SUFFIXES = (".jsonl", ".ndjson")
OBJECT_KEYS = frozenset(("boxes", "box", "bbox", "points", "point", "prompts"))
ACCEPTED = (
    'a .json file such as {"a.jpg": {"boxes": [[x0, y0, x1, y1]]}}, a .jsonl file with an "image" in each line, a COCO '
    "file, or a data set in one of the formats of masks"
)


@dataclass
class PromptFile:
    """Prompts for many images.

    Attributes:
        path: where they are from.
        entries: by the image's name the prompts as JSON without the outer brackets, which takes a tenth of the memory
            of lists; no image is without prompts.
        left_out: what was not taken for a prompt, and how often.
    """

    path: Path
    entries: dict[str, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.entries)

    def prompts(self, name: str) -> tuple[PromptFacts, ...]:
        """Give what is asked about the image of exactly this name; nothing if it has none here."""
        return tuple(json.loads(f"[{self.entries.get(name, '')}]"))

    def add(self, name: str, prompts: list[PromptFacts]) -> None:
        """Ask something more about an image."""
        if not prompts:
            return
        name = name.replace("\\", "/").removeprefix("./")
        text = json.dumps(prompts, separators=(",", ":"))[1:-1]
        before = self.entries.get(name)
        self.entries[name] = text if before is None else f"{before},{text}"

    def left_out_lines(self) -> list[str]:
        """Say what was not taken for a prompt."""
        return [f"{self.path}: left out {what} ({count:,})" for what, count in self.left_out.items()]


def read_prompt_file(path: Path) -> PromptFile:
    """Read prompts for many images, one entry after the other.

    - JSON: an object that has an entry for each image's name, or a list of entries with an ``image`` each, or
      (``.jsonl``) one such entry a line. For entries see :func:`anymask.runs.prompt_entries.read_entry`. Several of one
      image add up.
    - COCO: the boxes of an instances file, labelled with their categories, without crowds; or a list of results whose
      ``image_id`` are the images' names.
    - A data set in one of the formats of masks: the boxes around its masks, with their labels.

    Raises:
        PromptFileError: there is no such file, or it is none of this; the message names image and entry.
    """
    if not path.exists():
        raise PromptFileError(f"there is no file {path}: prompts come from {ACCEPTED}")
    found = PromptFile(path)
    try:
        _read(path, found)
    except DatasetError as error:
        raise PromptFileError(str(error)) from error
    if not found.entries:
        rest = "".join(f"; {line}" for line in found.left_out_lines())
        raise PromptFileError(f"{path} holds no prompt{rest}: prompts come from {ACCEPTED}")
    return found


def _read(path: Path, found: PromptFile) -> None:
    if path.suffix.lower() in LINES_SUFFIXES:
        _read_lines(path, found)
        return
    keys = first_look(path) if path.is_file() else {}
    if "image" not in keys and (keys.get("images") == "[" or keys.get("annotations") == "["):
        _read_coco(path, found)
        return
    # Formats are recognised by reading all of a JSON file, which is not needed for a large one of prompts.
    if not any(key in OBJECT_KEYS or has_picture_suffix(key) for key in keys):
        others = (one for one in FORMATS.values() if not one.name.startswith("coco"))
        layout = next((one for one in others if one.recognises(path)), None)
        if layout is not None:
            for image in layout.read(path):
                _add_boxes(found, image.name, image.masks.boxes, image.masks.labels)
            return
    if path.suffix.lower() != ".json":
        raise PromptFileError(f"{path} is no file of prompts: they come from {ACCEPTED}")
    _read_json(path, found)


def _add_boxes(found: PromptFile, name: str, boxes: Any, labels: list[str | None] | None) -> None:
    prompts: list[PromptFacts] = []
    for number, box in enumerate(np.asarray(boxes).tolist()):
        if box[2] <= box[0] or box[3] <= box[1]:
            found.left_out["masks without a pixel"] += 1
            continue
        label = None if labels is None else labels[number]
        prompts.append({"box": box} if label is None else {"box": box, "label": label})
    found.add(name, prompts)


def _read_json(path: Path, found: PromptFile) -> None:
    with open_json(path) as stream:
        if stream.begins_with() == "{":
            whole: dict[str, Any] = {}
            for name in stream.members():
                value = stream.value()
                if whole or (name in NAME_KEYS and isinstance(value, str)):
                    whole[name] = value
                    continue
                with _place(path, f"image {name!r}"):
                    found.add(name, read_entry(value))
            if whole and stream.begins_with() == "{":
                # Entries one a line, without the ending that says so.
                _read_lines(path, found)
                return
            if whole:
                _add_named(found, whole, str(path))
        elif stream.begins_with() == "[":
            for number, (value, _) in enumerate(stream.elements()):
                _add_named(found, value, f"{path}, entry {number}")
        else:
            raise PromptFileError(f"{path} holds no prompts: it must be {ACCEPTED}")
        stream.end()


def _read_lines(path: Path, found: PromptFile) -> None:
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.strip():
                    continue
                where = f"{path}, line {number}"
                try:
                    value = json.loads(line.decode("utf-8-sig"))
                except ValueError as error:
                    raise PromptFileError(f"{where} is not valid JSON: {error}") from error
                _add_named(found, value, where)
    except OSError as error:
        raise PromptFileError(f"cannot read {path}: {error.strerror or error}") from error


def _add_named(found: PromptFile, entry: Any, where: str) -> None:
    """Add an entry that names its image itself."""
    if not isinstance(entry, dict):
        raise PromptFileError(f'{where}: expected an object with an "image" and its boxes or points')
    if "bbox" in entry and "image_id" in entry:
        _add_result(found, entry, where)
        return
    name = next((entry[key] for key in NAME_KEYS if isinstance(entry.get(key), str) and entry[key]), None)
    if name is None:
        raise PromptFileError(f'{where}: "image" must be the name of an image')
    with _place(where, f"image {name!r}"):
        found.add(name, read_entry(entry))


def _add_result(found: PromptFile, entry: dict[str, Any], where: str) -> None:
    name = entry["image_id"]
    if not isinstance(name, str):
        raise PromptFileError(
            f"{where}: image_id is {name!r}, and only an instances file says which image that is: give one with "
            "images and annotations, or file names as image_id"
        )
    with _place(where, f"image {name!r}"):
        box = read_coco_box(entry["bbox"])
    if box is None:
        found.left_out["boxes without an area"] += 1
        return
    label = entry.get("category_name", entry.get("category_id"))
    found.add(name, [{"box": box} if label is None else {"box": box, "label": str(label)}])


def _read_coco(path: Path, found: PromptFile) -> None:
    names: dict[Any, str] = {}
    labels: dict[Any, str] = {}
    # Annotations may come before what they refer to.
    with open_json(path) as stream:
        for key in stream.members():
            if key in ("images", "categories") and stream.begins_with() == "[":
                kept, fact = (names, "file_name") if key == "images" else (labels, "name")
                for number, (value, _) in enumerate(stream.elements()):
                    if not (isinstance(value, dict) and isinstance(value.get(fact), str) and _is_id(value.get("id"))):
                        raise PromptFileError(f"{path}: entry {number} of {key} has no id or no {fact}")
                    kept[value["id"]] = value[fact]
        stream.end()
    with open_json(path) as stream:
        for key in stream.members():
            if key == "annotations" and stream.begins_with() == "[":
                for number, (value, _) in enumerate(stream.elements()):
                    _add_annotation(found, value, names, labels, f"{path}: annotation {number}")


def _add_annotation(found: PromptFile, value: Any, names: dict[Any, str], labels: dict[Any, str], where: str) -> None:
    if not isinstance(value, dict):
        raise PromptFileError(f"{where} is no object")
    if value.get("iscrowd"):
        found.left_out["crowds, which are no objects"] += 1
        return
    image = value.get("image_id")
    name = names.get(image) if _is_id(image) else None
    if name is None:
        found.left_out["annotations of images that the file does not list"] += 1
        return
    if value.get("bbox") in (None, []):
        found.left_out["annotations without a bbox"] += 1
        return
    with _place(where, f"image {name!r}"):
        box = read_coco_box(value["bbox"])
    if box is None:
        found.left_out["boxes without an area"] += 1
        return
    category = value.get("category_id")
    label = labels.get(category) if _is_id(category) else None
    found.add(name, [{"box": box} if label is None else {"box": box, "label": label}])


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str)


@contextmanager
def _place(*place: Path | str) -> Iterator[None]:
    """Say in errors where they were found."""
    try:
        yield
    except PromptFileError as error:
        raise PromptFileError(f"{', '.join(map(str, place))}: {error}") from error
