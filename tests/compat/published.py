"""SAM's published algorithm a second time, plainly, on the networks of transformers."""

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from models.parity import reference_decode

MEAN = torch.tensor([123.675, 116.28, 103.53])
DEVIATION = torch.tensor([58.395, 57.12, 57.375])


class PublishedAlgorithm:
    """One image, encoded by the reference, and prompts on it in pixels of the original image."""

    def __init__(self, reference, side, image):
        self.reference, self.side = reference, side
        self.height, self.width = image.shape[:2]
        scale = side / max(self.height, self.width)
        self.new_height, self.new_width = int(self.height * scale + 0.5), int(self.width * scale + 0.5)
        scaled = Image.fromarray(image).resize((self.new_width, self.new_height), Image.Resampling.BILINEAR)
        normalised = (torch.from_numpy(np.array(scaled)).float() - MEAN) / DEVIATION
        padded = torch.zeros(1, 3, side, side)
        padded[0, :, : self.new_height, : self.new_width] = normalised.permute(2, 0, 1)
        self.embedding = reference.get_image_embeddings(padded)

    def answer(self, points=None, labels=None, boxes=None, masks=None, multimask=True):
        """Logits [M, C, H, W] and predicted IoU [M, C] and low-resolution logits for M prompts.

        Points are [M, N, 2], labels [M, N], boxes [M, 4], masks [M, 1, g, g].
        """
        ratios = torch.tensor([self.new_width / self.width, self.new_height / self.height])
        given_points = given_boxes = None
        if points is not None:
            given_points = (torch.as_tensor(points).float() * ratios, torch.as_tensor(labels))
        if boxes is not None:
            given_boxes = (torch.as_tensor(boxes).float().reshape(-1, 2, 2) * ratios).reshape(-1, 4)
        given_masks = None if masks is None else torch.as_tensor(masks)
        low_res, scores = reference_decode(
            self.reference, self.embedding, given_points, given_boxes, given_masks, multimask
        )
        full = F.interpolate(low_res, (self.side, self.side), mode="bilinear", align_corners=False)
        full = full[..., : self.new_height, : self.new_width]
        full = F.interpolate(full, (self.height, self.width), mode="bilinear", align_corners=False)
        return full, scores, low_res
