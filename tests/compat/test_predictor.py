import numpy as np
import pytest
import torch
from skimage import data

import anymask
from anymask.compat.segment_anything import SamPredictor
from anymask.errors import AnymaskError
from anymask.models.registry import build_model
from anymask.segment.segmenter import DeviceError
from compat.published import PublishedAlgorithm

TOLERANCE = 1e-4
POINTS, LABELS = np.array([[150, 90], [20, 30]]), np.array([1, 0])
BOX = np.array([60, 20, 220, 180])


@pytest.fixture
def predictor(pair, image):
    predictor = SamPredictor(pair.ours)
    predictor.set_image(image)
    return predictor


@pytest.fixture(scope="module")
def published(pair, image):
    return PublishedAlgorithm(pair.reference, pair.image_size, image)


@pytest.fixture(scope="module")
def mask_input():
    return np.random.default_rng(0).normal(0, 5, (1, 40, 40)).astype(np.float32)


def test_the_embedding_is_that_of_the_published_algorithm(predictor, published):
    embedding = predictor.get_image_embedding()
    assert embedding.shape == (1, 256, 10, 10)
    assert embedding.dtype == torch.float32
    torch.testing.assert_close(embedding, published.embedding, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize(
    "kinds",
    [
        {"points"},
        {"box"},
        {"mask"},
        {"points", "box"},
        {"points", "mask"},
        {"box", "mask"},
        {"points", "box", "mask"},
    ],
    ids=lambda kinds: "+".join(sorted(kinds)),
)
def test_predictions_are_those_of_the_published_algorithm(predictor, published, mask_input, image, kinds, multimask):
    points, labels = (POINTS, LABELS) if "points" in kinds else (None, None)
    box = BOX if "box" in kinds else None
    mask = mask_input if "mask" in kinds else None
    logits, scores, low_res = predictor.predict(points, labels, box, mask, multimask, return_logits=True)
    expected, expected_scores, expected_low_res = published.answer(
        None if points is None else points[None],
        None if points is None else labels[None],
        None if box is None else box[None],
        None if mask is None else mask[None],
        multimask,
    )
    count = 3 if multimask else 1
    assert logits.shape == (count, *image.shape[:2])
    assert low_res.shape == (count, 40, 40)
    np.testing.assert_allclose(logits, expected[0], atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(scores, expected_scores[0], atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(low_res, expected_low_res[0], atol=TOLERANCE, rtol=0)
    masks, *_ = predictor.predict(
        point_coords=points,
        point_labels=labels,
        box=box,
        mask_input=mask,
        multimask_output=multimask,
    )
    assert masks.dtype == bool
    np.testing.assert_array_equal(masks, logits > 0)
    assert 0 < masks.mean() < 1


def test_batched_boxes_and_points_by_predict_torch(predictor, published, image):
    boxes = torch.tensor([[10, 20, 100, 120], [50, 0, 300, 189], [5, 5, 30, 40]])
    points = torch.tensor([[[30, 40]], [[120, 100]], [[9, 9]]])
    labels = torch.tensor([[1], [0], [1]])
    masks, scores, low_res = predictor.predict_torch(
        predictor.transform.apply_coords_torch(points, image.shape[:2]),
        labels,
        boxes=predictor.transform.apply_boxes_torch(boxes, image.shape[:2]),
        multimask_output=False,
        return_logits=True,
    )
    expected, expected_scores, expected_low_res = published.answer(points, labels, boxes, None, False)
    assert masks.shape == (3, 1, *image.shape[:2])
    torch.testing.assert_close(masks, expected, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(scores, expected_scores, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(low_res, expected_low_res, atol=TOLERANCE, rtol=0)
    assert not masks.requires_grad


@pytest.mark.parametrize("point", [[-40.5, 20.0], [5000.0, 90.0], [150.0, -1.0]])
def test_points_outside_the_image_are_accepted(predictor, published, point):
    logits, *_ = predictor.predict(np.array([point]), np.array([1]), return_logits=True)
    expected, *_ = published.answer(np.array([[point]]), np.array([[1]]))
    np.testing.assert_allclose(logits, expected[0], atol=TOLERANCE, rtol=0)


def test_a_box_outside_the_image_is_accepted(predictor, published):
    box = np.array([-100, -50, 900, 800])
    logits, *_ = predictor.predict(box=box, return_logits=True)
    np.testing.assert_allclose(logits, published.answer(boxes=box[None])[0][0], atol=TOLERANCE, rtol=0)


def test_bgr_is_flipped(predictor, image):
    expected = predictor.get_image_embedding()
    predictor.set_image(image[..., ::-1], image_format="BGR")
    assert torch.equal(predictor.get_image_embedding(), expected)
    predictor.set_image(image[..., ::-1])
    assert not torch.equal(predictor.get_image_embedding(), expected)


def test_attributes_before_and_after_an_image(pair, image):
    predictor = SamPredictor(pair.ours)
    assert predictor.model is pair.ours
    assert predictor.device == torch.device("cpu")
    assert predictor.transform.target_length == pair.image_size
    empty = ("features", "original_size", "input_size", "orig_h", "orig_w", "input_h", "input_w")
    assert not predictor.is_image_set
    assert [getattr(predictor, name) for name in empty] == [None] * 7
    predictor.set_image(image)
    assert predictor.is_image_set is True
    assert predictor.original_size == (predictor.orig_h, predictor.orig_w) == (190, 301)
    assert predictor.input_size == (predictor.input_h, predictor.input_w) == (101, 160)
    assert predictor.features is predictor.get_image_embedding()
    predictor.reset_image()
    assert not predictor.is_image_set
    assert [getattr(predictor, name) for name in empty] == [None] * 7


def test_a_torch_image_is_set(predictor, image):
    expected, *_ = predictor.predict(POINTS, LABELS, return_logits=True)
    scaled = torch.from_numpy(predictor.transform.apply_image(image)).permute(2, 0, 1)[None]
    predictor.set_torch_image(scaled, image.shape[:2])
    logits, *_ = predictor.predict(POINTS, LABELS, return_logits=True)
    np.testing.assert_array_equal(logits, expected)


def test_a_saved_embedding_can_be_put_back(predictor, pair):
    expected, *_ = predictor.predict(POINTS, LABELS)
    other = SamPredictor(pair.ours)
    other.features, other.is_image_set = predictor.features, True
    other.original_size, other.input_size = predictor.original_size, predictor.input_size
    np.testing.assert_array_equal(other.predict(POINTS, LABELS)[0], expected)


def test_a_subclass_is_asked(pair, image):
    class Recorder(SamPredictor):
        seen = ()

        def set_torch_image(self, transformed_image, original_image_size):
            self.seen += (tuple(transformed_image.shape),)
            super().set_torch_image(transformed_image, original_image_size)

        def predict_torch(self, point_coords, point_labels, boxes=None, *args, **kwargs):
            self.seen += (tuple(point_coords.shape), tuple(point_labels.shape), tuple(boxes.shape))
            return super().predict_torch(point_coords, point_labels, boxes, *args, **kwargs)

    predictor = Recorder(pair.ours)
    predictor.set_image(image)
    predictor.predict(POINTS, LABELS, BOX)
    assert predictor.seen == ((1, 3, 101, 160), (1, 2, 2), (1, 2), (1, 4))


def test_before_an_image_is_set_there_are_no_masks(pair):
    predictor = SamPredictor(pair.ours)
    for ask in (
        lambda: predictor.predict(POINTS, LABELS),
        lambda: predictor.predict_torch(torch.zeros(1, 1, 2), torch.ones(1, 1)),
        predictor.get_image_embedding,
    ):
        with pytest.raises(RuntimeError, match="no image is set: call set_image") as caught:
            ask()
        assert isinstance(caught.value, AnymaskError)


def test_points_need_labels(predictor):
    with pytest.raises(AssertionError, match="point_labels must be given"):
        predictor.predict(POINTS)
    with pytest.raises(AssertionError, match="point_labels must be given"):
        predictor.predict_torch(torch.zeros(1, 1, 2), None)


def test_an_unknown_format_is_refused(predictor, image):
    with pytest.raises(AssertionError, match="image_format must be 'RGB' or 'BGR', not 'HSV'"):
        predictor.set_image(image, "HSV")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((8, 8), np.uint8), r"not an array of shape \(8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), r"not an array of shape \(8, 8, 4\)"),
        (np.zeros((8, 8, 3), np.float32), "not float32"),
        ("photo.jpg", "not str"),
    ],
)
def test_another_kind_of_image_is_refused(predictor, wrong, message):
    with pytest.raises(TypeError, match=message) as caught:
        predictor.set_image(wrong)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("shape", [(3, 160, 160), (1, 4, 160, 160), (1, 3, 100, 100), (1, 3, 170, 160)])
def test_a_torch_image_of_another_shape_is_refused(predictor, shape):
    with pytest.raises(AssertionError, match=r"\[1, 3, h, w\] whose long side is 160"):
        predictor.set_torch_image(torch.zeros(shape), (10, 10))


def test_the_encoder_computes_in_the_precision_that_is_asked_for(pair, image, monkeypatch):
    monkeypatch.delenv("ANYMASK_PRECISION", raising=False)
    given = anymask.load(pair.ours, device="cpu", precision="bfloat16")
    predictor = SamPredictor(given)
    predictor.set_image(image)
    exact = predictor.get_image_embedding()
    monkeypatch.setenv("ANYMASK_PRECISION", "float32")
    predictor.set_image(image)
    assert torch.equal(predictor.get_image_embedding(), exact)
    monkeypatch.setenv("ANYMASK_PRECISION", "bfloat16")
    predictor.set_image(image)
    coarse = predictor.get_image_embedding()
    assert coarse.dtype == torch.float32
    assert 1e-4 < (coarse - exact).norm() / exact.norm() < 0.1
    monkeypatch.setenv("ANYMASK_PRECISION", "auto")
    predictor.set_image(image)
    assert any(torch.equal(predictor.get_image_embedding(), one) for one in (exact, coarse))
    monkeypatch.setenv("ANYMASK_PRECISION", "float8")
    with pytest.raises(DeviceError, match="unknown precision 'float8'"):
        predictor.set_image(image)


@pytest.fixture(scope="module")
def pocket():
    torch.manual_seed(3)
    return build_model("pocket").eval()


def test_what_load_returns_is_accepted(pocket, image, monkeypatch):
    monkeypatch.delenv("ANYMASK_PRECISION", raising=False)
    segmenter = anymask.load(pocket, device="cpu", precision="float32")
    predictor = SamPredictor(segmenter)
    assert predictor.model is pocket
    side = pocket.input_side
    assert predictor.transform.target_length == side
    predictor.set_image(image)
    masks, scores, low_res = predictor.predict(np.array([[150, 90]]), np.array([1]))
    assert masks.shape == (3, *image.shape[:2])
    assert low_res.shape == (3, side // 4, side // 4)
    ours = segmenter.encode(image).segment(points=[(150, 90)])
    order = np.argsort(-scores, kind="stable")
    np.testing.assert_allclose(ours.scores, scores[order], atol=1e-5, rtol=0)
    np.testing.assert_allclose(ours.logits, low_res[order], atol=1e-4, rtol=0)
    assert (ours.decode() != masks[order]).mean() < 1e-3


SCRIPT = """
import numpy as np
import torch
from segment_anything import sam_model_registry, SamPredictor

sam = sam_model_registry[model_type](checkpoint=sam_checkpoint)
sam.to(device="cpu")
predictor = SamPredictor(sam)
predictor.set_image(image)

input_point = np.array([[500, 375]])
input_label = np.array([1])
masks, scores, logits = predictor.predict(
    point_coords=input_point, point_labels=input_label, multimask_output=True
)
mask_input = logits[np.argmax(scores), :, :]
refined, _, _ = predictor.predict(
    point_coords=np.array([[500, 375], [1125, 625]]),
    point_labels=np.array([1, 0]),
    mask_input=mask_input[None, :, :],
    multimask_output=False,
)
boxed, _, _ = predictor.predict(
    point_coords=None, point_labels=None, box=np.array([425, 600, 700, 875])[None, :], multimask_output=False
)
input_boxes = torch.tensor([[75, 275, 450, 400], [425, 100, 700, 175]], device=predictor.device)
transformed_boxes = predictor.transform.apply_boxes_torch(input_boxes, image.shape[:2])
batch, _, _ = predictor.predict_torch(
    point_coords=None, point_labels=None, boxes=transformed_boxes, multimask_output=False
)
embedding = predictor.get_image_embedding().cpu().numpy()
"""


def test_a_script_for_the_published_package_runs_with_another_import(pocket, tmp_path):
    checkpoint = tmp_path / "pocket.pth"
    torch.save(pocket.state_dict(), checkpoint)
    names = {"model_type": "pocket", "sam_checkpoint": str(checkpoint), "image": data.chelsea()}
    exec(SCRIPT.replace("from segment_anything", "from anymask.compat.segment_anything"), names)
    assert names["masks"].shape == (3, 300, 451)
    assert names["refined"].shape == names["boxed"].shape == (1, 300, 451)
    assert names["batch"].shape == (2, 1, 300, 451)
    assert names["embedding"].shape == (1, 256, 32, 32)
    assert all(0 < names[key].sum() < names[key].size for key in ("masks", "refined", "boxed"))
