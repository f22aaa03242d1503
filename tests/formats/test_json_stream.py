"""Large JSON files, read one element of a list at a time."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anymask.formats.instances import DatasetError
from anymask.formats.json_stream import open_json

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
CONTENT = {"info": {"of": [1, {"no": "thing"}]}, "list": [{"a": 1.5e-7, "b": 'x\\"\u20ac'}, [], -12, "é"], "n": None}


def write(folder: Path, text: str) -> Path:
    path = folder / "large.json"
    path.write_bytes(text.encode())
    return path


def streamed(path: Path, chunk: int = 1 << 20) -> dict[str, Any]:
    """Read an object; of its values that are lists the elements one by one, of others nothing but the key."""
    found: dict[str, Any] = {}
    with open_json(path, chunk=chunk) as stream:
        for key in stream.members():
            found[key] = None
            if stream.begins_with() == "[":
                elements = list(stream.elements())
                assert [json.loads(text) for _, text in elements] == [value for value, _ in elements]
                found[key] = [value for value, _ in elements]
        stream.end()
    return found


@settings(max_examples=60, deadline=None)
@given(
    content=st.dictionaries(st.text(max_size=4), VALUES, max_size=4),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_what_python_writes_is_read_whatever_the_chunks(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any], chunk: int, indent: int | None, ascii_only: bool
) -> None:
    folder = tmp_path_factory.mktemp("json")
    path = write(folder, json.dumps(content, indent=indent, ensure_ascii=ascii_only))
    assert streamed(path, chunk) == {key: value if isinstance(value, list) else None for key, value in content.items()}


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_a_text_cut_off_anywhere_is_broken(tmp_path: Path, chunk: int) -> None:
    text = json.dumps(CONTENT, ensure_ascii=False)
    data = text.encode()
    for length in range(len(data)):
        path = tmp_path / "cut.json"
        path.write_bytes(data[:length])
        with pytest.raises(DatasetError, match=r"cut\.json is not valid JSON: "):
            streamed(path, chunk)


@pytest.mark.parametrize("indent", [None, 2])
def test_the_place_of_an_error_is_the_one_that_python_names(tmp_path: Path, indent: int | None) -> None:
    text = json.dumps({"a": [{"number": number} for number in range(300)]}, indent=indent)
    at = text.index("250")
    broken = text[:at] + "oops" + text[at:]
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(broken)
    for chunk in (11, 1000, 1 << 20):
        with pytest.raises(DatasetError) as caught:
            streamed(write(tmp_path, broken), chunk)
        assert str(caught.value).endswith(str(expected.value))


def test_a_broken_element_does_not_load_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": [{"b": nothing}, ' + "1, " * 1_000_000 + "2]}")
    with open_json(path, chunk=1000) as stream:
        with pytest.raises(DatasetError, match="line 1 column 14"):
            list(stream.members())
        assert stream._file.tell() == 1000


def test_what_only_some_tools_write(tmp_path: Path) -> None:
    huge = 2**64 + 1
    path = tmp_path / "odd.json"
    path.write_bytes(b'\xef\xbb\xbf\r\n {"a": [NaN, -Infinity, %d, 0.1]}\n\n' % huge)
    not_a_number, *others = streamed(path, 3)["a"]
    assert math.isnan(not_a_number)
    assert others == [-math.inf, huge, 0.1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [1]} x', "Extra data: line 1 column 12"),
        ('{"a": [1],}', "Expecting property name enclosed in double quotes: line 1 column 11"),
        ('{"a" [1]}', "Expecting ':': line 1 column 6"),
        ('{"a": [1 2]}', "Expecting ',' or ']': line 1 column 10"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"),
        ('{"a": [' + "9" * 10_000 + "]}", "Exceeds the limit"),
        ("[1]", "Expecting '{': line 1 column 1"),
        ("", "it ends too early"),
    ],
)
def test_what_is_not_json(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match="is not valid JSON") as caught:
        streamed(write(tmp_path, text))
    assert message in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with (
        pytest.raises(DatasetError, match=r"cannot read .*none\.json: No such file"),
        open_json(tmp_path / "none.json"),
    ):
        pass
    path = tmp_path / "utf-16.json"
    path.write_text('{"a": []}', encoding="utf-16")
    with pytest.raises(DatasetError, match="it is not UTF-8 near byte 0; save it as UTF-8"):
        streamed(path)


def test_a_limit_ends_the_text(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps({"a": list(range(1000))}))
    with open_json(path, limit=100, chunk=16) as stream:
        with pytest.raises(DatasetError, match="ends too early"):
            list(stream.members())
        assert stream._file.tell() == 100
