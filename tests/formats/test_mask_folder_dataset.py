"""Masks that are pictures: what each layout and each kind of picture says."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anymask.formats.instances import DatasetError
from anymask.formats.mask_folder_dataset import MaskFolderDataset
from anymask.segment import rle

HEIGHT, WIDTH = 30, 40


def save(path: Path, values: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def picture(path: Path) -> None:
    save(path, np.full((HEIGHT, WIDTH, 3), 120, np.uint8))


def two_squares(first: int, second: int, dtype: type = np.uint8) -> NDArray[np.generic]:
    values = np.zeros((HEIGHT, WIDTH), dtype)
    values[2:8, 3:9] = first
    values[15:25, 20:35] = second
    return values


def areas(dataset: MaskFolderDataset, index: int = 0) -> list[int]:
    return rle.area(dataset.masks(index)).tolist()


@pytest.mark.parametrize(
    ("values", "objects", "expected"),
    [
        (two_squares(1, 2), "auto", [36, 150]),
        (two_squares(1, 300, np.uint16), "auto", [36, 150]),
        (two_squares(1, 70_000, np.int32), "auto", [36, 150]),
        (two_squares(255, 255), "auto", [36, 150]),
        (two_squares(1, 1), "auto", [36, 150]),
        (two_squares(255, 255) > 0, "auto", [36, 150]),
        (two_squares(1, 1), "labels", [186]),
        (two_squares(7, 7), "whole", [186]),
        (two_squares(100, 255), "whole", [150]),
        (two_squares(1, 2), "components", [36, 150]),
        (np.stack([two_squares(200, 0), two_squares(0, 90), two_squares(0, 0)], axis=2), "auto", [150, 36]),
        (np.dstack([two_squares(9, 9)] * 3 + [np.full((HEIGHT, WIDTH), 255, np.uint8)]), "auto", [36, 150]),
    ],
)
def test_what_a_picture_holds(tmp_path: Path, values: NDArray[np.generic], objects: str, expected: list[int]) -> None:
    picture(tmp_path / "images/a.jpg")
    # Pillow writes no PNG of 32 bits.
    save(tmp_path / f"masks/a.{'tif' if values.dtype == np.int32 else 'png'}", values)
    dataset = MaskFolderDataset(tmp_path, objects=objects)
    assert areas(dataset) == expected
    assert dataset.categories(0) == ["", ""][: len(expected)]


def test_palette_pictures_are_read_by_their_indices(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    palette = Image.fromarray(two_squares(1, 2)).convert("P")
    palette.putpalette([0, 0, 0, 128, 0, 0, 128, 0, 0])
    (tmp_path / "masks").mkdir()
    palette.save(tmp_path / "masks" / "a.png")
    assert areas(MaskFolderDataset(tmp_path)) == [36, 150]


def test_smooth_edges_are_not_objects(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    smooth = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(smooth, (15, 15), 9, 255, -1, cv2.LINE_AA)
    assert len(np.unique(smooth)) > 3
    save(tmp_path / "masks/a.png", smooth)
    assert areas(MaskFolderDataset(tmp_path)) == [int((smooth > 127).sum())]


def test_a_folder_for_each_image(tmp_path: Path) -> None:
    for name in ("one", "two"):
        picture(tmp_path / f"{name}/images/{name}.png")
        for number, area in enumerate((two_squares(255, 0), two_squares(0, 255), two_squares(0, 0))):
            save(tmp_path / f"{name}/masks/{number}.png", area)
    dataset = MaskFolderDataset(tmp_path)
    assert [dataset.name(index) for index in range(len(dataset))] == ["one.png", "two.png"]
    # One file is one object, even of several parts; empty ones are left out.
    assert areas(dataset, 1) == [36, 150]
    save(tmp_path / "two/masks/2.png", two_squares(255, 255))
    assert areas(MaskFolderDataset(tmp_path), 1) == [36, 150, 186]
    assert dataset.image(0).shape == (HEIGHT, WIDTH, 3)


def test_a_folder_of_masks_for_each_image(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    picture(tmp_path / "images/b.jpg")
    save(tmp_path / "masks/a/1.png", two_squares(255, 0))
    save(tmp_path / "masks/a/2.png", two_squares(0, 1))
    save(tmp_path / "masks/b_mask.png", two_squares(1, 2))
    dataset = MaskFolderDataset(tmp_path)
    assert [areas(dataset, index) for index in range(2)] == [[36, 150], [36, 150]]


def test_images_without_masks_are_counted(tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / f"images/{name}.png")
    save(tmp_path / "masks/b.png", two_squares(1, 2))
    dataset = MaskFolderDataset(tmp_path)
    assert len(dataset) == 1
    assert dataset.without_masks == 2


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds neither images/ and masks/ nor folders with both"):
        MaskFolderDataset(tmp_path)
    save(tmp_path / "masks/x.png", two_squares(1, 2))
    with pytest.raises(DatasetError, match=r"holds masks, but there is no folder .*images"):
        MaskFolderDataset(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(DatasetError, match="holds no image"):
        MaskFolderDataset(tmp_path)
    picture(tmp_path / "images/a.jpg")
    with pytest.raises(DatasetError, match=r"no mask in .* belongs to an image .*: the mask of a\.jpg would be a\.png"):
        MaskFolderDataset(tmp_path)
    with pytest.raises(DatasetError, match="objects must be one of auto, labels, components, whole, not 'all'"):
        MaskFolderDataset(tmp_path, objects="all")


def test_wrong_files(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    save(tmp_path / "masks/a.png", two_squares(1, 2)[:, :-3])
    with pytest.raises(DatasetError, match=r"a\.jpg is 40 x 30, but its annotations are for 37 x 30"):
        MaskFolderDataset(tmp_path).image(0)
    save(tmp_path / "masks/a.png", np.zeros((9, 9), np.uint8))
    dataset = MaskFolderDataset(tmp_path)
    assert dataset.masks(0) == []
    with pytest.raises(DatasetError, match="but its annotations are for 9 x 9"):
        dataset.image(0)
    (tmp_path / "masks/a.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"cannot read the mask .*a\.png"):
        MaskFolderDataset(tmp_path).masks(0)
    (tmp_path / "masks/a.png").unlink()
    save(tmp_path / "masks/a.jpg", two_squares(255, 255))
    with pytest.raises(DatasetError, match="must be stored without loss"):
        MaskFolderDataset(tmp_path).masks(0)
    save(tmp_path / "masks/a.png", two_squares(255, 255))
    with pytest.raises(DatasetError, match=r"has several masks: a\.jpg, a\.png; keep one"):
        MaskFolderDataset(tmp_path)
    (tmp_path / "masks/a.jpg").unlink()
    (tmp_path / "images/a.jpg").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"cannot read the image .*a\.jpg"):
        MaskFolderDataset(tmp_path).image(0)


def test_masks_of_one_image_that_differ_in_size(tmp_path: Path) -> None:
    picture(tmp_path / "a/images/a.png")
    save(tmp_path / "a/masks/1.png", two_squares(1, 0))
    save(tmp_path / "a/masks/2.png", two_squares(1, 0)[:-1])
    with pytest.raises(DatasetError, match=r"the masks in .* differ in size: \[\(29, 40\), \(30, 40\)\]"):
        MaskFolderDataset(tmp_path).masks(0)
