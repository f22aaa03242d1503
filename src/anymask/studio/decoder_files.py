"""The ONNX files with which the page decodes: made once a model, in a process of its own, and kept.

A wheel has those of the embedded model in it. Run as a program, this makes the files of one model, named as for
:func:`anymask.load`, in one folder; without a folder, in the package, for a wheel.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from filelock import FileLock, Timeout

from anymask.errors import AnymaskError
from anymask.export import export_part
from anymask.segment.segmenter import Segmenter, load
from anymask.studio.messages import Decoder
from anymask.studio.messages import DecoderFiles as Addresses

_log = logging.getLogger(__name__)

PARTS = {"image": "studio-image", "click": "studio", "refine": "studio-refine"}
"""The parts to export, by what the page calls them."""

MOST_KEPT = 4
"""Folders of files that are kept, beside those that were in use during the last day."""
_SECONDS_IN_USE = 86_400.0
_LOCK = "making.lock"

SHIPPED = Path(str(files("anymask.studio"))) / "decoders"
"""What a wheel brings with it, in a folder for each model."""


class DecoderFiles:
    """The files of one model, which are there, are being made, or cannot be made.

    Args:
        model: name of the model, as for :func:`anymask.load`.
        folder: in which files of all models are kept, each in a folder of its own.
    """

    def __init__(self, model: str, folder: Path) -> None:
        self.model, self.folder = model, folder
        self._key: str | None = None
        self._place: Path | None = None
        self._reason: str | None = None
        self._closing = False
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def prepare(self, segmenter: Segmenter, settled: Callable[[], object]) -> None:
        """Begin to make the files where they are not there yet; returns at once.

        Args:
            segmenter: the model.
            settled: called when they are there, or cannot be made.
        """
        self._key = files_key(segmenter)
        self._place = self._find()
        if self._place is not None:
            settled()
            return

        def make() -> None:
            self._make()
            settled()

        threading.Thread(target=make, name="decoder files", daemon=True).start()

    def fail(self, reason: str) -> None:
        """There will be no files, because there is no model."""
        self._reason = reason

    def message(self) -> Decoder:
        """Say how far it is."""
        if self._reason is not None:
            return Decoder(state="failed", reason=self._reason)
        if self._place is None:
            return Decoder(state="preparing")
        places = {name: f"/api/decoder/{self._key}/{part}.onnx" for name, part in PARTS.items()}
        return Decoder(state="ready", files=Addresses(**places))

    def path(self, key: str, part: str) -> Path | None:
        """Find a file by its address; None where there is none."""
        if self._place is None or key != self._key or part not in PARTS.values():
            return None
        self._note_use(self._place)
        return self._place / f"{part}.onnx"

    def close(self) -> None:
        """Stop making files."""
        with self._lock:
            self._closing = True
            if self._process is not None:
                self._process.terminate()

    def _find(self) -> Path | None:
        assert self._key is not None
        for place in (SHIPPED / self._key, self.folder / self._key):
            if all((place / f"{part}.onnx").is_file() for part in PARTS.values()):
                self._note_use(place)
                return place
        return None

    def _note_use(self, place: Path) -> None:
        if place.parent == self.folder:
            with contextlib.suppress(OSError):
                os.utime(place)

    def _make(self) -> None:
        assert self._key is not None
        command = [sys.executable, "-m", "anymask.studio.decoder_files", self.model, str(self.folder / self._key)]
        try:
            with self._lock:
                if self._closing:
                    return
                # In a session of its own, it does not get the Ctrl-C that is meant for the server.
                self._process = subprocess.Popen(
                    command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
                )
            _, said = self._process.communicate()
        except OSError as error:
            said = str(error)
        if self._closing:
            return
        self._place = self._find()
        if self._place is not None:
            return
        lines = [line.strip() for line in said.splitlines() if line.strip()] or ["its process ended without a word"]
        self._reason = f"the decoder for the page cannot be made: {lines[-1].removeprefix('anymask: ')}"
        _log.error("%s", self._reason)


def files_key(segmenter: Segmenter) -> str:
    """Name the files of a model: another name for other weights, and once the files would be made otherwise."""
    return f"{segmenter.weights_fingerprint}-{export_version()}"


def export_version() -> str:
    """Name the way in which files are made: another name once their makers have changed."""
    digest = hashlib.sha256(version("anymask").encode())
    for source in sorted(files("anymask.export").iterdir(), key=lambda one: one.name):
        if source.name.endswith(".py"):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def make_files(model: str, folder: Path) -> None:
    """Make the files of a model, unless another process has made them meanwhile.

    Where it makes any, it removes those beside them that were not used for the longest time, as of models and versions
    that are not used any more: ``MOST_KEPT`` folders stay, and those that were used during the last day.

    Args:
        model: as for :func:`anymask.load`.
        folder: is made.

    Raises:
        AnymaskError: the model cannot be loaded or exported.
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    with FileLock(folder / _LOCK):
        missing = [part for part in PARTS.values() if not (folder / f"{part}.onnx").is_file()]
        segmenter = load(model, device="cpu", precision="float32") if missing else None
        for part in missing:
            assert segmenter is not None
            export_part(segmenter, folder / f"{part}.onnx", part)
    if missing and folder.parent != SHIPPED:
        _drop_unused(folder.parent)


def _drop_unused(decoders: Path) -> None:
    """Remove the folders of files that were not used for the longest time, but for ``MOST_KEPT``."""
    used = []
    with contextlib.suppress(OSError):
        # Whatever else somebody has put there is left alone.
        used = [(one.parent.stat().st_mtime, one.parent) for one in decoders.glob(f"*/{_LOCK}")]
    used.sort(reverse=True)
    for when, place in used[MOST_KEPT:]:
        if time.time() - when < _SECONDS_IN_USE:
            continue
        with contextlib.suppress(OSError, Timeout), FileLock(place / _LOCK, timeout=0):
            shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    try:
        make_files(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else SHIPPED / files_key(load(sys.argv[1])))
    except (AnymaskError, OSError) as error:
        sys.exit(f"anymask: {' '.join(str(error).split())}")
