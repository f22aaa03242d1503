"""How much freed memory the C library keeps for the next allocation."""

import ctypes
from collections.abc import Callable
from functools import cache

import torch

# The GNU C library takes no block above 32 MB for a hint, and counts its own few bytes with it.
_LARGEST_HINT = 32 * 2**20 - 8192


@cache
def keep_freed_blocks() -> None:
    """Let the GNU C library keep up to 64 MB of freed memory instead of giving each large block back to the system.

    Fetching blocks again, page by page, took up to a fifth of the time for encoding an image. What it counts as large
    follows the largest block that was freed so far, up to 32 MB (mallopt(3), M_MMAP_THRESHOLD), so one of that size is
    allocated, never touched, and freed. Where a user has set limits (MALLOC_MMAP_THRESHOLD_ and others) they stay, and
    other C libraries do not mind.
    """
    torch.empty(_LARGEST_HINT, dtype=torch.uint8)


def give_back_freed_memory() -> None:
    """Give what is free back to the system now, where the C library is GNU's; others do it by themselves.

    Each thread's part of the heap keeps what was freed in it. After pictures of hundreds of megabytes, that is as much
    once more for every thread that had one. Takes milliseconds (malloc_trim(3)).
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return trim
