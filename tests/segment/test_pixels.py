import io

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile, PngImagePlugin

from anymask.segment.errors import AnymaskError, ImageError, ImageNotFoundError
from anymask.segment.pixels import read_image


@pytest.fixture
def picture():
    y, x = np.mgrid[:40, :60]
    return np.dstack([x * 4, y * 6, (x + y) * 2]).astype(np.uint8)


def encoded(image, file_format="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "ppm"])
def test_lossless_files_are_read_exactly(tmp_path, picture, suffix):
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(picture).save(path, **({"lossless": True} if suffix == "webp" else {}))
    for source in (
        path,
        str(path),
        path.read_bytes(),
        bytearray(path.read_bytes()),
        io.BytesIO(path.read_bytes()),
    ):
        pixels = read_image(source)
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous
        assert pixels.flags.writeable
        np.testing.assert_array_equal(pixels, picture)
    with path.open("rb") as stream:
        np.testing.assert_array_equal(read_image(stream), picture)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_image(image), picture)


def test_jpeg_is_close(tmp_path, picture):
    path = tmp_path / "picture.jpg"
    Image.fromarray(picture).save(path, quality=98, subsampling=0)
    assert np.abs(read_image(path).astype(int) - picture).max() < 12


def test_a_wrong_suffix_does_not_matter(tmp_path, picture):
    path = tmp_path / "picture.jpg"
    path.write_bytes(encoded(Image.fromarray(picture)))
    np.testing.assert_array_equal(read_image(path), picture)


def test_a_contiguous_rgb_array_is_returned_itself(picture):
    assert read_image(picture) is picture
    flipped = read_image(picture[:, ::-1])
    assert flipped.flags.c_contiguous
    np.testing.assert_array_equal(flipped, picture[:, ::-1])


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, orientation, suffix):
    stored = np.zeros((16, 32, 3), dtype=np.uint8)
    stored[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(stored).save(path, exif=exif, quality=100)
    pixels = read_image(path)
    upright = {
        1: stored,
        2: np.fliplr(stored),
        3: np.rot90(stored, 2),
        4: np.flipud(stored),
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: np.rot90(stored, 2).transpose(1, 0, 2),
        8: np.rot90(stored),
    }[orientation]
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).max() < 40


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_sixteen_bit_colour_tiffs_are_turned_once(tmp_path, orientation):
    stored = np.zeros((16, 32, 3), dtype=np.uint16)
    stored[:8, :8] = 65535
    path = tmp_path / "turned.tiff"
    tifffile.imwrite(path, stored, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    turns = {1: 0, 3: 2, 6: -1}[orientation]
    np.testing.assert_array_equal(read_image(path), np.rot90(stored // 257, turns))


def test_damaged_exif_does_not_cost_the_picture(picture):
    data = encoded(Image.fromarray(picture), "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    np.testing.assert_array_equal(read_image(data), picture)


def test_grey_is_repeated(picture):
    grey = picture[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=2)
    for source in (grey, grey[..., None], Image.fromarray(grey), encoded(Image.fromarray(grey))):
        np.testing.assert_array_equal(read_image(source), expected)


def test_booleans_and_one_bit_images_become_black_and_white(picture):
    flags = picture[..., 0] > 100
    expected = np.repeat(flags[..., None] * np.uint8(255), 3, axis=2)
    for source in (flags, Image.fromarray(flags), encoded(Image.fromarray(flags))):
        np.testing.assert_array_equal(read_image(source), expected)


def test_alpha_is_composited_over_white():
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 128]]], dtype=np.uint8)
    expected = [[[10, 20, 30], [255, 255, 255], [127, 177, 227]]]
    for source in (rgba, Image.fromarray(rgba), encoded(Image.fromarray(rgba))):
        np.testing.assert_array_equal(read_image(source), expected)
    wide = (rgba.astype(np.uint16) * 257).copy()
    np.testing.assert_array_equal(read_image(wide), expected)
    grey_alpha = Image.fromarray(rgba).convert("LA")
    assert read_image(grey_alpha)[0, 1].tolist() == [255, 255, 255]


