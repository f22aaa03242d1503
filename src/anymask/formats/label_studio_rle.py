"""Label Studio's run lengths of brush regions: a stream of bits over the RGBA pixels of the whole image.

The stream, as published with thi.ng's rle-pack, is a header (32 bits: number of values; 5 bits: bits of a value, less
1; four times 4 bits: the sizes that a length may have, less 1) and then runs: one bit that says whether one value is
repeated, two bits that choose the length's size, the length less 1, and the value, or as many values as the length
says. Pixels go along the rows, each with four values, of which the last, alpha, says whether it belongs to the region.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anymask.segment import rle
from anymask.segment.errors import MaskError
from anymask.segment.rle import RLE

_HEADER_BITS = 32 + 5 + 4 * 4
_VALUE_BITS = 8
_LENGTH_BITS = np.array([3, 4, 8, 16])
_LONGEST = 1 << 16


def encode_brush(mask: NDArray[np.bool_], corner: tuple[int, int], size: tuple[int, int]) -> list[int]:
    """Encode a mask [h, w] whose top left pixel lies at corner (x, y) of an image of size (height, width).

    Pixels of the mask are (255, 255, 255, 255), others (0, 0, 0, 0).

    Returns:
        The bytes of the stream.

    Raises:
        MaskError: the image has a thousand million pixels or more, and the header no room for their number.
    """
    height, width = size
    if 4 * height * width >= 1 << 32:
        raise MaskError(f"Label Studio's run lengths cannot hold an image of {width} x {height} pixels")
    lengths, values = _chunks(_bounds(mask, corner, size) * 4)
    sizes = np.searchsorted(1 << _LENGTH_BITS, lengths)
    length_bits = _LENGTH_BITS[sizes]
    codes = (4 | sizes) << length_bits | (lengths - 1)
    header = 4 * height * width << 21 | (_VALUE_BITS - 1) << 16 | 0x237F
    all_codes = np.concatenate([[header], codes << _VALUE_BITS | values])
    bits = np.concatenate([[_HEADER_BITS], 3 + length_bits + _VALUE_BITS])
    ends = np.cumsum(bits)
    shifts = np.repeat(ends, bits) - 1 - np.arange(ends[-1])
    packed = np.packbits((np.repeat(all_codes, bits) >> shifts & 1).astype(np.uint8))
    return [int(byte) for byte in packed.tolist()]


def decode_brush(stream: Sequence[int], size: tuple[int, int]) -> RLE:
    """Decode a stream into a mask of size (height, width): the pixels whose alpha is not 0.

    Raises:
        MaskError: it is no such stream, ends too early, or is of another size.
    """
    height, width = size
    starts, ends = _alpha_runs(_as_bytes(stream), height * width, size)
    if not starts:
        return rle.encode_counts([height * width], size)
    top, bottom = starts[0] // width, (ends[-1] - 1) // width + 1
    changes = np.zeros((bottom - top) * width + 1, dtype=np.int8)
    # Runs follow each other, and one may begin where another ends.
    changes[np.asarray(starts) - top * width] += 1
    changes[np.asarray(ends) - top * width] -= 1
    inside = np.cumsum(changes[:-1], dtype=np.int8).view(np.bool_).reshape(bottom - top, width)
    return rle.encode_crop(inside, (0, top), size)


def _bounds(mask: NDArray[np.bool_], corner: tuple[int, int], size: tuple[int, int]) -> NDArray[np.int64]:
    """Return where along the rows of the image colour changes, from background, with the image's end."""
    height, width = size
    x, y = corner
    rows, columns = mask.shape
    if not mask.any():
        return np.array([height * width])
    # One column of background beside the crop ends every run at the end of its row.
    padded = np.zeros((rows, columns + 1), dtype=np.int8)
    padded[:, :-1] = mask
    steps = np.flatnonzero(np.diff(padded.reshape(-1), prepend=np.int8(0)))
    row, column = np.divmod(steps, columns + 1)
    position = (row + y) * width + column + x
    starts, ends = position[0::2], position[1::2]
    # A run that reaches the end of the image's row goes on in the next.
    joined = np.flatnonzero(ends[:-1] == starts[1:])
    bounds = np.sort(np.concatenate([np.delete(starts, joined + 1), np.delete(ends, joined)]))
    return bounds if bounds[-1] == height * width else np.append(bounds, height * width)


