"""Freed memory stays in the process: the next allocation fetches no fresh pages."""

import subprocess
import sys

import pytest

from anymask.train import memory
from anymask.train.memory import keep_freed_memory

# Page faults of allocating and writing 64 MB forty times.
SCRIPT = """
import resource, runpy, sys

if sys.argv[1] == "keep":
    assert runpy.run_path(sys.argv[2])["keep_freed_memory"]()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for number in range(40):
    bytes([number]) * 2**26
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only the GNU C library has these settings")
def test_memory_is_kept() -> None:
    if not keep_freed_memory():
        pytest.skip("this C library has no mallopt")
    faults = {}
    for choice in ("keep", "give back"):
        command = [sys.executable, "-c", SCRIPT, choice, str(memory.__file__)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        faults[choice] = int(done.stdout)
    assert faults["keep"] < faults["give back"] / 10


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
