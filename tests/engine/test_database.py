"""Opening a project's database: whose it is, how old, how damaged, and who else has it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, event, inspect

from anymask.engine import sqlite
from anymask.engine.errors import (
    DamagedDatabaseError,
    DatabaseError,
    FolderError,
    ForeignDatabaseError,
    NewerDatabaseError,
    StorageError,
    StoreBusyError,
)
from anymask.engine.schema import Base
from anymask.engine.store import Store

from .changing import after, change, new_object


def sql(path: Path, statement: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_migrations_make_the_tables_of_the_models(store):
    engine = create_engine(f"sqlite:///{store.database}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        tables = set(inspect(connection).get_table_names())
        names = {
            item["name"]
            for table in tables - {"alembic_version"}
            for item in [
                *inspect(connection).get_foreign_keys(table),
                *inspect(connection).get_unique_constraints(table),
                *inspect(connection).get_indexes(table),
            ]
        }
    engine.dispose()
    assert tables == {*Base.metadata.tables, "alembic_version"}
    assert names == {
        str(one.name)
        for table in Base.metadata.tables.values()
        for one in {*table.constraints, *table.indexes} - {table.primary_key}
    }


def test_a_new_project_is_in_its_folder_and_keeps_its_id(folder, tmp_path):
    with Store.open(str(folder)) as store:
        assert store.database == folder / ".anymask/studio.db"
        first = store.project_id
        assert UUID(first).version == 4
    assert [path.name for path in (folder / ".anymask").iterdir()] == ["studio.db"]
    assert sql(folder / ".anymask/studio.db", "PRAGMA journal_mode") == [("wal",)]
    moved = folder.rename(tmp_path / "elsewhere")
    with Store.open(moved) as store:
        assert store.project_id == first
        store.sync_pictures()
        assert store.pictures()[0].name == "img1.png"
        assert store.path(store.pictures()[0].id) == moved / "img1.png"


def test_a_confirmed_change_is_written_through_to_the_disk(store):
    with store._database.reading() as session:
        assert session.connection().exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert session.connection().exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_another_place_for_the_database(folder, tmp_path):
    place = tmp_path / "new/folder/cars?50%.db"
    with Store.open(folder, place) as store:
        store.sync_pictures()
    assert place.is_file()
    assert not (folder / ".anymask").exists()
    with Store.open(folder, str(place)) as store:
        assert store.picture_count() == 4


@pytest.mark.parametrize("wrong", ["nothing-there", "img1.png"])
def test_a_folder_that_is_none(folder, wrong):
    with pytest.raises(FolderError, match="give the folder in which the pictures are"):
        Store.open(folder / wrong)
    assert not (folder / "nothing-there").exists()


def test_a_place_that_cannot_be_written(folder):
    (folder / ".anymask").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot be kept at .*studio\.db .*give another file"):
        Store.open(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="whoever may do everything may write everywhere")
@pytest.mark.parametrize("place", ["folder", "file"])
def test_a_place_without_permission(folder, tmp_path, place):
    if place == "file":
        Store.open(folder).close()
        (folder / ".anymask/studio.db").chmod(0o444)
    else:
        folder.chmod(0o555)
    with pytest.raises(StorageError, match=r"Permission denied.*give another file"):
        Store.open(folder)
    folder.chmod(0o755)
    Store.open(folder, tmp_path / "other.db").close()


def test_a_database_that_is_a_folder_or_an_address(folder, tmp_path):
    with pytest.raises(DatabaseError, match="is a folder: give a file"):
        Store.open(folder, tmp_path)
    with pytest.raises(DatabaseError, match="is an address: give a file"):
        Store.open(folder, "postgresql://host/project")


def test_a_file_that_is_no_database_stays_as_it_is(folder, paint):
    file = paint(folder / "photo.png", (50, 50))
    before = contents(folder)
    with pytest.raises(ForeignDatabaseError, match=r"photo\.png is no database"):
        Store.open(folder, file)
    assert contents(folder) == before


@pytest.mark.parametrize("statement", ["CREATE TABLE songs (title)", "PRAGMA application_id = 7"])
def test_another_programs_database_stays_as_it_is(folder, tmp_path, statement):
    file = tmp_path / "other/music.db"
    file.parent.mkdir()
    sql(file, statement)
    before = contents(file.parent)
    with pytest.raises(ForeignDatabaseError, match=r"music\.db is the database of another program"):
        Store.open(folder, file)
    assert contents(file.parent) == before


def test_an_empty_file_becomes_the_project(folder, tmp_path):
    (tmp_path / "empty.db").touch()
    with Store.open(folder, tmp_path / "empty.db") as store:
        assert store.sync_pictures().added == 4


def test_a_newer_database_is_refused(store, folder):
    store.close()
    sql(store.database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerDatabaseError, match="newer anymask, with tables of revision 9999: update anymask"):
        Store.open(folder)


def test_a_database_that_does_not_say_its_version_is_refused(store, folder):
    store.close()
    sql(store.database, "DELETE FROM alembic_version")
    with pytest.raises(DamagedDatabaseError, match="does not say of which version"):
        Store.open(folder)


def test_a_truncated_database_is_refused(store, folder):
    store.close()
    os.truncate(store.database, 8192)
    with pytest.raises(DamagedDatabaseError, match=r"is damaged .*put a copy of it back"):
        Store.open(folder)


def test_damage_in_the_middle_is_said_when_it_is_met(store, folder, picture):
    store.apply(picture, [change(new_object(order=float(number))) for number in range(300)])
    store.close()
    pages = sql(store.database, "PRAGMA page_count")[0][0]
    with store.database.open("r+b") as file:
        for page in range(25, pages):
            file.seek(page * 4096)
            file.write(b"\xff" * 2048)
    with Store.open(folder) as opened, pytest.raises(DamagedDatabaseError, match="is damaged"):
        opened.objects(picture)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE objects SET prompts = '{'",
        "UPDATE objects SET version = 0",
        "UPDATE objects SET color = 999",
    ],
)
def test_rows_that_nobody_wrote_are_damage(store, picture, statement):
    store.apply(picture, [change(new_object())])
    sql(store.database, statement)
    with pytest.raises(DamagedDatabaseError, match="holds what no anymask has written"):
        store.objects(picture)


@pytest.mark.parametrize("counts", ["'~~~'", "''", "'0'", "'ä'"])
def test_run_lengths_that_nobody_wrote_are_damage(store, picture, counts):
    store.apply(picture, [change(new_object())])
    sql(store.database, f"UPDATE objects SET counts = {counts}")
    with pytest.raises(DamagedDatabaseError, match=r"database is damaged: img1\.png: "):
        list(store.annotated_images([picture]))


def test_a_migration_that_fails_leaves_no_half_of_a_database(folder, monkeypatch):
    monkeypatch.setattr("anymask.engine.database.uuid4", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Store.open(folder)
    assert sql(folder / ".anymask/studio.db", "SELECT * FROM sqlite_master") == []
    monkeypatch.undo()
    with Store.open(folder) as store:
        assert store.sync_pictures().added == 4


OPEN = """
import sys
from anymask.engine.store import Store
sys.stdin.readline()
with Store.open(sys.argv[1]) as store:
    store.sync_pictures()
    print(store.project_id, store.picture_count())
