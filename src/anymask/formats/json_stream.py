"""Large JSON files, read one element of a list at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from anymask.formats.instances import DatasetError

_CHUNK = 1 << 18
_WHITE = re.compile(r"[ \t\n\r]*")
_DECODE = json.JSONDecoder().raw_decode
# Where text is cut off, the decoder complains of a place no further from the end than literals and escapes are long.
_NEAR_THE_END = 32


@contextmanager
def open_json(path: Path, *, limit: int | None = None, chunk: int = _CHUNK) -> Iterator[JsonStream]:
    """Open a JSON file for reading from its beginning.

    Args:
        path: the file.
        limit: read no more than this many bytes; the rest is taken for missing.
        chunk: how many bytes to read at a time.

    Raises:
        DatasetError: it cannot be opened.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from error
    with file:
        yield JsonStream(file, path, limit, chunk)


class JsonStream:
    """A JSON text that is read from its beginning, holding no more than one element of a list and one chunk of it.

    Python's own decoder reads the elements, so that all is accepted that Python writes, NaN and whole numbers of any
    length included. Every method raises DatasetError, with line and column, where the text is not JSON.
    """

    def __init__(self, file: IO[bytes], path: Path, limit: int | None = None, chunk: int = _CHUNK) -> None:
        self._file, self._path, self._limit, self._chunk = file, path, limit, chunk
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at = "", 0
        self._bytes = self._characters = self._lines = self._columns = 0
        self._is_unread = False

    def begins_with(self) -> str:
        """Return the character with which the next value begins, "" at the end of the text."""
        while True:
            self._at = self._white_end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def members(self) -> Iterator[str]:
        """Yield the keys of the object that comes next; values that nothing reads are passed over."""
        self._is_unread = False
        self._take("{")
        if self.begins_with() == "}":
            self._at += 1
            return
        while True:
            if self.begins_with() != '"':
                raise self._broken("Expecting property name enclosed in double quotes", self._at)
            key, _ = self._value()
            self._take(":")
            self._is_unread = True
            yield str(key)
            if self._is_unread:
                self._pass_over()
            if self._take(",}") == "}":
                return

    def elements(self) -> Iterator[tuple[Any, str]]:
        """Yield each element of the list that comes next, and its text."""
        self._is_unread = False
        self._take("[")
        if self.begins_with() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._take(",]") == "]":
                return

    def value(self) -> Any:
        """Read whatever comes next, whole."""
        self._is_unread = False
        value, _ = self._value()
        return value

    def end(self) -> None:
        """Check that nothing follows."""
        if self.begins_with():
            raise self._broken("Extra data", self._at)

    def _pass_over(self) -> None:
        begin = self.begins_with()
        if begin == "{":
            for _ in self.members():
                pass
        elif begin == "[":
            for _ in self.elements():
                pass
        else:
            self._is_unread = False
            self._value()

    def _take(self, accepted: str) -> str:
        found = self.begins_with()
        if not found or found not in accepted:
            raise self._broken(f"Expecting {' or '.join(map(repr, accepted))}", self._at)
        self._at += 1
        return found

    def _value(self) -> tuple[Any, str]:
        while True:
            self._at = self._white_end()
            try:
                value, end = _DECODE(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._is_cut_off(error) and self._more():
                    continue
                raise self._broken(error.msg, error.pos) from error
            except (RecursionError, ValueError) as error:
                reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
                raise self._broken(reason, self._at) from error
            # A number may go on after what the decoder could not use, such as the "e-" of 1e-5.
            if end + len("e-") >= len(self._text) and self._more():
                continue
            begin, self._at = self._at, end
            return value, self._text[begin:end]

    def _white_end(self) -> int:
        found = _WHITE.match(self._text, self._at)
        assert found is not None
        return found.end()

    def _is_cut_off(self, error: json.JSONDecodeError) -> bool:
        return error.msg.startswith("Unterminated string") or error.pos > len(self._text) - _NEAR_THE_END

    def _more(self) -> bool:
        """Drop the text that was read and append a chunk, at least as long as what is left; False at the end."""
        text = ""
        while not text:
            size = max(self._chunk, len(self._text) - self._at)
            if self._limit is not None:
                size = min(size, self._limit - self._bytes)
            try:
                content = self._file.read(size)
                text = self._decoder.decode(content, final=not content)
            except UnicodeDecodeError as error:
                raise DatasetError(
                    f"{self._path} is not valid JSON: it is not UTF-8 near byte {self._bytes:,}; save it as UTF-8"
                ) from error
            except OSError as error:
                raise DatasetError(f"cannot read {self._path}: {error.strerror}") from error
            if not content:
                return False
            self._bytes += len(content)
        read = self._text[: self._at]
        lines = read.count("\n")
        self._characters += len(read)
        self._lines += lines
        self._columns = len(read) - read.rindex("\n") - 1 if lines else self._columns + len(read)
        self._text, self._at = self._text[self._at :] + text, 0
        return True

    def _broken(self, reason: str, position: int) -> DatasetError:
        before = self._text[:position]
        line = self._lines + before.count("\n") + 1
        last = before.rfind("\n")
        column = position - last if last >= 0 else self._columns + position + 1
        ends = position >= len(self._text) or reason.startswith("Unterminated string")
        cause = "it ends too early, " if ends else ""
        return DatasetError(
            f"{self._path} is not valid JSON: {cause}{reason}: line {line} column {column} "
            f"(char {self._characters + position})"
        )


def first_look(path: Path) -> dict[str, str]:
    """Tell what a JSON file seems to hold from no more than its first megabyte.

    Returns:
        The keys of the object that it is, or of the first in the list that it is, each with the character with which
        its value begins; as far as they could be read.
    """
    found: dict[str, str] = {}
    with suppress(DatasetError), open_json(path, limit=_CHUNK, chunk=1 << 14) as stream:
        if stream.begins_with() == "{":
            for key in stream.members():
                found[key] = stream.begins_with()
        elif stream.begins_with() == "[":
            first = next((element for element, _ in stream.elements()), None)
            if isinstance(first, dict):
                found = {key: json.dumps(value)[0] for key, value in first.items()}
    return found
