import json
import pickle
import sys

import numpy as np
import pytest
import supervision
import torch
from pycocotools import mask as coco

from anymask.segment import registry, rle
from anymask.segment.errors import ImageError, MaskError, MissingPackageError
from anymask.segment.masks import Masks
from anymask.segment.polygons import polygons_to_mask


@pytest.fixture
def arrays():
    masks = np.zeros((4, 30, 40), dtype=bool)
    masks[0, 2:12, 3:20] = True
    masks[1, 5:9, 6:10] = True
    masks[2, 10:28, 15:39] = True
    masks[2, 15:20, 20:30] = False
    return masks


@pytest.fixture
def masks(arrays):
    return Masks.from_arrays(
        arrays,
        scores=[0.9, 0.5, 0.7, 0.1],
        stability=[0.8, 0.99, 0.9, 0.2],
        points=[(4, 3), (7, 6), (16, 11), (0, 0)],
        prompt=[0, 0, 1, 2],
        logits=np.arange(4 * 16, dtype=np.float32).reshape(4, 4, 4),
        crops=[(0, 0, 40, 30)] * 4,
        labels=["cup", None, "plate", "cup"],
    )


def test_columns_are_computed_from_the_pixels(arrays, masks):
    assert masks.size == (30, 40)
    assert masks.boxes.tolist() == [[3, 2, 20, 12], [6, 5, 10, 9], [15, 10, 39, 28], [0, 0, 0, 0]]
    assert masks.areas.tolist() == arrays.sum((1, 2)).tolist()
    kinds = {name: getattr(masks, name).dtype.name for name in ("boxes", "areas", "scores", "prompt", "logits")}
    assert kinds == {
        "boxes": "float32",
        "areas": "int64",
        "scores": "float32",
        "prompt": "int64",
        "logits": "float32",
    }


def test_decoding_gives_the_arrays_back(arrays, masks):
    np.testing.assert_array_equal(masks.decode(), arrays)
    np.testing.assert_array_equal(np.asarray(masks), arrays)
    assert np.asarray(masks, dtype=np.uint8).sum() == arrays.sum()
    np.testing.assert_array_equal(masks.mask(-2), arrays[2])
    np.testing.assert_array_equal(masks.crop(2), arrays[2, 10:28, 15:39])
    np.testing.assert_array_equal(masks.union(), arrays.any(0))
    assert Masks.empty((3, 4)).decode().shape == (0, 3, 4)
    assert not Masks.empty((3, 4)).union().any()


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, [0]),
        (-1, [3]),
        (np.int64(2), [2]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, -1), [3, 2, 1, 0]),
        ([2, 0, 2], [2, 0, 2]),
        (np.array([True, False, False, True]), [0, 3]),
        ([False] * 4, []),
        ([], []),
    ],
)
def test_indexing_selects_every_column_and_gives_masks(arrays, masks, index, expected):
    chosen = masks[index]
    assert isinstance(chosen, Masks)
    np.testing.assert_array_equal(chosen.decode(), arrays[expected])
    for name in ("boxes", "areas", "scores", "stability", "points", "prompt", "logits", "crops"):
        np.testing.assert_array_equal(getattr(chosen, name), getattr(masks, name)[expected])
    assert chosen.labels == [masks.labels[position] for position in expected]


@pytest.mark.parametrize("index", [4, -5, [0, 9], [True, False], 1.5, "a", [[0]], None])
def test_bad_indices_are_refused(masks, index):
    with pytest.raises(IndexError):
        masks[index]


def test_iteration_gives_single_masks(masks):
    assert [(len(one), int(one.areas[0])) for one in masks] == [(1, area) for area in masks.areas]
    assert masks
    assert not masks[:0]


def test_selecting_never_decodes(monkeypatch, masks):
    def refuse(*_):
        pytest.fail("a mask was decoded")

    for name in ("decode", "decode_crop", "decode_counts"):
        monkeypatch.setattr(rle, name, refuse)
    kept = Masks.concatenate([masks[1:], masks[0]]).sort().filter(min_area=1)
    assert kept.scores.tolist() == pytest.approx([0.9, 0.7, 0.5])


