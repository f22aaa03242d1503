"""One database file, and the transactions on it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydantic import ValidationError
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from anymask.engine import migration, sqlite
from anymask.engine.errors import DamagedDatabaseError, DatabaseError, StorageError
from anymask.engine.schema import ProjectRow


class Database:
    """An open database; threads may share it, and other processes may have it open too.

    Attributes:
        path: the file.
        project: the id of the project in it.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, make it if it is not there, and migrate it if it is old.

        Raises:
            DatabaseError: its subclasses say what is wrong with it.
        """
        self.path = path
        _make_place(path)
        self._engine = sqlite.open_engine(path)
        self._writer = self._engine.execution_options(**{sqlite.WRITES: True})
        try:
            with sqlite.errors_explained(path):
                _bring_up_to_date(self._engine, self._writer, path)
                sqlite.use_write_ahead_log(self._engine)
            self._file = _identity(path)
            with self.reading() as session:
                self.project = session.scalars(select(ProjectRow.id)).one()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """See the database as it is at the first query, whatever others write meanwhile.

        Raises:
            DatabaseError: it cannot be read.
        """
        with _rows_explained(self.path), sqlite.errors_explained(self.path), Session(self._engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Be the only one who writes; all is stored for good when the block ends, or nothing if it raises.

        Raises:
            StoreBusyError: another one has been writing for too long.
            StorageError: it cannot be written.
            DatabaseError: it cannot be used.
        """
        with _rows_explained(self.path), sqlite.errors_explained(self.path), Session(self._writer) as session:
            yield session
            # A file that was removed or put elsewhere can be written on, but nobody would find it again.
            if _identity(self.path) != self._file:
                raise StorageError(
                    f"{self.path} was moved, removed or replaced while it was open, and nothing was changed: "
                    "put it back and start again"
                )
            session.commit()


def _bring_up_to_date(reader: Engine, writer: Engine, path: Path) -> None:
    # Most often there is nothing to do, and nobody needs to wait for anybody.
    with reader.connect() as connection:
        if not sqlite.is_new(connection, path) and migration.is_current(connection, path):
            return
    with writer.begin() as connection:
        if sqlite.is_new(connection, path):
            sqlite.mark_as_ours(connection)
            migration.upgrade(connection)
            connection.execute(insert(ProjectRow).values(id=uuid4(), created_at=datetime.now(UTC)))
        elif not migration.is_current(connection, path):
            migration.upgrade(connection)


@contextmanager
def _rows_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise DamagedDatabaseError(
            f"{path} holds what no anymask has written ({reason}): put a copy of it back"
        ) from error


def _make_place(path: Path) -> None:
    """Make the folder of a database and see that it can be written there.

    Raises:
        DatabaseError: it cannot.
    """
    folder = path.parent
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(folder.parent)
        if path.is_dir():
            raise DatabaseError(f"{path} is a folder: give a file for the project's database, such as {path}/studio.db")
        if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise StorageError(
            f"the project's database cannot be kept at {path} ({error.strerror or error}): give another file for it"
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make the entries of a folder survive a power failure, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
