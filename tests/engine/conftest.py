"""A folder of small pictures, and the project in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anymask.engine.store import Store

from .changing import SIZE

Paint = Callable[..., Path]


@pytest.fixture
def paint() -> Paint:
    """Makes a picture file of (height, width), and the folders above it."""

    def paint(path: Path, size: tuple[int, int] = SIZE) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*size, 3), 90, dtype=np.uint8)).save(path)
        return path

    return paint


@pytest.fixture
def folder(tmp_path: Path, paint: Paint) -> Path:
    """img1.png, img2.png, img10.png and trip/img1.png, of 12 x 8 pixels."""
    for name in ("img10.png", "img2.png", "trip/img1.png", "img1.png"):
        paint(tmp_path / "photos" / name)
    return tmp_path / "photos"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """The project of ``folder``, its pictures known."""
    with Store.open(folder) as opened:
        opened.sync_pictures()
        yield opened


@pytest.fixture
def picture(store: Store) -> int:
    """The id of img1.png."""
    found = store.find_picture("img1.png")
    assert found is not None
    return found.id
