import numpy as np
import pytest
import torch
from pycocotools import mask as coco

import anymask
from anymask.evaluate import EvaluationError, evaluate_clicks, first_click
from anymask.evaluate import clicks as clicks_module
from anymask.models.registry import build_model
from anymask.segment.masks import Masks


class FakeDataset:
    """Images of a few rectangles each, told apart by the colour of their first pixel."""

    def __init__(self, rectangles, size=(60, 80), categories=None):
        self.targets, self.size, self.names = [], size, categories
        for boxes in rectangles:
            masks = np.zeros((len(boxes), *size), dtype=bool)
            for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
                mask[y0:y1, x0:x1] = True
            self.targets.append(masks)

    def __len__(self):
        return len(self.targets)

    def name(self, index):
        return f"image-{index}.png"

    def image(self, index):
        image = np.random.default_rng(index).integers(0, 255, (*self.size, 3)).astype(np.uint8)
        image[0, 0] = index
        return image

    def masks(self, index):
        return [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in self.targets[index]]

    def categories(self, index):
        return ["" if self.names is None else self.names[index]] * len(self.targets[index])


class FakeSegmenter:
    """Answers with ``respond(target, number of clicks)``: a list of (mask, score), best score first.

    The target is the one that the prompt's box or first click means.
    """

    name = "fake"

    def __init__(self, dataset, respond):
        self.dataset, self.respond = dataset, respond
        self.encoded, self.batches = [], []

    def encode(self, image):
        index = int(image[0, 0, 0])
        self.encoded.append(index)
        return FakeImage(self, self.dataset.targets[index])


class FakeImage:
    def __init__(self, segmenter, targets):
        self.segmenter, self.targets = segmenter, targets

    def target_of(self, prompt):
        for target in self.targets:
            if not target.any():
                continue
            if prompt.box is not None:
                if np.array_equal(Masks.from_arrays(target).boxes[0], prompt.box):
                    return target
            elif tuple(first_click(target)[:2]) == tuple(prompt.points[0]):
                return target
        raise AssertionError("a prompt that means none of the targets")

    def segment_many(self, prompts):
        self.segmenter.batches.append(list(prompts))
        parts = []
        for number, prompt in enumerate(prompts):
            count = 0 if prompt.points is None else len(prompt.points)
            answers = self.segmenter.respond(self.target_of(prompt), count)
            if not prompt.multimask:
                answers = answers[:1]
            parts.append(
                Masks.from_arrays(
                    np.stack([mask for mask, _ in answers]),
                    scores=[score for _, score in answers],
                    prompt=[number] * len(answers),
                    logits=np.full((len(answers), 8, 8), count, dtype=np.float32),
                )
            )
        return Masks.concatenate(parts)


def with_iou(target, iou):
    """Keep the first pixels of the target so that its IoU is that share."""
    mask = np.zeros_like(target)
    pixels = np.flatnonzero(target)
    mask.flat[pixels[: round(iou * len(pixels))]] = True
    return mask


def scripted(ious):
    """A model whose IoU after k clicks is ``ious[k]`` (k = 0 from the box); then the last for ever."""

    def respond(target, count):
        iou = ious[min(count, len(ious) - 1)]
        return [(with_iou(target, iou), 0.9), (with_iou(target, 1.0), 0.8), (with_iou(target, 0.1), 0.7)]

    return respond


@pytest.fixture
def two_images():
    return FakeDataset([[(10, 10, 20, 20), (30, 10, 70, 50)], [(5, 5, 65, 55)]], categories=["person", "cup"])


def test_a_perfect_model(two_images):
    model = FakeSegmenter(two_images, lambda target, count: [(target, 1.0)] * 3)  # noqa: ARG005
    report = evaluate_clicks(model, two_images)
    everything = report.groups["all"]
    assert everything.masks == 3
    assert all(interval.mean == 1.0 for interval in everything.iou.values())
    assert everything.clicks_to_reach["85"].clicks.mean == 1
    assert everything.clicks_to_reach["90"].never.mean == 0
    assert everything.scores["box"].absolute_error.mean == 0
    # Rectangles fill their boxes, so the baseline is perfect too.
    assert everything.differences["box_minus_filled_box"].mean == 0
    assert report.groups["person"].masks == 2
    assert report.groups["other"].masks == 1
    # Nothing is wrong after the first click, so the robot does not go on.
    assert [len(row.click_ious) for row in report.rows] == [1, 1, 1]


