"""Many pictures with their masks on one sheet, each with its name and what it holds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from anymask.draw.fitting import fit
from anymask.draw.overlay import overlay
from anymask.errors import AnymaskError
from anymask.segment.errors import ImageError
from anymask.segment.masks import Masks
from anymask.segment.pixels import read_image

SIZE = 320
"""Side in pixels of the square that a picture fills."""

_MARGIN = 14
_LINE = 17
_FONT = 13
_PAPER, _INK, _PALE = (255, 255, 255), (32, 36, 44), (112, 118, 128)
_GREY = 198
_WIDEST = 6


class ContactSheetError(AnymaskError, ValueError):
    """A contact sheet cannot be drawn as wished."""


@dataclass(frozen=True)
class Tile:
    """One picture of a contact sheet.

    Attributes:
        name: what to call it.
        masks: what to draw on it.
        picture: its file or encoded bytes; None where it is not known.
    """

    name: str
    masks: Masks
    picture: Path | bytes | None = None


@dataclass(frozen=True)
class ContactSheet:
    """A sheet, and what is missing on it.

    Attributes:
        image: the sheet.
        without_picture: of each tile that has a grey background instead of its picture, why, in a line.
    """

    image: Image.Image
    without_picture: list[str]


def contact_sheet(tiles: Iterable[Tile], *, size: int = SIZE, columns: int | None = None) -> ContactSheet:
    """Draw tiles from left to right and top to bottom, each with its name, number of masks, scores and labels below.

    Args:
        tiles: at least one; one after the other is read and shrunk.
        size: side in pixels of the square that a picture fills; smaller pictures are enlarged.
        columns: tiles side by side; by default so many that the sheet is a little wider than high, and at most six.

    Raises:
        ContactSheetError: there is no tile, or a number is out of range.
    """
    if not 32 <= size <= 4096:
        raise ContactSheetError(f"the size of a tile is from 32 to 4096 pixels, got {size}")
    if columns is not None and columns < 1:
        raise ContactSheetError(f"a sheet has at least one column, got {columns}")
    panels: list[NDArray[np.uint8]] = []
    captions: list[tuple[str, str]] = []
    without: list[str] = []
    for tile in tiles:
        panels.append(_panel(tile, size, without))
        captions.append((tile.name, describe(tile.masks)))
    if not panels:
        raise ContactSheetError("there is no image to draw")
    wide = round(math.sqrt(1.3 * len(panels))) if len(panels) > 3 else 3
    across = min(len(panels), columns or min(_WIDEST, wide))
    return ContactSheet(_arrange(panels, captions, across, size), without)


def describe(masks: Masks) -> str:
    """Say in a line how many masks there are, their scores and their labels, the most frequent first."""
    parts = [f"{len(masks):,} mask{'' if len(masks) == 1 else 's'}"]
    if masks.scores is not None and np.isfinite(masks.scores).any():
        low, high = np.nanmin(masks.scores), np.nanmax(masks.scores)
        parts.append(f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}")
    labels = Counter(label for label in masks.labels or [] if label is not None)
    if labels:
        parts.append(", ".join(name if count == 1 else f"{count} {name}" for name, count in labels.most_common()))
    return " · ".join(parts)


def _panel(tile: Tile, size: int, without: list[str]) -> NDArray[np.uint8]:
    """Draw one picture with its masks; add to ``without`` why there is no picture."""
    height, width = tile.masks.size
    image = None
    if tile.picture is None:
        without.append(f"{tile.name}: its picture is not known")
    else:
        try:
            image = read_image(tile.picture)
        except ImageError as error:
            without.append(f"{tile.name}: {error}")
    if image is not None and image.shape[:2] != tile.masks.size:
        without.append(f"{tile.name}: its picture is {image.shape[1]} x {image.shape[0]}, its masks {width} x {height}")
        image = None
    if image is None:
        # One row of grey is stretched, so that a large picture that is not there needs no memory.
        scale = min(1.0, size / max(height, width))
        small = (max(1, round(height * scale)), max(1, round(width * scale)), 3)
        image = np.full(small, _GREY, dtype=np.uint8)
    # Drawn at twice the size and then shrunk, thin lines are smooth.
    shown, masks = fit(image, tile.masks, 2 * size)
    drawn = Image.fromarray(overlay(shown, masks, alpha=0.45) if len(masks) else shown)
    return np.asarray(drawn.reduce(2) if min(drawn.size) > 1 else drawn)


def _arrange(
    panels: Sequence[NDArray[np.uint8]], captions: Sequence[tuple[str, str]], columns: int, size: int
) -> Image.Image:
    rows = [range(start, min(start + columns, len(panels))) for start in range(0, len(panels), columns)]
    heights = [max(panels[index].shape[0] for index in row) for row in rows]
    caption = 2 * _LINE + 6
    width = columns * (size + _MARGIN) + _MARGIN
    height = sum(heights) + len(rows) * (caption + _MARGIN) + _MARGIN
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT)
    top = _MARGIN
    for row, tallest in zip(rows, heights, strict=True):
        for column, index in enumerate(row):
            panel = panels[index]
            left = _MARGIN + column * (size + _MARGIN)
            sheet.paste(Image.fromarray(panel), (left, top + tallest - panel.shape[0]))
            name, facts = captions[index]
            below = top + tallest + 5
            draw.text((left, below), _shortened(name, size, font, keep_end=True), _INK, font)
            draw.text((left, below + _LINE), _shortened(facts, size, font, keep_end=False), _PALE, font)
        top += tallest + caption + _MARGIN
    return sheet


def _shortened(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, keep_end: bool) -> str:
    """Leave out as much of the beginning or the end as does not fit into the width."""
    if font.getlength(text) <= width:
        return text
    shortest, longest = 0, len(text)
    while shortest < longest:
        middle = (shortest + longest + 1) // 2
        shown = "…" + text[-middle:] if keep_end else text[:middle] + "…"
        shortest, longest = (middle, longest) if font.getlength(shown) <= width else (shortest, middle - 1)
    kept = text[len(text) - shortest :] if keep_end else text[:shortest]
    return "…" + kept if keep_end else kept + "…"
