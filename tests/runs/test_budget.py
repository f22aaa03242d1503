"""Memory for pictures is bounded, in order, and never waits for itself."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from anymask.runs.budget import Budget


def test_what_fits_is_given_at_once():
    budget = Budget(10)
    assert budget.take(0, 4)
    assert budget.take(1, 6)


def test_a_picture_larger_than_everything_goes_alone():
    budget = Budget(10)
    assert budget.take(0, 100)
    taken = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: (budget.take(1, 1), taken.set()))
        assert not taken.wait(0.05)
        budget.give_back(0)
        assert waiting.result(5)[0]


def test_a_small_picture_does_not_overtake_a_large_one():
    budget = Budget(10)
    budget.take(0, 8)
    order = []

    def take(number, size):
        assert budget.take(number, size)
        order.append(number)
        budget.give_back(number)

    with ThreadPoolExecutor(2) as pool:
        small = pool.submit(take, 2, 1)
        large = pool.submit(take, 1, 9)
        assert not small.done()
        budget.give_back(0)
        large.result(5)
        small.result(5)
    assert order == [1, 2]


def test_a_closed_budget_sends_all_away():
    budget = Budget(10)
    budget.take(0, 10)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(budget.take, 1, 1)
        budget.close()
        assert waiting.result(5) is False


def test_giving_back_twice_gives_back_once():
    budget = Budget(10)
    budget.take(0, 6)
    budget.take(1, 4)
    budget.give_back(0)
    budget.give_back(0)
    taken = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: (budget.take(2, 7), taken.set()))
        assert not taken.wait(0.05)
        budget.give_back(1)
        waiting.result(5)


@pytest.mark.parametrize("limit", [1, 50, 1000])
def test_never_more_than_the_limit_is_out_unless_one_is_larger(limit):
    budget, lock, out, worst = Budget(limit), threading.Lock(), {}, []

    def use(number):
        size = number * 7 % 40
        budget.take(number, size)
        with lock:
            out[number] = size
            worst.append((sum(out.values()), sum(1 for one in out.values() if one)))
        with lock:
            del out[number]
        budget.give_back(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(200)))
    assert all(total <= limit or holders == 1 for total, holders in worst)
