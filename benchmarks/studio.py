"""The studio in real Chromium: from a movement of the mouse to a painted mask, frames, memory, the first minute.

Run: python benchmarks/studio.py [--only start pointer frames memory] [--moves 200] [--clicks 30] [--pictures 100]
The page is the built one, the server a process of its own with `pocket`, the pictures scikit-image's photographs. The
mouse is moved by the browser's own input events. Times from pointer to mask are those that the page itself measures,
from the time stamp of the event until the mask is painted; the pointer moves every 33 ms, and where its next movement
comes before a mask is decoded, that one is not painted and not counted. "start" begins with the command, first with
nothing prepared: no embedding, and no decoder but the one that a package may bring; the browser's cache is always
empty. Memory is that of the page's process, before and after garbage is collected in it, and what scripts hold in it
then, as the browser tells; for that part Playwright is left out, which would have the browser record all answers there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import BrowserContext, sync_playwright
from pycocotools import mask as coco_mask
from rich.console import Console
from rich.table import Table
from skimage import data

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "studio"))

from devtools import Browser
from e2e.browser import ARGUMENTS, StudioPage, chromium
from e2e.server import Server

SMALL, LARGE = "small-512x512.jpg", "large-4000x3000.jpg"
FRAMES = """() => {
    window.frames_seen = [];
    const step = (now) => { window.frames_seen.push(now); window.frame_asked = requestAnimationFrame(step); };
    window.frame_asked = requestAnimationFrame(step);
}"""


def write_picture(path: Path, pixels: np.ndarray) -> None:
    assert cv2.imwrite(str(path), pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


def photographs(folder: Path) -> None:
    """The two pictures that everything but memory is measured on."""
    folder.mkdir()
    write_picture(folder / SMALL, data.astronaut())
    write_picture(folder / LARGE, cv2.resize(data.coffee(), (4000, 3000), interpolation=cv2.INTER_CUBIC))


def pieces(folder: Path, count: int) -> None:
    """Pictures of 1200 x 900 pixels, each another part of a photograph."""
    generator = np.random.default_rng(0)
    sources = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    folder.mkdir()
    for number in range(count):
        source = sources[number % len(sources)]
        height, width = source.shape[:2]
        y, x = generator.integers(0, height - 225), generator.integers(0, width - 300)
        piece = cv2.resize(source[y : y + 225, x : x + 300], (1200, 900), interpolation=cv2.INTER_CUBIC)
        write_picture(folder / f"{number:04d}.jpg", piece)


def thousand_masks(path: Path) -> None:
    """A COCO file with 1,000 ellipses on the large picture."""
    generator = np.random.default_rng(1)
    annotations = []
    for number in range(1000):
        center = (int(generator.integers(100, 3900)), int(generator.integers(100, 2900)))
        axes = (int(generator.integers(20, 120)), int(generator.integers(20, 120)))
        outline = cv2.ellipse2Poly(center, axes, int(generator.integers(0, 180)), 0, 360, 5)
        (mask,) = coco_mask.frPyObjects([outline.ravel().astype(float).tolist()], 3000, 4000)
        annotations.append(
            {"id": number + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": int(coco_mask.area(mask))}
            | {"segmentation": {"size": [3000, 4000], "counts": mask["counts"].decode()}, "bbox": [*center, *axes]}
        )
    images = [{"id": 1, "file_name": LARGE, "width": 4000, "height": 3000}]
    categories = [{"id": 1, "name": "ellipse"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


class Bench:
    """A place for servers and browsers, each with nothing left of the ones before unless said so."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.playwright = sync_playwright().start()
        self.turns = 0

    @contextmanager
    def serving(self, pictures: Path, home: str = "home", *options: str) -> Iterator[Server]:
        server = Server(pictures, self.place / home, self.place / "server.log", *options)
        try:
            server.start()
            yield server
        finally:
            server.kill()

    @contextmanager
    def browsing(self) -> Iterator[tuple[BrowserContext, Path]]:
        """A browser with an empty profile, and where that is."""
        self.turns += 1
        profile = self.place / f"profile-{self.turns}"
        context = self.playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium(), args=ARGUMENTS, viewport={"width": 1440, "height": 900}
        )
        try:
            yield context, profile
        finally:
            context.close()

    @contextmanager
    def studio(self, pictures: Path, *options: str) -> Iterator[tuple[StudioPage, Path]]:
        with self.serving(pictures, "home", *options) as server, self.browsing() as (context, profile):
            yield StudioPage(context.pages[0], server.address), profile


def measured(studio: StudioPage, name: str) -> list[float]:
    """Milliseconds of all that the page has measured under a name, which it then forgets."""
    script = """(name) => {
        const found = performance.getEntriesByName(name).map((one) => one.duration);
        performance.clearMeasures(name);
        return found;
    }"""
    return studio.page.evaluate(script, name)  # type: ignore[no-any-return]


