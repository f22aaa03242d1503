"""Changes to objects, as a browser would send them."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from anymask.engine.annotation import Change, Click, ObjectState, Prompts, Source, Status

SIZE = (8, 12)
"""(height, width) of the pictures of the folder that tests begin with."""
NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def counts_of(box: tuple[int, int, int, int] = (2, 1, 5, 4), size: tuple[int, int] = SIZE) -> str:
    """COCO's compressed counts of a filled box (x0, y0, x1, y1), by pycocotools."""
    pixels = np.zeros(size, dtype=np.uint8, order="F")
    pixels[box[1] : box[3], box[0] : box[2]] = 1
    return str(coco_mask.encode(pixels)["counts"].decode())


def random_counts(generator: random.Random, size: tuple[int, int] = SIZE) -> str:
    height, width = size
    x0, y0 = generator.randrange(width), generator.randrange(height)
    return counts_of((x0, y0, generator.randint(x0 + 1, width), generator.randint(y0 + 1, height)), size)


def new_object(**given: Any) -> ObjectState:
    """The first state of an object that a click made."""
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "version": 1,
        "status": Status.PRESENT,
        "counts": counts_of(),
        "prompts": Prompts(clicks=[Click(x=3.5, y=2.25, positive=True)], choice=1),
        "label": None,
        "color": 3,
        "visible": True,
        "order": 1.0,
        "score": 0.875,
        "source": Source.ASSISTED,
        "finished": False,
        "model": "pocket-0123",
    }
    return ObjectState(**{**values, **given})


def after(state: ObjectState, **given: Any) -> ObjectState:
    """The next version of an object."""
    return state.model_copy(update={"version": state.version + 1, **given})


def change(state: ObjectState, action: str = "click", **given: Any) -> Change:
    values: dict[str, Any] = {"id": uuid.uuid4(), "at": NOON, "action": action, "state": state}
    return Change(**{**values, **given})
