"""A run of little work: small pictures, and a task that needs no search."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from PIL import Image

import anymask
from anymask.runs import job as job_module
from anymask.runs.job import Task
from anymask.segment.masks import Masks

load_once = cache(anymask.load)


@dataclass(frozen=True)
class Brighter(Task):
    """What is brighter than a limit is one mask, and what is darker another."""

    limit: int = 128

    def describe(self):
        return {"task": "brighter", "settings": {"limit": self.limit}}

    def segment(self, segmenter, pixels, item):
        del segmenter, item
        bright = pixels.mean(axis=2) > self.limit
        return Masks.from_arrays(np.stack([bright, ~bright]), scores=[0.75, 0.5], labels=["bright", "dark"])


@pytest.fixture
def loaded_once(monkeypatch):
    """Load each model once for all runs in this process."""
    monkeypatch.setattr(job_module, "load", load_once)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """Five small pictures in two folders, as a user has them."""
    folder = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(0)
    for name, (height, width) in {
        "a.jpg": (48, 64),
        "b.png": (33, 50),
        "street/a.jpg": (64, 40),
        "street/c d.jpg": (20, 20),
        "é.webp": (40, 40),
    }.items():
        y, x = np.mgrid[0:height, 0:width]
        disc = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(height, width) / 3) ** 2
        pixels = np.where(disc[..., None], [220, 190, 90], [40, 60, 80]) + generator.integers(
            -20, 20, (height, width, 3)
        )
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
    return folder


@pytest.fixture(scope="session")
def results_of():
    """Read all that a run has written besides its own state: bytes by name."""

    def read(folder):
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and ".anymask" not in path.parts
        }

    return read
