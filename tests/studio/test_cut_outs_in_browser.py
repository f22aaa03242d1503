"""Cut-outs as the browser makes them, compared with those of the Python package."""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anymask.segment.masks import Masks
from anymask.segment.pixels import read_image

pytest.importorskip("playwright")

from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from .e2e.browser import chromium

WEB = Path(__file__).parents[2] / "web"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed"),
    pytest.mark.skipif(not (WEB / "node_modules" / "vite").is_dir(), reason="npm ci was not run in web/"),
    pytest.mark.skipif(chromium() is None, reason="there is no Chromium: apt-get install chromium"),
]

SIZE = (211, 333)


class _Handler(SimpleHTTPRequestHandler):
    """Serves files isolated and with a policy as strict as the studio's."""

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        policy = (
            "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; img-src 'self' blob:"
        )
        self.send_header("Content-Security-Policy", policy)
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def _noise(generator: np.random.Generator, height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    return generator.integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(["node", str(WEB / "tests" / "cutouts" / "build.mjs"), str(folder)], cwd=WEB, check=True)
    generator = np.random.default_rng(5)
    Image.fromarray(_noise(generator, *SIZE)).save(folder / "noise.png")
    Image.fromarray(_noise(generator, *SIZE, 4)).save(folder / "transparent.png")
    smooth = cv2.resize(_noise(generator, 10, 14), (SIZE[1], SIZE[0]))
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(smooth.swapaxes(0, 1)[::-1])).save(
        folder / "turned.jpg", exif=turned, quality=95
    )
    Image.fromarray(_noise(generator, 90, 17_000)).save(folder / "wide.png", compress_level=1)
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def context(browser: Browser) -> BrowserContext:
    return browser.new_context(accept_downloads=True)


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[Page]:
    page = context.new_page()
    page.goto(address)
    yield page
    page.close()


@pytest.fixture(scope="module")
def masks() -> Masks:
    generator = np.random.default_rng(6)
    blurred = cv2.GaussianBlur(generator.normal(size=SIZE).astype(np.float32), (0, 0), 9)
    corner = np.zeros(SIZE, dtype=np.bool_)
    corner[200:, 300:] = True
    return Masks.from_arrays(np.stack([blurred > 0.02, corner, np.zeros(SIZE, dtype=np.bool_)]))


def _counts(masks: Masks, index: int) -> str:
    return masks.rles[index]["counts"].decode()


def _objects(masks: Masks, *labels: str | None) -> list[dict[str, str | None]]:
    return [{"counts": _counts(masks, index), "label": label} for index, label in enumerate(labels)]


