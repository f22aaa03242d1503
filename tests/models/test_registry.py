import pytest
import torch

from anymask.errors import AnymaskError
from anymask.models.registry import (
    MODELS,
    PUBLISHED_THRESHOLDS,
    UnknownModelError,
    assemble,
    build_model,
    everything_thresholds,
    guess_model,
    model_spec,
)


def built_on_meta(name):
    with torch.device("meta"):
        return build_model(name)


def parameter_count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "tensors", "parameters"),
    [
        ("mobile_sam", 439, 10_130_092),
        ("vit_b", 314, 93_735_472),
        ("vit_l", 482, 312_342_832),
        ("vit_h", 594, 641_090_608),
    ],
)
def test_the_published_models_have_the_published_sizes(name, tensors, parameters):
    model = built_on_meta(name)
    assert len(model.state_dict()) == tensors
    assert parameter_count(model) == parameters


@pytest.mark.parametrize("name", list(MODELS))
def test_the_registry_tells_the_truth(name):
    model = built_on_meta(name)
    spec = model_spec(name)
    assert spec.name == name
    assert parameter_count(model) == spec.parameters
    assert model.input_side == model.image_encoder.img_size == spec.image_size
    assert spec.licence
    assert spec.file_name


@pytest.mark.parametrize("name", list(MODELS))
def test_a_state_dict_is_recognised(name):
    assert guess_model(built_on_meta(name).state_dict(), "a file") == name


@pytest.mark.parametrize("name", list(MODELS))
def test_a_network_has_the_thresholds_of_the_model_that_it_is(name):
    expected = MODELS[name].everything_thresholds
    assert everything_thresholds(built_on_meta(name)) == expected
    assert (expected == (0.88, 0.95)) == (name != "pocket")
    assert 0 < expected.pred_iou < 1
    assert 0 < expected.stability_score < 1


def test_a_network_of_another_size_has_the_thresholds_of_its_model_and_a_foreign_one_the_published_ones():
    with torch.device("meta"):
        assert everything_thresholds(build_model("pocket", 256)) == MODELS["pocket"].everything_thresholds
        foreign = assemble(torch.nn.Conv2d(3, 256, 16), 64)
    assert everything_thresholds(foreign) == PUBLISHED_THRESHOLDS


def test_a_foreign_state_dict_is_named():
    with pytest.raises(UnknownModelError, match=r"net\.pth is a foreign checkpoint.*conv1\.weight.*vit_b"):
        guess_model({"conv1.weight": torch.zeros(1)}, "net.pth")


@pytest.mark.parametrize("lookup", [model_spec, build_model])
def test_an_unknown_model_is_answered_with_the_known_ones(lookup):
    with pytest.raises(UnknownModelError, match=r"'vit_x'.*pocket, mobile_sam, vit_b, vit_l, vit_h") as caught:
        lookup("vit_x")
    assert isinstance(caught.value, AnymaskError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("side", [0, -16, 1000, 15])
def test_the_input_side_must_be_a_multiple_of_the_stride(side):
    with pytest.raises(ValueError, match=f"positive multiple of 16, not {side}"):
        build_model("pocket", side)


@pytest.mark.parametrize(
    ("name", "image_size", "side"),
    [
        ("pocket", None, MODELS["pocket"].image_size),
        ("pocket", 256, 256),
        ("mobile_sam", 512, 512),
        ("mobile_sam", 96, 96),
    ],
)
@torch.no_grad()
def test_small_models_answer_at_their_own_and_at_another_size(name, image_size, side):
    model = build_model(name, image_size).eval()
    embedding = model.image_encoder(torch.randn(2, 3, side, side))
    assert embedding.shape == (2, 256, side // 16, side // 16)
    points = (torch.tensor([[[9.0, 9.0]], [[50.0, 60.0]], [[70.0, 8.0]]]), torch.ones(3, 1))
    sparse, dense = model.prompt_encoder(points, None, None)
    logits, scores = model.mask_decoder(embedding[:1], model.prompt_encoder.get_dense_pe(), sparse, dense, True)
    assert logits.shape == (3, 3, side // 4, side // 4)
    assert scores.shape == (3, 3)
    assert model.prompt_encoder.mask_input_size == (side // 4, side // 4)
    assert (logits[0] - logits[1]).abs().max() > 1e-4


def test_another_size_of_a_published_model_changes_its_positions():
    with torch.device("meta"):
        model = build_model("vit_b", 512)
    assert model.image_encoder.pos_embed.shape == (1, 32, 32, 768)
    assert model.image_encoder.blocks[2].attn.rel_pos_h.shape == (63, 64)
    assert model.image_encoder.blocks[0].attn.rel_pos_h.shape == (27, 64)
