"""Learning rates over the steps of a phase."""

from __future__ import annotations

import bisect
import math

from anymask.train.config import PhaseConfig


def rate_factor(phase: PhaseConfig, step: int) -> float:
    """Say what the peak rate of ``phase`` is multiplied by at ``step`` (from 0): warm-up times decay."""
    warm = min(1.0, (step + 1) / max(1, phase.warmup))
    if phase.schedule == "step":
        return warm * phase.decay_factor ** bisect.bisect_right(phase.decay_steps, step)
    if phase.schedule == "constant":
        return warm
    cosine = 0.5 * (1 + math.cos(math.pi * step / phase.steps))
    return warm * (phase.final_rate + (1 - phase.final_rate) * cosine)
