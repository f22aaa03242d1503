"""Requests to stop, so that a run leaves a checkpoint behind."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn the first SIGINT or SIGTERM into a flag, so that a checkpoint is written before leaving.

    A later one interrupts at once; but not within two seconds, because Ctrl-C under ``torchrun`` reaches a process
    twice, from the terminal and from its parent. Outside the main thread, where Python delivers no signals, the
    flag stays down.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    stopped: list[float] = []

    def note(_number: int, _frame: FrameType | None) -> None:
        if stopped and time.monotonic() - stopped[0] > 2:
            raise KeyboardInterrupt
        stopped.append(time.monotonic())

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(stopped)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