def test_a_thousand_masks_of_twelve_megapixels_fit_in_a_few_megabytes():
    y, x = np.ogrid[:3000, :4000]
    wavy = (x - 2000) ** 2 + (y - 1500) ** 2 + 20_000 * np.sin(x / 9) < 500**2
    one = Masks.from_arrays(wavy).rles[0]
    # Copies of the bytes, because pickle writes a repeated object once.
    copies = [rle.RLE(size=[3000, 4000], counts=bytes(bytearray(one["counts"]))) for _ in range(1000)]
    many = Masks(copies, (3000, 4000), scores=np.ones(1000), stability=np.ones(1000))
    assert len(pickle.dumps(many)) < 6_000_000
    assert (many.areas == wavy.sum()).all()


def test_sorting(masks):
    assert masks.sort().scores.tolist() == pytest.approx([0.9, 0.7, 0.5, 0.1])
    assert masks.sort("areas", descending=False).areas.tolist() == sorted(masks.areas.tolist())
    assert masks.sort("prompt").prompt.tolist() == [2, 1, 0, 0]
    assert masks.sort("prompt").areas.tolist()[2:] == masks.areas.tolist()[:2]
    with pytest.raises(MaskError, match="not a column"):
        masks.sort("boxes")
    with pytest.raises(MaskError, match="no scores"):
        masks.replace(scores=None).sort()


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"min_area": 16}, [0, 1, 2]),
        ({"min_area": 17, "max_area": 200}, [0]),
        ({"min_score": 0.69}, [0, 2]),
        ({"min_stability": 0.85, "max_area": 100}, [1]),
        ({"label": "cup"}, [0, 3]),
        ({"keep": [True, True, False, False], "min_score": 0.6}, [0]),
    ],
)
def test_filtering(masks, conditions, expected):
    assert masks.filter(**conditions) == masks[expected]


@pytest.mark.parametrize("conditions", [{"min_score": 1}, {"min_stability": 1}, {"label": "a"}, {"keep": [0, 1]}])
def test_filtering_by_what_is_missing_is_refused(arrays, conditions):
    with pytest.raises(MaskError):
        Masks.from_arrays(arrays).filter(**conditions)


def test_concatenation_keeps_the_columns_that_all_have(masks):
    joined = Masks.concatenate([masks[2:], Masks.empty(masks.size), masks[:2]])
    assert joined == masks[[2, 3, 0, 1]]
    partial = Masks.concatenate([masks, masks.replace(scores=None, labels=None, logits=None)])
    assert (partial.scores, partial.labels, partial.logits) == (None, None, None)
    assert partial.stability.shape == (8,)
    assert len(Masks.concatenate([Masks.empty((2, 3))])) == 0
    with pytest.raises(MaskError, match="different image sizes"):
        Masks.concatenate([masks, Masks.empty((3, 4))])
    with pytest.raises(MaskError, match="at least one"):
        Masks.concatenate([])


def test_replacing_columns(masks):
    renamed = masks.replace(labels=["a"] * 4, scores=None)
    assert renamed.labels == ["a"] * 4
    assert renamed.scores is None
    assert masks.labels[0] == "cup"
    assert renamed.replace(labels=masks.labels, scores=masks.scores) == masks
    assert renamed != masks
    with pytest.raises(MaskError, match="no column"):
        masks.replace(colour=[1])


def test_iou_agrees_with_the_pixels(arrays, masks):
    overlap = (arrays[:, None] & arrays[None, :3]).sum((2, 3))
    union = (arrays[:, None] | arrays[None, :3]).sum((2, 3))
    np.testing.assert_allclose(masks.iou(masks[:3]), overlap / np.maximum(union, 1))
    assert masks.iou(masks[:0]).shape == (4, 0)
    with pytest.raises(MaskError, match="different image sizes"):
        masks.iou(Masks.from_arrays(np.ones((3, 3), dtype=bool)))


def test_from_logits_thresholds_tensors_and_arrays(arrays):
    logits = torch.where(torch.from_numpy(arrays), 0.4, -0.4).to(torch.bfloat16).requires_grad_()
    np.testing.assert_array_equal(Masks.from_logits(logits).decode(), arrays)
    assert Masks.from_logits(logits, threshold=0.5).areas.tolist() == [0, 0, 0, 0]
    assert Masks.from_logits(np.zeros((1, 3, 4))).areas.tolist() == [0]