def settle(studio: StudioPage) -> None:
    """Wait until nothing is encoded any more, so that the server's work is not measured with the page's."""
    studio.until(
        "fetch('/api/status').then((answer) => answer.json()).then((status) => status.waiting === 0 && "
        "status.encoding.length === 0)",
        seconds=600,
    )


def spread(values: list[float]) -> tuple[str, str, str]:
    """Median, 95th percentile, longest, in whole and tenth milliseconds."""
    ordered = sorted(values)
    late = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{statistics.median(ordered):.1f}", f"{late:.1f}", f"{ordered[-1]:.1f}"


def around(values: Sequence[float], digits: int) -> str:
    """Median, least and most."""
    if not values:
        return ""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def wander(studio: StudioPage, moves: int, width: int, height: int) -> None:
    """Move the pointer over the picture as a hand does: smooth, at changing speed."""
    for step in range(moves):
        turn = 2 * np.pi * step / moves
        x = width * (0.5 + 0.42 * np.sin(3 * turn + 0.4))
        y = height * (0.5 + 0.42 * np.sin(5 * turn))
        studio.page.mouse.move(*studio.on_screen(x, y))
        studio.page.wait_for_timeout(33)


def pointer(bench: Bench, moves: int, clicks: int) -> Table:
    table = Table(title="from the event to the painted mask, milliseconds")
    for name in ("picture", "what", "painted", "of", "median", "95%", "longest"):
        table.add_column(name)
    folder = bench.place / "pictures"
    photographs(folder)
    with bench.studio(folder) as (studio, _):
        studio.open(SMALL)
        settle(studio)
        print(f"decoding with {studio.state('backend')}", file=sys.stderr)
        for name, width, height in ((SMALL, 512, 512), (LARGE, 4000, 3000)):
            studio.go_to(name)
            wander(studio, 20, width, height)
            measured(studio, "anymask:pointer-to-mask")
            wander(studio, moves, width, height)
            hovers = measured(studio, "anymask:pointer-to-mask")
            table.add_row(name, "hover", str(len(hovers)), str(moves), *spread(hovers))
            first, more = [], []
            generator = np.random.default_rng(2)
            for _ in range(clicks):
                measured(studio, "anymask:click-to-mask")
                for times in (first, more):
                    studio.click(*generator.uniform(0.1, 0.9, 2) * (width, height))
                    studio.until("performance.getEntriesByName('anymask:click-to-mask').length > 0")
                    times += measured(studio, "anymask:click-to-mask")
                studio.press("Enter")
            table.add_row(name, "first click", str(len(first)), str(clicks), *spread(first))
            table.add_row(name, "second click", str(len(more)), str(clicks), *spread(more))
            studio.wait_until_saved()
    return table


def frames_during(studio: StudioPage, act: Callable[[], None]) -> list[float]:
    """Milliseconds between frames while something is done."""
    studio.page.evaluate(FRAMES)
    act()
    seen = studio.page.evaluate("() => { cancelAnimationFrame(window.frame_asked); return window.frames_seen; }")
    return np.diff(seen).tolist()  # type: ignore[no-any-return]


def frames(bench: Bench) -> Table:
    table = Table(title="frames on the large picture with 1,000 objects, milliseconds from one to the next")
    for name in ("what", "frames", "median", "95%", "longest"):
        table.add_column(name)
    folder, masks = bench.place / "crowded", bench.place / "thousand.json"
    photographs(folder)
    thousand_masks(masks)
    with bench.studio(folder, "--import", str(masks)) as (studio, _):
        studio.open(LARGE)
        studio.wait("state.objects.length === 1000")
        settle(studio)
        x, y = studio.on_screen(2000, 1500)
        mouse = studio.page.mouse

        def pan() -> None:
            studio.page.keyboard.down("Space")
            mouse.move(x, y)
            mouse.down()
            for step in range(120):
                mouse.move(x + 150 * np.sin(step / 12), y + 100 * np.sin(step / 9))
                studio.page.wait_for_timeout(16)
            mouse.up()
            studio.page.keyboard.up("Space")

        def zoom() -> None:
            mouse.move(x, y)
            for step in range(80):
                mouse.wheel(0, -60 if step < 40 else 60)
                studio.page.wait_for_timeout(16)

        def hover() -> None:
            wander(studio, 90, 4000, 3000)

        still = frames_during(studio, lambda: studio.page.wait_for_timeout(1500))
        for what, times in (
            ("nothing", still),
            ("hovering", frames_during(studio, hover)),
            ("panning, whole picture", frames_during(studio, pan)),
            ("zooming in and out", frames_during(studio, zoom)),
        ):
            table.add_row(what, str(len(times)), *spread(times))
        studio.press("Shift+1")
        times = frames_during(studio, pan)
        table.add_row("panning, at 100%", str(len(times)), *spread(times))
    return table


