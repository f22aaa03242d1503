import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anymask.compat.segment_anything.utils.transforms import ResizeLongestSide

SIZES = st.tuples(st.integers(2, 3000), st.integers(2, 3000))


@given(SIZES, st.sampled_from([512, 1024]))
def test_the_long_side_gets_the_length(size, length):
    height, width = size
    scale = length / max(size)
    expected = (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))
    assert ResizeLongestSide.get_preprocess_shape(height, width, length) == expected
    assert max(expected) == length


@pytest.mark.parametrize("shape", [(90, 150, 3), (150, 90, 3), (64, 30), (30, 64, 4)])
def test_images_are_scaled_as_pillow_does(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    scaled = ResizeLongestSide(128).apply_image(image)
    size = ResizeLongestSide.get_preprocess_shape(*shape[:2], 128)
    expected = np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
    assert scaled.shape[:2] == size
    np.testing.assert_array_equal(scaled, expected)


def test_a_view_with_reversed_channels_is_scaled():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    transform = ResizeLongestSide(64)
    np.testing.assert_array_equal(transform.apply_image(image[..., ::-1]), transform.apply_image(image)[..., ::-1])


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3)), np.zeros((1, 4, 4, 3), np.uint8), np.zeros(4, np.uint8)])
def test_other_arrays_are_refused(wrong):
    with pytest.raises(TypeError, match=r"must be a uint8 array \[H, W, 3\]"):
        ResizeLongestSide(64).apply_image(wrong)


def test_torch_images_are_scaled_with_antialiasing():
    image = torch.rand(2, 3, 60, 200)
    scaled = ResizeLongestSide(64).apply_image_torch(image)
    expected = torch.nn.functional.interpolate(image, (19, 64), mode="bilinear", antialias=True)
    assert torch.equal(scaled, expected)
    plain = torch.nn.functional.interpolate(image, (19, 64), mode="bilinear")
    assert not torch.allclose(scaled, plain, atol=1e-3)


@given(SIZES, st.floats(-10, 3000), st.floats(-10, 3000))
def test_coordinates_are_scaled_by_the_rounded_sizes(size, x, y):
    transform = ResizeLongestSide(1024)
    height, width = transform.get_preprocess_shape(*size, 1024)
    coords = np.array([[[x, y], [0.0, 1.0]]])
    before = coords.copy()
    expected = coords * [width / size[1], height / size[0]]
    scaled = transform.apply_coords(coords, size)
    assert scaled.dtype == np.float64
    np.testing.assert_allclose(scaled, expected, rtol=1e-12)
    np.testing.assert_array_equal(coords, before)
    in_torch = transform.apply_coords_torch(torch.from_numpy(coords), size)
    assert in_torch.dtype == torch.float32
    np.testing.assert_allclose(in_torch, expected, rtol=1e-5, atol=1e-3)


def test_integer_coordinates_become_fractions_and_stay_as_they_were():
    coords = np.array([[3, 4]])
    scaled = ResizeLongestSide(100).apply_coords(coords, (30, 40))
    np.testing.assert_allclose(scaled, [[7.5, 10.0]])
    assert coords.tolist() == [[3, 4]]
    tensor = torch.tensor([[3, 4]])
    assert ResizeLongestSide(100).apply_coords_torch(tensor, (30, 40)).tolist() == [[7.5, 10.0]]
    assert tensor.tolist() == [[3, 4]]


def test_boxes_are_scaled_by_their_corners():
    transform = ResizeLongestSide(100)
    boxes = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    expected = [[2.5, 5, 7.5, 10], [12.5, 15, 17.5, 20]]
    np.testing.assert_allclose(transform.apply_boxes(boxes, (30, 40)), expected)
    np.testing.assert_allclose(transform.apply_boxes(boxes[0], (30, 40)), expected[:1])
    assert transform.apply_boxes_torch(torch.from_numpy(boxes), (30, 40)).tolist() == expected
