"""``anymask segment --prompts``: boxes and points of a file for many images."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anymask.cli import app
from anymask.errors import AnymaskError


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with three pictures of a disc in photos/."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    y, x = np.mgrid[0:60, 0:80]
    disc = (x - 40) ** 2 + (y - 30) ** 2 < 400
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        Image.fromarray(np.where(disc[..., None], [220, 180, 90], [30, 60, 90]).astype(np.uint8)).save(folder / name)


def run(*arguments: str):
    return CliRunner().invoke(app, ["segment", *arguments], catch_exceptions=False)


def annotations(name: str):
    return json.loads(Path(f"cars/{name}.json").read_text())["annotations"]


def test_prompts_of_a_file() -> None:
    entries = {
        "a.jpg": {"boxes": [[18, 8, 62, 52], [0, 0, 15, 60]], "labels": ["disc", "edge"]},
        "b": {"prompts": [{"points": [[40, 30], [3, 3]], "point_labels": [1, 0]}]},
    }
    Path("boxes.json").write_text(json.dumps(entries))
    done = run("photos", "--prompts", "boxes.json", "-o", "cars", "--overlays")
    assert done.exit_code == 0
    assert "2 images done" in done.stderr
    assert "1 image of the input left out" in done.stderr
    assert [one["label"] for one in annotations("a")] == ["disc", "edge"]
    assert len(annotations("b")) == 1
    assert Path("cars/overlays/b.jpg").is_file()
    assert not Path("cars/c.json").exists()


def test_other_prompts_are_answered_again_and_only_they() -> None:
    Path("boxes.json").write_text('{"a.jpg": [[18, 8, 62, 52]], "b.jpg": [[18, 8, 62, 52]]}')
    assert "2 images done" in run("photos", "--prompts", "boxes.json", "-o", "cars").stderr
    before = Path("cars/b.json").read_bytes()
    Path("boxes.json").write_text('{"a.jpg": [[18, 8, 62, 52]], "b.jpg": [[0, 0, 30, 30]]}')
    again = run("photos", "--prompts", "boxes.json", "-o", "cars").stderr
    assert "1 image done" in again
    assert "1 before" in again
    assert Path("cars/b.json").read_bytes() != before


def test_a_name_without_an_image_fails_and_a_box_off_the_image_too() -> None:
    Path("boxes.json").write_text(
        '{"a.jpg": [[300, 300, 400, 400]], "gone.jpg": [[1, 1, 9, 9]], "c.jpg": [[5, 5, 40, 40]]}'
    )
    done = run("photos", "--prompts", "boxes.json", "-o", "cars")
    assert done.exit_code == 1
    assert "a.jpg: the box (300, 300, 400, 400) lies outside the image, which is 80 wide" in done.stderr
    assert "gone.jpg" in done.stderr
    assert "2 of 3 images failed" in done.stderr


def test_boxes_of_a_coco_file_as_coco() -> None:
    content = {
        "images": [{"id": 7, "file_name": "b.jpg", "width": 80, "height": 60}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [18, 8, 44, 44]}],
        "categories": [{"id": 3, "name": "disc"}],
    }
    Path("instances.json").write_text(json.dumps(content))
    assert run("photos", "--prompts", "instances.json", "-o", "cars", "--format", "coco").exit_code == 0
    written = json.loads(Path("cars/annotations.json").read_text())
    assert [one["name"] for one in written["categories"]] == ["disc"]
    assert len(written["annotations"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photos", "--prompts", "none.json"], "there is no file none.json"),
        (["photos", "--prompts", "boxes.json", "--point", "1,1"], "--prompts has the prompts of all images"),
        (["photos/a.jpg", "photos/b.jpg", "--point", "1,1"], "2 images were given: one at a time, or --prompts FILE"),
        (["photos/a.jpg", "--point", "1,1", "--limit", "1"], "options of a run over many images need --prompts FILE"),
        (["photos", "--prompts", "bad.json"], "a.jpg"),
    ],
)
def test_errors_say_what_to_do(arguments: list[str], message: str) -> None:
    Path("boxes.json").write_text('{"a.jpg": [[18, 8, 62, 52]]}')
    Path("bad.json").write_text('{"a.jpg": {"boxes": [[1, 2, 3]]}}')
    with pytest.raises(AnymaskError) as caught:
        run(*arguments)
    assert message in str(caught.value)
    assert not Path("out").exists()
