"""What was confirmed is there, whenever its writer was killed and whoever else was writing."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from anymask.engine.annotation import ObjectState
from anymask.engine.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are started by the hundred")


def check_lives(folder: Path, lives: int, writers: int, seed: int) -> None:
    program = Path(__file__).with_name("killed_writers.py")
    command = [sys.executable, str(program), str(folder), str(lives), str(writers), str(seed)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    confirmed = {
        UUID(change): (picture, ObjectState.model_validate(state))
        for picture, change, state in json.loads(result.stdout)
    }
    assert len(confirmed) > 5 * lives
    with Store.open(folder) as store:
        events = store.events(limit=1 << 30)
        logged = {event.change: (event.picture, event.state) for event in events}
        assert len(logged) == len(events)
        assert {change: logged.get(change) for change in confirmed} == confirmed
        # Of what was not confirmed, a writer had at most its last request under way when it was killed.
        assert len(events) - len(confirmed) <= 2 * lives * writers
        last = {event.state.id: (event.picture, event.state) for event in events}
        now = {one.id: (picture, one) for picture in store.picture_ids() for one in store.objects(picture)}
        assert now == last
        versions = [event.state.version for identity in now for event in store.history(identity)]
        assert sorted(versions) == sorted(number + 1 for _, state in now.values() for number in range(state.version))
        assert store.labels() == ["car"]
        assert store.picture_count() == 4
        database = store.database
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_nothing_confirmed_is_lost_when_writers_are_killed(folder):
    check_lives(folder, 12, writers=2, seed=1)


@pytest.mark.long
@pytest.mark.parametrize(("lives", "writers"), [(300, 1), (150, 2), (60, 5)])
def test_nothing_confirmed_is_lost_however_often(folder, lives, writers):
    check_lives(folder, lives, writers, seed=lives)
