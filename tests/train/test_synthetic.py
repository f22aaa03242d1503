"""Synthetic scenes: determinism, exact and consistent masks, and pictures that show their objects."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anymask.train.synthetic import Scene, synthetic_scene


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [synthetic_scene(seed, 128, 160) for seed in range(20)]


def test_same_arguments_give_the_same_scene() -> None:
    for seed in range(4):
        first, second = synthetic_scene(seed), synthetic_scene(seed)
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.labels, second.labels)
        np.testing.assert_array_equal(first.parents, second.parents)


def test_different_seeds_give_different_scenes(scenes: list[Scene]) -> None:
    assert len({scene.image.tobytes() for scene in scenes}) == len(scenes)
    assert len({scene.labels.tobytes() for scene in scenes}) == len(scenes)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    height=st.integers(8, 150),
    width=st.integers(8, 150),
    max_objects=st.integers(1, 15),
)
def test_every_scene_is_well_formed(seed: int, height: int, width: int, max_objects: int) -> None:
    scene = synthetic_scene(seed, height, width, max_objects)
    assert scene.image.shape == (height, width, 3)
    assert scene.image.dtype == np.uint8
    assert scene.image.flags.c_contiguous
    assert scene.labels.shape == (height, width)
    assert scene.labels.dtype == np.int32
    assert scene.parents.dtype == np.int32
    assert scene.parents[0] == 0
    assert (scene.parents[1:] >= 1).all()
    assert scene.labels.min() >= 0
    assert scene.labels.max() < len(scene.parents)


@pytest.mark.parametrize("min_area", [0, 1, 16, 200])
def test_masks_are_exactly_the_visible_objects_and_parts(scenes: list[Scene], min_area: int) -> None:
    for scene in scenes:
        owners = scene.parents[scene.labels]
        expected = {(owners == number).tobytes() for number in set(scene.parents[1:]) if (owners == number).any()} | {
            (scene.labels == part).tobytes() for part in set(scene.labels.ravel()) - {0}
        }
        expected = {mask for mask in expected if np.frombuffer(mask, bool).sum() >= min_area}
        masks = scene.masks(min_area)
        assert all(mask.dtype == np.bool_ and mask.shape == scene.labels.shape for mask in masks)
        assert {mask.tobytes() for mask in masks} == expected
        assert len(masks) == len(expected)
        areas = [int(mask.sum()) for mask in masks]
        assert areas == sorted(areas, reverse=True)
        assert not any((mask & (scene.labels == 0)).any() for mask in masks)


def test_masks_of_a_known_scene() -> None:
    labels = np.zeros((10, 10), np.int32)
    labels[:4], labels[4:6], labels[8:] = 1, 2, 3
    scene = Scene(np.zeros((10, 10, 3), np.uint8), labels, np.array([0, 1, 1, 2, 3], np.int32))
    found = [mask.tobytes() for mask in scene.masks(20)]
    whole = (labels == 1) | (labels == 2)
    assert found == [m.tobytes() for m in (whole, labels == 1, labels == 3, labels == 2)] or found == [
        m.tobytes() for m in (whole, labels == 1, labels == 2, labels == 3)
    ]
    assert len(scene.masks(21)) == 2


def test_scenes_hold_objects_parts_and_many_sizes(scenes: list[Scene]) -> None:
    counts = [len(scene.masks()) for scene in scenes]
    assert min(counts) >= 1
    assert np.mean(counts) >= 5
    assert sum(len(set(scene.parents)) < len(scene.parents) for scene in scenes) >= 5
    areas = np.array([mask.mean() for scene in scenes for mask in scene.masks()])
    assert (areas < 0.005).any()
    assert (areas > 0.1).any()


def test_objects_can_be_seen_in_the_picture(scenes: list[Scene]) -> None:
    seen = []
    kernel = np.ones((7, 7), np.uint8)
    for scene in scenes:
        assert scene.image.std() > 1
        for mask in scene.masks(60):
            around = cv2.dilate(mask.astype(np.uint8), kernel).astype(bool) & ~mask
            inside = scene.image[mask].astype(np.float64)
            outside = scene.image[around].astype(np.float64)
            means = np.abs(inside.mean(axis=0) - outside.mean(axis=0)).max()
            spreads = np.abs(inside.std(axis=0) - outside.std(axis=0)).max()
            seen.append(max(means, spreads) > 8)
    assert np.mean(seen) > 0.8


@pytest.mark.parametrize(("height", "width"), [(7, 64), (64, 7), (0, 0)])
def test_too_small_a_size_is_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match="at least 8"):
        synthetic_scene(0, height, width)


def test_no_objects_is_refused() -> None:
    with pytest.raises(ValueError, match="max_objects"):
        synthetic_scene(0, max_objects=0)
