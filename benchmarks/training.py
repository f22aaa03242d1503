"""A step of our trainer against a plain loop on the same views, side by side in one process, on a processor.

Run: OMP_NUM_THREADS=1 python benchmarks/training.py [--side 512] [--images 2] [--masks 8] [--points 3]
Prints images per second of both, the ratio of each pair of steps (median, minimum, maximum), and where our time goes.

The plain loop is what one writes first: views made when they are needed (a DataLoader without workers), the image
encoder, then for each image all rounds through transformers' SamMaskDecoder with the published signature (a copy of the
embedding for each mask), the losses of all rounds in one graph, one backward pass, clipping, AdamW and the average of
the weights. Encoder, prompts, clicks, losses, precision and optimiser are the same code in both.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from transformers import SamMaskDecoderConfig
from transformers.models.sam.modeling_sam import SamMaskDecoder

from anymask.models.registry import build_model
from anymask.models.sam import PIXEL_MEAN, PIXEL_STD, Sam
from anymask.segment.segmenter import choose_precision
from anymask.train.batches import Batch, BatchStream, WeightedDataset
from anymask.train.config import PhaseConfig
from anymask.train.dense import DenseObjective
from anymask.train.initialise import initialise_decoder
from anymask.train.interaction import correct, first_prompt
from anymask.train.interactive import InteractiveSettings
from anymask.train.losses import mask_iou, mask_loss
from anymask.train.memory import keep_freed_memory
from anymask.train.optimizer import build_optimizer
from anymask.train.step import TrainingStep, seeded_generator
from anymask.train.synthetic_dataset import SyntheticDataset
from anymask.train.views import Augmentation

CPU = torch.device("cpu")
BACKWARD = torch.autograd.backward


def stream(phase: PhaseConfig) -> BatchStream:
    return BatchStream(
        [WeightedDataset(SyntheticDataset(size=320), 1.0)],
        side=phase.image_size,
        batch_size=phase.batch_size,
        max_masks=phase.max_masks,
        augmentation=Augmentation(whole=1.0, paste=0.0),
        seed=0,
        mean=PIXEL_MEAN,
        std=PIXEL_STD,
    )


class Finish:
    """What follows the gradients in both: clipping, the optimiser, the average of the weights."""

    def __init__(self, modules: list[nn.Module], optimizer: torch.optim.Optimizer) -> None:
        self.modules, self.optimizer = modules, optimizer
        self.average = [{key: value.clone() for key, value in module.state_dict().items()} for module in modules]

    @torch.no_grad()
    def __call__(self) -> None:
        nn.utils.clip_grad_norm_([value for group in self.optimizer.param_groups for value in group["params"]], 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        for module, average in zip(self.modules, self.average, strict=True):
            for key, value in module.state_dict().items():
                if value.is_floating_point():
                    average[key].lerp_(value, 0.001)


def plain_losses(
    embedding: Tensor,
    targets: Tensor,
    boxes: Tensor,
    sam: Sam,
    decoder: SamMaskDecoder,
    settings: InteractiveSettings,
    generator: torch.Generator,
) -> Tensor:
    """The mean loss of all rounds of one image, in one graph."""
    side, count = sam.prompt_encoder.input_image_size[0], len(targets)
    interaction = first_prompt(targets, boxes, side, 0.5, 0.0, generator)
    previous = targets
    losses = []
    for number in range(1 + settings.points):
        if number > 0:
            interaction = correct(interaction, previous, targets, side, 0.0, generator)
        sparse = sam.prompt_encoder.embed_points(interaction.points, interaction.labels, pad=False)
        if number > 0:
            dense = sam.prompt_encoder.embed_masks(previous[:, None])
        else:
            dense = sam.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
            dense = dense.expand(count, -1, *embedding.shape[-2:])
        logits, predicted = decoder(
            image_embeddings=embedding.expand(count, -1, -1, -1),
            image_positional_embeddings=sam.prompt_encoder.get_dense_pe().expand(count, -1, -1, -1),
            sparse_prompt_embeddings=sparse[:, None],
            dense_prompt_embeddings=dense,
            multimask_output=number == 0,
        )
        logits, predicted = logits[:, 0].float(), predicted[:, 0].float()
        wanted = targets[:, None].expand_as(logits)
        each = mask_loss(logits, wanted, "focal", 20.0, 1.0)
        losses.append(each.amin(1).mean() + (predicted - mask_iou(logits, wanted)).square().mean())
        best = predicted.argmax(1)
        previous = logits.detach()[torch.arange(count), best]
    return torch.stack(losses).mean()


def plain_step(phase: PhaseConfig, model: str, precision: torch.dtype) -> Callable[[int], None]:
    torch.manual_seed(0)
    sam = build_model(model, phase.image_size)
    decoder = SamMaskDecoder(SamMaskDecoderConfig(attn_implementation="sdpa"))
    sam.mask_decoder = nn.Identity()  # type: ignore[assignment]
    parameters = [*sam.parameters(), *decoder.parameters()]
    finish = Finish([sam, decoder], torch.optim.AdamW(parameters, lr=phase.learning_rate, weight_decay=0.1))
    views = stream(phase)

    def run(number: int) -> None:
        batch = views.batch(number)
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            embeddings = sam.image_encoder(batch.images)
            total = torch.stack(
                [
                    plain_losses(
                        embeddings[i : i + 1],
                        batch.targets[i],
                        batch.boxes[i],
                        sam,
                        decoder,
                        phase.interaction,
                        seeded_generator(number, i),
                    )
                    for i in range(len(batch.targets))
                ]
            ).mean()
        BACKWARD(total)
        finish()

    return run


class Stopwatch:
    """Sums the seconds of the functions that it is put around."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **more: Any) -> Any:
            begun = time.perf_counter()
            try:
                return function(*given, **more)
            finally:
                self.seconds[name] += time.perf_counter() - begun

        return timed


