"""The loaded model as users hold it: images in, encoded images out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from anymask.errors import AnymaskError
from anymask.models.mask_decoder import MaskDecoder
from anymask.models.prompt_decoder import PromptDecoder, absorbs_all, build_prompt_decoder
from anymask.models.prompt_encoder import PromptEncoder
from anymask.models.registry import EverythingThresholds, everything_thresholds
from anymask.models.sam import Sam
from anymask.models.storage import load_network, save_network
from anymask.models.transformers_folder import write_folder
from anymask.segment.encoded import EncodedImage
from anymask.segment.errors import ImageError
from anymask.segment.frame import Frame
from anymask.segment.pixels import DEFAULT_MAX_PIXELS, ImageSource, read_image

PRECISIONS = ("auto", "float32", "bfloat16")


class DeviceError(AnymaskError, ValueError):
    """A device or precision is not available here."""


def choose_device(name: str | torch.device) -> torch.device:
    """Turn "auto" into the best device here, and check any other.

    Raises:
        DeviceError: the device is unknown or not available.
    """
    if str(name) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"unknown device {name!r}: use auto, cpu, cuda, cuda:1 or mps") from None
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.type, False):
        here = ", ".join(kind for kind, there in available.items() if there)
        raise DeviceError(f"device {name} is not available here; available: {here}")
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise DeviceError(f"device {name} is not available here; there are {torch.cuda.device_count()} of cuda")
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Turn "auto" into bfloat16 where the processor multiplies it natively, else float32.

    Raises:
        DeviceError: the name is not one of PRECISIONS.
    """
    if name not in PRECISIONS:
        raise DeviceError(f"unknown precision {name!r}: use {', '.join(PRECISIONS)}")
    if name != "auto":
        return getattr(torch, name)  # type: ignore[no-any-return]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == "cpu":
        capabilities = torch.backends.cpu.get_cpu_capability()
        native = capabilities == "AVX512" and torch.cpu._is_avx512_bf16_supported()
        return torch.bfloat16 if native else torch.float32
    return torch.float32


