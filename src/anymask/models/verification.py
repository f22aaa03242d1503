"""Whether the weights on this machine are the published ones: hashes, computed once and remembered."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from safetensors import SafetensorError, safe_open

from anymask.atomic import write_atomically
from anymask.models.checkpoints import CheckpointError, load_state_dict
from anymask.models.locations import find_weights, locate, weights_folder
from anymask.models.registry import ModelSpec, UnknownModelError, guess_model, model_spec
from anymask.models.transfer import Progress


class ChecksumError(CheckpointError):
    """A file is not the published one; the message says what was expected and what it is."""


class Verification(StrEnum):
    """What is known of the weights on this machine."""

    PACKAGE = "in the package"
    VERIFIED = "verified"
    UNCHECKED = "not checked"
    UNVERIFIED = "unverified"
    """No hash was published with which the file's could be compared."""
    ABSENT = "not here"


@dataclass(frozen=True)
class Weights:
    """The weights of a model on this machine.

    Attributes:
        spec: the model.
        path: the file; None where it is not here.
        verification: what is known of it.
        sha256: its hash, where it was computed, else "".
    """

    spec: ModelSpec
    path: Path | None
    verification: Verification
    sha256: str = ""


@dataclass(frozen=True)
class _Record:
    """The hash of a file, with what tells that it is still the same file."""

    path: str
    size: int
    modified_ns: int
    sha256: str


def _record_path(spec: ModelSpec) -> Path:
    return weights_folder() / f".{spec.file_name}.checked.json"


def _recorded_hash(spec: ModelSpec, path: Path) -> str:
    try:
        record = _Record(**json.loads(_record_path(spec).read_text()))
        facts = path.stat()
    except (OSError, ValueError, TypeError):
        return ""
    same = (record.path, record.size, record.modified_ns) == (str(path), facts.st_size, facts.st_mtime_ns)
    return record.sha256 if same else ""


def remember_hash(spec: ModelSpec, path: Path, sha256: str) -> Weights:
    """Remember the hash of a file for as long as its size and time stay, and say what follows from it."""
    facts = path.stat()
    text = json.dumps(asdict(_Record(str(path), facts.st_size, facts.st_mtime_ns, sha256)))
    # The folder may be one that only an administrator writes; then the hash is computed again when it is asked for.
    with suppress(OSError):
        write_atomically(_record_path(spec), lambda beside: beside.write_text(text))
    return _judge(spec, path, sha256)


def _judge(spec: ModelSpec, path: Path, sha256: str) -> Weights:
    if not spec.sha256:
        return Weights(spec, path, Verification.UNVERIFIED, sha256)
    return Weights(spec, path, Verification.VERIFIED if sha256 == spec.sha256 else Verification.UNCHECKED, sha256)


def weights_status(name: str) -> Weights:
    """Say where the weights of a model are and what is known of them, without reading them.

    Raises:
        UnknownModelError: the name is not in the registry.
    """
    spec = model_spec(name)
    path = find_weights(spec)
    if path is None:
        return Weights(spec, None, Verification.ABSENT)
    if not spec.source:
        return Weights(spec, path, Verification.PACKAGE)
    return _judge(spec, path, _recorded_hash(spec, path))


def _hash_file(path: Path, progress: Progress) -> str:
    digest = hashlib.sha256()
    total = path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            progress("checking", file.tell(), total)
    return digest.hexdigest()


def _check_content(spec: ModelSpec, path: Path) -> None:
    """Without a published hash, see that the file can be read and is of this model."""
    if spec.file_name.endswith(".safetensors"):
        # load_state_dict goes by the suffix, and a partial file has another one.
        try:
            with safe_open(path, framework="pt") as tensors:
                state = {key: tensors.get_tensor(key) for key in tensors.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise CheckpointError(f"{path} is truncated or not safetensors: {error}") from error
    else:
        state = load_state_dict(path)
    found = guess_model(state, str(path))
    if found != spec.name:
        raise CheckpointError(f"{path} holds {found}")


def check_file(spec: ModelSpec, path: Path, origin: str, progress: Progress) -> str:
    """See that a file is the published one, or, where no hash was published, that it is a checkpoint of the model.

    Args:
        spec: the model.
        path: the file.
        origin: what the message calls it.
        progress: called with "checking", bytes done and bytes in all.

    Returns:
        Its SHA-256.

    Raises:
        ChecksumError: it is another file.
    """
    other = f"{origin} is not the published file of {spec.name}"
    size = path.stat().st_size
    if spec.size and size != spec.size:
        raise ChecksumError(f"{other}: it has {size:,} bytes, that one has {spec.size:,}")
    sha256 = _hash_file(path, progress)
    if spec.sha256 and sha256 != spec.sha256:
        raise ChecksumError(f"{other}: its SHA-256 is {sha256}, expected was {spec.sha256}")
    if not spec.sha256:
        try:
            _check_content(spec, path)
        except (CheckpointError, UnknownModelError) as error:
            raise ChecksumError(f"{origin} is not a checkpoint of {spec.name}: {error}") from error
    return sha256


def verify_weights(name: str, progress: Progress = lambda *_: None) -> Weights:
    """Read the weights of a model on this machine and compare their hash with the published one.

    Args:
        name: the model's name in the registry.
        progress: called with "checking", bytes done and bytes in all.

    Raises:
        UnknownModelError: the name is not in the registry.
        CheckpointError: the weights are not here.
        ChecksumError: the file is another one.
    """
    spec = model_spec(name)
    path = locate(name)
    if not spec.source:
        return weights_status(name)
    try:
        sha256 = check_file(spec, path, str(path), progress)
    except ChecksumError as error:
        raise ChecksumError(f"{error}; `anymask models get {name} --force` puts that one in its place") from error
    return remember_hash(spec, path, sha256)