def _pixels(content: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as image:
        # Verifies the checksums, which reading pixels does not.
        image.verify()
    with Image.open(io.BytesIO(content)) as image:
        assert image.mode == "RGBA"
        return np.array(image)


def _hidden(cut_out: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same, with nothing under the transparency."""
    return cut_out * (cut_out[..., 3:] > 0)


def test_an_object_is_cut_out_exactly(page: Page, site: Path, masks: Masks) -> None:
    for index in (0, 1):
        png = page.evaluate("counts => calls.one('noise.png', counts)", _counts(masks, index))
        expected = masks.cut_out(site / "noise.png", index)
        assert np.array_equal(_pixels(base64.b64decode(png)), _hidden(expected))


def test_a_transparent_picture_lies_on_white(page: Page, site: Path, masks: Masks) -> None:
    png = page.evaluate("counts => calls.one('transparent.png', counts)", _counts(masks, 0))
    cut_out, expected = _pixels(base64.b64decode(png)), _hidden(masks.cut_out(site / "transparent.png", 0))
    assert np.array_equal(cut_out[..., 3], expected[..., 3])
    assert np.abs(cut_out.astype(int) - expected).max() <= 2


def test_a_photograph_is_cut_out_as_it_is_turned_for_showing(page: Page, site: Path, masks: Masks) -> None:
    picture = read_image(site / "turned.jpg")
    assert picture.shape[:2] == SIZE
    png = page.evaluate("counts => calls.one('turned.jpg', counts)", _counts(masks, 0))
    cut_out, expected = _pixels(base64.b64decode(png)), _hidden(masks.cut_out(picture, 0))
    assert np.array_equal(cut_out[..., 3], expected[..., 3])
    # Decoders of JPEG round each in its own way.
    assert np.abs(cut_out.astype(int) - expected).mean() < 1


def test_all_objects_together_have_the_size_of_the_picture(page: Page, site: Path, masks: Masks) -> None:
    png = page.evaluate("objects => calls.together('noise.png', objects)", _objects(masks, None, None, None))
    picture, union = read_image(site / "noise.png"), masks.union()
    expected = np.dstack([picture, union.astype(np.uint8) * np.uint8(255)])
    assert np.array_equal(_pixels(base64.b64decode(png)), _hidden(expected))


def test_each_object_is_a_file_of_the_zip(page: Page, site: Path, masks: Masks) -> None:
    answer = page.evaluate(
        "objects => calls.zip('noise.png', 'day 1/noise.png', objects)", _objects(masks, "犬", None, "empty")
    )
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(answer["file"]))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["noise-犬-1.png", "noise-2.png"]
        for index, name in enumerate(archive.namelist()):
            assert np.array_equal(_pixels(archive.read(name)), _hidden(masks.cut_out(site / "noise.png", index)))
    assert answer["progress"] == [[1, 3], [2, 3], [3, 3]]


def test_a_picture_wider_than_a_canvas_may_be(page: Page, site: Path) -> None:
    mask = np.zeros((1, 90, 17_000), dtype=np.bool_)
    mask[:, 3:80, 5:16_990] = True
    wide = Masks.from_arrays(mask)
    png = page.evaluate("counts => calls.one('wide.png', counts)", _counts(wide, 0))
    assert np.array_equal(_pixels(base64.b64decode(png)), wide.cut_out(site / "wide.png", 0))


def test_saving_gives_the_file_its_name(page: Page, masks: Masks, tmp_path: Path) -> None:
    with page.expect_download() as download:
        page.evaluate("counts => calls.save('noise.png', counts, 'noise-1.png')", _counts(masks, 1))
    assert download.value.suggested_filename == "noise-1.png"
    download.value.save_as(tmp_path / "saved.png")
    assert _pixels((tmp_path / "saved.png").read_bytes()).shape == (11, 33, 4)


def test_a_copied_cut_out_is_on_the_clipboard(
    context: BrowserContext, page: Page, site: Path, masks: Masks, address: str
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    page.evaluate("counts => calls.copyOnPress('noise.png', counts)", _counts(masks, 0))
    page.get_by_role("button").click()
    expect(page).to_have_title("copied")
    png = page.evaluate(
        """async () => {
          const [item] = await navigator.clipboard.read();
          const png = await item.getType("image/png");
          return Array.from(new Uint8Array(await png.arrayBuffer()));
        }"""
    )
    with Image.open(io.BytesIO(bytes(png))) as image:
        assert np.array_equal(np.array(image.convert("RGBA")), _hidden(masks.cut_out(site / "noise.png", 0)))


def test_a_browser_that_refuses_to_copy_is_explained(context: BrowserContext, page: Page, masks: Masks) -> None:
    context.clear_permissions()
    page.evaluate("counts => calls.copyOnPress('noise.png', counts)", _counts(masks, 0))
    page.evaluate(
        "() => { navigator.clipboard.write = () => Promise.reject(new DOMException('denied', 'NotAllowedError')); }"
    )
    page.get_by_role("button").click()
    expect(page).to_have_title(
        "CutOutError: The browser did not let the cut-out be copied (denied). "
        "Allow the clipboard for this page, or save it as a file."
    )


def test_mistakes_are_explained(page: Page, masks: Masks) -> None:
    with pytest.raises(Error, match=r"The object's mask is empty: there is nothing to cut out\."):
        page.evaluate("counts => calls.one('noise.png', counts)", _counts(masks, 2))
    with pytest.raises(Error, match=r"There is no object with a mask to cut out\."):
        page.evaluate("calls.zip('noise.png', 'noise.png', [])")
    with pytest.raises(Error, match="does not fit a picture of 17000 x 90"):
        page.evaluate("counts => calls.one('wide.png', counts)", _counts(masks, 0))


def test_giving_up_ends_the_work(page: Page, masks: Masks) -> None:
    with pytest.raises(Error, match="given up"):
        page.evaluate("objects => calls.abort('noise.png', 'noise.png', objects)", _objects(masks, None, None))
