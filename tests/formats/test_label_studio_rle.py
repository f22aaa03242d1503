"""Label Studio's run lengths, against values that its own package wrote and a bit-by-bit reader."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from random_images import random_masks

from anymask.formats.label_studio_rle import decode_brush, encode_brush
from anymask.segment import rle
from anymask.segment.errors import MaskError
from anymask.segment.masks import Masks

# Written by label_studio_sdk.converter.brush of label-studio-sdk 2.1.2: mask2rle, and encode_rle of four channels.
BY_MASK2RLE = [0, 0, 0, 96, 57, 27, 254, 31, 0, 183, 255, 108, 2, 223, 254, 23, 0, 143, 252]
BY_ENCODE_RLE = [0, 0, 0, 36, 57, 27, 254, 16, 0, 3, 252, 0, 0, 25, 35, 0, 0, 4, 0, 32, 0, 192, 4, 136, 38, 64, 0]
LONG_RUNS_SHA256 = "966bd501be8daf86fb5ab52602d2ae8a4c45e765a9b14df2e40c1a01c4670a13"


def read_bits(stream: list[int]) -> NDArray[np.uint8]:
    """Read a stream one bit at a time, as it is described."""
    bits = "".join(f"{byte:08b}" for byte in stream)
    position = 0

    def take(count: int) -> int:
        nonlocal position
        position += count
        return int(bits[position - count : position], 2)

    number, value_bits = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < number:
        repeats = take(1)
        length = take(sizes[take(2)]) + 1
        values += [take(value_bits)] * length if repeats else [take(value_bits) for _ in range(length)]
    return np.array(values, dtype=np.uint8)


def write_bits(values: list[int], pieces: list[tuple[int, int, bool]], sizes: list[int]) -> list[int]:
    """Write values in pieces of (length, chosen size, as one repeated value)."""
    text = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    first = 0
    for length, chosen, repeats in pieces:
        text += f"{int(repeats)}{chosen:02b}{length - 1:0{sizes[chosen]}b}"
        text += "".join(f"{value:08b}" for value in values[first : first + (1 if repeats else length)])
        first += length
    text += "0" * (-len(text) % 8)
    return [int(text[start : start + 8], 2) for start in range(0, len(text), 8)]


def encoded(mask: NDArray[np.bool_]) -> list[int]:
    return encode_brush(mask, (0, 0), (mask.shape[0], mask.shape[1]))


def test_the_same_bytes_as_label_studio_s_package() -> None:
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:5] = mask[3, 5] = True
    assert encoded(mask) == BY_MASK2RLE
    long = np.ones((300, 400), bool)
    long[:, :100] = long[10:20, 150:200] = False
    assert hashlib.sha256(bytes(encoded(long))).hexdigest() == LONG_RUNS_SHA256


def test_alpha_alone_counts() -> None:
    """A green pixel with alpha 100, one with the channels 1 to 4, one whose alpha is 0; a zero byte at the end."""
    mask = rle.decode(decode_brush(BY_ENCODE_RLE, (3, 3)))
    assert np.argwhere(mask).tolist() == [[1, 1], [2, 0]]


@settings(max_examples=100, deadline=None)
@given(masks=random_masks())
def test_there_and_back(masks: Masks) -> None:
    for index in range(len(masks)):
        x, y = masks.boxes[index, :2].astype(int).tolist()
        stream = encode_brush(masks.crop(index), (x, y), masks.size)
        assert decode_brush(stream, masks.size) == masks.rles[index]
        pixels = read_bits(stream).reshape(*masks.size, 4)
        np.testing.assert_array_equal(pixels, np.repeat(masks.mask(index)[..., None], 4, axis=2) * np.uint8(255))


@settings(max_examples=100, deadline=None)
@given(data=st.data(), seed=st.integers(0, 10_000), sizes=st.lists(st.integers(1, 16), min_size=4, max_size=4))
def test_any_stream(data: st.DataObject, seed: int, sizes: list[int]) -> None:
    """Other encoders choose other sizes, and write values one by one."""
    random = np.random.default_rng(seed)
    height, width = (int(side) for side in random.integers(1, 9, 2))
    values = random.choice([0, 0, 0, 7, 255], 4 * height * width).repeat(random.integers(1, 3)).tolist()
    values = values[: 4 * height * width]
    pieces = []
    first = 0
    while first < len(values):
        chosen = data.draw(st.integers(0, 3))
        length = min(data.draw(st.integers(1, 1 << min(sizes[chosen], 5))), len(values) - first)
        same = len(set(values[first : first + length])) == 1
        pieces.append((length, chosen, same and data.draw(st.booleans())))
        first += length
    stream = write_bits(values, pieces, sizes)
    assert read_bits(stream).tolist() == values
    mask = rle.decode(decode_brush(stream, (height, width)))
    np.testing.assert_array_equal(mask, np.array(values).reshape(height, width, 4)[..., 3] > 0)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ([], "has a header of 7 bytes, this one has 0"),
        ([0, 0, 0, 96, 57, 27], "has a header of 7 bytes"),
        (BY_MASK2RLE[:-2], "ends too early"),
        (BY_ENCODE_RLE, "holds 36 values of 8 bits; an image of 6 x 4 pixels has 96"),
        ([0, 0, 0, 96, 1, *BY_MASK2RLE[5:]], "values of 1 bits"),
        ([0.5], "whole numbers from 0 to 255"),
        ([256], "whole numbers from 0 to 255"),
        (["a"], "whole numbers from 0 to 255"),
        (write_bits([0] * 96, [(100, 0, True)], [8, 8, 8, 8]), "more values than it says"),
    ],
)
def test_broken_streams(stream: list[int], message: str) -> None:
    with pytest.raises(MaskError, match=message):
        decode_brush(stream, (4, 6))


def test_an_image_that_is_too_large() -> None:
    with pytest.raises(MaskError, match="40000 x 40000 pixels"):
        encode_brush(np.ones((1, 1), bool), (0, 0), (40_000, 40_000))
