"""Images in Parquet files: as Hugging Face data sets keep them, or in a plain column of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anymask.formats.annotated import FormatError, picture_name
from anymask.runs.errors import InputsError
from anymask.runs.items import Source, UnreadableImage
from anymask.segment.errors import MissingPackageError

PARQUET_SUFFIXES = (".parquet", ".pq")
IMAGE_COLUMNS = ("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes", "content")
NAME_COLUMNS = ("file_name", "filename", "name", "path", "key", "__key__", "id", "image_id")

_ROWS_AT_A_TIME = 16
_BYTES_KEPT = 64 << 20
_READERS_KEPT = 4


@dataclass(frozen=True, slots=True)
class ParquetRow:
    """The image in one row of a Parquet file.

    Attributes:
        file: absolute path of the file.
        column: the column of its bytes, with a dot between a column and a field in it.
        group: the row group.
        row: the row within the group.
    """

    file: str
    column: str
    group: int
    row: int

    def read(self) -> bytes:
        """Read the bytes. Rows are read fastest in their order; threads may read side by side.

        Raises:
            InputsError: the row holds no bytes, or the file is damaged or gone.
            MissingPackageError: pyarrow is not installed.
        """
        content = _reader(self.file, self.column, self.group).read(self.row)
        if not content:
            raise InputsError(f"{self.place()}: there are no bytes of an image; files named there are not read")
        return content

    def place(self) -> str:
        """Say which row of which file."""
        return f"{self.file}, row {self.row} of row group {self.group}"


def parquet_images(path: Path) -> list[tuple[str, Source]]:
    """Find the images in a Parquet file without reading them: their names, and where their bytes are.

    They are in a column of bytes, or of structures with a field ``bytes``: the one whose name comes first among
    ``IMAGE_COLUMNS``, or the only one. Their names are those of the first of ``NAME_COLUMNS``, or of the structures'
    field ``path``, that has a different one in every row; without such a column they are the numbers of the rows, from
    0. A file that is damaged is listed as one image that cannot be read, under the name "".

    Args:
        path: absolute path of the file.

    Raises:
        InputsError: no column holds images, or it is unclear which.
        MissingPackageError: pyarrow is not installed.
    """
    parquet = _import_parquet(path)
    import pyarrow

    try:
        with parquet.ParquetFile(path) as file:
            column = _image_column(file.schema_arrow, path)
            groups = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
            places = [(group, row) for group, length in enumerate(groups) for row in range(length)]
            rows = len(places)
            names = _names(file, column, rows) or [f"{row:0{len(str(rows - 1))}}" for row in range(rows)]
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        return [("", UnreadableImage(str(path), f"{path} cannot be read as Parquet: {_one_line(error)}"))]
    text = str(path)
    return [(name, ParquetRow(text, column, *place)) for name, place in zip(names, places, strict=True)]


def _import_parquet(path: Path | str) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingPackageError(
            f'reading {path} needs pyarrow; install it with `pip install "anymask[parquet]"`'
        ) from error
    return pyarrow.parquet


def _image_column(schema: Any, path: Path) -> str:
    """Choose the column of images, and give the dotted name of what holds their bytes."""
    found: dict[str, str] = {}
    for field in schema:
        if _holds_bytes(field.type):
            found[field.name] = field.name
        elif _is_image_structure(field.type):
            found[field.name] = f"{field.name}.bytes"
    for name in IMAGE_COLUMNS:
        for given, column in found.items():
            if given.lower() == name:
                return column
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise InputsError(f"{path} has several columns that may be images ({', '.join(found)}): name one of them image")
    raise InputsError(
        f"{path} has no column of images among {', '.join(schema.names) or 'none'}: it must be one of bytes, or of "
        "structures with a field bytes, as Hugging Face data sets have"
    )


def _holds_bytes(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _is_image_structure(kind: Any) -> bool:
    from pyarrow import types

    return types.is_struct(kind) and any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)


def _names(file: Any, column: str, rows: int) -> list[str] | None:
    from pyarrow import types

    schema = file.schema_arrow
    columns = [name for name in NAME_COLUMNS if schema.get_field_index(name) >= 0]
    columns = [
        name
        for name in columns
        if any(
            is_kind(schema.field(name).type) for is_kind in (types.is_string, types.is_large_string, types.is_integer)
        )
    ]
    structure = column.removesuffix(".bytes")
    if structure != column and schema.field(structure).type.get_field_index("path") >= 0:
        columns.append(f"{structure}.path")
    for name in columns:
        values = file.read(columns=[name]).column(0)
        if name.endswith(".path") and types.is_struct(values.type):
            values = values.combine_chunks().flatten()[0]
        try:
            names = [picture_name(str(value)) for value in values.to_pylist() if value is not None]
        except (FormatError, UnicodeDecodeError):
            continue
        if len(set(names)) == rows:
            return names
    return None


class _RowGroupReader:
    """Reads the bytes of a row group from its start on, and keeps the rows that were read last."""

    def __init__(self, path: str, column: str, group: int) -> None:
        self.path, self.column, self.group = path, column, group
        self._lock = threading.Lock()
        self._restart()

    def _restart(self) -> None:
        self._batches = self._open()
        self._kept: deque[tuple[int, Any]] = deque()
        self._next = 0

    def _open(self) -> Iterator[Any]:
        # Otherwise the whole row group is read at once, and it may be larger than memory.
        page_by_page = {"buffer_size": 1 << 20, "pre_buffer": False}
        with _import_parquet(self.path).ParquetFile(self.path, **page_by_page) as file:
            yield from file.iter_batches(
                batch_size=_ROWS_AT_A_TIME, row_groups=[self.group], columns=[self.column], use_threads=False
            )

    def read(self, row: int) -> bytes | None:
        """Read the bytes in a row of the group."""
        import pyarrow

        with self._lock:
            if row < (self._kept[0][0] if self._kept else self._next):
                self._restart()
            try:
                while row >= self._next:
                    self._advance()
            except (pyarrow.ArrowException, OSError, UnicodeDecodeError, StopIteration) as error:
                self._restart()
                reason = _one_line(error) or "the file has changed since its images were listed"
                raise InputsError(f"{self.path}, row {row} of row group {self.group}: {reason}") from error
            start, values = next(kept for kept in reversed(self._kept) if row >= kept[0])
            content: bytes | None = values[row - start].as_py()
            return content

    def _advance(self) -> None:
        from pyarrow import types

        values = next(self._batches).column(0)
        if types.is_struct(values.type):
            values = values.flatten()[0]
        self._kept.append((self._next, values))
        self._next += len(values)
        while len(self._kept) > 2 and sum(kept.nbytes for _, kept in self._kept) > _BYTES_KEPT:
            self._kept.popleft()


_readers: OrderedDict[tuple[str, str, int], _RowGroupReader] = OrderedDict()
_readers_lock = threading.Lock()


def _reader(path: str, column: str, group: int) -> _RowGroupReader:
    key = path, column, group
    with _readers_lock:
        reader = _readers.get(key)
        if reader is None:
            reader = _readers[key] = _RowGroupReader(path, column, group)
        _readers.move_to_end(key)
        while len(_readers) > _READERS_KEPT:
            _readers.popitem(last=False)
    return reader


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
