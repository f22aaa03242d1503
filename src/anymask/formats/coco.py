"""COCO's instances file: all images and masks of a data set in one JSON file."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from anymask.formats.annotated import (
    AnnotatedImage,
    Feature,
    FormatError,
    FormatWarning,
    Losses,
    picture_name,
    with_finite_columns,
)
from anymask.formats.coco_places import coco_files, picture_folders
from anymask.formats.coco_spool import CocoSpool, identity, image_name, is_result, polygons_with_area
from anymask.formats.format import Format, Writer, find_picture
from anymask.formats.instances import DatasetError
from anymask.formats.json_stream import open_json
from anymask.formats.one_file import OneFileWriter, append_file
from anymask.segment import rle
from anymask.segment.errors import ImageError, MaskError
from anymask.segment.masks import Masks
from anymask.segment.pixels import image_size

_SHORT_LOOK = 1 << 20
_UNLABELLED = "object"


class Coco(Format):
    """One JSON file in the layout of COCO's instances, with compressed run lengths, which hold every mask exactly.

    Images, annotations and categories are numbered from 1, categories in the order in which they first appear. Masks
    without a label are of a category of their own, marked ``"unlabelled": true``, because COCO knows none without.
    Facts about masks are written as Meta's generator writes them: ``score``, ``stability_score``, ``point_coords``,
    ``crop_box``. Of an image where one of these is infinite or no number, it is left out.

    Other tools' files are read in any order, with compressed and uncompressed run lengths and with polygons. Crowds
    (``iscrowd`` 1), which are regions and not objects, annotations without a segmentation and those of images that are
    not listed are left out with one warning each. Categories without an entry give no label, unless the annotation has
    a ``label`` itself. Where an image's size is missing, its run lengths or its picture give it.

    The entries wait in a temporary file to be sorted by image; ``TMPDIR`` says where.
    """

    name = "coco"
    title = "COCO instances, run lengths: one JSON file"
    file_suffix = ".json"
    is_folder = False
    carries = frozenset(Feature)

    def recognises(self, path: Path) -> bool:
        """Look for JSON whose first images, annotations or results are COCO's, or a folder with such a file."""
        if path.is_dir():
            return any(_looks_like_coco(file) for file in coco_files(path))
        return path.suffix.lower() == ".json" and _looks_like_coco(path)

    def read(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage]:
        """Read all images in the order of the file's list of them."""
        file = _file_of(path)
        folders = picture_folders(file, pictures)
        with CocoSpool(file) as spool:
            for reason, count in spool.left_out.items():
                noun = "annotation is" if count == 1 else "annotations are"
                warnings.warn(f"{file}: {count:,} {noun} left out: {reason}", FormatWarning, stacklevel=2)
            for key, entry in spool.images():
                yield _read_image(entry, spool.annotations(key), spool.labels, file, folders)

    def open_writer(self, path: Path, losses: Losses, with_pictures: bool = False) -> Writer:
        """Begin a file."""
        return _CocoWriter(self, path, losses, with_pictures)

    def segmentations(self, masks: Masks, losses: Losses) -> list[Any]:
        """Describe each mask as JSON."""
        del losses
        return [{"size": list(one["size"]), "counts": one["counts"].decode("ascii")} for one in masks.rles]


class CocoPolygons(Coco):
    """COCO's instances file with polygons, for tools that read nothing else.

    Polygons of COCO have no holes, and run along the corners of pixels, by which pycocotools gives the mask back to the
    pixel; tools that draw them with OpenCV add a line of pixels on the right and below. A mask that is not given back
    (one with a hole or without a pixel, or one of a picture so large that pycocotools loses count) is written as
    compressed run lengths instead, with ``iscrowd`` 0, and counted: no mask is changed, but not every tool reads it.
    """

    name = "coco-polygons"
    title = "COCO instances, polygons: one JSON file"
    carries = frozenset(Feature) - {Feature.HOLES, Feature.EMPTY_MASKS}

    def segmentations(self, masks: Masks, losses: Losses) -> list[Any]:
        """Trace each mask, and take run lengths where the outline does not give it back."""
        found: list[Any] = []
        for index, encoded in enumerate(super().segmentations(masks, losses)):
            polygons = masks.polygons(index)
            if not polygons or any(polygon.holes for polygon in polygons):
                losses.add("masks with holes or without a pixel are written as run lengths instead of polygons")
                found.append(encoded)
                continue
            outlines = [polygon.exterior.astype(int).reshape(-1).tolist() for polygon in polygons]
            if rle.from_coco(outlines, masks.size) != masks.rles[index]:
                losses.add("masks that COCO's polygons do not give back exactly are written as run lengths instead")
                found.append(encoded)
                continue
            found.append(outlines)
        return found


