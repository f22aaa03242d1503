"""The folders that ``scripts/amg.py`` of the package segment_anything writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from anymask.formats.annotated import AnnotatedImage, Feature, Losses
from anymask.formats.format import FolderFormat, find_picture_of_key, name_of_key
from anymask.formats.instances import DatasetError
from anymask.formats.mask_pictures import read_object
from anymask.formats.walk import files_below
from anymask.segment import rle
from anymask.segment.errors import ImageError
from anymask.segment.masks import Masks
from anymask.segment.pixels import image_size

_TABLE = "metadata.csv"
_POINT = ("point_input_x", "point_input_y")
_CROP = ("crop_box_x0", "crop_box_y0", "crop_box_w", "crop_box_h")
_COLUMNS = (
    "id",
    "area",
    "bbox_x0",
    "bbox_y0",
    "bbox_w",
    "bbox_h",
    *_POINT,
    "predicted_iou",
    "stability_score",
    *_CROP,
)


class ScriptFolder(FolderFormat):
    """``NAME/0.png``, ``1.png`` and so on, black and white, and ``NAME/metadata.csv`` with a row for each.

    The table has the script's columns, empty where something is not known, and behind them ``label`` where masks have
    labels. As in the script, ``bbox_w`` and ``bbox_h`` reach from the first to the last pixel: one less than the mask
    is wide and high. An image without masks has a black ``0.png`` without a row, which keeps its size. Pictures are
    copied to ``images/NAME.jpg``; the script leaves none, and without them the endings of names are lost.

    Pictures are looked for in ``images/``, and beside the folders of masks.
    """

    name = "script"
    title = "the original script's folders: NAME/metadata.csv and NAME/0.png for each mask"
    carries = frozenset(Feature) - {Feature.NAMES}

    def recognises(self, path: Path) -> bool:
        """Look for a ``metadata.csv`` with a column ``id`` and one of the script's others."""
        files = [path] if path.is_file() else files_below(path, (".csv",))
        for _, file in zip(range(20), files, strict=False):
            if file.name.lower() == _TABLE:
                try:
                    columns = _read_table(file)[0]
                except DatasetError:
                    continue
                if "id" in columns and len(columns & set(_COLUMNS)) > 1:
                    return True
        return False

    def read_each(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage | DatasetError]:
        """Read every ``metadata.csv`` below the folder, or the one that is given, with the masks beside it.

        Only the column ``id`` must be there. Where the table has no row, the size comes from any picture beside it, or
        from the image itself.
        """
        root = path
        if path.is_file() or (path / _TABLE).is_file():
            path = path.resolve()
            root = path.parent.parent if path.is_file() else path.parent
        found = False
        for file in files_below(path, (".csv",)) if path.is_dir() else [path]:
            if file.name.lower() != _TABLE:
                continue
            found = True
            try:
                yield _read_image(file, root, pictures)
            except DatasetError as error:
                yield error
        if not found:
            raise DatasetError(f"{path} holds no folder with {_TABLE} in it")

    def files(self, image: AnnotatedImage, key: str, losses: Losses) -> Iterator[tuple[str, bytes]]:
        """Yield ``KEY/0.png`` and so on, then ``KEY/metadata.csv``."""
        del losses
        masks = image.masks
        for index in range(len(masks)):
            yield f"{key}/{index}.png", _png(masks.mask(index))
        if not len(masks):
            yield f"{key}/0.png", _png(np.zeros(masks.size, dtype=np.bool_))
        yield f"{key}/{_TABLE}", _table(masks).encode()

    def picture_place(self, key: str, suffix: str) -> str:
        """Say that pictures lie in ``images/``."""
        return f"images/{key}{suffix}"


