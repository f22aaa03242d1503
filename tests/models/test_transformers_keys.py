"""The names of the tensors, against those that transformers' own class has."""

import pytest
import torch
from transformers import SamConfig, SamModel

from anymask.models.registry import build_model
from anymask.models.transformers_keys import is_transformers_layout, to_published, to_transformers
from models.parity import published_key

IMAGE = "shared_image_embedding.positional_embedding"
PROMPT = "prompt_encoder.shared_embedding.positional_embedding"
OURS = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"


@pytest.fixture(scope="module")
def theirs():
    with torch.device("meta"):
        return SamModel._from_config(SamConfig()).state_dict()


@pytest.fixture(scope="module")
def ours():
    with torch.device("meta"):
        return build_model("vit_b").state_dict()


def test_each_key_has_its_counterpart_and_shape(ours, theirs):
    shapes = {key: value.shape for key, value in to_transformers(ours).items()}
    assert shapes == {key: value.shape for key, value in theirs.items() if key != PROMPT}


def test_keys_come_back(ours, theirs):
    assert list(to_published(to_transformers(ours))) == list(ours)
    untied = {key: value for key, value in theirs.items() if key != PROMPT}
    assert list(to_transformers(to_published(untied))) == list(untied)


def test_the_table_agrees_with_the_one_of_the_parity_tests(theirs):
    untied = {key: value for key, value in theirs.items() if key != PROMPT}
    assert list(to_published(untied)) == [published_key(key) for key in untied]


def test_layouts_are_told_apart(ours, theirs):
    assert is_transformers_layout(theirs)
    assert not is_transformers_layout(ours)


@pytest.mark.parametrize("kept", [[IMAGE], [PROMPT], [IMAGE, PROMPT], [PROMPT, IMAGE]])
def test_either_of_the_tied_encodings_is_enough(kept):
    matrix = torch.randn(2, 4)
    published = to_published({key: matrix.clone() for key in kept})
    assert list(published) == [OURS]
    assert torch.equal(published[OURS], matrix)


def test_tied_encodings_that_differ_are_left_for_loading_to_report():
    first, second = torch.randn(2, 4), torch.randn(2, 4)
    published = to_published({IMAGE: first, PROMPT: second})
    assert torch.equal(published[OURS], first)
    assert torch.equal(published[PROMPT], second)


def test_other_keys_stay_as_they_are():
    strange = {"vision_encoder.layers.x.mlp.lin1.weight": torch.zeros(1), "mask_decoder.hq_token.weight": torch.ones(1)}
    assert list(to_published(strange)) == list(strange)
    assert list(to_transformers({"image_encoder.stem.0.weight": torch.ones(1)})) == ["image_encoder.stem.0.weight"]
