"""Sheets of many pictures: where they lie, what is said of them, and what is missing."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anymask.draw.contact_sheet import ContactSheetError, Tile, contact_sheet, describe
from anymask.draw.fitting import fit
from anymask.segment.masks import Masks

GREY = 198


def flat(height: int, width: int, colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def tile(height: int, width: int, colour: tuple[int, int, int], name: str = "a.png") -> Tile:
    return Tile(name, Masks.empty((height, width)), png(flat(height, width, colour)))


def boxes_of(sheet: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """The box (x0, y0, x1, y1) of a colour, which fills it."""
    there = (np.asarray(sheet) == colour).all(axis=2)
    y, x = np.nonzero(there)
    box = int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1
    assert there.sum() == (box[2] - box[0]) * (box[3] - box[1])
    return box


def test_pictures_lie_in_rows_with_their_bottoms_in_line() -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 0, 200)]
    sizes = [(40, 80), (80, 40), (30, 30), (600, 1200)]
    tiles = [tile(*size, colour) for size, colour in zip(sizes, colours, strict=True)]
    sheet = contact_sheet(tiles, size=100, columns=3).image
    red, green, blue, pink = (boxes_of(sheet, colour) for colour in colours)
    for box, (height, width) in zip((red, green, blue, pink), sizes, strict=True):
        assert max(box[2] - box[0], box[3] - box[1]) == 100
        assert (box[2] - box[0]) * height == pytest.approx((box[3] - box[1]) * width, abs=width)
    assert red[3] == green[3] == blue[3]
    assert red[0] < red[2] <= green[0] < green[2] <= blue[0] < blue[2] <= sheet.width
    assert pink[0] == red[0]
    assert pink[1] > red[3] + 30
    assert pink[3] + 30 < sheet.height


def test_masks_lie_where_they_belong_and_the_rest_stays() -> None:
    mask = np.zeros((1, 60, 120), bool)
    mask[0, :, :60] = True
    sheet = contact_sheet([Tile("a.png", Masks.from_arrays(mask), png(flat(60, 120, (90, 90, 90))))], size=240).image
    x0, y0, x1, y1 = boxes_of(sheet, (90, 90, 90))
    # The outline may take a pixel.
    assert x1 - x0 in (119, 120)
    assert y1 - y0 == 120
    inside = np.asarray(sheet)[y0:y1, x0 - 120 : x0 - 6]
    assert (abs(inside.astype(int) - 90).max(axis=2) > 20).mean() > 0.99


def test_the_default_is_a_little_wider_than_high() -> None:
    for count, across in ((1, 1), (2, 2), (3, 3), (4, 2), (6, 3), (12, 4), (24, 6), (60, 6)):
        sheet = contact_sheet([tile(32, 32, (9, 9, 9))] * count, size=32).image
        alone, pair = (contact_sheet([tile(32, 32, (9, 9, 9))] * n, size=32, columns=n).image.width for n in (1, 2))
        assert (sheet.width - alone) == (across - 1) * (pair - alone)


def test_a_picture_that_is_missing_is_grey_and_named(tmp_path: Path) -> None:
    mask = np.zeros((1, 3000, 4000), bool)
    mask[0, 5:9, 5:9] = True
    masks = Masks.from_arrays(mask)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    tiles = [
        Tile("unknown.jpg", masks),
        Tile("gone.jpg", masks, tmp_path / "gone.jpg"),
        Tile("broken.png", masks, tmp_path / "broken.png"),
        Tile("other.png", masks, png(flat(30, 40, (1, 2, 3)))),
        tile(30, 40, (1, 2, 3)),
    ]
    sheet = contact_sheet(tiles, size=100)
    assert [line.split(":")[0] for line in sheet.without_picture] == [one.name for one in tiles[:4]]
    assert "its picture is not known" in sheet.without_picture[0]
    assert "there is no image at" in sheet.without_picture[1]
    assert sheet.without_picture[3] == "other.png: its picture is 40 x 30, its masks 4000 x 3000"
    assert ((np.asarray(sheet.image) == GREY).all(axis=2)).sum() > 4 * 0.95 * 75 * 100


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, "2 masks"),
        ({"scores": [0.5, 0.75]}, "2 masks · 0.50 to 0.75"),
        ({"scores": [0.5, 0.5]}, "2 masks · 0.50"),
        ({"scores": [np.nan, 0.5]}, "2 masks · 0.50"),
        ({"scores": [np.nan, np.nan]}, "2 masks"),
        ({"labels": ["cup", None]}, "2 masks · cup"),
        ({"labels": ["cup", "cup"], "scores": [1, 1]}, "2 masks · 1.00 · 2 cup"),
    ],
)
def test_what_is_said_of_masks(columns: dict[str, list[object]], expected: str) -> None:
    assert describe(Masks.from_arrays(np.ones((2, 3, 4), bool), **columns)) == expected


def test_captions_stay_in_their_column() -> None:
    """Long names lose their beginning: files of one camera differ in their ends."""
    pale, dark = tile(32, 32, (1, 200, 1), "x"), tile(32, 32, (1, 200, 1), "w" * 300 + ".jpg")
    short = np.asarray(contact_sheet([pale, pale], size=100, columns=2).image)
    long = np.asarray(contact_sheet([pale, dark], size=100, columns=2).image)
    assert short.shape == long.shape
    left = 14 + 100 + 14
    np.testing.assert_array_equal(short[:, : left - 7], long[:, : left - 7])
    assert (long[:, left + 100 + 2 :] == 255).all()
    assert (long[:, left:] != short[:, left:]).any()


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (0, {}, "there is no image to draw"),
        (1, {"size": 31}, "the size of a tile is from 32 to 4096 pixels, got 31"),
        (1, {"size": 5000}, "from 32 to 4096"),
        (1, {"columns": 0}, "at least one column, got 0"),
    ],
)
def test_what_cannot_be_drawn(count: int, options: dict[str, int], message: str) -> None:
    with pytest.raises(ContactSheetError, match=message):
        contact_sheet([tile(32, 32, (1, 2, 3))] * count, **options)


def test_pictures_of_one_pixel_and_of_one_row() -> None:
    masks = Masks.from_arrays(np.ones((1, 1, 1), bool))
    row = Masks.from_arrays(np.ones((1, 1, 3000), bool))
    tiles = [
        Tile("a", masks, png(flat(1, 1, (5, 5, 5)))),
        Tile("b", row, png(flat(1, 3000, (5, 5, 5)))),
        Tile("c", row),
    ]
    assert contact_sheet(tiles, size=64).image.width > 64


@pytest.mark.parametrize(
    ("height", "width", "side"), [(100, 200, 50), (30, 20, 90), (7, 5, 64), (1, 1, 40), (640, 3, 32)]
)
def test_fitted_masks_keep_their_place_and_never_vanish(height: int, width: int, side: int) -> None:
    random = np.random.default_rng(height)
    arrays = np.zeros((12, height, width), bool)
    for one in arrays[:-1]:
        y0, x0 = random.integers(0, height), random.integers(0, width)
        one[y0 : y0 + random.integers(1, height + 1), x0 : x0 + random.integers(1, width + 1)] = True
    masks = Masks.from_arrays(arrays, scores=np.arange(12), labels=list("abcdefghijkl"))
    shown, fitted = fit(flat(height, width, (1, 2, 3)), masks, side)
    assert max(shown.shape[:2]) == side
    assert fitted.size == shown.shape[:2]
    assert (fitted.areas > 0).tolist() == (masks.areas > 0).tolist()
    assert fitted.labels == masks.labels
    np.testing.assert_array_equal(fitted.scores, masks.scores)
    scale = np.array([shown.shape[1] / width, shown.shape[0] / height] * 2)
    assert np.abs(fitted.boxes[:-1] - masks.boxes[:-1] * scale).max() <= 1


def test_a_whole_number_of_times_larger_is_exact() -> None:
    mask = np.random.default_rng(0).random((1, 9, 16)) > 0.5
    _, fitted = fit(flat(9, 16, (1, 2, 3)), Masks.from_arrays(mask), 64)
    np.testing.assert_array_equal(fitted.decode()[0], np.kron(mask[0], np.ones((4, 4), bool)))
