"""A browser shows a picture with the pixels that the model sees, so that a mask lies where it was clicked."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from anymask.engine.store import Store
from anymask.segment.pixels import read_image
from anymask.studio.model import StudioModel
from anymask.studio.project import ServedProject

from .conftest import Serve
from .e2e.browser import chromium
from .odd_pictures import ODD_PICTURES, write_odd_picture

PIXELS = """async (address) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let text = "";
    for (const byte of data) text += String.fromCharCode(byte);
    return { width: canvas.width, height: canvas.height, pixels: btoa(text) };
}"""


@pytest.mark.skipif(chromium() is None, reason="there is no Chromium: apt-get install chromium")
def test_every_kind_of_picture(
    tmp_path: Path, serve: Serve, browser: Browser, noise: Callable[..., np.ndarray]
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for kind in ODD_PICTURES:
        write_odd_picture(folder, kind, noise)
    with Store.open(folder) as store:
        store.sync_pictures()
        project = ServedProject(store, StudioModel(), cache_folder=tmp_path / "cache")
        client = serve(project)
        page = browser.new_page()
        page.goto(f"{client.base_url}docs")
        for picture in project.pictures(0, 100):
            got = page.evaluate(PIXELS, f"/api/pictures/{picture.id}/image")
            pixels = np.frombuffer(base64.b64decode(got["pixels"]), np.uint8)
            shown = pixels.reshape(got["height"], got["width"], 4).astype(int)
            expected = read_image(store.path(picture.id)).astype(int)
            assert shown.shape[:2] == expected.shape[:2], picture.name
            assert (shown[..., 3] == 255).all(), picture.name
            # Decoders of JPEG round differently, and both are right.
            most = 2 if picture.name.endswith(".jpg") else 0
            assert np.abs(shown[..., :3] - expected).max() <= most, picture.name
        page.close()
