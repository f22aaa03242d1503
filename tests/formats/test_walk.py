"""Files and folders below a folder."""

from pathlib import Path

from anymask.formats.walk import files_below, folders_below


def test_folders_and_files_come_in_order(tmp_path: Path) -> None:
    for name in ("b/z.png", "b/A.PNG", "b/a/1.png", "a.png", "c.txt", ".hidden/x.png", "b/.x.png", "empty/note.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b/loop").symlink_to(tmp_path)
    found = list(folders_below(tmp_path, (".png",)))
    assert found == [
        (tmp_path, ["a.png"]),
        (tmp_path / "b", ["A.PNG", "z.png"]),
        (tmp_path / "b/a", ["1.png"]),
        (tmp_path / "empty", []),
    ]
    files = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path, (".png",))]
    assert files == ["a.png", "b/A.PNG", "b/a/1.png", "b/z.png"]
    assert sorted(folder / name for folder, names in found for name in names) == sorted(
        files_below(tmp_path, (".png",))
    )
