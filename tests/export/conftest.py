"""Models whose files the tests look at, each written once."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import anymask
from anymask.export import DecoderGraph, export_decoder, export_encoder, export_studio, export_studio_refine
from anymask.export.decoder import OUTPUTS, example_inputs
from anymask.models.registry import assemble
from anymask.segment.segmenter import Segmenter


@pytest.fixture(scope="package", autouse=True)
def _one_thread_for_the_networks() -> Iterator[None]:
    """Networks of this size are slower on two threads, and on a busy machine several times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def pocket() -> Segmenter:
    return anymask.load("pocket", device="cpu", precision="float32")


@pytest.fixture(scope="session")
def sam_decoder() -> Segmenter:
    """A decoder at the published side of 1024, with random weights; it has nothing that encodes images."""
    torch.manual_seed(3)
    return Segmenter(assemble(torch.nn.Identity(), 1024), "vit_b", "cpu", "float32")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="session")
def decoder_file(pocket: Segmenter, folder: Path) -> Path:
    return export_decoder(pocket, folder / "decoder.onnx", check=False).path


@pytest.fixture(scope="session")
def encoder_file(pocket: Segmenter, folder: Path) -> Path:
    return export_encoder(pocket, folder / "encoder.onnx", check=False).path


@pytest.fixture(scope="session")
def single_mask_file(sam_decoder: Segmenter, folder: Path) -> Path:
    """By PyTorch's older exporter, in a tenth of the time; a long test has this file as it is given out."""
    inputs = example_inputs(sam_decoder.network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            DecoderGraph(sam_decoder.network, return_single_mask=True),
            tuple(inputs.values()),
            folder / "single.onnx",
            opset_version=18,
            input_names=list(inputs),
            output_names=list(OUTPUTS),
            dynamic_axes={"point_coords": {1: "num_points"}, "point_labels": {1: "num_points"}},
            dynamo=False,
        )
    return folder / "single.onnx"


@pytest.fixture(scope="session")
def studio_file(sam_decoder: Segmenter, folder: Path) -> Path:
    return export_studio(sam_decoder, folder / "studio.onnx", check=False).path


@pytest.fixture(scope="session")
def refine_file(pocket: Segmenter, folder: Path) -> Path:
    return export_studio_refine(pocket, folder / "studio-refine.onnx", check=False).path