def _png(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(stream, "PNG")
    return stream.getvalue()


def _table(masks: Masks) -> str:
    lines = [",".join([*_COLUMNS, *([] if masks.labels is None else ["label"])])]
    for index in range(len(masks)):
        x0, y0, x1, y1 = masks.boxes[index].astype(int).tolist()
        row = [index, int(masks.areas[index]), x0, y0, max(x1 - x0 - 1, 0), max(y1 - y0 - 1, 0)]
        fields = [str(value) for value in row]
        fields += ["", ""] if masks.points is None else map(_number, masks.points[index])
        fields += ["" if values is None else _number(values[index]) for values in (masks.scores, masks.stability)]
        if masks.crops is None:
            fields += [""] * 4
        else:
            left, top, right, bottom = masks.crops[index]
            fields += map(_number, (left, top, np.float64(right) - left, np.float64(bottom) - top))
        if masks.labels is not None:
            label = masks.labels[index]
            # Always quoted: csv's own writer leaves a carriage return bare, where its reader ends the line.
            fields.append('"{}"'.format(label.replace('"', '""')) if label else "")
        lines.append(",".join(fields))
    return "\n".join(lines) + "\n"


def _number(value: np.floating[Any]) -> str:
    """Write a number with the fewest digits that give it back in its own precision."""
    return str(int(value)) if np.isfinite(value) and value == int(value) else str(value)


def _read_table(file: Path) -> tuple[set[str], list[dict[str, str]]]:
    """Read a table's columns and rows.

    Raises:
        DatasetError: it cannot be read, is no table, or a row is not as long as the head.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, strict=True)
            columns = {name.strip() for name in rows.fieldnames or []}
            read = []
            for row in rows:
                if None in row or None in row.values():
                    raise DatasetError(f"{file}: line {rows.line_num} has not as many fields as the head")
                read.append({name.strip(): text for name, text in row.items()})
            return columns, read
    except OSError as error:
        raise DatasetError(f"cannot read {file}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DatasetError(f"{file} is not a table of comma-separated values: {error}") from error


def _read_image(file: Path, root: Path, pictures: Path | None) -> AnnotatedImage:
    columns, rows = _read_table(file)
    if "id" not in columns:
        raise DatasetError(f"{file} has no column id, which names the masks: 0 for 0.png")
    key = file.parent.relative_to(root).as_posix()
    places = [place for place in (pictures, root / "images", root) if place is not None]
    picture = find_picture_of_key(key, places, lambda name: (root / name / _TABLE).is_file())
    name = name_of_key(key)
    if picture is not None:
        place = next(place for place in places if picture.is_relative_to(place))
        name = picture.relative_to(place).as_posix()
    return AnnotatedImage(name, _read_masks(file, columns, rows, picture), picture)


def _read_masks(file: Path, columns: set[str], rows: list[dict[str, str]], picture: Path | None) -> Masks:
    if not rows:
        return Masks.empty(_size_without_masks(file, picture))
    rles = []
    for row in rows:
        number = _parse(file, row, "id")
        mask = file.parent / f"{number:.0f}.png"
        if not number.is_integer() or not mask.is_file():
            raise DatasetError(f"{file} lists the mask {row['id']}, and there is no {mask.name} beside it")
        rles.append(rle.encode_mask(read_object(mask)))
    sizes = {(one["size"][0], one["size"][1]) for one in rles}
    if len(sizes) > 1:
        raise DatasetError(f"the masks in {file.parent} differ in size: {sorted(sizes)}")

    def column(*names: str) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        if not columns.issuperset(names) or any(not row[name].strip() for row in rows for name in names):
            return None
        return np.array([[_parse(file, row, name) for name in names] for row in rows])

    scores, stability = column("predicted_iou"), column("stability_score")
    points, crops = column(*_POINT), column(*_CROP)
    if crops is not None:
        # Widths are differences of float32 numbers, so the corners must be such again before they are added.
        crops[:, 2:] += crops[:, :2].astype(np.float32)
    labels = [row["label"] or None for row in rows] if "label" in columns else []
    return Masks(
        rles,
        sizes.pop(),
        scores=None if scores is None else scores[:, 0],
        stability=None if stability is None else stability[:, 0],
        points=points,
        crops=crops,
        labels=labels if any(label is not None for label in labels) else None,
    )


def _parse(file: Path, row: dict[str, str], name: str) -> float:
    try:
        return float(row[name])
    except ValueError:
        raise DatasetError(f"{file}: {name} of the mask {row['id']} is not a number: {row[name]!r}") from None


def _size_without_masks(file: Path, picture: Path | None) -> tuple[int, int]:
    beside = file.parent / "0.png"
    if beside.is_file():
        picture = beside
    if picture is None:
        raise DatasetError(
            f"{file} lists no mask, and so does not say how large the image is; give the folder of the pictures too"
        )
    try:
        return image_size(picture)
    except ImageError as error:
        raise DatasetError(f"{file} lists no mask, and the image's size is not known: {error}") from error
