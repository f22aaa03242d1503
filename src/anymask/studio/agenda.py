"""What the background worker does next: the picture that somebody waits for, then those after it, then the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum, StrEnum
from typing import NamedTuple


class Work(StrEnum):
    """What is computed of a picture."""

    EMBEDDING = "embedding"
    PROPOSALS = "proposals"


class Urgency(IntEnum):
    """How much somebody waits for it; the least comes first."""

    CURRENT = 0
    NEXT = 1
    ASKED_PROPOSALS = 2
    AHEAD = 3
    PROPOSALS_AHEAD = 4


class Task(NamedTuple):
    """One thing to compute."""

    picture: int
    work: Work
    urgency: Urgency


NEXT_PICTURES = 2
"""How many pictures after the current one are encoded before its proposals are computed."""


class Agenda:
    """Chooses the next task; knows nothing of threads, files or models.

    The order: embeddings of the current picture and of those that are waited for as such, the last asked for first;
    embeddings of the next pictures; proposals that are waited for, and those of the current picture; embeddings of the
    pictures after the current one, round to those before it; their proposals.

    Args:
        is_done: tells whether a picture's work is done, or cannot be done.
        reach: how many pictures, from the current one on, are worked on before anybody asks.
    """

    def __init__(self, is_done: Callable[[int, Work], bool], reach: int) -> None:
        self._is_done, self.reach = is_done, reach
        self._pictures: list[int] = []
        self._places: dict[int, int] = {}
        self._current: int | None = None
        # Of each that is waited for: how many wait. The last that was asked for stands last.
        self._waiting: dict[tuple[int, Work, bool], int] = {}

    def set_pictures(self, pictures: Sequence[int]) -> None:
        """Take the pictures of the project in the order of the list."""
        self._pictures = list(pictures)
        self._places = {picture: place for place, picture in enumerate(self._pictures)}

    @property
    def current(self) -> int | None:
        """The picture that was opened last."""
        return self._current

    def open(self, picture: int) -> None:
        """Make a picture the current one."""
        self._current = picture

    def wait(self, picture: int, work: Work, urgent: bool) -> None:
        """Somebody waits for this from now on; ``urgent`` for the picture that the person looks at."""
        key = (picture, work, urgent)
        # Taken out first, so that it comes to stand last.
        self._waiting[key] = self._waiting.pop(key, 0) + 1

    def give_up(self, picture: int, work: Work, urgent: bool) -> None:
        """One that waited does so no more."""
        key = (picture, work, urgent)
        count = self._waiting.get(key, 0) - 1
        if count > 0:
            self._waiting[key] = count
        else:
            self._waiting.pop(key, None)

    def ahead(self) -> Iterator[int]:
        """Yield the pictures within reach: the current one, those after it, and round to those before it."""
        start = 0 if self._current is None else self._places.get(self._current, 0)
        for step in range(min(self.reach, len(self._pictures))):
            yield self._pictures[(start + step) % len(self._pictures)]

    def needed(self) -> set[int]:
        """The pictures whose results must be kept: those that are waited for, and those within reach."""
        needed = set(self.ahead()) | {picture for picture, _, _ in self._waiting}
        if self._current is not None:
            needed.add(self._current)
        return needed

    def next(self) -> Task | None:
        """Choose what is to be done now; None where there is nothing."""
        return next((task for task in self._in_order() if not self._is_done(task.picture, task.work)), None)

    def waiting(self) -> int:
        """Count the pictures within reach, or waited for, that have no embedding yet."""
        return sum(not self._is_done(picture, Work.EMBEDDING) for picture in self.needed())

    def _in_order(self) -> Iterator[Task]:
        asked = list(reversed(self._waiting))
        current = [] if self._current is None else [self._current]
        urgent = [picture for picture, work, urgently in asked if work is Work.EMBEDDING and urgently]
        for picture in [*current, *urgent]:
            yield Task(picture, Work.EMBEDDING, Urgency.CURRENT)
        soon = [picture for picture, work, urgently in asked if work is Work.EMBEDDING and not urgently]
        # Proposals need the embedding, which comes first by itself.
        following = [picture for _, picture in zip(range(NEXT_PICTURES + 1), self.ahead(), strict=False)]
        for picture in [*soon, *(following if current else [])]:
            yield Task(picture, Work.EMBEDDING, Urgency.NEXT)
        for picture in [*(picture for picture, work, _ in asked if work is Work.PROPOSALS), *current]:
            yield Task(picture, Work.EMBEDDING, Urgency.ASKED_PROPOSALS)
            yield Task(picture, Work.PROPOSALS, Urgency.ASKED_PROPOSALS)
        for picture in self.ahead():
            yield Task(picture, Work.EMBEDDING, Urgency.AHEAD)
        for picture in self.ahead():
            yield Task(picture, Work.PROPOSALS, Urgency.PROPOSALS_AHEAD)
