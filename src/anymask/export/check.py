"""Files against the network that they come from: the same prompts on the same picture, in ONNX Runtime and in torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymask.export.errors import ExportError
from anymask.segment.encoded import EncodedImage
from anymask.segment.segmenter import Segmenter

TOLERANCE = 1e-3
"""Largest difference that is rounding, as a part of the largest number compared."""


@dataclass(frozen=True)
class Agreement:
    """How far a file computes what the network does.

    Attributes:
        differences: for each output the largest absolute difference.
        runs: how many times both were asked.
        mean_iou: of the masks of both (1 where both are empty); None where there are no masks.
    """

    differences: dict[str, float]
    runs: int
    mean_iou: float | None


class Session:
    """A file in ONNX Runtime, on the processor, which takes and gives arrays by name."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, **inputs: Tensor | NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Run it."""
        arrays = {name: value.numpy() if isinstance(value, Tensor) else value for name, value in inputs.items()}
        return dict(zip(self.outputs, self._session.run(None, arrays), strict=True))


class Comparison:
    """Collects what two computations of the same gave."""

    def __init__(self, exact: bool) -> None:
        self.exact = exact
        self.differences: dict[str, float] = {}
        self.ious: list[float] = []
        self.runs = 0

    def add(self, got: dict[str, NDArray[Any]], wanted: dict[str, NDArray[Any]], what: str) -> None:
        """Compare the outputs of one run.

        Raises:
            ExportError: the shapes differ, or the numbers by more than rounding where they should be exact.
        """
        self.runs += 1
        for name, reference in wanted.items():
            if got[name].shape != reference.shape:
                raise ExportError(
                    f"the file is not the network: for {what} its {name} has the shape {list(got[name].shape)} in "
                    f"ONNX Runtime and {list(reference.shape)} in torch; "
                    "nothing was written, unless the check is left out"
                )
            difference = float(np.abs(got[name] - reference).max())
            allowed = TOLERANCE * max(1.0, float(np.abs(reference).max()))
            # A difference that is not a number is not small either.
            if self.exact and not difference <= allowed:
                raise ExportError(
                    f"the file is not the network: for {what} its {name} differs by {difference:.2g} between ONNX "
                    f"Runtime and torch, where rounding explains {allowed:.2g}; nothing was written, unless the "
                    "check is left out"
                )
            self.differences[name] = max(difference, self.differences.get(name, 0.0))

    def add_masks(self, got: NDArray[Any], wanted: NDArray[Any], threshold: float) -> None:
        """Compare masks ``[..., h, w]``, given as logits."""
        first, second = (
            (got > threshold).reshape(-1, *got.shape[-2:]),
            (wanted > threshold).reshape(-1, *got.shape[-2:]),
        )
        either = (first | second).sum((1, 2))
        self.ious += np.where(either, (first & second).sum((1, 2)) / np.maximum(either, 1), 1.0).tolist()

    def result(self) -> Agreement:
        """What was found."""
        return Agreement(self.differences, self.runs, float(np.mean(self.ious)) if self.ious else None)


