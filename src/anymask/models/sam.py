"""The whole promptable model: image encoder, prompt encoder, mask decoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.models.mask_decoder import MaskDecoder
from anymask.models.prompt_encoder import PromptEncoder

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


class Sam(nn.Module):
    """Segment Anything (Kirillov et al. 2023): prompts on an encoded image to masks.

    Args:
        image_encoder: maps ``[B, 3, S, S]`` to ``[B, 256, S/16, S/16]`` and has ``img_size``.
        prompt_encoder: embeds points, boxes and masks.
        mask_decoder: predicts masks from the embeddings.
        pixel_mean: colour mean that normalisation subtracts, in 0–255, RGB.
        pixel_std: colour deviation that normalisation divides by.
    """

    mask_threshold: float = 0.0
    image_format: str = "RGB"
    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        image_encoder: nn.Module,
        prompt_encoder: PromptEncoder,
        mask_decoder: MaskDecoder,
        pixel_mean: tuple[float, ...] | list[float] = PIXEL_MEAN,
        pixel_std: tuple[float, ...] | list[float] = PIXEL_STD,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).reshape(-1, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return self.pixel_mean.device

    @property
    def input_side(self) -> int:
        """Side of the square model input in pixels."""
        return self.prompt_encoder.input_image_size[0]

    def preprocess(self, x: Tensor) -> Tensor:
        """Normalise ``[..., 3, h, w]`` (RGB, 0–255) and zero-pad right and bottom to the model input's side."""
        x = (x - self.pixel_mean) / self.pixel_std
        height, width = x.shape[-2:]
        return F.pad(x, (0, self.input_side - width, 0, self.input_side - height))

    def postprocess_masks(self, masks: Tensor, input_size: tuple[int, int], original_size: tuple[int, int]) -> Tensor:
        """Bring logits back to an image's size.

        Args:
            masks: ``[B, C, h, w]`` logits of the padded frame.
            input_size: (height, width) of the resized image before padding.
            original_size: (height, width) of the original image.

        Returns:
            Logits ``[B, C, *original_size]``, in float32.
        """
        side = self.input_side
        masks = F.interpolate(masks.float(), (side, side), mode="bilinear", align_corners=False)
        masks = masks[..., : input_size[0], : input_size[1]]
        return F.interpolate(masks, tuple(original_size), mode="bilinear", align_corners=False)

    @torch.no_grad()
    def forward(self, batched_input: list[dict[str, Any]], multimask_output: bool) -> list[dict[str, Tensor]]:
        """Segment several images, each with its own prompts, with the published signature.

        Args:
            batched_input: for each image a dictionary with ``image`` (``[3, h, w]``, resized so that the long side
                is the model's, RGB 0–255), ``original_size`` (height, width) and, as needed, ``point_coords``
                ``[N, K, 2]``, ``point_labels`` ``[N, K]``, ``boxes`` ``[N, 4]`` (all in pixels of the resized
                image) and ``mask_inputs`` ``[N, 1, h, w]`` logits.
            multimask_output: three masks for each prompt, else one.

        Returns:
            For each image ``masks`` (bool ``[N, C, H, W]``), ``iou_predictions`` ``[N, C]`` and ``low_res_logits``
            ``[N, C, h, w]``.
        """
        images = torch.stack([self.preprocess(record["image"]) for record in batched_input])
        embeddings = self.image_encoder(images)
        outputs = []
        for record, embedding in zip(batched_input, embeddings, strict=True):
            points = record.get("point_coords")
            sparse, dense = self.prompt_encoder(
                points=None if points is None else (points, record["point_labels"]),
                boxes=record.get("boxes"),
                masks=record.get("mask_inputs"),
            )
            low_res, iou_predictions = self.mask_decoder(
                image_embeddings=embedding[None],
                image_pe=self.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask_output,
            )
            logits = self.postprocess_masks(low_res, record["image"].shape[-2:], record["original_size"])
            outputs.append(
                {
                    "masks": logits > self.mask_threshold,
                    "iou_predictions": iou_predictions,
                    "low_res_logits": low_res,
                }
            )
        return outputs
