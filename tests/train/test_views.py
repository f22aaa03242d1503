"""Views: the masks stay where their objects are, whatever happens to the picture."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from anymask.train.views import MEAN_COLOUR, Augmentation, View, make_view

PLAIN = Augmentation(whole=1.0, flip=0.0, colour=0.0, grey=0.0, paste=0.0, min_area=1, max_share=1.0)
COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 10)]


class Painted:
    """One image in which each object has a flat colour of its own."""

    def __init__(self, height: int, width: int, boxes: list[tuple[int, int, int, int]], shift: int = 0) -> None:
        self.pixels = np.full((height, width, 3), 128, np.uint8)
        self.arrays: list[NDArray[np.uint8]] = []
        for (x0, y0, x1, y1), colour in zip(boxes, COLOURS[shift:], strict=False):
            mask = np.zeros((height, width), np.uint8)
            mask[y0:y1, x0:x1] = 1
            self.pixels[mask == 1] = colour
            self.arrays.append(mask)

    def __len__(self) -> int:
        return 1

    def name(self, index: int) -> str:
        return f"painted-{index}"

    def image(self, index: int) -> NDArray[np.uint8]:
        assert index == 0
        return self.pixels

    def masks(self, index: int) -> list[dict[str, Any]]:
        assert index == 0
        return [coco_mask.encode(np.asfortranarray(array)) for array in self.arrays]

    def categories(self, index: int) -> list[str]:
        return [self.name(index)] * len(self.arrays)


def painted() -> Painted:
    return Painted(90, 120, [(8, 8, 52, 36), (70, 12, 110, 80), (10, 50, 60, 84)])


def view(source: Painted, seed: int, augmentation: Augmentation = PLAIN, **more: Any) -> View | None:
    given_paste = more.pop("paste_from", None)
    return make_view(source, 0, 128, 8, augmentation, np.random.default_rng(seed), given_paste)


def colour_number(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The flat colour to which each pixel is nearest, -1 where it is near none."""
    distance = np.abs(image[..., None, :].astype(int) - np.array(COLOURS)).max(-1)
    nearest: NDArray[np.int64] = np.where(distance.min(-1) < 12, distance.argmin(-1), -1)
    return nearest


def assert_aligned(found: View) -> None:
    """Full target cells lie in one colour, and no pixel of that colour is far outside of its target."""
    seen = colour_number(found.image)
    for target, box in zip(found.targets, found.boxes, strict=True):
        full = np.kron(cv2.erode(target, np.ones((3, 3))) == 255, np.ones((4, 4), bool))
        numbers = set(seen[full].tolist())
        if not full.any():
            continue
        assert len(numbers) == 1
        (number,) = numbers
        assert number >= 0
        near = np.kron(cv2.dilate(target, np.ones((3, 3))) > 0, np.ones((4, 4), bool))
        assert not ((seen == number) & ~near).any()
        x0, y0, x1, y1 = box.astype(int)
        rows, columns = np.nonzero(seen == number)
        assert abs(columns.min() - x0) <= 2
        assert abs(columns.max() + 1 - x1) <= 2
        assert abs(rows.min() - y0) <= 2
        assert abs(rows.max() + 1 - y1) <= 2


@pytest.mark.parametrize(("height", "width"), [(90, 120), (300, 200), (128, 128), (17, 250)])
def test_a_whole_view_is_the_resized_image_padded(height: int, width: int) -> None:
    source = Painted(height, width, [(2, 2, width // 2, height - 2)])
    source.pixels[...] = np.random.default_rng(0).integers(0, 256, source.pixels.shape, dtype=np.uint8)
    found = view(source, 0)
    assert found is not None
    factor = 128 / max(height, width)
    new_w, new_h = round(width * factor), round(height * factor)
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    expected = np.empty((128, 128, 3), np.uint8)
    expected[...] = MEAN_COLOUR
    expected[:new_h, :new_w] = cv2.resize(source.pixels, (new_w, new_h), interpolation=method)
    np.testing.assert_array_equal(found.image, expected)
    mask = np.zeros((128, 128), np.uint8)
    mask[:new_h, :new_w] = cv2.resize(255 * source.arrays[0], (new_w, new_h), interpolation=method) >= 128
    coverage = mask.reshape(32, 4, 32, 4).mean((1, 3)) * 255
    np.testing.assert_allclose(found.targets[0], coverage, atol=0.51)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"flip": 1.0},
        {"whole": 0.0, "max_scale": 3.0},
        {"whole": 0.0, "min_scale": 0.4, "max_scale": 0.9, "flip": 0.5},
        {"whole": 0.0, "max_scale": 2.0, "flip": 0.5},
    ],
    ids=["whole", "flip", "crop", "shrunk", "crop and flip"],
)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_masks_stay_on_their_objects(changes: dict[str, float], seed: int) -> None:
    augmentation = Augmentation(**{**vars(PLAIN), **changes})
    found = view(painted(), seed, augmentation)
    if found is not None:
        assert_aligned(found)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_pasted_objects_have_a_mask_and_hide_what_is_below(seed: int) -> None:
    source = painted()
    pasted = Painted(60, 60, [(5, 10, 50, 55)], shift=3)
    # Scales below 1 leave padding, onto which an object may be pasted too.
    augmentation = Augmentation(**{**vars(PLAIN), "paste": 1.0, "whole": 0.5, "min_scale": 0.6, "flip": 0.5})
    found = view(source, seed, augmentation, paste_from=pasted)
    assert found is not None
    seen = colour_number(found.image)
    for target in found.targets:
        full = np.kron(cv2.erode(target, np.ones((3, 3))) == 255, np.ones((4, 4), bool))
        assert len(set(seen[full].tolist())) <= 1
    if (seen == 3).sum() > 200:
        first = np.kron(found.targets[0] > 0, np.ones((4, 4), bool))
        assert first[seen == 3].mean() > 0.95