def test_palettes_with_and_without_transparency(picture):
    palette = Image.fromarray(picture).quantize(16)
    np.testing.assert_array_equal(read_image(encoded(palette)), np.asarray(palette.convert("RGB")))
    see_through = palette.getpixel((59, 39))
    pixels = read_image(encoded(palette, transparency=see_through))
    hidden = np.asarray(palette) == see_through
    assert (pixels[hidden] == 255).all()
    np.testing.assert_array_equal(pixels[~hidden], np.asarray(palette.convert("RGB"))[~hidden])


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "HSV"])
def test_other_colour_modes_are_converted(picture, mode):
    flat = Image.new("LAB", (3, 2), (128, 0, 0))
    image = flat if mode == "LAB" else Image.fromarray(picture).convert(mode)
    np.testing.assert_array_equal(read_image(image), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_a_photo_saved_with_sixteen_bits_gives_its_eight_bit_pixels(tmp_path, picture, suffix):
    path = tmp_path / f"wide.{suffix}"
    cv2.imwrite(str(path), picture[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(path), picture)
    np.testing.assert_array_equal(read_image(picture.astype(np.uint16) * 257), picture)
    grey = picture[..., 0].astype(np.uint16) * 257
    cv2.imwrite(str(path), grey)
    np.testing.assert_array_equal(read_image(path)[..., 1], picture[..., 0])


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_twelve_bits_in_sixteen_are_stretched(tmp_path, suffix, channels):
    ramp = np.linspace(300, 3800, 100 * 80).astype(np.uint16).reshape(80, 100)
    path = tmp_path / f"sensor.{suffix}"
    cv2.imwrite(str(path), ramp if channels == 1 else np.dstack([ramp] * 3))
    pixels = read_image(path)
    assert pixels.shape == (80, 100, 3)
    assert (pixels.min(), pixels.max()) == (0, 255)
    expected = (ramp.astype(float) - 300) / 3500 * 255
    assert np.abs(pixels[..., 2] - expected).max() < 2
    np.testing.assert_array_equal(read_image(ramp.astype(np.int32)), pixels)


def test_a_hot_pixel_does_not_darken_the_rest():
    image = np.linspace(0, 900, 10_000).astype(np.uint16).reshape(100, 100)
    image[50, 50] = 65535
    assert np.median(read_image(image)) == pytest.approx(127.5, abs=2)


def test_channels_of_a_stretched_picture_are_scaled_alike():
    image = np.zeros((50, 50, 3), dtype=np.uint16)
    image[..., 0], image[..., 1] = 4000, 2000
    image[:10] = 0
    assert read_image(image)[30, 30].tolist() == [255, 128, 0]


def test_signed_and_flat_wide_images():
    heights = np.linspace(-200, 1500, 2500).reshape(50, 50).astype(np.int16)
    pixels = read_image(heights)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert (np.diff(pixels[:, 0, 0].astype(int)) >= 0).all()
    assert (read_image(np.full((4, 4), 257 * 77, dtype=np.uint16)) == 77).all()


def test_floats_from_zero_to_one():
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    expected = np.arange(256).reshape(16, 16)
    np.testing.assert_array_equal(read_image(ramp)[..., 0], expected)
    np.testing.assert_array_equal(read_image(Image.fromarray(ramp))[..., 0], expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 30_000)])
