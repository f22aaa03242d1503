"""A run ends with the same bytes, wherever it was stopped, and says what it could not do."""

import errno
import json
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from anymask.formats.annotated import FormatError
from anymask.formats.one_file import OneFileWriter
from anymask.formats.sa1b import Sa1b
from anymask.runs import execution as execution_module
from anymask.runs import journal as journal_module
from anymask.runs.errors import RunError
from anymask.runs.execution import done_before, run, run_locally
from anymask.runs.inputs import list_items
from anymask.runs.job import PICTURES, Everything, Job
from anymask.runs.journal import Journal
from anymask.runs.outcome import Outcome
from anymask.segment.everything_settings import EverythingSettings

from .conftest import Brighter

pytestmark = pytest.mark.usefixtures("loaded_once")


def items_of(folder):
    return list_items([str(folder)])


def test_every_image_gets_its_file_and_its_line(photographs, tmp_path):
    items = items_of(photographs)
    report = run(Job(Brighter()), items, tmp_path)
    assert (report.done, report.masks, report.failures, report.complete) == (5, 10, {}, True)
    read = {image.name: image for image in Sa1b().read(tmp_path, photographs)}
    assert set(read) == {item.name for item in items}
    for item in items:
        assert read[item.name].masks.labels == ["bright", "dark"]
        assert read[item.name].picture.read_bytes() == item.path.read_bytes()
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [line["image"] for line in lines] == [item.name for item in items]
    assert lines[0] == {"image": "a.jpg", "masks": 2, "result": "a.json"}


