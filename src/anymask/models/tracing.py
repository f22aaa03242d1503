"""Whether what is computed is being recorded as a graph, which then answers other inputs too."""

from __future__ import annotations

import torch


def is_tracing() -> bool:
    """Say whether a tracer records, as for PyTorch's older exporter: it follows tensors, and sizes only as tensors."""
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tracing


def is_recorded() -> bool:
    """Say whether a tracer, ``torch.export`` or ``torch.compile`` records."""
    return is_tracing() or torch.compiler.is_compiling()
