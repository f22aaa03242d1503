"""How a fine-tuning run goes, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass

from anymask.errors import AnymaskError
from anymask.train.interactive import InteractiveSettings

TRAINED_PARTS = {"decoder": 6e-5, "adapters": 1e-3, "encoder-adapters": 1e-3, "everything": 1e-4}
"""What may be trained, and its usual peak learning rate."""


class FinetuneError(AnymaskError, ValueError):
    """Fine-tuning cannot be done as asked; the message says why and what to do."""


@dataclass(frozen=True)
class FinetuneSettings:
    """How a fine-tuning run goes.

    Attributes:
        train: "decoder" (prompt encoder and mask decoder; the image encoder's embeddings are cached), "adapters"
            (low-rank changes of the decoder's attention; cached likewise), "encoder-adapters" (of the image encoder's
            attention too; without cache) or "everything" (all weights, those of the encoder at a lower rate; without
            cache).
        epochs: at most. An epoch shows every image once, but takes at least 25 steps and at most 500.
        rate: peak learning rate; None for the usual one of what is trained.
        batch: images a step.
        max_masks: masks of an image a step, drawn at random.
        views: windows of each image that are trained on: the whole, and parts in which objects are larger.
        points: clicks after the first prompt in a training interaction (8 in the paper).
        mask_only: rounds of it with the previous mask and no new click (2 in the paper).
        patience: epochs without a better validation score before stopping; 0 for never.
        max_minutes: training time; the learning rate then falls with whichever is further, steps or time.
        seed: decides every random choice.
        ema: decay of the running average of the weights, which is what is measured and kept.
        weight_decay: of AdamW.
        rank: of the adapters.
        encoder_rate: factor on the image encoder's rate where everything is trained.
        validation_masks: masks of each validation image that are measured at most.
    """

    train: str = "decoder"
    epochs: int = 20
    rate: float | None = None
    batch: int = 2
    max_masks: int = 8
    views: int = 4
    points: int = 3
    mask_only: int = 1
    patience: int = 5
    max_minutes: float | None = None
    seed: int = 0
    ema: float = 0.98
    weight_decay: float = 0.05
    rank: int = 8
    encoder_rate: float = 0.1
    validation_masks: int = 12

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            FinetuneError: one is out of range.
        """
        if self.train not in TRAINED_PARTS:
            raise FinetuneError(f"train must be one of {', '.join(TRAINED_PARTS)}, not {self.train!r}")
        for name in ("epochs", "batch", "max_masks", "views", "rank", "validation_masks"):
            if getattr(self, name) < 1:
                raise FinetuneError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("points", "mask_only", "patience", "seed", "weight_decay", "encoder_rate"):
            if getattr(self, name) < 0:
                raise FinetuneError(f"{name} must be at least 0, not {getattr(self, name)}")
        for name in ("rate", "max_minutes"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise FinetuneError(f"{name} must be above 0, not {value}")
        if not 0 <= self.ema < 1:
            raise FinetuneError(f"ema must be at least 0 and below 1, not {self.ema}")

    @property
    def peak_rate(self) -> float:
        """The learning rate after warming up."""
        return TRAINED_PARTS[self.train] if self.rate is None else self.rate

    @property
    def trains_encoder(self) -> bool:
        """Whether the image encoder changes, so that its embeddings cannot be cached."""
        return self.train in ("encoder-adapters", "everything")

    @property
    def interaction(self) -> InteractiveSettings:
        """How a training interaction goes.

        Half of the clicks are drawn towards the middle of their region, where people click, and boxes are tighter
        than the paper's: with its 10% of jitter, the answers to exact boxes became worse.
        """
        return InteractiveSettings(points=self.points, mask_only=self.mask_only, box_jitter=0.04, centre_share=0.5)
