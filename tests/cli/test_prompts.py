"""Prompts as they are typed."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymask.cli.prompts import describe, parse_box, parse_point, to_prompts
from anymask.segment.errors import PromptError
from anymask.segment.prompts import Prompt

NUMBERS = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500,375", ((500, 375), 1)),
        ("500,375:fg", ((500, 375), 1)),
        ("500,375:BG", ((500, 375), 0)),
        ("1.5,2.25:0", ((1.5, 2.25), 0)),
        ("-3,4:1", ((-3, 4), 1)),
    ],
)
def test_points(text: str, expected: Any) -> None:
    assert parse_point(text) == expected


@given(x=NUMBERS, y=NUMBERS, label=st.sampled_from([0, 1]))
def test_points_there_and_back(x: float, y: float, label: int) -> None:
    assert parse_point(f"{x!r},{y!r}:{'bg' if label == 0 else 'fg'}") == ((x, y), label)


@given(box=st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS))
def test_boxes_there_and_back(box: tuple[float, float, float, float]) -> None:
    assert parse_box(",".join(map(repr, box))) == box


@pytest.mark.parametrize("text", ["", "5", "5,", "5,6,7", "a,b", "5;6", "5 6"])
def test_wrong_points(text: str) -> None:
    with pytest.raises(PromptError, match=r"a point is written X,Y or X,Y:bg.*got") as caught:
        parse_point(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["5,6:x", "5,6:2", "5,6:fg:bg"])
def test_wrong_kinds_of_point(text: str) -> None:
    with pytest.raises(PromptError, match=r"a point ends in nothing, :fg .* or :bg"):
        parse_point(text)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1,2,3,x"])
def test_wrong_boxes(text: str) -> None:
    with pytest.raises(PromptError, match="a box is written X0,Y0,X1,Y1"):
        parse_box(text)


POINTS = [((1.0, 2.0), 1), ((3.0, 4.0), 0)]
BOXES = [(1.0, 2.0, 3.0, 4.0), (5.0, 6.0, 7.0, 8.0)]


def test_everything_together_marks_one_object() -> None:
    (prompt,) = to_prompts(POINTS, BOXES[:1], Path("m.png"), False, True)
    assert prompt == Prompt([(1.0, 2.0), (3.0, 4.0)], [1, 0], BOXES[0], Path("m.png"), True)
    (mask_only,) = to_prompts([], [], Path("m.png"), False, None)
    assert (mask_only.points, mask_only.labels, mask_only.box) == (None, None, None)


def test_several_boxes_are_several_objects() -> None:
    assert to_prompts([], BOXES, None, False, None) == [Prompt(box=box) for box in BOXES]
    for points, mask in ((POINTS, None), ([], Path("m.png"))):
        with pytest.raises(PromptError, match="unclear to which the points or the mask belong"):
            to_prompts(points, BOXES, mask, False, None)


def test_separate_makes_an_object_of_each() -> None:
    assert to_prompts(POINTS, BOXES, None, True, False) == [
        Prompt(points=[(1.0, 2.0)], labels=[1], multimask=False),
        Prompt(points=[(3.0, 4.0)], labels=[0], multimask=False),
        Prompt(box=BOXES[0], multimask=False),
        Prompt(box=BOXES[1], multimask=False),
    ]
    with pytest.raises(PromptError, match="--mask refines one object"):
        to_prompts(POINTS, [], Path("m.png"), True, None)


def test_nothing_is_an_error() -> None:
    for separate in (False, True):
        with pytest.raises(PromptError, match="nothing to segment: give --point X,Y"):
            to_prompts([], [], None, separate, None)


def test_descriptions_leave_out_what_was_not_given() -> None:
    assert describe(Prompt(box=BOXES[0])) == {"box": BOXES[0]}
    (prompt,) = to_prompts(POINTS[:1], [], Path("a/m.png"), False, None)
    assert describe(prompt) == {"points": [(1.0, 2.0)], "labels": [1], "mask": "a/m.png"}
