import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anymask.evaluate import Click, first_click, next_click


def brute_force_distance(region):
    """Distance of each pixel to the nearest pixel outside of the region, the image's border included."""
    padded = np.pad(region, 1)
    outside = np.argwhere(~padded)
    distance = np.zeros(padded.shape)
    for row, column in np.argwhere(padded):
        distance[row, column] = np.sqrt(((outside - (row, column)) ** 2).sum(axis=1).min())
    return distance[1:-1, 1:-1]


def brute_force_click(target, prediction, clicked):
    missed = brute_force_distance(target & ~prediction)
    spilled = brute_force_distance(prediction & ~target)
    for click in clicked:
        missed[click.y, click.x] = spilled[click.y, click.x] = 0
    if max(missed.max(), spilled.max()) == 0:
        return None
    larger, label = (missed, 1) if missed.max() > spilled.max() else (spilled, 0)
    # OpenCV's distances are float32: pixels that tie in exact arithmetic must tie here too.
    row, column = np.argwhere(np.isclose(larger, larger.max(), atol=1e-5))[0]
    return Click(int(column), int(row), label)


def rectangle(height, width, x0, y0, x1, y1):
    mask = np.zeros((height, width), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_the_first_click_is_the_centre():
    assert first_click(rectangle(20, 30, 5, 4, 14, 13)) == Click(9, 8, 1)


def test_the_image_border_counts_as_edge():
    # Without the border all pixels of a full mask would be equally far from an edge.
    assert first_click(np.ones((9, 9), dtype=bool)) == Click(4, 4, 1)
    assert first_click(rectangle(9, 20, 0, 0, 9, 9)) == Click(4, 4, 1)


def test_the_larger_error_is_clicked():
    target = rectangle(40, 40, 5, 5, 15, 15)
    spill = rectangle(40, 40, 20, 20, 39, 39)
    assert next_click(target, spill) == Click(29, 29, 0)
    spill = rectangle(40, 40, 20, 20, 25, 25)
    click = next_click(target, spill)
    assert click.label == 1
    assert (click.x, click.y) in [(9, 9), (10, 9), (9, 10), (10, 10)]


def test_equal_errors_are_clicked_as_false_positives():
    target, spill = rectangle(20, 40, 3, 3, 8, 8), rectangle(20, 40, 20, 3, 25, 8)
    assert next_click(target, spill) == Click(22, 5, 0)


def test_the_depth_decides_and_not_the_area():
    target = rectangle(60, 60, 0, 0, 60, 3) | rectangle(60, 60, 20, 20, 31, 31)
    assert first_click(target) == Click(25, 25, 1)


def test_clicked_pixels_are_not_clicked_again():
    target = rectangle(9, 9, 3, 3, 6, 6)
    clicks = []
    while (click := next_click(target, np.zeros_like(target), clicks)) is not None:
        assert click not in clicks
        clicks.append(click)
    assert len(clicks) == 9
    assert clicks[0] == Click(4, 4, 1)


def test_without_error_there_is_no_click():
    target = rectangle(9, 9, 3, 3, 6, 6)
    assert next_click(target, target) is None
    assert first_click(np.zeros((3, 3), dtype=bool)) is None


def test_a_single_pixel_and_a_non_contiguous_mask():
    assert first_click(np.ones((1, 1), dtype=bool)) == Click(0, 0, 1)
    wide = rectangle(30, 20, 4, 5, 13, 14)
    assert first_click(wide.T) == Click(9, 8, 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 14), st.integers(1, 14), st.floats(0.05, 0.95), st.integers(0, 3))
def test_agrees_with_brute_force(seed, height, width, density, times):
    generator = np.random.default_rng(seed)
    # Blurred noise has regions with an inside; plain noise would only have specks.
    noise = cv2.blur(generator.random((2, height, width)).transpose(1, 2, 0).astype(np.float32), (3, 3))
    target, prediction = (noise.reshape(height, width, 2) < density).transpose(2, 0, 1)
    target, prediction = np.ascontiguousarray(target), np.ascontiguousarray(prediction)
    clicked = []
    for _ in range(times):
        click = next_click(target, prediction, clicked)
        if click is not None:
            clicked.append(click)
    assert next_click(target, prediction, clicked) == brute_force_click(target, prediction, clicked)


@pytest.mark.parametrize(
    ("target", "prediction"),
    [
        (np.zeros((3, 3), dtype=bool), np.zeros((3, 4), dtype=bool)),
        (np.zeros((3, 3), dtype=np.uint8), np.zeros((3, 3), dtype=bool)),
    ],
)
def test_masks_that_do_not_fit_are_refused(target, prediction):
    with pytest.raises(ValueError, match="boolean masks of one size"):
        next_click(target, prediction)
