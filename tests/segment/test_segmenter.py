"""The loaded model: devices, precisions, names and files."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import anymask
from anymask.models.architecture import DecoderArchitecture, VitArchitecture
from anymask.models.checkpoints import CheckpointError
from anymask.models.pocket_encoder import PocketEncoder
from anymask.models.prompt_decoder import ProjectingPromptDecoder, PromptDecoder
from anymask.models.registry import MODELS, UnknownModelError, build_model, model_spec
from anymask.models.sam import Sam
from anymask.segment.encoded import EncodedImage
from anymask.segment.errors import ImageError
from anymask.segment.segmenter import DeviceError, Segmenter, choose_device, choose_precision, load
from anymask.train.synthetic import synthetic_scene


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


@pytest.fixture
def tiny(one_thread: None) -> Sam:
    """SAM with 32 channels, and heads few enough for prompts to be answered by the prompt decoder."""
    del one_thread
    torch.manual_seed(0)
    encoder = PocketEncoder(64, widths=(8, 16, 32), depths=(1, 1, 1), heads=2, out_chans=32)
    sizes = DecoderArchitecture(embed_dim=32, mask_channels=8, num_heads=2, mlp_dim=64, iou_head_hidden_dim=32)
    return sizes.assemble(encoder, 64)


def train_a_step(model: Segmenter) -> None:
    optimizer = torch.optim.AdamW(model.mask_decoder.parameters(), lr=0.01)
    points, labels = torch.tensor([[[20.0, 30.0], [0.0, 0.0]]]), torch.tensor([[1, -1]])
    logits, scores = model.decode(torch.ones(1, 32, 4, 4), points, labels, [None])
    (logits.square().mean() + scores.sum()).backward()
    optimizer.step()


def load_other_weights(module: nn.Module, *, assign: bool = False) -> None:
    state = {key: value + 0.1 for key, value in module.state_dict().items()}
    module.load_state_dict(state, assign=assign)


def change_in_inference_mode(model: Segmenter) -> None:
    with torch.inference_mode():
        model.mask_decoder.output_hypernetworks_mlps[0].get_parameter("layers.2.weight").add_(0.1)


CHANGES: dict[str, Callable[[Segmenter], object]] = {
    "a training step": train_a_step,
    "other weights": lambda model: load_other_weights(model.network),
    "other tensors": lambda model: load_other_weights(model.network, assign=True),
    "the prompt encoder alone": lambda model: load_other_weights(model.prompt_encoder),
    "its no-mask embedding alone": lambda model: load_other_weights(model.prompt_encoder.no_mask_embed),
    "its positions alone": lambda model: load_other_weights(model.prompt_encoder.pe_layer),
    "in inference mode": change_in_inference_mode,
    "a hook": lambda model: model.mask_decoder.transformer.layers[0].register_forward_hook(
        lambda _, __, answer: (answer[0], answer[1] * 1.5)
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_images_encoded_before_a_change_are_answered_by_what_the_model_is_now(
    tiny: Sam, change: Callable[[Segmenter], object]
) -> None:
    model = load(tiny, device="cpu", precision="float32")
    assert model.prompt_decoder.suits(2)
    photo = model.encode(synthetic_scene(3, 90, 120).image)
    before, decoder = photo.segment(points=(60, 45), multimask=False), model.prompt_decoder
    assert model.prompt_decoder is decoder
    change(model)
    after = photo.segment(points=(60, 45), multimask=False)
    assert model.prompt_decoder is not decoder
    assert model.prompt_decoder is model.prompt_decoder
    fresh = EncodedImage(
        load(copy.deepcopy(model.network), device="cpu", precision="float32"), photo.embedding, photo.frame
    )
    expected = fresh.segment(points=(60, 45), multimask=False)
    assert before.logits is not None
    assert after.logits is not None
    assert expected.logits is not None
    np.testing.assert_allclose(after.logits, expected.logits, atol=1e-5, rtol=1e-5)
    assert np.abs(after.logits - before.logits).max() > 1e-3


def test_weights_that_do_not_count_their_changes(tiny: Sam) -> None:
    with torch.inference_mode():
        model = load(copy.deepcopy(tiny), device="cpu", precision="float32")
        assert model.prompt_decoder.suits(2)
        assert model.mask_decoder.mask_tokens.weight.is_inference()
        photo = model.encode(synthetic_scene(3, 90, 120).image)
        first = photo.segment(box=(30, 20, 90, 70))
        model.mask_decoder.output_hypernetworks_mlps[0].get_parameter("layers.2.weight").add_(0.1)
    second = photo.segment(box=(30, 20, 90, 70))
    assert first.logits is not None
    assert second.logits is not None
    assert np.abs(second.logits - first.logits).max() > 1e-3


def test_the_prompt_decoder_follows_precision_and_layers(tiny: Sam) -> None:
    model = load(tiny, device="cpu", precision="bfloat16")
    assert model.prompt_decoder.dtype == torch.bfloat16
    model.precision = torch.float32
    assert model.prompt_decoder.dtype == torch.float32
    assert type(model.prompt_decoder) is PromptDecoder
    handle = model.mask_decoder.transformer.layers[1].register_forward_hook(lambda *_: None)
    assert type(model.prompt_decoder) is ProjectingPromptDecoder
    handle.remove()
    assert type(model.prompt_decoder) is PromptDecoder


def test_a_network_in_bfloat16_answers(tiny: Sam) -> None:
    image = synthetic_scene(3, 90, 120).image
    expected = load(copy.deepcopy(tiny), device="cpu", precision="float32").encode(image).segment(points=(60, 45))
    photo = load(tiny.bfloat16(), device="cpu", precision="bfloat16").encode(image)
    found = photo.segment(points=(60, 45))
    assert found.scores is not None
    assert expected.scores is not None
    np.testing.assert_allclose(np.sort(found.scores), np.sort(expected.scores), atol=0.05)
    wide_open = {"points_per_side": 2, "pred_iou_thresh": 0, "stability_score_thresh": 0, "box_nms_thresh": 1.0}
    assert len(photo.segment_everything(**wide_open)) > 0
