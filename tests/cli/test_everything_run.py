"""``anymask everything`` over a folder: what a person at a terminal sees and finds."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from typer.testing import CliRunner

from anymask.cli import app
from anymask.runs import job as job_module
from anymask.segment.segmenter import Segmenter

QUICK = ("--points-per-side", "2", "--pred-iou-thresh", "0", "--stability-score-thresh", "0")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_segmenter: Segmenter) -> Path:
    """A working folder with four small pictures in photos/."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job_module, "load", lambda *_given, **_options: random_segmenter)
    generator = np.random.default_rng(0)
    folder = tmp_path / "photos"
    for name in ("1.jpg", "2.png", "more/3.jpg", "more/4.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        blocks = generator.integers(0, 255, (5, 7, 3), dtype=np.uint8)
        Image.fromarray(blocks.repeat(10, 0).repeat(10, 1)).save(folder / name)
    return folder


def run(*arguments: str):
    return CliRunner().invoke(app, ["everything", *arguments], catch_exceptions=False)


def names(folder: str) -> list[str]:
    found = (path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if path.parts[0] != ".anymask")


@pytest.mark.usefixtures("photos")
def test_a_folder_gives_a_json_beside_each_name() -> None:
    done = run("photos", "-o", "masks", *QUICK, "--report", "report.json")
    assert done.exit_code == 0
    assert names("masks") == ["1.json", "2.json", "manifest.jsonl", "more/3.json", "more/4.json"]
    assert "4 images done in" in done.stderr
    assert "masks in masks" in done.stderr
    report = json.loads(Path("report.json").read_text())
    assert (report["images"], report["done"], report["failed"], report["complete"]) == (4, 4, 0, True)
    assert report["images_per_second"] > 0
    again = run("photos", "-o", "masks", *QUICK)
    assert "0 images done, 4 before" in again.stderr


def test_without_o_the_folder_is_called_out_and_is_no_input(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    assert run(".", *QUICK, "--overlays").exit_code == 0
    assert "overlays/more/3.jpg" in names("out")
    again = run(".", *QUICK, "--overlays")
    assert "0 images done, 4 before" in again.stderr


def test_a_bad_image_is_named_counted_and_listed(photos: Path) -> None:
    (photos / "broken.jpg").write_bytes((photos / "1.jpg").read_bytes()[:200])
    done = run("photos", "-o", "masks", *QUICK)
    assert done.exit_code == 1
    assert "anymask: broken.jpg: " in done.stderr
    assert "1 of 5 images failed; see masks/manifest.jsonl" in done.stderr
    assert "Traceback" not in done.stderr
    line = [line for line in Path("masks/manifest.jsonl").read_text().splitlines() if "broken" in line]
    assert "broken.jpg cannot be read" in json.loads(line[0])["error"]


@pytest.mark.usefixtures("photos")
def test_a_dry_run_changes_nothing() -> None:
    run("photos/more", "-o", "masks", *QUICK)
    before = names(".")
    done = run("photos/more", "photos", "-o", "masks", *QUICK, "--dry-run")
    assert done.exit_code == 0
    assert "4 images, 2 of them done before" in done.stdout
    assert names(".") == before
    fresh = run("photos", "-o", "fresh", "--format", "coco", "--shard", "1/2", "--dry-run")
    assert "2 images of 4, 0 of them done before" in fresh.stdout
    assert "fresh/annotations.json as coco" in fresh.stdout
    assert not Path("fresh").exists()


@pytest.mark.usefixtures("photos")
def test_limit_then_all() -> None:
    assert "1 image done" in run("photos", "-o", "masks", *QUICK, "--limit", "1").stderr
    assert "3 images done" in run("photos", "-o", "masks", *QUICK).stderr
    run("photos", "-o", "whole", *QUICK)
    assert names("masks") == names("whole")


@pytest.mark.usefixtures("photos")
def test_parts_join_to_what_one_run_gives() -> None:
    first = run("photos", "-o", "parts", *QUICK, "--format", "coco", "--shard", "1/2")
    assert "part 1/2 is done" in first.stderr
    assert not Path("parts/annotations.json").exists()
    run("photos", "-o", "parts", *QUICK, "--format", "coco", "--shard", "2/2")
    run("photos", "-o", "whole", *QUICK, "--format", "coco")
    assert Path("parts/annotations.json").read_bytes() == Path("whole/annotations.json").read_bytes()
    assert len(COCO("parts/annotations.json").getImgIds()) == 4


@pytest.mark.usefixtures("photos")
def test_other_settings_and_a_restart() -> None:
    run("photos", "-o", "masks", *QUICK)
    command = [sys.executable, "-m", "anymask", "everything", "photos", "-o", "masks", "--points-per-side", "3"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "points_per_side: 2, now 3" in refused.stderr
    assert "4 images done" in run("photos", "-o", "masks", "--points-per-side", "3", "--restart").stderr


@pytest.mark.usefixtures("photos")
def test_images_as_a_run_of_pictures() -> None:
    done = run("photos/1.jpg", "photos/2.png", "-o", "seen", *QUICK, "--limit", "1")
    assert done.exit_code == 0
    assert {"1.json", "1-overlay.png", "1-mask-0.png", "1-cutout-0.png"} <= set(names("seen"))
    assert "2.json" not in names("seen")


def test_pictures_go_along(photos: Path) -> None:
    run("photos", "-o", "set", *QUICK, "--with-pictures")
    assert Path("set/more/3.jpg").read_bytes() == (photos / "more/3.jpg").read_bytes()


@pytest.mark.usefixtures("photos")
def test_what_a_format_cannot_hold_is_said_once() -> None:
    done = run("photos", "-o", "maps", *QUICK, "--format", "label-map")
    lines = [line for line in done.stderr.splitlines() if "masks)" in line or "mask)" in line]
    assert done.exit_code == 0
    assert len(lines) >= 1
    assert len(lines) == len(set(lines))


def test_a_list_a_pattern_and_a_tar(photos: Path) -> None:
    Path("list.txt").write_text("photos/1.jpg\nphotos/gone.jpg\n")
    done = run("list.txt", "-o", "listed", *QUICK)
    assert done.exit_code == 1
    assert "photos/gone.jpg" in done.stderr
    assert run("photos/**/*.jpg", "-o", "matched", *QUICK).exit_code == 0
    assert names("matched") == ["1.json", "manifest.jsonl", "more/3.json", "more/4.json"]
    shutil.make_archive("shard", "tar", photos)
    assert run("shard.tar", "-o", "packed", *QUICK).exit_code == 0
    assert "shard/more/3.json" in names("packed")
    assert (
        json.loads(Path("packed/shard/1.json").read_text())["annotations"]
        == (json.loads(Path("matched/1.json").read_text())["annotations"])
    )


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    "options", [["--dry-run", "--ray"], ["--ray", "-o", "masks", "--dry-run"], ["--ray", "auto", "--dry-run"]]
)
def test_a_cluster_needs_no_address(options: list[str]) -> None:
    done = run("photos", *options)
    assert done.exit_code == 0
    assert "4 images, 0 of them done before" in done.stdout


@pytest.mark.long
@pytest.mark.usefixtures("photos")
def test_without_a_cluster_one_is_started_and_stopped() -> None:
    command = [sys.executable, "-m", "anymask", "everything", "photos", "-o", "clustered", *QUICK, "--ray"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "4 images done" in done.stderr
    assert done.stdout == ""
    assert names("clustered") == ["1.json", "2.json", "manifest.jsonl", "more/3.json", "more/4.json"]
