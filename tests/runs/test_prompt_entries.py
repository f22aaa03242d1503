import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymask.runs.errors import PromptFileError
from anymask.runs.prompt_entries import read_coco_box, read_entry, to_prompts

BOX, OTHER = [1, 2, 30, 40], [5.5, 6, 7, 8.25]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ([], []),
        ({}, []),
        ({"boxes": []}, []),
        (BOX, [{"box": BOX}]),
        ([3, 4], [{"points": [[3, 4]]}]),
        ([BOX, OTHER], [{"box": BOX}, {"box": OTHER}]),
        ([[3, 4], BOX], [{"points": [[3, 4]]}, {"box": BOX}]),
        ({"boxes": [BOX, OTHER]}, [{"box": BOX}, {"box": OTHER}]),
        ({"boxes": BOX}, [{"box": BOX}]),
        ({"boxes": [BOX, OTHER], "labels": ["car", None]}, [{"box": BOX, "label": "car"}, {"box": OTHER}]),
        (
            {"boxes": [BOX, OTHER], "labels": [0, 1], "scores": [1, 1]},
            [{"box": BOX, "label": "0"}, {"box": OTHER, "label": "1"}],
        ),
        ({"boxes": [BOX], "label": "car"}, [{"box": BOX, "label": "car"}]),
        ({"points": [[3, 4], [5, 6]]}, [{"points": [[3, 4]]}, {"points": [[5, 6]]}]),
        (
            {"points": [[3, 4], [5, 6]], "labels": ["a", "b"]},
            [{"points": [[3, 4]], "label": "a"}, {"points": [[5, 6]], "label": "b"}],
        ),
        ({"points": [3, 4], "multimask": True}, [{"points": [[3, 4]], "multimask": True}]),
        ({"point": [3, 4]}, [{"points": [[3, 4]]}]),
        ({"boxes": [BOX], "points": [[3, 4]]}, [{"box": BOX}, {"points": [[3, 4]]}]),
        ({"points": [[3, 4], [5, 6]], "labels": [1, 0]}, [{"points": [[3, 4], [5, 6]], "point_labels": [1, 0]}]),
        ({"points": [[3, 4]], "point_labels": [True]}, [{"points": [[3, 4]], "point_labels": [1]}]),
        ({"box": BOX, "points": [[3, 4]], "labels": [0]}, [{"box": BOX, "points": [[3, 4]], "point_labels": [0]}]),
        ({"box": BOX, "point": [3, 4], "label": 7}, [{"box": BOX, "points": [[3, 4]], "label": "7"}]),
        (
            {"prompts": [{"box": BOX, "label": "a"}, {"points": [[3, 4]], "multimask": False}, OTHER], "label": "b"},
            [
                {"box": BOX, "label": "a"},
                {"points": [[3, 4]], "multimask": False, "label": "b"},
                {"box": OTHER, "label": "b"},
            ],
        ),
        ([{"box": BOX, "points": None, "score": 0.5, "id": 3}], [{"box": BOX}]),
        ({"image": "a.jpg", "width": 3, "prompts": [[3, 4]]}, [{"points": [[3, 4]]}]),
    ],
)
def test_what_people_write(entry, expected):
    assert read_entry(entry) == expected


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("a", "expected a list of boxes or an object with boxes, points or prompts, got 'a'"),
        ([[1, 2, 3]], "entry 0: a box is four numbers x0, y0, x1, y1 and a point two"),
        ([BOX, [1, 2, "3", 4]], "entry 1: a box is four numbers"),
        ([BOX, {}], "entry 1 has neither a box nor points"),
        ({"boxes": [[10, 20, 5, 50]]}, r"box 0: the box \[10, 20, 5, 50\] is empty: x1 must be larger"),
        ({"boxes": [[0, 0, 5, float("nan")]]}, "box 0: a box is four numbers"),
        ({"boxes": [[0, 0, 5, float("inf")]]}, "box 0: a box is four numbers"),
        ({"boxes": [[0, 0, 5, 10**400]]}, "box 0: a box is four numbers"),
        ({"boxes": [[0, 0, 5, True]]}, "box 0: a box is four numbers"),
        ({"boxes": "all"}, "boxes must be a list, got 'all'"),
        ({"boxes": [BOX], "labels": ["a", "b"]}, "there must be a label for each box and point: 1, not 2"),
        ({"boxes": [BOX], "labels": "a"}, "a label for each box"),
        ({"boxes": [BOX], "labels": [0.5]}, "a label is a word or a whole number"),
        ({"boxes": [BOX], "points": [[3, 4]], "labels": [1, 0]}, "unclear: write prompts"),
        ({"boxes": [BOX], "box": BOX}, "boxes are several objects"),
        ({"boxes": [BOX], "points": [[3, 4]], "point_labels": [0]}, "boxes are several objects"),
        ({"points": [[3, 4]], "point_labels": [1, 0]}, "1 points need as many labels; 2 were given"),
        ({"points": [[3, 4]], "point_labels": [2]}, r"labels of points are 1 \(on the object\) or 0"),
        ({"box": BOX, "labels": ["car"]}, "labels of points are 1 .* label names an object"),
        ({"points": [[3]]}, "a box is four numbers x0, y0, x1, y1 and a point two"),
        ({"box": BOX, "multimask": "yes"}, "multimask is true or false"),
        ({"bxoes": [BOX]}, "there is no key 'bxoes'; did you mean boxes?"),
        ({"prompts": [{"boxes": [BOX]}]}, "there is no key 'boxes'; did you mean box?"),
        ({"prompts": [{"label": "car"}]}, "prompt 0 has neither a box nor points"),
        ({"prompts": {"box": BOX}}, "prompts must be a list"),
        ({"bbox": BOX}, "bbox is unclear: write box"),
    ],
)
def test_what_is_wrong_is_said(entry, message):
    with pytest.raises(PromptFileError, match=message):
        read_entry(entry)


def test_coco_boxes_have_width_and_height():
    assert read_coco_box([10, 20, 5, 6.5]) == [10, 20, 15, 26.5]
    assert read_coco_box([10, 20, 0, 6]) is None
    with pytest.raises(PromptFileError, match="a bbox is x, y, width, height"):
        read_coco_box([1, 2, 3])


number = st.integers(0, 5000) | st.floats(0, 5000, allow_nan=False)
point = st.tuples(number, number).map(list)
box = st.tuples(number, number, st.integers(1, 99), st.integers(1, 99)).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)
objects = st.one_of(
    st.fixed_dictionaries(
        {"box": box}, optional={"points": st.lists(point, min_size=1, max_size=3), "label": st.text()}
    ),
    st.lists(st.tuples(point, st.integers(0, 1)), min_size=1, max_size=3).map(
        lambda given: {"points": [one for one, _ in given], "point_labels": [label for _, label in given]}
    ),
)


@given(st.lists(objects, max_size=4))
def test_objects_in_full_come_back_and_become_prompts(given_objects):
    read = read_entry(json.loads(json.dumps({"prompts": given_objects})))
    assert read == given_objects
    prompts, labels = to_prompts(read)
    assert labels == [one.get("label") for one in given_objects]
    for prompt, one in zip(prompts, given_objects, strict=True):
        assert (prompt.points, prompt.labels, prompt.box) == (
            one.get("points"),
            one.get("point_labels"),
            one.get("box"),
        )
        assert prompt.mask is None
        assert prompt.multimask is None
