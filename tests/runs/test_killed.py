"""The command, killed at random moments until it is done, on a real file system."""

import random
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from skimage import data

KILLS = 20
PICTURES = 60


def command(photographs, out, form):
    options = ["--points-per-side", "4", "--format", form, "--overlays"]
    return [sys.executable, "-m", "anymask", "everything", photographs, "-o", out, *options]


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """Sixty small pieces of photographs, one of them broken."""
    folder = tmp_path_factory.mktemp("crops")
    generator = np.random.default_rng(1)
    photographs = [data.astronaut(), data.coffee(), data.chelsea()]
    for number in range(PICTURES):
        photograph = photographs[number % 3]
        y, x = generator.integers(0, photograph.shape[0] - 150), generator.integers(0, photograph.shape[1] - 200)
        Image.fromarray(photograph[y : y + 150, x : x + 200]).save(folder / f"{number:03d}.jpg")
    (folder / "030.jpg").write_bytes((folder / "030.jpg").read_bytes()[:1000])
    return folder


@pytest.mark.long
@pytest.mark.parametrize("form", ["sa1b", "coco"])
def test_twenty_kills_at_random_moments_change_no_byte(crops, tmp_path, results_of, form):
    started = time.monotonic()
    undisturbed = subprocess.run(command(crops, tmp_path / "undisturbed", form), capture_output=True, text=True)
    whole_run = time.monotonic() - started
    assert undisturbed.returncode == 1
    assert "1 of 60 images failed" in undisturbed.stderr
    expected = results_of(tmp_path / "undisturbed")
    moments, kills = random.Random(form), 0
    out = tmp_path / "out"
    while kills < KILLS:
        process = subprocess.Popen(command(crops, out, form), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # Half of the kills come early, when modules are loaded and the journal is read.
            process.wait(moments.uniform(0.5, whole_run if kills % 2 else whole_run / 2))
            # There is nothing left to kill: take some results away, as a careless user does.
            for place in sorted(out.glob("*.json"))[: PICTURES // 2]:
                place.unlink()
            if form == "coco":
                (out / ".anymask/journal.jsonl").write_bytes(b"")
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    last = subprocess.run(command(crops, out, form), capture_output=True, text=True)
    assert last.returncode == 1
    assert "1 of 60 images failed" in last.stderr
    assert results_of(out) == expected
