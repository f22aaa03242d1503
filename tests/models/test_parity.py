"""Our networks against transformers' with the same random weights; errors are absolute, outputs 1 to 10."""

import itertools

import pytest
import torch

from models.parity import Pair, make_pair, reference_decode

TOLERANCE = 1e-4
KINDS = [kinds for count in (1, 2, 3) for kinds in itertools.combinations(("points", "box", "mask"), count)]


@pytest.fixture(scope="module")
def pair() -> Pair:
    return make_pair()


@pytest.fixture(scope="module")
def embedding(pair):
    return embed(pair, images(1, pair.image_size, seed=1))


def images(count, side, seed):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def embed(pair, batch):
    return pair.reference.get_image_embeddings(batch)


def make_prompts(kinds, count, points_each, image_size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = boxes = masks = None
    if "points" in kinds:
        coordinates = torch.rand(count, points_each, 2, generator=generator) * image_size
        labels = (torch.arange(count * points_each).reshape(count, points_each) + 1) % 2
        points = (coordinates, labels)
    if "box" in kinds:
        corners = torch.rand(count, 2, 2, generator=generator) * image_size
        boxes = corners.sort(dim=1).values.reshape(count, 4)
    if "mask" in kinds:
        side = image_size // 4
        masks = 5 * torch.randn(count, 1, side, side, generator=generator)
    return points, boxes, masks


@torch.no_grad()
def our_decode(ours, embedding, points, boxes, masks, multimask):
    sparse, dense = ours.prompt_encoder(points=points, boxes=boxes, masks=masks)
    return ours.mask_decoder(
        image_embeddings=embedding,
        image_pe=ours.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
    )


def assert_near(actual, expected, what, tolerance=TOLERANCE):
    assert actual.shape == expected.shape
    assert expected.std() > 0.05, f"{what} hardly varies, so that the comparison says little"
    error = (actual - expected).abs().max().item()
    assert error < tolerance, f"{what} differs by {error:.2e}"


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
@torch.no_grad()
def test_image_embeddings_and_masks_of_each_width(name):
    pair = make_pair(name, seed=3)
    batch = images(2, pair.image_size, seed=4)
    expected = embed(pair, batch)
    embeddings = pair.ours.image_encoder(batch)
    assert_near(embeddings, expected, "the image embedding")
    prompts = make_prompts(("points", "box"), 1, 2, pair.image_size)
    logits, scores = our_decode(pair.ours, embeddings[1:], *prompts, True)
    expected_logits, expected_scores = reference_decode(pair.reference, expected[1:], *prompts, True)
    assert_near(logits, expected_logits, "the logits")
    assert_near(scores, expected_scores, "the predicted IoU")


@pytest.mark.parametrize(("image_size", "global_blocks"), [(224, ()), (240, ()), (112, (0, 1))])
@torch.no_grad()
def test_image_embeddings_with_and_without_padded_windows(image_size, global_blocks):
    pair = make_pair(image_size=image_size, global_blocks=global_blocks, seed=5)
    batch = images(1, image_size, seed=6)
    assert_near(pair.ours.image_encoder(batch), embed(pair, batch), "the image embedding")


@torch.no_grad()
def test_position_encoding_of_the_image(pair):
    assert_near(
        pair.ours.prompt_encoder.get_dense_pe(),
        pair.reference.get_image_wide_positional_embeddings(),
        "the position encoding",
    )


@pytest.mark.parametrize("points_each", [1, 2, 3])
@pytest.mark.parametrize("kinds", KINDS, ids="+".join)
@torch.no_grad()
def test_prompt_embeddings(pair, kinds, points_each):
    points, boxes, masks = make_prompts(kinds, 3, points_each, pair.image_size)
    sparse, dense = pair.ours.prompt_encoder(points=points, boxes=boxes, masks=masks)
    expected_sparse, expected_dense = pair.reference.get_prompt_embeddings(
        None if points is None else points[0][:, None],
        None if points is None else points[1][:, None],
        None if boxes is None else boxes[:, None],
        masks,
    )
    if expected_sparse is None:
        assert sparse.shape == (3, 0, 256)
    else:
        assert_near(sparse, expected_sparse[:, 0], "the sparse embedding")
    assert_near(dense, expected_dense, "the dense embedding")


@pytest.mark.parametrize("kinds", KINDS, ids="+".join)
@pytest.mark.parametrize(
    ("count", "points_each", "multimask"), [(1, 1, True), (1, 2, False), (3, 3, True), (2, 1, False)]
)
def test_masks_of_every_prompt_combination(pair, embedding, kinds, count, points_each, multimask):
    prompts = make_prompts(kinds, count, points_each, pair.image_size, seed=7)
    logits, scores = our_decode(pair.ours, embedding, *prompts, multimask)
    expected_logits, expected_scores = reference_decode(pair.reference, embedding, *prompts, multimask)
    assert logits.shape[1] == (3 if multimask else 1)
    assert_near(logits, expected_logits, "the logits")
    # One number cannot vary; how it depends on the prompt is seen in the larger batches.
    assert (scores - expected_scores).abs().max() < TOLERANCE


@pytest.mark.parametrize(("labels", "what"), [([1, 1], "positive"), ([0, 0], "negative"), ([1, -1], "none")])
def test_masks_of_each_point_label(pair, embedding, labels, what):
    points = (torch.tensor([[[20.0, 30.0], [130.0, 90.0]]]), torch.tensor([labels]))
    logits, _ = our_decode(pair.ours, embedding, points, None, None, True)
    expected, _ = reference_decode(pair.reference, embedding, points, None, None, True)
    assert_near(logits, expected, f"the logits for {what}")


def test_masks_of_more_prompt_tokens_than_are_absorbed(pair, embedding):
    prompts = make_prompts(("points",), 2, 20, pair.image_size, seed=8)
    logits, scores = our_decode(pair.ours, embedding, *prompts, True)
    expected_logits, expected_scores = reference_decode(pair.reference, embedding, *prompts, True)
    assert_near(logits, expected_logits, "the logits")
    assert_near(scores, expected_scores, "the predicted IoU")


@torch.no_grad()
def test_several_prompts_on_each_of_several_images(pair):
    batch = images(2, pair.image_size, seed=9)
    points = [make_prompts(("points",), 3, 2, pair.image_size, seed)[0] for seed in (1, 2)]
    expected = pair.reference(
        pixel_values=batch,
        input_points=torch.stack([coordinates for coordinates, _ in points]),
        input_labels=torch.stack([labels for _, labels in points]),
    )
    embeddings = pair.ours.image_encoder(batch)
    sparse = torch.stack([pair.ours.prompt_encoder(given, None, None)[0] for given in points])
    dense = pair.ours.prompt_encoder.no_mask_embed.weight.reshape(1, 1, -1, 1, 1)
    logits, scores = pair.ours.mask_decoder.decode(embeddings, pair.ours.prompt_encoder.get_dense_pe(), sparse, dense)
    assert_near(logits[:, :, 1:], expected.pred_masks, "the logits")
    assert_near(scores[:, :, 1:], expected.iou_scores, "the predicted IoU")


@torch.no_grad()
def test_one_prompt_on_each_of_several_images_by_the_published_signature(pair):
    batch = images(2, pair.image_size, seed=10)
    embeddings = embed(pair, batch)
    prompts = make_prompts(("points", "box", "mask"), 2, 1, pair.image_size, seed=11)
    logits, scores = our_decode(pair.ours, embeddings, *prompts, True)
    for index in range(2):
        one = (
            (prompts[0][0][index : index + 1], prompts[0][1][index : index + 1]),
            prompts[1][index : index + 1],
            prompts[2][index : index + 1],
        )
        expected_logits, expected_scores = reference_decode(pair.reference, embeddings[index : index + 1], *one, True)
        assert_near(logits[index : index + 1], expected_logits, "the logits")
        assert_near(scores[index : index + 1], expected_scores, "the predicted IoU")


@pytest.mark.long
@torch.no_grad()
def test_vit_b_of_published_depth_and_size():
    pair = make_pair("vit_b", 1024, 12, (2, 5, 8, 11))
    batch = images(1, 1024, seed=12)
    expected = embed(pair, batch)
    embedding = pair.ours.image_encoder(batch)
    assert_near(embedding, expected, "the image embedding")
    for kinds in KINDS:
        prompts = make_prompts(kinds, 2, 2, 1024, seed=13)
        logits, scores = our_decode(pair.ours, embedding, *prompts, True)
        expected_logits, expected_scores = reference_decode(pair.reference, expected, *prompts, True)
        assert_near(logits, expected_logits, "the logits")
        assert_near(scores, expected_scores, "the predicted IoU")
