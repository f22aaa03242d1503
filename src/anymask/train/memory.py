"""Keeping freed memory in the process while training."""

from __future__ import annotations

import ctypes
import sys

# From malloc.h: how much free memory may stay at the heap's top, and how many blocks come from mmap.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed memory for the next allocation instead of giving it back.

    Every step allocates and frees the same gigabytes in blocks of some megabytes, which the GNU C library gives back
    to the system each time; fetching them again page by page took a fifth of a training step.

    Returns:
        Whether the C library took the settings; others than GNU's need none.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, 2**31 - 1))