def test_pasting_happens_and_comes_first() -> None:
    pasted = Painted(60, 60, [(5, 10, 50, 55)], shift=3)
    augmentation = Augmentation(**{**vars(PLAIN), "paste": 1.0})
    counts = []
    for seed in range(20):
        found = view(painted(), seed, augmentation, paste_from=pasted)
        assert found is not None
        counts.append(int((colour_number(found.image) == 3).sum()))
    assert sum(count > 50 for count in counts) > 15


def test_small_and_large_masks_are_left_out() -> None:
    source = Painted(128, 128, [(0, 0, 128, 120), (1, 121, 6, 126)])
    assert view(source, 0, Augmentation(**{**vars(PLAIN), "max_share": 0.9, "min_area": 26})) is None
    kept = view(source, 0, Augmentation(**{**vars(PLAIN), "max_share": 0.9, "min_area": 25}))
    assert kept is not None
    assert kept.boxes.tolist() == [[1, 121, 6, 126]]
    both = view(source, 0, Augmentation(**{**vars(PLAIN), "max_share": 0.95, "min_area": 25}))
    assert both is not None
    assert len(both.targets) == 2


def test_the_share_is_of_the_picture_not_of_the_padding() -> None:
    source = Painted(32, 128, [(0, 0, 128, 31)])
    assert view(source, 0, Augmentation(**{**vars(PLAIN), "max_share": 0.9})) is None


def shown_width(found: View) -> int:
    """How many columns show the picture, which is wider than high and lies at the top left."""
    columns = np.flatnonzero((found.image[0] != MEAN_COLOUR).any(-1))
    return 0 if not len(columns) else int(columns.max()) + 1


@pytest.mark.parametrize("spacing", ["ratio", "linear"])
def test_large_scale_jitter_shrinks_into_padding_and_enlarges(spacing: str) -> None:
    jitter = Augmentation(**{**vars(PLAIN), "whole": 0.0, "min_scale": 0.1, "max_scale": 2.0, "scale_spacing": spacing})
    source = painted()
    widths, enlarged = [], 0
    for seed in range(300):
        found = view(source, seed, jitter)
        if found is None:
            continue
        assert_aligned(found)
        widths.append(shown_width(found))
        if widths[-1] < 126:
            # The proportions of the picture stay, and what is beside it is padding.
            height = round(widths[-1] * 0.75)
            assert (found.image[height + 1 :] == MEAN_COLOUR).all()
            assert (found.image[:, widths[-1] :] == MEAN_COLOUR).all()
        enlarged += widths[-1] == 128
    assert min(widths) < 20
    # Magnifications above 1 are 1.0 of 1.9 linearly, and log 2 of log 20.
    share = enlarged / len(widths)
    assert share == pytest.approx(0.53 if spacing == "linear" else 0.23, abs=0.1)
    assert np.mean(np.array(widths) < 64) == pytest.approx(0.21 if spacing == "linear" else 0.54, abs=0.1)


def test_no_more_masks_than_asked_for() -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(20):
        found = make_view(painted(), 0, 128, 2, PLAIN, rng)
        assert found is not None
        assert len(found.targets) == 2
        seen.update(map(tuple, found.boxes.tolist()))
    assert len(seen) == 3


@pytest.mark.parametrize("seed", range(4))
def test_colours_change_but_never_the_padding(seed: int) -> None:
    strong = Augmentation(**{**vars(PLAIN), "colour": 0.5})
    plain, changed = view(painted(), seed), view(painted(), seed, strong)
    assert plain is not None
    assert changed is not None
    np.testing.assert_array_equal(plain.targets, changed.targets)
    assert (plain.image[:96] != changed.image[:96]).mean() > 0.5
    assert (changed.image[96:] == MEAN_COLOUR).all()
    grey = view(painted(), seed, Augmentation(**{**vars(PLAIN), "grey": 1.0}))
    assert grey is not None
    assert (np.ptp(grey.image[:96].astype(int), axis=2) == 0).all()
    expected = cv2.cvtColor(plain.image, cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(grey.image[:96, :, 0], expected[:96])
    assert (grey.image[96:] == MEAN_COLOUR).all()


def test_the_same_randomness_gives_the_same_view() -> None:
    augmentation = Augmentation(whole=0.3, paste=0.5)
    pasted = Painted(60, 60, [(5, 10, 50, 55)], shift=3)
    for seed in range(10):
        one, other = (view(painted(), seed, augmentation, paste_from=pasted) for _ in range(2))
        assert one is not None
        assert other is not None
        for name in ("image", "targets", "boxes"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_the_data_set_s_pixels_are_not_written_to() -> None:
    source = Painted(128, 128, [(8, 8, 60, 60)])
    before = source.pixels.copy()
    source.pixels.flags.writeable = False
    view(source, 0, Augmentation(whole=1.0, paste=1.0, colour=1.0), paste_from=painted())
    np.testing.assert_array_equal(source.pixels, before)


def test_an_image_without_masks_gives_no_view() -> None:
    assert view(Painted(40, 40, []), 0) is None
