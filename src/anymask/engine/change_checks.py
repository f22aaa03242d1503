"""What must be true of a change for the store to take it."""

from __future__ import annotations

import math
from datetime import UTC

from anymask.engine.annotation import Change, ObjectState, Prompts
from anymask.engine.label_names import LABEL_LENGTH, clean_label
from anymask.segment import rle
from anymask.segment.errors import MaskError

TOLERANCE = 1.0
"""How far, in pixels, a click or a box may lie outside the picture: rounding must not cost anybody an object."""


class NotStorable(Exception):  # noqa: N818 -- never seen outside: it becomes the reason of a refused change
    """A change can never be stored; the message says why."""


def storable(change: Change, size: tuple[int, int]) -> Change:
    """Check a change and bring it into the form in which it is kept: run lengths canonical, label cleaned.

    Args:
        change: what a client sent.
        size: (height, width) of the picture.

    Raises:
        NotStorable: it can never be stored.
    """
    try:
        change.at.astimezone(UTC)
    except (OverflowError, ValueError):
        raise NotStorable(f"the time {change.at} is none that can be kept") from None
    if not change.action.isprintable():
        raise NotStorable(f"the action {change.action!r} holds characters that are no text")
    return change.model_copy(update={"state": _storable_state(change.state, size)})


def _storable_state(state: ObjectState, size: tuple[int, int]) -> ObjectState:
    counts = canonical_counts(state.counts, size)
    if rle.area([{"size": list(size), "counts": counts.encode()}])[0] == 0:
        raise NotStorable("the mask has no pixel: delete the object instead")
    label = clean_label(state.label)
    if label is not None and len(label) > LABEL_LENGTH:
        raise NotStorable(f"the label has {len(label)} characters, {LABEL_LENGTH} are the most")
    if not math.isfinite(state.order):
        raise NotStorable(f"the order must be a finite number, not {state.order}")
    if state.score is not None and not math.isfinite(state.score):
        raise NotStorable(f"the score must be a finite number or none, not {state.score}")
    if state.model is not None and not state.model.isprintable():
        raise NotStorable(f"the model {state.model!r} holds characters that are no text")
    prompts = None if state.prompts is None else _storable_prompts(state.prompts, size)
    return state.model_copy(update={"counts": counts, "label": label, "prompts": prompts})


def _storable_prompts(prompts: Prompts, size: tuple[int, int]) -> Prompts:
    height, width = size
    picture = f"the picture of {width} x {height} pixels"
    for number, click in enumerate(prompts.clicks, 1):
        if not (_is_within(click.x, width) and _is_within(click.y, height)):
            raise NotStorable(f"click {number} at ({click.x:g}, {click.y:g}) lies outside {picture}")
    if prompts.box is not None:
        x0, y0, x1, y1 = prompts.box
        if not (_is_within(x0, width) and _is_within(x1, width) and _is_within(y0, height) and _is_within(y1, height)):
            raise NotStorable(f"the box {prompts.box} does not lie in {picture}")
        if x0 > x1 or y0 > y1:
            raise NotStorable(f"the box {prompts.box} is not (x0, y0, x1, y1) from its top left to its bottom right")
    if prompts.base is None:
        return prompts
    return prompts.model_copy(update={"base": canonical_counts(prompts.base, size)})


def canonical_counts(counts: str, size: tuple[int, int]) -> str:
    """Check compressed run lengths for a picture of (height, width), and write them without empty runs.

    Raises:
        NotStorable: they are malformed, or of another size.
    """
    try:
        return rle.check({"size": list(size), "counts": counts.encode("ascii")})["counts"].decode("ascii")
    except (MaskError, UnicodeEncodeError) as error:
        reason = error if isinstance(error, MaskError) else "the counts are not COCO's compressed run lengths"
        raise NotStorable(f"the mask does not fit a picture of {size[1]} x {size[0]} pixels: {reason}") from None


def _is_within(value: float, side: int) -> bool:
    return -TOLERANCE <= value <= side + TOLERANCE
