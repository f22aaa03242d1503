"""The pictures of a project: which there are, in which order, and how large."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, exists, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from anymask.engine.annotation import Status
from anymask.engine.errors import FolderError, UnknownPictureError
from anymask.engine.measuring import FileFacts, Measurement
from anymask.engine.picture_order import order_key
from anymask.engine.schema import ObjectRow, PictureRow
from anymask.formats.instances import IMAGE_SUFFIXES
from anymask.formats.walk import files_below


@dataclass(frozen=True)
class Picture:
    """A picture in the list.

    Attributes:
        id: its number in this project, for ever.
        name: its path in the folder, with forward slashes.
        width: in pixels after EXIF rotation; None until it was read.
        height: the same.
        objects: how many objects are present.
        error: why it cannot be annotated now, or None.
    """

    id: int
    name: str
    width: int | None
    height: int | None
    objects: int
    error: str | None

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width), or None if they are not known."""
        return None if self.width is None or self.height is None else (self.height, self.width)


@dataclass(frozen=True)
class UnusableFile:
    """A file in the folder that looks like a picture and cannot be one of the project.

    Attributes:
        name: its path in the folder; what cannot be written in UTF-8 is replaced by question marks.
        reason: why, and what to do, in a sentence.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class PictureSync:
    """What a look through the folder found.

    Attributes:
        pictures: how many there are.
        added: how many are new.
        missing: how many are gone since the last look; their objects are kept.
        returned: how many of those that were gone are there again.
        unusable: files that cannot be pictures of a project.
    """

    pictures: int
    added: int
    missing: int
    returned: int
    unusable: list[UnusableFile]


OTHER_PICTURE_SUFFIXES = (
    *(".heic", ".heif", ".jxl", ".psd", ".svg", ".exr", ".hdr", ".tga"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
)
"""File names that end so are pictures to people, but of kinds that are not read."""


def names_in(folder: Path) -> tuple[list[str], list[UnusableFile]]:
    """List the pictures below a folder, and files there that are pictures to people but cannot be used.

    Raises:
        FolderError: it cannot be listed.
    """
    names, unusable = [], []
    try:
        for path in files_below(folder, (*IMAGE_SUFFIXES, *OTHER_PICTURE_SUFFIXES)):
            name = path.relative_to(folder).as_posix()
            plain = _written_in_utf8(name)
            suffix = path.suffix.lower()
            if suffix in OTHER_PICTURE_SUFFIXES:
                reason = f"{suffix} files are not read: convert it to JPEG, PNG or TIFF"
                unusable.append(UnusableFile(plain, reason))
            elif plain != name:
                unusable.append(UnusableFile(plain, "its name, or that of a folder, is not in UTF-8: rename it"))
            else:
                names.append(name)
    except OSError as error:
        raise FolderError(f"cannot list {error.filename or folder}: {error.strerror or error}") from error
    return names, unusable


def _written_in_utf8(name: str) -> str:
    """Return a file's name, with question marks for bytes that are no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode(errors="surrogateescape").decode(errors="replace")
    return name


def sync(session: Session, names: Sequence[str], unusable: list[UnusableFile], now: datetime) -> PictureSync:
    """Make the project's pictures those of these names; none is ever removed, only marked as missing."""
    there = set(names)
    known = {row.name: row for row in session.execute(select(PictureRow.id, PictureRow.name, PictureRow.missing_since))}
    added = [{"name": name, "order_key": order_key(name), "added_at": now} for name in names if name not in known]
    missing = [row.id for row in known.values() if row.missing_since is None and row.name not in there]
    returned = [row.id for row in known.values() if row.missing_since is not None and row.name in there]
    if added:
        session.execute(insert(PictureRow), added)
    moved = [{"id": one, "missing_since": now} for one in missing]
    moved += [{"id": one, "missing_since": None} for one in returned]
    if moved:
        session.execute(update(PictureRow), moved)
    return PictureSync(len(names), len(added), len(missing), len(returned), unusable)


def count(session: Session) -> int:
    """Count the pictures in the list."""
    return session.scalar(select(func.count()).select_from(PictureRow).where(_listed())) or 0


def page(session: Session, offset: int, limit: int | None) -> list[Picture]:
    """Return a part of the list, in its order."""
    query = _pictures().where(_listed()).order_by(PictureRow.order_key).offset(offset).limit(limit)
    return [_picture(row) for row in session.execute(query)]


def ids(session: Session) -> list[int]:
    """Return the ids of all pictures in the list, in its order."""
    return list(session.scalars(select(PictureRow.id).where(_listed()).order_by(PictureRow.order_key)))