"""


def test_processes_that_begin_a_project_at_once_begin_one(folder):
    command = [sys.executable, "-c", OPEN, str(folder)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=120) for process in running]
    assert {error for _, error in answers} == {""}
    assert len({answer for answer, _ in answers}) == 1
    assert answers[0][0].endswith(" 4\n")


def test_threads_that_begin_projects_at_once(tmp_path):
    folders = [tmp_path / str(number % 4) for number in range(16)]
    for one in folders:
        one.mkdir(exist_ok=True)

    def project(one: Path) -> str:
        with Store.open(one) as store:
            return store.project_id

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(project, folders))
    assert len(set(found)) == 4
    assert all(found[number] == found[number % 4] for number in range(16))


def test_whoever_waits_too_long_is_told_and_may_try_again(folder, picture, store, monkeypatch):
    monkeypatch.setattr(sqlite, "SECONDS_TO_WAIT", 0.05)
    one = change(new_object())
    with Store.open(folder) as other:
        with closing(sqlite3.connect(store.database, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusyError, match=r"studio\.db is held by another program .* try again"):
                other.apply(picture, [one])
            assert other.objects(picture) == []
            holder.execute("ROLLBACK")
        assert other.apply(picture, [one])[0].outcome == "stored"


def test_a_full_disk_loses_nothing_and_is_told(folder, picture, store):
    first, second = new_object(), new_object(order=2.0)
    store.apply(picture, [change(first)])
    store.close()
    limited = Store.open(folder)
    with limited._database.reading() as session:
        pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar()

    @event.listens_for(limited._database._engine, "begin")
    def no_more_room(connection):
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    many = [change(second)] + [change(new_object(label=f"{number:0200}")) for number in range(900)]
    with limited, pytest.raises(StorageError, match=r"disk of .* is full, and nothing was changed"):
        limited.apply(picture, many)
    with Store.open(folder) as again:
        assert again.objects(picture) == [first]
        assert {result.outcome for result in again.apply(picture, many)} == {"stored"}


@pytest.mark.parametrize("moving", ["removed", "moved", "replaced"])
def test_a_database_that_was_taken_away_confirms_nothing(folder, picture, store, tmp_path, moving):
    first = new_object()
    store.apply(picture, [change(first)])
    copy = tmp_path / "copy.db"
    sql(store.database, "PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(store.database, copy)
    if moving == "removed":
        shutil.rmtree(folder / ".anymask")
    elif moving == "moved":
        folder.rename(tmp_path / "moved")
    else:
        copy.replace(store.database)
    with pytest.raises(StorageError, match="was moved, removed or replaced while it was open, and nothing was changed"):
        store.apply(picture, [change(after(first))])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET action = 'other'",
        "UPDATE events SET author = 'me' WHERE seq = 1",
        "DELETE FROM events",
        "DELETE FROM events WHERE seq = 1",
        "INSERT OR REPLACE INTO events SELECT * FROM events WHERE seq = 1",
        "INSERT OR REPLACE INTO events SELECT 99, change_id, picture_id, object_id, version, 'other', made_at,"
        " stored_at, author, state FROM events WHERE seq = 1",
        "REPLACE INTO events SELECT 99, zeroblob(16), picture_id, object_id, version, 'other', made_at,"
        " stored_at, author, state FROM events WHERE seq = 1",
    ],
)
def test_the_log_can_only_grow(store, picture, statement):
    one = new_object()
    store.apply(picture, [change(one), change(after(one))])
    before = store.events()
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        sql(store.database, statement)
    assert store.events() == before
    assert len(before) == 2


def test_an_object_with_a_history_cannot_be_removed(store, picture):
    store.apply(picture, [change(new_object())])
    with store._database.writing() as session, pytest.raises(Exception, match="FOREIGN KEY constraint failed"):
        session.connection().exec_driver_sql("DELETE FROM objects")
