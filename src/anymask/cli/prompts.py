"""Prompts as they are typed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anymask.segment.errors import PromptError
from anymask.segment.prompts import Prompt

Point = tuple[tuple[float, float], int]
Box = tuple[float, float, float, float]

_LABELS = {"": 1, "fg": 1, "1": 1, "bg": 0, "0": 0}


def _numbers(text: str, count: int, what: str, form: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count:
        raise PromptError(f"{what} is written {form}, in pixels, without spaces; got {text!r}")
    return values


def parse_point(text: str) -> Point:
    """Read ``X,Y``, ``X,Y:fg`` or ``X,Y:bg`` as ((x, y), label).

    Raises:
        PromptError: the text has another form.
    """
    place, _, kind = text.partition(":")
    if kind.lower() not in _LABELS:
        raise PromptError(f"a point ends in nothing, :fg (on the object) or :bg (off it); got {text!r}")
    x, y = _numbers(place, 2, "a point", "X,Y or X,Y:bg")
    return (x, y), _LABELS[kind.lower()]


def parse_box(text: str) -> Box:
    """Read ``X0,Y0,X1,Y1``.

    Raises:
        PromptError: the text has another form.
    """
    x0, y0, x1, y1 = _numbers(text, 4, "a box", "X0,Y0,X1,Y1")
    return x0, y0, x1, y1


def parse_region(text: str) -> Box:
    """Read ``X0,Y0,X1,Y1``.

    Raises:
        PromptError: the text has another form.
    """
    x0, y0, x1, y1 = _numbers(text, 4, "a region", "X0,Y0,X1,Y1")
    return x0, y0, x1, y1


def to_prompts(
    points: Sequence[Point], boxes: Sequence[Box], mask: Path | None, separate: bool, multimask: bool | None
) -> list[Prompt]:
    """Decide which prompts were meant: one object from all together, or one for each box or point.

    Raises:
        PromptError: nothing was given, or it is unclear what belongs to which object.
    """
    if not points and not boxes and mask is None:
        raise PromptError("nothing to segment: give --point X,Y, --box X0,Y0,X1,Y1 or --mask FILE")
    if separate:
        if mask is not None:
            raise PromptError("--mask refines one object and cannot be used with --separate")
        prompts = [Prompt(points=[xy], labels=[label], multimask=multimask) for xy, label in points]
        return prompts + [Prompt(box=box, multimask=multimask) for box in boxes]
    if len(boxes) > 1:
        if points or mask is not None:
            raise PromptError(
                "several boxes are several objects, and it is unclear to which the points or the mask "
                "belong: give one box with them, or use --separate"
            )
        return [Prompt(box=box, multimask=multimask) for box in boxes]
    return [
        Prompt(
            points=[xy for xy, _ in points] or None,
            labels=[label for _, label in points] or None,
            box=boxes[0] if boxes else None,
            mask=mask,
            multimask=multimask,
        )
    ]


def describe(prompt: Prompt) -> dict[str, Any]:
    """Describe a typed prompt for JSON, without what was not given."""
    facts = {
        "points": prompt.points,
        "labels": prompt.labels,
        "box": prompt.box,
        "mask": None if prompt.mask is None else str(prompt.mask),
    }
    return {key: value for key, value in facts.items() if value is not None}