def test_number_of_clicks_by_hand(two_images):
    model = FakeSegmenter(two_images, scripted([0.5, 0.5, 0.86, 0.8, 0.8, 0.88, 0.8, 0.95]))
    report = evaluate_clicks(model, two_images, baselines=False)
    for row in report.rows:
        assert row.click_ious == pytest.approx([0.5, 0.86, 0.8, 0.8, 0.88, 0.8, 0.95], abs=0.005)
        assert row.clicks_to_reach(0.85) == 2
        assert row.clicks_to_reach(0.90) == 7
    everything = report.groups["all"]
    assert everything.clicks_to_reach["85"].clicks.mean == 2
    assert everything.clicks_to_reach["90"].clicks.mean == 7
    assert everything.iou["click_1_best"].mean == 1.0
    assert everything.iou["click_1"].mean == pytest.approx(0.5)
    assert everything.iou["click_20"].mean == pytest.approx(0.95, abs=0.005)
    assert everything.scores["box"].absolute_error.mean == pytest.approx(0.4)
    assert not everything.baselines


def test_five_clicks_are_done_even_if_all_is_reached(two_images):
    model = FakeSegmenter(two_images, scripted([0.9, 0.95]))
    report = evaluate_clicks(model, two_images, baselines=False)
    assert [len(row.click_ious) for row in report.rows] == [5, 5, 5]


def test_without_thresholds_the_robot_goes_on(two_images):
    model = FakeSegmenter(two_images, scripted([0.8]))
    report = evaluate_clicks(model, two_images, thresholds=(), max_clicks=7, baselines=False)
    assert [len(row.click_ious) for row in report.rows] == [7, 7, 7]
    assert not report.groups["all"].clicks_to_reach


def test_an_error_of_the_model_comes_through(two_images):
    def fail(target, count):
        raise RuntimeError(f"no answer to {count} clicks on {target.sum()} pixels")

    with pytest.raises(RuntimeError, match="no answer"):
        evaluate_clicks(FakeSegmenter(two_images, fail), two_images)


@pytest.mark.parametrize(("max_clicks", "expected"), [(20, 20), (3, 3), (1, 1)])
def test_what_is_never_reached_stops_at_the_cap(two_images, max_clicks, expected):
    model = FakeSegmenter(two_images, scripted([0.3]))
    report = evaluate_clicks(model, two_images, max_clicks=max_clicks, baselines=False)
    assert [len(row.click_ious) for row in report.rows] == [expected] * 3
    reach = report.groups["all"].clicks_to_reach["85"]
    assert reach.clicks.mean == max_clicks
    assert reach.never.mean == 1


def test_prompts_grow_and_feed_the_logits_back(two_images):
    model = FakeSegmenter(two_images, scripted([0.3]))
    evaluate_clicks(model, two_images, max_clicks=4, baselines=False)
    boxes, *rounds = model.batches[:5]
    assert [prompt.multimask for prompt in boxes] == [False, False]
    assert np.array_equal(boxes[1].box, [30, 10, 70, 50])
    for number, prompts in enumerate(rounds, 1):
        # Both masks of the image share each batch.
        assert len(prompts) == 2
        for prompt in prompts:
            assert len(prompt.points) == len(prompt.labels) == number
            assert len(set(prompt.points)) == number
            assert prompt.multimask == (number == 1)
            assert (prompt.mask is None) == (number == 1)
            if number > 1:
                assert len(prompt.mask) == 1
                assert prompt.mask.logits[0, 0, 0] == number - 1
    assert model.encoded == [0, 1]


