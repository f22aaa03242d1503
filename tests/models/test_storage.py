"""Networks saved and loaded, by name, file and folder."""

import json
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from anymask.models import registry
from anymask.models.architecture import DecoderArchitecture, VitArchitecture
from anymask.models.checkpoints import CheckpointError, load_state_dict
from anymask.models.pocket_encoder import PocketEncoder
from anymask.models.registry import UnknownModelError, assemble, build_model
from anymask.models.sam import Sam
from anymask.models.storage import load_network, save_network
from anymask.models.transformers_folder import write_folder
from anymask.models.transformers_keys import to_transformers

SMALL = VitArchitecture(image_size=64, embed_dim=32, depth=2, num_heads=2, mlp_dim=64, global_blocks=(1,))
OTHER = VitArchitecture(
    image_size=48,
    embed_dim=24,
    depth=1,
    num_heads=3,
    mlp_dim=50,
    window_size=2,
    global_blocks=(),
    decoder=DecoderArchitecture(embed_dim=64, mask_channels=8, num_heads=4, mlp_dim=48, iou_head_hidden_dim=24),
)


@pytest.fixture
def small_family(monkeypatch):
    """Let vit_b be small: what is asked is how sizes are told, not how large they are."""
    monkeypatch.setitem(registry.VITS, "vit_b", SMALL)


def metadata(path):
    with safe_open(path, framework="pt") as file:
        return file.metadata()


def assert_same(first: Sam, second: Sam) -> None:
    assert first.state_dict().keys() == second.state_dict().keys()
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key
    assert first.input_side == second.input_side == second.image_encoder.img_size
    assert torch.equal(first.pixel_mean, second.pixel_mean)
    assert torch.equal(first.pixel_std, second.pixel_std)


@pytest.mark.parametrize(("name", "side"), [("pocket", 512), ("pocket", 96), ("mobile_sam", 128), ("vit_b", 96)])
def test_the_family_at_any_side(name, side, tmp_path, small_family):
    del small_family
    network = build_model(name, side)
    path = tmp_path / "net.safetensors"
    save_network(network, path)
    again, called = load_network(path)
    assert called == f"{name} (net.safetensors)"
    assert_same(network, again)
    assert metadata(path) == {"format": "pt", "model": name, "image_size": str(side)}
    # What training reads.
    assert load_state_dict(path).keys() == network.state_dict().keys()


def test_a_vision_transformer_of_other_sizes(tmp_path):
    network = OTHER.build()
    save_network(network, tmp_path / "net.safetensors")
    again, called = load_network(str(tmp_path / "net.safetensors"))
    assert called == "custom (net.safetensors)"
    assert VitArchitecture.of(again) == OTHER
    assert_same(network, again)


def test_other_colours_are_kept(tmp_path):
    parts = OTHER.build()
    network = Sam(parts.image_encoder, parts.prompt_encoder, parts.mask_decoder, [1.0, 2.5, 77.7], [10.1, 20.2, 30.3])
    save_network(network, tmp_path / "net.safetensors")
    assert_same(network, load_network(tmp_path / "net.safetensors")[0])


