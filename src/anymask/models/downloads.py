"""Getting published weights: only when asked to, only into their folder, and only if they are what was published."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from filelock import FileLock, Timeout

from anymask.models.locations import weights_folder
from anymask.models.registry import ModelSpec, model_spec
from anymask.models.transfer import DownloadError, PartialFile, Progress, Say, copy_file, fetch, shown
from anymask.models.verification import (
    ChecksumError,
    Verification,
    Weights,
    check_file,
    remember_hash,
    verify_weights,
    weights_status,
)

OFFLINE_VARIABLES = ("ANYMASK_OFFLINE", "HF_HUB_OFFLINE")


class OfflineError(DownloadError):
    """A download was asked for in offline mode; the message says what to put where."""


def offline_setting() -> str:
    """The environment variable that forbids downloads, with its value; "" where none does."""
    for name in OFFLINE_VARIABLES:
        value = os.environ.get(name, "")
        if value.upper() in ("1", "ON", "YES", "TRUE"):
            return f"{name}={value}"
    return ""


def find_source(source: str, file_name: str) -> str | Path:
    """Read a source as a user types it.

    Args:
        source: an http or https address, a ``file:`` address or a path; of the file, or of a folder that holds it
            (an address of a folder ends in a slash).
        file_name: the file's name in a folder.

    Returns:
        An address, or the path of a file on this machine.

    Raises:
        DownloadError: it is of another kind, or no such file.
    """
    parts = urlsplit(source)
    if parts.scheme in ("http", "https"):
        if not parts.hostname:
            raise DownloadError(f"{source} names no host; write it like https://mirror.example/folder/")
        return source + file_name if source.endswith("/") else source
    if "://" in source and parts.scheme != "file":
        raise DownloadError(f"cannot download by {parts.scheme}; give an http or https address, or a path")
    path = Path(url2pathname(parts.path) if parts.scheme == "file" else source).expanduser()
    if path.is_dir():
        path = path / file_name
    if not path.is_file():
        raise DownloadError(f"there is no file at {path}")
    return path


def _weights_here(name: str, progress: Progress) -> Weights | None:
    """The weights of a model if they are here, with their hash computed if it was not."""
    weights = weights_status(name)
    if weights.path is None:
        return None
    if weights.verification is Verification.UNCHECKED or not (weights.sha256 or not weights.spec.source):
        return verify_weights(name, progress)
    return weights


@contextmanager
def _alone(target: Path, name: str, say: Say) -> Iterator[None]:
    """Keep other processes from getting the same file; they wait."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"another process is getting {name}; waiting for it")
            lock.acquire()
    except OSError as error:
        raise DownloadError(f"cannot write in {target.parent}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def _transfer(spec: ModelSpec, source: str | Path, part: PartialFile, origin: str, progress: Progress, say: Say) -> str:
    """Fill the partial file and see that it is the published one; returns its SHA-256."""
    while True:
        carried_on = part.size > 0
        if isinstance(source, Path):
            copy_file(source, part, progress)
        else:
            fetch(source, part, size=spec.size, hashed=bool(spec.sha256), progress=progress, say=say)
        try:
            return check_file(spec, part.path, f"what {origin} gave", progress)
        except ChecksumError as error:
            part.discard()
            # What was there before may have been damaged on the disk; what has just come was not.
            if not carried_on:
                raise ChecksumError(f"{error}; it was removed") from error
            say(f"{error}; it was removed, beginning anew")


def get_weights(
    name: str,
    *,
    source: str | None = None,
    force: bool = False,
    progress: Progress = lambda *_: None,
    say: Say = lambda _: None,
) -> Weights:
    """Get the published weights of a model into :func:`weights_folder`, unless they are here.

    What arrives is kept beside its place until it is complete and its SHA-256 is the published one; a download that
    broke off is carried on with. Processes that want the same file wait for each other.

    Args:
        name: the model's name in the registry.
        source: another place to get the file from, as for :func:`find_source`; its hash is compared all the same.
        force: get it anew even if it is here; the old file stays until the new one is complete.
        progress: called with a stage, bytes done and bytes in all.
        say: called with what a waiting user should know.

    Raises:
        UnknownModelError: the name is not in the registry.
        OfflineError: a download is needed, and offline mode is on.
        DownloadError: the source has no such file, the connection fails, or the file cannot be written.
        ChecksumError: the source gave another file, which was removed; or the file that is here is another.
    """
    spec = model_spec(name)
    if not spec.source:
        return weights_status(name)
    chosen = find_source(source or spec.source, spec.file_name)
    if not force and (here := _weights_here(name, progress)):
        return here
    target = weights_folder() / spec.file_name
    if isinstance(chosen, str) and (setting := offline_setting()):
        raise OfflineError(
            f"{name} was not downloaded, because {setting} is set: download {shown(chosen)} elsewhere and put it at "
            f"{target}, or name a copy with --source FILE"
        )
    origin = shown(chosen) if isinstance(chosen, str) else str(chosen)
    with _alone(target, name, say):
        if not force and (here := _weights_here(name, progress)):
            return here
        part = PartialFile(target)
        sha256 = _transfer(spec, chosen, part, origin, progress, say)
        part.finish(target)
        return remember_hash(spec, target, sha256)