def test_without_feeding_back_there_are_points_only(two_images):
    model = FakeSegmenter(two_images, scripted([0.3]))
    evaluate_clicks(model, two_images, max_clicks=3, refine_with_mask=False, baselines=False)
    assert all(prompt.mask is None for prompts in model.batches for prompt in prompts)
    assert [prompts[0].multimask for prompts in model.batches[1:4]] == [True, False, False]


def test_masks_of_one_image_are_taken_in_parts(two_images, monkeypatch):
    whole = evaluate_clicks(FakeSegmenter(two_images, scripted([0.3, 0.6])), two_images)
    monkeypatch.setattr(clicks_module, "MASKS_AT_A_TIME", 1)
    parts = evaluate_clicks(FakeSegmenter(two_images, scripted([0.3, 0.6])), two_images)
    assert parts == whole


def test_limits_choose_the_same_masks_every_time():
    boxes = [(x, y, x + 6, y + 6) for x in range(0, 70, 10) for y in range(0, 50, 10)]
    dataset = FakeDataset([boxes] * 6)
    model = FakeSegmenter(dataset, scripted([0.3]))
    options = {"max_masks_per_image": 4, "max_images": 3, "max_clicks": 1, "baselines": False}
    first = evaluate_clicks(model, dataset, **options)
    assert [row.image for row in first.rows] == [f"image-{n}.png" for n in (0, 2, 4) for _ in range(4)]
    assert first.rows == evaluate_clicks(model, dataset, **options).rows
    assert len({row.mask for row in first.rows}) > 4


def test_small_and_empty_masks_do_not_count():
    dataset = FakeDataset([[(0, 0, 0, 0), (5, 5, 8, 8), (10, 10, 20, 20)], [(0, 0, 0, 0)], []])
    model = FakeSegmenter(dataset, scripted([0.3]))
    report = evaluate_clicks(model, dataset, max_clicks=1)
    assert [(row.image, row.mask, row.area) for row in report.rows] == [
        ("image-0.png", 1, 9), ("image-0.png", 2, 100),
    ]  # fmt: skip
    report = evaluate_clicks(model, dataset, max_clicks=1, min_area=50)
    assert [row.mask for row in report.rows] == [2]
    with pytest.raises(EvaluationError, match="no mask of at least 5000 pixels"):
        evaluate_clicks(model, dataset, min_area=5000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_clicks": 0}, "max_clicks must be at least 1, not 0"),
        ({"min_area": 0}, "min_area must be at least 1"),
        ({"max_images": 0}, "max_images must be at least 1"),
        ({"max_masks_per_image": -1}, "max_masks_per_image must be at least 1"),
        ({"thresholds": (0.85, 85)}, "such as 0.85; got"),
    ],
)
def test_settings_out_of_range(two_images, options, message):
    with pytest.raises(EvaluationError, match=message):
        evaluate_clicks(FakeSegmenter(two_images, scripted([0.3])), two_images, **options)


def test_masks_of_another_size_than_the_image(two_images):
    model = FakeSegmenter(two_images, scripted([0.3]))
    two_images.size = (61, 80)
    with pytest.raises(EvaluationError, match=r"image-0.png is 80 x 61 pixels, its masks are of 80 x 60"):
        evaluate_clicks(model, two_images)


def test_progress_counts_images(two_images):
    seen = []
    model = FakeSegmenter(two_images, scripted([0.3]))
    evaluate_clicks(
        model,
        two_images,
        max_clicks=1,
        baselines=False,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_the_real_network_is_evaluated(two_images):
    torch.manual_seed(0)
    segmenter = anymask.load(build_model("pocket"), device="cpu", precision="float32")
    report = evaluate_clicks(segmenter, two_images, max_clicks=3, max_images=1)
    assert len(report.rows) == 2
    for row in report.rows:
        assert len(row.click_1_ious) == len(row.click_1_scores) == 3
        assert list(row.click_1_scores) == sorted(row.click_1_scores, reverse=True)
        assert 1 <= len(row.click_ious) <= 3
        assert all(0 <= iou <= 1 for iou in row.click_ious)
        assert row.grab_cut_iou is not None
