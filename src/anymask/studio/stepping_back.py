"""Background work that steps back while others want the processor.

A low priority alone does not do it: Linux shares the processor first among sessions or control groups, such as those of
a terminal and of a browser, and looks at the priority of threads only within each.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from anymask.segment.workers import limit_this_thread

_NICENESS = 10
"""Of threads that compute what nobody waits for (setpriority(2))."""
_SCHEDULE = Path("/proc/thread-self/schedstat")
_LEAST = 0.005
"""Seconds after which it is told whether the processor is wanted by others."""
_WANTED = 0.1
"""From this part of the time on that a thread waited for the processor, others want it."""
_REST = 20.0
"""How long is rested, as a multiple of the work before: so seldom that most movements of a pointer never meet it."""
_LONGEST_REST = 15.0
"""Seconds."""


class ProcessorTimes(NamedTuple):
    """Seconds that a thread has computed, and that it has waited for a processor."""

    computed: float
    waited: float


def times_of_this_thread() -> ProcessorTimes | None:
    """Ask the system; None where it does not tell."""
    try:
        computed, waited, _ = _SCHEDULE.read_text().split()
    except (OSError, ValueError):
        return None
    return ProcessorTimes(int(computed) / 1e9, int(waited) / 1e9)


class PatientStop(threading.Event):
    """An event that stops work, and makes whoever asks for it rest first where others want the processor.

    Args:
        hurries: tells whether somebody waits for the work, which then goes on without a rest.
        times: tells how long the thread that asks has computed and waited.
    """

    def __init__(
        self, hurries: Callable[[], bool], times: Callable[[], ProcessorTimes | None] = times_of_this_thread
    ) -> None:
        super().__init__()
        self._hurries, self._times = hurries, times
        self._last = threading.local()

    def is_set(self) -> bool:
        """Tell whether to stop, after a rest that ends when it is time to stop."""
        return self.wait(self.rest())

    def rest(self) -> float:
        """Seconds for which this thread should rest after what it did since it asked before."""
        now = self._times()
        before: ProcessorTimes | None = getattr(self._last, "times", None)
        if now is None or before is None:
            self._last.times = now
            return 0.0
        computed, waited = now.computed - before.computed, now.waited - before.waited
        if computed + waited < _LEAST:
            return 0.0
        self._last.times = now
        if self._hurries():
            return 0.0
        return min(_REST * computed, _LONGEST_REST) if waited > _WANTED * (computed + waited) else 0.0


def step_back(threads: int) -> None:
    """Let the browser, and whatever else is on the same cores, go before this thread.

    Args:
        threads: that tensor operations begun on it may use.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
    limit_this_thread(threads)
