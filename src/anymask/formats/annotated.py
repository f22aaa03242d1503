"""What goes between formats: one image's masks, where its pixels are, and what a format cannot hold of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

import numpy as np

from anymask.errors import AnymaskError
from anymask.segment.masks import Masks

_NUMBERS = ("scores", "stability", "points", "crops")


class FormatError(AnymaskError, ValueError):
    """Masks cannot be written in a format, or no format fits; the message says why and what would."""


class FormatWarning(UserWarning):
    """A format could not hold all, and wrote its documented fallback; or a file holds things that are not masks."""


class Feature(StrEnum):
    """What a format may be able to hold, besides the pixels of masks in one piece that do not overlap."""

    HOLES = "holes"
    PARTS = "masks of several parts"
    OVERLAPS = "overlapping masks"
    EMPTY_MASKS = "masks without a pixel"
    ORDER = "the order of masks"
    UNMASKED_IMAGES = "images without masks"
    NAMES = "names of images without their pictures"
    LABELS = "labels"
    UNLABELLED = "masks without a label beside masks with one"
    SCORES = "scores"
    STABILITY = "stability scores"
    POINTS = "points"
    CROPS = "crops"


@dataclass(frozen=True)
class AnnotatedImage:
    """One image of a data set with its masks.

    Attributes:
        name: the image's file name relative to the folder of all pictures, with forward slashes; see
            :func:`picture_name`.
        masks: its masks in the data set's order; their size is the image's.
        picture: the file or the encoded bytes in which the image's pixels are; None where they are not known.
    """

    name: str
    masks: Masks
    picture: Path | bytes | None = None


def picture_name(given: str) -> str:
    """Make a name from a file safe: relative, with forward slashes, never above the folder of pictures.

    Of an absolute path, or one that climbs with "..", only the last part stays.

    Raises:
        FormatError: nothing is left of it.
    """
    path = PurePosixPath(given.replace("\\", "/"))
    drive = len(given) > 1 and given[1] == ":"
    if path.is_absolute() or drive or ".." in path.parts:
        path = PurePosixPath(path.name)
    if not path.name or path.name == ".." or "\0" in given:
        raise FormatError(f"{given!r} is not the name of a picture")
    return str(path)


class Losses:
    """Counts what was given up because a format cannot hold it.

    Attributes:
        counts: how often each thing was given up, by a sentence that says what was written instead.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, sentence: str, count: int = 1) -> None:
        """Count ``count`` masks of which something was given up, such as "holes are filled: ... have none"."""
        if count:
            self.counts[sentence] += count

    def add_columns(self, masks: Masks, carries: Container[Feature]) -> None:
        """Count what is known about masks beyond their pixels and has no place in a format that ``carries`` less."""
        if masks.labels is not None and Feature.LABELS not in carries:
            self.add("labels are not written", sum(label is not None for label in masks.labels))
        columns = {
            Feature.SCORES: masks.scores,
            Feature.STABILITY: masks.stability,
            Feature.POINTS: masks.points,
            Feature.CROPS: masks.crops,
        }
        for feature, values in columns.items():
            if values is not None and feature not in carries:
                self.add(f"{feature} are not written", len(masks))

    def lines(self) -> list[str]:
        """Say each thing once, with the number of masks."""
        return [f"{sentence} ({count:,} mask{'' if count == 1 else 's'})" for sentence, count in self.counts.items()]


def with_finite_columns(masks: Masks, losses: Losses, columns: Iterable[str] = _NUMBERS) -> Masks:
    """Leave out columns in which a number is infinite or none, as JSON has no place for them, and count their masks."""
    for column in columns:
        values = getattr(masks, column)
        if values is not None and not np.isfinite(values).all():
            losses.add(f"{column} of an image are left out where one is infinite or no number", len(masks))
            masks = masks.replace(**{column: None})
    return masks
