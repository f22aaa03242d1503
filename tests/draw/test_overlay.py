import tracemalloc

import cv2
import numpy as np
import pytest
from PIL import Image

from anymask.draw import PALETTE, assign_colors, draw_masks, overlay
from anymask.draw.overlay import BACKGROUND_COLOR, BOX_COLOR, FOREGROUND_COLOR, contour_width, line_width
from anymask.draw.stacking import neighbours
from anymask.segment.errors import ImageError, MaskError, PromptError
from anymask.segment.masks import Masks


@pytest.fixture
def image():
    return np.full((120, 160, 3), 90, dtype=np.uint8)


@pytest.fixture
def masks():
    arrays = np.zeros((2, 120, 160), dtype=bool)
    arrays[0, 20:100, 20:120] = True
    arrays[1, 40:60, 40:60] = True
    return Masks.from_arrays(arrays)


def grid_masks(side):
    """Squares that touch, side x side of them."""
    arrays = np.zeros((side * side, side * 10, side * 10), dtype=bool)
    for index in range(side * side):
        y, x = divmod(index, side)
        arrays[index, y * 10 : y * 10 + 10, x * 10 : x * 10 + 10] = True
    return Masks.from_arrays(arrays)


def lab(colors):
    return cv2.cvtColor(colors[None].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[0]


def test_the_palette_has_no_two_like_colours():
    distance = np.linalg.norm(lab(PALETTE)[:, None] - lab(PALETTE)[None], axis=2)
    assert distance[~np.eye(len(PALETTE), dtype=bool)].min() > 15


def test_neighbours_get_plainly_different_colours():
    masks = grid_masks(7)
    colors = assign_colors(masks)
    pairs, _ = neighbours(masks.label_map(), 1)
    distance = np.linalg.norm(lab(colors)[pairs[:, 0]] - lab(colors)[pairs[:, 1]], axis=1)
    assert len(distance) == 156
    assert distance.min() > 40
    np.testing.assert_array_equal(colors, assign_colors(masks))


def test_masks_avoid_the_colour_of_the_picture_under_them():
    masks = grid_masks(4)
    for color in PALETTE:
        image = np.broadcast_to(color, (*masks.size, 3)).copy()
        distance = np.linalg.norm(lab(assign_colors(masks, image=image)) - lab(color[None]), axis=1)
        assert distance.min() > 25


def test_a_mask_inside_the_box_of_another_but_far_from_it_may_have_its_colour():
    arrays = np.zeros((17, 400, 400), dtype=bool)
    arrays[0, :, :5] = arrays[0, :5] = True
    for number in range(16):
        arrays[number + 1, 380:395, 20 + 20 * number : 35 + 20 * number] = True
    colors = assign_colors(Masks.from_arrays(arrays), gap=2)
    # More masks than colours; only those that touch would have to differ, and none does.
    assert len(np.unique(colors, axis=0)) == 16


def test_hidden_masks_share_the_colours_fairly():
    stacked = Masks.from_arrays(np.ones((50, 5, 5), dtype=bool))
    counts = np.unique(assign_colors(stacked), axis=0, return_counts=True)[1]
    assert counts.max() - counts.min() <= 1
    assert len(counts) == len(PALETTE)
    assert assign_colors(Masks.empty((5, 5))).shape == (0, 3)


def test_masks_are_blended_with_the_picture_and_small_ones_lie_on_top(image, masks):
    painted = overlay(image, masks, alpha=0.25, contours=False, colors=[(200, 0, 0), (0, 0, 100)])
    assert painted.dtype == np.uint8
    assert painted[80, 30].tolist() == [118, 68, 68]
    assert painted[50, 50].tolist() == [68, 68, 92]
    assert painted[5, 5].tolist() == [90, 90, 90]
    assert (image == 90).all(), "the picture given must not change"
    assert (overlay(image, masks[::-1], alpha=0.25, contours=False, colors=[(0, 0, 100), (200, 0, 0)]) == painted).all()


def test_full_and_no_opacity(image, masks):
    np.testing.assert_array_equal(overlay(image, masks, alpha=0, contours=False), image)
    solid = overlay(image, masks, alpha=1, contours=False)
    assert solid[80, 30].tolist() == assign_colors(masks)[0].tolist()


def test_contours_follow_the_edge_and_stay_near_it(image, masks):
    with_lines = overlay(image, masks[0], alpha=0)
    changed = (with_lines != image).any(axis=2)
    edge = cv2.morphologyEx(masks.mask(0).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), dtype=np.uint8))
    assert changed[edge > 0].mean() > 0.5
    assert not changed[cv2.dilate(edge, np.ones((3, 3), dtype=np.uint8)) == 0].any()


def test_no_contour_runs_along_the_border_of_the_picture(image):
    mask = np.zeros((120, 160), dtype=bool)
    mask[:60] = True
    changed = (overlay(image, mask, alpha=0) != image).any(axis=2)
    assert changed[59, 8:152].all()
    assert not changed[:55].any()
    assert not (overlay(image, np.ones((120, 160), dtype=bool), alpha=0) != image).any()


def test_contours_lie_under_smaller_masks(image):
    arrays = np.zeros((2, 120, 160), dtype=bool)
    arrays[0, 20:100, 20:120] = True
    arrays[1, 40:80, 100:140] = True
    colors = [(200, 0, 0), (0, 0, 200)]
    both = overlay(image, arrays, colors=colors, alpha=1)
    # The large mask's right edge passes behind the small mask.
    assert both[45:75, 105:135].reshape(-1, 3).tolist() == [[0, 0, 200]] * 900
    large = overlay(image, arrays[:1], colors=colors[:1], alpha=1)
    np.testing.assert_array_equal(both[:30, :], large[:30, :])


