"""The background worker with a real model on real files."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from anymask.segment.encoded import EncodedImage
from anymask.segment.frame import Frame
from anymask.segment.segmenter import Segmenter
from anymask.studio.agenda import Work
from anymask.studio.disk_cache import DiskCache
from anymask.studio.encoding import BackgroundEncoder
from anymask.studio.errors import PictureError
from anymask.studio.picture_files import find_picture
from anymask.studio.stepping_back import PatientStop, ProcessorTimes
from anymask.train.synthetic import synthetic_scene

pytestmark = pytest.mark.usefixtures("one_thread")

PATIENCE = 120


class Bench:
    """An encoder over the pictures 1.png, 2.png, ... of a folder, and the order in which it does them."""

    def __init__(self, folder: Path, cache: DiskCache, count: int) -> None:
        self.folder, self.cache = folder, cache
        self.order: list[str] = []
        self.encoder = BackgroundEncoder(lambda picture: find_picture(folder, f"{picture}.png"), cache)
        self.encoder.set_pictures(range(1, count + 1))
        self.gate = threading.Event()
        self.gate.set()

    def start(self, segmenter: Segmenter) -> None:
        encode, propose = self.encoder._encode, self.encoder._propose

        def watched_encode(picture, file):  # type: ignore[no-untyped-def]
            self.order.append(f"e{file.path.stem}")
            self.gate.wait(PATIENCE)
            return encode(picture, file)

        def watched_propose(picture, file):  # type: ignore[no-untyped-def]
            self.order.append(f"p{file.path.stem}")
            return propose(picture, file)

        self.encoder._encode, self.encoder._propose = watched_encode, watched_propose  # type: ignore[method-assign]
        self.encoder.start(segmenter)

    def wait(self, picture: int, work: Work = Work.EMBEDDING) -> bytes:
        """Ask, wait, and return the result, as a route does."""
        future = self.encoder.ask(picture, work, True)
        try:
            future.result(PATIENCE)
            found = self.encoder.result(picture, work)
        finally:
            self.encoder.give_up(picture, work, True, future)
        assert found is not None
        return found[1]


@pytest.fixture
def bench(pictures: Path, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(pictures, DiskCache(tmp_path / "cache", 100_000_000), 4)
    yield made
    made.gate.set()
    assert made.encoder.close(PATIENCE)


@pytest.fixture
def few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything mode with nine points, all masks kept, because a random model's are never good."""
    whole = EncodedImage.segment_everything

    def quick(self, **given):  # type: ignore[no-untyped-def]
        lenient = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "box_nms_thresh": 1.0}
        return whole(self, points_per_side=3, **lenient, **given)

    monkeypatch.setattr(EncodedImage, "segment_everything", quick)


@pytest.mark.usefixtures("few_points")
def test_results_are_the_models(bench: Bench, random_segmenter: Segmenter) -> None:
    bench.start(random_segmenter)
    got = np.frombuffer(bench.wait(3), "<f2")
    encoded = random_segmenter.encode(bench.folder / "3.png")
    np.testing.assert_array_equal(got, encoded.embedding.numpy().astype(np.float16).ravel())

    proposals = json.loads(bench.wait(3, Work.PROPOSALS))
    rounded = torch.from_numpy(got.astype(np.float32)).reshape(encoded.embedding.shape)
    frame = Frame(60, 80, random_segmenter.input_side)
    expected = EncodedImage(random_segmenter, rounded, frame).segment_everything()
    assert len(proposals) == len(expected) > 1
    for index, one in enumerate(proposals):
        assert one["counts"].encode() == expected.rles[index]["counts"]
        assert one["area"] == coco_mask.area({"size": [60, 80], "counts": one["counts"]})
        assert (one["score"], one["stability"]) == (expected.scores[index], expected.stability[index])
        assert one["point"] == expected.points[index].tolist()
    # A second worker on the same cache computes nothing again.
    other = Bench(bench.folder, DiskCache(bench.cache.folder, 100_000_000), 4)
    other.start(random_segmenter)
    assert other.wait(3) == got.tobytes()
    assert json.loads(other.wait(3, Work.PROPOSALS)) == proposals
    assert other.encoder.close(PATIENCE)
    assert not {"e3", "p3"} & set(other.order)


