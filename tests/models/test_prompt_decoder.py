"""Prompts without a mask, decoded on prepared images, against the mask decoder as a whole."""

import copy
import itertools

import pytest
import torch
from torch import nn

from anymask.models import prompt_decoder
from anymask.models.architecture import DecoderArchitecture
from anymask.models.prompt_decoder import Part, ProjectingPromptDecoder, PromptDecoder, build_prompt_decoder
from anymask.models.transformer import TwoWayAttentionBlock, TwoWayTransformer
from anymask.train.adapters import LowRankAdapters, attention_weights

ROWS, COLUMNS = 5, 3
CHOICES = [slice(None), slice(0, 1), slice(1, None), slice(2, 3), slice(None, None, 2)]
SMALL = DecoderArchitecture(embed_dim=32, mask_channels=8, num_heads=4, mlp_dim=64, iou_head_hidden_dim=32)


def with_random_weights(architecture, side=64):
    """A network without an image encoder, in which no weight is zero and no norm the identity, to hide mistakes."""
    generator = torch.Generator().manual_seed(0)
    network = architecture.assemble(nn.Identity(), side).eval()
    for parameter in network.parameters():
        deviation = 0.3 if parameter.ndim == 1 else 1.5 / parameter[0].numel() ** 0.5
        nn.init.normal_(parameter, 0.5 if parameter.ndim == 1 else 0.0, deviation, generator)
    return network


@pytest.fixture(scope="module")
def network():
    return with_random_weights(SMALL)


class Asked:
    """Random prompts on a random image, and the whole decoder's answer: logits ``[N, masks, 4h, 4w]`` and IoUs."""

    def __init__(self, network, prompts=3, tokens=2, rows=ROWS, columns=COLUMNS, seed=0):
        generator = torch.Generator().manual_seed(seed)
        encoder, decoder = network.prompt_encoder, network.mask_decoder
        self.embedding = torch.randn(1, encoder.embed_dim, rows, columns, generator=generator)
        self.positions = encoder.pe_layer((rows, columns))[None]
        self.no_mask = encoder.no_mask_embed.weight
        self.sparse = torch.randn(prompts, tokens, encoder.embed_dim, generator=generator)
        dense = self.no_mask.reshape(1, 1, -1, 1, 1)
        with torch.no_grad():
            logits, scores = decoder.decode(self.embedding, self.positions, self.sparse[None], dense)
        self.logits, self.scores = logits[0].float(), scores[0].float()
        # What does not vary proves nothing.
        assert self.logits.std() > 0.05
        assert self.scores.std() > 0.01

    def prepare(self, decoder):
        return decoder.prepare(self.embedding, self.positions, self.no_mask)

    def answer(self, decoder, chosen=slice(None), size=None, sparse=None):
        attended = decoder.attend(self.prepare(decoder), self.sparse if sparse is None else sparse, chosen)
        wanted = torch.ones(attended.predicted_iou.shape, dtype=torch.bool)
        logits = decoder.masks(attended, wanted, size)
        return logits.unflatten(0, tuple(wanted.shape)), attended.predicted_iou

    def check(self, decoder):
        logits, scores = self.answer(decoder)
        torch.testing.assert_close(logits, self.logits, atol=1e-4 * self.logits.std().item(), rtol=1e-4)
        torch.testing.assert_close(scores.float(), self.scores, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 5, 6, 16, 20])
@pytest.mark.parametrize("build", [PromptDecoder, ProjectingPromptDecoder])
def test_answers_are_those_of_the_whole_decoder(network, tokens, build):
    Asked(network, tokens=tokens).check(build(network.mask_decoder))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_any_depth(depth):
    network = with_random_weights(DecoderArchitecture(**{**vars(SMALL), "depth": depth}))
    decoder = build_prompt_decoder(network.mask_decoder)
    assert len(decoder.layers) == depth
    Asked(network).check(decoder)


def test_other_numbers_of_masks_and_other_widths():
    network = with_random_weights(
        DecoderArchitecture(**{**vars(SMALL), "num_multimask_outputs": 1, "attention_downsample_rate": 1})
    )
    asked = Asked(network)
    assert asked.logits.shape == (3, 2, 4 * ROWS, 4 * COLUMNS)
    asked.check(build_prompt_decoder(network.mask_decoder))


@pytest.fixture(scope="module")
def published():
    """A decoder of the published sizes, for an input of 256 pixels."""
    return with_random_weights(DecoderArchitecture(), 256)


