"""Views of unlabelled images: found wherever they are, the same at every repetition, broken ones noted."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anymask.models.sam import PIXEL_MEAN, PIXEL_STD
from anymask.train.pretrain_batches import (
    NoImagesError,
    ViewStream,
    find_images,
    fingerprint,
    normalise,
    random_crop,
    random_mask,
)


def picture(path: Path, colour: int = 128, size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (colour, 255 - colour, colour // 2)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five sound pictures in several formats and folders, two broken ones, and what is no picture."""
    root = tmp_path / "photos"
    for number, name in enumerate(("a.jpg", "B.PNG", "deep/er/c.webp", "deep/d.tif", "deep/e.JPEG")):
        picture(root / name, 40 * number)
    (root / "broken.jpg").write_bytes(b"no picture at all")
    (root / "deep" / "empty.png").touch()
    (root / "notes.txt").write_text("hello")
    picture(root / ".hidden.jpg")
    picture(root / ".thumbnails" / "a.jpg")
    return root


def stream(folder: Path, **options: object) -> ViewStream:
    choices = {"side": 32, "batch": 4, "cells": 2, "mask_ratio": 0.5, "threads": 1} | options
    return ViewStream(find_images(folder), **choices)


def test_images_are_found_below_and_hidden_ones_are_not(folder: Path) -> None:
    names = [str(path.relative_to(folder)) for path in find_images(folder)]
    assert names == ["B.PNG", "a.jpg", "broken.jpg", "deep/d.tif", "deep/e.JPEG", "deep/empty.png", "deep/er/c.webp"]


def test_what_a_run_writes_is_not_learned_from(folder: Path) -> None:
    picture(folder / "out" / "reconstructions.png")
    assert len(find_images(folder)) == 8
    assert len(find_images(folder, without=folder / "out")) == 7
    assert len(find_images(folder, without=folder / "nowhere")) == 8


