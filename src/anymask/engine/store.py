"""A project's pictures and objects, kept safe: what was confirmed is there, whatever is killed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from anymask.engine import events, labels, objects, pictures
from anymask.engine.annotation import Change, ChangeResult, ObjectState, Outcome
from anymask.engine.database import Database
from anymask.engine.errors import DatabaseError, FolderError, UnreadablePictureError
from anymask.engine.events import Event
from anymask.engine.exporting import annotated_image
from anymask.engine.importing import ImportSummary, PictureNames, in_batches, new_changes
from anymask.engine.measuring import facts_of, measure
from anymask.engine.pictures import Picture, PictureSync
from anymask.formats.annotated import AnnotatedImage

DATABASE = Path(".anymask", "studio.db")
"""Where a project's database is in the folder of its pictures, unless another place is given."""

_PICTURES_AT_A_TIME = 20
_IMPORTED_MASKS_AT_A_TIME = 2000
_IMPORTED_IMAGES_AT_A_TIME = 200


class Store:
    """An open project. Threads may share it, and other processes may have the same project open.

    Every method is one transaction, or a few where it says so. All raise DatabaseError's subclasses: StoreBusyError
    if another program writes for too long, StorageError if the disk is full or read-only, DamagedDatabaseError.

    Attributes:
        folder: the folder of pictures, links resolved.
        database: the file in which everything else is.
        project_id: made with the database; it stays when the folder is moved.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        """Use :meth:`open`."""
        self.folder = folder
        self.database = database.path
        self.project_id = str(database.project)
        self._project = database.project
        self._database = database

    @classmethod
    def open(cls, folder: str | Path, database: str | Path | None = None) -> Self:
        """Open the project of a folder of pictures, or begin it. Nothing is looked for yet: see :meth:`sync_pictures`.

        Args:
            folder: where the pictures are, in subfolders too.
            database: the file for everything else; ``.anymask/studio.db`` in the folder by default.

        Raises:
            FolderError: there is no such folder.
            StorageError: the database cannot be written there.
            ForeignDatabaseError: the file is something else.
            NewerDatabaseError: a newer anymask made it.
            DamagedDatabaseError: it is damaged.
            StoreBusyError: another program holds it.
        """
        place = Path(folder).expanduser().resolve()
        if not place.is_dir():
            what = "is a file" if place.exists() else "is not there"
            raise FolderError(f"{folder} {what}: give the folder in which the pictures are")
        if isinstance(database, str) and "://" in database:
            raise DatabaseError(f"{database} is an address: give a file for the project's database")
        file = place / DATABASE if database is None else Path(database).expanduser().resolve()
        return cls(place, Database(file))

    def close(self) -> None:
        """Close the database; what was confirmed is stored already."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def sync_pictures(self) -> PictureSync:
        """Go through the folder: new pictures are added, and those that are gone are marked.

        Objects are never touched. Folders and files whose names begin with a dot are left out.

        Raises:
            FolderError: the folder, or one in it, cannot be listed.
        """
        names, unusable = pictures.names_in(self.folder)
        with self._database.writing() as session:
            return pictures.sync(session, names, unusable, _now())

    def picture_count(self) -> int:
        """Count the pictures in the list."""
        with self._database.reading() as session:
            return pictures.count(session)

    def pictures(self, offset: int = 0, limit: int | None = 1000) -> list[Picture]:
        """Return a part of the list of pictures, in the natural order of their names.

        A picture that is missing stays in the list, with that as its error, while it has objects.
        """
        with self._database.reading() as session:
            return pictures.page(session, offset, limit)

    def picture_ids(self) -> list[int]:
        """Return the ids of all pictures in the list, in its order."""
        with self._database.reading() as session:
            return pictures.ids(session)

    def picture(self, picture: int) -> Picture:
        """Return a picture as it is known.

        Raises:
            UnknownPictureError: there is none of this id.
        """
        with self._database.reading() as session:
            return pictures.one(session, picture)

    def find_picture(self, name: str) -> Picture | None:
        """Return the picture of a path in the folder, if there is one."""
        with self._database.reading() as session:
            return pictures.by_name(session, name)

    def path(self, picture: int) -> Path:
        """Return where a picture's file should be.

        Raises:
            UnknownPictureError: there is none of this id.
        """
        return self.folder / self.picture(picture).name

    def open_picture(self, picture: int) -> tuple[Picture, list[ObjectState]]:
        """Return a picture, its size and error as its file is now, and its objects.

        Objects are those of every status: whoever takes a deleted one up again needs its version.

        Raises:
            UnknownPictureError: there is none of this id.
        """
        self._measure([picture])
        with self._database.reading() as session:
            return pictures.one(session, picture), objects.of_picture(session, picture)

    def set_size(self, picture: int, width: int, height: int) -> None:
        """Set a picture's size in pixels, as it was found on opening it.

        A picture with objects keeps theirs; another one becomes its error.

        Raises:
            UnknownPictureError: there is none of this id.
        """
        with self._database.writing() as session:
            pictures.set_size(session, pictures.row_of(session, picture), (height, width))

    def set_error(self, picture: int, error: str | None) -> None:
        """Set why a picture cannot be opened, or that it can.

        Raises:
            UnknownPictureError: there is none of this id.
        """
        with self._database.writing() as session:
            pictures.row_of(session, picture).error = error

    def objects(self, picture: int) -> list[ObjectState]:
        """Return a picture's objects of every status, in their order.

        Raises:
            UnknownPictureError: there is no such picture.
        """
        with self._database.reading() as session:
            pictures.row_of(session, picture)
            return objects.of_picture(session, picture)

    def apply(self, picture: int, changes: Sequence[Change], author: str | None = None) -> list[ChangeResult]:
        """Store changes to one picture's objects. When this returns, what it calls stored is safe.

        A change is stored if its version is one more than the object's, which is 0 for a new one. One that was stored
        before is known; one that builds on another version is a conflict; one that can never be stored, such as a mask
        of another size, is refused. None of these hinders the others.

        Args:
            picture: the picture's id.
            changes: in the order in which they were made.
            author: who made them, where people are told apart.

        Raises:
            UnknownPictureError: there is no such picture.
            UnreadablePictureError: its size is not known, and its file cannot be read.
        """
        size = self._known_size(picture)
        checked = objects.check(changes, size)
        with self._database.writing() as session:
            row = pictures.row_of(session, picture)
            if row.height is not None and row.width is not None and (row.height, row.width) != size:
                checked = objects.check(changes, (row.height, row.width))
            return objects.apply(session, picture, changes, checked, _now(), author)

    def history(self, object_id: UUID) -> list[Event]:
        """Return all that was done to an object, the first first; nothing for an unknown one."""
        with self._database.reading() as session:
            return events.of_object(session, object_id)

    def events(self, since: int = 0, limit: int = 1000) -> list[Event]:
        """Return up to ``limit`` events of the project after the number ``since``, in the order of being stored."""
        with self._database.reading() as session:
            return events.after(session, since, limit)

    def labels(self) -> list[str]:
        """Return the labels in their order."""
        with self._database.reading() as session:
            return labels.listed(session)

    def set_labels(self, names: Sequence[str], renamed: Mapping[str, str] | None = None) -> list[str]:
        """Make these the labels, in this order.

        Args:
            names: all labels.
            renamed: from old names to names in ``names``; objects with the old name get a new version.

        Returns:
            The labels as they are now, with space and accents written in one way.

        Raises:
            LabelError: a name is empty, too long or given twice, or a renaming leads nowhere.
            LabelInUseError: a label that present objects have was left out.
        """
        with self._database.writing() as session:
            return labels.replace(session, names, renamed or {}, _now())

    def annotated_images(
        self, only: Iterable[int] | None = None, failed: Callable[[Picture], object] | None = None
    ) -> Iterator[AnnotatedImage]:
        """Give pictures with their present objects, as :func:`anymask.formats.write` takes them, in bounded memory.

        Scores are given where all of a picture's objects have one, and pictures' files where they are as they were.
        A few pictures at a time are read in one transaction.

        Args:
            only: ids of pictures, in this order; all in the list by default.
            failed: called with each picture that is left out because its size is not known and cannot be read. Such a
                picture has no objects.

        Raises:
            UnknownPictureError: an id is unknown.
            DamagedDatabaseError: what is stored is no mask.
        """
        wanted = self.picture_ids() if only is None else list(only)
        for first in range(0, len(wanted), _PICTURES_AT_A_TIME):
            part = wanted[first : first + _PICTURES_AT_A_TIME]
            self._measure(part)
            with self._database.reading() as session:
                known = pictures.some(session, part)
                present = objects.present_on(session, part)
            for picture in part:
                image = annotated_image(self.folder, known[picture], present[picture])
                if image is not None:
                    yield image
                elif failed is not None:
                    failed(known[picture])

    def import_images(self, images: Iterable[AnnotatedImage]) -> ImportSummary:
        """Make objects of masks from elsewhere, in bounded memory; importing the same again adds nothing.

        Images are found by their path in the folder, else by their file name where only one picture has it. What
        cannot be taken is left out with a reason. Some images at a time are one transaction. If reading them fails
        midway, those before are imported, and importing again adds the rest.
        """
        summary = ImportSummary()
        with self._database.reading() as session:
            names = PictureNames(pictures.names(session))
        for batch in in_batches(images, _IMPORTED_MASKS_AT_A_TIME, _IMPORTED_IMAGES_AT_A_TIME):
            self._import(batch, names, summary)
        summary.finish()
        return summary

    def _import(self, batch: Sequence[AnnotatedImage], names: PictureNames, summary: ImportSummary) -> None:
        placed = [(image, picture) for image in batch if (picture := names.find(image.name)) is not None]
        summary.other_images += len(batch) - len(placed)
        wanted = {picture for _, picture in placed}
        with self._database.reading() as session:
            known = pictures.some(session, wanted)
        self._measure([picture.id for picture in known.values() if picture.size is None])
        now = _now()
        with self._database.writing() as session:
            known = pictures.some(session, wanted)
            before = {picture: objects.of_picture(session, picture) for picture in wanted}
            for image, picture in placed:
                changes = new_changes(self._project, known[picture], image, before[picture], now, summary)
                results = objects.apply(session, picture, changes, changes, now, None)
                summary.masks += sum(result.outcome is Outcome.STORED for result in results)
                before[picture] += [change.state for change in changes]

    def _known_size(self, picture: int) -> tuple[int, int]:
        found = self.picture(picture)
        if found.size is None:
            self._measure([picture])
            found = self.picture(picture)
        if found.size is None:
            raise UnreadablePictureError(found.error or f"the size of {found.name} is not known: open it first")
        return found.size

    def _measure(self, wanted: Sequence[int]) -> None:
        """Read the sizes of a few pictures, of those whose files are not the ones from which they were read."""
        with self._database.reading() as session:
            before = pictures.measured_files(session, wanted)
        found = {
            picture: measure(self.folder, name)
            for picture, (name, file) in before.items()
            if file is None or file != facts_of(self.folder, name)
        }
        if found:
            with self._database.writing() as session:
                pictures.take_measurements(session, found, _now())


def _now() -> datetime:
    return datetime.now(UTC)
