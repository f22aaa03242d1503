"""Prompts: what users give is checked against the image and brought into the model's frame."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anymask.segment.errors import PromptError
from anymask.segment.frame import Frame
from anymask.segment.masks import Masks
from anymask.segment.prompts import EncodablePrompt, Prompt, group_by_kind, to_encodable

FRAME = Frame(height=60, width=80, side=160)
GRID = 40


def encode(**given_prompt: Any) -> EncodablePrompt:
    return to_encodable(Prompt(**given_prompt), FRAME, GRID)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({}, "an empty prompt: give points, a box or a mask"),
        ({"labels": [1]}, "an empty prompt"),
        ({"box": (1, 2, 3, 4), "labels": [1]}, "labels were given without points"),
        ({"points": "here"}, "points must be numbers, not 'here'"),
        ({"points": [(1, 2), (3,)]}, "points must be numbers"),
        ({"points": [(1, float("nan"))]}, "points must be finite numbers"),
        ({"points": [(1, None)]}, "points must be finite numbers"),
        ({"points": [(float("inf"), 2)]}, "points must be finite numbers"),
        ({"points": []}, r"points must be a list of \(x, y\)"),
        ({"points": [1, 2, 3]}, r"points must be a list of \(x, y\)"),
        ({"points": [[1, 2, 3]]}, r"got an array of shape \(1, 3\)"),
        ({"points": (81, 5)}, r"the point \(81, 5\) is outside the image, which is 80 wide and 60 high"),
        ({"points": (5, 60.5)}, r"the point \(5, 60\.5\) is outside"),
        ({"points": [(5, 5), (-0.5, 5)]}, r"the point \(-0\.5, 5\) is outside"),
        ({"points": (5, 5), "labels": [1, 0]}, "1 points need as many labels; 2 were given"),
        ({"points": [(5, 5), (6, 6)], "labels": 1}, "2 points need as many labels; 1 were given"),
        ({"points": (5, 5), "labels": [2]}, "labels are 1 .* or 0"),
        ({"points": (5, 5), "labels": [0.5]}, "labels are 1 .* or 0"),
        ({"points": (5, 5), "labels": ["on"]}, "labels must be numbers"),
        ({"box": (1, 2, 3)}, "a box is .* got 3 numbers"),
        ({"box": [(1, 2, 3, 4), (5, 6, 7, 8)]}, "got 8 numbers"),
        ({"box": "all"}, "box must be numbers"),
        ({"box": (1, 2, float("nan"), 4)}, "box must be finite numbers"),
        ({"box": (10, 10, 10, 20)}, "is empty: x1 must be larger than x0"),
        ({"box": (10, 30, 20, 20)}, "is empty"),
        ({"box": (80, 10, 90, 20)}, "lies outside the image, which is 80 wide and 60 high"),
        ({"box": (-20, -20, 0, 5)}, "lies outside the image"),
        ({"mask": np.ones((59, 80), bool)}, r"must have the image's size \[60, 80\] or be logits \[40, 40\]"),
        ({"mask": np.ones((2, 60, 80), bool)}, r"got \[2, 60, 80\]"),
        ({"mask": np.ones((GRID, GRID), bool)}, "must have the image's size"),
        ({"mask": np.full((GRID, GRID), np.nan)}, "must be finite"),
        ({"mask": Masks.empty((60, 80))}, "a mask prompt is one mask; got 0"),
        ({"mask": Masks.from_arrays(np.ones((2, 60, 80)))}, r"got 2: choose one, such as masks\[0\]"),
        ({"mask": Masks.from_arrays(np.ones((80, 60)))}, "for an image 60 wide and 80 high; this one is 80"),
        ({"mask": "nowhere.png"}, r"cannot read the mask prompt: there is no image at nowhere\.png"),
    ],
)
def test_what_is_wrong_is_said(prompt: dict[str, Any], message: str) -> None:
    with pytest.raises(PromptError, match=message):
        encode(**prompt)


def test_a_lone_point_is_ambiguous_and_nothing_else_is() -> None:
    mask = np.zeros((60, 80), bool)
    assert encode(points=(5, 5)).multimask
    assert encode(points=[(5, 5)], labels=[0]).multimask
    for prompt in (
        {"points": [(5, 5), (6, 6)]},
        {"points": (5, 5), "box": (1, 1, 9, 9)},
        {"points": (5, 5), "mask": mask},
        {"box": (1, 1, 9, 9)},
        {"mask": mask},
    ):
        assert not encode(**prompt).multimask
        assert encode(**prompt, multimask=True).multimask
    assert not encode(points=(5, 5), multimask=False).multimask


def test_tokens_come_in_the_model_s_order() -> None:
    alone = encode(points=[(10, 20), (40, 30)], labels=[1, 0])
    assert alone.labels.tolist() == [1, 0, -1]
    assert alone.points.tolist() == [[20, 40], [80, 60], [0, 0]]
    boxed = encode(points=(10, 20), box=(1, 2, 30, 40))
    assert boxed.labels.tolist() == [1, 2, 3]
    assert boxed.points.tolist() == [[20, 40], [2, 4], [60, 80]]
    mask_only = encode(mask=np.ones((60, 80), bool))
    assert mask_only.points.shape == (0, 2)
    assert mask_only.labels.shape == (0,)
    for prompt in (alone, boxed, mask_only):
        assert (prompt.points.dtype, prompt.labels.dtype) == (np.float32, np.int64)


def test_points_and_labels_of_every_kind_mean_the_same() -> None:
    expected = encode(points=[(10, 20)], labels=[1])
    for points in ((10, 20), [10, 20], np.array([[10, 20]]), torch.tensor([[10.0, 20.0]])):
        for labels in (None, 1, [True], np.array([1]), torch.tensor([1])):
            found = encode(points=points, labels=labels)
            np.testing.assert_array_equal(found.points, expected.points)
            np.testing.assert_array_equal(found.labels, expected.labels)
    box = encode(box=[[1, 2], [3, 4]])
    np.testing.assert_array_equal(box.points, encode(box=torch.tensor([[1, 2, 3, 4]])).points)


def test_the_image_s_far_edge_is_in_the_image() -> None:
    assert encode(points=[(80, 60), (0, 0)]).points.tolist() == [[160, 120], [0, 0], [0, 0]]


@settings(max_examples=80, deadline=None)
@given(corners=st.tuples(*[st.floats(-200, 200)] * 4))
def test_boxes_are_clipped_to_the_image(corners: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = corners
    inside = (max(x0, 0), max(y0, 0), min(x1, 80), min(y1, 60))
    if x0 < x1 and y0 < y1 and inside[0] < inside[2] and inside[1] < inside[3]:
        found = encode(box=corners).points.reshape(4)
        np.testing.assert_allclose(found, 2 * np.array(inside), rtol=1e-6, atol=1e-5)
    else:
        with pytest.raises(PromptError):
            encode(box=corners)


def test_masks_become_logits(tmp_path: Path) -> None:
    mask = np.zeros((60, 80), bool)
    mask[10:40, 20:60] = True
    expected = FRAME.mask_to_logits(mask, GRID)
    assert expected.max() > 0 > expected.min()
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    forms: list[Any] = [
        mask,
        mask[None],
        mask.astype(np.uint8),
        mask.astype(np.float64),
        255 * mask.astype(np.int32),
        torch.from_numpy(mask),
        mask.tolist(),
        Masks.from_arrays(mask),
        tmp_path / "mask.png",
        str(tmp_path / "mask.png"),
    ]
    for form in forms:
        logits = encode(mask=form).logits
        assert logits is not None
        np.testing.assert_array_equal(logits, expected)


def test_logits_are_used_as_they_are() -> None:
    logits = np.random.default_rng(0).standard_normal((1, GRID, GRID)).astype(np.float32)
    mask = np.ones((60, 80), bool)
    fed_back = Masks.from_arrays(mask, logits=logits)
    for form in (fed_back, logits, logits[0], torch.from_numpy(logits[0]).double()):
        np.testing.assert_array_equal(encode(mask=form).logits, logits[0])
    # Another model's logits are of no use here, but the mask itself is.
    foreign = Masks.from_arrays(mask, logits=np.zeros((1, 8, 8)))
    np.testing.assert_array_equal(encode(mask=foreign).logits, FRAME.mask_to_logits(mask, GRID))


def test_a_mask_file_of_another_size_or_that_is_broken(tmp_path: Path) -> None:
    Image.new("L", (60, 80)).save(tmp_path / "turned.png")
    with pytest.raises(PromptError, match=r"must have the image's size \[60, 80\]"):
        encode(mask=tmp_path / "turned.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(PromptError, match=r"cannot read the mask prompt: .*broken\.png"):
        encode(mask=tmp_path / "broken.png")


def test_prompts_are_grouped_by_their_tokens_and_masks() -> None:
    prompts = [
        encode(points=(5, 5)),
        encode(mask=np.ones((60, 80), bool)),
        encode(box=(1, 1, 9, 9)),
        encode(points=[(5, 5), (6, 6)]),
        encode(points=(5, 5), box=(1, 1, 9, 9)),
        encode(points=(5, 5), mask=np.ones((60, 80), bool)),
        encode(box=(1, 1, 9, 9), mask=np.ones((60, 80), bool)),
    ]
    assert group_by_kind(prompts) == [[0, 2], [1], [3, 4], [5, 6]]
    assert group_by_kind([]) == []
