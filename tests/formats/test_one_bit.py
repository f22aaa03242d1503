"""A picture of one bit for each mask, and folders of objects of other tools."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from noisy_masks import noisy_masks
from numpy.typing import NDArray
from PIL import Image

from anymask.formats.annotated import AnnotatedImage, Losses
from anymask.formats.instances import DatasetError
from anymask.formats.label_map import LabelMap
from anymask.formats.mask_folder_dataset import MaskFolderDataset
from anymask.formats.one_bit import OneBit
from anymask.segment.masks import Masks

HEIGHT, WIDTH = 20, 30


def save(path: Path, values: NDArray[np.generic]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def picture(path: Path) -> Path:
    return save(path, np.full((HEIGHT, WIDTH, 3), 99, np.uint8))


def rows() -> NDArray[np.bool_]:
    """Twelve masks, each of one row."""
    return np.eye(12, HEIGHT, dtype=bool)[:, :, None].repeat(WIDTH, axis=2)


def write(folder: Path, images: list[AnnotatedImage], with_pictures: bool = False) -> Losses:
    losses = Losses()
    with OneBit().open_writer(folder, losses, with_pictures) as writer:
        for image in images:
            writer.write(image)
    return losses


def read(path: Path, pictures: Path | None = None) -> dict[str, Masks]:
    return {image.name: image.masks for image in OneBit().read(path, pictures)}


@settings(max_examples=40, deadline=None)
@given(noisy_masks())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, arrays: NDArray[np.bool_]) -> None:
    folder = tmp_path_factory.mktemp("bits")
    masks = Masks.from_arrays(arrays)
    assert not write(folder, [AnnotatedImage("deep/a.jpg", masks)]).counts
    for index, mask in enumerate(arrays):
        file = folder / f"masks/deep/a/{index:04}.png"
        with Image.open(file) as one:
            assert one.mode == "1"
        np.testing.assert_array_equal(cv2.imread(str(file), cv2.IMREAD_UNCHANGED), mask * 255)
    assert OneBit().recognises(folder)
    assert not LabelMap().recognises(folder)
    assert read(folder) == {"deep/a.jpg": masks}


def test_training_reads_what_is_written(tmp_path: Path) -> None:
    masks = Masks.from_arrays(rows())
    images = [
        AnnotatedImage(name, one, picture(tmp_path / "pictures" / name))
        for name, one in (("a.png", masks), ("a.jpg", masks[:1]), ("a/b.png", masks[1:3]), ("c.png", masks[:0]))
    ]
    write(tmp_path / "set", images, with_pictures=True)
    assert read(tmp_path / "set") == {image.name: image.masks for image in images}
    dataset = MaskFolderDataset(tmp_path / "set")
    assert [dataset.name(index) for index in range(4)] == ["b.png", "a.jpg", "a.png", "c.png"]
    assert [dataset.masks(index) for index in range(4)] == [masks.rles[1:3], masks.rles[:1], masks.rles, []]
    assert dataset.image(3).shape == (HEIGHT, WIDTH, 3)


def test_order_goes_by_numbers(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    for index, mask in enumerate(rows()):
        save(tmp_path / f"masks/a/{index}.png", mask.astype(np.uint8) * np.uint8(255))
    np.testing.assert_array_equal(read(tmp_path)["a.jpg"].decode(), rows())


def test_a_folder_for_each_image(tmp_path: Path) -> None:
    for name, inside in (("one", "one.png"), ("two", "image.png")):
        picture(tmp_path / name / "images" / inside)
        save(tmp_path / name / "masks/b.png", rows()[0])
        save(tmp_path / name / "masks/a.png", rows()[1])
    picture(tmp_path / "three/images/three.png")
    (tmp_path / "three/masks").mkdir()
    assert OneBit().recognises(tmp_path)
    expected = Masks.from_arrays(rows()[[1, 0]])
    assert read(tmp_path) == {"one.png": expected, "two/image.png": expected}
    picture(tmp_path / "two/images/other.png")
    found = list(OneBit().read_each(tmp_path))
    assert str(found[1]).endswith("images must hold one image, not 2")


def test_folders_without_pictures_of_their_images(tmp_path: Path) -> None:
    save(tmp_path / "masks/a/1.png", rows()[0].astype(np.uint8))
    save(tmp_path / "masks/a/2.png", rows()[1].astype(np.uint8))
    assert {name: len(masks) for name, masks in read(tmp_path).items()} == {"a.jpg": 2}
    # Grey pictures alone could as well be label maps in a folder, and are only read as objects if that is said.
    assert LabelMap().recognises(tmp_path)
    (image,) = OneBit().read(tmp_path, picture(tmp_path / "pictures/a.webp").parent)
    assert image.name == "a.webp"


def test_a_black_picture_called_none_stands_for_no_mask(tmp_path: Path) -> None:
    write(
        tmp_path, [AnnotatedImage("a.jpg", Masks.empty((3, 5))), AnnotatedImage("b.jpg", Masks.from_arrays(rows()[:1]))]
    )
    assert [path.name for path in (tmp_path / "masks/a").iterdir()] == ["none.png"]
    assert read(tmp_path)["a.jpg"] == Masks.empty((3, 5))
    save(tmp_path / "masks/a/none.png", np.ones((3, 5), bool))
    assert read(tmp_path)["a.jpg"].areas.tolist() == [15]


def test_wrong_folders_and_files(tmp_path: Path) -> None:
    assert not OneBit().recognises(tmp_path)
    with pytest.raises(DatasetError, match="holds no pictures of masks"):
        read(tmp_path)
    for name in "abc":
        picture(tmp_path / f"images/{name}.jpg")
        save(tmp_path / f"masks/{name}/0.png", rows()[0])
    save(tmp_path / "masks/a/1.png", rows()[0][:-1])
    (tmp_path / "masks/b/1.png").write_bytes(b"no picture")
    first, second, third = OneBit().read_each(tmp_path)
    assert "masks/a differ in size: [(19, 30), (20, 30)]" in str(first)
    assert "cannot read the mask" in str(second)
    assert isinstance(third, AnnotatedImage)
    with pytest.raises(DatasetError, match="is not a folder, and masks of one bit lie in one"):
        read(tmp_path / "masks/a/0.png")
