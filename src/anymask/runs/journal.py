"""What of a run is done: an append-only record that survives a kill at any moment.

In the output folder, ``.anymask/`` holds::

    run.json         what decides the bytes that are written; a run goes on only with the same
    journal.jsonl    a line for each image that is done or failed
    records.jsonl    the masks of the images of which one file is made in the end
    new/             files on their way, before they are renamed into place

A line of the journal is written after everything that it tells of is in its place, so that what a kill leaves behind is
at most a file without a line, which is written again with the same bytes. With ``--shard``, each shard has a journal of
its own (``journal-2-of-4.jsonl``).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from filelock import FileLock, Timeout

from anymask.atomic import write_atomically
from anymask.runs.errors import RunError
from anymask.runs.items import Item
from anymask.runs.outcome import Outcome

STATE_FOLDER = ".anymask"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """What the journal knows of an image.

    Attributes:
        key: began the names of its files.
        prompts: told its prompts apart from others; 0 without prompts.
        masks: how many it has.
        error: why it has none, or None.
        result: the last of its files, relative to the output folder, or "" where none is written for it.
        records: the file in which its masks are, or "" where they are in files of its own.
        offset: where in it they begin.
        length: how many bytes they are.
    """

    key: str
    prompts: int
    masks: int
    error: str | None
    result: str
    records: str = ""
    offset: int = 0
    length: int = 0


class Journal:
    """The state of a run in its output folder; used with ``with``, by one process at a time.

    Args:
        folder: the output folder; made if it is missing.
        settings: what decides the bytes that are written, for JSON.
        shard: (index, count) of a part of the run that has a journal of its own; index counts from 1.
        restart: forget what was done before.

    Raises:
        RunError: another process works on the same part, or the folder holds a run with other settings.
        OSError: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        shard: tuple[int, int] | None = None,
        restart: bool = False,
    ) -> None:
        self.folder, self.state = folder, folder / STATE_FOLDER
        self.settings = dict(settings)
        self.restart = restart
        part = "" if shard is None else f"-{shard[0]}-of-{shard[1]}"
        self._journal_path = self.state / f"journal{part}.jsonl"
        self._records_path = self.state / f"records{part}.jsonl"
        self._new = self.state / f"new{part}"
        self._lock_path = self.state / f"lock{part}"
        self.entries: dict[str, Entry] = {}
        self._open: ExitStack | None = None
        self._moved = 0

    def __enter__(self) -> Self:
        if self.folder.exists() and not self.folder.is_dir():
            raise RunError(f"{self.folder} is a file: name a folder for the results")
        self.state.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(FileLock(self._lock_path, timeout=0))
            except Timeout:
                raise RunError(
                    f"another process is at work on {self.folder}: wait for it, or give each its own --shard i/n"
                ) from None
            self._check_settings()
            shutil.rmtree(self._new, ignore_errors=True)
            self._new.mkdir()
            self.look_again()
            self._records = stack.enter_context(self._open_end(self._records_path, self._end_of_records()))
            self._journal = stack.enter_context(self._open_end(self._journal_path, _whole_lines(self._journal_path)))
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._open is not None
        self._open.close()
        shutil.rmtree(self._new, ignore_errors=True)

    def _check_settings(self) -> None:
        path = self.state / "run.json"
        wanted = json.loads(json.dumps({"version": _VERSION, **self.settings}))
        if self.restart:
            for old in (*self.state.glob("journal*.jsonl"), *self.state.glob("records*.jsonl")):
                old.unlink()
        elif path.is_file():
            try:
                found = json.loads(path.read_bytes())
            except ValueError:
                raise RunError(f"{path} is damaged: begin anew with --restart, or in another folder") from None
            if found != wanted:
                raise RunError(
                    f"{self.folder} holds a run with other settings ({_differences(found, wanted)}): use another "
                    "folder, or --restart to forget that run and write over its results"
                )
            return
        text = json.dumps(wanted, indent=1)
        write_atomically(path, lambda beside: beside.write_text(text))

    def look_again(self) -> None:
        """Read what this part and all others have done by now.

        Raises:
            RunError: a journal is damaged.
        """
        entries: dict[str, Entry] = {}
        for path in sorted(self.state.glob("journal*.jsonl")):
            records = path.name.replace("journal", "records", 1)
            with path.open("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    name, entry = _parse(line, records, path)
                    known = entries.get(name)
                    # What one part could not do another may have done.
                    if known is None or known.error is not None or entry.error is None:
                        entries[name] = entry
        self.entries = entries

    def _end_of_records(self) -> int:
        mine = (entry for entry in self.entries.values() if entry.records == self._records_path.name)
        return max((entry.offset + entry.length for entry in mine), default=0)

    def _open_end(self, path: Path, length: int) -> IO[bytes]:
        """Open a file for appending after its first ``length`` bytes; what a kill left behind them goes."""
        stream = path.open("r+b" if path.exists() else "w+b", buffering=0)
        stream.truncate(length)
        stream.seek(length)
        return stream

    def join_lock(self) -> FileLock:
        """Return what keeps two parts that end together from writing the end at the same time."""
        return FileLock(self.state / "lock-join")

    def is_done(self, item: Item) -> bool:
        """Tell whether an image's results are there."""
        entry = self.entries.get(item.name)
        if entry is None or entry.error is not None or (entry.key, entry.prompts) != (item.key, prompts_hash(item)):
            return False
        return not entry.result or (self.folder / entry.result).is_file()

    def add(self, item: Item, outcome: Outcome) -> None:
        """Put what belongs to an image into its place, then note that it is there.

        Raises:
            OSError: a file cannot be written; the journal is as it was.
        """
        for name, content in outcome.files:
            self._put(name, content)
        line: dict[str, Any] = {"name": item.name, "key": item.key}
        if item.prompts_json is not None:
            line["prompts"] = prompts_hash(item)
        if outcome.error is not None:
            line["error"] = outcome.error
        else:
            line["masks"] = outcome.masks
        offset = self._records.tell()
        if outcome.record:
            _append(self._records, outcome.record + b"\n")
            line["record"] = [offset, len(outcome.record) + 1]
        elif outcome.files:
            line["result"] = outcome.files[-1][0]
        encoded = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        _append(self._journal, encoded)
        _, self.entries[item.name] = _parse(encoded, self._records_path.name, self._journal_path)

    def _put(self, name: str, content: bytes) -> None:
        place, beside = self.folder / name, self._new / str(self._moved)
        self._moved += 1
        try:
            with beside.open("wb") as stream:
                stream.write(content)
                stream.flush()
                # Without it a power failure could leave an empty file under a name that the journal calls done.
                os.fsync(stream.fileno())
            place.parent.mkdir(parents=True, exist_ok=True)
            beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)

    def records(self, items: Iterator[Item]) -> Iterator[tuple[Item, bytes]]:
        """Yield the recorded masks of the images that have them, in the order of ``items``."""
        with ExitStack() as stack:
            streams: dict[str, IO[bytes]] = {}
            for item in items:
                entry = self.entries.get(item.name)
                if entry is None or not entry.length:
                    continue
                if entry.records not in streams:
                    streams[entry.records] = stack.enter_context((self.state / entry.records).open("rb"))
                stream = streams[entry.records]
                stream.seek(entry.offset)
                yield item, stream.read(entry.length)


