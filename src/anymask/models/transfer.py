"""One file from an address to a partial file beside its place: resumed after a break, patient within bounds.

What has arrived stays in ``NAME.part``, also when the process is killed, and ``NAME.part.json`` says of which file it
is the beginning, so that only that file is carried on with (RFC 9110, sections 13.1.5 and 14).
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from anymask.atomic import write_atomically
from anymask.errors import AnymaskError

if TYPE_CHECKING:
    import httpx2

Progress = Callable[[str, int, int | None], object]
"""Called with the stage ("downloading", "copying" or "checking"), bytes done and bytes in all, where known."""

Say = Callable[[str], object]
"""Called with a line for the user, without its end."""

ATTEMPTS = 5
"""So many attempts in a row may bring nothing new before a download is given up."""

FIRST_PAUSE_S = 1.0
"""The pause after a failed attempt, doubled with each further one that brings nothing new."""

LONGEST_PAUSE_S = 60.0
"""However long a server asks to wait."""

_RETRIED = (408, 425, 429)
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class DownloadError(AnymaskError, OSError):
    """A file could not be got; the message says why, what is kept of it and what to do."""


class _BrokenOffError(Exception):
    """An attempt failed in a way that another one may mend."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


def shown(address: str) -> str:
    """An address without the passwords and tokens that may be in it."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@dataclass(frozen=True)
class _Original:
    """The file that a partial file is the beginning of: its address, a strong validator or "", its size or None."""

    address: str
    validator: str
    size: int | None


class PartialFile:
    """What has arrived of a file, beside the place where it will be.

    Args:
        target: where the whole file will be.
    """

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._facts = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.exists() else 0

    def original(self) -> _Original | None:
        """The file that this is the beginning of; None where that is not known."""
        try:
            return _Original(**json.loads(self._facts.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def begin(self, original: _Original) -> None:
        """Forget what has arrived, and begin with another file."""
        # In this order, bytes of one file are never said to be another's, whenever the process ends.
        self.path.write_bytes(b"")
        write_atomically(self._facts, lambda beside: beside.write_text(json.dumps(asdict(original))))

    def finish(self, target: Path) -> None:
        """Rename the file, which is complete, to its final name."""
        # After a power cut the name must not stand over missing bytes.
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(target)
        self._facts.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove all that has arrived."""
        self.path.unlink(missing_ok=True)
        self._facts.unlink(missing_ok=True)


def readable_size(count: int) -> str:
    """Bytes as a person reads them: "375.0 MB"."""
    if count >= 1e9:
        return f"{count / 1e9:.2f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count:,} bytes"


def _ask_for_room(folder: Path, needed: int, freed: int = 0) -> None:
    free = shutil.disk_usage(folder).free + freed
    if needed > free:
        raise DownloadError(
            f"there is too little room in {folder}: {readable_size(needed)} are needed, {readable_size(free)} free; "
            "make room, or let ANYMASK_HOME name a folder on another disk"
        )


@contextmanager
def _failed_writes_explained(part: PartialFile) -> Iterator[None]:
    try:
        yield
    except DownloadError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(
                f"the disk of {part.path.parent} is full; {readable_size(part.size)} are kept, and the same command "
                "carries on when there is room"
            ) from error
        raise DownloadError(f"cannot write {part.path}: {error.strerror or error}") from error


def copy_file(source: Path, part: PartialFile, progress: Progress) -> None:
    """Copy a file of this machine.

    Raises:
        DownloadError: the file cannot be read or written.
    """
    try:
        total = source.stat().st_size
        with source.open("rb") as reader, _failed_writes_explained(part):
            _ask_for_room(part.path.parent, total, part.size)
            part.begin(_Original(str(source), "", total))
            with part.path.open("wb") as writer:
                while block := reader.read(1 << 20):
                    writer.write(block)
                    progress("copying", reader.tell(), total)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(f"cannot read {source}: {error.strerror or error}") from error