def test_from_rles_takes_every_form_of_counts(arrays, masks):
    forms = [
        masks.rles[0],
        {"size": [30, 40], "counts": masks.rles[1]["counts"].decode()},
        {"size": [30, 40], "counts": rle.decode_counts(masks.rles[2]).tolist()},
    ]
    np.testing.assert_array_equal(Masks.from_rles(forms).decode(), arrays[:3])
    for nothing in ([], ["x"], [{"counts": [1]}], [{"size": 5, "counts": [5]}]):
        with pytest.raises(MaskError, match="size"):
            Masks.from_rles(nothing)


def test_coco_annotations_pass_through_json_and_agree_with_pycocotools(arrays, masks):
    annotations = json.loads(json.dumps(masks.to_coco(image_id=7, category_id=3, first_id=100)))
    assert [a["id"] for a in annotations] == [100, 101, 102, 103]
    assert {(a["image_id"], a["category_id"], a["iscrowd"]) for a in annotations} == {(7, 3, 0)}
    for annotation, array in zip(annotations, arrays, strict=True):
        segmentation = annotation["segmentation"]
        assert segmentation["counts"] == coco.encode(np.asfortranarray(array.astype(np.uint8)))["counts"].decode()
        assert annotation["area"] == array.sum()
        assert annotation["bbox"] == coco.toBbox(segmentation).tolist()
    again = Masks.from_coco(annotations, (30, 40))
    assert again == masks.replace(prompt=None, logits=None)


def test_coco_categories_by_label(masks):
    numbers = {"cup": 5, "plate": 6, None: 0}
    assert [a["category_id"] for a in masks.to_coco(category_id=numbers.get)] == [5, 0, 6, 5]


def test_coco_polygons_and_bad_annotations():
    annotations = [{"id": 9, "segmentation": [[1, 1, 6, 1, 6, 4, 1, 4]]}]
    masks = Masks.from_coco(annotations, (8, 10))
    assert masks.boxes.tolist() == [[1, 1, 6, 4]]
    assert masks.scores is None
    with pytest.raises(MaskError, match="annotation 9: the RLE has the size"):
        Masks.from_coco([{"id": 9, "segmentation": {"size": [1, 1], "counts": [1]}}], (8, 10))
    with pytest.raises(MaskError, match="annotation 0 has no segmentation"):
        Masks.from_coco([{"bbox": [1, 2, 3, 4]}], (8, 10))
    assert len(Masks.from_coco([], (8, 10))) == 0


def test_supervision_there_and_back(arrays, masks):
    detections = masks.to_supervision()
    assert isinstance(detections, supervision.Detections)
    np.testing.assert_array_equal(detections.mask, arrays)
    np.testing.assert_array_equal(detections.confidence, masks.scores)
    assert detections.data["class_name"].tolist() == ["cup", "", "plate", "cup"]
    assert detections.class_id.tolist() == [1, 0, 2, 1]
    assert Masks.from_supervision(detections) == masks.replace(logits=None)
    high = detections[detections.confidence > 0.6]
    assert Masks.from_supervision(high).areas.tolist() == masks.areas[[0, 2]].tolist()


def test_supervision_edges(masks):
    assert len(Masks.from_supervision(supervision.Detections.empty(), size=(3, 4))) == 0
    assert len(Masks.empty((3, 4)).to_supervision()) == 0
    with pytest.raises(MaskError, match="size"):
        Masks.from_supervision(supervision.Detections.empty())
    with pytest.raises(MaskError, match="boxes only"):
        Masks.from_supervision(supervision.Detections(xyxy=np.array([[0, 0, 1, 1]])))
    with pytest.raises(MaskError, match="not"):
        Masks.from_supervision(masks.to_supervision(), size=(3, 4))


def test_a_missing_supervision_is_named(monkeypatch, masks):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingPackageError, match="pip install supervision"):
        masks.to_supervision()


def test_polygons_lie_in_the_image_frame_and_keep_holes(arrays, masks):
    (polygon,) = masks.polygons(2)
    assert len(polygon.holes) == 1
    assert polygon.exterior.min(0).tolist() == [15, 10]
    assert polygon.exterior.max(0).tolist() == [39, 28]
    np.testing.assert_array_equal(polygons_to_mask([polygon], (30, 40)), arrays[2])
    assert masks.polygons(3) == []


