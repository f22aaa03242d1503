"""Archives from strangers."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from anymask.studio.archives import extract, pack
from anymask.studio.errors import StudioError, TooLargeError


def archive(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in files.items():
            written.writestr(name, content)
    return path


def test_out_of_a_folder_and_back(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    (folder / "inside" / "deep").mkdir(parents=True)
    contents = {"b.txt": b"b" * 10_000, "inside/a.jpg": b"\xff\xd8", "inside/deep/ä.json": b"{}"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    pack(folder, tmp_path / "packed.zip")
    extract(tmp_path / "packed.zip", tmp_path / "out")
    found = {path.relative_to(tmp_path / "out").as_posix(): path for path in (tmp_path / "out").rglob("*.*")}
    assert {name: path.read_bytes() for name, path in found.items()} == contents
    assert (tmp_path / "packed.zip").stat().st_size < 2000


@pytest.mark.parametrize(
    "name", ["../out.txt", "/etc/out.txt", "a/../../out.txt", "..\\out.txt", "C:\\out.txt", "a/../b.txt"]
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    archive(tmp_path / "bad.zip", **{name: b"x"})
    (tmp_path / "out").mkdir()
    with pytest.raises(StudioError, match="leads out of it"):
        extract(tmp_path / "bad.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir() if path.name != "out"] == ["bad.zip"]
    assert not any((tmp_path / "out").iterdir())


def test_links_and_what_systems_add_are_left_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "linked.zip", "w") as written:
        link = zipfile.ZipInfo("passwords")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        written.writestr(link, "/etc/passwd")
        for name in ("__MACOSX/a.json", "a/.DS_Store", "a/b.json"):
            written.writestr(name, "{}")
    extract(tmp_path / "linked.zip", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*") if not path.is_dir()] == ["b.json"]


def test_bombs_are_refused(tmp_path: Path) -> None:
    archive(tmp_path / "bomb.zip", a=bytes(600_000), b=bytes(600_000))
    assert (tmp_path / "bomb.zip").stat().st_size < 10_000
    with pytest.raises(TooLargeError, match=r"unpacks to more than 0\.001 GB"):
        extract(tmp_path / "bomb.zip", tmp_path / "out", max_bytes=1_000_000)
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) <= 1_000_000
    with pytest.raises(TooLargeError, match="holds 2 files; at most 1"):
        extract(tmp_path / "bomb.zip", tmp_path / "out", max_files=1)


def test_broken_archives_are_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(StudioError, match="broken or of an unusual kind"):
        extract(tmp_path / "text.zip", tmp_path / "out")
    content = bytearray(archive(tmp_path / "whole.zip", a=bytes(range(256)) * 40).read_bytes())
    content[60] ^= 0xFF
    (tmp_path / "turned.zip").write_bytes(content)
    with pytest.raises(StudioError, match="broken or of an unusual kind"):
        extract(tmp_path / "turned.zip", tmp_path / "out")
    archive(tmp_path / "both.zip", **{"a": b"file", "a/b": b"in it"})
    with pytest.raises(StudioError, match="a file and a folder of one name"):
        extract(tmp_path / "both.zip", tmp_path / "out")
    locked = bytearray(archive(tmp_path / "open.zip", a=b"secret").read_bytes())
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    with pytest.raises(StudioError, match="is encrypted"):
        extract(tmp_path / "locked.zip", tmp_path / "out")
