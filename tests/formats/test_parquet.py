"""Masks as rows of a Parquet file."""

import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask
from random_images import random_images

from anymask.formats import parquet as module
from anymask.formats.annotated import AnnotatedImage, FormatError, Losses
from anymask.formats.instances import DatasetError
from anymask.formats.parquet import Parquet
from anymask.formats.registry import FORMATS, format_for_writing, recognise_format
from anymask.segment.errors import MissingPackageError
from anymask.segment.masks import Masks

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ANY_NUMBER = st.floats(width=32)


def write(images: Iterable[AnnotatedImage], path: Path, with_pictures: bool = False) -> Path:
    losses = Losses()
    with Parquet().open_writer(path, losses, with_pictures) as writer:
        for image in images:
            writer.write(image)
    assert not losses.counts
    return path


def images() -> list[AnnotatedImage]:
    arrays = np.random.default_rng(0).random((3, 7, 9)) < 0.5
    first = Masks.from_arrays(
        arrays,
        scores=[0.25, 0.75, 0.5],
        stability=[1, 0.5, 0.25],
        points=[(0, 1), (2, 3.5), (4, 5)],
        crops=[(0, 0, 9, 7), (1, 2, 9, 7), (0, 0, 9, 7)],
        labels=["car", None, "car"],
    )
    return [
        AnnotatedImage("street/a.jpg", first),
        AnnotatedImage("b.jpg", Masks.empty((5, 6))),
        AnnotatedImage("c.jpg", Masks.from_arrays(arrays[:2])),
    ]


def table(path: Path) -> Any:
    return parquet.read_table(path)


def rewrite(path: Path, **columns: Any) -> Path:
    """Replace columns of a file, or drop those that are None."""
    there = table(path)
    for name, values in columns.items():
        at = there.schema.get_field_index(name)
        there = there.remove_column(at)
        if values is not None:
            there = there.add_column(at, name, values if isinstance(values, pyarrow.Array) else pyarrow.array(values))
    parquet.write_table(there, path)
    return path


@settings(max_examples=40, deadline=None)
@given(images=random_images(ANY_NUMBER))
def test_everything_comes_back(tmp_path_factory: pytest.TempPathFactory, images: list[AnnotatedImage]) -> None:
    path = write(images, tmp_path_factory.mktemp("parquet") / "set.parquet")
    assert list(Parquet().read(path)) == images
    assert list(path.parent.iterdir()) == [path]
    first = path.read_bytes()
    write(images, path)
    assert path.read_bytes() == first