def test_masks_are_those_of_the_same_call_in_python(photographs, tmp_path):
    settings = EverythingSettings(points_per_side=2, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    items = items_of(photographs)
    run(Job(Everything(settings)), items, tmp_path)
    from .conftest import load_once

    for image in Sa1b().read(tmp_path, photographs):
        photo = load_once("pocket", device="auto", precision="auto").encode(image.picture)
        expected = photo.segment_everything(settings)
        assert len(expected)
        assert image.masks.rles == expected.rles
        assert image.masks.scores.tolist() == expected.scores.tolist()


@pytest.mark.parametrize(
    ("form", "overlays", "with_pictures"), [("sa1b", True, True), ("coco", False, True), (PICTURES, False, False)]
)
def test_a_kill_between_any_two_steps_changes_no_byte(
    photographs, tmp_path, monkeypatch, results_of, form, overlays, with_pictures
):
    items = items_of(photographs)[:3]
    job = Job(Brighter(), format=form, overlays=overlays, with_pictures=with_pictures)
    assert run(job, items, tmp_path / "undisturbed").failures == {}
    undisturbed = results_of(tmp_path / "undisturbed")
    killed = []

    def copying(function):
        def copy_then_do(*arguments, **options):
            place = tmp_path / f"killed-{len(killed)}"
            shutil.copytree(tmp_path / "out", place)
            killed.append(place)
            return function(*arguments, **options)

        return copy_then_do

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_put", copying(Journal._put))
        patch.setattr(journal_module, "_append", copying(journal_module._append))
        patch.setattr(journal_module.os, "fsync", copying(journal_module.os.fsync))
        patch.setattr(execution_module, "_write_manifest", copying(execution_module._write_manifest))
        patch.setattr(execution_module, "_join", copying(execution_module._join))
        run(job, items, tmp_path / "out")
    assert results_of(tmp_path / "out") == undisturbed
    assert len(killed) >= 7
    for place in killed:
        assert not place.joinpath("manifest.jsonl").exists()
        report = run(job, items, place)
        assert report.complete
        assert report.done + report.done_before == 3
        assert results_of(place) == undisturbed


def test_what_a_killed_join_left_behind_is_removed(photographs, tmp_path, results_of):
    items = items_of(photographs)
    job = Job(Brighter(), format="coco")
    run(job, items, tmp_path / "out")
    expected = results_of(tmp_path / "out")
    (tmp_path / "out/.annotations.4711.tmp.json").write_text('{"half')
    (tmp_path / "out/annotations.json").unlink()
    assert run(job, items, tmp_path / "out").done == 0
    assert results_of(tmp_path / "out") == expected


def test_a_bad_image_is_recorded_and_the_rest_goes_on(photographs, tmp_path):
    shutil.copytree(photographs, tmp_path / "in")
    (tmp_path / "in/b.png").write_bytes((photographs / "b.png").read_bytes()[:300])
    (tmp_path / "in/nothing.jpg").write_bytes(b"")
    report = run(Job(Brighter()), items_of(tmp_path / "in"), tmp_path / "out")
    assert set(report.failures) == {"b.png", "nothing.jpg"}
    assert report.done == 4
    assert "empty" in report.failures["nothing.jpg"]
    lines = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    assert {line["image"]: line.get("error") for line in lines if "error" in line} == report.failures
    shutil.copyfile(photographs / "b.png", tmp_path / "in/b.png")
    again = run(Job(Brighter()), items_of(tmp_path / "in"), tmp_path / "out")
    assert (again.done, again.done_before, list(again.failures)) == (1, 4, ["nothing.jpg"])


def test_images_that_come_later_are_added(photographs, tmp_path, results_of):
    shutil.copytree(photographs, tmp_path / "in")
    (tmp_path / "in/b.png").unlink()
    run(Job(Brighter()), items_of(tmp_path / "in"), tmp_path / "out")
    shutil.copyfile(photographs / "b.png", tmp_path / "in/b.png")
    assert run(Job(Brighter()), items_of(tmp_path / "in"), tmp_path / "out").done == 1
    run(Job(Brighter()), items_of(photographs), tmp_path / "whole")
    assert results_of(tmp_path / "out") == results_of(tmp_path / "whole")


@pytest.mark.parametrize("form", ["sa1b", "coco"])
def test_parts_give_what_one_run_gives(photographs, tmp_path, results_of, form):
    items = items_of(photographs)
    job = Job(Brighter(), format=form)
    run(job, items, tmp_path / "whole")
    complete = [run(job, items, tmp_path / "parts", shard=(index, 3)).complete for index in (3, 1, 2)]
    assert complete == [False, False, True]
    assert results_of(tmp_path / "parts") == results_of(tmp_path / "whole")
    assert run(job, items, tmp_path / "parts").done_before == 5


def test_a_full_disk_stops_with_one_line_and_loses_nothing(photographs, tmp_path, monkeypatch, results_of):
    items = items_of(photographs)
    run(Job(Brighter()), items, tmp_path / "whole")
    synced = []

    def full_after_two(descriptor):
        synced.append(descriptor)
        if len(synced) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module.os, "fsync", full_after_two)
        with pytest.raises(RunError, match=r"disk is full, 3 images before the end.*goes on"):
            run(Job(Brighter()), items, tmp_path / "out")
    report = run(Job(Brighter()), items, tmp_path / "out")
    assert (report.done_before, report.done) == (2, 3)
    assert results_of(tmp_path / "out") == results_of(tmp_path / "whole")


def test_a_really_full_disk(photographs, tmp_path, results_of):
    """On a file system of 64 kB, which fills up on the way, and is then made larger."""
    script = textwrap.dedent(
        """
        import subprocess, sys
        from pathlib import Path
        from anymask.cli import main
        mount, photographs, out = sys.argv[1:]
        options = [photographs, "-o", mount + "/out", "--points-per-side", "2", "--overlays", "--format", "coco"]
        def start():
            sys.argv = ["anymask", "everything", *options]
            try:
                main()
            except SystemExit as error:
                return error.code
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20k", "tmpfs", mount], check=True)
        first = start()
        subprocess.run(["mount", "-o", "remount,size=10m", mount], check=True)
        print("first:", first)
        print("second:", start())
        subprocess.run(["cp", "-r", mount + "/out", out], check=True)
        """
    )
    (tmp_path / "mount").mkdir()
    if not _may_mount(tmp_path / "mount"):
        pytest.skip("this system lets nobody mount a small file system")
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-c", script, tmp_path / "mount", photographs, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "first: anymask: the disk is full" in done.stdout
    assert "second: 0" in done.stdout
    settings = EverythingSettings(points_per_side=2)
    job = Job(Everything(settings), format="coco", overlays=True)
    run(job, items_of(photographs), tmp_path / "whole")
    assert results_of(tmp_path / "out") == results_of(tmp_path / "whole")


