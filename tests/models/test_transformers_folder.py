"""Folders that transformers writes and reads, against transformers itself."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from skimage import data
from torch import nn
from transformers import SamModel, SamProcessor

from anymask.models.architecture import VitArchitecture
from anymask.models.checkpoints import CheckpointError
from anymask.models.registry import build_model
from anymask.models.transformers_folder import WEIGHTS, read_folder, write_folder
from anymask.segment.segmenter import Segmenter
from models.parity import make_pair
from models.small_sam_model import answers, largest_difference, our_answers, small_config, small_sam_model


@pytest.fixture(autouse=True)
def _no_progress_bars(monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")


@pytest.fixture(scope="module")
def theirs():
    return small_sam_model()


@pytest.fixture(scope="module")
def saved(theirs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    theirs.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy to be changed."""
    return Path(shutil.copytree(saved, tmp_path / "sam"))


def images(side=64, count=2, seed=4):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_what_transformers_saved_answers_the_same(theirs, saved):
    found = our_answers(read_folder(saved), images())
    assert largest_difference(found, answers(theirs, images())) < 1e-4


@pytest.mark.parametrize("image_size", [48, 160])
def test_other_sides_of_the_input(image_size, tmp_path):
    model = small_sam_model(image_size=image_size, seed=image_size)
    model.save_pretrained(tmp_path)
    network = read_folder(tmp_path)
    assert network.input_side == network.image_encoder.img_size == image_size
    batch = images(image_size)
    assert largest_difference(our_answers(network, batch), answers(model, batch)) < 1e-4


@pytest.mark.parametrize(
    "change", [{"use_rel_pos": False}, {"use_abs_pos": False}, {"qkv_bias": False}, {"mlp_dim": 50}]
)
def test_other_parts(change, tmp_path):
    model = small_sam_model(**change)
    model.save_pretrained(tmp_path)
    assert largest_difference(our_answers(read_folder(tmp_path), images()), answers(model, images())) < 1e-4


def test_the_eps_of_the_hub_is_taken_for_the_published_one(tmp_path):
    model = small_sam_model(decoder_eps=1e-6)
    model.save_pretrained(tmp_path)
    network = read_folder(tmp_path)
    assert {layer.eps for layer in network.mask_decoder.modules() if isinstance(layer, nn.LayerNorm)} == {1e-5}
    assert largest_difference(our_answers(network, images()), answers(model, images())) < 1e-2


def shards_of(model, folder):
    model.save_pretrained(folder, max_shard_size="60KB")


def pickled(model, folder):
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def pickled_shards(model, folder):
    model.config.save_pretrained(folder)
    state = model.state_dict()
    names = {key: f"pytorch_model-0000{1 + i % 2}-of-00002.bin" for i, key in enumerate(state)}
    for name in set(names.values()):
        torch.save({key: state[key] for key in state if names[key] == name}, folder / name)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))


@pytest.mark.parametrize("write", [shards_of, pickled, pickled_shards])
def test_shards_and_pickles(theirs, saved, tmp_path, write):
    write(theirs, tmp_path)
    assert not (tmp_path / WEIGHTS[0]).exists()
    expected = read_folder(saved).state_dict()
    found = read_folder(tmp_path).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_half_precision_is_widened(theirs, tmp_path):
    small_sam_model().half().save_pretrained(tmp_path)
    network = read_folder(tmp_path)
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    assert largest_difference(our_answers(network, images()), answers(theirs, images())) < 0.1


def test_what_we_save_answers_the_same_in_transformers(theirs, saved, tmp_path):
    network = read_folder(saved)
    write_folder(network, tmp_path / "new" / "folder")
    again, report = SamModel.from_pretrained(
        tmp_path / "new" / "folder", output_loading_info=True, attn_implementation="eager"
    )
    assert not any(report.values()), report
    assert again.config.mask_decoder_config.layer_norm_eps == 1e-5
    expected = theirs.state_dict()
    assert again.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in again.state_dict().items())
    assert largest_difference(our_answers(network, images()), answers(again.eval(), images())) < 1e-4
    for part in ("vision_config", "prompt_encoder_config", "mask_decoder_config"):
        wanted, found = (getattr(config, part).to_dict() for config in (small_config(), again.config))
        assert found | {"dtype": None} == wanted | {"dtype": None}, part


