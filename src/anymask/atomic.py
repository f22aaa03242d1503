"""Files that are whole or not there: written beside their place and renamed into it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path``, then rename it to ``path``.

    The temporary name keeps the suffix, because image writers choose their format by it.

    Raises:
        OSError: the file cannot be written; ``path`` is as it was before.
    """
    beside = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        write(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


_LEFTOVER = re.compile(r"\..+\.\d+\.tmp(\.[^.]*)?")


def remove_leftovers(folder: Path) -> None:
    """Remove, from a folder and all below it, what a killed :func:`write_atomically` left beside its files.

    Raises:
        OSError: a file cannot be removed.
    """
    for place, _, names in os.walk(folder):
        for name in names:
            if _LEFTOVER.fullmatch(name):
                Path(place, name).unlink(missing_ok=True)
