"""The cache: limits, damage, and a disk that cannot be written."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from anymask.studio import disk_cache
from anymask.studio.disk_cache import DiskCache

ENTRY = 1000
"""Bytes of an entry of these tests; its file is a few bytes larger."""


def data(number: int) -> bytes:
    return bytes([number % 256]) * ENTRY


def filled(folder: Path, count: int, room: int) -> DiskCache:
    cache = DiskCache(folder, room * (ENTRY + 100))
    for number in range(count):
        cache.put(f"{number}.x", data(number))
    return cache


def kept(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.iterdir())


def test_what_is_put_is_there_for_others_too(tmp_path: Path) -> None:
    cache = filled(tmp_path / "made", 3, 10)
    assert [cache.get(f"{number}.x") for number in range(4)] == [data(0), data(1), data(2), None]
    again = DiskCache(tmp_path / "made", 10_000)
    assert "1.x" in again
    assert again.get("1.x") == data(1)
    assert again.total_bytes == sum(path.stat().st_size for path in (tmp_path / "made").iterdir())
    # What another process makes is found as well.
    cache.put("9.x", data(9))
    assert "9.x" not in again
    assert again.get("9.x") == data(9)
    assert "9.x" in again


def test_the_longest_unused_go(tmp_path: Path) -> None:
    cache = filled(tmp_path, 4, 4)
    assert cache.get("0.x") is not None
    cache.put("4.x", data(4))
    cache.put("5.x", data(5))
    assert kept(tmp_path) == [0, 3, 4, 5]
    assert cache.get("1.x") is None
    assert cache.total_bytes <= cache.max_bytes


def test_use_is_remembered_by_the_files(tmp_path: Path) -> None:
    filled(tmp_path, 4, 4)
    for number, age in enumerate((10, 40, 20, 30)):
        os.utime(tmp_path / f"{number}.x", (time.time() - age, time.time() - age))
    again = DiskCache(tmp_path, 4 * (ENTRY + 100))
    for number in (4, 5):
        again.put(f"{number}.x", data(number))
    assert kept(tmp_path) == [0, 2, 4, 5]


def test_what_is_in_use_stays_even_beyond_the_limit(tmp_path: Path) -> None:
    cache = filled(tmp_path, 3, 3)
    cache.keep({"0.x", "1.x", "2.x"})
    for number in (3, 4):
        cache.put(f"{number}.x", data(number))
    assert kept(tmp_path) == [0, 1, 2, 4]
    cache.keep({"4.x"})
    cache.keep_too({"0.x"})
    cache.put("5.x", data(5))
    assert kept(tmp_path) == [0, 4, 5]


@pytest.mark.parametrize("damage", ["cut", "turned bit", "foreign", "empty"])
def test_damaged_files_are_found_out(tmp_path: Path, damage: str) -> None:
    filled(tmp_path, 1, 4)
    path = tmp_path / "0.x"
    content = path.read_bytes()
    turned = content[:500] + bytes([content[500] ^ 1]) + content[501:]
    path.write_bytes({"cut": content[:-1], "turned bit": turned, "foreign": b"x" * 2000, "empty": b""}[damage])
    again = DiskCache(tmp_path, 10_000)
    assert "0.x" in again
    assert again.get("0.x") is None
    assert "0.x" not in again
    assert not path.exists()
    again.put("0.x", data(7))
    assert DiskCache(tmp_path, 10_000).get("0.x") == data(7)


def test_leftovers_go_once_they_are_old(tmp_path: Path) -> None:
    for name, age in ((".0.123.tmp.x", 7200), (".1.124.tmp.x", 10)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    DiskCache(tmp_path, 10_000)
    assert [path.name for path in tmp_path.iterdir()] == [".1.124.tmp.x"]


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_cache, "_MEMORY_BYTES", 8 * ENTRY)
    (tmp_path / "file").write_text("in the way")
    cache = DiskCache(tmp_path / "file" / "cache", 1_000_000)
    assert cache.capacity == 1_000_000
    cache.keep({"0.x"})
    for number in range(10):
        cache.put(f"{number}.x", data(number))
    assert cache.capacity == 8 * ENTRY
    assert cache.get("0.x") == data(0)
    assert cache.get("9.x") == data(9)
    assert cache.get("1.x") is None
    assert "1.x" not in cache
    cache.put("large.x", bytes(2 * ENTRY))
    assert "large.x" not in cache