def test_extreme_sizes(tmp_path, size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for suffix in ("png", "tiff", "bmp"):
        path = tmp_path / f"strip.{suffix}"
        Image.fromarray(picture).save(path)
        np.testing.assert_array_equal(read_image(path), picture)


def test_only_the_first_page_and_frame_are_read(tmp_path, picture):
    first, second = Image.fromarray(picture), Image.fromarray(255 - picture)
    first.save(tmp_path / "pages.tiff", save_all=True, append_images=[second])
    np.testing.assert_array_equal(read_image(tmp_path / "pages.tiff"), picture)
    black, white = Image.new("L", (5, 4), 0), Image.new("L", (5, 4), 255)
    black.save(tmp_path / "moving.gif", save_all=True, append_images=[white])
    assert read_image(tmp_path / "moving.gif").max() == 0


def bomb(width, height):
    """A PNG that claims a size and holds next to nothing."""
    data = bytearray(encoded(Image.new("L", (1, 1))))
    header = data[12:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + data[24:29]
    data[12:29] = header
    data[29:33] = PngImagePlugin._crc32(bytes(header)).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize("size", [(20_000, 10_001), (60_000, 60_000)])
def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch, size):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("the bomb was decoded"))
    with pytest.raises(ImageError, match=rf"{size[0]} x {size[1]} pixels, over the limit of 200,000,000"):
        read_image(bomb(*size))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_the_pixel_limit_is_settable_and_pillows_own_does_not_leak(monkeypatch, picture, file_format):
    data = encoded(Image.fromarray(picture), file_format)
    free = read_image(data)
    # Pillow warns above its limit and raises above twice its limit.
    for pillows in (100, 2000):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillows)
        np.testing.assert_array_equal(read_image(data, max_pixels=None), free)
        np.testing.assert_array_equal(read_image(data, max_pixels=2400), free)
        for source in (data, picture, Image.fromarray(picture)):
            with pytest.raises(ImageError, match="60 x 40 pixels, over the limit of 2,399"):
                read_image(source, max_pixels=2399)
        assert pillows == Image.MAX_IMAGE_PIXELS


def test_a_missing_file_is_also_a_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no image at .*nothing\.png"):
        read_image(tmp_path / "nothing.png")
    assert issubclass(ImageNotFoundError, ImageError)
    assert issubclass(ImageError, AnymaskError)
    assert issubclass(ImageError, ValueError)


def test_a_directory_and_a_path_with_a_null_byte(tmp_path):
    with pytest.raises(ImageError, match="is a directory"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="cannot be opened"):
        read_image("a\0b.png")


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.9])
def test_cut_off_files_are_refused_in_one_line_that_names_them(tmp_path, picture, file_format, share):
    noise = np.random.default_rng(3).integers(0, 256, picture.shape, dtype=np.uint8)
    data = encoded(Image.fromarray(noise), file_format)
    path = tmp_path / "broken.img"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"broken\.img") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_a_cut_off_sixteen_bit_colour_file_is_refused(tmp_path):
    noise = np.random.default_rng(3).integers(0, 4096, (40, 60, 3), dtype=np.uint16)
    path = tmp_path / "wide.png"
    cv2.imwrite(str(path), noise)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ImageError, match=r"wide\.png"):
        read_image(path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"", "is empty"),
        (b"hello, this is text and no picture", "not an image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image of a known format"),
        (io.StringIO("text"), "mode 'rb'"),
        (42, "got int"),
        (None, "got NoneType"),
        ([[1, 2], [3, 4]], "got list"),
        (np.zeros((3, 40, 60), dtype=np.uint8), "transpose"),
        (np.zeros((40, 60, 2), dtype=np.uint8), r"\[40, 60, 2\]"),
        (np.zeros((1, 40, 60, 3), dtype=np.uint8), r"\[1, 40, 60, 3\]"),
        (np.zeros(5, dtype=np.uint8), r"\[5\]"),
        (np.zeros((0, 5, 3), dtype=np.uint8), r"\[0, 5, 3\]"),
        (np.full((4, 4, 3), 128.0), r"floats from 128 to 128; floats must lie in 0\.\.1"),
        (np.full((4, 4), np.nan), "nan"),
        (np.zeros((4, 4), dtype=complex), "complex128"),
        (np.full((4, 4), "x"), "<U1"),
    ],
)
def test_what_is_no_image_is_refused(source, message):
    with pytest.raises(ImageError, match=message):
        read_image(source)


def test_a_tensor_is_told_how_to_become_an_array():
    import torch

    with pytest.raises(ImageError, match=r"\.cpu\(\)\.numpy\(\)"):
        read_image(torch.zeros(4, 4, 3, dtype=torch.uint8))
