"""Everything mode against the same algorithm written plainly, and on pictures where there is little to find."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import anymask
from anymask.models.prompt_decoder import PromptDecoder
from anymask.segment import rle
from anymask.segment.encoded import EncodedImage
from anymask.segment.errors import PromptError
from anymask.segment.everything import EverythingStoppedError, Tally, find_masks
from anymask.segment.everything_settings import EverythingSettings, EverythingSettingsError
from anymask.segment.segmenter import Segmenter
from segment.everything_by_hand import everything_by_hand

# The packaged model promises less than the published ones, so that their thresholds would leave nothing to compare.
LOOSE = {"points_per_side": 8, "pred_iou_thresh": 0.3, "stability_score_thresh": 0.15}
CLOSE = {**LOOSE, "points_per_side": 3, "crop_n_layers": 1, "stability_score_thresh": 0.1}
FEW = {**LOOSE, "points_per_side": 5}


@pytest.fixture(scope="module", autouse=True)
def _one_thread_here():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pocket():
    return anymask.load("pocket", device="cpu", precision="float32")


def picture(name, width, height):
    return np.array(Image.fromarray(getattr(data, name)()).resize((width, height)))


@pytest.fixture(scope="module")
def coffee(pocket):
    return pocket.encode(picture("coffee", 203, 150))


def boxes_to_last_pixels(masks):
    return masks.boxes - [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("name", "size", "changes"),
    [
        ("astronaut", (190, 190), {}),
        ("chelsea", (700, 466), {"stability_score_offset": 0.5, "box_nms_thresh": 0.5, "min_mask_region_area": 60}),
        pytest.param("coffee", (203, 150), {**CLOSE, "points_per_side": 8}, marks=pytest.mark.long),
        ("rocket", (90, 240), {**CLOSE, "points_per_side": 4, "crop_n_points_downscale_factor": 2}),
    ],
)
def test_the_masks_are_those_of_the_plain_algorithm(pocket, name, size, changes):
    image = picture(name, *size)
    settings = {**LOOSE, **changes}
    expected = everything_by_hand(pocket.network, image, **settings)
    assert len(expected) >= 8
    photo = pocket.encode(image)

    def encode_crop(box):
        crop = pocket.encode(image[box[1] : box[3], box[0] : box[2]])
        return crop.embedding, crop.frame

    found = find_masks(pocket.network, pocket.prompt_decoder, photo.size, EverythingSettings(**settings), encode_crop)
    # In the published order, so that the mask at each place is the same one.
    assert len(found) == len(expected)
    for ours, (mask, box, score, stability, point, crop) in zip(found, expected, strict=True):
        assert rle.iou_matrix([ours.rle], [rle.encode_mask(mask)])[0, 0] >= 0.99
        np.testing.assert_allclose(ours.box, np.add(box, (0, 0, 1, 1)), atol=1)
        assert ours.score == pytest.approx(score, abs=1e-4)
        assert ours.stability == pytest.approx(stability, abs=2e-3)
        assert ours.point == pytest.approx(point)
        assert ours.crop == crop

    masks = photo.segment_everything(**settings)
    assert len(masks) == len(expected)
    assert np.all(np.diff(masks.scores) <= 0)
    np.testing.assert_allclose(masks.scores, sorted((one[2] for one in expected), reverse=True), atol=1e-4)
    matrix = masks.iou(anymask.Masks.from_arrays(np.stack([one[0] for one in expected])))
    assert matrix.max(axis=1).min() >= 0.99
    assert {tuple(crop) for crop in masks.crops} <= {tuple(one[5]) for one in expected}


def test_the_whole_answer_of_a_point_is_kept_where_nothing_is_filtered(coffee):
    everything = coffee.segment_everything(
        points_per_side=2, pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1.0
    )
    points = [((i + 0.5) / 2 * 203, (j + 0.5) / 2 * 150) for j in range(2) for i in range(2)]
    prompted = coffee.segment_many([anymask.Prompt(points=[point]) for point in points]).sort("scores")
    assert len(everything) == 12
    assert min(np.diag(everything.iou(prompted))) > 0.999
    np.testing.assert_allclose(everything.scores, prompted.scores, atol=1e-5)


def test_batches_of_any_size_find_the_same(coffee):
    first = coffee.segment_everything(**FEW)
    for at_a_time in (1, 7):
        other = coffee.segment_everything(**FEW, points_per_batch=at_a_time)
        assert len(other) == len(first)
        assert np.diag(first.iou(other)).min() > 0.999


@pytest.mark.parametrize(("size", "layers"), [((1, 40), 0), ((40, 1), 1), ((1, 1), 1), ((3, 200), 1)])
def test_thin_pictures(pocket, size, layers):
    height, width = size
    image = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    wide_open = {"points_per_side": 2, "pred_iou_thresh": 0, "stability_score_thresh": 0, "crop_n_layers": layers}
    masks = pocket.encode(image).segment_everything(**wide_open)
    assert masks.size == size
    assert masks.areas.min(initial=1) > 0
    overlap = masks.iou(masks) - np.eye(len(masks))
    assert overlap.max(initial=0) < 1


def test_thin_duplicates_go_but_in_the_published_way_they_stay(pocket):
    image = np.zeros((1, 30, 3), np.uint8)

    photo = pocket.encode(image)

    def encode_crop(box):
        assert list(box) == [0, 0, 30, 1]
        return photo.embedding, photo.frame

    # A point twice gives each of its masks twice.
    settings = EverythingSettings(point_grids=[[(0.5, 0.5), (0.5, 0.5)]], pred_iou_thresh=0, stability_score_thresh=0)
    ours = find_masks(pocket.network, pocket.prompt_decoder, (1, 30), settings, encode_crop)
    published = find_masks(pocket.network, pocket.prompt_decoder, (1, 30), settings, encode_crop, published=True)
    assert len(ours) <= 3
    assert len(published) == 6


def test_a_picture_of_one_colour_has_its_masks_or_none(pocket):
    photo = pocket.encode(np.full((60, 80, 3), 120, np.uint8))
    assert len(photo.segment_everything(points_per_side=4, pred_iou_thresh=2.0)) == 0
    none = photo.segment_everything(points_per_side=1, pred_iou_thresh=2.0, crop_n_layers=1, min_mask_region_area=9)
    assert none.size == (60, 80)
    assert none.scores.shape == none.stability.shape == (0,)
    assert none.points.shape == (0, 2)
    loose = photo.segment_everything(points_per_side=4, pred_iou_thresh=0, stability_score_thresh=0.01)
    assert loose.areas.max(initial=0) <= 60 * 80


def test_no_masks_are_explained_by_the_tally(coffee):
    tally = Tally()
    assert len(coffee.segment_everything(points_per_side=4, pred_iou_thresh=2.0, tally=tally)) == 0
    assert (tally.points, tally.good, tally.stable, tally.distinct) == (16, 0, 0, 0)
    assert 0 < tally.best_score < 2
    tally = Tally()
    masks = coffee.segment_everything(**FEW, tally=tally)
    assert 3 * tally.points >= tally.good >= tally.stable >= tally.kept >= tally.distinct == len(masks) > 0
    assert tally.best_score == pytest.approx(masks.scores.max())


@pytest.fixture(scope="module")
def in_bfloat16(pocket):
    """A maker of the same encoded image with a mask decoder in bfloat16."""
    segmenter = Segmenter(pocket.network, "pocket", "cpu", "bfloat16")
    return lambda photo: EncodedImage(segmenter, photo.embedding, photo.frame, photo.image)


@pytest.mark.parametrize(
    ("name", "size", "changes"),
    [
        ("coffee", (203, 150), {"points_per_side": 6}),
        ("coffee", (203, 150), {"points_per_side": 5, "pred_iou_thresh": 0}),
        ("coffee", (203, 150), {"points_per_side": 4, "stability_score_thresh": 0, "box_nms_thresh": 1.0}),
        (
            "rocket",
            (90, 140),
            {
                "points_per_side": 6,
                "stability_score_offset": 0.3,
                "stability_score_thresh": 0.6,
                "pred_iou_thresh": 0.2,
            },
        ),
        ("rocket", (90, 140), {"points_per_side": 6, "points_per_batch": 5, "region": (10, 10, 80, 100)}),
        ("rocket", (90, 140), {"only_uncovered": True}),
    ],
)
def test_masks_found_in_bfloat16_are_those_of_float32(pocket, in_bfloat16, name, size, changes):
    photo = pocket.encode(picture(name, *size))
    exact, rounded = Tally(), Tally()
    expected = photo.segment_everything(**{**LOOSE, **changes}, tally=exact)
    found = in_bfloat16(photo).segment_everything(**{**LOOSE, **changes}, tally=rounded)
    assert len(expected) >= 8
    assert found.rles == expected.rles
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.stability, expected.stability, atol=1e-5)
    np.testing.assert_array_equal(found.points, expected.points)
    # Only masks that are out of the question are counted in bfloat16.
    for one in (exact, rounded):
        assert 3 * one.points >= one.good >= one.stable >= one.kept >= one.distinct == len(expected)
    assert (rounded.points, rounded.stable, rounded.kept) == (exact.points, exact.stable, exact.kept)
    assert abs(rounded.good - exact.good) <= 0.05 * exact.good
    assert rounded.best_score == pytest.approx(exact.best_score, abs=0.01)
    assert rounded.best_stability == pytest.approx(exact.best_stability, abs=1e-5)


def test_bfloat16_alone_decides_little(coffee, in_bfloat16, monkeypatch):
    asked = []
    attend = PromptDecoder.attend

    def watch(decoder, image, sparse, chosen):
        asked.append((decoder.dtype, len(sparse)))
        return attend(decoder, image, sparse, chosen)

    monkeypatch.setattr(PromptDecoder, "attend", watch)
    masks = in_bfloat16(coffee).segment_everything(**FEW)
    counts = {dtype: sum(count for kind, count in asked if kind == dtype) for dtype in (torch.bfloat16, torch.float32)}
    # Every point is asked, and again in float32 if one of its masks may be kept.
    assert counts[torch.bfloat16] == 25
    assert len(np.unique(masks.points, axis=0)) <= counts[torch.float32] < 25


def test_what_bfloat16_rejects_is_explained_alike(coffee, in_bfloat16):
    for changes in ({"stability_score_thresh": 0.999}, {"pred_iou_thresh": 0.9}):
        exact, rounded = Tally(), Tally()
        for photo, tally in ((coffee, exact), (in_bfloat16(coffee), rounded)):
            assert len(photo.segment_everything(**{**FEW, **changes}, tally=tally)) == 0
        assert (rounded.points, rounded.stable) == (25, 0)
        assert abs(rounded.good - exact.good) <= 2
        assert rounded.best_score == pytest.approx(exact.best_score, abs=0.01)
        assert rounded.best_stability == pytest.approx(exact.best_stability, abs=0.05)
        assert (rounded.best_stability > 0) == (rounded.good > 0)


def test_tallies_of_parts_add_up():
    tally = Tally(points=5, good=9, stable=4, kept=3, distinct=0, best_score=0.5, best_stability=0.9)
    tally.add(Tally(points=2, good=1, stable=1, kept=0, distinct=0, best_score=0.7, best_stability=0.1))
    assert tally == Tally(points=7, good=10, stable=5, kept=3, distinct=0, best_score=0.7, best_stability=0.9)
    tally.add(Tally())
    assert tally.points == 7


def test_crops_and_batches_are_tallied_once(coffee):
    whole, cropped = Tally(), Tally()
    coffee.segment_everything(**{**CLOSE, "crop_n_layers": 0}, tally=whole)
    coffee.segment_everything(**CLOSE, tally=cropped)
    assert (whole.points, cropped.points) == (9, 9 + 4 * 9)
    assert whole.good < cropped.good <= 3 * 45
    parts = Tally()
    coffee.segment_everything(**{**CLOSE, "crop_n_layers": 0, "points_per_batch": 2}, tally=parts)
    assert (parts.points, parts.good, parts.stable, parts.kept) == (whole.points, whole.good, whole.stable, whole.kept)


@pytest.mark.parametrize("rounds", [False, True], ids=["float32", "bfloat16"])
def test_the_number_of_threads_does_not_change_the_masks(coffee, in_bfloat16, rounds):
    photo = in_bfloat16(coffee) if rounds else coffee
    changes = {"points_per_side": 6, "points_per_batch": 5}
    expected = photo.segment_everything(**{**LOOSE, **changes})
    assert len(expected) >= 8
    torch.set_num_threads(2)
    try:
        done, tally = [], Tally()
        found = photo.segment_everything(
            **{**LOOSE, **changes}, progress=lambda count, _: done.append(count), tally=tally
        )
        assert torch.get_num_threads() == 2
        stop = threading.Event()
        with pytest.raises(EverythingStoppedError, match="stopped after 10 of 36 points"):
            photo.segment_everything(
                **{**LOOSE, **changes}, stop=stop, progress=lambda count, _: count == 10 and stop.set()
            )
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert found.rles == expected.rles
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_array_equal(found.points, expected.points)
    assert done == [0, 5, 10, 15, 20, 25, 30, 35, 36]
    assert tally.points == 36


def test_a_region_keeps_points_and_masks_inside(coffee):
    box = (40, 30, 160, 120)
    boxed = coffee.segment_everything(**FEW, region=box)
    assert len(boxed)
    inside = np.zeros(coffee.size, dtype=bool)
    inside[30:120, 40:160] = True
    assert not (boxed.decode() & ~inside).any()
    assert ((boxed.points >= [40, 30]) & (boxed.points <= [160, 120])).all()
    # The same place as a mask is the same region.
    for region in (inside, inside.astype(np.uint8) * 255, anymask.Masks.from_arrays(inside)):
        assert coffee.segment_everything(**FEW, region=region) == boxed
    disc = np.hypot(*np.mgrid[-75:75, -101:102]) < 60
    round_ones = coffee.segment_everything(**FEW, region=disc)
    assert len(round_ones)
    assert not (round_ones.decode() & ~disc).any()
    assert disc[tuple(round_ones.points.astype(int).T[::-1])].all()


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ((10, 10, 5, 20), "is empty: x1 must be larger"),
        ((300, 10, 400, 20), "outside the image, which is 203 wide and 150 high"),
        ((0, 0, np.inf, 20), "finite"),
        ((1, 2, 3), "a box"),
        ("left", "a box"),
        (None, None),
        (np.zeros((150, 203), bool), "without any pixel"),
        (np.ones((150, 204), bool), r"mask of the image's size \[150, 203\]"),
        (anymask.Masks.empty((150, 203)), "one mask of an image"),
    ],
)
def test_regions_that_are_none(coffee, region, message):
    if message is None:
        assert coffee.segment_everything(points_per_side=1, region=region).size == coffee.size
        return
    with pytest.raises(PromptError, match=message):
        coffee.segment_everything(points_per_side=1, region=region)


def test_uncovered_points_only(coffee):
    whole, some = Tally(), Tally()
    coffee.segment_everything(**FEW, tally=whole)
    masks = coffee.segment_everything(**FEW, only_uncovered=True, tally=some)
    assert 0 < some.points < whole.points == 25
    assert len(masks)
    # Where nothing is filtered, every point was either asked or lies on a mask.
    settings = {"pred_iou_thresh": 0, "stability_score_thresh": 0, "box_nms_thresh": 1.0, "points_per_side": 5}
    found = coffee.segment_everything(**settings, only_uncovered=True, points_per_batch=1)
    asked = np.unique(found.points, axis=0)
    assert len(found) == 3 * len(asked) < 75
    for x, y in EverythingSettings(points_per_side=5).grids()[0] * [203, 150]:
        assert np.abs(asked - [x, y]).max(axis=1).min() < 1e-3 or found.union()[int(y), int(x)]


def test_progress_and_stopping(coffee):
    seen = []
    coffee.segment_everything(**CLOSE, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 45)
    assert seen[-1] == (45, 45)
    assert seen == sorted(seen)
    stop = threading.Event()
    with pytest.raises(EverythingStoppedError, match="stopped after 8 of 25 points"):
        coffee.segment_everything(
            **FEW, points_per_batch=4, stop=stop, progress=lambda done, _: done >= 5 and stop.set()
        )
    with pytest.raises(EverythingStoppedError, match="after 0 of 25"):
        coffee.segment_everything(**FEW, stop=stop)


def test_what_a_callback_returns_or_raises(coffee):
    assert len(coffee.segment_everything(**FEW, progress=lambda *_: True)) > 0

    def fail(done, total):
        raise KeyError(done, total)

    with pytest.raises(KeyError):
        coffee.segment_everything(**FEW, progress=fail)


def test_crops_need_the_pixels(coffee, pocket, tmp_path):
    coffee.save(tmp_path / "a.safetensors")
    loaded = EncodedImage.load(tmp_path / "a.safetensors", pocket)
    assert loaded.segment_everything(**FEW) == coffee.segment_everything(**FEW)
    with pytest.raises(PromptError, match=r"loaded without them: encode the image again, or .* crop_n_layers=0"):
        loaded.segment_everything("sa1b")


def test_explicit_grids(coffee):
    grid = EverythingSettings(points_per_side=5).grids()[0]
    assert coffee.segment_everything(**FEW, point_grids=[grid]) == coffee.segment_everything(**FEW)
    one = coffee.segment_everything(point_grids=[[(0.5, 0.5)]], pred_iou_thresh=0, stability_score_thresh=0)
    assert np.unique(one.points, axis=0).tolist() == [[101.5, 75]]


def test_large_masks_can_be_left_out(coffee):
    masks = coffee.segment_everything(**FEW, max_mask_area=0.1)
    assert len(masks)
    assert masks.areas.max() <= 0.1 * 150 * 203 < coffee.segment_everything(**FEW).areas.max()


def test_settings_are_checked_before_anything_is_computed(coffee):
    with pytest.raises(EverythingSettingsError, match="unknown preset 'fastest': use default, sa1b, fine, fast"):
        coffee.segment_everything("fastest")
    with pytest.raises(EverythingSettingsError, match="no setting 'points'; it has points_per_side"):
        coffee.segment_everything(points=3)
