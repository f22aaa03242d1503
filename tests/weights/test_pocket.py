"""The model inside the package, on photographs that it was never trained on."""

from importlib.resources import files

import cv2
import numpy as np
import pytest
from skimage import data

import anymask
from anymask.models.registry import MODELS

# Outlines by hand, in pixels: roughly, because they only tell an object from a blunder.
CUP_AND_SAUCER = [
    (80, 230),
    (120, 130),
    (180, 40),
    (290, 15),
    (400, 50),
    (420, 120),
    (475, 200),
    (440, 300),
    (300, 380),
]
CUP_AND_SAUCER += [(160, 350)]
MAN = [(0, 400), (30, 250), (90, 120), (160, 70), (260, 65), (330, 140), (310, 230), (200, 290), (160, 350), (150, 511)]
MAN += [(100, 511), (90, 400), (60, 300), (5, 511)]


@pytest.fixture(scope="module")
def pocket():
    return anymask.load(device="cpu", precision="float32")


def outline(size: tuple[int, int], corners: list[tuple[int, int]]) -> np.ndarray:
    filled = np.zeros(size, np.uint8)
    cv2.fillPoly(filled, [np.array(corners, np.int32)], 1)
    return filled.astype(bool)


@pytest.mark.parametrize(
    ("name", "corners", "box", "point"),
    [
        ("coffee", CUP_AND_SAUCER, (70, 10, 485, 385), (285, 170)),
        ("camera", MAN, (0, 60, 395, 511), (150, 200)),
    ],
)
def test_objects_of_real_photographs_are_cut_out(pocket, name, corners, box, point):
    photo = pocket.encode(getattr(data, name)())
    truth = anymask.Masks.from_arrays(outline(photo.size, corners))
    filled = np.zeros(photo.size, bool)
    filled[box[1] : box[3], box[0] : box[2]] = True
    from_box = photo.segment(box=box).iou(truth)[0, 0]
    assert from_box > anymask.Masks.from_arrays(filled).iou(truth)[0, 0]
    assert from_box > 0.6
    assert photo.segment(points=[point]).iou(truth).max() > 0.5


def test_the_file_is_small():
    size = files("anymask.weights").joinpath(MODELS["pocket"].file_name).stat().st_size
    assert size <= 20_000_000


def test_automatic_precision_keeps_the_masks(pocket):
    automatic = anymask.load(device="cpu")
    prompts = [anymask.Prompt(box=(70, 10, 420, 290)), *(anymask.Prompt(points=p) for p in ((285, 170), (90, 200)))]
    overlaps = []
    for name in ("coffee", "chelsea", "astronaut"):
        picture = getattr(data, name)()
        # One mask a prompt: three would be matched by scores, whose order is not the point here.
        exact, quick = (model.encode(picture).segment_many(prompts, multimask=False) for model in (pocket, automatic))
        overlaps += np.diag(exact.iou(quick)).tolist()
    assert np.mean(overlaps) > 0.97
