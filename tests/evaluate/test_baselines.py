import cv2
import numpy as np
import pytest

from anymask.evaluate import filled_box, grab_cut


@pytest.fixture
def disc():
    """A yellow disc on a noisy blue ground, with its mask and box."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:80, :100]
    mask = (rows - 40) ** 2 + (columns - 50) ** 2 < 20**2
    image = np.where(mask[..., None], [220, 200, 40], [20, 40, 160]) + generator.integers(-15, 16, (80, 100, 3))
    y, x = np.nonzero(mask)
    return image.clip(0, 255).astype(np.uint8), mask, (x.min(), y.min(), x.max() + 1, y.max() + 1)


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


def test_the_filled_box_is_half_open():
    mask = filled_box((2, 1, 5, 4), (6, 8))
    assert mask.shape == (6, 8)
    assert mask.sum() == 9
    assert mask[1:4, 2:5].all()


@pytest.mark.parametrize(
    ("box", "area"),
    [((-5, -5, 100, 100), 48), ((1.2, 1.0, 2.5, 3.0), 4), ((20, 20, 30, 30), 0), ((3, 3, 3, 3), 0)],
)
def test_the_filled_box_is_clipped_and_rounded_outwards(box, area):
    assert filled_box(box, (6, 8)).sum() == area


def test_grab_cut_finds_what_stands_out(disc):
    image, mask, box = disc
    cut = grab_cut(image, box)
    assert cut.dtype == bool
    assert iou(cut, mask) > 0.97
    assert iou(cut, mask) > iou(filled_box(box, mask.shape), mask)


def test_grab_cut_is_deterministic_and_leaves_the_image_alone(disc):
    image, _, box = disc
    before = image.copy()
    first = grab_cut(image, box)
    cv2.setRNGSeed(123)
    assert np.array_equal(grab_cut(image, box), first)
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    "box", [(0, 0, 100, 80), (-3, -3, 200, 200), (10, 10, 11, 11), (98, 78, 100, 80), (10, 10, 13, 11)]
)
def test_where_grab_cut_has_no_answer_the_box_is_filled(disc, box):
    image, mask, _ = disc
    cut = grab_cut(image, box)
    assert cut.shape == mask.shape
    assert cut.any()
    assert not (cut & ~filled_box(box, mask.shape)).any()


def test_a_box_of_the_whole_image_is_filled(disc):
    assert grab_cut(disc[0], (0, 0, 100, 80)).all()


def test_tiny_and_even_images_do_not_fail():
    assert grab_cut(np.zeros((1, 1, 3), dtype=np.uint8), (0, 0, 1, 1)).all()
    assert grab_cut(np.full((20, 20, 3), 7, dtype=np.uint8), (5, 5, 10, 10)).any()


def test_other_images_are_refused():
    with pytest.raises(ValueError, match=r"RGB uint8 \[H, W, 3\]"):
        grab_cut(np.zeros((5, 5), dtype=np.uint8), (1, 1, 3, 3))
