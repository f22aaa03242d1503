"""Image embeddings on disk: an encoder that is not trained sees each picture once, in this run and in later ones.

One file for each window of each image, float16, in a folder for each encoder::

    FOLDER/<fingerprint of the encoder>-<input side>-<precision>/<hash of the pixels>-<window>.safetensors

The hash is that of the decoded pixels, so a renamed or moved image is known again, and one that was edited is not.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from anymask.atomic import write_atomically
from anymask.errors import AnymaskError
from anymask.segment.encoded import EncodedImage
from anymask.segment.segmenter import Segmenter
from anymask.train.zooms import Zoom, whole_image

AT_A_TIME = {"cpu": 2, "cuda": 16, "mps": 8}
"""Windows in one pass of the encoder."""

Pixels = NDArray[np.uint8]


class EmbeddingCacheError(AnymaskError, ValueError):
    """The embedding cache cannot hold what is asked of it; the message says how large it would have to be."""


def hash_pixels(pixels: Pixels) -> str:
    """Return a short hash of decoded pixels ``[H, W, 3]`` and their shape."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()[:24]


class EmbeddingCache:
    """Embeddings of one encoder on disk.

    Args:
        segmenter: encodes what is not there yet.
        folder: where the embeddings of all encoders lie.
        max_bytes: what all of them may take together; those used longest ago give way.
    """

    def __init__(self, segmenter: Segmenter, folder: Path, max_bytes: int) -> None:
        self.segmenter, self.root, self.max_bytes = segmenter, folder, max_bytes
        precision = str(segmenter.precision).removeprefix("torch.")
        self.folder = folder / f"{segmenter.fingerprint}-{segmenter.input_side}-{precision}"
        encoder = segmenter.prompt_encoder
        self.shape = (1, encoder.embed_dim, *encoder.image_embedding_size)
        self._used: set[Path] = set()
        self._others: dict[Path, tuple[float, int]] | None = None

    @property
    def file_bytes(self) -> int:
        """Bytes that one embedding takes, but for a short header."""
        return 2 * int(np.prod(self.shape)) + 256

    def path(self, digest: str, zoom: Zoom) -> Path:
        """Return the file for a window of the image whose pixels have this hash."""
        window = "-".join(str(edge) for edge in zoom.box)
        return self.folder / f"{digest}-{window}{'-flip' if zoom.flip else ''}.safetensors"

    def check_room(self, count: int) -> None:
        """See that so many embeddings fit.

        Raises:
            EmbeddingCacheError: they do not, even alone.
        """
        needed = count * self.file_bytes
        if needed > self.max_bytes:
            raise EmbeddingCacheError(
                f"{count} embeddings take {needed / 2**30:.1f} GiB, and the cache may hold "
                f"{self.max_bytes / 2**30:.1f} GiB: raise its limit, or show fewer images or views of each"
            )

    def make_room(self, wanted: Collection[Path]) -> int:
        """Delete what was used longest ago until ``wanted`` fit too; never what was asked for before.

        Returns:
            How many of ``wanted`` are not there yet.
        """
        if self._others is None:
            self._others = self._files()
        self._used |= set(wanted)
        for path in wanted:
            self._others.pop(path, None)
        excess = len(self._used) * self.file_bytes + sum(size for _, size in self._others.values()) - self.max_bytes
        if excess > 0:
            for path, (_, size) in sorted(self._others.items(), key=lambda item: item[1]):
                path.unlink(missing_ok=True)
                del self._others[path]
                excess -= size
                if excess <= 0:
                    break
        return sum(not path.is_file() for path in wanted)

    def _files(self) -> dict[Path, tuple[float, int]]:
        """List all embeddings with the time of their last use and their size."""
        found = {}
        for path in self.root.rglob("*.safetensors") if self.root.is_dir() else ():
            try:
                facts = path.stat()
            except FileNotFoundError:
                # Another run made room at the same time.
                continue
            found[path] = (facts.st_mtime, facts.st_size)
        return found

    def size(self) -> int:
        """Return how many bytes the embeddings of all encoders take."""
        return sum(size for _, size in self._files().values())

    def _read(self, path: Path) -> Tensor | None:
        try:
            embedding = load_file(path)["embedding"]
        except (OSError, SafetensorError, KeyError):
            # Missing, or cut off by a full disk: it is made again.
            return None
        if embedding.shape != self.shape or not embedding.isfinite().all():
            return None
        # The time of the last use decides which embeddings give way.
        os.utime(path, (time.time(), time.time()))
        return embedding

    def fill(self, windows: Sequence[tuple[Path, Zoom]], pixels: Pixels) -> None:
        """Encode those windows of one image that are not on disk yet.

        Args:
            windows: files (see :meth:`path`) and the windows they are for.
            pixels: the image, RGB ``[H, W, 3]``.
        """
        missing = [(path, zoom) for path, zoom in windows if not path.is_file()]
        at_a_time = AT_A_TIME.get(self.segmenter.device.type, 2)
        for start in range(0, len(missing), at_a_time):
            some = missing[start : start + at_a_time]
            embeddings = embed_windows(self.segmenter, pixels, [zoom for _, zoom in some]).cpu().half()
            for (path, _), embedding in zip(some, embeddings, strict=True):
                self._write(path, embedding[None].contiguous())

    def _write(self, path: Path, embedding: Tensor) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda beside: save_file({"embedding": embedding}, beside))

    def get(self, path: Path, zoom: Zoom, pixels: Callable[[], Pixels]) -> Tensor:
        """Return the embedding ``[1, C, g, g]`` of a window, float32 on the model's device.

        Args:
            path: its file, from :meth:`path`.
            zoom: the window.
            pixels: reads the image, should the file be missing or damaged.
        """
        embedding = self._read(path)
        if embedding is None:
            # What is read back is what was written, so a first run trains on the same numbers as a later one.
            embedding = embed_windows(self.segmenter, pixels(), [zoom]).cpu().half()
            self._write(path, embedding)
        return embedding.to(self.segmenter.device).float()


@torch.no_grad()
def embed_windows(segmenter: Segmenter, pixels: Pixels, zooms: Sequence[Zoom]) -> Tensor:
    """Encode windows of one image as if each were an image: ``[B, C, g, g]`` float32."""
    side = segmenter.input_side
    return segmenter.embed([zoom.frame(side).resize_image(cast(Pixels, zoom.cut(pixels))) for zoom in zooms])


class CachedSegmenter:
    """A model for :func:`anymask.evaluate.evaluate_clicks` whose embeddings come from the cache.

    Args:
        segmenter: answers the prompts; its encoder must be that of the cache.
        cache: the embeddings.
    """

    def __init__(self, segmenter: Segmenter, cache: EmbeddingCache) -> None:
        self.segmenter, self.cache = segmenter, cache
        self.name = segmenter.name

    def encode(self, image: Pixels, /) -> EncodedImage:
        """Look the embedding of RGB uint8 ``[H, W, 3]`` up, or make it."""
        height, width, _ = image.shape
        zoom = whole_image((height, width))
        embedding = self.cache.get(self.cache.path(hash_pixels(image), zoom), zoom, lambda: image)
        return EncodedImage(self.segmenter, embedding, zoom.frame(self.segmenter.input_side), image)
