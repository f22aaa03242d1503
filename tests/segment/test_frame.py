import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anymask.segment.frame import MASK_PROMPT_LOGIT, Frame

sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


@pytest.mark.parametrize(
    ("height", "width", "side", "expected"),
    [
        (1200, 1800, 1024, (683, 1024)),
        (1080, 1920, 1024, (576, 1024)),
        (427, 640, 1024, (683, 1024)),
        (1024, 1024, 1024, (1024, 1024)),
        (3, 2, 1024, (1024, 683)),
        (1, 30_000, 1024, (1, 1024)),
        (300, 400, 512, (384, 512)),
    ],
)
def test_the_long_side_fills_the_input(height, width, side, expected):
    frame = Frame(height, width, side)
    assert (frame.input_height, frame.input_width) == expected


def test_points_are_scaled_by_the_ratio_of_rounded_sizes():
    frame = Frame(1200, 1801)
    assert frame.input_height == 682
    points = frame.to_model([[[500, 375], [1800, 1199]]])
    assert points.dtype == np.float32
    assert points.shape == (1, 2, 2)
    expected = np.array([[[500 * (1024 / 1801), 375 * (682 / 1200)], [1800 * (1024 / 1801), 1199 * (682 / 1200)]]])
    np.testing.assert_array_equal(points, expected.astype(np.float32))


@given(sizes, st.floats(0, 1), st.floats(0, 1))
def test_from_model_undoes_to_model(size, across, down):
    frame = Frame(*size)
    point = np.array([across * frame.width, down * frame.height])
    np.testing.assert_allclose(frame.from_model(frame.to_model(point)), point, rtol=1e-5, atol=1e-6)


@given(sizes, st.sampled_from([512, 1024]))
def test_the_corners_of_the_image_are_the_corners_of_the_input(size, side):
    frame = Frame(*size, side)
    assert max(frame.input_height, frame.input_width) == side
    corners = frame.boxes_to_model([0, 0, frame.width, frame.height])
    np.testing.assert_allclose(corners, [0, 0, frame.input_width, frame.input_height], rtol=1e-6)
    np.testing.assert_allclose(frame.boxes_from_model(corners), [0, 0, frame.width, frame.height], rtol=1e-6)


def test_resizing_is_pillows_antialiased_bilinear():
    image = np.random.default_rng(0).integers(0, 256, (90, 150, 3), dtype=np.uint8)
    resized = Frame(90, 150, 64).resize_image(image)
    expected = np.asarray(Image.fromarray(image).resize((64, 38), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(resized, expected)
    # A filter without antialiasing would keep far more of the noise than this.
    assert resized.std() < 0.6 * image.std()


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (500, 1)])
def test_extreme_images_resize(size):
    frame = Frame(*size, 256)
    image = np.full((*size, 3), 7, dtype=np.uint8)
    resized = frame.resize_image(image)
    assert resized.shape == (frame.input_height, frame.input_width, 3)
    assert (resized == 7).all()


def test_restoring_logits_crops_the_padding():
    frame = Frame(50, 100, 64)
    logits = torch.full((2, 3, 16, 16), -5.0)
    logits[..., :8, :] = 5.0
    restored = frame.restore_logits(logits.to(torch.bfloat16))
    assert restored.dtype == torch.float32
    assert restored.shape == (2, 3, 50, 100)
    assert (restored[..., :45, :] > 0).all()


def test_a_ramp_of_logits_is_restored_to_a_ramp_over_the_original_pixels():
    frame = Frame(100, 200, 64)
    centres = (torch.arange(16) + 0.5) / 16
    restored = frame.restore_logits(centres.expand(1, 1, 16, 16))[0, 0, 50]
    expected = (torch.arange(200) + 0.5) / 200
    assert torch.allclose(restored[20:-20], expected[20:-20], atol=1e-4)


def disc(height, width):
    y, x = np.mgrid[:height, :width]
    radius = 0.35 * min(height, width)
    return (x + 0.5 - 0.55 * width) ** 2 + (y + 0.5 - 0.45 * height) ** 2 < max(radius, 1) ** 2


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (1500, 2000), (64, 64), (3, 90)])
@pytest.mark.parametrize("side", [512, 1024])
def test_a_mask_survives_the_way_through_prompt_logits(size, side):
    frame = Frame(*size, side)
    mask = disc(*size)
    logits = frame.mask_to_logits(mask)
    assert logits.shape == (256, 256)
    assert logits.dtype == np.float32
    back = frame.restore_logits(torch.from_numpy(logits)[None, None])[0, 0].numpy() > 0
    assert (back & mask).sum() / (back | mask).sum() > 0.97


def test_prompt_logits_are_the_covered_share_and_padding_is_background():
    frame = Frame(4, 8, 8)
    mask = np.zeros((4, 8), dtype=bool)
    mask[:2, :2] = True
    mask[2, 2] = True
    logits = frame.mask_to_logits(mask, grid=4)
    expected = np.full((4, 4), -MASK_PROMPT_LOGIT)
    expected[0, 0] = MASK_PROMPT_LOGIT
    expected[1, 1] = -MASK_PROMPT_LOGIT / 2
    np.testing.assert_allclose(logits, expected, atol=1e-5)


@settings(max_examples=30)
@given(st.tuples(st.integers(1, 90), st.integers(1, 90)))
def test_a_full_mask_is_restored_full_whatever_the_size(size):
    frame = Frame(*size, 64)
    logits = frame.mask_to_logits(np.ones(size, dtype=bool), grid=16)
    assert (frame.restore_logits(torch.from_numpy(logits)[None, None]) > 0).all()
    assert (frame.mask_to_logits(np.zeros(size, dtype=bool), grid=16) == -MASK_PROMPT_LOGIT).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: Frame(0, 5),
        lambda: Frame(5, 5, 0),
        lambda: Frame(5, 5).to_model([1, 2, 3]),
        lambda: Frame(5, 5).boxes_to_model([1, 2]),
        lambda: Frame(5, 5).resize_image(np.zeros((5, 6, 3), dtype=np.uint8)),
        lambda: Frame(5, 5).mask_to_logits(np.zeros((6, 5), dtype=bool)),
    ],
)
def test_misfits_are_refused(call):
    with pytest.raises(ValueError, match=r"got|given|expected"):
        call()
