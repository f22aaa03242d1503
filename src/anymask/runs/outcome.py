"""What became of one image of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from anymask.errors import AnymaskError
from anymask.runs.items import Item


@dataclass(frozen=True)
class Outcome:
    """What became of one image.

    Attributes:
        name: the image's name in the run.
        masks: how many masks it has.
        files: what is to be written: names relative to the output folder, and contents.
        record: its masks as JSON in SA-1B's layout, where a file of all images is made in the end; else empty.
        error: why there are no masks; None if all went well.
        expected: the error is one that a bad image causes, not a defect of the program or the machine.
        losses: how many masks lost what the format cannot hold, by what was written instead.
    """

    name: str
    masks: int = 0
    files: tuple[tuple[str, bytes], ...] = ()
    record: bytes = b""
    error: str | None = None
    expected: bool = True
    losses: dict[str, int] = field(default_factory=dict)


def failure(item: Item, error: Exception) -> Outcome:
    """Record why an image has no masks."""
    expected = isinstance(error, AnymaskError | OSError | MemoryError)
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError):
        reason = f"not enough memory for it: {reason}"
    elif not expected:
        reason = f"{type(error).__name__}: {reason}"
    return Outcome(item.name, error=reason, expected=expected)