class _Download:
    """One file that is being fetched, over as many attempts as it takes."""

    def __init__(self, url: str, part: PartialFile, size: int, hashed: bool, progress: Progress) -> None:
        self.url, self.part, self.size, self.hashed, self.progress = url, part, size, hashed, progress
        self.name = shown(url)

    def _resumable(self) -> _Original | None:
        original = self.part.original()
        if original is None or not self.part.size or original.address != self.name:
            return None
        # Without a validator two versions could be joined; only a hash would tell.
        return original if original.validator or self.hashed else None

    def attempt(self, client: httpx2.Client) -> None:
        """Fetch what is missing.

        Raises:
            _BrokenOffError: it failed, and another attempt may not.
            DownloadError: it failed for good.
        """
        original = self._resumable()
        offset = self.part.size if original else 0
        if original and offset == original.size:
            return
        # A compressed answer could be neither measured nor resumed.
        headers = {"Accept-Encoding": "identity"}
        if original:
            headers["Range"] = f"bytes={offset}-"
            if original.validator:
                headers["If-Range"] = original.validator
        with client.stream("GET", self.url, headers=headers) as response:
            if response.status_code == 416 and original:
                if self._size_of(response) == offset:
                    return
                self.part.discard()
                raise _BrokenOffError("the file has changed on the server")
            self._check_answer(response)
            if response.status_code == 206 and original:
                total = self._carry_on(response, original, offset)
            else:
                offset, total = 0, self._start_anew(response)
            self._receive(response, offset, total)

    def _check_answer(self, response: httpx2.Response) -> None:
        status = response.status_code
        answer = f"{self.name} answered {status} {response.reason_phrase}".rstrip()
        if status in _RETRIED or status >= 500:
            wait = response.headers.get("Retry-After", "")
            raise _BrokenOffError(answer, float(wait) if wait.isdecimal() else 0.0)
        if status not in (200, 206):
            raise DownloadError(f"{answer}; is the address right, and may this machine read it?")
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml"):
            raise DownloadError(
                f"{self.name} answered with a web page instead of the file; does the network ask for a login, or is "
                "the address that of a page about the file?"
            )
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise DownloadError(f"{self.name} answered with a compressed file although none was accepted")

    def _size_of(self, response: httpx2.Response) -> int | None:
        """The size of the whole file, by the headers."""
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if found:
            return int(found[2]) if found[2] != "*" else None
        length = response.headers.get("Content-Length", "")
        return int(length) if response.status_code == 200 and length.isdecimal() else None

    def _carry_on(self, response: httpx2.Response, original: _Original, offset: int) -> int | None:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        total = self._size_of(response) or original.size
        if not found or found[1] is None or int(found[1]) != offset or original.size not in (None, total):
            self.part.discard()
            raise _BrokenOffError("the file has changed on the server")
        _ask_for_room(self.part.path.parent, (total or self.size) - offset)
        return total

    def _start_anew(self, response: httpx2.Response) -> int | None:
        if response.status_code != 200:
            raise DownloadError(f"{self.name} answered with a part of the file although the whole was asked for")
        total = self._size_of(response)
        if self.size and total is not None and total != self.size:
            raise DownloadError(
                f"{self.name} offers a file of {total:,} bytes, and the published one has {self.size:,}: it is another"
            )
        _ask_for_room(self.part.path.parent, total or self.size, self.part.size)
        etag = response.headers.get("ETag", "")
        validator = response.headers.get("Last-Modified", "") if etag.startswith("W/") or not etag else etag
        self.part.begin(_Original(self.name, validator, total))
        return total

    def _receive(self, response: httpx2.Response, offset: int, total: int | None) -> None:
        received = offset
        self.progress("downloading", received, total)
        with self.part.path.open("ab") as file:
            for chunk in response.iter_raw():
                file.write(chunk)
                received += len(chunk)
                self.progress("downloading", received, total)
                if self.size and received > self.size:
                    self.part.discard()
                    raise DownloadError(
                        f"{self.name} gives more than the {self.size:,} bytes of the published file: it is another"
                    )
        if total is not None and received != total:
            raise _BrokenOffError(f"{received:,} of {total:,} bytes came")


def _explain(error: Exception) -> str:
    text = " ".join(str(error).split()) or re.sub("(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    return text[:1].lower() + text[1:]


def fetch(url: str, part: PartialFile, *, size: int, hashed: bool, progress: Progress, say: Say) -> None:
    """Download a file, or what is missing of it, carrying on after breaks.

    Args:
        url: where it is, http or https.
        part: receives it, and may hold its beginning.
        size: its size in bytes; 0 where it is not known.
        hashed: the caller compares its hash afterwards.
        progress: called while bytes come.
        say: called with what the user should know.

    Raises:
        DownloadError: it is not there, is another file, cannot be written, or the connection breaks off again and
            again; what arrived is kept.
    """
    import httpx2

    download = _Download(url, part, size, hashed, progress)
    name, furthest, failures = download.name, part.size, 0
    try:
        client = httpx2.Client(follow_redirects=True, timeout=httpx2.Timeout(30.0, read=60.0))
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        raise DownloadError(f"the proxy settings of this machine cannot be used: {_explain(error)}") from error
    with client, _failed_writes_explained(part):
        while True:
            try:
                return download.attempt(client)
            except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as error:
                raise DownloadError(f"cannot download {name}: {_explain(error)}") from error
            except httpx2.TooManyRedirects as error:
                raise DownloadError(f"cannot download {name}: it is redirected in a circle") from error
            except (httpx2.TransportError, _BrokenOffError) as error:
                if "CERTIFICATE_VERIFY_FAILED" in str(error):
                    raise DownloadError(
                        f"cannot download {name}: its certificate is not trusted here; where a proxy signs the "
                        "traffic, add its certificate to the system's or name it in SSL_CERT_FILE"
                    ) from error
                arrived = part.size
                failures = 1 if arrived > furthest else failures + 1
                furthest = max(furthest, arrived)
                if failures >= ATTEMPTS:
                    raise DownloadError(
                        f"cannot download {name}: {_explain(error)} ({ATTEMPTS} times in a row); "
                        f"{readable_size(arrived)} are kept, and the same command carries on from there"
                    ) from error
                asked = error.pause_s if isinstance(error, _BrokenOffError) else 0.0
                pause = min(max(asked, FIRST_PAUSE_S * 2 ** (failures - 1)), LONGEST_PAUSE_S)
                say(f"{_explain(error)}; trying again in {pause:.0f} s, {readable_size(arrived)} are here")
                time.sleep(pause)
