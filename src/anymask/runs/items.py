"""One image of a run: what it is called, where its bytes are, and what is asked about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, Protocol

from anymask.runs.errors import InputsError


class Source(Protocol):
    """Where an image's bytes are. A million of them are kept and sent to other processes, so they are small."""

    def read(self) -> Path | bytes:
        """Give what :func:`anymask.segment.pixels.read_image` takes: a file's path, or the bytes of one."""

    def place(self) -> str:
        """Say where it is, for messages."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file of its own, by its absolute path; it may be missing."""

    path: str

    def read(self) -> Path:
        """Give the path."""
        return Path(self.path)

    def place(self) -> str:
        """Say the path."""
        return self.path


@dataclass(frozen=True, slots=True)
class UnreadableImage:
    """What was to be an image, but can be told beforehand to be none."""

    where: str
    reason: str

    def read(self) -> NoReturn:
        """Say why it cannot be read."""
        raise InputsError(self.reason)

    def place(self) -> str:
        """Say what was given."""
        return self.where


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a run.

    Attributes:
        name: what it is called; differs from all others of the run, with forward slashes.
        key: begins the names of the files that are written about it; differs from all others too.
        source: where its bytes are.
        prompts_json: what is asked about it, as JSON without the outer brackets; None if nothing is.
    """

    name: str
    key: str
    source: Source
    prompts_json: str | None = None

    def read(self) -> Path | bytes:
        """Give what :func:`anymask.segment.pixels.read_image` takes: a file's path, or the bytes of one.

        Raises:
            InputsError: it cannot be read. A file that is missing is found out by reading the image.
            OSError: likewise.
        """
        return self.source.read()

    def described_place(self) -> str:
        """Say where the image is, for messages."""
        return self.source.place()

    @property
    def path(self) -> Path | None:
        """The image's file; None if it has none of its own."""
        return Path(self.source.path) if isinstance(self.source, ImageFile) else None

    @property
    def prompts(self) -> tuple[dict[str, Any], ...] | None:
        """What is asked about the image, each as :func:`anymask.runs.prompt_files.to_prompts` takes it; or None."""
        return None if self.prompts_json is None else tuple(json.loads(f"[{self.prompts_json}]"))

    def with_prompts(self, prompts: Sequence[dict[str, Any]]) -> Item:
        """Ask something about the image."""
        return replace(self, prompts_json=json.dumps(prompts, separators=(",", ":"))[1:-1])
