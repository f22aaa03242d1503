import numpy as np
import onnx
import pytest
import torch

from anymask.export import ExportError, export_studio_refine
from anymask.export.check import Session, compare_studio_refine
from anymask.export.studio_refine import StudioRefineDecoder
from anymask.models.registry import build_model
from anymask.segment.segmenter import Segmenter
from export.multiply_adds import multiply_adds, published_multiply_adds
from export.published_prompts import CASES, Asked, Case


@pytest.fixture(scope="module")
def session(refine_file):
    return Session(refine_file)


@pytest.fixture(scope="module")
def embedding():
    return torch.randn(1, 256, 32, 32, generator=torch.Generator().manual_seed(5))


def inputs_of(asked):
    return {name: value for name, value in asked.inputs().items() if name != "orig_im_size"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_kind_of_prompt_is_answered_as_by_the_network(pocket, session, embedding, case):
    asked = Asked(pocket.network, case, (300, 451), embedding)
    got, wanted = session(**inputs_of(asked)), asked.answer()
    assert session.outputs == ["low_res_masks", "iou_predictions"]
    for name, value in got.items():
        np.testing.assert_allclose(value, wanted[name].numpy(), atol=2e-3, rtol=0, err_msg=name)


def test_a_mask_alone_can_be_refined(pocket, session, embedding):
    asked = Asked(pocket.network, Case(mask=True), (300, 451), embedding)
    without_points = {"point_coords": torch.zeros(1, 0, 2), "point_labels": torch.zeros(1, 0)}
    got = session(**(inputs_of(asked) | without_points))
    wanted = asked.answer()
    np.testing.assert_allclose(got["low_res_masks"], wanted["low_res_masks"].numpy(), atol=2e-3, rtol=0)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_single_mask_follows_the_published_rule(pocket, embedding, case):
    inputs = inputs_of(Asked(pocket.network, case, (300, 451), embedding))
    all_masks, all_scores = StudioRefineDecoder(pocket.network, single_mask=False)(**inputs)
    mask, score = StudioRefineDecoder(pocket.network, single_mask=True)(**inputs)
    chosen = 1 + int(all_scores[0, 1:].argmax()) if inputs["point_coords"].shape[1] < 3 else 0
    torch.testing.assert_close(mask, all_masks[:, chosen, None])
    torch.testing.assert_close(score, all_scores[:, chosen, None])


def test_the_signature_has_no_size(refine_file):
    graph = onnx.load(refine_file).graph
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.output]
    }
    assert shapes == {
        "image_embeddings": [1, 256, 32, 32],
        "point_coords": [1, "num_points", 2],
        "point_labels": [1, "num_points"],
        "mask_input": [1, 1, 128, 128],
        "has_mask_input": [1],
        "low_res_masks": [1, 4, 128, 128],
        "iou_predictions": [1, 4],
    }


def test_a_click_is_less_than_two_thirds_of_the_published_arithmetic(refine_file, decoder_file):
    published = published_multiply_adds(32, tokens=7)
    for path in (refine_file, decoder_file):
        assert multiply_adds(onnx.load(path), num_points=2) < published * 2 / 3


def test_the_check_finds_another_network(pocket, refine_file):
    agreement = compare_studio_refine(refine_file, pocket, False, exact=True)
    assert agreement.runs == 10
    assert agreement.mean_iou > 0.999
    network = build_model("pocket")
    network.load_state_dict(pocket.state_dict())
    with torch.no_grad():
        network.prompt_encoder.mask_downscaling[6].bias += 0.5
    # Only prompts with a mask can tell.
    with pytest.raises(ExportError, match="the file is not the network: for 1 points and a mask its low_res_masks"):
        compare_studio_refine(refine_file, Segmenter(network, "altered", "cpu", "float32"), False, exact=True)


@pytest.mark.long
@pytest.mark.parametrize("options", [{}, {"single_mask": True}, {"eight_bit": True}], ids=str)
def test_pockets_file(pocket, tmp_path, options):
    agreement = export_studio_refine(pocket, tmp_path / "studio-refine.onnx", **options).agreement
    assert agreement.runs == 10
    assert agreement.mean_iou > (0.98 if options.get("eight_bit") else 0.999)
