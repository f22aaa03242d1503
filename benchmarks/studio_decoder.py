"""The studio's decoder alone, in real Chromium: milliseconds from a call on the page to its answer.

Run: python benchmarks/studio_decoder.py [--repeats 40] [--published]
Each row is a model, a picture's size, and how many threads there are: all of them where the page is isolated, one where
it is not. "hover" decodes a click and traces its outline in low resolution; "click" decodes another and restores its
three readings at the picture's size; "second click" refines that; "box" is a box that is being drawn. Prompts are
spread over scikit-image's astronaut. With --published, the decoder of the published models too, at their size and with
random weights: its masks are noise, whose outlines at full size take longer than those of real ones.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import torch
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table
from skimage import data

import anymask
from anymask.export import export_part
from anymask.models.registry import assemble
from anymask.segment.segmenter import Segmenter
from anymask.studio.decoder_files import PARTS
from anymask.studio.guard import HEADERS

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "studio"))

from e2e.browser import ARGUMENTS, chromium

BUILD = Path(__file__).parents[1] / "web" / "tests" / "decoder" / "build.mjs"
SIZES = [(512, 512), (4000, 3000)]
"""(width, height) of the pictures."""
MEASURE = """async ([files, model, embedding, size, repeats]) => {
    const at = (i) => ({ x: size.width * (0.2 + 0.6 * ((i * 0.37) % 1)),
                         y: size.height * (0.2 + 0.6 * ((i * 0.73) % 1)), positive: true });
    const ask = (...clicks) => calls.answer(0, { clicks, box: null, choice: null, base: null });
    const box = (i) => [0.1 * size.width, 0.1 * size.height, at(i).x, at(i).y];
    const measured = {
        picture: () => calls.setPicture(0, embedding, size),
        hover: (i) => calls.hover(0, at(i).x, at(i).y),
        click: (i) => ask(at(i + 0.5)),
        "second click": (i) => ask(at(i + 0.5), { ...at(i + 7), positive: false }),
        box: (i) => calls.preview(0, { clicks: [], box: box(i), choice: null, base: null }),
    };
    await calls.load(files, model, { backend: "wasm" });
    const times = {};
    for (const [name, call] of Object.entries(measured)) {
        times[name] = [];
        for (let i = 0; i < repeats; i++) {
            const start = performance.now();
            await call(i);
            times[name].push(performance.now() - start);
        }
    }
    return [crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1, times];
}"""


class Plain(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class Isolated(Plain):
    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()


@contextmanager
def serve(handler: type[Plain], folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def prepare(segmenter: Segmenter, embedding: torch.Tensor, folder: Path) -> dict[str, Any]:
    """Write what the page fetches, and say of the model what the page asks."""
    folder.mkdir()
    for part in PARTS.values():
        export_part(segmenter, folder / f"{part}.onnx", part, check=False)
    embedding.half().numpy().tofile(folder / "embedding.bin")
    return {
        "name": segmenter.name,
        "fingerprint": segmenter.fingerprint,
        "input_side": segmenter.input_side,
        "logits_side": segmenter.logits_side,
        "embedding_shape": list(embedding.shape),
        "mask_threshold": segmenter.mask_threshold,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=40, help="calls of each kind")
    parser.add_argument("--published", action="store_true", help="also a decoder of the published size")
    options = parser.parse_args()
    pocket = anymask.load("pocket", device="cpu", precision="float32")
    models = [(pocket, pocket.encode(np.asarray(data.astronaut())).embedding)]
    if options.published:
        torch.manual_seed(0)
        published = Segmenter(assemble(torch.nn.Identity(), 1024), "published", "cpu", "float32")
        models.append((published, torch.randn(1, 256, 64, 64)))
    table = Table(title="milliseconds: median (95th percentile)")
    for column in ("model", "picture", "threads", "prepare", "hover", "click", "second click", "box"):
        table.add_column(column, justify="left" if column == "model" else "right")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        site = Path(place) / "site"
        subprocess.run(["node", str(BUILD), str(site)], check=True)
        facts = {
            segmenter.name: prepare(segmenter, embedding, site / segmenter.name) for segmenter, embedding in models
        }
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        for name, model in facts.items():
            files = {kind: f"/{name}/{part}.onnx" for kind, part in PARTS.items()}
            for (width, height), handler in ((size, handler) for size in SIZES for handler in (Isolated, Plain)):
                with serve(handler, site) as address:
                    page = browser.new_page()
                    page.goto(address)
                    size = {"width": width, "height": height}
                    asked = [files, model, f"/{name}/embedding.bin", size, options.repeats]
                    threads, times = page.evaluate(MEASURE, asked)
                    page.close()
                cells = [
                    f"{statistics.median(some):.1f} ({statistics.quantiles(some, n=20)[-1]:.1f})"
                    for some in times.values()
                ]
                table.add_row(name, f"{width} x {height}", str(threads), *cells)
        browser.close()
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
