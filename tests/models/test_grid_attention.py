"""Attention in pieces against attention written out, place by place."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from anymask.models import grid_attention
from anymask.models.grid_attention import attend_globally, attend_in_windows, fit_table, join_tables


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def attend_plainly(projected: Tensor, heads: int, tables: tuple[Tensor, Tensor] | None) -> Tensor:
    """Every query of ``[R, C, 3·D]`` on its own, in float64: relative positions looked up for each pair of places."""
    rows, columns, width = projected.shape
    channels = width // 3 // heads
    query, key, value = projected.reshape(rows, columns, 3, heads, channels).unbind(2)
    out = torch.zeros(rows, columns, heads, channels, dtype=torch.float64)
    for row in range(rows):
        for column in range(columns):
            for head in range(heads):
                scores = (key[:, :, head] @ query[row, column, head]) / math.sqrt(channels)
                if tables is not None:
                    for other in range(rows):
                        scores[other] += tables[0][row - other + rows - 1] @ query[row, column, head]
                    for other in range(columns):
                        scores[:, other] += tables[1][column - other + columns - 1] @ query[row, column, head]
                weights = scores.flatten().softmax(0).reshape(rows, columns)
                out[row, column, head] = (weights[..., None] * value[:, :, head]).sum((0, 1))
    return out.flatten(2)


def draw_tables(rows: int, columns: int, channels: int, seed: int) -> tuple[Tensor, Tensor]:
    return draw(2 * rows - 1, channels, seed=seed), draw(2 * columns - 1, channels, seed=seed + 1)


def scaled(tables: tuple[Tensor, Tensor] | None, channels: int) -> Tensor | None:
    return None if tables is None else (join_tables(*tables) * math.sqrt(channels)).float()


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    heads=st.integers(1, 3),
    channels=st.integers(1, 5),
    tile=st.integers(1, 200),
    relative=st.booleans(),
    biased=st.booleans(),
    seed=st.integers(0, 99),
)
def test_global_attention_is_that_of_each_place(
    rows: int, columns: int, heads: int, channels: int, tile: int, relative: bool, biased: bool, seed: int
) -> None:
    width = heads * channels
    tokens, weight = draw(rows * columns, width, seed=seed), draw(3 * width, width, seed=seed + 1) / math.sqrt(width)
    bias = draw(3 * width, seed=seed + 2) if biased else None
    tables = draw_tables(rows, columns, channels, seed + 3) if relative else None
    projected = tokens @ weight.T + (0 if bias is None else bias)
    expected = attend_plainly(projected.view(rows, columns, -1), heads, tables)
    weight[:width] /= math.sqrt(channels)
    if bias is not None:
        bias[:width] /= math.sqrt(channels)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        # However few scores are held at a time, and where the last piece is smaller.
        patch.setattr(grid_attention, "_TILE_SCORES", tile)
        attended = attend_globally(
            tokens.float(),
            weight.float(),
            None if bias is None else bias.float(),
            heads,
            columns,
            scaled(tables, channels),
        )
    torch.testing.assert_close(attended.double().view(rows, columns, width), expected, atol=1e-4, rtol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    window=st.integers(1, 4),
    rows=st.integers(1, 4),
    columns=st.integers(1, 9),
    heads=st.integers(1, 3),
    channels=st.integers(1, 5),
    relative=st.booleans(),
    seed=st.integers(0, 99),
)
def test_windows_attend_to_their_padding_and_to_nothing_else(
    window: int, rows: int, columns: int, heads: int, channels: int, relative: bool, seed: int
) -> None:
    rows = min(rows, window)
    width = heads * channels
    projected, padding = draw(rows, columns, 3 * width, seed=seed), draw(3 * width, seed=seed + 1)
    tables = draw_tables(window, window, channels, seed + 2) if relative else None
    expected = torch.zeros(rows, columns, width, dtype=torch.float64)
    for left in range(0, columns, window):
        part = projected[:, left : left + window]
        filled = padding.repeat(window, window, 1)
        filled[:rows, : part.shape[1]] = part
        attended = attend_plainly(filled, heads, tables)
        expected[:, left : left + window] = attended[:rows, : part.shape[1]]
    factor = torch.cat([torch.full((width,), 1 / math.sqrt(channels)), torch.ones(2 * width)])
    with torch.no_grad():
        attended = attend_in_windows(
            (projected * factor).float(), (padding * factor).float(), heads, window, scaled(tables, channels)
        )
    torch.testing.assert_close(attended.double(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("strength", [0.3, 1.0, 2.0])
@torch.no_grad()
def test_bfloat16_is_no_worse_than_scores_in_float32(strength: float) -> None:
    """The usual fused attention rounds the bias and keeps its sum with the product; here the sum is rounded."""
    rows, columns, channels, heads = 8, 8, 16, 4
    width = heads * channels
    errors = torch.zeros(2)
    for seed in range(10):
        tokens, weight = draw(rows * columns, width, seed=seed).bfloat16(), draw(3 * width, width, seed=seed + 50) / 8
        weight = weight.bfloat16()
        tables = tuple((strength * table).bfloat16() for table in draw_tables(rows, columns, channels, seed + 90))
        projected = (tokens @ weight.T).view(rows, columns, -1)
        exact = attend_plainly(projected.double(), heads, (tables[0].double(), tables[1].double()))
        # The scale is a power of two.
        weight[:width] /= math.sqrt(channels)
        joined = join_tables(*tables) * math.sqrt(channels)
        ours = attend_globally(tokens, weight, None, heads, columns, joined).view(rows, columns, width)
        grid = projected.view(rows, columns, 3, heads, channels).permute(2, 3, 0, 1, 4)
        query, key, value = grid.unbind(0)
        offsets = torch.arange(rows)[:, None] - torch.arange(rows) + rows - 1
        by_row = torch.einsum("nhwc,hkc->nhwk", query, tables[0][offsets])
        by_column = torch.einsum("nhwc,wkc->nhwk", query, tables[1][offsets])
        bias = (by_row[..., None] + by_column[..., None, :]).reshape(1, heads, rows * columns, -1)
        fused = F.scaled_dot_product_attention(*(side.flatten(1, 2)[None] for side in (query, key, value)), bias)
        theirs = fused[0].view(heads, rows, columns, channels).permute(1, 2, 0, 3).flatten(2)
        errors += torch.stack([(each.double() - exact).norm() / exact.norm() for each in (ours, theirs)])
    assert 0 < errors[0] < errors[1]


@pytest.mark.parametrize(("length", "size"), [(5, 3), (5, 6), (27, 14), (63, 7)])
def test_a_table_of_another_length_is_interpolated(length: int, size: int) -> None:
    line = torch.linspace(0, 1, length, dtype=torch.float32)[:, None].repeat(1, 2)
    fitted = fit_table(line, size)
    assert fitted.shape == (2 * size - 1, 2)
    assert (fitted.diff(dim=0) >= 0).all()
    torch.testing.assert_close(fitted, 1 - fitted.flip(0))
    if length == 2 * size - 1:
        assert fitted is line
