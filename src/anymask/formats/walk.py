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


def folders_below(folder: Path, suffixes: Container[str]) -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder and all folders below it, each with the sorted names of its files that end in one of the suffixes.

    What :func:`files_below` leaves out and follows holds here too; a folder comes before those in it.

    Raises:
        OSError: a folder cannot be listed.
    """
    yield from _walk_folders(folder, suffixes, frozenset())


def _walk_folders(folder: Path, suffixes: Container[str], above: frozenset[Path]) -> Iterator[tuple[Path, list[str]]]:
    real = folder.resolve()
    if real in above:
        return
    entries = _listing(folder)
    yield folder, [name for name, is_folder in entries if not is_folder and _suffix(name) in suffixes]
    for name, is_folder in entries:
        if is_folder:
            yield from _walk_folders(folder / name, suffixes, above | {real})


def _walk(folder: Path, suffixes: Container[str], skip: Container[Path], above: frozenset[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above or real in skip:
        return
    for name, is_folder in _listing(folder):
        if is_folder:
            yield from _walk(folder / name, suffixes, skip, above | {real})
        elif _suffix(name) in suffixes:
            yield folder / name


def _listing(folder: Path) -> list[tuple[str, bool]]:
    with os.scandir(folder) as listing:
        return sorted((entry.name, entry.is_dir()) for entry in listing if not entry.name.startswith("."))


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 -- a Path for each of a million is slow
