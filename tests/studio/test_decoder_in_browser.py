"""The studio's decoder in Chromium, compared with the Python package on the same embeddings."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from skimage import data

import anymask
from anymask.segment.encoded import EncodedImage
from anymask.segment.masks import Masks
from anymask.segment.segmenter import Segmenter
from anymask.train.synthetic import synthetic_scene

pytest.importorskip("playwright")
pytest.importorskip("fastapi")

from playwright.sync_api import Browser, Error, Page, Playwright

from anymask.studio.decoder_files import PARTS, files_key, make_files
from anymask.studio.guard import HEADERS

from .e2e.browser import ARGUMENTS, chromium

WEB = Path(__file__).parents[2] / "web"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed"),
    pytest.mark.skipif(not (WEB / "node_modules" / "vite").is_dir(), reason="npm ci was not run in web/"),
    pytest.mark.skipif(chromium() is None, reason="there is no Chromium: apt-get install chromium"),
]

FILES = {name: f"/decoder/{part}.onnx" for name, part in PARTS.items()}
SIZES = {"photograph": (512, 512), "large": (3000, 4000), "long": (37, 2000), "high": (2000, 37), "pixel": (1, 1)}
"""(height, width) of the pictures."""


class _Handler(SimpleHTTPRequestHandler):
    """Serves files as the studio's server does: isolated, and with its policy."""

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class _NotIsolated(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def _serve(handler: type[SimpleHTTPRequestHandler], folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def pocket() -> Segmenter:
    return anymask.load("pocket", device="cpu", precision="float32")


@pytest.fixture(scope="module")
def photos(pocket: Segmenter) -> dict[str, EncodedImage]:
    """Encoded pictures, whose embeddings are in half precision, as the server keeps them."""
    pixels = {name: synthetic_scene(5, *size).image for name, size in SIZES.items() if min(size) > 1}
    pixels["pixel"] = np.full((1, 1, 3), 90, dtype=np.uint8)
    pixels["photograph"] = np.asarray(data.astronaut())
    pixels["large"] = cv2.resize(np.asarray(data.coffee()), (4000, 3000))
    photos = {name: pocket.encode(image) for name, image in pixels.items()}
    for name, photo in photos.items():
        assert photo.size == SIZES[name]
        photo.embedding = photo.embedding.half().float()
    return photos


@pytest.fixture(scope="module")
def site(pocket: Segmenter, photos: dict[str, EncodedImage], home: Path, tmp_path_factory: Any) -> Path:
    folder: Path = tmp_path_factory.mktemp("site")
    subprocess.run(["node", str(WEB / "tests" / "decoder" / "build.mjs"), str(folder)], cwd=WEB, check=True)
    # Where a studio keeps them that these tests start, so that they are made once.
    made = home / "studio" / "decoders" / files_key(pocket)
    make_files("pocket", made)
    (folder / "decoder").symlink_to(made)
    for name, photo in photos.items():
        photo.embedding.half().numpy().tofile(folder / f"{name}.bin")
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    yield from _serve(_Handler, site)


def _model(segmenter: Segmenter) -> dict[str, Any]:
    return {
        "name": segmenter.name,
        "fingerprint": segmenter.fingerprint,
        "input_side": segmenter.input_side,
        "logits_side": segmenter.logits_side,
        "embedding_shape": [1, 256, 32, 32],
        "mask_threshold": segmenter.mask_threshold,
    }


def _load(page: Page, segmenter: Segmenter, **options: str) -> str:
    backend: str = page.evaluate(
        "([files, model, options]) => calls.load(files, model, options)", [FILES, _model(segmenter), options]
    )
    return backend


def _set_picture(page: Page, number: int, name: str) -> None:
    height, width = SIZES[name]
    call = "([number, name, size]) => calls.setPicture(number, `/${name}.bin`, size)"
    page.evaluate(call, [number, name, {"width": width, "height": height}])


@pytest.fixture(scope="module")
def page(browser: Browser, address: str, pocket: Segmenter) -> Iterator[Page]:
    """A page whose decoder is loaded."""
    page = browser.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.goto(address)
    assert page.evaluate("crossOriginIsolated")
    assert _load(page, pocket) == "wasm"
    yield page
    page.close()
    assert not faults


def _prompts(*clicks: tuple[float, float, int], **rest: Any) -> dict[str, Any]:
    """Prompts as the page sends them: clicks (x, y, 1 or 0) with x and y as parts of the picture's sides."""
    return {"clicks": clicks, "box": None, "choice": None, "base": None} | rest


def _in_pixels(prompts: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    height, width = size
    clicks = [{"x": x * width, "y": y * height, "positive": bool(on)} for x, y, on in prompts["clicks"]]
    box = prompts["box"] and [part * side for part, side in zip(prompts["box"], (width, height) * 2, strict=True)]
    return prompts | {"clicks": clicks, "box": box}


def _decode(counts: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    decoded: NDArray[np.bool_] = coco_mask.decode({"size": list(size), "counts": counts.encode()}).astype(bool)
    return decoded


def _replay(photo: EncodedImage, prompts: dict[str, Any]) -> tuple[Masks, int]:
    """Answer prompts step by step in Python: the masks from the smallest to the largest, and the chosen one."""
    clicks, base = prompts["clicks"], prompts["base"]
    fed_back: Any = None if base is None else _decode(base, photo.size)
    for count in range(min(1, len(clicks)), len(clicks) + 1):
        points = [(click["x"], click["y"]) for click in clicks[:count]] or None
        labels = [int(click["positive"]) for click in clicks[:count]] or None
        masks = photo.segment(points, labels, prompts["box"], fed_back)
        masks = masks[np.argsort(masks.areas, kind="stable")]
        chosen = int(np.argmax(masks.scores)) if prompts["choice"] is None or len(masks) == 1 else prompts["choice"]
        fed_back = masks[chosen]
    return masks, chosen


def _check(answer: dict[str, Any], photo: EncodedImage, prompts: dict[str, Any], score_tolerance: float = 1e-4) -> None:
    wanted, chosen = _replay(photo, prompts)
    found = answer["candidates"]
    assert len(found) == len(wanted)
    assert answer["chosen"] == chosen
    for index, candidate in enumerate(found):
        got, expected = _decode(candidate["counts"], photo.size), wanted.mask(index)
        # Where a logit is the threshold up to rounding, a pixel may fall on either side.
        assert (got != expected).sum() <= 3 + expected.sum() // 20_000
        assert candidate["score"] == pytest.approx(float(wanted.scores[index]), abs=score_tolerance)
        assert candidate["area"] == got.sum()
        rows, columns = got.nonzero()
        bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else [0, 0, 0, 0]
        assert candidate["bounds"] == [int(bound) for bound in bounds]


PROMPTS = {
    "a click": _prompts((0.45, 0.3, 1)),
    "the largest reading": _prompts((0.45, 0.3, 1), choice=2),
    "two clicks": _prompts((0.45, 0.3, 1), (0.4, 0.6, 1)),
    "five clicks": _prompts((0.45, 0.3, 1), (0.4, 0.6, 1), (0.9, 0.1, 0), (0.1, 0.9, 0), (0.5, 0.45, 1)),
    "clicks on the smallest reading": _prompts((0.45, 0.3, 1), (0.9, 0.1, 0), choice=0),
    "a negative click": _prompts((0.45, 0.3, 0)),
    "corners of the picture": _prompts((0, 0, 1), (1, 1, 1)),
    "a box": _prompts(box=[0.3, 0.05, 0.7, 0.6]),
    "a box and clicks": _prompts((0.45, 0.3, 1), (0.35, 0.1, 0), box=[0.3, 0.05, 0.7, 0.6]),
    "a box beyond the picture": _prompts(box=[-0.5, 0.2, 1.5, 2]),
}


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("name", SIZES)
def test_answers_are_those_of_the_package(
    page: Page, photos: dict[str, EncodedImage], name: str, prompts: dict[str, Any]
) -> None:
    number = list(SIZES).index(name)
    if not page.evaluate("number => calls.hasPicture(number)", number):
        _set_picture(page, number, name)
    prompts = _in_pixels(prompts, SIZES[name])
    answer = page.evaluate("([number, prompts]) => calls.answer(number, prompts)", [number, prompts])
    _check(answer, photos[name], prompts)


@pytest.mark.parametrize("clicks", [[], [(0.45, 0.3, 1)], [(0.45, 0.3, 1), (0.9, 0.9, 0)]], ids=len)
@pytest.mark.parametrize("name", ["photograph", "large"])
def test_a_mask_is_refined_as_by_the_package(
    page: Page, photos: dict[str, EncodedImage], name: str, clicks: list[tuple[float, float, int]]
) -> None:
    _set_picture(page, 0, name)
    height, width = SIZES[name]
    mask = np.zeros((height, width), dtype=np.uint8)
    cv2.ellipse(mask, (width * 2 // 5, height // 3), (width // 5, height // 4), 30, 0, 360, 1, -1)
    base = coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
    prompts = _in_pixels(_prompts(*clicks, base=base), SIZES[name])
    _check(page.evaluate("prompts => calls.answer(0, prompts)", prompts), photos[name], prompts)


def test_what_hovering_shows_is_the_best_mask_with_a_smooth_outline(
    page: Page, photos: dict[str, EncodedImage]
) -> None:
    _set_picture(page, 0, "photograph")
    for x, y in ((230, 150), (60, 400), (420, 60)):
        preview = page.evaluate("([x, y]) => calls.hover(0, x, y)", [x, y])
        best = photos["photograph"].segment(points=[(x, y)])[0]
        assert preview["score"] == pytest.approx(float(best.scores[0]), abs=1e-4)
        drawn = np.zeros(SIZES["photograph"], dtype=np.uint8)
        rings = [np.round(np.reshape(ring, (-1, 2)) * 256 - 128).astype(np.int32) for ring in preview["rings"]]
        cv2.fillPoly(drawn, rings, (1,), shift=8)
        assert coco_mask.iou([coco_mask.encode(np.asfortranarray(drawn))], best.rles, [0])[0, 0] > 0.97


def test_a_box_is_shown_while_it_is_drawn(page: Page, photos: dict[str, EncodedImage]) -> None:
    _set_picture(page, 0, "photograph")
    box = [150, 20, 350, 300]
    preview = page.evaluate("box => calls.preview(0, {clicks: [], box, choice: null, base: null})", box)
    assert preview["score"] == pytest.approx(float(photos["photograph"].segment(box=box).scores[0]), abs=1e-4)
    assert preview["rings"]


def test_only_the_last_few_pictures_are_kept(page: Page) -> None:
    for number in range(20, 30):
        _set_picture(page, number, "pixel")
    assert page.evaluate("[...Array(30).keys()].filter((number) => calls.hasPicture(number))") == [26, 27, 28, 29]
    with pytest.raises(Error, match="The picture is not ready for prompts yet"):
        page.evaluate("prompts => calls.answer(20, prompts)", _in_pixels(_prompts((0, 0, 1)), (1, 1)))


def test_what_cannot_be_done_is_said(browser: Browser, address: str, pocket: Segmenter) -> None:
    page = browser.new_page()
    page.goto(address)
    with pytest.raises(Error, match="The decoder is not loaded yet"):
        _set_picture(page, 0, "pixel")
    missing = FILES | {"click": "/decoder/other.onnx"}
    with pytest.raises(Error, match="The decoder could not be fetched: the server said 404"):
        page.evaluate("([files, model]) => calls.load(files, model)", [missing, _model(pocket)])
    with pytest.raises(Error, match=r"The decoder could not be started: .*protobuf"):
        page.evaluate("([files, model]) => calls.load(files, model)", [FILES | {"click": "/pixel.bin"}, _model(pocket)])
    with pytest.raises(Error, match="This browser offers no WebGPU"):
        _load(page, pocket, backend="webgpu")
    assert _load(page, pocket, backend="wasm") == "wasm"
    with pytest.raises(Error, match=r"embedding has .* bytes where this model's have 524288: reload the page"):
        page.evaluate("calls.setPicture(0, '/index.html', {width: 1, height: 1})")
    _set_picture(page, 0, "pixel")
    with pytest.raises(Error, match="nothing to find an object with: click on it"):
        page.evaluate("prompts => calls.answer(0, prompts)", _prompts())
    with pytest.raises(Error, match="does not fit a picture of 1 x 1"):
        page.evaluate("prompts => calls.answer(0, prompts)", _prompts(base="ol0"))
    page.close()


def test_without_isolation_one_thread_answers_the_same(
    browser: Browser, site: Path, pocket: Segmenter, photos: dict[str, EncodedImage]
) -> None:
    for address in _serve(_NotIsolated, site):
        page = browser.new_page()
        page.goto(address)
        assert not page.evaluate("crossOriginIsolated")
        _check_on(page, pocket, photos["photograph"], "wasm", 1e-4)


@pytest.mark.long
def test_a_gpu_answers_the_same(
    playwright: Playwright, address: str, pocket: Segmenter, photos: dict[str, EncodedImage]
) -> None:
    # The one that Chromium plays on the processor.
    played = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
    arguments = [argument for argument in ARGUMENTS if argument != "--disable-gpu"]
    browser = playwright.chromium.launch(executable_path=chromium(), args=arguments + played)
    page = browser.new_page()
    page.goto(address)
    assert _load(page, pocket) == "wasm"
    _check_on(page, pocket, photos["photograph"], "webgpu", 1e-3)
    browser.close()


def _check_on(page: Page, segmenter: Segmenter, photo: EncodedImage, backend: str, score_tolerance: float) -> None:
    assert _load(page, segmenter, backend=backend) == backend
    _set_picture(page, 0, "photograph")
    for kind in ("two clicks", "a box"):
        prompts = _in_pixels(PROMPTS[kind], photo.size)
        answer = page.evaluate("prompts => calls.answer(0, prompts)", prompts)
        _check(answer, photo, prompts, score_tolerance)
    page.close()
