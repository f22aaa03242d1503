"""What a run asks of the model, and what it makes of the answer."""

import io
import json
import pickle

import numpy as np
import pytest
from PIL import Image

from anymask.formats.annotated import FormatError
from anymask.runs import job as job_module
from anymask.runs.inputs import list_items
from anymask.runs.job import PICTURES, Everything, Job, Prompted
from anymask.runs.outcome import failure
from anymask.segment.errors import ImageError, PromptError
from anymask.segment.everything_settings import EverythingSettings
from anymask.segment.pixels import read_image

from .conftest import Brighter, load_once

pytestmark = pytest.mark.usefixtures("loaded_once")


@pytest.fixture
def item(photographs):
    return list_items([str(photographs / "a.jpg")])[0]


def rendered(job, item):
    loaded = job.load()
    pixels = loaded.read(item.read())
    return loaded.render(item, pixels, loaded.segment(item, pixels))


def test_each_prompt_gives_its_best_mask_in_order_with_its_label(item):
    asked = item.with_prompts(
        [{"points": [[32, 24]]}, {"box": [12, 4, 52, 44], "label": "disc"}, {"points": [[5, 5]], "label": "ground"}]
    )
    loaded = Job(Prompted()).load()
    pixels = loaded.read(asked.read())
    masks = loaded.segment(asked, pixels)
    photo = load_once("pocket", device="auto", precision="auto").encode(pixels)
    expected = [photo.segment(points=[(32, 24)])[0], photo.segment(box=(12, 4, 52, 44)), photo.segment([(5, 5)])[0]]
    assert masks.labels == [None, "disc", "ground"]
    assert masks.prompt.tolist() == [0, 1, 2]
    assert masks.rles == [one.rles[0] for one in expected]
    assert masks.logits is None


def test_all_masks_of_an_ambiguous_prompt_may_be_kept(item):
    asked = item.with_prompts([{"points": [[32, 24]]}, {"box": [12, 4, 52, 44]}])
    loaded = Job(Prompted(all_masks=True)).load()
    masks = loaded.segment(asked, loaded.read(asked.read()))
    assert masks.prompt.tolist() == [0, 0, 0, 1]
    assert masks.labels is None


def test_a_prompt_off_the_image_is_the_images_failure(item):
    loaded = Job(Prompted()).load()
    asked = item.with_prompts([{"points": [[1, 1]]}, {"points": [[500, 5]]}])
    pixels = loaded.read(asked.read())
    with pytest.raises(PromptError, match=r"prompt 1: the point \(500, 5\) is outside the image"):
        loaded.segment(asked, pixels)


def test_a_region_and_settings_reach_the_search(item):
    settings = EverythingSettings(points_per_side=3, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    loaded = Job(Everything(settings, region=(0, 0, 30, 48))).load()
    pixels = loaded.read(item.read())
    masks = loaded.segment(item, pixels)
    assert len(masks)
    assert masks.boxes[:, 2].max() <= 30
    assert masks.points[:, 0].max() < 30


def test_what_decides_the_bytes_is_described_and_nothing_else():
    plain = Job(Brighter()).load().describe()
    assert plain == json.loads(json.dumps(plain))
    assert Job(Brighter(), device="cpu").load().describe() == plain
    changed = [
        Job(Brighter(100)),
        Job(Brighter(), precision="float32"),
        Job(Brighter(), format="coco"),
        Job(Brighter(), overlays=True),
        Job(Brighter(), with_pictures=True),
    ]
    float32 = load_once("pocket", device="auto", precision="auto").precision.itemsize == 4
    for job in changed:
        assert (job.load().describe() == plain) == (float32 and job.precision == "float32")
    grids = EverythingSettings(point_grids=[np.array([[0.5, 0.5]])])
    assert Everything(grids).describe()["settings"]["point_grids"] == [[[0.5, 0.5]]]


@pytest.mark.parametrize(
    "job", [Job(Brighter(90)), Job(Everything(region=(0, 0, 5, 5))), Job(Prompted(), format="coco")]
)
def test_a_job_can_be_sent_to_another_process(job):
    assert pickle.loads(pickle.dumps(job)) == job


def test_the_files_of_an_image(item):
    outcome = rendered(Job(Brighter(), overlays=True, with_pictures=True), item)
    files = dict(outcome.files)
    assert list(files) == ["overlays/a.jpg", "a.jpg", "a.json"]
    assert files["a.jpg"] == item.path.read_bytes()
    assert Image.open(io.BytesIO(files["overlays/a.jpg"])).size == (64, 48)
    assert outcome.record == b""


def test_a_format_of_all_images_keeps_a_record(item):
    outcome = rendered(Job(Brighter(), format="coco"), item)
    assert outcome.files == ()
    assert [one["label"] for one in json.loads(outcome.record)["annotations"]] == ["bright", "dark"]


def test_pictures_are_for_a_person(item):
    outcome = rendered(Job(Brighter(), format=PICTURES), item)
    files = dict(outcome.files)
    assert list(files) == [
        "a-overlay.png",
        *("a-mask-0.png", "a-cutout-0.png", "a-mask-1.png", "a-cutout-1.png", "a.json"),
    ]
    mask = np.asarray(Image.open(io.BytesIO(files["a-mask-0.png"])))
    assert np.array_equal(mask > 0, read_image(item.path).mean(axis=2) > 128)


def test_an_unknown_format_is_said_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr(job_module, "load", lambda *_given, **_options: pytest.fail("loaded"))
    with pytest.raises(FormatError, match="unknown format 'word'"):
        Job(Brighter(), format="word").load()


@pytest.mark.parametrize(
    ("error", "reason", "expected"),
    [
        (ImageError("a.jpg is\n broken"), "a.jpg is broken", True),
        (PermissionError(13, "Permission denied", "a.jpg"), "[Errno 13] Permission denied: 'a.jpg'", True),
        (MemoryError(), "not enough memory for it: MemoryError", True),
        (RuntimeError("CUDA error"), "RuntimeError: CUDA error", False),
    ],
)
def test_reasons(item, error, reason, expected):
    outcome = failure(item, error)
    assert (outcome.error, outcome.expected) == (reason, expected)
