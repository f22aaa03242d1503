import numpy as np
import onnx
import pytest
import torch

from anymask.export import DecoderGraph, ExportError, export_decoder
from anymask.export.check import Session, compare_decoder
from anymask.export.decoder import best_mask, example_inputs
from anymask.export.files import Part, write
from anymask.models.registry import build_model
from anymask.segment.segmenter import Segmenter
from export.published_prompts import CASES, Asked, Case

SIZES = [(300, 451), (513, 128), (37, 1001)]


@pytest.fixture(scope="module")
def session(decoder_file):
    return Session(decoder_file)


@pytest.fixture(scope="module")
def single_session(single_mask_file):
    return Session(single_mask_file)


@pytest.fixture(scope="module")
def embedding():
    generator = torch.Generator().manual_seed(5)
    # The spread of real embeddings, whose channels a layer norm ends.
    return torch.randn(1, 256, 32, 32, generator=generator)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_kind_of_prompt_is_answered_as_by_the_network(pocket, session, embedding, case):
    for size in SIZES:
        asked = Asked(pocket.network, case, size, embedding)
        got, wanted = session(**asked.inputs()), asked.answer()
        assert set(got) == set(wanted)
        for name, value in wanted.items():
            np.testing.assert_allclose(got[name], value.numpy(), atol=2e-3, rtol=0, err_msg=name)


def check_single_mask(session, segmenter, case):
    generator = torch.Generator().manual_seed(6)
    asked = Asked(segmenter.network, case, (375, 1242), torch.randn(1, 256, 64, 64, generator=generator))
    wanted = asked.answer()
    # One point with its filler, and a box alone, have two: these are the ambiguous prompts.
    ambiguous = asked.inputs()["point_coords"].shape[1] < 3
    assert ambiguous == (case.points + case.box == 1)
    chosen = 1 + int(wanted["iou_predictions"][0, 1:].argmax()) if ambiguous else 0
    got = session(**asked.inputs())
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value[:, chosen, None].numpy(), atol=1e-3, rtol=0, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_single_mask_follows_the_published_rule(sam_decoder, single_session, case):
    check_single_mask(single_session, sam_decoder, case)


@pytest.mark.long
def test_the_single_mask_as_it_is_given_out(sam_decoder, tmp_path):
    path = export_decoder(sam_decoder, tmp_path / "single.onnx", single_mask=True, check=False).path
    for case in CASES:
        check_single_mask(Session(path), sam_decoder, case)


def test_the_signature_is_the_published_one(decoder_file):
    graph = onnx.load(decoder_file).graph

    def signature(values):
        return {
            value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
            for value in values
        }

    assert signature(graph.input) == {
        "image_embeddings": [1, 256, 32, 32],
        "point_coords": [1, "num_points", 2],
        "point_labels": [1, "num_points"],
        "mask_input": [1, 1, 128, 128],
        "has_mask_input": [1],
        "orig_im_size": [2],
    }
    assert signature(graph.output) == {
        "masks": [1, 4, "height", "width"],
        "iou_predictions": [1, 4],
        "low_res_masks": [1, 4, 128, 128],
    }
    types = {value.type.tensor_type.elem_type for value in [*graph.input, *graph.output]}
    assert types == {onnx.TensorProto.FLOAT}


def test_a_mask_that_is_not_had_is_not_looked_at(pocket, session, embedding):
    inputs = Asked(pocket.network, Case(2), (90, 120), embedding).inputs()
    others = inputs | {"mask_input": torch.zeros_like(inputs["mask_input"])}
    np.testing.assert_array_equal(session(**inputs)["low_res_masks"], session(**others)["low_res_masks"])


def test_an_image_of_any_size_is_possible(pocket, session, embedding):
    for size in ((1, 1), (2, 3000), (3000, 2)):
        asked = Asked(pocket.network, Case(1), size, embedding)
        got = session(**asked.inputs())["masks"]
        assert got.shape == (1, 4, *size)
        np.testing.assert_allclose(got, asked.answer()["masks"].numpy(), atol=2e-3, rtol=0)


def test_many_points_are_possible(pocket, session, embedding):
    asked = Asked(pocket.network, Case(60), (90, 120), embedding)
    got, wanted = session(**asked.inputs()), asked.answer()
    np.testing.assert_allclose(got["masks"], wanted["masks"].numpy(), atol=2e-3, rtol=0)


def test_the_check_finds_another_network(pocket, decoder_file):
    assert compare_decoder(decoder_file, pocket, False, exact=True).mean_iou > 0.999
    network = build_model("pocket")
    network.load_state_dict(pocket.state_dict())
    with torch.no_grad():
        network.mask_decoder.output_upscaling[3].bias += 0.05
    with pytest.raises(ExportError, match="the file is not the network: for 1 points its masks differs by"):
        compare_decoder(decoder_file, Segmenter(network, "altered", "cpu", "float32"), False, exact=True)


def test_eight_bits_are_small_and_keep_the_masks(pocket, decoder_file, tmp_path):
    # The graph is traced already; what is in question comes after that.
    part = Part("decoder", eight_bit=True)
    written = write(
        onnx.load(decoder_file),
        tmp_path / "small.onnx",
        pocket,
        part,
        lambda file: compare_decoder(file, pocket, False, exact=False),
    )
    assert written.size < 0.4 * decoder_file.stat().st_size
    assert 0.98 < written.agreement.mean_iou < 1
    assert written.agreement.differences["masks"] > 0.01


@pytest.mark.parametrize(
    ("scores", "points", "best"),
    [
        ([9.0, 0.1, 0.3, 0.2], 2, 2),
        ([9.0, 0.1, 0.3, 0.2], 1, 2),
        ([-9.0, 0.1, 0.3, 0.2], 3, 0),
        ([0.0, 0.5, 0.3, 0.2], 7, 0),
    ],
)
def test_the_first_mask_is_for_three_points_and_more(scores, points, best):
    assert best_mask(torch.tensor([scores]), points).tolist() == [best]


def test_several_prompts_at_once_in_torch(build_tiny):
    network = build_tiny(64).eval()
    graph = DecoderGraph(network, return_single_mask=True)
    inputs = example_inputs(network, 3)
    coords, labels = inputs["point_coords"].repeat(4, 1, 1), inputs["point_labels"].repeat(4, 1)
    coords[1:] += 5
    inputs |= {"orig_im_size": torch.tensor([30.0, 40.0])}
    masks, scores, low_res = graph(**(inputs | {"point_coords": coords, "point_labels": labels}))
    assert masks.shape == (4, 1, 30, 40)
    for row in range(4):
        one = graph(**(inputs | {"point_coords": coords[row, None], "point_labels": labels[row, None]}))
        for several, alone in zip((masks, scores, low_res), one, strict=True):
            torch.testing.assert_close(several[row, None], alone, atol=1e-4, rtol=0)


@pytest.mark.long
@pytest.mark.parametrize("opset", range(18, 24))
def test_every_operator_set_is_written_and_runs(pocket, tmp_path, opset):
    for single_mask in (False, True):
        written = export_decoder(pocket, tmp_path / "decoder.onnx", single_mask=single_mask, opset=opset)
        assert written.opset == opset
        assert written.agreement.runs == 20


@pytest.mark.long
def test_eight_bits_can_be_asked_for(pocket, tmp_path):
    written = export_decoder(pocket, tmp_path / "decoder.onnx", eight_bit=True)
    assert 0.98 < written.agreement.mean_iou < 1