@pytest.mark.usefixtures("few_points")
def test_what_is_asked_for_is_done_while_the_rest_rests(
    bench: Bench, random_segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    # Longer than any test: only what is waited for goes on.
    monkeypatch.setattr("anymask.studio.stepping_back._LONGEST_REST", 10 * PATIENCE)
    monkeypatch.setattr("anymask.studio.stepping_back._REST", 10 * PATIENCE)
    bench.encoder._stop = PatientStop(
        lambda: bench.encoder._is_awaited(bench.encoder._running),
        lambda: ProcessorTimes(*[float(next(seconds))] * 2),
    )
    bench.start(random_segmenter)
    while len(bench.order) < 2:
        pass
    bench.wait(4)
    bench.wait(4, Work.PROPOSALS)
    assert bench.order == ["e1", "e2", "e4", "p4"]


@pytest.mark.usefixtures("few_points")
def test_the_order_follows_the_person(bench: Bench, random_segmenter: Segmenter) -> None:
    bench.gate.clear()
    bench.encoder.open(3)
    bench.start(random_segmenter)
    while not bench.order:
        pass
    # Moved on while the third is being encoded, which cannot be taken back.
    bench.encoder.open(1)
    assert bench.encoder.encoding() == [3]
    bench.gate.set()
    bench.wait(2, Work.PROPOSALS)
    assert bench.order[:4] == ["e3", "e1", "e2", "p2"]
    bench.wait(4, Work.PROPOSALS)
    assert len(set(bench.order)) == len(bench.order)
    assert bench.encoder.waiting() == 0
    assert bench.encoder.encoded([1, 2, 3, 4, 5]) == 4


def test_proposals_give_way_to_a_picture_that_is_opened(bench: Bench, random_segmenter: Segmenter) -> None:
    begun, resumed = threading.Event(), []
    whole = EncodedImage.segment_everything

    def endless(self, stop, **given):  # type: ignore[no-untyped-def]
        begun.set()
        assert stop.wait(PATIENCE)
        resumed.append(len(bench.order))
        return whole(self, stop=stop, **given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(EncodedImage, "segment_everything", endless)
        bench.encoder.open(1)
        bench.start(random_segmenter)
        assert begun.wait(PATIENCE)
        assert bench.order == ["e1", "e2", "e3", "p1"]
        bench.encoder.open(4)
        bench.wait(4)
    assert bench.order[:5] == ["e1", "e2", "e3", "p1", "e4"]
    assert resumed[0] == 4


def test_only_what_is_waited_for_while_it_is_held_back(bench: Bench, random_segmenter: Segmenter) -> None:
    bench.encoder.hold(True)
    bench.encoder.open(2)
    bench.start(random_segmenter)
    for picture in (4, 2, 3):
        bench.wait(picture)
    assert sorted(bench.order) == ["e2", "e3", "e4"]
    bench.encoder.hold(False)
    bench.wait(1)
    assert "e1" in bench.order


def test_a_bad_picture_is_told_and_tried_again_once_it_has_changed(bench: Bench, random_segmenter: Segmenter) -> None:
    whole = (bench.folder / "2.png").read_bytes()
    (bench.folder / "2.png").write_bytes(whole[:-200])
    (bench.folder / "3.png").unlink()
    bench.encoder.open(1)
    bench.encoder.hold(True)
    bench.start(random_segmenter)
    with pytest.raises(PictureError, match="broken or incomplete"):
        bench.wait(2)
    with pytest.raises(PictureError, match="no longer in the folder"):
        bench.wait(3)
    bench.wait(4)
    assert bench.order.count("e2") == 1
    bench.encoder.hold(False)
    with pytest.raises(PictureError, match="broken or incomplete"):
        bench.wait(2, Work.PROPOSALS)
    bench.encoder.hold(True)
    (bench.folder / "2.png").write_bytes(whole)
    (bench.folder / "3.png").write_bytes(whole)
    assert bench.wait(2) == bench.wait(3)


def test_a_replaced_picture_is_encoded_anew(bench: Bench, random_segmenter: Segmenter) -> None:
    bench.encoder.hold(True)
    bench.start(random_segmenter)
    before = bench.wait(1)
    Image.fromarray(synthetic_scene(99, 60, 80).image).save(bench.folder / "1.png")
    after = bench.wait(1)
    assert after != before
    expected = random_segmenter.encode(bench.folder / "1.png").embedding.numpy().astype("<f2")
    assert after == expected.tobytes()


def test_a_picture_replaced_while_it_is_read_leaves_nothing_wrong(bench: Bench, random_segmenter: Segmenter) -> None:
    bench.gate.clear()
    bench.encoder.open(1)
    bench.start(random_segmenter)
    future = bench.encoder.ask(1, Work.EMBEDDING, True)
    while not bench.order:
        pass
    Image.fromarray(synthetic_scene(99, 60, 80).image).save(bench.folder / "1.png")
    os.utime(bench.folder / "1.png", (1, 1))
    bench.gate.set()
    future.result(PATIENCE)
    found = bench.encoder.result(1, Work.EMBEDDING)
    assert found is not None
    expected = random_segmenter.encode(bench.folder / "1.png").embedding.numpy().astype("<f2")
    assert found[1] == expected.tobytes()
    assert bench.order[:2] == ["e1", "e1"]


def test_a_picture_that_goes_while_it_is_read_keeps_nobody_waiting(bench: Bench, random_segmenter: Segmenter) -> None:
    bench.gate.clear()
    bench.encoder.open(1)
    bench.start(random_segmenter)
    future = bench.encoder.ask(1, Work.EMBEDDING, True)
    while not bench.order:
        pass
    (bench.folder / "1.png").unlink()
    bench.gate.set()
    future.result(PATIENCE)
    with pytest.raises(PictureError, match="no longer in the folder"):
        bench.encoder.result(1, Work.EMBEDDING)


def test_a_damaged_result_is_made_again(bench: Bench, random_segmenter: Segmenter, tmp_path: Path) -> None:
    bench.encoder.hold(True)
    bench.start(random_segmenter)
    before = bench.wait(1)
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:-5])
    again = Bench(bench.folder, DiskCache(tmp_path / "cache", 100_000_000), 4)
    again.encoder.hold(True)
    again.start(random_segmenter)
    assert again.encoder.encoded([1]) == 1
    assert again.encoder.result(1, Work.EMBEDDING) is None
    assert again.wait(1) == before
    assert again.encoder.close(PATIENCE)


def test_models_and_precisions_are_kept_apart(bench: Bench, random_segmenter: Segmenter) -> None:
    bench.encoder.hold(True)
    bench.start(random_segmenter)
    bench.wait(1)
    rough = Segmenter(random_segmenter.network, "rough", "cpu", "bfloat16")
    other = Bench(bench.folder, bench.cache, 4)
    other.encoder.hold(True)
    other.start(rough)
    assert other.encoder.encoded([1]) == 0
    assert other.wait(1) != bench.wait(1)
    assert other.encoder.close(PATIENCE)


def test_whoever_waits_is_let_go_at_the_end(bench: Bench, random_segmenter: Segmenter) -> None:
    before_there_is_a_model = bench.encoder.ask(1, Work.EMBEDDING, True)
    assert bench.encoder.result(1, Work.EMBEDDING) is None
    bench.gate.clear()
    bench.start(random_segmenter)
    waiting = bench.encoder.ask(4, Work.PROPOSALS, True)
    assert not bench.encoder.close(0.05)
    assert waiting.done()
    assert before_there_is_a_model.done()
    assert bench.encoder.ask(2, Work.EMBEDDING, True).done()
    bench.gate.set()
