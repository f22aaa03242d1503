"""SamOnnxModel through both of PyTorch's exporters, as people's own scripts call them."""

import warnings

import numpy as np
import onnxruntime
import pytest
import torch

import anymask
from anymask.compat.segment_anything.utils.amg import calculate_stability_score
from anymask.compat.segment_anything.utils.onnx import SamOnnxModel

FLAGS = [(False, False, False), (True, False, False), (True, True, False), (False, True, True), (True, False, True)]
NAMES = ["masks", "iou_predictions", "low_res_masks"]
ALL_NAMES = ["masks", "iou_predictions", "stability_scores", "areas", "low_res_masks"]
DYNAMIC_AXES = {"point_coords": {1: "num_points"}, "point_labels": {1: "num_points"}}


@pytest.fixture
def network(build_tiny):
    torch.manual_seed(4)
    network = build_tiny(64).eval()
    with torch.no_grad():
        # Masks that are neither empty nor full.
        network.mask_decoder.output_upscaling[3].weight *= 40
    return network


def published_inputs(points, size=(1500, 2250)):
    generator = torch.Generator().manual_seed(points)
    return {
        "image_embeddings": torch.randn(1, 32, 4, 4, generator=generator),
        "point_coords": torch.rand(1, points, 2, generator=generator) * 64,
        "point_labels": torch.randint(-1, 4, (1, points), generator=generator).float(),
        "mask_input": torch.randn(1, 1, 16, 16, generator=generator),
        "has_mask_input": torch.tensor([float(points % 2)]),
        "orig_im_size": torch.tensor([float(length) for length in size]),
    }


def compare(path, module):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for points, size in ((1, (30, 47)), (2, (64, 64)), (5, (101, 20)), (40, (30, 47))):
        inputs = published_inputs(points, size)
        wanted = module(**inputs)
        given = {value.name: inputs[value.name].numpy() for value in session.get_inputs()}
        for got, reference in zip(session.run(None, given), wanted, strict=True):
            assert got.shape == tuple(reference.shape)
            # An area may change by a pixel whose logit is nearly 0.
            close = 2 if reference.dtype == torch.int64 else 2e-3
            np.testing.assert_allclose(got, reference.numpy(), atol=close, rtol=0)


@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_the_older_exporter_as_the_published_script_calls_it(network, flags, tmp_path):
    module, inputs = SamOnnxModel(network, *flags), published_inputs(5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            tmp_path / "sam.onnx",
            export_params=True,
            opset_version=17,
            do_constant_folding=True,
            input_names=list(inputs),
            output_names=ALL_NAMES if flags[2] else NAMES,
            dynamic_axes=DYNAMIC_AXES,
            dynamo=False,
        )
    compare(tmp_path / "sam.onnx", module)


@pytest.mark.long
@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_the_newer_exporter(network, flags, tmp_path):
    module, inputs = SamOnnxModel(network, *flags), published_inputs(5)
    points = torch.export.Dim("num_points")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            tmp_path / "sam.onnx",
            opset_version=18,
            input_names=list(inputs),
            output_names=ALL_NAMES if flags[2] else NAMES,
            # Axes of some inputs alone would be taken for those of the first inputs, as of PyTorch 2.13.
            dynamic_shapes={name: {1: points} if name.startswith("point") else None for name in inputs},
            dynamo=True,
        )
    compare(tmp_path / "sam.onnx", module)


def test_stability_and_areas_are_those_of_the_masks(network):
    inputs = published_inputs(3, (30, 47))
    masks, scores, low_res = SamOnnxModel(network, False)(**inputs)
    by_stability = SamOnnxModel(network, return_single_mask=False, use_stability_score=True, return_extra_metrics=True)
    again, low_res_stability, stability, areas, same_low_res = by_stability(**inputs)
    torch.testing.assert_close(again, masks)
    torch.testing.assert_close(same_low_res, low_res)
    torch.testing.assert_close(low_res_stability, calculate_stability_score(low_res, 0.0, 1.0), equal_nan=True)
    torch.testing.assert_close(stability, calculate_stability_score(masks, 0.0, 1.0), equal_nan=True)
    assert areas.tolist() == (masks > 0).sum((-1, -2)).tolist()
    assert scores.shape == low_res_stability.shape == areas.shape == (1, 4)
    assert 0 < areas.sum() < 4 * 30 * 47


def test_the_single_mask_can_be_the_most_stable_one(network):
    inputs = published_inputs(2, (30, 47))
    _, scores, low_res = SamOnnxModel(network, False, use_stability_score=True)(**inputs)
    _, score, one = SamOnnxModel(network, True, use_stability_score=True)(**inputs)
    chosen = 1 + int(scores[0, 1:].argmax())
    torch.testing.assert_close(one, low_res[:, chosen, None])
    assert score.item() == scores[0, chosen].item()


def test_attributes_that_scripts_touch(network):
    module = SamOnnxModel(anymask.load(network, device="cpu"), return_single_mask=True)
    assert module.model is network
    assert module.mask_decoder is network.mask_decoder
    assert module.img_size == network.image_encoder.img_size == 64
    assert module.stability_score_offset == 1.0
    assert (module.return_single_mask, module.use_stability_score, module.return_extra_metrics) == (True, False, False)
    assert module.resize_longest_image_size(torch.tensor([1500.0, 2250.0]), 1024).tolist() == [683, 1024]
    assert module.resize_longest_image_size(torch.tensor([1.0, 4000.0]), 1024).tolist() == [1, 1024]
