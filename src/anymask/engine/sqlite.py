"""All that the store asks of SQLite alone: how it is opened, how its file is recognised, what its errors mean."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from anymask.engine.errors import (
    DamagedDatabaseError,
    DatabaseError,
    ForeignDatabaseError,
    StorageError,
    StoreBusyError,
)

APPLICATION_ID = 0x616E796D
"""Stands in the header of every database of ours: "anym"."""
SECONDS_TO_WAIT = 15.0
"""How long another writer is waited for."""
WRITES = "anymask_writes"
"""The execution option of connections that are going to write."""

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_STORAGE = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
)

APPEND_ONLY = (
    """
    CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END
    """,
    """
    CREATE TRIGGER events_are_never_removed BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END
    """,
    # INSERT OR REPLACE removes rows without asking the trigger above.
    """
    CREATE TRIGGER events_are_never_replaced BEFORE INSERT ON events
    WHEN EXISTS (
        SELECT 1 FROM events WHERE seq = NEW.seq OR change_id = NEW.change_id
        OR (object_id = NEW.object_id AND version = NEW.version)
    )
    BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END
    """,
)
"""Statements that make the table of events refuse whatever is not a new row. The first migration runs them, so they
stay as they are."""


def open_engine(path: Path) -> Engine:
    """Prepare connections to a database file; it is opened, or made, when the first is used."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)), connect_args={"timeout": SECONDS_TO_WAIT}, max_overflow=-1
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, record: object) -> None:
        del record
        # Python's own transactions begin late, and never for what changes the schema.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        # What was confirmed survives a power failure, in WAL mode too.
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that begins by reading and then writes would fail if another one wrote in between.
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def is_new(connection: Connection, path: Path) -> bool:
    """Tell whether a database is still empty.

    Raises:
        ForeignDatabaseError: it holds the tables of another program.
    """
    found = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    if found == APPLICATION_ID:
        return False
    tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    if found or tables:
        raise ForeignDatabaseError(f"{path} is the database of another program: give another file for the project")
    return True


def mark_as_ours(connection: Connection) -> None:
    """Write into the header whose database this is; part of the transaction."""
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def use_write_ahead_log(engine: Engine) -> None:
    """Let readers and a writer work at the same time, from now on.

    Where the file's place cannot do that, as some network drives, the database goes on without, equally safe.
    """
    raw = engine.raw_connection()
    try:
        end = time.monotonic() + SECONDS_TO_WAIT
        while True:
            try:
                raw.cursor().execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                # SQLite does not wait here by itself while another one opens the file.
                if primary_code(error) not in _BUSY or time.monotonic() > end:
                    raise
                time.sleep(0.02)
    finally:
        raw.close()


@contextmanager
def errors_explained(path: Path) -> Iterator[None]:
    """Turn what SQLite complains of into errors that say what to do.

    Raises:
        StoreBusyError: another program holds the database.
        StorageError: it cannot be written, or read from the disk.
        DamagedDatabaseError: it is damaged.
        ForeignDatabaseError: it is no database.
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        explained = _explain(error.orig if isinstance(error, DBAPIError) else error, path)
        if explained is None:
            raise
        raise explained from error


def primary_code(error: Any) -> int:
    """Return the kind of an error of SQLite, without its details; 0 if it has none."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _explain(error: Any, path: Path) -> DatabaseError | None:
    code = primary_code(error)
    if code in _BUSY:
        return StoreBusyError(
            f"{path} is held by another program for more than {SECONDS_TO_WAIT:.0f} seconds: try again, "
            "or close the other program"
        )
    if code == sqlite3.SQLITE_FULL:
        return StorageError(f"the disk of {path} is full, and nothing was changed: make room and try again")
    if code == sqlite3.SQLITE_READONLY:
        return StorageError(f"{path} may only be read, and nothing was changed: allow writing, or give another file")
    if code in _STORAGE:
        return StorageError(f"{path} cannot be read or written ({error}): look after the disk and its permissions")
    if code == sqlite3.SQLITE_NOTADB:
        return ForeignDatabaseError(f"{path} is no database: give another file for the project")
    if code == sqlite3.SQLITE_CORRUPT:
        return DamagedDatabaseError(
            f"{path} is damaged ({error}): put a copy of it back, or move it away to begin anew"
        )
    return None
