"""The folder of results: what is written is what was found."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anymask.formats import to_record, write_folder
from anymask.segment.masks import Masks

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
OVERLAY = Image.fromarray(IMAGE[::-1].copy())


def masks() -> Masks:
    arrays = np.zeros((2, 20, 30), bool)
    arrays[0, 2:9, 3:20] = True
    arrays[0, 4, 5] = False
    return Masks.from_arrays(arrays, scores=[0.9, 0.1])


def write(folder: Path) -> list[Path]:
    record = to_record("cat.jpg", masks(), model="pocket")
    return write_folder(folder, "cat", IMAGE, masks(), OVERLAY, record)


def test_the_files_are_the_masks(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    files = write(folder)
    expected = ["cat-overlay.png", "cat-mask-0.png", "cat-cutout-0.png", "cat-mask-1.png", "cat.json"]
    assert [path.name for path in files] == expected
    assert sorted(folder.iterdir()) == sorted(files)
    for index, array in enumerate(masks().decode()):
        picture = Image.open(folder / f"cat-mask-{index}.png")
        assert picture.mode == "L"
        np.testing.assert_array_equal(np.asarray(picture), array * 255)
    cut_out = np.asarray(Image.open(folder / "cat-cutout-0.png"))
    assert cut_out.shape == (7, 17, 4)
    np.testing.assert_array_equal(cut_out[..., 3], masks().mask(0)[2:9, 3:20] * 255)
    np.testing.assert_array_equal(cut_out[..., :3][cut_out[..., 3] > 0], IMAGE[masks().mask(0)])
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "cat-overlay.png")), np.asarray(OVERLAY))


def test_the_record_names_the_files(tmp_path: Path) -> None:
    write(tmp_path)
    record = json.loads((tmp_path / "cat.json").read_text())
    assert record["overlay"] == "cat-overlay.png"
    assert [entry.get("mask_file") for entry in record["masks"]] == ["cat-mask-0.png", "cat-mask-1.png"]
    # There is nothing to cut out of an empty mask.
    assert [entry.get("cut_out_file") for entry in record["masks"]] == ["cat-cutout-0.png", None]
    again = Masks.from_coco(record["masks"], (record["height"], record["width"]))
    np.testing.assert_array_equal(again.decode(), masks().decode())


def test_the_record_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    before = (tmp_path / "cat.json").read_text()

    def fail(self: Masks, *given: object) -> None:
        del self, given
        raise OSError("disk full")

    monkeypatch.setattr(Masks, "cut_out", fail)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path)
    assert (tmp_path / "cat.json").read_text() == before
    assert not [path for path in tmp_path.iterdir() if ".tmp" in path.name]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match="out"):
        write(tmp_path / "out")
