import pickle
import re
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from anymask.models.checkpoints import (
    CheckpointError,
    load_into,
    load_state_dict,
    read_metadata,
    read_tensors,
)
from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.registry import assemble
from anymask.models.transformers_keys import to_transformers


def small_model(embed_dim=64, depth=1):
    encoder = ImageEncoderViT(img_size=64, embed_dim=embed_dim, depth=depth, num_heads=2)
    return assemble(encoder, 64)


@pytest.fixture(scope="module")
def model():
    return small_model()


def write(state, path):
    if path.suffix == ".safetensors":
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["sam.pth", "sam.pt", "sam.safetensors"])
def test_a_checkpoint_comes_back_as_it_was(model, tmp_path, name):
    path = write(model.state_dict(), tmp_path / name)
    other = small_model()
    assert not torch.equal(other.mask_decoder.iou_token.weight, model.mask_decoder.iou_token.weight)
    load_into(other, load_state_dict(path), "small", str(path))
    for key, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key


@pytest.mark.parametrize("wrapper", ["model", "state_dict"])
def test_a_wrapped_state_dict_is_unwrapped(model, tmp_path, wrapper):
    path = tmp_path / "sam.pth"
    torch.save({wrapper: model.state_dict(), "epoch": 3}, path)
    assert load_state_dict(str(path)).keys() == model.state_dict().keys()


@pytest.mark.parametrize("name", ["sam.bin", "sam.safetensors"])
def test_the_layout_of_transformers_is_renamed(model, tmp_path, name):
    theirs = to_transformers(model.state_dict())
    path = write(theirs, tmp_path / name)
    assert read_tensors(path).keys() == theirs.keys()
    loaded = load_state_dict(path)
    assert loaded.keys() == model.state_dict().keys()
    assert all(torch.equal(loaded[key], value) for key, value in model.state_dict().items())


def test_metadata_is_that_of_safetensors(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "sam.safetensors", metadata={"model": "pocket"})
    assert read_metadata(tmp_path / "sam.safetensors") == {"model": "pocket"}
    save_file({"a": torch.zeros(1)}, tmp_path / "sam.safetensors")
    assert read_metadata(tmp_path / "sam.safetensors") == {}
    assert read_metadata(tmp_path / "sam.pth") == {}
    (tmp_path / "sam.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match=r"sam\.safetensors is truncated or not safetensors"):
        read_metadata(tmp_path / "sam.safetensors")


@pytest.mark.parametrize("name", ["sam.pth", "sam.safetensors"])
def test_half_precision_is_widened(tmp_path, name):
    state = {"half": torch.tensor([1.5, 2.5], dtype=torch.float16), "count": torch.tensor([3])}
    loaded = load_state_dict(write(state, tmp_path / name))
    assert loaded["half"].dtype == torch.float32
    assert loaded["half"].tolist() == [1.5, 2.5]
    assert loaded["count"].dtype == torch.int64


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.9])
@pytest.mark.parametrize("name", ["sam.pth", "legacy.pth", "sam.safetensors"])
def test_a_truncated_file_is_called_truncated(model, tmp_path, name, kept):
    path = tmp_path / name
    if name == "legacy.pth":
        torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)
    else:
        write(model.state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(CheckpointError, match=f"{re.escape(name)} is truncated"):
        load_state_dict(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.pth", b"", "empty.pth is empty"),
        ("empty.safetensors", b"", "empty.safetensors is empty"),
        ("page.pth", b"<!DOCTYPE html><html>404</html>", "page.pth is not a checkpoint"),
        (
            "page.safetensors",
            b"<!DOCTYPE html><html>404</html>",
            "page.safetensors is truncated or not safetensors",
        ),
        ("number.pth", pickle.dumps(7), r"number\.pth"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_state_dict(path)


@pytest.mark.parametrize("content", [{}, {"model": {}}, [torch.zeros(1)], {"epoch": 3}, torch.zeros(2)])
def test_what_is_no_state_dict_is_named(tmp_path, content):
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"other\.pth does not hold a state dict"):
        load_state_dict(path)


def test_an_archive_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match=r"photos\.zip"):
        load_state_dict(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80))
def test_no_bytes_cause_any_other_error(tmp_path, content):
    for name, head in (("noise.pth", b"\x80\x02"), ("noise.pth", b""), ("noise.safetensors", b"")):
        path = tmp_path / name
        path.write_bytes(head + content)
        with pytest.raises(CheckpointError, match="noise"):
            load_state_dict(path)


@pytest.mark.parametrize(("path", "reason"), [("missing.pth", "no such file"), (".", "it is a folder")])
def test_a_missing_file_is_named(tmp_path, path, reason):
    with pytest.raises(CheckpointError, match=f"no checkpoint at .*{reason}"):
        load_state_dict(tmp_path / path)


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["zip", "legacy", "bare"])
def test_code_in_a_pickle_is_not_run(tmp_path, kind):
    sprung = tmp_path / "sprung"
    path = tmp_path / "trap.pth"
    content = {"weight": torch.zeros(1), "trap": Trap(sprung)}
    if kind == "bare":
        path.write_bytes(pickle.dumps(Trap(sprung)))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(CheckpointError, match=r"trap\.pth holds more than tensors"):
        load_state_dict(path)
    assert not sprung.exists()
    torch.load(path, weights_only=False) if kind != "bare" else pickle.loads(path.read_bytes())
    assert sprung.exists(), "the trap does not work, so that the test proves nothing"


def test_a_checkpoint_of_a_larger_model_is_refused_and_nothing_changes(tmp_path):
    path = write(small_model(embed_dim=128, depth=2).state_dict(), tmp_path / "vit_l.pth")
    model = small_model()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_into(model, load_state_dict(path), "vit_b", str(path))
    message = str(caught.value)
    assert "vit_l.pth is not a checkpoint of vit_b" in message
    assert "image_encoder.pos_embed is (1, 4, 4, 128), wanted (1, 4, 4, 64)" in message
    assert "tensors are unknown (first image_encoder.blocks.1." in message
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_one_tensor_of_another_shape_is_named(model):
    state = dict(model.state_dict())
    state["mask_decoder.iou_token.weight"] = torch.zeros(2, 256)
    with pytest.raises(CheckpointError, match=r"mask_decoder\.iou_token\.weight is \(2, 256\), wanted \(1, 256\)"):
        load_into(model, state, "vit_b", "a file")


def test_one_missing_tensor_is_named(model):
    state = dict(model.state_dict())
    del state["mask_decoder.iou_token.weight"]
    with pytest.raises(CheckpointError, match=r"1 tensors are missing \(first mask_decoder\.iou_token\.weight\)"):
        load_into(model, state, "vit_b", "a file")


def test_one_unknown_tensor_is_named(model):
    state = dict(model.state_dict()) | {"head.weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"1 tensors are unknown \(first head\.weight\)"):
        load_into(model, state, "vit_b", "a file")


def test_a_foreign_checkpoint_is_called_foreign(model):
    with pytest.raises(CheckpointError, match=r"a file is a foreign checkpoint: .* vit_b.*layer1\.0\.weight"):
        load_into(model, {"layer1.0.weight": torch.zeros(3)}, "vit_b", "a file")