def test_links_are_followed_once(folder: Path, tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere" / "f.jpg")
    (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "deep" / "loop").symlink_to(folder, target_is_directory=True)
    assert len(find_images(folder)) == 8


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(NoImagesError, match=r"no folder .*nowhere"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(NoImagesError, match=r"holds no image \(no file\)"):
        find_images(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(NoImagesError, match=r"holds no image \(1 other file\)"):
        find_images(tmp_path)
    with pytest.raises(NoImagesError, match=r"notes\.txt is not a folder"):
        find_images(tmp_path / "notes.txt")


def test_only_broken_images_is_an_error_that_says_why(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(NoImagesError, match=r"none of the 2 images can be read; the first: .*a\.jpg cannot be read"):
        stream(tmp_path)


def test_broken_images_are_noted_and_others_take_their_place(folder: Path) -> None:
    views = stream(folder)
    batches = list(views.iterate(0, 4))
    assert len(batches) == 4
    assert all(batch.images.shape == (4, 3, 32, 32) for batch in batches)
    assert {Path(path).name for path in views.skipped} == {"broken.jpg", "empty.png"}
    assert all(reason for reason in views.skipped.values())


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_depend_on_seed_and_step_alone(folder: Path, threads: int) -> None:
    first = list(stream(folder, threads=threads).iterate(0, 5))
    resumed = list(stream(folder, cache_gigabytes=0).iterate(3, 5))
    for batch, again in zip(first[3:], resumed, strict=True):
        assert torch.equal(batch.images, again.images)
        assert torch.equal(batch.masked, again.masked)
    other = stream(folder, seed=1).batch(3)
    assert not torch.equal(first[3].masked, other.masked) or not torch.equal(first[3].images, other.images)


def test_processes_share_a_batch(folder: Path) -> None:
    whole = stream(folder).batch(2)
    parts = [stream(folder, share=(rank, 2)).batch(2) for rank in (0, 1)]
    for rank, part in enumerate(parts):
        assert torch.equal(part.images, whole.images[rank::2])
        assert torch.equal(part.masked, whole.masked[rank::2])


def test_an_epoch_shows_every_image_once(tmp_path: Path) -> None:
    for number in range(12):
        picture(tmp_path / f"{number:02}.png", 20 * number)
    views = stream(tmp_path, batch=4)
    deviation, mean = torch.tensor(PIXEL_STD), torch.tensor(PIXEL_MEAN)
    for epoch in range(3):
        images = torch.cat([views.batch(step).images for step in range(3 * epoch, 3 * epoch + 3)])
        red = (images[:, 0, 0, 0] * deviation[0] + mean[0]).round()
        assert sorted(red.tolist()) == [20 * number for number in range(12)]


def test_large_images_are_kept_small(tmp_path: Path) -> None:
    picture(tmp_path / "large.png", size=(900, 600))
    views = stream(tmp_path, min_scale=0.25)
    pixels = views.read(0)
    assert pixels is not None
    assert pixels.shape == (64, 96, 3)
    assert views.read(0) is pixels
    assert stream(tmp_path, cache_gigabytes=0).read(0) is not pixels


@settings(max_examples=200, deadline=None)
@given(
    height=st.integers(1, 3000), width=st.integers(1, 3000), scale=st.floats(0.01, 1), seed=st.integers(0, 2**32 - 1)
)
def test_crops_lie_in_the_image_and_are_nearly_square(height: int, width: int, scale: float, seed: int) -> None:
    x0, y0, x1, y1 = random_crop(height, width, scale, np.random.default_rng(seed))
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    # Rounding moves each side by half a pixel.
    assert (x1 - x0 - 0.5) / (y1 - y0 + 0.5) <= 4 / 3
    assert (y1 - y0 - 0.5) / (x1 - x0 + 0.5) <= 4 / 3


def test_crops_have_the_areas_asked_for() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        x0, y0, x1, y1 = random_crop(1000, 1000, 0.2, rng)
        shares.append((x1 - x0) * (y1 - y0) / 1e6)
    assert 0.195 < min(shares) < 0.25
    assert 0.9 < max(shares) <= 1


@settings(max_examples=100, deadline=None)
@given(cells=st.integers(1, 20), ratio=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1))
def test_masks_hide_the_share_asked_for(cells: int, ratio: float, seed: int) -> None:
    masked = random_mask(cells, ratio, np.random.default_rng(seed))
    assert masked.shape == (cells * cells,)
    assert masked.any()
    assert cells == 1 or not masked.all()
    assert abs(int(masked.sum()) - cells * cells * ratio) <= 1


def test_every_square_is_masked_equally_often() -> None:
    rng = np.random.default_rng(0)
    often = np.mean([random_mask(4, 0.75, rng) for _ in range(1000)], axis=0)
    assert np.abs(often - 0.75).max() < 0.07


def test_half_of_the_views_are_mirrored(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, 32:] = 255
    Image.fromarray(pixels).save(tmp_path / "half.png")
    images = stream(tmp_path, batch=60, min_scale=1.0).batch(0).images
    bright_right = (images[:, 0, :, -1].mean(dim=1) > images[:, 0, :, 0].mean(dim=1)).float().mean()
    assert 0.3 < bright_right < 0.7


def test_normalised_colours_are_sams() -> None:
    pixels = np.array([[[[0, 128, 255]]]], dtype=np.uint8)
    wanted = [(value - mean) / std for value, mean, std in zip((0, 128, 255), PIXEL_MEAN, PIXEL_STD, strict=True)]
    assert normalise(pixels)[0, :, 0, 0].tolist() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("count", [1, 3, 50])
def test_previews_are_always_the_same(folder: Path, count: int) -> None:
    pixels, masked = stream(folder).previews(count)
    again, masked_again = stream(folder, threads=2).previews(count)
    assert np.array_equal(pixels, again)
    assert torch.equal(masked, masked_again)
    assert pixels.shape[1:] == (32, 32, 3)
    assert len(pixels) == len(masked) == min(count, 5)


def test_the_fingerprint_is_that_of_names_below_the_folder(folder: Path) -> None:
    found = find_images(folder)
    before = fingerprint(found, folder)
    assert before.startswith("7 images, ")
    folder.rename(folder.with_name("moved"))
    moved = find_images(folder.with_name("moved"))
    assert fingerprint(moved, folder.with_name("moved")) == before
    assert fingerprint(moved[1:], folder.with_name("moved")) != before
