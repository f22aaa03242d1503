"""Prompted segmentation against transformers' SamModel on the same random weights, side by side in one process.

Run: python benchmarks/prompted.py [--repeats 7]
Prints, for each case, the median seconds of both, and the ratio of each pair of runs (median, minimum, maximum).
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import SamConfig, SamModel, SamVisionConfig

import anymask
from anymask.models.prompt_decoder import build_prompt_decoder
from anymask.models.registry import build_model


def seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def compare(
    reference: Callable[[], object], ours: Callable[[], object], repeats: int
) -> tuple[list[float], list[float]]:
    reference(), ours()
    pairs = [(seconds(reference), seconds(ours)) for _ in range(repeats)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def reference_decoder(model: SamModel, embedding: Tensor, points: Tensor, labels: Tensor) -> Callable[[], object]:
    @torch.inference_mode()
    def run() -> object:
        return model(
            image_embeddings=embedding,
            input_points=points[None],
            input_labels=labels[None],
            multimask_output=True,
        ).pred_masks

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)

    reference = SamModel(SamConfig(vision_config=SamVisionConfig(num_hidden_layers=1)))
    reference.eval()
    decoder = build_model("pocket", 1024).eval()
    prompts = build_prompt_decoder(decoder.mask_decoder)
    pocket = anymask.load("pocket", device="cpu", precision="float32")
    pocket_auto = anymask.load("pocket", device="cpu")
    picture = torch.randint(0, 255, (1200, 1800, 3), dtype=torch.uint8, generator=generator).numpy()

    table = Table(title=f"{torch.get_num_threads()} threads, torch {torch.__version__}, {platform.machine()}")
    for name in ("case", "reference s", "ours s", "ratio", "min", "max"):
        table.add_column(name, justify="left" if name == "case" else "right")

    def row(name: str, theirs: list[float], ours: list[float]) -> None:
        ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
        table.add_row(
            name,
            f"{statistics.median(theirs):.4f}",
            f"{statistics.median(ours):.4f}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f}",
            f"{max(ratios):.2f}",
        )

    embedding = torch.randn(1, 256, 64, 64, generator=generator)
    for count in (1, 8, 64):
        points = torch.rand(count, 1, 2, generator=generator) * 1024
        labels = torch.ones(count, 1, dtype=torch.long)

        @torch.inference_mode()
        def ours(points: Tensor = points, labels: Tensor = labels) -> None:
            encoder = decoder.prompt_encoder
            image = prompts.prepare(embedding, encoder.get_dense_pe(), encoder.no_mask_embed.weight)
            at_a_time = prompts.prompts_at_a_time(image)
            for start in range(0, len(points), at_a_time):
                chosen = slice(start, start + at_a_time)
                sparse = encoder.embed_points(points[chosen], labels[chosen], pad=True)
                attended = prompts.attend(image, sparse, slice(1, None))
                prompts.masks(attended, torch.ones_like(attended.predicted_iou, dtype=torch.bool))

        theirs, mine = compare(reference_decoder(reference, embedding, points, labels), ours, options.repeats)
        row(f"SAM decoder, {count} click{'s' if count > 1 else ''}, 64x64 embedding, float32", theirs, mine)

    photo = pocket.encode(picture)
    full = np.array(picture)
    plain, auto = compare(lambda: pocket.encode(full), lambda: pocket_auto.encode(full), options.repeats)
    row(f"pocket: encode a 1800x1200 photo, float32 / {str(pocket_auto.precision)[6:]}", plain, auto)
    one, box = compare(
        lambda: photo.segment(points=[(900, 600)]),
        lambda: photo.segment(box=(300, 200, 1500, 1000)),
        options.repeats,
    )
    row("pocket: click to three full-size masks / box to one", one, box)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
