"""SAM's image encoder in pieces, as it computes without gradients on a processor, against itself as a whole."""

import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.models.image_encoder import Attention, Block, ImageEncoderViT


def build(image_size: int = 64, **changes: object) -> ImageEncoderViT:
    torch.manual_seed(0)
    settings: dict[str, object] = {
        "embed_dim": 24,
        "depth": 3,
        "num_heads": 3,
        "out_chans": 8,
        "window_size": 3,
        "global_attn_indexes": (1,),
    }
    encoder = ImageEncoderViT(image_size, **(settings | changes))  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_(std=0.3)
    return encoder.eval()


def draw(image_size: int = 64, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, image_size, image_size, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> list[Block]:
    """The blocks that have computed in pieces so far."""
    blocks: list[Block] = []
    real = Block._refine_in_pieces

    def record(block: Block, x: Tensor) -> Tensor:
        blocks.append(block)
        return real(block, x)

    monkeypatch.setattr(Block, "_refine_in_pieces", record)
    return blocks


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return float((actual.float() - expected).norm() / expected.norm())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"image_size": 128, "batch": 3},
        {"image_size": 16},
        {"window_size": 4},
        {"window_size": 14},
        {"window_size": 0},
        {"qkv_bias": False},
        {"use_rel_pos": False},
        {"use_abs_pos": False},
        {"embed_dim": 30, "num_heads": 1},
        {"mlp_ratio": 2.5},
        {"norm_layer": nn.LayerNorm},
    ],
    ids=str,
)
def test_pieces_are_the_whole(changes: dict[str, object], in_pieces: list[Block]) -> None:
    changes = dict(changes)
    size, batch = int(str(changes.pop("image_size", 64))), int(str(changes.pop("batch", 1)))
    encoder, images = build(size, **changes), draw(size, batch)
    whole = encoder(images).detach()
    assert in_pieces == []
    before = images.clone()
    with torch.no_grad():
        torch.testing.assert_close(encoder(images), whole, atol=1e-4, rtol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(encoder(images), whole, atol=1e-4, rtol=1e-4)
    assert in_pieces == list(encoder.blocks) * 2
    assert torch.equal(images, before)


@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_a_block_written_out(seed: int, in_pieces: list[Block]) -> None:
    """Norm, attention in zero-padded windows, and MLP, in float64 and from the published description alone."""
    torch.manual_seed(seed)
    block = Block(12, 2, use_rel_pos=True, window_size=3, input_size=(5, 5))
    for parameter in block.parameters():
        parameter.normal_(std=0.5)
    x = torch.randn(2, 5, 5, 12)
    state = {key: value.double() for key, value in block.state_dict().items()}

    def norm(values: Tensor, name: str) -> Tensor:
        return F.layer_norm(values, (12,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    padded = F.pad(norm(x.double(), "norm1"), (0, 0, 0, 1, 0, 1))
    attended = torch.zeros(2, 6, 6, 12, dtype=torch.float64)
    for top in (0, 3):
        for left in (0, 3):
            window = padded[:, top : top + 3, left : left + 3].flatten(1, 2)
            sides = (window @ state["attn.qkv.weight"].T + state["attn.qkv.bias"]).view(2, 9, 3, 2, 6)
            joined = torch.zeros(2, 9, 2, 6, dtype=torch.float64)
            for image in range(2):
                for head in range(2):
                    query, key, value = (sides[image, :, side, head] for side in range(3))
                    scores = query @ key.T * 6**-0.5
                    for i in range(9):
                        for j in range(9):
                            down, across = i // 3 - j // 3 + 2, i % 3 - j % 3 + 2
                            scores[i, j] += query[i] @ state["attn.rel_pos_h"][down]
                            scores[i, j] += query[i] @ state["attn.rel_pos_w"][across]
                    joined[image, :, head] = scores.softmax(1) @ value
            result = joined.flatten(2) @ state["attn.proj.weight"].T + state["attn.proj.bias"]
            attended[:, top : top + 3, left : left + 3] = result.view(2, 3, 3, 12)
    expected = x.double() + attended[:, :5, :5]
    hidden = F.gelu(norm(expected, "norm2") @ state["mlp.lin1.weight"].T + state["mlp.lin1.bias"])
    expected = expected + hidden @ state["mlp.lin2.weight"].T + state["mlp.lin2.bias"]
    before = x.clone()
    torch.testing.assert_close(block(x).double(), expected, atol=1e-4, rtol=1e-4)
    assert in_pieces == [block]
    assert torch.equal(x, before)


@pytest.mark.parametrize("channels", [16, 20], ids=["scale is a power of two", "scale is none"])
def test_autocast_is_as_near_as_the_whole_encoder(channels: int, in_pieces: list[Block]) -> None:
    encoder, images = build(128, embed_dim=4 * channels, num_heads=4), draw(128, batch=2)
    with torch.no_grad():
        for block in encoder.blocks:
            # Scores of a size that matters to a softmax.
            block.attn.qkv.weight.mul_(0.5)
        exact = encoder(images)
        with torch.autocast("cpu", torch.bfloat16):
            pieces = encoder(images)
    assert in_pieces == list(encoder.blocks) * 2
    with torch.autocast("cpu", torch.bfloat16):
        whole = encoder(images).detach()
    assert pieces.dtype == whole.dtype
    assert 0 < relative_error(pieces, exact) < 1.02 * relative_error(whole, exact)


@torch.no_grad()
def test_a_model_of_bfloat16_stays_one(in_pieces: list[Block]) -> None:
    encoder, images = build(), draw()
    exact = encoder(images)
    result = encoder.bfloat16()(images.bfloat16())
    assert result.dtype == torch.bfloat16
    assert relative_error(result, exact) < 0.05
    assert len(in_pieces) == 6


@torch.no_grad()
def test_other_types_are_computed_as_a_whole(in_pieces: list[Block]) -> None:
    encoder, images = build(), draw()
    exact = encoder(images)
    in_pieces.clear()
    torch.testing.assert_close(encoder.double()(images.double()).float(), exact, atol=1e-4, rtol=1e-4)
    assert in_pieces == []


def test_weights_are_read_anew_each_time() -> None:
    encoder, images = build(), draw()
    with torch.no_grad():
        encoder(images)
        for parameter in encoder.parameters():
            parameter.mul_(0.9)
        changed = encoder(images)
        state = {key: value.clone() for key, value in encoder.state_dict().items()}
        loaded = build(depth=3)
        loaded(images)
        loaded.load_state_dict(state)
        torch.testing.assert_close(loaded(images), changed)
    torch.testing.assert_close(encoder(images).detach(), changed, atol=1e-4, rtol=1e-4)


class Tripled(nn.Linear):
    """An adapter: what it computes is not in its weight."""

    def forward(self, input: Tensor) -> Tensor:
        return 3 * super().forward(input)


def adapt(block: Block, name: str) -> None:
    parent, _, child = name.rpartition(".")
    layer = block.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    tripled = Tripled(layer.in_features, layer.out_features)
    tripled.load_state_dict(layer.state_dict())
    setattr(block.get_submodule(parent), child, tripled)


def hook(block: Block, name: str) -> None:
    block.get_submodule(name).register_forward_hook(lambda _module, _inputs, output: 3 * output)


def hook_before(block: Block, name: str) -> None:
    block.get_submodule(name).register_forward_pre_hook(lambda _module, inputs: (3 * inputs[0],))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        *((adapt, name) for name in ("attn.qkv", "attn.proj", "mlp.lin1", "mlp.lin2")),
        *((hook, name) for name in ("attn", "attn.qkv", "attn.proj", "norm1", "norm2", "mlp", "mlp.act", "mlp.lin1")),
        *((hook_before, name) for name in ("attn", "mlp.lin2")),
    ],
)
def test_what_stands_in_a_layers_place_is_called(
    change: Callable[[Block, str], None], name: str, in_pieces: list[Block]
) -> None:
    encoder, images = build(), draw()
    with torch.no_grad():
        plain = encoder(images)
    in_pieces.clear()
    changed = encoder.blocks[0]
    assert isinstance(changed, Block)
    change(changed, name)
    expected = encoder(images).detach()
    assert relative_error(expected, plain) > 1e-3
    with torch.no_grad():
        torch.testing.assert_close(encoder(images), expected, atol=1e-4, rtol=1e-4)
    assert in_pieces == list(encoder.blocks)[1:]


@pytest.mark.parametrize("act", [nn.ReLU, nn.SiLU])
def test_other_activations_are_applied(act: type[nn.Module], in_pieces: list[Block]) -> None:
    encoder, images = build(act_layer=act), draw()
    with torch.no_grad():
        pieces = encoder(images)
    assert in_pieces == []
    torch.testing.assert_close(pieces, encoder(images).detach(), atol=1e-4, rtol=1e-4)


def test_the_approximate_gelu_is_not_taken_for_the_exact_one(in_pieces: list[Block]) -> None:
    encoder, images = build(), draw()
    for block in encoder.blocks:
        block.mlp.act = nn.GELU(approximate="tanh")
    with torch.no_grad():
        pieces = encoder(images)
    assert in_pieces == []
    torch.testing.assert_close(pieces, encoder(images).detach(), atol=1e-5, rtol=1e-5)


def test_attention_of_its_own_class_is_called(in_pieces: list[Block]) -> None:
    class Silent(Attention):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros_like(x)

    encoder, images = build(), draw()
    encoder.blocks[1].attn = Silent(24, 3)
    with torch.no_grad():
        encoder(images)
    assert in_pieces == [encoder.blocks[0], encoder.blocks[2]]


def test_stochastic_depth_and_gradients_take_the_whole(in_pieces: list[Block]) -> None:
    encoder, images = build(), draw()
    encoder(images).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    with torch.no_grad():
        encoder(images, torch.ones(1, 3, 2))
    assert in_pieces == []


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@torch.no_grad()
def test_exported_and_traced_graphs_hold_the_whole(in_pieces: list[Block]) -> None:
    encoder, images = build(), draw()
    expected = encoder(images)
    in_pieces.clear()
    program = torch.export.export(encoder, (images,))
    torch.testing.assert_close(program.module()(images), expected, atol=1e-4, rtol=1e-4)
    traced = torch.jit.trace(encoder, images, check_trace=False)
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    torch.testing.assert_close(torch.jit.load(file)(images), expected, atol=1e-4, rtol=1e-4)
    assert in_pieces == []


@torch.no_grad()
def test_without_onednn_the_pieces_are_the_same(in_pieces: list[Block]) -> None:
    encoder, images = build(), draw()
    expected = encoder(images)
    with torch.backends.mkldnn.flags(enabled=False):
        torch.testing.assert_close(encoder(images), expected, atol=1e-4, rtol=1e-4)
    assert len(in_pieces) == 6