def memory(bench: Bench, count: int) -> Table:
    table = Table(title=f"memory over {count} pictures of 1200x900, each hovered and clicked, megabytes")
    for name in ("pictures", "the page's process", "after collecting garbage", "held by the page"):
        table.add_column(name)
    folder = bench.place / "many"
    pieces(folder, count)
    tenth = max(1, count // 10)
    path = chromium()
    assert path is not None
    profile = bench.place / "profile-memory"
    with bench.serving(folder) as server:
        browser = Browser(path, ARGUMENTS, profile)
        try:
            figures = [one_picture(browser, server, number, tenth, count) for number in range(count)]
        finally:
            browser.close()
    for name, chosen in (
        (f"first {tenth}", figures[:tenth]),
        ("between", figures[tenth:-tenth]),
        (f"last {tenth}", figures[-tenth:]),
    ):
        columns = ([one[column] for one in chosen if one[column] is not None] for column in range(3))
        table.add_row(name, *(around(values, 0) for values in columns))
    return table


def one_picture(
    browser: Browser, server: Server, number: int, tenth: int, count: int
) -> tuple[float, float | None, float | None]:
    """Work on one picture: megabytes of the process; in the first and last ``tenth`` also without garbage, and held."""
    state = "window.anymaskStudio?.session.state.getState()"
    if number == 0:
        browser.ask("Page.navigate", url=server.address)
    else:
        browser.ask("Input.dispatchKeyEvent", type="keyDown", key="d", code="KeyD", text="d")
        browser.ask("Input.dispatchKeyEvent", type="keyUp", key="d", code="KeyD")
    shown = "document.querySelector('[data-testid=stage] [data-state=shown]')?.dataset.shows"
    browser.until(
        f"(() => {{ const state = {state}; return state?.picture?.name === '{number:04d}.jpg' &&"
        f" state.embedding === 'ready' && state.decoder === 'ready' && {shown} === String(state.picture.id); }})()"
    )
    stage = browser.evaluate(
        "(() => { const { x, y, width, height } = document.querySelector('[data-testid=stage]')"
        ".getBoundingClientRect(); return [x + width / 2, y + height / 2]; })()"
    )
    for step in range(5):
        browser.move(stage[0] + 60 * (step - 2), stage[1] + 40 * (step - 2))
        time.sleep(0.033)
    browser.click(*stage)
    browser.until(f"{state}.objects.length === 1 && {state}.waiting.length === 0 && !{state}.decoding")
    for kind in ("keyDown", "keyUp"):
        browser.ask("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter")
    process = browser.page_megabytes()
    if tenth <= number < count - tenth:
        return process, None, None
    browser.collect_garbage()
    return process, browser.page_megabytes(), browser.held_megabytes()


def start(bench: Bench, repeats: int) -> Table:
    table = Table(title="the first minute, seconds since the command")
    for name in ("prepared before", "server answers", "picture shown", "first mask under the pointer"):
        table.add_column(name)
    times: dict[str, list[tuple[float, float, float]]] = {"nothing": [], "decoder and embeddings": []}
    for turn in range(repeats):
        folder = bench.place / f"start-{turn}"
        photographs(folder)
        for prepared in times:
            begun = time.perf_counter()
            with bench.serving(folder, f"home-{turn}") as server:
                answers = time.perf_counter() - begun
                with bench.browsing() as (context, _):
                    studio = StudioPage(context.pages[0], server.address)
                    studio.page.goto(server.address)
                    studio.wait("state.picture !== null && state.picture.width !== null")
                    studio.until("document.querySelector('[data-testid=stage]')?.dataset.scale > 0")
                    shown = time.perf_counter() - begun
                    studio.page.evaluate(
                        "() => { const { session } = window.anymaskStudio;"
                        " session.onPreview((one) => { window.preview_seen ||= one !== null; }); }"
                    )
                    picture = studio.state("picture")
                    while not studio.page.evaluate("window.preview_seen === true"):
                        studio.move(picture["width"] / 2, picture["height"] / 2)
                        studio.page.wait_for_timeout(20)
                        studio.move(picture["width"] / 2 + 1, picture["height"] / 2)
                        studio.page.wait_for_timeout(20)
                    times[prepared].append((answers, shown, time.perf_counter() - begun))
    for prepared, found in times.items():
        table.add_row(prepared, *(around(column, 1) for column in zip(*found, strict=True)))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ["start", "pointer", "frames", "memory"]
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--clicks", type=int, default=30)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=2, help="of start")
    options = parser.parse_args()
    # Else servers and browsers would outlive it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if chromium() is None:
        sys.exit("there is no Chromium: apt-get install chromium, or set ANYMASK_CHROMIUM to the path of one")
    console = Console(width=140)
    console.print(f"{platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        bench = Bench(Path(place))
        try:
            if "start" in options.only:
                console.print(start(bench, options.repeats))
            if "pointer" in options.only:
                console.print(pointer(bench, options.moves, options.clicks))
            if "frames" in options.only:
                console.print(frames(bench))
            if "memory" in options.only:
                console.print(memory(bench, options.pictures))
        finally:
            bench.playwright.stop()


if __name__ == "__main__":
    main()
