"""Memory for pictures, handed out in the order of the pictures."""

from __future__ import annotations

import threading


class Budget:
    """A number of bytes of which each picture takes its share before it is decoded, and gives it back when it is done.

    Pictures are numbered from 0 and are served strictly in that order, so that a small one cannot overtake a large one
    for which there is no room yet: a pipeline that hands pictures on in order then never waits for itself. A picture
    larger than everything goes alone.

    Args:
        limit: bytes in all.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._next = 0
        self._taken: dict[int, int] = {}
        self._closed = False
        self._changed = threading.Condition()

    def take(self, number: int, size: int) -> bool:
        """Wait until it is this picture's turn and there is room for it.

        Args:
            number: the picture's; every number must come once, whatever its size.
            size: bytes.

        Returns:
            False if the budget was closed meanwhile.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or (number == self._next and (not self._used or self._used + size <= self._limit))
            )
            if self._closed:
                return False
            self._next += 1
            self._used += size
            self._taken[number] = size
            self._changed.notify_all()
            return True

    def give_back(self, number: int) -> None:
        """Return a picture's share; nothing happens if it has none."""
        with self._changed:
            self._used -= self._taken.pop(number, 0)
            self._changed.notify_all()

    def close(self) -> None:
        """Let all that wait go away empty-handed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
