"""The original script's folders: what it writes is read, and what is written has its columns."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noisy_masks import noisy_masks
from numpy.typing import NDArray
from PIL import Image

from anymask.formats.annotated import AnnotatedImage, Losses
from anymask.formats.instances import DatasetError
from anymask.formats.script_folder import ScriptFolder
from anymask.segment.masks import Masks

HEIGHT, WIDTH = 20, 30
HEAD = (
    "id,area,bbox_x0,bbox_y0,bbox_w,bbox_h,point_input_x,point_input_y,predicted_iou,stability_score,"
    "crop_box_x0,crop_box_y0,crop_box_w,crop_box_h"
)


def rows() -> NDArray[np.bool_]:
    """Twelve masks, each of one row."""
    return np.eye(12, HEIGHT, dtype=bool)[:, :, None].repeat(WIDTH, axis=2)


def write(folder: Path, images: list[AnnotatedImage], with_pictures: bool = False) -> Losses:
    losses = Losses()
    with ScriptFolder().open_writer(folder, losses, with_pictures) as writer:
        for image in images:
            writer.write(image)
    return losses


def read(path: Path, pictures: Path | None = None) -> dict[str, Masks]:
    return {image.name: image.masks for image in ScriptFolder().read(path, pictures)}


def as_the_script(folder: Path, content: str, count: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        assert cv2.imwrite(str(folder / f"{index}.png"), rows()[index].astype(np.uint8) * 255)
    (folder / "metadata.csv").write_text(content)


@settings(max_examples=40, deadline=None)
@given(noisy_masks(), st.data())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, arrays: NDArray[np.bool_], data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("script")
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**60), max_value=2.0**60)

    def column(*shape: int) -> NDArray[np.float32] | None:
        count = len(arrays) * int(np.prod(shape, initial=1))
        values = data.draw(st.none() | st.lists(numbers, min_size=count, max_size=count))
        return None if values is None or not len(arrays) else np.float32(values).reshape(len(arrays), *shape)

    corners = column(2)
    crops = None if corners is None else np.concatenate([corners, corners * np.float32(1.3) + 7], axis=1)
    text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)
    labels = data.draw(st.none() | st.lists(st.none() | text, min_size=len(arrays), max_size=len(arrays)))
    masks = Masks.from_arrays(
        arrays,
        scores=column(),
        stability=column(),
        points=column(2),
        crops=crops,
        labels=labels if labels and any(labels) else None,
    )
    losses = write(folder, [AnnotatedImage("deep/a.jpg", masks)])
    assert not losses.counts
    assert read(folder) == {"deep/a.jpg": masks}


def test_what_the_script_writes(tmp_path: Path) -> None:
    """Rows as it writes them: whole numbers of crops without a point, no line break at the end."""
    content = (
        f"{HEAD}\n0,30,0,0,29,0,468.75,300.0,1.0083764791488647,0.9815950989723206,0,0,30,20\n"
        "1,30,0,1,29,0,12.5,0.25,0.9,0.95,3,4,27,16"
    )
    as_the_script(tmp_path / "out/photo", content)
    expected = Masks.from_arrays(
        rows()[:2],
        scores=[1.0083764791488647, 0.9],
        stability=[0.9815950989723206, 0.95],
        points=[[468.75, 300], [12.5, 0.25]],
        crops=[[0, 0, 30, 20], [3, 4, 30, 20]],
    )
    for path in (tmp_path / "out", tmp_path / "out/photo", tmp_path / "out/photo/metadata.csv"):
        assert ScriptFolder().recognises(path)
        assert read(path) == {"photo.jpg": expected}
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "photo.png")
    (image,) = ScriptFolder().read(tmp_path / "out", tmp_path)
    assert (image.name, image.picture) == ("photo.png", tmp_path / "photo.png")


def test_what_is_written_has_the_script_s_columns(tmp_path: Path) -> None:
    arrays = np.stack([rows()[2], np.zeros((HEIGHT, WIDTH), bool)])
    masks = Masks.from_arrays(arrays, scores=[0.1, 1], points=[[1.5, 2], [0, 3]])
    write(tmp_path, [AnnotatedImage("a.png", masks)])
    assert (tmp_path / "a/metadata.csv").read_text() == (
        f"{HEAD}\n0,30,0,2,29,0,1.5,2,0.1,,,,,\n1,0,0,0,0,0,0,3,1,,,,,\n"
    )
    for index, mask in enumerate(arrays):
        pixels = cv2.imread(str(tmp_path / f"a/{index}.png"), cv2.IMREAD_UNCHANGED)
        assert pixels is not None
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, mask * 255)
    with (tmp_path / "a/metadata.csv").open(newline="") as stream:
        assert {len(row) for row in csv.reader(stream)} == {14}


def test_columns_may_be_missing(tmp_path: Path) -> None:
    as_the_script(tmp_path / "a", "\ufeffid, predicted_iou,area\n1,0.5,\n\n0,0.25,\n")
    masks = read(tmp_path)["a.jpg"]
    np.testing.assert_array_equal(masks.decode(), rows()[[1, 0]])
    assert masks.scores is not None
    assert masks.scores.tolist() == [0.5, 0.25]
    assert masks.points is None
    as_the_script(tmp_path / "a", "id,predicted_iou\n1,0.5\n0,\n")
    assert read(tmp_path)["a.jpg"].scores is None


def test_images_without_masks(tmp_path: Path) -> None:
    write(tmp_path / "own", [AnnotatedImage("a.jpg", Masks.empty((3, 5)))])
    assert read(tmp_path / "own") == {"a.jpg": Masks.empty((3, 5))}
    as_the_script(tmp_path / "its/a", HEAD, count=0)
    with pytest.raises(DatasetError, match=r"a/metadata\.csv lists no mask, .*give the folder of the pictures too"):
        read(tmp_path / "its")
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.png")
    assert read(tmp_path / "its", tmp_path) == {"a.png": Masks.empty((HEIGHT, WIDTH))}
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="lists no mask, and the image's size is not known"):
        read(tmp_path / "its", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("area\n3\n", "has no column id"),
        ("id,area\n0,3,4\n", "line 2 has not as many fields as the head"),
        ("id,area\n0\n", "line 2 has not as many fields as the head"),
        ("id\n7\n", r"lists the mask 7, and there is no 7\.png beside it"),
        ("id\n../b/0\n", "id of the mask ../b/0 is not a number"),
        ("id\nnan\n", "lists the mask nan"),
        ("id,predicted_iou\n0,high\n", "predicted_iou of the mask 0 is not a number: 'high'"),
        ('id,label\n0,"cup\n', "is not a table of comma-separated values"),
    ],
)
def test_wrong_tables(tmp_path: Path, content: str, message: str) -> None:
    as_the_script(tmp_path / "a", content)
    as_the_script(tmp_path / "b", "id\n0\n")
    with pytest.raises(DatasetError, match=rf"a/metadata\.csv:? ?{message}|a/metadata\.csv.*{message}"):
        read(tmp_path)
    first, second = ScriptFolder().read_each(tmp_path)
    assert isinstance(first, DatasetError)
    assert isinstance(second, AnnotatedImage)


def test_masks_that_differ_in_size(tmp_path: Path) -> None:
    as_the_script(tmp_path / "a", "id\n0\n1\n")
    assert cv2.imwrite(str(tmp_path / "a/1.png"), np.zeros((3, 4), np.uint8))
    with pytest.raises(DatasetError, match=r"the masks in .*a differ in size: \[\(3, 4\), \(20, 30\)\]"):
        read(tmp_path)


def test_recognising(tmp_path: Path) -> None:
    assert not ScriptFolder().recognises(tmp_path)
    (tmp_path / "metadata.csv").write_text("file_name,label\na.jpg,cup\n")
    assert not ScriptFolder().recognises(tmp_path)
    with pytest.raises(DatasetError, match="has no column id"):
        read(tmp_path)
    (tmp_path / "metadata.csv").unlink()
    with pytest.raises(DatasetError, match=r"holds no folder with metadata\.csv in it"):
        read(tmp_path)
