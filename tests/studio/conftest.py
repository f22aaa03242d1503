"""A folder of small pictures, the project in it, and a server on loopback."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Playwright, sync_playwright

from anymask.engine.store import Store
from anymask.segment.segmenter import Segmenter
from anymask.studio.model import StudioModel
from anymask.studio.project import ServedProject
from anymask.studio.server import StudioServer, address, listen
from anymask.train.synthetic import synthetic_scene

from .e2e.browser import ARGUMENTS, chromium

SIZE = (60, 80)
"""(height, width) of the pictures."""

Serve = Callable[[ServedProject], httpx2.Client]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the decoder is kept: one place for all processes of a test run, so that it is made once.

    ``ANYMASK_HOME``, where it is set, keeps it from one run to the next.
    """
    if given := os.environ.get("ANYMASK_HOME"):
        return Path(given)
    place = tmp_path_factory.getbasetemp()
    # pytest-xdist gives each process a folder in that of the run.
    if place.name.startswith("popen-"):
        place = place.parent
    return place / "anymask-home"


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with 1.png to 4.png, and a text file."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(1, 5):
        Image.fromarray(synthetic_scene(number, *SIZE).image).save(folder / f"{number}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def store(pictures: Path) -> Iterator[Store]:
    with Store.open(pictures) as opened:
        opened.sync_pictures()
        yield opened


@pytest.fixture
def project(store: Store, random_segmenter: Segmenter, tmp_path: Path) -> Iterator[ServedProject]:
    """The project with a model; nothing is computed in the background until its encoder is started."""
    model = StudioModel("random", loaded=random_segmenter)
    served = ServedProject(store, model, cache_bytes=100_000_000, cache_folder=tmp_path / "cache")
    yield served
    assert served.close(30)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves projects as the command does, on any free port; gives a client that asks as the page does."""
    ends: list[Callable[[], None]] = []

    def serve(project: ServedProject) -> httpx2.Client:
        listening = listen("127.0.0.1", 0, project.store.database.with_suffix(".port"))
        answering = threading.Event()
        server = StudioServer(project, answering.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        assert answering.wait(60)
        client = httpx2.Client(base_url=address(listening), timeout=60, trust_env=False)

        def end() -> None:
            client.close()
            project.is_closing = server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()
            listening.close()

        ends.append(end)
        return client

    yield serve
    for end in ends:
        end()


@pytest.fixture
def client(project: ServedProject, serve: Serve) -> httpx2.Client:
    """Asks a server of ``project``."""
    return serve(project)


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """Random pixels of a shape, the same each time."""

    def noise(*shape: int, most: int = 256, kind: type = np.uint8) -> np.ndarray:
        return np.random.default_rng(7).integers(0, most, shape).astype(kind)

    return noise
