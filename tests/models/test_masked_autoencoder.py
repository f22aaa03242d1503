"""What is masked stays unseen and carries all the loss, against the ViTMAE of transformers where there is one."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.masked_autoencoder import (
    MaskedAutoencoder,
    MaskedImageModel,
    cut_patches,
    join_patches,
    run_plainly,
    sine_positions,
)
from anymask.models.pocket_encoder import PocketEncoder

SIDE = 64


def vit(**options: object) -> ImageEncoderViT:
    choices = {"window_size": 3, "global_attn_indexes": (1,), "out_chans": 8} | options
    return ImageEncoderViT(SIDE, embed_dim=32, depth=2, num_heads=2, **choices)


def autoencoder() -> MaskedAutoencoder:
    torch.manual_seed(0)
    return MaskedAutoencoder(vit(), decoder_width=32, decoder_depth=2).eval()


def image_model(side: int = SIDE) -> MaskedImageModel:
    torch.manual_seed(0)
    encoder = PocketEncoder(side, widths=(8, 16, 32), depths=(1, 1, 1), heads=2, out_chans=32)
    return MaskedImageModel(encoder, side, channels=32).eval()


def reference(side: int, patch: int, width: int = 16) -> ViTMAEForPreTraining:
    config = ViTMAEConfig(
        image_size=side,
        patch_size=patch,
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=width,
        decoder_hidden_size=width,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=1,
        decoder_intermediate_size=width,
        norm_pix_loss=True,
    )
    return ViTMAEForPreTraining(config)


def masks(cells: int, count: int, batch: int = 2, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    masked = torch.zeros(batch, cells * cells, dtype=torch.bool)
    for row in masked:
        row[torch.randperm(cells * cells, generator=generator)[:count]] = True
    return masked


@pytest.mark.parametrize(("size", "grid"), [(16, 4), (14, 3), (2, 5)])
def test_cutting_and_joining_are_inverse_and_as_in_transformers(size: int, grid: int) -> None:
    images = torch.randn(2, 3, size * grid, size * grid)
    patches = cut_patches(images, size)
    assert torch.equal(join_patches(patches, size, grid), images)
    assert torch.equal(patches, reference(size * grid, size).patchify(images))


def test_positions_are_sines_and_cosines_of_columns_then_rows() -> None:
    """The order of the published checkpoints, written out number by number."""
    width, grid = 24, 5
    positions = sine_positions(grid, width)
    for row in range(grid):
        for column in range(grid):
            for channel in range(width):
                half, within = divmod(channel, width // 2)
                wave, index = divmod(within, width // 4)
                angle = (row if half else column) / 10000 ** (index / (width // 4))
                wanted = math.cos(angle) if wave else math.sin(angle)
                assert positions[0, row, column, channel].item() == pytest.approx(wanted, abs=1e-6)


@torch.no_grad()
def test_the_loss_is_that_of_transformers() -> None:
    """The same predictions for the same patches have the same loss."""
    model, images = autoencoder(), torch.randn(2, 3, SIDE, SIDE)
    theirs = reference(SIDE, 16)(images)
    model.predict = lambda _images, _masked: theirs.logits
    torch.testing.assert_close(model(images, theirs.mask.bool()), theirs.loss)


@torch.no_grad()
def test_blocks_run_plainly_are_blocks_without_windows_and_relative_positions() -> None:
    torch.manual_seed(1)
    encoder = vit()
    plain = vit(window_size=0, use_rel_pos=False)
    for parameter in encoder.parameters():
        parameter.normal_(std=0.2)
    plain.load_state_dict({key: value for key, value in encoder.state_dict().items() if "rel_pos" not in key})
    x = torch.randn(2, 4, 4, 32)
    for ours, theirs in zip(encoder.blocks, plain.blocks, strict=True):
        torch.testing.assert_close(run_plainly(ours, x.flatten(1, 2)), theirs(x).flatten(1, 2))
        assert not torch.allclose(ours(x), theirs(x), atol=1e-3)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 15))
def test_an_autoencoder_sees_nothing_of_what_is_masked(seed: int, count: int) -> None:
    model, masked = autoencoder(), masks(4, count, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(2, 3, SIDE, SIDE, generator=generator)
    other = torch.where(model.spread(masked), 5 * torch.randn(images.shape, generator=generator), images)
    visible = torch.stack([(~row).nonzero()[:, 0] for row in masked])
    with torch.no_grad():
        assert torch.equal(model.encode(images, visible), model.encode(other, visible))
        assert torch.equal(model.predict(images, masked), model.predict(other, masked))
        # It does see what is visible.
        assert not torch.equal(model.predict(images, masked), model.predict(images + 1, masked))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 3), side=st.sampled_from([48, 64]))
def test_an_image_model_sees_nothing_of_what_is_masked(seed: int, count: int, side: int) -> None:
    model, masked = image_model(side), masks(2, count, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(2, 3, side, side, generator=generator)
    other = torch.where(model.spread(masked), 5 * torch.randn(images.shape, generator=generator), images)
    with torch.no_grad():
        assert torch.equal(model.predict(images, masked), model.predict(other, masked))
        assert not torch.equal(model.predict(images, masked), model.predict(images + 1, masked))


@pytest.mark.parametrize("build", [autoencoder, image_model])
def test_masked_pixels_carry_all_the_loss(build) -> None:
    model = build()
    images, masked = torch.randn(2, 3, SIDE, SIDE), masks(model.cells, model.cells)
    predicted = model.predict(images, masked).detach().requires_grad_()
    model.predict = lambda _images, _masked: predicted
    model(images, masked).backward()
    if predicted.ndim == 3:
        carried = predicted.grad.abs().amax(-1) > 0
        assert torch.equal(carried, masked)
    else:
        carried = predicted.grad.abs().amax(1, keepdim=True) > 0
        assert torch.equal(carried, model.spread(masked))


def test_each_image_counts_alike_where_squares_are_cut() -> None:
    model = image_model(48)
    masked = torch.tensor([[True, False, False, False], [False, False, False, True]])
    assert model.spread(masked).sum(dim=(1, 2, 3)).tolist() == [32 * 32, 16 * 16]
    images = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        single = [model(images[i : i + 1], masked[i : i + 1]) for i in range(2)]
        torch.testing.assert_close(model(images, masked), (single[0] + single[1]) / 2)


@pytest.mark.parametrize("build", [autoencoder, image_model])
def test_reconstructions_keep_what_is_visible(build) -> None:
    model = build()
    images, masked = torch.randn(2, 3, SIDE, SIDE), masks(model.cells, model.cells)
    filled, hidden = model.reconstruct(images, masked), model.spread(masked).expand(-1, 3, -1, -1)
    assert torch.equal(filled[~hidden], images[~hidden])
    assert (filled[hidden] != images[hidden]).float().mean() > 0.99


def test_a_perfect_autoencoder_would_reconstruct_the_image() -> None:
    model, images, masked = autoencoder(), torch.randn(2, 3, SIDE, SIDE), masks(4, 12)
    target, _, _ = model._targets(images)
    model.predict = lambda _images, _masked: target
    torch.testing.assert_close(model.reconstruct(images, masked), images)
    assert model(images, masked) == 0


def test_what_learns_is_what_is_used() -> None:
    """Each parameter that is learned has a gradient, and each one that has a gradient is learned."""
    for build in (autoencoder, image_model):
        model = build().train()
        model(torch.randn(2, 3, SIDE, SIDE), masks(model.cells, model.cells)).backward()
        with_gradient = {name for name, value in model.named_parameters() if value.grad is not None}
        assert set(model.learned()) == with_gradient


def test_the_encoder_is_written_without_what_has_not_been_learned() -> None:
    model = autoencoder()
    keys = model.encoder_state().keys()
    assert not any(key.startswith("neck.") or "rel_pos" in key for key in keys)
    assert keys | {key for key in model.encoder.state_dict() if key.startswith("neck.") or "rel_pos" in key} == set(
        model.encoder.state_dict()
    )
    convolutions = image_model()
    assert convolutions.encoder_state().keys() == convolutions.encoder.state_dict().keys()


def test_an_encoder_that_is_not_fresh_keeps_its_weights() -> None:
    torch.manual_seed(3)
    encoder = vit()
    torch.nn.init.normal_(encoder.pos_embed)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    MaskedAutoencoder(encoder, decoder_width=32, decoder_depth=1, fresh=False)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    MaskedAutoencoder(encoder, decoder_width=32, decoder_depth=1)
    assert torch.equal(encoder.pos_embed, sine_positions(4, 32))


@pytest.mark.parametrize("build", [autoencoder, image_model])
def test_a_small_model_learns_to_fill_in(build) -> None:
    model = build().train()
    ramp = torch.linspace(-1, 1, SIDE)
    images = torch.stack([ramp[None, :] + 0 * ramp[:, None], ramp[:, None] + 0 * ramp[None, :]])
    images = images[:, None].expand(-1, 3, -1, -1).contiguous()
    optimizer = torch.optim.AdamW(model.learned().values(), lr=3e-3)
    losses = []
    for step in range(60):
        optimizer.zero_grad()
        loss = model(images, masks(model.cells, model.cells**2 // 2, seed=step % 5))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