def our_step(phase: PhaseConfig, model: str, precision: torch.dtype, watch: Stopwatch) -> Callable[[int], None]:
    torch.manual_seed(0)
    sam = build_model(model, phase.image_size)
    initialise_decoder(sam.prompt_encoder, sam.mask_decoder)
    dense = DenseObjective(sam.prompt_encoder, sam.mask_decoder)
    step = TrainingStep(sam, dense, phase, (0, 0), CPU, precision)
    step.prepare()
    finish = watch.around("optimiser, average", Finish([sam], build_optimizer(sam.image_encoder, dense, phase)))
    batches = iter(stream(phase).iterate(0, 10**6))
    fetch = watch.around("waiting for views", lambda: next(batches))
    watched: list[tuple[Any, str, str]] = [
        (sam.image_encoder, "forward", "encoder forwards"),
        (sam.mask_decoder, "decode_tokens", "decoder forwards"),
        (sam.prompt_encoder, "embed_mask_tokens", "prompts"),
        (sam.prompt_encoder, "embed_points", "prompts"),
    ]
    for owner, attribute, name in watched:
        setattr(owner, attribute, watch.around(name, getattr(owner, attribute)))

    def run(number: int) -> None:
        batch: Batch = fetch()
        step.backward(batch, number)
        finish()

    return watch.around("whole step", run)


def watch_backward(watch: Stopwatch) -> None:
    """Tell the encoder's backward pass, which begins at a batch of embeddings, from the decoder's."""
    encoder, decoder = (watch.around(f"{part} backwards", BACKWARD) for part in ("encoder", "decoder"))

    def run(tensors: Tensor, *more: Any) -> None:
        (encoder if tensors.ndim == 4 and tensors.shape[1] > 1 else decoder)(tensors, *more)

    torch.autograd.backward = run  # type: ignore[assignment]


def seconds(run: Callable[[int], None], number: int) -> float:
    begun = time.perf_counter()
    run(number)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--images", type=int, default=2, help="images a step")
    parser.add_argument("--masks", type=int, default=8, help="masks an image, at most")
    parser.add_argument("--points", type=int, default=3, help="rounds after the first")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    options = parser.parse_args()
    precision = choose_precision(options.precision, CPU)
    settings = InteractiveSettings(points=options.points, mask_only=0, single_weight=0.0)
    phase = PhaseConfig(
        "interactive", 10**6, options.side, options.images, options.masks, warmup=0, interaction=settings
    )
    keep_freed_memory()
    watch = Stopwatch()
    plain = plain_step(phase, options.model, precision)
    ours = our_step(phase, options.model, precision, watch)
    for number in range(2):
        plain(number), ours(number)
    watch_backward(watch)
    watch.seconds.clear()
    pairs = [(seconds(plain, number), seconds(ours, number)) for number in range(2, 2 + options.repeats)]

    ratios = [theirs / mine for theirs, mine in pairs]
    table = Table(
        title=f"{options.model} at {options.side}, {options.images} images, up to {options.masks} masks, "
        f"{1 + options.points} rounds, {str(precision)[6:]}; {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, {platform.machine()}"
    )
    for name in ("plain loop, images/s", "ours, images/s", "ratio", "min", "max"):
        table.add_column(name, justify="right")
    table.add_row(
        f"{options.images / statistics.median(pair[0] for pair in pairs):.3f}",
        f"{options.images / statistics.median(pair[1] for pair in pairs):.3f}",
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f}",
        f"{max(ratios):.2f}",
    )
    parts = Table(title="where our time goes")
    parts.add_column("part")
    parts.add_column("s a step", justify="right")
    parts.add_column("share", justify="right")
    whole = watch.seconds.pop("whole step")
    rest = whole - sum(watch.seconds.values())
    for name, spent in [*sorted(watch.seconds.items(), key=lambda pair: -pair[1]), ("clicks, losses, rest", rest)]:
        parts.add_row(name, f"{spent / options.repeats:.3f}", f"{spent / whole:.0%}")
    console = Console(width=120)
    console.print(table)
    console.print(parts)


if __name__ == "__main__":
    main()
