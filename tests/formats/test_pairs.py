"""A data set goes from every format through every other and comes back the same in all that both can hold."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_set import check_same, picture_bytes, reduced, small_set

from anymask.formats.annotated import AnnotatedImage, Feature, Losses
from anymask.formats.conversion import convert
from anymask.formats.format import Format
from anymask.formats.instances import DatasetError
from anymask.formats.registry import FORMATS
from anymask.formats.sa1b import Sa1b
from anymask.segment.masks import Masks

Sets = dict[bool, list[AnnotatedImage]]

NEED_MAPS = {"geojson-map"}
"""Formats whose pictures must lie on the earth."""

NOT_LOST = {"coco-polygons": "written as run lengths"}
"""What a format says though nothing is lost."""


def write(images: list[AnnotatedImage], to: Format, folder: Path) -> tuple[Path, Losses]:
    folder.mkdir()
    path = folder if to.is_folder else folder / f"set{to.file_suffix}"
    losses = Losses()
    with to.open_writer(path, losses, with_pictures=True) as writer:
        for image in images:
            writer.write(image)
    return path, losses


def lost(to: Format, lines: list[str]) -> list[str]:
    """The lines about what cannot be read back."""
    return [line for line in lines if to.name not in NOT_LOST or NOT_LOST[to.name] not in line]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, list[AnnotatedImage]]:
    """The small set, and the same on the earth."""
    return {as_maps: small_set(tmp_path_factory.mktemp("pictures"), as_maps) for as_maps in (False, True)}


def set_for(
    sets: Sets, *formats: Format, also: Feature | None = None
) -> tuple[list[AnnotatedImage], frozenset[Feature]]:
    """The images with what all of the formats hold, and one thing more if wanted."""
    features = frozenset.intersection(*(one.carries for one in formats)) | ({also} if also else set())
    return reduced(sets[any(one.name in NEED_MAPS for one in formats)], features), features


def there_and_back(first: Format, second: Format, sets: Sets, folder: Path) -> None:
    """Write in the first format, convert to the second and back, and compare what both say they hold."""
    images, features = set_for(sets, first, second)
    path, losses = write(images, first, folder / "1")
    assert not lost(first, losses.lines())
    for number, one in enumerate((second, first), 2):
        parent = folder / str(number)
        parent.mkdir()
        target = parent if one.is_folder else parent / f"set{one.file_suffix}"
        before = second if one is first else first
        done = convert(path, target, source_format=before.name, target_format=one.name, with_pictures=True)
        assert not done.failures
        assert not lost(one, done.losses)
        path = target
    found = list(first.read(path))
    check_same(found, images, features)
    originals = {image.name: picture_bytes(image) for image in images}
    assert {image.name: picture_bytes(image) for image in found} == originals


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_holds_what_it_says(sets: Sets, tmp_path: Path, name: str) -> None:
    one = FORMATS[name]
    images, _ = set_for(sets, one)
    path, losses = write(images, one, tmp_path / "set")
    assert not lost(one, losses.lines())
    assert one.recognises(path)
    found = list(one.read(path))
    check_same(found, images, one.carries)
    assert [picture_bytes(image) for image in found] == [
        picture_bytes(next(image for image in images if image.name == other.name)) for other in found
    ]


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(FORMATS, 2)))
def test_every_pair(sets: Sets, tmp_path: Path, first: str, second: str) -> None:
    there_and_back(FORMATS[first], FORMATS[second], sets, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(FORMATS, 2)))
def test_every_pair_begun_at_the_other_end(sets: Sets, tmp_path: Path, first: str, second: str) -> None:
    there_and_back(FORMATS[second], FORMATS[first], sets, tmp_path)


def _lost() -> list[tuple[str, Feature]]:
    """The formats with each thing that they cannot hold, and that a mask of the small set has."""
    # Order and names are given up without a trace in a mask, images without masks have none that could count.
    without = {Feature.ORDER, Feature.NAMES, Feature.UNMASKED_IMAGES}
    return [
        (name, feature)
        for name, one in FORMATS.items()
        for feature in Feature
        if feature not in one.carries | without and (feature != Feature.UNLABELLED or Feature.LABELS in one.carries)
    ]


@pytest.mark.parametrize(("name", "feature"), _lost())
def test_what_a_format_cannot_hold_is_counted(sets: Sets, tmp_path: Path, name: str, feature: Feature) -> None:
    """Without the feature nothing is lost; with it something is, and the set is written all the same."""
    one = FORMATS[name]
    images, _ = set_for(sets, one, also=feature)
    path, losses = write(images, one, tmp_path / "set")
    assert losses.counts
    assert len(list(one.read(path))) == len(images)


class _Liar(Sa1b):
    """Says that it holds everything, and gives up one thing silently."""

    name = "liar"

    def __init__(self, feature: Feature) -> None:
        self.feature = feature

    def read_each(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage | DatasetError]:
        for image in super().read_each(path, pictures):
            assert isinstance(image, AnnotatedImage)
            name, masks = image.name, image.masks
            if self.feature is Feature.HOLES and masks.areas.any():
                arrays = masks.decode()
                arrays[0] |= np.indices(masks.size).sum(axis=0) == 17
                masks = Masks.from_arrays(arrays, scores=masks.scores, labels=masks.labels)
            elif self.feature is Feature.ORDER:
                masks = masks[::-1]
            elif self.feature is Feature.UNMASKED_IMAGES and not len(masks):
                continue
            elif self.feature is Feature.NAMES:
                name = name.rpartition("/")[2]
            elif self.feature is Feature.LABELS:
                masks = masks.replace(labels=None)
            elif self.feature is Feature.SCORES and masks.scores is not None:
                masks = masks.replace(scores=masks.scores + np.float32(1e-6))
            yield AnnotatedImage(name, masks, image.picture)


@pytest.mark.parametrize(
    "feature", [Feature.HOLES, Feature.ORDER, Feature.UNMASKED_IMAGES, Feature.NAMES, Feature.LABELS, Feature.SCORES]
)
def test_a_format_that_lies_is_found_out(
    sets: Sets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feature: Feature
) -> None:
    liar = _Liar(feature)
    monkeypatch.setitem(FORMATS, liar.name, liar)
    with pytest.raises(AssertionError):
        there_and_back(Sa1b(), liar, sets, tmp_path)
