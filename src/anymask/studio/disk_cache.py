"""Results on disk that can always be made again: within a limit, whole or not there, and never trusted blindly."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from anymask.atomic import write_atomically

_log = logging.getLogger(__name__)

_MAGIC = b"anymask\x01"
_DIGEST_BYTES = 16
_MEMORY_BYTES = 64_000_000
"""Kept in memory beside the disk, so that a full disk stops nobody; no entry takes more than an eighth."""
_SECONDS_BETWEEN_SCANS = 60.0
_SECONDS_OF_A_LEFTOVER = 3600.0


class DiskCache:
    """Bytes by name, in the files of one folder, of which the longest unused go when there are too many.

    Safe to use from several threads, and from several processes on one folder. Where the folder cannot be written, the
    latest entries are kept in memory.

    Args:
        folder: is made.
        max_bytes: of all files together.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._total = 0
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._memory_bytes = 0
        self._kept: set[str] = set()
        self._writable = True
        self._scanned = 0.0
        with self._lock:
            self._scan()

    def keep(self, names: Iterable[str]) -> None:
        """Never remove the entries of these names, in the place of those named before."""
        with self._lock:
            self._kept = set(names)

    def keep_too(self, names: Iterable[str]) -> None:
        """Never remove the entries of these names either."""
        with self._lock:
            self._kept.update(names)

    def __contains__(self, name: str) -> bool:
        return name in self._sizes or name in self._memory

    @property
    def capacity(self) -> int:
        """Bytes that can be kept: fewer where the folder cannot be written."""
        return self.max_bytes if self._writable else min(self.max_bytes, _MEMORY_BYTES)

    @property
    def total_bytes(self) -> int:
        """Bytes of all files together."""
        return self._total

    def get(self, name: str) -> bytes | None:
        """Return the bytes of a name; None where there are none, or they were damaged, and are now removed."""
        with self._lock:
            if name in self._memory:
                self._memory.move_to_end(name)
            data = self._memory.get(name)
        path = self.folder / name
        if data is None:
            try:
                content = path.read_bytes()
            except OSError:
                self._forget(name)
                return None
            data = _checked(content)
            if data is None:
                _log.warning("%s is damaged, and will be made again", path)
                with contextlib.suppress(OSError):
                    path.unlink()
                self._forget(name)
                return None
            with self._lock:
                self._remember(name, data)
                self._note(name, len(content))
        with contextlib.suppress(OSError):
            os.utime(path)
        with self._lock:
            if name in self._sizes:
                self._sizes.move_to_end(name)
        return data

    def put(self, name: str, data: bytes) -> None:
        """Keep bytes by a name, and remove the longest unused where there are too many."""
        with self._lock:
            self._remember(name, data)
        content = _MAGIC + _digest(data) + data
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / name, lambda beside: beside.write_bytes(content))
        except OSError as error:
            if self._writable:
                _log.warning("cannot write to %s (%s): going on without it", self.folder, error.strerror or error)
            self._writable = False
            return
        self._writable = True
        with self._lock:
            self._note(name, len(content))
            self._shrink()

    def _note(self, name: str, size: int) -> None:
        self._total += size - self._sizes.pop(name, 0)
        self._sizes[name] = size

    def _remember(self, name: str, data: bytes) -> None:
        self._memory_bytes -= len(self._memory.pop(name, b""))
        if len(data) > _MEMORY_BYTES // 8:
            return
        self._memory_bytes += len(data)
        self._memory[name] = data
        for other in list(self._memory):
            if self._memory_bytes <= _MEMORY_BYTES:
                return
            # What is not on the disk cannot be read again.
            if other != name and (other in self._sizes or other not in self._kept):
                self._memory_bytes -= len(self._memory.pop(other))

    def _forget(self, name: str) -> None:
        with self._lock:
            self._total -= self._sizes.pop(name, 0)
            self._memory_bytes -= len(self._memory.pop(name, b""))

    def _shrink(self) -> None:
        if self._total <= self.max_bytes:
            return
        if time.monotonic() - self._scanned > _SECONDS_BETWEEN_SCANS:
            # Another process may have removed files, or used them.
            self._scan()
        for name in list(self._sizes):
            if self._total <= self.max_bytes:
                return
            if name in self._kept or name == next(reversed(self._sizes)):
                continue
            with contextlib.suppress(OSError):
                (self.folder / name).unlink()
            self._total -= self._sizes.pop(name)
            self._memory_bytes -= len(self._memory.pop(name, b""))

    def _scan(self) -> None:
        """Look what is there, the longest unused first."""
        self._scanned = time.monotonic()
        found = []
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    facts = entry.stat()
                    if not entry.name.startswith("."):
                        found.append((facts.st_mtime_ns, entry.name, facts.st_size))
                    elif time.time() - facts.st_mtime > _SECONDS_OF_A_LEFTOVER:
                        Path(entry.path).unlink()
        found.sort()
        self._sizes = OrderedDict((name, size) for _, name, size in found)
        self._total = sum(self._sizes.values())


def _checked(content: bytes) -> bytes | None:
    start = len(_MAGIC) + _DIGEST_BYTES
    data = content[start:]
    sound = content.startswith(_MAGIC) and content[len(_MAGIC) : start] == _digest(data)
    return data if sound else None


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()
