import numpy as np
import pytest

from anymask.draw.stacking import neighbours, paint_order, small_map
from anymask.segment.masks import Masks


def found(cells, gap):
    pairs, nearness = neighbours(np.asarray(cells, dtype=np.int32), gap)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    return {tuple(pair): value for pair, value in zip(pairs.tolist(), nearness.tolist(), strict=True)}


def test_touching_masks_are_neighbours_also_at_a_corner():
    assert found([[1, 2], [3, 0]], 1) == {(0, 1): 1.0, (0, 2): 1.0, (1, 2): 1.0}
    assert found([[0, 1], [2, 0]], 1) == {(0, 1): 1.0}
    assert found([[1, 1], [1, 1]], 1) == {}


def test_masks_apart_are_neighbours_as_far_as_the_gap_goes():
    row = [[1, 1, 0, 0, 0, 0, 2, 2]]
    assert found(row, 2) == {}
    assert found(row, 6) == {(0, 1): 0.25}
    near = [[1, 1, 0, 2, 2, 2, 2, 2]]
    assert found(near, 4) == {(0, 1): 0.5}
    assert found(np.transpose(near), 4) == {(0, 1): 0.5}


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (0, 0)])
def test_maps_without_neighbours(shape):
    assert found(np.ones(shape), 3) == {}
    assert found(np.zeros(shape), 100) == {}


def test_as_brute_force_finds_them():
    generator = np.random.default_rng(4)
    for _ in range(20):
        cells = generator.integers(0, 5, (6, 7)).astype(np.int32)
        expected = set()
        for y, x in np.ndindex(cells.shape):
            for other in cells[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].ravel().tolist():
                if cells[y, x] and other and other != cells[y, x]:
                    expected.add(tuple(sorted((int(cells[y, x]) - 1, other - 1))))
        assert set(found(cells, 1)) == expected


@pytest.mark.parametrize("shape", [(1500, 900), (641, 3), (2, 700), (640, 640)])
def test_a_small_map_keeps_a_mask_of_one_pixel(shape):
    arrays = np.zeros((3, *shape), dtype=bool)
    arrays[0] = True
    arrays[1, -1, -1] = True
    arrays[2, : shape[0] // 2, : shape[1] // 2] = True
    masks = Masks.from_arrays(arrays)
    order = paint_order(masks)
    assert order.tolist() == [0, 2, 1]
    labels = masks.label_map()
    cells = small_map(labels, order)
    assert max(cells.shape) <= 640
    assert set(np.unique(cells)) == set(np.unique(labels))
    assert cells[-1, -1] == 2
    if max(shape) <= 640:
        np.testing.assert_array_equal(cells, labels)
