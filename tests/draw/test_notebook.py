import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from anymask.draw import PALETTE, assign_colors, show_anns, show_box, show_mask, show_points
from anymask.segment.errors import MaskError, MissingPackageError
from anymask.segment.masks import Masks


@pytest.fixture
def axes():
    figure = Figure()
    FigureCanvasAgg(figure)
    made = figure.add_subplot()
    made.imshow(np.zeros((30, 40, 3), dtype=np.uint8))
    return made


@pytest.fixture
def arrays():
    masks = np.zeros((2, 30, 40), dtype=bool)
    masks[0, 8:12, 8:12] = True
    masks[1, 5:25, 5:35] = True
    return masks


def layer(axes):
    return np.asarray(axes.images[-1].get_array())


@pytest.mark.parametrize("form", [lambda a: a[0], lambda a: a[:1], lambda a: Masks.from_arrays(a)[0]])
def test_a_mask_is_a_see_through_layer(axes, arrays, form):
    show_mask(form(arrays), axes)
    painted = layer(axes)
    assert painted.shape == (30, 40, 4)
    np.testing.assert_allclose(painted[9, 9], [*PALETTE[0] / 255, 0.6], atol=1e-6)
    assert (painted[~arrays[0]] == 0).all()
    axes.figure.canvas.draw()


def test_random_colours_differ(axes, arrays):
    show_mask(arrays[0], axes, random_color=True)
    first = layer(axes)[9, 9]
    show_mask(arrays[0], axes, random_color=True)
    assert not np.allclose(first, layer(axes)[9, 9])


def test_points_are_stars_by_label(axes):
    show_points(np.array([[1, 2], [3, 4], [5, 6]]), np.array([1, 0, 1]), axes, marker_size=200)
    green, red = axes.collections
    assert green.get_offsets().tolist() == [[1, 2], [5, 6]]
    assert red.get_offsets().tolist() == [[3, 4]]
    assert green.get_facecolor()[0, :3].tolist() == pytest.approx([0, 128 / 255, 0])
    assert red.get_facecolor()[0, :3].tolist() == [1, 0, 0]
    assert green.get_sizes().tolist() == [200]
    axes.figure.canvas.draw()


def test_a_box_is_an_outline(axes):
    show_box([3, 4, 20, 25], axes)
    corners = {tuple(point) for point in axes.lines[-1].get_xydata().tolist()}
    assert corners == {(3, 4), (20, 4), (20, 25), (3, 25)}


def test_all_masks_in_one_layer_with_small_ones_on_top(axes, arrays):
    masks = Masks.from_arrays(arrays)
    colors = assign_colors(masks)
    forms = [
        masks,
        [{"segmentation": array, "area": array.sum()} for array in arrays],
        [{"segmentation": annotation["segmentation"], "area": 1} for annotation in masks.to_coco()],
    ]
    for form in forms:
        show_anns(form, axes)
        painted = layer(axes)
        np.testing.assert_allclose(painted[9, 9, :3], colors[0] / 255, atol=1e-6)
        np.testing.assert_allclose(painted[20, 20, :3], colors[1] / 255, atol=1e-6)
        assert painted[0, 0, 3] == 0
    assert len(axes.images) == 1 + len(forms)


def test_no_masks_draw_nothing(axes):
    show_anns([], axes)
    show_anns(Masks.empty((30, 40)), axes)
    assert len(axes.images) == 1


def test_without_axes_the_current_ones_are_used(monkeypatch, arrays):
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, current = pyplot.subplots()
    try:
        show_anns(Masks.from_arrays(arrays))
        assert len(current.images) == 1
    finally:
        pyplot.close(figure)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackageError, match=r"anymask\[plot\]"):
        show_anns(Masks.from_arrays(arrays))


@pytest.mark.parametrize(
    "call",
    [
        lambda axes: show_mask(np.zeros((2, 5, 5), dtype=bool), axes),
        lambda axes: show_points([[1, 2]], [1, 0], axes),
    ],
)
def test_misfits_are_refused(axes, call):
    with pytest.raises(MaskError):
        call(axes)
