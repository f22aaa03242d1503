"""The precision in which the drop-in encodes images: that of the published package, unless told otherwise."""

from __future__ import annotations

import os

import torch

from anymask.segment.segmenter import DeviceError, choose_precision

PRECISION_VARIABLE = "ANYMASK_PRECISION"

_chosen: str | None = None


def set_drop_in_precision(precision: str | None) -> None:
    """Choose "auto", "float32" or "bfloat16" for this process; None leaves it to ``ANYMASK_PRECISION``.

    Raises:
        DeviceError: another name.
    """
    global _chosen
    if precision is not None:
        choose_precision(precision, torch.device("cpu"))
    _chosen = precision


def drop_in_precision(device: torch.device) -> torch.dtype:
    """The precision chosen for this process, else that of ``ANYMASK_PRECISION``, else float32.

    Raises:
        DeviceError: the variable holds another name than "auto", "float32" or "bfloat16".
    """
    if _chosen is not None:
        return choose_precision(_chosen, device)
    try:
        return choose_precision(os.environ.get(PRECISION_VARIABLE) or "float32", device)
    except DeviceError as error:
        raise DeviceError(f"{PRECISION_VARIABLE}: {error}") from error