def _chunks(bounds: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut runs that end at the bounds into lengths that the stream can hold, with their values."""
    lengths = np.diff(bounds, prepend=0)
    values = np.where(np.arange(len(lengths)) % 2 == 1, 255, 0)
    values, lengths = values[lengths > 0], lengths[lengths > 0]
    pieces = -(-lengths // _LONGEST)
    cut = np.full(int(pieces.sum()), _LONGEST)
    cut[np.cumsum(pieces) - 1] = lengths - (pieces - 1) * _LONGEST
    return cut, np.repeat(values, pieces)


def _as_bytes(stream: Sequence[int]) -> bytes:
    try:
        return bytes(stream)
    except (TypeError, ValueError):
        raise MaskError("a brush region's rle is a list of whole numbers from 0 to 255") from None


def _alpha_runs(data: bytes, pixels: int, size: tuple[int, int]) -> tuple[list[int], list[int]]:
    """Return where runs of pixels with alpha begin and end, along the rows."""
    if len(data) * 8 < _HEADER_BITS:
        raise MaskError(f"a brush region's rle has a header of 7 bytes, this one has {len(data)} in all")
    header = int.from_bytes(data[:7], "big") >> 3
    count, value_bits = header >> 21, (header >> 16 & 31) + 1
    length_bits = [(header >> shift & 15) + 1 for shift in (12, 8, 4, 0)]
    if value_bits != _VALUE_BITS or count != 4 * pixels:
        raise MaskError(
            f"a brush region's rle holds {count:,} values of {value_bits} bits; an image of {size[1]} x {size[0]} "
            f"pixels has {4 * pixels:,} of 8 bits"
        )
    # The last code is read with what follows it; behind the end there are zeros.
    padded = data + bytes(8)
    starts: list[int] = []
    ends: list[int] = []
    position, first, last_bit = _HEADER_BITS, 0, len(data) * 8
    while first < count:
        byte = position >> 3
        window = int.from_bytes(padded[byte : byte + 5], "big") << (position & 7) & 0xFFFFFFFFFF
        bits = length_bits[window >> 37 & 3]
        after = first + 1 + (window >> 37 - bits & (1 << bits) - 1)
        position += 3 + bits
        repeats = window >> 39
        values = 1 if repeats else after - first
        if position + values * _VALUE_BITS > last_bit or after > count:
            raise MaskError("a brush region's rle ends too early, or holds more values than it says")
        if repeats or values == 1:
            if window >> 29 - bits & 255:
                # Alpha is every fourth value: 3, 7, 11, and so on.
                begin, end = first >> 2, after >> 2
                if end > begin:
                    starts.append(begin)
                    ends.append(end)
        else:
            for pixel in _raw_alpha(padded, position, first, values):
                starts.append(pixel)
                ends.append(pixel + 1)
        position += values * _VALUE_BITS
        first = after
    return starts, ends


def _raw_alpha(data: bytes, position: int, first: int, count: int) -> list[int]:
    """Return the pixels with alpha among values that are written one by one."""
    byte, shift = position >> 3, position & 7
    raw = np.frombuffer(data, dtype=np.uint8, count=count + 1, offset=byte).astype(np.uint16)
    values = (raw[:-1] << shift | raw[1:] >> (8 - shift)) & 255
    index = np.arange(first, first + count)
    return [int(pixel) for pixel in (index[(values != 0) & (index & 3 == 3)] >> 2).tolist()]
