"""The picture of reconstructions: originals, what is masked, what is filled in."""

from pathlib import Path

import numpy as np
from PIL import Image

from anymask.train.pretrain_batches import normalise
from anymask.train.reconstructions import to_pixels, write_reconstructions
from anymask.train.views import MEAN_COLOUR


def test_colours_survive_normalisation() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    assert np.array_equal(to_pixels(normalise(pixels)), pixels)
    assert to_pixels(normalise(pixels) * 100).min() == 0
    assert to_pixels(normalise(pixels) * 100).max() == 255


def test_each_row_shows_an_image_three_times(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    originals, filled = rng.integers(0, 256, (2, 2, 32, 32, 3), dtype=np.uint8)
    hidden = rng.random((2, 32, 32)) < 0.5
    write_reconstructions(tmp_path / "picture.png", originals, hidden, filled)
    sheet = np.asarray(Image.open(tmp_path / "picture.png"))
    for row in range(2):
        top = 16 + 36 * row
        first, second, third = (sheet[top : top + 32, 4 + 36 * i : 36 + 36 * i] for i in range(3))
        assert np.array_equal(first, originals[row])
        assert np.array_equal(second[~hidden[row]], originals[row][~hidden[row]])
        assert (second[hidden[row]] == MEAN_COLOUR).all()
        assert np.array_equal(third, filled[row])
