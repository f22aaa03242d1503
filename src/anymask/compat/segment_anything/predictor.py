"""The published predictor: set an image once, then ask for masks by prompts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymask.compat.precision import drop_in_precision
from anymask.compat.segment_anything.errors import ArgumentError, ImageArgumentError, ImageNotSetError
from anymask.compat.segment_anything.utils.transforms import ResizeLongestSide
from anymask.models.sam import Sam
from anymask.segment.segmenter import Segmenter


class SamPredictor:
    """Answers prompts on one image at a time, with the published interface.

    Coordinates are pixels of the original image, (x, y), origin at the top left corner, unless a method says
    otherwise. Points outside the image are accepted, as in the published package.

    Args:
        sam_model: a ``Sam``, or what :func:`anymask.load` returns. Either computes here in float32 unless
            :func:`anymask.compat.install` or the environment variable ``ANYMASK_PRECISION`` says otherwise.

    Attributes:
        model: the network.
        transform: scales images and coordinates to the model's input.
        is_image_set: whether an image was set.
        features: the image embedding ``[1, 256, g, g]``, or None.
        original_size: (height, width) of the original image, or None; also as ``orig_h`` and ``orig_w``.
        input_size: (height, width) of the scaled image, or None; also as ``input_h`` and ``input_w``.
    """

    is_image_set: bool
    features: Tensor | None
    original_size: tuple[int, int] | None
    input_size: tuple[int, int] | None
    orig_h: int | None
    orig_w: int | None
    input_h: int | None
    input_w: int | None

    def __init__(self, sam_model: Sam | Segmenter) -> None:
        self.model: Sam = sam_model.network if isinstance(sam_model, Segmenter) else sam_model
        self.transform = ResizeLongestSide(self.model.input_side)
        self.reset_image()

    @property
    def device(self) -> torch.device:
        """The device on which the model computes."""
        return self.model.device

    def set_image(self, image: NDArray[np.uint8], image_format: str = "RGB") -> None:
        """Encode an image, on which prompts are answered from then on.

        Args:
            image: uint8 ``[H, W, 3]``.
            image_format: order of the channels, "RGB" or "BGR".

        Raises:
            ArgumentError: an unknown format (an AssertionError).
            ImageArgumentError: another kind of image (a TypeError and a ValueError).
        """
        if image_format not in ("RGB", "BGR"):
            raise ArgumentError(f"image_format must be 'RGB' or 'BGR', not {image_format!r}")
        if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3:
            given = f"an array of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise ImageArgumentError(f"the image must be a uint8 array of shape [H, W, 3], not {given}")
        if image_format != self.model.image_format:
            image = image[..., ::-1]
        scaled = torch.as_tensor(self.transform.apply_image(image), device=self.device)
        self.set_torch_image(scaled.permute(2, 0, 1).contiguous()[None], image.shape[:2])

    @torch.no_grad()
    def set_torch_image(self, transformed_image: Tensor, original_image_size: tuple[int, ...]) -> None:
        """Encode an image that already has the model's size.

        Args:
            transformed_image: ``[1, 3, h, w]``, RGB, 0–255, whose long side is the side of the model's input.
            original_image_size: (height, width) before scaling.

        Raises:
            ArgumentError: another shape (an AssertionError).
        """
        side = self.model.input_side
        shape = tuple(transformed_image.shape)
        if len(shape) != 4 or shape[1] != 3 or max(shape[2:]) != side:
            raise ArgumentError(
                f"set_torch_image needs an image of shape [1, 3, h, w] whose long side is {side}, "
                f"not {list(shape)}; transform.apply_image_torch makes one"
            )
        precision = drop_in_precision(self.device)
        self.reset_image()
        self.original_size = (original_image_size[0], original_image_size[1])
        self.input_size = (shape[2], shape[3])
        self.orig_h, self.orig_w = self.original_size
        self.input_h, self.input_w = self.input_size
        inputs = self.model.preprocess(transformed_image)
        if precision == torch.float32:
            self.features = self.model.image_encoder(inputs)
        else:
            with torch.autocast(self.device.type, precision):
                features: Tensor = self.model.image_encoder(inputs)
            self.features = features.float()
        self.is_image_set = True

    def predict(
        self,
        point_coords: NDArray[Any] | None = None,
        point_labels: NDArray[Any] | None = None,
        box: NDArray[Any] | None = None,
        mask_input: NDArray[Any] | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """Predict masks for one prompt on the image that was set.

        Args:
            point_coords: ``[N, 2]`` (x, y).
            point_labels: ``[N]``: 1 on the object, 0 not on it.
            box: ``[4]`` (x0, y0, x1, y1).
            mask_input: ``[1, 4g, 4g]`` logits of an earlier prediction.
            multimask_output: three masks, else one.
            return_logits: give logits instead of booleans.

        Returns:
            Masks ``[C, H, W]`` in the original size, their predicted IoU ``[C]`` and logits ``[C, 4g, 4g]``
            that can be fed back.

        Raises:
            ImageNotSetError: no image was set (a RuntimeError).
            ArgumentError: points without labels (an AssertionError).
        """
        original_size = self._size_of_image()
        coords = labels = boxes = masks = None
        if point_coords is not None:
            if point_labels is None:
                raise ArgumentError("point_labels must be given with point_coords: for each point 1 or 0")
            scaled = self.transform.apply_coords(np.asarray(point_coords), original_size)
            coords = torch.as_tensor(scaled, dtype=torch.float32, device=self.device)[None]
            labels = torch.as_tensor(point_labels, dtype=torch.int, device=self.device)[None]
        if box is not None:
            scaled = self.transform.apply_boxes(np.asarray(box), original_size)
            boxes = torch.as_tensor(scaled, dtype=torch.float32, device=self.device)
        if mask_input is not None:
            masks = torch.as_tensor(mask_input, dtype=torch.float32, device=self.device)[None]
        predicted, scores, low_res = self.predict_torch(
            coords, labels, boxes, masks, multimask_output, return_logits=return_logits
        )
        return (
            predicted[0].detach().cpu().numpy(),
            scores[0].detach().cpu().numpy(),
            low_res[0].detach().cpu().numpy(),
        )

    @torch.no_grad()
    def predict_torch(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Predict masks for B prompts of one kind on the image that was set.

        Coordinates are pixels of the scaled image; ``transform`` brings them there.

        Args:
            point_coords: ``[B, N, 2]`` (x, y).
            point_labels: ``[B, N]``: 1 on the object, 0 not on it, -1 no point.
            boxes: ``[B, 4]`` (x0, y0, x1, y1).
            mask_input: ``[B, 1, 4g, 4g]`` logits of an earlier prediction.
            multimask_output: three masks a prompt, else one.
            return_logits: give logits instead of booleans.

        Returns:
            Masks ``[B, C, H, W]`` in the original size, their predicted IoU ``[B, C]`` and logits
            ``[B, C, 4g, 4g]``.

        Raises:
            ImageNotSetError: no image was set (a RuntimeError).
            ArgumentError: points without labels (an AssertionError).
        """
        original_size = self._size_of_image()
        points = None
        if point_coords is not None:
            if point_labels is None:
                raise ArgumentError("point_labels must be given with point_coords: for each point 1 or 0")
            points = (point_coords, point_labels)
        sparse, dense = self.model.prompt_encoder(points=points, boxes=boxes, masks=mask_input)
        low_res, scores = self.model.mask_decoder(
            image_embeddings=self.features,
            image_pe=self.model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask_output,
        )
        assert self.input_size is not None
        logits = self.model.postprocess_masks(low_res, self.input_size, original_size)
        return logits if return_logits else logits > self.model.mask_threshold, scores, low_res

    def get_image_embedding(self) -> Tensor:
        """The embedding ``[1, 256, g, g]`` of the image that was set.

        Raises:
            ImageNotSetError: no image was set (a RuntimeError).
        """
        self._size_of_image()
        assert self.features is not None
        return self.features

    def reset_image(self) -> None:
        """Forget the image."""
        self.is_image_set = False
        self.features = None
        self.original_size = None
        self.input_size = None
        self.orig_h = None
        self.orig_w = None
        self.input_h = None
        self.input_w = None

    def _size_of_image(self) -> tuple[int, int]:
        if not self.is_image_set or self.original_size is None:
            raise ImageNotSetError("no image is set: call set_image(image) before asking for masks or the embedding")
        return self.original_size
