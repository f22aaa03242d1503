"""A COCO file taken apart on disk, so that neither the number nor the order of its entries matters."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from anymask.formats.instances import DatasetError
from anymask.formats.json_stream import JsonStream, open_json
from anymask.formats.name_set import temporary_database


class CocoSpool:
    """The entries of a COCO instances file, grouped by image in a temporary database; used with ``with``.

    Attributes:
        labels: the name of each category by its :func:`identity`; None for the one that marks masks without a label.
        left_out: why annotations were left out, and how many.

    Args:
        path: the JSON file.

    Raises:
        DatasetError: it is missing, not valid JSON, or not a COCO instances file; or there is no room for the database.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.labels: dict[str, str | None] = {}
        self.left_out: dict[str, int] = {}
        self._database = temporary_database()
        self._database.execute("CREATE TABLE images (place INTEGER PRIMARY KEY, id TEXT, entry TEXT)")
        self._database.execute("CREATE TABLE annotations (place INTEGER PRIMARY KEY, image TEXT, entry TEXT)")
        try:
            with open_json(path) as stream:
                self._load(stream)
            self._arrange()
        except sqlite3.Error as error:
            self.close()
            raise DatasetError(
                f"cannot take {path} apart in a temporary file: {error}; let TMPDIR name a folder with room for it"
            ) from error
        except BaseException:
            self.close()
            raise

    def images(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the identity and the entry of each image, in the file's order."""
        for key, entry in self._database.execute("SELECT id, entry FROM images ORDER BY place"):
            yield key, json.loads(entry)

    def annotations(self, image: str) -> list[dict[str, Any]]:
        """Return the annotations of the image of an identity, in the file's order."""
        found = self._database.execute("SELECT entry FROM annotations WHERE image = ? ORDER BY place", (image,))
        return [json.loads(entry) for (entry,) in found]

    def close(self) -> None:
        """Give up the disk space."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self, stream: JsonStream) -> None:
        begin = stream.begins_with()
        if begin == "[":
            raise self._not_instances(stream)
        if begin != "{":
            raise DatasetError(f"{self.path} is not a COCO instances file: it holds no JSON object")
        seen = set()
        for key in stream.members():
            if key not in ("images", "annotations", "categories"):
                continue
            if stream.begins_with() != "[":
                raise DatasetError(f"{self.path} is not a COCO instances file: its {key} are not a list")
            seen.add(key)
            if key == "images":
                self._database.executemany("INSERT INTO images (id, entry) VALUES (?, ?)", self._images(stream))
            elif key == "annotations":
                rows = self._annotations(stream)
                self._database.executemany("INSERT INTO annotations (image, entry) VALUES (?, ?)", rows)
            else:
                self._load_categories(stream)
        stream.end()
        if not {"images", "annotations"} <= seen:
            raise DatasetError(f"{self.path} is not a COCO instances file: it needs the keys images and annotations")

    def _images(self, stream: JsonStream) -> Iterator[tuple[str, str]]:
        for number, (entry, text) in enumerate(stream.elements()):
            if not isinstance(entry, dict) or "id" not in entry:
                raise DatasetError(f"{self.path}: entry {number} of its images is not an object with an id")
            yield self._identity(entry["id"], f"entry {number} of its images"), text

    def _annotations(self, stream: JsonStream) -> Iterator[tuple[str, str]]:
        kept = boxes = crowds = 0
        for number, (entry, text) in enumerate(stream.elements()):
            if not isinstance(entry, dict) or "image_id" not in entry:
                raise DatasetError(f"{self.path}: entry {number} of its annotations is not an object with an image_id")
            if entry.get("iscrowd"):
                crowds += 1
            elif not _has_mask(entry.get("segmentation")):
                boxes += 1
            else:
                kept += 1
                yield self._identity(entry["image_id"], f"entry {number} of its annotations"), text
        if boxes and not kept:
            raise DatasetError(
                f"{self.path} holds no masks: none of its {boxes:,} annotations has a segmentation; boxes become masks "
                "when they are given as prompts (anymask segment --prompts FILE)"
            )
        self._leave_out("annotations without a segmentation, such as boxes alone, hold no mask", boxes)
        self._leave_out("crowds (iscrowd 1) are regions, not objects", crowds)

    def _load_categories(self, stream: JsonStream) -> None:
        for number, (entry, _) in enumerate(stream.elements()):
            if not isinstance(entry, dict) or "id" not in entry:
                raise DatasetError(f"{self.path}: entry {number} of its categories is not an object with an id")
            key = self._identity(entry["id"], f"entry {number} of its categories")
            name = entry.get("name")
            label = None if name is None or entry.get("unlabelled") is True else str(name)
            if self.labels.setdefault(key, label) != label:
                raise DatasetError(f"{self.path}: two categories have the id {key}: {self.labels[key]} and {label}")

    def _arrange(self) -> None:
        """Index what was loaded, and check that identities are of one image each.

        Raises:
            DatasetError: they are not.
        """
        database = self._database
        database.execute("CREATE INDEX images_by_id ON images (id)")
        database.execute("CREATE INDEX annotations_by_image ON annotations (image)")
        doubled = database.execute(
            "SELECT id, MIN(entry), MAX(entry) FROM images GROUP BY id HAVING COUNT(*) > 1 AND MIN(entry) < MAX(entry)"
        ).fetchone()
        if doubled is not None:
            first, second = (image_name(json.loads(entry)) or "an image without a name" for entry in doubled[1:])
            raise DatasetError(f"{self.path}: two images have the id {doubled[0]}: {first} and {second}")
        database.execute("DELETE FROM images WHERE place NOT IN (SELECT MIN(place) FROM images GROUP BY id)")
        strays, example = database.execute(
            "SELECT COUNT(*), MIN(image) FROM annotations WHERE image NOT IN (SELECT id FROM images)"
        ).fetchone()
        self._leave_out(f"the file lists no image with their image_id (such as {example})", strays)

    def _leave_out(self, reason: str, count: int) -> None:
        if count:
            self.left_out[reason] = self.left_out.get(reason, 0) + count

    def _identity(self, value: Any, place: str) -> str:
        try:
            return identity(value)
        except TypeError as error:
            raise DatasetError(f"{self.path}: {place} has the id {value!r}; it must be a number or a string") from error

    def _not_instances(self, stream: JsonStream) -> DatasetError:
        first = next((entry for entry, _ in stream.elements()), None)
        if is_result(first):
            return DatasetError(
                f"{self.path} is a list of COCO results, which says nothing of its images but their ids: put its "
                "entries into the instances file that they belong to, as its annotations"
            )
        return DatasetError(f"{self.path} is not a COCO instances file: it is a list, not an object with images")


def identity(value: Any) -> str:
    """Write an id of COCO such that equal ids, and only those, are written alike; 7.0 is 7, but "7" is not.

    Raises:
        TypeError: it is neither a number nor a string.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"an id is a number or a string, got {type(value).__name__}")
    return ascii(value)


