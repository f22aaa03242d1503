"""Folders as they are: rotated by EXIF, grey, transparent, 16-bit, enormous, tiny and broken."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from anymask.segment.pixels import read_image

from .browser import StudioPage
from .server import Server

BALL = (150, 90, 40)
"""x, y and radius of what is to be clicked, in pixels of the picture as one sees it."""


def ball(height: int = 200, width: int = 300) -> np.ndarray:
    """A bright ball on a dark ground with some structure."""
    y, x = np.mgrid[:height, :width]
    ground = np.random.default_rng(0).integers(20, 50, (height, width, 3))
    inside = (x - BALL[0]) ** 2 + (y - BALL[1]) ** 2 <= BALL[2] ** 2
    return np.where(inside[..., None], (240, 200, 60), ground).astype(np.uint8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "inner folder").mkdir()
    rgb = Image.fromarray(ball())
    exif = Image.Exif()
    for orientation, turn in ((3, 2), (6, 1), (8, 3)):
        exif[0x0112] = orientation
        Image.fromarray(np.rot90(ball(), turn)).save(folder / f"exif-{orientation}.jpg", quality=95, exif=exif)
    rgb.save(folder / "plain & größer #1%20.png")
    rgb.convert("L").save(folder / "inner folder" / "grey.png")
    rgb.convert("P", palette=Image.Palette.ADAPTIVE).save(folder / "palette.gif")
    rgb.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    rgb.save(folder / "lzw.tif", compression="tiff_lzw")
    assert cv2.imwrite(str(folder / "sixteen.png"), ball()[..., 0].astype(np.uint16) * 257)
    transparent = np.dstack([ball(), np.full((200, 300), 255, np.uint8)])
    transparent[:20, :, 3] = 0
    Image.fromarray(transparent).save(folder / "transparent.png")
    (folder / "ruined.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    (folder / "truncated.png").write_bytes((folder / "lzw.tif").read_bytes()[:100])
    (folder / "notes.txt").write_text("not a picture")
    Image.fromarray(np.asarray(data.coffee())[:1, :1]).save(folder / "tiny.png")
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "exif-3.jpg",
        "exif-6.jpg",
        "exif-8.jpg",
        "plain & größer #1%20.png",
        "inner folder/grey.png",
        "palette.gif",
        "cmyk.jpg",
        "lzw.tif",
        "sixteen.png",
        "transparent.png",
    ],
)
def test_the_mask_lies_where_it_was_clicked(studio: StudioPage, server: Server, name: str):
    studio.go_to(name)
    picture = studio.state("picture")
    pixels = read_image(server.pictures / name)
    assert (picture["width"], picture["height"]) == (300, 200) == pixels.shape[1::-1]
    scale, left, top = studio.viewport()
    window = np.s_[
        round(top + scale * 60) : round(top + scale * 190), round(left + scale * 10) : round(left + scale * 290)
    ]
    studio.page.mouse.move(1, 1)
    shown = cv2.resize(studio.screenshot()[window], (280, 130), interpolation=cv2.INTER_AREA)
    difference = np.abs(shown.astype(int) - pixels[60:190, 10:290].astype(int))
    assert np.median(difference) <= 12, "the page shows another picture than the model sees"

    studio.tool("box")
    x, y, radius = BALL
    studio.drag((x - radius, y - radius), (x + radius, y + radius))
    studio.click(x, y)
    mask = studio.mask(studio.selected)
    rows, columns = np.mgrid[:200, :300]
    truth = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    assert (mask & truth).sum() / (mask | truth).sum() > 0.8
    studio.wait_until_saved()


@pytest.mark.parametrize("name", ["ruined.jpg", "truncated.png"])
def test_a_broken_picture_says_so_and_the_next_one_works(studio: StudioPage, server: Server, name: str):
    number = next(one["id"] for one in studio.state("pictures") if one["name"] == name)
    studio.page.evaluate("number => window.anymaskStudio.session.openPicture(number)", number)
    studio.wait(f"state.picture.name === {name!r} && state.picture.error !== null")
    reason = studio.state("picture")["error"]
    studio.page.get_by_text(reason).first.wait_for()
    studio.page.mouse.click(640, 400)
    assert studio.objects == []
    studio.press("a", "d", "d")
    studio.wait(f"state.picture.name !== {name!r} || state.picture.id === state.pictures.at(-1).id")
    for notice in studio.state("notices"):
        studio.page.evaluate("number => window.anymaskStudio.session.dismiss(number)", notice["id"])
    studio.go_to("lzw.tif")
    assert "Traceback" not in server.log.read_text()


def test_one_pixel_is_a_picture(studio: StudioPage, server: Server):
    studio.go_to("tiny.png")
    studio.click(0.5, 0.5)
    studio.wait_until_saved()
    assert len(server.objects("tiny.png")) == len(studio.objects)


def test_what_is_no_picture_is_not_in_the_list(studio: StudioPage):
    names = [one["name"] for one in studio.state("pictures")]
    assert "notes.txt" not in names
    assert "inner folder/grey.png" in names
