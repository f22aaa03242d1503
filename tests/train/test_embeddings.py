"""The embedding cache: what comes out is what the encoder says, made once."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

import anymask
from anymask.models.sam import Sam
from anymask.segment.prompts import Prompt
from anymask.segment.segmenter import Segmenter
from anymask.train.embeddings import CachedSegmenter, EmbeddingCache, EmbeddingCacheError, hash_pixels
from anymask.train.synthetic import synthetic_scene
from anymask.train.zooms import Zoom, whole_image

GIGABYTE = 2**30


@pytest.fixture
def segmenter(build_tiny: Callable[..., Sam]) -> Segmenter:
    torch.manual_seed(0)
    return anymask.load(build_tiny(64), device="cpu", precision="float32")


def scene(number: int) -> NDArray[np.uint8]:
    return synthetic_scene(number, 60, 80).image


def refuse() -> NDArray[np.uint8]:
    raise AssertionError("the embedding is on disk; nobody should read the image")


def test_embeddings_are_the_encoder_s_in_half_precision(segmenter: Segmenter, tmp_path: Path) -> None:
    cache = EmbeddingCache(segmenter, tmp_path, GIGABYTE)
    image = scene(1)
    for zoom in (whole_image((60, 80)), Zoom((10, 5, 60, 55), True)):
        path = cache.path(hash_pixels(image), zoom)
        first = cache.get(path, zoom, lambda: image)
        expected = segmenter.encode(np.ascontiguousarray(zoom.cut(image))).embedding
        torch.testing.assert_close(first, expected, rtol=1e-3, atol=1e-3)
        # A later run reads the very numbers that the first one trained on.
        assert torch.equal(EmbeddingCache(segmenter, tmp_path, GIGABYTE).get(path, zoom, refuse), first)
        assert load_file(path)["embedding"].dtype == torch.float16


def test_windows_are_made_once(segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = EmbeddingCache(segmenter, tmp_path, GIGABYTE)
    image = scene(2)
    zooms = [whole_image((60, 80)), Zoom((0, 0, 50, 50)), Zoom((20, 5, 70, 55), True)]
    windows = [(cache.path(hash_pixels(image), zoom), zoom) for zoom in zooms]
    assert cache.make_room([path for path, _ in windows]) == 3
    cache.fill(windows, image)
    assert cache.make_room([path for path, _ in windows]) == 0
    assert cache.size() == sum(path.stat().st_size for path, _ in windows)
    monkeypatch.setattr(segmenter, "embed", lambda _: pytest.fail("encoded again"))
    cache.fill(windows, image)
    cut_off = windows[0][0]
    cut_off.write_bytes(cut_off.read_bytes()[:-100])
    monkeypatch.undo()
    assert torch.equal(cache.get(*windows[0], lambda: image), cache.get(*windows[0], refuse))
    save_file({"embedding": torch.zeros(1, 32, 2, 2)}, cut_off)
    assert cache.get(*windows[0], lambda: image).shape == (1, 32, 4, 4)


def test_another_image_encoder_or_window_is_another_file(
    segmenter: Segmenter, build_tiny: Callable[..., Sam], tmp_path: Path
) -> None:
    cache, whole = EmbeddingCache(segmenter, tmp_path, GIGABYTE), whole_image((60, 80))
    image = scene(3)
    changed = image.copy()
    changed[0, 0, 0] ^= 1
    torch.manual_seed(1)
    other = EmbeddingCache(anymask.load(build_tiny(64), device="cpu", precision="float32"), tmp_path, GIGABYTE)
    rough = EmbeddingCache(anymask.load(segmenter.network, device="cpu", precision="bfloat16"), tmp_path, GIGABYTE)
    assert hash_pixels(image.reshape(80, 60, 3)) != hash_pixels(image)
    paths = {
        cache.path(hash_pixels(image), whole),
        cache.path(hash_pixels(changed), whole),
        cache.path(hash_pixels(image), Zoom(whole.box, True)),
        other.path(hash_pixels(image), whole),
        rough.path(hash_pixels(image), whole),
    }
    assert len(paths) == 5


def test_what_was_used_longest_ago_gives_way(segmenter: Segmenter, tmp_path: Path) -> None:
    whole = whole_image((60, 80))
    probe = EmbeddingCache(segmenter, tmp_path, GIGABYTE)
    paths = []
    for number in range(4):
        path = probe.path(hash_pixels(scene(number)), whole)
        probe.get(path, whole, lambda number=number: scene(number))
        os.utime(path, (1000 + number, 1000 + number))
        paths.append(path)
    # Being read is being used.
    probe.get(paths[0], whole, refuse)
    cache = EmbeddingCache(segmenter, tmp_path, 3 * probe.file_bytes)
    assert cache.make_room([paths[3], tmp_path / "new.safetensors"]) == 1
    assert [path.exists() for path in paths] == [True, False, False, True]


def test_a_limit_that_is_too_small_is_said_before_anything_is_deleted(segmenter: Segmenter, tmp_path: Path) -> None:
    cache = EmbeddingCache(segmenter, tmp_path, 10_000)
    with pytest.raises(
        EmbeddingCacheError, match=r"1000 embeddings take .* GiB, and the cache may hold 0\.0 GiB: raise"
    ):
        cache.check_room(1000)


def test_a_model_with_cached_embeddings_answers_like_the_model(segmenter: Segmenter, tmp_path: Path) -> None:
    cached = CachedSegmenter(segmenter, EmbeddingCache(segmenter, tmp_path, GIGABYTE))
    image = scene(5)
    prompts = [Prompt(points=[(20, 20)]), Prompt(box=(5, 5, 60, 50))]
    expected = segmenter.encode(image).segment_many(prompts)
    found = cached.encode(image).segment_many(prompts)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-2)
    np.testing.assert_allclose(found.logits, expected.logits, atol=0.05)
    assert cached.encode(image).size == (60, 80)