def demo_picture(height: int, width: int) -> NDArray[np.uint8]:
    """Draw a picture with a few plain objects: RGB uint8 ``[height, width, 3]``.

    There is an ellipse around (0.35, 0.4), as parts of width and height, and a rectangle from (0.55, 0.5) to
    (0.85, 0.9).
    """
    rows, columns = np.mgrid[:height, :width]
    picture = np.stack([90 + 60 * rows / height, 120 + 50 * columns / width, np.full((height, width), 140)], -1)
    picture = np.ascontiguousarray(picture.astype(np.uint8))
    centre, axes = (int(0.35 * width), int(0.4 * height)), (int(0.2 * width), int(0.22 * height))
    cv2.ellipse(picture, centre, axes, 20, 0, 360, (200, 60, 40), -1, cv2.LINE_AA)
    cv2.rectangle(picture, (width * 55 // 100, height // 2), (width * 85 // 100, height * 9 // 10), (30, 70, 160), -1)
    return picture


@dataclass(frozen=True)
class TokenPrompt:
    """A prompt as the graphs take it.

    Attributes:
        what: its kind, for messages.
        points: ``[1, N, 2]`` in pixels of the resized image.
        labels: ``[1, N]``.
        has_mask: whether earlier logits are fed back with it.
    """

    what: str
    points: Tensor
    labels: Tensor
    has_mask: bool = False


def token_prompts(photo: EncodedImage) -> Iterator[TokenPrompt]:
    """Make prompts of every kind, on the objects of :func:`demo_picture`."""
    frame = photo.frame
    inside = [(0.35, 0.4), (0.4, 0.42), (0.3, 0.38), (0.95, 0.05), (0.05, 0.95)]
    on = torch.from_numpy(frame.to_model([(x * frame.width, y * frame.height) for x, y in inside]))
    corners = [(0.55 * frame.width, 0.5 * frame.height), (0.85 * frame.width, 0.9 * frame.height)]
    box = torch.from_numpy(frame.to_model(corners))
    labels = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0])
    filler, no_point, box_labels = torch.zeros(1, 2), torch.tensor([-1.0]), torch.tensor([2.0, 3.0])
    for has_mask in (False, True):
        besides = " and a mask" if has_mask else ""
        for count in (1, 2, 5):
            points = torch.cat([on[:count], filler])[None]
            yield TokenPrompt(f"{count} points{besides}", points, torch.cat([labels[:count], no_point])[None], has_mask)
        yield TokenPrompt(f"a box{besides}", box[None], box_labels[None], has_mask)
        both, both_labels = torch.cat([on[3:], box])[None], torch.cat([labels[3:], box_labels])[None]
        yield TokenPrompt(f"points and a box{besides}", both, both_labels, has_mask)


def reference_masks(
    photo: EncodedImage, prompt: TokenPrompt, fed_back: Tensor | None, single_mask: bool
) -> tuple[Tensor, Tensor]:
    """Ask the network itself: logits ``[1, 4 or 1, 4g, 4g]`` and predicted IoU ``[1, 4 or 1]``."""
    low_res, scores = photo.segmenter.decode(photo.embedding, prompt.points, prompt.labels, [fed_back])
    if not single_mask:
        return low_res, scores
    chosen = 0 if prompt.points.shape[1] > 2 else 1 + int(scores[0, 1:].argmax())
    return low_res[:, chosen, None], scores[:, chosen, None]


