"""Fits a model's predicted IoU anew to what its masks are worth; nothing else of the model changes.

Run: python scripts/fit_scores.py OUT.safetensors --data coco clothing --images 1300 200 [--model pocket]
The head that predicts reads one token of each prompt. So the tokens and the true IoUs are collected once, and the head
is fitted to them in a minute. Only images to train on: the tenth whose name's CRC-32 is divisible by 10 is left out.
"""

from __future__ import annotations

import argparse
import copy
import zlib
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

import anymask
from anymask.atomic import write_atomically
from anymask.evaluate.robot import first_click
from anymask.formats.coco_dataset import CocoDataset
from anymask.models.locations import locate
from anymask.segment.segmenter import Segmenter
from anymask.train.embeddings import embed_windows
from anymask.train.interaction import Interaction, correct, first_prompt
from anymask.train.losses import mask_iou
from anymask.train.zooms import Zoom, whole_image, zoomed_targets

HEAD = "mask_decoder.iou_prediction_head."
DROPOUT = 0.1


def windows(data: CocoDataset, index: int, both_ways: bool) -> list[Zoom]:
    """Show an image as it is and mirrored, or one of the two."""
    height, width = data.masks(index)[0]["size"]
    plain, mirrored = whole_image((height, width)), Zoom((0, 0, width, height), flip=True)
    if both_ways:
        return [plain, mirrored]
    return [mirrored if zlib.crc32(data.name(index).encode()) % 2 else plain]


class Answers:
    """Lets a model answer prompts, and keeps what its head reads beside the IoU that it should have said."""

    def __init__(self, model: Segmenter, generator: torch.Generator) -> None:
        self.model, self.generator = model, generator
        rows, columns = model.prompt_encoder.image_embedding_size
        self.columns, self.side = columns, 16 * columns
        self.positions = model.prompt_encoder.pe_layer((rows, columns)).flatten(1).T.to(model.precision)
        self.tokens: list[Tensor] = []
        self.ious: list[Tensor] = []
        self.hook = model.mask_decoder.iou_prediction_head.register_forward_pre_hook(self._keep)

    def _keep(self, _: torch.nn.Module, inputs: tuple[Tensor]) -> None:
        self.tokens.append(inputs[0][0].float())

    def _answer(
        self, image: Tensor, targets: Tensor, prompt: Interaction, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        encoder = self.model.prompt_encoder
        sparse = encoder.embed_points(prompt.points, prompt.labels, pad=False)
        dense = encoder.no_mask_embed.weight[None, None] if mask is None else encoder.embed_mask_tokens(mask)[None]
        keys = image + dense.to(image.dtype)
        answer = self.model.mask_decoder.decode_tokens(keys, self.positions, sparse[None], self.columns)
        logits, predicted = answer[0][0].float(), answer[1][0]
        self.ious.append(mask_iou(logits, targets[:, None].expand_as(logits)))
        return logits, predicted

    def add(self, embedding: Tensor, targets: Tensor, boxes: Tensor) -> None:
        """Ask for each object by the robot's click, a correction of the best answer, a click anywhere, and the box.

        Args:
            embedding: ``[C, h, w]``.
            targets: coverage ``[M, 4h, 4w]`` between 0 and 1.
            boxes: ``[M, 4]`` in model-input pixels.
        """
        image = embedding.flatten(1).T[None, None].to(self.model.precision)
        cells = [first_click(target >= min(0.5, float(target.max()))) for target in targets.numpy()]
        clicks = torch.tensor([[4 * cell.x + 1.5, 4 * cell.y + 1.5] for cell in cells if cell is not None])
        points = torch.stack([clicks, torch.zeros_like(clicks)], dim=1)
        robot = Interaction(points, torch.tensor([[1, -1]] * len(points)))
        with torch.autocast("cpu", self.model.precision, enabled=self.model.precision != torch.float32):
            logits, predicted = self._answer(image, targets, robot)
            best = logits[torch.arange(len(logits)), predicted[:, 1:].argmax(1) + 1]
            corrected = correct(robot, best, targets, self.side, 0.9, self.generator)
            self._answer(image, targets, corrected, best[:, None])
            for box_share in (0.0, 1.0):
                prompt = first_prompt(targets, boxes, self.side, box_share, 0.3, self.generator, box_jitter=0.01)
                self._answer(image, targets, prompt)


def fit(head: torch.nn.Module, tokens: Tensor, ious: Tensor, steps: int, generator: torch.Generator) -> torch.nn.Module:
    """Fit ``head`` to predict ``ious`` [N, masks] from ``tokens`` [N, C], and return the running average of it."""
    average = copy.deepcopy(head)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-4, weight_decay=0.05)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-4 * (1 - step / steps)
        batch = torch.randint(len(tokens), (256,), generator=generator)
        kept = torch.rand(256, tokens.shape[1], generator=generator) > DROPOUT
        loss = F.mse_loss(head(tokens[batch] * kept / (1 - DROPOUT)), ious[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay = min(0.998, (1 + step) / (10 + step))
        for mean, value in zip(average.parameters(), head.parameters(), strict=True):
            mean.data.lerp_(value.data, 1 - decay)
    return average


def main() -> None:
    """Collect, fit and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of COCO instances")
    parser.add_argument("--images", type=int, nargs="+", required=True, help="images of each folder at most")
    parser.add_argument("--model", default="pocket", help="a name or a safetensors file")
    parser.add_argument("--masks", type=int, default=7, help="of an image at most")
    parser.add_argument("--steps", type=int, default=2000)
    options = parser.parse_args()

    source = locate(options.model)
    model = anymask.load(str(source), device="cpu")
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    answers = Answers(model, generator)
    console = Console(stderr=True)
    with torch.no_grad():
        for folder, count in zip(options.data, options.images, strict=True):
            data = CocoDataset(folder, split="train")
            exhaustive = CocoDataset(folder, split="train", only_exhaustive=True)
            full = {exhaustive.name(index) for index in range(len(exhaustive))}
            some = rng.permutation([index for index in range(len(data)) if data.masks(index)])[:count]
            # Where few images have all of their objects marked, those are worth being shown twice.
            partly = len(full) < len(data)
            for index in track(some.tolist(), folder.name, console=console):
                shown = windows(data, index, both_ways=partly and data.name(index) in full)
                pixels = data.image(index)
                for zoom, embedding in zip(shown, embed_windows(model, pixels, shown), strict=True):
                    targets, boxes = zoomed_targets(data.masks(index), zoom, model.input_side, options.masks, rng)
                    if len(targets):
                        answers.add(embedding, targets, boxes)
    answers.hook.remove()
    tokens, ious = torch.cat(answers.tokens), torch.cat(answers.ious)
    head = model.mask_decoder.iou_prediction_head
    before = (head(tokens) - ious).abs().mean()
    fitted = fit(copy.deepcopy(head), tokens, ious, options.steps, generator)
    after = (fitted(tokens) - ious).abs().mean()
    print(f"{len(tokens)} prompts; mean error of the predicted IoU {before:.4f} before, {after:.4f} after")

    tensors = load_file(source)
    for key, value in fitted.state_dict().items():
        tensors[HEAD + key] = value.to(tensors[HEAD + key].dtype).contiguous()
    with safe_open(source, "pt") as file:
        metadata = file.metadata()
    write_atomically(options.output, lambda path: save_file(tensors, path, metadata=metadata))


if __name__ == "__main__":
    main()