class _CocoWriter(OneFileWriter):
    def __init__(self, layout: Coco, path: Path, losses: Losses, with_pictures: bool) -> None:
        super().__init__(layout.name, path, losses, with_pictures)
        self._layout = layout
        self._images, self._annotations = self.spool(), self.spool()
        self._image_count = self._annotation_count = 0
        self._categories: dict[str | None, int] = {}

    def add(self, image: AnnotatedImage) -> None:
        masks = with_finite_columns(image.masks, self.losses)
        height, width = masks.size
        number = self._image_count + 1
        segmentations = self._layout.segmentations(masks, self.losses)
        annotations = masks.to_coco(number, self._category, self._annotation_count + 1)
        for annotation, segmentation in zip(annotations, segmentations, strict=True):
            annotation["segmentation"] = segmentation
            annotation.pop("label", None)
        _append(self._images, [{"id": number, "file_name": image.name, "width": width, "height": height}], number == 1)
        _append(self._annotations, annotations, self._annotation_count == 0)
        self._image_count = number
        self._annotation_count += len(annotations)

    def join(self, path: Path) -> None:
        with path.open("wb") as file:
            file.write(b'{"info":{"description":"Masks written by anymask"},"licenses":[],\n"images":[')
            append_file(self._images, file)
            file.write(b'],\n"categories":[')
            _append(file, self._category_entries(), True)
            file.write(b'],\n"annotations":[')
            append_file(self._annotations, file)
            file.write(b"]}\n")

    def _category(self, label: str | None) -> int:
        return self._categories.setdefault(label, len(self._categories) + 1)

    def _category_entries(self) -> list[dict[str, Any]]:
        nameless = _UNLABELLED
        while nameless in self._categories:
            nameless = f"unlabelled {nameless}"
        return [
            {"id": number, "name": nameless, "supercategory": "", "unlabelled": True}
            if label is None
            else {"id": number, "name": label, "supercategory": ""}
            for label, number in self._categories.items()
        ]


def _append(file: IO[bytes], entries: Sequence[dict[str, Any]], is_first: bool) -> None:
    """Append entries of a JSON list, a line each."""
    lines = [json.dumps(entry, separators=(",", ":"), allow_nan=False) for entry in entries]
    if lines:
        file.write((("\n" if is_first else ",\n") + ",\n".join(lines)).encode("ascii"))


def _looks_like_coco(file: Path) -> bool:
    with contextlib.suppress(DatasetError), open_json(file, limit=_SHORT_LOOK, chunk=1 << 14) as stream:
        if stream.begins_with() == "[":
            return is_result(next((entry for entry, _ in stream.elements()), None))
        empty = set()
        for key in stream.members():
            if key not in ("images", "annotations") or stream.begins_with() != "[":
                continue
            first = next((entry for entry, _ in stream.elements()), None)
            if first is not None:
                needed = {"id"} if key == "images" else {"image_id"}
                return isinstance(first, dict) and needed <= first.keys()
            empty.add(key)
        return len(empty) == 2
    return False


def _file_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = coco_files(path)
    if not files:
        raise DatasetError(
            f"{path} holds no COCO file: annotations.json, instances*.json or *coco*.json; give the file"
        )
    if len(files) > 1:
        names = ", ".join(str(file.relative_to(path)) for file in files)
        raise DatasetError(f"{path} holds several COCO files: {names}; give the one you mean instead of the folder")
    return files[0]


def _read_image(
    entry: dict[str, Any],
    annotations: list[dict[str, Any]],
    labels: dict[str, str | None],
    file: Path,
    folders: list[Path],
) -> AnnotatedImage:
    given = image_name(entry)
    if given is None:
        raise DatasetError(f"{file}: the image with the id {entry['id']} has no file_name")
    try:
        name = picture_name(given)
    except FormatError as error:
        raise DatasetError(f"{file}: the image with the id {entry['id']}: {error}") from error
    picture = find_picture(name, folders)
    place = f"{file}: image {name}"
    for annotation in annotations:
        if isinstance(annotation["segmentation"], list):
            annotation["segmentation"] = polygons_with_area(annotation["segmentation"])
        label = _label_of(annotation, labels)
        annotation["label"] = None if label is None else str(label)
    try:
        masks = Masks.from_coco(annotations, _size_of(entry, annotations, picture, place))
    except DatasetError:
        raise
    except MaskError as error:
        raise DatasetError(f"{place}: {error}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise DatasetError(f"{place}: one of its annotations is not COCO's: {error}") from error
    return AnnotatedImage(name, masks, picture)


def _label_of(annotation: dict[str, Any], labels: dict[str, str | None]) -> Any:
    try:
        return labels[identity(annotation["category_id"])]
    except (KeyError, TypeError):
        return annotation.get("label")


def _size_of(
    entry: dict[str, Any], annotations: list[dict[str, Any]], picture: Path | None, place: str
) -> tuple[int, int]:
    """Return (height, width) as the entry says; where it says nothing, as run lengths or the picture do."""
    height, width = (_side(entry.get(key), place) for key in ("height", "width"))
    if height and width:
        return height, width
    for annotation in annotations:
        if isinstance(annotation["segmentation"], dict) and "size" in annotation["segmentation"]:
            height, width = annotation["segmentation"]["size"]
            return int(height), int(width)
    if picture is None:
        raise DatasetError(
            f"{place} has no width and height, and its picture, which would tell them, was not found; say where the "
            "pictures are"
        )
    try:
        return image_size(picture)
    except ImageError as error:
        raise DatasetError(f"{place} has no width and height, and its picture does not tell them: {error}") from error


def _side(value: Any, place: str) -> int:
    """Return a width or height, 0 where it is not known."""
    # pandas writes NaN for what it does not know, others 0 or -1.
    if value is None or value != value:
        return 0
    try:
        side = int(value)
    except (TypeError, ValueError, OverflowError):
        side = None
    if side is None or (isinstance(value, float) and side != value):
        raise DatasetError(f"{place} has a width or height that is no whole number of pixels: {value!r}")
    return max(0, side)
