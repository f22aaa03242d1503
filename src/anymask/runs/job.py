"""What a run does to each image: read it, segment it, and make what is written.

A job is a description that can be sent to another process; loading it there gives what does the work.
"""

from __future__ import annotations

import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anymask.draw.overlay import overlay
from anymask.formats.annotated import AnnotatedImage, Losses
from anymask.formats.folder import folder_files
from anymask.formats.format import FolderFormat, picture_suffix
from anymask.formats.records import to_record
from anymask.formats.registry import find_format
from anymask.formats.sa1b import sa1b_record
from anymask.runs.items import Item
from anymask.runs.outcome import Outcome
from anymask.runs.prompt_entries import to_prompts
from anymask.segment.everything_settings import EverythingSettings
from anymask.segment.masks import Masks
from anymask.segment.pixels import DEFAULT_MAX_PIXELS, read_image
from anymask.segment.segmenter import Segmenter, load

PICTURES = "pictures"
"""The output that a person looks at: overlay, masks, cut-outs and JSON of each image."""


class Task(ABC):
    """What is asked of the model about each image; it can be sent to other processes."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Say for JSON all that decides which masks an image gets, besides the model."""

    @abstractmethod
    def segment(self, segmenter: Segmenter, pixels: NDArray[np.uint8], item: Item) -> Masks:
        """Find the masks of one image.

        Raises:
            AnymaskError: the image, or what was asked about it, is at fault.
        """


@dataclass(frozen=True)
class Everything(Task):
    """Every object of each image.

    Attributes:
        settings: see :class:`EverythingSettings`.
        region: look only inside this box (x0, y0, x1, y1) in pixels of each image.
        only_uncovered: no points on masks found before.
    """

    settings: EverythingSettings = field(default_factory=EverythingSettings)
    region: tuple[float, float, float, float] | None = None
    only_uncovered: bool = False

    def describe(self) -> dict[str, Any]:
        """Say the settings."""
        settings = {name: value for name, value in asdict(self.settings).items() if name != "point_grids"}
        if self.settings.point_grids is not None:
            settings["point_grids"] = [np.asarray(grid).tolist() for grid in self.settings.point_grids]
        return {
            "task": "everything",
            "settings": settings,
            "region": self.region,
            "only_uncovered": self.only_uncovered,
        }

    def segment(self, segmenter: Segmenter, pixels: NDArray[np.uint8], item: Item) -> Masks:
        """Find all masks."""
        del item
        photo = segmenter.encode(pixels, max_pixels=None)
        return photo.segment_everything(self.settings, region=self.region, only_uncovered=self.only_uncovered)


@dataclass(frozen=True)
class Prompted(Task):
    """What each image's own prompts mark.

    Attributes:
        all_masks: keep all three masks of an ambiguous prompt; else the one that the model thinks best.
    """

    all_masks: bool = False

    def describe(self) -> dict[str, Any]:
        """Say how prompts are answered; the prompts themselves belong to the images."""
        return {"task": "prompts", "all_masks": self.all_masks}

    def segment(self, segmenter: Segmenter, pixels: NDArray[np.uint8], item: Item) -> Masks:
        """Answer the item's prompts, in their order."""
        prompts, labels = to_prompts(item.prompts or ())
        masks = segmenter.encode(pixels, max_pixels=None).segment_many(prompts).replace(logits=None)
        assert masks.prompt is not None or not len(masks)
        if masks.prompt is None:
            return masks
        if not self.all_masks:
            # They come best first.
            _, first = np.unique(masks.prompt, return_index=True)
            masks = masks[first]
        assert masks.prompt is not None
        if any(label is not None for label in labels):
            masks = masks.replace(labels=[labels[prompt] for prompt in masks.prompt.tolist()])
        return masks


