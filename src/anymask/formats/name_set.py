"""The names of a million images, told apart without keeping them in memory."""

from __future__ import annotations

import sqlite3


def temporary_database() -> sqlite3.Connection:
    """Open a database that lies on disk as far as it does not fit into a few megabytes, and goes when it is closed.

    It lies where SQLite keeps temporary files: in the folder that ``TMPDIR`` names, else in /var/tmp or /tmp.
    """
    # A generator that reads from it may be run by another thread than the one that made it.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -16000"):
        database.execute(f"PRAGMA {setting}")
    database.execute("BEGIN")
    return database


class NameSet:
    """A set of names that only grows, in memory of a few megabytes; close it at the end."""

    def __init__(self) -> None:
        self._database = temporary_database()
        self._database.execute("CREATE TABLE names (name BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, name: str) -> bool:
        """Add a name, and tell whether it was new."""
        # Names of files that are not Unicode hold surrogates.
        content = name.encode(errors="surrogatepass")
        return self._database.execute("INSERT OR IGNORE INTO names VALUES (?)", (content,)).rowcount == 1

    def close(self) -> None:
        """Give up the disk space."""
        self._database.close()
