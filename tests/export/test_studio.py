import copy

import numpy as np
import onnx
import pytest
import torch

from anymask.export import ExportError, export_studio, export_studio_image, studio_image_part
from anymask.export.check import Session
from anymask.export.studio import StudioDecoder
from anymask.models.registry import assemble
from anymask.segment.segmenter import Segmenter
from export.multiply_adds import multiply_adds, published_multiply_adds
from export.published_prompts import CASES, Asked

WITHOUT_MASK = [case for case in CASES if not case.mask]


def embedding_of(segmenter):
    generator = torch.Generator().manual_seed(7)
    return torch.randn(1, 256, *segmenter.prompt_encoder.image_embedding_size, generator=generator)


def inputs_of(asked, segmenter):
    prompt = {name: value for name, value in asked.inputs().items() if name.startswith("point_")}
    return studio_image_part(segmenter, asked.embedding) | prompt


@pytest.fixture
def lively():
    """A decoder all of whose weights are random, those too that begin as ones and zeros."""
    torch.manual_seed(11)
    network = assemble(torch.nn.Identity(), 64).double()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" in name or "bias" in name or "output_upscaling.1" in name:
                parameter += 0.3 * torch.randn_like(parameter)
    return network.float().eval()


@pytest.mark.parametrize("case", WITHOUT_MASK, ids=str)
def test_the_rearranged_decoder_is_the_decoder(lively, case):
    segmenter = Segmenter(lively, "lively", "cpu", "float32")
    asked = Asked(lively, case, (50, 64), embedding_of(segmenter))
    masks, scores = StudioDecoder(lively, single_mask=False)(**inputs_of(asked, segmenter))
    wanted = asked.answer()
    size = wanted["low_res_masks"].abs().max()
    torch.testing.assert_close(masks, wanted["low_res_masks"], atol=1e-4 * float(size), rtol=0)
    torch.testing.assert_close(scores, wanted["iou_predictions"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("case", WITHOUT_MASK, ids=str)
def test_the_single_mask_follows_the_published_rule(lively, case):
    segmenter = Segmenter(lively, "lively", "cpu", "float32")
    asked = Asked(lively, case, (50, 64), embedding_of(segmenter))
    inputs = inputs_of(asked, segmenter)
    all_masks, all_scores = StudioDecoder(lively, single_mask=False)(**inputs)
    mask, score = StudioDecoder(lively, single_mask=True)(**inputs)
    chosen = 1 + int(all_scores[0, 1:].argmax()) if inputs["point_coords"].shape[1] < 3 else 0
    torch.testing.assert_close(mask, all_masks[:, chosen, None])
    torch.testing.assert_close(score, all_scores[:, chosen, None])


@pytest.mark.parametrize("case", WITHOUT_MASK, ids=str)
def test_the_file_answers_as_the_network(sam_decoder, studio_file, case):
    session = Session(studio_file)
    asked = Asked(sam_decoder.network, case, (375, 1242), embedding_of(sam_decoder))
    got, wanted = session(**inputs_of(asked, sam_decoder)), asked.answer()
    assert session.outputs == ["low_res_masks", "iou_predictions"]
    for name, value in got.items():
        np.testing.assert_allclose(value, wanted[name].numpy(), atol=1e-3, rtol=0, err_msg=name)


def test_a_click_is_less_than_a_third_of_the_published_arithmetic(studio_file):
    # A point and its filler, besides the quality token and four mask tokens.
    count = multiply_adds(onnx.load(studio_file), num_points=2)
    assert count < published_multiply_adds(64, tokens=7) / 3


def test_a_product_that_is_not_counted_would_be_noticed(studio_file):
    model = onnx.load(studio_file)
    del model.graph.initializer[0]
    with pytest.raises((KeyError, onnx.shape_inference.InferenceError)):
        multiply_adds(model, num_points=2)


def test_another_decoder_is_refused(lively, tmp_path):
    network = copy.deepcopy(lively)
    network.mask_decoder.transformer.depth = 3
    with pytest.raises(ExportError, match="made for SAM's mask decoder"):
        export_studio(Segmenter(network, "deep", "cpu", "float32"), tmp_path / "studio.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.long
@pytest.mark.parametrize("options", [{}, {"single_mask": True}, {"eight_bit": True}], ids=str)
def test_pockets_file(pocket, tmp_path, options):
    agreement = export_studio(pocket, tmp_path / "studio.onnx", **options).agreement
    assert agreement.runs == 5
    assert agreement.mean_iou > (0.98 if options.get("eight_bit") else 0.999)


@pytest.mark.long
def test_the_image_part_as_a_file(pocket, sam_decoder, tmp_path):
    assert export_studio_image(pocket, tmp_path / "pocket.onnx").agreement.runs == 1
    written = export_studio_image(sam_decoder, tmp_path / "sam.onnx", check=False)
    embedding = embedding_of(sam_decoder)
    wanted = studio_image_part(sam_decoder, embedding)
    for name, value in Session(written.path)(image_embeddings=embedding).items():
        np.testing.assert_allclose(value, wanted[name].numpy(), atol=1e-4, rtol=0, err_msg=name)
