import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anymask.segment.grids import crop_boxes, cut_off_by_crop, layer_point_grids, point_grid
from segment.everything_by_hand import crops_by_hand

sides = st.integers(1, 400)


@given(st.integers(1, 40))
def test_points_lie_in_the_middle_of_equal_cells(count):
    expected = [((i + 0.5) / count, (j + 0.5) / count) for j in range(count) for i in range(count)]
    np.testing.assert_allclose(point_grid(count), expected)


def test_layers_thin_out_until_nothing_is_left():
    assert [len(grid) for grid in layer_point_grids(5, 3, 2)] == [25, 4, 1, 0]
    assert [len(grid) for grid in layer_point_grids(5, 1, 1)] == [25, 25]


@given(sides, sides, st.integers(0, 3), st.floats(0, 0.9))
def test_crops_are_the_published_ones(height, width, layers, ratio):
    boxes, box_layers = crop_boxes((height, width), layers, ratio)
    assert list(zip(map(tuple, boxes), box_layers, strict=True)) == list(crops_by_hand(height, width, layers, ratio))


@given(st.integers(80, 400), st.integers(80, 400), st.integers(1, 3), st.floats(0, 0.9))
def test_each_layer_covers_the_image(height, width, layers, ratio):
    boxes, box_layers = crop_boxes((height, width), layers, ratio)
    for layer in range(layers + 1):
        covered = np.zeros((height, width), dtype=bool)
        chosen = [box for box, its_layer in zip(boxes, box_layers, strict=True) if its_layer == layer]
        assert len(chosen) == 4**layer
        for x0, y0, x1, y1 in chosen:
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height
            covered[y0:y1, x0:x1] = True
        assert covered.all()


def test_masks_are_cut_off_by_crops_but_not_by_the_image():
    size, crop = (300, 400), (0, 0, 250, 200)
    assert not cut_off_by_crop((0, 0, 100, 100), crop, size)
    assert cut_off_by_crop((0, 0, 230, 100), crop, size)
    assert not cut_off_by_crop((0, 0, 229, 100), crop, size)
    assert cut_off_by_crop((30, 30, 100, 199), crop, size)
    assert not cut_off_by_crop((0, 0, 399, 299), (0, 0, 400, 300), size)
