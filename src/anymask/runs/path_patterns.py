"""Patterns of paths: ``*``, ``?``, ``[abc]``, ``**`` and ``{000..099}``, also where no shell expands them."""

from __future__ import annotations

import fnmatch
import glob
import itertools
import os
import re
from collections.abc import Container, Iterator
from pathlib import Path

from anymask.formats.walk import files_below
from anymask.runs.errors import InputsError

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST_ALTERNATIVES = 1_000_000


def expand_braces(pattern: str) -> list[str]:
    """Write out ``{000..099}`` and ``{a,b}`` as a shell does; other braces stay.

    Raises:
        InputsError: there are more than a million.
    """
    pieces: list[list[str]] = []
    end = count = 0
    for braces in _BRACES.finditer(pattern):
        alternatives = _alternatives(braces[1])
        if alternatives is None:
            continue
        pieces += [[pattern[end : braces.start()]], alternatives]
        end = braces.end()
        count = (count or 1) * len(alternatives)
        if count > _MOST_ALTERNATIVES:
            raise InputsError(f"{pattern} stands for more than {_MOST_ALTERNATIVES:,} names: give fewer at a time")
    return ["".join(parts) for parts in itertools.product(*pieces, [pattern[end:]])]


def _alternatives(inside: str) -> list[str] | None:
    numbers = _RANGE.fullmatch(inside)
    if numbers is None:
        return inside.split(",") if "," in inside else None
    first, last = int(numbers[1]), int(numbers[2])
    if abs(last - first) >= _MOST_ALTERNATIVES:
        raise InputsError(f"{{{inside}}} stands for more than {_MOST_ALTERNATIVES:,} names: give fewer at a time")
    padded = any(len(number) > 1 and number.startswith("0") for number in numbers.groups())
    width = max(map(len, numbers.groups())) if padded else 0
    step = 1 if last >= first else -1
    return [f"{number:0{width}}" for number in range(first, last + step, step)]


def is_pattern(text: str) -> bool:
    """Tell whether a path holds ``*``, ``?`` or ``[``."""
    return glob.has_magic(text)


def fixed_part(pattern: str) -> Path:
    """Give the folder that a pattern's matches lie below: its parts before the first special one."""
    parts = Path(pattern).parts
    fixed = list(itertools.takewhile(lambda part: not glob.has_magic(part), parts))
    return Path(*fixed)


def matches(pattern: str, suffixes: Container[str], skip: Container[Path]) -> Iterator[Path]:
    """Yield the files that a pattern matches, and the folders if it does not hold ``**``, in the order of their parts.

    ``**`` is any number of folders, none included. Names that begin with a dot need a dot in the pattern, and ``**``
    goes through none of them.

    Args:
        pattern: the pattern, in the manner of the system.
        suffixes: in lower case, with the dot: other files are left out.
        skip: resolved folders to leave out.

    Raises:
        OSError: a folder cannot be listed.
    """
    root = fixed_part(pattern)
    special = Path(pattern).parts[len(root.parts) :]
    if "**" not in special:
        for path in sorted(map(Path, glob.iglob(pattern)), key=lambda path: path.parts):  # noqa: PTH207 -- knows roots
            if path.is_dir() or path.suffix.lower() in suffixes:
                yield path
        return
    if not root.is_dir():
        return
    # glob itself follows links round in circles.
    tests = [None if part == "**" else re.compile(fnmatch.translate(os.path.normcase(part))) for part in special]
    for path in files_below(root, suffixes, skip):
        if _fits([os.path.normcase(part) for part in path.parts[len(root.parts) :]], tests):
            yield path


def _fits(parts: list[str], tests: list[re.Pattern[str] | None]) -> bool:
    if not tests:
        return not parts
    first, rest = tests[0], tests[1:]
    if first is None:
        # At the end it stands for files too.
        return not rest or any(_fits(parts[skipped:], rest) for skipped in range(len(parts)))
    return bool(parts) and first.match(parts[0]) is not None and _fits(parts[1:], rest)