@torch.no_grad()
def compare_decoder(path: Path, segmenter: Segmenter, single_mask: bool, *, exact: bool) -> Agreement:
    """Compare a decoder of the published signature with the network, with prompts of every kind.

    Args:
        path: the file.
        segmenter: the model, in float32.
        single_mask: whether the file gives one mask.
        exact: whether only rounding may make a difference.

    Raises:
        ExportError: there is more difference than that.
    """
    session, comparison = Session(path), Comparison(exact)
    side = segmenter.input_side
    for height, width in ((side * 5 // 8 + 1, side * 11 // 16), (side + 7, side // 3)):
        photo = segmenter.encode(demo_picture(height, width))
        earlier: Tensor | None = None
        for prompt in token_prompts(photo):
            fed_back = earlier if prompt.has_mask else None
            low_res, scores = reference_masks(photo, prompt, fed_back, single_mask)
            if earlier is None:
                earlier = low_res[0, 0]
            got = session(
                image_embeddings=photo.embedding,
                point_coords=prompt.points,
                point_labels=prompt.labels,
                mask_input=earlier[None, None],
                has_mask_input=torch.tensor([float(prompt.has_mask)]),
                orig_im_size=torch.tensor([float(height), float(width)]),
            )
            wanted = {
                "masks": photo.frame.restore_logits(low_res).numpy(),
                "iou_predictions": scores.numpy(),
                "low_res_masks": low_res.numpy(),
            }
            comparison.add(got, wanted, prompt.what)
            comparison.add_masks(got["masks"], wanted["masks"], segmenter.mask_threshold)
    return comparison.result()


@torch.no_grad()
def compare_encoder(path: Path, segmenter: Segmenter, sizes: Sequence[tuple[int, int]]) -> Agreement:
    """Compare an encoder with the network, on pictures of some sizes (height, width) that need no resizing.

    Raises:
        ExportError: there is more difference than rounding explains.
    """
    session, comparison = Session(path), Comparison(exact=True)
    for height, width in sizes:
        picture = demo_picture(height, width)
        wanted = segmenter.encode(picture).embedding.numpy()
        comparison.add(session(image=picture), {"image_embeddings": wanted}, f"a picture of {width} x {height}")
    return comparison.result()


@torch.no_grad()
def _compare_low_res(
    path: Path,
    segmenter: Segmenter,
    single_mask: bool,
    inputs: Callable[[EncodedImage, TokenPrompt, Tensor | None], dict[str, Tensor]],
    *,
    with_mask: bool,
    exact: bool,
) -> Agreement:
    """Compare a decoder whose masks stay in low resolution with the network.

    Args:
        path: the file.
        segmenter: the model, in float32.
        single_mask: whether the file gives one mask.
        inputs: makes the file's inputs of a picture, a prompt and the logits ``[4g, 4g]`` of the first prompt's answer.
        with_mask: whether it takes prompts with a mask.
        exact: whether only rounding may make a difference.
    """
    session, comparison = Session(path), Comparison(exact)
    side = segmenter.input_side
    photo = segmenter.encode(demo_picture(side * 5 // 8 + 1, side * 11 // 16))
    earlier: Tensor | None = None
    for prompt in token_prompts(photo):
        if prompt.has_mask and not with_mask:
            continue
        low_res, scores = reference_masks(photo, prompt, earlier if prompt.has_mask else None, single_mask)
        got = session(**inputs(photo, prompt, earlier))
        if earlier is None:
            earlier = low_res[0, 0]
        wanted = {"low_res_masks": low_res.numpy(), "iou_predictions": scores.numpy()}
        comparison.add(got, wanted, prompt.what)
        comparison.add_masks(got["low_res_masks"], wanted["low_res_masks"], segmenter.mask_threshold)
    return comparison.result()


def compare_studio(
    path: Path,
    segmenter: Segmenter,
    image_part: Callable[[Tensor], dict[str, Tensor]],
    single_mask: bool,
    *,
    exact: bool,
) -> Agreement:
    """Compare a decoder for clicks with the network, with all prompts that have no mask.

    Args:
        path: the file.
        segmenter: the model, in float32.
        image_part: gives the file's inputs that come from an embedding.
        single_mask: whether the file gives one mask.
        exact: whether only rounding may make a difference.

    Raises:
        ExportError: there is more difference than that.
    """
    shared: dict[str, Tensor] = {}

    def inputs(photo: EncodedImage, prompt: TokenPrompt, earlier: Tensor | None) -> dict[str, Tensor]:
        del earlier
        if not shared:
            shared.update(image_part(photo.embedding))
        return shared | {"point_coords": prompt.points, "point_labels": prompt.labels}

    return _compare_low_res(path, segmenter, single_mask, inputs, with_mask=False, exact=exact)


def compare_studio_refine(path: Path, segmenter: Segmenter, single_mask: bool, *, exact: bool) -> Agreement:
    """Compare a decoder that refines masks with the network, with prompts of every kind.

    Args:
        path: the file.
        segmenter: the model, in float32.
        single_mask: whether the file gives one mask.
        exact: whether only rounding may make a difference.

    Raises:
        ExportError: there is more difference than that.
    """

    def inputs(photo: EncodedImage, prompt: TokenPrompt, earlier: Tensor | None) -> dict[str, Tensor]:
        side = segmenter.logits_side
        return {
            "image_embeddings": photo.embedding,
            "point_coords": prompt.points,
            "point_labels": prompt.labels,
            "mask_input": torch.zeros(1, 1, side, side) if earlier is None else earlier[None, None],
            "has_mask_input": torch.tensor([float(prompt.has_mask)]),
        }

    return _compare_low_res(path, segmenter, single_mask, inputs, with_mask=True, exact=exact)


def compare_studio_image(
    path: Path, segmenter: Segmenter, image_part: Callable[[Tensor], dict[str, Tensor]]
) -> Agreement:
    """Compare the part of the decoder for clicks that is computed once an image.

    Args:
        path: the file.
        segmenter: the model, in float32.
        image_part: computes the same in torch.

    Raises:
        ExportError: there is more difference than rounding explains.
    """
    session, comparison = Session(path), Comparison(exact=True)
    side = segmenter.input_side
    embedding = segmenter.encode(demo_picture(side * 5 // 8 + 1, side * 11 // 16)).embedding
    wanted = {name: value.numpy() for name, value in image_part(embedding).items()}
    comparison.add(session(image_embeddings=embedding), wanted, "a picture")
    return comparison.result()
