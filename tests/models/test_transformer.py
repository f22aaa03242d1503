import copy

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from anymask.models.registry import build_model
from anymask.models.transformer import Attention, TwoWayTransformer

BATCH, PROMPTS, CELLS, CHANNELS = 2, 3, 36, 256


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def attention():
    module = Attention(CHANNELS, 8, downsample_rate=2)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.1)
    return module


def plain(attention, query, key, value):
    """Multi-head attention by torch's own function, with nothing absorbed."""
    heads = [
        layer(x).unflatten(-1, (attention.num_heads, -1)).transpose(-3, -2)
        for layer, x in ((attention.q_proj, query), (attention.k_proj, key), (attention.v_proj, value))
    ]
    batch = torch.broadcast_shapes(*(x.shape[:2] for x in heads))
    heads = [x.expand(*batch, *x.shape[2:]) for x in heads]
    attended = nn.functional.scaled_dot_product_attention(*heads)
    return attention.out_proj(attended.transpose(-3, -2).flatten(-2))


def tokens_and_image(count, image_prompts):
    tokens = torch.randn(BATCH, PROMPTS, count, CHANNELS)
    keys, values = torch.randn(2, BATCH, image_prompts, CELLS, CHANNELS)
    return tokens, keys, values


@pytest.mark.parametrize("image_prompts", [1, PROMPTS])
@pytest.mark.parametrize("count", [1, 7, 16, 17, 25])
@torch.no_grad()
def test_tokens_attend_to_the_image_as_if_it_were_projected(attention, count, image_prompts):
    tokens, keys, values = tokens_and_image(count, image_prompts)
    expected = plain(attention, tokens, keys, values)
    assert expected.std() > 0.1
    torch.testing.assert_close(attention.tokens_to_image(tokens, keys, values), expected, atol=2e-5, rtol=0)
    torch.testing.assert_close(attention(tokens, keys, values), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("image_prompts", [1, PROMPTS])
@pytest.mark.parametrize("count", [1, 7, 16, 17, 25])
@torch.no_grad()
def test_the_image_attends_to_tokens_as_if_it_were_projected(attention, count, image_prompts):
    keys, image, _ = tokens_and_image(count, image_prompts)
    values = torch.randn_like(keys)
    expected = plain(attention, image, keys, values)
    assert expected.shape == (BATCH, PROMPTS, CELLS, CHANNELS)
    torch.testing.assert_close(attention.image_to_tokens(image, keys, values), expected, atol=2e-5, rtol=0)
    torch.testing.assert_close(attention(image, keys, values), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("direction", ["tokens_to_image", "image_to_tokens"])
def test_absorbed_gradients_are_those_of_projected_attention(attention, direction):
    tokens, keys, values = tokens_and_image(5, 1)
    arguments = (tokens, keys, values) if direction == "tokens_to_image" else (keys, tokens, tokens + 1)
    other = copy.deepcopy(attention)
    weights = torch.randn_like(plain(other, *arguments))
    (getattr(attention, direction)(*arguments) * weights).sum().backward()
    (plain(other, *arguments) * weights).sum().backward()
    for (name, parameter), expected in zip(attention.named_parameters(), other.parameters(), strict=True):
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(gradient, expected.grad, atol=2e-4, rtol=1e-3, msg=name)


class Adapter(nn.Module):
    """What adapters look like: a layer with a weight that is not all it computes."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        self.weight, self.bias = base.weight, base.bias
        self.delta = nn.Linear(base.in_features, base.out_features, bias=False)

    def forward(self, x):
        return self.base(x) + self.delta(x)


@pytest.mark.parametrize("projection", ["q_proj", "k_proj", "v_proj", "out_proj"])
@torch.no_grad()
def test_a_projection_with_an_adapter_is_called(attention, projection):
    tokens, keys, values = tokens_and_image(5, 1)
    before = attention.tokens_to_image(tokens, keys, values)
    setattr(attention, projection, Adapter(getattr(attention, projection)))
    after = attention.tokens_to_image(tokens, keys, values)
    torch.testing.assert_close(after, plain(attention, tokens, keys, values), atol=2e-5, rtol=0)
    assert (after - before).abs().max() > 1e-2
    expected = plain(attention, keys, tokens, tokens)
    torch.testing.assert_close(attention.image_to_tokens(keys, tokens, tokens), expected, atol=2e-5, rtol=0)


def test_heads_must_divide_the_inner_width():
    with pytest.raises(ValueError, match="7 heads do not divide the inner width 128"):
        Attention(256, 7, downsample_rate=2)


def test_token_norms_have_the_published_epsilon():
    transformer = TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048)
    epsilons = [module.eps for module in transformer.modules() if isinstance(module, nn.LayerNorm)]
    assert epsilons == [1e-5] * 9


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    model = build_model("pocket", 64).eval()
    # Some norms start at zero or at the identity, behind which mistakes would hide.
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, mean=0.5, std=0.3)
    return model


@torch.no_grad()
def test_upscaling_tokens_is_upscaling_the_map(model):
    decoder = model.mask_decoder
    rows, columns = 4, 5
    image = torch.randn(2, CHANNELS, rows, columns)
    expected = decoder.output_upscaling(image)
    upscaled = decoder.upscale_tokens(image.flatten(2).transpose(1, 2)[None])[0]
    cells = upscaled.reshape(2, rows, columns, 2, 2, 2, 2, -1)
    arranged = cells.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(2, -1, 4 * rows, 4 * columns)
    torch.testing.assert_close(arranged, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_prompts_that_share_the_image_answer_as_each_alone(model):
    decoder, positions = model.mask_decoder, model.prompt_encoder.get_dense_pe()
    embedding, sparse = torch.randn(1, 256, 4, 4), torch.randn(4, 3, 256)
    dense = torch.randn(1, 256, 1, 1).expand(4, -1, 4, 4)
    shared, scores = decoder.predict_masks(embedding, positions, sparse, dense)
    own, own_scores = decoder.predict_masks(embedding, positions, sparse, dense.contiguous())
    assert shared.shape == (4, 4, 16, 16)
    torch.testing.assert_close(shared, own, atol=1e-5, rtol=0)
    torch.testing.assert_close(scores, own_scores, atol=1e-5, rtol=0)
    for index in range(4):
        chosen = slice(index, index + 1)
        alone, _ = decoder.predict_masks(embedding, positions, sparse[chosen], dense[chosen])
        torch.testing.assert_close(shared[chosen], alone, atol=1e-5, rtol=0)


def run(model, images):
    """Encode, embed every kind of prompt, and decode."""
    embedding = model.image_encoder(images)
    encoder = model.prompt_encoder
    outputs = [embedding]
    points = (torch.tensor([[[10.0, 20.0]], [[50.0, 40.0]]]), torch.tensor([[1], [0]]))
    boxes, masks = torch.tensor([[5.0, 6.0, 50.0, 60.0], [1.0, 2.0, 30.0, 40.0]]), torch.randn(2, 1, 16, 16)
    for given in ((points, None, None), (points, boxes, masks), (None, boxes, None), (None, None, masks)):
        sparse, dense = encoder(*given)
        outputs += model.mask_decoder.predict_masks(embedding, encoder.get_dense_pe(), sparse, dense)
    return outputs


def test_gradients_reach_every_part(model):
    trained = copy.deepcopy(model).train()
    sum(output.square().sum() for output in run(trained, torch.randn(1, 3, 64, 64))).backward()
    # The bias of keys over image positions cancels in the softmax, so that it has none.
    still = {
        name
        for name, parameter in trained.named_parameters()
        if (parameter.grad is None or not parameter.grad.any()) and not name.endswith("token_to_image.k_proj.bias")
    }
    assert still == set()


class NoFloat64(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, function, _types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.calls += 1
        for leaf in tree_leaves((args, result)):
            assert not isinstance(leaf, torch.Tensor) or leaf.dtype != torch.float64, f"float64 in {function}"
        return result


@pytest.mark.parametrize("name", ["pocket", "mobile_sam", "vit_b"])
@torch.no_grad()
def test_nothing_is_computed_in_float64(name):
    network = build_model(name, 64).eval()
    images = network.preprocess(torch.randint(0, 256, (1, 3, 64, 50)).float())
    with NoFloat64() as watch:
        outputs = run(network, images)
        network.postprocess_masks(outputs[1], (64, 50), (100, 79))
    assert watch.calls > 100


@torch.no_grad()
def test_the_watch_for_float64_works():
    with pytest.raises(AssertionError, match="float64 in"), NoFloat64():
        torch.ones(2).double()


@torch.no_grad()
def test_bfloat16_stays_close(model):
    images = torch.randn(1, 3, 64, 64)
    torch.manual_seed(2)
    expected = run(model, images)
    torch.manual_seed(2)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = run(model, images)
    for output, reference in zip(outputs, expected, strict=True):
        assert output.shape == reference.shape
        distance = (output.float() - reference).norm() / (reference - reference.mean()).norm()
        if reference.numel() > 8:
            assert 1e-4 < distance < 0.05
