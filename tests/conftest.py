"""What several rooms' tests need: a random model that segments, and a small COCO folder."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from safetensors.torch import save_file

import anymask
from anymask.models.mask_decoder import MaskDecoder
from anymask.models.pocket_encoder import PocketEncoder
from anymask.models.prompt_encoder import PromptEncoder
from anymask.models.registry import build_model
from anymask.models.sam import Sam
from anymask.models.transformer import TwoWayTransformer
from anymask.segment.encoded import EncodedImage
from anymask.segment.segmenter import Segmenter
from anymask.train.synthetic import synthetic_scene


def pytest_configure(config: pytest.Config) -> None:
    # pycocotools' compiled arrays are older than NumPy 2; nothing of ours can change that.
    config.addinivalue_line("filterwarnings", "ignore:__array__ implementation doesn't accept:DeprecationWarning")
    # rasterio multiplies transforms in a way that a newer affine no longer likes.
    config.addinivalue_line("filterwarnings", "ignore:Use .@. matmul:PendingDeprecationWarning")


@pytest.fixture(scope="session")
def random_segmenter() -> Segmenter:
    """The pocket network with random weights: its masks mean nothing, but obey every rule."""
    torch.manual_seed(0)
    return anymask.load(build_model("pocket"), device="cpu", precision="float32")


@pytest.fixture(scope="session")
def photo(random_segmenter: Segmenter) -> EncodedImage:
    """An encoded image of 120 x 90 pixels, wider than high."""
    return random_segmenter.encode(synthetic_scene(3, 90, 120).image)


@pytest.fixture(scope="session")
def random_checkpoint(random_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of ``random_segmenter`` as a file."""
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    state = {key: value.contiguous() for key, value in random_segmenter.state_dict().items()}
    save_file(state, path)
    return path


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tensors of a few numbers are slower on two threads, and on a busy machine many times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def build_tiny(one_thread: None) -> Callable[..., Sam]:
    """A builder of SAM with 32 channels instead of 256 for a given input side."""
    del one_thread

    def build(side: int = 64) -> Sam:
        return Sam(
            image_encoder=PocketEncoder(side, widths=(8, 16, 32), depths=(1, 1, 1), heads=2, out_chans=32),
            prompt_encoder=PromptEncoder(
                embed_dim=32,
                image_embedding_size=(side // 16, side // 16),
                input_image_size=(side, side),
                mask_in_chans=8,
            ),
            mask_decoder=MaskDecoder(
                transformer_dim=32,
                transformer=TwoWayTransformer(depth=2, embedding_dim=32, num_heads=4, mlp_dim=64),
                iou_head_hidden_dim=32,
            ),
        )

    return build


@pytest.fixture(scope="session")
def tiny_coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six PNG images of 96 x 80 pixels with ``annotations.json``; two categories."""
    folder = tmp_path_factory.mktemp("tiny-coco")
    (folder / "images").mkdir()
    images, annotations = [], []
    for number in range(6):
        scene = synthetic_scene(100 + number, 80, 96)
        name = f"scene-{number}.png"
        assert cv2.imwrite(str(folder / "images" / name), scene.image[..., ::-1])
        images.append({"id": number + 1, "file_name": name, "width": 96, "height": 80})
        for mask in scene.masks(40):
            rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 1,
                    "category_id": 1 + len(annotations) % 2,
                    "segmentation": {"size": [80, 96], "counts": rle["counts"].decode()},
                    "area": int(mask.sum()),
                    "bbox": coco_mask.toBbox(rle).tolist(),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": 1, "name": "thing"}, {"id": 2, "name": "stuff"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder
