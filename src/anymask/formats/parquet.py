"""Masks as rows of a Parquet file, for data frames and databases."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from anymask.formats.annotated import AnnotatedImage, Feature, FormatError, Losses, picture_name
from anymask.formats.format import Format, Writer, find_picture
from anymask.formats.instances import DatasetError
from anymask.formats.name_set import NameSet
from anymask.formats.one_file import PICTURES, OneFileWriter, append_file
from anymask.formats.walk import files_below
from anymask.segment import rle
from anymask.segment.errors import MaskError, MissingPackageError
from anymask.segment.masks import Masks

VERSION = 1
"""The version of the layout, in the file's metadata under ``anymask.version``."""

_VERSION_KEY = b"anymask.version"
_NEEDED = ("image", "width", "height", "mask", "counts")
_ROWS = 16384
_BYTES = 1 << 25
_BATCH = 1024


class Parquet(Format):
    """One Parquet file with a row for each mask; an image without masks has one row, whose ``mask`` is null.

    =================================  =========================================================================
    image, width, height               name and size of the image; its rows lie together
    mask                               the mask's number within its image, from 0
    counts                             COCO's compressed run lengths of (height, width): the mask itself
    x0, y0, x1, y1, area               half-open box and number of pixels
    score, stability, point_x, point_y predicted IoU, stability, the point that the mask was asked with
    crop                               list of x0, y0, x1, y1 of the crop in which it was found
    label                              its name
    =================================  =========================================================================

    What is not known is null. The best mask of a car, and its pixels::

        car = pandas.read_parquet("masks.parquet").query("label == 'car'").sort_values("score").iloc[-1]
        pixels = pycocotools.mask.decode({"size": [car.height, car.width], "counts": car.counts})

    Rows may be taken out or changed and the file be read again, as long as an image's rows stay together in the order
    of ``mask``. Reading needs the first five columns; boxes and areas are computed anew, and of the other columns an
    image keeps those that are known for all of its masks (``label``: for any). A folder of such files is read as one.
    """

    name = "parquet"
    title = "Parquet: one file, a row for each mask"
    suffixes = (".parquet",)
    file_suffix = ".parquet"
    is_folder = False
    carries = frozenset(Feature)

    def recognises(self, path: Path) -> bool:
        """Look for the columns of masks in a Parquet file, or the first of a folder."""
        file = next(files_below(path, self.suffixes), None) if path.is_dir() else path
        if file is None or file.suffix.lower() not in self.suffixes:
            return False
        try:
            with _open(file) as opened:
                columns = opened.schema_arrow.names
        except DatasetError:
            return False
        except MissingPackageError:
            # Reading it will say what to install.
            return True
        return set(_NEEDED) <= set(columns)

    def read(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage]:
        """Read all images in the order of the rows."""
        root = path if path.is_dir() else path.parent
        files = files_below(path, self.suffixes) if path.is_dir() else iter([path])
        folders = [folder for folder in (pictures, root / PICTURES, root) if folder is not None and folder.is_dir()]
        names = NameSet()
        found = False
        try:
            for file in files:
                found = True
                for given, rows in groupby(_rows(file), key=lambda row: row["image"]):
                    yield _read_image(given, list(rows), file, folders, names)
        finally:
            names.close()
        if not found:
            raise DatasetError(f"{path} holds no Parquet file")

    def open_writer(self, path: Path, losses: Losses, with_pictures: bool = False) -> Writer:
        """Begin a file."""
        return _ParquetWriter(self.name, path, losses, with_pictures)


class _ParquetWriter(OneFileWriter):
    """Writes groups of rows whose size depends on the images alone, so that equal images give equal bytes."""

    def __init__(self, layout: str, path: Path, losses: Losses, with_pictures: bool) -> None:
        self._arrow, parquet = _pyarrow()
        super().__init__(layout, path, losses, with_pictures)
        self._schema = _schema(self._arrow)
        self._file = self.spool()
        self._writer = parquet.ParquetWriter(
            self._file, self._schema, compression="zstd", use_dictionary=["image", "label"]
        )
        self._columns: dict[str, list[Any]] = {name: [] for name in self._schema.names}
        self._bytes = 0

    def add(self, image: AnnotatedImage) -> None:
        masks = image.masks
        for text in (image.name, *(masks.labels or ())):
            if text is not None and not _is_unicode(text):
                raise FormatError(f"{text!r} is not Unicode text, which Parquet needs: rename it")
        height, width = masks.size
        count = len(masks)
        rows = max(1, count)
        given: dict[str, Sequence[Any] | None] = {
            "image": [image.name] * rows,
            "width": [width] * rows,
            "height": [height] * rows,
            "mask": range(count),
            "counts": [one["counts"].decode("ascii") for one in masks.rles],
            "area": masks.areas.tolist(),
            "score": None if masks.scores is None else masks.scores.tolist(),
            "stability": None if masks.stability is None else masks.stability.tolist(),
            "crop": None if masks.crops is None else masks.crops.tolist(),
            "label": masks.labels,
        }
        for side, name in enumerate(("x0", "y0", "x1", "y1")):
            given[name] = masks.boxes[:, side].tolist()
        for axis, name in enumerate(("point_x", "point_y")):
            given[name] = None if masks.points is None else masks.points[:, axis].tolist()
        for name, values in given.items():
            self._columns[name] += values if values else [None] * rows
        self._bytes += sum(len(one["counts"]) for one in masks.rles)
        if len(self._columns["image"]) >= _ROWS or self._bytes >= _BYTES:
            self._write_group()

    def join(self, path: Path) -> None:
        self._write_group()
        self._writer.close()
        with path.open("wb") as file:
            append_file(self._file, file)

    def abandon(self) -> None:
        # Left open, it would write to the closed file when it is collected.
        with contextlib.suppress(OSError, self._arrow.ArrowException):
            self._writer.close()
        super().abandon()

    def _write_group(self) -> None:
        if self._columns["image"]:
            table = self._arrow.Table.from_pydict(self._columns, self._schema)
            self._writer.write_table(table, row_group_size=_ROWS)
        self._columns = {name: [] for name in self._schema.names}
        self._bytes = 0


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingPackageError(
            'Parquet files need the package pyarrow; install it with `pip install "anymask[parquet]"`'
        ) from error
    return pyarrow, parquet


def _types(arrow: Any) -> dict[str, Any]:
    real, number, text = arrow.float32(), arrow.int64(), arrow.string()
    return {
        "image": text,
        **dict.fromkeys(("width", "height", "mask"), number),
        "counts": text,
        **dict.fromkeys(("x0", "y0", "x1", "y1"), real),
        "area": number,
        **dict.fromkeys(("score", "stability", "point_x", "point_y"), real),
        "crop": arrow.list_(real),
        "label": text,
    }


def _schema(arrow: Any) -> Any:
    return arrow.schema(list(_types(arrow).items()), metadata={_VERSION_KEY: str(VERSION).encode()})


def _open(file: Path) -> Any:
    """Open a Parquet file.

    Raises:
        DatasetError: it is missing or not Parquet.
        MissingPackageError: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    try:
        return parquet.ParquetFile(file, buffer_size=1 << 20)
    except (OSError, arrow.ArrowException) as error:
        raise DatasetError(f"cannot read {file}: {' '.join(str(error).split())}") from error


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows, with their number as ``row``; of columns that are missing or not needed nothing."""
    arrow, _ = _pyarrow()
    with _open(file) as opened:
        schema = opened.schema_arrow
        missing = [name for name in _NEEDED if name not in schema.names]
        if missing:
            raise DatasetError(
                f"{file} holds no masks as anymask writes them: it has no column {', '.join(missing)}, and needs "
                f"{', '.join(_NEEDED)}"
            )
        _check_version((schema.metadata or {}).get(_VERSION_KEY), file)
        computed = ("x0", "y0", "x1", "y1", "area")
        types = {name: kind for name, kind in _types(arrow).items() if name in schema.names and name not in computed}
        number = 0
        try:
            for batch in opened.iter_batches(_BATCH, columns=list(types), use_threads=False):
                columns = [_cast(batch.column(name), kind, name, file) for name, kind in types.items()]
                for values in zip(*columns, strict=True):
                    yield {"row": number, **dict(zip(types, values, strict=True))}
                    number += 1
        except (OSError, arrow.ArrowException) as error:
            raise DatasetError(f"{file} is broken after row {number}: {' '.join(str(error).split())}") from error


def _cast(column: Any, kind: Any, name: str, file: Path) -> list[Any]:
    """Return the values of a column, whatever type a data frame or a database gave it."""
    arrow, _ = _pyarrow()
    try:
        values: list[Any] = column.cast(kind).to_pylist()
    except (arrow.ArrowException, UnicodeDecodeError) as error:
        raise DatasetError(f"{file}: the column {name} holds {column.type}, which is no {kind}: {error}") from error
    return values


def _check_version(version: bytes | None, file: Path) -> None:
    if version is not None and (not version.isdigit() or int(version) > VERSION):
        raise DatasetError(
            f"{file} is of version {version.decode(errors='replace')} of the layout, and this anymask reads up to "
            f"{VERSION}: upgrade anymask"
        )


def _read_image(
    given: str | None, rows: list[dict[str, Any]], file: Path, folders: list[Path], names: NameSet
) -> AnnotatedImage:
    place = f"{file}, row {rows[0]['row']}"
    if given is None:
        raise DatasetError(f"{place}: there is no image")
    try:
        name = picture_name(given)
    except FormatError as error:
        raise DatasetError(f"{place}: {error}") from error
    if not names.add(name):
        raise DatasetError(f"{place}: the rows of {name} do not lie together: sort them by image and mask")
    sizes = {(row["height"], row["width"]) for row in rows}
    size = sizes.pop()
    if sizes or None in size or min(size) < 1:
        raise DatasetError(f"{place}: the rows of {name} must have one width and one height, of at least 1")
    if len(rows) == 1 and rows[0]["mask"] is None and rows[0]["counts"] is None:
        return AnnotatedImage(name, Masks.empty(size), find_picture(name, folders))
    numbers = [row["mask"] for row in rows]
    if None in numbers or any(first >= second for first, second in pairwise(numbers)):
        raise DatasetError(f"{place}: the masks of {name} are not in order: sort the rows by image and mask")
    rles = []
    for row in rows:
        if row["counts"] is None:
            raise DatasetError(f"{file}, row {row['row']}: image {name}: the mask has no counts")
        try:
            rles.append(rle.from_coco({"size": list(size), "counts": row["counts"]}, size))
        except MaskError as error:
            raise DatasetError(f"{file}, row {row['row']}: image {name}: {error}") from error
    columns: dict[str, Any] = {
        "scores": _known([row.get("score") for row in rows]),
        "stability": _known([row.get("stability") for row in rows]),
        "points": _known([_point(row) for row in rows]),
        "crops": _known([row.get("crop") for row in rows]),
    }
    labels = [row.get("label") for row in rows]
    columns["labels"] = labels if any(label is not None for label in labels) else None
    try:
        masks = Masks(rles, size, **columns)
    except (MaskError, TypeError, ValueError) as error:
        raise DatasetError(f"{place}: image {name}: {error}") from error
    return AnnotatedImage(name, masks, find_picture(name, folders))


def _known(values: list[Any]) -> list[Any] | None:
    return None if any(value is None for value in values) else values


def _point(row: dict[str, Any]) -> tuple[float, float] | None:
    x, y = row.get("point_x"), row.get("point_y")
    return None if x is None or y is None else (x, y)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