def test_a_photograph_through_their_processor_and_model(theirs, saved, tmp_path):
    """All of transformers' pipeline, resizing and post-processing included, against all of ours."""
    network = read_folder(saved)
    write_folder(network, tmp_path)
    photo = np.ascontiguousarray(data.astronaut()[:300, :400])
    processor = SamProcessor.from_pretrained(tmp_path)
    inputs = processor(photo, input_points=[[[[200.0, 150.0]]]], return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 3, 64, 64)
    with torch.no_grad():
        answer = theirs(
            pixel_values=inputs["pixel_values"],
            input_points=inputs["input_points"].float(),
            input_labels=torch.ones(1, 1, 1),
        )
    full = processor.post_process_masks(answer.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"])[0][
        0
    ].numpy()
    order = answer.iou_scores[0, 0].argsort(descending=True).numpy()
    found = Segmenter(network, "small", "cpu", "float32").encode(photo).segment(points=[(200, 150)])
    expected = full[order].astype(bool)
    assert 0.02 < expected.mean() < 0.98
    assert (found.decode() != expected).mean() < 0.002
    np.testing.assert_allclose(found.scores, answer.iou_scores[0, 0].numpy()[order], atol=0.01)


def test_saving_and_loading_changes_nothing(saved, tmp_path):
    network = read_folder(saved)
    write_folder(network, tmp_path)
    write_folder(network, tmp_path)
    again = read_folder(tmp_path)
    assert VitArchitecture.of(again) == VitArchitecture.of(network)
    for key, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]


@pytest.mark.parametrize("name", ["preprocessor_config.json", "processor_config.json"])
def test_other_colours_are_kept(folder, tmp_path, name):
    colours = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]}
    content = colours if name.startswith("pre") else {"image_processor": colours}
    (folder / name).write_text(json.dumps(content))
    network = read_folder(folder)
    torch.testing.assert_close(network.pixel_mean.flatten(), 255 * torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(network.pixel_std.flatten(), 255 * torch.tensor([0.5, 0.6, 0.7]))
    write_folder(network, tmp_path / "again")
    again = read_folder(tmp_path / "again")
    assert torch.equal(again.pixel_mean, network.pixel_mean)
    assert torch.equal(again.pixel_std, network.pixel_std)


def drop(folder, key):
    state = load_file(folder / WEIGHTS[0])
    del state[key]
    save_file(state, folder / WEIGHTS[0])


def add(folder, key):
    save_file(load_file(folder / WEIGHTS[0]) | {key: torch.ones(2)}, folder / WEIGHTS[0])


def edit(folder, part, key, value):
    config = json.loads((folder / "config.json").read_text())
    config[part][key] = value
    (folder / "config.json").write_text(json.dumps(config))


def index(folder, shard):
    (folder / WEIGHTS[0]).rename(folder / "shard.safetensors")
    weight_map = {"a": shard} if shard is not None else {}
    (folder / WEIGHTS[1]).write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").unlink(), r"cannot read .*config\.json: No such file"),
        (lambda f: (f / "config.json").write_text("{"), r"config\.json is not JSON"),
        (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), r"config\.json is not JSON"),
        (lambda f: (f / WEIGHTS[0]).unlink(), r"sam holds no weights: one of model\.safetensors"),
        (lambda f: (f / WEIGHTS[0]).write_bytes(b"x"), r"model\.safetensors is truncated or not safetensors"),
        (
            lambda f: drop(f, "mask_decoder.upscale_conv1.bias"),
            r"1 tensors are missing \(first mask_decoder\.output_upscaling\.0\.bias\)",
        ),
        (lambda f: add(f, "mask_decoder.hq_token"), r"1 tensors are unknown \(first mask_decoder\.hq_token\)"),
        (
            lambda f: add(f, "prompt_encoder.shared_embedding.positional_embedding"),
            r"unknown \(first prompt_encoder\.shared_embedding\.positional_embedding\)",
        ),
        (lambda f: edit(f, "vision_config", "num_hidden_layers", 2), r"unknown \(first image_encoder\.blocks\.2\."),
        (lambda f: edit(f, "vision_config", "mlp_dim", 99), "tensors have other shapes"),
        (lambda f: index(f, "../sam.safetensors"), r"names '\.\./sam\.safetensors': weights must lie beside"),
        (lambda f: index(f, "/etc/passwd"), "weights must lie beside their index"),
        (lambda f: index(f, "..\\sam"), "weights must lie beside their index"),
        (lambda f: index(f, ".."), "weights must lie beside their index"),
        (lambda f: index(f, "other.safetensors"), r"no checkpoint at .*other\.safetensors: no such file"),
        (lambda f: index(f, None), r"is not an index of weights: it has no weight_map"),
        (lambda f: (f / "preprocessor_config.json").write_text("[1]"), "must be a table of settings"),
    ],
)
def test_damaged_folders_are_named(folder, damage, message):
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        read_folder(folder)


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_a_pickle_is_not_run(folder, tmp_path):
    (folder / WEIGHTS[0]).unlink()
    torch.save({"weight": torch.ones(1), "trap": Trap(tmp_path / "sprung")}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin holds more than tensors"):
        read_folder(folder)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["pocket", "mobile_sam"])
