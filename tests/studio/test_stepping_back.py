"""How background work steps back."""

from __future__ import annotations

import threading
import time

import pytest

from anymask.studio.stepping_back import PatientStop, ProcessorTimes, times_of_this_thread


class Clock:
    """What a thread has computed and waited, as a test says."""

    def __init__(self) -> None:
        self.now: ProcessorTimes | None = ProcessorTimes(5.0, 1.0)

    def pass_by(self, computed: float, waited: float) -> None:
        assert self.now is not None
        self.now = ProcessorTimes(self.now.computed + computed, self.now.waited + waited)


@pytest.mark.parametrize(
    ("computed", "waited", "rest"),
    [(0.03, 0.0, 0.0), (0.03, 0.003, 0.0), (0.03, 0.01, 0.6), (0.09, 0.1, 1.8), (5.0, 5.0, 15.0), (0.001, 0.001, 0.0)],
)
def test_work_rests_for_a_multiple_of_itself_where_it_had_to_wait(computed: float, waited: float, rest: float) -> None:
    clock = Clock()
    stop = PatientStop(lambda: False, lambda: clock.now)
    assert stop.rest() == 0.0, "nothing is known yet"
    clock.pass_by(computed, waited)
    assert stop.rest() == pytest.approx(rest)


def test_short_pieces_of_work_add_up() -> None:
    clock = Clock()
    stop = PatientStop(lambda: False, lambda: clock.now)
    stop.rest()
    rests = []
    for _ in range(3):
        clock.pass_by(0.001, 0.001)
        rests.append(stop.rest())
    assert rests == [0.0, 0.0, pytest.approx(0.06)]


def test_what_somebody_waits_for_never_rests() -> None:
    clock = Clock()
    stop = PatientStop(lambda: True, lambda: clock.now)
    stop.rest()
    clock.pass_by(1.0, 1.0)
    assert stop.rest() == 0.0


def test_nothing_rests_where_the_system_does_not_tell() -> None:
    stop = PatientStop(lambda: False, lambda: None)
    assert [stop.rest(), stop.rest()] == [0.0, 0.0]
    assert not stop.is_set()
    stop.set()
    assert stop.is_set()


def test_a_rest_ends_when_the_work_is_to_stop() -> None:
    clock = Clock()
    stop = PatientStop(lambda: False, lambda: clock.now)
    answers: list[bool] = []
    resting = threading.Event()

    def work() -> None:
        answers.append(stop.is_set())
        clock.pass_by(1.0, 1.0)
        resting.set()
        answers.append(stop.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    resting.wait()
    stop.set()
    thread.join()
    assert answers == [False, True]


@pytest.mark.skipif(times_of_this_thread() is None, reason="the system does not tell a thread's times")
def test_the_system_counts_what_a_thread_computes() -> None:
    before = times_of_this_thread()
    end = time.thread_time() + 0.05
    while time.thread_time() < end:
        pass
    after = times_of_this_thread()
    assert before is not None
    assert after is not None
    assert after.computed - before.computed > 0.03
    assert after.waited >= before.waited