def test_an_older_file_is_replaced_whole(tmp_path):
    path = tmp_path / "net.safetensors"
    save_network(OTHER.build(), path)
    network = OTHER.build()
    save_network(network, path)
    assert_same(network, load_network(path)[0])
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.parametrize("name", ["net.pth", "net", "net.bin"])
def test_weights_are_saved_as_safetensors_only(name, tmp_path):
    with pytest.raises(CheckpointError, match=f"a name that ends in .safetensors, not {name}"):
        save_network(OTHER.build(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def with_an_adapter():
    network = OTHER.build()
    network.mask_decoder.add_module("adapter", nn.Linear(2, 2))
    return network


def with_another_encoder():
    return assemble(PocketEncoder(64, widths=(8, 16, 32), depths=(1, 1, 1), heads=2), 64)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (with_an_adapter, r"not those of SAM \(first difference mask_decoder\.adapter\.bias\); merge or remove"),
        (with_another_encoder, r"not those of pocket \(first difference image_encoder\."),
        (
            lambda: assemble(nn.Linear(2, 2), 64),
            "could not be loaded: its image encoder is a Linear, not a plain vision",
        ),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(build, message, tmp_path):
    with pytest.raises(CheckpointError, match=message):
        save_network(build(), tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def transformers_state():
    torch.manual_seed(0)
    network = SMALL.build()
    state = to_transformers(network.state_dict())
    return network, {key: value.contiguous() for key, value in state.items()}


@pytest.mark.parametrize("name", ["net.safetensors", "net.bin"])
def test_one_file_in_the_layout_of_transformers(name, tmp_path, small_family, transformers_state):
    del small_family
    network, state = transformers_state
    path = tmp_path / name
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    again, called = load_network(path)
    assert called == f"vit_b ({name})"
    assert_same(network, again)


def test_one_file_beside_its_configuration(tmp_path):
    network = OTHER.build()
    write_folder(network, tmp_path / "net")
    for given in ("net", "net/model.safetensors"):
        again, called = load_network(tmp_path / given)
        assert called == f"custom ({given.rpartition('/')[2]})"
        assert_same(network, again)
    (tmp_path / "net" / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"of none of the published sizes: put its config\.json beside it"):
        load_network(tmp_path / "net" / "model.safetensors")


def test_a_folder_in_the_layout_of_transformers_of_a_known_size(tmp_path, small_family, monkeypatch):
    del small_family
    network = SMALL.at(48).build()
    write_folder(network, tmp_path / "net")
    monkeypatch.chdir(tmp_path / "net")
    for given in (tmp_path / "net", str(tmp_path / "net"), "."):
        again, called = load_network(given)
        assert called == "vit_b (net)"
        assert_same(network, again)


def test_a_folder_with_weights_alone(tmp_path):
    save_network(OTHER.build(), tmp_path / "model.safetensors")
    assert load_network(tmp_path)[1] == "custom (model.safetensors)"
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"is a folder without config\.json and model\.safetensors: give"):
        load_network(tmp_path)


def test_a_folder_goes_before_the_hub(tmp_path, monkeypatch):
    write_folder(OTHER.build(), tmp_path / "facebook" / "sam-vit-base")
    monkeypatch.chdir(tmp_path)
    assert load_network("facebook/sam-vit-base")[1] == "custom (sam-vit-base)"


@pytest.mark.parametrize("given", ["vit_x", "none.pth", "a/none.safetensors", "a/b/c", "./a/b", "~/a"])
def test_what_is_not_there_is_named_without_asking_the_hub(given, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def refuse(*_):
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("anymask.models.storage.fetch_repository", refuse)
    with pytest.raises((CheckpointError, UnknownModelError), match=r"no checkpoint at|unknown model 'vit_x'"):
        load_network(given)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"config": "{"}, "is damaged: config in its metadata is not JSON"),
        ({"config": '{"model_type": "sam2"}'}, r"the metadata of .*net\.safetensors describes a model of the type"),
        ({"preprocessor_config": "7"}, r"the metadata of .*net\.safetensors must be a table"),
    ],
)
def test_damaged_metadata_is_named(facts, message, tmp_path, small_family):
    del small_family
    path = tmp_path / "net.safetensors"
    save_file(SMALL.build().state_dict(), path, metadata=facts)
    with pytest.raises(CheckpointError, match=message):
        load_network(path)


@pytest.mark.parametrize("side", ["many", "-16", "33"])
def test_a_side_that_is_none_is_not_believed(side, tmp_path):
    network = build_model("pocket", 64)
    path = tmp_path / "net.safetensors"
    save_file(network.state_dict(), path, metadata={"image_size": side})
    assert load_network(path)[0].input_side == registry.MODELS["pocket"].image_size


def test_a_missing_last_block_is_noticed(tmp_path, small_family):
    del small_family
    state = SMALL.build().state_dict()
    path = tmp_path / "net.safetensors"
    save_file({key: value for key, value in state.items() if ".blocks.1." not in key}, path)
    with pytest.raises(CheckpointError, match=r"tensors are missing \(first image_encoder\.blocks\.1\."):
        load_network(path)


def test_a_published_file_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("ANYMASK_HOME", str(tmp_path))
    network = build_model("mobile_sam")
    torch.save(network.state_dict(), tmp_path / "mobile_sam.pt")
    again, called = load_network("mobile_sam")
    assert called == "mobile_sam"
    assert_same(network, again)
    shutil.copy(tmp_path / "mobile_sam.pt", tmp_path / "copy.pt")
    assert load_network(tmp_path / "copy.pt")[1] == "mobile_sam (copy.pt)"


def test_the_metadata_is_what_the_other_layout_has_in_files(tmp_path):
    network = OTHER.build()
    save_network(network, tmp_path / "net.safetensors")
    write_folder(network, tmp_path / "net")
    facts = metadata(tmp_path / "net.safetensors")
    assert json.loads(facts["config"]) == json.loads((tmp_path / "net" / "config.json").read_text())
    assert facts["model"] == "custom"
