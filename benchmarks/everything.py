"""Everything mode, clicks and the image encoder against the published package, run in turns, each in a fresh process.

Run: python benchmarks/everything.py --published FOLDER [--repeats 2] [--grids 64 32] [--encoder] [--image PHOTO]

All after the encoder runs on the packaged model's trained decoder and embedding, at SAM's 64x64 cells and at the
32x32 that the model is made for; the encoder of vit_b runs on random weights. Thresholds are such that masks are left:
those of the published generator would leave none of this model's.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from published import graft, import_published
from pycocotools import mask as coco_mask
from rich.console import Console
from rich.table import Table
from torch.nn import functional as F

import anymask
from anymask.models.registry import build_model
from anymask.segment.encoded import EncodedImage
from anymask.segment.everything import Tally
from anymask.segment.frame import Frame
from anymask.segment.segmenter import Segmenter

SIZE = (1800, 1200)
KINDS = ("published", "float32", "auto")
LEAST_MASKS = 20


def picture(path: Path | None) -> NDArray[np.uint8]:
    """Read the photograph, or scikit-image's rocket, at the benchmark's size."""
    if path is None:
        from skimage import data

        image = Image.fromarray(data.rocket())
    else:
        image = Image.open(path).convert("RGB")
    return np.array(image.resize(SIZE, Image.Resampling.LANCZOS))


def load_pocket(grid: int, precision: str) -> Segmenter:
    """Load the packaged model for an embedding of ``grid`` x ``grid`` cells."""
    network = build_model("pocket", 16 * grid)
    network.load_state_dict(anymask.load("pocket", device="cpu").state_dict())
    return Segmenter(network, "pocket", "cpu", precision)


def encode(image: NDArray[np.uint8], grid: int) -> EncodedImage:
    """Encode with the packaged model at its own size, and bring the embedding to ``grid`` x ``grid`` cells.

    Encoding at another size would give an embedding that the decoder never saw, and few masks.
    """
    embedding = anymask.load("pocket", device="cpu", precision="float32").encode(image).embedding
    network = load_pocket(grid, "float32")
    if embedding.shape[-1] != grid:
        embedding = F.interpolate(embedding, (grid, grid), mode="bilinear")
    return EncodedImage(network, embedding, Frame(image.shape[0], image.shape[1], network.input_side), image)


def measured(run: Callable[[], Any]) -> tuple[Any, float, float]:
    """Run once: what it gives, seconds, and MB by which the process's largest memory grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - started
    return result, seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def median_seconds(run: Callable[[], object], repeats: int) -> float:
    run()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def run_everything(kind: str, options: argparse.Namespace, grid: int) -> dict[str, Any]:
    """One everything pass and some clicks on one embedding, in this process."""
    image = picture(options.image)
    settings = {
        "points_per_side": options.points_per_side,
        "pred_iou_thresh": options.pred_iou_thresh,
        "stability_score_thresh": options.stability_score_thresh,
    }
    # The same embedding for all, so that the decoder alone is compared.
    photo = encode(image, grid)
    answer: dict[str, Any] = {}
    center = [[SIZE[0] // 2, SIZE[1] // 2]]
    if kind == "published":
        published = import_published(options.published)
        model = graft(photo.segmenter.network, photo.embedding)
        generator = published.SamAutomaticMaskGenerator(model, output_mode="coco_rle", **settings)
        records, answer["seconds"], answer["megabytes"] = measured(lambda: generator.generate(image))
        answer["masks"] = [record["segmentation"] for record in records]
        predictor = published.SamPredictor(model)
        predictor.set_image(image)
        points, labels = np.array(center), np.array([1])
        answer["click"] = median_seconds(lambda: predictor.predict(points, labels), 10)
    else:
        photo.segmenter = load_pocket(grid, kind)
        tally = Tally()
        masks, answer["seconds"], answer["megabytes"] = measured(
            lambda: photo.segment_everything(**settings, tally=tally)
        )
        answer["masks"] = [{"size": rle["size"], "counts": rle["counts"].decode()} for rle in masks.rles]
        answer["tally"] = vars(tally)
        answer["click"] = median_seconds(lambda: photo.segment(points=center), 10)
    return answer


def run_encoder(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """The image encoder of vit_b, of the same random weights, in this process."""
    torch.manual_seed(0)
    network = build_model("vit_b").eval()
    pixels = torch.randn(1, 3, 1024, 1024)
    if kind == "published":
        published = import_published(options.published)
        encoder = published.sam_model_registry["vit_b"]().image_encoder.eval()
        encoder.load_state_dict(network.image_encoder.state_dict())
    else:
        encoder = network.image_encoder
    precision = Segmenter(build_model("pocket"), "pocket", "cpu", kind).precision if kind == "auto" else torch.float32

    @torch.inference_mode()
    def run() -> Any:
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            return encoder(pixels)

    _, first, megabytes = measured(run)
    return {"seconds": min(first, median_seconds(run, 2)), "megabytes": megabytes}


def in_fresh_process(kind: str, part: str) -> dict[str, Any]:
    """Run one part in a process of its own, so that memory is its own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, __file__, *sys.argv[1:], "--part", part, "--kind", kind, "--answer", file.name]
        subprocess.run(command, check=True)
        answer: dict[str, Any] = json.loads(Path(file.name).read_text())
        return answer


def agreement(reference: list[Any], ours: list[Any]) -> tuple[float, float]:
    """Mean and smallest IoU of each of our masks with the best of the reference's."""
    overlaps = coco_mask.iou(ours, reference, [0] * len(reference)).max(1)
    return float(overlaps.mean()), float(overlaps.min())


def ratio(reference: list[float], ours: list[float]) -> str:
    ratios = [one / other for one, other in zip(reference, ours, strict=True)]
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})"


def report_everything(answers: dict[str, list[dict[str, Any]]], grid: int, console: Console) -> None:
    """Print what the runs of one grid gave."""
    table = Table(title=f"everything after the encoder, {grid}x{grid} cells, {SIZE[0]}x{SIZE[1]} pixels")
    for column in ("", "seconds", "ratio", "MB", "ratio", "click ms", "ratio", "masks", "IoU mean (least)"):
        table.add_column(column, justify="right")
    column = {
        kind: {key: [answer[key] for answer in answers[kind]] for key in ("seconds", "megabytes", "click")}
        for kind in KINDS
    }
    theirs = answers["published"][0]["masks"]
    for kind in KINDS:
        mine = column[kind]
        masks = answers[kind][0]["masks"]
        if len(masks) < LEAST_MASKS:
            raise SystemExit(f"{kind} left {len(masks)} masks, fewer than {LEAST_MASKS}: lower the thresholds")
        mean, least = agreement(theirs, masks)
        table.add_row(
            kind,
            f"{statistics.median(mine['seconds']):.2f}",
            ratio(column["published"]["seconds"], mine["seconds"]),
            f"{statistics.median(mine['megabytes']):.0f}",
            ratio(column["published"]["megabytes"], mine["megabytes"]),
            f"{1000 * statistics.median(mine['click']):.1f}",
            ratio(column["published"]["click"], mine["click"]),
            str(len(masks)),
            f"{mean:.4f} ({least:.3f})",
        )
    console.print(table)
    for kind in KINDS[1:]:
        tally = answers[kind][0]["tally"]
        console.print(kind, "stages:", ", ".join(f"{name} {value:.4g}" for name, value in tally.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, help="folder that holds the published segment_anything")
    parser.add_argument("--image", type=Path)
    parser.add_argument("--grids", type=int, nargs="*", default=[64, 32])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--points-per-side", type=int, default=32)
    parser.add_argument("--pred-iou-thresh", type=float, default=0.4)
    parser.add_argument("--stability-score-thresh", type=float, default=0.3)
    parser.add_argument("--encoder", action="store_true", help="also time the encoder of vit_b")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        encoder = options.part == "encoder"
        answer = (
            run_encoder(options.kind, options) if encoder else run_everything(options.kind, options, int(options.part))
        )
        options.answer.write_text(json.dumps(answer))
        return
    console = Console(width=140)
    console.print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    for part in [*map(str, options.grids), *(["encoder"] if options.encoder else [])]:
        answers: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        for _ in range(options.repeats):
            for kind in KINDS:
                answers[kind].append(in_fresh_process(kind, part))
        if part != "encoder":
            report_everything(answers, int(part), console)
            continue
        seconds = {kind: [answer["seconds"] for answer in answers[kind]] for kind in KINDS}
        table = Table("encoder of vit_b, 1024", "seconds", "ratio", "MB")
        for kind in KINDS:
            table.add_row(
                kind,
                f"{statistics.median(seconds[kind]):.2f}",
                ratio(seconds["published"], seconds[kind]),
                f"{statistics.median(answer['megabytes'] for answer in answers[kind]):.0f}",
            )
        console.print(table)


if __name__ == "__main__":
    main()
