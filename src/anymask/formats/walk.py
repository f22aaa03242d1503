"""The files below a folder, in one order everywhere."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from pathlib import Path


def files_below(folder: Path, suffixes: Container[str], skip: Container[Path] = ()) -> Iterator[Path]:
    """Yield the files below a folder whose names end in one of the suffixes, in any case.

    Files and folders of one folder come sorted by name, and a folder's files where its name stands. Names that begin
    with a dot are left out: they hold the state of programs, not data. Links to folders are followed, but not into a
    folder that holds the link. One folder's names are in memory at a time.

    Args:
        folder: where to look.
        suffixes: in lower case, with the dot.
        skip: resolved folders to leave out.

    Raises:
        OSError: a folder cannot be listed.
    """
    yield from _walk(folder, suffixes, skip, frozenset())


def _walk(folder: Path, suffixes: Container[str], skip: Container[Path], above: frozenset[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above or real in skip:
        return
    with os.scandir(folder) as listing:
        entries = sorted((entry.name, entry.is_dir()) for entry in listing if not entry.name.startswith("."))
    for name, is_folder in entries:
        if is_folder:
            yield from _walk(folder / name, suffixes, skip, above | {real})
        elif os.path.splitext(name)[1].lower() in suffixes:  # noqa: PTH122 -- a Path for each of a million is slow
            yield folder / name
