"""Networks that learn an image encoder by filling in what is masked."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.models.image_encoder import Block, ImageEncoderViT

_STRIDE = 16


def sine_positions(grid: int, width: int) -> Tensor:
    """Fixed positions ``[1, grid, grid, width]``: sines and cosines of the column in one half, of the row in the other.

    The frequencies fall from 1 to 1/10000 geometrically, as in Vaswani et al. 2017; ``width`` is a multiple of 4.
    """
    frequencies = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = torch.arange(grid, dtype=torch.float64)[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    columns = waves[None, :, :].expand(grid, grid, -1)
    rows = waves[:, None, :].expand(grid, grid, -1)
    return torch.cat([columns, rows], dim=-1)[None].float()


def cut_patches(images: Tensor, size: int) -> Tensor:
    """Cut ``[B, 3, H, W]`` into patches ``[B, N, size·size·3]``, row by row; colours vary fastest within a patch."""
    batch, channels, height, width = images.shape
    cut = images.reshape(batch, channels, height // size, size, width // size, size)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, size * size * channels)


def join_patches(patches: Tensor, size: int, grid: int) -> Tensor:
    """Put the patches of square images together again; the inverse of :func:`cut_patches`."""
    cut = patches.reshape(patches.shape[0], grid, grid, size, size, 3)
    return cut.permute(0, 5, 1, 3, 2, 4).reshape(patches.shape[0], 3, grid * size, grid * size)


def _spread(masked: Tensor, cells: int, cell: int) -> Tensor:
    squares = masked.reshape(-1, 1, cells, cells)
    return squares.repeat_interleave(cell, dim=2).repeat_interleave(cell, dim=3)


def run_plainly(block: Block, tokens: Tensor) -> Tensor:
    """Run a block of SAM's encoder as a plain transformer's: each of ``[B, N, D]`` attends to all, without windows
    and relative positions."""
    attention = block.attn
    projected = attention.qkv(block.norm1(tokens)).unflatten(-1, (3, attention.num_heads, -1))
    query, key, value = projected.permute(2, 0, 3, 1, 4).unbind(0)
    attended = F.scaled_dot_product_attention(query, key, value, scale=attention.scale)
    tokens = tokens + attention.proj(attended.transpose(1, 2).flatten(2))
    return tokens + block.mlp(block.norm2(tokens))


class MaskedAutoencoder(nn.Module):
    """A masked autoencoder (He et al. 2021, arXiv 2111.06377) around one of SAM's vision transformers.

    The blocks run as a plain transformer's, on the visible patches alone; a light decoder then predicts the pixels of
    the masked ones. Neck and relative positions take no part, and there is no class token, as SAM has none.

    Args:
        encoder: the image encoder; its blocks learn.
        decoder_width: channels of the decoder, a multiple of 32.
        decoder_depth: its blocks.
        fresh: start the encoder as the paper does, with fixed positions; False keeps its weights and positions.

    Attributes:
        cell: side of the patches in pixels.
        cells: patches along a side of the image.
    """

    name = "masked autoencoder"

    def __init__(
        self, encoder: ImageEncoderViT, decoder_width: int = 512, decoder_depth: int = 8, fresh: bool = True
    ) -> None:
        super().__init__()
        assert encoder.pos_embed is not None
        self.encoder = encoder
        self.cells = encoder.pos_embed.shape[1]
        self.cell = encoder.patch_embed.proj.weight.shape[-1]
        width = encoder.pos_embed.shape[-1]
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.narrow = nn.Linear(width, decoder_width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(1, 1, decoder_width))
        self.register_buffer("positions", sine_positions(self.cells, decoder_width), persistent=False)
        self.decoder = nn.ModuleList(Block(decoder_width, num_heads=decoder_width // 32) for _ in range(decoder_depth))
        self.decoder_norm = nn.LayerNorm(decoder_width, eps=1e-6)
        self.pixels = nn.Linear(decoder_width, self.cell * self.cell * 3)
        parts: list[nn.Module] = [self.narrow, self.decoder, self.pixels]
        if fresh:
            parts.append(encoder.blocks)
            filters = encoder.patch_embed.proj
            nn.init.xavier_uniform_(filters.weight.view(filters.weight.shape[0], -1))
            with torch.no_grad():
                encoder.pos_embed.copy_(sine_positions(self.cells, width))
        for part in parts:
            for layer in part.modules():
                if isinstance(layer, nn.Linear):
                    nn.init.xavier_uniform_(layer.weight)
                    nn.init.zeros_(layer.bias)

    def encode(self, images: Tensor, visible: Tensor) -> Tensor:
        """Encode the visible patches.

        Args:
            images: normalised ``[B, 3, S, S]``.
            visible: ``[B, V]``, the numbers of the visible patches, row by row.

        Returns:
            Tokens ``[B, V, D]``.
        """
        assert self.encoder.pos_embed is not None
        tokens = (self.encoder.patch_embed(images) + self.encoder.pos_embed.detach()).flatten(1, 2)
        tokens = tokens.gather(1, visible[:, :, None].expand(-1, -1, tokens.shape[-1]))
        for block in self.encoder.blocks:
            assert isinstance(block, Block)
            tokens = run_plainly(block, tokens)
        encoded: Tensor = self.norm(tokens)
        return encoded

    def predict(self, images: Tensor, masked: Tensor) -> Tensor:
        """Predict the normalised pixels of every patch, ``[B, N, size·size·3]``, from the visible ones.

        Args:
            images: normalised ``[B, 3, S, S]``.
            masked: bool ``[B, N]``, the same number in each row.
        """
        count = int((~masked[0]).sum())
        visible = masked.to(torch.uint8).argsort(dim=1, stable=True)[:, :count]
        narrow = self.narrow(self.encode(images, visible))
        tokens = self.mask_token.to(narrow.dtype).expand(*masked.shape, -1)
        tokens = tokens.scatter(1, visible[:, :, None].expand_as(narrow), narrow)
        grid = tokens.unflatten(1, (self.cells, self.cells)) + self.positions
        for block in self.decoder:
            grid = block(grid)
        predicted: Tensor = self.pixels(self.decoder_norm(grid)).flatten(1, 2)
        return predicted.float()

    def forward(self, images: Tensor, masked: Tensor) -> Tensor:
        """Give the mean squared error on the masked patches, each of whose pixels are normalised by its own mean and
        deviation. Arguments as for :meth:`predict`."""
        target, _, _ = self._targets(images)
        errors = (self.predict(images, masked) - target).square().mean(dim=-1)
        return errors[masked].mean()

    @torch.no_grad()
    def reconstruct(self, images: Tensor, masked: Tensor) -> Tensor:
        """Fill in the masked patches of ``[B, 3, S, S]``; the others stay.

        A patch's mean and deviation, which the network does not predict, are the original's.
        """
        _, mean, deviation = self._targets(images)
        filled = self.predict(images, masked) * deviation + mean
        patches = torch.where(masked[:, :, None], filled, cut_patches(images, self.cell))
        return join_patches(patches, self.cell, self.cells)

    def _targets(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        patches = cut_patches(images, self.cell).float()
        mean = patches.mean(dim=-1, keepdim=True)
        deviation = (patches.var(dim=-1, keepdim=True) + 1e-6).sqrt()
        return (patches - mean) / deviation, mean, deviation

    def spread(self, masked: Tensor) -> Tensor:
        """Spread masked patches ``[B, N]`` over pixels: bool ``[B, 1, S, S]``."""
        return _spread(masked, self.cells, self.cell)

    def learned(self) -> dict[str, nn.Parameter]:
        """Give the parameters that pre-training learns: not the positions, and nothing that it does not use."""
        return {
            name: parameter
            for name, parameter in self.named_parameters()
            if name != "encoder.pos_embed" and not name.startswith("encoder.neck.") and ".rel_pos_" not in name
        }

    def encoder_state(self) -> dict[str, Tensor]:
        """Give positions, patches and blocks by the encoder's keys, without neck and relative positions."""
        return {
            key: value
            for key, value in self.encoder.state_dict().items()
            if not key.startswith("neck.") and ".rel_pos_" not in key
        }


