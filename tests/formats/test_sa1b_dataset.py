"""SA-1B folders: a JSON beside each image."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from anymask.formats.instances import DatasetError
from anymask.formats.sa1b_dataset import Sa1bDataset

HEIGHT, WIDTH = 30, 40


def blob() -> NDArray[np.uint8]:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:20, 8:30] = 1
    return np.asfortranarray(mask)


COMPRESSED = {"size": [HEIGHT, WIDTH], "counts": coco_mask.encode(blob())["counts"].decode()}
UNCOMPRESSED = {"size": [HEIGHT, WIDTH], "counts": [8 * 30 + 5, *[15, 15] * 21, 15, 10 + 10 * 30]}


@pytest.fixture
def sa1b(tmp_path: Path) -> Path:
    for number, suffix in enumerate((".jpg", ".png", ".JPG")):
        folder = tmp_path / "deep" if number else tmp_path
        folder.mkdir(exist_ok=True)
        picture = np.full((HEIGHT, WIDTH, 3), 40 * number, np.uint8)
        assert cv2.imwrite(str(folder / f"sa_{number}{suffix}"), picture)
        described = {
            "image": {"width": WIDTH, "height": HEIGHT, "file_name": f"sa_{number}{suffix}"},
            "annotations": [
                {"segmentation": COMPRESSED, "predicted_iou": 0.9},
                {"segmentation": UNCOMPRESSED},
            ],
        }
        (folder / f"sa_{number}.json").write_text(json.dumps(described))
    (tmp_path / "alone.jpg").write_bytes((tmp_path / "sa_0.jpg").read_bytes())
    return tmp_path


def test_sa1b_folders(sa1b: Path) -> None:
    dataset = Sa1bDataset(sa1b)
    found = {dataset.name(index): index for index in range(len(dataset))}
    assert set(found) == {"sa_0.jpg", "sa_1.png", "sa_2.JPG"}
    for index in range(3):
        for rle in dataset.masks(index):
            np.testing.assert_array_equal(coco_mask.decode(rle), blob())
        assert dataset.categories(index) == ["", ""]
    assert (dataset.image(found["sa_1.png"]) == 40).all()
    parts = [Sa1bDataset(sa1b, split=split) for split in ("train", "validation")]
    assert sum(len(part) for part in parts) == 3


def test_wrong_sa1b_folders(sa1b: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(DatasetError, match="is not a folder"):
        Sa1bDataset(sa1b / "sa_0.json")
    with pytest.raises(DatasetError, match=r"holds no NAME\.jpg"):
        Sa1bDataset(tmp_path_factory.mktemp("empty"))
    with pytest.raises(DatasetError, match="unknown split"):
        Sa1bDataset(sa1b, split="test")
    for text, message in (("{}", "not in SA-1B's layout"), ("[]", "not in SA-1B's"), ("{", "not valid JSON")):
        (sa1b / "sa_0.json").write_text(text)
        dataset = Sa1bDataset(sa1b)
        index = [dataset.name(index) for index in range(3)].index("sa_0.jpg")
        with pytest.raises(DatasetError, match=message):
            dataset.masks(index)


def test_an_image_of_another_size_than_its_masks(sa1b: Path) -> None:
    assert cv2.imwrite(str(sa1b / "sa_0.jpg"), np.zeros((WIDTH, HEIGHT, 3), np.uint8))
    dataset = Sa1bDataset(sa1b)
    index = [dataset.name(index) for index in range(3)].index("sa_0.jpg")
    with pytest.raises(DatasetError, match=r"sa_0\.jpg is 30 x 40, but its annotations are for 40 x 30"):
        dataset.image(index)
