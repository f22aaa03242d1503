"""What the store keeps of an object, as it travels between the browser, the server and the database."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Point = tuple[float, float]
Box = tuple[float, float, float, float]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Status(StrEnum):
    """What has become of an object."""

    PRESENT = "present"
    DELETED = "deleted"
    REJECTED = "rejected"
    """A proposal of the machine that a person refused; kept, so that it is not proposed again."""


class Source(StrEnum):
    """Who made an object's mask."""

    ASSISTED = "assisted"
    AUTOMATIC = "automatic"
    IMPORTED = "imported"
    MANUAL = "manual"


class Click(_Message):
    """One point of a prompt, in pixels of the picture.

    Attributes:
        x: from the left edge.
        y: from the top edge.
        positive: on the object, or not on it.
    """

    x: float
    y: float
    positive: bool


class Prompts(_Message):
    """What an object was asked with; its mask follows from this, the picture and the model.

    The decoder answers step by step: the box with the first ``steps`` clicks, then each further click with the
    logits of the step before it.

    Attributes:
        clicks: in the order in which they were made.
        box: (x0, y0, x1, y1) in pixels of the picture, or None.
        choice: which of the three readings of a lone click was taken, 0 the smallest and 2 the largest; None where the
            model's best was taken, or there is only one.
        base: run lengths of a mask that the first step refines (an imported or automatic one), or None.
    """

    clicks: list[Click] = Field(default=[], max_length=1000)
    box: Box | None = None
    choice: Annotated[int, Field(ge=0, le=2)] | None = None
    base: str | None = None


class ObjectState(_Message):
    """One object of a picture.

    Attributes:
        id: made where the object was made.
        version: 1 for the first stored state; each change adds 1.
        status: whether it is there.
        counts: COCO's compressed run lengths of its mask, at the picture's size.
        prompts: what it was asked with; None where no prompt made it.
        label: its name, or None.
        color: number of its colour in the palette.
        visible: whether the studio shows it.
        order: objects are listed by this, and later ones lie on top.
        score: the model's predicted IoU of the mask, or None.
        source: who made the mask.
        finished: the person went on from it.
        model: fingerprint of the model that made the mask, or None.
    """

    id: UUID
    version: int = Field(ge=1)
    status: Status
    counts: str = Field(max_length=20_000_000)
    prompts: Prompts | None
    label: str | None = Field(max_length=200)
    color: int = Field(ge=0, le=255)
    visible: bool
    order: float
    score: float | None
    source: Source
    finished: bool
    model: str | None = Field(max_length=64)


class Change(_Message):
    """A new state of one object, as a browser sends it.

    Attributes:
        id: made by the browser; the same change sent twice is stored once.
        at: when it was made, by the browser's clock.
        action: what the person did, such as "click", "box", "label", "undo".
        state: the object after it; its version is one more than that of the state that was changed.
    """

    id: UUID
    at: AwareDatetime
    action: str = Field(min_length=1, max_length=40)
    state: ObjectState


class Outcome(StrEnum):
    """What the store did with a change."""

    STORED = "stored"
    KNOWN = "known"
    """It had been stored before."""
    CONFLICT = "conflict"
    """The object has another version by now; nothing was changed."""
    REFUSED = "refused"
    """The change can never be stored, such as a mask of another size; ``reason`` says why."""


class ChangeResult(_Message):
    """What became of a change.

    Attributes:
        change: its id.
        outcome: what the store did.
        current: the object as the store has it, after a conflict.
        reason: why a change was refused, in a sentence.
    """

    change: UUID
    outcome: Outcome
    current: ObjectState | None = None
    reason: str | None = None
