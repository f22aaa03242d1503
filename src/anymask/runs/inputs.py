"""The images of a run, from whatever names them: files, folders, patterns, lists, tar shards, Parquet files."""

from __future__ import annotations

import difflib
import itertools
import os
import re
import sys
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from anymask.formats.instances import IMAGE_SUFFIXES
from anymask.formats.walk import files_below
from anymask.runs.errors import InputsError
from anymask.runs.items import ImageFile, Item, Source
from anymask.runs.naming import unique_keys, unique_names
from anymask.runs.parquet_input import PARQUET_SUFFIXES, parquet_images
from anymask.runs.path_lists import base_of, read_path_list
from anymask.runs.path_patterns import expand_braces, fixed_part, is_pattern, matches
from anymask.runs.tar_input import tar_images
from anymask.segment.errors import ImageError
from anymask.segment.pixels import image_size

STANDARD_INPUT = "-"
LIST_SUFFIXES = (".txt", ".lst", ".list")
TAR_SUFFIXES = (".tar",)
PACKED_SUFFIXES = (".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".zip", ".7z", ".rar")
ACCEPTED = "images, folders, patterns such as 'photos/**/*.jpg', lists of paths (.txt), .tar shards and .parquet files"

_T = TypeVar("_T")
_Found = tuple[Path, str, Source]
"""An absolute folder that was given, the image's name relative to it, and where its bytes are."""


def list_items(inputs: Sequence[str], *, exclude: Path | None = None, recursive: bool = True) -> list[Item]:
    """Find all images of a run, in an order that depends on their names alone.

    What is given, in its order:

    - an image file, named by its file name;
    - a folder: all images below it, as :func:`anymask.formats.walk.files_below` goes through them, named by their
      paths relative to it. If it holds none, all .tar files below it; if none of these, all .parquet files;
    - a pattern with ``*``, ``?``, ``[abc]`` or ``**``: the files and folders that it matches, named relative to its
      part before the first of these. ``{000..099}`` and ``{a,b}`` are written out first. A name that exists is no
      pattern;
    - a .txt file with one path a line (see :func:`anymask.runs.path_lists.read_path_list`), or "-" for such a list from
      standard input. Relative paths begin beside the list or else in the current folder, as its first path that exists
      decides; from standard input, in the current folder. An image that is missing there fails when it is read. Images
      are named as the list has them; absolute paths, and those that climb with "..", relative to the folder that is
      common to all of these;
    - a .tar file (see :func:`anymask.runs.tar_input.tar_images`) or a .parquet file (see
      :func:`anymask.runs.parquet_input.parquet_images`): the images in it, named by the file's name without its ending
      and their own, such as shard-000/0001.jpg.

    An image that is reached twice is one item, under its first name. Names that meet are told apart by
    :func:`anymask.runs.naming.unique_names`.

    Args:
        inputs: what was given.
        exclude: a folder inside the given ones that is left out, such as that of the results.
        recursive: look into folders of folders.

    Raises:
        InputsError: something given is not there, cannot be listed, or is nothing of this kind; a pattern matches
            nothing; nothing holds an image; or a given folder is the one to be left out.
        MissingPackageError: a package is needed for Parquet files.
    """
    if not inputs:
        raise InputsError(f"no input was given: name {ACCEPTED}")
    if list(inputs).count(STANDARD_INPUT) > 1:
        raise InputsError("standard input (-) was given twice, and can be read once")
    finder = _Finder(exclude, recursive)
    names: list[str] = []
    sources: list[Source] = []
    roots = array("L")
    numbers: dict[Path, int] = {}
    for text in inputs:
        try:
            for root, name, source in finder.given(text):
                names.append(name)
                sources.append(source)
                roots.append(numbers.setdefault(root, len(numbers)))
        except OSError as error:
            raise InputsError(f"{error.filename or text} cannot be listed: {error.strerror or error}") from error
    if not names:
        raise InputsError(f"there is no image in {_joined(inputs)}{finder.what_was_there(inputs)}")
    names = unique_names(names, roots, [_folder_names(root) for root in numbers])
    return [Item(*facts) for facts in zip(names, unique_keys(names), sources, strict=True)]


def are_plain_images(inputs: Sequence[str]) -> bool:
    """Tell whether all that was given are single image files, or names of none that stand for nothing else."""
    return not any(
        text == STANDARD_INPUT
        or Path(text).is_dir()
        or (not os.path.lexists(text) and (is_pattern(text) or len(expand_braces(text)) > 1))
        or Path(text).suffix.lower() in (*LIST_SUFFIXES, *TAR_SUFFIXES, *PARQUET_SUFFIXES, *PACKED_SUFFIXES)
        for text in inputs
    )


def parse_shard(text: str) -> tuple[int, int]:
    """Read "2/4", the second of four parts, as (2, 4).

    Raises:
        InputsError: the text has another form, or there is no such part.
    """
    found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    if found is None:
        raise InputsError(f"a part of a run is written i/n, such as 2/4 for the second of four; got {text!r}")
    index, count = int(found[1]), int(found[2])
    if not 1 <= index <= count:
        raise InputsError(
            f"there is no part {index} of {count}: parts are counted from 1, so {count}/{count} is the last"
        )
    return index, count


def select_shard(items: Sequence[_T], index: int, count: int) -> Sequence[_T]:
    """Give part ``index`` of ``count``, counting from 1: neighbours stay together, and sizes differ by one at most.

    Raises:
        InputsError: there is no such part.
    """
    if not 1 <= index <= count:
        raise InputsError(f"there is no part {index} of {count}: parts are counted from 1")
    return items[len(items) * (index - 1) // count : len(items) * index // count]


class _Finder:
    """Finds the images of one input after the other, each once."""

    def __init__(self, exclude: Path | None, recursive: bool) -> None:
        self.exclude = None if exclude is None else exclude.resolve()
        self.recursive = recursive
        self.seen: set[str] = set()
        self.real_folders: dict[str, str] = {}

    def given(self, text: str) -> Iterator[_Found]:
        """Find what a user has typed."""
        if text == STANDARD_INPUT:
            yield from self._listed(sys.stdin.buffer.read(), "standard input", None)
            return
        if not text:
            raise InputsError(f"an input is empty: name {ACCEPTED}")
        from_home = os.path.expanduser(text)
        for path in (text, from_home):
            if os.path.lexists(path):
                yield from self._path(Path(path))
                return
        alternatives = expand_braces(from_home)
        if alternatives != [from_home]:
            for alternative in alternatives:
                yield from self.given(alternative)
        elif is_pattern(from_home):
            yield from self._pattern(from_home)
        else:
            raise InputsError(_missing(text))

    def _path(self, path: Path) -> Iterator[_Found]:
        if path.is_dir():
            yield from self._folder(Path(os.path.abspath(path)))
            return
        suffix = path.suffix.lower()
        if suffix in LIST_SUFFIXES:
            yield from self._listed(path.read_bytes(), str(path), Path(os.path.abspath(path)).parent)
            return
        if suffix in PACKED_SUFFIXES:
            how = "unpack it" if suffix in (".zip", ".7z", ".rar") else "decompress it to a .tar file, or unpack it"
            raise InputsError(f"{path} is compressed, so that images in it cannot be read one by one: {how}")
        if suffix in (".json", ".jsonl", ".ndjson"):
            raise InputsError(f"{path} is no image; prompts from a file are given with --prompts")
        if suffix not in (*IMAGE_SUFFIXES, *TAR_SUFFIXES, *PARQUET_SUFFIXES):
            try:
                image_size(path, max_pixels=None)
            except ImageError as error:
                raise InputsError(f"{path} is nothing that can be segmented ({error}): name {ACCEPTED}") from error
        whole = Path(os.path.abspath(path))
        yield from self._file(whole.parent, whole.name, str(whole))

    def _folder(self, folder: Path) -> Iterator[_Found]:
        if folder.resolve() == self.exclude:
            raise InputsError(
                f"{folder} is also the folder for the results, which would be taken for images the next time: name "
                "another for them"
            )
        prefix = len(str(folder)) + (not str(folder).endswith(os.sep))
        for suffixes in (IMAGE_SUFFIXES, TAR_SUFFIXES, PARQUET_SUFFIXES):
            empty = True
            for path in self._files_in(folder, suffixes):
                empty = False
                text = str(path)
                yield from self._file(folder, text[prefix:], text)
            if not empty:
                return

    def _files_in(self, folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
        if self.recursive:
            return files_below(folder, suffixes, () if self.exclude is None else (self.exclude,))
        found = (path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith("."))
        return iter(sorted(path for path in found if not path.is_dir()))

    def _pattern(self, pattern: str) -> Iterator[_Found]:
        root = Path(os.path.abspath(fixed_part(pattern)))
        skip = () if self.exclude is None else (self.exclude,)
        suffixes = (*IMAGE_SUFFIXES, *TAR_SUFFIXES, *PARQUET_SUFFIXES)
        empty = True
        for path in matches(pattern, suffixes, skip):
            whole = Path(os.path.abspath(path))
            real = Path(self._real(str(whole)))
            if self.exclude is not None and (real == self.exclude or self.exclude in real.parents):
                continue
            empty = False
            if not whole.is_dir():
                yield from self._file(root, whole.relative_to(root).as_posix(), str(whole))
                continue
            for _, name, source in self._folder(whole):
                yield root, (whole.relative_to(root) / name).as_posix(), source
        if empty:
            raise InputsError(
                f"the pattern {pattern} matches no image, .tar or .parquet file: ** stands for any number of folders, "
                "* for any part of one name, and upper and lower case differ"
            )

    def _listed(self, content: bytes, name: str, folder: Path | None) -> Iterator[_Found]:
        paths = read_path_list(content, name)
        base = Path.cwd() if folder is None else base_of(paths, folder)
        wholes = [os.path.abspath(os.path.join(base, path)) for path in paths]
        inside = os.path.join(base, "")
        strange = [
            os.path.isabs(path) or not whole.startswith(inside) for path, whole in zip(paths, wholes, strict=True)
        ]
        common = _common_folder({os.path.dirname(whole) for whole in itertools.compress(wholes, strange)})
        for whole, is_strange in zip(wholes, strange, strict=True):
            root = common if is_strange else base
            below = _relative(whole, root)
            if os.path.splitext(whole)[1].lower() not in IMAGE_SUFFIXES and os.path.isdir(whole):
                for _, name, source in self._folder(Path(whole)):
                    yield root, f"{below}/{name}", source
            else:
                yield from self._file(root, below, whole)

    def _file(self, root: Path, name: str, path: str) -> Iterator[_Found]:
        """Find what is in one file, which was not met before."""
        real = self._real(path)
        if real in self.seen:
            return
        self.seen.add(real)
        if os.sep != "/":
            name = name.replace(os.sep, "/")
        suffix = os.path.splitext(name)[1].lower()
        if suffix in TAR_SUFFIXES or suffix in PARQUET_SUFFIXES:
            found = tar_images(Path(path)) if suffix in TAR_SUFFIXES else parquet_images(Path(path))
            inside = name[: -len(suffix)]
            for own, source in found:
                yield root, f"{inside}/{_printable(own)}" if own else name, source
            return
        yield root, _printable(name), ImageFile(path)

    def _real(self, path: str) -> str:
        """Resolve the folder of an absolute path; the file may be a link with a name of its own."""
        folder, _, name = path.rpartition(os.sep)
        real = self.real_folders.get(folder)
        if real is None:
            real = self.real_folders[folder] = os.path.realpath(folder + os.sep)
        return path if real == folder else os.path.join(real, name)

    def what_was_there(self, inputs: Sequence[str]) -> str:
        """Say why nothing was found, as far as a short look tells."""
        for text in inputs:
            if text != STANDARD_INPUT and Path(text).is_dir():
                for path in files_below(Path(text), PACKED_SUFFIXES):
                    return f": {path.name} there is compressed, and needs to be unpacked, or be a plain .tar file"
        deeper = "" if self.recursive else " (folders of folders were left out)"
        return f": looked for names that end in {', '.join(IMAGE_SUFFIXES)}, .tar or .parquet{deeper}"


def _common_folder(folders: set[str]) -> Path:
    if not folders:
        return Path(os.sep)
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:
        # On different drives.
        return Path(os.sep)


def _relative(path: str, root: Path) -> str:
    text = os.path.join(root, "")
    return path.removeprefix(text) if path.startswith(text) else path.replace(":", "").lstrip(os.sep)


def _printable(name: str) -> str:
    """Write out what in a file's name is no Unicode, as it can neither be shown nor be stored as text."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def _folder_names(root: Path) -> tuple[str, ...]:
    return tuple(re.sub(r"[:/\\]", "", part) for part in root.parts if part != root.anchor)


def _joined(inputs: Sequence[str]) -> str:
    shown = ["standard input" if text == STANDARD_INPUT else text for text in inputs[:3]]
    return ", ".join(shown) + (f" and {len(inputs) - 3} more" if len(inputs) > 3 else "")


def _missing(text: str) -> str:
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE):
        return f"{text} is an address: download it first, or mount it as a folder"
    path = Path(text)
    message = f"there is nothing at {text}: no such file or folder"
    try:
        close = difflib.get_close_matches(path.name, [entry.name for entry in os.scandir(path.parent)], 1, 0.8)
    except OSError:
        return message
    return f"{message}; did you mean {path.with_name(close[0])}?" if close else message
