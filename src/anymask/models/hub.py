"""Models on the Hugging Face hub, fetched into its cache."""

from __future__ import annotations

import re
from pathlib import Path

from anymask.models.checkpoints import CheckpointError
from anymask.models.downloads import offline_setting
from anymask.models.transformers_folder import CONFIG, PROCESSOR_CONFIGS, WEIGHTS, read_json, shard_names

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_CHECKPOINT_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")


def is_repository(text: str) -> bool:
    """Whether a text has the form ``owner/name`` and is not the path of a checkpoint file."""
    return bool(_REPOSITORY.fullmatch(text)) and not text.lower().endswith(_CHECKPOINT_SUFFIXES)


def fetch_repository(repository: str) -> Path:
    """Fetch a model in SamModel's layout, as far as it is not in the hub's cache.

    The cache's place, offline mode, the access token and a mirror are huggingface_hub's (``HF_HOME``,
    ``HF_HUB_OFFLINE=1``, ``HF_TOKEN``, ``HF_ENDPOINT``); ``ANYMASK_OFFLINE=1`` is offline mode too.

    Args:
        repository: as ``owner/name``.

    Returns:
        The folder in the cache that holds its files.

    Raises:
        CheckpointError: there is no such model, it is not SamModel's, or the hub cannot be reached and the model is
            not in the cache.
    """
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    offline = offline_setting()

    def fetch(name: str, commit: str | None = None) -> Path:
        return Path(hf_hub_download(repository, name, revision=commit, local_files_only=bool(offline)))

    def fetch_first(names: tuple[str, ...], folder: Path) -> Path | None:
        for name in names:
            try:
                return fetch(name, commit=folder.name)
            except EntryNotFoundError as error:
                if isinstance(error, LocalEntryNotFoundError) and not offline:
                    raise
        return None

    alternative = (
        f"download {CONFIG} and {WEIGHTS[0]} of https://huggingface.co/{repository} elsewhere, put them in one folder "
        "and give that folder as the model"
    )
    try:
        folder = fetch(CONFIG).parent
        # The hub is asked once whether there is a newer version; all else is of the version that it named, and what
        # the cache holds of that needs no connection.
        weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
        if weights is None:
            fetch_first(PROCESSOR_CONFIGS, folder)
            weights = fetch_first(WEIGHTS, folder)
        if weights is None:
            raise CheckpointError(
                f"{repository} has its {CONFIG} in the hub's cache but no weights: {alternative}"
                if offline
                else f"{repository} on the Hugging Face hub holds no weights: none of {', '.join(WEIGHTS)}"
            )
        if weights.suffix == ".json":
            for shard in shard_names(read_json(weights), f"{weights.name} of {repository}"):
                if not (folder / shard).is_file():
                    fetch(shard, commit=folder.name)
    except LocalEntryNotFoundError as error:
        state = f"{offline} forbids downloads" if offline else "the Hugging Face hub cannot be reached"
        raise CheckpointError(
            f"there is no file or folder {repository} here, {state}, and the hub's cache ({constants.HF_HUB_CACHE}) "
            f"does not hold that model: {alternative}"
        ) from error
    except GatedRepoError as error:
        raise CheckpointError(
            f"{repository} on the Hugging Face hub is given only to those who accepted its terms: do so on its page, "
            "then log in with `hf auth login`"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise CheckpointError(
            f"there is no file or folder {repository} here, and no such model on the Hugging Face hub (or none that "
            "is open to you: `hf auth login`)"
        ) from error
    except EntryNotFoundError as error:
        raise CheckpointError(
            f"{repository} on the Hugging Face hub is not in SamModel's layout: it lacks "
            f"{CONFIG} or a file that its index names"
        ) from error
    # The library that talks to the hub lets through what its own networking raises, which changed between versions.
    except Exception as error:
        if isinstance(error, CheckpointError):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(
            f"cannot fetch {repository} from the Hugging Face hub: {reason}; {alternative}"
        ) from error
    return folder
