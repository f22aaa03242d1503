"""Whether freed blocks stay in the process, by counting the pages that are fetched anew."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from anymask.models.freed_memory import keep_freed_blocks

if sys.argv[1] == "keep":
    keep_freed_blocks()

def use_blocks():
    # Two at a time, so that what is freed last lies at the end of the heap.
    return torch.ones(20 * 2**20, dtype=torch.uint8), torch.ones(20 * 2**20, dtype=torch.uint8)

use_blocks()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use_blocks()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() // 2**20)
"""


def fetched_megabytes(mode: str) -> int:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_"))}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True, env=environment
    )
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have rules of their own")
def test_blocks_are_fetched_once() -> None:
    # 400 MB are used in all, 40 at a time.
    assert fetched_megabytes("keep") < 200
