"""Cut-outs: the picture where the mask is, and nothing where it is not."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from anymask.segment.pixels import read_image

from .browser import StudioPage
from .server import Server

COPIES = {"coffee": 2}


def check(cut_out: np.ndarray, picture: np.ndarray, mask: np.ndarray) -> None:
    """Whether a cut-out, cropped or whole, is the picture under the mask."""
    if cut_out.shape[:2] != mask.shape:
        y, x = mask.nonzero()
        window = np.s_[y.min() : y.max() + 1, x.min() : x.max() + 1]
        picture, mask = picture[window], mask[window]
    assert np.array_equal(cut_out[..., 3], mask * np.uint8(255))
    assert np.array_equal(cut_out[..., :3][mask], picture[mask])


def test_one_object_is_saved_with_its_own_alpha(studio: StudioPage, server: Server, coffee, tmp_path):
    studio.click(285, 170)
    mask = studio.mask(studio.selected)
    with studio.page.expect_download() as download:
        studio.press("Shift+C")
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    assert saved.suffix == ".png"
    with Image.open(saved) as image:
        assert image.mode == "RGBA"
        check(np.asarray(image), read_image(server.pictures / coffee), mask)


def test_one_object_is_copied_to_the_clipboard(studio: StudioPage, server: Server, coffee):
    studio.click(285, 170)
    mask = studio.mask(studio.selected)
    studio.press("c")
    content = studio.page.evaluate_handle(
        """async () => {
            for (let turn = 0; turn < 1200; turn++) {
                const items = await navigator.clipboard.read();
                if (items[0]?.types.includes("image/png")) {
                    const png = await items[0].getType("image/png");
                    return [...new Uint8Array(await png.arrayBuffer())];
                }
                await new Promise((resolve) => setTimeout(resolve, 50));
            }
            return [];
        }"""
    ).json_value()
    with Image.open(io.BytesIO(bytes(content))) as image:
        copied = np.asarray(image.convert("RGBA"))
    picture = read_image(server.pictures / coffee)
    # Clipboards multiply colours by alpha; where that is 255 nothing is lost.
    check(copied, picture, mask)
