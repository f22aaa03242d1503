"""What is asked about one image, as people and programs write it into JSON, and as prompts."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from anymask.runs.errors import PromptFileError
from anymask.segment.prompts import Prompt

PromptFacts = dict[str, Any]
"""One prompt for JSON: ``box`` (x0, y0, x1, y1), ``points`` (x, y) with ``point_labels``, ``label``, ``multimask``."""

NAME_KEYS = ("image", "file_name", "image_path", "path", "name")
"""Where an entry of a list names its image, the first first."""

_IGNORED = frozenset((*NAME_KEYS, "id", "width", "height", "score", "scores"))
_OBJECT_KEYS = ("box", "point", "points", "point_labels", "labels", "label", "multimask")
_FAR = 1e9
"""No image is that wide; infinity and what is no number are not below it either."""
_ENTRY_KEYS = ("boxes", "prompts", *_OBJECT_KEYS)


def read_entry(entry: Any) -> list[PromptFacts]:
    """Take the prompts out of what is written about one image; each marks one object.

    - A list: boxes (four numbers each) and points (two each), or objects.
    - ``boxes`` and ``points``: each of them marks an object. ``labels`` names these objects, by words or by numbers.
    - ``box``, or ``points`` with ``point_labels`` (or ``labels``) of 1 and 0: all of this marks one object, as for
      :meth:`EncodedImage.segment`.
    - ``prompts``: a list of objects, each of ``box``, ``points``, ``point_labels``, ``label`` and ``multimask``.
    - ``label``, ``multimask``: hold for all objects that do not say their own.

    Raises:
        PromptFileError: it is none of this; the message says what is wrong.
    """
    if isinstance(entry, list):
        if entry and all(_is_number(value) for value in entry):
            return [_shape(entry, "it")]
        return [_listed(value, f"entry {number}") for number, value in enumerate(entry)]
    if not isinstance(entry, dict):
        raise PromptFileError(
            f"expected a list of boxes or an object with boxes, points or prompts, got {_shown(entry)}"
        )
    _check_keys(entry, _ENTRY_KEYS)
    given = {key: value for key, value in entry.items() if value is not None and key not in _IGNORED}
    common = {key: given.pop(key) for key in ("label", "multimask") if key in given}
    listed = given.pop("prompts", [])
    if not isinstance(listed, list):
        raise PromptFileError(f"prompts must be a list, got {_shown(listed)}")
    found = [_listed(value, f"prompt {number}") for number, value in enumerate(listed)]
    found += _objects(given)
    defaults = _object_facts(common, "it")
    return [{**one, **{key: value for key, value in defaults.items() if key not in one}} for one in found]


def read_coco_box(values: Any) -> list[float] | None:
    """Turn COCO's (x, y, width, height) into (x0, y0, x1, y1); None if it has no area.

    Raises:
        PromptFileError: they are not four numbers.
    """
    if not (isinstance(values, list) and len(values) == 4 and all(_is_number(value) for value in values)):
        raise PromptFileError(f"a bbox is x, y, width, height; got {_shown(values)}")
    x, y, width, height = values
    return [x, y, x + width, y + height] if width > 0 and height > 0 else None


def to_prompts(facts: Sequence[PromptFacts]) -> tuple[list[Prompt], list[str | None]]:
    """Give what :meth:`EncodedImage.segment_many` takes, and the label of each prompt."""
    prompts = [
        Prompt(one.get("points"), one.get("point_labels"), one.get("box"), multimask=one.get("multimask"))
        for one in facts
    ]
    return prompts, [one.get("label") for one in facts]


def _objects(given: dict[str, Any]) -> list[PromptFacts]:
    """Read ``boxes``, ``box``, ``points``, ``point``, ``labels`` and ``point_labels`` of one image."""
    labels = given.get("labels")
    clicks = labels is not None and "points" in given and "boxes" not in given and _are_click_labels(labels)
    if "box" in given or "point_labels" in given or clicks:
        if "boxes" in given:
            raise PromptFileError(
                "boxes are several objects, and it is unclear to which the box or the points with labels belong: "
                "write them as prompts"
            )
        return [_object_facts(given, "it")]
    boxes = _several(given.get("boxes", []), 4, "boxes")
    points = _several(given.get("points", []), 2, "points") + _several(given.get("point", []), 2, "point")
    found = [_shape(box, f"box {number}") for number, box in enumerate(boxes)]
    found += [_shape(point, f"point {number}") for number, point in enumerate(points)]
    if labels is None:
        return found
    if not isinstance(labels, list) or len(labels) != len(found):
        count = len(labels) if isinstance(labels, list) else 1
        raise PromptFileError(f"there must be a label for each box and point: {len(found)}, not {count}")
    if boxes and points and _are_click_labels(labels):
        raise PromptFileError(
            "labels of numbers beside boxes and points are unclear: write prompts, each with a label or point_labels"
        )
    return [one if label is None else {**one, "label": _label(label)} for one, label in zip(found, labels, strict=True)]


def _listed(value: Any, what: str) -> PromptFacts:
    if isinstance(value, dict):
        _check_keys(value, _OBJECT_KEYS)
        facts = _object_facts({key: one for key, one in value.items() if key not in _IGNORED}, what)
        if "box" not in facts and "points" not in facts:
            raise PromptFileError(f"{what} has neither a box nor points")
        return facts
    return _shape(value, what)


def _object_facts(given: dict[str, Any], what: str) -> PromptFacts:
    """Read the facts about one object."""
    given = {key: value for key, value in given.items() if value is not None}
    facts: PromptFacts = {}
    if "box" in given:
        facts["box"] = _box(given["box"], what)
    points = [*_several(given.get("points", []), 2, "points"), *_several(given.get("point", []), 2, "point")]
    if points:
        facts["points"] = [_point(point, what) for point in points]
    labels = given.get("point_labels", given.get("labels"))
    if labels is not None:
        labels = labels if isinstance(labels, list) else [labels]
        if not _are_click_labels(labels):
            raise PromptFileError(
                f"{what}: labels of points are 1 (on the object) or 0 (not on it), got {_shown(labels)}; "
                "label names an object"
            )
        if len(labels) != len(points):
            raise PromptFileError(f"{what}: {len(points)} points need as many labels; {len(labels)} were given")
        facts["point_labels"] = [int(label) for label in labels]
    if "label" in given:
        facts["label"] = _label(given["label"])
    if "multimask" in given:
        if not isinstance(given["multimask"], bool):
            raise PromptFileError(f"{what}: multimask is true or false, got {_shown(given['multimask'])}")
        facts["multimask"] = given["multimask"]
    return facts


def _shape(value: Any, what: str) -> PromptFacts:
    if isinstance(value, list) and len(value) == 2:
        return {"points": [_point(value, what)]}
    return {"box": _box(value, what)}


def _box(value: Any, what: str) -> list[float]:
    if not (isinstance(value, list) and len(value) == 4 and all(_is_number(one) for one in value)):
        raise PromptFileError(
            f"{what}: a box is four numbers x0, y0, x1, y1 and a point two, x, y; got {_shown(value)}"
        )
    x0, y0, x1, y1 = value
    if x1 <= x0 or y1 <= y0:
        raise PromptFileError(
            f"{what}: the box {_shown(value)} is empty: x1 must be larger than x0 and y1 than y0 (corners, not width "
            "and height)"
        )
    return value


def _point(value: Any, what: str) -> list[float]:
    if not (isinstance(value, list) and len(value) == 2 and all(_is_number(one) for one in value)):
        raise PromptFileError(f"{what}: a point is two numbers x, y; got {_shown(value)}")
    return value


def _several(values: Any, length: int, what: str) -> list[Any]:
    """Allow one box or point where a list of them belongs."""
    if not isinstance(values, list):
        raise PromptFileError(f"{what} must be a list, got {_shown(values)}")
    return [values] if len(values) == length and all(_is_number(value) for value in values) else values


def _label(value: Any) -> str:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise PromptFileError(f"a label is a word or a whole number, got {_shown(value)}")


def _are_click_labels(labels: Any) -> bool:
    return isinstance(labels, list) and all(isinstance(label, int | float) and label in (0, 1) for label in labels)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _FAR


def _check_keys(entry: dict[str, Any], accepted: Sequence[str]) -> None:
    for key in entry:
        if key in accepted or key in _IGNORED:
            continue
        if key == "bbox":
            raise PromptFileError("bbox is unclear: write box (x0, y0, x1, y1), or give a COCO file")
        close = difflib.get_close_matches(key, accepted, 1)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise PromptFileError(f"there is no key {key!r}{meant} Accepted are {', '.join(accepted)}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