@dataclass(frozen=True)
class Job:
    """All that decides what a run writes for an image.

    Attributes:
        task: what is asked.
        model: as for :func:`anymask.load`.
        device: as for :func:`anymask.load`.
        precision: as for :func:`anymask.load`.
        format: one of the names of ``anymask.formats``, or "pictures".
        overlays: draw the masks on each image, into ``overlays/``.
        with_pictures: copy each image to where the format expects it.
        max_pixels: larger images are refused; None for no limit.
    """

    task: Task
    model: str = "pocket"
    device: str = "auto"
    precision: str = "auto"
    format: str = "sa1b"
    overlays: bool = False
    with_pictures: bool = False
    max_pixels: int | None = DEFAULT_MAX_PIXELS

    @property
    def is_joined(self) -> bool:
        """Whether what is written is made of all images in the end, not for each of them."""
        if self.format == PICTURES:
            return False
        return not isinstance(find_format(self.format), FolderFormat)

    def load(self) -> LoadedJob:
        """Load the model.

        Raises:
            CheckpointError, UnknownModelError, DeviceError: as for :func:`anymask.load`.
            FormatError: the format is unknown.
        """
        # Before gigabytes are read, a mistyped name should be said.
        _ = self.is_joined
        return LoadedJob(self, load(self.model, device=self.device, precision=self.precision))


class LoadedJob:
    """A job with its model in this process.

    Its three steps may run on different threads, each for other images.
    """

    def __init__(self, job: Job, segmenter: Segmenter) -> None:
        self.job, self.segmenter = job, segmenter
        self.layout = None if job.format == PICTURES else find_format(job.format)
        self._needs_picture = job.with_pictures or (
            isinstance(self.layout, FolderFormat) and self.layout.needs_pictures
        )
        # Built on first use, which must not be on two threads at once.
        _ = segmenter.prompt_decoder

    def describe(self) -> dict[str, Any]:
        """Say for JSON all that decides which bytes are written for an image."""
        return {
            **self.job.task.describe(),
            "model": self.job.model,
            "weights": self.segmenter.weights_fingerprint,
            "precision": str(self.segmenter.precision).removeprefix("torch."),
            "format": self.job.format,
            "overlays": self.job.overlays,
            "with_pictures": self.job.with_pictures,
        }

    def read(self, source: Path | bytes) -> NDArray[np.uint8]:
        """Read an image as RGB ``[H, W, 3]``.

        Raises:
            ImageError: it is missing, broken or too large.
        """
        return read_image(source, max_pixels=self.job.max_pixels)

    def segment(self, item: Item, pixels: NDArray[np.uint8]) -> Masks:
        """Find an image's masks.

        Raises:
            AnymaskError: the image, or what was asked about it, is at fault.
        """
        return self.job.task.segment(self.segmenter, pixels, item)

    def render(self, item: Item, pixels: NDArray[np.uint8], masks: Masks) -> Outcome:
        """Make what is written about an image.

        Raises:
            AnymaskError: the masks cannot be written so.
        """
        losses = Losses()
        image = AnnotatedImage(item.name, masks, item.read() if self._needs_picture else item.path)
        files = tuple(self._files(image, item, pixels, losses))
        record = json.dumps(sa1b_record(image), separators=(",", ":")).encode() if self.job.is_joined else b""
        return Outcome(item.name, len(masks), files, record, losses=dict(losses.counts))

    def _files(
        self, image: AnnotatedImage, item: Item, pixels: NDArray[np.uint8], losses: Losses
    ) -> Iterator[tuple[str, bytes]]:
        masks = image.masks
        if self.job.overlays:
            yield f"overlays/{item.key}.jpg", _jpeg(overlay(pixels, masks))
        if self.layout is None:
            record = to_record(item.name, masks, model=self.job.model)
            yield from folder_files(item.key, pixels, masks, overlay(pixels, masks), record)
            return
        if self.job.is_joined:
            return
        assert isinstance(self.layout, FolderFormat)
        if self.job.with_pictures:
            picture = image.picture
            assert picture is not None
            content = picture.read_bytes() if isinstance(picture, Path) else picture
            yield self.layout.picture_place(item.key, picture_suffix(image, item.key)), content
        yield from self.layout.files(image, item.key, losses)


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=92)
    return stream.getvalue()
