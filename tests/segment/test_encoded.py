"""Encoded images: every way of asking gives the same answer, and embeddings survive a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from anymask.models.registry import build_model
from anymask.segment.encoded import EmbeddingError, EncodedImage
from anymask.segment.errors import ImageError, PromptError
from anymask.segment.masks import Masks
from anymask.segment.prompts import Prompt
from anymask.segment.segmenter import Segmenter, load
from anymask.train.synthetic import synthetic_scene

DISC = np.hypot(*np.ogrid[-40:50, -60:60]) < 30


def prompts() -> list[Prompt]:
    """One prompt of each kind for an image of 120 x 90 pixels."""
    return [
        Prompt(points=(60, 45)),
        Prompt(points=(20, 70), labels=[0]),
        Prompt(points=[(60, 45), (10, 10)], labels=[1, 0]),
        Prompt(box=(30, 20, 90, 70)),
        Prompt(box=(30, 20, 90, 70), points=(50, 40)),
        Prompt(mask=DISC),
        Prompt(mask=DISC, points=(60, 45)),
        Prompt(mask=DISC, box=(30, 20, 90, 70)),
        Prompt(points=(60, 45), multimask=False),
        Prompt(box=(30, 20, 90, 70), multimask=True),
    ]


def assert_close(first: Masks, second: Masks) -> None:
    assert first.size == second.size
    for name in ("scores", "logits"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), atol=1e-5, rtol=1e-5)
    # Where a logit is within rounding of the threshold, a pixel may differ.
    for one, other in zip(first.decode(), second.decode(), strict=True):
        assert (one != other).mean() < 1e-3


def ask(photo: EncodedImage, prompt: Prompt) -> Masks:
    return photo.segment(prompt.points, prompt.labels, prompt.box, prompt.mask, multimask=prompt.multimask)


def test_many_prompts_at_once_are_the_prompts_one_by_one(photo: EncodedImage) -> None:
    answered = photo.segment_many(prompts())
    assert answered.prompt is not None
    assert answered.prompt.tolist() == [0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9]
    for index, prompt in enumerate(prompts()):
        alone = ask(photo, prompt)
        assert alone.prompt is None
        assert_close(answered[answered.prompt == index], alone)


def test_answers_do_not_depend_on_their_neighbours(photo: EncodedImage) -> None:
    rng = np.random.default_rng(0)
    crowd = [Prompt(points=point) for point in rng.uniform((0, 0), (120, 90), (19, 2))]
    together = photo.segment_many([*crowd, Prompt(points=(60, 45), mask=DISC, multimask=True)])
    shuffled = photo.segment_many(crowd[::-1])
    assert together.prompt is not None
    assert shuffled.prompt is not None
    for index in range(19):
        assert_close(together[together.prompt == index], shuffled[shuffled.prompt == 18 - index])


def test_the_best_comes_first_with_its_own_logits(photo: EncodedImage) -> None:
    answered = photo.segment_many(prompts())
    assert answered.scores is not None
    assert answered.logits is not None
    for index in range(10):
        scores = answered.scores[answered.prompt == index]
        assert (np.diff(scores) <= 0).all()
    side = photo.segmenter.logits_side
    assert answered.logits.shape == (16, side, side)
    full = photo.frame.restore_logits(torch.from_numpy(answered.logits)[None])[0] > 0
    np.testing.assert_array_equal(answered.decode(), full.numpy())
    assert answered.areas.max() > 0


def test_a_mask_goes_back_in_with_its_logits(photo: EncodedImage) -> None:
    first = photo.segment(points=(60, 45))
    assert first.logits is not None
    fed = photo.segment(points=(60, 45), mask=first[0])
    assert_close(fed, photo.segment(points=(60, 45), mask=first.logits[0]))
    assert len(fed) == 1
    without = photo.segment(points=(60, 45), mask=first[0].replace(logits=None))
    assert np.abs(without.logits - fed.logits).max() > 1e-4


def test_multimask_for_all_yields_to_the_prompt_s_own(photo: EncodedImage) -> None:
    asked = [Prompt(points=(60, 45)), Prompt(box=(1, 1, 50, 50)), Prompt(points=(60, 45), multimask=False)]
    counts = {
        choice: np.bincount(photo.segment_many(asked, multimask=choice).prompt).tolist()
        for choice in (None, True, False)
    }
    assert counts == {None: [3, 1, 1], True: [3, 3, 1], False: [1, 1, 1]}


def test_no_prompts_give_no_masks(photo: EncodedImage) -> None:
    assert photo.segment_many([]) == Masks.empty((90, 120))


def test_errors_name_the_prompt(photo: EncodedImage) -> None:
    good = Prompt(points=(1, 1))
    with pytest.raises(PromptError, match=r"^prompt 1: the point \(500, 5\) is outside the image"):
        photo.segment_many([good, Prompt(points=(500, 5))])
    with pytest.raises(PromptError, match=r"^the point \(500, 5\) is outside"):
        photo.segment(points=(500, 5))
    with pytest.raises(PromptError, match=r"prompt 1 must be an anymask\.Prompt, not tuple"):
        photo.segment_many([good, (1, 2)])  # type: ignore[list-item]


def test_facts_of_an_encoded_image(photo: EncodedImage, random_segmenter: Segmenter) -> None:
    assert photo.size == (90, 120)
    assert photo.embedding.shape == (1, 256, 32, 32)
    assert photo.embedding.dtype == torch.float32
    assert repr(photo) == "<EncodedImage: 120 x 90, by custom>"
    np.testing.assert_array_equal(photo.image, synthetic_scene(3, 90, 120).image)
    assert photo.segmenter is random_segmenter


def test_encoding_many_equals_encoding_each(random_segmenter: Segmenter) -> None:
    images = [synthetic_scene(seed, 40 + 20 * seed, 100).image for seed in range(3)]
    # Two in one batch and a batch that is not full.
    found = list(random_segmenter.encode_many(iter(images), batch_size=2))
    assert [photo.size for photo in found] == [(40, 100), (60, 100), (80, 100)]
    for image, one in zip(images, found, strict=True):
        alone = random_segmenter.encode(image)
        torch.testing.assert_close(one.embedding, alone.embedding, atol=1e-4, rtol=1e-4)
        assert (one.segment(points=(50, 20)).mask(0) != alone.segment(points=(50, 20)).mask(0)).mean() < 0.01
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        list(random_segmenter.encode_many(images, batch_size=0))


def test_images_before_a_broken_one_are_not_lost(random_segmenter: Segmenter) -> None:
    images = [np.full((20, 30, 3), value, np.uint8) for value in (10, 200)]
    encoded = iter(random_segmenter.encode_many([*images, b"no image", images[0]], batch_size=4))
    assert [int(next(encoded).image[0, 0, 0]) for _ in images] == [10, 200]
    with pytest.raises(ImageError):
        next(encoded)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 1), (30, 2000)])
def test_images_of_every_shape(random_segmenter: Segmenter, height: int, width: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    photo = random_segmenter.encode(image)
    masks = photo.segment_many(
        [
            Prompt(points=(width, height)),
            Prompt(box=(0, 0, width, height)),
            Prompt(mask=np.ones((height, width), bool)),
        ]
    )
    assert masks.size == (height, width)
    assert len(masks) == 5
    assert masks.scores is not None
    assert np.isfinite(masks.scores).all()
    assert masks.decode().shape == (5, height, width)


def test_an_embedding_survives_its_file(photo: EncodedImage, random_segmenter: Segmenter, tmp_path: Path) -> None:
    path = tmp_path / "truck.embedding.safetensors"
    photo.save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    again = EncodedImage.load(path, random_segmenter)
    assert again.size == photo.size
    assert again.image is None
    assert torch.equal(again.embedding, photo.embedding)
    assert again.segment_many(prompts()[:4]) == photo.segment_many(prompts()[:4])


def facts_and_tensors(photo: EncodedImage, path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    photo.save(path)
    facts = {
        "model": "custom",
        "fingerprint": photo.segmenter.fingerprint,
        "height": 90,
        "width": 120,
        "side": photo.segmenter.input_side,
    }
    return facts, load_file(path)


def test_embeddings_that_cannot_be_used(photo: EncodedImage, random_segmenter: Segmenter, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    facts, tensors = facts_and_tensors(photo, path)

    def refused(message: str) -> None:
        with pytest.raises(EmbeddingError, match=message):
            EncodedImage.load(path, random_segmenter)

    whole = path.read_bytes()
    for damaged in (b"", b"hello", whole[:100], whole[:-10]):
        path.write_bytes(damaged)
        refused("is not an embedding saved by anymask, or is damaged")
    for wrong in (
        None,
        {},
        {"anymask": "{"},
        {"anymask": "[]"},
        *({"anymask": json.dumps({k: v for k, v in facts.items() if k != key})} for key in facts),
        {"anymask": json.dumps({**facts, "height": 0})},
        {"anymask": json.dumps({**facts, "width": "wide"})},
    ):
        save_file(tensors, path, wrong)
        refused("is not an embedding saved by anymask, or is damaged")
    good = {"anymask": json.dumps(facts)}
    save_file({"other": tensors["embedding"]}, path, good)
    refused("is not an embedding saved by anymask, or is damaged")
    save_file({"embedding": tensors["embedding"][:, :, :5].contiguous()}, path, good)
    refused(r"is damaged: .* of the shape \[1, 256, 32, 32\], and has the shape \[1, 256, 5, 32\]")
    save_file({"embedding": tensors["embedding"] * float("nan")}, path, good)
    refused("is damaged: its embedding must be finite")
    save_file(tensors, path, {"anymask": json.dumps({**facts, "side": 1024})})
    refused("was made by another model .*input 1024")
    with pytest.raises(EmbeddingError, match=r"no embedding at .*: no such file"):
        EncodedImage.load(tmp_path / "none.safetensors", random_segmenter)
    save_file(tensors, path, good)
    assert EncodedImage.load(path, random_segmenter).size == (90, 120)


def test_an_embedding_of_another_model_is_refused(photo: EncodedImage, tmp_path: Path) -> None:
    photo.save(tmp_path / "a.safetensors")
    torch.manual_seed(99)
    other = load(build_model("pocket"), device="cpu")
    with pytest.raises(EmbeddingError, match=r"was made by another model \(custom, weights .*encode the image"):
        EncodedImage.load(tmp_path / "a.safetensors", other)


def test_a_failed_save_leaves_the_old_embedding(
    photo: EncodedImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    photo.save(path)
    before = path.read_bytes()

    def fail(*given: object) -> None:
        del given
        raise OSError("disk full")

    monkeypatch.setattr("anymask.segment.encoded.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        photo.save(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def click_here_and_there(count: int) -> Prompt:
    rng = np.random.default_rng(count)
    return Prompt(points=rng.uniform((0, 0), (120, 90), (count, 2)), labels=rng.integers(0, 2, count))


@pytest.fixture(scope="module")
def photo_in_bfloat16(photo: EncodedImage) -> EncodedImage:
    """The same embedding as ``photo``, with a decoder in bfloat16."""
    return EncodedImage(
        Segmenter(photo.segmenter.network, "custom", "cpu", "bfloat16"), photo.embedding, photo.frame, photo.image
    )


def test_in_bfloat16_too_many_prompts_are_the_prompts_one_by_one(photo_in_bfloat16: EncodedImage) -> None:
    # More than a batch of each kind: three masks and one, with a mask and without, few clicks and many.
    asked = [*prompts(), *(click_here_and_there(count) for count in (1, 1, 1, 1, 1, 1, 10, 11)), *prompts()]
    together = photo_in_bfloat16.segment_many(asked)
    assert together.prompt is not None
    assert together.logits is not None
    for index, prompt in enumerate(asked):
        mine, alone = together[together.prompt == index], ask(photo_in_bfloat16, prompt)
        assert mine.logits is not None
        assert alone.logits is not None
        if prompt.mask is not None or np.size(prompt.points) > 20:
            # These are computed in float32, also beside others.
            assert_close(mine, alone)
        # Sums in another order may round to another number.
        assert np.linalg.norm(mine.logits - alone.logits) < 0.01 * np.linalg.norm(alone.logits - alone.logits.mean())


def test_a_prompt_without_a_mask_is_answered_alike_beside_one_with_a_mask(
    photo: EncodedImage, photo_in_bfloat16: EncodedImage
) -> None:
    box = Prompt(box=(30, 20, 90, 70))
    alone, exact = photo_in_bfloat16.segment_many([box]), photo.segment_many([box])
    beside = photo_in_bfloat16.segment_many([box, Prompt(box=(30, 20, 90, 70), mask=DISC)])
    assert alone.logits is not None
    assert exact.logits is not None
    assert beside.logits is not None
    np.testing.assert_array_equal(beside.logits[0], alone.logits[0])
    assert np.abs(alone.logits - exact.logits).max() > 1e-5


@pytest.mark.parametrize("count", [10, 11])
def test_few_clicks_and_many_are_answered_alike(
    photo: EncodedImage, photo_in_bfloat16: EncodedImage, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    prompt, tokens = click_here_and_there(count), count + 1
    decoder = photo.segmenter.prompt_decoder
    assert decoder.suits(tokens) == (count == 10)
    answer, rounded = ask(photo, prompt), ask(photo_in_bfloat16, prompt)
    # Each is asked in the other's way.
    monkeypatch.setattr(type(decoder), "suits", lambda *_: count == 11)
    assert_close(ask(photo, prompt), answer)
    assert rounded.logits is not None
    assert answer.logits is not None
    assert np.linalg.norm(rounded.logits - answer.logits) < 0.03 * np.linalg.norm(answer.logits - answer.logits.mean())


def test_the_threshold_of_a_mask_may_change(photo: EncodedImage, monkeypatch: pytest.MonkeyPatch) -> None:
    before = photo.segment(box=(30, 20, 90, 70))
    assert before.logits is not None
    threshold = float(np.quantile(before.logits, 0.9))
    monkeypatch.setattr(photo.segmenter.network, "mask_threshold", threshold)
    after = photo.segment(box=(30, 20, 90, 70))
    full = photo.frame.restore_logits(torch.from_numpy(before.logits)[None])[0] > threshold
    assert (after.decode() != full.numpy()).mean() < 1e-3
    assert after.areas[0] != before.areas[0]


@pytest.mark.parametrize("count", [1, 11])
def test_prompts_under_autocast(photo: EncodedImage, count: int) -> None:
    prompt = click_here_and_there(count)
    expected = ask(photo, prompt)
    with torch.autocast("cpu", torch.bfloat16):
        found = ask(photo, prompt)
    assert found.scores is not None
    assert expected.scores is not None
    np.testing.assert_allclose(np.sort(found.scores), np.sort(expected.scores), atol=0.02)
    assert found.decode().shape == expected.decode().shape
