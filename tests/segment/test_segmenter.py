"""The loaded model: devices, precisions, names and files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import anymask
from anymask.models.architecture import VitArchitecture
from anymask.models.checkpoints import CheckpointError
from anymask.models.registry import MODELS, UnknownModelError, build_model, model_spec
from anymask.segment.encoded import EncodedImage
from anymask.segment.errors import ImageError
from anymask.segment.segmenter import DeviceError, Segmenter, choose_device, choose_precision, load


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("abacus", "unknown device 'abacus': use auto, cpu, cuda, cuda:1 or mps"),
        ("meta", "device meta is not available here; available: cpu"),
        ("", "unknown device ''"),
    ],
)
def test_wrong_devices(device: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        choose_device(device)
    with pytest.raises(DeviceError, match=message):
        load("pocket", device=device)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == choose_device(torch.device("cpu")) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    for name in ("cuda", "cuda:1", "mps"):
        with pytest.raises(DeviceError, match=f"device {name} is not available here; available: cpu"):
            choose_device(name)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="cuda:2 is not available here; there are 2"):
        choose_device("cuda:2")


def test_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert choose_precision("float32", cpu) == torch.float32
    assert choose_precision("bfloat16", cpu) == torch.bfloat16
    for name in ("float16", "half", ""):
        with pytest.raises(DeviceError, match=f"unknown precision '{name}': use auto, float32, bfloat16"):
            choose_precision(name, cpu)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    for native, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda native=native: native)
        assert choose_precision("auto", cpu) == expected
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert choose_precision("auto", cpu) == torch.float32
    assert choose_precision("auto", torch.device("mps")) == torch.float32


def test_a_network_passes_through(random_segmenter: Segmenter) -> None:
    network = random_segmenter.network
    again = load(network, device="cpu", precision="float32")
    assert again.network is network
    assert again.name == "custom"
    assert not network.training
    assert again.image_encoder is network.image_encoder
    assert again.prompt_encoder is network.prompt_encoder
    assert again.mask_decoder is network.mask_decoder
    assert again.device == torch.device("cpu")
    side = MODELS["pocket"].image_size
    assert (again.input_side, again.logits_side, again.mask_threshold) == (side, side // 4, 0.0)
    assert again.state_dict().keys() == network.state_dict().keys()
    assert repr(again) == "<Segmenter: custom on cpu, float32>"


def test_a_file_is_loaded_by_its_path(
    random_checkpoint: Path, random_segmenter: Segmenter, photo: EncodedImage
) -> None:
    model = load(random_checkpoint, device="cpu", precision="float32")
    assert model.name == "pocket (random.safetensors)"
    assert model.fingerprint == random_segmenter.fingerprint
    assert photo.image is not None
    assert model.encode(photo.image).segment(points=(60, 45)) == photo.segment(points=(60, 45))


def test_a_saved_model_answers_as_before(random_segmenter: Segmenter, photo: EncodedImage, tmp_path: Path) -> None:
    assert photo.image is not None
    random_segmenter.save(tmp_path / "mine.safetensors")
    model = load(tmp_path / "mine.safetensors", device="cpu", precision="float32")
    assert model.name == "pocket (mine.safetensors)"
    assert model.fingerprint == random_segmenter.fingerprint
    assert model.everything_thresholds == model_spec("pocket").everything_thresholds
    assert model.encode(photo.image).segment(points=(60, 45)) == photo.segment(points=(60, 45))
    with pytest.raises(CheckpointError, match=r"ends in \.safetensors, not mine\.pth"):
        random_segmenter.save(tmp_path / "mine.pth")
    with pytest.raises(CheckpointError, match=r"cannot be saved in the Hugging Face layout: its image encoder is a"):
        random_segmenter.save_transformers(tmp_path / "mine")


def test_a_folder_in_the_layout_of_transformers(photo: EncodedImage, tmp_path: Path) -> None:
    architecture = VitArchitecture(image_size=64, embed_dim=32, depth=2, num_heads=2, mlp_dim=64, global_blocks=(1,))
    first = load(architecture.build(), device="cpu", precision="float32")
    assert photo.image is not None
    expected = first.encode(photo.image).segment(box=(30, 20, 90, 70))
    first.save_transformers(tmp_path / "mine")
    for given in (tmp_path / "mine", str(tmp_path / "mine"), tmp_path / "mine" / "model.safetensors"):
        model = load(given, device="cpu", precision="float32")
        assert model.name == f"custom ({Path(given).name})"
        assert model.input_side == 64
        assert model.encode(photo.image).segment(box=(30, 20, 90, 70)) == expected
    with pytest.raises(CheckpointError, match=r"is a folder without config\.json and model\.safetensors"):
        load(tmp_path)


def test_names_and_files_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_checkpoint: Path
) -> None:
    with pytest.raises(UnknownModelError, match=r"unknown model 'vit_x': give one of pocket, mobile_sam, vit_b"):
        load("vit_x")
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*none\.pth: no such file"):
        load(tmp_path / "none.pth")
    save_file({"weight": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(anymask.AnymaskError, match=r"foreign\.safetensors is a foreign checkpoint"):
        load(tmp_path / "foreign.safetensors")
    # A name is a name even where a file is called the same.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANYMASK_HOME", str(tmp_path / "home"))
    (tmp_path / "vit_b").write_bytes(random_checkpoint.read_bytes())
    with pytest.raises(CheckpointError, match="the weights of vit_b are not here"):
        load("vit_b")


def test_fingerprints_tell_encoders_apart(random_segmenter: Segmenter) -> None:
    torch.manual_seed(1)
    other = load(build_model("pocket"), device="cpu")
    assert other.fingerprint != random_segmenter.fingerprint
    again = build_model("pocket")
    again.load_state_dict(random_segmenter.state_dict())
    assert load(again, device="cpu").fingerprint == random_segmenter.fingerprint
    with torch.no_grad():
        again.mask_decoder.mask_tokens.weight.add_(1)
    # Embeddings do not depend on the decoder.
    assert load(again, device="cpu").fingerprint == random_segmenter.fingerprint
    with torch.no_grad():
        again.image_encoder.get_parameter("neck.1.weight")[0, 0, 0, 0] += 0.01
    assert load(again, device="cpu").fingerprint != random_segmenter.fingerprint


def test_bfloat16_is_close_to_float32(random_segmenter: Segmenter, photo: EncodedImage) -> None:
    model = Segmenter(random_segmenter.network, "custom", "cpu", "bfloat16")
    assert photo.image is not None
    found = model.encode(photo.image)
    assert found.embedding.dtype == torch.float32
    difference = (found.embedding - photo.embedding).norm() / photo.embedding.norm()
    assert 0 < difference < 0.03
    scores = [one.segment(box=(30, 20, 90, 70)).scores for one in (found, photo)]
    np.testing.assert_allclose(scores[0], scores[1], atol=0.05)


def test_images_that_cannot_be_read(random_segmenter: Segmenter, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="there is no image at"):
        random_segmenter.encode(tmp_path / "none.png")
    with pytest.raises(ImageError, match="over the limit of 100"):
        random_segmenter.encode(np.zeros((11, 10, 3), np.uint8), max_pixels=100)
