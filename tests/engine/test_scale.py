"""Large projects: as few statements for many pictures as for one, and none that goes through a whole table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from PIL import Image
from sqlalchemy import event

from anymask.engine.annotation import Change
from anymask.engine.store import Store
from anymask.formats.annotated import AnnotatedImage
from anymask.segment.masks import Masks

from .changing import after, change, counts_of, new_object


@contextmanager
def statements(store: Store) -> Iterator[list[tuple[str, object]]]:
    """Gather what the store asks its database, with the parameters."""
    gathered: list[tuple[str, object]] = []

    def gather(connection, cursor, statement, parameters, context, executemany):
        del connection, cursor, context
        if not statement.startswith("BEGIN"):
            gathered.append((statement, parameters[0] if executemany else parameters))

    engine = store._database._engine
    event.listen(engine, "before_cursor_execute", gather)
    try:
        yield gathered
    finally:
        event.remove(engine, "before_cursor_execute", gather)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A project of 100 pictures with three objects each."""
    folder = tmp_path_factory.mktemp("large")
    for number in range(100):
        Image.new("RGB", (12, 8)).save(folder / f"{number}.png")
    rles = [{"size": [8, 12], "counts": counts_of((0, 0, number, 8)).encode()} for number in (1, 2, 3)]
    masks = Masks(rles, (8, 12), labels=["car", "dog", "car"])
    with Store.open(folder) as store:
        store.sync_pictures()
        store.import_images(AnnotatedImage(f"{number}.png", masks) for number in range(100))
        yield store


def new_objects(number: int) -> list[Change]:
    return [change(new_object(label="car")) for _ in range(number)]


ACTIONS = {
    "list": (lambda store, _: store.pictures(0, 50), 1),
    "count": (lambda store, _: store.picture_count(), 1),
    "find": (lambda store, _: store.find_picture("7.png"), 1),
    "open": (lambda store, picture: store.open_picture(picture), 3),
    "save": (lambda store, picture: store.apply(picture, new_objects(20)), 8),
    "history": (lambda store, _: store.history(store.events(limit=1)[0].state.id), 2),
    "events": (lambda store, _: store.events(since=200), 1),
    "labels": (lambda store, _: store.set_labels(["dog", "car"]), 6),
    "sync": (lambda store, _: store.sync_pictures(), 1),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_few_statements_and_none_through_all_objects_or_events(large, name):
    action, most = ACTIONS[name]
    picture = large.picture_ids()[0]
    with statements(large) as asked:
        action(large, picture)
    assert 0 < len(asked) <= most, asked
    with large._database.reading() as session:
        connection = session.connection()
        for statement, parameters in asked:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            assert not [step for step in plan if re.match(r"SCAN (objects|events)\b", step)], (statement, plan)
            if name in ("list", "find"):
                assert not [step for step in plan if "TEMP B-TREE" in step], (statement, plan)


def test_a_page_counts_objects_without_reading_them(large):
    with statements(large) as asked:
        page = large.pictures(1, 50)
    assert [picture.objects for picture in page] == [3] * 50
    with large._database.reading() as session:
        statement, parameters = asked[0]
        plan = [row[3] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    about_objects = [step for step in plan if step.startswith("SEARCH objects")]
    assert about_objects
    assert all("USING COVERING INDEX ix_objects_picture_id_status" in step for step in about_objects)


def test_exporting_asks_for_many_pictures_at_once(large):
    ids = large.picture_ids()
    list(large.annotated_images())
    with statements(large) as asked:
        assert len(list(large.annotated_images(ids[-40:]))) == 40
    assert len(asked) == 6


def test_a_thousand_changes_ask_as_often_as_ten(large):
    picture = large.picture_ids()[0]
    asked_for = []
    for number in (10, 1000):
        first = [new_object() for _ in range(number)]
        large.apply(picture, [change(state) for state in first])
        with statements(large) as asked:
            large.apply(picture, [change(after(state, label="car")) for state in first])
        asked_for.append(len(asked))
    assert asked_for[0] == asked_for[1]
