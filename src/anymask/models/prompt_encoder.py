"""The prompt encoder: points, boxes and masks to embeddings."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.models.layers import LayerNorm2d


class PositionEmbeddingRandom(nn.Module):
    """Random Fourier features of positions (Tancik et al. 2020), as SAM uses them for points and pixels."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, num_pos_feats: int = 64, scale: float | None = None) -> None:
        super().__init__()
        if scale is None or scale <= 0.0:
            scale = 1.0
        self.register_buffer("positional_encoding_gaussian_matrix", scale * torch.randn(2, num_pos_feats))

    def _pe_encoding(self, unit_coordinates: Tensor) -> Tensor:
        # The name is the published one, which exporters call. Positions are multiplied by up to 2π·4: in bfloat16
        # the phase would be lost.
        with torch.autocast(unit_coordinates.device.type, enabled=False):
            matrix = self.positional_encoding_gaussian_matrix.float()
            phase = (2.0 * unit_coordinates.float() - 1.0) @ matrix * (2.0 * math.pi)
            return torch.cat([phase.sin(), phase.cos()], dim=-1)

    def forward(self, size: tuple[int, int]) -> Tensor:
        """Encode the cell centres of a grid of ``size`` (rows, columns) as ``[2·num_pos_feats, rows, columns]``."""
        rows, columns = size
        device = self.positional_encoding_gaussian_matrix.device
        y = (torch.arange(rows, device=device, dtype=torch.float32) + 0.5) / rows
        x = (torch.arange(columns, device=device, dtype=torch.float32) + 0.5) / columns
        grid = torch.stack([x[None, :].expand(rows, -1), y[:, None].expand(-1, columns)], dim=-1)
        return self._pe_encoding(grid).permute(2, 0, 1)

    def forward_with_coords(self, coords_input: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Encode points.

        Args:
            coords_input: ``[..., 2]`` as (x, y) in model-input pixels.
            image_size: (height, width) of the model input.

        Returns:
            ``[..., 2·num_pos_feats]``.
        """
        size = torch.tensor([image_size[1], image_size[0]], device=coords_input.device, dtype=torch.float32)
        return self._pe_encoding(coords_input.float() / size)


class PromptEncoder(nn.Module):
    """Embeds prompts for the mask decoder (paper, section 3 and appendix A).

    Args:
        embed_dim: channels of every embedding.
        image_embedding_size: (rows, columns) of the image embedding.
        input_image_size: (height, width) of the padded model input, in which points and boxes are given.
        mask_in_chans: hidden channels of the mask branch.
        activation: activation of the mask branch.
    """

    def __init__(
        self,
        embed_dim: int,
        image_embedding_size: tuple[int, int],
        input_image_size: tuple[int, int],
        mask_in_chans: int,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.input_image_size = input_image_size
        self.image_embedding_size = image_embedding_size
        self.mask_input_size = (4 * image_embedding_size[0], 4 * image_embedding_size[1])
        self.pe_layer = PositionEmbeddingRandom(embed_dim // 2)
        self.num_point_embeddings = 4  # background, foreground, top left corner, bottom right corner
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, embed_dim) for _ in range(self.num_point_embeddings))
        self.not_a_point_embed = nn.Embedding(1, embed_dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_in_chans // 4, kernel_size=2, stride=2),
            LayerNorm2d(mask_in_chans // 4),
            activation(),
            nn.Conv2d(mask_in_chans // 4, mask_in_chans, kernel_size=2, stride=2),
            LayerNorm2d(mask_in_chans),
            activation(),
            nn.Conv2d(mask_in_chans, embed_dim, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, embed_dim)

    def get_dense_pe(self) -> Tensor:
        """Position encoding of the image embedding's cells, ``[1, embed_dim, rows, columns]``."""
        return self.pe_layer(self.image_embedding_size).unsqueeze(0)

    def embed_points(self, points: Tensor, labels: Tensor, pad: bool) -> Tensor:
        """Embed points.

        Args:
            points: ``[N, K, 2]`` as (x, y) in model-input pixels, pixel corners at whole numbers.
            labels: ``[N, K]``: 1 foreground, 0 background, -1 not a point, 2 and 3 the box corners.
            pad: append one not-a-point, as is done for prompts without a box.

        Returns:
            ``[N, K (+1), embed_dim]``.
        """
        points = points.float() + 0.5
        if pad:
            points = torch.cat([points, points.new_zeros(points.shape[0], 1, 2)], dim=1)
            labels = torch.cat([labels, labels.new_full((labels.shape[0], 1), -1)], dim=1)
        embedding = self.pe_layer.forward_with_coords(points, self.input_image_size)
        labels = labels.unsqueeze(-1)
        embedding = torch.where(labels == -1, self.not_a_point_embed.weight, embedding)
        for label, learned in enumerate(self.point_embeddings):
            weight = learned.weight
            assert isinstance(weight, Tensor)
            embedding = torch.where(labels == label, embedding + weight, embedding)
        return embedding

    def embed_boxes(self, boxes: Tensor) -> Tensor:
        """Embed boxes ``[N, 4]`` (x0, y0, x1, y1 in model-input pixels) as ``[N, 2, embed_dim]``."""
        corners = boxes.reshape(-1, 2, 2)
        labels = torch.tensor([2, 3], device=boxes.device).expand(corners.shape[0], 2)
        return self.embed_points(corners, labels, pad=False)

    def embed_masks(self, masks: Tensor) -> Tensor:
        """Embed mask logits ``[N, 1, 4·rows, 4·columns]`` as ``[N, embed_dim, rows, columns]``."""
        embedding: Tensor = self.mask_downscaling(masks)
        return embedding

    def embed_mask_tokens(self, masks: Tensor) -> Tensor:
        """Embed masks as :meth:`embed_masks` does, as image tokens ``[N, rows·columns, embed_dim]``."""
        *layers, last = self.mask_downscaling
        assert isinstance(last, nn.Conv2d)
        for layer in layers:
            masks = layer(masks)
        # A 1×1 convolution is a linear layer on tokens; the few channels before it are quicker to rearrange.
        tokens = masks.flatten(2).transpose(1, 2)
        return F.linear(tokens, last.weight.flatten(1), last.bias)

    # Subclasses and exporters written for the published package override and call these names.

    def _embed_points(self, points: Tensor, labels: Tensor, pad: bool) -> Tensor:
        return self.embed_points(points, labels, pad)

    def _embed_boxes(self, boxes: Tensor) -> Tensor:
        return self.embed_boxes(boxes)

    def _embed_masks(self, masks: Tensor) -> Tensor:
        return self.embed_masks(masks)

    def _get_batch_size(self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, masks: Tensor | None) -> int:
        for given in (points[0] if points is not None else None, boxes, masks):
            if given is not None:
                return given.shape[0]
        return 1

    def _get_device(self) -> torch.device:
        return self.no_mask_embed.weight.device

    def forward(
        self,
        points: tuple[Tensor, Tensor] | None,
        boxes: Tensor | None,
        masks: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Embed one batch of prompts that are all of one kind.

        Args:
            points: coordinates ``[N, K, 2]`` in model-input pixels and labels ``[N, K]``, or None.
            boxes: ``[N, 4]`` in model-input pixels, or None.
            masks: logits ``[N, 1, 4·rows, 4·columns]``, or None.

        Returns:
            Sparse embeddings ``[N, T, embed_dim]`` (points, then box corners; T may be 0) and dense embeddings
            ``[N, embed_dim, rows, columns]``.
        """
        count = self._get_batch_size(points, boxes, masks)
        sparse = []
        if points is not None:
            sparse.append(self._embed_points(points[0], points[1], pad=boxes is None))
        if boxes is not None:
            sparse.append(self._embed_boxes(boxes))
        if sparse:
            sparse_embeddings = torch.cat(sparse, dim=1)
        else:
            sparse_embeddings = torch.empty(count, 0, self.embed_dim, device=self._get_device())
        if masks is not None:
            return sparse_embeddings, self._embed_masks(masks)
        dense = self.no_mask_embed.weight.reshape(1, -1, 1, 1)
        return sparse_embeddings, dense.expand(count, -1, *self.image_embedding_size)
