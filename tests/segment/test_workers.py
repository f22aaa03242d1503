"""Work on several threads: in order, with exceptions, and without traces."""

import threading
import time

import pytest
import torch

from anymask.segment import workers
from anymask.segment.workers import map_on_workers


@pytest.fixture
def threads():
    """A setter of the number of threads that torch may use."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def running():
    return {thread.ident for thread in threading.enumerate()}


@pytest.mark.parametrize("count", [1, 2, 3, 11])
def test_results_come_in_the_order_of_the_items(threads, count):
    threads(count)
    before = running()

    def work(item):
        # The first items take the longest.
        time.sleep(0.005 * max(0, 5 - item))
        return item * item

    assert list(map_on_workers(work, iter(range(30)))) == [item * item for item in range(30)]
    assert list(map_on_workers(work, [])) == []
    assert running() == before
    assert torch.get_num_threads() == count


def test_work_is_done_at_the_same_time(threads):
    threads(3)
    # It is passed by three together, and never by one after the other.
    barrier = threading.Barrier(3, timeout=20)
    assert sorted(map_on_workers(lambda _: barrier.wait(), range(6))) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(("count", "most", "workers_used", "share"), [(4, 8, 4, 1), (7, 3, 3, 2), (2, 1, 1, 2)])
def test_each_worker_has_its_share_of_the_processor(threads, monkeypatch, count, most, workers_used, share):
    monkeypatch.setattr(workers, "MOST_WORKERS", most)
    threads(count)
    barrier = threading.Barrier(workers_used, timeout=20)

    def work(_):
        barrier.wait()
        return threading.get_ident(), torch.get_num_threads()

    seen = list(map_on_workers(work, range(2 * workers_used)))
    assert {number for _, number in seen} == {share}
    assert len({worker for worker, _ in seen}) == workers_used
    assert torch.get_num_threads() == count


def test_one_thread_needs_no_pool(threads):
    threads(1)
    asked = []
    answers = map_on_workers(lambda item: asked.append(item) or threading.get_ident(), range(3))
    assert next(answers) == threading.get_ident()
    assert asked == [0]
    answers.close()
    assert asked == [0]


@pytest.mark.parametrize("count", [1, 2])
def test_exceptions_come_in_the_place_of_their_result(threads, count):
    threads(count)
    before = running()

    def work(item):
        if item == 2:
            raise ValueError("two is too many")
        return item

    answers = map_on_workers(work, range(50))
    assert [next(answers), next(answers)] == [0, 1]
    with pytest.raises(ValueError, match="two is too many"):
        next(answers)
    with pytest.raises(StopIteration):
        next(answers)
    assert running() == before
    assert torch.get_num_threads() == count


def test_nothing_is_begun_after_the_caller_stops(threads):
    threads(2)
    before, begun, go_on = running(), [], threading.Event()

    def work(item):
        begun.append(item)
        # The first is done at once; whoever takes the others waits.
        if item:
            assert go_on.wait(20)
        return item

    answers = map_on_workers(work, range(100))
    assert next(answers) == 0
    # Closing waits for what was begun, so somebody has to let it end.
    timer = threading.Timer(0.2, go_on.set)
    timer.start()
    answers.close()
    timer.join()
    assert set(begun) <= {0, 1, 2}
    assert running() == before
    assert torch.get_num_threads() == 2


def test_tensors_are_the_same_on_any_number_of_threads(threads):
    generator = torch.Generator().manual_seed(0)
    items = [torch.randn(40, 40, generator=generator) for _ in range(6)]
    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append(torch.stack(list(map_on_workers(lambda item: (item @ item).softmax(1), items))))
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[0])
