import numpy as np
import pytest
from PIL import Image

from anymask.formats import write_drawing, write_label_map
from anymask.formats.pictures import DRAWING_SUFFIXES, LABEL_MAP_SUFFIXES, PictureNameError
from anymask.segment.errors import MaskError
from anymask.segment.masks import Masks


@pytest.fixture
def masks():
    arrays = np.zeros((300, 20, 30), dtype=bool)
    arrays[0, 2:18, 3:25] = True
    arrays[299, 5:9, 5:9] = True
    return Masks.from_arrays(arrays)


@pytest.mark.parametrize("suffix", [*LABEL_MAP_SUFFIXES, ".PNG"])
def test_a_label_map_keeps_every_number(tmp_path, masks, suffix):
    path = tmp_path / f"labels{suffix}"
    write_label_map(path, masks)
    with Image.open(path) as picture:
        labels = np.asarray(picture)
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, masks.label_map())
    assert np.unique(labels).tolist() == [0, 1, 300]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", DRAWING_SUFFIXES)
def test_a_drawing_is_written_in_the_format_of_its_name(tmp_path, suffix):
    pixels = np.zeros((40, 50, 3), dtype=np.uint8)
    pixels[10:30, 10:30] = (250, 130, 20)
    write_drawing(tmp_path / f"a{suffix}", Image.fromarray(pixels))
    with Image.open(tmp_path / f"a{suffix}") as picture:
        assert picture.format == Image.registered_extensions()[suffix]
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - pixels).mean() < 3


def test_names_without_a_format_are_refused_and_nothing_is_written(tmp_path, masks):
    with pytest.raises(PictureNameError, match=r"labels\.jpg cannot be written: its name must end in \.png, \.tif"):
        write_label_map(tmp_path / "labels.jpg", masks)
    with pytest.raises(PictureNameError, match=r"drawing cannot be written: its name must end in \.png, \.jpg"):
        write_drawing(tmp_path / "drawing", Image.new("RGB", (3, 3)))
    assert not list(tmp_path.iterdir())


def test_more_masks_than_sixteen_bits_can_number(tmp_path):
    many = Masks.from_arrays(np.ones((1, 1, 1), dtype=bool))[np.zeros(65_536, dtype=int)]
    with pytest.raises(MaskError, match="at most 65,535 masks, and these are 65,536"):
        write_label_map(tmp_path / "labels.png", many)
    write_label_map(tmp_path / "labels.png", many[1:])
    with Image.open(tmp_path / "labels.png") as picture:
        assert np.asarray(picture).tolist() == [[65_535]]
