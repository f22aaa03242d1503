import builtins

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from anymask.export import Agreement, ExportError, check_request, export_part, files
from anymask.export.check import Comparison, Session
from anymask.export.files import Part, trace, write
from anymask.segment.errors import MissingPackageError


@pytest.fixture(scope="module")
def layer():
    torch.manual_seed(0)
    return nn.Linear(64, 32)


@pytest.fixture(scope="module")
def traced(layer):
    return trace(layer, {"x": torch.zeros(3, 64)}, ("y",), {"x": {0: "rows"}}, {}, 18)


@pytest.fixture
def model(traced):
    copied = onnx.ModelProto()
    copied.CopyFrom(traced)
    return copied


def test_what_is_written_runs_for_any_length(layer, model, pocket, tmp_path):
    path = tmp_path / "layer.onnx"
    written = write(model, path, pocket, Part("decoder"), None)
    assert written == files.Exported(path, None, path.stat().st_size, 18, None)
    for rows in (1, 5):
        x = torch.randn(rows, 64)
        np.testing.assert_allclose(Session(path)(x=x)["y"], layer(x).detach().numpy(), atol=1e-5)


def test_the_file_says_what_it_is_and_nothing_of_where_it_was_made(model, pocket, tmp_path):
    path = tmp_path / "layer.onnx"
    write(model, path, pocket, Part("decoder", "single-mask"), None)
    written = onnx.load(path)
    facts = {entry.key: entry.value for entry in written.metadata_props}
    assert facts["part"] == "decoder"
    assert facts["variant"] == "single-mask"
    assert facts["model"] == "pocket"
    assert (facts["image_size"], facts["embedding_size"], facts["low_res_size"]) == ("512", "32", "128")
    assert [float(text) for text in facts["pixel_mean"].split(",")] == [123.675, 116.28, 103.53]
    assert [float(text) for text in facts["pixel_std"].split(",")] == [58.395, 57.12, 57.375]
    assert facts["embedding_fingerprint"] == pocket.fingerprint
    assert written.producer_name == "anymask"
    content = path.read_bytes()
    assert b".py" not in content
    assert str(tmp_path).encode() not in content


def test_a_file_that_fails_its_check_does_not_come_into_being(model, pocket, tmp_path):
    path = tmp_path / "layer.onnx"
    path.write_bytes(b"what was here")
    seen = []

    def fail(file):
        seen.append(onnx.load(file).graph.output[0].name)
        raise ExportError("no")

    with pytest.raises(ExportError, match="no"):
        write(model, path, pocket, Part("decoder"), fail)
    assert seen == ["y"]
    assert path.read_bytes() == b"what was here"
    assert list(tmp_path.iterdir()) == [path]


def test_weights_too_large_for_one_file_lie_beside_it(layer, model, pocket, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 100)
    path = tmp_path / "layer.onnx"
    checked = []

    def agree(file):
        checked.append(Session(file)(x=torch.zeros(1, 64))["y"])
        return Agreement({}, 1, None)

    written = write(model, path, pocket, Part("encoder"), agree)
    assert written.weights_path == tmp_path / "layer.onnx.data"
    assert sorted(tmp_path.iterdir()) == [path, written.weights_path]
    # The weight is 8 KB, and small tensors stay in the graph.
    assert written.weights_path.stat().st_size > 4 * path.stat().st_size
    assert written.size == path.stat().st_size + written.weights_path.stat().st_size
    x = torch.randn(2, 64)
    np.testing.assert_allclose(Session(path)(x=x)["y"], layer(x).detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(checked[0], layer(torch.zeros(1, 64)).detach().numpy(), atol=1e-5)


def test_what_the_exporter_cannot_do_is_said(layer):
    class Asks(nn.Module):
        def forward(self, x):
            return layer(x) if x.sum() > 0 else x

    with pytest.raises(ExportError, match="cannot turn Asks into ONNX"):
        trace(Asks(), {"x": torch.zeros(3, 64)}, ("y",), {}, {}, 18)


@pytest.mark.parametrize(
    ("name", "opset", "message"),
    [
        ("decoder.pt", 18, r"name ends in \.onnx, and .*decoder\.pt does not: try .*decoder\.onnx"),
        ("none/decoder.onnx", 18, r"there is no folder .*none for decoder\.onnx"),
        (".", 18, "is a folder: give the name of a file in it"),
        ("decoder.onnx", 17, "opset 17 is not offered: use 18 to 23"),
        ("decoder.onnx", 99, "opset 99 is not offered"),
    ],
)
def test_requests_that_cannot_be_met(tmp_path, name, opset, message):
    with pytest.raises(ExportError, match=message):
        check_request(tmp_path / name, opset)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package):
    genuine = builtins.__import__

    def without(name, *rest, **named):
        if name == package:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return genuine(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackageError, match=rf"No module named '{package}'.*pip install 'anymask\[onnx\]'"):
        check_request(tmp_path / "decoder.onnx", 18)


@pytest.mark.parametrize(
    ("part", "options", "message"),
    [
        ("decoders", {}, "unknown part 'decoders': use decoder, studio, studio-refine, encoder, studio-image"),
        ("encoder", {"single_mask": True}, "encoder gives no masks"),
        ("encoder", {"eight_bit": True}, "encoder is not offered in 8 bits"),
        ("studio-image", {"eight_bit": True}, "studio-image is not offered in 8 bits"),
    ],
)
def test_options_that_a_part_does_not_have(pocket, tmp_path, part, options, message):
    with pytest.raises(ExportError, match=message):
        export_part(pocket, tmp_path / "x.onnx", part, **options)
    assert not list(tmp_path.iterdir())


def test_differences_are_measured_and_judged():
    exact, rough = Comparison(exact=True), Comparison(exact=False)
    wanted = {"y": np.array([[3.0, -100.0]])}
    exact.add({"y": np.array([[3.05, -100.0]])}, wanted, "one")
    assert exact.result() == Agreement({"y": pytest.approx(0.05)}, 1, None)
    for wrong in ([[3.2, -100.0]], [[np.nan, -100.0]]):
        with pytest.raises(ExportError, match="for one its y differs by"):
            exact.add({"y": np.array(wrong)}, wanted, "one")
    with pytest.raises(ExportError, match=r"has the shape \[1, 1\] in ONNX Runtime and \[1, 2\] in torch"):
        rough.add({"y": np.zeros((1, 1))}, wanted, "one")
    rough.add({"y": np.array([[0.0, 0.0]])}, wanted, "one")
    assert rough.result().differences == {"y": 100.0}


def test_masks_that_are_both_empty_agree():
    comparison = Comparison(exact=False)
    first, second = -np.ones((1, 2, 4, 4)), -np.ones((1, 2, 4, 4))
    first[0, 1, :2], second[0, 1, :1] = 1, 1
    comparison.add_masks(first, second, 0.0)
    assert comparison.result().mean_iou == pytest.approx((1 + 0.5) / 2)
