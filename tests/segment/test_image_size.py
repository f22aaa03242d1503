import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from anymask.segment.errors import ImageError, ImageNotFoundError
from anymask.segment.pixels import image_size, read_image

ORIENTATION = 0x0112


def encoded(file_format, orientation=None, size=(30, 20), **options):
    stream = io.BytesIO()
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
        options["exif"] = exif
    Image.new("RGB", size, (200, 30, 60)).save(stream, file_format, **options)
    return stream.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("JPEG", {}),
        ("PNG", {}),
        ("WEBP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {}),
    ],
)
def test_it_is_the_size_of_what_is_read(tmp_path, file_format, options, orientation):
    content = encoded(file_format, orientation, **options)
    expected = read_image(content).shape[:2]
    assert expected == ((30, 20) if orientation in (5, 6, 7, 8) else (20, 30))
    path = tmp_path / "picture.bin"
    path.write_bytes(content)
    assert image_size(content) == image_size(path) == image_size(str(path)) == expected


@pytest.mark.parametrize("file_format", ["BMP", "GIF", "PPM", "JPEG2000"])
def test_formats_without_rotation(file_format):
    assert image_size(encoded(file_format)) == (20, 30)


@pytest.mark.parametrize("orientation", [1, 6])
def test_sixteen_bit_colour(tmp_path, orientation):
    path = tmp_path / "deep.tif"
    pixels = np.zeros((20, 30, 3), np.uint16)
    tifffile.imwrite(path, pixels, photometric="rgb", extratags=[(ORIENTATION, "H", 1, orientation, True)])
    assert image_size(path) == read_image(path).shape[:2]


def test_a_rotation_after_the_pixels_of_a_png_counts():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    plain = encoded("PNG")
    end = plain.index(b"IEND") - 4
    content = plain[:end] + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + plain[end:]
    assert image_size(content) == read_image(content).shape[:2] == (30, 20)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_pixels_are_not_needed(file_format):
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    Image.fromarray(noise).save(stream, file_format)
    half = stream.getvalue()[: len(stream.getvalue()) // 2]
    assert image_size(half) == (200, 300)
    with pytest.raises(ImageError):
        read_image(half)


def test_what_is_no_image_is_refused_as_by_read_image(tmp_path):
    with pytest.raises(ImageNotFoundError, match=r"no image at .*nowhere\.png"):
        image_size(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="is a directory"):
        image_size(tmp_path)
    for content in (b"", b"not an image at all"):
        with pytest.raises(ImageError) as ours:
            image_size(content)
        with pytest.raises(ImageError) as theirs:
            read_image(content)
        assert str(ours.value) == str(theirs.value)


def test_the_limit_of_pixels_holds():
    assert image_size(encoded("PNG"), max_pixels=600) == (20, 30)
    with pytest.raises(ImageError, match="30 x 20 pixels, over the limit of 599"):
        image_size(encoded("PNG"), max_pixels=599)
    assert image_size(encoded("PNG"), max_pixels=None) == (20, 30)
