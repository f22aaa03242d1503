"""Lists of images: text with one path a line."""

from __future__ import annotations

import os
from pathlib import Path

from anymask.runs.errors import InputsError


def read_path_list(content: bytes, name: str) -> list[str]:
    """Take the paths out of a list.

    Empty lines, and lines that begin with #, are left out; "./#1.jpg" names a file that begins so. Spaces around a path
    and a pair of quotation marks are not part of it. Lines end as on any system; null characters, as ``find -print0``
    writes them, do as well. UTF-8 and UTF-16 with a byte order mark are known by it.

    Raises:
        InputsError: the content is no text.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text = content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise InputsError(f"{name} is not a list of paths: it begins as UTF-16 and is not ({error})") from error
    else:
        # Names of files may be in any encoding.
        text = os.fsdecode(content.removeprefix(b"\xef\xbb\xbf"))
    if "\0" in text:
        lines = text.split("\0")
        if any(len(line) > 4096 for line in lines):
            raise InputsError(f"{name} is not a list of paths: it is no text")
    else:
        lines = text.replace("\r", "\n").split("\n")
    paths = []
    for line in lines:
        path = line.strip()
        if path and not path.startswith("#"):
            quoted = len(path) > 2 and path[0] == path[-1] == '"'
            paths.append(path[1:-1] if quoted else path)
    return paths


def base_of(paths: list[str], folder: Path) -> Path:
    """Say where the relative paths of a list in ``folder`` begin: there, or in the current folder.

    The first of them that is found in one of the two decides for all; ``folder`` if none is.
    """
    current = Path.cwd()
    for path in paths:
        if not os.path.isabs(path):  # noqa: PTH117 -- a Path for each of a million is slow
            for base in (folder, current):
                if os.path.lexists(base / path):
                    return base
    return folder
