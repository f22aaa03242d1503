"""Bringing a database to the tables that this version uses."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from anymask.engine.errors import DamagedDatabaseError, NewerDatabaseError

_ONE_AT_A_TIME = threading.Lock()
"""Alembic keeps the migration that it runs in a global variable."""


def is_current(connection: Connection, path: Path) -> bool:
    """Tell whether a database that is not new has the newest tables.

    Raises:
        NewerDatabaseError: a newer version of anymask made them.
        DamagedDatabaseError: it says nothing about its tables.
    """
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        raise DamagedDatabaseError(
            f"{path} does not say of which version its tables are: put a copy of it back, or move it away to begin anew"
        )
    scripts = ScriptDirectory.from_config(_config())
    if revision not in {script.revision for script in scripts.walk_revisions()}:
        raise NewerDatabaseError(
            f"{path} was made by a newer anymask, with tables of revision {revision}: update anymask, "
            "or give another file for the project"
        )
    return revision == scripts.get_current_head()


def upgrade(connection: Connection) -> None:
    """Run all migrations that are missing, within the transaction of the connection."""
    config = _config()
    config.attributes["connection"] = connection
    with _ONE_AT_A_TIME:
        command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "anymask.engine:migrations")
    return config