def names(session: Session) -> list[tuple[int, str]]:
    """Return the ids and names of all pictures in the list."""
    return [(row.id, row.name) for row in session.execute(select(PictureRow.id, PictureRow.name).where(_listed()))]


def some(session: Session, wanted: Iterable[int]) -> dict[int, Picture]:
    """Return pictures by their ids, as far as there are such."""
    query = _pictures().where(PictureRow.id.in_(_possible(wanted)))
    return {picture.id: picture for picture in map(_picture, session.execute(query))}


def one(session: Session, picture: int) -> Picture:
    """Return a picture.

    Raises:
        UnknownPictureError: the project has none of this id.
    """
    found = some(session, [picture]).get(picture)
    if found is None:
        raise _unknown(picture)
    return found


def row_of(session: Session, picture: int) -> PictureRow:
    """Return a picture's row.

    Raises:
        UnknownPictureError: the project has none of this id.
    """
    row = session.get(PictureRow, picture) if _possible([picture]) else None
    if row is None:
        raise _unknown(picture)
    return row


def by_name(session: Session, name: str) -> Picture | None:
    """Return the picture of a name, if there is one."""
    row = session.execute(_pictures().where(PictureRow.name == name)).first()
    return None if row is None else _picture(row)


def measured_files(session: Session, wanted: Sequence[int]) -> dict[int, tuple[str, FileFacts | None]]:
    """Return the names of pictures, and from which file the size of each was read; None if it must be read.

    Raises:
        UnknownPictureError: the project has no picture of one of these ids.
    """
    found: dict[int, tuple[str, FileFacts | None]] = {}
    for row in session.scalars(select(PictureRow).where(PictureRow.id.in_(_possible(wanted)))):
        file = None
        if row.missing_since is None and row.file_bytes is not None and row.file_changed_ns is not None:
            file = FileFacts(row.file_bytes, row.file_changed_ns)
        found[row.id] = row.name, file
    for picture in wanted:
        if picture not in found:
            raise _unknown(picture)
    return found


def take_measurements(session: Session, found: Mapping[int, Measurement], now: datetime) -> None:
    """Keep what pictures' files said of themselves."""
    for row in session.scalars(select(PictureRow).where(PictureRow.id.in_(list(found)))):
        measurement = found[row.id]
        if measurement.file is None:
            row.missing_since = row.missing_since or now
            continue
        row.missing_since = None
        row.file_bytes, row.file_changed_ns = measurement.file.bytes, measurement.file.changed_ns
        if measurement.size is None:
            row.error = measurement.error
        else:
            set_size(session, row, measurement.size)


def set_size(session: Session, row: PictureRow, size: tuple[int, int]) -> None:
    """Set a picture's (height, width), and that it can be opened.

    A picture with objects keeps the size on which they were made: where its file has another one, that is its error.
    """
    height, width = size
    same = (row.height, row.width) == size
    if not same and row.width is not None and session.scalar(select(exists().where(ObjectRow.picture_id == row.id))):
        row.error = (
            f"the file has {width} x {height} pixels now, but its objects were made on {row.width} x {row.height}: "
            "put the first file back, or add this one under another name"
        )
        return
    row.height, row.width, row.error = height, width, None


def _pictures() -> Select[Any]:
    # SQLite counts in the index alone, picture by picture, so that a page costs as much as it has pictures.
    present = (
        select(func.count())
        .where(ObjectRow.picture_id == PictureRow.id, ObjectRow.status == Status.PRESENT.value)
        .correlate(PictureRow)
        .scalar_subquery()
    )
    return select(
        PictureRow.id,
        PictureRow.name,
        PictureRow.width,
        PictureRow.height,
        PictureRow.error,
        PictureRow.missing_since,
        present.label("objects"),
    )


def _listed() -> ColumnElement[bool]:
    """Those that are there, and those whose objects would otherwise be out of sight."""
    present = select(literal(1)).where(ObjectRow.picture_id == PictureRow.id, ObjectRow.status == Status.PRESENT.value)
    return or_(PictureRow.missing_since.is_(None), present.exists())


def _picture(row: Row[Any]) -> Picture:
    error = row.error
    if row.missing_since is not None:
        error = f"{row.name} is no longer in the folder; its objects are kept: put it back to go on with it"
    return Picture(row.id, row.name, row.width, row.height, row.objects, error)


def _possible(wanted: Iterable[int]) -> list[int]:
    """Leave out what no database could take for an id."""
    return [picture for picture in wanted if 0 < picture < 1 << 63]


def _unknown(picture: int) -> UnknownPictureError:
    return UnknownPictureError(f"this project has no picture {picture}")