def _may_mount(place):
    try:
        mounted = subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", place], capture_output=True, check=False
        )
    except OSError:
        return False
    return mounted.returncode == 0


def test_when_nothing_works_the_run_stops(photographs, tmp_path):
    items = items_of(photographs) * 5

    def broken(loaded, waiting):
        del loaded
        for item in waiting:
            yield item, Outcome(item.name, error="RuntimeError: no kernel image", expected=False)

    with pytest.raises(RunError, match="20 images in a row failed, the last with RuntimeError: no kernel image"):
        run(Job(Brighter()), items, tmp_path, backend=broken)


def test_a_defect_on_one_image_is_recorded(photographs, tmp_path, monkeypatch):
    segment = Brighter.segment

    def breaks_on_one(self, segmenter, pixels, item):
        if item.name == "b.png":
            raise ZeroDivisionError("division by zero")
        return segment(self, segmenter, pixels, item)

    monkeypatch.setattr(Brighter, "segment", breaks_on_one)
    report = run(Job(Brighter()), items_of(photographs), tmp_path)
    assert report.failures == {"b.png": "ZeroDivisionError: division by zero"}
    assert report.done == 4


def test_a_name_that_no_file_can_have_is_the_images_failure(photographs, tmp_path):
    items = items_of(photographs)
    (tmp_path / "out/b.json").mkdir(parents=True)
    long = replace(items[0], name="long.jpg", key="x" * 300)
    report = run(Job(Brighter()), [*items, long], tmp_path / "out")
    assert set(report.failures) == {"b.png", "long.jpg"}
    assert "File name too long" in report.failures["long.jpg"]
    assert report.done == 4
    assert report.complete


def test_what_a_format_of_all_images_refuses_is_a_failure_and_the_rest_is_written(photographs, tmp_path, monkeypatch):
    items = items_of(photographs)
    write = OneFileWriter.write

    def refusing(self, image):
        if image.name == "b.png":
            raise FormatError("no b in this format")
        write(self, image)

    monkeypatch.setattr(OneFileWriter, "write", refusing)
    report = run(Job(Brighter(), format="coco"), items, tmp_path)
    assert report.failures == {"b.png": "no b in this format"}
    images = json.loads((tmp_path / "annotations.json").read_text())["images"]
    assert [image["file_name"] for image in images] == [item.name for item in items if item.name != "b.png"]
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert lines[1] == {"image": "b.png", "error": "no b in this format"}


def test_done_before_looks_without_touching(photographs, tmp_path):
    items = items_of(photographs)
    assert done_before(tmp_path / "out", items) == 0
    assert not (tmp_path / "out").exists()
    run(Job(Brighter()), items[:2], tmp_path / "out")
    assert done_before(tmp_path / "out", items) == 2


def test_a_part_may_not_restart_the_others(photographs, tmp_path):
    with pytest.raises(RunError, match="restart the whole run"):
        run(Job(Brighter()), items_of(photographs), tmp_path, shard=(1, 2), restart=True)


def test_progress_is_told_before_the_first_and_after_each(photographs, tmp_path):
    told = []
    run(
        Job(Brighter()),
        items_of(photographs),
        tmp_path,
        progress=lambda report: told.append((report.done, report.left)),
    )
    assert told == [(0, 5), (1, 4), (2, 3), (3, 2), (4, 1), (5, 0)]


def test_a_stopped_caller_leaves_what_was_done(photographs, tmp_path):
    items = items_of(photographs)

    def stops_after_two(report):
        if report.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Job(Brighter()), items, tmp_path, progress=stops_after_two)
    assert run(Job(Brighter()), items, tmp_path).done_before == 2


def test_run_locally_keeps_the_order(photographs):
    loaded = Job(Brighter()).load()
    items = items_of(photographs) * 4
    assert [(item, outcome.name) for item, outcome in run_locally(loaded, items)] == [
        (item, item.name) for item in items
    ]
