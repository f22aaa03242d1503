"""Changes to objects, as a browser sends them."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

Json = dict[str, Any]


def counts_of(x0: int, y0: int, x1: int, y1: int, size: tuple[int, int] = (60, 80)) -> str:
    """COCO's compressed counts of a filled box in a picture of (height, width), by pycocotools."""
    pixels = np.zeros(size, dtype=np.uint8, order="F")
    pixels[y0:y1, x0:x1] = 1
    return str(coco_mask.encode(pixels)["counts"].decode())


def new_object(**given: Any) -> Json:
    """The first state of an object that a click made."""
    state = {
        "id": str(uuid.uuid4()),
        "version": 1,
        "status": "present",
        "counts": counts_of(10, 10, 30, 25),
        "prompts": {"clicks": [{"x": 12.5, "y": 14.0, "positive": True}], "box": None, "choice": 1, "base": None},
        "label": None,
        "color": 3,
        "visible": True,
        "order": 1.0,
        "score": 0.75,
        "source": "assisted",
        "finished": False,
        "model": "0123456789abcdef",
    }
    return {**state, **given}


def change(state: Json, action: str = "click") -> Json:
    return {"id": str(uuid.uuid4()), "at": "2026-05-04T12:00:00Z", "action": action, "state": state}


def changes(*states: Json) -> Json:
    return {"changes": [change(state) for state in states]}
