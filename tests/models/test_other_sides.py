"""Encoders at another input side: what depends on the side is interpolated, and nothing else."""

import pytest
import torch

from anymask.models.image_encoder import ImageEncoderViT, relative_position_table
from anymask.models.other_sides import fit_to_side, resize_positions, resize_relative_positions
from anymask.models.pocket_encoder import PocketEncoder


def encoder(side: int, width: int = 8, window: int = 3) -> ImageEncoderViT:
    torch.manual_seed(side)
    built = ImageEncoderViT(side, embed_dim=width, depth=2, num_heads=2, window_size=window, global_attn_indexes=(1,))
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter)
    return built


def state(built: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {f"image_encoder.{key}": value for key, value in built.state_dict().items()}


@pytest.mark.parametrize(("old", "new"), [(8, 16), (16, 8), (14, 64)])
def test_a_plane_of_positions_stays_a_plane(old: int, new: int) -> None:
    """Pixel centres of the old grid lie at (i + 1/2)/old of the side, and the new ones at (i + 1/2)/new."""
    at = (torch.arange(old) + 0.5) / old
    plane = torch.stack([at[:, None].expand(old, old), 2 * at[None, :].expand(old, old)], dim=-1)[None]
    resized = resize_positions(plane, new)
    assert resized.shape == (1, new, new, 2)
    wanted = (torch.arange(new) + 0.5) / new
    # Bicubic interpolation keeps planes within a tenth of a cell, except where it runs past the border; a grid
    # taken by its corners would be off by up to half a cell.
    inside = (wanted > 2 / old) & (wanted < 1 - 2 / old)
    assert inside.sum() >= 4
    torch.testing.assert_close(resized[0, inside, 0, 0], wanted[inside], atol=0.1 / old, rtol=0)
    torch.testing.assert_close(resized[0, 0, inside, 1], 2 * wanted[inside], atol=0.2 / old, rtol=0)


def test_the_same_side_changes_nothing() -> None:
    built = encoder(64)
    before = state(built)
    after = fit_to_side(before, encoder(64))
    assert all(after[key] is value for key, value in before.items())


@pytest.mark.parametrize(("old", "new"), [(4, 9), (9, 4), (14, 64)])
def test_relative_tables_are_what_attention_would_have_interpolated(old: int, new: int) -> None:
    table = torch.randn(2 * old - 1, 5)
    resized = resize_relative_positions(table, new)
    assert resized.shape == (2 * new - 1, 5)
    torch.testing.assert_close(relative_position_table(new, resized), relative_position_table(new, table))


def test_an_encoder_for_another_side_loads_and_keeps_its_windows() -> None:
    small, large = encoder(64), encoder(160)
    fitted = fit_to_side(state(small), large)
    large.load_state_dict({key.removeprefix("image_encoder."): value for key, value in fitted.items()})
    given = state(small)
    assert {key for key in given if fitted[key].shape != given[key].shape} == {
        "image_encoder.pos_embed",
        "image_encoder.blocks.1.attn.rel_pos_h",
        "image_encoder.blocks.1.attn.rel_pos_w",
    }
    assert torch.equal(large.blocks[0].attn.rel_pos_h, small.blocks[0].attn.rel_pos_h)


def test_what_is_no_square_grid_of_the_width_is_left_for_the_loader() -> None:
    target = encoder(64)
    for shape in ((1, 3, 5, 8), (1, 6, 6, 16), (1, 37, 8), (2, 6, 6, 8)):
        given = state(encoder(96)) | {"image_encoder.pos_embed": torch.zeros(shape)}
        assert fit_to_side(given, target)["image_encoder.pos_embed"].shape == shape
    given = state(encoder(96)) | {"image_encoder.blocks.1.attn.rel_pos_h": torch.zeros(30, 4)}
    assert fit_to_side(given, target)["image_encoder.blocks.1.attn.rel_pos_h"].shape == (30, 4)


def test_convolutions_do_not_depend_on_the_side() -> None:
    built = PocketEncoder(64, widths=(8, 16, 32), depths=(1, 1, 1), heads=2, out_chans=32)
    before = state(built)
    after = fit_to_side(before, PocketEncoder(96, widths=(8, 16, 32), depths=(1, 1, 1), heads=2, out_chans=32))
    assert all(after[key] is value for key, value in before.items())