def test_pandas_reads_what_is_written(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = write(images(), tmp_path / "masks.parquet")
    rows = pandas.read_parquet(path)
    assert rows.image.tolist() == ["street/a.jpg"] * 3 + ["b.jpg"] + ["c.jpg"] * 2
    assert rows["mask"].fillna(-1).tolist() == [0, 1, 2, -1, 0, 1]
    car = pandas.read_parquet(path).query("label == 'car'").sort_values("score").iloc[-1]
    pixels = coco_mask.decode({"size": [car.height, car.width], "counts": car.counts})
    expected = images()[0].masks[2]
    np.testing.assert_array_equal(pixels, expected.mask())
    assert [car.x0, car.y0, car.x1, car.y1] == expected.boxes[0].tolist()
    assert (car.area, car.score, car.stability) == (pixels.sum(), 0.5, 0.25)
    assert (car.point_x, car.point_y, car.crop.tolist()) == (4, 5, [0, 0, 9, 7])
    unknown = ["score", "stability", "point_x", "point_y", "crop", "label"]
    assert rows[unknown][3:].isna().all(axis=None)
    assert rows[["counts", "x0", "y0", "x1", "y1", "area"]].iloc[3].isna().all()


def test_what_pandas_writes_back_is_read(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = write(images(), tmp_path / "set.parquet")
    rows = pandas.read_parquet(path)
    rows[rows.score.isna() | (rows.score > 0.3)].to_parquet(path)
    first, second, third = Parquet().read(path)
    assert first == AnnotatedImage("street/a.jpg", images()[0].masks[1:])
    assert [second, third] == images()[1:]


def test_the_schema_says_its_version_and_groups_are_of_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(images(), tmp_path / "set.parquet")
    assert parquet.read_schema(path).metadata[b"anymask.version"] == b"1"
    monkeypatch.setattr(module, "_ROWS", 4)
    many = [AnnotatedImage(f"{number}.jpg", images()[0].masks) for number in range(5)]
    many.append(AnnotatedImage("large.jpg", Masks.concatenate([images()[0].masks] * 3)))
    write(many, path)
    opened = parquet.ParquetFile(path)
    assert [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)] == [
        4,
        2,
        4,
        2,
        4,
        4,
        4,
    ]
    assert list(Parquet().read(path)) == many
    monkeypatch.setattr(module, "_BYTES", 1)
    monkeypatch.setattr(module, "_ROWS", 100)
    write(many[:2], path)
    assert parquet.ParquetFile(path).num_row_groups == 2


def test_columns_of_other_types_are_read(tmp_path: Path) -> None:
    path = write(images(), tmp_path / "set.parquet")
    there = table(path)
    rewrite(
        path,
        image=there["image"].combine_chunks().dictionary_encode(),
        width=there["width"].combine_chunks().cast(pyarrow.uint16()),
        mask=there["mask"].combine_chunks().cast(pyarrow.float64()),
        counts=there["counts"].combine_chunks().cast(pyarrow.large_binary()),
        score=there["score"].combine_chunks().cast(pyarrow.float64()),
        label=pyarrow.nulls(6),
    )
    first, *others = images()
    assert list(Parquet().read(path)) == [AnnotatedImage(first.name, first.masks.replace(labels=None)), *others]


def test_only_five_columns_are_needed(tmp_path: Path) -> None:
    path = write(images(), tmp_path / "set.parquet")
    needed = ("image", "width", "height", "mask", "counts")
    rewrite(path, **{name: None for name in table(path).column_names if name not in needed})
    found = list(Parquet().read(path))
    assert [image.name for image in found] == [image.name for image in images()]
    assert found[0].masks == images()[0].masks.replace(
        scores=None, stability=None, points=None, crops=None, labels=None
    )
    for name in needed:
        write(images(), path)
        with pytest.raises(
            DatasetError, match=f"it has no column {name}, and needs image, width, height, mask, counts"
        ):
            list(Parquet().read(rewrite(path, **{name: None})))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": ["a", "b", "a", "c", "d", "e"], "mask": [0] * 6}, "row 2: the rows of a do not lie together: sort"),
        (
            {"mask": [1, 0, 2, None, 0, 1]},
            r"row 0: the masks of street/a\.jpg are not in order: sort the rows by image",
        ),
        ({"mask": [0, None, 2, None, 0, 1]}, r"row 0: the masks of street/a\.jpg are not in order"),
        ({"width": [9, 9, 8, 6, 9, 9]}, r"row 0: the rows of street/a\.jpg must have one width and one height"),
        ({"height": [7, 7, 7, 5, None, None]}, r"row 4: the rows of c\.jpg must have one width and one height"),
        ({"width": [9, 9, 9, 0, 9, 9]}, r"row 3: the rows of b\.jpg must have .* of at least 1"),
        ({"counts": ["o1", "P~", "o1", None, "o1", "o1"]}, r"row 1: image street/a\.jpg: the counts are not COCO's"),
        ({"counts": ["o1", None, "o1", None, "o1", "o1"]}, r"row 1: image street/a\.jpg: the mask has no counts"),
        ({"counts": ["01"] * 6}, r"row 0: image street/a\.jpg: run lengths must be non-negative and add up to"),
        ({"crop": [[1.0, 2.0]] * 6}, r"row 0: image street/a\.jpg: "),
        ({"image": [None] * 6}, "row 0: there is no image"),
        ({"image": [".."] * 6}, r"row 0: '\.\.' is not the name of a picture"),
        ({"width": ["nine"] * 6}, "the column width holds string, which is no int64"),
        ({"width": [9.5] * 6}, "the column width holds double, which is no int64"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    whole = "o1"
    assert coco_mask.decode({"size": [7, 9], "counts": whole}).sum() == 0
    path = rewrite(write(images(), tmp_path / "set.parquet"), **columns)
    with pytest.raises(DatasetError, match=message) as caught:
        list(Parquet().read(path))
    assert str(path) in str(caught.value)


def test_files_that_are_not_parquet(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    with pytest.raises(DatasetError, match=r"cannot read .*set\.parquet"):
        list(Parquet().read(path))
    content = write(images(), path).read_bytes()
    for broken in (b"", b"PAR1", content[:-9], b"x" * 100):
        path.write_bytes(broken)
        with pytest.raises(DatasetError, match=r"cannot read .*set\.parquet"):
            list(Parquet().read(path))
        assert not Parquet().recognises(path)
    path.write_bytes(content[:4] + b"\xff" * (len(content) // 2) + content[4 + len(content) // 2 :])
    with pytest.raises(DatasetError, match=r"set\.parquet"):
        list(Parquet().read(path))


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = write(images(), tmp_path / "set.parquet")
    parquet.write_table(table(path).replace_schema_metadata({b"anymask.version": b"2"}), path)
    with pytest.raises(DatasetError, match="is of version 2 of the layout, and this anymask reads up to 1: upgrade"):
        list(Parquet().read(path))


def test_names_that_parquet_cannot_hold_are_refused_and_others_follow(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    first, second, _ = images()
    with Parquet().open_writer(path, Losses()) as writer:
        writer.write(first)
        with pytest.raises(FormatError, match=r"'caf\\udce9\.jpg' is not Unicode text, which Parquet needs: rename it"):
            writer.write(AnnotatedImage("caf\udce9.jpg", first.masks))
        with pytest.raises(FormatError, match=r"two images have the name street/a\.jpg"):
            writer.write(first)
        writer.write(second)
    assert list(Parquet().read(path)) == [first, second]


def test_the_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 2)
    path = tmp_path / "set.parquet"
    path.write_text("before")

    def interrupted() -> Iterator[AnnotatedImage]:
        yield from images()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(interrupted(), path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_lie_beside_the_file(tmp_path: Path) -> None:
    picture = tmp_path / "picture.jpg"
    Image.new("RGB", (9, 7)).save(picture)
    first, *others = images()
    path = write([AnnotatedImage(first.name, first.masks, picture), *others], tmp_path / "set" / "s.parquet", True)
    found = [image.picture for image in Parquet().read(path)]
    assert found == [path.parent / "images" / "street" / "a.jpg", None, None]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "c.jpg").touch()
    assert [image.picture for image in Parquet().read(path, tmp_path / "other")][2] == tmp_path / "other" / "c.jpg"


def test_a_folder_of_files_is_read_as_one(tmp_path: Path) -> None:
    first, second, third = images()
    assert not Parquet().recognises(tmp_path)
    with pytest.raises(DatasetError, match="holds no Parquet file"):
        list(Parquet().read(tmp_path))
    write([first, second], tmp_path / "part-0.parquet")
    write([third], tmp_path / "part-1.parquet")
    assert recognise_format(tmp_path) is FORMATS["parquet"]
    assert list(Parquet().read(tmp_path)) == [first, second, third]
    write([first], tmp_path / "part-1.parquet")
    with pytest.raises(DatasetError, match=r"part-1\.parquet, row 0: the rows of street/a\.jpg do not lie together"):
        list(Parquet().read(tmp_path))


def test_only_files_of_masks_are_recognised(tmp_path: Path) -> None:
    path = write([], tmp_path / "set.parquet")
    assert recognise_format(path) is format_for_writing(path, None) is FORMATS["parquet"]
    assert list(Parquet().read(path)) == []
    parquet.write_table(pyarrow.table({"image": [b"picture"], "width": [3]}), path)
    assert not Parquet().recognises(path)
    assert not Parquet().recognises(tmp_path / "missing.parquet")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(images(), tmp_path / "set.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert Parquet().recognises(path)
    for use in (lambda: list(Parquet().read(path)), lambda: Parquet().open_writer(path, Losses())):
        with pytest.raises(MissingPackageError, match=r'pip install "anymask\[parquet\]"'):
            use()


def test_memory_does_not_grow_with_the_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 500)
    monkeypatch.setattr(module, "_BATCH", 100)
    masks = Masks.from_arrays(np.random.default_rng(0).random((50, 12, 16)) < 0.3)
    arrow_peak = 0

    def counted(some: Iterable[AnnotatedImage]) -> Iterator[AnnotatedImage]:
        nonlocal arrow_peak
        for image in some:
            arrow_peak = max(arrow_peak, pyarrow.total_allocated_bytes())
            yield image

    peaks = []
    for count in (1_000, 5_000):
        arrow_peak = 0
        many = (AnnotatedImage(f"{number}.jpg", masks) for number in range(count // len(masks)))
        tracemalloc.start()
        try:
            path = write(counted(many), tmp_path / "set.parquet")
            assert sum(len(image.masks) for image in counted(Parquet().read(path))) == count
            peaks.append(tracemalloc.get_traced_memory()[1] + arrow_peak)
        finally:
            tracemalloc.stop()
    # A row of Python objects takes more than 500 bytes.
    assert peaks[1] < peaks[0] + 500_000, peaks