def _fingerprint(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for key, value in network.state_dict().items():
        digest.update(key.encode())
        # A few numbers of each tensor tell two trainings apart without reading gigabytes.
        digest.update(value.detach().flatten()[:64].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


class Segmenter:
    """A promptable model, ready to encode images; made by :func:`load`.

    It has the parts and names of the original's model object (``image_encoder``, ``prompt_encoder``,
    ``mask_decoder``, ``device``, ``state_dict()``), so that tools written for that take it.

    Args:
        network: the network, with its weights.
        name: what it is called in messages and embedding files.
        device: where it computes.
        precision: "auto", "float32" or "bfloat16", of the image encoder, and of image tokens in the mask decoder.
            Prompt tokens, prompts with a mask, and the masks that everything mode keeps are computed in float32.
    """

    def __init__(self, network: Sam, name: str, device: str | torch.device = "auto", precision: str = "auto") -> None:
        chosen = choose_device(device)
        self.network = network.to(chosen).eval()
        self.name = name
        self.precision = choose_precision(precision, chosen)
        self._prompt_decoder: PromptDecoder | None = None
        self._prompt_decoder_state: tuple[torch.dtype, bool, list[tuple[int, int]]] | None = None

    def __repr__(self) -> str:
        return f"<Segmenter: {self.name} on {self.device}, {str(self.precision).removeprefix('torch.')}>"

    @property
    def image_encoder(self) -> nn.Module:
        """The image encoder."""
        return self.network.image_encoder

    @property
    def prompt_encoder(self) -> PromptEncoder:
        """The prompt encoder."""
        return self.network.prompt_encoder

    @property
    def mask_decoder(self) -> MaskDecoder:
        """The mask decoder."""
        return self.network.mask_decoder

    @property
    def prompt_decoder(self) -> PromptDecoder:
        """The mask decoder for prompts without a mask, in the model's precision."""
        encoder = self.prompt_encoder
        weights = [*self.mask_decoder.parameters(), *encoder.parameters(), *encoder.buffers()]
        # It copies some weights, and encoded images keep what both parts made of them. Weights count their changes, but
        # for those made in inference mode, and they may move.
        counted = [(weight.data_ptr(), weight._version) for weight in weights if not weight.is_inference()]
        state = self.precision, absorbs_all(self.mask_decoder), counted
        if self._prompt_decoder is None or len(counted) < len(weights) or state != self._prompt_decoder_state:
            self._prompt_decoder = build_prompt_decoder(self.mask_decoder, self.precision)
            self._prompt_decoder_state = state
        return self._prompt_decoder

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.network.device

    @property
    def mask_threshold(self) -> float:
        """Logit above which a pixel belongs to a mask."""
        return self.network.mask_threshold

    @property
    def input_side(self) -> int:
        """Side of the square model input in pixels."""
        return self.network.input_side

    @property
    def logits_side(self) -> int:
        """Side of the low-resolution mask logits."""
        return self.prompt_encoder.mask_input_size[0]

    @property
    def everything_thresholds(self) -> EverythingThresholds:
        """The predicted IoU and the stability that everything mode asks of a mask unless they are given."""
        return everything_thresholds(self.network)

    def state_dict(self) -> dict[str, Tensor]:
        """The weights by their published keys."""
        return self.network.state_dict()

    @cached_property
    def fingerprint(self) -> str:
        """Short hash that tells apart models whose embeddings do not fit each other."""
        return _fingerprint(self.network.image_encoder)

    @cached_property
    def weights_fingerprint(self) -> str:
        """Short hash that tells apart models that do not give the same masks."""
        return _fingerprint(self.network)

    def save(self, path: str | Path) -> None:
        """Write the weights to one file that :func:`load` and training read.

        Its keys are the published ones, and its metadata says which model it is. The file is written beside ``path``
        and renamed, so that it is whole or not there.

        Args:
            path: the file; its name ends in ``.safetensors``.

        Raises:
            CheckpointError: the name has another ending, or the network is not one that :func:`load` could build.
            OSError: the file cannot be written.
        """
        save_network(self.network, path)

    def save_transformers(self, folder: str | Path) -> None:
        """Write a folder that ``SamModel`` and ``SamProcessor`` of Hugging Face's transformers, and :func:`load`, read.

        Args:
            folder: made if it is missing; gets ``model.safetensors``, ``config.json`` and
                ``preprocessor_config.json``.

        Raises:
            CheckpointError: that layout has no place for the network (``pocket`` and ``mobile_sam``), or the folder is
                a file.
            OSError: the folder cannot be made or written to.
        """
        write_folder(self.network, folder)

    def encode(self, image: ImageSource, *, max_pixels: int | None = DEFAULT_MAX_PIXELS) -> EncodedImage:
        """Encode one image.

        Args:
            image: a path, bytes, an open file, a PIL image, or an array (RGB uint8 ``[H, W, 3]``, or another
                kind that :func:`anymask.segment.pixels.read_image` converts).
            max_pixels: the largest image that is decoded; None for no limit.

        Raises:
            ImageError: the image is missing, broken, too large or of an unknown kind.
        """
        return next(iter(self.encode_many([image], batch_size=1, max_pixels=max_pixels)))

    def encode_many(
        self,
        images: Iterable[ImageSource],
        *,
        batch_size: int = 4,
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
    ) -> Iterable[EncodedImage]:
        """Encode several images, ``batch_size`` of them at a time, and yield them in order.

        Args:
            images: as for :meth:`encode`.
            batch_size: images in one pass of the encoder.
            max_pixels: the largest image that is decoded; None for no limit.

        Raises:
            ImageError: an image is missing, broken, too large or of an unknown kind; those before it were yielded.
            ValueError: the batch size is below 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        waiting: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
        for image in images:
            try:
                waiting.append(read_image(image, max_pixels=max_pixels))
            except ImageError:
                # What came before the broken image is good.
                if waiting:
                    yield from self._encode_batch(waiting)
                raise
            if len(waiting) == batch_size:
                yield from self._encode_batch(waiting)
                waiting = []
        if waiting:
            yield from self._encode_batch(waiting)

    def _encode_batch(self, images: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> list[EncodedImage]:
        frames = [Frame(image.shape[0], image.shape[1], self.input_side) for image in images]
        resized = [frame.resize_image(image) for frame, image in zip(frames, images, strict=True)]
        embeddings = self.embed(resized)
        return [
            EncodedImage(self, embeddings[i : i + 1], frame, image)
            for i, (frame, image) in enumerate(zip(frames, images, strict=True))
        ]

    @torch.no_grad()
    def embed(self, resized: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> Tensor:
        """Encode images that already have the model's size.

        Args:
            resized: RGB uint8 ``[h, w, 3]`` each, long side as the model's input.

        Returns:
            ``[B, 256, g, g]`` float32 on the model's device.
        """
        inputs = torch.stack(
            [
                self.network.preprocess(torch.from_numpy(image).to(self.device).permute(2, 0, 1).float())
                for image in resized
            ]
        )
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            embedding: Tensor = self.image_encoder(inputs)
        return embedding.float().contiguous()

    def decode(
        self,
        embedding: Tensor,
        points: Tensor,
        labels: Tensor,
        fed_back: Sequence[Tensor | None],
    ) -> tuple[Tensor, Tensor]:
        """Predict all four masks of several prompts with equally many tokens on one image.

        Args:
            embedding: ``[1, C, g, g]``.
            points: ``[N, T, 2]`` in model-input pixels, fillers and box corners included.
            labels: ``[N, T]`` as in :class:`anymask.segment.prompts.EncodablePrompt`.
            fed_back: for each prompt logits ``[4g, 4g]``, or None.

        Returns:
            Logits ``[N, 4, 4g, 4g]`` (the first answers unambiguous prompts) and predicted IoU ``[N, 4]``,
            float32.
        """
        encoder = self.prompt_encoder
        sparse = encoder.embed_points(points, labels, pad=False)
        dense = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        if any(logits is not None for logits in fed_back):
            without = dense.expand(1, -1, *encoder.image_embedding_size)
            rows = [
                without if logits is None else encoder.embed_masks(logits.to(self.device)[None, None])
                for logits in fed_back
            ]
            dense = torch.cat(rows)
        logits, scores = self.mask_decoder.decode(embedding, encoder.get_dense_pe(), sparse[None], dense[None])
        return logits[0].float(), scores[0].float()


def load(
    model: str | Path | Sam = "pocket", *, device: str | torch.device = "auto", precision: str = "auto"
) -> Segmenter:
    """Load a model.

    Args:
        model: a name ("pocket", which is in the package, or "mobile_sam", "vit_b", "vit_l", "vit_h"), a checkpoint
            file of one of them, a folder or hub id ("facebook/sam-vit-base") in the layout of Hugging Face's
            SamModel, or a network.
        device: "auto" for the best there is, or "cpu", "cuda", "cuda:1", "mps".
        precision: "auto" (bfloat16 where the processor has it), "float32" or "bfloat16".

    Raises:
        CheckpointError: the weights are missing, damaged or of another model.
        UnknownModelError: neither a known name nor a file or folder.
        DeviceError: the device or precision is not available.
    """
    if isinstance(model, Sam):
        return Segmenter(model, "custom", device, precision)
    # Before gigabytes are read, a mistyped device should be said.
    choose_precision(precision, choose_device(device))
    network, name = load_network(model)
    return Segmenter(network, name, device, precision)
