"""What is done next."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from anymask.studio.agenda import Agenda, Urgency, Work

EMBEDDING, PROPOSALS = Work.EMBEDDING, Work.PROPOSALS


class Desk:
    """An agenda, and what of it has been done."""

    def __init__(self, pictures: int, reach: int = 100) -> None:
        self.done: set[tuple[int, Work]] = set()
        self.agenda = Agenda(lambda picture, work: (picture, work) in self.done, reach)
        self.agenda.set_pictures(range(1, pictures + 1))

    def work(self, steps: int = 10_000) -> list[str]:
        """Do that many tasks, or all; each as "e3" for the embedding of picture 3, "p3" for its proposals."""
        names = []
        while len(names) < steps and (task := self.agenda.next()) is not None:
            self.done.add(task[:2])
            names.append(f"{task.work[0]}{task.picture}")
        return names


def test_the_current_picture_comes_first_then_the_next_then_its_proposals() -> None:
    desk = Desk(6)
    desk.agenda.open(4)
    assert desk.work() == ["e4", "e5", "e6", "p4", "e1", "e2", "e3", "p5", "p6", "p1", "p2", "p3"]


def test_before_anything_is_opened_all_goes_in_the_order_of_the_list() -> None:
    assert Desk(3).work() == ["e1", "e2", "e3", "p1", "p2", "p3"]
    assert Desk(0).work() == []


def test_who_moves_on_changes_the_order() -> None:
    desk = Desk(9)
    desk.agenda.open(1)
    assert desk.work(5) == ["e1", "e2", "e3", "p1", "e4"]
    desk.agenda.open(8)
    assert desk.work(4) == ["e8", "e9", "p8", "e5"]


def test_what_is_waited_for_comes_before_what_is_not() -> None:
    desk = Desk(9)
    desk.agenda.open(1)
    desk.agenda.wait(9, EMBEDDING, urgent=False)
    desk.agenda.wait(7, EMBEDDING, urgent=True)
    desk.agenda.wait(6, PROPOSALS, urgent=True)
    desk.agenda.wait(8, EMBEDDING, urgent=True)
    assert desk.work(9) == ["e1", "e8", "e7", "e9", "e2", "e3", "e6", "p6", "p1"]


def test_who_waits_no_more_is_forgotten() -> None:
    desk = Desk(9)
    for _ in range(2):
        desk.agenda.wait(5, EMBEDDING, urgent=True)
    desk.agenda.give_up(5, EMBEDDING, urgent=True)
    assert desk.agenda.next() == (5, EMBEDDING, Urgency.CURRENT)
    desk.agenda.give_up(5, EMBEDDING, urgent=True)
    assert desk.agenda.next() == (1, EMBEDDING, Urgency.AHEAD)
    desk.agenda.give_up(5, EMBEDDING, urgent=True)


def test_no_more_is_computed_ahead_than_the_cache_can_hold() -> None:
    desk = Desk(10, reach=3)
    desk.agenda.open(9)
    assert desk.work() == ["e9", "e10", "e1", "p9", "p10", "p1"]
    assert desk.agenda.needed() == {9, 10, 1}
    desk.agenda.wait(5, EMBEDDING, urgent=False)
    assert desk.agenda.needed() == {9, 10, 1, 5}
    assert desk.agenda.waiting() == 1
    assert desk.work() == ["e5"]


def test_a_picture_that_left_the_list_does_not_stop_the_others() -> None:
    desk = Desk(4)
    desk.agenda.open(4)
    desk.agenda.set_pictures([1, 2])
    assert desk.work() == ["e4", "e1", "e2", "p4", "p1", "p2"]


@given(
    pictures=st.integers(1, 8),
    asked=st.lists(st.tuples(st.integers(1, 8), st.sampled_from(Work), st.booleans()), max_size=6),
    opened=st.none() | st.integers(1, 8),
)
def test_everything_is_done_once_the_urgent_first(
    pictures: int, asked: list[tuple[int, Work, bool]], opened: int | None
) -> None:
    desk = Desk(pictures)
    for picture, work, urgent in asked:
        desk.agenda.wait(picture, work, urgent)
    if opened is not None:
        desk.agenda.open(opened)
    urgencies = []
    while (task := desk.agenda.next()) is not None:
        assert task[:2] not in desk.done
        if task.work is PROPOSALS:
            assert (task.picture, EMBEDDING) in desk.done
        desk.done.add(task[:2])
        urgencies.append(task.urgency)
    assert urgencies == sorted(urgencies)
    expected = {(picture, work) for picture in range(1, pictures + 1) for work in Work}
    expected |= {(picture, EMBEDDING) for picture, _, _ in asked}
    expected |= {(picture, PROPOSALS) for picture, work, _ in asked if work is PROPOSALS}
    if opened is not None:
        expected |= {(opened, work) for work in Work}
    assert Counter(desk.done) == Counter(expected)
