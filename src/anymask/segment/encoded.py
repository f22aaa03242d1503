"""An encoded image: what prompts are answered on."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from anymask.atomic import write_atomically
from anymask.errors import AnymaskError
from anymask.models.prompt_decoder import PreparedImage, PromptDecoder
from anymask.segment.errors import PromptError
from anymask.segment.everything import Progress, Tally, find_masks, to_masks
from anymask.segment.everything_settings import EverythingSettings, choose_settings
from anymask.segment.frame import Frame
from anymask.segment.masks import Masks
from anymask.segment.prompts import EncodablePrompt, Prompt, group_by_kind, to_encodable
from anymask.segment.region import Region
from anymask.segment.rle import RLE, encode_part
from anymask.segment.windows import WindowRestorer

if TYPE_CHECKING:
    from anymask.segment.segmenter import Segmenter

# Few prompts at a time keep the image tokens of all of them in the cache; a GPU wants them together.
PROMPTS_AT_A_TIME = {"cpu": 8, "cuda": 64, "mps": 32}


class EmbeddingError(AnymaskError, ValueError):
    """A saved embedding cannot be used; the message says why."""


class EncodedImage:
    """One image, encoded once, on which any number of prompts can be answered.

    Made by :meth:`Segmenter.encode`. Coordinates are pixels of the original image, (x, y), origin at the top
    left corner.

    Attributes:
        segmenter: the model that encoded it and answers prompts.
        embedding: ``[1, 256, g, g]`` float32.
        frame: where the image lies in the model's input.
        image: RGB uint8 ``[H, W, 3]``, or None if it was loaded from an embedding file.
    """

    def __init__(
        self, segmenter: Segmenter, embedding: Tensor, frame: Frame, image: NDArray[np.uint8] | None = None
    ) -> None:
        self.segmenter, self.embedding, self.frame, self.image = segmenter, embedding, frame, image
        self._prepared: tuple[PromptDecoder, PreparedImage] | None = None
        self._restorer: WindowRestorer | None = None

    @property
    def size(self) -> tuple[int, int]:
        """The image's (height, width) in pixels."""
        return self.frame.height, self.frame.width

    def __repr__(self) -> str:
        return f"<EncodedImage: {self.frame.width} x {self.frame.height}, by {self.segmenter.name}>"

    def segment(
        self,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask: Any = None,
        *,
        multimask: bool | None = None,
    ) -> Masks:
        """Answer one prompt; points, a box and a mask may be mixed.

        Args:
            points: (x, y) or a list of them, in pixels of the original image.
            labels: for each point 1 (on the object) or 0 (not on it); all 1 where left out.
            box: (x0, y0, x1, y1) in pixels of the original image, clipped to it.
            mask: a mask to refine; see :class:`Prompt`. ``masks[0]`` of an earlier answer feeds its logits
                back.
            multimask: three masks or one; by default one lone point, being ambiguous, gives three.

        Returns:
            The masks, best first, with their predicted IoU as ``scores`` and their logits.

        Raises:
            PromptError: the prompt is empty, malformed or off the image.
        """
        return self.segment_many([Prompt(points, labels, box, mask, multimask)]).replace(prompt=None)

    def segment_many(self, prompts: Sequence[Prompt], *, multimask: bool | None = None) -> Masks:
        """Answer many prompts, of different kinds if need be, in few decoder batches.

        Args:
            prompts: the prompts.
            multimask: three masks or one, for prompts which do not say it themselves.

        Returns:
            All masks; column ``prompt`` says which prompt each answers. They are in the order of the prompts,
            and best first within each.

        Raises:
            PromptError: a prompt is empty, malformed or off the image; the message says which.
        """
        grid = self.segmenter.logits_side
        checked = []
        for index, prompt in enumerate(prompts):
            if not isinstance(prompt, Prompt):
                raise PromptError(f"prompt {index} must be an anymask.Prompt, not {type(prompt).__name__}")
            if prompt.multimask is None and multimask is not None:
                prompt = Prompt(prompt.points, prompt.labels, prompt.box, prompt.mask, multimask)
            try:
                checked.append(to_encodable(prompt, self.frame, grid))
            except PromptError as error:
                if len(prompts) == 1:
                    raise
                raise PromptError(f"prompt {index}: {error}") from error
        if not checked:
            return Masks.empty(self.size)
        answers: list[Masks | None] = [None] * len(checked)
        at_a_time = PROMPTS_AT_A_TIME.get(self.segmenter.device.type, 8)
        for group in group_by_kind(checked):
            for start in range(0, len(group), at_a_time):
                chosen = group[start : start + at_a_time]
                for index, answer in zip(chosen, self._answer([checked[i] for i in chosen]), strict=True):
                    answers[index] = answer.replace(prompt=np.full(len(answer), index))
        return Masks.concatenate([answer for answer in answers if answer is not None])

    @torch.inference_mode()
    def _answer(self, prompts: Sequence[EncodablePrompt]) -> list[Masks]:
        """Answer prompts of one kind (see :func:`group_by_kind`) in one decoder batch."""
        device = self.segmenter.device
        points = torch.from_numpy(np.stack([prompt.points for prompt in prompts])).to(device)
        labels = torch.from_numpy(np.stack([prompt.labels for prompt in prompts])).to(device)
        fed_back = [None if prompt.logits is None else torch.from_numpy(prompt.logits) for prompt in prompts]
        wants = {bool(prompt.multimask) for prompt in prompts}
        some = slice(None) if len(wants) > 1 else slice(1, None) if True in wants else slice(0, 1)
        decoder = self.segmenter.prompt_decoder
        if fed_back[0] is None and decoder.suits(points.shape[1]):
            sparse = self.segmenter.prompt_encoder.embed_points(points, labels, pad=False)
            attended = decoder.attend(self._prepare(decoder), sparse, some)
            scores = attended.predicted_iou.float()
            logits = decoder.masks(attended, torch.ones_like(scores, dtype=torch.bool)).unflatten(0, scores.shape)
        else:
            logits, scores = self.segmenter.decode(self.embedding, points, labels, fed_back)
            logits, scores = logits[:, some], scores[:, some]
        answers = []
        for prompt, its_logits, its_scores in zip(prompts, logits.cpu(), scores.cpu(), strict=True):
            if len(wants) > 1:
                mine = slice(1, None) if prompt.multimask else slice(0, 1)
                its_logits, its_scores = its_logits[mine], its_scores[mine]
            order = its_scores.argsort(descending=True, stable=True)
            low_res = its_logits[order]
            answers.append(
                Masks(
                    [self._encode_mask(one) for one in low_res],
                    self.size,
                    scores=its_scores[order].numpy(),
                    logits=low_res.numpy(),
                )
            )
        return answers

    def _prepare(self, decoder: PromptDecoder) -> PreparedImage:
        """Compute what the prompts of this image share, once as long as the decoder is the same."""
        if self._prepared is None or self._prepared[0] is not decoder:
            encoder = self.segmenter.prompt_encoder
            prepared = decoder.prepare(self.embedding, encoder.get_dense_pe(), encoder.no_mask_embed.weight)
            self._prepared = decoder, prepared
        return self._prepared[1]

    def _encode_mask(self, logits: Tensor) -> RLE:
        """Compress the mask of logits ``[4g, 4g]`` at the image's size."""
        threshold = self.segmenter.mask_threshold
        if self._restorer is None or self._restorer.threshold != threshold:
            self._restorer = WindowRestorer(self.frame, logits.shape[-1], threshold, 0.0)
        window = self._restorer.restore(logits)
        return encode_part(window.mask, window.corner, self.size)

    def segment_everything(
        self,
        preset: str | EverythingSettings = "default",
        *,
        region: Any = None,
        only_uncovered: bool = False,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
        tally: Tally | None = None,
        **settings: Any,
    ) -> Masks:
        """Find every object: ask with a grid of points, and keep the masks that are good, stable and distinct.

        Args:
            preset: "default" (the published generator's settings), "fast", "fine", "sa1b", or settings of your own.
                All but "sa1b" have the thresholds that suit the model, ``segmenter.everything_thresholds``.
            region: where to look: a box (x0, y0, x1, y1) in pixels, a mask of the image ``[H, W]``, or a Masks of
                length 1. The grid is spread over its box; points and masks stay inside. A mask of which less than
                half lies inside is dropped, any other is cut to the region.
            only_uncovered: leave out points on which a good mask lies already. Faster, with fewer masks: parts of
                objects, and objects on top of found ones, are missed.
            progress: called with the number of points done and of all points, after each batch.
            stop: search stops within a batch after this event is set, by another thread or by ``progress``.
            tally: is filled with how many masks were left after each stage, which tells why there are so few.
            settings: changes to the preset, by the names of :class:`EverythingSettings`, such as
                ``points_per_side=16``, ``pred_iou_thresh=0.8`` or ``crop_n_layers=1``.

        Returns:
            The masks, best first, with ``scores`` (predicted IoU), ``stability``, ``points`` and ``crops``.

        Raises:
            EverythingSettingsError: a preset or setting is unknown or out of its range.
            PromptError: the region is malformed or off the image, or crops are wanted of an image without pixels.
            EverythingStoppedError: the event was set.
        """
        chosen = choose_settings(preset, settings).resolve(self.segmenter.everything_thresholds)
        if chosen.crop_n_layers and self.image is None:
            raise PromptError(
                "crops are cut from the image's pixels, and this embedding was loaded without them: encode the image "
                "again, or look at the whole image only, with crop_n_layers=0"
            )

        def encode_crop(box: Sequence[int]) -> tuple[Tensor, Frame]:
            x0, y0, x1, y1 = box
            if (x0, y0, x1, y1) == (0, 0, self.frame.width, self.frame.height):
                return self.embedding, self.frame
            assert self.image is not None
            crop = self.segmenter.encode(self.image[y0:y1, x0:x1], max_pixels=None)
            return crop.embedding, crop.frame

        found = find_masks(
            self.segmenter.network,
            self.segmenter.prompt_decoder,
            self.size,
            chosen,
            encode_crop,
            region=None if region is None else Region(region, self.size),
            only_uncovered=only_uncovered,
            progress=progress,
            stop=stop,
            tally=tally,
        )
        return to_masks(found, self.size)

    def save(self, path: str | Path) -> None:
        """Write the embedding to a safetensors file, from which :meth:`load` needs no encoding.

        The file is written beside ``path`` and renamed, so that it is whole or not there.
        """
        path = Path(path)
        facts = {
            "model": self.segmenter.name,
            "fingerprint": self.segmenter.fingerprint,
            "height": self.frame.height,
            "width": self.frame.width,
            "side": self.frame.side,
        }
        tensors = {"embedding": self.embedding.cpu().contiguous()}
        write_atomically(path, lambda beside: save_file(tensors, beside, {"anymask": json.dumps(facts)}))

    @classmethod
    def load(cls, path: str | Path, segmenter: Segmenter) -> EncodedImage:
        """Read an embedding that :meth:`save` wrote.

        Args:
            path: the file.
            segmenter: the model with which it was made.

        Raises:
            EmbeddingError: the file is missing or damaged, or another model made it.
        """
        path = Path(path)
        if not path.is_file():
            raise EmbeddingError(f"no embedding at {path}: no such file")
        try:
            with safe_open(path, framework="pt") as file:
                facts = json.loads((file.metadata() or {})["anymask"])
                embedding = file.get_tensor("embedding")
            frame = Frame(int(facts["height"]), int(facts["width"]), int(facts["side"]))
            maker = f"{facts['model']}, weights {facts['fingerprint']}, input {frame.side}"
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise EmbeddingError(f"{path} is not an embedding saved by anymask, or is damaged: {error}") from error
        if (facts["fingerprint"], frame.side) != (segmenter.fingerprint, segmenter.input_side):
            raise EmbeddingError(
                f"{path} was made by another model ({maker}) than this one ({segmenter.name}, weights "
                f"{segmenter.fingerprint}, input {segmenter.input_side}); load that one, or encode the image "
                "again"
            )
        encoder = segmenter.prompt_encoder
        wanted = (1, encoder.embed_dim, *encoder.image_embedding_size)
        if embedding.shape != wanted or not embedding.isfinite().all():
            raise EmbeddingError(
                f"{path} is damaged: its embedding must be finite, of the shape {list(wanted)}, and has "
                f"the shape {list(embedding.shape)}; encode the image again"
            )
        return cls(segmenter, embedding.to(segmenter.device), frame)
