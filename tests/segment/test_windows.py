import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from anymask.segment import rle, windows
from anymask.segment.frame import Frame
from anymask.segment.windows import WindowRestorer, bilinear_taps


def blobs(seed, grid):
    """Logits like those of a decoder: smooth, a mask in one place, and far below zero elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 1, 5, 5, generator=generator) * 6 - 3
    return F.interpolate(coarse, (grid, grid), mode="bicubic", align_corners=False)[0, 0]


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 1000), st.sampled_from([0.0, 0.5, 1.0]))
def test_windows_are_the_restored_logits(height, width, seed, offset):
    frame, logits = Frame(height, width, 64), blobs(seed, 32)
    full = frame.restore_logits(logits[None, None])[0, 0].numpy()
    window = WindowRestorer(frame, 32, 0.0, offset).restore(logits)
    # A logit this near to a threshold may fall on either side of it.
    unsure = (np.abs(full[..., None] - [-offset, 0, offset]) < 1e-4).sum()
    mask = np.zeros((height, width), dtype=bool)
    x, y = window.corner
    mask[y : y + window.mask.shape[0], x : x + window.mask.shape[1]] = window.mask
    assert (mask != (full > 0)).sum() <= unsure
    assert abs(window.above - (full > offset).sum()) <= unsure
    assert abs(window.below - (full > -offset).sum()) <= unsure


@settings(deadline=None)
@given(st.integers(1, 50), st.integers(1, 120))
def test_taps_are_those_of_torch(source, target):
    values = torch.rand(source, 3, generator=torch.Generator().manual_seed(source))
    expected = F.interpolate(values[None, None], (target, 3), mode="bilinear", align_corners=False)[0, 0]
    torch.testing.assert_close(bilinear_taps(source, target).as_matrix(source) @ values, expected, atol=1e-5, rtol=0)


def test_strips_do_not_show(monkeypatch):
    frame, logits = Frame(75, 100, 64), blobs(3, 32)
    whole = WindowRestorer(frame, 32, 0.0, 1.0).restore(logits)
    monkeypatch.setattr(windows, "STRIP_NUMBERS", 7)
    parts = WindowRestorer(frame, 32, 0.0, 1.0).restore(logits)
    np.testing.assert_array_equal(whole.mask, parts.mask)
    assert (whole.corner, whole.above, whole.below) == (parts.corner, parts.above, parts.below)
    assert whole.mask.any()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 1000), st.integers(1, 40), st.integers(1, 2000))
def test_strips_of_any_size_give_the_same(height, width, seed, columns_of_strip, numbers):
    frame, logits = Frame(height, width, 64), blobs(seed, 32)
    expected = WindowRestorer(frame, 32, 0.0, 1.0).restore(logits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "COLUMNS_OF_STRIP", columns_of_strip)
        patch.setattr(windows, "STRIP_NUMBERS", numbers)
        window = WindowRestorer(frame, 32, 0.0, 1.0).restore(logits)
    assert window.corner == expected.corner
    assert window.mask.shape == expected.mask.shape
    full = frame.restore_logits(logits[None, None])[0, 0].numpy()
    unsure = (np.abs(full[..., None] - [-1, 0, 1]) < 1e-4).sum()
    assert (window.mask != expected.mask).sum() <= unsure
    assert abs(window.above - expected.above) + abs(window.below - expected.below) <= unsure


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 1000), st.sampled_from([-9.0, 9.0]))
def test_cells_of_the_padding_count_for_nothing(height, width, seed, padding):
    frame, logits = Frame(height, width, 64), blobs(seed, 32)
    restorer = WindowRestorer(frame, 32, 0.0, 1.0)
    rows, columns = restorer.cells
    # Two pixels of the input for each cell, and on either side one that is interpolated with.
    assert rows <= frame.input_height / 2 + 2
    assert columns <= frame.input_width / 2 + 2
    cut = restorer.restore(logits[:rows, :columns])
    padded = torch.full((32, 32), padding)
    padded[:rows, :columns] = logits[:rows, :columns]
    for given_logits in (logits, padded):
        window = restorer.restore(given_logits)
        np.testing.assert_array_equal(window.mask, cut.mask)
        assert (window.corner, window.above, window.below) == (cut.corner, cut.above, cut.below)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 333), (333, 1), (2, 129), (131, 257)])
@pytest.mark.parametrize("level", [3.0, -3.0])
def test_thin_images_and_sides_that_strips_do_not_divide(height, width, level):
    frame, logits = Frame(height, width, 64), torch.full((32, 32), level)
    # A corner and the middle, so that at least one is seen in an image of one pixel.
    logits[:3, :3] = logits[14:18, 14:18] = 4.0
    window = WindowRestorer(frame, 32, 0.0, 1.0).restore(logits)
    full = frame.restore_logits(logits[None, None])[0, 0].numpy()
    mask = np.zeros((height, width), dtype=bool)
    x, y = window.corner
    mask[y : y + window.mask.shape[0], x : x + window.mask.shape[1]] = window.mask
    np.testing.assert_array_equal(mask, full > 0)
    assert mask.any()
    assert mask.all() == (level > 0 or (height, width) == (1, 1))
    assert (window.above, window.below) == ((full > 1).sum(), (full > -1).sum())


def test_masks_under_autocast():
    frame, logits = Frame(75, 100, 64), blobs(3, 32)
    expected = WindowRestorer(frame, 32, 0.0, 1.0).restore(logits)
    with torch.autocast("cpu", torch.bfloat16):
        window = WindowRestorer(frame, 32, 0.0, 1.0).restore(logits)
    np.testing.assert_array_equal(window.mask, expected.mask)
    assert expected.mask.any()


def test_only_the_surroundings_of_a_mask_are_computed():
    logits = torch.full((32, 32), -9.0)
    logits[10:12, 20:23] = 9.0
    window = WindowRestorer(Frame(640, 640, 64), 32, 0.0, 1.0).restore(logits)
    assert window.mask.shape[0] <= 6 * 20
    assert window.mask.shape[1] <= 7 * 20
    assert window.stability == pytest.approx(window.above / window.below)


def test_nothing_above_any_threshold():
    window = WindowRestorer(Frame(50, 40, 64), 32, 0.0, 1.0).restore(torch.full((32, 32), -5.0))
    assert window.mask.size == window.above == window.below == 0
    assert np.isnan(window.stability)


def test_a_mask_of_the_whole_of_a_large_image_takes_few_bytes_a_pixel():
    height, width = 2400, 3200
    restorer = WindowRestorer(Frame(height, width, 64), 32, 0.0, 1.0)
    tracemalloc.start()
    window = restorer.restore(torch.full((32, 32), 3.0))
    _, peak_of_mask = tracemalloc.get_traced_memory()
    encoded = rle.encode_crop(window.mask, window.corner, (height, width))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rle.area([encoded]).tolist() == [height * width]
    assert window.stability == 1.0
    # A byte for the mask, and no map of floats; the run lengths are read from a transposed copy and its steps.
    assert peak_of_mask < 2 * height * width
    assert peak < 6 * height * width
