"""Images overlap on this machine's threads, in order, in bounded memory, and with the same masks as alone."""

import os
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from anymask.runs.inputs import list_items
from anymask.runs.job import Everything, Job
from anymask.runs.local import LocalPipeline
from anymask.segment.everything_settings import EverythingSettings

from .conftest import Brighter

pytestmark = pytest.mark.usefixtures("loaded_once")

SEARCH = Job(Everything(EverythingSettings(points_per_side=2, pred_iou_thresh=0.0, stability_score_thresh=0.0)))


def items_of(folder):
    return list_items([str(folder)])


def test_outcomes_do_not_depend_on_how_many_go_side_by_side_or_on_room(photographs):
    items, loaded = items_of(photographs), SEARCH.load()
    alone = [outcome for item in items for outcome in LocalPipeline(loaded).run([item])]
    assert all(outcome.masks for outcome in alone)
    for side_by_side, memory in [(1, 1 << 30), (3, 1 << 30), (2, 1), (2, 30_000)]:
        assert list(LocalPipeline(loaded, side_by_side=side_by_side, memory=memory).run(items)) == alone


def test_no_more_pixels_are_out_than_there_is_room_for(photographs, monkeypatch):
    items, loaded = items_of(photographs) * 8, Job(Brighter()).load()
    lock, out, worst = threading.Lock(), {}, []
    read, render = type(loaded).read, type(loaded).render

    def counting_read(self, source):
        pixels = read(self, source)
        with lock:
            out[id(pixels)] = pixels.nbytes
            worst.append((sum(out.values()), len(out)))
        return pixels

    def counting_render(self, item, pixels, masks):
        with lock:
            del out[id(pixels)]
        return render(self, item, pixels, masks)

    monkeypatch.setattr(type(loaded), "read", counting_read)
    monkeypatch.setattr(type(loaded), "render", counting_render)
    assert len(list(LocalPipeline(loaded, side_by_side=4, memory=60_000).run(items))) == len(items)
    assert len(worst) == len(items)
    assert all(3 * total <= 60_000 or held == 1 for total, held in worst)


def test_a_caller_who_stops_leaves_no_thread_behind(photographs):
    loaded = Job(Brighter()).load()
    before = threading.active_count()
    outcomes = LocalPipeline(loaded, memory=20_000).run(items_of(photographs) * 50)
    next(outcomes)
    assert threading.active_count() > before
    outcomes.close()
    assert threading.active_count() == before


def test_an_endless_list_is_taken_as_it_comes(photographs):
    items, loaded, taken = items_of(photographs), Job(Brighter()).load(), []

    def endless():
        while True:
            taken.append(1)
            yield items[len(taken) % len(items)]

    outcomes = LocalPipeline(loaded, side_by_side=2).run(endless())
    for _ in range(10):
        next(outcomes)
    outcomes.close()
    assert len(taken) <= 10 + 2 * 2 + 4


def test_an_image_that_needs_too_much_memory_is_recorded(photographs, monkeypatch):
    def gives_up(*_):
        raise MemoryError("cannot allocate 7 TB")

    monkeypatch.setattr(Brighter, "segment", gives_up)
    [outcome] = LocalPipeline(Job(Brighter()).load()).run(items_of(photographs)[:1])
    assert outcome.error == "not enough memory for it: cannot allocate 7 TB"
    assert outcome.expected


def test_a_picture_over_the_limit_is_refused_before_it_is_decoded(photographs):
    loaded = Job(Brighter(), max_pixels=1000).load()
    outcomes = list(LocalPipeline(loaded).run(items_of(photographs)))
    assert [outcome.error is None for outcome in outcomes] == [False, False, False, True, False]
    assert "over the limit of 1,000" in outcomes[0].error


def most_megabytes(folder, out):
    """The most memory that the command holds at a time, in a process of its own."""
    options = ["--points-per-side", "2", "--overlays"]
    command = [sys.executable, "-m", "anymask", "everything", str(folder), "-o", str(out), *options]
    _, status, usage = os.wait4(os.posix_spawn(sys.executable, command, os.environ), 0)
    assert status == 0
    return usage.ru_maxrss / 1024


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
def test_many_large_pictures_need_no_more_memory_than_one(tmp_path):
    generator = np.random.default_rng(0)
    for folder, count in (("one", 1), ("many", 6)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            blocks = generator.integers(0, 255, (15, 20, 3), dtype=np.uint8)
            picture = Image.fromarray(blocks.repeat(400, 0).repeat(400, 1))
            picture.save(tmp_path / folder / f"{number}.png", compress_level=1)
    one, many = (most_megabytes(tmp_path / folder, tmp_path / f"{folder}-out") for folder in ("one", "many"))
    # 48 million pixels each; side by side, two of them and no more fit into the gigabyte.
    assert one < 1500
    assert many < one + 1100
