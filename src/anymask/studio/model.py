"""The model that the studio works with, loaded while the page is up already."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from anymask.errors import AnymaskError
from anymask.models.hub import is_repository
from anymask.models.locations import locate
from anymask.segment.segmenter import Segmenter, choose_device, choose_precision, load
from anymask.studio.errors import ModelUnavailableError
from anymask.studio.messages import Model

_log = logging.getLogger(__name__)


class StudioModel:
    """A model that is there, is being loaded, or could not be loaded.

    Args:
        name: as for :func:`anymask.load`.
        device: see there.
        precision: see there.
        loaded: the model, where it has been loaded from that already.
    """

    def __init__(
        self,
        name: str = "pocket",
        device: str = "auto",
        precision: str = "auto",
        *,
        loaded: Segmenter | None = None,
    ) -> None:
        self.name, self.device, self.precision = name, device, precision
        self._segmenter = loaded
        self._reason: str | None = None
        self._lock = threading.Lock()

    def check(self) -> None:
        """Find a mistyped name, missing weights or a missing device before anything else is begun.

        Raises:
            CheckpointError: the weights are not here.
            UnknownModelError: neither a known name nor a file or folder.
            DeviceError: the device or precision is not available.
        """
        choose_precision(self.precision, choose_device(self.device))
        path = Path(self.name).expanduser()
        if not path.is_dir() and not (is_repository(self.name) and not path.exists()):
            locate(self.name)

    def load(self) -> Segmenter:
        """Load it, or wait for another thread that does; the second time it is there.

        Raises:
            ModelUnavailableError: it could not be loaded.
        """
        with self._lock:
            if self._segmenter is None and self._reason is None:
                try:
                    self._segmenter = load(self.name, device=self.device, precision=self.precision)
                except (AnymaskError, OSError, MemoryError, RuntimeError) as error:
                    self._reason = f"the model {self.name} cannot be loaded: {' '.join(str(error).split())}"
                    _log.error("%s", self._reason)
        if self._segmenter is None:
            raise ModelUnavailableError(self._reason)
        return self._segmenter

    @property
    def reason(self) -> str | None:
        """Why it could not be loaded."""
        return self._reason

    @property
    def segmenter(self) -> Segmenter | None:
        """The model, if it has been loaded."""
        return self._segmenter

    def message(self) -> Model | None:
        """Describe it for the page; None as long as it is not there."""
        loaded = self._segmenter
        if loaded is None:
            return None
        encoder = loaded.prompt_encoder
        rows, columns = encoder.image_embedding_size
        return Model(
            name=loaded.name,
            fingerprint=loaded.weights_fingerprint,
            input_side=loaded.input_side,
            logits_side=loaded.logits_side,
            embedding_shape=(1, encoder.embed_dim, rows, columns),
            mask_threshold=loaded.mask_threshold,
        )