class MaskedImageModel(nn.Module):
    """Masked image modelling for encoders that see a whole image (SimMIM, Xie et al. 2021, arXiv 2111.09886).

    Masked squares of 32 pixels are painted in the mean colour, which is what padding has; one linear layer on the
    encoder's output predicts their pixels.

    Args:
        encoder: maps ``[B, 3, S, S]`` to ``[B, channels, S/16, S/16]``.
        side: S, a multiple of 16.
        channels: of the encoder's output.

    Attributes:
        cell: side of the squares in pixels.
        cells: squares along a side of the image.
    """

    name = "masked image model"
    cell = 32

    def __init__(self, encoder: nn.Module, side: int, channels: int = 256) -> None:
        super().__init__()
        self.encoder = encoder
        self.side = side
        self.cells = math.ceil(side / self.cell)
        self.pixels = nn.Conv2d(channels, _STRIDE * _STRIDE * 3, 1)
        # Small weights begin near the mean colour; the usual ones would begin with noise and keep some for long.
        nn.init.normal_(self.pixels.weight, std=0.005)
        assert self.pixels.bias is not None
        nn.init.zeros_(self.pixels.bias)

    def spread(self, masked: Tensor) -> Tensor:
        """Spread masked squares ``[B, N]`` over pixels: bool ``[B, 1, S, S]``. The last ones may be cut."""
        return _spread(masked, self.cells, self.cell)[:, :, : self.side, : self.side]

    def predict(self, images: Tensor, masked: Tensor) -> Tensor:
        """Predict every pixel of ``[B, 3, S, S]`` from those that are not masked.

        Args:
            images: normalised, so that 0 is the mean colour.
            masked: bool ``[B, N]``, the masked squares row by row.
        """
        painted = images.masked_fill(self.spread(masked), 0)
        return F.pixel_shuffle(self.pixels(self.encoder(painted)).float(), _STRIDE)

    def forward(self, images: Tensor, masked: Tensor) -> Tensor:
        """Give the mean absolute error on the masked pixels. Arguments as for :meth:`predict`."""
        hidden = self.spread(masked)
        errors = (self.predict(images, masked) - images).abs().mean(dim=1, keepdim=True) * hidden
        # Each image counts alike, so that the loss does not depend on how a batch is shared.
        return (errors.sum(dim=(1, 2, 3)) / hidden.sum(dim=(1, 2, 3)).clamp(min=1)).mean()

    @torch.no_grad()
    def reconstruct(self, images: Tensor, masked: Tensor) -> Tensor:
        """Fill in the masked squares of ``[B, 3, S, S]``; the rest stays."""
        return torch.where(self.spread(masked), self.predict(images, masked), images)

    def learned(self) -> dict[str, nn.Parameter]:
        """Give all parameters."""
        return dict(self.named_parameters())

    def encoder_state(self) -> dict[str, Tensor]:
        """Give all of the encoder."""
        return self.encoder.state_dict()
