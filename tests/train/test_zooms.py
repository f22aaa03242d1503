"""Windows of images, and the masks seen through them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anymask.segment import rle
from anymask.segment.frame import Frame
from anymask.train.zooms import MAX_ZOOM, SMALLEST_WINDOW, Zoom, choose_zooms, whole_image, zoomed_targets

HEIGHT, WIDTH = 90, 120


def masks() -> list[NDArray[np.bool_]]:
    found = np.zeros((3, HEIGHT, WIDTH), bool)
    found[0, 20:50, 10:40] = True
    found[1, 60:80, 70:110] = True
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    found[2] = (x - 60) ** 2 + (y - 40) ** 2 < 200
    return list(found)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), height=st.integers(1, 400), width=st.integers(1, 400))
def test_windows_lie_in_the_image_and_show_an_object(seed: int, height: int, width: int) -> None:
    mask = np.zeros((height, width), bool)
    mask[height // 2, width // 2] = True
    rles = rle.encode_masks(mask[None])
    zooms = choose_zooms(rles, 5, seed)
    assert zooms == choose_zooms(rles, 5, seed)
    assert zooms[0] == whole_image((height, width))
    for zoom in zooms:
        x0, y0, x1, y1 = zoom.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert x1 - x0 >= min(width, SMALLEST_WINDOW, round(width / MAX_ZOOM))
        assert zoom.cut(mask).any()


def test_a_window_is_cut_and_mirrored() -> None:
    pixels = np.arange(HEIGHT * WIDTH * 3, dtype=np.int32).reshape(HEIGHT, WIDTH, 3)
    plain = Zoom((5, 7, 25, 17)).cut(pixels)
    np.testing.assert_array_equal(plain, pixels[7:17, 5:25])
    np.testing.assert_array_equal(Zoom((5, 7, 25, 17), True).cut(pixels)[:, ::-1], plain)


@pytest.mark.parametrize("flip", [False, True])
def test_targets_are_the_masks_of_the_window(flip: bool) -> None:
    side = 64
    zoom = Zoom((0, 10, 80, 70), flip)
    rles = rle.encode_masks(np.stack(masks()))
    targets, boxes = zoomed_targets(rles, zoom, side, 8, np.random.default_rng(0))
    assert targets.shape == (3, 16, 16)
    found = {
        round(float(target.sum()), 3): (target.numpy(), box.numpy()) for target, box in zip(targets, boxes, strict=True)
    }
    for mask in masks():
        part = mask[10:70, 0:80]
        part = part[:, ::-1] if flip else part
        # A cell is 80/64·4 = 5 pixels; 60 rows fill 12 of the 16.
        expected = np.zeros((16, 16))
        expected[:12] = part.reshape(12, 5, 16, 5).mean(axis=(1, 3))
        target, box = found[round(float(expected.sum()), 3)]
        np.testing.assert_allclose(target, expected, atol=1e-5)
        ys, xs = np.nonzero(part)
        corners = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        np.testing.assert_allclose(box, Frame(60, 80, side).boxes_to_model(corners))


def test_what_is_tiny_covers_all_or_is_outside_is_left_out() -> None:
    found = np.zeros((4, HEIGHT, WIDTH), bool)
    found[0, 3, 3] = True
    found[1] = True
    found[2, 80:, 100:] = True
    found[3, 5:30, 5:30] = True
    rles = rle.encode_masks(found)
    targets, boxes = zoomed_targets(rles, Zoom((0, 0, 60, 45)), 64, 8, np.random.default_rng(0))
    assert len(targets) == len(boxes) == 1
    np.testing.assert_allclose(boxes[0], np.array([5, 5, 30, 30]) * 64 / 60, rtol=1e-6)
    none, no_boxes = zoomed_targets(rles[:1], Zoom((50, 40, 60, 45)), 64, 8, np.random.default_rng(0))
    assert none.shape == (0, 16, 16)
    assert no_boxes.shape == (0, 4)


def test_no_more_masks_than_asked_for() -> None:
    rles = rle.encode_masks(np.stack(masks()))
    whole = whole_image((HEIGHT, WIDTH))
    chosen = {len(zoomed_targets(rles, whole, 64, 2, np.random.default_rng(seed))[0]) for seed in range(5)}
    assert chosen == {2}