@pytest.mark.parametrize("brightness", [0, 90, 165, 255])
def test_contours_stand_out_from_dark_and_bright_pictures(brightness, masks):
    image = np.full((120, 160, 3), brightness, dtype=np.uint8)
    for color in PALETTE:
        painted = overlay(image, masks[0], colors=[color])
        line, fill = lab(painted[60, 20:21])[0], lab(painted[60, 60:61])[0]
        assert np.linalg.norm(line - fill) > 12
        assert np.linalg.norm(line - lab(image[0, :1])[0]) > 12


def test_a_large_picture_with_many_masks_needs_memory_of_its_size():
    side = 1200
    distance = np.hypot(*np.mgrid[-600:600, -580:620])
    masks = Masks.concatenate([Masks.from_arrays(distance < 10 * k) for k in range(1, 61)])
    image = np.full((side, side, 3), 90, dtype=np.uint8)
    tracemalloc.start()
    try:
        overlay(image, masks)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Decoded, the masks alone would be sixty bytes a pixel.
    assert peak < 25 * side * side


def test_holes_are_left_open_and_outlined(image):
    mask = np.zeros((120, 160), dtype=bool)
    mask[10:110, 10:150] = True
    mask[40:80, 50:100] = False
    painted = overlay(image, mask, alpha=1)
    assert painted[60, 75].tolist() == [90, 90, 90]
    assert (painted[40, 60:90] != painted[20, 60]).any(axis=1).all()


@pytest.mark.parametrize(("label", "color"), [(1, FOREGROUND_COLOR), (0, BACKGROUND_COLOR)])
def test_points_are_stars_in_the_colour_of_their_label(image, label, color):
    painted = overlay(image, points=[(80, 60)], point_labels=[label])
    assert painted[60, 80].tolist() == list(color)
    assert (painted == 255).all(axis=2).any()
    assert (painted[:40] == image[:40]).all()


def test_stars_and_lines_grow_with_the_image():
    def touched(height, width):
        canvas = np.full((height, width, 3), 90, dtype=np.uint8)
        return (overlay(canvas, points=[(width / 2, height / 2)]) != canvas).any(axis=2).sum()

    assert touched(2000, 2400) > 5 * touched(600, 800)
    assert line_width((100, 100)) == 1
    assert line_width((3000, 4000)) == 7
    assert [contour_width((1, side)) for side in (1, 640, 4000)] == [1, 1, 4]


def test_boxes_are_drawn_on_their_edges(image):
    painted = overlay(image, boxes=(30, 20, 90, 70))
    for y, x in [(20, 60), (70, 60), (45, 30), (45, 90)]:
        near = painted[y - 2 : y + 2, x - 2 : x + 2].reshape(-1, 3).astype(int)
        assert np.abs(near - BOX_COLOR).sum(axis=1).min() < 40
    assert painted[45, 60].tolist() == [90, 90, 90]
    np.testing.assert_array_equal(overlay(image, boxes=[(30, 20, 90, 70)]), painted)


def test_things_off_the_image_and_empty_things_do_no_harm(image):
    far = overlay(image, points=[(-1e9, 50), (1e12, 1e12)], boxes=[(-1e10, -5, -1e9, 1e10)])
    np.testing.assert_array_equal(far, image)
    nothing = overlay(image, Masks.empty((120, 160)), points=[], boxes=[])
    np.testing.assert_array_equal(nothing, image)
    np.testing.assert_array_equal(overlay(image, np.zeros((120, 160), dtype=bool)), image)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3, 2)])
def test_tiny_images(size):
    painted = overlay(np.zeros((*size, 3), dtype=np.uint8), np.ones(size, dtype=bool), points=[(0, 0)])
    assert painted.shape == (*size, 3)
    assert painted.max() > 0


def test_drawing_gives_a_pillow_image(tmp_path, image, masks):
    class Encoded:
        def __init__(self, pixels):
            self.image = pixels

    path = tmp_path / "photo.png"
    Image.fromarray(image).save(path)
    expected = overlay(image, masks, alpha=0.3)
    for source in (image, path, Image.fromarray(image), Encoded(image)):
        drawn = draw_masks(masks, source, alpha=0.3)
        assert isinstance(drawn, Image.Image)
        np.testing.assert_array_equal(np.asarray(drawn), expected)
    with pytest.raises(ImageError, match="without its pixels"):
        draw_masks(masks, Encoded(None))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"masks": np.ones((5, 6), dtype=bool)}, MaskError, "6 x 5 image, this one has 160 x 120"),
        ({"masks": np.ones((120, 160), dtype=bool), "colors": [(1, 2, 3)] * 2}, MaskError, "colors"),
        ({"alpha": 1.5}, MaskError, "alpha"),
        ({"points": [(1, 2, 3)]}, PromptError, r"points .* \[1, 3\]"),
        ({"points": [(1, float("nan"))]}, PromptError, "finite"),
        ({"points": [(1, 2)], "point_labels": [2]}, PromptError, "point_labels"),
        ({"points": [(1, 2)], "point_labels": [1, 1]}, PromptError, "point_labels"),
        ({"point_labels": [1]}, PromptError, "without points"),
        ({"boxes": [1, 2, 3]}, PromptError, "boxes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(image, options, error, message):
    with pytest.raises(error, match=message):
        overlay(image, **options)