def image_name(entry: dict[str, Any]) -> str | None:
    """Return the file name that an image's entry gives, of LVIS's ``coco_url`` folder and file; None without any."""
    if entry.get("file_name"):
        return str(entry["file_name"])
    if entry.get("coco_url"):
        return "/".join(str(entry["coco_url"]).split("/")[-2:])
    return None


def is_result(entry: Any) -> bool:
    """Tell whether parsed JSON is one entry of a list of COCO results."""
    return isinstance(entry, dict) and "image_id" in entry and bool({"segmentation", "bbox"} & entry.keys())


def polygons_with_area(segmentation: list[Any]) -> list[Any]:
    """Return the polygons of at least three corners.

    Exporters leave slivers of one or two corners beside them, which enclose nothing; some write the numbers of the only
    polygon without a list around them, some write each corner as a list.
    """
    if segmentation and all(isinstance(value, int | float) for value in segmentation):
        segmentation = [segmentation]
    kept = []
    for polygon in segmentation:
        if isinstance(polygon, list):
            paired = polygon and all(isinstance(corner, list) for corner in polygon)
            if len(polygon) < (3 if paired else 6):
                continue
        kept.append(polygon)
    return kept


def _has_mask(segmentation: Any) -> bool:
    if isinstance(segmentation, list):
        return bool(polygons_with_area(segmentation))
    return segmentation not in (None, "", {})