def test_other_encoders_have_no_place_in_that_layout(name, tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot be saved in the Hugging Face layout: its image encoder is a"):
        write_folder(build_model(name, 64), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_has_other_parts_is_not_saved(saved, tmp_path):
    network = read_folder(saved)
    network.mask_decoder.add_module("hq_token", nn.Embedding(1, 64))
    with pytest.raises(CheckpointError, match=r"it has other parts than SAM \(first mask_decoder\.hq_token\.weight\)"):
        write_folder(network, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_has_other_sizes_within_is_not_saved(saved, tmp_path):
    network = read_folder(saved)
    network.image_encoder.blocks[2].mlp.lin1 = nn.Linear(32, 50)
    with pytest.raises(
        CheckpointError, match=r"other parts than SAM \(first image_encoder\.blocks\.2\.mlp\.lin1\.bias\)"
    ):
        write_folder(network, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_file_is_not_made_a_folder(saved, tmp_path):
    (tmp_path / "net").write_text("mine")
    with pytest.raises(CheckpointError, match=r"net is a file: the Hugging Face layout is a folder"):
        write_folder(read_folder(saved), tmp_path / "net")
    assert (tmp_path / "net").read_text() == "mine"


@pytest.mark.long
def test_vit_b_of_published_depth_and_size(tmp_path):
    pair = make_pair("vit_b", 1024, 12, (2, 5, 8, 11))
    pair.reference.save_pretrained(tmp_path / "theirs")
    network = read_folder(tmp_path / "theirs")
    assert VitArchitecture.of(network) == VitArchitecture()
    for key, value in pair.ours.state_dict().items():
        assert torch.equal(network.state_dict()[key], value), key
    batch = images(1024, count=1)
    assert largest_difference(our_answers(network, batch), answers(pair.reference, batch)) < 1e-4
    write_folder(network, tmp_path / "ours")
    again, report = SamModel.from_pretrained(tmp_path / "ours", output_loading_info=True, attn_implementation="eager")
    assert not any(report.values()), report
    assert largest_difference(our_answers(network, batch), answers(again.eval(), batch)) < 1e-4
