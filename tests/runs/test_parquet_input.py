import pickle
import random
import sys
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from pyarrow import parquet

from anymask.runs import parquet_input
from anymask.runs.errors import InputsError
from anymask.runs.inputs import list_items
from anymask.runs.parquet_input import parquet_images
from anymask.segment.errors import MissingPackageError


def write(path, columns, **options):
    parquet.write_table(pa.table(columns), path, **options)
    return path


def names(path):
    return [name for name, _ in parquet_images(path)]


@pytest.fixture
def hugging_face(tmp_path):
    """A data set as the package ``datasets`` writes it: structures of bytes and path, with its own notes beside."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = [{"bytes": bytes([number]) * 20, "path": f"{number}.jpg"} for number in range(50)]
    table = pa.table({"image": pa.array(images, kind), "label": [number % 3 for number in range(50)]})
    table = table.replace_schema_metadata({"huggingface": '{"info": {"features": {"image": {"_type": "Image"}}}}'})
    path = tmp_path / "train-00000-of-00001.parquet"
    parquet.write_table(table, path, row_group_size=20)
    return path


def test_hugging_faces_layout(hugging_face):
    items = list_items([str(hugging_face.parent)])
    assert [item.name for item in items] == [f"train-00000-of-00001/{number}.jpg" for number in range(50)]
    assert items[3].key == "train-00000-of-00001/3"
    assert [item.read() for item in items] == [bytes([number]) * 20 for number in range(50)]
    assert items[25].described_place() == f"{hugging_face}, row 5 of row group 1"
    assert pickle.loads(pickle.dumps(items)) == items


@pytest.mark.parametrize("order", ["backwards", "mixed", "on threads"])
def test_rows_are_read_in_any_order(hugging_face, order, monkeypatch):
    monkeypatch.setattr(parquet_input, "_BYTES_KEPT", 100)
    items = list_items([str(hugging_face)])
    if order == "backwards":
        items = items[::-1]
    else:
        random.Random(0).shuffle(items)
    with ThreadPoolExecutor(4 if order == "on threads" else 1) as pool:
        contents = list(pool.map(lambda item: item.read(), items))
    assert contents == [bytes([int(item.key.rpartition("/")[2])]) * 20 for item in items]


def test_few_rows_stay_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_input, "_BYTES_KEPT", 10_000)
    path = write(tmp_path / "x.parquet", {"image": [bytes(1000)] * 200})
    for _, source in parquet_images(path):
        source.read()
    reader = parquet_input._reader(str(path), "image", 0)
    assert sum(values.nbytes for _, values in reader._kept) < 40_000


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("column", ["image", "jpg", "Image", "whatever"])
def test_a_column_of_bytes(tmp_path, kind, column):
    path = write(tmp_path / "x.parquet", {"caption": ["a", "b"], column: pa.array([b"1", b"2"], kind)})
    assert [(name, source.read()) for name, source in parquet_images(path)] == [("0", b"1"), ("1", b"2")]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, ["00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10"]),
        ({"id": range(100, 111)}, [str(number) for number in range(100, 111)]),
        ({"id": range(11), "file_name": [f"d/{n}.png" for n in range(11)]}, [f"d/{n}.png" for n in range(11)]),
        ({"name": ["cat"] * 11, "key": [f"k{n}" for n in range(11)]}, [f"k{n}" for n in range(11)]),
        ({"name": [*"abcdefghij", None], "id": range(11)}, [str(number) for number in range(11)]),
        ({"path": [f"/data/{n}.jpg" for n in range(11)]}, [f"{n}.jpg" for n in range(11)]),
        ({"path": [*"abcdefghij", ".."], "id": [0.5] * 11}, [f"{n:02}" for n in range(11)]),
    ],
)
def test_names(tmp_path, columns, expected):
    columns = {name: pa.array(list(values)) for name, values in columns.items()}
    path = write(tmp_path / "x.parquet", {"image": [b"x"] * 11, **columns})
    assert names(path) == expected


def test_one_of_several_columns_must_be_called_image(tmp_path):
    path = write(tmp_path / "x.parquet", {"before": [b"1"], "after": [b"2"]})
    with pytest.raises(InputsError, match=r"several columns that may be images \(before, after\)"):
        parquet_images(path)
    path = write(tmp_path / "x.parquet", {"mask": [b"1"], "image": [b"2"]})
    assert parquet_images(path)[0][1].read() == b"2"


def test_a_file_without_images(tmp_path):
    path = write(tmp_path / "x.parquet", {"caption": ["a"], "n": [1]})
    with pytest.raises(InputsError, match="has no column of images among caption, n"):
        list_items([str(path)])


def test_a_row_without_bytes_fails_alone_and_its_path_is_not_followed(tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    images = [{"bytes": None, "path": str(secret)}, {"bytes": b"x", "path": "a.jpg"}, None]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    path = write(tmp_path / "x.parquet", {"image": pa.array(images, kind)})
    (_, first), (_, second), (_, third) = parquet_images(path)
    assert second.read() == b"x"
    for source in (first, third):
        with pytest.raises(InputsError, match=r"x\.parquet, row \d of row group 0: there are no bytes"):
            source.read()


def test_a_damaged_file_is_one_image_that_fails(hugging_face):
    hugging_face.write_bytes(hugging_face.read_bytes()[:-30])
    (item,) = list_items([str(hugging_face)])
    assert item.name == hugging_face.name
    with pytest.raises(InputsError, match="cannot be read as Parquet"):
        item.read()


def test_damage_inside_is_found_when_a_row_is_read(tmp_path):
    path = write(tmp_path / "x.parquet", {"image": [bytes(range(256)) * 40] * 9}, compression="zstd")
    items = list_items([str(path)])
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(InputsError, match=r"x\.parquet, row 0 of row group 0: "):
            items[0].read()


def test_a_file_that_lost_its_rows(tmp_path):
    path = write(tmp_path / "x.parquet", {"image": [b"x"] * 40})
    items = list_items([str(path)])
    write(path, {"image": [b"x"] * 3})
    with pytest.raises(InputsError, match="has changed since"):
        items[39].read()


def test_the_package_is_named_if_it_is_missing(hugging_face, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingPackageError, match=r'pip install "anymask\[parquet\]"'):
        list_items([str(hugging_face)])
