import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.torch import save_file
from typer.testing import CliRunner

import anymask
from anymask.cli.evaluate import app
from anymask.evaluate import evaluate_clicks
from anymask.formats.datasets import CocoDataset, DatasetError, is_validation_name
from anymask.models.registry import build_model
from anymask.segment import rle
from anymask.segment.masks import Masks

SHARED_COCO = Path(__file__).parents[3] / "shared" / "data" / "coco"


class BoxFiller:
    """Answers a box with the filled box, and clicks with nothing."""

    name = "boxes"

    def encode(self, image):
        self.size = image.shape[:2]
        return self

    def segment_many(self, prompts):
        masks = np.zeros((len(prompts), *self.size), dtype=bool)
        for mask, prompt in zip(masks, prompts, strict=True):
            if prompt.box is not None:
                x0, y0, x1, y1 = np.asarray(prompt.box).astype(int)
                mask[y0:y1, x0:x1] = True
        count = len(prompts)
        return Masks.from_arrays(masks, scores=np.ones(count), prompt=np.arange(count))


@pytest.fixture
def box_filler(monkeypatch):
    monkeypatch.setattr(anymask, "load", lambda *_, **__: BoxFiller())


@pytest.fixture
def coco_folder(tmp_path):
    (tmp_path / "images").mkdir()
    held_out = next(name for name in (f"{n}.png" for n in range(100)) if is_validation_name(name))
    trained = next(name for name in (f"{n}.png" for n in range(100)) if not is_validation_name(name))
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    for number, name in enumerate((held_out, trained)):
        image = np.full((40, 50, 3), 60, dtype=np.uint8)
        image[10:30, 10:35] = 200
        cv2.imwrite(str(tmp_path / "images" / name), image)
        content["images"].append({"id": number, "file_name": name, "height": 40, "width": 50})
        content["annotations"].append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "segmentation": [[10, 10, 35, 10, 35, 30, 10, 30]],
            }
        )
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    return tmp_path


def run_command(*arguments):
    return CliRunner().invoke(app, ["clicks", *map(str, arguments)])


def test_the_command_writes_table_and_json(coco_folder, tmp_path):
    checkpoint, output = tmp_path / "pocket.safetensors", tmp_path / "report.json"
    save_file({key: value.contiguous() for key, value in build_model("pocket").state_dict().items()}, checkpoint)
    common = ("--model", checkpoint, "--max-clicks", 2, "--device", "cpu", "--precision", "float32")
    result = run_command("--data", coco_folder, *common, "--split", "validation", "--json", output)
    assert result.exit_code == 0, result.output
    assert "IoU box" in result.stdout
    content = json.loads(output.read_text())
    assert content["groups"]["all"]["masks"] == 1
    assert content["groups"]["person"]["masks"] == 1
    assert len(content["rows"]) == 1
    assert is_validation_name(content["rows"][0]["image"])
    assert content["data"].endswith("(validation)")


@pytest.mark.usefixtures("box_filler")
def test_the_command_writes_nothing_but_json_to_standard_output(coco_folder):
    result = run_command(
        "--data", coco_folder / "annotations.json", "--images", coco_folder / "images",
        "--max-clicks", 1, "--max-images", 1, "--no-baselines", "--json", "-",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["groups"]["all"]["masks"] == 1
    assert content["groups"]["all"]["baselines"] == {}
    assert "IoU box" in result.stderr


@pytest.mark.usefixtures("box_filler")
@pytest.mark.parametrize("kind", [(), ("--kind", "sa1b")])
def test_the_command_takes_a_folder_in_sa1b_layout(coco_folder, tmp_path, kind):
    folder = tmp_path / "sa1b"
    folder.mkdir()
    dataset = CocoDataset(coco_folder)
    cv2.imwrite(str(folder / "sa_1.jpg"), dataset.image(0))
    rle = dataset.masks(0)[0]
    entry = {"segmentation": {"size": rle["size"], "counts": rle["counts"].decode()}}
    content = {"image": {"height": 40, "width": 50}, "annotations": [entry]}
    (folder / "sa_1.json").write_text(json.dumps(content))
    result = run_command("--data", folder, "--max-clicks", 1, "--no-baselines", *kind)
    assert result.exit_code == 0, result.output
    assert "IoU box" in result.stdout


@pytest.mark.usefixtures("box_filler")
def test_the_command_recognises_a_folder_of_masks(coco_folder, tmp_path):
    dataset = CocoDataset(coco_folder)
    folder = tmp_path / "pictures"
    for kind, pixels in (("images", dataset.image(0)), ("masks", rle.decode(dataset.masks(0)[0]).astype(np.uint8))):
        (folder / kind).mkdir(parents=True)
        assert cv2.imwrite(str(folder / kind / "a.png"), pixels)
    result = run_command("--data", folder, "--max-clicks", 1, "--no-baselines", "--json", "-")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["groups"]["all"]["masks"] == 1
    for options in (("--kind", "labelme"), ("--kind", "lableme"), ("--images", folder / "nowhere")):
        assert isinstance(run_command("--data", folder, *options).exception, DatasetError)


def test_the_command_lets_errors_of_the_data_through(tmp_path):
    result = run_command("--data", tmp_path / "missing.json")
    assert isinstance(result.exception, DatasetError)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--json", "nowhere/at/all.json"), "--json"),
        (("--max-clicks", "0"), "--max-clicks"),
    ],
)
def test_the_command_refuses_wrong_options_before_it_starts(coco_folder, arguments, hint):
    result = run_command("--data", coco_folder, *arguments)
    assert result.exit_code == 2
    assert hint in result.stderr


@pytest.mark.skipif(not SHARED_COCO.is_dir(), reason="the shared COCO images are absent")
def test_the_filled_box_of_real_masks():
    dataset = CocoDataset(SHARED_COCO, split="validation")
    report = evaluate_clicks(BoxFiller(), dataset, max_images=2, max_masks_per_image=1, max_clicks=1)
    everything = report.groups["all"]
    assert 0.2 < everything.baselines["filled_box"].mean < 0.9
    assert everything.differences["box_minus_filled_box"].mean == 0