def test_clicks_and_boxes_at_the_published_sizes(published):
    encoder, decoder = published.prompt_encoder, build_prompt_decoder(published.mask_decoder)
    assert type(decoder) is PromptDecoder
    asked = Asked(published, prompts=1, rows=16, columns=16)
    points = torch.tensor([[[10.0, 200.0]], [[128.0, 60.0]]])
    clicks = encoder.embed_points(points, torch.ones(2, 1, dtype=torch.int64), pad=True)
    several = encoder.embed_points(points.expand(2, 5, 2), torch.tensor([[1, 0, 1, 0, 1]] * 2), pad=True)
    boxes, _ = encoder(None, torch.tensor([[30.0, 40.0, 90.0, 130.0], [0.0, 0.0, 256.0, 200.0]]), None)
    for sparse in (clicks, several, boxes):
        asked.sparse = sparse.detach()
        with torch.no_grad():
            dense = asked.no_mask.reshape(1, 1, -1, 1, 1)
            logits, scores = published.mask_decoder.decode(asked.embedding, asked.positions, sparse[None], dense)
        asked.logits, asked.scores = logits[0], scores[0]
        asked.check(decoder)


@pytest.mark.parametrize("build", [PromptDecoder, ProjectingPromptDecoder])
@pytest.mark.parametrize("chosen", CHOICES, ids=["all", "single", "three", "one of three", "every other"])
def test_chosen_masks_are_those_of_all(network, build, chosen):
    asked = Asked(network)
    logits, scores = asked.answer(build(network.mask_decoder), chosen)
    torch.testing.assert_close(logits, asked.logits[:, chosen], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scores, asked.scores[:, chosen], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("build", [PromptDecoder, ProjectingPromptDecoder])
@pytest.mark.parametrize(
    "wanted",
    [
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
        [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
        [[0, 1, 0], [0, 0, 0], [1, 0, 1]],
        [[0, 0, 0], [1, 0, 0], [0, 0, 0]],
    ],
    ids=["none", "all", "some", "one"],
)
def test_only_wanted_masks_are_made_in_their_order(network, build, wanted):
    asked, decoder = Asked(network), build(network.mask_decoder)
    attended = decoder.attend(asked.prepare(decoder), asked.sparse, slice(1, None))
    chosen = torch.tensor(wanted, dtype=torch.bool)
    for size in (None, (7, 2)):
        logits = decoder.masks(attended, chosen, size)
        rows, columns = size or (4 * ROWS, 4 * COLUMNS)
        assert logits.shape == (int(chosen.sum()), rows, columns)
        assert logits.dtype == torch.float32
        expected = asked.logits[:, 1:][chosen][:, :rows, :columns]
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_a_prompt_without_wanted_masks_is_never_upscaled(network, monkeypatch):
    asked, decoder = Asked(network), PromptDecoder(network.mask_decoder)
    attended = decoder.attend(asked.prepare(decoder), asked.sparse)
    upscaled = []
    monkeypatch.setattr(decoder, "_upscale", lambda tokens: upscaled.append(len(tokens)))
    decoder.masks(attended, torch.zeros(3, 4, dtype=torch.bool))
    assert upscaled == []


@pytest.mark.parametrize("tile_rows", [1, 2, 3, 5])
@pytest.mark.parametrize("together", [1, 2, 3], ids=["one by one", "two and one", "all"])
def test_tiles_and_parts_do_not_show(network, monkeypatch, tile_rows, together):
    monkeypatch.setattr(prompt_decoder, "TILE", tile_rows * COLUMNS * SMALL.embed_dim * 4)
    # A GPU works on all prompts of a call together.
    monkeypatch.setitem(prompt_decoder.PROMPTS_OF_A_PART, "cpu", together)
    asked, decoder = Asked(network), PromptDecoder(network.mask_decoder)
    image = asked.prepare(decoder)
    sizes = [tile_rows * COLUMNS] * (ROWS // tile_rows) + [ROWS % tile_rows * COLUMNS] * (ROWS % tile_rows > 0)
    assert [tile.shape for tile in image.tokens] == [(1, size, SMALL.embed_dim) for size in sizes]
    assert len(decoder.attend(image, asked.sparse).parts) == -(-3 // together)
    asked.check(decoder)
    for rows, columns in itertools.product((1, 4, 6, 13, 20), (1, 7, 8, 12)):
        logits, _ = asked.answer(decoder, size=(rows, columns))
        expected = asked.logits[:, :, :rows, :columns]
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4, msg=f"{rows} x {columns}")
    # Some of the prompts of a part have no wanted mask.
    attended = decoder.attend(image, asked.sparse)
    wanted = torch.tensor([[0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 1]], dtype=torch.bool)
    torch.testing.assert_close(decoder.masks(attended, wanted), asked.logits[wanted], atol=1e-4, rtol=1e-4)


def test_a_part_may_be_asked_twice_for_its_masks(network):
    asked, decoder = Asked(network), PromptDecoder(network.mask_decoder)
    image = asked.prepare(decoder)
    before = copy.deepcopy(image)
    attended = decoder.attend(image, asked.sparse)
    first, second = (decoder.masks(attended, torch.ones(3, 4, dtype=torch.bool)) for _ in range(2))
    assert torch.equal(first, second)
    # What prompts share is never written to.
    for ours, theirs in zip((*image.tokens, *image[2:5]), (*before.tokens, *before[2:5]), strict=True):
        assert torch.equal(ours, theirs)
    assert all(isinstance(part, Part) and part.prompts.stop - part.prompts.start == 1 for part in attended.parts)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_prompt_s_answer_does_not_depend_on_its_neighbours(published, dtype):
    asked, decoder = Asked(published, prompts=7, rows=16, columns=16), PromptDecoder(published.mask_decoder, dtype)
    together, scores = asked.answer(decoder)
    backwards, _ = asked.answer(decoder, sparse=asked.sparse.flip(0))
    # Products of more rows may be summed in another order; what is then rounded to bfloat16 may become the next number.
    tolerance = (2e-5 if dtype == torch.float32 else 6e-2) * together.std().item()
    torch.testing.assert_close(backwards.flip(0), together, atol=tolerance, rtol=0)
    for index in range(7):
        alone, its_scores = asked.answer(decoder, sparse=asked.sparse[index : index + 1])
        torch.testing.assert_close(alone[0], together[index], atol=tolerance, rtol=0)
        torch.testing.assert_close(its_scores[0], scores[index], atol=tolerance, rtol=0)


@pytest.mark.parametrize("tile_rows", [3, 16])
def test_bfloat16_is_close(published, monkeypatch, tile_rows):
    monkeypatch.setattr(prompt_decoder, "TILE", tile_rows * 16 * 256 * 2)
    asked, decoder = Asked(published, rows=16, columns=16), PromptDecoder(published.mask_decoder, torch.bfloat16)
    image = asked.prepare(decoder)
    assert {tile.dtype for tile in (*image.tokens, *image[2:5])} == {torch.bfloat16}
    logits, scores = asked.answer(decoder)
    assert logits.dtype == scores.dtype == torch.float32
    # Image tokens are rounded to 8 bits (an error of 0.1% on average) some ten times on their way; prompt tokens never.
    distance = (logits - asked.logits).norm() / (asked.logits - asked.logits.mean()).norm()
    assert 1e-4 < distance < 0.02
    assert 0 < (scores - asked.scores).norm() / (asked.scores - asked.scores.mean()).norm() < 0.01


def test_float32_of_a_decoder_in_bfloat16(network):
    asked, decoder = Asked(network), PromptDecoder(network.mask_decoder, torch.bfloat16)
    exact = decoder.in_float32()
    assert exact.in_float32() is exact
    assert exact.dtype == torch.float32
    asked.check(exact)


def test_gradients_are_neither_made_nor_spoilt(network):
    network = copy.deepcopy(network)
    asked, decoder = Asked(network), PromptDecoder(network.mask_decoder)
    assert not asked.answer(decoder)[0].requires_grad
    dense = network.prompt_encoder.no_mask_embed.weight.reshape(1, 1, -1, 1, 1)
    logits, scores = network.mask_decoder.decode(asked.embedding, asked.positions, asked.sparse[None], dense)
    (logits.sum() + scores.sum()).backward()
    assert network.mask_decoder.mask_tokens.weight.grad.abs().max() > 0


def test_as_many_prompts_at_a_time_as_fit(network, published, monkeypatch):
    asked, decoder = Asked(network), PromptDecoder(network.mask_decoder)
    image = asked.prepare(decoder)
    own = ROWS * COLUMNS * SMALL.embed_dim * 4
    for held, expected in ((3 * own, 3), (4 * own - 1, 3), (own, 1), (1, 1)):
        monkeypatch.setattr(prompt_decoder, "WORKING_SET", held)
        assert decoder.prompts_at_a_time(image) == expected
        assert [decoder.prompts_at_a_time(image, wanted) for wanted in (1, 2, 9)] == [1, min(2, expected), expected]
    monkeypatch.undo()
    sizes = []
    for dtype in (torch.float32, torch.bfloat16):
        decoder = PromptDecoder(published.mask_decoder, dtype)
        sizes.append(decoder.prompts_at_a_time(Asked(published, rows=16, columns=16).prepare(decoder)))
    assert sizes == [64, 128]


def test_prompts_that_suit(published):
    decoder = build_prompt_decoder(published.mask_decoder)
    # Eight heads and 128 inner channels are 16 tokens, of which five are the decoder's own.
    assert [decoder.suits(tokens) for tokens in (1, 2, 11, 12, 30)] == [True, True, True, False, False]


class Adapter(nn.Module):
    """What adapters look like: a layer with a weight that is not all it computes."""

    def __init__(self, base):
        super().__init__()
        self.base, self.weight, self.bias = base, base.weight, base.bias
        self.delta = nn.Linear(base.in_features, base.out_features, bias=False)

    def forward(self, x):
        return self.base(x) + self.delta(x)


class OtherLinear(nn.Linear):
    def forward(self, x):
        return super().forward(x) * 1.5


class OtherBlock(TwoWayAttentionBlock):
    def attend_among_tokens(self, queries, query_pe):
        return super().attend_among_tokens(queries, query_pe) * 1.5


class OtherTransformer(TwoWayTransformer):
    def attend(self, image_tokens, image_pe, tokens):
        queries, keys = super().attend(image_tokens, image_pe, tokens)
        return queries * 1.5, keys


def adapt(layer, name):
    setattr(layer, name, Adapter(getattr(layer, name)))


def change_class(module, other):
    module.__class__ = other


def hook(module):
    module.register_forward_hook(lambda *call: call[2] * 1.5)


CHANGES = {
    "an adapter on keys": lambda decoder: adapt(decoder.transformer.layers[0].cross_attn_token_to_image, "k_proj"),
    "an adapter on values": lambda decoder: adapt(decoder.transformer.layers[1].cross_attn_image_to_token, "v_proj"),
    "an adapter at the end": lambda decoder: adapt(decoder.transformer.final_attn_token_to_image, "out_proj"),
    "another linear layer": lambda decoder: change_class(
        decoder.transformer.layers[1].cross_attn_token_to_image.q_proj, OtherLinear
    ),
    "another linear layer for a mask": lambda decoder: change_class(
        decoder.output_hypernetworks_mlps[2].layers[1], OtherLinear
    ),
    "another block": lambda decoder: change_class(decoder.transformer.layers[0], OtherBlock),
    "another transformer": lambda decoder: change_class(decoder.transformer, OtherTransformer),
    "a hook on a projection": lambda decoder: hook(decoder.transformer.layers[0].cross_attn_token_to_image.v_proj),
    "a hook on an attention": lambda decoder: hook(decoder.transformer.layers[1].cross_attn_token_to_image),
    "a hook on a norm": lambda decoder: hook(decoder.transformer.layers[1].norm4),
    "a hook on a mask's network": lambda decoder: hook(decoder.output_hypernetworks_mlps[0]),
    "another activation": lambda decoder: decoder.output_upscaling.__setitem__(2, nn.SiLU()),
    "approximate activations": lambda decoder: decoder.output_upscaling.__setitem__(4, nn.GELU(approximate="tanh")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_decoder_that_is_not_what_it_seems_is_called_as_it_is(network, change):
    torch.manual_seed(0)
    changed = copy.deepcopy(network)
    assert type(build_prompt_decoder(changed.mask_decoder)) is PromptDecoder
    change(changed.mask_decoder)
    decoder = build_prompt_decoder(changed.mask_decoder, torch.bfloat16)
    assert type(decoder) is ProjectingPromptDecoder
    assert decoder.in_float32() is decoder
    asked = Asked(changed)
    assert (asked.logits - Asked(network).logits).abs().max() > 1e-4
    asked.check(decoder)


@pytest.mark.parametrize("layer", ["self_attn", "mlp", "norm1", "norm2", "norm3"])
def test_what_works_on_prompt_tokens_alone_is_called_wherever_it_stands(network, layer):
    changed = copy.deepcopy(network)
    # Not the first layer, whose norm undoes a factor on its self-attention.
    hook(getattr(changed.mask_decoder.transformer.layers[1], layer))
    asked = Asked(changed)
    assert (asked.logits - Asked(network).logits).abs().max() > 1e-4
    for build in (build_prompt_decoder, ProjectingPromptDecoder):
        asked.check(build(changed.mask_decoder))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_of_other_types_are_computed_in_their_own(network, dtype):
    changed = copy.deepcopy(network).to(dtype)
    decoder = build_prompt_decoder(changed.mask_decoder, torch.bfloat16)
    asked = Asked(network)
    logits, scores = asked.answer(decoder)
    assert logits.dtype == torch.float32
    distance = (logits - asked.logits).norm() / (asked.logits - asked.logits.mean()).norm()
    assert distance < (0.05 if dtype == torch.bfloat16 else 1e-4)
    assert scores.dtype == dtype


def test_our_own_adapters_stay_on_the_fast_path(network):
    changed = copy.deepcopy(network)
    weights = attention_weights(changed.mask_decoder)
    adapters = LowRankAdapters(weights, rank=2, scale=1.0, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for up in adapters.up.values():
            up.normal_(generator=torch.Generator().manual_seed(1))
    adapters.write()
    decoder = build_prompt_decoder(changed.mask_decoder)
    assert type(decoder) is PromptDecoder
    asked = Asked(changed)
    assert (asked.logits - Asked(network).logits).abs().max() > 1e-2
    asked.check(decoder)
