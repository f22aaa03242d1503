"""Files that are whole or not there."""

from pathlib import Path

import pytest

from anymask.atomic import write_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_is_written_beside_and_renamed(tmp_path: Path) -> None:
    target = tmp_path / "photo.mask.png"
    target.write_text("old")

    def write(path: Path) -> None:
        assert path != target
        assert path.parent == target.parent
        # Image writers choose their format by the suffix.
        assert path.suffix == ".png"
        path.write_text("new")
        assert target.read_text() == "old"

    write_atomically(target, write)
    assert target.read_text() == "new"
    assert names(tmp_path) == ["photo.mask.png"]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")

    def write(path: Path) -> None:
        path.write_text("ha")
        raise error

    with pytest.raises(error):
        write_atomically(target, write)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_a_failure_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "a.json", lambda path: path.write_text("x"))
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "a.json", lambda _path: None)
    assert names(tmp_path) == []


def test_a_target_that_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_atomically(tmp_path / "folder", lambda path: path.write_text("x"))
    assert names(tmp_path) == ["folder"]
