"""Attention over a 2-D grid without gradients, in pieces that stay in a processor's cache.

The scores of a global block of ViT-B are 201 million numbers, and their bias by relative position as many again. They
are made, summed, exponentiated and used up a few megabytes at a time, because memory fetched from the system costs
more than all arithmetic on it.

Queries come scaled by c^-1/2, and the tables of relative positions by its inverse, because the bias is a product with
the unscaled query (Li et al. 2022).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from anymask.models.linear import linear

# Scores in the making: some megabytes, and rows enough for a product to be worth its start.
_TILE_SCORES = 2**21


def fit_table(table: Tensor, size: int) -> Tensor:
    """Interpolate a table of relative positions ``[L, c]`` linearly to ``[2·size - 1, c]``."""
    length = 2 * size - 1
    if table.shape[0] == length:
        return table
    resized = F.interpolate(table.T[None].float(), size=length, mode="linear")[0].T
    return resized.to(table.dtype)


def join_tables(row_table: Tensor, column_table: Tensor) -> Tensor:
    """Join the tables ``[2·R - 1, c]`` and ``[2·C - 1, c]`` into the one that this module's functions take.

    Their order is turned round, so that the offsets from one query to all keys of a row or column follow each other.
    """
    return torch.cat([row_table.flip(0), column_table.flip(0)])


def _bias_by_position(query: Tensor, tables: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Multiply queries ``[N, r, C, c]`` with the relative positions of all keys of a grid of ``rows`` rows.

    A softmax stays the same when all scores of a query change alike, and numbers of few digits are closest to one
    another at zero. So the largest are made zero.

    Returns:
        The bias of the keys of each row ``[N, r, C, rows]`` and of each column ``[N, r, C, C]``.
    """
    count, query_rows, columns, _ = query.shape
    width = tables.shape[0]
    # Every query with every offset; the keys of query (h, w) begin at offset rows - 1 - h, and columns - 1 - w.
    products = linear(query, tables).float().contiguous()
    row_step, column_step = columns * width, width
    steps = (query_rows * row_step, row_step, column_step, 1)
    first = products.storage_offset()
    by_row = products.as_strided(
        (count, query_rows, columns, rows), (steps[0], row_step - 1, column_step, 1), first + rows - 1
    )
    by_column = products.as_strided(
        (count, query_rows, columns, columns),
        (steps[0], row_step, column_step - 1, 1),
        first + 2 * rows - 1 + columns - 1,
    )
    by_row, by_column = (bias - bias.amax(-1, keepdim=True) for bias in (by_row, by_column))
    return by_row.to(query.dtype), by_column.to(query.dtype)


def _biased_scores(query: Tensor, key: Tensor, by_row: Tensor, by_column: Tensor, tile: Tensor) -> Tensor:
    """Scores ``[Q, S]`` of queries ``[Q, c]`` and keys ``[S, c]`` with bias ``[r, C, R]`` and ``[r, C, C]``.

    ``tile`` holds Q·S numbers that may be written over.
    """
    by_row, by_column = by_row[..., None], by_column[..., None, :]
    shape = torch.broadcast_shapes(by_row.shape, by_column.shape)
    if query.dtype == torch.float32:
        scores = linear(query, key)
        scores.view(shape).add_(by_row).add_(by_column)
        return scores
    # PyTorch leaves bfloat16 to oneDNN, which adds the product where the bias lies.
    torch.add(by_row, by_column, out=tile.view(shape))
    return tile.view(query.shape[0], key.shape[0]).addmm_(query, key.T)


def attend_globally(
    tokens: Tensor, weight: Tensor, bias: Tensor | None, heads: int, columns: int, tables: Tensor | None
) -> Tensor:
    """Attend from every place of a grid to all.

    Args:
        tokens: ``[S, D]``, the grid row by row.
        weight: ``[3·D, D]``, the projection to queries, keys and values.
        bias: ``[3·D]``, that of the projection; None for none.
        heads: how many the width D is divided among.
        columns: of the grid.
        tables: from :func:`join_tables`; None for no relative positions.

    Returns:
        ``[S, D]``.
    """
    size, width = tokens.shape
    rows, channels = size // columns, width // heads
    step = max(1, _TILE_SCORES // (columns * size))
    biases = (None, None, None) if bias is None else bias.split(width)
    sides = [linear(tokens, *side) for side in zip(weight.split(width), biases, strict=True)]
    attended = torch.empty_like(tokens)
    tile = tokens.new_empty(min(step, rows) * columns * size)
    for head in range(heads):
        inside = slice(head * channels, (head + 1) * channels)
        # The products want the numbers of a head side by side.
        query, key, value = (side[:, inside].contiguous() for side in sides)
        if tables is not None:
            by_row, by_column = _bias_by_position(query.view(1, rows, columns, channels), tables, rows)
        for top in range(0, rows, step):
            part = slice(top * columns, min(top + step, rows) * columns)
            if tables is None:
                scores = linear(query[part], key)
            else:
                lines = slice(top, top + step)
                free = tile[: query[part].shape[0] * size]
                scores = _biased_scores(query[part], key, by_row[0, lines], by_column[0, lines], free)
            torch.softmax(scores, -1, out=scores)
            attended[part, inside] = linear(scores, value.T)
    return attended


def attend_in_windows(projected: Tensor, padding: Tensor, heads: int, window: int, tables: Tensor | None) -> Tensor:
    """Attend within each window of a strip as high as a window.

    Args:
        projected: ``[r, W, 3·D]``, queries, keys and values of the strip's r rows; fewer than ``window`` at the lower
            border.
        padding: ``[3·D]``, those of the places with which windows are filled up to the right and below. They are
            attended to.
        heads: how many the width D is divided among.
        window: side of a window.
        tables: from :func:`join_tables`; None for no relative positions.

    Returns:
        ``[r, W, D]``.
    """
    rows, columns, width = projected.shape
    across = -(-columns // window)
    if (rows, columns) != (window, across * window):
        filled = padding.expand(window, across * window, width).clone()
        filled[:rows, :columns] = projected
        projected = filled
    by_window = projected.view(window, across, window, 3, heads, -1).permute(3, 1, 4, 0, 2, 5)
    query, key, value = (side.flatten(0, 1) for side in by_window.contiguous())
    # Nobody asks for what the places below the border attend to.
    query = query[:, :rows].contiguous()
    key = key.flatten(1, 2)
    if tables is not None:
        # A window has so few places that the bias is cheapest as further channels: each query's bias for all rows
        # and all columns, against keys that are 1 at their own.
        query = torch.cat([query, *_bias_by_position(query, tables, window)], dim=-1)
        one = torch.eye(window, dtype=key.dtype)
        places = torch.cat([one.repeat_interleave(window, 0), one.repeat(window, 1)], dim=1)
        key = torch.cat([key, places.expand(key.shape[0], -1, -1)], dim=-1)
    scores = torch.bmm(query.flatten(1, 2), key.mT)
    torch.softmax(scores, -1, out=scores)
    attended = torch.bmm(scores, value.flatten(1, 2))
    joined = attended.view(across, heads, rows, window, -1).permute(2, 0, 3, 1, 4).reshape(rows, across * window, -1)
    return joined[:, :columns]
