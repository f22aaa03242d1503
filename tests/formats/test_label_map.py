"""Label maps: folders of them, single ones, and those of other tools."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from noisy_masks import apart, label_maps, noisy_masks
from numpy.typing import NDArray
from PIL import Image

from anymask.formats.annotated import AnnotatedImage, Losses
from anymask.formats.instances import DatasetError
from anymask.formats.label_map import LabelMap
from anymask.formats.mask_folder_dataset import MaskFolderDataset
from anymask.formats.one_layer import flatten
from anymask.formats.pictures import write_label_map
from anymask.segment.masks import Masks

HEIGHT, WIDTH = 20, 30


def save(path: Path, values: NDArray[np.generic]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def picture(path: Path) -> Path:
    return save(path, np.full((HEIGHT, WIDTH, 3), 99, np.uint8))


def two_parts() -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[2:5, 3:9] = mask[12:18, 20:30] = True
    return mask


def write(folder: Path, images: list[AnnotatedImage], with_pictures: bool = False) -> Losses:
    losses = Losses()
    with LabelMap().open_writer(folder, losses, with_pictures) as writer:
        for image in images:
            writer.write(image)
    return losses


def read(path: Path, pictures: Path | None = None) -> dict[str, Masks]:
    return {image.name: image.masks for image in LabelMap().read(path, pictures)}


@settings(max_examples=40, deadline=None)
@given(label_maps())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.int64]) -> None:
    folder = tmp_path_factory.mktemp("maps")
    arrays = apart(values)
    masks = Masks.from_arrays(arrays) if len(arrays) else Masks.empty(values.shape)
    assert not write(folder, [AnnotatedImage("deep/a.jpg", masks)]).counts
    assert read(folder / "masks") == {"deep/a.jpg": masks}
    with Image.open(folder / "masks/deep/a.png") as map_of_masks:
        assert map_of_masks.mode == "I;16"
        found = np.asarray(map_of_masks)
    np.testing.assert_array_equal(apart(found.astype(np.int64)), arrays)
    assert read(folder) == {"deep/a.jpg": masks}


@settings(max_examples=40, deadline=None)
@given(noisy_masks())
def test_it_is_what_write_label_map_writes(tmp_path_factory: pytest.TempPathFactory, arrays: NDArray[np.bool_]) -> None:
    folder = tmp_path_factory.mktemp("maps")
    masks = Masks.from_arrays(arrays)
    losses = write(folder, [AnnotatedImage("a.jpg", masks)])
    write_label_map(folder / "other.png", masks)
    assert (folder / "masks/a.png").read_bytes() == (folder / "other.png").read_bytes()
    # What is counted is what is missing, and what is not as it was.
    values = masks.label_map()
    left = [int((values == number + 1).sum()) for number in range(len(masks))]
    assert losses.counts.total() == sum(area == 0 or area < masks.areas[number] for number, area in enumerate(left))
    assert len(read(folder)["a.jpg"]) == sum(area > 0 for area in left)


def test_more_masks_than_numbers() -> None:
    masks = Masks.from_arrays(np.stack([two_parts(), ~two_parts(), two_parts() & False, two_parts() | True]))
    losses = Losses()
    kept, layer = flatten(masks, 2, losses)
    assert kept == masks[[1, 3]]
    np.testing.assert_array_equal(layer, np.where(two_parts(), 2, 1))
    assert losses.lines() == [
        "of more than 2 masks the largest are kept (2 masks)",
        "masks give the pixels they share to the smaller one (1 mask)",
    ]


def test_labels_and_scores_are_counted(tmp_path: Path) -> None:
    masks = Masks.from_arrays(two_parts(), scores=[0.5], labels=["cup"], crops=[[0, 0, 9, 9]])
    losses = write(tmp_path, [AnnotatedImage("a.jpg", masks)])
    assert losses.lines() == [
        "labels are not written (1 mask)",
        "scores are not written (1 mask)",
        "crops are not written (1 mask)",
    ]


def test_training_reads_what_is_written(tmp_path: Path) -> None:
    masks = Masks.from_arrays(np.stack([two_parts(), ~two_parts()]))
    images = [
        AnnotatedImage(name, one, picture(tmp_path / "pictures" / name))
        for name, one in (("a.png", masks), ("a.jpg", masks[:1]), ("a/b.png", masks[1:]), ("c.png", masks[:0]))
    ]
    write(tmp_path / "set", images, with_pictures=True)
    assert read(tmp_path / "set") == {image.name: image.masks for image in images}
    dataset = MaskFolderDataset(tmp_path / "set")
    assert [dataset.name(index) for index in range(4)] == ["b.png", "a.jpg", "a.png", "c.png"]
    assert [dataset.masks(index) for index in range(4)] == [masks.rles[1:], masks.rles[:1], masks.rles, []]
    assert dataset.image(3).shape == (HEIGHT, WIDTH, 3)


def test_one_file(tmp_path: Path) -> None:
    masks = Masks.from_arrays(np.stack([two_parts(), ~two_parts()]))
    write_label_map(tmp_path / "truck.png", masks)
    (image,) = LabelMap().read(tmp_path / "truck.png")
    assert (image.name, image.masks, image.picture) == ("truck.jpg", masks, None)
    assert LabelMap().recognises(tmp_path / "truck.png")
    for place in ("truck.webp", "truck.jpg", "../images/truck.bmp", "elsewhere/truck.tif"):
        there = picture(tmp_path / "x" / place)
        target = tmp_path / "x/truck.png"
        target.write_bytes((tmp_path / "truck.png").read_bytes())
        (image,) = LabelMap().read(target, tmp_path / "x/elsewhere" if "elsewhere" in place else None)
        assert image.picture is not None
        assert image.picture.samefile(there)
        assert image.name == there.name
        there.unlink()
    assert not LabelMap().recognises(picture(tmp_path / "photo.png"))
    (tmp_path / "truck.png").write_bytes(b"no picture")
    assert not LabelMap().recognises(tmp_path / "truck.png")
    with pytest.raises(DatasetError, match="cannot read the mask"):
        read(tmp_path / "truck.png")


@pytest.mark.parametrize("name", ["a.png", "a_mask.png", "a_masks.tif", "a_label.bmp"])
def test_masks_of_other_tools(tmp_path: Path, name: str) -> None:
    picture(tmp_path / "images/a.jpg")
    save(tmp_path / "masks" / name, two_parts().astype(np.uint8) * np.uint8(255))
    (image,) = LabelMap().read(tmp_path)
    assert (image.name, image.picture) == ("a.jpg", tmp_path / "images/a.jpg")
    assert image.masks.areas.tolist() == [18, 60]
    assert LabelMap().recognises(tmp_path)


def test_pictures_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "set", [AnnotatedImage("deep/a.png", Masks.from_arrays(two_parts()))])
    assert list(read(tmp_path / "set")) == ["deep/a.jpg"]
    there = picture(tmp_path / "pictures/deep/a.png")
    (image,) = LabelMap().read(tmp_path / "set", tmp_path / "pictures")
    assert (image.name, image.picture) == ("deep/a.png", there)


def test_wrong_folders_and_files(tmp_path: Path) -> None:
    assert not LabelMap().recognises(tmp_path)
    with pytest.raises(DatasetError, match="holds no pictures of masks"):
        read(tmp_path)
    picture(tmp_path / "images/a.jpg")
    save(tmp_path / "masks/b.png", two_parts())
    save(tmp_path / "masks/a.png", two_parts())
    save(tmp_path / "masks/a.tif", two_parts())
    (tmp_path / "masks/c.png").write_bytes(b"no picture")
    first, second, third = LabelMap().read_each(tmp_path)
    assert str(first).endswith("a.jpg has several masks: a.png, a.tif; keep one")
    assert isinstance(second, AnnotatedImage)
    assert second.name == "b.jpg"
    assert "cannot read the mask" in str(third)
