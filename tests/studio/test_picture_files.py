"""Files of pictures: found only inside the folder, and converted where a browser would show something else."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anymask.segment.errors import ImageError
from anymask.segment.pixels import read_image
from anymask.studio.errors import PictureError
from anymask.studio.picture_files import PictureFile, find_picture, shown_as_it_is, to_png, to_thumbnail

from .odd_pictures import ODD_PICTURES, write_odd_picture

Noise = Callable[..., np.ndarray]


def test_only_what_is_inside_the_folder(pictures: Path, tmp_path: Path) -> None:
    found = find_picture(pictures, "1.png")
    assert found.path == (pictures / "1.png").resolve()
    (tmp_path / "outside.png").write_bytes((pictures / "1.png").read_bytes())
    (pictures / "link.png").symlink_to(tmp_path / "outside.png")
    (pictures / "inner.png").symlink_to(pictures / "2.png")
    (pictures / "loop.png").symlink_to(pictures / "loop.png")
    (pictures / "folder.png").mkdir()
    assert find_picture(pictures, "inner.png").path == (pictures / "2.png").resolve()
    for name, message in {
        "link.png": "a link to a file outside the folder",
        "../outside.png": "outside the folder",
        str(tmp_path / "outside.png"): "outside the folder",
        "gone.png": "gone.png is no longer in the folder",
        "loop.png": "loop.png cannot be opened",
        "folder.png": "is no file",
        "notes.txt/1.png": "cannot be opened",
    }.items():
        with pytest.raises(PictureError, match=message):
            find_picture(pictures, name)


def test_a_folder_reached_by_a_link_is_itself(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(pictures)
    assert find_picture(tmp_path / "link", "1.png") == find_picture(pictures, "1.png")


def test_keys_tell_files_their_states_and_purposes_apart(pictures: Path) -> None:
    first = find_picture(pictures, "1.png")
    keys = {first.key("a"), first.key("b"), find_picture(pictures, "2.png").key("a")}
    os.utime(first.path, ns=(1, 1))
    keys.add(find_picture(pictures, "1.png").key("a"))
    first.path.write_bytes(first.path.read_bytes() + b"more")
    os.utime(first.path, ns=(1, 1))
    keys.add(find_picture(pictures, "1.png").key("a"))
    assert len(keys) == 5


@pytest.mark.parametrize("kind", ODD_PICTURES)
def test_what_is_converted_is_what_the_model_sees(kind: str, tmp_path: Path, noise: Noise) -> None:
    file = write_odd_picture(tmp_path, kind, noise)
    media_type = shown_as_it_is(file)
    assert media_type == ODD_PICTURES[kind]
    with Image.open(io.BytesIO(to_png(file.path))) as converted:
        assert converted.format == "PNG"
        np.testing.assert_array_equal(np.asarray(converted), read_image(file.path))


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_text("<svg onload='alert(1)'>")
    with pytest.raises(ImageError, match="not an image of a known format"):
        shown_as_it_is(find_picture(tmp_path, "page.png"))
    # A header of 60,000 x 60,000 pixels, and next to nothing behind it.
    Image.new("RGB", (1, 1)).save(tmp_path / "bomb.png")
    content = (tmp_path / "bomb.png").read_bytes()
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + content[24:29]
    checked = header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "bomb.png").write_bytes(content[:12] + checked + content[33:])
    bomb = find_picture(tmp_path, "bomb.png")
    for read in (shown_as_it_is, lambda file: to_png(file.path), lambda file: to_thumbnail(file.path)):
        with pytest.raises(ImageError, match="over the limit"):
            read(bomb)


@pytest.mark.parametrize(
    ("size", "expected"), [((30, 20), (30, 20)), ((400, 100), (192, 48)), ((3, 2000), (1, 192)), ((1, 1), (1, 1))]
)
def test_thumbnails(tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]) -> None:
    Image.new("RGB", size, (200, 30, 60)).save(tmp_path / "a.png")
    with Image.open(io.BytesIO(to_thumbnail(tmp_path / "a.png"))) as small:
        assert (small.format, small.size) == ("JPEG", expected)
        assert np.abs(np.asarray(small).astype(int) - (200, 30, 60)).max() < 8


def test_the_thumbnail_of_a_large_photograph_is_upright_and_alike(tmp_path: Path) -> None:
    picture = np.zeros((1600, 2400, 3), np.uint8)
    picture[:800] = (250, 10, 10)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture).save(tmp_path / "a.jpg", exif=exif)
    with Image.open(io.BytesIO(to_thumbnail(tmp_path / "a.jpg"))) as small:
        assert small.size == (128, 192)
        pixels = np.asarray(small).astype(int)
    expected = read_image(tmp_path / "a.jpg")[::12, ::12][:192, :128].astype(int)
    assert np.abs(pixels - expected).mean() < 3
    assert tuple(pixels[96, 120] > 128) == (True, False, False)


def test_a_changed_file_is_looked_at_again(tmp_path: Path, noise: Noise) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noise(5, 6, 3)).save(path)
    assert shown_as_it_is(find_picture(tmp_path, "a.png")) == "image/png"
    Image.fromarray(noise(5, 6, 4)).save(path)
    assert shown_as_it_is(find_picture(tmp_path, "a.png")) is None
    assert isinstance(find_picture(tmp_path, "a.png"), PictureFile)