def test_the_label_map_has_small_masks_on_top(arrays, masks):
    expected = np.zeros((30, 40), dtype=np.int32)
    for number in (3, 1, 2):
        expected[arrays[number - 1]] = number
    np.testing.assert_array_equal(masks.label_map(), expected)
    assert masks.label_map().dtype == np.int32


def test_cutting_out(arrays, masks):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    piece = masks.cut_out(image, 2)
    assert piece.shape == (18, 24, 4)
    np.testing.assert_array_equal(piece[..., :3], image[10:28, 15:39])
    np.testing.assert_array_equal(piece[..., 3], arrays[2, 10:28, 15:39] * 255)
    assert masks.cut_out(image, 0, pad=5).shape == (17, 25, 4)
    whole = masks.cut_out(image, 3, crop=False)
    assert whole.shape == (30, 40, 4)
    assert whole[..., 3].max() == 0


def test_bad_cut_outs(masks):
    image = np.zeros((30, 40, 3), dtype=np.uint8)
    with pytest.raises(MaskError, match="empty"):
        masks.cut_out(image, 3)
    with pytest.raises(MaskError, match="40 x 31, the masks are of 40 x 30"):
        masks.cut_out(np.zeros((31, 40, 3), dtype=np.uint8))
    with pytest.raises(MaskError, match="pad"):
        masks.cut_out(image, 0, pad=-1)
    with pytest.raises(IndexError, match="4"):
        masks.cut_out(image, 4)
    with pytest.raises(ImageError):
        masks.cut_out("nowhere.png")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"scores": [1, 2]}, r"scores must have the shape \[4\] for 4 masks, got \[2\]"),
        ({"boxes": np.zeros((4, 3))}, r"boxes must have the shape \[4, 4\]"),
        ({"points": np.zeros((4, 1, 2))}, "points"),
        ({"logits": np.zeros((4, 8, 9))}, r"logits must have the shape \[4, grid, grid\]"),
        ({"labels": ["a"]}, "labels must be one per mask"),
        ({"labels": "abcd"}, "labels"),
    ],
)
def test_columns_of_the_wrong_shape_are_refused(arrays, columns, message):
    with pytest.raises(MaskError, match=message):
        Masks.from_arrays(arrays, **columns)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Masks([rle.encode_counts([4], (2, 2))], (2, 3)),
        lambda: Masks.empty((0, 3)),
        lambda: Masks.from_arrays(np.zeros((1, 2, 3, 4))),
        lambda: Masks.from_arrays(np.zeros((2, 0, 4))),
        lambda: Masks.from_logits(np.zeros((3, 4))),
    ],
)
def test_sizes_that_disagree_are_refused(call):
    with pytest.raises(MaskError):
        call()


def test_no_masks_with_columns():
    none = Masks.from_arrays(np.zeros((0, 3, 4), dtype=bool), scores=[], points=[], logits=[], labels=[])
    assert (none.points.shape, none.logits.shape, none.boxes.shape) == ((0, 2), (0, 0, 0), (0, 4))
    assert none.to_coco() == []
    assert none.sort().label_map().max() == 0


def test_the_representation_says_what_there_is(masks):
    assert repr(masks) == (
        "<Masks: 4 masks of a 40 x 30 image; areas 0 to 382; scores 0.100 to 0.900; "
        "with stability, points, prompt, logits, crops, labels>"
    )
    assert repr(masks[0].replace(stability=None, points=None, prompt=None, logits=None, crops=None)) == (
        "<Masks: 1 mask of a 40 x 30 image; area 170; score 0.900; with labels>"
    )
    assert repr(Masks.empty((3, 4))) == "<Masks: 0 masks of a 4 x 3 image>"


@pytest.mark.parametrize("name", ["draw", "save", "label"])
def test_methods_from_higher_floors(monkeypatch, masks, name):
    monkeypatch.setattr(registry, "_methods", {})
    with pytest.raises(AttributeError, match=rf"Masks\.{name} is provided by another part"):
        getattr(masks, name)("x")
    registry.register_method(f"Masks.{name}", lambda receiver, *given, **options: (receiver, given, options))
    assert getattr(masks, name)("x", y=1) == (masks, ("x",), {"y": 1})