def prompts_hash(item: Item) -> int:
    """Tell an image's prompts apart from others: a number of 48 bits, 0 without prompts."""
    if item.prompts_json is None:
        return 0
    return int.from_bytes(hashlib.sha256(item.prompts_json.encode()).digest()[:6], "big")


def _append(stream: IO[bytes], content: bytes) -> None:
    """Append all or nothing.

    Raises:
        OSError: it cannot be written.
    """
    before = stream.tell()
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[stream.write(rest) :]
    except OSError:
        stream.truncate(before)
        stream.seek(before)
        raise


def _whole_lines(path: Path) -> int:
    """Give the length of a file up to the end of its last whole line."""
    if not path.exists():
        return 0
    with path.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 65536)
            stream.seek(start)
            newline = stream.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0


def _parse(line: bytes, records: str, path: Path) -> tuple[str, Entry]:
    try:
        content = json.loads(line)
        offset, length = content.get("record", (0, 0))
        entry = Entry(
            content["key"],
            content.get("prompts", 0),
            content.get("masks", 0),
            content.get("error"),
            content.get("result", ""),
            records if length else "",
            offset,
            length,
        )
        return content["name"], entry
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RunError(f"{path} is damaged: begin anew with --restart, or in another folder") from None


def _differences(found: Any, wanted: dict[str, Any]) -> str:
    if not isinstance(found, dict):
        return "unreadable"
    flat_found, flat_wanted = _flat(found), _flat(wanted)
    keys = [key for key in {**flat_found, **flat_wanted} if flat_found.get(key) != flat_wanted.get(key)]
    said = [f"{key}: {json.dumps(flat_found.get(key))}, now {json.dumps(flat_wanted.get(key))}" for key in keys[:3]]
    return "; ".join(said) + ("; ..." if len(keys) > 3 else "")


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    inner = settings.get("settings")
    return {**{key: value for key, value in settings.items() if key != "settings"}, **(inner or {})}
