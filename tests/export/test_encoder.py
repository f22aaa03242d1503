import numpy as np
import onnx
import pytest
import torch
from skimage import data

from anymask.export import export_encoder
from anymask.export.check import Session
from anymask.models.registry import build_model
from anymask.segment.encoded import EncodedImage
from anymask.segment.segmenter import Segmenter

PHOTO = np.ascontiguousarray(data.astronaut())


@pytest.fixture(scope="module")
def session(encoder_file):
    return Session(encoder_file)


def embeddings(session, segmenter, picture):
    return session(image=picture)["image_embeddings"], segmenter.encode(picture).embedding.numpy()


@pytest.mark.parametrize("size", [(512, 512), (512, 300), (299, 512), (1, 512)], ids=str)
def test_a_picture_of_the_models_size_is_encoded_as_by_the_network(pocket, session, size):
    got, wanted = embeddings(session, pocket, np.ascontiguousarray(PHOTO[: size[0], : size[1]]))
    assert got.shape == (1, 256, 32, 32)
    np.testing.assert_allclose(got, wanted, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (3, 2), (5, 4)])
def test_a_picture_of_another_size_gets_the_masks_of_the_network(pocket, session, rows, columns):
    # 1 enlarges half of the photograph, the others make it smaller.
    picture = np.tile(PHOTO[60:310, 60:390], (rows, columns, 1))
    got, wanted = embeddings(session, pocket, picture)
    assert np.abs(got - wanted).max() < 0.01 * np.abs(wanted).max()
    photo = pocket.encode(picture)
    theirs = EncodedImage(pocket, torch.from_numpy(got), photo.frame)
    for point in ((0.5, 0.5), (0.3, 0.8)):
        at = [(point[0] * picture.shape[1], point[1] * picture.shape[0])]
        expected, found = photo.segment(points=at).decode(), theirs.segment(points=at).decode()
        assert (expected & found).sum() >= 0.99 * (expected | found).sum()


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (3, 2)], ids=str)
def test_the_smallest_pictures_are_possible(pocket, session, size):
    picture = np.full((*size, 3), 90, dtype=np.uint8)
    got, wanted = embeddings(session, pocket, picture)
    np.testing.assert_allclose(got, wanted, atol=1e-3, rtol=0)


def test_a_fourth_channel_is_not_looked_at(session):
    picture = np.ascontiguousarray(PHOTO[:200, :300])
    canvas = np.dstack([picture, np.full((200, 300), 7, dtype=np.uint8)])
    np.testing.assert_array_equal(*(session(image=image)["image_embeddings"] for image in (picture, canvas)))


def test_the_signature(encoder_file):
    model = onnx.load(encoder_file)
    onnx.checker.check_model(model, full_check=True)
    (image,), (embedding,) = model.graph.input, model.graph.output
    assert (image.name, image.type.tensor_type.elem_type) == ("image", onnx.TensorProto.UINT8)
    assert [axis.dim_param for axis in image.type.tensor_type.shape.dim] == ["height", "width", "channels"]
    assert embedding.name == "image_embeddings"
    assert [axis.dim_value for axis in embedding.type.tensor_type.shape.dim] == [1, 256, 32, 32]


@pytest.mark.long
@pytest.mark.parametrize("name", ["vit_b", "mobile_sam"])
def test_the_published_encoders(name, tmp_path):
    torch.manual_seed(0)
    network = build_model(name)
    written = export_encoder(Segmenter(network, name, "cpu", "float32"), tmp_path / "encoder.onnx")
    assert written.agreement.runs == 2


@pytest.mark.long
@pytest.mark.parametrize("opset", range(19, 24))
def test_every_operator_set_is_written_and_runs(pocket, tmp_path, opset):
    assert export_encoder(pocket, tmp_path / "encoder.onnx", opset=opset).opset == opset
