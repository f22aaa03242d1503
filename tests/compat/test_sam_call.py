import numpy as np
import pytest
import torch
from skimage import data

from anymask.compat.segment_anything import SamPredictor
from anymask.compat.segment_anything.modeling import Sam
from anymask.compat.segment_anything.utils.transforms import ResizeLongestSide
from compat.published import PublishedAlgorithm

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def images(image):
    return [image, np.ascontiguousarray(data.chelsea()[:, :250])]


@pytest.fixture(scope="module")
def mask_inputs():
    return 5 * torch.randn(2, 1, 40, 40, generator=torch.Generator().manual_seed(0))


POINTS = torch.tensor([[[100.0, 50.0]], [[60.0, 150.0]]])
LABELS = torch.tensor([[1], [0]])
BOXES = torch.tensor([[10.0, 20.0, 150.0, 160.0], [30.0, 5.0, 200.0, 150.0], [0.0, 0.0, 99.0, 99.0]])


def record(image, side, **prompts):
    transform = ResizeLongestSide(side)
    size = image.shape[:2]
    scaled = {
        "image": torch.as_tensor(transform.apply_image(image)).permute(2, 0, 1),
        "original_size": size,
    }
    if "points" in prompts:
        scaled["point_coords"] = transform.apply_coords_torch(prompts["points"], size)
        scaled["point_labels"] = prompts["labels"]
    if "boxes" in prompts:
        scaled["boxes"] = transform.apply_boxes_torch(prompts["boxes"], size)
    if "masks" in prompts:
        scaled["mask_inputs"] = prompts["masks"]
    return scaled


@pytest.mark.parametrize("multimask", [True, False])
def test_a_batch_is_answered_as_by_the_published_algorithm(pair, images, mask_inputs, multimask):
    prompts = [{"points": POINTS, "labels": LABELS, "masks": mask_inputs}, {"boxes": BOXES}]
    outputs = pair.ours(
        [record(image, pair.image_size, **given) for image, given in zip(images, prompts, strict=True)],
        multimask_output=multimask,
    )
    assert len(outputs) == 2
    for output, image, given in zip(outputs, images, prompts, strict=True):
        assert set(output) == {"masks", "iou_predictions", "low_res_logits"}
        published = PublishedAlgorithm(pair.reference, pair.image_size, image)
        logits, scores, low_res = published.answer(**given, multimask=multimask)
        torch.testing.assert_close(output["low_res_logits"], low_res, atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(output["iou_predictions"], scores, atol=TOLERANCE, rtol=0)
        assert output["masks"].dtype == torch.bool
        assert output["masks"].shape == logits.shape
        sure = logits.abs() > TOLERANCE
        assert torch.equal(output["masks"][sure], (logits > 0)[sure])


def test_a_batch_is_answered_as_by_the_predictor(pair, images):
    outputs = pair.ours(
        [record(image, pair.image_size, points=POINTS, labels=LABELS) for image in images],
        multimask_output=True,
    )
    for output, image in zip(outputs, images, strict=True):
        predictor = SamPredictor(pair.ours)
        predictor.set_image(image)
        for index in range(2):
            masks, scores, low_res = predictor.predict(POINTS[index].numpy(), LABELS[index].numpy())
            np.testing.assert_allclose(output["low_res_logits"][index], low_res, atol=TOLERANCE, rtol=0)
            np.testing.assert_allclose(output["iou_predictions"][index], scores, atol=TOLERANCE, rtol=0)
            assert (output["masks"][index].numpy() != masks).mean() < 1e-3


def test_the_model_is_the_published_class(pair):
    assert isinstance(pair.ours, Sam)
    assert pair.ours.image_format == "RGB"
    assert pair.ours.mask_threshold == 0.0


def test_preprocessing_normalises_then_pads_with_zeros(pair):
    image = torch.randint(0, 256, (3, 100, 160), dtype=torch.uint8)
    prepared = pair.ours.preprocess(image)
    assert prepared.shape == (3, 160, 160)
    assert not prepared[:, 100:].any()
    torch.testing.assert_close(prepared[2, :100], (image[2].float() - 103.53) / 57.375)
